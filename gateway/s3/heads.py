"""
Heads of answers: which header fields reach the client (FWD-3), and the head of a body written anew.
"""

from __future__ import annotations

from operator import itemgetter

from gateway.message import Answer, BytesBody, Headers, Pairs, ResponseHead, by_names
from gateway.s3 import headers
from gateway.s3.mapping import View

_VALUE = itemgetter(1)


def crossing(received: Headers, view: View) -> Pairs:
    """The response headers that reach the client (FWD-3). Its request id is written with every answer."""
    allowed = _allowed(received, view.upstream.identity(view.request.bucket))
    crossed = received.those(allowed)
    if view.operation.name == "CreateBucket" and "location" in received:
        crossed.append(("location", f"/{view.request.bucket}"))
    values = "".join(map(_VALUE, crossed))
    if not (values.isascii() and values.isprintable()):
        crossed = _writable_only(crossed)
    return tuple(crossed)


@by_names
def _allowed(names: str, called_alike: bool) -> frozenset[str]:
    """
    Those of the names, a line each, that cross.

    `called_alike`: the bucket has one name on both sides, so that no header can give another away.
    """
    none = headers.NOT_BACK if called_alike else headers.NOT_BACK | headers.BACK_UNDER_IDENTITY
    return frozenset(
        name
        for name in names.split("\n")
        if name in headers.BACK or (name[:6] == "x-amz-" and name not in none)
    )


def _writable_only(crossed: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """AIO-14: metadata that cannot be written is counted, not dropped in silence."""
    written = [pair for pair in crossed if _writable(pair[1])]
    missing = sum(name[:11] == "x-amz-meta-" and not _writable(value) for name, value in crossed)
    return _with_missing(written, missing) if missing else written


def _writable(value: str) -> bool:
    """UTF-8 without controls, which would end the header or vanish."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not any((char < " " and char != "\t") or char == "\x7f" for char in value)


def _with_missing(crossed: list[tuple[str, str]], missing: int) -> list[tuple[str, str]]:
    told = [value for name, value in crossed if name == "x-amz-missing-meta"]
    count = missing + sum(int(value) for value in told if value.isascii() and value.isdigit())
    others = [pair for pair in crossed if pair[0] != "x-amz-missing-meta"]
    return [*others, ("x-amz-missing-meta", str(count))]


def rewritten(answer: Answer, data: bytes, content_type: str = "application/xml") -> Answer:
    """The answer with another body."""
    return Answer(
        head=ResponseHead(
            status=answer.status,
            headers=Headers(
                (
                    *about(answer.head.headers.pairs),
                    ("content-type", content_type),
                    ("content-length", str(len(data))),
                )
            ),
        ),
        body=BytesBody(data),
    )


def about(pairs: Pairs) -> Pairs:
    """Header fields without those that describe the body's bytes."""
    return tuple(pair for pair in pairs if pair[0] not in headers.OF_ANSWER_BODY)
