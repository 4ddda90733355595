"""What the soak says of memory and failures is what was measured."""

from __future__ import annotations

import asyncio

from benchmarks.soak import Tally, report, slope


def test_memory_that_grows_is_seen():
    """Two megabytes a minute, whatever the level; none where it is flat."""
    growing = [(float(second), 100 + second / 30) for second in range(0, 120, 2)]

    assert round(slope(growing), 6) == 2
    assert slope([(second, 100.0) for second, _ in growing]) == 0


def test_a_failure_stands_in_the_report():
    """With what was being done; the operation counts all the same."""
    tally = Tally(memory=[(0.0, 50.0), (60.0, 60.0)])

    def compare(got: bytes) -> None:
        assert got == b"put", "other bytes"

    async def work() -> None:
        for got in (b"other", b"put"):
            async with tally.timed("small GET"):
                compare(got)

    asyncio.run(work())
    text, data = report(tally, 1)

    assert "2 operations in 1 minutes, 1 failed" in text
    (failure,) = data["failures"]
    assert failure.startswith("small GET: AssertionError: other bytes")
    assert data["memory"]["most"] == 60
