"""Every setting: described, frozen, strict, hidden where it is a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.model import (
    CognitoIdentityCredentials,
    Config,
    Provider,
    Server,
    UpstreamConfig,
)
from gateway.config.values import Resolved
from gateway.identity import Secret


def test_every_setting_is_described():
    """The reference page is made of these sentences."""
    schema = Config.model_json_schema()

    for name, section in {**schema["$defs"], "Config": schema}.items():
        for key, value in section["properties"].items():
            assert value.get("description"), f"{name}.{key}"


def test_cfg_2_no_secret_shows_itself():
    """Neither in repr nor in JSON nor in an error."""
    canary = "canary-0a1b2c3d4e5f6g7h8i9j0k1l2m3n"
    config = Config.model_validate(
        {
            "session": {"keys": [Resolved(canary)]},
            "oidc": [{"name": "c", "issuer": "https://i", "client_id": "x", "client_secret": Secret(canary)}],
            "state": {"type": "redis", "url": Resolved(f"redis://:{canary}@h")},
            "credentials": {"s": {"type": "static", "access_key_id": "A", "secret_access_key": Resolved(canary)}},
        }
    )  # fmt: skip

    assert canary not in repr(config)
    assert canary not in config.model_dump_json()
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"session": {"keys": [Resolved(canary), canary, 5], "idle": canary}})
    assert canary not in str(caught.value)


def test_nothing_changes_after_reading():
    """A snapshot is what it was."""
    with pytest.raises(ValidationError):
        Config().server.__class__.__setattr__(Config().server, "workers", 5)


def test_oid_2_there_is_no_switch_for_pkce_or_nonce():
    """Nor for algorithms beyond the closed set, nor to trust without TLS."""
    names = {
        key.lower()
        for section in Config.model_json_schema()["$defs"].values()
        for key in section["properties"]
    }

    assert not {
        name
        for name in names
        if "pkce" in name or "nonce" in name or "verify" in name or "insecure" in name
    }


def test_urls_that_follow_from_settings():
    """What an administrator registers, and where an upstream is."""
    server = Server.model_validate({"public_url": "https://S3.example.com"})

    assert server.callback_url == "https://s3.example.com/api/session/auth/"
    assert server.signed_out_url == "https://s3.example.com/ui/signed-out"
    assert (server.secure, server.authority, server.hostname) == (
        True,
        "s3.example.com",
        "s3.example.com",
    )
    assert Server().public_url == "http://127.0.0.1:8080"
    assert Server.model_validate({"listen": "unix:/run/x"}).public_url == ""
    assert UpstreamConfig(region="cn-north-1").url == "https://s3.cn-north-1.amazonaws.com.cn"
    assert UpstreamConfig().style == "virtual"
    assert UpstreamConfig(endpoint="http://minio:9000").style == "path"


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


def test_an_identity_pool_narrows_only_in_the_basic_flow():
    """The enhanced flow takes no session policy."""
    pool = {"type": "cognito_identity", "identity_pool_id": "us-east-1:0a"}
    with pytest.raises(ValidationError):
        CognitoIdentityCredentials(**pool, scope_down=True)
    with pytest.raises(ValidationError):
        CognitoIdentityCredentials(**pool, flow="basic")


def test_relative_files_start_from_the_folder_of_the_file():
    """So that a configuration can be moved as a folder."""
    config = Config.model_validate(
        {"state": {"type": "sqlite", "path": "state.db"}}, context={"base": Path("/etc/gateway")}
    )

    assert json.loads(config.model_dump_json())["state"]["path"] == "/etc/gateway/state.db"
