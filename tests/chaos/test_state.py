"""
The state store dies, or its disk is full, and comes back.

Meanwhile what was known goes on for a while, what must be remembered is refused, nothing that was
not written is told as done; and afterwards everything works without anybody's help.
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.demo.world import free_port
from tests.chaos.people import Staffed, staffed
from tests.state.test_redis import command

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")
Act = Callable[[], Awaitable[None]]


@asynccontextmanager
async def full_disk(folder: Path) -> AsyncIterator[tuple[tuple[str, str], Act, Act]]:
    """SQLite; then no file of this process may take another byte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))

    async def empty() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    try:
        yield ("type: memory", "type: sqlite, path: state.db"), fill, empty
    finally:
        await empty()


@asynccontextmanager
async def killed_redis(folder: Path) -> AsyncIterator[tuple[tuple[str, str], Act, Act]]:
    """Redis that writes down what it is told; killed, and started anew."""
    port = free_port()
    processes: list[subprocess.Popen[bytes]] = []
    (folder / "redis").mkdir()
    (folder / "url").touch(mode=0o600)
    (folder / "url").write_text(f"redis://127.0.0.1:{port}/0")

    async def start() -> None:
        assert SERVER is not None
        options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "")
        always = ("--appendonly", "yes", "--appendfsync", "always")
        words = [SERVER, *options, *always, "--dir", str(folder / "redis")]
        processes.append(subprocess.Popen(words, stdout=subprocess.DEVNULL))
        async with asyncio.timeout(10):
            while True:
                try:
                    if command(port, "PING").startswith(b"+PONG"):
                        return
                except OSError:
                    pass
                await asyncio.sleep(0.02)

    async def kill() -> None:
        processes[-1].send_signal(signal.SIGKILL)
        await asyncio.to_thread(processes[-1].wait)

    await start()
    try:
        yield ("type: memory", 'type: redis, url: "${file:url}"'), kill, start
    finally:
        await kill()


STORES = [
    pytest.param(full_disk, id="sqlite-on-a-full-disk"),
    pytest.param(
        killed_redis,
        id="redis-killed",
        marks=[
            pytest.mark.real,
            pytest.mark.skipif(SERVER is None, reason="redis-server is not installed"),
        ],
    ),
]


@pytest.mark.parametrize("store", STORES)
async def test_ses_10_a_store_that_fails_and_comes_back(tmp_path: Path, store) -> None:
    """Reads go on, writes are refused with 503, readiness says so; then all is as before."""
    async with store(tmp_path) as (change, breaks, heals), staffed(tmp_path, change) as at:
        await at.sign_in()
        status, key = await at.new_key()
        assert (status, await at.ready()) == (201, (True, "ok"))
        assert (await at.whole.signed("PUT", "/data/k", b"v", credentials=key)).status == 200

        await breaks()
        assert (await at.whole.signed("GET", "/data/k")).body == b"v"  # a service account
        assert (await at.whole.signed("GET", "/data/k", credentials=key)).body == b"v"
        assert (await at.new_key())[0] == 503
        assert (await at.ask("DELETE", f"/api/keys/{key.access_key_id}"))[0] == 503
        assert await at.ready() == (True, "away")

        await heals()
        await _until_ok(at)
        assert (await at.whole.signed("GET", "/data/k", credentials=key)).body == b"v"
        assert (await at.new_key())[0] == 201
        assert (await at.ask("DELETE", f"/api/keys/{key.access_key_id}"))[0] == 204
        await asyncio.sleep(1.1)  # "at once" means within a second
        assert (await at.whole.signed("GET", "/data/k", credentials=key)).status == 403
        await _every_line_is_there(at)


async def _until_ok(at: Staffed) -> None:
    async with asyncio.timeout(10):
        while await at.ready() != (True, "ok"):
            await asyncio.sleep(0.1)


async def _every_line_is_there(at: Staffed) -> None:
    """Audit lines that could not be written waited for the disk."""
    await asyncio.to_thread(at.whole.app.audit.flush)
    text = await asyncio.to_thread((at.whole.folder / "audit.log").read_text)
    operations = [line.partition('"operation":"')[2].split('"')[0] for line in text.splitlines()]
    assert operations.count("GetObject") == 3
    assert operations.count("POST /api/keys") == 3
