"""
One listener, three kinds of path: /api and /ui are ours, everything else is S3.

Every request passes through `Front.handle`: it gets its exchange, goes to its face, and whatever
is raised on the way becomes that face's refusal. One audit line follows the last byte.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from aiohttp import web

from gateway.errors import ApiError, GatewayError, StateError
from gateway.message import Answer, RequestHead
from gateway.observe import metrics
from gateway.observe.audit import AuditEvent
from gateway.observe.tracing import bind
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error
from gateway.s3.hosts import host_name
from gateway.server import wire
from gateway.server.browser import by_link, check_destination, guard, sandboxed
from gateway.server.exchange import Exchange, Request
from gateway.server.forms_upload import FormUploads, may_be_form
from gateway.server.inbound import ClientGone, body_of
from gateway.server.limits import SlowDown
from gateway.server.middleware import Proxies, head_of, is_navigation
from gateway.server.respond import (
    Client,
    Refusal,
    as_problem,
    as_s3,
    client_of,
    refusal,
    status_for,
)
from gateway.server.routes import Routes, Who

if TYPE_CHECKING:
    from gateway.observe.logs import Sink
    from gateway.observe.tracing import Tracing
    from gateway.server.authenticate import Authenticator
    from gateway.server.inbound import Inbound, Line
    from gateway.server.pipeline import Pipeline
    from gateway.server.sts import Sts
    from gateway.snapshot import Snapshot

log = logging.getLogger("gateway.server")

_OURS = ("/api", "/ui", "/?")  # how targets begin that may not be S3; and "/" itself
TIMING = "x-gateway-timing"
"""A request that carries it, by somebody known, is answered with Server-Timing."""


class ErrorPages(Protocol):
    """Writes a refusal as a document."""

    async def error(self, request: Request, refused: Refusal) -> web.StreamResponse: ...


class Front:
    """Where every request on the main listener arrives."""

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot],
        clock: Callable[[], datetime],
        new_request_id: Callable[[], str],
        proxies: Proxies,
        authenticate: Authenticator,
        pipeline: Pipeline,
        routes: Routes,
        sts: Sts,
        pages: ErrorPages,
        sinks: Sequence[Sink],
        tracing: Tracing,
        release: str,
    ) -> None:
        """`sinks` are told of every request; `release` names the page's files, so that an open page learns of a new one."""
        self._snapshot = snapshot
        self._clock = clock
        self._new_request_id = new_request_id
        self._proxies = proxies
        self._authenticate = authenticate
        self._pipeline = pipeline
        self._forms = FormUploads(signers=authenticate, carrier=pipeline)
        self._routes = routes
        self._sts = sts
        self._pages = pages
        self._sinks = tuple(sinks)
        self._tracing = tracing
        self._release = release

    async def handle(self, inbound: Inbound) -> None:
        """Answers one request. Raises CancelledError only; what cannot be ended well cuts the connection."""
        now = self._clock()
        event = AuditEvent(request_id=self._new_request_id(), time=now)
        ex = Exchange(
            snapshot=self._snapshot(),
            now=now,
            request_id=event.request_id,
            event=event,
            clock=self._clock,
        )
        count = [0]
        try:
            await self._answer(inbound, ex, count)
        except (ClientGone, ConnectionError):
            event.status = wire.CLIENT_CLOSED
            event.note("client-gone")
            wire.cut(inbound)
        except asyncio.CancelledError:
            event.status = wire.CLIENT_CLOSED
            event.note("client-gone")
            raise
        except Exception as fault:
            # The head has gone: all that is left is not to let the rest look whole.
            event.note("cut")
            level = logging.WARNING if isinstance(fault, GatewayError) else logging.ERROR
            log.log(
                level,
                "an answer was cut",
                exc_info=None if isinstance(fault, GatewayError) else fault,
                extra={"request_id": ex.request_id, "kind": type(fault).__name__},
            )
            wire.cut(inbound)
        finally:
            ex.finish()
            event.bytes_in = inbound.body.arrived
            event.bytes_out = count[0]
            self._written(event)
            if ex.trace is not None:
                self._tracing.end(event, ex.trace)

    def _written(self, event: AuditEvent) -> None:
        event.finished(self._clock())
        for sink in self._sinks:
            sink.write(event)
        metrics.observe(event)

    def unreadable(self, line: Line) -> bytes:
        """The answer to what could not be read as HTTP; it has an audit line, of what is known of it."""
        now = self._clock()
        event = AuditEvent(request_id=self._new_request_id(), time=now, peer=line.peer or "")
        unread = S3Error(s3.INVALID_REQUEST, "This cannot be read as HTTP.", close=True)
        refused = refusal(unread, anonymous=True)
        event.status = refused.status
        event.refused(refused.code)
        event.note("unreadable")
        self._written(event)
        answer = as_s3(refused, resource="", request_id=event.request_id, bodyless=False)
        data = answer.body.whole() or b""
        extra = (
            _lines(event.request_id, now) + f"content-length: {len(data)}\r\nconnection: close\r\n"
        )
        return wire.render_head(answer.status, answer.head.headers.pairs, extra=extra) + data

    async def _answer(self, inbound: Inbound, ex: Exchange, count: list[int]) -> None:
        head: RequestHead | None = None
        api = False
        try:
            head = head_of(inbound, self._proxies)
            inbound.begin(head, ex)
            ex.event.arrived(head)
            self._follow(head, ex)
            ours = head.target.startswith(_OURS) or head.target == "/"
            if ours and not self._s3_only(head, ex):
                path, _, query = head.target.partition("?")
                if path == "/api" or path.startswith("/api/"):
                    api = True
                    return await self._api(inbound, head, path, ex)
                if path == "/ui" or path.startswith("/ui/"):
                    return await self._api(inbound, head, path, ex)
                if path == "/":
                    if head.method == "POST" and self._sts.speaks(head, query):
                        request = Request(inbound)
                        return await write(request, await self._sts.handle(request))
                    if is_navigation(head) and "x-amz-" not in query.lower():
                        return await write(Request(inbound), _redirect("/ui/"))
            return await self._s3(inbound, head, ex, count)
        except (ClientGone, ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            if inbound.written:
                raise
            if not isinstance(error, GatewayError):
                log.exception("a request failed", extra={"request_id": ex.request_id})
            return await self._refuse(inbound, head, error, ex, count, api=api)

    def _follow(self, head: RequestHead, ex: Exchange) -> None:
        """Whose trace this is, and whether somebody wants to know how long it takes."""
        ex.trace = self._tracing.begin(head.headers)
        if ex.trace is not None:
            ex.event.trace_id = ex.trace.trace_id
        bind(ex.request_id, ex.event.trace_id)
        if TIMING in head.headers:
            ex.timed = perf_counter()

    def _s3_only(self, head: RequestHead, ex: Exchange) -> bool:
        hosts = ex.snapshot.hosts
        if not hosts.s3_only and not hosts.virtual:
            return False
        name = host_name(head.headers.get("host") or "")
        return name in hosts.s3_only or any(name.endswith("." + one) for one in hosts.virtual)

    async def _s3(
        self, inbound: Inbound, head: RequestHead, ex: Exchange, count: list[int]
    ) -> None:
        if head.method == "OPTIONS":  # SIG-24: our own CORS rules, and they are: none
            raise S3Error(s3.ACCESS_DENIED, "No cross-origin request is allowed here.")
        body = body_of(inbound)
        way = self._forms if may_be_form(head) else self._pipeline
        answer = await way.handle(head, body, ex)
        try:
            answer = self._harmless(answer, head, ex)
        except S3Error:
            await answer.body.close()
            raise
        ex.event.status = answer.status
        await wire.send(inbound, answer, extra=_extra(ex), count=count)

    def _harmless(self, answer: Answer, head: RequestHead, ex: Exchange) -> Answer:
        """Nothing of an object's runs on the host that the session cookie belongs to (WEB-3)."""
        if ex.proof is not None and ex.proof.by_cookie:
            check_destination(head)
            return guard(answer, head, ex.event.key)
        if by_link(head) and not self._s3_only(head, ex):
            return sandboxed(answer, head)
        return answer

    async def _api(self, inbound: Inbound, head: RequestHead, path: str, ex: Exchange) -> None:
        row, parameters = self._routes.find(head.method, path)
        request = Request(inbound)
        request.found(parameters)
        ex.event.operation = f"{row.method} {row.path}"
        ex.event.api = True
        if row.who is not Who.ANYONE:
            ex.proof = await self._authenticate.api(head, ex)
            if ex.proof is not None:
                ex.event.identified(ex.proof)
            elif row.who is Who.SIGNED_IN:
                raise ApiError(401, "Nobody is signed in.", code="not-signed-in")
        response = await row.handler(request)
        if not response.prepared and not row.page:
            response.headers["x-gateway-release"] = self._release
        ex.event.status = response.status
        await write(request, response)

    async def _refuse(
        self,
        inbound: Inbound,
        head: RequestHead | None,
        error: Exception,
        ex: Exchange,
        count: list[int],
        *,
        api: bool,
    ) -> None:
        anonymous = ex.proof is None or ex.proof.identity.anonymous
        refused = refusal(error, anonymous=anonymous)
        if isinstance(error, SlowDown):
            metrics.LIMITED.add(error.limit)
        elif isinstance(error, StateError):
            metrics.STATE_ERRORS.add()
        client = Client.S3 if head is None else client_of(head, api=api)
        status = status_for(client, refused)
        ex.event.status = status
        ex.event.refused(refused.code, refused.reason)
        if refused.close:
            inbound.keep = False
        if client is Client.BROWSER:
            request = Request(inbound)
            page = (
                _redirect(_login(request.raw_path))
                if status == 302
                else await self._pages.error(request, refused)
            )
            await write(request, page)
            return
        if client is Client.SCRIPT:
            answer = as_problem(refused, status=status, request_id=ex.request_id)
        else:
            answer = as_s3(
                refused,
                resource=ex.event.resource,
                request_id=ex.request_id,
                bodyless=inbound.read.method == "HEAD",
            )
        await wire.send(inbound, answer, extra=_extra(ex), count=count)


async def write(request: Request, response: web.StreamResponse) -> None:
    """Writes an answer of a page or of the API, by aiohttp's means."""
    inbound = request.inbound
    try:
        await response.prepare(request)
        await response.write_eof()
    finally:
        inbound.written = inbound.written or request.writer.output_size > 0
    inbound.keep = bool(response.keep_alive)


def _lines(request_id: str, now: datetime) -> str:
    return (
        f"x-amz-request-id: {request_id}\r\n"
        f"server: {wire.SERVER_NAME}\r\n"
        f"date: {wire.http_date(now)}\r\n"
    )


def _extra(ex: Exchange) -> str:
    """Lines of our own that every answer carries."""
    lines = _lines(ex.request_id, ex.now)
    for cookie in ex.set_cookies:
        lines += f"set-cookie: {cookie}\r\n"
    if ex.timed and (timing := ex.timing) is not None:
        lines += f"server-timing: {timing}\r\n"
    return lines


def _login(target: str) -> str:
    return "/api/session/auth/?next=" + quote(target, safe="/")


def _redirect(location: str) -> web.StreamResponse:
    response = web.Response(status=302)
    response.headers["Location"] = location
    response.headers["Cache-Control"] = "no-store"
    return response
