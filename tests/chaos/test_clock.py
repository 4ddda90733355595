"""The clock of the host jumps, back and forth: nobody is let in for it, and nothing gets stuck."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.chaos.people import staffed
from tests.chaos.world import chaotic, recovers
from tests.server.whole_gateway import Whole

LIMITED = ("log: {level: error", "limits: {requests_per_second: 50, burst: 50}\nlog: {level: error")
JUMPS = [timedelta(days=1), timedelta(hours=-30), timedelta(days=400), timedelta(days=-400)]


class Jumping:
    """The time of day, and how wrong it is."""

    def __init__(self) -> None:
        self.off = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.off


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Jumping:
    made = Jumping()
    monkeypatch.setattr("gateway.app.clock", made)
    return made


async def get(whole: Whole, now: datetime) -> int:
    """Status of a GET that a client with this clock has signed."""
    return (await whole.ask(whole.client(now=now).head("GET", "/data/k"))).status


@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_sig_8_a_jump_refuses_and_heals(
    tmp_path: Path, clock: Jumping, jump: timedelta
) -> None:
    """Clients whose clock is right are refused while ours is wrong, and served again after; limits and figures stay sane."""
    async with chaotic(tmp_path, LIMITED) as whole:
        assert (await whole.signed("PUT", "/data/k", b"v")).status == 200
        clock.off = jump
        refused = await whole.signed("GET", "/data/k")
        assert (refused.status, refused.code) == (403, "RequestTimeTooSkewed")
        assert await get(whole, clock()) == 200  # the limiter neither starves nor floods

        clock.off = timedelta()
        assert await get(whole, clock()) == 200
        await recovers(whole)
        whole.app.audit.flush()
        text = (tmp_path / "audit.log").read_text()
        assert all(json.loads(line)["seconds"] >= 0 for line in text.splitlines())


async def test_oid_16_a_token_ends_by_the_clock_as_it_is(tmp_path: Path, clock: Jumping) -> None:
    """What has ended by our clock is refused though it was believed before; nobody is shut out for good."""
    async with staffed(tmp_path, clock=clock) as at:
        await at.whole.signed("PUT", "/data/k", b"v")
        token = at.token
        assert await at.s3("/data/k", token) == 200
        clock.off = timedelta(hours=3)  # its hour is over
        assert await at.s3("/data/k", token) == 400
        clock.off = timedelta()
        assert await at.s3("/data/k", token) == 200
