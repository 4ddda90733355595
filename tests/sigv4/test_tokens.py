"""Client tokens: what each says about the body."""

from __future__ import annotations

import pytest

from gateway.s3.errors import S3Error
from gateway.sigv4.sign import EMPTY_HASH, UNSIGNED
from gateway.sigv4.tokens import (
    ECDSA,
    SIGNED_CHUNKS,
    SIGNED_TRAILER,
    TOKENS,
    UNSIGNED_TRAILER,
    read_token,
)


@pytest.mark.parametrize(
    ("text", "hashed", "framed", "signed", "trailer"),
    [
        (EMPTY_HASH, True, False, False, False),
        ("ab" * 32, True, False, False, False),
        ("AB" * 32, True, False, False, False),
        (UNSIGNED, False, False, False, False),
        (UNSIGNED_TRAILER, False, True, False, True),
        (SIGNED_CHUNKS, False, True, True, False),
        (SIGNED_TRAILER, False, True, True, True),
    ],
)
def test_chk_1_the_token_says_how_a_body_is_framed(text, hashed, framed, signed, trailer):
    """The table of tokens, row by row."""
    token = read_token(text)

    assert token.text == text
    assert (token.hashed, token.framed) == (hashed, framed)
    assert (token.signed, token.trailer) == (signed, trailer)


@pytest.mark.parametrize("text", [ECDSA, ECDSA + "-TRAILER"])
def test_chk_1_elliptic_curves_are_not_implemented(text):
    """Named, with what to use instead."""
    with pytest.raises(S3Error, match="STREAMING-AWS4-HMAC-SHA256-PAYLOAD") as caught:
        read_token(text)

    assert caught.value.status == 501


@pytest.mark.parametrize("text", ["", "x", "STREAMING", "ab" * 33, "١" * 64, UNSIGNED.lower()])
def test_chk_1_anything_else_is_invalid(text):
    """And is shown back to the client."""
    with pytest.raises(S3Error) as caught:
        read_token(text)

    assert (caught.value.status, caught.value.code) == (400, "InvalidArgument")
    assert caught.value.detail["ArgumentName"] == "x-amz-content-sha256"
    assert len(TOKENS) == 5
