"""
ListBuckets, written here: the names that are somebody's, as XML or JSON, page by page.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
"""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Sequence

from gateway.message import Answer, Headers, ResponseHead
from gateway.s3 import xml
from gateway.s3.errors import INVALID_ARGUMENT, S3Error
from gateway.s3.heads import rewritten
from gateway.s3.request import S3Request

PAGE_MAX = 10_000  # buckets of a page: S3's own limit

NO_DATE = "1970-01-01T00:00:00.000Z"
"""When a bucket was made, where no upstream was asked: clients cannot do without a date."""

_OWNER = "gateway"


def list_buckets(
    buckets: Sequence[tuple[str, str]], request: S3Request, *, as_json: bool = False
) -> Answer:
    """
    The answer to ListBuckets, from names with their creation dates ("" where it is not known), sorted.

    Raises S3Error (InvalidArgument) on a bad `max-buckets` or `continuation-token`.
    """
    prefix = request.param("prefix")
    page, token = _page(
        [pair for pair in buckets if pair[0].startswith(prefix or "")],
        _most(request.param("max-buckets")),
        _after(request.param("continuation-token")),
    )
    write = _json if as_json else _xml
    answer = Answer(head=ResponseHead(status=200, headers=Headers()))
    kind = "application/json" if as_json else "application/xml"
    return rewritten(answer, write(page, prefix, token), kind)


def _page(
    buckets: Sequence[tuple[str, str]], most: int, after: str
) -> tuple[Sequence[tuple[str, str]], str | None]:
    begin = bisect_right(buckets, after, key=lambda pair: pair[0]) if after else 0
    page = buckets[begin : begin + most]
    more = begin + most < len(buckets)
    token = base64.urlsafe_b64encode(page[-1][0].encode()).decode() if more else None
    return page, token


def _most(value: str | None) -> int:
    most = PAGE_MAX if value is None else int(value)
    if not 1 <= most <= PAGE_MAX:
        raise S3Error(
            INVALID_ARGUMENT, f"max-buckets is 1 to {PAGE_MAX}.", argument_name="max-buckets"
        )
    return most


def _after(token: str | None) -> str:
    """The name after which a page begins; a forged one shows nothing that is not granted."""
    if not token:
        return ""
    try:
        return base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error) as error:
        raise S3Error(
            INVALID_ARGUMENT,
            "The continuation token is not one of ours.",
            argument_name="continuation-token",
        ) from error


def _xml(page: Sequence[tuple[str, str]], prefix: str | None, token: str | None) -> bytes:
    rows = "".join(
        f"<Bucket><Name>{xml.escape(name)}</Name>"
        f"<CreationDate>{xml.escape(created or NO_DATE)}</CreationDate></Bucket>"
        for name, created in page
    )
    more = "" if token is None else f"<ContinuationToken>{token}</ContinuationToken>"
    asked = "" if prefix is None else f"<Prefix>{xml.escape(prefix)}</Prefix>"
    return (
        f'{xml.DECLARATION}<ListAllMyBucketsResult xmlns="{xml.NAMESPACE}">'
        f"<Owner><ID>{_OWNER}</ID><DisplayName>{_OWNER}</DisplayName></Owner>"
        f"<Buckets>{rows}</Buckets>{more}{asked}</ListAllMyBucketsResult>"
    ).encode()


def _json(page: Sequence[tuple[str, str]], prefix: str | None, token: str | None) -> bytes:
    made: dict[str, object] = {
        "Buckets": [{"Name": name, "CreationDate": created or NO_DATE} for name, created in page],
        "Owner": {"ID": _OWNER, "DisplayName": _OWNER},
    }
    if token is not None:
        made["ContinuationToken"] = token
    if prefix is not None:
        made["Prefix"] = prefix
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()
