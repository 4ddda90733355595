"""The state store in a SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import StateError
from gateway.state import sqlite
from gateway.state.sqlite import SqliteStore
from tests.contracts.state_store import Clock, Later, StateStoreContract


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def later(clock: Clock) -> Later:
    return clock.later


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "state.db"


@pytest.fixture
async def store(clock: Clock, path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, clock)
    yield store
    await store.close()


class TestSqliteStore(StateStoreContract):
    """The contract, kept by a file."""


async def test_what_was_put_is_there_after_a_restart(path: Path, clock: Clock) -> None:
    """That is what the file is for."""
    first = SqliteStore(path, clock)
    await first.put("k", b"x", expires=clock() + timedelta(hours=1))
    await first.close()
    second = SqliteStore(path, clock)
    value = await second.get("k")
    await second.close()

    assert value == b"x"


async def test_ses_15_nobody_else_may_read_the_file(path: Path, clock: Clock) -> None:
    """Neither the database nor its journal, and a mode that was too wide is narrowed."""
    path.parent.mkdir()
    path.touch(mode=0o644)
    store = SqliteStore(path, clock)
    await store.put("k", b"x", expires=clock() + timedelta(hours=1))
    modes = {
        name: stat.S_IMODE(os.stat(path.with_name(path.name + name)).st_mode)
        for name in ("", "-wal", "-shm")
    }
    await store.close()

    assert modes == {"": 0o600, "-wal": 0o600, "-shm": 0o600}


async def test_two_stores_on_one_file_are_one_store(path: Path, clock: Clock) -> None:
    """Workers of one host see each other's entries, locks and one-time codes."""
    here, there = SqliteStore(path, clock), SqliteStore(path, clock)
    await here.put("code", b"x", expires=clock() + timedelta(minutes=1))
    taken = await asyncio.gather(here.take("code"), there.take("code"))
    async with (
        here.lock("l", ttl=timedelta(minutes=1), wait=timedelta(0)) as first,
        there.lock("l", ttl=timedelta(minutes=1), wait=timedelta(0)) as second,
    ):
        pass
    await here.close()
    await there.close()

    assert sorted(map(bool, taken)) == [False, True]
    assert (first, second) == (True, False)


COUNT = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from gateway.state.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1], lambda: datetime.now(UTC))
    for _ in range(20):
        async with store.lock("n", ttl=timedelta(seconds=30), wait=timedelta(seconds=20)) as got:
            assert got
            n = int(await store.get("n") or b"0")
            await store.put("n", b"%d" % (n + 1), expires=datetime.now(UTC) + timedelta(hours=1))
    await store.close()

asyncio.run(main())
"""


async def test_ses_8_a_lock_holds_over_processes(path: Path) -> None:
    """Processes that begin at once and count under one lock lose no count."""
    running = [subprocess.Popen([sys.executable, "-c", COUNT, str(path)]) for _ in range(3)]
    ended = [await asyncio.to_thread(process.wait, 50) for process in running]
    store = SqliteStore(path, lambda: datetime.now(UTC))
    counted = await store.get("n")
    await store.close()

    assert ended == [0, 0, 0]
    assert counted == b"60"


async def test_what_has_ended_leaves_the_file(store: SqliteStore, clock: Clock, path: Path) -> None:
    """The file does not grow for ever."""
    for n in range(50):
        await store.put(f"k{n}", b"x", expires=clock() + timedelta(seconds=1))
    await clock.later(sqlite.SWEEP_EVERY.total_seconds())
    await store.put("new", b"x", expires=clock() + timedelta(seconds=1))
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT key FROM entries").fetchall()
    db.close()

    assert rows == [("new",)]


async def test_a_disk_that_is_full_is_an_error_and_heals(
    store: SqliteStore, clock: Clock, path: Path
) -> None:
    """StateError while it lasts, never a silent loss; afterwards it works again."""
    await store.put("k", b"x", expires=clock() + timedelta(hours=1))
    await store._run(lambda db: db.execute("PRAGMA max_page_count = 1"))

    with pytest.raises(StateError, match="full"):
        await store.put("big", b"x" * 1_000_000, expires=clock() + timedelta(hours=1))
    assert await store.get("k") == b"x"
    await store.put("big", b"x" * 1_000_000, expires=clock() + timedelta(hours=1))
    assert await store.get("big") == b"x" * 1_000_000


async def test_a_file_that_is_not_a_database_is_an_error(path: Path, clock: Clock) -> None:
    """It is named, and left as it is."""
    path.parent.mkdir()
    path.write_bytes(b"something else entirely, and long enough to be read as a header" * 20)
    store = SqliteStore(path, clock)

    with pytest.raises(StateError, match=r"state\.db"):
        await store.ping()
    await store.close()
    assert path.read_bytes().startswith(b"something else")


async def test_a_file_of_a_newer_gateway_is_left_alone(path: Path, clock: Clock) -> None:
    """A downgrade must not mangle what it does not know."""
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {sqlite.SCHEMA + 1}")
    db.close()
    store = SqliteStore(path, clock)

    with pytest.raises(StateError, match="newer"):
        await store.get("k")
    await store.close()


async def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path, clock: Clock) -> None:
    """A wrong path shows at the first ping, with its name."""
    (tmp_path / "file").touch()
    store = SqliteStore(tmp_path / "file" / "state.db", clock)

    with pytest.raises(StateError, match=r"state\.db"):
        await store.ping()
    await store.close()


async def test_a_closed_store_says_so(store: SqliteStore) -> None:
    """Not None, which would read as "not revoked"."""
    await store.close()

    with pytest.raises(StateError):
        await store.get("k")
