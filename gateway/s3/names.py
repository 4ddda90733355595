"""
Names and their spelling: percent-encoding once each way, bucket and key names that are refused.

There is one decoder and one encoder. What was decoded here is what policy judges, and what goes
upstream is encoded here anew, so the client's spelling ends at this module (PTH-2).

Sources: RFC 3986 section 2; https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from gateway.s3.errors import INVALID_URI, S3Error

KEY_MAX = 1024  # bytes of a key in UTF-8: S3's own limit
SURELY_SHORT = KEY_MAX // 4  # characters that are no more bytes than that, whatever they are

RESERVED_BUCKETS = frozenset({"api"})
"""Paths of the gateway's own; `ui` is too short to be a bucket name at all."""

_RESERVED_IN_PATH = re.compile(r"[^A-Za-z0-9._~/-]+")
_RESERVED = re.compile(r"[^A-Za-z0-9._~-]+")
_ESCAPES = [f"%{byte:02X}" for byte in range(256)]
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_DOTS = re.compile(r"(?:^|/)\.\.?(?:/|$)")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FIELD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_IPV4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")


def decode(text: str) -> str:
    """
    The text, percent-decoded once; `+` stays a plus (PTH-15).

    Raises S3Error (InvalidURI) on `%` without two hex digits and on what is not UTF-8 (PTH-1).
    """
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise S3Error(INVALID_URI, "A % is not followed by two hexadecimal digits.")
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise S3Error(INVALID_URI, "The URI is not UTF-8.") from error


def _escaped(run: re.Match[str]) -> str:
    return "".join([_ESCAPES[byte] for byte in run[0].encode()])


def encode_path(text: str) -> str:
    """A path as it is signed and sent: unreserved characters and `/` stay (SIG-4)."""
    return _RESERVED_IN_PATH.sub(_escaped, text)


def encode(text: str) -> str:
    """A name or value of a query: only unreserved characters stay."""
    return _RESERVED.sub(_escaped, text)


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """The canonical query: encoded, sorted by name and then by value (SIG-21, PTH-20)."""
    encoded = sorted((encode(name), encode(value)) for name, value in pairs)
    return "&".join([f"{name}={value}" for name, value in encoded])


def has_control(text: str) -> bool:
    """NUL and the other controls, which no URI of ours may hold (PTH-1)."""
    return _CONTROL.search(text) is not None


def is_field_name(name: str) -> bool:
    """A token, as names of header fields are (RFC 9110 section 5.1): it ends no line, value or list of names."""
    return _FIELD.fullmatch(name) is not None


def has_dot_segment(key: str) -> bool:
    """A segment `.` or `..`, which proxies and file systems would resolve (PTH-3)."""
    return _DOTS.search(key) is not None


def is_too_long(key: str) -> bool:
    return len(key) > SURELY_SHORT and len(key.encode()) > KEY_MAX


def is_bucket_name(name: str) -> bool:
    """Whether S3 would take the name, and the gateway has no path of its own there (PTH-16)."""
    return (
        _BUCKET.fullmatch(name) is not None
        and ".." not in name
        and name not in RESERVED_BUCKETS
        and not (name[-1].isdigit() and _IPV4.fullmatch(name))
    )
