"""
What every client is asked to do, and how it is judged. Standard library alone: it runs in the
client's own environment.

A client is a `Store`: a few verbs. Each operation below uses them, compares what comes back with
what was sent, and is printed as one JSON line: `{"operation": …, "passed": …, "note": …}`.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import ssl
import subprocess
import sys
import tempfile
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from _names import OPERATIONS

ENDPOINT = os.environ["MATRIX_ENDPOINT"]
HOST = ENDPOINT.partition("://")[2]
SECURE = ENDPOINT.startswith("https")
BUCKET = os.environ["MATRIX_BUCKET"]
PREFIX = os.environ["MATRIX_PREFIX"]
"""Keys of this run begin so; ends with a slash."""
ACCESS_KEY = os.environ["AWS_ACCESS_KEY_ID"]
SECRET_KEY = os.environ["AWS_SECRET_ACCESS_KEY"]
TOKEN = os.environ.get("AWS_SESSION_TOKEN", "")
REGION = "us-east-1"
CA = os.environ.get("MATRIX_CA", "")
"""PEM file of the authority behind the gateway's certificate."""

LARGE = 20 * 1024 * 1024  # bytes
PAGE = 3  # keys a page of a list
LISTED = 7  # keys: two full pages and a bit
AWKWARD = (
    "with space + plus.txt",
    "ü/日本語 😀.txt",
    "percent %41 %2F %.txt",
    "quotes ' \" & < > #.txt",
    "a;b,c=d@e~f*(g)!$.txt",
)


class Lacks(Exception):
    """The client has no such operation: the reason in words."""


class Store:
    """The verbs; a client has those that it overrides. A method raises whatever went wrong."""

    lacks: ClassVar[dict[str, str]] = {}
    """Why it has no such verb, by verb."""
    awkward = AWKWARD

    def open(self) -> None:
        """Called once before anything else."""

    def close(self) -> None:
        """Called once at the end."""

    def put(self, key: str, path: str) -> None:
        """The file's bytes under the key."""
        raise self._lacks("put")

    def get(self, key: str) -> bytes:
        """The whole object."""
        raise self._lacks("get")

    def range(self, key: str, first: int, last: int) -> bytes:
        """Bytes `first` to `last`, both included."""
        raise self._lacks("range")

    def list(self, prefix: str) -> list[str]:
        """All keys below the prefix, in pages of `PAGE` where the client lets one choose."""
        raise self._lacks("list")

    def copy(self, source: str, target: str) -> None:
        """On the server."""
        raise self._lacks("copy")

    def delete(self, keys: list[str]) -> None:
        """All of them, in one request where the client can."""
        raise self._lacks("delete")

    def presign(self, key: str) -> str:
        """A URL that reads the object with no credentials."""
        raise self._lacks("presign")

    def _lacks(self, verb: str) -> Lacks:
        return Lacks(self.lacks.get(verb, "the client has no such operation"))


def pattern(size: int) -> bytes:
    """The same bytes in every run; no two pieces of them alike."""
    return random.Random(size).randbytes(size)


def run(*command: str, data: bytes | None = None) -> bytes:
    """A program's output. Raises RuntimeError with what it complained of."""
    done = subprocess.run(command, input=data, capture_output=True, timeout=120)
    if done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace").strip()
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {said[-600:]}")
    return done.stdout


def fetch(url: str) -> bytes:
    """What anybody gets who has the URL."""
    context = ssl.create_default_context(cafile=CA) if SECURE else None
    with urllib.request.urlopen(url, timeout=30, context=context) as answer:
        body: bytes = answer.read()
        return body


def same(got: bytes, sent: bytes) -> None:
    """Raises AssertionError unless they are equal, with the lengths rather than the bytes."""
    if got != sent:
        digests = [hashlib.sha256(one).hexdigest()[:12] for one in (got, sent)]
        raise AssertionError(
            f"{len(got)} bytes (sha256 {digests[0]}…) came back of {len(sent)} ({digests[1]}…)"
        )


class Checks:
    """The operations, in order: later ones read what earlier ones wrote."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder

    def file(self, data: bytes) -> str:
        path = self.folder / f"source-{len(data)}"
        path.write_bytes(data)
        return str(path)

    def round_trip(self, key: str, data: bytes) -> None:
        self.store.put(key, self.file(data))
        same(self.store.get(key), data)

    def write_empty(self) -> None:
        self.round_trip(PREFIX + "empty", b"")

    def write_byte(self) -> None:
        self.round_trip(PREFIX + "byte", b"x")

    def write_large(self) -> None:
        self.store.put(PREFIX + "large", self.file(pattern(LARGE)))

    def read_whole(self) -> None:
        same(self.store.get(PREFIX + "large"), pattern(LARGE))

    def read_range(self) -> None:
        data = pattern(LARGE)
        for first, last in ((0, 0), (1_000_000, 1_000_999), (LARGE - 10, LARGE - 1)):
            same(self.store.range(PREFIX + "large", first, last), data[first : last + 1])

    def list_pages(self) -> None:
        keys = self._listed()
        path = self.file(b"listed")
        for key in keys:
            self.store.put(key, path)
        found = self.store.list(PREFIX + "list/")
        assert sorted(found) == keys, f"listed {found}"

    def copy(self) -> None:
        self.store.copy(PREFIX + "byte", PREFIX + "copied")
        same(self.store.get(PREFIX + "copied"), b"x")

    def awkward_keys(self) -> None:
        keys = [f"{PREFIX}awkward/{name}" for name in self.store.awkward]
        for number, key in enumerate(keys):
            self.round_trip(key, b"k" * (number + 1))
        found = self.store.list(PREFIX + "awkward/")
        assert sorted(found) == sorted(keys), f"listed {found}"

    def presign(self) -> None:
        same(fetch(self.store.presign(PREFIX + "byte")), b"x")

    def delete_many(self) -> None:
        self.store.delete(self._listed())
        left = self.store.list(PREFIX + "list/")
        assert left == [], f"left over: {left}"

    @staticmethod
    def _listed() -> list[str]:
        return [f"{PREFIX}list/{number:02}" for number in range(LISTED)]


def judge(check: Callable[[], None]) -> tuple[bool | None, str]:
    """True, False or None for an operation that the client has not; and why."""
    try:
        check()
    except Lacks as why:
        return None, str(why)
    except Exception as problem:
        if os.environ.get("MATRIX_TRACE"):
            traceback.print_exc()
        return False, " ".join(f"{type(problem).__name__}: {problem}".split())[:900]
    return True, ""


def main(store: Store) -> None:
    """Runs all of it and prints a line each."""
    folder = Path(tempfile.mkdtemp(prefix="matrix-"))
    checks = Checks(store, folder)
    try:
        store.open()
        for name in OPERATIONS:
            # A client of another kind (a backup program) brings its own way to do an operation.
            passed, note = judge(getattr(store, f"check_{name}", getattr(checks, name)))
            print(json.dumps({"operation": name, "passed": passed, "note": note}), flush=True)
    finally:
        store.close()
        shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()
