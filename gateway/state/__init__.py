"""
What outlives a request: revocations, personal keys, share links, session records, jobs.

`StateStore` is the interface that memory, sqlite and redis keep, held by one contract suite.
Values are bytes, keys are text, every entry has an end. There is no scan: what belongs to
somebody is listed in one record of ids, changed under that person's lock.

The store in memory, for one process, is here as well; `stores` opens whichever is configured.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Protocol, final

from gateway.errors import StateError
from gateway.keyring import random_token

Clock = Callable[[], datetime]
"""Gives the present time, with its zone."""

POLL_FIRST = 0.005  # seconds until a lock is asked for again: most are held for a few milliseconds
POLL_MOST = 0.1  # seconds: twenty waiters then ask a store 200 times a second together, no more
SWEEP_EVERY = timedelta(seconds=30)  # how long memory may hold what has ended


class StateStore(Protocol):
    """Raises StateError from every method where the store does not answer."""

    async def get(self, key: str) -> bytes | None:
        """The value; None where there is none, or its end has passed."""

    async def put(self, key: str, value: bytes, *, expires: datetime) -> None:
        """Writes, or writes over."""

    async def add(self, key: str, value: bytes, *, expires: datetime) -> bool:
        """Writes only where nothing is; whether it did."""

    async def delete(self, key: str) -> None:
        """Nothing happens where there is nothing."""

    async def take(self, key: str) -> bytes | None:
        """Gets and deletes at once: of two who take, one gets it."""

    def lock(
        self, key: str, *, ttl: timedelta, wait: timedelta
    ) -> AbstractAsyncContextManager[bool]:
        """
        Holds the lock over all processes for the block; gives whether it was got within `wait`.

        It lapses after `ttl` by itself. Only its holder gives it back.
        """

    async def ping(self) -> None:
        """Raises StateError where the store is away: for readiness."""

    async def close(self) -> None:
        """Safe to call twice."""


@asynccontextmanager
async def polled_lock(
    take: Callable[[str], Awaitable[bool]],
    give_back: Callable[[str], Awaitable[None]],
    *,
    wait: timedelta,
) -> AsyncIterator[bool]:
    """
    A lock made of two steps that every store has: set where nothing is, delete where it is ours.

    `take` writes a holder's token and says whether it did; `give_back` deletes that token and
    no other. Raises StateError where taking does; giving back may fail, for the lock lapses.
    """
    token = random_token(16)
    try:
        yield await _taken(take, token, wait)
    finally:
        # Also where taking was cancelled half-way: whether the store wrote it is then unknown.
        with suppress(StateError):
            await give_back(token)


async def _taken(take: Callable[[str], Awaitable[bool]], token: str, wait: timedelta) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait.total_seconds()
    pause = POLL_FIRST
    while not await take(token):
        left = deadline - loop.time()
        if left <= 0:
            return False
        # Jitter: those who began to wait together must not ask together for ever.
        await asyncio.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311 # no secret
        pause = min(pause * 2, POLL_MOST)
    return True


class Locking:
    """The lock of a store that can add, and take away what is still its own."""

    _clock: Clock

    async def add(self, key: str, value: bytes, *, expires: datetime) -> bool:
        raise NotImplementedError

    async def _give_back(self, key: str, token: bytes) -> None:
        """Deletes the entry where it has this value, at once. Raises StateError."""
        raise NotImplementedError

    def lock(
        self, key: str, *, ttl: timedelta, wait: timedelta
    ) -> AbstractAsyncContextManager[bool]:
        """See StateStore.lock."""
        name = f"lock/{key}"

        async def take(token: str) -> bool:
            return await self.add(name, token.encode(), expires=self._clock() + ttl)

        async def give_back(token: str) -> None:
            await self._give_back(name, token.encode())

        return polled_lock(take, give_back, wait=wait)


@final
class MemoryStore(Locking):
    """A StateStore for one process; what it holds ends with the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[bytes, datetime]] = {}
        self._next_sweep = clock() + SWEEP_EVERY
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        return self._live(key, self._now())

    async def put(self, key: str, value: bytes, *, expires: datetime) -> None:
        self._now()
        self._entries[key] = (value, expires)

    async def add(self, key: str, value: bytes, *, expires: datetime) -> bool:
        if self._live(key, self._now()) is not None:
            return False
        self._entries[key] = (value, expires)
        return True

    async def delete(self, key: str) -> None:
        self._now()
        self._entries.pop(key, None)

    async def take(self, key: str) -> bytes | None:
        value = self._live(key, self._now())
        self._entries.pop(key, None)
        return value

    async def _give_back(self, key: str, token: bytes) -> None:
        if await self.get(key) == token:
            await self.delete(key)

    async def ping(self) -> None:
        self._now()

    async def close(self) -> None:
        self._closed = True
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def _live(self, key: str, now: datetime) -> bytes | None:
        entry = self._entries.get(key)
        return entry[0] if entry is not None and entry[1] > now else None

    def _now(self) -> datetime:
        """The time; and from time to time, the broom."""
        if self._closed:
            raise StateError("the state store is closed")
        now = self._clock()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_EVERY
            self._entries = {k: entry for k, entry in self._entries.items() if entry[1] > now}
        return now
