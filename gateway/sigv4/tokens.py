"""
The client token: what `x-amz-content-sha256` says about the body, and what follows from it.

The token, and only it, says how a body is framed (CHK-1): never `Content-Encoding`, never the
first bytes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

from __future__ import annotations

import re

from gateway.records import Record
from gateway.s3 import errors
from gateway.s3.errors import S3Error
from gateway.sigv4.sign import EMPTY_HASH, UNSIGNED

SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
ECDSA = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"

_HASH = re.compile(r"[0-9a-fA-F]{64}")


class Token(Record, frozen=True, kw_only=True):
    """A client token, taken apart."""

    text: str
    """As received; "" where there was none."""
    hashed: bool = False
    """It is the SHA-256 of the body."""
    framed: bool = False
    """The body is aws-chunked."""
    signed: bool = False
    """Each chunk carries a signature."""
    trailer: bool = False
    """Fields follow the last chunk."""


NONE = Token(text="")

TOKENS = {
    token.text: token
    for token in (
        Token(text=EMPTY_HASH, hashed=True),
        Token(text=UNSIGNED),
        Token(text=UNSIGNED_TRAILER, framed=True, trailer=True),
        Token(text=SIGNED_CHUNKS, framed=True, signed=True),
        Token(text=SIGNED_TRAILER, framed=True, signed=True, trailer=True),
    )
}


def read_token(text: str) -> Token:
    """Raises S3Error: InvalidArgument for what is none, NotImplemented for SigV4A's."""
    token = TOKENS.get(text)
    if token is not None:
        return token
    if _HASH.fullmatch(text):
        return Token(text=text, hashed=True)
    if text in (ECDSA, ECDSA + "-TRAILER"):
        raise S3Error(errors.NOT_IMPLEMENTED, f"{text} is not implemented; use {SIGNED_CHUNKS}.")
    raise S3Error(
        errors.INVALID_ARGUMENT,
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        f"{SIGNED_CHUNKS}, {SIGNED_TRAILER} or a valid sha256 value.",
        argument_name="x-amz-content-sha256",
        argument_value=text,
    )
