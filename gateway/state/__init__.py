"""
What outlives a request: revocations, personal keys, share links, session records, jobs.

`StateStore` is the interface that memory, sqlite and redis keep, held by one contract suite.
Values are bytes, keys are text, every entry has an end. There is no scan: what belongs to
somebody is listed in one record of ids, changed under that person's lock.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol


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
