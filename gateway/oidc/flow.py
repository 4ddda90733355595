"""
A login as pure steps: the way to the provider, what comes back, who that makes somebody, the way out.

Authorization code with PKCE and nonce, always and without a switch (OID-2). Nothing of a request
reaches the provider but a local return target, and that stays in the sealed login cookie (RED-2);
nothing that comes back is believed before its state has been compared (OID-1).

Sources: OpenID Connect Core 3.1; RFC 6749, RFC 7636, RFC 9207; RP-Initiated Logout 1.0.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from gateway import errors
from gateway.errors import LoginError
from gateway.identity import Identity
from gateway.keyring import random_token, same
from gateway.message import Pairs
from gateway.oidc.providers import Email, Kind, Logout, Metadata, Provider, Userinfo, scope_of
from gateway.oidc.tokens import Claims

LOGIN_TTL = timedelta(minutes=10)  # long enough for a second factor, short for a shared computer
TARGET_MAX = 1024  # bytes: what leaves room for five logins in one request's cookies
DEFAULT_TARGET = "/ui/"
PARAMETER_MAX = 4096  # characters of a callback parameter: Entra's codes have about 1 500

_TARGET = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]*")
_DOTS = frozenset({".", "..", "%2e", ".%2e", "%2e.", "%2e%2e"})


def local_target(value: str | None, origin: str = "") -> str:
    """
    Where to go after the login: `value` where it is a place of ours, else the file browser (RED-1).

    `origin` may stand before it, exactly: proxies that only know whole URLs send those (RED-3).
    Given back verbatim: it must not pass through a URL class, which would decode `%2e%2e`.
    """
    if value is None or len(value.encode("utf-8", "surrogatepass")) > TARGET_MAX:
        return DEFAULT_TARGET
    if origin and value.startswith(f"{origin}/"):
        value = value.removeprefix(origin)
    if not value.isascii() or not _TARGET.fullmatch(value):
        return DEFAULT_TARGET
    path = re.split(r"[?#]", value, maxsplit=1)[0].lower()
    if "//" in path or any(segment in _DOTS for segment in path.split("/")):
        return DEFAULT_TARGET
    return DEFAULT_TARGET if path == "/api" or path.startswith("/api/") else value


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginState:
    """One login in flight: what the sealed login cookie holds."""

    state: str
    nonce: str
    verifier: str
    provider: str
    target: str

    @classmethod
    def fresh(cls, provider: str, target: str) -> LoginState:
        return cls(
            state=random_token(),
            nonce=random_token(),
            verifier=random_token(),
            provider=provider,
            target=target,
        )

    def as_claims(self) -> dict[str, str]:
        return {
            "s": self.state,
            "n": self.nonce,
            "v": self.verifier,
            "p": self.provider,
            "t": self.target,
        }

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> LoginState | None:
        """None where the claims are not what `as_claims` wrote."""
        values = [claims.get(name) for name in ("s", "n", "v", "p", "t")]
        if not all(isinstance(value, str) and value for value in values):
            return None
        state, nonce, verifier, provider, target = values
        return cls(state=state, nonce=nonce, verifier=verifier, provider=provider, target=target)  # type: ignore[arg-type] # all are str


def cookie_suffix(state: str) -> str:
    """Which login cookie belongs to a state: eight characters that do not give the state away."""
    return _b64(hashlib.sha256(state.encode()).digest())[:8]


def challenge(verifier: str) -> str:
    """RFC 7636, S256."""
    return _b64(hashlib.sha256(verifier.encode()).digest())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def begin(given: Provider, metadata: Metadata, login: LoginState, redirect_uri: str) -> str:
    """The address at the provider that starts this login. Holds nothing of the request (OID-13)."""
    scope = scope_of(given, metadata)
    pairs = [
        ("response_type", "code"),
        ("client_id", given.client_id),
        ("redirect_uri", redirect_uri),
        *([("scope", scope)] if scope else []),
        ("state", login.state),
        ("nonce", login.nonce),
        # Cognito and Entra do PKCE without saying so in their documents.
        ("code_challenge", challenge(login.verifier)),
        ("code_challenge_method", "S256"),
        *given.kind.fixed,
    ]
    return with_query(metadata.authorization_endpoint, pairs)


def with_query(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """`url`, which may have a query of its own (RFC 6749 3.1), and these parameters."""
    return url + ("&" if "?" in url else "?") + urlencode(list(pairs))


@dataclass(frozen=True, slots=True)
class Callback:
    """What the provider sent back through the browser."""

    state: str
    code: str | None
    error: str | None
    issuer: str | None


def read_callback(pairs: Pairs) -> Callback:
    """One state, and one of code and error (OID-1). Raises LoginError (LOGIN_PARAMETERS)."""
    values: dict[str, list[str]] = {"state": [], "code": [], "error": [], "iss": []}
    for name, value in pairs:
        if name in values:
            values[name].append(value)
    counts = {name: len(found) for name, found in values.items()}
    if counts["state"] != 1 or counts["code"] + counts["error"] != 1 or counts["iss"] > 1:
        raise LoginError(errors.LOGIN_PARAMETERS)
    if any(len(value) > PARAMETER_MAX for found in values.values() for value in found):
        raise LoginError(errors.LOGIN_PARAMETERS)
    code, error, issuer = (next(iter(values[name]), None) for name in ("code", "error", "iss"))
    if not values["state"][0] or code == "":
        raise LoginError(errors.LOGIN_PARAMETERS)
    return Callback(values["state"][0], code, error, issuer)


def check_callback(callback: Callback, login: LoginState | None) -> LoginState:
    """The login that this answer belongs to. Raises LoginError (LOGIN_STATE)."""
    if login is None or not same(callback.state, login.state):
        raise LoginError(errors.LOGIN_STATE)
    return login


def check_issuer(callback: Callback, metadata: Metadata) -> None:
    """RFC 9207, against a mix-up of two providers (OID-3). Raises LoginError (LOGIN_ISSUER)."""
    if callback.issuer is None and not metadata.promises_issuer:
        return
    if callback.issuer != metadata.issuer:
        raise LoginError(errors.LOGIN_ISSUER)


_OAUTH_ERRORS = frozenset(
    {
        "access_denied",
        "invalid_request",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
        "interaction_required",
        "login_required",
        "account_selection_required",
        "consent_required",
    }
)


def code_of(callback: Callback) -> str:
    """The code. Raises LoginError (LOGIN_REFUSED) for an error, in words of our own."""
    if callback.code is None:
        # What the provider calls it is shown only where RFC 6749 or Core 3.1.2.6 do too.
        known = callback.error if callback.error in _OAUTH_ERRORS else "another error"
        raise LoginError(errors.LOGIN_REFUSED, error=known or "another error")
    return callback.code


def refuse_overage(given: Provider, claims: Claims) -> None:
    """A pointer instead of groups is never followed (SSR-3). Raises LoginError (GROUPS_OVERAGE)."""
    pointers = claims.get("_claim_names")
    if given.kind.overage and isinstance(pointers, dict) and given.kind.groups in pointers:
        raise LoginError(errors.GROUPS_OVERAGE)


def identity_of(
    given: Provider, claims: Claims, *, expires: datetime | None = None, subject: str = ""
) -> Identity:
    """Who these claims make somebody, by the provider's row."""
    return Identity(
        issuer=given.name,
        subject=subject or str(claims["sub"]),
        claims=claims,
        username=_text(claims.get(given.kind.username))
        or _text(claims.get(given.kind.access_username)),
        name=_text(claims.get(given.kind.display)),
        email=believed_email(given.kind, claims),
        groups=groups_of(given, claims),
        expires=expires,
    )


def remembered(given: Provider | None, claims: Claims) -> Identity | None:
    """
    Who somebody is whose claims were kept; None where there is no such provider any more.

    A provider's name may have come to mean another issuer: its people are not those of before.
    """
    if given is None or not given.issues(claims.get("iss", given.issuer)):
        return None
    return identity_of(given, claims)


def groups_of(given: Provider, claims: Claims) -> tuple[str, ...]:
    """The groups of the row's claim; absent means none; one alone may come as a string."""
    value = _at(claims, given.kind.groups)
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list):
        return tuple(item for item in value if isinstance(item, str))
    return ()


def _at(claims: Claims, name: str) -> object:
    """A claim by its name, or by a dotted path where no claim has that very name."""
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def believed_email(kind: Kind, claims: Claims) -> str:
    """The address, where the row says that it is the person's; else empty."""
    address = _text(claims.get(kind.address))
    # Cognito's userinfo writes the boolean as a string.
    verified = claims.get("email_verified") in (True, "true")
    match kind.email:
        case Email.VERIFIED:
            return address if verified else ""
        case Email.HOSTED:
            hosted = address.endswith("@gmail.com") or bool(_text(claims.get("hd")))
            return address if verified and hosted else ""
        case Email.NEVER:
            return ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def merge_userinfo(claims: Claims, userinfo: Mapping[str, Any]) -> dict[str, Any]:
    """
    The token's claims and what `userinfo` adds: never over what was signed (OID-11).

    Raises LoginError (TOKEN_SUBJECT) where it speaks of somebody else.
    """
    subject = userinfo.get("sub")
    if not isinstance(subject, str) or subject != claims.get("sub"):
        raise LoginError(errors.TOKEN_SUBJECT)
    return {**{n: v for n, v in userinfo.items() if n not in _PROTOCOL}, **claims}


def renewed_by_userinfo(old: Claims, userinfo: Mapping[str, Any]) -> dict[str, Any]:
    """
    Claims after a refresh that brought no ID token: `userinfo` replaces all but protocol claims.

    Raises LoginError (TOKEN_SUBJECT) where it speaks of somebody else.
    """
    if userinfo.get("sub") != old.get("sub"):
        raise LoginError(errors.TOKEN_SUBJECT)
    return {
        **{n: v for n, v in userinfo.items() if n not in _PROTOCOL},
        **{n: v for n, v in old.items() if n in _PROTOCOL},
    }


_PROTOCOL = frozenset(
    {"iss", "sub", "aud", "azp", "client_id", "token_use", "cnf"}
    | {"exp", "iat", "nbf", "auth_time", "jti", "nonce", "at_hash", "c_hash", "sid"}
    | {"acr", "amr", "origin_jti", "event_id"}
)
"""Claims that speak of the token and the sign-in, not of the person."""


def asks_userinfo(given: Provider, claims: Claims, named: Collection[str]) -> bool:
    """Whether the userinfo endpoint is asked; `named` are the claims that policies speak of."""
    match given.kind.userinfo:
        case Userinfo.NEVER:
            return False
        case Userinfo.THIN:
            return given.kind.groups in named and given.kind.groups not in claims
        case Userinfo.ALWAYS:
            return True


def logout_url(
    given: Provider, metadata: Metadata | None, *, signed_out: str, id_token: str | None
) -> str:
    """Where the browser is sent to sign out at the provider; `signed_out` itself where it cannot."""
    if metadata is None or not metadata.end_session_endpoint:
        return signed_out
    match given.kind.logout:
        case Logout.LOCAL:
            return signed_out
        case Logout.COGNITO:
            back = ("logout_uri", signed_out)
            pairs = [("client_id", given.client_id), back]
            return with_query(metadata.end_session_endpoint, pairs)
        case Logout.OIDC:
            hint = ("id_token_hint", id_token) if id_token else ("client_id", given.client_id)
            pairs = [hint, ("post_logout_redirect_uri", signed_out)]
            return with_query(metadata.end_session_endpoint, pairs)
