"""An upstream that is scripted byte by byte, bodies that misbehave, and answers that break rules."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from gateway.message import Answer, Body, Headers, IterBody
from gateway.records import replace
from gateway.upstream import Endpoint, Outbound

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BIG = 8 * 1024 * 1024
"""Bytes: more than all buffers on the way hold together."""


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    head: bytes
    body: bytes

    def field(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.encode():
                return value.strip().decode()
        return None


class Peer:
    """The upstream's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.gone = asyncio.Event()

    async def head(self) -> Seen:
        return Seen(await self.reader.readuntil(b"\r\n\r\n"), b"")

    async def request(self) -> Seen:
        """A whole request; raises IncompleteReadError where it breaks off."""
        head = (await self.head()).head
        seen = Seen(head, b"")
        if seen.field("transfer-encoding") == "chunked":
            return Seen(head, await self._chunks())
        return Seen(head, await self.reader.readexactly(int(seen.field("content-length") or 0)))

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\n"), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, data: bytes = OK) -> Seen:
        seen = await self.request()
        await self.send(data)
        return seen

    async def closed(self) -> None:
        """Reads on until the other side is gone."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass
        self.gone.set()


Script = Callable[[Peer], Awaitable[None]]


class Scripted:
    """A server whose n-th connection follows the n-th script (the last one serves the rest)."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.peers: list[Peer] = []
        self.endpoint = Endpoint(
            scheme="http", host="127.0.0.1", port=0, head_timeout=5, idle_timeout=5
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def plays(self, *scripts: Script) -> None:
        self.scripts = list(scripts)

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls)
        port = self._server.sockets[0].getsockname()[1]
        self.endpoint = replace(self.endpoint, port=port, scheme="https" if tls else "http")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        script = self.scripts[min(len(self.peers), len(self.scripts) - 1)]
        self.peers.append(peer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await script(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            peer.gone.set()
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()


def get(target: str = "/bucket/key", **headers: str) -> Outbound:
    return Outbound(method="GET", target=target, headers=fields(**headers))


def put(method: str = "PUT", **headers: str) -> Outbound:
    return Outbound(method=method, target="/bucket/key", headers=fields(**headers))


def fields(**headers: str) -> Headers:
    return Headers(
        [("host", "s3.example.com")] + [(k.replace("_", "-"), v) for k, v in headers.items()]
    )


async def whole(answer: Answer) -> bytes:
    try:
        data = answer.body.whole()
        return await answer.body.read(1 << 30) if data is None else data
    finally:
        await answer.body.close()


async def forever(peer: Peer) -> None:
    while True:
        await peer.answer()


async def silent(peer: Peer) -> None:
    await peer.closed()


def stream(*parts: bytes, length: int | None = None) -> IterBody:
    async def chunks() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return IterBody(chunks(), length)


class Tap(Body):
    """An endless (or `length` long) body that counts what was taken of it."""

    def __init__(self, length: int | None = None) -> None:
        self.length = length
        self.taken = 0
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while self.length is None or self.taken < self.length:
                self.taken += 65536
                yield bytes(65536)
                await asyncio.sleep(0)
        finally:
            self.ended = True


class Broken(Exception):
    """What a body raises."""


HOSTILE: dict[str, bytes] = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    "protocol switch": b"HTTP/1.1 101 Yes\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunked and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "hex length": b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
    "empty length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
    "enormous length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok",
    "gzip coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    "gzip, chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "identity, chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "xchunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "bare line feed": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "bare line feed in head": b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nok",
    "carriage return in value": b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 2\r\n\r\nok",
    "folded line": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "space in name": b"HTTP/1.1 200 OK\r\nA b: c\r\nContent-Length: 2\r\n\r\nok",
    "nameless field": b"HTTP/1.1 200 OK\r\n: c\r\nContent-Length: 2\r\n\r\nok",
    "NUL in value": b"HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 2\r\n\r\nok",
    "long line": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 33_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "long head": b"HTTP/1.1 200 OK\r\n" + (b"A: " + b"x" * 9_000 + b"\r\n") * 8 + b"\r\nok",
    "endless line": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000,
    "many fields": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"Content-Length: 0\r\n\r\n",
    "interim with length": b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + OK,
    "many interims": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20 + OK,
    "bad chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
    "enormous chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok",
    "chunk longer than said": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok!\r\n0\r\n\r\n",
    "chunks by line feed": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n",
    "endless chunk extension": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + b"x" * 200_000,
    "endless trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: bcdefgh\r\n" * 20_000,
}  # fmt: skip
"""Answers that break a rule: 502, and the connection is closed."""


class Keeping:
    """A script that answers every request alike and keeps what it saw."""

    def __init__(self, data: bytes = OK) -> None:
        self.data = data
        self.seen: list[Seen] = []

    async def __call__(self, peer: Peer) -> None:
        while True:
            self.seen.append(await peer.request())
            await peer.send(self.data)
            if b"Connection:" in self.data or b"HTTP/1.0" in self.data:
                await peer.closed()
                return


def with_length(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(body: bytes) -> bytes:
    parts = [body[i : i + 30_000] for i in range(0, len(body), 30_000)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
