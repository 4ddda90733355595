"""
An issuer's keys: which of a JWKS document are usable, and which one a token was signed with.

A key that cannot be used (unknown, weak, secret, for encryption) is skipped and the rest stay; a
document without a usable key is an error, so that the set of yesterday is kept (OID-6).

Sources: RFC 7517, RFC 7518 section 6, RFC 8037.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.errors import PROVIDER_ANSWER, ProviderError

KEYS_MAX = 100  # keys of one set; the largest seen in the wild has eleven
RSA_MIN = 2048  # bits: NIST SP 800-131A
_CURVE_OF = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

PublicKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One usable public key of a set."""

    kid: str | None
    alg: str | None
    """The only algorithm it is for, where the set says so."""
    public: PublicKey = field(repr=False)

    def fits(self, alg: str) -> bool:
        if self.alg is not None and self.alg != alg:
            return False
        if alg[:2] in ("RS", "PS"):
            return isinstance(self.public, RSAKey)
        if alg == "EdDSA":
            return isinstance(self.public, OKPKey)
        return isinstance(self.public, ECKey) and self.public.curve_name == _CURVE_OF.get(alg)


@dataclass(frozen=True, slots=True)
class VerificationKeys:
    """The usable keys of an issuer."""

    keys: tuple[VerificationKey, ...]

    def find(self, kid: str | None, alg: str) -> VerificationKey | None:
        """The one key for a token; without `kid` only where exactly one fits (OID-6)."""
        fitting = [k for k in self.keys if (kid is None or k.kid == kid) and k.fits(alg)]
        return fitting[0] if len(fitting) == 1 else None


def read_keys(document: object) -> VerificationKeys:
    """
    The usable keys of a JWKS document; bad, weak, secret and foreign ones are skipped.

    Raises ProviderError (PROVIDER_ANSWER) where none is left: the old set is then kept.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise ProviderError(PROVIDER_ANSWER, problem="the key set is not a list of keys")
    keys = tuple(_usable(listed))
    if not keys:
        raise ProviderError(PROVIDER_ANSWER, problem="the key set holds no usable key")
    return VerificationKeys(keys)


def _usable(listed: Iterable[object]) -> Iterable[VerificationKey]:
    for entry in listed:
        if not isinstance(entry, dict):
            continue
        # One by one: joserfc gives up a whole set for one unknown curve.
        try:
            key = _import(entry)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue
        if key is not None:
            yield key


_IMPORTERS: Mapping[str, tuple[type[RSAKey] | type[ECKey] | type[OKPKey], tuple[str, ...]]] = {
    # Only public members are taken, so a set that leaks a private key is read as a public one.
    "RSA": (RSAKey, ("kty", "n", "e")),
    "EC": (ECKey, ("kty", "crv", "x", "y")),
    "OKP": (OKPKey, ("kty", "crv", "x")),
}


def _import(entry: Mapping[str, Any]) -> VerificationKey | None:
    kind = _IMPORTERS.get(entry["kty"])  # `oct`, AKP and the unknown have no row
    if kind is None or entry.get("use", "sig") != "sig":
        return None
    operations = entry.get("key_ops")
    if operations is not None and "verify" not in operations:
        return None
    if entry["kty"] == "RSA" and _bits(entry["n"]) < RSA_MIN:
        return None
    if entry["kty"] == "OKP" and entry["crv"] not in ("Ed25519", "Ed448"):
        return None
    importer, members = kind
    kid, alg = entry.get("kid"), entry.get("alg")
    return VerificationKey(
        kid if isinstance(kid, str) else None,
        alg if isinstance(alg, str) else None,
        importer.import_key({name: entry[name] for name in members}),
    )


def _bits(modulus: str) -> int:
    raw = base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))
    return int.from_bytes(raw).bit_length()
