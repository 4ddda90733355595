"""aws-chunked framing: AWS's worked examples, any cutting, and everything that can be wrong."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.s3.errors import S3Error
from gateway.sigv4.checksums import Sums
from gateway.sigv4.chunks import (
    SIGNED_CHUNK_MAX,
    Chain,
    Frames,
    Opener,
    Resigner,
    trailer_hash,
)
from gateway.sigv4.sign import EMPTY_HASH, SigningKey, signing_key
from gateway.sigv4.tokens import read_token
from tests.sigv4.framing import (
    CLIENT_KEY,
    CLIENT_SEED,
    OUR_KEY,
    OUR_SEED,
    SCOPE,
    SIGNED_CHUNKS,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    WHEN,
    cut,
    framed,
)

CRC = [("x-amz-checksum-crc32", "AAAAAA==")]
bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=4)
places = st.lists(st.integers(0, 4000), max_size=12)


def theirs() -> Chain:
    return Chain(SigningKey(CLIENT_KEY), WHEN, SCOPE, CLIENT_SEED)


def ours() -> Chain:
    return Chain(SigningKey(OUR_KEY), WHEN, SCOPE, OUR_SEED)


def opener(token: str, length: int, announced: tuple[str, ...] = ()) -> Opener:
    chain = None if token == UNSIGNED_TRAILER else theirs()
    return Opener(read_token(token), length, announced, chain, Sums())


def resigner(token: str, length: int, announced: tuple[str, ...] = ()) -> Resigner:
    return Resigner(read_token(token), length, announced, theirs(), ours())


def run(frames: Frames, pieces: list[bytes]) -> bytes:
    for piece in pieces:
        frames.feed(piece)
    frames.finish()
    return b"".join(frames.out)


def code(frames: Frames, pieces: list[bytes]) -> tuple[int, str]:
    with pytest.raises(S3Error) as caught:
        run(frames, pieces)
    return caught.value.status, caught.value.code


BAD_FRAME = (400, "IncompleteBody")  # as S3
SHORT = (400, "IncompleteBody")
BAD_TRAILER = (400, "MalformedTrailerError")
MISMATCH = (403, "SignatureDoesNotMatch")


# --- AWS's worked examples ------------------------------------------------------------------

AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AWS_SCOPE = "20130524/us-east-1/s3/aws4_request"


def aws_chain(seed: str) -> Chain:
    return Chain(
        signing_key(AWS_SECRET, "20130524", "us-east-1", "s3"), "20130524T000000Z", AWS_SCOPE, seed
    )


def test_chk_8_the_worked_example_of_chunks():
    """66 560 bytes of `a` in chunks of 64 KiB, 1 KiB and none, as on AWS's page."""
    chain = aws_chain("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")

    signatures = [chain.chunk(hashlib.sha256(b"a" * size).hexdigest()) for size in (65536, 1024, 0)]

    assert signatures == [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]


def test_chk_9_the_worked_example_of_a_trailer():
    """The same with a crc32c in a signed trailer."""
    chain = aws_chain("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e")

    signatures = [chain.chunk(hashlib.sha256(b"a" * size).hexdigest()) for size in (65536, 1024, 0)]
    trailer = chain.trailer(trailer_hash([("x-amz-checksum-crc32c", "sOO8/Q==")]))

    assert signatures == [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ]
    assert trailer == "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


# --- properties -----------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    chunks=bodies,
    places=places,
    token=st.sampled_from([SIGNED_CHUNKS, SIGNED_TRAILER, UNSIGNED_TRAILER]),
)
def test_chk_6_opening_does_not_depend_on_the_cuts(chunks, places, token):
    """The object comes out, however the stream was cut."""
    trailer = None if token == SIGNED_CHUNKS else CRC
    wire = framed(chunks, signed=token != UNSIGNED_TRAILER, trailer=trailer).wire
    data = b"".join(chunks)
    announced = ("x-amz-checksum-crc32",) if trailer else ()

    assert run(opener(token, len(data), announced), cut(wire, places)) == data


@settings(max_examples=80, deadline=None)
@given(chunks=bodies, places=places, with_trailer=st.booleans())
def test_chk_8_signing_in_place_is_what_we_would_have_framed(chunks, places, with_trailer):
    """Each chunk under our signature, not a byte longer or shorter."""
    token = SIGNED_TRAILER if with_trailer else SIGNED_CHUNKS
    trailer = CRC if with_trailer else None
    announced = ("x-amz-checksum-crc32",) if with_trailer else ()
    wire = framed(chunks, trailer=trailer).wire
    length = len(b"".join(chunks))

    out = run(resigner(token, length, announced), cut(wire, places))

    assert out == framed(chunks, trailer=trailer, key=OUR_KEY, seed=OUR_SEED).wire
    assert len(out) == len(wire)


def test_chk_6_one_byte_at_a_time_and_at_each_offset():
    """The extreme cuts, one after another."""
    wire = framed([b"abc", b"d" * 20], trailer=CRC).wire
    wanted = framed([b"abc", b"d" * 20], trailer=CRC, key=OUR_KEY, seed=OUR_SEED).wire
    cuts = [[place] for place in range(len(wire))] + [list(range(len(wire)))]

    for places in cuts:
        assert (
            run(resigner(SIGNED_TRAILER, 23, ("x-amz-checksum-crc32",)), cut(wire, places))
            == wanted
        )


# --- signatures -----------------------------------------------------------------------------

CHUNKS = [b"first chunk", b"second, longer chunk", b"third"]
LENGTH = len(b"".join(CHUNKS))


def spoil_data(parts: list[bytes]) -> None:
    parts[4] = b"S" + parts[4][1:]


def spoil_signature(parts: list[bytes]) -> None:
    digit = b"0" if parts[3][-3:-2] != b"0" else b"1"
    parts[3] = parts[3][:-3] + digit + b"\r\n"


def swap(parts: list[bytes]) -> None:
    parts[0:3], parts[3:6] = parts[3:6], parts[0:3]


def drop(parts: list[bytes]) -> None:
    del parts[3:6]


def repeat(parts: list[bytes]) -> None:
    parts[3:3] = parts[3:6]


def cut_before_last(parts: list[bytes]) -> None:
    del parts[9:]


def leave_out_last(parts: list[bytes]) -> None:
    del parts[9:10]


def leave_out_end(parts: list[bytes]) -> None:
    del parts[-1]


def add_after(parts: list[bytes]) -> None:
    parts.append(b"\r\n")


SPOILT = [
    (spoil_data, MISMATCH),
    (spoil_signature, MISMATCH),
    (swap, MISMATCH),
    (drop, MISMATCH),
    (repeat, MISMATCH),
    (cut_before_last, SHORT),
    (leave_out_last, BAD_FRAME),
    (leave_out_end, SHORT),
    (add_after, (400, "InvalidRequest")),
]


@pytest.mark.parametrize("make", [opener, resigner])
@pytest.mark.parametrize(("spoil", "wanted"), SPOILT, ids=lambda x: getattr(x, "__name__", None))
def test_chk_11_a_spoilt_stream_never_looks_whole(make, spoil, wanted):
    """Whatever was flipped, swapped, dropped or repeated: no last chunk goes on, at no cut."""
    body = framed(CHUNKS)
    spoil(body.parts)
    for pieces in ([body.wire], cut(body.wire, range(len(body.wire)))):
        frames = make(SIGNED_CHUNKS, LENGTH)
        # A dropped or repeated chunk may be noticed by its length as well.
        assert code(frames, pieces) in (wanted, SHORT)
        given = b"".join(frames.out)
        if make is resigner:
            assert b"\r\n0;chunk-signature=" not in given
        else:
            assert b"".join(CHUNKS).startswith(given)


@pytest.mark.parametrize("make", [opener, resigner])
def test_chk_7_no_byte_leaves_before_its_signature(make):
    """A chunk is held until its last byte and line end have come and agree."""
    wire = framed(CHUNKS).wire
    frames = make(SIGNED_CHUNKS, LENGTH)
    end = wire.index(CHUNKS[0]) + len(CHUNKS[0])

    frames.feed(wire[:end])
    assert not b"".join(frames.out)
    frames.feed(wire[end : end + 2])
    assert CHUNKS[0] in b"".join(frames.out)


def test_chk_7_a_signed_chunk_has_a_size_that_can_be_held():
    """16 MiB is the most; one byte more is refused by its line."""
    for size, allowed in [(SIGNED_CHUNK_MAX, True), (SIGNED_CHUNK_MAX + 1, False)]:
        frames = opener(SIGNED_CHUNKS, 2**40)
        line = f"{size:x};chunk-signature={'0' * 64}\r\n".encode()
        if allowed:
            frames.feed(line)
        else:
            assert code(frames, [line]) == (400, "InvalidRequest")


def test_chk_12_ten_thousand_chunks_of_one_byte():
    """There is no lower bound, and what is held does not grow."""
    wire = framed([b"x"] * 10_000).wire

    assert run(opener(SIGNED_CHUNKS, 10_000), cut(wire, range(0, len(wire), 1000))) == b"x" * 10_000


def test_chk_12_single_bytes_are_held_together():
    """A chunk that comes byte by byte is held in one buffer, not in as many objects."""
    frames = resigner(SIGNED_CHUNKS, 100_000)
    frames.feed(f"{100_000:x};chunk-signature={'0' * 64}\r\n".encode())
    for _ in range(50_000):
        frames.feed(b"x")

    assert len(frames._held) == 1


# --- chunk lines ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"0x5\r\n",
        b"1_0\r\n",
        b" 5\r\n",
        b"5 \r\n",
        b"-1\r\n",
        b"+5\r\n",
        "٣\r\n".encode(),
        b"\r\n",
        b"5;\r\n",
        b"5;x=y\r\n",
        b"5\n",
        b"5\r\r\n",
        b"00000000000000005\r\n",
        b"5;chunk-signature=" + b"0" * 64 + b"\r\n",
        b"5" + b" " * 300,
        b"5;" + b"x" * 10_240 + b"\r\n",
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_chk_5_an_unsigned_chunk_line_is_hex_and_crlf(line, bytewise):
    """By a regular expression and within a length; never by int(), never endless."""
    pieces = cut(line, range(len(line))) if bytewise else [line]

    assert code(opener(UNSIGNED_TRAILER, 5), pieces) == BAD_FRAME


@pytest.mark.parametrize(
    "line",
    [
        b"5\r\n",
        b"5;chunk-signature=" + b"0" * 63 + b"\r\n",
        b"5;chunk-signature=" + b"0" * 65 + b"\r\n",
        b"5;chunk-signature=" + b"A" * 64 + b"\r\n",
        b"5;Chunk-Signature=" + b"0" * 64 + b"\r\n",
        b"5;chunk-signature=" + b"0" * 64 + b";x=y\r\n",
        b"5; chunk-signature=" + b"0" * 64 + b"\r\n",
    ],
)
def test_chk_5_a_signed_chunk_line_has_exactly_its_signature(line):
    """SIG-9 holds for chunks as well."""
    assert code(opener(SIGNED_CHUNKS, 5), [line]) == BAD_FRAME


@pytest.mark.parametrize("end", [b"\n", b"xx", b"\rx", b"\n\r"])
def test_chk_5_data_ends_with_crlf(end):
    """A chunk that is longer than its line says is not silently read on."""
    assert code(opener(UNSIGNED_TRAILER, 10), [b"5\r\nhello" + end + b"0\r\n\r\n"]) == BAD_FRAME


@pytest.mark.parametrize("declared", [LENGTH - 1, LENGTH + 1, 0])
@pytest.mark.parametrize("token", [SIGNED_CHUNKS, UNSIGNED_TRAILER])
def test_chk_4_decoded_bytes_equal_the_length_declared(declared, token):
    """Fewer or more: refused before the last chunk."""
    wire = framed(CHUNKS, signed=token == SIGNED_CHUNKS).wire

    assert code(opener(token, declared), [wire]) == SHORT


def test_chk_4_a_chunk_that_would_be_too_long_is_refused_by_its_line():
    """Its bytes need not be read."""
    frames = opener(UNSIGNED_TRAILER, 10)

    assert code(frames, [b"ffffffffffffffff\r\n"]) == SHORT


# --- trailers -------------------------------------------------------------------------------


def test_chk_10_nothing_announced_nothing_there():
    """An unsigned trailer without fields is fine, and so is an empty object."""
    assert run(opener(UNSIGNED_TRAILER, 5), [b"5\r\nhello\r\n0\r\n\r\n"]) == b"hello"
    assert run(opener(UNSIGNED_TRAILER, 0), [b"0\r\n\r\n"]) == b""


@pytest.mark.parametrize(
    ("announced", "trailer"),
    [
        ((), b"x-amz-checksum-crc32:AAAAAA==\r\n"),
        (("x-amz-checksum-crc32",), b""),
        (("x-amz-checksum-crc32",), b"x-amz-checksum-sha1:AAAAAA==\r\n"),
        (("x-amz-checksum-crc32",), b"x-amz-checksum-crc32:AAAAAA==\r\n" * 2),
        (("a", "b"), b"a:1\r\n"),
        (("a",), b"a:1\r\nb:2\r\n"),
        (("a",), b"a:1\r\nx-amz-trailer-signature:" + b"0" * 64 + b"\r\n"),
        (("a",), b"a 1\r\n"),
        (("a",), b":1\r\n"),
        (("a",), b"a:\x001\r\n"),
        (("a",), b" a:1\r\n"),
        (("a",), b"a:" + b"1" * 2000 + b"\r\nb:" + b"1" * 2000 + b"\r\nc:" + b"1" * 2000),
    ],
)
def test_chk_10_a_trailer_is_exactly_what_was_announced(announced, trailer):
    """Each name once and no other; anything else is malformed."""
    wire = b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n"

    assert code(opener(UNSIGNED_TRAILER, 5, announced), [wire]) == BAD_TRAILER
    assert code(opener(UNSIGNED_TRAILER, 5, announced), cut(wire, range(len(wire)))) == BAD_TRAILER


def test_chk_10_an_endless_trailer_line_is_refused():
    """Without its end in sight."""
    frames = opener(UNSIGNED_TRAILER, 0, ("a",))

    assert code(frames, [b"0\r\n", b"a:" + b"x" * 5000]) == BAD_TRAILER


def test_chk_10_names_are_compared_in_any_case_and_values_trimmed():
    """Clients write them as they like."""
    sums = Sums()
    sums.announce("x-amz-checksum-crc32")
    frames = Opener(read_token(UNSIGNED_TRAILER), 0, ("x-amz-checksum-crc32",), None, sums)
    run(frames, [b"0\r\nX-Amz-Checksum-CRC32: AAAAAA== \r\n\r\n"])

    sums.compare()


def test_chk_11_a_trailer_before_the_last_chunk_is_no_chunk():
    """Order is part of the framing."""
    wire = b"5\r\nhello\r\nx-amz-checksum-crc32:AAAAAA==\r\n0\r\n\r\n"

    assert code(opener(UNSIGNED_TRAILER, 5, ("x-amz-checksum-crc32",)), [wire]) == BAD_FRAME


@pytest.mark.parametrize("make", [opener, resigner])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b":AAAAAA==", b":AAAAAB=="),
        (b"x-amz-checksum-crc32:", b"x-amz-checksum-crc32c:"),
        (b"x-amz-trailer-signature:", b"x-amz-trailer-signature: 0"),
        (b"x-amz-trailer-signature:", b"x-amz-other:"),
    ],
)
def test_chk_9_a_signed_trailer_is_held_to_its_signature(make, old, new):
    """Another checksum, another name, another signature or none: 403, and no last chunk."""
    wire = framed([b"hello"], trailer=CRC).wire
    assert old in wire
    announced = ("x-amz-checksum-crc32c",) if b"crc32c" in new else ("x-amz-checksum-crc32",)
    frames = make(SIGNED_TRAILER, 5, announced)

    assert code(frames, [wire.replace(old, new)]) == MISMATCH
    assert b"\r\n0;" not in b"".join(frames.out)


def test_chk_9_without_its_signature_a_signed_trailer_is_refused():
    """Missing altogether, or not at the end."""
    body = framed([b"hello"], trailer=CRC)
    signature = body.parts.pop(-2)
    announced = ("x-amz-checksum-crc32",)

    assert code(opener(SIGNED_TRAILER, 5, announced), [body.wire]) == MISMATCH
    body.parts.insert(-2, signature)
    assert code(opener(SIGNED_TRAILER, 5, announced), [body.wire]) == BAD_TRAILER


def _apart(wire: bytes) -> bytes:
    """The body as minio-go writes it: the field ended by LF, its signature set apart by CRLF."""
    return wire.replace(b"==\r\nx-amz-trailer", b"==\n\r\nx-amz-trailer")


def test_chk_26_a_trailer_may_be_set_apart_from_its_signature():
    """minio-go does so; what goes on is as long, and ended by CRLF throughout."""
    wire = _apart(framed([b"hello"], trailer=CRC).wire)
    announced = ("x-amz-checksum-crc32",)
    wanted = framed([b"hello"], trailer=CRC, key=OUR_KEY, seed=OUR_SEED).wire

    for places in (range(0), range(len(wire))):
        assert run(opener(SIGNED_TRAILER, 5, announced), cut(wire, places)) == b"hello"
        out = run(resigner(SIGNED_TRAILER, 5, announced), cut(wire, places))
        assert out == wanted.replace(b"\r\n0;", b"\r\n00;")
        assert len(out) == len(wire)


def test_chk_26_an_unsigned_trailer_is_set_apart_from_the_end():
    """By minio-go over TLS; a CRLF alone is not the end of it."""
    wire = b"5\r\nhello\r\n0\r\na:1\n\r\n\r\n"

    for places in (range(0), range(len(wire))):
        assert run(opener(UNSIGNED_TRAILER, 5, ("a",)), cut(wire, places)) == b"hello"
    assert code(opener(UNSIGNED_TRAILER, 5, ("a",)), [wire[:-2]]) == BAD_FRAME


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n\r\nx-amz-trailer", b"\nx-amz-trailer"),
        (b"\n\r\nx-amz-trailer", b"\n\r\n\r\nx-amz-trailer"),
        (b"x-amz-checksum-crc32:", b"x-amz-checksum-crc32:x\n\r\nx-amz-checksum-crc32:"),
    ],
)
def test_chk_26_nothing_else_is_set_apart(old, new):
    """One field, one CRLF."""
    wire = _apart(framed([b"hello"], trailer=CRC).wire)
    announced = ("x-amz-checksum-crc32",)

    assert code(opener(SIGNED_TRAILER, 5, announced), [wire.replace(old, new)]) in (
        BAD_TRAILER,
        MISMATCH,
    )


def test_chk_9_a_trailer_signed_over_nothing():
    """A signed trailer without fields has a signature all the same."""
    wire = framed([b"hello"], trailer=[]).wire

    assert run(opener(SIGNED_TRAILER, 5), [wire]) == b"hello"
    assert trailer_hash([]) == EMPTY_HASH
