"""
What is measured, each as one row: CPU of the gateway, and of nginx for the same work.

Runs of gateway and nginx alternate, and the median counts: what else happens on the machine
touches both.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks import load, scene
from benchmarks.load import Call
from benchmarks.processes import Program, Programs
from benchmarks.scene import Scene
from gateway.config.load import load as load_config
from gateway.sessions.session import Session
from gateway.snapshot import Snapshot

GB = 1e9
KEY = (scene.KEY_ID, scene.SECRET, None)
UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long and how often."""

    runs: int
    seconds: int
    crowd: int = 200
    connections: int = 2000
    rules: int = 10_000


@dataclass(slots=True, kw_only=True)
class Row:
    """One line of the table. `unit` is of `gateway`, `nginx` and `others` alike."""

    name: str
    unit: str
    gateway: float
    nginx: float | None = None
    others: dict[str, float] = field(default_factory=dict)
    rate: float | None = None
    """Requests a second through the gateway, where that says anything."""
    target: float | None = None
    """What we hold ourselves to."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another gateway that serves the same bucket under the same key (`--adapter`)."""

    name: str
    url: str
    program: Program


class Measures:
    """The measurements of one scene."""

    def __init__(
        self, under: Scene, programs: Programs, effort: Effort, others: tuple[Other, ...]
    ) -> None:
        self._scene = under
        self._programs = programs
        self._effort = effort
        self._others = others

    # Small requests

    def requests(
        self,
        name: str,
        calls: Callable[[str], Call],
        beside: Call | None,
        target: float,
        at_once: int = load.AT_ONCE,
    ) -> Row:
        """Microseconds of CPU a request. `calls` makes the request for a gateway's URL."""
        under, runs = self._scene, self._effort.runs
        ours: list[tuple[float, float]] = []
        nginx: list[float] = []
        others: dict[str, list[float]] = {other.name: [] for other in self._others}
        for _ in range(runs):
            ours.append(self._one(under.gateway, calls(under.gateway_url), at_once))
            if beside is not None:
                nginx.append(self._one(under.nginx, beside, at_once)[0])
            for other in self._others:
                others[other.name].append(self._one(other.program, calls(other.url), at_once)[0])
        return Row(
            name=name,
            unit="µs",
            gateway=statistics.median(cost for cost, _ in ours),
            rate=statistics.median(rate for _, rate in ours),
            nginx=statistics.median(nginx) if nginx else None,
            others={key: statistics.median(values) for key, values in others.items()},
            target=target,
        )

    def _one(self, program: Program, call: Call, at_once: int) -> tuple[float, float]:
        """Microseconds a request, and requests a second. Raises RuntimeError where any failed."""
        status, data = load.once(call)
        if status >= 300:
            raise RuntimeError(f"{program.name}: {call.method} {call.url}: {status} {data[:800]!r}")
        before = program.cpu()
        seen = load.many(call, self._scene.folder, self._effort.seconds, at_once)
        if seen.failed:
            raise RuntimeError(f"{program.name}: {seen.failed} of {seen.requests} requests failed")
        cost = (program.cpu() - before) / seen.requests * 1e6
        return cost, seen.requests / seen.seconds

    # Large bodies

    def body(self, name: str, bucket: str, *, put: bool, target: float) -> Row:
        """CPU-seconds a GB of one large body."""
        under = self._scene
        source = under.folder / "www" / "bkt" / "big"

        def move(program: Program, call: Call) -> float:
            before = program.cpu()
            if put:
                load.upload(call, source)
            else:
                load.download(call, scene.BIG)
            return (program.cpu() - before) / (scene.BIG / GB)

        path = f"/{bucket}/" + ("taken" if put else "big")
        method = "PUT" if put else "GET"
        beside = f"{under.nginx_url}/{'tls' if bucket == 'tls' else 'bkt'}{path[len(bucket) + 1 :]}"
        ours: list[float] = []
        nginx: list[float] = []
        others: dict[str, list[float]] = {other.name: [] for other in self._others}
        for _ in range(self._effort.runs):
            call = load.signed(method, under.gateway_url + path, KEY, digest=UNSIGNED)
            ours.append(move(under.gateway, call))
            nginx.append(move(under.nginx, load.plain(method, beside)))
            for other in self._others:
                call = load.signed(method, other.url + path, KEY, digest=UNSIGNED)
                others[other.name].append(move(other.program, call))
        return Row(
            name=name,
            unit="s/GB",
            gateway=statistics.median(ours),
            nginx=statistics.median(nginx),
            others={key: statistics.median(values) for key, values in others.items()},
            target=target,
        )

    def slow_streams(self) -> Row:
        """Resident memory while many read a large body slowly."""
        under, count = self._scene, self._effort.crowd
        found: list[float] = []
        targets = (
            (under.gateway, load.signed("GET", f"{under.gateway_url}/data/big", KEY)),
            (under.nginx, load.plain("GET", f"{under.nginx_url}/bkt/big")),
        )
        for program, call in targets:
            conns = load.crowd(call, count)
            try:
                most = program.resident()
                for _ in range(20):
                    load.sip(conns, 64 * 1024)
                    most = max(most, program.resident())
                    time.sleep(0.05)
            finally:
                for conn in conns:
                    with suppress(OSError):
                        conn.close()
            found.append(most)
        return Row(
            name=f"memory under {count} slow 256 MiB GETs",
            unit="MB",
            gateway=found[0],
            nginx=found[1],
            target=150,
        )

    # Start and growth

    def fresh(self, rules: int, name: str) -> tuple[Program, str, float]:
        """A gateway of its own; and the seconds from its start to its first answer."""
        under = self._scene
        scene.policy(under.folder, rules)
        began = time.monotonic()
        program, url = scene.gateway(
            self._programs,
            under.folder,
            plain=under.plain_port,
            tls=under.tls_port,
            lists=under.list_port,
            name=name,
        )
        status, data = load.once(load.signed("GET", f"{url}/data/small", KEY))
        taken = time.monotonic() - began
        if status != 200:
            raise RuntimeError(f"the first answer was {status}: {data[:300]!r}")
        return program, url, taken

    def start(self) -> list[Row]:
        """Start time, and memory before anybody asks."""
        times: list[float] = []
        sizes: list[float] = []
        for _ in range(self._effort.runs):
            program, _, taken = self.fresh(1, "fresh")
            times.append(taken * 1000)
            sizes.append(program.resident())
            program.end()
        return [
            Row(
                name="start to first answer",
                unit="ms",
                gateway=statistics.median(times),
                target=700,
            ),
            Row(name="memory, idle", unit="MB", gateway=statistics.median(sizes), target=120),
        ]

    def growth(self) -> list[Row]:
        """The same GET among many rules, and among many open connections."""
        rows: list[Row] = []
        for rules in (10, self._effort.rules):
            program, url, _ = self.fresh(rules, "grown")
            call = load.signed("GET", f"{url}/data/small", KEY)
            costs = [self._one(program, call, load.AT_ONCE)[0] for _ in range(self._effort.runs)]
            program.end()
            rows.append(
                Row(name=f"GET, {rules} rules", unit="µs", gateway=statistics.median(costs))
            )
        under = self._scene
        call = load.signed("GET", f"{under.gateway_url}/data/small", KEY)
        for count in (10, self._effort.connections):
            conns = load.idle(under.gateway_url, count)
            try:
                costs = [
                    self._one(under.gateway, call, load.AT_ONCE)[0]
                    for _ in range(self._effort.runs)
                ]
            finally:
                for conn in conns:
                    conn.close()
            rows.append(
                Row(
                    name=f"GET, {count} idle connections beside",
                    unit="µs",
                    gateway=statistics.median(costs),
                )
            )
        return rows


def everything(
    measures: Measures, under: Scene, said: Callable[[Row], None], *, only: str = ""
) -> list[Row]:
    """All rows whose name holds `only`, each told as soon as it is there."""
    small = load.plain("GET", f"{under.nginx_url}/bkt/small")
    body = bytes(range(256)) * (scene.SMALL // 256)
    token = temporary(under)
    cookie = session(under)
    requests, large = measures.requests, measures.body
    parts: list[tuple[str, Callable[[str], Row | list[Row]]]] = [
        (
            "GET 1 KiB, signed",
            lambda name: requests(
                name, lambda url: load.signed("GET", f"{url}/data/small", KEY), small, 120
            ),
        ),
        (
            "GET 1 KiB, temporary credentials",
            lambda name: requests(
                name, lambda url: load.signed("GET", f"{url}/data/small", token), small, 140
            ),
        ),
        (
            "GET 1 KiB, session cookie",
            lambda name: requests(
                name, lambda url: load.with_cookie("GET", f"{url}/data/small", cookie), small, 140
            ),
        ),
        (
            "HEAD, signed",
            lambda name: requests(
                name,
                lambda url: load.signed("HEAD", f"{url}/data/small", KEY),
                load.plain("HEAD", small.url),
                120,
            ),
        ),
        (
            "PUT 1 KiB, signed",
            lambda name: requests(
                name,
                lambda url: load.signed("PUT", f"{url}/data/put", KEY, body=body),
                load.plain("PUT", f"{under.nginx_url}/bkt/put", body=body),
                160,
            ),
        ),
        (
            "ListObjectsV2, 1 000 keys rewritten",
            lambda name: requests(
                name, lambda url: load.signed("GET", f"{url}/listed?list-type=2", KEY), None, 4000
            ),
        ),
        ("GET 256 MiB", lambda name: large(name, "data", put=False, target=1.0)),
        ("PUT 256 MiB", lambda name: large(name, "data", put=True, target=1.0)),
        ("GET 256 MiB, TLS upstream", lambda name: large(name, "tls", put=False, target=1.6)),
        ("PUT 256 MiB, TLS upstream", lambda name: large(name, "tls", put=True, target=1.6)),
        ("memory, slow readers", lambda name: measures.slow_streams()),
        ("start", lambda name: measures.start()),
        ("growth", lambda name: measures.growth()),
    ]
    rows: list[Row] = []
    for name, measure in parts:
        if only in name:
            found = measure(name)
            for row in found if isinstance(found, list) else [found]:
                said(row)
                rows.append(row)
    return rows


def temporary(under: Scene) -> tuple[str, str, str | None]:
    """Temporary credentials by GetSessionToken of the gateway's own STS."""
    form = b"Action=GetSessionToken&Version=2011-06-15&DurationSeconds=3600"
    status, data = load.once(
        load.signed("POST", f"{under.gateway_url}/", KEY, body=form, service="sts")
    )
    if status != 200:
        raise RuntimeError(f"GetSessionToken was answered {status}: {data!r}")

    def one(name: str) -> str:
        return data.partition(f"<{name}>".encode())[2].partition(b"<")[0].decode()

    return one("AccessKeyId"), one("SecretAccessKey"), one("SessionToken")


def session(under: Scene) -> str:
    """
    The cookie of somebody who is signed in, sealed with the gateway's key as its sign-in does it.

    Signing in itself is not measured, so that no identity provider has to run.
    """
    os.environ.update(scene.ENVIRONMENT)
    snapshot = Snapshot.build(load_config(under.folder / "gateway.yaml"))
    now = int(time.time())
    held = Session(
        sid="bench",
        ticket="bench-ticket",
        provider="bench",
        subject="0123456789",
        username="ada",
        name="Ada Lovelace",
        email="ada@example.com",
        claims={"groups": ["bench"]},
        digest=snapshot.claims_digest,
        began=now,
        ends=now + 3600,
        active=now,
        due=now + 3000,
    )
    value = snapshot.keyring.sealer("session").seal(held.as_claims(), expires=held.end)
    return f"{snapshot.cookie_name}={value}"
