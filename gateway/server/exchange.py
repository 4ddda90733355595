"""
One request from its first byte to its last: what was in force, who asked, what is let go at the end.

API handlers reach it by `exchange_of(request)`; the pipeline takes it as an argument.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11, RawRequestMessage
from aiohttp.http_writer import StreamWriter
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.records import Struct, field
from gateway.server.middleware import API_HEADERS
from gateway.server.wire import SERVER_NAME

if TYPE_CHECKING:
    from gateway.identity import Proof
    from gateway.message import RequestHead
    from gateway.observe.audit import AuditEvent
    from gateway.observe.tracing import Trace
    from gateway.server.inbound import Inbound
    from gateway.snapshot import Snapshot


class Exchange(Struct):
    """Snapshot, time and request id stay what they were when the request came."""

    snapshot: Snapshot
    now: datetime
    request_id: str
    event: AuditEvent
    clock: Callable[[], datetime]
    """For what must be stamped at the moment it is done, such as a signature (FWD-1)."""
    proof: Proof | None = None
    """Who asked, once that is known."""
    trace: Trace | None = None
    """Its place in a trace, where it is in one."""
    timed: float = 0.0
    """When the request began, by `perf_counter`, where the caller wants to be told; else 0."""
    upstream_seconds: float = 0.0
    """From sending the request on to the head of the upstream's answer."""
    set_cookies: list[str] = field(default_factory=list)
    """Values of Set-Cookie that go out with the answer's head."""
    _held: list[Callable[[], None]] = field(default_factory=list)

    def hold(self, release: Callable[[], None]) -> None:
        """`release` is called when the last byte has gone."""
        self._held.append(release)

    @property
    def timing(self) -> str | None:
        """The value of Server-Timing (milliseconds so far) for somebody known who asked for it."""
        if not self.timed or self.proof is None or self.proof.identity.anonymous:
            return None
        total = 1000 * (perf_counter() - self.timed)
        return f"total;dur={total:.1f}, upstream;dur={1000 * self.upstream_seconds:.1f}"

    def finish(self) -> None:
        """Lets go of everything held, in reverse order."""
        while self._held:
            self._held.pop()()


class Request(web.Request):
    """A request as aiohttp's handlers know one, over an `Inbound`: for pages and the API."""

    ATTRS = web.Request.ATTRS | frozenset({"_found", "inbound"})

    def __init__(self, inbound: Inbound) -> None:
        read, line = inbound.read, cast(Any, inbound.line)  # a `Connection`, which aiohttp can use
        path, _, query = read.target.partition("?")
        message = RawRequestMessage(
            read.method,
            read.target,
            HttpVersion11 if read.version == "1.1" else HttpVersion10,
            CIMultiDictProxy(CIMultiDict(read.headers)),
            tuple((name.encode(), value.encode()) for name, value in read.headers),
            not read.keep_alive,
            None,
            False,
            read.length is None,
            URL.build(path=path, query_string=query, encoded=True),
        )
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        body: Any = inbound.body
        super().__init__(message, body, line, StreamWriter(line, loop), task, loop)
        self.inbound = inbound
        self._found: Mapping[str, str] = {}

    def close_after(self) -> None:
        """The connection is not used again after this answer."""
        self.inbound.keep = False

    @property
    def keep_alive(self) -> bool:
        return self.inbound.stays

    @property
    def exchange(self) -> Exchange:
        return self.inbound.exchange

    @property
    def head(self) -> RequestHead:
        return self.inbound.head

    @property
    def match_info(self) -> Any:
        return self._found

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        """What every answer of a page or of the API carries; S3 answers are written elsewhere."""
        headers = response.headers
        headers["Server"] = SERVER_NAME
        exchange = self.inbound.exchange
        headers["x-amz-request-id"] = exchange.request_id
        for cookie in exchange.set_cookies:
            headers.add("Set-Cookie", cookie)
        if exchange.timed and (timing := exchange.timing) is not None:
            headers["Server-Timing"] = timing
        for name, value in API_HEADERS.items():
            headers.setdefault(name, value)

    def found(self, parameters: Mapping[str, str]) -> None:
        """The parameters of the route that matched."""
        self._found = parameters


EXCHANGE: web.RequestKey[Exchange] = web.RequestKey("exchange", Exchange)
"""Where tests that serve a handler by `web.Application` put an exchange."""


def exchange_of(request: web.BaseRequest) -> Exchange:
    """The exchange of a request, however it is served."""
    return request.exchange if isinstance(request, Request) else request[EXCHANGE]
