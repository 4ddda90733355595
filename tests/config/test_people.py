"""Who may come: providers are whole, their issuers kept to the letter, sessions end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.people import Provider, ServiceAccount, SessionSettings
from gateway.config.section import REMEMBERED
from gateway.identity import Secret


@pytest.mark.parametrize(
    ("fields", "issuer", "discovery"),
    [
        ({"config_url": "https://i/x/.well-known/openid-configuration"}, "https://i/x", "https://i/x/.well-known/openid-configuration"),
        ({"issuer": "https://i/"}, "https://i/", "https://i/.well-known/openid-configuration"),
    ],
)  # fmt: skip
def test_oid_10_the_issuer_is_kept_to_the_letter(fields, issuer, discovery):
    """A slash at its end belongs to it."""
    provider = Provider(name="x", client_id="c", **fields)

    assert (provider.issuer_url, provider.discovery_url) == (issuer, discovery)
    assert provider.accepted_audiences == ("c",)
    assert provider.login


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"issuer": "https://i"}, {"issuer": "https://i", "config_url": "https://j/.well-known/openid-configuration", "client_id": "c"},
        {"config_url": "https://i", "client_id": "c"}, {"issuer": "https://i", "client_secret": Secret("x"), "audiences": ["a"]},
        {"issuer": "https://u:p@i", "client_id": "c"},
    ],
)  # fmt: skip
def test_a_provider_is_whole(fields: dict[str, Any]):
    """Who it is, and what for."""
    with pytest.raises(ValidationError):
        Provider(name="x", **fields)


def test_cognito_is_known_by_its_issuer():
    """Wherever its domain is."""
    made = Provider(
        name="c", client_id="x", issuer="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab"
    )

    assert made.cognito
    assert not Provider(name="c", client_id="x", issuer="https://cognito-idp.evil.com/x").cognito


def test_ses_16_no_session_outlives_the_memory_of_its_revocation():
    """Signing out everywhere is remembered for so long, and a longer session would rise again."""
    longest = SessionSettings(lifetime=REMEMBERED)

    assert longest.lifetime == REMEMBERED
    with pytest.raises(ValidationError):
        SessionSettings(lifetime=REMEMBERED + timedelta(seconds=1))


@pytest.mark.parametrize(
    "name", ["state", "nonce", "redirect_uri", "code_challenge", "request_uri"]
)
def test_oid_13_what_a_sign_in_sets_itself_cannot_be_configured(name: str):
    """Nor how the answer comes back."""
    with pytest.raises(ValidationError, match="sign-in's own"):
        Provider(name="x", issuer="https://i", client_id="c", parameters={name: "mine"})


@pytest.mark.parametrize(
    ("key_id", "refused"),
    [("a-1_b.c:d@e", False), ("k" * 128, False), ("ab", True), ("k" * 129, True), ("a/b", True), ("Schlüssel", True), ("key\n", True)],
)  # fmt: skip
def test_an_access_key_id_is_what_a_credential_can_hold(key_id: str, refused: bool):
    """ASCII, without the slash that parts a Credential."""
    wrong = set()
    try:
        ServiceAccount(
            name="x", access_key_id=key_id, secret_access_key=Secret("0123456789abcdef" * 2)
        )
    except ValidationError as problems:
        wrong = {error["loc"] for error in problems.errors()}

    assert wrong == ({("access_key_id",)} if refused else set())
