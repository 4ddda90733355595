"""
What `benchmarks.ui` measures the page against: the real gateway and a quick upstream that throws
bodies away, in a process of their own, so that the browser's driver does not take their time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tests.ui.s3 import FakeS3, Seen, Stored
from tests.ui.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

BUCKET = "acme-team"  # the upstream's name of the page's `team-data`


class Sink(FakeS3):
    """Takes uploads without keeping them, as late as a storage far away."""

    latency = 0.0  # seconds before each answer to a body

    async def _write(
        self, request: web.Request, seen: Seen, bucket: str, key: str
    ) -> web.StreamResponse:
        from aiohttp import web

        whole = "uploadId" not in seen.query
        if request.method != "PUT" or (whole and set(seen.query) - {"x-id"}):
            return await super()._write(request, seen, bucket, key)
        async for _ in request.content.iter_any():
            pass
        await asyncio.sleep(self.latency)
        length = request.headers.get(
            "x-amz-decoded-content-length", request.headers.get("content-length", "0")
        )
        stored = Stored(b"", etag=f'"{len(self.seen)}"', size=int(length))
        if whole:
            self.buckets[bucket][key] = stored
            self._sorted.pop(bucket, None)
        else:
            self.uploads[seen.query["uploadId"]].parts[int(seen.query["partNumber"])] = stored
        return web.Response(headers={"ETag": stored.etag})


@dataclass(frozen=True, slots=True)
class Stage:
    """The gateway's address, and the hands that move the upstream behind it."""

    url: str
    _line: Connection

    def fill(self, prefix: str, count: int) -> None:
        """`count` keys below a prefix of `team-data`."""
        self._order("fill", prefix, count)

    def latency(self, seconds: float) -> None:
        """Every answer to a body comes this much later."""
        self._order("latency", seconds)

    def _order(self, *what: Any) -> None:
        self._line.send(what)
        self._line.recv()


@contextmanager
def raised() -> Iterator[Stage]:
    """The stage while it stands."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    try:
        yield Stage(ours.recv(), ours)
    finally:
        ours.send(("end",))
        process.join(20)


def _serve(line: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sink = Sink()
        world = World(Path(folder), s3=sink)
        world.start()
        world.seed()
        line.send(world.url)
        while True:
            match line.recv():
                case ("fill", prefix, count):
                    names = (f"{prefix}{n:06}.bin" for n in range(cast("int", count)))
                    sink.fill(BUCKET, names)
                case ("latency", seconds):
                    sink.latency = cast("float", seconds)
                case _:
                    break
            line.send(None)
        world.stop()
