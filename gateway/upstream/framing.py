"""
HTTP/1.1 framing as we write it, and as we believe it.

A request head is made of values that were signed, so nothing is quoted, folded or dropped here:
what cannot stand in a head raises before a byte is sent. An answer's body is delimited in
exactly one way, or the answer is refused: whoever may choose between two ends may hide one
answer inside another.

Source: RFC 9112 sections 6.1 to 6.3.
"""

from __future__ import annotations

import re
from enum import Enum

from gateway.errors import UpstreamProtocolError
from gateway.message import Body, Headers
from gateway.upstream import Outbound

BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
"""Methods for which no body means no Content-Length either: RFC 9110 section 8.6."""
OURS = frozenset(
    {"content-length", "transfer-encoding", "connection", "expect", "trailer", "te", "upgrade"}
)
"""Fields that only this module writes, or nobody does."""

LINE_MAX = 32 * 1024  # bytes of one field: presigned URLs and session tokens fit with room
HEAD_MAX = 64 * 1024  # bytes of a whole head
FIELDS_MAX = 256  # S3 sends some 30, and 2 KiB of user metadata
INTERIM_MAX = 8  # 1xx answers before the real one; more is somebody keeping us busy

_BREAK = "\r\n"
_ASKED = re.compile(r"[A-Z]+ [!-~]+")  # a method and a target


class Framing(Enum):
    """What ends an answer's body."""

    NOTHING = "nothing"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


def request_head(head: Outbound, body: Body) -> bytes:
    """The bytes before the body. Raises ValueError for what no head can hold."""
    headers = head.headers
    asked = f"{head.method} {head.target}"
    if not _ASKED.fullmatch(asked):
        raise ValueError("request line holds characters that cannot stand there")
    if not OURS.isdisjoint(headers.names()):
        raise ValueError(f"{OURS.intersection(headers.names())} is written by the transport")
    text = "\r\n".join(map(": ".join, headers.pairs))
    # Every CR and LF must be one of ours: a value with its own would begin a header, or a request.
    breaks = max(len(headers.pairs) - 1, 0)
    if not text.count("\r") == text.count("\n") == breaks or "\0" in text:
        raise ValueError("a header value holds a line break or NUL")
    length = body.length
    if length is None:
        text += "\r\ntransfer-encoding: chunked"
    elif length or head.method not in BODILESS:
        text += f"\r\ncontent-length: {length}"
    return f"{asked} HTTP/1.1\r\n{text.removeprefix(_BREAK)}\r\n\r\n".encode()


def answer_framing(method: str, status: int, version: str, headers: Headers) -> Framing:
    """How the body of the answer to `method` ends. Raises UpstreamProtocolError."""
    if version not in ("1.1", "1.0"):
        raise UpstreamProtocolError(f"answer speaks HTTP/{version}")
    if not 200 <= status <= 599:
        raise UpstreamProtocolError(f"answer has the status {status}")
    codings = "transfer-encoding" in headers
    length = headers.get("content-length")
    if codings and (
        length is not None
        or version == "1.0"
        or [coding.lower() for coding in headers.all("transfer-encoding")] != ["chunked"]
    ):
        raise UpstreamProtocolError("answer has a transfer coding that is not plain chunked")
    if length is not None and (
        not (length.isascii() and length.isdigit())
        or (headers.doubled and len(headers.all("content-length")) > 1)
    ):
        raise UpstreamProtocolError("answer has no single Content-Length")
    if method == "HEAD" or status in (204, 304):
        return Framing.NOTHING
    if codings:
        return Framing.CHUNKED
    return Framing.LENGTH if length is not None else Framing.CLOSE


def stays_open(version: str, headers: Headers) -> bool:
    """Whether the upstream offers the connection for another request. HTTP/1.0 never does here."""
    if version != "1.1":
        return False
    said = headers.get("connection")
    if said is None or (said == "keep-alive" and not headers.doubled):
        return True
    return not any(
        token.strip().lower() == "close"
        for value in headers.all("connection")
        for token in value.split(",")
    )


def offered_seconds(headers: Headers) -> int | None:
    """How long the upstream says it keeps an idle connection; None where it does not say."""
    offered = headers.get("keep-alive")
    found = None if offered is None else _KEEP.search(offered)
    return int(found[1]) if found else None


_KEEP = re.compile(r"(?:^|[,\s])timeout=(\d{1,6})")
