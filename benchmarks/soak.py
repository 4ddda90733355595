"""
    python -m benchmarks.soak [--minutes N] [--reload SECONDS] [--workers N] [--json FILE]

Mixed load on a gateway for a while, with a new configuration every few seconds: small and large
objects, parts, lists, a browser's cookie, temporary credentials, a bearer token. Every byte that
comes back is compared. Prints what was done and how memory went; ends with 1 where anything failed.

Upstream is moto and the identity provider is the demo's, each outside of the measured process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from benchmarks.processes import Program, Programs, free_port
from gateway.demo.idp import Client, IdentityProvider
from gateway.demo.world import SERVICE_ACCOUNT, USERS, write_files
from gateway.identity import Credentials, Secret
from gateway.message import Headers
from gateway.sigv4.sign import SigningKeys, sign

MIB = 1024 * 1024
BUCKETS = ("acme-home", "acme-team-data", "acme-archive", "acme-backups")
MOTO = (
    "import sys; from werkzeug.serving import make_server; "
    "from moto.server import DomainDispatcherApplication as D, create_backend_app as c; "
    "make_server('127.0.0.1', int(sys.argv[1]), D(c)).serve_forever()"
)
"""One request at a time: moto's own lists are not safe against its own threads."""
SAMPLE_SECONDS = 2.0
WARM = 0.2  # part of the run after which memory is compared
KEYS = SigningKeys()


@dataclass
class Tally:
    """What was done and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, and megabytes resident."""
    reloads: int = 0

    @contextlib.asynccontextmanager
    async def timed(self, what: str) -> AsyncIterator[None]:
        """One operation: its time, or why it failed."""
        began = time.perf_counter()
        try:
            yield
        except (aiohttp.ClientError, AssertionError, TimeoutError, OSError) as error:
            self.failures.append(f"{what}: {type(error).__name__}: {error}"[:300])
        self.seconds[what].append(time.perf_counter() - began)


@dataclass
class Caller:
    """Somebody at the gateway: who signs where there are credentials, else by header or cookie."""

    http: aiohttp.ClientSession
    url: str
    tally: Tally
    credentials: Credentials | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, data: bytes = b"", query: str = "", **headers: str
    ) -> tuple[bytes, Any]:
        """Body and header fields of a success. Raises AssertionError for any other status."""
        sent = {**self.headers, **headers}
        if self.credentials is not None:
            sent |= self._signed(method, path, query, data)
        target = URL(f"{self.url}{path}" + (f"?{query}" if query else ""), encoded=True)
        async with self.http.request(method, target, data=data or None, headers=sent) as answer:
            body = await answer.read()
            assert answer.status < 300, f"{answer.status} {body[:200]!r}"
            return body, answer.headers

    def _signed(self, method: str, path: str, query: str, data: bytes) -> dict[str, str]:
        assert self.credentials is not None
        made = sign(
            method=method,
            path=path,
            query=query,
            host=URL(self.url).authority,
            headers=Headers(),
            credentials=self.credentials,
            region="us-east-1",
            now=datetime.now(UTC),
            payload=hashlib.sha256(data).hexdigest(),
            keys=KEYS,
        )
        return dict(made.headers.pairs)

    async def round_trip(self, label: str, path: str, data: bytes) -> None:
        """Put, head, get and compare, delete."""
        async with self.tally.timed(f"{label} PUT"):
            await self.ask("PUT", path, data)
        async with self.tally.timed(f"{label} HEAD"):
            _, headers = await self.ask("HEAD", path)
            assert int(headers["Content-Length"]) == len(data), "another length"
        async with self.tally.timed(f"{label} GET"):
            body, _ = await self.ask("GET", path)
            assert body == data, "other bytes than were put"
        async with self.tally.timed(f"{label} DELETE"):
            await self.ask("DELETE", path)


async def small(account: Caller, name: str) -> None:
    await account.round_trip(
        "small", f"/backups/{name}", random.randbytes(random.randint(0, 65536))
    )


async def large(account: Caller, name: str) -> None:
    await account.round_trip("8 MiB", f"/backups/{name}", random.randbytes(8 * MIB))
    await asyncio.sleep(1)


async def parts(account: Caller, name: str) -> None:
    """Two parts, put together, read and removed."""
    path, first, last = f"/backups/{name}", random.randbytes(5 * MIB), random.randbytes(1000)
    async with account.tally.timed("multipart upload"):
        begun, _ = await account.ask("POST", path, query="uploads=")
        upload = quote(begun.split(b"<UploadId>")[1].split(b"<")[0].decode(), safe="")
        tags = []
        for number, data in ((1, first), (2, last)):
            query = f"partNumber={number}&uploadId={upload}"
            _, headers = await account.ask("PUT", path, data, query=query)
            tags.append((number, headers["ETag"]))
        listed = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in tags
        )
        done = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        await account.ask("POST", path, done, query=f"uploadId={upload}")
        body, _ = await account.ask("GET", path)
        assert body == first + last, "other bytes than were put"
        await account.ask("DELETE", path)
    await asyncio.sleep(1)


async def lists(account: Caller, name: str) -> None:
    async with account.tally.timed("list"):
        body, _ = await account.ask("GET", "/backups", query="list-type=2&max-keys=1000&prefix=")
        assert b"</ListBucketResult>" in body, "no list"
    await asyncio.sleep(0.05)


async def page(browser: Caller, name: str) -> None:
    """What the file browser does: session, list as JSON, an upload and a download by cookie."""
    async with browser.tally.timed("cookie session"):
        await browser.ask("GET", "/api/session")
    async with browser.tally.timed("cookie list"):
        body, _ = await browser.ask(
            "GET", "/home", query="list-type=2&delimiter=%2F&prefix=", Accept="application/json"
        )
        json.loads(body)
    await browser.round_trip("cookie", f"/home/{name}", random.randbytes(20_000))
    await asyncio.sleep(0.05)


async def temporary(browser: Caller, name: str) -> None:
    """Credentials from the page, and S3 with them."""
    async with browser.tally.timed("temporary credentials"):
        made, _ = await browser.ask(
            "POST", "/api/keys/temporary", b"{}", **{"Content-Type": "application/json"}
        )
        told = json.loads(made)
    keys = Credentials(
        access_key_id=told["AccessKeyId"],
        secret=Secret(told["SecretAccessKey"]),
        session_token=Secret(told["SessionToken"]),
    )
    caller = Caller(browser.http, browser.url, browser.tally, keys)
    for number in range(10):
        await caller.round_trip("temporary", f"/home/{name}-{number}", random.randbytes(5_000))


async def bearer(caller: Caller, name: str) -> None:
    await caller.round_trip("bearer", f"/home/{name}", random.randbytes(2_000))
    await asyncio.sleep(0.05)


async def sign_in(http: aiohttp.ClientSession, url: str, username: str, password: str) -> str:
    """The session cookie of a browser that has signed in."""
    async with http.get(f"{url}/api/session/auth/?next=/ui/") as answer:
        text, where = await answer.text(), answer.url
    action = re.search(r'<form method="post" action="([^"]+)"', text)
    assert action is not None, text
    form = {"username": username, "password": password}
    async with http.post(where.join(URL(unescape(action[1]), encoded=True)), data=form) as answer:
        assert answer.status == 200, answer.status
    return http.cookie_jar.filter_cookies(URL(url))["session"].value


async def watch(gateway: Program, tally: Tally, began: float) -> None:
    while True:
        pids = [gateway.process.pid, *_children(gateway.process.pid)]
        tally.memory.append((time.monotonic() - began, sum(map(_resident, pids))))
        await asyncio.sleep(SAMPLE_SECONDS)


def _children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _resident(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


async def reload(
    gateway: Program, policy: Path, ready: str, tally: Tally, every: float, http: Any
) -> None:
    """Another policy file every so often, and a look whether it was taken."""
    while True:
        await asyncio.sleep(every)
        async with tally.timed("reload"):
            before = await _generation(http, ready)
            with policy.open("a") as file:
                file.write(f"# {tally.reloads}\n")
            gateway.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(10):
                while await _generation(http, ready) <= before:
                    await asyncio.sleep(0.1)
        tally.reloads += 1


async def _generation(http: aiohttp.ClientSession, ready: str) -> int:
    """The oldest generation that a worker says is in force."""
    async with http.get(ready) as answer:
        told = await answer.json()
    return min(int(worker["generation"]) for worker in told.get("workers", [told]))


async def for_ever(
    work: Callable[[Caller, str], Awaitable[None]], caller: Caller, name: str, until: float
) -> None:
    while time.monotonic() < until:
        await work(caller, name)


async def run(folder: Path, options: argparse.Namespace, tally: Tally) -> None:
    """Starts everything, works until the time is up, ends everything."""
    port, admin, s3 = free_port(), free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    client = Client(
        client_id="soak",
        client_secret="soak-secret-of-the-client",
        redirect_uris=(f"{url}/api/session/auth/",),
        logout_uris=(f"{url}/ui/signed-out",),
    )
    idp = IdentityProvider(users=USERS, client=client)
    await idp.start()
    try:
        config = write_files(
            folder,
            listen=f"127.0.0.1:{port}",
            url=url,
            issuer=idp.issuer,
            client_id=client.client_id,
            client_secret=client.client_secret,
            s3=f"http://127.0.0.1:{s3}",
        )
        text = config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{admin}")
        config.write_text(text.replace("server:\n", f"server:\n  workers: {options.workers}\n"))
        with Programs() as programs:
            programs.start("moto", [sys.executable, "-c", MOTO, str(s3)], port=s3, folder=folder)
            await _buckets(f"http://127.0.0.1:{s3}")
            gateway = await asyncio.to_thread(
                programs.start,
                "gateway",
                [sys.executable, "-m", "gateway", "serve", "--config", str(config)],
                port=port,
                folder=folder,
            )
            await _load(
                gateway, idp, url, f"http://127.0.0.1:{admin}/readyz", folder, options, tally
            )
    finally:
        await idp.stop()


async def _buckets(s3: str) -> None:
    signature = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    async with aiohttp.ClientSession(headers={"Authorization": signature}) as http:
        for bucket in BUCKETS:
            async with http.put(f"{s3}/{bucket}") as answer:
                answer.raise_for_status()


async def _load(
    gateway: Program,
    idp: IdentityProvider,
    url: str,
    ready: str,
    folder: Path,
    options: argparse.Namespace,
    tally: Tally,
) -> None:
    user = USERS[1]
    timeout = aiohttp.ClientTimeout(total=60)
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http,
        aiohttp.ClientSession(timeout=timeout, cookie_jar=jar) as sign_in_http,
    ):
        cookie = await sign_in(sign_in_http, url, user.username, user.password)
        async with http.get(idp.token_url(user)) as answer:
            token = (await answer.text()).strip()
        token = json.loads(token)["id_token"] if token.startswith("{") else token
        account = Caller(
            http,
            url,
            tally,
            Credentials(access_key_id=SERVICE_ACCOUNT[1], secret=Secret(SERVICE_ACCOUNT[2])),
        )
        by_page = {"Cookie": f"session={cookie}", "X-Gateway-CSRF": "1", "Origin": url}
        browser = Caller(http, url, tally, headers=by_page)
        program = Caller(http, url, tally, headers={"Authorization": f"Bearer {token}"})
        began = time.monotonic()
        until = began + 60 * options.minutes
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(watch(gateway, tally, began)),
                group.create_task(
                    reload(
                        gateway, folder / "policies/main.yaml", ready, tally, options.reload, http
                    )
                ),
            ]
            async with asyncio.TaskGroup() as load:
                for work, caller, times in (
                    (small, account, 3),
                    (large, account, 1),
                    (parts, account, 1),
                    (lists, account, 1),
                    (page, browser, 2),
                    (temporary, browser, 1),
                    (bearer, program, 1),
                ):
                    for number in range(times):
                        name = f"{work.__name__}-{number}"
                        load.create_task(for_ever(work, caller, name, until))
            for task in beside:
                task.cancel()


def slope(samples: list[tuple[float, float]]) -> float:
    """Megabytes a minute, by least squares."""
    count = len(samples)
    x, y = (sum(s[i] for s in samples) / count for i in (0, 1))
    spread = sum((s[0] - x) ** 2 for s in samples)
    return 60 * sum((s[0] - x) * (s[1] - y) for s in samples) / spread if spread else 0.0


def report(tally: Tally, minutes: float) -> tuple[str, dict[str, Any]]:
    """The table, and the same as data."""
    lines = ["| what | done | p50 ms | p99 ms | slowest ms |", "|---|--:|--:|--:|--:|"]
    rows = []
    for what, taken in sorted(tally.seconds.items()):
        taken.sort()
        figures = [1000 * taken[int(len(taken) * part)] for part in (0.5, 0.99)]
        figures.append(1000 * taken[-1])
        rows.append({"what": what, "done": len(taken), "ms": figures})
        lines.append(f"| {what} | {len(taken)} | " + " | ".join(f"{n:.0f}" for n in figures) + " |")
    settled = [sample for sample in tally.memory if sample[0] >= WARM * 60 * minutes]
    values = [megabytes for _, megabytes in settled]
    memory = {
        "first": values[0],
        "most": max(values),
        "last": values[-1],
        "a minute": slope(settled),
    }
    done = sum(len(taken) for taken in tally.seconds.values())
    lines += [
        "",
        f"{done} operations in {minutes:g} minutes, {len(tally.failures)} failed; {tally.reloads} reloads.",
        "Resident MB after warming up: "
        + ", ".join(f"{k} {v:.1f}" for k, v in memory.items())
        + ".",
        *tally.failures[:20],
    ]
    data = {
        "minutes": minutes,
        "operations": done,
        "failures": tally.failures,
        "reloads": tally.reloads,
        "memory": memory,
        "rows": rows,
        "series": tally.memory,
    }
    return "\n".join(lines), data


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--reload", type=float, default=20, help="seconds between configurations")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path("build/soak.json"))
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="gateway-soak-") as folder:
        os.chmod(folder, 0o700)
        asyncio.run(run(Path(folder), options, tally))
    text, data = report(tally, options.minutes)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(data, indent=1) + "\n")
    print(text)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
