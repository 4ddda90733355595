"""
What an upstream's bytes mean: a head, pieces of a body, an end, or a broken rule.

Heads and chunks go through httptools' parser (llhttp, strict); a body of known length is only
counted. Nothing here knows a socket, so that any bytes, cut anywhere, can be tried on it.

INVARIANT: `complete` is only ever set where the framing of the head says that the body is whole;
whatever comes after that is `extra` and ends the connection.
"""

from __future__ import annotations

from typing import Final, final

import httptools

from gateway.errors import UpstreamProtocolError
from gateway.message import Headers, Names, ResponseHead
from gateway.upstream.framing import (
    FIELDS_MAX,
    HEAD_MAX,
    INTERIM_MAX,
    LINE_MAX,
    Framing,
    answer_framing,
    stays_open,
)

_NAMES: Final = Names(
    (
        "Accept-Ranges",
        "Cache-Control",
        "Connection",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
        "Content-Length",
        "Content-Range",
        "Content-Type",
        "Date",
        "ETag",
        "Expires",
        "Last-Modified",
        "Server",
        "Transfer-Encoding",
        "x-amz-bucket-region",
        "x-amz-id-2",
        "x-amz-request-id",
        "x-amz-server-side-encryption",
        "x-amz-version-id",
    )
)
"""Spellings seen in nearly every answer. Fixed: an upstream must not grow it."""


@final
class AnswerReader:
    """Reads one answer after the other. Feed it until `complete`, take `pieces` on the way."""

    __slots__ = (
        "_between",
        "_fault",
        "_fields",
        "_framing",
        "_interim",
        "_left",
        "_method",
        "_parser",
        "_ready",
        "complete",
        "extra",
        "head",
        "length",
        "pieces",
        "spoke",
        "stays",
    )

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = None
        self._ready = False
        """The parser stands before an answer."""
        # What follows is never taken back: it ends the connection.
        self.extra = False
        """Bytes came after the end."""
        self.stays = True
        """The upstream will take another request on this connection."""
        self._fault: UpstreamProtocolError | None = None

    def begin(self, method: str) -> None:
        """An answer to `method` comes next."""
        self.head: ResponseHead | None = None
        self.length: int | None = None
        """Bytes of the body; None where only its end tells."""
        self.pieces: list[bytes] = []
        """Of the body, since whoever reads last emptied it."""
        self.complete = False
        self.spoke = False
        """At least one byte has come."""
        self._method = method
        if not self._ready:
            self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._framing = Framing.NOTHING
        self._left = 0
        self._between = 0
        self._interim = 0

    def close(self) -> None:
        """Nothing more is read: parser and reader hold each other no longer."""
        self._ready = False
        self._parser = None

    def feed(self, data: memoryview) -> None:
        """Takes some bytes, and copies what it keeps. Raises UpstreamProtocolError."""
        if self.complete:
            self.extra = True
        elif self.head is not None and self._framing is Framing.LENGTH:
            self._count(data)
        else:
            self._parse(data)

    def end(self) -> bool:
        """The connection has ended: whether that ends the answer as it should."""
        if self.head is not None and self._framing is Framing.CLOSE:
            self.complete = True
            self.stays = False
        return self.complete

    def _count(self, data: memoryview) -> None:
        if len(data) > self._left:
            self.extra = True
            data = data[: self._left]
        self._left -= len(data)
        self.pieces.append(bytes(data))
        self.complete = not self._left

    def _parse(self, data: memoryview) -> None:
        self.spoke = True
        # Before a head and between pieces of a body only so much may pass that is no piece: one
        # endless line, chunk extensions, trailers. Else we are fed for ever with nothing.
        self._between += len(data)
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._blame("upstream changed the protocol")
        except httptools.HttpParserError as error:
            self.extra = True
            if not self.complete:
                self._blame(f"answer is not HTTP: {error}")
        if not self.complete:
            if self._between > HEAD_MAX:
                self._blame("too much between two pieces of an answer")
            if self._fault is not None:
                raise self._fault

    def _blame(self, what: str) -> None:
        self._fault = self._fault or UpstreamProtocolError(what)

    # What the parser calls. It goes on after an exception, so faults are noted, not raised.

    def on_message_begin(self) -> None:
        self._ready = False
        if self.complete:
            self.extra = True

    def on_header(self, name: bytes, value: bytes) -> None:
        # Also of a trailer, or of an answer after the answer: nobody looks at those.
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self.head is not None or self._fault is not None:
            return
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        version = parser.get_http_version()
        fields, self._fields = self._fields, []
        # All that came is short enough, nearly always.
        if len(fields) > FIELDS_MAX or (self._between > LINE_MAX and _too_long(fields)):
            self._blame("head is too long")
            return
        # Bytes that are not UTF-8 stay visible, for the core to leave out.
        headers = Headers(_NAMES.read(fields, "surrogateescape"))
        if 100 <= status < 200 and status != 101:
            self._skip_interim(headers)
            return
        try:
            self._framing = answer_framing(self._method, status, version, headers)
        except UpstreamProtocolError as fault:
            self._fault = fault
            return
        self.head = ResponseHead(status=status, headers=headers)
        self.stays = stays_open(version, headers)
        if self._framing is Framing.LENGTH:
            self.length = self._left = int(headers["content-length"])
        elif self._framing is Framing.NOTHING:
            self.length = 0
        self.complete = self.length == 0

    def _skip_interim(self, headers: Headers) -> None:
        self._interim += 1
        if self._interim > INTERIM_MAX:
            self._blame("too many interim answers")
        elif "content-length" in headers or "transfer-encoding" in headers:
            self._blame("an interim answer has a body")

    def on_body(self, data: bytes) -> None:
        if self.complete:
            self.extra = True
            return
        self._between = 0
        self.pieces.append(data)
        if self._framing is Framing.LENGTH:
            self._left -= len(data)
            self.complete = not self._left

    def on_message_complete(self) -> None:
        self._ready = True
        if self.head is not None and self._framing is not Framing.CLOSE:
            self.complete = True


def _too_long(fields: list[tuple[bytes, bytes]]) -> bool:
    sizes = [len(name) + len(value) for name, value in fields]
    return sum(sizes) > HEAD_MAX or max(sizes, default=0) > LINE_MAX
