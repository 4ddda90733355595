"""Bodies in `aws-chunked` frames as clients write them, chunk by chunk, so that a test can spoil one."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence

from gateway.message import RequestHead
from tests.server.whole_gateway import Whole

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
PIECES = (b"a" * 8192, b"b" * 8192, b"c" * 100)
OBJECT = b"".join(PIECES)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def crc(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def framed(
    whole: Whole,
    *,
    signed: bool = True,
    trailer: str | None = None,
    length: int | None = None,
    pieces: Sequence[bytes] = PIECES,
    encoding: str | None = "aws-chunked",
    method: str = "PUT",
    path: str = "/data/k",
    query: Sequence[tuple[str, str]] = (),
) -> tuple[RequestHead, list[bytes]]:
    """A PUT of the pieces, and its body: one part for each chunk, the last one, the trailer's lines."""
    token = SIGNED if signed else "STREAMING-UNSIGNED-PAYLOAD"
    size = sum(map(len, pieces)) if length is None else length
    headers = [("x-amz-decoded-content-length", str(size))]
    if encoding is not None:
        headers.append(("content-encoding", encoding))
    if trailer is not None:
        token += "-TRAILER"
        headers.append(("x-amz-trailer", "x-amz-checksum-crc32"))
    seed = whole.client().signature(method, path, query, headers, payload=token)
    previous, key = seed.signature, seed.signing_key
    assert key is not None

    def mac(kind: str, *rest: str) -> str:
        text = "\n".join((f"AWS4-HMAC-SHA256-{kind}", seed.amz_date, seed.scope, previous, *rest))
        return key.sign(text)

    parts: list[bytes] = []
    for piece in (*pieces, b""):
        line = f"{len(piece):x}"
        if signed:
            previous = mac("PAYLOAD", sha(b""), sha(piece))
            line += f";chunk-signature={previous}"
        parts.append(line.encode() + b"\r\n" + (piece + b"\r\n" if piece else b""))
    if trailer is not None:
        line = f"x-amz-checksum-crc32:{trailer}"
        parts.append(line.encode() + b"\r\n")
        if signed:
            signature = mac("TRAILER", sha(line.encode() + b"\n"))
            parts.append(f"x-amz-trailer-signature:{signature}\r\n".encode())
    parts.append(b"\r\n")
    target = path + ("?" + "&".join(f"{n}={v}" for n, v in query) if query else "")
    return RequestHead(method=method, target=target, headers=seed.headers), parts
