"""Whatever a client sends, however it is cut: one reading, or none."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.server.reader import HEAD_MAX, SLICE, Read, RequestReader, Unreadable


@dataclass
class Request:
    """What was read of one request."""

    read: Read
    body: bytes = b""
    whole: bool = False

    @property
    def said(self) -> tuple[str, str, tuple[tuple[str, str], ...], bytes, bool]:
        return (
            self.read.method,
            self.read.target,
            self.read.headers.pairs,
            self.body,
            self.whole,
        )


@dataclass
class Seen:
    """Takes notes."""

    requests: list[Request] = field(default_factory=list)

    def begin(self, read: Read) -> None:
        assert not self.requests or self.requests[-1].whole, "a request inside a request"
        self.requests.append(Request(read))

    def piece(self, data: bytes) -> None:
        assert data and not self.requests[-1].whole
        self.requests[-1].body += data

    def end(self) -> None:
        assert not self.requests[-1].whole
        self.requests[-1].whole = True


def read(data: bytes, cuts: list[int] | None = None) -> tuple[list[Request], bool]:
    """The requests in some bytes, and whether they ended in something that cannot be read."""
    seen = Seen()
    reader = RequestReader(seen)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or ())})
    try:
        for start, stop in pairwise(edges):
            rest = data[start:stop]
            while rest:
                rest = reader.feed(rest)
    except Unreadable:
        return seen.requests, True
    return seen.requests, False


CUTS = st.lists(st.integers(0, 1 << 20), max_size=8)
HEAD = b"PUT /data/k?x=%20 HTTP/1.1\r\nHost: a\r\n"


def request(*fields: bytes, start: bytes = b"PUT /k HTTP/1.1", body: bytes = b"") -> bytes:
    return b"\r\n".join((start, b"Host: a", *fields)) + b"\r\n\r\n" + body


def chunked(body: bytes, size: int, trailer: bytes = b"") -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    data = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return data + b"0\r\n" + trailer + b"\r\n"


def framed(body: bytes, how: str) -> bytes:
    match how:
        case "length":
            return request(b"Content-Length: %d" % len(body), body=body)
        case "chunked":
            return request(b"Transfer-Encoding: chunked", body=chunked(body, 100))
        case "trailer":
            sent = chunked(body, 7, b"X-Amz-Acl: public-read\r\n")
            return request(b"transfer-encoding: chunked", body=sent)
        case _:
            fields = (b"Upgrade: h2c", b"Connection: Upgrade", b"Content-Length: %d" % len(body))
            return request(*fields, body=body)


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=400), st.sampled_from(["length", "chunked", "trailer", "upgrade"])
        ),
        min_size=1,
        max_size=6,
    ),
    CUTS,
)
def test_http_2_requests_in_a_row_are_read_one_by_one(
    bodies: list[tuple[bytes, str]], cuts: list[int]
) -> None:
    """However they are framed and cut, each ends where the next begins, and no trailer becomes a field."""
    found, broken = read(b"".join(framed(*one) for one in bodies), cuts)

    assert not broken
    assert [(one.body, one.whole) for one in found] == [(body, True) for body, _ in bodies]
    assert not any("x-amz-acl" in one.read.headers for one in found)


@given(st.binary(max_size=300), CUTS)
def test_http_2_hostile_bytes_have_one_reading(data: bytes, cuts: list[int]) -> None:
    """The same requests come out of the same bytes, whole or cut; nothing else is raised."""
    for hostile in (data, HEAD + data, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + data):
        whole, broken = read(hostile)
        parts, cut_broken = read(hostile, cuts)
        assert ([one.said for one in whole], broken) == ([one.said for one in parts], cut_broken)


LINES = [
    b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.0\r\n", b"Host: a\r\n", b"Content-Length: 4\r\n", b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding:\tchunked\r\n", b"transfer-encoding: identity\r\n",
    b"Transfer-Encoding : chunked\r\n", b" folded\r\n", b"Connection: close\r\n", b"Connection: keep-alive, Upgrade\r\n",
    b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"\r\n", b"\n", b"\r", b"4\r\nabcd\r\n", b"0\r\n\r\n", b"0\r\n", b"abcd",
    b"5;x=y\r\nabcde\r\n", b"\x00", b"\xff: \xff\r\n", b"CONNECT a:1 HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=14).map(b"".join), CUTS)
def test_http_2_lines_in_any_order_have_one_reading(data: bytes, cuts: list[int]) -> None:
    """Heads made of what smugglers use."""
    whole, broken = read(data)
    parts, cut_broken = read(data, cuts)

    assert ([one.said for one in whole], broken) == ([one.said for one in parts], cut_broken)
    for one in whole:
        names = [name for name, _ in one.read.headers]
        assert not {"content-length", "transfer-encoding"} <= set(names)
        assert names.count("content-length") <= 1
        assert one.read.version in ("1.0", "1.1")


@pytest.mark.parametrize(
    "raw",
    [
        request(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"),
        request(b"Content-Length: 3, 3", body=b"abc"),
        request(b"Content-Length: +3", body=b"abc"),
        request(b"Content-Length: 0x3", body=b"abc"),
        request(b"Content-Length: 99999999999999999999", body=b"abc"),
        request(b"Transfer-Encoding: identity, chunked", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", start=b"PUT /k HTTP/1.0", body=b"0\r\n\r\n"),
        request(
            b"Transfer-Encoding: chunked", b"Upgrade: x", b"Connection: Upgrade", body=b"0\r\n\r\n"
        ),
        request(b"X: a\nY: b"),
        request(b"X: a\r\n b"),
        request(b"X : a"),
        request(b"X: a\x00b"),
        request(start=b"GET / HTTP/2.0"),
        request(start=b"GET / HTTP/0.9"),
        request(start=b"GET /"),
        request(start=b"GET /\xc3\xbc HTTP/1.1"),
        request(start=b"GET /a b HTTP/1.1"),
        request(start=b"CONNECT a:443 HTTP/1.1"),
        request(start=b"FETCH / HTTP/1.1"),
        request(b"Transfer-Encoding: chunked", body=b"3\nabc\r\n0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"+3\r\nabc\r\n0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"3\r\nabcX\r\n0\r\n\r\n"),
        request(*[b"X-%d: 1" % number for number in range(300)]),
        request(b"X: " + b"a" * (33 * 1024)),
        request(b"X: " + b"b" * HEAD_MAX),
        request(b"Transfer-Encoding: chunked", body=b"0\r\n" + b"T: a\r\n" * HEAD_MAX),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=lambda raw: repr(raw[-60:]),
)
def test_http_2_what_has_two_readings_has_none(raw: bytes) -> None:
    """Refused, at once or cut into bytes, and what follows it is never read."""
    follower = b"\r\n\r\n" + request(start=b"DELETE /followed HTTP/1.1")
    for cuts in ([], list(range(len(raw))) if len(raw) < 2000 else []):
        found, broken = read(raw + follower, cuts)

        assert broken
        assert all("followed" not in one.read.target for one in found)


def test_aio_14_bytes_that_are_not_utf_8_are_seen() -> None:
    """They stand as surrogates in a head that says so."""
    (one,), broken = read(request(b"X: a\xff", b"Content-Length: 0"))

    assert not broken
    assert one.read.garbled
    assert one.read.headers["x"] == "a\udcff"


def test_ends_of_values_are_no_part_of_them() -> None:
    """RFC 9110 section 5.5; an empty value is one."""
    (one,), _ = read(request(b"X: \t a b \t", b"Y:", b"Content-Length: 3 ", body=b"abc"))

    assert one.read.headers.pairs == (
        ("host", "a"),
        ("x", "a b"),
        ("y", ""),
        ("content-length", "3"),
    )
    assert one.body == b"abc"


def test_dos_4_a_read_full_of_requests_is_taken_bit_by_bit() -> None:
    """What is not taken comes back, so that whoever feeds can wait."""
    seen = Seen()
    data = request(b"Content-Length: 0") * 10_000
    rest = RequestReader(seen).feed(data)

    assert len(data) - len(rest) <= SLICE
    assert len(seen.requests) <= SLICE // len(request(b"Content-Length: 0"))


def test_a_large_body_is_handed_on_as_it_comes() -> None:
    """Past the head nothing is copied: the piece is the bytes that were read."""
    seen = Seen()
    reader = RequestReader(seen)
    assert reader.feed(request(b"Content-Length: 1000000")) == b""
    pieces: list[bytes] = []
    seen.piece = pieces.append  # type: ignore[method-assign,assignment]
    data = bytes(500_000)
    assert reader.feed(data) == b""
    assert reader.feed(data + b"GET") == b"GET"

    assert pieces[0] is data
    assert [len(piece) for piece in pieces] == [500_000, 500_000]
    assert seen.requests[0].whole
