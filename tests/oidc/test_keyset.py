"""Of a key set, what is usable is used, and nothing else spoils it."""

from __future__ import annotations

import base64
import warnings
from typing import Any, cast

import pytest
from joserfc.jwk import ECKey

from gateway.errors import PROVIDER_ANSWER, ProviderError
from gateway.oidc.keyset import KEYS_MAX, PublicKey, VerificationKey, read_keys
from tests.hostile_provider import EC, KEYS, OKP

RSA: dict[str, Any] = dict(KEYS[0].as_dict(private=False))


def rsa_of(bits: int) -> dict[str, Any]:
    modulus = base64.urlsafe_b64encode(((1 << (bits - 1)) + 1).to_bytes(bits // 8)).rstrip(b"=")
    return {"kty": "RSA", "n": modulus.decode(), "e": "AQAB", "kid": f"rsa{bits}"}


UNUSABLE: dict[str, Any] = {
    "not an object": 5,
    "null": None,
    "no kty": {"kid": "x"},
    "unknown kty": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "pq"},
    "secret": {"kty": "oct", "k": "AAAA", "kid": "oct"},
    "unknown curve": {"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"},
    "bad point": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "key agreement": {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
    "for encryption": {**RSA, "use": "enc"},
    "for other operations": {**RSA, "key_ops": ["encrypt"]},
    "weak": rsa_of(1024),
    "no modulus": {"kty": "RSA", "e": "AQAB"},
    "modulus a number": {"kty": "RSA", "n": 5, "e": "AQAB"},
    "kty a list": {"kty": ["RSA"]},
    "operations a number": {**RSA, "key_ops": 5},
}


@pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_oid_6_an_unusable_key_is_skipped_and_the_rest_stay(entry):
    """joserfc alone would give up the whole set."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keys = read_keys({"keys": [entry, {**RSA, "kid": "good"}]})

    assert [key.kid for key in keys.keys] == ["good"]


@pytest.mark.parametrize(
    "document",
    [
        {"error": "server_error"},
        {"keys": []},
        {"keys": {}},
        {"keys": list(UNUSABLE.values())},
        {"keys": [RSA] * (KEYS_MAX + 1)},
        [],
        None,
        "text",
    ],
    ids=["error", "empty", "not-a-list", "unusable", "too-many", "list", "none", "text"],
)
def test_oid_7_a_set_without_usable_key_is_an_error(document):
    """So that the caller keeps the old one."""
    with pytest.raises(ProviderError) as caught:
        read_keys(document)

    assert caught.value.reason is PROVIDER_ANSWER


def test_oid_6_a_leaked_private_key_is_read_as_a_public_one():
    """Only public members are taken."""
    keys = read_keys({"keys": [dict(KEYS[0].as_dict(private=True)), OKP.as_dict(private=True)]})

    assert not any(key.public.is_private for key in keys.keys)


def test_oid_6_a_key_fits_only_its_family_curve_and_algorithm():
    """By type of key, by curve, and by `alg` where the set names one."""
    p384 = ECKey.generate_key("P-384")
    rows = [
        (KEYS[0], None, {"RS256", "PS512"}, {"ES256", "EdDSA", "HS256"}),
        (KEYS[0], "RS256", {"RS256"}, {"RS384", "PS256"}),
        (EC, None, {"ES256"}, {"ES384", "RS256", "EdDSA"}),
        (p384, None, {"ES384"}, {"ES256"}),
        (OKP, None, {"EdDSA"}, {"ES256", "RS256"}),
    ]
    for key, alg, fitting, others in rows:
        held = VerificationKey("k", alg, cast(PublicKey, key))
        assert all(held.fits(name) for name in fitting)
        assert not any(held.fits(name) for name in others)


def test_oid_6_a_kid_that_stands_twice_decides_nothing():
    """Unless only one of the two fits the algorithm."""
    twice = read_keys(
        {"keys": [{**RSA, "kid": "k"}, {**KEYS[1].as_dict(private=False), "kid": "k"}]}
    )
    mixed = read_keys({"keys": [{**RSA, "kid": "k"}, {**EC.as_dict(private=False), "kid": "k"}]})

    assert twice.find("k", "RS256") is None
    assert mixed.find("k", "RS256") is not None
    assert mixed.find("k", "ES256") is not None
    assert mixed.find("other", "RS256") is None


@pytest.mark.parametrize(("kid", "expected"), [("a", "a"), (5, None), (None, None)])
def test_a_kid_is_a_text_or_nothing(kid, expected):
    """A number is not a name."""
    assert read_keys({"keys": [{**RSA, "kid": kid}]}).keys[0].kid == expected
