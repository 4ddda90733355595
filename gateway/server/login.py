"""
/api/session/auth and GET /api/session: sign-in, callback, who am I.

A login keeps no state here before its callback succeeds: what it needs travels in a sealed cookie
of its own, named after its `state`, so that logins in several tabs do not meet. Nothing that a
callback says is believed, or sent anywhere, before its state has been compared (OID-1). Whatever
fails ends on a page with a way back, never in another redirect (OID-12).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from gateway import errors
from gateway.errors import ApiError, LoginError, ProviderError, StateError, TokenError
from gateway.identity import Identity, Method, Proof
from gateway.message import Pairs
from gateway.observe.metrics import LOGINS
from gateway.oidc import flow
from gateway.oidc.client import Providers
from gateway.oidc.flow import LoginState
from gateway.oidc.providers import Logout, Provider
from gateway.server.cookies import cookies_of, only, query_of
from gateway.server.exchange import Exchange, exchange_of
from gateway.server.pages import Choice, Pages, sign_in_link
from gateway.server.routes import Route, Who
from gateway.sessions.lifetime import Sessions
from gateway.sessions.session import LOGIN_TTL, Style

if TYPE_CHECKING:
    from gateway.policy.model import Entitlements
    from gateway.snapshot import Snapshot

AUTH_PATH = "/api/session/auth/"
LOGINS_MAX = 5  # login cookies at once: tabs pile up
LOGINS_BYTES = 3000  # of them together: with a session they stay under one header line of 8190
STARTS_MAX = 3  # in STARTS_WITHIN; the fourth gets a page (OID-12)
STARTS_WITHIN = timedelta(seconds=60)
SUFFIX = 8  # characters of a login cookie's name that belong to its state
TOKEN_CREDENTIALS = frozenset({"web_identity", "cognito_identity"})
"""Types of upstream credentials that are had in exchange for a person's ID token."""

log = logging.getLogger("gateway.login")


class Explain(Protocol):
    """What `gateway.policy.explain` says to somebody about themselves."""

    def session_buckets(self, entitlements: Entitlements) -> list[dict[str, Any]]: ...

    def at(self, entitlements: Entitlements, bucket: str, prefix: str) -> dict[str, Any]: ...


Entitle = Callable[[Identity, "Snapshot"], "Entitlements"]
NamedClaims = Callable[["Snapshot"], frozenset[str]]
"""Names of the claims that the policies in force speak of."""


class Login:
    """The handlers."""

    def __init__(
        self,
        *,
        providers: Providers,
        sessions: Sessions,
        pages: Pages,
        entitle: Entitle,
        explain: Explain,
        named: NamedClaims,
    ) -> None:
        self._providers = providers
        self._sessions = sessions
        self._pages = pages
        self._entitle = entitle
        self._explain = explain
        self._named = named

    def routes(self) -> list[Route]:
        """The rows of the table of routes that end here."""
        return [
            Route(
                method="GET",
                path="/api/session/auth/",
                handler=self.start_or_callback,
                who=Who.ANYONE,
                page=True,
                summary="Starts a login; with code, state or error, ends one.",
            ),
            Route(
                method="GET",
                path="/api/session/auth",
                handler=self.start_or_callback,
                who=Who.ANYONE,
                page=True,
                summary="The same without the slash.",
            ),
            Route(
                method="GET",
                path="/api/session",
                handler=self.who,
                summary="Who is signed in, and what they may reach.",
                query=("at",),
                answer=_SESSION,
            ),
            Route(
                method="GET",
                path="/ui/signed-in",
                handler=self.signed_in,
                who=Who.ANYONE,
                page=True,
                summary="Ends a sign-in in a window of its own.",
            ),
        ]

    # -- signing in ------------------------------------------------------------------------------

    async def start_or_callback(self, request: web.Request) -> web.StreamResponse:
        """GET /api/session/auth[/]. Raises LoginError, ProviderError, StateError, ApiError."""
        ex = exchange_of(request)
        query = query_of(request)
        if any(name in ("code", "state", "error") for name, _ in query):
            return await self._callback(request, ex, query)
        return await self._start(request, ex, dict(query))

    async def _start(
        self, request: web.Request, ex: Exchange, query: Mapping[str, str]
    ) -> web.StreamResponse:
        if request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
            raise ApiError(401, errors.NOT_SIGNED_IN.sentence, code=errors.NOT_SIGNED_IN.code)
        target = flow.local_target(query.get("next"), ex.snapshot.public_url)
        given = self._chosen(query.get("provider"))
        if given is None:
            choices = [
                Choice(one.title, sign_in_link(one.name, target))
                for one in self._providers.for_login()
            ]
            return self._pages.sign_in(ex, choices)
        cookies = cookies_of(request)
        style = Style.of(ex.snapshot.public_url)
        self._count_start(ex, style, cookies)
        metadata = await self._providers.metadata(given.name, ex.now)
        login = LoginState.fresh(given.name, target)
        sealed = ex.snapshot.keyring.sealer("login").seal(
            login.as_claims(), expires=ex.now + LOGIN_TTL
        )
        cookie = style.set(
            style.login(flow.cookie_suffix(login.state)), sealed, LOGIN_TTL.total_seconds()
        )
        self._make_room(ex, style, cookies, len(cookie.partition(";")[0]))
        ex.set_cookies.append(cookie)
        return _redirect(flow.begin(given, metadata, login, redirect_uri(ex)))

    def _chosen(self, name: str | None) -> Provider | None:
        """The provider meant; None where somebody has to choose. Raises LoginError."""
        offered = self._providers.for_login()
        if name is not None:
            for given in offered:
                if given.name == name:
                    return given
            raise LoginError(errors.UNKNOWN_PROVIDER)
        if not offered:
            raise LoginError(errors.UNKNOWN_PROVIDER)
        return offered[0] if len(offered) == 1 else None

    def _count_start(self, ex: Exchange, style: Style, cookies: Pairs) -> None:
        """Raises LoginError (LOGIN_LOOP) at the fourth start within a minute."""
        name = style.login("count")
        sealer, now = ex.snapshot.keyring.sealer("count"), int(ex.now.timestamp())
        held = sealer.open(only(cookies, name) or "", now=ex.now)
        earlier = held.get("at", []) if held is not None else []
        since = now - STARTS_WITHIN.total_seconds()
        starts = [moment for moment in earlier if type(moment) is int and moment > since]
        if len(starts) >= STARTS_MAX:
            raise LoginError(errors.LOGIN_LOOP)
        sealed = sealer.seal({"at": [*starts, now]}, expires=ex.now + STARTS_WITHIN)
        ex.set_cookies.append(style.set(name, sealed, STARTS_WITHIN.total_seconds()))

    def _make_room(self, ex: Exchange, style: Style, cookies: Pairs, size: int) -> None:
        """Expires the oldest login cookies, so that they never grow past a header line (SES-12)."""
        sealer = ex.snapshot.keyring.sealer("login")
        held = []
        for name, value in cookies:
            if _is_login(style, name):
                claims = sealer.open(value, now=ex.now)
                held.append((claims["exp"] if claims else 0, name, len(name) + 1 + len(value)))
        held.sort(reverse=True)
        kept = 1
        for ends, name, length in held:
            size += length
            kept += 1
            if not ends or kept > LOGINS_MAX or size > LOGINS_BYTES:
                ex.set_cookies.append(style.expire(name))

    async def _callback(
        self, request: web.Request, ex: Exchange, query: Pairs
    ) -> web.StreamResponse:
        callback = flow.read_callback(query)
        style, cookies = Style.of(ex.snapshot.public_url), cookies_of(request)
        name = style.login(flow.cookie_suffix(callback.state))
        claims = ex.snapshot.keyring.sealer("login").open(only(cookies, name) or "", now=ex.now)
        login = flow.check_callback(callback, LoginState.from_claims(claims) if claims else None)
        ex.set_cookies.append(style.expire(name))  # good once, whatever happens next
        try:
            proof = await self._finish(ex, callback, login, style, cookies)
        except TokenError as bad:
            self._failed(ex, login, bad.reason.code)
            raise LoginError(bad.reason, **bad.detail) from bad
        except (LoginError, ProviderError) as failed:
            self._failed(ex, login, failed.reason.code, failed.detail.get("problem", ""))
            raise
        LOGINS.add(login.provider, "ok")
        ex.event.identified(proof)
        log.info("signed in", extra={"issuer": login.provider, "request_id": ex.request_id})
        return _redirect(login.target)

    def _failed(self, ex: Exchange, login: LoginState, code: str, problem: str = "") -> None:
        if self._providers.known(login.provider) is not None:
            LOGINS.add(login.provider, "refused")
        log.warning(
            "sign-in failed",
            extra={
                "issuer": login.provider,
                "reason": code,
                "problem": problem,
                "request_id": ex.request_id,
            },
        )

    async def _finish(
        self,
        ex: Exchange,
        callback: flow.Callback,
        login: LoginState,
        style: Style,
        cookies: Pairs,
    ) -> Proof:
        """Redeems the code and begins the session."""
        given = self._providers.find(login.provider)
        metadata = await self._providers.metadata(given.name, ex.now)
        flow.check_issuer(callback, metadata)
        tokens = await self._providers.redeem(
            given.name,
            code=flow.code_of(callback),
            redirect_uri=redirect_uri(ex),
            login=login,
            named=self._named(ex.snapshot),
            now=ex.now,
        )
        begun = await self._sessions.begin(
            flow.identity_of(given, tokens.claims),
            nonce=login.nonce,
            id_token=tokens.id_token if keeps_id_token(given, ex.snapshot) else None,
            refresh_token=tokens.refresh_token,
            expires=tokens.expires,
            earlier=only(cookies, style.session),
            now=ex.now,
        )
        ex.set_cookies.append(begun.set_cookie)
        return begun.proof

    async def signed_in(self, request: web.Request) -> web.StreamResponse:
        """GET /ui/signed-in."""
        return self._pages.signed_in(exchange_of(request))

    # -- who am I --------------------------------------------------------------------------------

    async def who(self, request: web.Request) -> web.StreamResponse:
        """GET /api/session. Raises ApiError (401, 400)."""
        ex = exchange_of(request)
        proof = ex.proof
        if proof is None or proof.method is Method.ANONYMOUS:
            raise ApiError(401, errors.NOT_SIGNED_IN.sentence, code=errors.NOT_SIGNED_IN.code)
        identity = proof.identity
        entitlements = self._entitle(identity, ex.snapshot)
        answer: dict[str, Any] = {
            "subject": identity.subject,
            "issuer": identity.issuer,
            "username": identity.username,
            "name": identity.name,
            "email": identity.email,
            "groups": list(await self.groups(proof, ex.now)),
            "expires_at": proof.expires.isoformat() if proof.expires is not None else None,
            "method": proof.method.value,
            "buckets": self._explain.session_buckets(entitlements),
        }
        at = [value for name, value in query_of(request) if name == "at"]
        if len(at) > 1:
            raise ApiError(400, "One place at a time.", code="bad-request")
        if at:
            bucket, _, prefix = at[0].partition("/")
            answer["at"] = self._explain.at(entitlements, bucket, prefix)
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    async def groups(self, proof: Proof, now: datetime) -> Sequence[str]:
        """Those that the provider said, not only those that rules speak of, where they are to be had."""
        if proof.method is not Method.SESSION:
            return proof.identity.groups
        given = self._providers.known(proof.identity.issuer)
        try:
            record = await self._sessions.record(proof, now)
        except StateError:
            record = None
        if given is None or record is None:
            return proof.identity.groups
        return flow.groups_of(given, record.claims)


def redirect_uri(ex: Exchange) -> str:
    """What the administrator registered, byte for byte; never built from a request (PRX-4)."""
    return f"{ex.snapshot.public_url}{AUTH_PATH}"


def keeps_id_token(given: Provider, snapshot: Snapshot) -> bool:
    """Only where something needs it: a logout hint, or credentials had in exchange for it."""
    if given.kind.hint and given.kind.logout is Logout.OIDC:
        return True
    return any(one.type in TOKEN_CREDENTIALS for one in snapshot.config.credentials.values())


def _is_login(style: Style, name: str) -> bool:
    start = style.login("")
    return name.startswith(start) and len(name) == len(start) + SUFFIX


def _redirect(location: str) -> web.Response:
    # As text, never through a URL class: that would decode what was checked (RED-1).
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


_TEXT = {"type": "string"}
_SESSION: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "subject": _TEXT,
        "issuer": _TEXT,
        "username": _TEXT,
        "name": _TEXT,
        "email": _TEXT,
        "groups": {"type": "array", "items": _TEXT},
        "expires_at": {"type": ["string", "null"]},
        "method": _TEXT,
        "buckets": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": _TEXT,
                    "prefixes": {"type": "array", "items": _TEXT},
                    "allow": {"type": "array", "items": _TEXT},
                    "because": {},
                },
            },
        },
        "at": {"type": "object"},
    },
}
