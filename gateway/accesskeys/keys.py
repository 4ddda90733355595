"""
Access keys as values: temporary ones made and opened, personal ones shown as a proof.

A temporary key is an id, a secret derived from it, and a session token: a sealed record of who
it is for, what it may and when it ends, so that every replica can judge it without a database.
What it was made with is named in it, for it ends with that, and may never do more (KEY-3).
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.accesskeys.records import KeyRecord, narrowings_from, narrowings_json
from gateway.errors import GatewayError
from gateway.identity import Identity, Method, Narrowing, Proof, Secret
from gateway.keyring import Keyring, random_key_id
from gateway.records import Record
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error

TEMPORARY = "GWT"
PERSONAL = "GWP"
TOKEN_MAX = 4095  # characters of a session token: it returns in every request's head (STS-12)
NARROWINGS_MAX = 256 * 1024  # bytes of JSON once unpacked; what we seal is a hundredth of it
LIFETIME = timedelta(hours=1)
"""Of temporary credentials where nobody asked otherwise: as AWS."""
LIFETIME_MIN = timedelta(minutes=15)
"""What AWS takes for the shortest; one that a session's end cuts may be shorter."""
LIFETIME_MOST = timedelta(hours=12)

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class TokenTooLarge(GatewayError):
    """Identity and policy do not fit into a session token."""

    def __init__(self, largest: tuple[str, ...], *, policy: bool) -> None:
        super().__init__(f"the session token would be too large: {', '.join(largest)}")
        self.largest = largest
        """Names of the largest claims, the largest first."""
        self.policy = policy
        """It would have fitted without the narrowing that was asked for."""


class Found(Record, frozen=True, kw_only=True):
    """Whose key id it is, and the secret that their signature must have been made with."""

    secret: Secret
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryKeys:
    """What is handed out, once."""

    access_key_id: str
    secret: Secret
    session_token: Secret
    expires: datetime


def mint(
    keyring: Keyring,
    proof: Proof,
    *,
    now: datetime,
    lifetime: timedelta = LIFETIME,
    narrowing: Narrowing | None = None,
) -> TemporaryKeys:
    """
    Temporary keys for whoever the proof shows: no broader than it, and ending no later (KEY-3, STS-8).

    Raises TokenTooLarge.
    """
    ends = [now + lifetime, proof.expires, proof.identity.expires]
    expires = min(end for end in ends if end is not None).replace(microsecond=0)
    key_id = random_key_id(TEMPORARY)
    secret = keyring.secret_for(key_id, keyring.newest)
    assert secret is not None  # the newest key is always there
    identity = proof.identity
    narrowed = identity.narrowed if narrowing is None else (*identity.narrowed, narrowing)
    claims = {
        "v": 1,
        "id": key_id,
        "kid": keyring.newest,
        "sid": proof.session_id,
        "pk": proof.parent_key if proof.temporary else proof.key_id,
        "iat": int((proof.issued or now).timestamp()),
        **_described(identity),
        "nar": _packed(narrowed),
    }
    token = _sealed(keyring, claims, expires)
    if token is None:
        without = _sealed(keyring, claims | {"nar": _packed(identity.narrowed)}, expires)
        raise TokenTooLarge(largest(identity.claims), policy=without is not None)
    return TemporaryKeys(
        access_key_id=key_id, secret=Secret(secret), session_token=Secret(token), expires=expires
    )


def _sealed(keyring: Keyring, claims: dict[str, Any], expires: datetime) -> str | None:
    sealer = keyring.sealer("sts")
    token = sealer.seal(claims, expires=expires)
    if len(token) > TOKEN_MAX:
        # What is only for display goes first, as in the cookie.
        token = sealer.seal(claims | {"name": "", "eml": ""}, expires=expires)
    return token if len(token) <= TOKEN_MAX else None


def open_token(keyring: Keyring, key_id: str, token: str, now: datetime) -> Found:
    """
    Whom a session token speaks of, and the secret of its key.

    Raises S3Error: InvalidToken where it is not ours, altered, or another key's (KEY-2, SIG-13);
    ExpiredToken where its end has passed, or the gateway's key behind it was removed.
    """
    claims = keyring.sealer("sts").open(token, now=_LONG_AGO, limit=TOKEN_MAX)
    if claims is None or claims.get("id") != key_id:
        raise S3Error(s3.INVALID_TOKEN)
    try:
        proof = _proof(claims)
    except (KeyError, TypeError, ValueError, zlib.error) as foreign:
        raise S3Error(s3.INVALID_TOKEN) from foreign
    secret = keyring.secret_for(key_id, claims["kid"])
    if secret is None or ended(proof, now):
        raise S3Error(s3.EXPIRED_TOKEN)
    return Found(secret=Secret(secret), proof=proof)


def ended(proof: Proof, now: datetime) -> bool:
    """Has the proof's end passed?"""
    return proof.expires is not None and proof.expires <= now


def _proof(claims: Mapping[str, Any]) -> Proof:
    if claims["v"] != 1:
        raise ValueError("a session token of another format")
    expires = datetime.fromtimestamp(claims["exp"], UTC)
    kept = claims["c"]
    groups = claims["grp"]
    identity = Identity(
        issuer=claims["op"],
        subject=claims["sub"],
        claims=kept,
        username=claims["usr"],
        name=claims["name"],
        email=claims["eml"],
        groups=tuple(kept[groups] if isinstance(groups, str) else groups),
        expires=expires,
        narrowed=_unpacked(claims["nar"]),
    )
    return Proof(
        identity=identity,
        method=Method.SIGNATURE,
        key_id=claims["id"],
        temporary=True,
        parent_key=claims["pk"],
        session_id=claims["sid"],
        expires=expires,
        issued=datetime.fromtimestamp(claims["iat"], UTC),
    )


def _described(identity: Identity) -> dict[str, Any]:
    claims = dict(identity.claims)
    groups = list(identity.groups)
    # The groups nearly always are a claim as well: that is then named, not repeated.
    named = next((name for name, value in claims.items() if groups and value == groups), None)
    return {
        "op": identity.issuer,
        "sub": identity.subject,
        "c": claims,
        "usr": identity.username,
        "name": identity.name,
        "eml": identity.email,
        "grp": groups if named is None else named,
    }


def _packed(narrowed: tuple[Narrowing, ...]) -> str:
    # A policy's actions, spelt out, are long and alike: packed they are a tenth.
    if not narrowed:
        return ""
    text = json.dumps(narrowings_json(narrowed), separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _unpacked(text: str) -> tuple[Narrowing, ...]:
    if not text:
        return ()
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(text), NARROWINGS_MAX)
    if not unpacker.eof:
        raise ValueError("narrowings of an unbelievable size")
    return narrowings_from(json.loads(data))


def largest(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the three largest claims, the largest first."""
    sizes = {name: len(json.dumps(value, default=str)) for name, value in claims.items()}
    return tuple(sorted(sizes, key=lambda name: -sizes[name])[:3])


def personal_proof(record: KeyRecord, owner: Identity) -> Proof:
    """What a personal key shows: its owner as known today, narrowed as the key is (KEY-4)."""
    narrowing = record.narrowing
    narrowed = (*owner.narrowed, *record.narrowed, *([narrowing] if narrowing else []))
    return Proof(
        identity=replace(owner, narrowed=narrowed, expires=record.expires),
        method=Method.SIGNATURE,
        key_id=record.key_id,
        expires=record.expires,
        issued=record.created,
    )


def service_proof(key_id: str, identity: Identity) -> Proof:
    """What the key of a service account shows."""
    return Proof(identity=identity, method=Method.SIGNATURE, key_id=key_id)
