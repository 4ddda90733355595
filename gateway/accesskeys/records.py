"""
What the state store keeps of a personal key: whose it is and what it may; never its secret.

The secret is derived again from the gateway's key and the id (KEY-1). When a key was last used
stands in an entry of its own, so that noting a use never brings back a key just revoked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from gateway.identity import Narrowing, Statement

READ_ONLY = ("s3:Get*", "s3:List*", "s3:Describe*")
"""The actions of a read-only key: those of AWS's own policy AmazonS3ReadOnlyAccess."""

Kind = Literal["personal", "cli"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A personal key."""

    key_id: str
    issuer: str
    subject: str
    name: str
    created: datetime
    expires: datetime
    kid: str
    """Short name of the gateway's key that derives the secret."""
    kind: Kind = "personal"
    """`cli`: made by `gateway login`, named after the machine it went to."""
    buckets: tuple[str, ...] = ()
    """Empty: whatever the owner may use."""
    read_only: bool = False
    narrowed: tuple[Narrowing, ...] = ()
    """What the owner's own credential was restricted to when it made the key (KEY-3)."""

    @property
    def narrowing(self) -> Narrowing | None:
        """What name, buckets and read-only take away; None where that is nothing."""
        if not self.buckets and not self.read_only:
            return None
        return (
            Statement(
                actions=READ_ONLY if self.read_only else ("s3:*",), buckets=self.buckets or ("*",)
            ),
        )

    def to_bytes(self) -> bytes:
        return json.dumps(
            {
                "v": 1,
                "id": self.key_id,
                "op": self.issuer,
                "sub": self.subject,
                "name": self.name,
                "iat": int(self.created.timestamp()),
                "exp": int(self.expires.timestamp()),
                "kid": self.kid,
                "kind": self.kind,
                "b": list(self.buckets),
                "ro": self.read_only,
                "nar": narrowings_json(self.narrowed),
            }
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyRecord:
        """Raises ValueError on anything but what `to_bytes` wrote."""
        try:
            return cls._from_json(json.loads(data))
        except (KeyError, TypeError, AttributeError) as wrong:
            raise ValueError("not a key record") from wrong

    @classmethod
    def _from_json(cls, record: Mapping[str, Any]) -> KeyRecord:
        if record["v"] != 1:
            raise ValueError("a key record of another format")
        return cls(
            key_id=record["id"],
            issuer=record["op"],
            subject=record["sub"],
            name=record["name"],
            created=datetime.fromtimestamp(record["iat"], UTC),
            expires=datetime.fromtimestamp(record["exp"], UTC),
            kid=record["kid"],
            kind=record["kind"],
            buckets=tuple(record["b"]),
            read_only=record["ro"] is True,
            narrowed=narrowings_from(record["nar"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """When and by whom a key was last used."""

    at: datetime
    address: str
    program: str
    """The User-Agent, cut."""

    def to_bytes(self) -> bytes:
        return json.dumps([int(self.at.timestamp()), self.address, self.program]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Use:
        """Raises ValueError on anything but what `to_bytes` wrote."""
        try:
            at, address, program = json.loads(data)
            return cls(
                at=datetime.fromtimestamp(at, UTC), address=str(address), program=str(program)
            )
        except TypeError as wrong:
            raise ValueError("not a record of use") from wrong


def narrowings_json(narrowed: tuple[Narrowing, ...]) -> list[list[dict[str, Any]]]:
    return [[statement.as_json() for statement in narrowing] for narrowing in narrowed]


def narrowings_from(value: object) -> tuple[Narrowing, ...]:
    """Raises KeyError, TypeError or ValueError on anything but what `narrowings_json` wrote."""
    if not isinstance(value, list):
        raise TypeError("list of narrowings expected")
    return tuple(tuple(Statement.from_json(item) for item in narrowing) for narrowing in value)
