"""One heavy identity and many light ones at a gateway that is full: shown by counts, not by time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.world import chaotic, recovers
from tests.server.verifying_upstream import Script, Seen, Stored, Wire
from tests.server.whole_gateway import READER, WRITER, Reply, Whole

TOTAL = 20  # requests at once; a tenth is kept for whoever holds less than an equal share
FULL = (
    ("log: {level: error", f"limits: {{total: {TOTAL}}}\nlog: {{level: error"),
    ("max_connections: 8", "max_connections: 64"),
)


def held(release: asyncio.Event, arrived: list[Seen]) -> Script:
    """An upstream that answers when it is told to."""

    async def run(seen: Seen, wire: Wire) -> None:
        arrived.append(seen)
        await release.wait()
        await wire.say(200, "connection: close\r\n", b"slow")

    return run


@dataclass
class Heavy:
    """What a heavy identity has going on."""

    asked: list[asyncio.Task[Reply]]
    arrived: list[Seen]
    """What is at the upstream now."""
    release: asyncio.Event

    async def ended(self) -> list[Reply]:
        """All its answers, once the upstream has been told to give them."""
        self.release.set()
        return await asyncio.gather(*self.asked)


async def heavy(whole: Whole, count: int, kept: int) -> Heavy:
    """So many GETs of the writer at once, until `kept` are at the upstream and the others answered."""
    made = Heavy([], [], asyncio.Event())
    whole.upstream.scripts[:] = [held(made.release, made.arrived)] * kept
    made.asked = [asyncio.ensure_future(whole.signed("GET", "/data/slow")) for _ in range(count)]
    async with asyncio.timeout(20):
        while len(made.arrived) < kept or sum(t.done() for t in made.asked) < count - kept:
            await asyncio.sleep(0.01)
    whole.upstream.scripts.clear()
    return made


async def test_dos_3_a_heavy_identity_takes_what_is_free_and_no_more(tmp_path: Path) -> None:
    """Forty at once: all but the reserve are served; the rest is told to slow down, as SDKs understand it."""
    async with chaotic(tmp_path, *FULL) as whole:
        whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        one = await heavy(whole, 40, TOTAL - TOTAL // 10)
        refused = [task.result() for task in one.asked if task.done()]

        assert len(one.arrived) == 18 and len(refused) == 22
        for reply in refused:
            assert (reply.status, reply.code) == (503, "SlowDown")
            assert reply.header("retry-after") == "1"

        # Everybody else works all the same, one after the other, while the heavy one stays.
        for _ in range(10):
            reply = await whole.signed("GET", "/data/k", credentials=READER)
            assert (reply.status, reply.body) == (200, b"v")
        assert (await whole.signed("GET", "/data/k")).status == 503

        assert sum(reply.body == b"slow" for reply in await one.ended()) == 18
        await recovers(whole)


async def test_dos_3_alone_nobody_is_stopped_for_a_share(tmp_path: Path) -> None:
    """Where nobody else wants anything, one identity may have all but the reserve."""
    async with chaotic(tmp_path, *FULL) as whole:
        one = await heavy(whole, 18, 18)
        assert {reply.status for reply in await one.ended()} == {200}


async def test_dos_3_a_rate_is_each_identitys_own(tmp_path: Path) -> None:
    """A burst of one: the sixth request of ten is refused, and the other identity's first is not."""
    limit = (
        "log: {level: error",
        "limits: {requests_per_second: 0.01, burst: 5}\nlog: {level: error",
    )
    async with chaotic(tmp_path, limit) as whole:
        whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        statuses = [(await whole.signed("GET", "/data/k")).status for _ in range(10)]
        other = await whole.signed("GET", "/data/k", credentials=READER)
        last = await whole.signed("GET", "/data/k")

        assert statuses == [200] * 5 + [503] * 5
        assert other.status == 200
        assert 1 <= int(last.header("retry-after")) <= 100


async def test_dos_3_a_broken_program_stops_nobody_else_behind_its_address(tmp_path: Path) -> None:
    """It tries a wrong secret without end; the others, with keys of their own, have been believed."""
    limit = ("log: {level: error", "limits: {failures_per_minute: 10}\nlog: {level: error")
    wrong = replace(WRITER, access_key_id="NOBODY")
    async with chaotic(tmp_path, limit) as whole:
        whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        refused, served = [], []
        for _ in range(30):
            refused.append((await whole.signed("GET", "/data/k", credentials=wrong)).status)
            served.append((await whole.signed("GET", "/data/k", credentials=READER)).status)

        assert set(served) == {200}
        assert refused.count(403) <= 12 and refused[-1] == 503


async def test_dos_2_slow_clients_hold_connections_and_nothing_else(tmp_path: Path) -> None:
    """Many that send half a head: others are served, and the slow ones are gone after their time."""
    async with chaotic(tmp_path, ("drain: 1s", "drain: 1s, header_timeout: 1s")) as whole:
        whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        slow = [await whole.connect() for _ in range(50)]
        for connection in slow:
            connection.writer.write(b"GET /data/k HTTP/1.1\r\nHost: x\r\nX-Drip: ")
        assert (await whole.signed("GET", "/data/k")).body == b"v"
        assert whole.app.limits.running == 0
        async with asyncio.timeout(20):
            await asyncio.gather(*(connection.reader.read() for connection in slow))
        await recovers(whole)
