"""
How a body goes upstream: which token is signed for it, and what becomes of the head.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

from typing import Literal

from gateway.message import Headers, Pairs
from gateway.records import Record
from gateway.s3.rewrite import HeaderEdits
from gateway.sigv4.checksums import algorithm_of

Switch = Literal["passthrough", "decode"]

DECODED_LENGTH = "x-amz-decoded-content-length"
TRAILER = "x-amz-trailer"
SDK_ALGORITHM = "x-amz-sdk-checksum-algorithm"

_CEPH_KNOWS = frozenset({"crc32", "crc32c", "crc64nvme", "sha1", "sha256", "sha512"})
"""What Ceph 20 compares; MD5 and the XXHASHes are `400 InvalidArgument` where they are named."""


class Plan(Record, frozen=True, kw_only=True):
    """How a body goes upstream: decided before it is read, so that the head can be signed."""

    hidden = ("data",)

    token: str
    """The value of x-amz-content-sha256 to sign."""
    set: Pairs = ()
    """Header fields to send beside those that cross."""
    drop: frozenset[str] = frozenset()
    """Header fields that do not cross."""
    length: int | None
    """Of the body as it goes out; None where HTTP chunks carry it."""
    how: Literal["untouched", "bytes", "resigned", "checked"] = "untouched"
    framed: bool = False
    """In chunks of our own making."""
    data: bytes = b""


NO_EDITS = HeaderEdits()


def named_algorithm(headers: Headers, announced: tuple[str, ...]) -> Pairs:
    """
    CHK-14: Ceph compares and stores a trailing checksum only where this header names it, and
    refuses an upload for a name that it does not know.
    """
    if SDK_ALGORITHM in headers:
        return ()
    algorithms = [name for name in map(algorithm_of, announced) if name in _CEPH_KNOWS]
    return ((SDK_ALGORITHM, algorithms[0].upper()),) if algorithms else ()


def without_frames(headers: Headers) -> HeaderEdits:
    """The head of an object whose frames were taken off (CHK-15, CHK-20)."""
    drop = {DECODED_LENGTH, TRAILER}
    if not any(algorithm_of(name) for name in headers.names()):
        drop.add(SDK_ALGORITHM)  # it speaks of a checksum that came in the trailer
    encodings = ",".join(headers.all("content-encoding")).split(",")
    # In any case, trimmed, wherever it stands; the rest in order.
    kept = [part.strip() for part in encodings if part.strip().lower() != "aws-chunked"]
    if len(kept) == len(encodings):
        return HeaderEdits((), frozenset(drop))
    drop.add("content-encoding")
    left = ", ".join(kept)
    return HeaderEdits((("content-encoding", left),) if left else (), frozenset(drop))
