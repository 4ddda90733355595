"""How answers reach the socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import trustme
from aiohttp.base_protocol import BaseProtocol

from gateway.message import Body
from gateway.server.wire import _stream

PIECES = [b"x" * size for size in (1, 100, 70_000, 0, 300_000)]


class _Pieces(Body):
    """A body that comes piece by piece."""

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

    class Answers(BaseProtocol):
        def __init__(self) -> None:
            super().__init__(asyncio.get_running_loop())

        def data_received(self, data: bytes) -> None:
            assert self.transport is not None
            self.task = asyncio.ensure_future(
                _stream(self, self.transport, _Pieces(), size, False, [0])
            )

    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0, ssl=ours)
    async with server, asyncio.timeout(10):
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=theirs)
        writer.write(b"x")
        assert await reader.readexactly(size) == b"".join(PIECES)
        writer.close()
