"""
A download that goes on where it broke off: `Range` holds only while the object is the one of `If-Range`.

S3 does not know `If-Range`, so a part of another object would be joined to the beginning of the first.
The gateway compares what came with what the client holds, and asks for the whole where they differ.

Source: RFC 9110, section 13.1.5 (and 8.8.3.2: weak entity tags never match here)
"""

from __future__ import annotations

from gateway.message import Headers
from gateway.records import replace
from gateway.s3.request import S3Request


def joins(asked: Headers, answered: Headers) -> bool:
    """May the part that was answered be joined to what the client holds?"""
    validator = asked.get("if-range")
    if validator is None:
        return True
    if validator.startswith('"'):
        return validator == answered.get("etag")
    # A date must be the very one; a weak tag (`W/`) is equal to no date.
    return validator == answered.get("last-modified")


def whole(request: S3Request) -> S3Request:
    """The same request for all of the object."""
    headers = Headers(pair for pair in request.headers if pair[0] != "range")
    return replace(request, headers=headers)
