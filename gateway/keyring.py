"""
All our own cryptography: seal, open, derive, random ids.

Newest key first; older ones still open what they sealed. Sealed tokens are JWE (`dir`, A256GCM)
whose purpose is bound twice, by the derived key and by `typ`, so that no token serves as
another (OID-9). Opening answers None for every failure and never raises.

Sources: RFC 7516, RFC 5869; docs/threat-model.md SES-2 to SES-4, KEY-1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

Purpose = Literal["session", "login", "record", "sts", "share", "cli", "count", "form", "archive"]

SECRET_MIN = 32  # bytes of a configured key: what AES-256 deserves
TOKEN_MAX = 8192  # characters of a sealed token; larger is refused unread
_SEALED = re.compile(r"[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{22}")
_REGISTRY = jwe.JWERegistry(algorithms=["dir", "A256GCM"])  # SES-3: no zip, no PBES2, no RSA
_BAD = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def random_bytes(count: int) -> bytes:
    return secrets.token_bytes(count)


def random_token(count: int = 32) -> str:
    """`count` random bytes as base64url without padding."""
    return base64.urlsafe_b64encode(secrets.token_bytes(count)).rstrip(b"=").decode()


def random_key_id(prefix: str, count: int = 17) -> str:
    """An access key id: the prefix and `count` random base32 characters (5 bits each)."""
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(count))


def same(a: str | bytes, b: str | bytes) -> bool:
    """Equal, in constant time."""
    left = a.encode("utf-8", "surrogatepass") if isinstance(a, str) else a
    right = b.encode("utf-8", "surrogatepass") if isinstance(b, str) else b
    return hmac.compare_digest(left, right)


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes that belong to this secret and this purpose alone (HKDF-SHA256)."""
    return HKDF(hashes.SHA256(), 32, None, b"gateway/" + purpose.encode()).derive(secret)


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str
    jwk: OctKey


def _key(secret: bytes, purpose: str) -> _Key:
    raw = derive(secret, purpose)
    kid = hashlib.sha256(raw).hexdigest()[:8]
    return _Key(kid, OctKey.import_key(raw, {"kid": kid, "use": "enc", "alg": "dir"}))


class Sealer:
    """Seals claims for one purpose under the newest key, opens under any."""

    def __init__(self, keys: Sequence[bytes], purpose: str) -> None:
        made = [_key(secret, purpose) for secret in keys]
        self.purpose = purpose
        self._newest = made[0]
        self._by_kid = {key.kid: key.jwk for key in made}

    def seal(self, claims: Mapping[str, Any], *, expires: datetime) -> str:
        """A compact JWE of `claims` and `exp`. Raises ValueError where they are not JSON."""
        header = {
            "alg": "dir",
            "enc": "A256GCM",
            "kid": self._newest.kid,
            "typ": self.purpose,
        }
        text = json.dumps({**claims, "exp": int(expires.timestamp())}, separators=(",", ":"))
        return jwe.encrypt_compact(header, text.encode(), self._newest.jwk, registry=_REGISTRY)

    def open(self, token: str, *, now: datetime, limit: int = TOKEN_MAX) -> dict[str, Any] | None:
        """The claims; None where it is not ours, of another purpose, altered or past its end."""
        if len(token) > limit or not _SEALED.fullmatch(token):
            return None
        try:
            head = token[: token.index(".")]
            header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
            key = self._by_kid.get(header["kid"])
            if key is None or header["typ"] != self.purpose:
                return None
            opened = jwe.decrypt_compact(token, key, registry=_REGISTRY)
            claims = json.loads(opened.plaintext or b"")
        except _BAD:
            return None
        if type(claims) is not dict or type(claims.get("exp")) is not int:
            return None
        return claims if claims["exp"] > now.timestamp() else None


class Keyring:
    """The gateway's keys, newest first, and what is derived from them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a keyring needs a key")
        if any(len(key) < SECRET_MIN for key in keys):
            raise ValueError(f"a key needs at least {SECRET_MIN} bytes")
        self._keys = tuple(keys)
        self._sealers: dict[str, Sealer] = {}
        self._s3 = {
            hashlib.sha256(raw).hexdigest()[:8]: raw
            for raw in (derive(key, "s3-secret") for key in reversed(keys))
        }
        self.newest = next(reversed(self._s3))
        """The short name of the key that derives new secrets."""

    def sealer(self, purpose: Purpose) -> Sealer:
        """The sealer of a purpose, made once."""
        sealer = self._sealers.get(purpose)
        if sealer is None:
            sealer = self._sealers[purpose] = Sealer(self._keys, purpose)
        return sealer

    def secret_for(self, key_id: str, kid: str) -> str | None:
        """
        The secret access key of a key id, derived and never stored (KEY-1).

        None where the gateway key `kid` is no longer among ours: removing it ends what it made.
        """
        raw = self._s3.get(kid)
        if raw is None:
            return None
        digest = hmac.new(raw, key_id.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode()[:40]


def ticket_sealer(ticket: str) -> Sealer:
    """Seals a session's record under the ticket that only the cookie holds (SES-15)."""
    return Sealer([ticket.encode()], "record")
