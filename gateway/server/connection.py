"""
One connection of a client: its requests in order, one at a time; and all connections together.

Bytes are read on while a request is served, so that a client that leaves is noticed, but no more
of a body, and no more requests, than a bound: then the client's sending is paused. A client has
`header_timeout` for a whole head, however it drips (DOS-1), and as long for its next request.
After an answer to a request whose body was not read, the rest is taken and forgotten for a
moment, so that the answer arrives, and then the connection ends (EXP-2).

Source: RFC 9112 section 9.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from typing import Any, Final, Protocol, cast, final

from aiohttp.base_protocol import BaseProtocol
from aiohttp.tcp_helpers import tcp_keepalive

from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error
from gateway.server.inbound import ClientBody, ClientGone, Inbound, Line
from gateway.server.reader import Read, RequestReader, Unreadable
from gateway.upstream.deadline import Deadline

log = logging.getLogger("gateway.http")

READ_SIZE: Final = 256 * 1024  # bytes of a body that wait for us; then the client's sending pauses
PIPELINED: Final = 16  # requests that wait for their turn, and what the same bytes hold beside
CLIENT_SILENCE: Final = 60.0  # seconds without a byte taken before a client is given up (DOS-2)
LINGER: Final = 2.0  # seconds in which the rest of a refused body is read (AIO-17)
EXCESS: Final = 256 * 1024  # bytes that may follow what could not be read (HTTP-5)
CUT: Final = 1.0  # seconds for what was cancelled to end


class Handler(Protocol):
    """Who answers."""

    async def handle(self, inbound: Inbound) -> None:
        """Answers a request; says by `inbound.keep` whether the connection may go on."""

    def unreadable(self, line: Line) -> bytes:
        """The answer to what could not be read as HTTP."""


@final
class Connection(BaseProtocol):
    """
    What stands at our end of one socket.

    aiohttp's protocol gives its own answers, those of pages and of the API, a way to be written.
    """

    __slots__ = (
        "_body",
        "_clients",
        "_current",
        "_deaf",
        "_excess",
        "_fault",
        "_held",
        "_holding",
        "_idle",
        "_nothing",
        "_read",
        "_waiting",
        "closing",
        "deadline",
        "peer",
        "peername",
        "secure",
        "sockname",
        "ssl_context",
        "task",
    )

    def __init__(self, clients: Clients, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.closing = False
        self.deadline = Deadline(loop, self._late)
        self.peer: str | None = None
        self.secure = False
        self.peername: Any = None
        self.sockname: Any = None
        self.ssl_context: ssl.SSLContext | None = None
        self.task: asyncio.Task[None] | None = None
        """Serves the requests, from the first one on."""
        self._clients = clients
        self._read = RequestReader(self)
        self._waiting: deque[Inbound] = deque()
        self._current: Inbound | None = None
        self._body: ClientBody | None = None
        """Of the request that was read last."""
        self._nothing = ClientBody(self, 0, expected=False)
        """The body of every request that has none: nothing in it changes while we are here."""
        self._nothing.end()
        self._held = b""
        """Has come and is not read yet: enough requests wait."""
        self._holding = False
        self._deaf = False
        """What comes is thrown away."""
        self._fault: Unreadable | None = None
        self._excess = 0
        self._idle: asyncio.Future[None] | None = None

    # -- the socket ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        tcp_keepalive(cast(asyncio.Transport, transport))
        self.peername = transport.get_extra_info("peername")
        self.sockname = transport.get_extra_info("sockname")
        self.ssl_context = transport.get_extra_info("sslcontext")
        self.secure = self.ssl_context is not None
        if isinstance(self.peername, tuple):
            self.peer = str(self.peername[0])
        self._clients.connections.add(self)
        self.deadline.set(self._clients.header_timeout)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._forget(len(data))
            return
        if self._held:  # reading is paused, and this was on its way
            self._held += data
        else:
            self._take(data)
        if self._waiting or self._fault is not None:
            self._wake()

    def _forget(self, size: int) -> None:
        """Of what cannot be read a little more is taken, so that its sender sees the refusal."""
        if self._fault is not None:
            self._excess += size
            if self._excess > EXCESS:
                self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._deaf = True
        self.deadline.stop()
        self._read.close()
        self._clients.connections.discard(self)
        if self._body is not None:
            self._body.fail(ClientGone())
        if self.task is not None:
            self.task.cancel()
        super().connection_lost(exc)

    # -- what is read --------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        try:
            while data and len(self._waiting) < PIPELINED:
                data = self._read.feed(data)
        except Unreadable as fault:
            data = b""
            self._broken(fault)
        self._held = data
        self._balance()

    def _broken(self, fault: Unreadable) -> None:
        """Nothing more is read here: who is not understood once is not listened to again."""
        self._deaf = True
        body = self._body
        if body is not None and not body.ended:
            body.fail(S3Error(s3.INVALID_REQUEST, "The body cannot be read.", close=True))
        elif self._waiting and not self._waiting[-1].keep:
            pass  # RFC 9112 section 9.6: whatever follows the last request is not looked at
        elif not self._waiting and self._current is not None and not self._current.keep:
            pass
        else:
            self._fault = fault

    def begin(self, read: Read) -> None:
        if read.length == 0:
            body = self._nothing
        else:
            asked = read.headers.get("expect")
            expected = (
                asked is not None and asked.lower() == "100-continue" and read.version == "1.1"
            )
            body = ClientBody(self, read.length, expected=expected)
        self._body = body
        self._waiting.append(Inbound(self, read, body))

    def piece(self, data: bytes) -> None:
        assert self._body is not None
        self._body.feed(data)

    def end(self) -> None:
        assert self._body is not None
        self._body.end()

    def taken(self) -> None:
        if self._holding:
            self._take(self._held)

    def _balance(self) -> None:
        """Lets the client send, or not."""
        body = self._body
        full = bool(self._held) or (body is not None and body.waiting >= READ_SIZE)
        if full is not self._holding:
            self._holding = full
            if full:
                self._pause_transport_reading()
            else:
                self._resume_transport_reading()

    # -- requests in their order ---------------------------------------------------------------

    def _wake(self) -> None:
        if self.task is None:
            self.task = self._loop.create_task(self._serve())
        elif self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def _serve(self) -> None:
        handler = self._clients.handler
        try:
            while (inbound := await self._next()) is not None:
                self._current = inbound
                await handler.handle(inbound)
                if not inbound.stays:
                    # Who waits to be invited sends nothing that would have to be taken.
                    if not inbound.body.ended and not inbound.body.awaited:
                        await self._linger()
                    return
                self._current = None
                self.deadline.set(self._clients.header_timeout)
            if self._fault is not None and self.transport is not None:
                log.debug("request could not be read", extra={"problem": str(self._fault)})
                self.transport.write(handler.unreadable(self))
                await self._linger()
        except Exception:
            log.exception("a connection failed")
            if self.transport is not None:
                self.transport.abort()
        finally:
            self._current = None
            if self.transport is not None:
                self.transport.close()

    async def _next(self) -> Inbound | None:
        """The next request; None where there will be none."""
        while not self._waiting:
            if self._fault is not None or self.closing or self.transport is None:
                return None
            self._idle = self._loop.create_future()
            try:
                await self._idle
            finally:
                self._idle = None
        self.deadline.clear()
        inbound = self._waiting.popleft()
        if self._held:
            self._take(self._held)
        return inbound

    async def _linger(self) -> None:
        """Takes and forgets what the client still sends, until it has seen the answer and leaves."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._deaf = True
        self._held = b""
        if self._body is not None:
            self._body.fail(ClientGone())
        self._balance()
        if transport.can_write_eof():
            transport.write_eof()
        await asyncio.sleep(LINGER)  # ended by connection_lost

    # -- what is written -----------------------------------------------------------------------

    async def _drain_helper(self) -> None:
        if self._paused:
            self.deadline.set(CLIENT_SILENCE)
            try:
                await super()._drain_helper()
            finally:
                self.deadline.clear()

    async def drain(self) -> None:
        try:
            await self._drain_helper()
        except ConnectionError as fault:
            raise ClientGone from fault

    # -- time ----------------------------------------------------------------------------------

    def _late(self) -> None:
        transport, current = self.transport, self._current
        if transport is None:
            return
        if current is None:
            transport.close()
        elif not current.body.late():
            transport.abort()  # it takes nothing

    def leave(self) -> None:
        """No request after the one that is served now."""
        self.closing = True
        if self._current is None and not self._waiting and self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Ends here and now."""
        if self.transport is not None:
            self.transport.abort()


@final
class Clients:
    """All connections of clients: made, counted, and in the end sent away."""

    def __init__(self, handler: Handler, *, header_timeout: float) -> None:
        """`header_timeout` is in seconds."""
        self.handler = handler
        self.header_timeout = header_timeout
        self.connections: set[Connection] = set()

    def __call__(self) -> Connection:
        return Connection(self, asyncio.get_running_loop())

    async def drain(self, seconds: float) -> None:
        """Closes what is idle; what runs has `seconds` to finish and is cut then."""
        for connection in list(self.connections):
            connection.leave()
        await self._ended(seconds)
        for connection in list(self.connections):
            connection.abort()
        await self._ended(CUT)

    async def _ended(self, seconds: float) -> None:
        tasks = [one.task for one in self.connections if one.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
