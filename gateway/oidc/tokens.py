"""
Tokens of a provider: is this ID, access or logout token genuine, current and for us?

The keys and the time are arguments. Every token passes the same steps in the same order and the
first failure ends it; which one it was is for the log, not for whoever showed the token. joserfc
checks signatures; claims are checked here, because its options accept lists for single values,
substrings for lists, and true for one.

Sources: RFC 7515, RFC 7519, RFC 8725; OpenID Connect Core 3.1.3.7 and 12.2; OpenID Connect
Back-Channel Logout 1.0.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from gateway import errors
from gateway.errors import Reason, TokenError
from gateway.keyring import same
from gateway.oidc.keyset import VerificationKeys
from gateway.oidc.providers import Metadata, Provider

TOKEN_MAX = 16 * 1024  # characters: sixty groups make four thousand; aiohttp carries no more
HEADER_MAX = 4096  # bytes: an x5c chain fits, whatever we do with it
LEEWAY = timedelta(seconds=60)  # clocks of two hosts
LOGIN_AGE_MAX = timedelta(hours=24)  # an ID token older than a day was not made for this login
SUBJECT_MAX = 255  # characters: OpenID Connect Core 2
CLOCK_MAX = 253402300799.0  # seconds: the end of the year 9999, the last that a datetime can say

_SHAPE = re.compile(r"([A-Za-z0-9_-]{1,5464})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{1,1368})")
_BAD = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_ID_TYPES = frozenset({"jwt"})
_BEARER_TYPES = frozenset({"jwt", "at+jwt"})
_LOGOUT_TYPES = frozenset({"logout+jwt", "jwt"})
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

Claims = Mapping[str, Any]


class UnknownKey(TokenError):
    """The set has no key for this token: perhaps it has changed since it was fetched."""

    def __init__(self, kid: str | None) -> None:
        super().__init__(errors.TOKEN_KEY)
        self.kid = kid


class _Registry(jws.JWSRegistry):
    max_header_length = HEADER_MAX

    def get_alg(self, name: str) -> Any:
        # The caller has compared `name` with the issuer's own algorithms. Ours does not warn that
        # EdDSA has got a second name (RFC 9864); providers use the first.
        return self.algorithms[name]


_REGISTRY = _Registry(strict_check_header=False)  # RFC 7515 section 4: unknown members are ignored


@dataclass(frozen=True, slots=True)
class Parsed:
    """A token's parts before anything in them is believed."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    text: str


def parse(token: str) -> Parsed:
    """Step 1: shape and size before any decoding. Raises TokenError (TOKEN_MALFORMED)."""
    shape = _SHAPE.fullmatch(token) if len(token) <= TOKEN_MAX else None
    if shape is None:
        raise TokenError(errors.TOKEN_MALFORMED)
    try:
        header, claims = _json(shape[1]), _json(shape[2])
    except _BAD:
        raise TokenError(errors.TOKEN_MALFORMED) from None
    return Parsed(header, claims, token)


def _json(part: str) -> Mapping[str, Any]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if type(value) is not dict:
        raise ValueError("not an object")
    return value


def unverified_issuer(parsed: Parsed) -> str:
    """Only selects which configured issuer is asked; nothing is believed for it."""
    issuer = parsed.claims.get("iss")
    return issuer if isinstance(issuer, str) else ""


def verify_login(
    parsed: Parsed,
    *,
    keys: VerificationKeys,
    provider: Provider,
    metadata: Metadata,
    nonce: str,
    access_token: str | None,
    now: datetime,
) -> Claims:
    """The claims of the ID token that ends a login. Raises TokenError, UnknownKey."""
    claims = _genuine(parsed, keys, metadata, _ID_TYPES)
    _current(claims, now, issued=True)
    if claims["iat"] < (now - LOGIN_AGE_MAX).timestamp():
        raise TokenError(errors.TOKEN_TIMES)
    _for_client(claims, provider.client_id)
    _subject(claims)
    _require(claims.get("token_use", "id") == "id", errors.TOKEN_USE)
    held = claims.get("nonce")
    _require(isinstance(held, str) and bool(nonce) and same(held, nonce), errors.TOKEN_NONCE)
    if access_token is not None:
        _at_hash(parsed, access_token)
    return claims


@dataclass(frozen=True, slots=True)
class Original:
    """What a refreshed ID token must agree with."""

    subject: str
    nonce: str


def verify_refreshed(
    parsed: Parsed,
    *,
    keys: VerificationKeys,
    provider: Provider,
    metadata: Metadata,
    original: Original,
    access_token: str | None,
    now: datetime,
) -> Claims:
    """The claims of an ID token that a refresh brought. Raises TokenError, UnknownKey."""
    claims = _genuine(parsed, keys, metadata, _ID_TYPES)
    _current(claims, now, issued=True)
    _for_client(claims, provider.client_id)
    _subject(claims)
    _require(claims.get("token_use", "id") == "id", errors.TOKEN_USE)
    _require(claims["sub"] == original.subject, errors.TOKEN_SUBJECT)
    # Core 12.2: a nonce need not come back; Keycloak stopped sending it with version 25.
    _require(claims.get("nonce", original.nonce) == original.nonce, errors.TOKEN_NONCE)
    auth_time = claims.get("auth_time")
    if auth_time is not None:
        _require(_number(auth_time) <= (now + LEEWAY).timestamp(), errors.TOKEN_TIMES)
    if access_token is not None:
        _at_hash(parsed, access_token)
    return claims


def verify_bearer(
    parsed: Parsed,
    *,
    keys: VerificationKeys,
    provider: Provider,
    metadata: Metadata,
    now: datetime,
) -> Claims:
    """The claims of an ID or access token shown by a program (OID-16). Raises TokenError."""
    claims = _genuine(parsed, keys, metadata, _BEARER_TYPES)
    _current(claims, now, issued=False)
    _for_audience(claims, provider)
    _subject(claims)
    _require(claims.get("token_use", "id") in ("id", "access"), errors.TOKEN_USE)
    # RFC 7800: such a token is good only together with a key that nobody has proved here.
    _require("cnf" not in claims, errors.TOKEN_USE)
    return claims


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """Whose sessions the provider ends: one of them by `sid`, or all of a subject's."""

    subject: str
    sid: str
    jti: str
    expires: datetime


def verify_logout(
    parsed: Parsed,
    *,
    keys: VerificationKeys,
    provider: Provider,
    metadata: Metadata,
    now: datetime,
) -> LogoutToken:
    """A back-channel logout token (OID-15). Raises TokenError, UnknownKey."""
    claims = _genuine(parsed, keys, metadata, _LOGOUT_TYPES)
    _current(claims, now, issued=True)
    _for_client(claims, provider.client_id)
    events = claims.get("events")
    _require(type(events) is dict and type(events.get(LOGOUT_EVENT)) is dict, errors.TOKEN_USE)
    # A nonce would make it an ID token, which whoever runs another client may hold.
    _require("nonce" not in claims, errors.TOKEN_USE)
    subject, sid, jti = (claims.get(name, "") for name in ("sub", "sid", "jti"))
    _require(
        all(isinstance(value, str) and len(value) <= SUBJECT_MAX for value in (subject, sid)),
        errors.TOKEN_SUBJECT,
    )
    _require(bool(subject or sid), errors.TOKEN_SUBJECT)
    _require(isinstance(jti, str) and 0 < len(jti) <= SUBJECT_MAX, errors.TOKEN_MALFORMED)
    return LogoutToken(subject, sid, jti, datetime.fromtimestamp(claims["exp"], UTC))


def _genuine(
    parsed: Parsed, keys: VerificationKeys, metadata: Metadata, types: frozenset[str]
) -> dict[str, Any]:
    """Steps 1 to 4: header, algorithm, key and signature, issuer."""
    header = parsed.header
    # OID-5: jku, jwk, x5u and x5c are never looked at; what demands understanding is refused.
    _require("crit" not in header and "b64" not in header, errors.TOKEN_MALFORMED)
    _require(_type(header.get("typ", "jwt")) in types, errors.TOKEN_USE)
    alg, kid = header.get("alg"), header.get("kid")
    _require(isinstance(alg, str) and alg in metadata.algorithms, errors.TOKEN_ALGORITHM)
    _require(kid is None or isinstance(kid, str), errors.TOKEN_MALFORMED)
    assert isinstance(alg, str)
    key = keys.find(kid, alg)
    if key is None:
        raise UnknownKey(kid)
    try:
        opened = jws.deserialize_compact(parsed.text, key.public, registry=_REGISTRY)
        claims = json.loads(opened.payload)
    except _BAD:
        raise TokenError(errors.TOKEN_SIGNATURE) from None
    _require(type(claims) is dict, errors.TOKEN_MALFORMED)
    _require(claims.get("iss") == metadata.issuer, errors.TOKEN_ISSUER)
    assert isinstance(claims, dict)
    return claims


def _type(value: object) -> str:
    return value.lower().removeprefix("application/") if isinstance(value, str) else ""


def _current(claims: Claims, now: datetime, *, issued: bool) -> None:
    """Step 5: finite times, and now between them."""
    latest, earliest = (now + LEEWAY).timestamp(), (now - LEEWAY).timestamp()
    if _number(claims.get("exp")) <= earliest:
        raise TokenError(errors.TOKEN_EXPIRED)
    if issued or "iat" in claims:
        _require(_number(claims.get("iat")) <= latest, errors.TOKEN_TIMES)
    if "nbf" in claims:
        _require(_number(claims["nbf"]) <= latest, errors.TOKEN_TIMES)


def _number(value: object) -> float:
    # `True` is an int and NaN compares false with everything: neither is a time.
    if type(value) not in (int, float):
        raise TokenError(errors.TOKEN_TIMES)
    assert isinstance(value, int | float)
    if not (math.isfinite(value) and 0 <= value <= CLOCK_MAX):
        raise TokenError(errors.TOKEN_TIMES)
    return float(value)


def _audiences(claims: Claims) -> list[str]:
    value = claims.get("aud")
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise TokenError(errors.TOKEN_AUDIENCE)


def _for_client(claims: Claims, client_id: str) -> None:
    """Step 6 for tokens made for our own client (OID-8)."""
    audiences, party = _audiences(claims), claims.get("azp")
    _require(bool(client_id) and client_id in audiences, errors.TOKEN_AUDIENCE)
    _require(party is None or party == client_id, errors.TOKEN_AUDIENCE)
    _require(len(audiences) == 1 or party is not None, errors.TOKEN_AUDIENCE)


def _for_audience(claims: Claims, provider: Provider) -> None:
    """Step 6 for bearer tokens: the audiences that the operator wrote down, or our own client."""
    if claims.get("token_use") == "access" and "aud" not in claims and provider.kind.access_client:
        _require(claims.get("client_id") in provider.accepted_audiences, errors.TOKEN_AUDIENCE)
        return
    if not provider.audiences:
        _for_client(claims, provider.client_id)
        return
    # An access token's `azp` is whoever fetched it, which is another client by nature.
    _require(not provider.audiences.isdisjoint(_audiences(claims)), errors.TOKEN_AUDIENCE)


def _subject(claims: Claims) -> None:
    subject = claims.get("sub")
    _require(isinstance(subject, str) and 0 < len(subject) <= SUBJECT_MAX, errors.TOKEN_SUBJECT)


def _at_hash(parsed: Parsed, access_token: str) -> None:
    """Core 3.1.3.6: the left half of the access token's hash, by the hash of the algorithm."""
    held = parsed.claims.get("at_hash")
    if held is None:
        return
    expected = [_left_half(name, access_token) for name in _hashes(parsed.header["alg"])]
    _require(isinstance(held, str) and any(same(held, one) for one in expected), errors.TOKEN_NONCE)


def _hashes(alg: str) -> Iterable[str]:
    # Ed25519 hashes with SHA-512, Ed448 with SHAKE256 (114 bytes); the header does not say which.
    return ("sha512", "shake_256") if alg == "EdDSA" else (f"sha{alg[2:]}",)


def _left_half(name: str, text: str) -> str:
    digest = hashlib.new(name, text.encode())
    raw = hashlib.shake_256(text.encode()).digest(114) if name == "shake_256" else digest.digest()
    return base64.urlsafe_b64encode(raw[: len(raw) // 2]).rstrip(b"=").decode()


def _require(true: bool, why: Reason) -> None:
    if not true:
        raise TokenError(why)


def ends(claims: Claims) -> datetime:
    """When verified claims end."""
    return datetime.fromtimestamp(claims["exp"], UTC)


def began(claims: Claims) -> datetime | None:
    """When verified claims were issued, where they say so."""
    issued = claims.get("iat")
    return None if issued is None else datetime.fromtimestamp(issued, UTC)
