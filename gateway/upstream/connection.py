"""
One HTTP/1.1 connection to an upstream: one exchange at a time.

Bytes are read into one buffer that all connections share and copied out once. One deadline a
connection watches whatever is awaited next.

INVARIANT: an exchange ends cleanly (the whole request sent, the whole answer read, not a byte
more) or the connection is closed; `released` is called in the first case only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, final

from gateway.errors import (
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.message import NO_BODY, Answer, Body, BytesBody
from gateway.upstream import Endpoint
from gateway.upstream.answer import AnswerReader
from gateway.upstream.deadline import Deadline
from gateway.upstream.framing import offered_seconds

READ_SIZE: Final = 128 * 1024
"""Bytes read at once: beyond it the memory of many streams costs more than wake-ups save."""
HIGH_WATER: Final = 64 * 1024
"""Bytes held for a slow reader before the upstream is made to wait; one read more at most."""
AT_ONCE: Final = 64 * 1024
"""Bytes of a body that is waited for before its head is handed over: one wake-up instead of two,
and a small object that breaks off is an error, not half an answer."""
KEPT_IDLE: Final = 15.0
"""Seconds an unused connection is kept: below what S3 servers and balancers keep theirs."""


class Stale(UpstreamUnavailable):
    """A connection that had been idle was closed before it brought a byte of the answer."""


@final
class Incoming(Body):
    """The body of an answer while it arrives. Closing it before its end cuts the connection."""

    __slots__ = ("_chunks", "_connection", "_ended", "_error", "_waiter", "length", "size")

    def __init__(self, connection: Connection, length: int | None) -> None:
        self.length = length
        self.size = 0
        """Bytes that are here and not yet taken."""
        self._chunks: deque[bytes] = deque()
        self._connection: Connection | None = connection
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self.size += len(data)
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        """No more will come: the body is whole, or `error` says why it is not."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._connection = None
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            if self._connection is not None:
                # Not before: what was taken last may still wait in memory for a slow client.
                self._connection.taken()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = self._chunks.popleft()
        self.size -= len(data)
        return data

    def whole(self) -> bytes | None:
        if not self._ended or self._error is not None:
            return None
        data = b"".join(self._chunks)
        self._chunks.clear()
        self.size = 0
        return data

    async def close(self) -> None:
        self._chunks.clear()
        self.size = 0
        connection = self._connection
        if connection is not None:
            self.end(UpstreamUnavailable("the answer was closed before its end"))
            connection.abort()


@final
class Connection(asyncio.BufferedProtocol):
    """What stands at our end of one socket; made and owned by a pool."""

    __slots__ = (
        "_answer",
        "_buffer",
        "_deadline",
        "_drained",
        "_endpoint",
        "_error",
        "_incoming",
        "_loop",
        "_lost",
        "_paused",
        "_reader",
        "_reading",
        "_released",
        "_reused",
        "_sent",
        "_transport",
        "idle_since",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        buffer: memoryview,
        *,
        released: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self.idle_since = 0.0
        """Loop time when the last exchange ended."""
        self._endpoint = endpoint
        self._buffer = buffer
        self._released = released
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reading = AnswerReader()
        self._reader: AnswerReader | None = None
        """Of the exchange that goes on; None between two."""
        self._answer: asyncio.Future[Answer] | None = None
        self._incoming: Incoming | None = None
        self._drained: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._deadline = Deadline(self._loop, self._late)
        self._paused = self._reused = self._sent = False

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    # -- the request ---------------------------------------------------------------------------

    def begin(self, method: str, data: bytes, *, whole: bool) -> asyncio.Future[Answer]:
        """Writes `data`, the `whole` request or its head; the future brings the answer."""
        assert self._transport is not None
        self._reader = reader = self._reading
        reader.begin(method)
        self._sent = whole
        self._answer = answer = self._loop.create_future()
        self._transport.write(data)
        self._deadline.set(self._endpoint.head_timeout)
        return answer

    async def send_body(self, body: Body) -> None:
        """The body after its head, as fast as the upstream takes it. Raises what the body raises."""
        length = body.length
        sent = 0
        self._deadline.clear()  # how fast the client sends is not the upstream's fault
        async for data in body:
            sent += len(data)
            if length is None:
                if data:  # a chunk of no bytes would be the last
                    await self._write(b"%x\r\n" % len(data), data, b"\r\n")
            elif sent > length:
                raise ValueError(f"body is longer than its {length} bytes")
            else:
                await self._write(data)
        if length is None:
            await self._write(b"0\r\n\r\n")
        elif sent != length:
            raise ValueError(f"body of {length} bytes ended after {sent}")
        self._sent = True
        self._deadline.set(self._endpoint.head_timeout)

    async def _write(self, *parts: bytes) -> None:
        if self._transport is None:
            raise self._error or UpstreamUnavailable("connection is closed")
        if len(parts) == 1:
            self._transport.write(parts[0])
        else:
            self._transport.writelines(parts)
        if self._drained is not None:
            self._deadline.set(self._endpoint.idle_timeout)
            await self._drained
            self._deadline.clear()

    def pause_writing(self) -> None:
        if self._drained is None:
            self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # -- the answer ----------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        reader = self._reader
        if reader is None:
            # Whoever reads on may take these for the answer to the next request.
            self.abort(UpstreamProtocolError("upstream spoke without being asked"))
            return
        try:
            reader.feed(self._buffer[:nbytes])
        except UpstreamProtocolError as fault:
            self.abort(fault)
            return
        if reader.complete:
            self._finish(reader)
        elif reader.head is None:
            pass  # the time for a head is for all of it
        elif reader.length is not None and reader.length <= AT_ONCE:
            self._deadline.set(self._endpoint.idle_timeout)
        else:
            self._pass_on(reader)

    def _pass_on(self, reader: AnswerReader) -> None:
        """Gives what has arrived to whoever waits for it."""
        incoming = self._incoming
        if incoming is None:
            self._incoming = incoming = Incoming(self, reader.length)
            self._hand_over(reader, incoming)
        for piece in reader.pieces:
            incoming.feed(piece)
        reader.pieces.clear()
        if incoming.size >= HIGH_WATER:
            self._hold()
        else:
            self._deadline.set(self._endpoint.idle_timeout)

    def _hand_over(self, reader: AnswerReader, body: Body) -> None:
        answer, self._answer = self._answer, None
        assert reader.head is not None
        if answer is not None and not answer.done():
            answer.set_result(Answer(head=reader.head, body=body))

    def _finish(self, reader: AnswerReader) -> None:
        """The answer is whole: hands it over, and the connection back or to its end."""
        # Whoever cancelled their request is about to abort this connection: nobody may get it.
        abandoned = self._answer is not None and self._answer.cancelled()
        incoming, self._incoming = self._incoming, None
        if incoming is None:
            pieces = reader.pieces
            self._hand_over(reader, BytesBody(b"".join(pieces)) if pieces else NO_BODY)
        else:
            for piece in reader.pieces:
                incoming.feed(piece)
            incoming.end()
        self._reader = None
        if self._paused:
            self._go_on()
        if reader.stays and self._sent and not reader.extra and not abandoned and self.usable:
            self._rest(reader)
        else:
            self.abort()

    def _rest(self, reader: AnswerReader) -> None:
        assert reader.head is not None
        offered = offered_seconds(reader.head.headers)
        self._deadline.set(KEPT_IDLE if offered is None else min(KEPT_IDLE, offered - 1))
        self._reused = True
        self.idle_since = self._loop.time()
        self._released(self)

    def _hold(self) -> None:
        if not self._paused and self._transport is not None:
            self._transport.pause_reading()
            self._paused = True
        self._deadline.clear()  # it is we who are silent now

    def _go_on(self) -> None:
        self._paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    def taken(self) -> None:
        """The reader of the answer has taken all that was here, and wants more."""
        if self._paused and self._incoming is not None:
            self._go_on()
            self._deadline.set(self._endpoint.idle_timeout)

    # -- the socket ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # uvloop's is not asyncio's class

    def eof_received(self) -> bool:
        if self._reader is not None and self._reader.end():
            self._finish(self._reader)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.stop()
        self._fail(self._error or self._broken(exc))
        self._transport = self._reader = None
        self._reading.close()
        self.resume_writing()
        self._lost(self)

    def _broken(self, exc: Exception | None) -> UpstreamError:
        why = f"{self._endpoint.authority} closed the connection" + (f": {exc}" if exc else "")
        if self._reader is not None and self._reader.head is not None:
            return UpstreamProtocolError(f"{why} in the middle of a body")
        if self._reused and self._reader is not None and not self._reader.spoke:
            return Stale(why)
        return UpstreamUnavailable(why)

    def abort(self, error: Exception | None = None) -> None:
        """Closes at once; `error` is what those who still wait are told."""
        self._error = self._error or error
        if self._transport is not None:
            self._transport.abort()
        if error is not None:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        answer, incoming = self._answer, self._incoming
        self._answer = self._incoming = None
        if answer is not None and not answer.done():
            answer.set_exception(error)
        if incoming is not None:
            incoming.end(error)

    # -- time ----------------------------------------------------------------------------------

    def _late(self) -> None:
        if self._reader is None:
            self.abort()  # idle long enough
        else:
            where = "before an answer" if self._reader.head is None else "in the middle of a body"
            self.abort(UpstreamTimeout(f"{self._endpoint.authority} is silent {where}"))
