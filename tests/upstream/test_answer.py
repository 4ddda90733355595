"""Whatever an upstream sends, however it is cut: one reading, or none."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocolError
from gateway.upstream.answer import AnswerReader
from tests.contracts.scripted import HOSTILE, in_chunks, with_length


@dataclass(frozen=True)
class Reading:
    """What a reader made of some bytes."""

    status: int | None
    fields: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool
    extra: bool
    fault: bool


def read(data: bytes, cuts: list[int], method: str = "GET", *, end: bool = False) -> Reading:
    reader = AnswerReader()
    reader.begin(method)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    body = b""
    fault = False
    try:
        for start, stop in pairwise(edges):
            reader.feed(memoryview(data)[start:stop])
            body += b"".join(reader.pieces)
            reader.pieces.clear()
    except UpstreamProtocolError:
        fault = True
    complete = reader.complete or (end and not fault and reader.end())
    head = reader.head
    return Reading(
        status=None if head is None else head.status,
        fields=() if head is None else head.headers.pairs,
        body=body,
        complete=complete,
        extra=reader.extra,
        fault=fault,
    )


CUTS = st.lists(st.integers(0, 1 << 20), max_size=8)
BODIES = st.binary(max_size=300)
TOKENS = st.text("abcXYZ-019", min_size=1, max_size=12).map(lambda name: f"X-{name}")
VALUES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=20
)


@given(body=BODIES, fields=st.lists(st.tuples(TOKENS, VALUES), max_size=5), cuts=CUTS, more=BODIES)
@settings(max_examples=150, deadline=None)
def test_a_sound_answer_is_read_the_same_however_it_is_cut(body, fields, cuts, more):
    """Head, body and end; and what comes after belongs to none of them."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    data = with_length(body).replace(b"\r\n", b"\r\n" + lines, 1) + more

    reading = read(data, cuts)

    expected = [(name.lower(), value) for name, value in fields]
    assert reading.fields == (*expected, ("content-length", str(len(body))))
    assert (reading.status, reading.body, reading.complete) == (200, body, True)
    assert reading.extra or not more.strip(b"\r\n")


@given(body=st.binary(max_size=100_000), cuts=CUTS, length=st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_beginning_of_an_answer_is_a_whole_one(body, cuts, length):
    """A body that breaks off anywhere is not complete, at the end of the connection neither."""
    data = with_length(body) if length else in_chunks(body)

    for cut in cuts:
        part = data[: cut % len(data)]
        assert not read(part, [], end=True).complete

    assert read(data, cuts).body == body


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """Answers that were right once, and answers that never were, with bytes changed."""
    seeds = [with_length(b"hello"), in_chunks(b"hello world"), *HOSTILE.values()]
    data = bytearray(draw(st.sampled_from(seeds))[:400])
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        change = draw(st.sampled_from([b"\r", b"\n", b"\0", b":", b" ", b"0", b"7", b"\xff", b""]))
        data[place : place + draw(st.integers(0, 2))] = change
    return bytes(data)


@given(data=hostile(), cuts=CUTS, method=st.sampled_from(["GET", "HEAD"]))
@settings(max_examples=400, deadline=None)
def test_hostile_bytes_have_one_reading(data, cuts, method):
    """Cut or whole, they are refused or read alike; and what is complete is as long as it says."""
    whole = read(data, [], method)
    cut = read(data, cuts, method)

    if whole.complete and not whole.fault:
        assert (cut.status, cut.fields, cut.body) == (whole.status, whole.fields, whole.body)
        assert cut.complete
        lengths = [value for name, value in whole.fields if name == "content-length"]
        if lengths and method == "GET" and whole.status not in (204, 304):
            assert len(whole.body) == int(lengths[0])
    else:
        assert not cut.complete or cut.fault


@given(data=st.binary(max_size=2000), cuts=CUTS)
@settings(max_examples=100, deadline=None)
def test_noise_is_never_an_answer(data, cuts):
    """Only UpstreamProtocolError comes of it, or the wait for more."""
    assert not read(data, cuts).complete


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_broken_rules_are_found_byte_by_byte(data):
    """An upstream does not get away with a rule broken slowly."""
    assert read(data, list(range(min(len(data), 3000)))).fault


def test_memory_is_bounded():
    """Neither a head nor a trailer that never ends is kept."""
    reader = AnswerReader()
    reader.begin("GET")
    reader.feed(memoryview(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"))

    with pytest.raises(UpstreamProtocolError):
        for _ in range(10_000):
            reader.feed(memoryview(b"x-trailer: something\r\n"))


def test_tiny_chunks_are_fine():
    """Many small pieces with their frames are not an attack."""
    reader = AnswerReader()
    reader.begin("GET")
    reader.feed(memoryview(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))

    for _ in range(50_000):
        reader.feed(memoryview(b"1\r\nx\r\n"))
    reader.feed(memoryview(b"0\r\n\r\n"))

    assert reader.complete
    assert len(reader.pieces) == 50_000
