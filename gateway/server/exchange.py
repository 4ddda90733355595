"""
One request from its first byte to its last: what was in force, who asked, what is let go at the end.

API handlers reach it by `exchange_of(request)`; the pipeline takes it as an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.server.middleware import API_HEADERS
from gateway.server.wire import SERVER_NAME

if TYPE_CHECKING:
    from gateway.identity import Proof
    from gateway.message import RequestHead
    from gateway.observe.audit import AuditEvent
    from gateway.observe.tracing import Trace
    from gateway.snapshot import Snapshot


@dataclass(slots=True)
class Exchange:
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
    """aiohttp's request with the head as the core sees it, its exchange, and what the route found."""

    ATTRS = web.Request.ATTRS | frozenset({"_exchange", "_head", "_found", "_closing", "_invited"})

    _exchange: Exchange
    _head: RequestHead
    _found: Mapping[str, str]
    _closing: bool = False
    _invited: bool = False

    @property
    def awaited(self) -> bool:
        """The client waits to be invited before it sends its body (EXP-1), and was not."""
        if "expect" not in self.headers or self._invited or self.version < (1, 1):
            return False
        return self.content.total_bytes == 0 and not self.content.is_eof()

    def invited(self) -> None:
        self._invited = True

    @property
    def closing(self) -> bool:
        """The connection is not used again after this answer."""
        return self._closing

    def close_after(self) -> None:
        self._closing = True

    @property
    def secure_connection(self) -> bool:
        """TLS ends here."""
        return self.protocol.ssl_context is not None

    @property
    def exchange(self) -> Exchange:
        return self._exchange

    @property
    def head(self) -> RequestHead:
        return self._head

    @property
    def match_info(self) -> Any:
        return self._found

    def begin(self, head: RequestHead, exchange: Exchange) -> None:
        self._head = head
        self._exchange = exchange
        self._found = {}

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        """What every answer of a page or of the API carries; S3 answers are written elsewhere."""
        headers = response.headers
        headers["Server"] = SERVER_NAME
        exchange = getattr(self, "_exchange", None)
        if exchange is not None:
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
