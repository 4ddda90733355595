"""
A session as one sealed cookie: what it holds, how old it may grow, what is dropped to make it fit.

The cookie is all there is in the browser: identity, the claims that policies name, and the ticket
that opens the session's record in the state store. It never holds a token of the provider.

Sources: RFC 6265 and its successor for the `__Host-` prefix; SES-1, SES-2, SES-5, SES-6.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from gateway import errors
from gateway.config.section import REMEMBERED
from gateway.errors import LoginError
from gateway.keyring import Keyring, Sealer

FORMAT = 1
COOKIE_MAX = 4096  # bytes with name and attributes: what RFC 6265 section 6.1 asks of browsers
LOGIN_TTL = timedelta(minutes=10)  # long enough for a second factor, short for a shared computer
REISSUE = 0.1  # of the idle time: how old the last activity grows before the cookie says so
DUE_MIN = 5.0  # seconds: with clocks far apart, tokens that seem to end at once make no storm
LARGEST = 3  # claims named to somebody whose claims do not fit


class Keeper(Protocol):
    """What of somebody's claims a policy could ask for (`gateway.policy.match.Keeper`)."""

    digest: str
    """Changes when what is kept may change."""

    def keep(self, claims: Mapping[str, Any]) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Style:
    """How our cookies are named and marked (SES-1); plain http only where `public_url` says so."""

    secure: bool

    @classmethod
    def of(cls, public_url: str) -> Style:
        return cls(secure=not public_url.startswith("http:"))

    def name(self, base: str) -> str:
        """`__Host-` makes browsers insist on Secure, Path=/ and no Domain; http cannot have it."""
        return f"__Host-{base}" if self.secure else base

    @property
    def session(self) -> str:
        return self.name("session")

    def login(self, suffix: str) -> str:
        return self.name(f"login-{suffix}")

    def set(self, name: str, value: str, max_age: float) -> str:
        """A value of Set-Cookie. `name` is complete, as the methods above give it."""
        secure = "; Secure" if self.secure else ""
        age = max(0, int(max_age))
        return f"{name}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def expire(self, name: str) -> str:
        """The same attributes, or a browser keeps the old one (SES-9)."""
        return self.set(name, "", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is in force for sessions: made once for each snapshot."""

    keyring: Keyring
    keeper: Keeper
    style: Style
    lifetime: timedelta
    idle: timedelta
    issuers: tuple[tuple[str, str], ...] = ()
    """What providers' names mean."""
    digest: str = field(init=False)
    """Changes with what is kept of claims, and with whose they are: sessions are then looked at anew."""
    unconfirmed: timedelta = timedelta(days=30)
    """How long keys work without a word of the provider about their owner."""
    longest: timedelta = REMEMBERED
    """Longer than anything that is denied by a person's `not_before` could live."""

    def __post_init__(self) -> None:
        text = json.dumps([self.keeper.digest, self.issuers])
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest()[:16])


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody signed in, as their cookie says."""

    sid: str
    ticket: str
    provider: str
    subject: str
    username: str = ""
    name: str = ""
    email: str = ""
    claims: Mapping[str, Any]
    """Those that policies name."""
    digest: str
    """Of what policies asked for when `claims` were chosen."""
    began: float
    """When the sign-in was; a re-issue keeps it, for `not_before` compares with it (SES-16)."""
    ends: int
    active: int
    due: int
    """Until when the claims count as current."""

    @property
    def end(self) -> datetime:
        return datetime.fromtimestamp(self.ends, UTC)

    def lives(self, now: datetime, idle: timedelta) -> bool:
        """Neither past its absolute end nor idle for too long (SES-6)."""
        moment = now.timestamp()
        return moment < self.ends and moment - self.active < idle.total_seconds()

    def worn(self, now: datetime, idle: timedelta) -> bool:
        """The cookie's last activity is old enough to be written anew."""
        return now.timestamp() - self.active > REISSUE * idle.total_seconds()

    def as_claims(self) -> dict[str, Any]:
        """What is sealed; `exp` is added there."""
        return {
            "v": FORMAT,
            "sid": self.sid,
            "tk": self.ticket,
            "op": self.provider,
            "sub": self.subject,
            "usr": self.username,
            "name": self.name,
            "eml": self.email,
            "c": dict(self.claims),
            "pc": self.digest,
            "iat": self.began,
            "act": self.active,
            "due": self.due,
        }

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Session | None:
        """None where this is not what `as_claims` wrote: another format, or another purpose."""
        texts = [claims.get(n) for n in ("sid", "tk", "op", "sub", "usr", "name", "eml", "pc")]
        times = [claims.get(n) for n in ("exp", "act", "due")]
        began, kept = claims.get("iat"), claims.get("c")
        if claims.get("v") != FORMAT or not isinstance(kept, dict):
            return None
        if not all(isinstance(text, str) for text in texts):
            return None
        if not all(type(moment) is int for moment in times) or type(began) not in (int, float):
            return None
        sid, ticket, provider, subject, username, name, email, digest = (str(t) for t in texts)
        if not (sid and ticket and provider and subject):
            return None
        return cls(
            sid=sid,
            ticket=ticket,
            provider=provider,
            subject=subject,
            username=username,
            name=name,
            email=email,
            claims=kept,
            digest=digest,
            began=claims["iat"],
            ends=claims["exp"],
            active=claims["act"],
            due=claims["due"],
        )


def seal(session: Session, sealer: Sealer, style: Style, now: datetime) -> tuple[str, Session]:
    """
    The Set-Cookie value, and the session as it was sealed.

    Display fields go first where it is too big; a list is never cut, for a deny rule might hang
    on the part that was lost (POL-1). Raises LoginError (LOGIN_TOO_BIG).
    """
    for fitting in (session, replace(session, name="", email="")):
        value = sealer.seal(fitting.as_claims(), expires=fitting.end)
        cookie = style.set(style.session, value, fitting.ends - now.timestamp())
        if len(cookie) <= COOKIE_MAX:
            return cookie, fitting
    raise LoginError(errors.LOGIN_TOO_BIG, claims=_largest(session.claims))


def _largest(claims: Mapping[str, Any]) -> str:
    sizes = {name: len(json.dumps(value)) for name, value in claims.items()}
    names = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:LARGEST]
    return ", ".join(f"{name} ({sizes[name]} bytes)" for name in names)


def unseal(cookie: str, sealer: Sealer, now: datetime) -> Session | None:
    """The session in a cookie's value; None for every failure (SES-2)."""
    claims = sealer.open(cookie, now=now)
    return None if claims is None else Session.from_claims(claims)


def due_at(expires: datetime | None, now: datetime, chance: float) -> int:
    """
    Until when claims count as current: a minute before the ID token ends, an hour at most.

    `chance` in [0, 1) spreads sessions that began together over a tenth of that time. Without an
    ID token the claims count one hour.
    """
    hour = 3600.0
    life = hour if expires is None else max(0.0, min(hour, (expires - now).total_seconds()))
    # A token of two minutes or less is renewed at half its life, not at every request.
    life -= min(60.0, life / 2)
    return int(now.timestamp() + max(DUE_MIN, life * (1 - 0.1 * chance)))
