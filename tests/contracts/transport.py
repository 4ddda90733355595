"""
What every transport promises, shown against an upstream that is scripted byte by byte.

Each transport's test file derives a class from `TransportContract` and gives the fixture
`transport`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path

import pytest
import trustme

from gateway.errors import (
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.message import NO_BODY, Body, BytesBody, Headers, IterBody
from gateway.records import replace
from gateway.upstream import Outbound, Transport
from tests.contracts.scripted import (
    BIG,
    HOSTILE,
    OK,
    Broken,
    Keeping,
    Peer,
    Scripted,
    Tap,
    forever,
    get,
    in_chunks,
    put,
    silent,
    stream,
    whole,
    with_length,
)


@cache
def certificate_authority() -> trustme.CA:
    """One for all tests: keys take time to make."""
    return trustme.CA()


def early(answer: bytes) -> Callable[[Peer], Awaitable[None]]:
    """An upstream that answers as soon as it has a head."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)
        await peer.closed()

    return script


async def stuck() -> AsyncIterator[bytes]:
    """The body of a client that falls silent."""
    yield b"x"
    await asyncio.sleep(60)


class Arrived(Body):
    """A body in HTTP chunks of which no piece is missing any more: it has no length for all that."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data

    def whole(self) -> bytes | None:
        return self._data


class TransportContract:
    """Derive, and give `transport`."""

    @pytest.fixture
    async def upstream(self) -> AsyncIterator[Scripted]:
        upstream = Scripted()
        await upstream.start()
        yield upstream
        await upstream.stop()

    # What is sent

    async def test_target_and_headers_arrive_byte_for_byte(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """Nothing is decoded, quoted, added or left out; only framing is the transport's own."""
        upstream.plays(forever_keeping := Keeping())
        target = "/b//k/../%2F%c3%BC+%20?a=%2f&b&uploads&x=~*"
        head = Outbound(
            method="GET",
            target=target,
            headers=Headers([("host", "h:1"), ("x-amz-meta-a", "ü  z"), ("x-amz-meta-a", "2")]),
        )

        await whole(await transport.send(upstream.endpoint, head, NO_BODY))

        assert (
            forever_keeping.seen[0].head
            == (
                f"GET {target} HTTP/1.1\r\nhost: h:1\r\nx-amz-meta-a: ü  z\r\nx-amz-meta-a: 2\r\n\r\n"
            ).encode()
        )

    @pytest.mark.parametrize(
        ("method", "length"), [("GET", None), ("HEAD", None), ("DELETE", None), ("PUT", "0"), ("POST", "0")]
    )  # fmt: skip
    async def test_no_body_is_framed_as_the_method_wants(
        self, transport: Transport, upstream: Scripted, method: str, length: str | None
    ) -> None:
        """Zero bytes are a length of 0 where a body is expected, and nothing where none is."""
        upstream.plays(keeping := Keeping(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))

        await whole(await transport.send(upstream.endpoint, put(method), NO_BODY))

        assert keeping.seen[0].field("content-length") == length
        assert keeping.seen[0].field("transfer-encoding") is None

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (lambda: BytesBody(b"abc"), b"abc"),
            (lambda: stream(b"a", b"", b"bc", length=3), b"abc"),
            (lambda: stream(b"a", b"", b"bc"), b"abc"),
            (lambda: stream(b"x" * 70_000, b"y" * 70_000, length=140_000), b"x" * 70_000 + b"y" * 70_000),
            (lambda: stream(b"x" * 70_000, b"y"), b"x" * 70_000 + b"y"),
            (lambda: BytesBody(b"z" * 300_000), b"z" * 300_000),
            (lambda: Arrived(b"abc"), b"abc"),
        ],
        ids=["in memory", "short", "short chunked", "long", "long chunked", "long in memory", "arrived chunked"],
    )  # fmt: skip
    async def test_a_body_arrives_whole(
        self,
        transport: Transport,
        upstream: Scripted,
        body: Callable[[], Body],
        expected: bytes,
    ) -> None:
        """With its length where that is known, in chunks where it is not."""
        upstream.plays(keeping := Keeping())

        await whole(await transport.send(upstream.endpoint, put(), made := body()))

        assert keeping.seen[0].body == expected
        stated = None if made.length is None else str(made.length)
        assert keeping.seen[0].field("content-length") == stated

    @pytest.mark.parametrize(
        "value",
        ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "a\udcceb"],
        ids=["line", "LF", "CR", "NUL", "bytes"],
    )
    async def test_what_cannot_stand_in_a_head_is_never_sent(
        self, transport: Transport, upstream: Scripted, value: str
    ) -> None:
        """A line break in a value would begin another header, or another request."""
        upstream.plays(forever)

        with pytest.raises(ValueError):
            await transport.send(upstream.endpoint, get(x_amz_meta_a=value), NO_BODY)
        with pytest.raises(ValueError):
            await transport.send(upstream.endpoint, get(target=f"/{value}"), NO_BODY)

        assert upstream.peers == []

    @pytest.mark.parametrize(
        "name", ["content_length", "transfer_encoding", "connection", "expect"]
    )
    async def test_framing_is_nobody_elses(
        self, transport: Transport, upstream: Scripted, name: str
    ) -> None:
        """Two sources of framing are two ends of a body."""
        with pytest.raises(ValueError):
            await transport.send(upstream.endpoint, get(**{name: "1"}), NO_BODY)

    # What comes back

    async def test_a_small_answer_is_there_at_once(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """What arrived with the head needs no further waiting."""
        upstream.plays(forever)

        answer = await transport.send(upstream.endpoint, get(), NO_BODY)

        assert (answer.status, answer.body.length, answer.body.whole()) == (200, 2, b"ok")
        await answer.body.close()

    @pytest.mark.parametrize("cut", range(0, len(OK), 3))
    async def test_answers_do_not_depend_on_how_they_are_cut(
        self, transport: Transport, upstream: Scripted, cut: int
    ) -> None:
        """A head may come in two pieces, and a body too."""

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(OK[:cut])
            await asyncio.sleep(0.01)
            await peer.send(OK[cut:])
            await peer.closed()

        upstream.plays(script)

        answer = await transport.send(upstream.endpoint, get(), NO_BODY)

        assert answer.head.headers == Headers([("content-length", "2")])
        assert await whole(answer) == b"ok"

    async def test_header_fields_keep_order_and_bytes(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """Names are lower case, repeats are kept, bytes that are not UTF-8 can be found again."""
        upstream.plays(
            Keeping(
                b"HTTP/1.1 200 OK\r\nX-B: 1\r\nx-a:  two \t\r\nX-B: 3\r\nx-amz-meta-n: a\xceb\r\n"
                b"x-amz-meta-u: \xc3\xbc\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
            )
        )

        answer = await transport.send(upstream.endpoint, get(), NO_BODY)

        assert answer.head.headers.pairs == (
            ("x-b", "1"), ("x-a", "two"), ("x-b", "3"), ("x-amz-meta-n", "a\udcceb"),
            ("x-amz-meta-u", "ü"), ("x-empty", ""), ("content-length", "0"),
        )  # fmt: skip
        await answer.body.close()

    async def test_fwd_11_nothing_is_followed_opened_or_remembered(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """Redirects, compressed bodies and cookies come back as they are, and go nowhere (SSR-2)."""
        redirect = b"HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
        upstream.plays(keeping := Keeping(redirect))

        first = await transport.send(upstream.endpoint, get(), NO_BODY)
        await transport.send(upstream.endpoint, get(), NO_BODY)

        assert (first.status, await whole(first)) == (307, b"abc")
        assert [seen.field("cookie") for seen in keeping.seen] == [None, None]

    async def test_interim_answers_are_skipped(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """EXP-5: a 100 that nobody asked for is not the answer."""
        upstream.plays(
            Keeping(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK)
        )

        answer = await transport.send(upstream.endpoint, put(), BytesBody(b"x"))

        assert answer.head.headers.pairs == (("content-length", "2"),)
        assert await whole(answer) == b"ok"

    @pytest.mark.parametrize(
        ("method", "data"),
        [
            ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n"),
            ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            ("GET", b"HTTP/1.1 204 No\r\n\r\n"),
            ("GET", b"HTTP/1.1 304 Not\r\nContent-Length: 7\r\n\r\n"),
        ],
        ids=["head", "head chunked", "204", "304"],
    )
    async def test_fwd_6_answers_without_a_body_have_none(
        self, transport: Transport, upstream: Scripted, method: str, data: bytes
    ) -> None:
        """Whatever length they state; and the connection goes on."""
        upstream.plays(Keeping(data))

        for _ in range(2):
            answer = await transport.send(upstream.endpoint, put(method), NO_BODY)
            assert answer.body.whole() == b""

        assert len(upstream.peers) == 1

    @pytest.mark.parametrize("size", [0, 1, 1024, 131_072, 131_073, 1_000_000])
    @pytest.mark.parametrize("chunked", [False, True])
    async def test_bodies_of_every_size_come_whole(
        self, transport: Transport, upstream: Scripted, size: int, chunked: bool
    ) -> None:
        """Byte for byte, and the connection serves again."""
        body = bytes(i % 251 for i in range(1024)) * (size // 1024 + 1)
        body = body[:size]
        upstream.plays(Keeping(in_chunks(body) if chunked else with_length(body)))

        for _ in range(2):
            assert await whole(await transport.send(upstream.endpoint, get(), NO_BODY)) == body

        assert len(upstream.peers) == 1

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.0 200 OK\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\n\r\nhello",
        ],
        ids=["HTTP/1.0", "close", "unsaid"],
    )
    async def test_a_body_may_end_with_its_connection(
        self, transport: Transport, upstream: Scripted, data: bytes
    ) -> None:
        """Where nothing else delimits it."""

        async def script(peer: Peer) -> None:
            await peer.answer(data)
            await asyncio.sleep(0.01)
            await peer.send(b" world")
            peer.writer.close()
            await peer.writer.wait_closed()

        upstream.plays(script)

        for _ in range(2):
            answer = await transport.send(upstream.endpoint, get(), NO_BODY)
            assert await whole(answer) == b"hello world"

        assert len(upstream.peers) == 2

    # Broken rules

    @pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
    async def test_an_answer_that_breaks_a_rule_is_refused(
        self, transport: Transport, upstream: Scripted, data: bytes
    ) -> None:
        """Not guessed at: what two parties read differently hides a second answer."""

        async def script(peer: Peer) -> None:
            await peer.answer(data)
            await peer.closed()

        upstream.plays(script)

        with pytest.raises(UpstreamProtocolError):
            await whole(await transport.send(upstream.endpoint, get(), NO_BODY))

        await asyncio.wait_for(upstream.peers[0].gone.wait(), 2)

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort",
            b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 150_000,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nshort",
        ],
        ids=["length", "long", "no last chunk", "no end of trailers", "half a chunk"],
    )
    async def test_a_short_body_is_not_taken_for_a_whole_one(
        self, transport: Transport, upstream: Scripted, data: bytes
    ) -> None:
        """A body that breaks off raises where its end should have been."""

        async def script(peer: Peer) -> None:
            await peer.answer(data)
            peer.writer.close()

        upstream.plays(script)

        with pytest.raises(UpstreamProtocolError):
            await whole(await transport.send(upstream.endpoint, get(), NO_BODY))

    @pytest.mark.parametrize(
        "data",
        [
            OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            OK + b"junk",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK,
            b"HTTP/1.1 304 Not\r\nContent-Length: 4\r\n\r\nevil",
        ],
        ids=["answer", "junk", "answer after chunks", "body of a 304"],
    )
    async def test_what_comes_after_the_end_reaches_nobody(
        self, transport: Transport, upstream: Scripted, data: bytes
    ) -> None:
        """An answer inside an answer must not be the next request's."""
        upstream.plays(Keeping(data), Keeping(with_length(b"good")))

        first = await transport.send(upstream.endpoint, get(), NO_BODY)
        assert await whole(first) in (b"ok", b"")
        second = await transport.send(upstream.endpoint, get(), NO_BODY)

        assert await whole(second) == b"good"

    async def test_what_comes_late_after_the_end_reaches_nobody(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """The same, when the connection has gone back to be used again."""

        async def script(peer: Peer) -> None:
            await peer.answer(OK)
            await asyncio.sleep(0.02)
            await peer.send(with_length(b"evil"))
            await peer.closed()

        upstream.plays(script, Keeping(with_length(b"good")))

        await whole(await transport.send(upstream.endpoint, get(), NO_BODY))
        await asyncio.sleep(0.1)

        second = await transport.send(upstream.endpoint, get(), NO_BODY)
        assert await whole(second) == b"good"

    # Connections

    async def test_a_connection_is_used_again_after_a_clean_end(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """One after the other needs one connection, bodies either way included."""
        upstream.plays(forever)

        for _ in range(5):
            await whole(await transport.send(upstream.endpoint, get(), NO_BODY))
            await whole(await transport.send(upstream.endpoint, put(), stream(b"x" * 100_000)))
            await whole(await transport.send(upstream.endpoint, put(), BytesBody(b"abc")))

        assert len(upstream.peers) == 1

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ],
        ids=["close", "list", "HTTP/1.0"],
    )
    async def test_a_connection_that_is_to_close_is_not_used_again(
        self, transport: Transport, upstream: Scripted, data: bytes
    ) -> None:
        """The upstream says so, or is too old to say otherwise."""
        upstream.plays(Keeping(data))

        for _ in range(2):
            assert await whole(await transport.send(upstream.endpoint, get(), NO_BODY)) == b"ok"

        assert len(upstream.peers) == 2

    async def test_connections_are_bounded(self, transport: Transport, upstream: Scripted) -> None:
        """As many as the endpoint allows; the rest wait for their turn."""
        endpoint = replace(upstream.endpoint, max_connections=3)

        async def slowly(peer: Peer) -> None:
            while True:
                await peer.request()
                await asyncio.sleep(0.01)
                await peer.send(OK)

        upstream.plays(slowly)

        async def one() -> bytes:
            return await whole(await transport.send(endpoint, get(), NO_BODY))

        answers = await asyncio.gather(*[one() for _ in range(20)])

        assert (answers, len(upstream.peers)) == ([b"ok"] * 20, 3)

    async def test_waiting_for_a_connection_ends(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """Within the time for connecting, with 503."""
        upstream.plays(silent)
        endpoint = replace(upstream.endpoint, max_connections=1, connect_timeout=0.1)
        first = asyncio.ensure_future(transport.send(endpoint, get(), NO_BODY))
        await asyncio.sleep(0.05)

        with pytest.raises(UpstreamUnavailable):
            await transport.send(endpoint, get(), NO_BODY)

        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    async def test_upstreams_do_not_share_connections(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """An endpoint with other settings is another endpoint."""
        upstream.plays(forever)

        await whole(await transport.send(upstream.endpoint, get(), NO_BODY))
        other = replace(upstream.endpoint, head_timeout=9)
        await whole(await transport.send(other, get(), NO_BODY))

        assert len(upstream.peers) == 2

    # Sending again

    async def once(self, peer: Peer) -> None:
        """Answers one request, and closes on the next without a word."""
        await peer.answer()
        await peer.head()

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
    async def test_fwd_12_a_stale_connection_is_replaced_once(
        self, transport: Transport, upstream: Scripted, method: str
    ) -> None:
        """Where no byte of a body was taken, and doing it twice does no harm."""
        upstream.plays(self.once, forever)

        await whole(await transport.send(upstream.endpoint, get(), NO_BODY))
        answer = await transport.send(upstream.endpoint, put(method), NO_BODY)

        assert answer.status == 200
        await answer.body.close()
        assert len(upstream.peers) == 2

    async def test_fwd_12_it_is_replaced_only_once(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """An upstream that takes requests and closes is away."""

        async def closes(peer: Peer) -> None:
            await peer.head()

        upstream.plays(self.once, closes)
        await whole(await transport.send(upstream.endpoint, get(), NO_BODY))

        with pytest.raises(UpstreamUnavailable):
            await transport.send(upstream.endpoint, get(), NO_BODY)

        assert len(upstream.peers) == 2

    @pytest.mark.parametrize(
        ("method", "body"),
        [
            ("POST", lambda: NO_BODY),
            ("PUT", lambda: stream(b"x", length=1)),
            ("PUT", lambda: stream(b"x")),
            ("PUT", lambda: Tap(length=65536 * 4)),
        ],
        ids=["post", "short", "chunked", "long"],
    )
    async def test_fwd_12_what_may_have_been_done_is_not_sent_again(
        self, transport: Transport, upstream: Scripted, method: str, body: Callable[[], Body]
    ) -> None:
        """The client hears 503, and it alone knows whether to try again."""
        upstream.plays(self.once, forever)
        await whole(await transport.send(upstream.endpoint, get(), NO_BODY))

        with pytest.raises(UpstreamUnavailable):
            await transport.send(upstream.endpoint, put(method), body())

        assert len(upstream.peers) == 1

    async def test_fwd_12_half_an_answer_is_not_asked_for_again(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """A connection that brought a byte was not stale."""

        async def half(peer: Peer) -> None:
            await peer.answer()
            await peer.answer(b"HTTP/1.1 20")

        upstream.plays(half, forever)
        await whole(await transport.send(upstream.endpoint, get(), NO_BODY))

        with pytest.raises(UpstreamError):
            await transport.send(upstream.endpoint, get(), NO_BODY)

        assert len(upstream.peers) == 1

    # Bodies that fail, and leaving early

    @pytest.mark.parametrize("length", [None, 200_000, 10])
    async def test_chk_16_a_body_that_raises_cuts_the_connection(
        self, transport: Transport, upstream: Scripted, length: int | None
    ) -> None:
        """What it raised comes out as it is, and the upstream never sees a whole body."""
        upstream.plays(keeping := Keeping())

        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * 5
            await asyncio.sleep(0.01)
            raise Broken

        with pytest.raises(Broken):
            await transport.send(upstream.endpoint, put(), IterBody(chunks(), length))

        await asyncio.gather(*[asyncio.wait_for(p.gone.wait(), 2) for p in upstream.peers])
        assert keeping.seen == []

    @pytest.mark.parametrize("size", [9, 11])
    @pytest.mark.parametrize("factor", [1, 20_000])
    async def test_chk_4_a_body_that_is_not_as_long_as_it_says_is_not_sent_whole(
        self, transport: Transport, upstream: Scripted, size: int, factor: int
    ) -> None:
        """Neither padded nor cut: both would be another object (AIO-9, AIO-10)."""
        upstream.plays(keeping := Keeping())

        with pytest.raises(Exception, match="body"):
            await transport.send(
                upstream.endpoint,
                put(),
                stream(b"x" * size * factor, length=10 * factor),
            )

        assert keeping.seen == []

    async def test_exp_6_an_early_answer_is_passed_on(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """A refusal that comes first is heard; the rest of the body is left where it is."""
        refusal = b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"

        async def script(peer: Peer) -> None:
            await peer.head()
            await peer.send(refusal)
            await peer.closed()

        upstream.plays(script, forever)
        body = Tap()

        answer = await transport.send(upstream.endpoint, put(), body)

        assert (answer.status, await whole(answer)) == (403, b"no")
        assert body.ended
        await whole(await transport.send(upstream.endpoint, get(), NO_BODY))
        assert len(upstream.peers) == 2

    async def test_exp_6_an_early_answer_is_heard_while_the_client_is_silent(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """Nobody waits for a byte that will never come."""

        upstream.plays(early(OK.replace(b"200 OK", b"403 No")))

        async with asyncio.timeout(2):
            answer = await transport.send(upstream.endpoint, put(), IterBody(stuck()))

        assert (answer.status, await whole(answer)) == (403, b"ok")

    async def test_exp_6_an_early_success_is_none(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """Who has not got the body cannot have stored it."""
        upstream.plays(early(OK))

        async with asyncio.timeout(2):
            with pytest.raises(UpstreamProtocolError):
                await transport.send(upstream.endpoint, put(), IterBody(stuck()))

    @pytest.mark.parametrize(
        "body",
        [lambda: NO_BODY, lambda: Tap(), lambda: Tap(length=1 << 30)],
        ids=["none", "chunked", "long"],
    )
    async def test_fwd_16_a_client_that_leaves_cuts_the_upstream(
        self, transport: Transport, upstream: Scripted, body: Callable[[], Body]
    ) -> None:
        """Within a second, whatever was going on."""
        upstream.plays(silent)
        sending = asyncio.ensure_future(transport.send(upstream.endpoint, put(), made := body()))
        await asyncio.sleep(0.05)

        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

        await asyncio.wait_for(upstream.peers[0].gone.wait(), 1)
        assert not isinstance(made, Tap) or made.ended

    async def test_fwd_16_closing_an_answer_before_its_end_cuts_the_upstream(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """An abandoned download does not run on at somebody's cost."""
        sent = 0

        async def script(peer: Peer) -> None:
            nonlocal sent
            await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                await peer.send(bytes(65536))
                sent += 65536

        upstream.plays(script)
        answer = await transport.send(upstream.endpoint, get(), NO_BODY)
        await answer.body.__aiter__().__anext__()

        await answer.body.close()
        await answer.body.close()

        await asyncio.wait_for(upstream.peers[0].gone.wait(), 1)
        assert sent < BIG

    # Back-pressure

    async def test_fwd_16_a_slow_reader_slows_the_upstream(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """What nobody takes is not read, and not held."""
        sent = 0

        async def script(peer: Peer) -> None:
            nonlocal sent
            await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (10 * BIG))
            for _ in range(10 * BIG // 65536):
                await peer.send(bytes(65536))
                sent += 65536
            await peer.closed()

        upstream.plays(script)
        answer = await transport.send(upstream.endpoint, get(), NO_BODY)
        await asyncio.sleep(0.2)

        held = sent
        assert held < BIG
        size = sum([len(part) async for part in answer.body])
        assert size == 10 * BIG

    async def test_fwd_16_a_slow_upstream_slows_the_client(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """What the upstream does not take is not asked of the client."""

        async def script(peer: Peer) -> None:
            await peer.head()
            await asyncio.sleep(60)

        upstream.plays(script)
        body = Tap(length=10 * BIG)
        sending = asyncio.ensure_future(transport.send(upstream.endpoint, put(), body))
        await asyncio.sleep(0.2)

        assert body.taken < BIG

        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    # Time

    async def test_fwd_17_silence_before_an_answer_ends(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """504, after the time for a head."""
        upstream.plays(silent)
        endpoint = replace(upstream.endpoint, head_timeout=0.1)

        for body in (NO_BODY, stream(b"x" * 100_000)):
            with pytest.raises(UpstreamTimeout):
                await transport.send(endpoint, put(), body)

        await asyncio.wait_for(upstream.peers[0].gone.wait(), 1)

    async def test_fwd_17_a_head_that_drips_ends_too(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """The time for a head is for all of it."""

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\n")
            while True:
                await peer.send(b"a: b\r\n")
                await asyncio.sleep(0.02)

        upstream.plays(script)

        with pytest.raises(UpstreamTimeout):
            await transport.send(replace(upstream.endpoint, head_timeout=0.2), get(), NO_BODY)

    @pytest.mark.parametrize("length", [b"10", b"1000000"])
    async def test_fwd_17_silence_in_a_body_ends(
        self, transport: Transport, upstream: Scripted, length: bytes
    ) -> None:
        """504 where the head has gone already is a body that breaks off."""

        async def script(peer: Peer) -> None:
            await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nhalf")
            await peer.closed()

        upstream.plays(script)
        endpoint = replace(upstream.endpoint, idle_timeout=0.1)

        with pytest.raises(UpstreamTimeout):
            await whole(await transport.send(endpoint, get(), NO_BODY))

        await asyncio.wait_for(upstream.peers[0].gone.wait(), 1)

    async def test_fwd_17_an_upstream_that_takes_nothing_ends(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """Silence the other way: bytes that it does not take."""

        async def script(peer: Peer) -> None:
            await peer.head()
            await asyncio.sleep(60)

        upstream.plays(script)

        with pytest.raises(UpstreamTimeout):
            await transport.send(
                replace(upstream.endpoint, idle_timeout=0.2), put(), Tap(length=10 * BIG)
            )

    async def test_fwd_17_our_own_slowness_is_not_the_upstreams(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """A client that pauses, either way, may take longer than the upstream's time-outs."""
        body = b"y" * 1_000_000
        upstream.plays(Keeping(with_length(body)))
        endpoint = replace(upstream.endpoint, idle_timeout=0.15, head_timeout=0.15)

        async def slow() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.sleep(0.3)
            yield b"y"

        answer = await transport.send(endpoint, put(), IterBody(slow()))
        await asyncio.sleep(0.3)

        assert await whole(answer) == body

    async def test_no_connection_is_unavailable(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """503: nobody listens there, or nobody has that name."""
        await upstream.stop()

        with pytest.raises(UpstreamUnavailable):
            await transport.send(upstream.endpoint, get(), NO_BODY)

        await upstream.start()

    # TLS

    @pytest.fixture
    def authority(self) -> trustme.CA:
        return certificate_authority()

    @pytest.fixture
    def ca_file(self, authority: trustme.CA, tmp_path: Path) -> str:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        return str(tmp_path / "ca.pem")

    async def secured(self, authority: trustme.CA, name: str) -> Scripted:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        upstream = Scripted()
        await upstream.start(context)
        return upstream

    async def test_fwd_15_tls_with_the_named_authority_works(
        self, transport: Transport, authority: trustme.CA, ca_file: str
    ) -> None:
        """Bodies either way, several on one connection."""
        upstream = await self.secured(authority, "127.0.0.1")
        body = b"z" * 3_000_000
        upstream.plays(Keeping(with_length(body)))
        endpoint = replace(upstream.endpoint, ca=ca_file)

        for _ in range(2):
            answer = await transport.send(endpoint, put(), stream(*[b"x" * 100_000] * 10))
            assert await whole(answer) == body

        assert len(upstream.peers) == 1
        await upstream.stop()

    @pytest.mark.parametrize(("name", "known"), [("127.0.0.1", False), ("other.example.com", True)])
    async def test_fwd_15_tls_is_verified(
        self, transport: Transport, authority: trustme.CA, ca_file: str, name: str, known: bool
    ) -> None:
        """A certificate of nobody we know, or for another name, is no connection."""
        upstream = await self.secured(authority, name)
        upstream.plays(forever)
        endpoint = replace(upstream.endpoint, ca=ca_file if known else None)

        with pytest.raises(UpstreamUnavailable):
            await transport.send(endpoint, get(), NO_BODY)

        assert all(not peer.reader._buffer for peer in upstream.peers)  # type: ignore[attr-defined]
        await upstream.stop()

    async def test_fwd_17_a_handshake_that_hangs_ends(
        self, transport: Transport, upstream: Scripted
    ) -> None:
        """Connecting includes TLS."""
        upstream.plays(silent)
        endpoint = replace(upstream.endpoint, scheme="https", connect_timeout=0.2)

        with pytest.raises(UpstreamUnavailable):
            await transport.send(endpoint, get(), NO_BODY)
