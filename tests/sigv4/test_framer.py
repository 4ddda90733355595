"""Frames of our own making: exactly as long as announced, and open again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sigv4.checksums import Sums
from gateway.sigv4.chunks import Chain, Opener, Piece
from gateway.sigv4.framer import JOIN_MAX, OWN_CHUNK, Framer, drained, framed_length
from gateway.sigv4.sign import SigningKey
from gateway.sigv4.tokens import read_token
from tests.sigv4.framing import OUR_KEY, OUR_SEED, SCOPE, SIGNED_CHUNKS, WHEN


def ours() -> Chain:
    return Chain(SigningKey(OUR_KEY), WHEN, SCOPE, OUR_SEED)


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 3 * OWN_CHUNK // 2), max_size=4))
def test_chk_19_frames_of_our_own_open_again(sizes):
    """64 KiB a chunk whatever came in, exactly as long as was announced (CHK-18)."""
    pieces = [bytes([index]) * size for index, size in enumerate(sizes)]
    framer = Framer(ours())
    wire = b"".join(part for piece in pieces for part in framer.feed(piece))
    wire += b"".join(framer.finish())
    data = b"".join(pieces)

    assert len(wire) == framed_length(len(data))
    opener = Opener(read_token(SIGNED_CHUNKS), len(data), (), ours(), Sums())
    opener.feed(wire)
    opener.finish()
    assert b"".join(opener.out) == data


@pytest.mark.parametrize("size", [0, 1, 15, 16, OWN_CHUNK - 1, OWN_CHUNK, OWN_CHUNK + 1, 10**6])
def test_chk_18_the_length_of_frames_is_known_before(size):
    """Against the framing itself."""
    framer = Framer(ours())
    wire = b"".join([*framer.feed(bytes(size)), *framer.finish()])

    assert framed_length(size) == len(wire)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, JOIN_MAX + 10), max_size=5))
def test_chk_7_what_has_gathered_is_given_in_pieces_worth_a_write(sizes):
    """All of it, in order, none longer than a megabyte that was not so before."""
    out: list[Piece] = [bytes([index]) * size for index, size in enumerate(sizes)]
    whole = b"".join(out)
    pieces = drained(out)

    assert b"".join(pieces) == whole
    assert out == []
    assert all(0 < len(piece) <= max(JOIN_MAX, *sizes) for piece in pieces)
