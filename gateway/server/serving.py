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

from aiohttp import web

from gateway.config.model import Config
from gateway.config.values import Address
from gateway.observe import metrics
from gateway.server.admin import Admin, Readiness
from gateway.server.connection import Clients
from gateway.server.front import Front
from gateway.server.listeners import BACKLOG, Certificate, Door, ListenError, open_sockets, shown

log = logging.getLogger("gateway")

ADMIN_END = 1.0  # seconds for answers of the internal listener that are on their way


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
        if tls is not None:
            self._certificate = await asyncio.to_thread(Certificate, tls)
        sockets = open_sockets(config.server.listen, share=self._meeting is not None)
        self._clients = Clients(
            self._front, header_timeout=config.server.header_timeout.total_seconds()
        )
        self._door = Door(self._clients, config.server.connections)
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

    async def refresh_certificate(self) -> None:
        """Takes the files of `server.tls` anew where they changed; what cannot be used is logged."""
        if self._certificate is None:
            return
        try:
            if await asyncio.to_thread(self._certificate.changed):
                self._certificate.reload()
                log.info("certificate reread")
        except ListenError as error:
            log.error("certificate not reread; the old one stays", extra={"problem": str(error)})

    async def drain(self, seconds: float) -> None:
        """Nobody new comes in; what runs has `seconds` to finish and is cut then."""
        for listener in self._listeners:
            listener.close()
        await self._clients.drain(seconds)
        for listener in self._admin_listeners:
            listener.close()
        await self._admin_server.shutdown(ADMIN_END)


def _meeting_place(meeting: Path) -> Address:
    return Address("unix", path=str(meeting / f"{os.getpid()}.admin"))
