"""
S3Request from a head: path style or virtual host to bucket, key and query; names that are refused.

The raw target is read once. What is decoded here is one value for signature, decision, upstream,
audit and error; nothing after this module decodes again (PTH-2).

Sources: RFC 9112 section 3.2; https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import final

from gateway.message import Headers, Pairs, RequestHead, by_names
from gateway.records import Record, replace
from gateway.s3 import names, xml
from gateway.s3.errors import (
    AUTHORIZATION_QUERY_PARAMETERS_ERROR,
    INVALID_ARGUMENT,
    INVALID_BUCKET_NAME,
    INVALID_REQUEST,
    INVALID_URI,
    MALFORMED_XML,
    Row,
    S3Error,
)
from gateway.s3.hosts import Hosts
from gateway.s3.names import encode_path, encode_query
from gateway.s3.objects import ObjectName, bad_source, checked_key, copy_source, key_refusal

__all__ = [
    "DeleteEntry",
    "S3Request",
    "encode_path",
    "encode_query",
    "parse",
    "with_keys",
]

DELETE_BODY_MAX = (
    2 * 1024 * 1024
)  # bytes of a <Delete> document: 1 000 keys of 1 024 bytes and their XML
DELETE_KEYS_MAX = 1000  # S3's own limit

SIGNATURE_PARAMETERS = {
    name.lower(): name
    for name in (
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
    )
}
"""Parameters of a presigned URL (PRE-1, PRE-6), by their names in lower case."""

CHOOSE_QUERY = frozenset({"x-amz-algorithm", "x-amz-credential", "x-amz-signature"})  # SIG-12
OLD_PARAMETERS = frozenset({"awsaccesskeyid", "signature"})
"""What makes a link one of Signature Version 2 (SIG-14), in lower case."""

_SINGLE = frozenset(
    {
        "authorization",
        "host",
        "content-length",
        "transfer-encoding",
        "content-type",
        "content-md5",
        "range",
        "expect",
        "date",
    }
)
"""Headers that may come once, as every x-amz-* but metadata and lists (SIG-20)."""

_LISTS = frozenset({"x-amz-object-attributes", "x-amz-optional-object-attributes"})
"""x-amz-* whose value is a list: SDKs for Go and Java send one line for each element."""

_ORDINARY = frozenset(
    {
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-checksum-mode",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-user-agent",
        "x-amz-decoded-content-length",
        "x-amz-trailer",
    }
)
"""x-amz-* headers of every request, which ask for nothing more than its operation does."""

_MAY_HOLD_CONTROLS = frozenset(
    {
        "continuation-token",
        "delimiter",
        "key-marker",
        "marker",
        "prefix",
        "start-after",
        "upload-id-marker",
        "version-id-marker",
    }
)
"""Where a page of a list is continued with what the last page said, controls and all (LST-7, LST-13)."""


@final
class DeleteEntry(Record, frozen=True):
    """One entry of a DeleteObjects body (DEL-4)."""

    key: str
    version: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    size: str | None = None


@final
class S3Request(Record, frozen=True, kw_only=True):
    """What a client asks of S3, decoded once."""

    method: str
    bucket: str
    """Empty where the service itself is asked."""
    key: str
    """Empty where the bucket itself is asked."""
    query: Pairs
    """Every pair as it came, decoded: what the signature covers (SIG-21)."""
    params: Pairs
    """What belongs to the operation: without signature and `x-…` parameters, each name once."""
    headers: Headers
    """As they came, and those that a presigned URL carries in its query (PRE-8)."""
    raw_path: str
    """The path of the target as it came, for SIG-4."""
    amz: tuple[str, ...] = ()
    """Names of the x-amz-* headers that may ask for more than the operation's name does (OPS-7)."""
    says: str | None = None
    """`x-id`: the operation that the client believes it calls (OPS-2)."""
    copy_source: ObjectName | None = None
    rename_source: ObjectName | None = None
    virtual: bool = False
    """The bucket came from the Host header."""
    presigned: bool = False
    """The signature is in the query (SIG-12)."""
    body_keys: tuple[DeleteEntry, ...] = ()
    refused: tuple[tuple[DeleteEntry, Row], ...] = ()
    """Entries of the body whose names nobody may use (DEL-10)."""
    quiet: bool = False
    """DeleteObjects: only failures are to be told (DEL-6)."""

    def param(self, name: str, default: str | None = None) -> str | None:
        """The value of a parameter of the operation."""
        for key, value in self.params:
            if key == name:
                return value
        return default

    @property
    def path(self) -> str:
        """The resource as errors name it: `/bucket/key`."""
        return f"/{self.bucket}/{self.key}" if self.key else f"/{self.bucket}"


_VALUE = itemgetter(1)
# The target

_ABSOLUTE = re.compile(r"(?i:https?)://([^/?]*)(.*)", re.DOTALL)
_OUTSIDE = re.compile(r"[^!-~]|#")

WRITE_GET_OBJECT_RESPONSE = "/WriteGetObjectResponse"
"""The one operation of S3 with a path of its own; no bucket can be called so."""


def parse(head: RequestHead, hosts: Hosts) -> S3Request:
    """
    The request that a head makes. Raises S3Error: InvalidURI, InvalidBucketName, InvalidArgument,
    InvalidRequest, KeyTooLongError.
    """
    headers = head.headers
    amz = _single(headers)
    authority = headers.get("host")
    if authority is None:
        raise S3Error(INVALID_REQUEST, "A Host header is required.")
    virtual = hosts.bucket(authority)
    target = _origin_form(head.target, authority)
    raw_path, mark, raw_query = target.partition("?")
    bucket, key = _names(raw_path, virtual, head.method)
    if not mark and "x-amz-copy-source" not in headers and "x-amz-rename-source" not in headers:
        return S3Request(
            method=head.method,
            bucket=bucket,
            key=key,
            query=(),
            params=(),
            headers=headers,
            raw_path=raw_path,
            amz=amz,
            virtual=virtual is not None,
        )
    query = decode_query(raw_query)
    presigned, says, params, moved = _sorted_out(query)
    if moved:
        headers = _with_moved(headers, moved)
        _, amz = _spelling(headers)
    return S3Request(
        method=head.method,
        bucket=bucket,
        key=key,
        query=query,
        params=params,
        headers=headers,
        raw_path=raw_path,
        amz=amz,
        says=says,
        copy_source=_source(headers, "x-amz-copy-source"),
        rename_source=_source_in(bucket, headers),
        virtual=virtual is not None,
        presigned=presigned,
    )


def _origin_form(target: str, authority: str) -> str:
    """The target as path and query (PTH-12)."""
    if _OUTSIDE.search(target):
        raise S3Error(INVALID_URI, "The target holds what must be percent-encoded.")
    if target[:1] == "/":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise S3Error(INVALID_URI, "The target is not a path.")
    if absolute[1].lower() != authority.lower():  # HTTP-3
        raise S3Error(INVALID_URI, "The target names another host than the Host header.")
    rest = absolute[2]
    return rest if rest[:1] == "/" else "/" + rest


def _names(raw_path: str, virtual: str | None, method: str) -> tuple[str, str]:
    """Bucket and key, decoded after they were told apart (PTH-13, PTH-14)."""
    if virtual is not None:
        bucket, raw_key = virtual, raw_path[1:]
    elif raw_path == "/" or (raw_path == WRITE_GET_OBJECT_RESPONSE and method == "POST"):
        return "", ""
    else:
        raw_bucket, _, raw_key = raw_path[1:].partition("/")
        bucket = names.decode(raw_bucket) if "%" in raw_bucket else raw_bucket
    if not names.is_bucket_name(bucket):
        raise S3Error(INVALID_BUCKET_NAME)
    return bucket, checked_key(raw_key) if raw_key else ""


# The headers


def _single(headers: Headers) -> tuple[str, ...]:
    """
    Refuses a doubled single header, also where one spells `-` as `_` (SIG-20), and bad bytes.

    Gives the names that may ask for more: see `S3Request.amz`.
    """
    underscored, amz = _spelling(headers)
    if underscored or headers.doubled:
        seen: set[str] = set()
        for name, _ in headers.pairs:
            name = name.replace("_", "-")
            if name in seen and (name in _SINGLE or _single_amz(name)):
                raise S3Error(INVALID_REQUEST, f"The header {name} came twice.", close=True)
            seen.add(name)
    values = "".join(map(_VALUE, headers.pairs))
    if not values.isascii():
        try:
            values.encode("utf-8")
        except UnicodeEncodeError as error:  # AIO-14: such bytes would vanish on the way out
            raise S3Error(INVALID_ARGUMENT, "A header is not UTF-8.") from error
    return amz


def _single_amz(name: str) -> bool:
    return name[:6] == "x-amz-" and name[:11] != "x-amz-meta-" and name not in _LISTS


@by_names
def _spelling(names: str) -> tuple[bool, tuple[str, ...]]:
    """Whether a name holds `_`, and those that may ask for more."""
    asking = [n for n in names.split("\n") if n[:6] == "x-amz-" and n not in _ORDINARY]
    return "_" in names, tuple(asking)


# The query


def decode_query(raw: str) -> Pairs:
    """
    The pairs of a query, decoded once: `+` is a space, a bare name has the value "" (SIG-21).

    Raises S3Error (InvalidURI).
    """
    pairs = []
    for piece in raw.split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        if "%" in piece or "+" in piece:
            name = names.decode(name.replace("+", " "))
            value = names.decode(value.replace("+", " "))
            if names.has_control(name) or (
                name not in _MAY_HOLD_CONTROLS and names.has_control(value)
            ):
                raise S3Error(INVALID_URI, "The query holds a control character.")
        pairs.append((name, value))
    return tuple(pairs)


_CLIMBS = re.compile(r"(?:^|/)\.(?:\./|\.$|/)")
"""In a prefix: storage on a file system would list what stands beside the mapping's own (PTH-3)."""


def _sorted_out(query: Pairs) -> tuple[bool, str | None, Pairs, Pairs]:
    """Whether the query is signed, its `x-id`, the operation's own parameters, and headers (PRE-8)."""
    presigned = False
    says: str | None = None
    params: list[tuple[str, str]] = []
    amz: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name, value in query:
        lower = name.lower() if name[:1] in "xX" else name
        if lower[:2] == "x-" and lower[:6] == "x-amz-":
            if not names.is_field_name(name):
                raise S3Error(
                    INVALID_ARGUMENT, "This is not the name of a header.", argument_name=name
                )
            presigned = presigned or lower in CHOOSE_QUERY
            amz.append((lower, value))
            continue
        if name in seen:  # PTH-19
            raise S3Error(INVALID_ARGUMENT, "A parameter came twice.", argument_name=name)
        seen.add(name)
        if name == "x-id":
            says = value
        elif lower[:2] != "x-":  # S3 ignores what begins so (OPS-2)
            if name == "prefix" and _CLIMBS.search(value):
                raise S3Error(INVALID_ARGUMENT, "The prefix climbs.", argument_name=name)
            params.append((name, value))
    return presigned, says, tuple(params), _moved(amz, presigned, seen)


def _moved(amz: list[tuple[str, str]], presigned: bool, beside: set[str]) -> Pairs:
    """The x-amz-* parameters that stand for headers (PRE-8)."""
    if amz and not presigned:
        if not OLD_PARAMETERS.isdisjoint(name.lower() for name in beside):
            raise other_version()
        raise S3Error(
            INVALID_ARGUMENT, "The parameter belongs to a presigned URL.", argument_name=amz[0][0]
        )
    moved = tuple(pair for pair in amz if pair[0] not in SIGNATURE_PARAMETERS)
    if len({name for name, _ in moved}) != len(moved):
        raise S3Error(AUTHORIZATION_QUERY_PARAMETERS_ERROR, "An x-amz- parameter came twice.")
    return moved


def other_version() -> S3Error:
    """SIG-14: a signature of Version 2 or 4A is refused by name, wherever it stands."""
    return S3Error(
        INVALID_REQUEST,
        "The authorization mechanism you have provided is not supported. "
        "Please use AWS4-HMAC-SHA256.",
    )


def _with_moved(headers: Headers, moved: Pairs) -> Headers:
    for name, _ in moved:
        if name in headers:
            raise S3Error(INVALID_REQUEST, f"{name} came in the query and as a header.")
    return Headers((*headers.pairs, *moved))


# Copy and rename sources


def _source(headers: Headers, name: str) -> ObjectName | None:
    value = headers.get(name)
    return None if value is None else copy_source(value, name)


def _source_in(bucket: str, headers: Headers) -> ObjectName | None:
    """The source of a rename, which is a key of the same bucket (CPY-12)."""
    source = _source(headers, "x-amz-rename-source")
    if source is not None and (source.bucket != bucket or source.version is not None):
        raise bad_source("x-amz-rename-source")
    return source


# DeleteObjects


def with_keys(request: S3Request, document: bytes) -> S3Request:
    """
    The request with the entries of its <Delete> body. Raises S3Error (MalformedXML) (DEL-1, DEL-2).

    Entries whose key nobody may use are set aside in `refused`, so that one bad name neither
    shields the rest from deletion nor is deleted by another reading (DEL-10).
    """
    try:
        root = xml.parse(document, limit=DELETE_BODY_MAX)
        quiet = root.one("Quiet")
        entries = [_entry(element) for element in root.all("Object")]
    except xml.XMLError as error:
        raise S3Error(MALFORMED_XML) from error
    if root.name != "Delete" or not 1 <= len(entries) <= DELETE_KEYS_MAX:
        raise S3Error(MALFORMED_XML)
    refusals = [(entry, key_refusal(entry.key)) for entry in entries]
    return replace(
        request,
        body_keys=tuple(entry for entry, refusal in refusals if refusal is None),
        refused=tuple((entry, refusal) for entry, refusal in refusals if refusal is not None),
        quiet=(quiet or "").strip().lower() == "true",
    )


def _entry(element: xml.Element) -> DeleteEntry:
    key = element.one("Key")
    if not key:
        raise xml.XMLError("an entry without a key")
    return DeleteEntry(
        key=key,
        version=element.one("VersionId") or None,
        etag=element.one("ETag"),
        last_modified=element.one("LastModifiedTime"),
        size=element.one("Size"),
    )
