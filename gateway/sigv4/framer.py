"""
aws-chunked framing put on: signed chunks of our own making (CHK-19).

An unsigned body over plain http can be altered unseen; where the client brought no token, its
bytes go on in chunks that are signed here. How long the frames make a body is known before.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

from __future__ import annotations

import hashlib

from gateway.sigv4.chunks import Chain, Piece, hold
from gateway.sigv4.sign import EMPTY_HASH

OWN_CHUNK = 64 * 1024  # bytes of a chunk of our own making (CHK-12)
JOIN_MAX = 1024 * 1024  # bytes that are copied together, for one write instead of three a chunk


class Framer:
    """Puts frames on: signed chunks of 64 KiB of our own making (CHK-19)."""

    def __init__(self, ours: Chain) -> None:
        self._ours = ours
        self._parts: list[Piece] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Piece]:
        """The chunks that have become full."""
        out: list[Piece] = []
        view = memoryview(data)
        at = 0
        while at < len(view):
            piece = view[at : at + OWN_CHUNK - self._size]
            at += len(piece)
            hold(self._parts, piece)
            self._size += len(piece)
            if self._size == OWN_CHUNK:
                out += self._chunk()
        return out

    def finish(self) -> list[Piece]:
        """The rest, and the last chunk."""
        rest = self._chunk() if self._size else []
        return [*rest, _chunk_line(0, self._ours.chunk(EMPTY_HASH)), b"\r\n"]

    def _chunk(self) -> list[Piece]:
        running = hashlib.sha256()
        for part in self._parts:
            running.update(part)
        line = _chunk_line(self._size, self._ours.chunk(running.hexdigest()))
        chunk = [line, *self._parts, b"\r\n"]
        self._parts, self._size = [], 0
        return chunk


def _chunk_line(size: int, signature: str) -> bytes:
    return f"{size:x};chunk-signature={signature}\r\n".encode()


def framed_length(size: int) -> int:
    """Bytes on the wire of `size` bytes in chunks of our own making (CHK-18)."""
    full, rest = divmod(size, OWN_CHUNK)
    return full * _chunk_length(OWN_CHUNK) + (_chunk_length(rest) if rest else 0) + _chunk_length(0)


def _chunk_length(size: int) -> int:
    return len(f"{size:x};chunk-signature=\r\n\r\n") + 64 + size


def drained(out: list[Piece]) -> list[bytes]:
    """What has gathered, in pieces worth a write each; the list is empty afterwards."""
    pieces: list[bytes] = []
    start = size = 0
    for index, piece in enumerate(out):
        if size + len(piece) > JOIN_MAX and size:
            pieces.append(b"".join(out[start:index]))
            start, size = index, 0
        size += len(piece)
    if size:
        pieces.append(b"".join(out[start:]))
    out.clear()
    return pieces
