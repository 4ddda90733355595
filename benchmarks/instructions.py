"""
How many instructions of Python's interpreter one small GET takes, by module: what a profile does not show.

    python -m benchmarks.instructions

No function of a request stands out in a profile, and microseconds depend on what else the machine
does; these counts do not. What the system and the libraries in C do is not in them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks import load, scene
from benchmarks.measures import KEY
from benchmarks.processes import Programs, free_port
from gateway.app import App

REQUESTS = 50
WARM = 20  # requests before, so that caches are as they are later


class Trace:
    """Counts while it is on, by file; `calls` are calls of functions."""

    def __init__(self) -> None:
        self.instructions: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    def __enter__(self) -> Trace:
        sys.settrace(self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _begin(self, frame: FrameType, _event: str, _arg: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        file = frame.f_code.co_filename
        self.calls[file] += 1

        def each(frame: FrameType, event: str, _arg: object) -> Any:
            if event == "opcode":
                self.instructions[file] += 1
            return each

        return each


@asynccontextmanager
async def running(folder: Path, plain: int) -> AsyncIterator[str]:
    """A gateway in this process; its URL."""
    os.environ.update(scene.ENVIRONMENT)
    url = f"http://127.0.0.1:{free_port()}"
    text = scene.configuration(url, plain=plain, tls=plain, lists=plain)
    (folder / "traced.yaml").write_text(text)
    app = App(folder / "traced.yaml")
    await app.start()
    try:
        yield url
    finally:
        await app.stop()


async def traced(folder: Path, plain: int) -> Trace:
    """What `REQUESTS` requests on one connection took."""
    trace = Trace()
    async with running(folder, plain) as url:
        asked = load.head(load.signed("GET", f"{url}/data/small", KEY))
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        for number in range(WARM + REQUESTS):
            if number == WARM:
                trace.__enter__()
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode("latin-1"))
            await reader.readexactly(scene.SMALL)
        trace.__exit__()
        writer.close()
    return trace


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Programs() as programs:
        under = scene.raise_scene(programs, Path(folder))
        trace = uvloop.run(traced(Path(folder), under.plain_port))
    root = str(Path(__file__).parents[1]) + os.sep
    ours = {
        file.removeprefix(root): count
        for file, count in trace.instructions.items()
        if file != __file__ and not file.endswith("asyncio/streams.py")
    }
    total = sum(ours.values()) / REQUESTS
    calls = sum(trace.calls[file] for file in trace.calls if file != __file__) / REQUESTS
    print(f"{total:.0f} instructions, {calls:.0f} calls a request")
    for file, count in Counter(ours).most_common(25):
        print(f"{count / REQUESTS:8.0f}  {file}")


if __name__ == "__main__":
    main()
