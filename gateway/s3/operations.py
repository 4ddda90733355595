"""
From a request to its operation, and from that to what policy is asked.

A request fits exactly one row of `table` or none; what fits none, or asks for what its row does
not know, is refused with 501 (OPS-1). Headers and parameters ask for more than an operation's
name says, and all of it must be granted (OPS-7): the powers.

Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from gateway.records import Record
from gateway.s3 import headers
from gateway.s3.errors import (
    INVALID_ARGUMENT,
    INVALID_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_IMPLEMENTED,
    S3Error,
)
from gateway.s3.objects import ObjectName
from gateway.s3.request import S3Request
from gateway.s3.table import (
    ALIASES,
    OPERATIONS,
    Body,
    Level,
    Need,
    On,
    Operation,
    named,
)

__all__ = [
    "ACTIONS",
    "ALIASES",
    "OPERATIONS",
    "VERBS",
    "Body",
    "Level",
    "Need",
    "On",
    "Operation",
    "Requirement",
    "named",
    "requirements",
    "resolve",
]


@final
class Requirement(Record, frozen=True):
    """An action on something that a request names: what policy is asked."""

    action: str
    name: ObjectName
    """Bucket and key; for a list, bucket and prefix; for ListBuckets, nothing."""
    on: On
    entry: int | None = None
    """Where `on` is EACH_KEY: the index in the request's `body_keys`."""


# Which operation

_Index = dict[tuple[str, str], dict[frozenset[str], tuple[Operation, ...]]]


def _index() -> _Index:
    """Rows by method and level, then by the names that must be in the query; most headers first."""
    index: _Index = {}
    for row in OPERATIONS.values():
        rows = index.setdefault((row.method, row.level), {})
        fitting = (*rows.get(row.query, ()), row)
        rows[row.query] = tuple(sorted(fitting, key=lambda row: -len(row.headers)))
    return index


_INDEX = _index()
_PLAIN = {place: rows.get(frozenset(), ()) for place, rows in _INDEX.items()}
_SELECTORS = {place: frozenset[str]().union(*rows) for place, rows in _INDEX.items()}

_NUMBERS = frozenset(
    {
        "max-buckets",
        "max-keys",
        "max-parts",
        "max-uploads",
        "max-annotation-results",
        "part-number-marker",
        "partNumber",
    }
)
_NUMBER_DIGITS = 10  # a 32-bit number has no more
_NEEDS_VALUE = frozenset({"versionId", "uploadId", "annotationName", "id"})

_KNOWN_HEADERS = frozenset[str]().union(
    headers.OUT, headers.OURS, *(row.known_headers for row in OPERATIONS.values())
)
_SNOWBALL = ("x-amz-meta-snowball-auto-extract", "x-amz-meta-minio-snowball-")


def resolve(request: S3Request) -> Operation:
    """
    The one operation that the request is.

    Raises S3Error: NotImplemented where none fits or it is never served, MethodNotAllowed where
    there is nothing but the method to fit, InvalidArgument, InvalidRequest.
    """
    level = Level.OBJECT if request.key else Level.BUCKET if request.bucket else Level.SERVICE
    operation = _fitting(request, level)
    if request.params:
        _check_params(operation, request)
    if request.says is not None and named(request.says) is not operation:
        raise S3Error(INVALID_ARGUMENT, "x-id names another operation.", argument_name="x-id")
    for name in request.amz:
        if name not in operation.known_headers:
            _check_unknown(name)
    if operation.never:  # OPS-8
        raise S3Error(NOT_IMPLEMENTED, f"The gateway never passes {operation.name} on.")
    return operation


def _fitting(request: S3Request, level: Level) -> Operation:
    place = (request.method, level)
    if request.params:
        selectors = _SELECTORS.get(place, frozenset())
        chosen = frozenset([name for name, _ in request.params if name in selectors])
        candidates = _INDEX.get(place, {}).get(chosen, ())
    else:
        candidates = _PLAIN.get(place, ())
    for candidate in candidates:
        if not candidate.headers or all(name in request.headers for name in candidate.headers):
            return candidate
    if not request.params:
        raise S3Error(METHOD_NOT_ALLOWED, method=request.method)
    raise S3Error(NOT_IMPLEMENTED, "No S3 operation has this method and these parameters.")


def _check_params(operation: Operation, request: S3Request) -> None:
    """Each parameter is known (OPS-3), flags are bare (OPS-4), fixed values and numbers are such."""
    for name, value in request.params:
        if name not in operation.known_params:
            raise S3Error(NOT_IMPLEMENTED, f"{operation.name} has no such parameter.")
        if name in operation.flags:
            wrong = value != ""
        elif name in operation.fixed:
            wrong = value != operation.fixed[name]
        elif name in _NUMBERS:
            wrong = not (value.isascii() and value.isdigit() and len(value) <= _NUMBER_DIGITS)
        else:
            wrong = not value and name in _NEEDS_VALUE
        if wrong:
            raise S3Error(
                INVALID_ARGUMENT, _wrong(name, value), argument_name=name, argument_value=value
            )


def _wrong(name: str, value: str) -> str:
    """What is wrong with a parameter, in S3's sentence where it has one."""
    if name == "partNumber":
        return "Part number must be an integer between 1 and 10000, inclusive."
    if name in _NUMBERS:
        if value[:1] == "-" and value[1:].isdigit():
            return f"Argument {name} must be an integer between 0 and 2147483647"
        return f"Provided {name} not an integer or within integer range"
    if name == "versionId":
        return "Version id cannot be the empty string"
    return f"The parameter {name} has a value it cannot have."


def _check_unknown(name: str) -> None:
    """An x-amz-* header that the operation does not have: dropped later, if it may be."""
    if name.startswith(("x-amz-copy-source", "x-amz-rename-source")):  # OPS-6
        raise S3Error(INVALID_REQUEST, f"{name} does not belong to this operation.")
    if name.startswith(_SNOWBALL):  # OPS-9
        raise S3Error(NOT_IMPLEMENTED, "Archives are not unpacked.", header=name)
    if name not in _KNOWN_HEADERS and name.startswith(headers.FAMILIES):  # FWD-4
        raise S3Error(NOT_IMPLEMENTED, f"The header {name} is not implemented.", header=name)


# What it needs

VERSIONED: Mapping[str, str] = MappingProxyType(
    {
        "s3:GetObject": "s3:GetObjectVersion",
        "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
        "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
        "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
        "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
        "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
        "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
        "s3:GetObjectAnnotation": "s3:GetObjectVersionAnnotation",
        "s3:ListObjectAnnotations": "s3:ListObjectVersionAnnotations",
        "s3:PutObjectAnnotation": "s3:PutObjectVersionAnnotation",
        "s3:DeleteObjectAnnotation": "s3:DeleteObjectVersionAnnotation",
        "s3:DeleteObject": "s3:DeleteObjectVersion",
    }
)
"""What an action becomes where a version is named, `null` too (PTH-11)."""


@final
@dataclass(frozen=True, slots=True)
class _Power:
    """What a request header asks for besides."""

    on_object: str
    on_bucket: str
    unless: frozenset[str] = frozenset()
    """Values, in lower case, that ask for nothing."""


_ACL = _Power("s3:PutObjectAcl", "s3:PutBucketAcl")
_RETENTION = _Power("s3:PutObjectRetention", "s3:PutObjectRetention")
_OFF = frozenset({"false"})

POWERS: Mapping[str, _Power] = MappingProxyType(
    {
        # rclone 1.60 sends `private` with every write
        "x-amz-acl": _Power("s3:PutObjectAcl", "s3:PutBucketAcl", frozenset({"private"})),
        "x-amz-grant-full-control": _ACL,
        "x-amz-grant-read": _ACL,
        "x-amz-grant-read-acp": _ACL,
        "x-amz-grant-write": _ACL,
        "x-amz-grant-write-acp": _ACL,
        "x-amz-tagging": _Power("s3:PutObjectTagging", "s3:PutBucketTagging"),
        "x-amz-object-lock-mode": _RETENTION,
        "x-amz-object-lock-retain-until-date": _RETENTION,
        "x-amz-object-lock-event-hold": _RETENTION,
        "x-amz-object-lock-event-hold-duration-days": _RETENTION,
        "x-amz-object-lock-event-hold-duration-years": _RETENTION,
        "x-amz-object-lock-legal-hold": _Power("s3:PutObjectLegalHold", "s3:PutObjectLegalHold"),
        "x-amz-bucket-object-lock-enabled": _Power(
            "s3:PutBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration", _OFF
        ),
        "x-amz-object-ownership": _Power(
            "s3:PutBucketOwnershipControls", "s3:PutBucketOwnershipControls"
        ),
        "x-amz-bypass-governance-retention": _Power(
            "s3:BypassGovernanceRetention", "s3:BypassGovernanceRetention", _OFF
        ),
    }
)


_TARGET_ALONE = {
    row.name: row.needs[0].action
    for row in OPERATIONS.values()
    if len(row.needs) == 1 and row.needs[0].on is On.TARGET
}
"""What most requests are: one action on the object they name."""


def requirements(operation: Operation, request: S3Request) -> tuple[Requirement, ...]:
    """Everything that must be granted for the request to be served (OPS-7)."""
    version = request.param("versionId") if request.params else None
    target = ObjectName(request.bucket, request.key, version)
    if version is None and not request.amz:
        alone = _TARGET_ALONE.get(operation.name)
        if alone is not None:
            return (Requirement(alone, target, On.TARGET),)
    found: list[Requirement] = []
    for need in operation.needs:
        if need.on is On.EACH_KEY:
            found.extend(_each_key(need.action, request))
        else:
            name = _name(need.on, request, target)
            action = need.action
            if name.version is not None:
                action = VERSIONED.get(action, action)
            found.append(Requirement(action, name, need.on))
    if request.amz:
        found.extend(_asked_by_headers(operation, request, target))
    return tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)


def _name(on: On, request: S3Request, target: ObjectName) -> ObjectName:
    if on is On.TARGET:
        return target
    if on is On.LISTED:
        return ObjectName(request.bucket, request.param("prefix") or "")
    source = request.copy_source if on is On.COPY_SOURCE else request.rename_source
    if on in (On.COPY_SOURCE, On.RENAME_SOURCE):
        assert source is not None  # the row requires the header that names it
        return source
    return ObjectName(request.bucket)


def _each_key(action: str, request: S3Request) -> list[Requirement]:
    """One for each entry, judged by key and version (DEL-3)."""
    return [
        Requirement(
            VERSIONED.get(action, action) if entry.version is not None else action,
            ObjectName(request.bucket, entry.key, entry.version),
            On.EACH_KEY,
            index,
        )
        for index, entry in enumerate(request.body_keys)
    ]


def _asked_by_headers(
    operation: Operation, request: S3Request, target: ObjectName
) -> list[Requirement]:
    """What headers ask for besides: powers, and the tags and annotations that a copy takes along."""
    asked: list[Requirement] = []
    for name in request.amz:
        power = POWERS.get(name)
        if power is None or name not in operation.known_headers:
            continue
        if request.headers[name].strip().lower() in power.unless:
            continue
        of_object = operation.level is Level.OBJECT
        action = power.on_object if of_object or operation.keys_in_body else power.on_bucket
        if target.version is not None:
            action = VERSIONED.get(action, action)
        if operation.keys_in_body:
            asked.extend(_each_key(action, request))
        else:
            asked.append(Requirement(action, target, On.TARGET if of_object else On.BUCKET))
    if operation.name == "CopyObject":
        asked.extend(_copied_along(request, target))
    return asked


def _copied_along(request: S3Request, target: ObjectName) -> list[Requirement]:
    """Tags are copied unless replaced (CPY-5); annotations are judged where a copy asks for them."""
    source = request.copy_source
    assert source is not None  # the row requires the header that names it
    along: list[Requirement] = []

    def read(action: str) -> None:
        action = action if source.version is None else VERSIONED[action]
        along.append(Requirement(action, source, On.COPY_SOURCE))

    # Spelt otherwise, some storage takes a directive for the default, which copies.
    if request.headers.get("x-amz-tagging-directive") != "REPLACE":
        read("s3:GetObjectTagging")
    directive = request.headers.get("x-amz-object-annotation-directive")
    if directive is not None and directive != "EXCLUDE":
        read("s3:GetObjectAnnotation")
        along.append(Requirement("s3:PutObjectAnnotation", target, On.TARGET))
    return along


# Verbs and actions of the policy language

VERBS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "list": frozenset(
            {
                "s3:ListAllMyBuckets",
                "s3:ListBucket",
                "s3:ListBucketMultipartUploads",
                "s3:GetBucketLocation",
            }
        ),
        "read": frozenset(
            {
                "s3:GetObject",
                "s3:GetObjectAttributes",
                "s3:GetObjectTagging",
                "s3:GetObjectAnnotation",
                "s3:ListObjectAnnotations",
            }
        ),
        "write": frozenset(
            {
                "s3:PutObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
                "s3:PutObjectTagging",
                "s3:DeleteObjectTagging",
                "s3:PutObjectAnnotation",
                "s3:DeleteObjectAnnotation",
            }
        ),
        "delete": frozenset({"s3:DeleteObject"}),
        "versions": frozenset(
            {
                "s3:GetBucketVersioning",
                "s3:ListBucketVersions",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionAttributes",
                "s3:GetObjectVersionTagging",
                "s3:PutObjectVersionTagging",
                "s3:DeleteObjectVersionTagging",
                "s3:GetObjectVersionAnnotation",
                "s3:ListObjectVersionAnnotations",
                "s3:PutObjectVersionAnnotation",
                "s3:DeleteObjectVersionAnnotation",
                "s3:DeleteObjectVersion",
            }
        ),
    }
)
"""Powers beyond objects (ACLs, policies, lock, replication, whole buckets) are in no verb (S3-6)."""


def _actions() -> frozenset[str]:
    needed = {need.action for row in OPERATIONS.values() if not row.never for need in row.needs}
    powers = {power.on_object for power in POWERS.values()}
    powers |= {power.on_bucket for power in POWERS.values()}
    return frozenset(needed | powers | {VERSIONED[name] for name in needed & VERSIONED.keys()})


ACTIONS: frozenset[str] = _actions()
"""Every IAM action that a request may need: what a policy may name."""
