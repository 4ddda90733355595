"""
/api/keys, /api/keys/temporary and /api/credentials: people's and programs' own access keys.

A secret stands in one answer and nowhere else (KEY-5). Temporary credentials manage no keys
(KEY-3), and a personal key manages none but itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, Field

from gateway.accesskeys.keys import LIFETIME_MIN, TemporaryKeys, TokenTooLarge, mint
from gateway.accesskeys.records import KeyRecord, Use
from gateway.errors import ApiError, ProviderError, TokenError
from gateway.identity import SERVICE_ISSUER, Identity, Method, Narrowing, Proof
from gateway.server.accesskeys import AccessKeys, Wanted
from gateway.server.bodies import Strict, iso, json_answer, read_json
from gateway.server.exchange import Exchange, Request, exchange_of
from gateway.server.routes import Route, Who

BUCKETS_MAX = 100  # names in one key: more is a policy's work
LIFETIME_LEAST = timedelta(minutes=1)
TOKEN_MAX = 20_000  # characters of a bearer token, as STS allows
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LIFETIME = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Verify = Callable[[str, datetime], Awaitable[Proof]]
"""A bearer token's proof. Raises TokenError, ProviderError."""
Revoked = Callable[[Proof, datetime], Awaitable[bool]]
Kept = Callable[[Identity], Identity]
"""The same identity with no claims but those that a policy asks for: what fits into a token."""


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("a name has letters that can be seen, and no control characters")
    return text.strip()


def _bucket(name: str) -> str:
    if not _BUCKET.fullmatch(name):
        raise ValueError("this is not the name of a bucket")
    return name


class NewKey(Strict):
    """Body of POST /api/keys."""

    name: Annotated[str, Field(max_length=64), AfterValidator(_printable)]
    """What its owner calls it."""
    lifetime: int | str
    """Seconds, or a number with s, m, h or d."""
    buckets: Annotated[
        tuple[Annotated[str, AfterValidator(_bucket)], ...], Field(max_length=BUCKETS_MAX)
    ] = ()
    """Empty: every bucket that its owner may use."""
    read_only: bool = False


class NewTemporary(Strict):
    """Body of POST /api/keys/temporary."""

    lifetime: int | str | None = None
    """Seconds, or a number with s, m, h or d."""


def parse_lifetime(value: int | str) -> timedelta:
    """Seconds, or `90d`, `12h`, `30m`, `60s`. Raises ApiError (400)."""
    if isinstance(value, int) and 0 < value < 10**10:
        return timedelta(seconds=value)
    match = _LIFETIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ApiError(
            400,
            "The lifetime cannot be read.",
            detail="Seconds, or a number with s, m, h or d, such as 12h or 90d, are expected.",
            code="lifetime",
        )
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


class Keys:
    """The routes about access keys."""

    def __init__(
        self, access: AccessKeys, *, verify_bearer: Verify, revoked: Revoked, kept: Kept
    ) -> None:
        self._access = access
        self._verify_bearer = verify_bearer
        self._revoked = revoked
        self._kept = kept

    def routes(self) -> tuple[Route, ...]:
        """The rows of the route table."""
        return (
            Route(
                method="GET",
                path="/api/keys",
                handler=self.list,
                summary="The caller's own access keys.",
                answer=KEY_LIST,
            ),
            Route(
                method="POST",
                path="/api/keys",
                handler=self.create,
                summary="A new access key; its secret is in this answer and nowhere else.",
                body=NewKey.model_json_schema,
                answer=CREATED,
            ),
            Route(
                method="DELETE",
                path="/api/keys/{id}",
                handler=self.revoke,
                summary="Revokes an access key, at once.",
            ),
            Route(
                method="POST",
                path="/api/keys/temporary",
                handler=self.temporary,
                summary="Temporary credentials for the caller.",
                body=NewTemporary.model_json_schema,
                answer=TEMPORARY_KEYS,
            ),
            Route(
                method="GET",
                path="/api/credentials",
                handler=self.credentials,
                who=Who.ANYONE,
                summary="Temporary credentials for a bearer token, as AWS_CONTAINER_CREDENTIALS_FULL_URI is read.",
                answer=CONTAINER_KEYS,
            ),
        )

    async def list(self, request: Request) -> web.StreamResponse:
        """GET /api/keys."""
        ex = exchange_of(request)
        proof = _owner(ex, Method.SESSION, Method.BEARER)
        rows = await self._access.owned(proof.identity.issuer, proof.identity.subject, ex.now)
        limits = ex.snapshot.config.keys
        return json_answer(
            {
                "keys": [described(record, use) for record, use in rows],
                "personal": limits.personal,
                "max_lifetime": int(limits.max_lifetime.total_seconds()),
            }
        )

    async def create(self, request: Request) -> web.StreamResponse:
        """POST /api/keys."""
        ex = exchange_of(request)
        # A session alone: its sign-in is what confirms the owner, whom the key then depends on.
        proof = _owner(ex, Method.SESSION)
        limits = ex.snapshot.config.keys
        if not limits.personal:
            raise ApiError(403, "Personal access keys are switched off here.", code="keys-off")
        wanted = await read_json(request, NewKey)
        lifetime = parse_lifetime(wanted.lifetime)
        if not LIFETIME_LEAST <= lifetime <= limits.max_lifetime:
            most = int(limits.max_lifetime.total_seconds())
            raise ApiError(
                400,
                "The lifetime is not within what is allowed.",
                detail=f"At least 60 seconds and at most {most} are.",
                code="lifetime",
            )
        record, secret = await self._access.create(
            Wanted(
                issuer=proof.identity.issuer,
                subject=proof.identity.subject,
                name=wanted.name,
                expires=(ex.now + lifetime).replace(microsecond=0),
                buckets=tuple(dict.fromkeys(wanted.buckets)),
                read_only=wanted.read_only,
                narrowed=proof.identity.narrowed,
            ),
            ex.now,
        )
        return json_answer(described(record, None) | {"secret": secret.reveal()}, status=201)

    async def revoke(self, request: Request) -> web.StreamResponse:
        """DELETE /api/keys/{id}."""
        ex = exchange_of(request)
        key_id = request.match_info["id"]
        proof = _owner(ex, Method.SESSION, Method.BEARER, Method.BASIC)
        if proof.method is Method.BASIC and proof.key_id != key_id:
            raise ApiError(403, "An access key revokes itself and no other.", code="not-owner")
        identity = proof.identity
        if not await self._access.revoke(identity.issuer, identity.subject, key_id, ex.now):
            raise ApiError(404, "You have no access key of this id.", code="no-such-key")
        return web.Response(status=204, headers={"Cache-Control": "no-store"})

    async def temporary(self, request: Request) -> web.StreamResponse:
        """POST /api/keys/temporary."""
        ex = exchange_of(request)
        proof = ex.proof
        if proof is None or proof.method is Method.SHARE:
            raise ApiError(401, "Nobody is signed in.", code="not-signed-in")
        wanted = await read_json(request, NewTemporary)
        limits = ex.snapshot.config.keys
        lifetime = limits.temporary if wanted.lifetime is None else parse_lifetime(wanted.lifetime)
        made = self.mint(proof, ex, max(lifetime, LIFETIME_MIN))
        return json_answer(
            {
                "AccessKeyId": made.access_key_id,
                "SecretAccessKey": made.secret.reveal(),
                "SessionToken": made.session_token.reveal(),
                "Expiration": iso(made.expires),
            }
        )

    async def credentials(self, request: Request) -> web.StreamResponse:
        """GET /api/credentials: for the bare token in Authorization, never for a cookie (KEY-5)."""
        ex = exchange_of(request)
        token = _bare_token(request)
        proof = await self._believed(token, ex)
        ex.event.identified(proof)
        made = self.mint(proof, ex, ex.snapshot.config.keys.temporary)
        return json_answer(
            {
                "AccessKeyId": made.access_key_id,
                "SecretAccessKey": made.secret.reveal(),
                "Token": made.session_token.reveal(),
                "Expiration": iso(made.expires),
            }
        )

    async def _believed(self, token: str, ex: Exchange) -> Proof:
        try:
            proof = await self._verify_bearer(token, ex.now)
        except TokenError as bad:
            ex.event.note(bad.reason.code)  # the log learns why, the bearer does not (KEY-8)
            raise _no_token() from bad
        except ProviderError as away:
            raise ApiError(503, away.sentence, code=away.reason.code, retry_after=5) from away
        if await self._revoked(proof, ex.now):
            raise _no_token()
        return proof

    def mint(
        self,
        proof: Proof,
        ex: Exchange,
        lifetime: timedelta,
        narrowing: Narrowing | None = None,
    ) -> TemporaryKeys:
        """Temporary keys within what the operator allows. Raises ApiError (400)."""
        try:
            return self.mint_raw(proof, ex, lifetime, narrowing)
        except TokenTooLarge as large:
            raise ApiError(
                400,
                "Your claims do not fit into temporary credentials.",
                detail=f"The largest are {', '.join(large.largest)}.",
                code="token-too-large",
            ) from large

    def mint_raw(
        self, proof: Proof, ex: Exchange, lifetime: timedelta, narrowing: Narrowing | None
    ) -> TemporaryKeys:
        """The same. Raises TokenTooLarge."""
        most = ex.snapshot.config.keys.temporary_max
        return mint(
            ex.snapshot.keyring,
            with_identity(proof, self._kept(proof.identity)),
            now=ex.now,
            lifetime=min(lifetime, most),
            narrowing=narrowing,
        )


def _owner(ex: Exchange, *methods: Method) -> Proof:
    """Somebody who may manage personal keys. Raises ApiError (401, 403)."""
    proof = ex.proof
    if proof is None:
        raise ApiError(401, "Nobody is signed in.", code="not-signed-in")
    if proof.temporary or proof.method not in methods or proof.identity.issuer == SERVICE_ISSUER:
        raise ApiError(
            403,
            "Access keys are managed by people who are signed in.",
            code="keys-need-session",
        )
    return proof


def with_identity(proof: Proof, identity: Identity) -> Proof:
    """The proof, of the same identity described shorter."""
    if identity is proof.identity:
        return proof
    return Proof(
        identity=identity,
        method=proof.method,
        key_id=proof.key_id,
        temporary=proof.temporary,
        parent_key=proof.parent_key,
        session_id=proof.session_id,
        expires=proof.expires,
        issued=proof.issued,
    )


def _bare_token(request: Request) -> str:
    # As SDKs send the content of a file: bare, and often with its last line break.
    token = (request.head.headers.get("authorization") or "").strip()
    if token[:7].lower() == "bearer ":
        token = token[7:].strip()
    if not token or len(token) > TOKEN_MAX:
        raise _no_token()
    return token


def _no_token() -> ApiError:
    return ApiError(
        401,
        "A token of a configured issuer is expected in Authorization.",
        code="token-not-accepted",
    )


def described(record: KeyRecord, use: Use | None) -> dict[str, Any]:
    """What a list of keys says of one."""
    return {
        "id": record.key_id,
        "name": record.name,
        "kind": record.kind,
        "buckets": [*record.buckets],
        "read_only": record.read_only,
        "created_at": iso(record.created),
        "expires_at": iso(record.expires),
        "last_used": None
        if use is None
        else {"at": iso(use.at), "address": use.address, "program": use.program},
    }


_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


KEY = {
    "id": _TEXT,
    "name": _TEXT,
    "kind": {"enum": ["personal", "cli"]},
    "buckets": {"type": "array", "items": _TEXT},
    "read_only": {"type": "boolean"},
    "created_at": _TIME,
    "expires_at": _TIME,
    "last_used": {"anyOf": [_object(at=_TIME, address=_TEXT, program=_TEXT), {"type": "null"}]},
}
KEY_LIST = _object(
    keys={"type": "array", "items": _object(**KEY)},
    personal={"type": "boolean"},
    max_lifetime={"type": "integer", "description": "seconds"},
)
CREATED = _object(**KEY, secret=_TEXT)
TEMPORARY_KEYS = _object(
    AccessKeyId=_TEXT, SecretAccessKey=_TEXT, SessionToken=_TEXT, Expiration=_TIME
)
CONTAINER_KEYS = _object(AccessKeyId=_TEXT, SecretAccessKey=_TEXT, Token=_TEXT, Expiration=_TIME)
