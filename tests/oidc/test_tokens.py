"""Tokens of a provider are believed only when they are genuine, current and for us."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import errors
from gateway.errors import TokenError
from gateway.oidc import tokens
from gateway.oidc.keyset import VerificationKeys, read_keys
from gateway.oidc.providers import ASYMMETRIC, KINDS, Metadata, Provider
from tests.hostile_provider import EC, KEYS, OKP, STRANGER, b64, left_half, sign

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
PROVIDER = Provider(
    name="corp",
    issuer="https://id.example/pool",
    config_url="",
    kind=KINDS["cognito"],
    client_id="gateway",
)
METADATA = Metadata(
    issuer="https://id.example/pool", jwks_uri="https://id.example/jwks", algorithms=ASYMMETRIC
)
CLAIMS: dict[str, Any] = {
    "iss": METADATA.issuer,
    "sub": "user-1",
    "aud": "gateway",
    "iat": AT,
    "exp": AT + 3600,
    "nonce": "n" * 43,
    "token_use": "id",
}
SIGNING: list[Any] = [*KEYS, EC, OKP]
SET = read_keys({"keys": [k.as_dict(private=False) for k in SIGNING]})


def without(*names: str, **more: Any) -> dict[str, Any]:
    return {**{n: v for n, v in CLAIMS.items() if n not in names}, **more}


def login(token: str, keys: VerificationKeys = SET, **change: Any) -> tokens.Claims:
    more: dict[str, Any] = {
        "provider": PROVIDER,
        "metadata": METADATA,
        "nonce": "n" * 43,
        "access_token": None,
        "now": NOW,
        **change,
    }
    return tokens.verify_login(tokens.parse(token), keys=keys, **more)


def bearer(token: str, provider: Provider = PROVIDER, now: datetime = NOW) -> tokens.Claims:
    parsed = tokens.parse(token)
    return tokens.verify_bearer(parsed, keys=SET, provider=provider, metadata=METADATA, now=now)


def refreshed(token: str, nonce: str = "n" * 43) -> tokens.Claims:
    return tokens.verify_refreshed(
        tokens.parse(token),
        keys=SET,
        provider=PROVIDER,
        metadata=METADATA,
        original=tokens.Original("user-1", nonce),
        access_token=None,
        now=NOW,
    )


def logout(claims: dict[str, Any], **header: Any) -> tokens.LogoutToken:
    token = sign(claims, **{"typ": "logout+jwt", **header})
    return tokens.verify_logout(
        tokens.parse(token), keys=SET, provider=PROVIDER, metadata=METADATA, now=NOW
    )


def why(call: Any, *args: Any, **more: Any) -> errors.Reason:
    with pytest.raises(TokenError) as caught:
        call(*args, **more)
    return caught.value.reason


@pytest.mark.parametrize(
    ("key", "alg"), [(KEYS[0], "RS256"), (KEYS[1], "PS256"), (EC, "ES256"), (OKP, "EdDSA")]
)
def test_oid_4_every_asymmetric_family_is_verified(key, alg):
    """RSA in both paddings, elliptic curve, Edwards curve."""
    assert login(sign(CLAIMS, key, alg))["sub"] == "user-1"


@pytest.mark.parametrize(
    "alg",
    ["none", "NONE", "nOnE", "", "HS256", "HS512", "RS1", "ES256K", None, 5, ["RS256"]],
)
def test_oid_4_no_other_algorithm_is_believed(alg):
    """Whatever the header calls it, and whatever the document lists."""
    token = sign(CLAIMS, alg="none", kid=KEYS[0].kid)
    head = b64(json.dumps({"alg": alg, "kid": KEYS[0].kid}).encode())
    changed = f"{head}.{token.split('.')[1]}.AAAA"

    assert why(login, changed) is errors.TOKEN_ALGORITHM


def test_oid_4_an_unsigned_token_is_not_a_token():
    """The empty signature does not even have the shape."""
    assert why(login, sign(CLAIMS, alg="none", kid=KEYS[0].kid)) is errors.TOKEN_MALFORMED


@pytest.mark.parametrize(
    "secret",
    [b"client-secret", KEYS[0].as_pem(private=False), str(KEYS[0].as_dict()["n"]).encode()],
    ids=["client secret", "public key", "modulus"],
)
def test_oid_4_a_secret_or_a_public_key_is_never_an_hmac_key(secret):
    """The classic confusion, by client secret and by public key."""
    token = sign(CLAIMS, secret, "HS256", kid=KEYS[0].kid)

    assert why(login, token) is errors.TOKEN_ALGORITHM


def test_oid_4_the_document_can_only_shrink_the_set():
    """ES256 is refused where the provider lists RS256."""
    only = replace(METADATA, algorithms=frozenset({"RS256"}))

    assert why(login, sign(CLAIMS, EC, "ES256"), metadata=only) is errors.TOKEN_ALGORITHM


@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c", "x5t", "unknown"])
def test_oid_5_header_members_that_name_keys_are_ignored(name):
    """They neither help a stranger nor hurt a genuine token."""
    value: Any = {
        "jwk": STRANGER.as_dict(private=False),
        "x5c": ["MIIB"],
    }.get(name, "https://evil.example/keys")

    assert login(sign(CLAIMS, **{name: value}))["sub"] == "user-1"
    assert why(login, sign(CLAIMS, STRANGER, **{name: value})) is errors.TOKEN_SIGNATURE


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False}])
def test_oid_5_what_must_be_understood_is_refused(header):
    """RFC 7515 `crit`, RFC 7797 `b64`."""
    assert why(login, sign(CLAIMS, **header)) is errors.TOKEN_MALFORMED


@pytest.mark.parametrize(
    "typ", ["logout+jwt", "dpop+jwt", "secevent+jwt", "application/logout+jwt", "at+jwt", 5, ""]
)
def test_oid_5_a_foreign_type_is_refused_at_login(typ):
    """A token says what it is for; an ID token says JWT or nothing."""
    assert why(login, sign(CLAIMS, typ=typ)) is errors.TOKEN_USE


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", "application/JWT"])
def test_oid_5_writings_of_jwt_are_one(typ):
    """Media types have no case, and `application/` may be left out."""
    assert login(sign(CLAIMS, typ=typ))["sub"] == "user-1"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c.d",
        "a.b.c==",
        "é.b.c",
        "a.b.c ",
        "a b.c.d",
        "....",
        "A" * 20_000,
        f"{b64(b'[]')}.{b64(b'{}')}.AAAA",
        f"{b64(b'{}')}.{b64(b'[]')}.AAAA",
        f"{b64(b'{}')}.{b64(b'null')}.AAAA",
        f"{b64(b'{}')}.{b64(b'[' * 5000)}.AAAA",
        f"{b64(b'x' * 6000)}.{b64(b'{}')}.AAAA",
    ],
)
def test_oid_5_what_has_not_the_shape_is_refused_undecoded(token):
    """Three base64url parts of JSON objects, within 16 KiB."""
    assert why(tokens.parse, token) is errors.TOKEN_MALFORMED


def test_oid_5_a_megabyte_costs_no_time():
    """Its length is looked at first."""
    big = "A" * 1_000_000
    began = time.perf_counter()
    for _ in range(100):
        assert why(tokens.parse, f"{big}.{big}.{big}") is errors.TOKEN_MALFORMED

    assert time.perf_counter() - began < 20  # a bound on growth, not on speed


def test_oid_6_an_unknown_kid_says_so():
    """So that the keys can be fetched once more."""
    with pytest.raises(tokens.UnknownKey) as caught:
        login(sign(CLAIMS, kid="new"))

    assert caught.value.kid == "new"


def test_oid_6_without_kid_only_one_fitting_key_will_do():
    """`kid-absent-single-jwks` and `kid-absent-multiple-jwks`."""
    single = read_keys({"keys": [KEYS[0].as_dict(private=False), EC.as_dict(private=False)]})

    assert login(sign(CLAIMS, kid=None), single)["sub"] == "user-1"
    with pytest.raises(tokens.UnknownKey):
        login(sign(CLAIMS, kid=None))


@pytest.mark.parametrize("kid", [5, ["k"], {"a": 1}, True])
def test_oid_6_a_kid_is_a_string(kid):
    """Anything else is not looked up."""
    assert why(login, sign(CLAIMS, kid=kid)) is errors.TOKEN_MALFORMED


def test_oid_8_the_signature_covers_every_byte():
    """A flipped character anywhere ends it."""
    token = sign(CLAIMS)
    head, body, signature = token.split(".")
    other = base64.urlsafe_b64encode(json.dumps({**CLAIMS, "sub": "root"}).encode()).decode()

    assert why(login, f"{head}.{other.rstrip('=')}.{signature}") is errors.TOKEN_SIGNATURE
    assert why(login, f"{head}.{body}.{signature[:-4]}AAAA") is errors.TOKEN_SIGNATURE
    assert why(login, sign(CLAIMS, STRANGER)) is errors.TOKEN_SIGNATURE


NAN = sign(json.dumps(CLAIMS).replace(str(AT + 3600), "NaN"))
INF = sign(json.dumps(CLAIMS).replace(str(AT + 3600), "Infinity"))
HUGE = sign(json.dumps(CLAIMS).replace(str(AT + 3600), "1e400"))

LOGIN_REFUSED = [
    ("invalid-iss", {**CLAIMS, "iss": "https://id.example"}, errors.TOKEN_ISSUER),
    ("iss-slash", {**CLAIMS, "iss": METADATA.issuer + "/"}, errors.TOKEN_ISSUER),
    ("iss-case", {**CLAIMS, "iss": METADATA.issuer.upper()}, errors.TOKEN_ISSUER),
    ("iss-list", {**CLAIMS, "iss": [METADATA.issuer]}, errors.TOKEN_ISSUER),
    ("missing-iss", without("iss"), errors.TOKEN_ISSUER),
    ("missing-sub", without("sub"), errors.TOKEN_SUBJECT),
    ("empty-sub", {**CLAIMS, "sub": ""}, errors.TOKEN_SUBJECT),
    ("long-sub", {**CLAIMS, "sub": "x" * 256}, errors.TOKEN_SUBJECT),
    ("sub-number", {**CLAIMS, "sub": 5}, errors.TOKEN_SUBJECT),
    ("invalid-aud", {**CLAIMS, "aud": "other"}, errors.TOKEN_AUDIENCE),
    ("missing-aud", without("aud"), errors.TOKEN_AUDIENCE),
    ("aud-empty", {**CLAIMS, "aud": []}, errors.TOKEN_AUDIENCE),
    ("aud-numbers", {**CLAIMS, "aud": ["gateway", 5]}, errors.TOKEN_AUDIENCE),
    ("aud-prefix", {**CLAIMS, "aud": "gateway2"}, errors.TOKEN_AUDIENCE),
    ("aud-foreign-azp-ours", {**CLAIMS, "aud": "other", "azp": "gateway"}, errors.TOKEN_AUDIENCE),
    ("invalid-secondary-aud", {**CLAIMS, "aud": ["gateway", "x"]}, errors.TOKEN_AUDIENCE),
    ("azp-foreign", {**CLAIMS, "azp": "other"}, errors.TOKEN_AUDIENCE),
    ("missing-iat", without("iat"), errors.TOKEN_TIMES),
    ("iat-is-week-in-past", {**CLAIMS, "iat": AT - 7 * 86400}, errors.TOKEN_TIMES),
    ("iat-in-future", {**CLAIMS, "iat": AT + 120}, errors.TOKEN_TIMES),
    ("iat-string", {**CLAIMS, "iat": str(AT)}, errors.TOKEN_TIMES),
    ("iat-true", {**CLAIMS, "iat": True}, errors.TOKEN_TIMES),
    ("invalid-missing-exp", without("exp"), errors.TOKEN_TIMES),
    ("invalid-expired-exp", {**CLAIMS, "exp": AT - 61}, errors.TOKEN_EXPIRED),
    ("exp-string", {**CLAIMS, "exp": "9999999999"}, errors.TOKEN_TIMES),
    ("exp-true", {**CLAIMS, "exp": True}, errors.TOKEN_TIMES),
    ("exp-list", {**CLAIMS, "exp": [AT + 5]}, errors.TOKEN_TIMES),
    ("exp-far", {**CLAIMS, "exp": 10**15}, errors.TOKEN_TIMES),
    ("nbf-future", {**CLAIMS, "nbf": AT + 120}, errors.TOKEN_TIMES),
    ("nonce-invalid", {**CLAIMS, "nonce": "x" * 43}, errors.TOKEN_NONCE),
    ("invalid-missing-nonce", without("nonce"), errors.TOKEN_NONCE),
    ("nonce-list", {**CLAIMS, "nonce": ["n" * 43]}, errors.TOKEN_NONCE),
    ("nonce-empty", {**CLAIMS, "nonce": ""}, errors.TOKEN_NONCE),
    ("access-token", {**CLAIMS, "token_use": "access"}, errors.TOKEN_USE),
]


@pytest.mark.parametrize(
    ("claims", "reason"), [row[1:] for row in LOGIN_REFUSED], ids=[row[0] for row in LOGIN_REFUSED]
)
def test_oid_8_claims_that_are_not_for_this_login_are_refused(claims, reason):
    """The names are those of the conformance suite where it has one."""
    assert why(login, sign(claims)) is reason


@pytest.mark.parametrize("token", [NAN, INF, HUGE])
def test_oid_8_times_are_finite(token):
    """NaN compares false with everything, and must not slip through that."""
    assert why(login, token) is errors.TOKEN_TIMES


@pytest.mark.parametrize(
    "claims",
    [
        {**CLAIMS, "aud": ["gateway"]},
        {**CLAIMS, "aud": ["gateway", "other"], "azp": "gateway"},
        {**CLAIMS, "azp": "gateway"},
        {**CLAIMS, "exp": AT - 59},
        {**CLAIMS, "iat": AT + 59},
        {**CLAIMS, "exp": AT + 0.5},
        {**CLAIMS, "_claim_names": {"address": "src"}, "_claim_sources": {"src": {"JWT": "x"}}},
        without("token_use"),
    ],
)
def test_oid_8_what_the_standard_allows_is_accepted(claims):
    """Lists of one, clocks a minute apart, distributed claims that nobody follows."""
    assert login(sign(claims))["sub"] == "user-1"


def test_oid_8_escaped_slashes_are_the_same_issuer():
    """Cognito may write `https:\\/\\/`: parsed first, compared then."""
    text = json.dumps(CLAIMS).replace("/", "\\/")

    assert login(sign(text))["iss"] == METADATA.issuer


@pytest.mark.parametrize("payload", ["[]", "1", "null", '"text"', "{", "\xff", "[" * 3000])
def test_oid_8_the_payload_is_an_object(payload):
    """joserfc decodes the others; we do not take them."""
    assert why(login, sign(payload.encode("latin-1"))) is errors.TOKEN_MALFORMED


@pytest.mark.parametrize(
    ("key", "alg", "name"), [(KEYS[0], "RS256", "sha256"), (OKP, "EdDSA", "sha512")]
)
def test_oid_8_at_hash_binds_the_access_token(key, alg, name):
    """By the hash of the algorithm; absent is fine, wrong is not."""
    good = {**CLAIMS, "at_hash": left_half("access", name)}

    assert login(sign(good, key, alg), access_token="access")
    assert why(login, sign(good, key, alg), access_token="other") is errors.TOKEN_NONCE
    odd = sign({**CLAIMS, "at_hash": 5}, key, alg)
    assert why(login, odd, access_token="access") is errors.TOKEN_NONCE
    assert login(sign(CLAIMS, key, alg), access_token="access")


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["iss", "sub", "aud", "iat", "exp", "nbf", "nonce", "azp", "token_use"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=True),
            st.text(max_size=5),
            st.lists(st.text(max_size=3), max_size=2),
            st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_oid_8_no_mutation_of_claims_is_a_crash_or_another_person(change):
    """Either the token is refused, or it still says what it must."""
    try:
        claims = login(sign({**CLAIMS, **change}))
    except TokenError:
        return

    assert claims["iss"] == METADATA.issuer
    assert claims["aud"] == "gateway" or claims["aud"] == ["gateway"]
    assert claims["nonce"] == "n" * 43
    assert claims["exp"] > AT - 61


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(b64).map(lambda t: f"{t}.{t}.{t}"))
def test_oid_5_no_text_is_a_crash(text):
    """Whatever stands in the header of a request."""
    assert why(login, text) in (
        errors.TOKEN_MALFORMED,
        errors.TOKEN_ALGORITHM,
        errors.TOKEN_KEY,
        errors.TOKEN_USE,
    )


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (without("nonce"), None),
        (CLAIMS, None),
        ({**CLAIMS, "iat": AT - 7 * 86400}, None),
        ({**CLAIMS, "auth_time": AT - 9}, None),
        ({**CLAIMS, "nonce": "other"}, errors.TOKEN_NONCE),
        ({**CLAIMS, "nonce": None}, errors.TOKEN_NONCE),
        ({**CLAIMS, "sub": "user-2"}, errors.TOKEN_SUBJECT),
        ({**CLAIMS, "iss": "https://other.example"}, errors.TOKEN_ISSUER),
        ({**CLAIMS, "aud": "other"}, errors.TOKEN_AUDIENCE),
        ({**CLAIMS, "auth_time": AT + 90}, errors.TOKEN_TIMES),
        ({**CLAIMS, "exp": AT - 90}, errors.TOKEN_EXPIRED),
        ({**CLAIMS, "token_use": "access"}, errors.TOKEN_USE),
    ],
)
def test_oid_8_a_refreshed_token_is_about_the_same_login(claims, reason):
    """Same issuer, subject and audience; the nonce absent or the original."""
    if reason is None:
        assert refreshed(sign(claims))["sub"] == "user-1"
    else:
        assert why(refreshed, sign(claims)) is reason


ACCESS = {**without("aud", "nonce"), "token_use": "access", "client_id": "gateway"}
WIDE = replace(PROVIDER, audiences=frozenset({"s3-gateway"}))


@pytest.mark.parametrize(
    ("claims", "provider", "header", "reason"),
    [
        (CLAIMS, PROVIDER, {}, None),
        (without("iat"), PROVIDER, {}, None),
        (ACCESS, PROVIDER, {}, None),
        (ACCESS, PROVIDER, {"typ": "at+jwt"}, None),
        ({**ACCESS, "client_id": "other"}, PROVIDER, {}, errors.TOKEN_AUDIENCE),
        (without("aud", client_id="gateway"), PROVIDER, {}, errors.TOKEN_AUDIENCE),
        (ACCESS, replace(PROVIDER, kind=KINDS["generic"]), {}, errors.TOKEN_AUDIENCE),
        ({**CLAIMS, "aud": "other"}, PROVIDER, {}, errors.TOKEN_AUDIENCE),
        ({**CLAIMS, "azp": "other"}, PROVIDER, {}, errors.TOKEN_AUDIENCE),
        ({**CLAIMS, "aud": ["a", "s3-gateway"], "azp": "cli"}, WIDE, {}, None),
        (CLAIMS, WIDE, {}, errors.TOKEN_AUDIENCE),
        ({**CLAIMS, "cnf": {"jkt": "x"}}, PROVIDER, {}, errors.TOKEN_USE),
        (CLAIMS, PROVIDER, {"typ": "logout+jwt"}, errors.TOKEN_USE),
        (CLAIMS, PROVIDER, {"typ": "dpop+jwt"}, errors.TOKEN_USE),
        ({**CLAIMS, "token_use": "refresh"}, PROVIDER, {}, errors.TOKEN_USE),
        ({**CLAIMS, "exp": AT - 90}, PROVIDER, {}, errors.TOKEN_EXPIRED),
    ],
)
def test_oid_16_a_bearer_token_is_for_our_audience_and_use(claims, provider, header, reason):
    """ID and access tokens; Cognito's access tokens by their client_id; no bound tokens."""
    token = sign(claims, **header)
    if reason is None:
        assert bearer(token, provider)["sub"] == "user-1"
    else:
        assert why(bearer, token, provider) is reason


EVENTS: dict[str, Any] = {"events": {tokens.LOGOUT_EVENT: {}}}
LOGOUT = {**without("nonce", "token_use"), "jti": "j", "sid": "s", **EVENTS}


def test_oid_15_a_logout_token_names_whom():
    """By session, by subject, or both; with or without its own type."""
    assert logout(LOGOUT).sid == "s"
    assert logout({**LOGOUT, "sid": ""}).subject == "user-1"
    assert logout({n: v for n, v in LOGOUT.items() if n != "sub"}, typ=None).subject == ""
    assert logout(LOGOUT).expires == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nonce": "n"}, errors.TOKEN_USE),
        ({"events": {}}, errors.TOKEN_USE),
        ({"events": [tokens.LOGOUT_EVENT]}, errors.TOKEN_USE),
        ({"events": {tokens.LOGOUT_EVENT: True}}, errors.TOKEN_USE),
        ({"events": None}, errors.TOKEN_USE),
        ({"sub": "", "sid": ""}, errors.TOKEN_SUBJECT),
        ({"sid": 5}, errors.TOKEN_SUBJECT),
        ({"jti": ""}, errors.TOKEN_MALFORMED),
        ({"jti": None}, errors.TOKEN_MALFORMED),
        ({"aud": "other"}, errors.TOKEN_AUDIENCE),
        ({"iat": None}, errors.TOKEN_TIMES),
        ({"exp": AT - 90}, errors.TOKEN_EXPIRED),
        ({"iss": "https://other.example"}, errors.TOKEN_ISSUER),
    ],
)
def test_oid_15_a_forged_logout_token_is_refused(change, reason):
    """Back-Channel Logout 1.0, section 2.6."""
    assert why(logout, {**LOGOUT, **change}) is reason


def test_oid_9_an_id_token_ends_nobodys_session():
    """And a logout token signs nobody in."""
    token = tokens.parse(sign(CLAIMS))
    with pytest.raises(TokenError):
        tokens.verify_logout(token, keys=SET, provider=PROVIDER, metadata=METADATA, now=NOW)
    assert why(login, sign({**LOGOUT, "nonce": "n" * 43}, typ="logout+jwt")) is errors.TOKEN_USE


def test_times_of_verified_claims():
    """As moments; the beginning may be unknown."""
    assert tokens.ends(CLAIMS) == NOW + timedelta(hours=1)
    assert tokens.began(CLAIMS) == NOW
    assert tokens.began({}) is None


def test_the_unverified_issuer_is_only_a_text():
    """Whatever stands there."""
    assert tokens.unverified_issuer(tokens.parse(sign(CLAIMS))) == METADATA.issuer
    assert tokens.unverified_issuer(tokens.parse(sign({"iss": 5}))) == ""
