"""Every setting: described, frozen, strict, hidden where it is a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config import described
from gateway.config.model import Config
from gateway.config.values import Resolved
from gateway.identity import Secret


def test_every_setting_is_described():
    """The reference page is made of these sentences."""
    schema = described.schema(Config)

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


def test_relative_files_start_from_the_folder_of_the_file():
    """So that a configuration can be moved as a folder."""
    config = Config.model_validate(
        {"state": {"type": "sqlite", "path": "state.db"}}, context={"base": Path("/etc/gateway")}
    )

    assert json.loads(config.model_dump_json())["state"]["path"] == "/etc/gateway/state.db"
