"""What we write before a body, and what ends a body that comes back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocolError
from gateway.message import NO_BODY, BytesBody, Headers, IterBody
from gateway.upstream import Outbound
from gateway.upstream.framing import (
    OURS,
    Framing,
    answer_framing,
    offered_seconds,
    request_head,
    stays_open,
)
from tests.contracts.scripted import stream


def outbound(method: str = "GET", target: str = "/a", **fields: str) -> Outbound:
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return Outbound(method=method, target=target, headers=Headers([("host", "h"), *pairs]))


@given(value=st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_a_value_stays_one_value(value):
    """Whatever a header holds, it is one line of the head, or the head is refused."""
    try:
        data = request_head(outbound(x_amz_meta_a=value), NO_BODY)
    except ValueError:
        return

    assert data == f"GET /a HTTP/1.1\r\nhost: h\r\nx-amz-meta-a: {value}\r\n\r\n".encode()
    assert data.count(b"\r") == data.count(b"\n") == 4


@given(target=st.text(max_size=20), method=st.text(max_size=5))
@settings(max_examples=200, deadline=None)
def test_a_request_line_stays_one_line(target, method):
    """Neither target nor method can add a word to it."""
    try:
        data = request_head(outbound(method, target), NO_BODY)
    except ValueError:
        return

    assert data.split(b"\r\n")[0] == f"{method} {target} HTTP/1.1".encode()
    assert data.split(b"\r\n")[0].count(b" ") == 2


@pytest.mark.parametrize("name", sorted(OURS))
def test_fields_of_framing_are_refused(name):
    """They are written here and nowhere else."""
    with pytest.raises(ValueError):
        request_head(outbound(**{name: "1"}), NO_BODY)


@pytest.mark.parametrize(
    ("method", "body", "line"),
    [
        ("PUT", BytesBody(b"abc"), b"content-length: 3"),
        ("GET", BytesBody(b"abc"), b"content-length: 3"),
        ("PUT", NO_BODY, b"content-length: 0"),
        ("POST", stream(b""), b"transfer-encoding: chunked"),
        ("PUT", stream(b"", length=5 << 30), b"content-length: 5368709120"),
    ],
    ids=["bytes", "get", "empty", "chunked", "5 GiB"],
)
def test_the_body_is_framed_by_its_length(method: str, body: BytesBody | IterBody, line: bytes):
    """A length where there is one, chunks where there is none."""
    assert request_head(outbound(method), body).split(b"\r\n")[-3] == line


@pytest.mark.parametrize(
    ("method", "status", "fields", "framing"),
    [
        ("GET", 200, [("content-length", "0")], Framing.LENGTH),
        ("GET", 200, [("content-length", "00012")], Framing.LENGTH),
        ("GET", 206, [("transfer-encoding", "Chunked")], Framing.CHUNKED),
        ("GET", 200, [], Framing.CLOSE),
        ("HEAD", 200, [("content-length", "5")], Framing.NOTHING),
        ("HEAD", 200, [], Framing.NOTHING),
        ("GET", 304, [("content-length", "5")], Framing.NOTHING),
        ("DELETE", 204, [], Framing.NOTHING),
    ],
)
def test_how_a_body_ends(method, status, fields, framing):
    """RFC 9112 section 6.3, in its order."""
    assert answer_framing(method, status, "1.1", Headers(fields)) is framing


@pytest.mark.parametrize(
    ("status", "version", "fields"),
    [
        (200, "1.2", []),
        (200, "2.0", []),
        (199, "1.1", []),
        (600, "1.1", []),
        (200, "1.1", [("content-length", "1"), ("content-length", "1")]),
        (200, "1.1", [("content-length", "1, 1")]),
        (200, "1.1", [("content-length", "-1")]),
        (200, "1.1", [("content-length", "١")]),
        (200, "1.1", [("content-length", "")]),
        (200, "1.1", [("content-length", "1"), ("transfer-encoding", "chunked")]),
        (200, "1.1", [("transfer-encoding", "gzip, chunked")]),
        (200, "1.1", [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]),
        (200, "1.1", [("transfer-encoding", "")]),
        (200, "1.0", [("transfer-encoding", "chunked")]),
    ],
)
def test_two_ways_to_end_a_body_are_none(status, version, fields):
    """Also where the parser below lets them through."""
    with pytest.raises(UpstreamProtocolError):
        answer_framing("GET", status, version, Headers(fields))


@pytest.mark.parametrize(
    ("version", "value", "open_"),
    [
        ("1.1", None, True),
        ("1.1", "keep-alive", True),
        ("1.1", "Close", False),
        ("1.1", "x , close", False),
        ("1.0", "keep-alive", False),
    ],
)
def test_whether_a_connection_goes_on(version, value, open_):
    """HTTP/1.1 goes on unless it says otherwise."""
    fields = [] if value is None else [("connection", value)]
    assert stays_open(version, Headers(fields)) is open_


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("timeout=5, max=100", 5), ("max=5", None), ("max=1,timeout=7", 7), ("x", None)],
)
def test_how_long_it_may_be_idle(value, seconds):
    """The Keep-Alive field, where there is one."""
    fields = [] if value is None else [("keep-alive", value)]
    assert offered_seconds(Headers(fields)) == seconds
