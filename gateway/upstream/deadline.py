"""
Until when something must have happened on a connection: one timer, moved when it rings.

A request moves its deadline several times; a timer of the loop for each would cost more than all
the rest of the waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, final

_NEVER: Final = float("inf")


@final
class Deadline:
    """Calls `late` once the time that was set last has passed. Neither set nor cleared by being late."""

    __slots__ = ("_at", "_late", "_loop", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], None]) -> None:
        self._loop = loop
        self._late = late
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._at = _NEVER

    def set(self, seconds: float) -> None:
        """Something must happen within so many seconds."""
        self._at = self._loop.time() + seconds
        if self._at < self._timer_at:
            self._arm()

    def clear(self) -> None:
        """Nothing has to happen."""
        self._at = _NEVER

    def stop(self) -> None:
        """For good: the timer goes as well, and what it would call."""
        self._at = _NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._at
        self._timer = self._loop.call_at(self._at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._timer_at = _NEVER
        if self._at == _NEVER:
            return
        if self._at > self._loop.time():
            self._arm()
        else:
            self._at = _NEVER
            self._late()
