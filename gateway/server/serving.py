"""
A process's two listeners: opened, counted, drained.

The one for clients and the internal one (`/livez`, `/readyz`, `/metrics`). A worker has its internal
listener in the folder where it meets its supervisor, who asks there.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.config.model import Config
from gateway.config.values import Address
from gateway.observe import logs, metrics
from gateway.server.admin import Admin, Readiness
from gateway.server.exchange import Request
from gateway.server.front import Front
from gateway.server.listeners import BACKLOG, Certificate, Door, ListenError, open_sockets, shown

log = logging.getLogger("gateway")
http_log = logging.getLogger("gateway.http")
http_log.addFilter(logs.Unparsed())

HEAD_LINE_MAX = 32 * 1024  # bytes of the target or of one header: a presigned URL with its token
HEAD_FIELDS_MAX = 256
READ_SIZE = 256 * 1024  # bytes of a body that wait for us; then the client's sending is paused
LINGER = 2.0  # seconds in which the rest of a refused body is read, so that the refusal arrives
ADMIN_END = 1.0  # seconds for answers of the internal listener that are on their way


class _Connection(RequestHandler):
    """A client's connection. What cannot be read on it is refused in S3's words and written down."""

    front: Front

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500 or request.writer.output_size:
            return super().handle_error(request, status, exc, message)
        # aiohttp's own answer would quote what arrived (HTTP-9).
        http_log.debug("request could not be read", extra={"kind": type(exc).__name__})
        return self.front.unreadable(request)


class _Server(web.Server):
    """Makes a `_Connection` for each client."""

    def __init__(self, front: Front, **settings: Any) -> None:
        super().__init__(front.handle, **settings)
        self._front = front

    def __call__(self) -> _Connection:
        made = _Connection(self, loop=self._loop, **self._kwargs)
        made.front = self._front
        return made


class Serving:
    """Listens from `start` to `drain`."""

    def __init__(
        self,
        front: Front,
        *,
        ready: Callable[[], Awaitable[Readiness]],
        meeting: Path | None,
    ) -> None:
        """`meeting` is the folder where a worker and its supervisor meet."""
        self._front = front
        self._admin = Admin(ready=ready, render=metrics.rendered)
        self._meeting = meeting
        self._certificate: Certificate | None = None
        self.addresses: list[str] = []
        self.admin_addresses: list[str] = []

    async def start(self, config: Config) -> None:
        """Listens. Raises ListenError."""
        tls = config.server.tls
        self._certificate = Certificate(tls) if tls is not None else None
        sockets = open_sockets(config.server.listen, share=self._meeting is not None)
        self._server = _Server(
            self._front,
            request_factory=_make_request,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,  # HTTP-7: the bytes stored are the bytes sent
            keepalive_timeout=config.server.header_timeout.total_seconds(),
            lingering_time=LINGER,
            max_line_size=HEAD_LINE_MAX,
            max_field_size=HEAD_LINE_MAX,
            max_headers=HEAD_FIELDS_MAX,
            read_bufsize=READ_SIZE,
            logger=http_log,
        )
        self._door = Door(self._server, config.server.connections)
        context = self._certificate.context if self._certificate is not None else None
        loop = asyncio.get_running_loop()
        self._listeners = [
            await loop.create_server(self._door, sock=sock, ssl=context, backlog=BACKLOG)
            for sock in sockets
        ]
        self.addresses = [shown(sock) for sock in sockets]
        self._admin_server = web.Server(self._admin.handle, access_log=None)
        places = config.admin.listen if self._meeting is None else (_meeting_place(self._meeting),)
        admin_sockets = open_sockets(places)
        self._admin_listeners = [
            await loop.create_server(self._admin_server, sock=sock) for sock in admin_sockets
        ]
        self.admin_addresses = [shown(sock) for sock in admin_sockets]

    @property
    def connections(self) -> int:
        """Connections of clients that are open now."""
        return self._door.count

    def refresh_certificate(self) -> None:
        """Takes the files of `server.tls` anew where they changed; what cannot be used is logged."""
        if self._certificate is None:
            return
        try:
            if self._certificate.refresh():
                log.info("certificate reread")
        except ListenError as error:
            log.error("certificate not reread; the old one stays", extra={"problem": str(error)})

    async def drain(self, seconds: float) -> None:
        """Nobody new comes in; what runs has `seconds` to finish and is cut then."""
        for listener in self._listeners:
            listener.close()
        self._server.pre_shutdown()
        await self._server.shutdown(seconds)
        for listener in self._admin_listeners:
            listener.close()
        await self._admin_server.shutdown(ADMIN_END)


def _meeting_place(meeting: Path) -> Address:
    return Address("unix", path=str(meeting / f"{os.getpid()}.admin"))


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Request:
    return Request(message, payload, protocol, writer, task, protocol._loop)
