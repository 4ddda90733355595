"""
A request as it came, and its body while it comes.

Reading a body for the first time is what invites it (EXP-1); a client that sends nothing for too
long, or too little, is given up (DOS-2).

Source: RFC 9110 section 10.1.1 (Expect).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol, final

from gateway.message import Body, RequestHead
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error

if TYPE_CHECKING:
    from gateway.server.exchange import Exchange
    from gateway.server.reader import Read
    from gateway.upstream.deadline import Deadline

RATE_WINDOW = 60.0  # seconds over which a body's rate is averaged, and from which it is asked
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ClientGone(Exception):
    """The client closed the connection, or stopped taking or sending bytes."""


class Line(Protocol):
    """What a request needs of its connection."""

    transport: asyncio.Transport | None
    deadline: Deadline
    peer: str | None
    """Address at the other end; None for a unix socket."""
    secure: bool
    """TLS ends here."""
    closing: bool
    """No request is taken after this one."""

    @property
    def writing_paused(self) -> bool: ...

    async def drain(self) -> None:
        """Until the client has taken what was written. Raises ClientGone."""

    def taken(self) -> None:
        """Some of what was waiting has been read."""


@final
class ClientBody(Body):
    """The body of a request as it arrives; read once."""

    __slots__ = (
        "_error",
        "_expected",
        "_line",
        "_pieces",
        "_waiter",
        "arrived",
        "count",
        "ended",
        "length",
        "min_rate",
        "silence",
        "waiting",
    )

    def __init__(self, line: Line, length: int | None, *, expected: bool) -> None:
        self.length = length
        self.arrived = 0
        """Bytes that have come."""
        self.count = 0
        """Bytes read so far."""
        self.waiting = 0
        """Bytes that have come and were not read yet."""
        self.ended = False
        """All of it has come."""
        self.silence = 60.0
        """Seconds without a byte after which the client is given up."""
        self.min_rate = 0
        """Bytes a second that are expected of it."""
        self._line = line
        self._expected = expected
        self._pieces: deque[bytes] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    # From the connection

    def feed(self, data: bytes) -> None:
        """More has come."""
        self.arrived += len(data)
        if self._error is None:
            self._pieces.append(data)
            self.waiting += len(data)
            self._wake()

    def end(self) -> None:
        """That was all."""
        self.ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """No more will come, or be of use: who reads on gets `error`. What waits is forgotten."""
        if self._error is None:
            self._error = error
            self._pieces.clear()
            self.waiting = 0
            self._wake()

    def late(self) -> bool:
        """The time to send something has passed: whether anybody waits for it."""
        if self._waiter is None:
            return False
        self.fail(S3Error(s3.REQUEST_TIMEOUT, close=True))
        return True

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # From whoever reads it

    def whole(self) -> bytes | None:
        if not self.ended or self.count or self._error is not None:
            return None
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.count = len(data)
        self.waiting = 0
        self._line.taken()
        return data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._each()

    def iter_any(self) -> AsyncIterator[bytes]:
        """The same by the name that aiohttp's bodies have for it."""
        return self._each()

    async def _each(self) -> AsyncIterator[bytes]:
        self._invite()
        loop = asyncio.get_running_loop()
        began, before = loop.time(), 0
        while data := await self._next(loop):
            self.count += len(data)
            asked = loop.time()
            yield data
            # What our own side took to take the bytes is not the client's slowness.
            began += loop.time() - asked
            if asked - began > RATE_WINDOW:
                if self.count - before < self.min_rate * RATE_WINDOW:
                    raise S3Error(s3.REQUEST_TIMEOUT, close=True)
                began, before = loop.time(), self.count

    @property
    def awaited(self) -> bool:
        """The client waits to be invited before it sends its body (EXP-1), and was not."""
        return self._expected and not self.arrived and not self.ended

    def _invite(self) -> None:
        # EXP-3: where something has come, no invitation is needed.
        transport = self._line.transport
        if self.awaited and transport is not None:
            self._expected = False
            transport.write(_CONTINUE)

    async def _next(self, loop: asyncio.AbstractEventLoop) -> bytes:
        """The next piece; b"" at the end."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.ended:
                return b""
            self._waiter = loop.create_future()
            self._line.deadline.set(self.silence)
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._line.deadline.clear()
        data = self._pieces.popleft()
        self.waiting -= len(data)
        self._line.taken()
        return data


@final
class Inbound:
    """One request: its head as it was read, its body, and what is found out on the way."""

    __slots__ = ("body", "exchange", "head", "keep", "line", "read", "written")

    head: RequestHead
    """As the core sees it; set by `begin`."""
    exchange: Exchange

    def __init__(self, line: Line, read: Read, body: ClientBody) -> None:
        self.line = line
        self.read = read
        self.body = body
        self.keep = read.keep_alive
        """The connection may be used again after the answer."""
        self.written = False
        """Something of an answer has gone."""

    def begin(self, head: RequestHead, exchange: Exchange) -> None:
        """The head is understood."""
        self.head = head
        self.exchange = exchange

    @property
    def stays(self) -> bool:
        """Whether the connection goes on after an answer that is written now."""
        # EXP-2: not where something of the body is still on its way.
        return self.keep and self.body.ended and not self.line.closing


def body_of(inbound: Inbound) -> Body:
    """The request's body."""
    body = inbound.body
    if not body.ended:
        limits = inbound.exchange.snapshot.config.server
        body.silence = limits.body_timeout.total_seconds()
        body.min_rate = limits.body_min_rate
    return body
