"""
What every state store promises.

Each store's test file derives a class from `StateStoreContract` and gives the fixtures `store`,
`clock` (its clock) and `later` (an async function that lets so many seconds pass for the store).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from gateway.state import StateStore

Later = Callable[[float], Awaitable[None]]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    async def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


class StateStoreContract:
    """Derive, and give `store`, `clock` and `later`."""

    async def test_what_is_put_is_got(self, store: StateStore, clock: Clock) -> None:
        """Values are bytes of any kind; a key that was never put gives None."""
        value = bytes(range(256))
        await store.put("a/ü", value, expires=clock() + seconds(60))

        assert await store.get("a/ü") == value
        assert await store.get("a/u") is None

    async def test_put_writes_over(self, store: StateStore, clock: Clock) -> None:
        """The later of two values is the value, and its end is the end."""
        await store.put("k", b"1", expires=clock() + seconds(60))
        await store.put("k", b"2", expires=clock() + seconds(120))

        assert await store.get("k") == b"2"

    async def test_everything_ends(self, store: StateStore, clock: Clock, later: Later) -> None:
        """Past its end an entry is not got, not taken, and may be added again."""
        for key in ("got", "taken", "added"):
            await store.put(key, b"x", expires=clock() + seconds(0.2))
        await later(0.3)

        assert await store.get("got") is None
        assert await store.take("taken") is None
        assert await store.add("added", b"y", expires=clock() + seconds(60))
        assert await store.get("added") == b"y"

    async def test_what_has_ended_before_it_is_put_is_nothing(
        self, store: StateStore, clock: Clock
    ) -> None:
        """An end in the past is no entry, whatever stood there."""
        await store.put("k", b"1", expires=clock() + seconds(60))
        await store.put("k", b"2", expires=clock() - seconds(1))

        assert await store.get("k") is None

    async def test_add_never_writes_over(self, store: StateStore, clock: Clock) -> None:
        """The first to add wins; the second is told so."""
        first = await store.add("k", b"1", expires=clock() + seconds(60))
        second = await store.add("k", b"2", expires=clock() + seconds(60))

        assert (first, second) == (True, False)
        assert await store.get("k") == b"1"

    async def test_of_many_who_add_at_once_one_does(self, store: StateStore, clock: Clock) -> None:
        """Adding is atomic."""
        added = await asyncio.gather(
            *(store.add("k", b"%d" % n, expires=clock() + seconds(60)) for n in range(20))
        )

        assert added.count(True) == 1

    async def test_a_deleted_entry_is_gone(self, store: StateStore, clock: Clock) -> None:
        """Deleting twice does no harm."""
        await store.put("k", b"1", expires=clock() + seconds(60))
        await store.delete("k")
        await store.delete("k")

        assert await store.get("k") is None

    async def test_a_value_is_taken_once(self, store: StateStore, clock: Clock) -> None:
        """Of many who take the same one-time code, one gets it."""
        await store.put("code/1", b"x", expires=clock() + seconds(60))
        taken = await asyncio.gather(*(store.take("code/1") for _ in range(20)))

        assert sorted(map(bool, taken)) == [False] * 19 + [True]
        assert await store.get("code/1") is None

    async def test_ses_8_a_lock_is_held_by_one(self, store: StateStore) -> None:
        """While it is held, another waits as long as it said and is told no."""
        async with store.lock("l", ttl=seconds(30), wait=seconds(0)) as first:
            async with store.lock("l", ttl=seconds(30), wait=seconds(0.05)) as second:
                pass
            async with store.lock("another", ttl=seconds(30), wait=seconds(0)) as other:
                pass

        assert (first, second, other) == (True, False, True)

    async def test_ses_8_whoever_waits_gets_the_lock_when_it_is_given_back(
        self, store: StateStore
    ) -> None:
        """Ten tasks that change one number under a lock lose no change, and none gives up."""
        total = 0

        async def change() -> bool:
            nonlocal total
            async with store.lock("l", ttl=seconds(30), wait=seconds(10)) as got:
                seen = total
                await asyncio.sleep(0.002)
                total = seen + 1
                return got

        assert all(await asyncio.gather(*(change() for _ in range(10))))
        assert total == 10

    async def test_a_lock_lapses_by_itself(self, store: StateStore, later: Later) -> None:
        """A holder that died does not hold it for ever."""
        async with store.lock("l", ttl=seconds(0.2), wait=seconds(0)):
            await later(0.3)
            async with store.lock("l", ttl=seconds(30), wait=seconds(0)) as second:
                pass

        assert second

    async def test_only_the_holder_gives_a_lock_back(self, store: StateStore, later: Later) -> None:
        """Somebody whose lock lapsed does not free the lock of whoever got it next."""
        slow = store.lock("l", ttl=seconds(0.2), wait=seconds(0))
        await slow.__aenter__()
        await later(0.3)
        async with store.lock("l", ttl=seconds(30), wait=seconds(0)) as next_holder:
            await slow.__aexit__(None, None, None)
            async with store.lock("l", ttl=seconds(30), wait=seconds(0)) as third:
                pass

        assert (next_holder, third) == (True, False)

    async def test_a_lock_is_given_back_when_its_block_fails(self, store: StateStore) -> None:
        """What the block raised comes out as it was."""
        error: BaseException | None = None
        try:
            async with store.lock("l", ttl=seconds(30), wait=seconds(0)):
                raise KeyError("mine")
        except KeyError as caught:
            error = caught
        async with store.lock("l", ttl=seconds(30), wait=seconds(0)) as got:
            pass

        assert error is not None
        assert got

    async def test_whoever_is_cancelled_while_waiting_holds_nothing(
        self, store: StateStore
    ) -> None:
        """A client that leaves must not leave a lock behind."""

        async def want() -> None:
            async with store.lock("l", ttl=seconds(30), wait=seconds(30)):
                pass

        async with store.lock("l", ttl=seconds(30), wait=seconds(0)):
            task = asyncio.create_task(want())
            await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with store.lock("l", ttl=seconds(30), wait=seconds(0)) as got:
            pass

        assert got

    async def test_a_store_that_answers_answers_a_ping(self, store: StateStore) -> None:
        """Readiness asks this."""
        await store.ping()

    async def test_a_store_may_be_closed_twice(self, store: StateStore) -> None:
        """Clean-up code need not remember."""
        await store.get("k")
        await store.close()
        await store.close()
