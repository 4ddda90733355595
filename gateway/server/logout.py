"""
Signing out: by the page, by a form, by the provider; here, at the provider, everywhere.

It ends here whatever the provider answers: the session is denied first, its refresh token given
back within two seconds, its record deleted, its cookie cleared with the attributes it was set with
(SES-9). Where the browser goes then is one registered address of ours, by way of the provider's
logout; nothing in a request changes that (RED-4).

Sources: OpenID Connect RP-Initiated Logout 1.0, Back-Channel Logout 1.0.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from urllib.parse import parse_qsl

from aiohttp import web

from gateway import errors
from gateway.errors import ApiError, ProviderError, TokenError
from gateway.identity import Method, Proof, Secret
from gateway.message import Pairs
from gateway.oidc import flow
from gateway.oidc.client import Providers
from gateway.oidc.providers import Provider
from gateway.server.cookies import cookies_of, only, query_of
from gateway.server.exchange import Exchange, exchange_of
from gateway.server.forms import form_allows
from gateway.server.pages import SIGN_OUT_FORM, Pages
from gateway.server.routes import Route, Who
from gateway.sessions.lifetime import Sessions
from gateway.sessions.records import Record
from gateway.sessions.session import Style

SIGNED_OUT = "/ui/signed-out"
OUT_TTL = timedelta(minutes=5)  # the sign-out page knows where somebody came from
FORM_MAX = 64 * 1024  # bytes of a form posted here; a logout token has at most 16 KiB

log = logging.getLogger("gateway.login")


class Logout:
    """The handlers."""

    def __init__(self, *, providers: Providers, sessions: Sessions, pages: Pages) -> None:
        self._providers = providers
        self._sessions = sessions
        self._pages = pages

    def routes(self) -> list[Route]:
        """The rows of the table of routes that end here."""
        return [
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
        ]

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
        cookie = only(cookies_of(request), style.session)
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
        there, _, name = (only(cookies_of(request), style.login("out")) or "").partition(".")
        given = self._providers.known(name)
        return self._pages.signed_out(
            ex, provider=given.title if given is not None else None, there=there == "1"
        )

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
        if await self._sessions.used(issuer, token.jti):
            log.warning("logout token refused", extra={"reason": "replayed", "issuer": issuer})
            return _logout_answer(400)
        if token.sid:
            await self._sessions.end_provider_session(issuer, token.sid)
        else:
            await self._sessions.end_everywhere(issuer, token.subject, ex.now)
        # Only now: where the store failed on the way, the provider may send the token again.
        await self._sessions.use(issuer, token.jti, token.expires + flow.LOGIN_TTL)
        log.info("signed out by the provider", extra={"issuer": issuer})
        return _logout_answer(200)


def signed_out_url(ex: Exchange) -> str:
    """The one address that providers return to after signing out (RED-4)."""
    return f"{ex.snapshot.public_url}{SIGNED_OUT}"


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


def _logout_answer(status: int) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if status == 200:
        return web.Response(status=200, headers=headers)
    return web.json_response({"error": "invalid_request"}, status=status, headers=headers)
