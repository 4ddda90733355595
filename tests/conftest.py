"""Fixtures that every test may use, and the rules that every test obeys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[None]:
    """A coroutine of ours that blocks the event loop fails its test."""
    with blockbuster_ctx("gateway"):
        yield


@pytest.fixture
def now() -> datetime:
    """A moment that tests agree on."""
    return datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
