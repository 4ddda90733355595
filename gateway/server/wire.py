"""
Bodies and answers on aiohttp's connection, without a layer in between.

aiohttp parses requests and keeps the connection; S3 answers are written here, head and first
bytes in one piece. Reading a request's body for the first time is what invites it (EXP-1).

Sources: RFC 9110 section 10.1.1 (Expect), RFC 9112 section 9.6 (closing a connection).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, cast

from aiohttp import web

from gateway.message import Answer, Body, Pairs
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error

if TYPE_CHECKING:
    from gateway.server.exchange import Request

CLIENT_SILENCE = 60.0  # seconds without a byte taken before a client is given up (DOS-2)
RATE_WINDOW = 60.0  # seconds over which a body's rate is averaged, and from which it is asked
CLIENT_CLOSED = 499  # what the audit line says of a client that left; nginx's number for it
SERVER_NAME = "s3-auth-gateway"
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ClientGone(Exception):
    """The client closed the connection, or stopped taking or sending bytes."""


class _Connection(Protocol):
    """What we use of aiohttp's protocol object."""

    transport: asyncio.Transport | None
    _paused: bool

    async def _drain_helper(self) -> None: ...


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


def cut(request: web.BaseRequest) -> web.StreamResponse:
    """Ends the connection where it stands, so that nothing on it looks whole."""
    transport = request.transport
    if transport is not None:
        transport.abort()
    return _sent(CLIENT_CLOSED, False)


class ClientBody(Body):
    """The body of a request as it arrives; read once."""

    __slots__ = ("_request", "count", "length")

    def __init__(self, request: Request, length: int | None) -> None:
        self._request = request
        self.length = length
        self.count = 0
        """Bytes read so far."""

    def whole(self) -> bytes | None:
        content = self._request.content
        if not content.is_eof() or self.count:
            return None
        data = content.read_nowait(-1)
        self.count = len(data)
        if self.length is not None and self.count < self.length:
            raise S3Error(s3.INCOMPLETE_BODY)
        return data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._request.content
        invite(self._request)
        limits = self._request.exchange.snapshot.config.server
        silence = limits.body_timeout.total_seconds()
        loop = asyncio.get_running_loop()
        began, before = loop.time(), 0
        while True:
            try:
                async with asyncio.timeout(silence):
                    chunk = await content.readany()
            except TimeoutError:
                raise S3Error(s3.REQUEST_TIMEOUT, close=True) from None
            except (ConnectionError, web.RequestPayloadError) as fault:
                raise ClientGone from fault
            if not chunk:
                break
            self.count += len(chunk)
            asked = loop.time()
            yield chunk
            # What our own side took to take the bytes is not the client's slowness.
            began += loop.time() - asked
            if asked - began > RATE_WINDOW:
                if self.count - before < limits.body_min_rate * RATE_WINDOW:
                    raise S3Error(s3.REQUEST_TIMEOUT, close=True)
                began, before = loop.time(), self.count
        if self.length is not None and self.count < self.length:
            raise S3Error(s3.INCOMPLETE_BODY, close=True)


def body_of(request: Request) -> Body:
    """The request's body. Raises S3Error (InvalidArgument) for an expectation we do not know."""
    expect = request.head.headers.get("expect")
    if expect is not None and expect.lower() != "100-continue":
        raise S3Error(s3.EXPECTATION_FAILED)
    declared = request.head.headers.get("content-length")
    return ClientBody(request, int(declared) if declared is not None else _unknown(request))


def _unknown(request: Request) -> int | None:
    return None if "transfer-encoding" in request.head.headers else 0


def invite(request: Request) -> None:
    """Sends `100 Continue` where the client waits for it and nothing of the body has come (EXP-1, EXP-3)."""
    transport = request.transport
    if transport is not None and request.awaited:
        request.invited()
        transport.write(_CONTINUE)


def end(request: Request) -> None:
    """
    Ends the connection at once where nobody will send what was not read: it is not waited for.

    Otherwise the rest of a body is read for a while, so that its sender comes to read the refusal.
    """
    if request.awaited:
        request.protocol._lingering_time = 0


def unread(request: Request) -> bool:
    """Something of the request's body has not been read."""
    return not request.content.is_eof()


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
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    text = "".join(lines)
    # One comparison instead of a search in each value: no field may bring its own line.
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise ValueError("a header field holds a line break")
    return (text + extra + "\r\n").encode("utf-8", "surrogateescape")


async def send(request: Request, answer: Answer, *, extra: str, count: list[int]) -> Sent:
    """
    Writes the answer; `count[0]` is raised by each body byte that was handed to the connection.

    Raises ClientGone; whatever the body raises comes out after the connection was cut, so that a
    short object never looks whole (AIO-16).
    """
    status = answer.head.status
    keep = bool(request.keep_alive) and not request.closing and not unread(request)
    bodyless = request.method == "HEAD" or status in (204, 304)
    length = answer.body.length
    headers = answer.head.headers.pairs
    chunked = False
    if not bodyless:
        if length is not None:
            if "content-length" not in answer.head.headers:
                extra += f"content-length: {length}\r\n"
        elif request.version >= (1, 1):
            chunked = True
            extra += "transfer-encoding: chunked\r\n"
        else:
            keep = False
    if not keep:
        extra += "connection: close\r\n"
    elif request.version < (1, 1):
        extra += "connection: keep-alive\r\n"
    head = render_head(status, headers, extra=extra)
    connection = cast(_Connection, request.protocol)
    transport = connection.transport
    try:
        if transport is None or transport.is_closing():
            raise ClientGone
        if bodyless:
            transport.write(head)
        elif (whole := answer.body.whole()) is not None:
            if length is not None and len(whole) != length:
                transport.abort()
                raise ValueError("a body does not have its stated length")
            transport.write(head + (_chunk(whole) + _LAST if chunked else whole))
            count[0] += len(whole)
            if connection._paused:
                await _drain(connection)
        else:
            transport.write(head)
            await _stream(connection, transport, answer.body, length, chunked, count)
    finally:
        await answer.body.close()
    return _sent(status, keep)


_LAST = b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


async def _stream(
    connection: _Connection,
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
            if connection._paused:
                await _drain(connection)
        if length is not None and done != length:
            raise ValueError("a body does not have its stated length")
        whole = True
    finally:
        if not whole:
            transport.abort()
    if chunked:
        transport.write(_LAST)


async def _drain(connection: _Connection) -> None:
    try:
        async with asyncio.timeout(CLIENT_SILENCE):
            await connection._drain_helper()
    except TimeoutError:
        raise ClientGone from None
    except ConnectionError as fault:
        raise ClientGone from fault
