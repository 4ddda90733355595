"""
An upstream that knows one answer: a ListObjectsV2 of 1 000 keys.

    python -m benchmarks.listing PORT
"""

from __future__ import annotations

import asyncio
import sys

KEYS = 1000
PREFIX = "users/0123456789/"

_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-03-01T12:00:00.000Z</LastModified>"
    "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>1024</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)


def document() -> bytes:
    """The answer, as AWS writes it."""
    entries = "".join(
        _ENTRY.format(key=f"{PREFIX}photos/2026/03/picture-{number:05}.jpeg")
        for number in range(KEYS)
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>store</Name>'
        f"<Prefix>{PREFIX}</Prefix><KeyCount>{KEYS}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    )
    return text.encode()


class Answering(asyncio.Protocol):
    """One connection: each head is answered with the same bytes."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        heads = (self._seen + data).split(b"\r\n\r\n")
        self._seen = heads.pop()
        self._transport.writelines([self.answer] * len(heads))


async def serve(port: int) -> None:
    """Answers until it is ended."""
    body = document()
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    Answering.answer = head.encode() + body
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
