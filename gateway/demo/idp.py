"""
An OpenID provider small enough to read, with a sign-in page, shaped like an Amazon Cognito user pool.

For `gateway demo` and for tests; its passwords are public and everything is forgotten when it ends.
As with Cognito, the issuer is one host (discovery document and keys) and the pool's domain another
(sign-in, tokens, logout): here two ports of one address. What it does as Cognito does: two signing
keys, a token header of `kid` and `alg` alone, no `aud` on access tokens, `cognito:groups` absent
where there are none, every scope of the client where none is asked for, no nonce after a refresh,
PKCE that is enforced and not advertised, and a logout that wants `client_id` and `logout_uri`.

One address is its own: `GET /demo/token?user=ada&password=ada` answers an ID token as plain text,
so that a token can be had on a command line without a browser.

Source: Amazon Cognito developer guide, "User pool endpoints and managed login reference".
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from joserfc import jws
from joserfc.jwk import RSAKey

from gateway.demo.sign_in import problem_page, sign_in_page

CODE_LIFE = timedelta(minutes=5)  # as Cognito's
SIGN_IN_LIFE = timedelta(hours=1)  # of the provider's own cookie, whatever the tokens live
REFRESH_LIFE = timedelta(days=30)
HELD_MAX = 10_000  # codes, refresh tokens and sign-ins; beyond it the oldest are forgotten
COOKIE = "demo-sign-in"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can sign in."""

    username: str
    password: str
    name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    """More claims, such as `custom:team`; always strings, as Cognito's are."""
    enabled: bool = True

    @property
    def subject(self) -> str:
        """The same UUID whenever the demo runs."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.username}.demo.example.com"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An app client of the pool."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    logout_uris: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("openid", "email", "profile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a code or a refresh token stands for."""

    client_id: str
    username: str
    scopes: tuple[str, ...]
    auth_time: datetime
    expires: datetime
    origin: str
    nonce: str | None = None
    redirect_uri: str = ""
    challenge: str = ""
    replaced: datetime | None = None
    """When rotation put another refresh token in this one's place."""


class Refused(Exception):
    """An OAuth error, by its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _now() -> datetime:
    return datetime.now(UTC)


def make_keys() -> tuple[RSAKey, RSAKey]:
    """The pool's two keys: the first signs ID tokens, the second access tokens."""
    # Cognito's key ids are plain base64, with `+`, `/` and `=`.
    kids = [base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2)]
    first, second = (
        RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"}) for kid in kids
    )
    return first, second


class IdentityProvider:
    """The pool: users, one client, what has been issued, and the two web applications."""

    def __init__(
        self,
        *,
        users: Iterable[User],
        client: Client,
        pool: str = "us-east-1_DemoPool1",
        keys: tuple[RSAKey, RSAKey] | None = None,
        token_life: timedelta = timedelta(hours=1),
        rotation: bool = False,
        grace: timedelta = timedelta(),
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self.users = {user.username: user for user in users}
        self.client = client
        self.pool = pool
        self.token_life = token_life
        self.rotation = rotation
        self.grace = grace
        """How long a rotated refresh token still works: Cognito allows 0 to 60 seconds."""
        self.clock = clock
        self.issuer = ""
        self.domain = ""
        self._id_key, self._access_key = keys or make_keys()
        self._codes: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}
        self._revoked: set[str] = set()
        self._sign_ins: dict[str, tuple[str, datetime]] = {}
        self._runners: list[web.AppRunner] = []

    # -- running ---------------------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0, domain_port: int = 0) -> None:
        """Listens on two ports; 0 takes free ones. `issuer` and `domain` are known afterwards."""
        self.issuer = f"{await self._listen(self._issuer_app(), host, port)}/{self.pool}"
        self.domain = await self._listen(self._domain_app(), host, domain_port)

    async def _listen(self, app: web.Application, host: str, port: int) -> str:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, host, port).start()
        return f"http://{host}:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Safe to call twice."""
        while self._runners:
            await self._runners.pop().cleanup()

    def _issuer_app(self) -> web.Application:
        app = web.Application()
        well_known = f"/{self.pool}/.well-known"
        app.router.add_get(f"{well_known}/openid-configuration", self._discovery)
        app.router.add_get(f"{well_known}/jwks.json", self._jwks)
        return app

    def _domain_app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_get("/oauth2/authorize", self._authorize)
        app.router.add_get("/login", self._login_page)
        app.router.add_post("/login", self._login)
        app.router.add_post("/oauth2/token", self._token)
        app.router.add_post("/oauth2/revoke", self._revoke)
        app.router.add_get("/oauth2/userInfo", self._user_info)
        app.router.add_get("/logout", self._logout)
        app.router.add_route("*", "/demo/token", self._demo_token)
        return app

    # -- who may be asked ------------------------------------------------------------------------

    @property
    def config_url(self) -> str:
        return f"{self.issuer}/.well-known/openid-configuration"

    def token_url(self, user: User) -> str:
        """Where a command line gets an ID token of this person."""
        query = urlencode({"user": user.username, "password": user.password})
        return f"{self.domain}/demo/token?{query}"

    def set_groups(self, username: str, groups: Iterable[str]) -> None:
        """From the next token on."""
        self.users[username] = replace(self.users[username], groups=tuple(groups))

    def disable(self, username: str) -> None:
        """The person cannot sign in, and no token of theirs is renewed."""
        self.users[username] = replace(self.users[username], enabled=False)

    # -- tokens ----------------------------------------------------------------------------------

    def id_token(self, username: str, **more: Any) -> str:
        """A signed ID token; `more` adds claims or replaces them."""
        return self._sign(self._id_key, {**self._id_claims(self._grant(username)), **more})

    def access_token(self, username: str, **more: Any) -> str:
        """A signed access token; `more` adds claims or replaces them."""
        return self._sign(self._access_key, {**self._access_claims(self._grant(username)), **more})

    def _grant(self, username: str) -> Grant:
        now = self.clock()
        return Grant(
            client_id=self.client.client_id,
            username=username,
            scopes=self.client.scopes,
            auth_time=now,
            expires=now + self.token_life,
            origin=str(uuid.uuid4()),
        )

    def _sign(self, key: RSAKey, claims: Mapping[str, Any]) -> str:
        header = {"kid": key.kid, "alg": "RS256"}
        return jws.serialize_compact(header, json.dumps(claims), key, algorithms=["RS256"])

    def _common(self, grant: Grant) -> dict[str, Any]:
        now, user = int(self.clock().timestamp()), self.users[grant.username]
        claims: dict[str, Any] = {
            "sub": user.subject,
            "iss": self.issuer,
            "auth_time": int(grant.auth_time.timestamp()),
            "iat": now,
            "exp": now + int(self.token_life.total_seconds()),
            "jti": str(uuid.uuid4()),
            "origin_jti": grant.origin,
            "event_id": str(uuid.uuid4()),
        }
        if user.groups:
            claims["cognito:groups"] = list(user.groups)
        return claims

    def _id_claims(self, grant: Grant) -> dict[str, Any]:
        user = self.users[grant.username]
        claims = {
            **self._common(grant),
            "aud": grant.client_id,
            "token_use": "id",
            "cognito:username": user.username,
            **user.attributes,
        }
        if "email" in grant.scopes and user.email:
            claims |= {"email": user.email, "email_verified": True}
        if "profile" in grant.scopes and user.name:
            claims["name"] = user.name
        if grant.nonce is not None:
            claims["nonce"] = grant.nonce
        return claims

    def _access_claims(self, grant: Grant) -> dict[str, Any]:
        return {
            **self._common(grant),
            "client_id": grant.client_id,
            "token_use": "access",
            "username": grant.username,
            "scope": " ".join(grant.scopes),
        }

    # -- discovery -------------------------------------------------------------------------------

    async def _discovery(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.domain}/oauth2/authorize",
                "token_endpoint": f"{self.domain}/oauth2/token",
                "userinfo_endpoint": f"{self.domain}/oauth2/userInfo",
                "revocation_endpoint": f"{self.domain}/oauth2/revoke",
                "end_session_endpoint": f"{self.domain}/logout",
                "jwks_uri": f"{self.issuer}/.well-known/jwks.json",
                "response_types_supported": ["code", "token"],
                "subject_types_supported": ["public"],
                "scopes_supported": ["openid", "email", "phone", "profile"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                ],
            }
        )

    async def _jwks(self, _: web.Request) -> web.Response:
        keys = (self._id_key, self._access_key)
        return web.json_response({"keys": [key.as_dict(private=False) for key in keys]})

    # -- signing in ------------------------------------------------------------------------------

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        stay = self._misdirected(query)
        if stay:
            return problem_page(stay)
        try:
            self._check(query)
        except Refused as refused:
            return _back(query, error=refused.code)
        username = self._signed_in(request)
        if username is None:
            return web.Response(status=302, headers={"Location": f"/login?{urlencode(query)}"})
        return self._hand_out(query, username)

    def _misdirected(self, query: Mapping[str, str]) -> str:
        """What must not be answered by a redirect: the address may be somebody else's."""
        if query.get("client_id") != self.client.client_id:
            return "There is no app client of this id."
        if query.get("redirect_uri") not in self.client.redirect_uris:
            return "This redirect_uri is not registered for the app client."
        return ""

    def _check(self, query: Mapping[str, str]) -> None:
        if query.get("response_type") != "code":
            raise Refused("unauthorized_client")
        if not set(query.get("scope", "").split()) <= set(self.client.scopes):
            raise Refused("invalid_scope")
        if not query.get("code_challenge") or query.get("code_challenge_method") != "S256":
            raise Refused("invalid_request")

    def _signed_in(self, request: web.Request) -> str | None:
        username, until = self._sign_ins.get(request.cookies.get(COOKIE, ""), ("", None))
        if until is None or until <= self.clock() or not self.users[username].enabled:
            return None
        return username

    def _hand_out(self, query: Mapping[str, str], username: str) -> web.Response:
        code, now = secrets.token_urlsafe(24), self.clock()
        grant = Grant(
            client_id=query["client_id"],
            username=username,
            # Nothing asked for: everything that the app client allows.
            scopes=tuple(query.get("scope", "").split()) or self.client.scopes,
            auth_time=now,
            expires=now + CODE_LIFE,
            origin=str(uuid.uuid4()),
            nonce=query.get("nonce"),
            redirect_uri=query["redirect_uri"],
            challenge=query["code_challenge"],
        )
        _hold(self._codes, code, grant)
        return _back(query, code=code)

    async def _login_page(self, request: web.Request) -> web.Response:
        stay = self._misdirected(dict(request.query))
        return (
            problem_page(stay) if stay else sign_in_page(self.users.values(), request.query_string)
        )

    async def _login(self, request: web.Request) -> web.Response:
        query = dict(parse_qsl(request.query_string))
        stay = self._misdirected(query)
        if stay:
            return problem_page(stay)
        try:
            self._check(query)
            form = await request.post()
            user = self._authenticated(str(form.get("username")), str(form.get("password")))
        except Refused as refused:
            if refused.code != "not_authorized":
                return _back(query, error=refused.code)
            return sign_in_page(
                self.users.values(), request.query_string, "Incorrect username or password."
            )
        answer = self._hand_out(query, user.username)
        key = secrets.token_urlsafe(24)
        _hold(self._sign_ins, key, (user.username, self.clock() + SIGN_IN_LIFE))
        answer.set_cookie(COOKIE, key, httponly=True, samesite="Lax", path="/")
        return answer

    def _authenticated(self, username: str, password: str) -> User:
        user = self.users.get(username)
        if (
            user is None
            or not user.enabled
            or not secrets.compare_digest(user.password.encode(), password.encode())
        ):
            raise Refused("not_authorized")
        return user

    async def _logout(self, request: web.Request) -> web.Response:
        query = request.query
        if query.get("client_id") != self.client.client_id:
            return problem_page("There is no app client of this id.")
        if query.get("logout_uri") not in self.client.logout_uris:
            return problem_page("This logout_uri is not registered for the app client.")
        self._sign_ins.pop(request.cookies.get(COOKIE, ""), None)
        answer = web.Response(status=302, headers={"Location": query["logout_uri"]})
        answer.del_cookie(COOKIE, path="/")
        return answer

    # -- the token endpoint ----------------------------------------------------------------------

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            self._client_of(request, form)
            match form.get("grant_type"):
                case "authorization_code":
                    return _json(self._redeem(form))
                case "refresh_token":
                    return _json(self._renew(form))
                case _:
                    raise Refused("unsupported_grant_type")
        except Refused as refused:
            return _json({"error": refused.code}, status=400)

    def _client_of(self, request: web.Request, form: Mapping[str, str]) -> None:
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                text = base64.b64decode(encoded, validate=True).decode()
            except ValueError:
                raise Refused("invalid_client") from None
            parts = [dict(parse_qsl(f"x={part}")).get("x", "") for part in text.split(":", 1)]
            given = (parts[0], parts[-1])
        expected = (self.client.client_id, self.client.client_secret)
        if not secrets.compare_digest(repr(given).encode(), repr(expected).encode()):
            raise Refused("invalid_client")

    def _redeem(self, form: Mapping[str, str]) -> dict[str, Any]:
        grant = self._codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        if (
            grant is None
            or grant.expires <= self.clock()
            or grant.redirect_uri != form.get("redirect_uri")
            or digest.rstrip(b"=").decode() != grant.challenge
        ):
            raise Refused("invalid_grant")
        refresh = self._new_refresh(grant)
        return {**self._issue(grant), "refresh_token": refresh}

    def _renew(self, form: Mapping[str, str]) -> dict[str, Any]:
        token, now = form.get("refresh_token", ""), self.clock()
        grant = self._refresh.get(token)
        if grant is None or grant.expires <= now or grant.origin in self._revoked:
            raise Refused("invalid_grant")
        if grant.replaced is not None and now > grant.replaced + self.grace:
            raise Refused("invalid_grant")
        if not self.users[grant.username].enabled:
            raise Refused("invalid_grant")
        answer = self._issue(replace(grant, nonce=None))
        if self.rotation:
            self._refresh[token] = replace(grant, replaced=grant.replaced or now)
            answer["refresh_token"] = self._new_refresh(grant)
        return answer

    def _new_refresh(self, grant: Grant) -> str:
        token = secrets.token_urlsafe(48)
        _hold(
            self._refresh,
            token,
            replace(grant, expires=self.clock() + REFRESH_LIFE, replaced=None),
        )
        return token

    def _issue(self, grant: Grant) -> dict[str, Any]:
        access = self._sign(self._access_key, self._access_claims(grant))
        answer: dict[str, Any] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(self.token_life.total_seconds()),
        }
        if "openid" in grant.scopes:
            half = hashlib.sha256(access.encode()).digest()[:16]
            at_hash = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
            claims = {**self._id_claims(grant), "at_hash": at_hash}
            answer["id_token"] = self._sign(self._id_key, claims)
        return answer

    async def _revoke(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            self._client_of(request, form)
        except Refused as refused:
            return _json({"error": refused.code}, status=400)
        token = form.get("token", "")
        if token.count(".") == 2:
            return _json({"error": "unsupported_token_type"}, status=400)
        grant = self._refresh.pop(token, None)
        if grant is not None:
            self._revoked.add(grant.origin)
        return web.Response()

    async def _user_info(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            opened = jws.deserialize_compact(token, self._access_key, algorithms=["RS256"])
            claims = json.loads(opened.payload)
        except Exception:  # whatever is wrong with it, the answer is one
            return _json({"error": "invalid_token"}, status=401)
        user = self.users.get(claims.get("username"))
        if user is None or claims["exp"] <= self.clock().timestamp():
            return _json({"error": "invalid_token"}, status=401)
        return _json(
            {
                "sub": user.subject,
                "username": user.username,
                "name": user.name,
                "email": user.email,
                "email_verified": "true",  # Cognito writes a string here
                **user.attributes,
            }
        )

    async def _demo_token(self, request: web.Request) -> web.Response:
        given = {**request.query, **(await request.post())}
        try:
            user = self._authenticated(str(given.get("user")), str(given.get("password")))
        except Refused:
            return web.Response(status=401, text="Incorrect user or password.\n")
        return web.Response(
            text=self.id_token(user.username), headers={"Cache-Control": "no-store"}
        )


def _hold(held: dict[str, Any], key: str, value: Any) -> None:
    """Keeps what has been issued, and forgets the oldest before there are too many."""
    while len(held) >= HELD_MAX:
        del held[next(iter(held))]
    held[key] = value


def _json(value: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.json_response(value, status=status, headers={"Cache-Control": "no-store"})


def _back(query: Mapping[str, str], **answer: str) -> web.Response:
    """To the client's redirect_uri, with the state that it gave."""
    if "state" in query:
        answer["state"] = query["state"]
    return web.Response(
        status=302, headers={"Location": f"{query['redirect_uri']}?{urlencode(answer)}"}
    )
