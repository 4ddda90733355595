"""
Answers on a client's connection: head and first bytes in one piece, the rest as the client takes it.

Source: RFC 9112 section 9.6 (closing a connection).
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.message import Answer, Body, Pairs
from gateway.server.inbound import ClientGone

if TYPE_CHECKING:
    from gateway.server.inbound import Inbound, Line

CLIENT_CLOSED = 499  # what the audit line says of a client that left; nginx's number for it
SERVER_NAME = "s3-auth-gateway"
_STARTS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Sent(web.StreamResponse):
    """Tells aiohttp that the answer has been written, and whether the connection goes on."""

    def __init__(self, status: int, *, keep_alive: bool) -> None:
        super().__init__(status=status)
        self._keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


_DONE: dict[tuple[int, bool], Sent] = {}


def _sent(status: int, keep_alive: bool) -> Sent:
    done = _DONE.get((status, keep_alive))
    if done is None:
        done = _DONE[status, keep_alive] = Sent(status, keep_alive=keep_alive)
    return done


def cut(inbound: Inbound) -> None:
    """Ends the connection where it stands, so that nothing on it looks whole."""
    inbound.keep = False
    if inbound.line.transport is not None:
        inbound.line.transport.abort()


def http_date(now: datetime) -> str:
    """RFC 9110's date, made once a second."""
    global _date
    second = int(now.timestamp())
    if _date[0] != second:
        _date = (second, format_datetime(now, usegmt=True))
    return _date[1]


_date: tuple[int, str] = (0, "")


def render_head(status: int, headers: Pairs, *, extra: str = "") -> bytes:
    """
    Status line and header fields as bytes. Raises ValueError for a field with a line break.

    `extra` is complete lines of our own making.
    """
    text = "\r\n".join(map(": ".join, headers))
    # One comparison instead of a search in each value: no field may bring its own line.
    breaks = max(len(headers) - 1, 0)
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise ValueError("a header field holds a line break")
    if text:
        text += "\r\n"
    start = _STARTS.get(status) or f"HTTP/1.1 {status} Unknown\r\n"
    return f"{start}{text}{extra}\r\n".encode("utf-8", "surrogateescape")


async def send(inbound: Inbound, answer: Answer, *, extra: str, count: list[int]) -> Sent:
    """
    Writes the answer; `count[0]` is raised by each body byte that was handed to the connection.

    Raises ClientGone; whatever the body raises comes out after the connection was cut, so that a
    short object never looks whole (AIO-16).
    """
    head, body, read = answer.head, answer.body, inbound.read
    status = head.status
    keep = inbound.stays
    bodyless = read.method == "HEAD" or status in (204, 304)
    length = body.length
    chunked = False
    if not bodyless:
        if length is not None:
            if "content-length" not in head.headers:
                extra += f"content-length: {length}\r\n"
        elif read.version == "1.1":
            chunked = True
            extra += "transfer-encoding: chunked\r\n"
        else:
            keep = False
    if not keep:
        extra += "connection: close\r\n"
    elif read.version != "1.1":
        extra += "connection: keep-alive\r\n"
    start = render_head(status, head.headers.pairs, extra=extra)
    inbound.keep = keep
    line = inbound.line
    transport = line.transport
    try:
        if transport is None or transport.is_closing():
            raise ClientGone
        if bodyless:
            inbound.written = True
            transport.write(start)
        elif (whole := body.whole()) is not None:
            if length is not None and len(whole) != length:
                cut(inbound)
                raise ValueError("a body does not have its stated length")
            inbound.written = True
            transport.write(start + (_chunk(whole) + _LAST if chunked else whole))
            count[0] += len(whole)
            if line.writing_paused:
                await line.drain()
        else:
            inbound.written = True
            transport.write(start)
            await _stream(line, transport, body, length, chunked, count)
    finally:
        await body.close()
    return _sent(status, keep)


_LAST = b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


async def _stream(
    line: Line,
    transport: asyncio.Transport,
    body: Body,
    length: int | None,
    chunked: bool,
    count: list[int],
) -> None:
    done = 0
    whole = False
    # Of a stream one piece waits in memory and no second one, however slow the client is. Not 0:
    # over TLS a buffer of 0 bytes counts as full then, and writing never goes on.
    transport.set_write_buffer_limits(high=1, low=0)
    try:
        async for data in body:
            if transport.is_closing():
                raise ClientGone
            if chunked:
                transport.write(b"%x\r\n" % len(data))
                transport.write(data)
                transport.write(b"\r\n")
            else:
                transport.write(data)
            done += len(data)
            count[0] += len(data)
            if line.writing_paused:
                await line.drain()
        if length is not None and done != length:
            raise ValueError("a body does not have its stated length")
        whole = True
    finally:
        if not whole:
            transport.abort()
    if chunked:
        transport.write(_LAST)
