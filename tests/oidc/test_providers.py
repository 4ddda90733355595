"""How providers differ is a table; what their documents say is checked before it is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import errors
from gateway.config import model
from gateway.errors import ProviderError, TokenError
from gateway.identity import Secret
from gateway.oidc import flow, providers, tokens
from gateway.oidc.keyset import read_keys
from gateway.oidc.providers import (
    ASYMMETRIC,
    KINDS,
    Email,
    Logout,
    Provider,
    Revoke,
    Userinfo,
    concerns,
    kind_of,
    provider,
    read_metadata,
    scope_of,
    usable_url,
)
from tests.hostile_provider import KEYS, sign

CAPTURED = Path(__file__).parent.parent / "fixtures" / "idp"
ISSUER = "https://id.example/pool"
GOOD: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://login.example/authorize",
    "token_endpoint": "https://login.example/token",
    "jwks_uri": "https://keys.example/jwks",
    "id_token_signing_alg_values_supported": ["RS256"],
}


def given(**more: Any) -> Provider:
    values: dict[str, Any] = {"name": "corp", "issuer": ISSUER, "client_id": "gateway", **more}
    return provider(model.Provider.model_validate(values))


@pytest.mark.parametrize(
    ("issuer", "kind"),
    [
        ("https://cognito-idp.us-east-1.amazonaws.com/us-east-1_MrI9xs2nU", "cognito"),
        ("https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_abc", "cognito"),
        ("https://cognito-idp.us-east-1.amazonaws.com.evil.example/x", "generic"),
        ("https://evil-cognito-idp.us-east-1.amazonaws.com/x", "generic"),
        ("https://sso.example.com/realms/acme", "keycloak"),
        ("https://sso.example.com/auth/realms/acme", "keycloak"),
        ("https://login.microsoftonline.com/0a1b/v2.0", "entra"),
        ("https://login.microsoftonline.us/0a1b/v2.0", "entra"),
        ("https://login.partner.microsoftonline.cn/0a1b/v2.0", "entra"),
        ("https://login.microsoftonline.com.evil.example/x", "generic"),
        ("https://sts.windows.net/0a1b/", "generic"),
        ("https://accounts.google.com", "google"),
        ("https://acme.okta.com", "okta"),
        ("https://acme.oktapreview.com/oauth2/default", "okta"),
        ("https://acme.okta-emea.com", "okta"),
        ("https://badokta.com", "generic"),
        ("https://id.example", "generic"),
    ],
)
def test_kind_auto_looks_at_the_issuer_alone(issuer, kind):
    """And at whole host names, not at their beginnings."""
    assert kind_of(issuer) == kind


def test_every_kind_is_a_complete_row():
    """Scopes hold openid, algorithms are asymmetric, and configuration knows each name."""
    for name, row in KINDS.items():
        assert row.name == name
        assert "openid" in row.scope.split()
        assert row.algorithms and row.algorithms <= ASYMMETRIC
        assert row.groups and row.username
    assert {*KINDS, "auto"} == set(model.Kind.__args__)  # type: ignore[attr-defined]


def test_every_cell_can_be_overridden_in_the_file():
    """Names of claims, parameters, logout, userinfo, algorithms, client authentication."""
    made = given(
        kind="google",
        claims={"groups": "g", "username": "u", "name": "n", "email": "e"},
        parameters={"prompt": "login"},
        logout="oidc",
        userinfo=True,
        algorithms=["ES256"],
        client_secret=Secret("s"),
        client_auth="client_secret_post",
        title="Acme",
        backchannel_logout=True,
    )

    assert (made.kind.groups, made.kind.username, made.kind.display, made.kind.address) == (
        "g",
        "u",
        "n",
        "e",
    )
    assert made.kind.fixed == (("prompt", "login"),)
    assert made.kind.logout is Logout.OIDC
    assert made.kind.userinfo is Userinfo.ALWAYS
    assert made.kind.algorithms == {"ES256"}
    assert made.secret_in_body is True
    assert made.title == "Acme" and made.backchannel
    assert made.kind.revoke is Revoke.TOKEN_ONLY and made.kind.email is Email.HOSTED
    assert given(userinfo=False, kind="okta").kind.userinfo is Userinfo.NEVER


def test_the_issuer_is_the_configured_one_or_the_url_without_its_suffix():
    """For config_url the document may add the slash that its URL has lost."""
    by_url = provider(
        model.Provider.model_validate(
            {"name": "a", "client_id": "c", "config_url": ISSUER + providers.WELL_KNOWN}
        )
    )

    assert by_url.issuer == ISSUER and by_url.config_url == ISSUER + providers.WELL_KNOWN
    assert read_metadata(GOOD, by_url).issuer == ISSUER
    assert read_metadata({**GOOD, "issuer": ISSUER + "/"}, by_url).issuer == ISSUER + "/"
    with pytest.raises(ProviderError):
        read_metadata({**GOOD, "issuer": ISSUER + "/"}, given())


BAD: dict[str, Any] = {
    "not an object": [],
    "other issuer": {**GOOD, "issuer": "https://evil.example"},
    "no issuer": {k: v for k, v in GOOD.items() if k != "issuer"},
    "issuer a list": {**GOOD, "issuer": [ISSUER]},
    "entra template": {**GOOD, "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"},
    "no keys": {k: v for k, v in GOOD.items() if k != "jwks_uri"},
    "no token endpoint": {k: v for k, v in GOOD.items() if k != "token_endpoint"},
    "http authorization": {**GOOD, "authorization_endpoint": "http://login.example/a"},
    "http token": {**GOOD, "token_endpoint": "http://login.example/t"},
    "http keys": {**GOOD, "jwks_uri": "http://keys.example/jwks"},
    "http logout": {**GOOD, "end_session_endpoint": "http://login.example/o"},
    "javascript": {**GOOD, "authorization_endpoint": "javascript:alert(1)"},
    "user in address": {**GOOD, "token_endpoint": "https://a@login.example/t"},
    "endpoint a number": {**GOOD, "userinfo_endpoint": 5},
    "only none": {**GOOD, "id_token_signing_alg_values_supported": ["none", "HS256"]},
    "algorithms a string": {**GOOD, "id_token_signing_alg_values_supported": "RS256"},
}


@pytest.mark.parametrize("document", BAD.values(), ids=BAD.keys())
def test_oid_10_a_document_that_is_not_the_providers_is_refused(document):
    """Issuer equal, endpoints https, at least one usable algorithm."""
    with pytest.raises(ProviderError):
        read_metadata(document, given())


def test_oid_4_the_document_cannot_add_algorithms():
    """`none` and HS256 are left out, and what the kind does not use too."""
    listed = {**GOOD, "id_token_signing_alg_values_supported": ["none", "HS256", "RS256", "ES256"]}

    assert read_metadata(listed, given()).algorithms == {"RS256", "ES256"}
    assert read_metadata(listed, given(kind="cognito")).algorithms == {"RS256"}
    unlisted = {k: v for k, v in GOOD.items() if not k.startswith("id_token")}
    assert read_metadata(unlisted, given()).algorithms == {"RS256"}


def test_tokens_alone_need_keys_alone():
    """A provider without client id has no login and needs no endpoints for one."""
    tokens_only = given(client_id=None, audiences=["s3"])
    document = {"issuer": ISSUER, "jwks_uri": GOOD["jwks_uri"]}

    assert read_metadata(document, tokens_only).authorization_endpoint == ""
    assert not tokens_only.login and tokens_only.accepted_audiences == {"s3"}


@pytest.mark.parametrize("name", ["jwks_uri", "token_endpoint", "end_session_endpoint"])
def test_ssr_1_a_provider_out_there_cannot_point_at_this_machine(name):
    """Plain http to loopback is for a provider that is on loopback itself."""
    document = {**GOOD, name: "http://127.0.0.1:9090/metrics"}
    with pytest.raises(ProviderError) as caught:
        read_metadata(document, given())

    assert name in caught.value.detail["problem"]


def test_cognito_has_logout_and_revocation_where_its_document_is_silent():
    """Beside the authorization endpoint."""
    made = read_metadata(GOOD, given(kind="cognito"))

    assert made.end_session_endpoint == "https://login.example/logout"
    assert made.revocation_endpoint == "https://login.example/oauth2/revoke"
    assert read_metadata(GOOD, given()).end_session_endpoint == ""


def test_a_blank_scope_is_left_out_and_an_absent_one_is_the_kinds():
    """`offline_access` only where it is advertised."""
    plain = read_metadata(GOOD, given())
    offline = read_metadata({**GOOD, "scopes_supported": ["offline_access", 5]}, given())

    assert scope_of(given(scope=""), plain) == ""
    assert scope_of(given(scope="openid x"), offline) == "openid x"
    assert scope_of(given(), plain) == "openid profile email"
    assert scope_of(given(), offline) == "openid profile email offline_access"
    assert scope_of(given(kind="entra"), plain).endswith("offline_access")
    assert scope_of(given(kind="google"), offline) == "openid profile email"


def test_what_check_online_should_say():
    """No domain; no scope openid, where the document lists its scopes."""
    made = given(kind="cognito")
    no_domain = {
        **GOOD,
        "authorization_endpoint": "https://cognito-idp.eu-west-1.amazonaws.com/authorize",
    }

    def said(document: dict[str, Any]) -> str:
        return "; ".join(concerns(made, read_metadata(document, made)))

    assert "has no domain" in said(no_domain)
    assert "scope openid" in said({**GOOD, "scopes_supported": ["email"]})
    assert said({**GOOD, "scopes_supported": ["openid"]}) == said(GOOD) == ""


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://a.example/x?y=1", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://[::1]:8080/x", True),
        ("http://localhost/x", True),
        ("http://127.0.0.1.evil.example/", False),
        ("http://10.0.0.1/", False),
        ("https:///x", False),
        ("https://a.example/#x", False),
        ("https://a.example/\\x", False),
        ("https://a.example/ x", False),
        ("https://a.example:x/", False),
        ("https://é.example/", False),
        ("ftp://a.example/", False),
        ("//a.example/", False),
        ("https://a.example/" + "x" * 3000, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_oid_10_endpoints_are_https_or_this_machine(url, fine):
    """Plain http reaches only loopback."""
    assert usable_url(url) is fine


def test_in_a_cluster_ca_and_token_come_from_the_pods_mount():
    """Unless the file names others."""
    issuer = "https://kubernetes.default.svc.cluster.local"
    made = given(issuer=issuer, client_id=None, audiences=["s3"])

    assert made.ca.endswith("/serviceaccount/ca.crt") and made.token_file.endswith("/token")
    assert given().ca == "" and given().token_file == ""


@pytest.mark.parametrize("path", sorted(CAPTURED.glob("*.json")), ids=lambda p: p.stem)
def test_captured_documents_and_claims_give_the_identity_that_they_describe(path):
    """One file a provider: its document, claims of a token, and what becomes of them."""
    case = json.loads(path.read_text())
    made = provider(model.Provider.model_validate({"name": path.stem, **case["provider"]}))

    assert made.kind.name == case["kind"]
    metadata = read_metadata(case["document"], made)
    identity = flow.identity_of(made, case["claims"])
    assert {
        "username": identity.username,
        "name": identity.name,
        "email": identity.email,
        "groups": list(identity.groups),
        "subject": identity.subject,
    } == case["identity"]
    if made.login:
        assert scope_of(made, metadata) == case["scope"]
        kept = "T" if made.kind.hint else None
        url = flow.logout_url(made, metadata, signed_out="https://gw/ui/signed-out", id_token=kept)
        assert url == case["logout"]


@pytest.mark.parametrize("path", sorted(CAPTURED.glob("*.json")), ids=lambda p: p.stem)
def test_captured_tokens_are_believed_for_their_provider_alone(path):
    """With its own header, by the key that the header names, for the client that it was made for."""
    case = json.loads(path.read_text())
    made = provider(model.Provider.model_validate({"name": path.stem, **case["provider"]}))
    claims = case["claims"] | ({"nonce": "n" * 43} if made.login else {})
    jwk = {**KEYS[0].as_dict(private=False), "kid": case["header"]["kid"]}
    token = tokens.parse(sign(claims, KEYS[0], **case["header"]))
    given: dict[str, Any] = {
        "keys": read_keys({"keys": [jwk]}),
        "metadata": read_metadata(case["document"], made),
        "now": datetime.fromtimestamp(claims["iat"] + 10, UTC),
    }

    def verified(who: Any) -> Any:
        if made.login:
            more: dict[str, Any] = {"nonce": "n" * 43, "access_token": None}
            return tokens.verify_login(token, provider=who, **given, **more)
        return tokens.verify_bearer(token, provider=who, **given)

    assert verified(made) == claims
    with pytest.raises(TokenError) as caught:
        verified(replace(made, client_id="other", audiences=frozenset({"other"})))
    assert caught.value.reason is errors.TOKEN_AUDIENCE


def test_every_kind_has_a_captured_document():
    """A row that no document exercises is a guess."""
    kinds = {json.loads(path.read_text())["kind"] for path in CAPTURED.glob("*.json")}

    assert kinds == set(KINDS)
