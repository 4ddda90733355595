"""The state store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from gateway.errors import StateError
from gateway.state import SWEEP_EVERY, MemoryStore
from tests.contracts.state_store import Clock, Later, StateStoreContract


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def later(clock: Clock) -> Later:
    return clock.later


@pytest.fixture
async def store(clock: Clock) -> AsyncIterator[MemoryStore]:
    store = MemoryStore(clock)
    yield store
    await store.close()


class TestMemoryStore(StateStoreContract):
    """The contract, kept by memory."""


async def test_memory_forgets_what_has_ended(store: MemoryStore, clock: Clock) -> None:
    """Entries that nobody asks for again do not pile up."""
    for n in range(1000):
        await store.put(f"k{n}", b"x", expires=clock() + timedelta(seconds=1))
    await clock.later(SWEEP_EVERY.total_seconds())
    await store.put("new", b"x", expires=clock() + timedelta(seconds=1))

    assert len(store) == 1


async def test_a_closed_store_says_so(store: MemoryStore) -> None:
    """Not None, which would read as "not revoked"."""
    await store.close()

    with pytest.raises(StateError):
        await store.get("k")
    with pytest.raises(StateError):
        await store.ping()
