"""Caches: bounded, ageing, in one register; and one fetch at a time for a key."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.caches import REGISTER, Cache, SingleFlight


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("gateway.caches.monotonic", made)
    return made


def test_sig_16_a_cache_gives_what_was_put(clock):
    """Until it is dropped, replaced or all is cleared."""
    cache: Cache[str, int] = Cache("numbers", size=3, seconds=60)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.put("a", 3)

    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (3, 2, None, 2)
    cache.drop("a")
    cache.drop("never there")
    assert (cache.get("a"), len(cache)) == (None, 1)
    cache.clear()
    assert len(cache) == 0


@pytest.mark.parametrize(
    ("seconds", "alive", "gone"), [(None, 59.9, 60.0), (10, 9.9, 10.0), (600, 59.9, 60.0)]
)
def test_sig_16_an_entry_lives_as_long_as_the_shorter_of_two_ages(clock, seconds, alive, gone):
    """The cache's own and the one it was put with: a longer one is cut."""
    cache: Cache[str, int] = Cache("ageing", size=3, seconds=60)
    cache.put("a", 1, seconds)

    clock.now += alive
    assert cache.get("a") == 1
    clock.now += gone - alive
    assert cache.get("a") is None
    assert len(cache) == 0


@pytest.mark.parametrize("seconds", [0, -5])
def test_sig_16_what_has_ended_already_is_not_kept(clock, seconds):
    """A token that expires now is opened once and forgotten."""
    cache: Cache[str, int] = Cache("ended", size=3, seconds=60)
    cache.put("a", 1, seconds)

    assert cache.get("a") is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=80), st.integers(1, 8))
def test_sig_16_no_cache_grows_beyond_its_size(keys, size):
    """Whatever a stranger asks for; and the newest is there."""
    cache: Cache[int, int] = Cache("bounded", size=size, seconds=60)
    for key in keys:
        cache.put(key, key)

        assert len(cache) <= size
        assert cache.get(key) == key


def test_sig_16_every_cache_is_in_the_register_while_it_lives():
    """Metrics ask each one how large it is and how large it may become."""
    cache: Cache[str, int] = Cache("registered", size=7, seconds=60)
    cache.put("a", 1)
    found = {entry.name: (len(entry), entry.size) for entry in REGISTER}

    assert found["registered"] == (1, 7)
    del cache
    gc.collect()
    assert "registered" not in {entry.name for entry in REGISTER}


async def test_aws_4_all_who_ask_meanwhile_get_one_fetch():
    """And the next one asks anew."""
    flights: SingleFlight[str, int] = SingleFlight()
    calls: list[str] = []
    gate = asyncio.Event()

    async def fetch() -> int:
        calls.append("fetch")
        await gate.wait()
        return len(calls)

    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(flights.do("a", fetch)) for _ in range(5)]
        other = group.create_task(flights.do("b", fetch))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(flights) == 2
        assert (flights.running("a"), flights.running("c")) == (True, False)
        gate.set()

    assert {task.result() for task in waiting} == {2}
    assert (other.result(), len(calls), len(flights)) == (2, 2, 0)
    assert await flights.do("a", fetch) == 3


async def test_aws_4_all_who_wait_get_the_exception():
    """It is not remembered, and nobody has to be left to hear it."""
    flights: SingleFlight[str, int] = SingleFlight()

    async def fetch() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    results = await asyncio.gather(
        *(flights.do("a", fetch) for _ in range(3)), return_exceptions=True
    )

    assert [str(result) for result in results] == ["no"] * 3
    assert len(flights) == 0


async def test_aws_4_who_leaves_does_not_stop_the_fetch_for_others():
    """A client that went away while credentials were fetched."""
    flights: SingleFlight[str, int] = SingleFlight()
    gate = asyncio.Event()

    async def fetch() -> int:
        await gate.wait()
        return 1

    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(flights.do("a", fetch))
        staying = group.create_task(flights.do("a", fetch))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        gate.set()

    assert leaving.cancelled()
    assert staying.result() == 1


async def test_aws_4_a_fetch_that_was_cancelled_itself_is_forgotten():
    """The next one may ask again."""
    flights: SingleFlight[str, int] = SingleFlight()

    async def fetch() -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await flights.do("a", fetch)
    assert len(flights) == 0
