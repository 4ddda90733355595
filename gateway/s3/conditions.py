"""
The policy document of a POST form: until when, and what every field must be (SIG-17).

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, final

from gateway.s3.errors import ACCESS_DENIED, INVALID_POLICY_DOCUMENT, S3Error

_EXPIRATION = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?Z"
)
_UNCOVERED = frozenset({"policy", "x-amz-signature", "file"})
_IGNORED = "x-ignore-"
_SIZE_END = 2**63


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """What one field must be."""

    kind: str
    """`eq` or `starts-with`."""
    name: str
    """Of the field, in lower case."""
    value: str

    def holds(self, value: str) -> bool:
        if self.kind == "eq":
            return value == self.value
        if self.name == "content-type":  # a list of types: each of them must begin so
            return all(part.strip().startswith(self.value) for part in value.split(","))
        return value.startswith(self.value)


@final
@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A policy document, read."""

    expires: datetime
    conditions: tuple[Condition, ...]
    smallest: int = 0
    """Bytes that the file must have at least."""
    largest: int | None = None
    """And at most; None where nothing is said."""

    def judge(self, fields: Mapping[str, str], now: datetime) -> None:
        """
        Holds fields, bucket and key against the conditions. Raises S3Error (AccessDenied).

        Each condition must hold, and each field be spoken of by one: what nobody thought of when
        the form was made is not sent along (minio issue 7806).
        """
        if now >= self.expires:
            raise _against("Policy expired")
        covered = {condition.name for condition in self.conditions}
        extra = sorted(
            name
            for name in fields
            if name not in covered and name not in _UNCOVERED and not name.startswith(_IGNORED)
        )
        if extra:
            raise _against(f"Extra input fields: {', '.join(extra)}")
        for condition in self.conditions:
            if not condition.holds(fields.get(condition.name, "")):
                shown = json.dumps([condition.kind, f"${condition.name}", condition.value])
                raise _against(f"Policy Condition failed: {shown}")


def _against(what: str) -> S3Error:
    return S3Error(ACCESS_DENIED, f"Invalid according to Policy: {what}.")


def read_policy(text: str) -> PostPolicy:
    """A policy from the form's field, base64 of JSON. Raises S3Error (InvalidPolicyDocument)."""
    try:
        document = json.loads(
            base64.b64decode(text, validate=True).decode(), object_pairs_hook=_object
        )
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _unreadable("it is not base64 of JSON") from error
    if not isinstance(document, dict) or document.keys() != {"expiration", "conditions"}:
        raise _unreadable("it must have expiration and conditions, and nothing else")
    if not isinstance(document["conditions"], list):
        raise _unreadable("conditions must be a list")
    conditions: list[Condition] = []
    smallest, largest = 0, _SIZE_END
    for entry in document["conditions"]:
        match entry:
            case ["content-length-range", low, high]:
                smallest, largest = max(smallest, _size(low)), min(largest, _size(high))
            case [str(kind), str(name), str(value)] if name[:1] == "$":
                conditions.append(Condition(_kind(kind), name[1:].lower(), value))
            case dict():
                conditions += [Condition("eq", name.lower(), _text(entry[name])) for name in entry]
            case _:
                raise _unreadable("a condition is neither an object nor a list of three")
    return PostPolicy(
        expires=_expiration(document["expiration"]),
        conditions=tuple(conditions),
        smallest=smallest,
        largest=None if largest == _SIZE_END else largest,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _kind(text: str) -> str:
    kind = text.lower()
    if kind not in ("eq", "starts-with"):
        raise _unreadable(f"{text!r} is no kind of condition")
    return kind


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _unreadable("the value of a condition must be a string")
    return value


def _size(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    if type(value) is not int or not 0 <= value < _SIZE_END:
        raise _unreadable("content-length-range must be two numbers of bytes")
    return value


def _expiration(value: object) -> datetime:
    match = _EXPIRATION.fullmatch(value) if isinstance(value, str) else None
    try:
        if match is not None:
            return datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise _unreadable("expiration must be a time in ISO 8601 form, in UTC")


def _unreadable(what: str) -> S3Error:
    return S3Error(INVALID_POLICY_DOCUMENT, f"Invalid Policy: {what}.")
