"""
A few routes served for a test: the server's own request type, without the rest of the gateway.

What is raised becomes problem+json, as in the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from aiohttp import ClientSession, web

from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.identity import Identity, Proof, Secret
from gateway.keyring import Keyring
from gateway.message import RequestHead
from gateway.observe.audit import AuditEvent
from gateway.s3.hosts import Hosts
from gateway.server.connection import Clients
from gateway.server.exchange import Exchange, Request
from gateway.server.front import write
from gateway.server.inbound import Inbound, Line
from gateway.server.middleware import Proxies, head_of
from gateway.server.respond import as_problem, refusal
from gateway.server.routes import Route, Routes, Who


def snapshot(
    *,
    config: Config | None = None,
    keys: Sequence[bytes] = (b"k" * 32,),
    service_accounts: dict[str, tuple[Secret, Identity]] | None = None,
    generation: int = 1,
    **more: Any,
) -> Any:
    """What handlers read of a snapshot."""
    return SimpleNamespace(
        generation=generation,
        config=config or Config(),
        keyring=Keyring(keys),
        service_accounts=service_accounts or {},
        hosts=Hosts(),
        public_url="https://s3.example.com",
        cookie_name="__Host-session",
        **more,
    )


@dataclass
class Served:
    """A running server, and what its next requests find."""

    url: str
    client: ClientSession
    clock: Callable[[], datetime]
    snapshot: Any
    proof: Proof | None = None
    """Who is signed in, for routes that ask."""
    events: list[AuditEvent] = field(default_factory=list)


Root = Callable[[Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve(
    routes: Sequence[Route],
    *,
    snapshot: Any,
    clock: Callable[[], datetime],
    root: Root | None = None,
    trusted: Sequence[str] = (),
) -> AsyncIterator[Served]:
    """The routes, and `root` for the path `/`, on a free port of this machine."""
    table = Routes(routes)
    proxies = Proxies(trusted)

    async def answer(request: Request, head: RequestHead, ex: Exchange) -> web.StreamResponse:
        try:
            path = head.target.partition("?")[0]
            if path == "/" and root is not None:
                return await root(request)
            row, parameters = table.find(head.method, path)
            request.found(parameters)
            if row.who is not Who.ANYONE:
                ex.proof = served.proof
            return await row.handler(request)
        except GatewayError as error:
            refused = refusal(error, anonymous=ex.proof is None)
            answer = as_problem(refused, status=refused.status, request_id=ex.request_id)
            return web.Response(
                status=answer.status,
                body=answer.body.whole(),
                headers=dict(answer.head.headers.pairs),
            )
        finally:
            ex.finish()

    class Handler:
        async def handle(self, inbound: Inbound) -> None:
            event = AuditEvent(request_id="REQUEST1", time=clock())
            served.events.append(event)
            ex = Exchange(
                snapshot=served.snapshot,
                now=clock(),
                request_id="REQUEST1",
                event=event,
                clock=clock,
            )
            head = head_of(inbound, proxies)
            inbound.begin(head, ex)
            request = Request(inbound)
            await write(request, await answer(request, head, ex))

        def unreadable(self, line: Line) -> bytes:
            raise AssertionError("not HTTP")

    clients = Clients(Handler(), header_timeout=30.0)
    server = await asyncio.get_running_loop().create_server(clients, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    async with ClientSession() as client:
        served = Served(f"http://{host}:{port}", client, clock, snapshot)
        try:
            yield served
        finally:
            server.close()
            await clients.drain(1.0)
