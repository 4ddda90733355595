"""What a sign-in leaves on a machine."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.cli import vault
from gateway.cli.calls import Temporary
from gateway.cli.vault import Login
from gateway.identity import Secret

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://s3.example.com:8443"
LOGIN = Login(
    url=URL,
    access_key_id="GWPX",
    secret=Secret("very-secret"),
    expires=WHEN,
    user="Alice",
    profile="acme",
    temporary=Temporary("GWTX", "s", "t", WHEN + timedelta(hours=1)),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(vault, "_ring", lambda: None)
    return tmp_path / "gateway"


def test_a_sign_in_comes_back_as_it_was(home: Path) -> None:
    """In a file of its owner's, and none beside it."""
    place = vault.save(LOGIN)
    vault.keep_temporary(replace(LOGIN, temporary=None), Temporary("GWTY", "s", "t", WHEN))
    mode = stat.S_IMODE(os.stat(place).st_mode)
    loaded = vault.load(URL)

    assert loaded is not None
    assert loaded == replace(LOGIN, temporary=Temporary("GWTY", "s", "t", WHEN))
    assert loaded.key.access_key_id == "GWPX"
    assert mode == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert os.listdir(home) == [Path(place).name]
    assert "very-secret" not in repr(LOGIN)


def test_each_gateway_has_its_own(home: Path) -> None:
    """And forgetting one leaves the other."""
    other = replace(LOGIN, url="https://other.example.com", temporary=None)
    vault.save(LOGIN)
    vault.save(other)
    vault.forget(LOGIN)
    vault.forget(LOGIN)

    assert vault.load(URL) is None
    assert vault.load(other.url) == other


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": "x"}'])
def test_a_file_that_is_no_sign_in_is_none(home: Path, text: str) -> None:
    """The next sign-in writes it anew."""
    place = Path(vault.save(LOGIN))
    place.write_text(text)

    assert vault.load(URL) is None


def test_an_address_that_looks_alike_is_another(home: Path) -> None:
    """Two addresses may share a file name; a secret goes to the one it came from."""
    vault.save(LOGIN)

    assert vault.load("https://s3.example.com_8443") is None


class Ring:
    """A system keyring."""

    errors = SimpleNamespace(KeyringError=RuntimeError)

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, name: str) -> str | None:
        if not self.works:
            raise RuntimeError
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, secret: str) -> None:
        self.kept[service, name] = secret

    def delete_password(self, service: str, name: str) -> None:
        if self.kept.pop((service, name), None) is None:
            raise RuntimeError


def test_where_a_keyring_works_the_secret_is_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not in the file."""
    ring = Ring()
    monkeypatch.setattr(vault, "_ring", lambda: ring)
    place = vault.save(LOGIN)
    text = next(home.iterdir()).read_text()
    loaded = vault.load(URL)
    vault.forget(LOGIN)

    assert place == "keyring"
    assert "very-secret" not in text
    assert loaded == LOGIN
    assert ring.kept == {}


def test_where_a_keyring_does_not_work_the_file_is_used(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a desktop session, say."""
    monkeypatch.setattr(vault, "_ring", lambda: Ring(works=False))

    assert vault.save(LOGIN) != "keyring"
    assert vault.load(URL) == LOGIN
    vault.forget(LOGIN)
    assert vault.load(URL) is None
