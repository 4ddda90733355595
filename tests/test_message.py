"""HTTP messages as the core sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message import (
    NO_BODY,
    Answer,
    Body,
    BodyTooLarge,
    BytesBody,
    Headers,
    IterBody,
    Names,
    RequestHead,
    ResponseHead,
)


async def _give(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_headers_keep_order_and_repeats():
    """The first value of a name is its value; all of them are there."""
    headers = Headers.of([("Host", "a"), ("X-Amz-Meta-A", "1"), ("x-amz-meta-a", "2")])

    assert headers.pairs == (("host", "a"), ("x-amz-meta-a", "1"), ("x-amz-meta-a", "2"))
    assert headers["x-amz-meta-a"] == headers.get("x-amz-meta-a") == "1"
    assert headers.all("x-amz-meta-a") == ["1", "2"]
    assert list(headers.names()) == ["host", "x-amz-meta-a"]
    assert (headers.get("absent"), headers.get("absent", "x")) == (None, "x")
    assert ("host" in headers, "absent" in headers) == (True, False)
    assert list(headers) == list(headers.pairs)
    assert len(headers) == 3


def test_headers_are_equal_by_their_pairs():
    """And can be keys."""
    assert Headers([("a", "1")]) == Headers([("a", "1")])
    assert Headers([("a", "1")]) != Headers([("a", "2")])
    assert len({Headers([("a", "1")]), Headers([("a", "1")])}) == 1
    assert Headers() != "headers"


def test_log_1_a_repr_shows_names_only():
    """Values may be credentials."""
    assert "secret" not in repr(Headers([("authorization", "secret")]))
    assert "authorization" in repr(Headers([("authorization", "secret")]))


def test_heads_have_the_least_by_default():
    """Nobody is trusted, nothing is secure."""
    head = RequestHead(method="GET", target="/")

    assert (head.peer, head.secure, head.trusted, head.forwarded_host) == (None, False, False, None)
    assert Answer(head=ResponseHead(status=204)).status == 204


async def test_a_body_in_memory_is_there_at_once():
    """Its length is known; nothing is one, too."""
    assert [part async for part in BytesBody(b"abc")] == [b"abc"]
    assert (BytesBody(b"abc").length, BytesBody(b"abc").whole()) == (3, b"abc")
    assert [part async for part in NO_BODY] == []
    await NO_BODY.close()


async def test_a_body_of_parts_is_read_within_a_bound():
    """What is longer is refused as soon as it is, also by its stated length."""
    assert await IterBody(_give(b"ab", b"c")).read(3) == b"abc"
    assert IterBody(_give()).whole() is None
    with pytest.raises(BodyTooLarge) as caught:
        await IterBody(_give(b"ab", b"c")).read(2)
    with pytest.raises(BodyTooLarge):
        await BytesBody(b"abc").read(2)
    assert caught.value.limit == 2


async def test_closing_a_body_ends_its_source():
    """Also twice, and where the source cannot be closed."""
    ended: list[bool] = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append(True)

    body = IterBody(source())
    async for _ in body:
        break
    await body.close()
    await body.close()

    class Bare:
        def __aiter__(self):
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

    await IterBody(Bare()).close()
    assert ended == [True]


def test_a_body_says_how_it_is_read():
    """The base has no bytes of its own."""
    with pytest.raises(NotImplementedError):
        aiter(Body())


@given(
    fields=st.lists(
        st.tuples(
            st.sampled_from([b"ETag", b"etag", b"X-Amz-Meta-A", b"Content-Type"]),
            st.binary(max_size=12),
        ),
        max_size=6,
    )
)
def test_fields_are_read_together_as_each_would_be_alone(fields):
    """Line breaks, blanks and bytes that are not UTF-8 stay in the field that brought them."""
    names = Names(["ETag", "Content-Type"])
    alone = tuple(
        (name.decode().lower(), value.decode("utf-8", "surrogateescape").rstrip(" \t"))
        for name, value in fields
    )

    assert names.read(fields, "surrogateescape") == alone
