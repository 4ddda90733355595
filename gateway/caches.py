"""
Bounded caches that age, in one register; one fetch at a time for a key.

Every cache of the process is made here, so that metrics and tests can ask each one how large
it is and how large it may become. The clock is monotonic: a changed wall clock ages nothing.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

REGISTER: weakref.WeakSet[Cache[object, object]] = weakref.WeakSet()


class Cache(Generic[K, V]):
    """At most `size` entries, each for at most `seconds` (or less, told when it is put)."""

    def __init__(self, name: str, *, size: int, seconds: float) -> None:
        self.name = name
        self.size = size
        self.seconds = seconds
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()
        """Values and when they end, the one that was asked for last at the end."""
        REGISTER.add(self)  # type: ignore[arg-type] # a register of caches of anything

    def get(self, key: K) -> V | None:
        try:
            value, end = self._entries[key]
        except KeyError:
            return None
        if end <= monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V, seconds: float | None = None) -> None:
        """Kept for the shorter of `seconds` and the cache's own age; not at all if that is not positive."""
        life = self.seconds if seconds is None else min(seconds, self.seconds)
        if life <= 0:
            return
        now = monotonic()
        entries = self._entries
        entries[key] = (value, now + life)
        entries.move_to_end(key)
        # What nobody asked for any more stands in front: each newcomer clears what has ended there.
        while len(entries) > self.size or next(iter(entries.values()))[1] <= now:
            entries.popitem(last=False)

    def drop(self, key: K) -> None:
        self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)


class SingleFlight(Generic[K, V]):
    """One call at a time for a key; all who ask meanwhile get its result, or its exception."""

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Future[V]] = {}

    async def do(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        """A caller that is cancelled does not cancel the fetch for the others."""
        future = self._running.get(key)
        if future is None:
            future = asyncio.ensure_future(fetch())
            self._running[key] = future
            future.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(future)

    def running(self, key: K) -> bool:
        """Whether a call for the key is under way."""
        return key in self._running

    def _forget(self, key: K, done: asyncio.Future[V]) -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen: whoever waited got it, and nobody may be left to

    def __len__(self) -> int:
        return len(self._running)
