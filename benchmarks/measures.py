"""
What is measured, each as one row: CPU of the gateway, and of nginx for the same work.

Runs of gateway and nginx alternate, and the median counts: what else happens on the machine
touches both.
"""

from __future__ import annotations

import hashlib
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
from gateway.app import terms_of
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
    sessions: int = 100_000


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
    """What we hold ourselves to: at most so much."""
    least: float | None = None
    """The same where more is better: at least so much."""

    @property
    def missed(self) -> bool:
        above = self.target is not None and self.gateway > self.target
        return above or (self.least is not None and self.gateway < self.least)


@dataclass(frozen=True, slots=True)
class Other:
    """Another gateway that serves the same bucket under the same key (`--adapter`)."""

    name: str
    url: str
    program: Program


Part = tuple[str, Callable[[str], Row | list[Row]]]
"""The name of a part of the table, and what measures it under that name."""


class Measures:
    """The measurements of one scene."""

    def __init__(
        self, under: Scene, programs: Programs, effort: Effort, others: tuple[Other, ...]
    ) -> None:
        self.scene = under
        self.programs = programs
        self.effort = effort
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
        under, runs = self.scene, self.effort.runs
        ours: list[tuple[float, float]] = []
        nginx: list[float] = []
        others: dict[str, list[float]] = {other.name: [] for other in self._others}
        for _ in range(runs):
            ours.append(self.one(under.gateway, calls(under.gateway_url), at_once))
            if beside is not None:
                nginx.append(self.one(under.nginx, beside, at_once)[0])
            for other in self._others:
                others[other.name].append(self.one(other.program, calls(other.url), at_once)[0])
        return Row(
            name=name,
            unit="µs",
            gateway=statistics.median(cost for cost, _ in ours),
            rate=statistics.median(rate for _, rate in ours),
            nginx=statistics.median(nginx) if nginx else None,
            others={key: statistics.median(values) for key, values in others.items()},
            target=target,
        )

    def one(self, program: Program, call: Call, at_once: int) -> tuple[float, float]:
        """Microseconds a request, and requests a second. Raises RuntimeError where any failed."""
        status, data = load.once(call)
        if status >= 300:
            raise RuntimeError(f"{program.name}: {call.method} {call.url}: {status} {data[:800]!r}")
        before = program.cpu()
        seen = load.many(call, self.scene.folder, self.effort.seconds, at_once)
        if seen.failed:
            raise RuntimeError(f"{program.name}: {seen.failed} of {seen.requests} requests failed")
        cost = (program.cpu() - before) / seen.requests * 1e6
        return cost, seen.requests / seen.seconds

    # Large bodies

    def body(
        self, name: str, bucket: str, *, put: bool, target: float, framed: bool = False
    ) -> Row:
        """CPU-seconds a GB of one large body; `framed`: sent to the gateways in signed chunks."""
        under = self.scene
        source = under.folder / "www" / "bkt" / "big"
        frames = under.folder / "framed"

        def move(program: Program, call: Call) -> float:
            before = program.cpu()
            if put:
                load.upload(
                    call, frames if "x-amz-decoded-content-length" in call.headers else source
                )
            else:
                load.download(call, scene.BIG)
            return (program.cpu() - before) / (scene.BIG / GB)

        path = f"/{bucket}/" + ("taken" if put else "big")
        method = "PUT" if put else "GET"

        def made(url: str) -> Call:
            if framed:
                return load.in_chunks(method, url + path, KEY, source, frames)
            return load.signed(method, url + path, KEY, digest=UNSIGNED)

        beside = f"{under.nginx_url}/{'tls' if bucket == 'tls' else 'bkt'}{path[len(bucket) + 1 :]}"
        ours: list[float] = []
        nginx: list[float] = []
        others: dict[str, list[float]] = {other.name: [] for other in self._others}
        for _ in range(self.effort.runs):
            ours.append(move(under.gateway, made(under.gateway_url)))
            nginx.append(move(under.nginx, load.plain(method, beside)))
            for other in self._others:
                others[other.name].append(move(other.program, made(other.url)))
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
        under, count = self.scene, self.effort.crowd
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


def sha256() -> float:
    """Seconds of CPU that one SHA-256 of a GB takes on this machine."""
    block = bytes(1024 * 1024)
    digest = hashlib.sha256()
    began = time.process_time()
    for _ in range(256):
        digest.update(block)
    return (time.process_time() - began) / (256 * len(block) / GB)


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


def sessions(under: Scene) -> Callable[[int], str]:
    """
    The cookies of people who are signed in, by number, sealed with the gateway's key as its sign-in does it.

    Signing in itself is not measured, so that no identity provider has to run.
    """
    os.environ.update(scene.ENVIRONMENT)
    snapshot = Snapshot.build(load_config(under.folder / "gateway.yaml"))
    sealer = snapshot.keyring.sealer("session")
    digest = terms_of(snapshot).digest
    now = int(time.time())

    def cookie(number: int) -> str:
        held = Session(
            sid=f"bench-{number}",
            ticket=f"bench-ticket-{number}",
            provider="bench",
            subject=f"{number:010}",
            username="ada",
            name="Ada Lovelace",
            email="ada@example.com",
            claims={"groups": ["bench"]},
            digest=digest,
            began=now,
            ends=now + 3600,
            active=now,
            due=now + 3000,
        )
        value = sealer.seal(held.as_claims(), expires=held.end)
        return f"{snapshot.cookie_name}={value}"

    return cookie
