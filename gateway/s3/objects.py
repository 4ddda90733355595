"""
Objects as requests name them: keys that nobody may use, and the sources of copies.

Sources: PTH-1, PTH-3, CPY-1 to CPY-3, CPY-8.
"""

from __future__ import annotations

from typing import final

from gateway.records import Record
from gateway.s3 import names
from gateway.s3.errors import INVALID_ARGUMENT, INVALID_URI, KEY_TOO_LONG, Row, S3Error


@final
class ObjectName(Record, frozen=True):
    """An object, or a bucket where the key is empty, in the client's names."""

    bucket: str
    key: str = ""
    version: str | None = None


def checked_key(raw: str) -> str:
    """A key from its one encoding. Raises S3Error (InvalidURI, KeyTooLongError) (PTH-1, PTH-3)."""
    if "%" not in raw and "." not in raw and len(raw) <= names.SURELY_SHORT:
        return raw  # a target holds no controls
    key = names.decode(raw)
    if refusal := key_refusal(key):
        raise S3Error(refusal)
    return key


def key_refusal(key: str) -> Row | None:
    """Why nobody may use the key, whatever is granted; None where it may be used."""
    if names.has_control(key):
        return INVALID_URI
    if "." in key and names.has_dot_segment(key):
        return INVALID_URI
    return KEY_TOO_LONG if names.is_too_long(key) else None


def copy_source(value: str, name: str = "x-amz-copy-source") -> ObjectName:
    """
    The object that x-amz-copy-source names: `[/]bucket/key[?versionId=v]`. Raises S3Error (InvalidArgument).

    Cut at the first raw `?`, then decoded once: a key may hold an encoded "?versionId=", and what
    is authorised here must be what the upstream copies (CPY-1).
    """
    path, mark, tail = value.partition("?")
    path = path[1:] if path[:1] == "/" else path
    try:
        raw_bucket, slash, raw_key = path.partition("/")
        if slash:
            bucket, key = names.decode(raw_bucket), names.decode(raw_key)
        else:  # CPY-2: all of it encoded, the separator too
            whole = names.decode(path)
            whole = whole[1:] if whole[:1] == "/" and value[:1] != "/" else whole
            bucket, _, key = whole.partition("/")
        version = _source_version(tail) if mark else None
    except S3Error as error:
        raise bad_source(name) from error
    if not key or not names.is_bucket_name(bucket) or key_refusal(key) or version == "":
        raise bad_source(name)
    return ObjectName(bucket, key, version)


def _source_version(tail: str) -> str:
    """The value of the one parameter that may follow a source; "" where it is something else."""
    name, _, value = tail.partition("=")
    if name != "versionId" or "&" in value or "?" in value:
        return ""
    version = names.decode(value)
    return "" if names.has_control(version) else version


def bad_source(name: str) -> S3Error:
    """What is said of a source that cannot be read."""
    return S3Error(
        INVALID_ARGUMENT, f"{name} is not /bucket/key, URL-encoded once.", argument_name=name
    )
