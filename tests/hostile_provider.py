"""
An identity provider in the test's own process whose every misbehaviour is a switch.

Shaped like Cognito: the issuer on one port, the endpoints on another. It signs anybody in without
a page. A switch is a function that gets what would be sent and gives what is sent instead; every
request that reaches it is noted in `calls`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

Changes = Callable[[dict[str, Any]], Any]
KEYS = [RSAKey.generate_key(2048, {"kid": f"k{i}+=", "use": "sig"}) for i in range(2)]
STRANGER = RSAKey.generate_key(2048, {"kid": "k0+=", "use": "sig"})
"""Has the provider's key id and is not its key."""
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "okp", "use": "sig"})


def same(value: Any) -> Any:
    return value


def put(**claims: Any) -> Changes:
    """A switch that sets members."""
    return lambda given: {**given, **claims}


def drop(*names: str) -> Changes:
    """A switch that takes members away."""
    return lambda given: {k: v for k, v in given.items() if k not in names}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def left_half(text: str, name: str = "sha256") -> str:
    digest = hashlib.new(name, text.encode()).digest()
    return b64(digest[: len(digest) // 2])


def sign(claims: Any, key: Any = KEYS[0], alg: str = "RS256", **header: Any) -> str:
    """A token with any header and any payload."""
    head = {"alg": alg, **({"kid": key.kid} if "kid" not in header else {}), **header}
    head = {name: value for name, value in head.items() if value is not None}
    text = claims.encode() if isinstance(claims, str) else claims
    if not isinstance(text, bytes):
        text = json.dumps(text).encode()
    if alg == "none":
        return f"{b64(json.dumps(head).encode())}.{b64(text)}."
    signing = f"{b64(json.dumps(head).encode())}.{b64(text)}"
    if isinstance(key, bytes):
        signature = hmac.digest(key, signing.encode(), "sha256")
    else:
        signature = jws.JWSRegistry.algorithms[alg].sign(signing.encode(), key)
    return f"{signing}.{b64(signature)}"


@dataclass
class Reply:
    """An answer in place of the usual one."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class _Grant:
    nonce: str | None
    challenge: str
    sub: str
    auth_time: int


class HostileProvider:
    """The provider, its switches, and what it saw."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.issuer = ""
        self.domain = ""
        self.client_id = "gateway"
        self.client_secret = "s3cr:t%/+ä"
        self.sub = "user-1"
        self.groups: list[str] = ["staff"]
        self.life = timedelta(hours=1)
        self.rotation = False
        self.grace = timedelta()
        self.keys: list[Any] = list(KEYS)
        self.calls: list[tuple[str, dict[str, str], Any]] = []
        self.claims: Changes = same
        self.header: Changes = same
        self.alg = "RS256"
        self.key: Any = None
        self.document: Changes = same
        self.jwks: Changes = same
        self.answer: Changes = same
        self.callback: Changes = same
        self.userinfo: Changes = same
        self.replies: dict[str, Reply] = {}
        self.delays: dict[str, float] = {}
        self.refreshed: Changes = same
        """Claims of a refreshed ID token, after `claims`."""
        self._codes: dict[str, _Grant] = {}
        self._refresh: dict[str, tuple[_Grant, datetime | None]] = {}
        self.revoked: list[str] = []
        self._runners: list[web.AppRunner] = []

    async def start(self) -> None:
        first, second = web.Application(), web.Application()
        for app in (first, second):
            app.router.add_route("*", "/{rest:.*}", self._serve)
        self.issuer = await self._listen(first) + "/pool"
        self.domain = await self._listen(second)

    async def _listen(self, app: web.Application) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    @property
    def config_url(self) -> str:
        return f"{self.issuer}/.well-known/openid-configuration"

    def count(self, path: str) -> int:
        """How many requests came to an address."""
        return Counter(p for p, _, _ in self.calls)[path]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        form = dict(await request.post()) if request.method == "POST" else dict(request.query)
        path = request.path
        self.calls.append((path, {k: str(v) for k, v in form.items()}, request.headers.copy()))
        await asyncio.sleep(self.delays.get(path, 0))
        if path in self.replies:
            reply = self.replies[path]
            return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
        match path:
            case "/pool/.well-known/openid-configuration":
                return web.json_response(self.document(self._document()))
            case "/jwks":
                keys = [k.as_dict(private=False) for k in self.keys]
                return web.json_response(self.jwks({"keys": keys}))
            case "/authorize":
                return self._authorize(request)
            case "/token":
                return await self._token(request)
            case "/userinfo":
                info = {"sub": self.sub, "name": "Ada", "groups": self.groups}
                return web.json_response(self.userinfo(info))
            case "/revoke":
                self.revoked.append(str((await request.post())["token"]))
                return web.Response()
            case _:
                return web.Response(status=404)

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.domain}/authorize",
            "token_endpoint": f"{self.domain}/token",
            "userinfo_endpoint": f"{self.domain}/userinfo",
            "revocation_endpoint": f"{self.domain}/revoke",
            "end_session_endpoint": f"{self.domain}/logout",
            "jwks_uri": f"{self.domain}/jwks",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
        }

    def _authorize(self, request: web.Request) -> web.Response:
        query = request.query
        code = secrets.token_urlsafe(16)
        self._codes[code] = _Grant(
            query.get("nonce"), query["code_challenge"], self.sub, int(self.clock().timestamp())
        )
        answer = self.callback({"code": code, "state": query["state"]})
        location = query["redirect_uri"] + "?" + urlencode(answer, doseq=True)
        return web.Response(status=302, headers={"Location": location})

    async def _token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        if not self._authenticated(request, form):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] == "authorization_code":
            grant = self._codes.pop(str(form["code"]), None)
            verifier = str(form["code_verifier"])
            if grant is None or b64(hashlib.sha256(verifier.encode()).digest()) != grant.challenge:
                return web.json_response({"error": "invalid_grant"}, status=400)
            answer = {**self._issue(grant, again=False), "refresh_token": self._new(grant)}
            return web.json_response(self.answer(answer))
        token = str(form["refresh_token"])
        held = self._refresh.get(token)
        now = self.clock()
        if held is None or (held[1] is not None and now >= held[1] + self.grace):
            return web.json_response({"error": "invalid_grant"}, status=400)
        answer = self._issue(held[0], again=True)
        if self.rotation:
            self._refresh[token] = (held[0], held[1] or now)
            answer["refresh_token"] = self._new(held[0])
        return web.json_response(self.answer(answer))

    def _authenticated(self, request: web.Request, form: dict[str, Any]) -> bool:
        given = (form.get("client_id"), form.get("client_secret"))
        header = request.headers.get("Authorization", "")
        if header.startswith("Basic "):
            user, _, password = base64.b64decode(header[6:]).decode().partition(":")
            given = tuple(dict(parse_qsl(f"x={part}"))["x"] for part in (user, password))  # type: ignore[assignment]
        return given == (self.client_id, self.client_secret)

    def issue_refresh(self, nonce: str) -> str:
        """A refresh token without a login."""
        return self._new(_Grant(nonce, "", self.sub, int(self.clock().timestamp())))

    def _new(self, grant: _Grant) -> str:
        token = secrets.token_urlsafe(24)
        self._refresh[token] = (grant, None)
        return token

    def _issue(self, grant: _Grant, *, again: bool) -> dict[str, Any]:
        access = secrets.token_urlsafe(24)
        claims = self.id_claims(grant.nonce, again=again)
        claims["at_hash"] = left_half(access, "sha512" if self.alg == "EdDSA" else "sha256")
        claims = self.claims(claims)
        if again:
            claims = self.refreshed(claims)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(self.life.total_seconds()),
            "id_token": claims if isinstance(claims, str) else self.token(claims),
        }

    def id_claims(self, nonce: str | None, *, again: bool = False) -> dict[str, Any]:
        now = int(self.clock().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": self.sub,
            "aud": self.client_id,
            "iat": now,
            "exp": now + int(self.life.total_seconds()),
            "auth_time": now,
            "token_use": "id",
            "cognito:username": "ada",
            "cognito:groups": self.groups,
            "name": "Ada",
            "email": "ada@example.com",
            "email_verified": True,
        }
        if not self.groups:
            del claims["cognito:groups"]
        return claims if nonce is None or again else {**claims, "nonce": nonce}

    def token(self, claims: Any, **header: Any) -> str:
        """Signed with the key, the algorithm and the header that the switches say."""
        return sign(claims, self.key or self.keys[0], self.alg, **self.header(header))

    def logout_token(self, **change: Any) -> str:
        now = int(self.clock().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_urlsafe(8),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **change,
        }
        claims = {k: v for k, v in claims.items() if v is not None}
        return sign(claims, self.keys[0], typ="logout+jwt")


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> datetime:
        self.now += timedelta(**time)
        return self.now
