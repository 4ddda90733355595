"""A gateway's sign-in without the rest of the gateway: handlers, sessions, provider and a browser."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from aiohttp import web

from gateway.config import model
from gateway.errors import ApiError, GatewayError
from gateway.identity import Secret
from gateway.keyring import Keyring
from gateway.message import Headers, RequestHead
from gateway.observe.audit import AuditEvent
from gateway.oidc import flow
from gateway.oidc.client import Providers, Tokens
from gateway.oidc.providers import provider
from gateway.server.cookies import cookies_of
from gateway.server.exchange import EXCHANGE, Exchange
from gateway.server.login import Login
from gateway.server.logout import Logout
from gateway.server.middleware import same_origin
from gateway.server.pages import Pages
from gateway.server.respond import refusal
from gateway.server.routes import Routes, Who
from gateway.sessions.lifetime import Sessions
from gateway.sessions.session import Style, Terms
from gateway.state import MemoryStore, StateStore
from tests.hostile_provider import Clock, HostileProvider

KEY = b"k" * 32
PAGES = Pages(static="/ui/static/test")
NAMED = frozenset({"cognito:groups"})


class Keep:
    """Keeps the claims of these names."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.digest = ",".join(names)

    def keep(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        return {name: claims[name] for name in self.names if name in claims}


class Explained:
    """Stands for the policies."""

    def session_buckets(self, entitlements: Any) -> list[dict[str, Any]]:
        return [{"name": "home", "prefixes": [""], "allow": ["list"], "because": "because"}]

    def at(self, entitlements: Any, bucket: str, prefix: str) -> dict[str, Any]:
        return {"allow": ["list"], "because": f"{bucket}:{prefix}", "denied": []}


def section(idp: HostileProvider, **more: Any) -> model.Provider:
    values: dict[str, Any] = {
        "name": "corp",
        "config_url": idp.config_url,
        "client_id": idp.client_id,
        "client_secret": Secret(idp.client_secret),
        "kind": "cognito",
        **more,
    }
    return model.Provider.model_validate(
        {name: value for name, value in values.items() if value is not None}
    )


@dataclass
class Gateway:
    """One process of the gateway, as far as signing in goes."""

    url: str
    clock: Clock
    store: StateStore
    providers: Providers
    sessions: Sessions
    terms: Terms
    login: Login
    logout: Logout
    keyring: Keyring
    snapshot: Any


def make_gateway(
    url: str,
    clock: Clock,
    store: StateStore,
    providers: Providers,
    *,
    keys: tuple[bytes, ...] = (KEY,),
    credentials: Mapping[str, Any] | None = None,
    stale: timedelta = timedelta(minutes=10),
) -> Gateway:
    keyring = Keyring(keys)
    terms = Terms(
        keyring=keyring,
        keeper=Keep("cognito:groups"),
        style=Style.of(url),
        lifetime=timedelta(hours=12),
        idle=timedelta(hours=1),
    )
    gateway = Gateway(
        url,
        clock,
        store,
        providers,
        cast(Any, None),
        terms,
        cast(Any, None),
        cast(Any, None),
        keyring,
        None,
    )

    def identify(name: str, claims: Mapping[str, Any]) -> Any:
        return flow.remembered(providers.known(name), claims)

    async def renew(provider: str, **given: Any) -> Tokens:
        return await providers.refresh(provider, named=NAMED, **given)

    gateway.sessions = Sessions(
        store, terms=lambda: gateway.terms, identify=identify, renew=cast(Any, renew), stale=stale
    )
    gateway.snapshot = SimpleNamespace(
        public_url=url,
        keyring=keyring,
        cookie_name=Style.of(url).session,
        config=SimpleNamespace(credentials=credentials or {}),
    )
    gateway.login = Login(
        providers=providers,
        sessions=gateway.sessions,
        pages=PAGES,
        entitle=lambda identity, snapshot: cast(Any, None),
        explain=Explained(),
        named=lambda snapshot: NAMED,
    )
    gateway.logout = Logout(providers=providers, sessions=gateway.sessions, pages=PAGES)
    return gateway


def application(gateway: Gateway) -> web.Application:
    """Serves the handlers as the front does."""
    routes = Routes([*gateway.login.routes(), *gateway.logout.routes()])

    async def handle(request: web.Request) -> web.StreamResponse:
        ex = Exchange(
            snapshot=gateway.snapshot,
            now=gateway.clock(),
            request_id="req-1",
            event=AuditEvent(request_id="req-1", time=gateway.clock()),
            clock=gateway.clock,
        )
        request[EXCHANGE] = ex
        try:
            row, _ = routes.find(request.method, request.raw_path.partition("?")[0])
            if row.who is not Who.ANYONE:
                await _authenticate(request, ex)
                if ex.proof is None and row.who is Who.SIGNED_IN:
                    raise ApiError(401, "Nobody is signed in.", code="not-signed-in")
            response = await row.handler(request)
        except GatewayError as error:
            refused = refusal(error, anonymous=ex.proof is None)
            response = PAGES.error(request, refused)
        for cookie in ex.set_cookies:
            response.headers.add("Set-Cookie", cookie)
        return response

    async def _authenticate(request: web.Request, ex: Exchange) -> None:
        found = [v for n, v in cookies_of(request) if n == gateway.snapshot.cookie_name]
        if len(found) != 1:
            return
        opened = await gateway.sessions.open(found[0], ex.now)
        if opened is None:
            return
        head = RequestHead(
            method=request.method,
            target=request.raw_path,
            headers=Headers.of(request.headers.items()),
        )
        if request.method != "GET" and not same_origin(head, gateway.url):
            raise ApiError(403, "cross-site", code="cross-site")
        if opened.set_cookie:
            ex.set_cookies.append(opened.set_cookie)
        ex.proof = opened.proof

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    return app


@asynccontextmanager
async def serving(gateway_of: Any) -> AsyncIterator[Gateway]:
    """A gateway on a port of its own; `gateway_of(url)` makes it."""
    runner_app = web.Application()
    inner: dict[str, Any] = {}

    async def forward(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await inner["handle"](request)
        return response

    runner_app.router.add_route("*", "/{rest:.*}", forward)
    runner = web.AppRunner(runner_app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    gateway = gateway_of(url)
    inner["handle"] = next(iter(application(gateway).router.routes())).handler
    try:
        yield gateway
    finally:
        await runner.cleanup()


class Browser:
    """Cookies by name, redirects followed by hand, everything that was set noted."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []

    async def get(self, url: str, method: str = "GET", **more: Any) -> aiohttp.ClientResponse:
        url = url if url.startswith("http") else self.url + url
        headers = dict(more.pop("headers", {}))
        if url.startswith(self.url) and self.cookies:
            headers["Cookie"] = "; ".join(f"{n}={v}" for n, v in self.cookies.items())
        answer = await self.http.request(
            method, url, headers=headers, allow_redirects=False, **more
        )
        await answer.read()
        if url.startswith(self.url):
            for line in answer.headers.getall("Set-Cookie", []):
                self.set_cookies.append(line)
                name, _, value = line.split(";")[0].partition("=")
                if "Max-Age=0" in line:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = value
        return answer

    async def start(self, query: str = "") -> str:
        """Begins a login; the address at the provider."""
        answer = await self.get(f"/api/session/auth/{query}")
        assert answer.status == 302, await answer.text()
        return answer.headers["Location"]

    async def at_provider(self, url: str) -> str:
        """The address that the provider sends back to."""
        return (await self.get(url)).headers["Location"]

    async def login(self, query: str = "") -> aiohttp.ClientResponse:
        """A whole login; the answer to its callback."""
        return await self.get(await self.at_provider(await self.start(query)))

    async def who(self) -> aiohttp.ClientResponse:
        return await self.get("/api/session")

    async def sign_out(self, query: str = "") -> aiohttp.ClientResponse:
        return await self.get(
            f"/api/session{query}",
            "DELETE",
            headers={"Sec-Fetch-Site": "same-origin", "X-Gateway-CSRF": "1"},
        )


def parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


logging.getLogger("gateway").setLevel(logging.DEBUG)

__all__ = [
    "Browser",
    "Clock",
    "Gateway",
    "HostileProvider",
    "Keep",
    "MemoryStore",
    "Providers",
    "make_gateway",
    "parameters",
    "provider",
    "section",
    "serving",
]
