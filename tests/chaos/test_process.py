"""The gateway as processes: told to end, killed, handed its sockets, watched by a service manager."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gateway import __version__
from tests.chaos.process import Process, serving
from tests.server.verifying_upstream import Seen, Stored, Wire
from tests.server.whole_gateway import Connection

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

MIB = 1024 * 1024
TWO = (("drain: 1s", "drain: 1s, workers: 2"), ("type: memory", "type: sqlite, path: state.db"))
AS_THIRD = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
PIECE = os.urandom(MIB)
PIECES = 48  # MiB of a download: more than all buffers between here and the upstream hold


async def large(seen: Seen, wire: Wire) -> None:
    """An object of PIECES times PIECE."""
    await wire.say(200, f'etag: "e"\r\ncontent-length: {PIECES * MIB}\r\n', end=False)
    for _ in range(PIECES):
        wire.writer.write(PIECE)
        await wire.writer.drain()


async def begun(made: Process) -> Connection:
    """A download of it whose head has come, and of whose body nothing has been read yet."""
    made.upstream.scripts.append(large)
    connection = await made.whole.connect()
    await connection.send(made.whole.client().head("GET", "/data/large"))
    head = await connection.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return connection


async def test_sigterm_lets_a_slow_download_finish(tmp_path: Path) -> None:
    """Nobody new comes in, `/readyz` says so, and the bytes are the right ones to the last."""
    async with serving(tmp_path, ("drain: 1s", "drain: 60s")) as made:
        connection = await begun(made)
        made.tell(signal.SIGTERM)
        told = await made.ready(503)
        with pytest.raises(ConnectionError):
            await made.whole.connect()
        digest = hashlib.sha256()
        for _ in range(PIECES):
            digest.update(await connection.reader.readexactly(MIB))
            await asyncio.sleep(0.01)

        assert told["draining"] is True
        assert digest.digest() == hashlib.sha256(PIECE * PIECES).digest()
        connection.close()
        assert await made.ended() == 0


async def test_aio_16_what_takes_longer_than_the_drain_is_cut(tmp_path: Path) -> None:
    """The process ends in time, and the download visibly too early."""
    async with serving(tmp_path) as made:
        connection = await begun(made)
        await connection.reader.readexactly(MIB)
        began = time.monotonic()
        made.tell(signal.SIGTERM)
        status = await made.ended()
        took = time.monotonic() - began
        rest = b""
        with suppress(ConnectionError):
            rest = await connection.reader.read(-1)

    assert status == 0
    assert took < 10
    assert len(rest) < (PIECES - 1) * MIB


async def test_an_upload_may_finish_too(tmp_path: Path) -> None:
    """Its body comes in after SIGTERM, is stored whole, and is answered."""
    async with serving(tmp_path, ("drain: 1s", "drain: 60s")) as made:
        data = PIECE * 4
        connection = await made.whole.connect()
        head = made.whole.client().head("PUT", "/data/k", payload="UNSIGNED-PAYLOAD")
        await connection.send(head, data[:MIB], ("content-length", str(len(data))))
        async with asyncio.timeout(10):
            while not made.upstream.seen:
                await asyncio.sleep(0.01)
        made.tell(signal.SIGTERM)
        await made.ready(503)
        connection.writer.write(data[MIB:])
        reply = await connection.reply("PUT")

        assert (reply.status, reply.header("connection")) == (200, "close")
        assert made.whole.stored("/real/team/k") == data
        assert await made.ended() == 0


async def test_a_worker_that_is_killed_under_load_is_replaced(tmp_path: Path) -> None:
    """Connections of the killed one break; nobody is told anything false, and both are back."""
    async with serving(tmp_path, *TWO) as made:
        made.upstream.objects["/real/team/fixed"] = Stored(PIECE[:100_000], [])
        wrong: list[str] = []
        done = 0
        broken = 0
        ending = asyncio.Event()

        async def load(name: str) -> None:
            nonlocal done, broken
            number = 0
            while not ending.is_set():
                number += 1
                data = f"{name}-{number}".encode() * 1000
                try:
                    put = await made.whole.signed("PUT", f"/data/{name}", data)
                    got = await made.whole.signed("GET", "/data/fixed")
                except (ConnectionError, asyncio.IncompleteReadError):
                    broken += 1
                    continue
                done += 1
                if put.status == 200 and made.whole.stored(f"/real/team/{name}") != data:
                    wrong.append(f"{name}: stored otherwise")
                if got.status == 200 and got.whole and got.body != PIECE[:100_000]:
                    wrong.append(f"{name}: other bytes")
                if 400 <= put.status < 500 or 400 <= got.status < 500:
                    wrong.append(f"{name}: {put.status} {got.status}")

        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(load(f"k{n}"))
            await asyncio.sleep(0.5)
            before = made.workers()
            os.kill(before[0], signal.SIGKILL)
            await asyncio.sleep(0.5)
            told = await made.ready()
            after = done
            await asyncio.sleep(0.5)
            ending.set()

        assert wrong == []
        assert done > after > 0
        assert len(told["workers"]) == 2
        assert set(made.workers()) != set(before) and len(made.workers()) == 2
        assert "starting another" in made.log.read_text()
        await asyncio.sleep(1.1)  # workers hand over their counts once a second
        figures = await made.figures()
        assert f'gateway_build_info{{version="{__version__}"}} 1.0' in figures
        assert "gateway_connections" in figures
        # Both workers' counts, but for what the killed one had not settled.
        counted = re.findall(r"^gateway_requests_total\{.*\} (.*)$", figures, re.MULTILINE)
        assert sum(map(float, counted)) >= done


async def test_workers_share_a_unix_socket(tmp_path: Path) -> None:
    """Either may be killed, and the other answers at the same path."""
    path = tmp_path / "gateway.sock"
    async with serving(tmp_path, *TWO, listen=f"unix:{path}") as made:
        asked = f"GET /data/k HTTP/1.1\r\nHost: {made.whole.host}\r\n\r\n".encode()
        for victim in made.workers():
            os.kill(victim, signal.SIGKILL)
            statuses = set()
            for _ in range(10):
                reader, writer = await asyncio.open_unix_connection(str(path))
                writer.write(asked)
                async with asyncio.timeout(10):
                    statuses.add((await reader.readline()).split(b" ")[1])
                writer.close()
            assert statuses == {b"403"}
            await made.ready()
        assert path.stat().st_mode & 0o777 == 0o660


async def test_the_service_manager_hands_over_a_socket_and_is_told(tmp_path: Path) -> None:
    """`fd:gateway`; READY, RELOADING and STOPPING arrive; the socket outlives the process."""
    notified = tmp_path / "notify"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(notified))
    manager.setblocking(False)
    handed = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()

    async def told() -> bytes:
        async with asyncio.timeout(30):
            return await loop.sock_recv(manager, 100)

    with manager, handed:
        port = handed.getsockname()[1]
        number = handed.fileno()
        async with serving(
            tmp_path,
            listen="fd:gateway",
            environment={
                "NOTIFY_SOCKET": str(notified),
                "LISTEN_FDS": "1",
                "LISTEN_FDNAMES": "gateway",
            },
            around=(sys.executable, "-c", AS_THIRD, str(number)),
            pass_fds=[number],
        ) as made:
            made.whole.port = port
            assert await told() == b"READY=1"
            assert (await made.whole.signed("GET", "/data/none")).status == 404
            made.tell(signal.SIGHUP)
            assert [await told(), await told()] == [b"RELOADING=1", b"READY=1"]
            made.tell(signal.SIGTERM)
            assert await told() == b"STOPPING=1"
            assert await made.ended() == 0
        # The next process will answer: who connects meanwhile waits, and is not refused.
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


async def test_with_workers_the_supervisor_speaks_when_all_of_them_listen(tmp_path: Path) -> None:
    """One READY, and it is true; one STOPPING."""
    notified = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notified))
        manager.setblocking(False)
        loop = asyncio.get_running_loop()
        async with serving(
            tmp_path,
            *TWO,
            environment={"NOTIFY_SOCKET": str(notified)},
            ready=False,
        ) as made:
            async with asyncio.timeout(30):
                assert await loop.sock_recv(manager, 100) == b"READY=1"
            assert (await made.readyz())[0] == 200
            made.tell(signal.SIGTERM)
            assert await made.ended() == 0
            async with asyncio.timeout(5):
                assert await loop.sock_recv(manager, 100) == b"STOPPING=1"
        with pytest.raises(BlockingIOError):
            manager.recv(100)
