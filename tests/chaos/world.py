"""A gateway whose upstream misbehaves by script, with little patience; and what must hold afterwards."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.demo.world import free_port
from gateway.server.exchange import Exchange
from tests.server.verifying_upstream import upstream
from tests.server.whole_gateway import Whole, served, written

PATIENCE = 10.0  # seconds of silence until the upstream is given up: never, unless a test says so
IMPATIENT = 0.2  # for tests in which it is


@asynccontextmanager
async def chaotic(
    folder: Path, *changes: tuple[str, str], more: str = "", patience: float = PATIENCE
) -> AsyncIterator[Whole]:
    """The whole gateway; `changes` are made to its gateway.yaml, and `more` stands at its end."""
    times = ", ".join(f"{name}_timeout: {patience}s" for name in ("connect", "head", "idle"))
    impatient = f"payload: passthrough, {times}, max_connections: 8"
    async with upstream() as behind:
        port = free_port()
        config = written(folder, port=port, s3=behind.port)
        text = config.read_text("utf-8")
        for old, new in (("payload: passthrough", impatient), *changes):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        config.write_text(text + more, "utf-8")
        async with served(config, behind, port) as made:
            yield made


def open_exchanges(whole: Whole) -> int:
    """Requests to this gateway that are still in memory, finished or not."""
    gc.collect()
    return sum(
        isinstance(thing, Exchange) and thing.snapshot is whole.app.snapshot
        for thing in gc.get_objects()
    )


async def recovers(whole: Whole) -> None:
    """Nobody did anything, and all is well: a round trip works, and nothing of the past is held."""
    whole.upstream.scripts.clear()
    whole.upstream.objects.pop("/real/team/after", None)
    async with asyncio.timeout(20):
        while (await whole.signed("PUT", "/data/after", b"all well")).status != 200:
            await asyncio.sleep(0.1)  # a loaded machine is slower than the least patience
        while (await whole.signed("GET", "/data/after")).body != b"all well":
            await asyncio.sleep(0.1)
    for connection in whole.opened:
        connection.close()
    whole.opened.clear()
    deadline = asyncio.get_running_loop().time() + 20
    while (left := held(whole)) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)
    assert left == {}


def held(whole: Whole) -> dict[str, int]:
    """What the gateway still holds of requests, by what it is; nothing where all have ended."""
    found = {
        "running": whole.app.limits.running,
        "connections": whole.app.serving.connections,
        "upstream": sum(count - idle for count, idle in whole.app.pool.counts().values()),
        "exchanges": open_exchanges(whole),
    }
    return {name: count for name, count in found.items() if count}
