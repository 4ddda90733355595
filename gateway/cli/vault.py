"""
What `gateway login` leaves on a machine: a key, and the temporary credentials made with it.

One file a gateway under `~/.config/gateway/`, readable by its owner alone and replaced whole, so
that many programs may ask at once. Where the `keyring` package is installed and works, the key's
secret is kept by the system's keyring instead of the file.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gateway.cli.calls import Temporary
from gateway.identity import Credentials, Secret

SERVICE = "s3-auth-gateway"
"""The name under which the system's keyring keeps our secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One sign-in at one gateway."""

    url: str
    access_key_id: str
    secret: Secret
    expires: datetime
    user: str = ""
    profile: str = ""
    """The AWS profile that was written for it."""
    temporary: Temporary | None = None

    @property
    def key(self) -> Credentials:
        return Credentials(access_key_id=self.access_key_id, secret=self.secret)


def folder() -> Path:
    """Where the files are: `$XDG_CONFIG_HOME/gateway`, by default `~/.config/gateway`."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "gateway"


def _path(url: str) -> Path:
    return folder() / (re.sub(r"[^A-Za-z0-9.-]+", "_", url) + ".json")


def load(url: str) -> Login | None:
    """The sign-in at this gateway; None where there is none. Raises OSError."""
    try:
        record = json.loads(_path(url).read_text("utf-8"))
        return _login(url, record)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None  # not ours, or cut short: a new sign-in writes it anew


def _login(url: str, record: dict[str, Any]) -> Login | None:
    key_id = str(record["access_key_id"])
    secret = record.get("secret_access_key") or _ring_get(key_id)
    if record["url"] != url or not secret:
        return None
    made = record.get("temporary")
    return Login(
        url=url,
        access_key_id=key_id,
        secret=Secret(str(secret)),
        expires=_moment(record["expires"]),
        user=str(record.get("user", "")),
        profile=str(record.get("profile", "")),
        temporary=None
        if made is None
        else Temporary(made["id"], made["secret"], made["token"], _moment(made["expires"])),
    )


def save(login: Login) -> str:
    """Keeps a sign-in; says where its secret is: "keyring" or the file's path. Raises OSError."""
    in_ring = _ring_set(login.access_key_id, login.secret.reveal())
    record: dict[str, Any] = {
        "url": login.url,
        "access_key_id": login.access_key_id,
        "expires": _text(login.expires),
        "user": login.user,
        "profile": login.profile,
    }
    if not in_ring:
        record["secret_access_key"] = login.secret.reveal()
    if login.temporary is not None:
        made = login.temporary
        record["temporary"] = {
            "id": made.access_key_id,
            "secret": made.secret_access_key,
            "token": made.session_token,
            "expires": _text(made.expires),
        }
    path = _path(login.url)
    _write(path, json.dumps(record, indent=1))
    return "keyring" if in_ring else str(path)


def keep_temporary(login: Login, made: Temporary) -> None:
    """Remembers temporary credentials for the next who asks. Raises OSError."""
    save(replace(login, temporary=made))


def forget(login: Login) -> None:
    """Removes a sign-in from this machine. Raises OSError."""
    _ring_delete(login.access_key_id)
    _path(login.url).unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, with mode 0600 from its first byte."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".gateway-")  # made with 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


# The system's keyring: an extra, and absent on most servers.


def _ring() -> Any | None:
    return import_module("keyring") if find_spec("keyring") else None


def _ring_get(name: str) -> str | None:
    ring = _ring()
    if ring is None:
        return None
    try:
        found: str | None = ring.get_password(SERVICE, name)
    except ring.errors.KeyringError:
        return None
    return found


def _ring_set(name: str, secret: str) -> bool:
    ring = _ring()
    if ring is None:
        return False
    try:
        if ring.get_password(SERVICE, name) != secret:
            ring.set_password(SERVICE, name, secret)
    except ring.errors.KeyringError:
        return False  # no desktop session, say: the file then
    return True


def _ring_delete(name: str) -> None:
    ring = _ring()
    if ring is None:
        return
    try:
        ring.delete_password(SERVICE, name)
    except ring.errors.KeyringError:
        return  # it was in the file
