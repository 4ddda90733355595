"""
Who is asking, how that was shown, and secrets that never print themselves.

An identity is (issuer, subject) with the claims that policies speak of. The same subject at
two issuers is two people.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, final

from gateway.records import Record

ANONYMOUS_ISSUER = "anonymous"
SERVICE_ISSUER = "service"
"""Issuer names that no configured provider may bear."""


@final
class Secret:
    """A string that shows itself only where `reveal()` is written."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(("secret", self._value))

    def __bool__(self) -> bool:
        return bool(self._value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence of a narrowing: these actions on these keys of these buckets, or never those."""

    effect: Literal["allow", "deny"] = "allow"
    actions: tuple[str, ...] = ("s3:*",)
    """IAM actions; `*` and `?` as in IAM."""
    buckets: tuple[str, ...] = ("*",)
    """Bucket patterns, in the client's names."""
    keys: tuple[str, ...] = ("**",)
    """Key patterns of the policy language (`*` stops at a slash, `**` does not)."""

    def as_json(self) -> dict[str, Any]:
        """The form that sealed tokens and records hold."""
        return {
            "e": self.effect,
            "a": list(self.actions),
            "b": list(self.buckets),
            "k": list(self.keys),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Statement:
        """Raises KeyError, TypeError or ValueError on anything but what `as_json` wrote."""
        effect = value["e"]
        if effect not in ("allow", "deny"):
            raise ValueError("effect")
        return cls(
            effect=effect,
            actions=_strings(value["a"]),
            buckets=_strings(value["b"]),
            keys=_strings(value["k"]),
        )


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("list of strings expected")
    return tuple(value)


Narrowing = tuple[Statement, ...]
"""What a key or a share restricts its owner to: allowed by some statement, denied by none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody, as an issuer (or the configuration) describes them."""

    issuer: str
    """Name of the provider in the configuration, not its URL; or one of the constants above."""
    subject: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    username: str = ""
    name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    expires: datetime | None = None
    narrowed: tuple[Narrowing, ...] = ()
    """Every one of these must allow an action as well; they only ever take away."""
    fingerprint: str = field(init=False, default="")
    """Changes with anything a decision may depend on: the key of caches, with the snapshot."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "claims", MappingProxyType(dict(self.claims)))
        narrowed = [[s.as_json() for s in narrowing] for narrowing in self.narrowed]
        text = json.dumps(
            [self.issuer, self.subject, dict(self.claims), narrowed], sort_keys=True, default=str
        )
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        object.__setattr__(self, "fingerprint", digest)

    @property
    def anonymous(self) -> bool:
        return self.issuer == ANONYMOUS_ISSUER

    @property
    def display(self) -> str:
        """What to call them on a page."""
        return self.name or self.username or self.email or self.subject


ANONYMOUS_IDENTITY = Identity(issuer=ANONYMOUS_ISSUER, subject="anonymous")


class Method(StrEnum):
    """How an identity was shown."""

    SIGNATURE = "signature"
    BEARER = "bearer"
    BASIC = "basic"
    SESSION = "session"
    SHARE = "share"
    ANONYMOUS = "anonymous"


class Proof(Record, frozen=True, kw_only=True):
    """An identity and how it was shown."""

    identity: Identity
    method: Method
    key_id: str | None = None
    """The access key id, where one was used."""
    temporary: bool = False
    """Shown with temporary credentials, which may not manage keys."""
    parent_key: str | None = None
    """The personal key or service account that temporary credentials were made with, and end with."""
    session_id: str | None = None
    ticket: Secret | None = None
    """Opens the session's record in the state store; only the cookie holds it."""
    token: Secret | None = None
    """The verified bearer token itself: for credentials that are had in exchange for one."""
    expires: datetime | None = None
    """When the proof ends; nothing made from it may last longer."""
    issued: datetime | None = None
    """When the sign-in behind it began: what `not_before` revocations compare with."""

    @property
    def by_cookie(self) -> bool:
        """A browser sent it by itself, so what is answered must be harmless on the page's host."""
        return self.method in (Method.SESSION, Method.SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request upstream is signed with."""

    access_key_id: str
    secret: Secret
    session_token: Secret | None = None
    expires: datetime | None = None

    @property
    def anonymous(self) -> bool:
        return not self.access_key_id


ANONYMOUS = Credentials(access_key_id="", secret=Secret(""))
"""Leaves an upstream request unsigned."""
