"""
A profile in the file that aws, boto3 and the other SDKs read: ours written in, all else left alone.

Lines that are not ours stay byte for byte, comments and order too.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

REGION = "us-east-1"
LINKS = "s3 =\n    signature_version = s3v4\n"
"""aws and boto3 make presigned URLs of Signature Version 2 without it, which is refused (SIG-14)."""

_SECTION = re.compile(r"\s*\[\s*(.+?)\s*\]\s*(?:[#;].*)?$")
_SETTING = re.compile(r"([A-Za-z0-9_]+)\s*=\s*(.*?)\s*$")
_OURS = re.compile(r"\bcredentials\s+--url\s")
_OTHERS = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "credential_source",
        "role_arn",
        "source_profile",
        "sso_session",
        "sso_start_url",
        "web_identity_token_file",
    }
)
"""Settings that say how a profile gets its credentials."""


class Taken(Exception):
    """The profile gets its credentials in another way already."""


def config_path() -> Path:
    """`$AWS_CONFIG_FILE`, by default `~/.aws/config`."""
    named = os.environ.get("AWS_CONFIG_FILE")
    return Path(named).expanduser() if named else Path.home() / ".aws" / "config"


def header(profile: str) -> str:
    """The name of its section."""
    return "default" if profile == "default" else f"profile {profile}"


def write(path: Path, profile: str, *, url: str, process: str) -> None:
    """Writes or renews the profile. Raises Taken where it is somebody else's, OSError."""
    text = path.read_text("utf-8") if path.exists() else ""
    _replace(path, with_profile(text, profile, url=url, process=process))


def remove(path: Path, profile: str) -> None:
    """Takes our settings out of the profile, where they are ours. Raises OSError."""
    if path.exists():
        text = path.read_text("utf-8")
        left = without_profile(text, profile)
        if left != text:
            _replace(path, left)


def with_profile(text: str, profile: str, *, url: str, process: str) -> str:
    """The text of the file with the profile in it. Raises Taken."""
    lines = text.splitlines(keepends=True)
    start, end = _bounds(lines, profile)
    if start < 0:
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        return (
            text
            + gap
            + (
                f"[{header(profile)}]\ncredential_process = {process}\n"
                f"endpoint_url = {url}\nregion = {REGION}\n{LINKS}"
            )
        )
    found = _settings(lines[start + 1 : end])
    if not _is_ours(found) and ("credential_process" in found or _OTHERS & found.keys()):
        raise Taken(f"the profile {profile!r} gets its credentials in another way already")
    settings = {"credential_process": process, "endpoint_url": url}
    if "region" not in found:
        settings["region"] = REGION
    section = [line for line in lines[start + 1 : end] if _name(line) not in settings]
    ours = [f"{name} = {value}\n" for name, value in settings.items()]
    if "s3" not in found:
        ours.append(LINKS)
    first = lines[start] if lines[start].endswith("\n") else lines[start] + "\n"
    return "".join([*lines[:start], first, *ours, *section, *lines[end:]])


def without_profile(text: str, profile: str) -> str:
    """The text of the file without what we wrote; a section in which nothing is left goes too."""
    lines = text.splitlines(keepends=True)
    start, end = _bounds(lines, profile)
    if start < 0 or not _is_ours(_settings(lines[start + 1 : end])):
        return text
    body = "".join(lines[start + 1 : end]).replace(LINKS, "", 1)
    section = [
        line
        for line in body.splitlines(keepends=True)
        if _name(line) not in ("credential_process", "endpoint_url")
    ]
    left = {_name(line) for line in section if line.strip()}
    if left <= {"region"}:
        return "".join([*lines[:start], *lines[end:]])
    return "".join([*lines[: start + 1], *section, *lines[end:]])


def _bounds(lines: list[str], profile: str) -> tuple[int, int]:
    """Index of the section's header and of the line after its last; -1 where there is none."""
    start = -1
    for index, line in enumerate(lines):
        match = _SECTION.match(line)
        if match is None:
            continue
        if start >= 0:
            return start, index
        if " ".join(match[1].replace('"', "").split()) == header(profile):
            start = index
    return start, len(lines)


def _name(line: str) -> str | None:
    """The setting that a line makes; None for comments, blanks and what is indented below one."""
    match = _SETTING.match(line)
    return match[1].lower() if match else None


def _settings(lines: list[str]) -> dict[str, str]:
    matches = [_SETTING.match(line) for line in lines]
    return {match[1].lower(): match[2] for match in matches if match}


def _is_ours(settings: dict[str, str]) -> bool:
    return _OURS.search(settings.get("credential_process", "")) is not None


def _replace(path: Path, text: str) -> None:
    path = path.resolve()  # a link stays a link
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".config-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
