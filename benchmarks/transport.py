"""
The upstream pool by itself: CPU a request and a GB, beside aiohttp's client and bare sockets.

    python -m benchmarks.transport [--loop uvloop|asyncio] [--tls] [--rounds 3] [--json FILE]

A server in a process of its own answers from memory; what is measured is the user and system
time of this process alone. "bare" writes fixed bytes and looks for nothing but their number: the
price of the loop and the system, below which no client can be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import ssl
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import aiohttp
import trustme
import uvloop
from yarl import URL

from gateway.message import NO_BODY, Headers, IterBody
from gateway.upstream import Endpoint, Outbound
from gateway.upstream.pool import Pool

SMALL = 1024
BIG = 256 * 1024 * 1024
PIECE = 128 * 1024
REQUESTS = 20_000
AT_ONCE = 16
FIELDS = (
    ("x-amz-date", "20260301T120000Z"),
    ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("x-amz-security-token", "x" * 700),
    ("authorization", "AWS4-HMAC-SHA256 " + "x" * 230),
    ("accept-encoding", "identity"),
    ("user-agent", "benchmark"),
)
HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Sun, 01 Mar 2026 12:00:00 GMT\r\n"
    b"Content-Type: binary/octet-stream\r\nContent-Length: %d\r\n"
    b'ETag: "d41d8cd98f00b204e9800998ecf8427e"\r\nLast-Modified: Sun, 01 Mar 2026 11:00:00 GMT\r\n'
    b"x-amz-request-id: 0123456789ABCDEF\r\nx-amz-id-2: abcdefghijklmnopqrstuvwxyz\r\n"
    b"Server: AmazonS3\r\nAccept-Ranges: bytes\r\n\r\n"
)


# The server


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    block = bytes(1 << 20)
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /small"):
                writer.write(HEAD % SMALL + block[:SMALL])
            elif head.startswith(b"GET"):
                writer.write(HEAD % BIG)
                for _ in range(BIG >> 20):
                    writer.write(block)
                    await writer.drain()
            else:
                left = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
                while left:
                    left -= len(await reader.read(min(left, 1 << 20)))
                writer.write(HEAD % 0)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve(pipe: Pipe, certificate: str | None) -> None:
    async def main() -> None:
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 20, ssl=context)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


# The clients


class Client:
    """Three things to do, however it is done."""

    small: Callable[[], Awaitable[None]]
    download: Callable[[], Awaitable[None]]
    upload: Callable[[], Awaitable[None]]


async def pieces() -> AsyncIterator[bytes]:
    piece = bytes(PIECE)
    for _ in range(BIG // PIECE):
        yield piece


class Ours(Client):
    """The pool as the pipeline uses it."""

    def __init__(self, stack: AsyncExitStack, port: int, ca: str | None) -> None:
        self._pool = Pool()
        stack.push_async_callback(self._pool.close)
        scheme = "http" if ca is None else "https"
        self._endpoint = Endpoint(scheme=scheme, host="127.0.0.1", port=port, ca=ca)
        self._headers = Headers([("host", f"127.0.0.1:{port}"), *FIELDS])

    def _head(self, method: str, target: str) -> Outbound:
        return Outbound(method=method, target=target, headers=self._headers)

    async def small(self) -> None:
        answer = await self._pool.send(self._endpoint, self._head("GET", "/small"), NO_BODY)
        data = answer.body.whole()
        if data is None:
            data = await answer.body.read(SMALL)
        await answer.body.close()
        assert len(data) == SMALL

    async def download(self) -> None:
        answer = await self._pool.send(self._endpoint, self._head("GET", "/big"), NO_BODY)
        size = 0
        async for data in answer.body:
            size += len(data)
        assert size == BIG

    async def upload(self) -> None:
        body = IterBody(pieces(), BIG)
        answer = await self._pool.send(self._endpoint, self._head("PUT", "/big"), body)
        assert answer.status == 200


class Aiohttp(Client):
    """aiohttp's client, told to leave things as they are."""

    def __init__(self, stack: AsyncExitStack, port: int, ca: str | None) -> None:
        context = None if ca is None else ssl.create_default_context(cafile=ca)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=True if context is None else context),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            read_bufsize=1 << 20,
        )
        stack.push_async_callback(self._session.close)
        self._base = f"{'http' if ca is None else 'https'}://127.0.0.1:{port}"

    async def small(self) -> None:
        url = URL(f"{self._base}/small", encoded=True)
        async with self._session.get(url, headers=dict(FIELDS)) as answer:
            assert len(await answer.read()) == SMALL

    async def download(self) -> None:
        size = 0
        async with self._session.get(f"{self._base}/big", headers=dict(FIELDS)) as answer:
            async for data in answer.content.iter_any():
                size += len(data)
        assert size == BIG

    async def upload(self) -> None:
        fields = {**dict(FIELDS), "content-length": str(BIG)}
        async with self._session.put(f"{self._base}/big", data=pieces(), headers=fields) as answer:
            assert answer.status == 200


class Bare(Client):
    """Fixed bytes over asyncio streams."""

    def __init__(self, stack: AsyncExitStack, port: int, ca: str | None) -> None:
        self._port = port
        self._context = None if ca is None else ssl.create_default_context(cafile=ca)
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in FIELDS)
        stack.callback(self._abort)

    def _abort(self) -> None:
        for _, writer in self._free:
            writer.transport.abort()

    async def _ask(
        self, line: str, extra: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._free:
            reader, writer = self._free.pop()
        else:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._port, limit=1 << 20, ssl=self._context
            )
        writer.write(f"{line} HTTP/1.1\r\nhost: h\r\n{self._fields}{extra}\r\n".encode())
        return reader, writer

    async def small(self) -> None:
        reader, writer = await self._ask("GET /small")
        await reader.readexactly(len(HEAD % SMALL) + SMALL)
        self._free.append((reader, writer))

    async def download(self) -> None:
        reader, writer = await self._ask("GET /big")
        left = len(HEAD % BIG) + BIG
        while left:
            left -= len(await reader.read(min(left, 1 << 20)))
        self._free.append((reader, writer))

    async def upload(self) -> None:
        reader, writer = await self._ask("PUT /big", f"content-length: {BIG}\r\n")
        async for piece in pieces():
            writer.write(piece)
            await writer.drain()
        await reader.readexactly(len(HEAD % 0))
        self._free.append((reader, writer))


CLIENTS: dict[str, Callable[[AsyncExitStack, int, str | None], Client]] = {
    "pool": Ours,
    "aiohttp": Aiohttp,
    "bare": Bare,
}


# Measuring


async def measured(client: Client) -> dict[str, float]:
    """CPU microseconds a small GET, CPU seconds a GB down and up."""

    async def worker() -> None:
        for _ in range(REQUESTS // AT_ONCE):
            await client.small()

    await client.small()
    start = time.process_time()
    await asyncio.gather(*[worker() for _ in range(AT_ONCE)])
    small = (time.process_time() - start) / REQUESTS * 1e6
    start = time.process_time()
    await client.download()
    down = (time.process_time() - start) / BIG * 1e9
    start = time.process_time()
    await client.upload()
    up = (time.process_time() - start) / BIG * 1e9
    return {"GET 1 KiB, µs": small, "GET 256 MiB, s/GB": down, "PUT 256 MiB, s/GB": up}


async def run(port: int, ca: str | None, rounds: int) -> dict[str, dict[str, float]]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
    for _ in range(rounds):
        for name, make in CLIENTS.items():
            async with AsyncExitStack() as stack:
                found[name].append(await measured(make(stack, port, ca)))
    return {
        name: {key: statistics.median(one[key] for one in rows) for key in rows[0]}
        for name, rows in found.items()
    }


def show(results: dict[str, dict[str, float]]) -> None:
    keys = list(next(iter(results.values())))
    print(f"{'':10}" + "".join(f"{key:>22}" for key in keys))
    for name, row in results.items():
        print(f"{name:10}" + "".join(f"{row[key]:22.2f}" for key in keys))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1] if __doc__ else "")
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        certificate = ca = None
        if options.tls:
            authority = trustme.CA()
            ca, certificate = f"{folder}/ca.pem", f"{folder}/server.pem"
            authority.cert_pem.write_to_path(ca)
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
                certificate
            )
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, certificate), daemon=True
        )
        server.start()
        work: Any = run(ours.recv(), ca, options.rounds)
        results = uvloop.run(work) if options.loop == "uvloop" else asyncio.run(work)
        server.terminate()
        server.join()
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
