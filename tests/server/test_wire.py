"""How answers reach the socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import trustme

from gateway.message import Answer, Body, ResponseHead
from gateway.server.connection import Clients
from gateway.server.inbound import Inbound, Line
from gateway.server.wire import send

PIECES = [b"x" * size for size in (1, 100, 70_000, 0, 300_000)]


class _Pieces(Body):
    """A body that comes piece by piece."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._each()

    async def _each(self) -> AsyncIterator[bytes]:
        for piece in PIECES:
            await asyncio.sleep(0)
            yield piece


async def test_aio_16_a_stream_over_tls_goes_on_to_its_end() -> None:
    """Holding one piece alone for a slow client never stops the next one for good."""
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)
    size = sum(map(len, PIECES))

    class Answers:
        async def handle(self, inbound: Inbound) -> None:
            head = ResponseHead(status=200)
            answer = Answer(head=head, body=_Pieces(size))
            await send(inbound, answer, extra="", count=[0])

        def unreadable(self, line: Line) -> bytes:
            return b""

    clients = Clients(Answers(), header_timeout=30.0)
    server = await asyncio.get_running_loop().create_server(clients, "127.0.0.1", 0, ssl=ours)
    async with server, asyncio.timeout(10):
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=theirs)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(size) == b"".join(PIECES)
        writer.close()
        await clients.drain(1.0)
