"""
The browser half of `gateway login`: a page that asks, a one-time code, and the key it is good for.

The program brings a challenge (S256) whose verifier it keeps, so a code that is seen on its way
is good for nobody else. It goes to a loopback address and nowhere else, or is shown to be pasted.
Nothing is made before the page was confirmed by a click, in the session that it was shown to
(KEY-7): the form's token holds all that was shown, sealed.

What the program gets is a personal key of its owner, named after the machine, which stands in
the list of keys and is revoked there.

Sources: RFC 7636 (PKCE), RFC 8252 section 7.3 (loopback redirects).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from aiohttp import web

from gateway.errors import ApiError
from gateway.identity import Identity, Method, Proof
from gateway.keyring import random_key_id, random_token, same
from gateway.server.accesskeys import AccessKeys, Wanted
from gateway.server.bodies import Strict, iso, json_answer, read_form, read_json
from gateway.server.exchange import Exchange, Request, exchange_of
from gateway.server.middleware import origin_of
from gateway.server.routes import Route, Who
from gateway.state import StateStore

if TYPE_CHECKING:
    from gateway.server.pages import Pages

CODE_LIFE = timedelta(seconds=60)
PAGE_LIFE = timedelta(minutes=10)  # from the page to the click
CODE_LENGTH = 20  # base32 characters: 100 bits, and still to be typed
REGION = "us-east-1"
"""What clients are told to sign for; every region is accepted."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE = re.compile(r"[A-Za-z0-9_-]{16,128}")
_REDIRECT = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]):([1-9][0-9]{0,4})/")
_CODE = re.compile(f"[A-Z2-7]{{{CODE_LENGTH}}}")
_NAME_MAX = 64

Revoked = Callable[[Proof, datetime], Awaitable[bool]]


class Failures(Protocol):
    """Wrong proofs from one address (`server.limits`)."""

    def check(self, peer: str | None, now: datetime) -> None: ...

    def failed(self, peer: str | None, now: datetime) -> None: ...


class Redeem(Strict):
    """Body of POST /api/cli/token."""

    code: str
    verifier: str


class CliLogin:
    """The routes of `gateway login`."""

    def __init__(
        self,
        access: AccessKeys,
        store: StateStore,
        pages: Pages,
        *,
        revoked: Revoked,
        failures: Failures,
    ) -> None:
        self._access = access
        self._store = store
        self._pages = pages
        self._revoked = revoked
        self._failures = failures

    def routes(self) -> tuple[Route, ...]:
        """The rows of the route table."""
        return (
            Route(
                method="GET",
                path="/ui/cli",
                handler=self.ask,
                page=True,
                summary="Asks whether a program may act as whoever is signed in.",
                query=("challenge", "name", "redirect", "state"),
            ),
            Route(
                method="POST",
                path="/api/cli/confirm",
                handler=self.confirm,
                who=Who.ANYONE,  # the form's own token says who; a form sends no header of ours
                page=True,
                summary="What was answered on that page.",
            ),
            Route(
                method="POST",
                path="/api/cli/token",
                handler=self.redeem,
                who=Who.ANYONE,
                summary="An access key for a one-time code and the verifier of its challenge.",
                body=Redeem.model_json_schema,
                answer={
                    "type": "object",
                    "properties": {
                        name: {"type": "string"}
                        for name in (
                            "access_key_id",
                            "secret_access_key",
                            "expires_at",
                            "endpoint_url",
                            "region",
                            "user",
                        )
                    },
                },
            ),
        )

    async def ask(self, request: Request) -> web.StreamResponse:
        """GET /ui/cli: the page."""
        ex = exchange_of(request)
        proof = ex.proof
        if proof is None or proof.method is not Method.SESSION or proof.session_id is None:
            raise ApiError(401, "Nobody is signed in.", code="not-signed-in")
        _allowed(ex)
        challenge, name, redirect, state = _asked(request)
        until = ex.now + _lifetime(ex)
        claims = {
            "for": "cli",
            "jti": random_token(16),
            "op": proof.identity.issuer,
            "sub": proof.identity.subject,
            "who": proof.identity.display,
            "sid": proof.session_id,
            "iat": (proof.issued or ex.now).timestamp(),
            "end": (proof.expires or until).timestamp(),
            "challenge": challenge,
            "name": name,
            "redirect": redirect,
            "state": state,
        }
        sealed = ex.snapshot.keyring.sealer("form").seal(claims, expires=ex.now + PAGE_LIFE)
        return self._pages.login_confirm(
            ex,
            name=name,
            code=comparison(challenge),
            until=until,
            action="/api/cli/confirm",
            fields={"token": sealed},
        )

    async def confirm(self, request: Request) -> web.StreamResponse:
        """POST /api/cli/confirm: allowed or refused."""
        ex = exchange_of(request)
        if not _from_our_page(request, ex):
            raise ApiError(
                403, "The request did not come from a page of this gateway.", code="cross-site"
            )
        form = dict(await read_form(request))
        claims = ex.snapshot.keyring.sealer("form").open(form.get("token", ""), now=ex.now)
        if claims is None or claims.get("for") != "cli":
            raise ApiError(400, "This page is too old; please begin again.", code="login-state")
        if form.get("answer") != "allow":
            return self._refused(ex, claims)
        _allowed(ex)
        proof = _proof_of(claims)
        if await self._revoked(proof, ex.now) or (proof.expires and proof.expires <= ex.now):
            raise ApiError(403, "Your session ended.", code="session-ended")
        ex.event.identified(proof)
        end = ex.now + PAGE_LIFE
        if not await self._store.add(f"form/{claims['jti']}", b"1", expires=end):
            raise ApiError(400, "This page was used already.", code="login-state")
        code = random_key_id("", CODE_LENGTH)
        granted = {name: claims[name] for name in _GRANTED}
        sealed = ex.snapshot.keyring.sealer("cli").seal(granted, expires=ex.now + CODE_LIFE)
        await self._store.put(_code_key(code), sealed.encode(), expires=ex.now + CODE_LIFE)
        if claims["redirect"]:
            return _onward(claims, {"code": code})
        return self._pages.document("login_code.html", ex, name=claims["name"], code=_grouped(code))

    def _refused(self, ex: Exchange, claims: dict[str, Any]) -> web.StreamResponse:
        if claims["redirect"]:
            return _onward(claims, {"error": "access_denied"})
        return self._pages.document("login_code.html", ex, name=claims["name"], code="")

    async def redeem(self, request: Request) -> web.StreamResponse:
        """POST /api/cli/token: the key."""
        ex = exchange_of(request)
        peer = request.head.peer
        self._failures.check(peer, ex.now)
        asked = await read_json(request, Redeem)
        claims = await self._taken(asked, ex)
        if claims is None or not same(claims["challenge"], challenge_of(asked.verifier)):
            self._failures.failed(peer, ex.now)
            raise ApiError(400, "The code is wrong, too old or was used.", code="login-state")
        proof = _proof_of(claims)
        if await self._revoked(proof, ex.now):
            raise ApiError(403, "Your session ended.", code="session-ended")
        ex.event.identified(proof)
        record, secret = await self._access.create(
            Wanted(
                issuer=claims["op"],
                subject=claims["sub"],
                name=claims["name"],
                kind="cli",
                expires=(ex.now + _lifetime(ex)).replace(microsecond=0),
            ),
            ex.now,
        )
        return json_answer(
            {
                "access_key_id": record.key_id,
                "secret_access_key": secret.reveal(),
                "expires_at": iso(record.expires),
                "endpoint_url": ex.snapshot.config.server.public_url,
                "region": REGION,
                "user": claims["who"],
            }
        )

    async def _taken(self, asked: Redeem, ex: Exchange) -> dict[str, Any] | None:
        code = asked.code.upper().replace("-", "").replace(" ", "")
        if not _CODE.fullmatch(code):
            return None
        sealed = await self._store.take(_code_key(code))
        if sealed is None:
            return None
        return ex.snapshot.keyring.sealer("cli").open(sealed.decode(), now=ex.now)


_GRANTED = ("op", "sub", "who", "sid", "iat", "end", "challenge", "name")


def _allowed(ex: Exchange) -> None:
    if not ex.snapshot.config.keys.personal:
        raise ApiError(403, "Personal access keys are switched off here.", code="keys-off")


def _lifetime(ex: Exchange) -> timedelta:
    keys = ex.snapshot.config.keys
    return min(keys.login, keys.max_lifetime)


def _asked(request: Request) -> tuple[str, str, str, str]:
    """Challenge, name, redirect and state; the last two empty where the code is to be pasted."""
    query = request.query
    if len(query) != len(set(query)):
        raise _incomplete("a parameter stands twice")
    challenge, name = query.get("challenge", ""), query.get("name", "")
    redirect, state = query.get("redirect", ""), query.get("state", "")
    if not _CHALLENGE.fullmatch(challenge):
        raise _incomplete("the challenge is missing")
    if not name.strip() or not name.isprintable() or len(name) > _NAME_MAX:
        raise _incomplete("the name of the machine is missing")
    if redirect and not loopback(redirect):
        # KEY-7: a code leaves for this very machine, or is shown; never for another host.
        raise _incomplete("the program does not wait on this machine")
    if redirect and not _STATE.fullmatch(state):
        raise _incomplete("the state is missing")
    return challenge, name.strip(), redirect, state


def _incomplete(what: str) -> ApiError:
    return ApiError(
        400, "This address is not complete.", detail=f"In it, {what}.", code="login-parameters"
    )


def loopback(redirect: str) -> bool:
    """Is this the address of a program on the browser's own machine?"""
    match = _REDIRECT.fullmatch(redirect)
    return match is not None and int(match[1]) <= 65535


def challenge_of(verifier: str) -> str:
    """S256 of RFC 7636."""
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def comparison(challenge: str) -> str:
    """Eight characters that terminal and page show both, so that people see it is their own login."""
    digest = hashlib.sha256(b"compare/" + challenge.encode()).digest()
    text = base64.b32encode(digest).decode()[:8]
    return f"{text[:4]}-{text[4:]}"


def _grouped(code: str) -> str:
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def _code_key(code: str) -> str:
    # Hashed: who reads the store within the minute still has no code.
    return f"cli-code/{hashlib.sha256(code.encode()).hexdigest()}"


def _from_our_page(request: Request, ex: Exchange) -> bool:
    headers = request.head.headers
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return headers.get("origin") == origin_of(ex.snapshot.config.server.public_url)


def _proof_of(claims: dict[str, Any]) -> Proof:
    """The session that was asked, as far as its revocation concerns."""
    return Proof(
        identity=Identity(issuer=claims["op"], subject=claims["sub"], name=claims["who"]),
        method=Method.SESSION,
        session_id=claims["sid"],
        issued=datetime.fromtimestamp(claims["iat"], UTC),
        expires=datetime.fromtimestamp(claims["end"], UTC),
    )


def _onward(claims: dict[str, Any], answer: dict[str, str]) -> web.StreamResponse:
    location = claims["redirect"] + "?" + urlencode(answer | {"state": claims["state"]})
    return web.Response(
        status=303,
        headers={
            "Location": location,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
    )
