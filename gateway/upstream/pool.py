"""
The Transport in use: pooled connections to each endpoint, bounded, checked, timed.

A request takes the connection used last, or opens one, or waits for one while as many are open
as the endpoint allows. What can be sent in one write is; a larger body is sent beside the
waiting for an answer, so that an early one is heard. Nothing of a connection's past reaches the
next request: see `connection`.

Sources: RFC 9112 section 9; docs/threat-model.md FWD-11 to FWD-17, SSR-2.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final, final

from gateway.errors import UpstreamProtocolError, UpstreamUnavailable
from gateway.message import Answer, Body
from gateway.observe import metrics
from gateway.upstream import Endpoint, Outbound
from gateway.upstream.connection import READ_SIZE, Connection, Stale
from gateway.upstream.framing import request_head

ONE_WRITE: Final = 64 * 1024
"""Bytes of a body that is read first and sent with its head: a task would cost more."""
FRESH: Final = 4.0
"""Seconds: what could not be sent again takes only a connection that was used this recently."""
REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""Methods that do the same when done twice: RFC 9110 section 9.2.2."""


@final
class Pool:
    """Connections to all upstreams. One for each process; close it at the end."""

    def __init__(self) -> None:
        self._lanes: dict[Endpoint, _Lane] = {}
        # One buffer for all: a loop reads and hands over one socket at a time.
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._closed = False
        metrics.WATCHED.append(self._watch)

    async def send(self, endpoint: Endpoint, head: Outbound, body: Body) -> Answer:
        """See Transport.send."""
        start = request_head(head, body)
        lane = self._lanes.get(endpoint) or self._lane(endpoint)
        data = None
        if body.length is not None:  # else the head says chunked
            data = body.whole()
            if data is None and body.length <= ONE_WRITE:
                data = await body.read(ONE_WRITE)
        if data is None:
            connection = await lane.take(old=False)
            return await _converse(connection, head.method, start, body)
        if len(data) != body.length:
            raise ValueError(f"body has {len(data)} bytes and says {body.length}")
        start += data
        # FWD-12: sent again only where no byte of a body was taken.
        repeatable = not data and head.method in REPEATABLE
        connection = lane.idle_one(repeatable) or await lane.take(old=repeatable)
        try:
            return await _answer(connection, connection.begin(head.method, start, whole=True))
        except Stale:
            if not repeatable:
                raise
        connection = await lane.open()
        return await _answer(connection, connection.begin(head.method, start, whole=True))

    def _lane(self, endpoint: Endpoint) -> _Lane:
        lane = self._lanes.get(endpoint)
        if lane is None:
            if self._closed:
                raise UpstreamUnavailable("the gateway is closing its connections")
            # A new endpoint comes with a new configuration: time to forget what is not used.
            self._lanes = {key: kept for key, kept in self._lanes.items() if kept.count}
            lane = self._lanes[endpoint] = _Lane(endpoint, self._buffer)
        return lane

    def counts(self) -> dict[Endpoint, tuple[int, int]]:
        """Open and idle connections of each endpoint, for metrics."""
        return {endpoint: (lane.count, len(lane.idle)) for endpoint, lane in self._lanes.items()}

    def _watch(self) -> None:
        counts = self.counts().values()
        idle = sum(idle for _, idle in counts)
        metrics.UPSTREAM_CONNECTIONS.set("idle", to=idle)
        metrics.UPSTREAM_CONNECTIONS.set("busy", to=sum(count for count, _ in counts) - idle)

    async def close(self) -> None:
        """Ends all connections, those in use too, and waits until they are gone."""
        self._closed = True
        if self._watch in metrics.WATCHED:
            metrics.WATCHED.remove(self._watch)
        for lane in list(self._lanes.values()):
            await lane.close()


async def _answer(connection: Connection, answer: asyncio.Future[Answer]) -> Answer:
    try:
        return await answer
    except asyncio.CancelledError:
        await _abandon(connection, answer)
        raise


async def _abandon(connection: Connection, answer: asyncio.Future[Answer]) -> None:
    """Cuts what nobody waits for any more (FWD-16), and nobody else's exchange."""
    if answer.done() and not answer.cancelled():
        # It came in the moment of leaving, and the connection may serve another by now.
        if answer.exception() is None:
            await answer.result().body.close()
    else:
        connection.abort()


async def _converse(connection: Connection, method: str, start: bytes, body: Body) -> Answer:
    """Sends a body while waiting for the answer; whichever fails first ends both."""
    answer = connection.begin(method, start, whole=False)
    sender = asyncio.ensure_future(connection.send_body(body))
    sender.add_done_callback(lambda done: _sent(connection, done))
    try:
        found = await _answer(connection, answer)
        if found.status < 300 and not sender.done():
            # No success can be meant of what has not been sent; what was sent in this very
            # moment comes to its end first.
            await asyncio.sleep(0)
            if not sender.done():
                await found.body.close()
                raise UpstreamProtocolError("upstream answered before it had the body")
        return found
    finally:
        sender.cancel()
        await asyncio.wait([sender])


def _sent(connection: Connection, sender: asyncio.Future[None]) -> None:
    """A body that raised cuts the connection, and what it raised is the answer."""
    error = None if sender.cancelled() else sender.exception()
    if isinstance(error, Exception):
        connection.abort(error)


@final
class _Lane:
    """The connections to one endpoint."""

    def __init__(self, endpoint: Endpoint, buffer: memoryview) -> None:
        self.idle: deque[Connection] = deque()
        """Oldest first."""
        self._endpoint = endpoint
        self._buffer = buffer
        self._opening = 0
        self._connections: set[Connection] = set()
        self._closing: asyncio.Future[None] | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._tls: ssl.SSLContext | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def count(self) -> int:
        """Connections that are open, and being opened."""
        return self._opening + len(self._connections)

    async def take(self, *, old: bool) -> Connection:
        """
        A connection to use at once: nothing may be awaited before `begin`.

        With `old` one that may have gone stale will do. Raises UpstreamUnavailable.
        """
        return self.idle_one(old) or await self._patiently(lambda: self.idle_one(old))

    async def open(self) -> Connection:
        """A new connection, whatever is idle. Raises UpstreamUnavailable."""
        return await self._patiently(lambda: None)

    def idle_one(self, old: bool) -> Connection | None:
        """A connection that waits for work, used recently unless an `old` one will do."""
        idle = self.idle
        while idle and not idle[-1].usable:
            idle.pop()
        if idle and (old or self._loop.time() - idle[-1].idle_since < FRESH):
            return idle.pop()
        return None

    async def _patiently(self, idle_one: Callable[[], Connection | None]) -> Connection:
        """What `idle_one` finds or a new connection, as soon as the endpoint's bound allows."""
        endpoint = self._endpoint
        try:
            async with asyncio.timeout(endpoint.connect_timeout):
                while self.count >= endpoint.max_connections:
                    if self.idle:
                        self.idle.popleft().abort()  # of no use to us, and in our way
                    await self._turn()
                    if self._closing is not None:
                        break
                    found = idle_one()
                    if found is not None:
                        return found
                return await self._connect()
        except TimeoutError as error:
            raise UpstreamUnavailable(f"{endpoint.authority}: no connection in time") from error
        except (OSError, UnicodeError) as error:
            raise UpstreamUnavailable(f"{endpoint.authority}: {error}") from error

    async def _turn(self) -> None:
        """Waits until a connection is released or lost."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # it was our turn, and we shall not use it
            raise

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _connect(self) -> Connection:
        endpoint = self._endpoint
        if self._closing is not None:
            raise UpstreamUnavailable("the gateway is closing its connections")
        self._opening += 1
        try:
            tls = await self._context() if endpoint.scheme == "https" else None
            _, connection = await self._loop.create_connection(
                self._protocol,
                endpoint.host,
                endpoint.port,
                ssl=tls,
                server_hostname=endpoint.host if tls else None,  # FWD-15: named and verified
            )
        except BaseException:
            self._opening -= 1
            self._wake()
            raise
        self._opening -= 1
        if not connection.usable:
            self._wake()
            raise UpstreamUnavailable(f"{endpoint.authority} closed the connection at once")
        self._connections.add(connection)
        return connection

    def _protocol(self) -> Connection:
        return Connection(self._endpoint, self._buffer, released=self._released, lost=self._lost)

    async def _context(self) -> ssl.SSLContext:
        """Reading the system's certificates takes tens of milliseconds: not in the loop."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(_tls_context, self._endpoint.ca)
        return self._tls

    def _released(self, connection: Connection) -> None:
        self.idle.append(connection)
        self._wake()

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        self._wake()
        if self._closing is not None and not self._connections and not self._closing.done():
            self._closing.set_result(None)

    async def close(self) -> None:
        self._closing = self._loop.create_future()
        for connection in list(self._connections):
            connection.abort(UpstreamUnavailable("the gateway is closing its connections"))
        if self._connections:
            await self._closing


def _tls_context(ca: str | None) -> ssl.SSLContext:
    """Verifies the peer and its name; `ca` replaces the system's authorities."""
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["http/1.1"])
    return context
