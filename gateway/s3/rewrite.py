"""
A client's request in the upstream's names: target, query, and the headers that cross.

Built from values, never edited from the client's spelling (FWD-1, PTH-2). The way back is
`answers`, whose entry points are named here as well, so that both directions are had from one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import final

from gateway.message import Headers, Pairs, by_names
from gateway.records import Record
from gateway.s3 import headers
from gateway.s3.answers import RenewCredentials, UpstreamRefusal, inbound, upstream_request_id
from gateway.s3.errors import INVALID_ARGUMENT, INVALID_RANGE, NOT_IMPLEMENTED, S3Error
from gateway.s3.listing import page_size
from gateway.s3.mapping import Upstream, View
from gateway.s3.names import encode, encode_path, encode_query
from gateway.s3.objects import ObjectName
from gateway.s3.request import S3Request
from gateway.s3.table import Body, Level, Operation

__all__ = [
    "HeaderEdits",
    "Outgoing",
    "RenewCredentials",
    "Upstream",
    "UpstreamRefusal",
    "View",
    "inbound",
    "outbound",
    "upstream_request_id",
]

_PAGE_SIZES = frozenset({"max-keys", "max-uploads", "max-parts", "max-annotation-results"})
_MARKERS = frozenset({"marker", "start-after", "key-marker"})
_WITHIN_KEY = ("version-id-marker", "upload-id-marker")
_COPY_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")


@final
class HeaderEdits(Record, frozen=True):
    """What a changed body asks of the head: headers set anew, headers left out."""

    set: Pairs = ()
    drop: frozenset[str] = frozenset()


@final
class Outgoing(Record, frozen=True):
    """A request in the upstream's names, ready to be signed."""

    method: str
    path: str
    """Encoded."""
    query: str
    """Encoded and in canonical order; empty where there is none."""
    host: str
    headers: Headers
    """Those that cross; not host, date, token or framing."""

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


def outbound(
    request: S3Request,
    operation: Operation,
    upstream: Upstream,
    edits: HeaderEdits | None = None,
    source: Upstream | None = None,
) -> Outgoing:
    """
    The request as the upstream is to see it.

    `source` maps the name in x-amz-copy-source or x-amz-rename-source, whose grant may lead
    elsewhere in the same upstream; it is needed where there is such a name.
    Raises S3Error: NotImplemented for what the mapping does not carry (OPS-10, OPS-11),
    KeyTooLongError, InvalidRange, InvalidArgument.
    """
    _carried(request, operation, upstream)
    return Outgoing(
        method=request.method,
        path=_path(request, upstream),
        query=_query(request, operation, upstream) if request.params or operation.lists else "",
        host=upstream.request_host,
        headers=_headers(request, operation, upstream, edits, source),
    )


def _carried(request: S3Request, operation: Operation, upstream: Upstream) -> None:
    if upstream.prefix and not operation.prefixed:  # OPS-10: it acts on the whole real bucket
        raise S3Error(NOT_IMPLEMENTED, f"{operation.name} does not work on a part of a bucket.")
    if operation.names_buckets and not upstream.identity(request.bucket):  # OPS-11
        raise S3Error(
            NOT_IMPLEMENTED, f"{operation.name} names buckets, which are called otherwise here."
        )


def _path(request: S3Request, upstream: Upstream) -> str:
    if not request.key:
        return upstream.bucket_path
    upstream.key(request.key)
    return upstream.object_path + encode_path(request.key)


def _query(request: S3Request, operation: Operation, upstream: Upstream) -> str:
    if operation.lists:
        return encode_query(_list_params(request, upstream))
    return encode_query((name, _page_size(name, value)) for name, value in request.params)


def _list_params(request: S3Request, upstream: Upstream) -> Iterable[tuple[str, str]]:
    """A list is confined by the prefix that is always sent (LST-1), and asked for in URL encoding (LST-4)."""
    yield "prefix", upstream.key(request.param("prefix") or "")
    yield "encoding-type", "url"
    for name, value in request.params:
        if name == "encoding-type":
            if value != "url":
                raise S3Error(INVALID_ARGUMENT, "encoding-type is url.", argument_name=name)
        elif name in _MARKERS:
            # LST-2: an empty one stays empty, unless it is where a page ended: at the folder marker.
            begins = not value and not any(request.param(other) for other in _WITHIN_KEY)
            yield name, "" if begins else upstream.prefix + value
        elif name != "prefix":
            yield name, _page_size(name, value)


def _page_size(name: str, value: str) -> str:
    return page_size(value) if name in _PAGE_SIZES else value


# Headers


def _headers(
    request: S3Request,
    operation: Operation,
    upstream: Upstream,
    edits: HeaderEdits | None,
    source: Upstream | None,
) -> Headers:
    """Those of the table, joined where they repeat; sources mapped; the gateway's own added."""
    received = request.headers
    crossing = _crossing(received, operation.known_headers)
    found = dict(received.those(crossing))
    if received.doubled:
        found = {name: ",".join(received.all(name)) for name in found}
    if operation.body_out is Body.DELETE:  # CHK-21: it is written anew
        for name in headers.OF_REQUEST_BODY:
            found.pop(name, None)
    if "range" in found and "," in found["range"]:  # FWD-8
        raise S3Error(INVALID_RANGE, "One range at a time.", range_requested=found["range"])
    if request.copy_source is not None:
        found["x-amz-copy-source"] = _source(request, request.copy_source, upstream, source)
        _check_copy_range(found)
    if request.rename_source is not None:
        found["x-amz-rename-source"] = _source(request, request.rename_source, upstream, source)
    if upstream.expected_owner is not None or upstream.requester_pays:
        found.update(_ours(request, operation, upstream))
    if edits is not None:
        for name in edits.drop:
            found.pop(name, None)
        found.update(edits.set)
    return Headers(found.items())


@by_names
def _crossing(names: str, known: frozenset[str]) -> frozenset[str]:
    """Those of the names, a line each, that cross with an operation that knows these (FWD-3)."""
    found = names.split("\n")
    crossing = {name for name in found if name in headers.OUT or name in known}
    if "x-amz-meta-*" in known:
        crossing.update(name for name in found if name[:11] == "x-amz-meta-")
    return frozenset(crossing)


def _source(
    request: S3Request, name: ObjectName, upstream: Upstream, source: Upstream | None
) -> str:
    """`/bucket/key?versionId=v` in the upstream's names and our spelling (CPY-7)."""
    if source is None:
        if name.bucket != request.bucket:
            raise ValueError("the source's bucket needs its own mapping")
        source = upstream
    path = f"/{source.bucket}/{encode_path(source.key(name.key))}"
    return path if name.version is None else f"{path}?versionId={encode(name.version)}"


def _check_copy_range(found: dict[str, str]) -> None:
    value = found.get("x-amz-copy-source-range")
    if value is None:
        return
    match = _COPY_RANGE.fullmatch(value)
    if match is None or int(match[1]) > int(match[2]):  # CPY-9
        raise S3Error(
            INVALID_ARGUMENT,
            "The range of a copy is bytes=first-last.",
            argument_name="x-amz-copy-source-range",
            argument_value=value,
        )


def _ours(
    request: S3Request, operation: Operation, upstream: Upstream
) -> Iterable[tuple[str, str]]:
    """What only the operator may say: whose the bucket is, and that we pay (S3-7)."""
    if upstream.expected_owner is not None and operation.name != "CreateBucket":
        yield "x-amz-expected-bucket-owner", upstream.expected_owner
        if request.copy_source is not None:
            yield "x-amz-source-expected-bucket-owner", upstream.expected_owner
    if upstream.requester_pays and (
        operation.level is Level.OBJECT or operation.lists or operation.keys_in_body
    ):
        yield "x-amz-request-payer", "requester"
