"""
Errors of upstreams, told anew: the client's names, a message that is never empty, nothing of ours.

What an upstream says names its bucket, prefix, account and host (FWD-9); so a new error is made
of its code and status, and its text is used only where it holds none of these.
"""

from __future__ import annotations

import re
from typing import final

from gateway.errors import UpstreamProtocolError
from gateway.message import Answer, BodyTooLarge, Pairs
from gateway.s3 import xml
from gateway.s3.errors import ROWS, Row, S3Error
from gateway.s3.mapping import View
from gateway.s3.names import encode, encode_path

ERROR_MAX = 64 * 1024  # bytes read of an error; S3's are below 2 KiB


@final
class UpstreamRefusal(S3Error):
    """An error of the upstream's own, in the client's names: its policy is an authority too."""


@final
class RenewCredentials(Exception):
    """
    The upstream speaks of the gateway's signature, not of the client's request.

    New credentials, and once more where no byte of the body was taken; else it is 503.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the upstream does not accept the gateway's credentials: {code}")
        self.code = code


OURS = frozenset(
    {
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "RequestTimeTooSkewed",
        "AuthorizationHeaderMalformed",
    }
)
"""Codes that speak of our signature: an SDK would renew its token or bend its clock."""

_BY_STATUS = {
    400: "InvalidRequest",
    403: "AccessDenied",
    405: "MethodNotAllowed",
    409: "OperationAborted",
    411: "MissingContentLength",
    412: "PreconditionFailed",
    413: "EntityTooLarge",
    416: "InvalidRange",
    429: "SlowDown",
    500: "InternalError",
    501: "NotImplemented",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}
"""What a status says where nothing else does: HEAD, and answers that are not S3's."""

_SAFE = (
    "VersionId",
    "UploadId",
    "ETag",
    "Region",
    "Condition",
    "RangeRequested",
    "ActualObjectSize",
    "PartNumber",
    "MinSizeAllowed",
    "ProposedSize",
    "ArgumentName",
    "StorageClass",
    "Header",
    "ExpectedDigest",
    "CalculatedDigest",
    "ClientComputedContentSHA256",
    "S3ComputedContentSHA256",
)
"""Elements of an error that name nothing of the upstream's."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._]{0,63}")
_TELLING = re.compile(
    r"arn:|://|(?<![0-9])[0-9]{12}(?![0-9])|\b[A-Z0-9]{16,}\b|\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"
)
"""ARNs, addresses, account numbers, access key ids."""
_WORDS = 3  # letters; shorter parts of a prefix are in every sentence


async def refusal(answer: Answer, headers: Pairs, view: View) -> S3Error:
    """
    The error that a client gets for an answer of 400 and more; reads and closes it.

    `headers` are those of the answer that cross. Raises RenewCredentials.
    """
    element = await _read(answer)
    status = answer.status
    code = (element.one("Code") or "").strip() if element is not None else ""
    if code in OURS:
        raise RenewCredentials(code)
    if element is None or not _CODE.fullmatch(code):
        code, element = _by_status(status, view), None
    return _made(code, status, element, headers, view)


async def _read(answer: Answer) -> xml.Element | None:
    try:
        document = await answer.body.read(ERROR_MAX)
        element = xml.parse(document, limit=ERROR_MAX)
    except (BodyTooLarge, xml.XMLError):
        return None
    finally:
        await answer.body.close()
    return next(element.all("Error"), element)


def _by_status(status: int, view: View) -> str:
    if status == 404:
        return "NoSuchKey" if view.request.key else "NoSuchBucket"
    return _BY_STATUS.get(status, "InvalidRequest" if status < 500 else "InternalError")


def within(element: xml.Element, view: View, *, status: int) -> S3Error:
    """An <Error> that came inside a 200, to be told with another status where there is still time (CPY-11)."""
    code = (element.one("Code") or "").strip()
    if not _CODE.fullmatch(code) or code in OURS:
        code = "InternalError"
    return _made(code, status, element, (), view)


def _made(
    code: str, status: int, element: xml.Element | None, headers: Pairs, view: View
) -> S3Error:
    known = ROWS.get(code)
    told = "" if element is None else (element.one("Message") or "").strip()
    message = told if told and is_safe(told, view) else ""
    if not message:
        message = known.message if known is not None else f"The storage answered {code}."
    row = Row(code, status, message, known.detail if known is not None else ())
    error = UpstreamRefusal(row, message, headers=headers)
    error.detail.update(_detail(element, view))
    return error


def _detail(element: xml.Element | None, view: View) -> dict[str, str]:
    if element is None:
        return {}
    found: dict[str, str] = {}
    for child in element.children:
        if child.name in ("Bucket", "BucketName"):
            found[child.name] = view.request.bucket
        elif child.name == "Key" and view.request.key:
            found["Key"] = view.request.key
        elif child.name in _SAFE and child.text and is_safe(child.text, view):
            found[child.name] = child.text
    return found


def is_safe(text: str, view: View) -> bool:
    """Whether a text of the upstream's holds none of the names that are mapped away (S3-11)."""
    if _TELLING.search(text):
        return False
    folded = text.casefold()
    return not any(name in folded for name in _names(view))


def _names(view: View) -> set[str]:
    """What the upstream calls things and the client does not, in its spellings."""
    upstream = view.upstream
    names = {upstream.host, upstream.authority}
    if upstream.bucket != view.request.bucket:
        names.add(upstream.bucket)
    if upstream.prefix:
        prefix = upstream.prefix[:-1]
        names |= {prefix, encode_path(prefix), encode(prefix)}
        names |= {part for part in prefix.split("/") if len(part) >= _WORDS}
    return {name.casefold() for name in names if name}


def redirected(answer: Answer, view: View) -> UpstreamProtocolError:
    """A redirect is neither followed nor passed on (FWD-11); the log learns the region."""
    region = answer.head.headers.get("x-amz-bucket-region") or "unknown"
    return UpstreamProtocolError(
        f"{view.upstream.name} redirects with {answer.status}; region of the bucket: {region}"
    )
