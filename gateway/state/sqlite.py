"""
The state store of one host: a SQLite file that all worker processes share.

One thread of its own makes every call, so that the event loop never waits for a disk and the
connection never changes threads. Each method is one statement, hence atomic over processes.
Opened at the first call, and again after a failure: a full disk that was emptied heals by itself.

Sources: https://sqlite.org/wal.html, https://sqlite.org/lang_returning.html
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar, final

from gateway.errors import StateError
from gateway.state import Clock, Locking

T = TypeVar("T")

SCHEMA = 1  # PRAGMA user_version of the file; a newer one belongs to a newer gateway
BUSY = (
    3.0  # seconds another process may hold the file: writes take milliseconds, so this is a fault
)
AGAIN = 0.02  # seconds until a busy file is tried again
SWEEP_EVERY = timedelta(minutes=1)
SWEEP_ROWS = 1_000  # at once, so that no request waits behind a long deletion

_CREATE = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, expires REAL NOT NULL
) WITHOUT ROWID"""
_INDEX = "CREATE INDEX IF NOT EXISTS ends ON entries (expires)"
_GET = "SELECT value FROM entries WHERE key = ? AND expires > ?"
_PUT = """
INSERT INTO entries VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires"""
_ADD = _PUT + " WHERE entries.expires <= ?"
_DELETE = "DELETE FROM entries WHERE key = ?"
_TAKE = "DELETE FROM entries WHERE key = ? RETURNING value, expires"
_GIVE_BACK = "DELETE FROM entries WHERE key = ? AND value = ?"
_SWEEP = """
DELETE FROM entries WHERE key IN (SELECT key FROM entries WHERE expires <= ? LIMIT ?)"""


@final
class SqliteStore(Locking):
    """A StateStore in the file `path`, which only its owner may read (SES-15)."""

    def __init__(self, path: str | Path, clock: Clock) -> None:
        self._path = Path(path)
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._connection: sqlite3.Connection | None = None
        self._next_sweep = clock() + SWEEP_EVERY
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        now = self._clock().timestamp()
        return await self._run(lambda db: _value(db.execute(_GET, (key, now)).fetchone()))

    async def put(self, key: str, value: bytes, *, expires: datetime) -> None:
        row = (key, value, expires.timestamp())
        await self._run(lambda db: db.execute(_PUT, row))

    async def add(self, key: str, value: bytes, *, expires: datetime) -> bool:
        row = (key, value, expires.timestamp(), self._clock().timestamp())
        return await self._run(lambda db: db.execute(_ADD, row).rowcount > 0)

    async def delete(self, key: str) -> None:
        await self._run(lambda db: db.execute(_DELETE, (key,)))

    async def take(self, key: str) -> bytes | None:
        # Read to the end: a RETURNING statement commits only once it has been stepped through.
        rows = await self._run(lambda db: db.execute(_TAKE, (key,)).fetchall())
        now = self._clock().timestamp()
        return _value(rows[0]) if rows and rows[0][1] > now else None

    async def _give_back(self, key: str, token: bytes) -> None:
        await self._run(lambda db: db.execute(_GIVE_BACK, (key, token)))

    async def ping(self) -> None:
        """A file that can be read may still be on a full or read-only disk: so it writes."""
        now = self._clock()
        await self.put("ping", b"", expires=now)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise StateError("the state store is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._call, call)

    # Below: in the thread only.

    def _call(self, call: Callable[[sqlite3.Connection], T]) -> T:
        deadline = time.monotonic() + BUSY
        while True:
            try:
                db = self._connection or self._connect()
                self._sweep(db)
                return call(db)
            except (sqlite3.Error, OSError) as failure:
                self._disconnect()
                # SQLite's own patience does not cover the moment when several processes open
                # the file for the first time. Busy means that nothing was done: so once more.
                if not _is_busy(failure) or time.monotonic() > deadline:
                    raise StateError(f"state file {self._path}: {failure}") from failure
                time.sleep(AGAIN)

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made by us before SQLite does, with the mode that its -wal and -shm files then inherit.
        # Only if it is not there: closing any handle of a file drops SQLite's locks on it.
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if self._path.stat().st_mode & 0o077:
            self._path.chmod(0o600)
        db = sqlite3.connect(self._path, timeout=BUSY, isolation_level=None)
        self._connection = db
        self._prepare(db)
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA:
            raise sqlite3.DatabaseError(f"written by a newer gateway (format {found})")
        db.execute("PRAGMA journal_mode = WAL")
        # FULL: a revocation that was answered must survive a power cut. Writes here are rare.
        db.execute("PRAGMA synchronous = FULL")
        db.execute(_CREATE)
        db.execute(_INDEX)
        if found != SCHEMA:
            db.execute(f"PRAGMA user_version = {SCHEMA}")

    def _sweep(self, db: sqlite3.Connection) -> None:
        now = self._clock()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_EVERY
            db.execute(_SWEEP, (now.timestamp(), SWEEP_ROWS))

    def _disconnect(self) -> None:
        db, self._connection = self._connection, None
        if db is not None:
            db.close()


def _is_busy(failure: Exception) -> bool:
    code = getattr(failure, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _value(row: tuple[bytes, ...] | None) -> bytes | None:
    return None if row is None else row[0]
