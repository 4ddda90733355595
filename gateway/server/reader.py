"""
What a client's bytes mean: heads of requests, pieces of their bodies, ends, or a broken rule.

Heads and chunks go through httptools' parser (llhttp, nothing lenient); a body of known length is
only counted. Nothing here knows a socket, so that any bytes, cut anywhere, can be tried on it.
What two parsers may read differently is refused, though ours would take it (HTTP-2).

INVARIANT: after `Unreadable` nothing more is read of a connection, so that no byte of something
that was refused is ever taken for a request.

Source: RFC 9112 sections 2 to 7.
"""

from __future__ import annotations

from typing import Final, Protocol, final

import httptools

from gateway.message import Headers, Names
from gateway.records import Record

LINE_MAX: Final = 32 * 1024  # bytes of the target or of one field: a presigned URL with its token
HEAD_MAX: Final = 64 * 1024  # bytes of a whole head, and of what may pass between two pieces
FIELDS_MAX: Final = 256
SLICE: Final = 16 * 1024
"""Bytes parsed at once, so that a read full of tiny requests becomes a bounded number of them."""

_NAMES: Final = Names(
    name
    for spelling in [
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Authorization",
        "Cache-Control",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "Content-MD5",
        "Content-Type",
        "Cookie",
        "Date",
        "Expect",
        "Host",
        "If-Match",
        "If-Modified-Since",
        "If-None-Match",
        "If-Unmodified-Since",
        "Origin",
        "Range",
        "Referer",
        "Sec-Fetch-Dest",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Site",
        "Transfer-Encoding",
        "Upgrade",
        "User-Agent",
        "X-Amz-Content-SHA256",
        "X-Amz-Content-Sha256",
        "X-Amz-Date",
        "X-Amz-Decoded-Content-Length",
        "X-Amz-Security-Token",
        "X-Amz-Trailer",
        "X-Amz-Sdk-Checksum-Algorithm",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "amz-sdk-invocation-id",
        "amz-sdk-request",
    ]
    for name in (spelling, spelling.lower())
)
"""Spellings seen in nearly every request. Fixed: a client must not grow it."""


class Unreadable(Exception):
    """What came is not HTTP, or has two readings. The text is for us: it never goes out (HTTP-9)."""


@final
class Read(Record, frozen=True):
    """The head of a request as it was read."""

    method: str
    target: str
    version: str
    """`1.1`, `1.0`, or what else the parser knows."""
    headers: Headers
    keep_alive: bool
    """The client will listen for another answer on this connection."""
    garbled: bool
    """A field holds bytes that are not UTF-8; they stand there as surrogates."""
    length: int | None
    """Bytes of the body; None where only its last chunk tells."""


class Receiver(Protocol):
    """Who is told."""

    def begin(self, read: Read) -> None:
        """A head is here; its body follows."""

    def piece(self, data: bytes) -> None:
        """Some of the body that began last."""

    def end(self) -> None:
        """The body that began last is whole."""


@final
class RequestReader:
    """Reads the requests of one connection, one after the other."""

    __slots__ = (
        "_between",
        "_fault",
        "_fields",
        "_in_body",
        "_left",
        "_parser",
        "_receiver",
        "_target",
        "_upgrade",
    )

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._parser: httptools.HttpRequestParser | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._between = 0
        self._left: int | None = 0
        """Bytes of the body that are to come; None where only the last chunk tells."""
        self._in_body = False
        self._upgrade = False
        self._fault: str | None = None

    def feed(self, data: bytes) -> bytes:
        """Takes some of `data` and gives back the rest, to be fed later. Raises Unreadable."""
        left = self._left
        if left:  # past the head of a body of known length
            return self._count(data, left)
        most = 4 * SLICE if self._in_body else SLICE
        if len(data) <= most:
            return self._parse(data)
        return self._parse(data[:most]) + data[most:]

    def close(self) -> None:
        """Nothing more is read."""
        self._parser = None

    def _count(self, data: bytes, left: int) -> bytes:
        self._parser = None  # it is still where the counting began
        if len(data) < left:
            self._left = left - len(data)
            self._receiver.piece(data)
            return b""
        self._receiver.piece(data if len(data) == left else data[:left])
        self._end()
        return data[left:]

    def _parse(self, data: bytes) -> bytes:
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        # Before a head and between pieces of a body only so much may pass that is no piece: one
        # endless line, chunk extensions, trailers. Else we are fed for ever with nothing.
        self._between += len(data)
        rest = b""
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # RFC 9110 section 7.8: who does not want another protocol goes on with this one.
            self._parser = None
            self._upgrade = False
            rest = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            raise Unreadable(self._fault or str(error)) from error
        if self._fault is not None:
            raise Unreadable(self._fault)
        if self._between > HEAD_MAX:
            raise Unreadable("too much between two pieces")
        return rest

    def _end(self) -> None:
        self._left = 0
        self._in_body = False
        self._between = 0
        self._fields = []  # of a trailer, which nobody reads (AIO-19)
        self._receiver.end()

    # What the parser calls. It goes on after an exception, so faults are noted, not raised.

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self._fault is not None or parser is None:
            return
        fields, self._fields = self._fields, []
        target, self._target = self._target, b""
        if self._between > LINE_MAX and _too_long(target, fields):
            self._fault = "head is too long"
        if len(fields) > FIELDS_MAX:
            self._fault = "too many fields"
        garbled = False
        try:
            pairs = _NAMES.read(fields)
        except UnicodeDecodeError:
            garbled = True
            pairs = _NAMES.read(fields, "surrogateescape")
        headers = Headers(pairs)
        method = parser.get_method().decode("ascii")
        version = parser.get_http_version()
        length = self._framing(version, headers)
        if parser.should_upgrade():
            if method == "CONNECT" or length is None:
                self._fault = "no tunnels here"
            self._upgrade = True
        if self._fault is not None:
            return
        self._left = length
        self._in_body = True
        self._receiver.begin(
            Read(
                method,
                target.decode("ascii"),
                version,
                headers,
                keep_alive=parser.should_keep_alive(),
                garbled=garbled,
                length=length,
            )
        )

    def _framing(self, version: str, headers: Headers) -> int | None:
        """How long the body is; None where it comes in chunks."""
        if version not in ("1.1", "1.0"):
            self._fault = f"HTTP/{version} is not spoken here"
        if "transfer-encoding" in headers:
            # HTTP-2: what two parsers may frame differently.
            if (
                version != "1.1"
                or "content-length" in headers
                or [value.lower() for value in headers.all("transfer-encoding")] != ["chunked"]
            ):
                self._fault = "the framing of the body has two readings"
            return None
        return int(headers.get("content-length") or 0)

    def on_body(self, data: bytes) -> None:
        if self._fault is not None:
            return
        self._between = 0
        if self._left is not None:
            self._left -= len(data)
        self._receiver.piece(data)

    def on_message_complete(self) -> None:
        # A request to upgrade ends here for the parser, though its body has yet to come.
        if self._fault is None and not (self._upgrade and self._left):
            self._end()


def _too_long(target: bytes, fields: list[tuple[bytes, bytes]]) -> bool:
    return len(target) > LINE_MAX or any(
        len(name) + len(value) > LINE_MAX for name, value in fields
    )
