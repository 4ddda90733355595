"""Which state store: opens the one that the configuration names."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Literal

from gateway.errors import StateError
from gateway.state import Clock, MemoryStore, StateStore
from gateway.state.sqlite import SqliteStore

Kind = Literal["memory", "sqlite", "redis"]


def open_store(
    kind: Kind,
    clock: Clock,
    *,
    path: str | Path | None = None,
    url: str | None = None,
    prefix: str | None = None,
) -> StateStore:
    """
    The store of that kind: sqlite in the file `path`, redis at `url`, where `prefix` begins every key.

    Connects at its first call; `ping()` tells whether it can. Raises StateError where a part is
    missing, ValueError where the URL cannot be understood.
    """
    match kind:
        case "memory":
            return MemoryStore(clock)
        case "sqlite":
            if path is None:
                raise ValueError("a sqlite state store needs a path")
            return SqliteStore(path, clock)
        case "redis":
            if url is None:
                raise ValueError("a redis state store needs a url")
            return _redis(url, clock, prefix)


def _redis(url: str, clock: Clock, prefix: str | None) -> StateStore:
    try:
        # An extra: those who keep state in a file need no Redis library.
        module = import_module("gateway.state.redis")
    except ModuleNotFoundError as missing:
        raise StateError(
            "the library for Redis is not installed: pip install 's3-auth-gateway[redis]'"
        ) from missing
    named = {} if prefix is None else {"prefix": prefix}
    store: StateStore = module.RedisStore(url, clock, **named)
    return store
