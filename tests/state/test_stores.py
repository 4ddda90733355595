"""Which store is opened."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.errors import StateError
from gateway.state import MemoryStore
from gateway.state.sqlite import SqliteStore
from gateway.state.stores import open_store
from tests.contracts.state_store import Clock


async def test_each_kind_opens_its_store(tmp_path: Path) -> None:
    """Nothing is connected or written before the first call."""
    memory = open_store("memory", Clock())
    file = open_store("sqlite", Clock(), path=tmp_path / "s.db")
    await file.close()

    assert isinstance(memory, MemoryStore)
    assert isinstance(file, SqliteStore)
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_store_needs_its_place(kind) -> None:
    """A file its path, a server its URL."""
    with pytest.raises(ValueError, match="needs a"):
        open_store(kind, Clock())


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is an extra: whoever configures it is told what to install."""
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    monkeypatch.delitem(sys.modules, "gateway.state.redis", raising=False)

    with pytest.raises(StateError, match=r"s3-auth-gateway\[redis\]"):
        open_store("redis", Clock(), url="redis://127.0.0.1")
