"""
Elements of list answers as JSON: the member names of S3's model, numbers and booleans as such.

An XML list is repeated elements; in JSON it is one array under the model's name for it, also
where it holds one element or none (LST-15).

Source: botocore's S3 model, against which `tests/s3/test_members.py` holds the tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gateway.s3 import xml
from gateway.s3.scan import broken

PAGES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ListObjects": {"Contents": "Contents", "CommonPrefixes": "CommonPrefixes"},
        "ListObjectsV2": {"Contents": "Contents", "CommonPrefixes": "CommonPrefixes"},
        "ListObjectVersions": {
            "Version": "Versions",
            "DeleteMarker": "DeleteMarkers",
            "CommonPrefixes": "CommonPrefixes",
        },
        "ListMultipartUploads": {"Upload": "Uploads", "CommonPrefixes": "CommonPrefixes"},
        "ListParts": {"Part": "Parts"},
    }
)
"""Of each list, the repeated elements and their members."""

NUMBERS = frozenset(
    {
        "Size",
        "KeyCount",
        "MaxKeys",
        "MaxUploads",
        "MaxParts",
        "PartNumber",
        "PartNumberMarker",
        "NextPartNumberMarker",
    }
)
BOOLEANS = frozenset({"IsTruncated", "IsLatest", "IsRestoreInProgress"})
ARRAYS = frozenset({"ChecksumAlgorithm"})
"""Lists inside an entry; of uploads and parts the same name is one text."""

_FLAT = re.compile(r"\s*<([A-Za-z_][\w.-]*)>([^<]*)</\1>")


def typed(name: str, text: str) -> Any:
    """A text as the model's type of the member."""
    if name in NUMBERS:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text
    if name in BOOLEANS:
        return text.strip().lower() == "true"
    return text


def fields(inside: str, *, arrays: frozenset[str] = ARRAYS) -> dict[str, Any]:
    """The children of an entry as members."""
    made: dict[str, Any] = {}
    position = 0
    for match in _FLAT.finditer(inside):
        if match.start() != position:
            break
        name, text = match[1], match[2]
        _put(made, name, typed(name, _text(text)), arrays)
        position = match.end()
    if inside[position:].strip():  # something nested: Owner, RestoreStatus, …
        rest = _parsed(inside[position:])
        if rest.text.strip():
            raise broken("text between elements")
        for child in rest.children:
            _put(made, child.name, _member(child), arrays)
    return made


def value(name: str, inside: str) -> Any:
    """The inside of an element of a page as a value."""
    return _member(_parsed(inside)) if "<" in inside else typed(name, _text(inside))


def _put(made: dict[str, Any], name: str, what: Any, arrays: frozenset[str]) -> None:
    if name in arrays:
        made.setdefault(name, []).append(what)
    else:
        made[name] = what


def _member(element: xml.Element) -> Any:
    if element.children:
        return {child.name: _member(child) for child in element.children}
    return typed(element.name, element.text)


def _text(raw: str) -> str:
    try:
        return xml.unescape(raw)
    except xml.XMLError as error:
        raise broken("a text cannot be read") from error


def _parsed(inside: str) -> xml.Element:
    try:
        return xml.parse(f"<e>{inside}</e>".encode())
    except xml.XMLError as error:
        raise broken("an entry cannot be read") from error
