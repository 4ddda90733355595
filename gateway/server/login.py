"""
/api/session and /api/session/auth: sign-in, callback, who am I, sign-out.

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
from urllib.parse import parse_qsl

from aiohttp import web

from gateway import errors
from gateway.errors import ApiError, LoginError, ProviderError, StateError, TokenError
from gateway.identity import Identity, Method, Proof, Secret
from gateway.message import Pairs
from gateway.observe.metrics import LOGINS
from gateway.oidc import flow
from gateway.oidc.client import Providers
from gateway.oidc.flow import LoginState
from gateway.oidc.providers import Logout, Provider
from gateway.server.exchange import Exchange, exchange_of
from gateway.server.forms import form_allows
from gateway.server.pages import SIGN_OUT_FORM, Choice, Pages, sign_in_link
from gateway.server.routes import Route, Who
from gateway.sessions.lifetime import Sessions
from gateway.sessions.records import Record
from gateway.sessions.session import LOGIN_TTL, Style

if TYPE_CHECKING:
    from gateway.policy.model import Entitlements
    from gateway.snapshot import Snapshot

AUTH_PATH = "/api/session/auth/"
SIGNED_OUT = "/ui/signed-out"
LOGINS_MAX = 5  # login cookies at once: tabs pile up
LOGINS_BYTES = 3000  # of them together: with a session they stay under one header line of 8190
STARTS_MAX = 3  # in STARTS_WITHIN; the fourth gets a page (OID-12)
STARTS_WITHIN = timedelta(seconds=60)
SUFFIX = 8  # characters of a login cookie's name that belong to its state
OUT_TTL = timedelta(minutes=5)  # the sign-out page knows where somebody came from
FORM_MAX = 64 * 1024  # bytes of a form posted here; a logout token has at most 16 KiB
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
                method="DELETE",
                path="/api/session",
                handler=self.sign_out,
                who=Who.OPTIONAL,
                summary="Signs out, here and at the provider; with everywhere=true in every browser.",
                query=("everywhere",),
                answer={"type": "object", "properties": {"redirect": {"type": "string"}}},
            ),
            Route(
                method="POST",
                path="/api/session/backchannel-logout",
                handler=self.backchannel,
                who=Who.ANYONE,
                summary="OpenID Connect Back-Channel Logout 1.0: a provider ends sessions.",
            ),
            Route(
                method="POST",
                path="/ui/sign-out",
                handler=self.sign_out_form,
                who=Who.ANYONE,
                page=True,
                summary="Signs out by a form.",
            ),
            Route(
                method="GET",
                path=SIGNED_OUT,
                handler=self.signed_out,
                who=Who.ANYONE,
                page=True,
                summary="Where providers send a browser after signing out.",
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
        target = flow.local_target(query.get("next"))
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
        held = sealer.open(_only(cookies, name) or "", now=ex.now)
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
        claims = ex.snapshot.keyring.sealer("login").open(_only(cookies, name) or "", now=ex.now)
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
            earlier=_only(cookies, style.session),
            now=ex.now,
        )
        ex.set_cookies.append(begun.set_cookie)
        return begun.proof

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
            "groups": list(await self._groups(proof, ex.now)),
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

    async def _groups(self, proof: Proof, now: datetime) -> Sequence[str]:
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

    # -- signing out -----------------------------------------------------------------------------

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """
        DELETE /api/session; the same answer where nobody is signed in. Raises StateError, ApiError.

        That a cookie's request came from our own page has been seen to by then (WEB-1).
        """
        ex = exchange_of(request)
        everywhere = ("everywhere", "true") in query_of(request)
        location = await self._end(ex, ex.proof, everywhere=everywhere)
        return web.json_response(
            {"redirect": location},
            headers={"Cache-Control": "no-store", "Clear-Site-Data": '"cache"'},
        )

    async def sign_out_form(self, request: web.Request) -> web.StreamResponse:
        """POST /ui/sign-out. Raises ApiError (403), StateError."""
        ex = exchange_of(request)
        style = Style.of(ex.snapshot.public_url)
        form = dict(await _form(request))
        cookie = _only(cookies_of(request), style.session)
        opened = await self._sessions.open(cookie, ex.now) if cookie is not None else None
        proof = opened.proof if opened is not None else None
        if proof is not None and not form_allows(
            ex.snapshot.keyring,
            form.get("token", ""),
            proof.session_id or "",
            SIGN_OUT_FORM,
            ex.now,
        ):
            raise ApiError(403, errors.CROSS_SITE.sentence, code=errors.CROSS_SITE.code)
        location = await self._end(ex, proof, everywhere=False)
        given = self._providers.known(proof.identity.issuer) if proof is not None else None
        onward = location if given is not None and location != signed_out_url(ex) else None
        return self._pages.signed_out(
            ex, provider=given.title if given is not None else None, there=False, onward=onward
        )

    async def _end(self, ex: Exchange, proof: Proof | None, *, everywhere: bool) -> str:
        """Ends the session and gives the address that the browser is sent to."""
        style = Style.of(ex.snapshot.public_url)
        ex.set_cookies.clear()  # a renewed cookie must not follow the one that ends it
        ex.set_cookies.append(style.expire(style.session))
        if proof is None:
            return signed_out_url(ex)
        if everywhere:
            if proof.method not in (Method.SESSION, Method.BEARER):
                raise ApiError(
                    403, "An access key cannot sign somebody out.", code="keys-need-session"
                )
            await self._sessions.end_everywhere(
                proof.identity.issuer, proof.identity.subject, ex.now
            )
        record = await self._sessions.end(proof, ex.now)
        given = self._providers.known(proof.identity.issuer)
        if given is None or proof.session_id is None:
            return signed_out_url(ex)
        if record is not None and record.refresh_token is not None:
            await self._providers.revoke(given.name, record.refresh_token, ex.now)
        location = await self._logout_url(ex, given, record)
        there = "1" if location != signed_out_url(ex) else "0"
        ex.set_cookies.append(
            style.set(style.login("out"), f"{there}.{given.name}", OUT_TTL.total_seconds())
        )
        return location

    async def _logout_url(self, ex: Exchange, given: Provider, record: Record | None) -> str:
        id_token: Secret | None = record.id_token if record is not None else None
        try:
            metadata = await self._providers.metadata(given.name, ex.now)
        except ProviderError:
            metadata = None  # the provider is away: here it ends all the same
        return flow.logout_url(
            given,
            metadata,
            signed_out=signed_out_url(ex),
            id_token=id_token.reveal() if id_token is not None else None,
        )

    async def signed_out(self, request: web.Request) -> web.StreamResponse:
        """GET /ui/signed-out: shows no data, starts no login, takes no parameter (RED-4)."""
        ex = exchange_of(request)
        style = Style.of(ex.snapshot.public_url)
        there, _, name = (_only(cookies_of(request), style.login("out")) or "").partition(".")
        given = self._providers.known(name)
        return self._pages.signed_out(
            ex, provider=given.title if given is not None else None, there=there == "1"
        )

    async def signed_in(self, request: web.Request) -> web.StreamResponse:
        """GET /ui/signed-in."""
        return self._pages.signed_in(exchange_of(request))

    async def backchannel(self, request: web.Request) -> web.StreamResponse:
        """
        POST /api/session/backchannel-logout: a provider ends one of its sessions, or a person's all.

        What is wrong with a token is for the log; the answer says that it is.
        Source: OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8.
        """
        ex = exchange_of(request)
        given = [value for name, value in await _form(request) if name == "logout_token"]
        if len(given) != 1:
            return _logout_answer(400)
        try:
            issuer, token = await self._providers.verify_logout(given[0], ex.now)
        except TokenError as bad:
            log.warning("logout token refused", extra={"reason": bad.reason.code})
            return _logout_answer(400)
        if await self._sessions.seen_before(issuer, token.jti, token.expires + flow.LOGIN_TTL):
            log.warning("logout token refused", extra={"reason": "replayed", "issuer": issuer})
            return _logout_answer(400)
        if token.sid:
            await self._sessions.end_provider_session(issuer, token.sid)
        else:
            await self._sessions.end_everywhere(issuer, token.subject, ex.now)
        log.info("signed out by the provider", extra={"issuer": issuer})
        return _logout_answer(200)


def redirect_uri(ex: Exchange) -> str:
    """What the administrator registered, byte for byte; never built from a request (PRX-4)."""
    return f"{ex.snapshot.public_url}{AUTH_PATH}"


def signed_out_url(ex: Exchange) -> str:
    """The one address that providers return to after signing out (RED-4)."""
    return f"{ex.snapshot.public_url}{SIGNED_OUT}"


def keeps_id_token(given: Provider, snapshot: Snapshot) -> bool:
    """Only where something needs it: a logout hint, or credentials had in exchange for it."""
    if given.kind.hint and given.kind.logout is Logout.OIDC:
        return True
    return any(one.type in TOKEN_CREDENTIALS for one in snapshot.config.credentials.values())


def query_of(request: web.Request) -> Pairs:
    """The query's parameters, decoded, repeats kept."""
    text = request.raw_path.partition("?")[2]
    return tuple(parse_qsl(text, keep_blank_values=True, errors="replace"))


def cookies_of(request: web.Request) -> Pairs:
    """Every cookie that was sent, repeats kept: aiohttp would keep one of two (SES-10)."""
    found = []
    for line in request.headers.getall("Cookie", []):
        for part in line.split(";"):
            name, equals, value = part.strip().partition("=")
            if equals:
                found.append((name, value))
    return tuple(found)


def _only(cookies: Pairs, name: str) -> str | None:
    """The value of the one cookie of this name; None where there is none, or more than one."""
    values = [value for key, value in cookies if key == name]
    return values[0] if len(values) == 1 else None


def _is_login(style: Style, name: str) -> bool:
    start = style.login("")
    return name.startswith(start) and len(name) == len(start) + SUFFIX


async def _form(request: web.Request) -> Pairs:
    """A posted form. Raises ApiError (413, 400)."""
    if (request.content_length or 0) > FORM_MAX:
        raise ApiError(413, "The form is too long.", code="too-large")
    data = b""
    async for part in request.content.iter_any():
        data += part
        if len(data) > FORM_MAX:
            raise ApiError(413, "The form is too long.", code="too-large")
    try:
        return tuple(parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise ApiError(400, "The form cannot be read.", code="bad-request") from None


def _redirect(location: str) -> web.Response:
    # As text, never through a URL class: that would decode what was checked (RED-1).
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


def _logout_answer(status: int) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if status == 200:
        return web.Response(status=200, headers=headers)
    return web.json_response({"error": "invalid_request"}, status=status, headers=headers)


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
