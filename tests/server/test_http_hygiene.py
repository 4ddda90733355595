"""
HTTP/1.1 as hostile clients write it: bytes in, bytes out, nothing assumed of the server's machinery.

Most requests here are signed by somebody who may write, and a second one that would store an object
hides behind them: what is refused stores nothing, and nothing of its body is ever read as a request.

Sources: RFC 9110, RFC 9112; HTTP-2 to HTTP-9, EXP-1 to EXP-6, AIO-5, AIO-16 to AIO-19, DOS-1.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.message import Headers, RequestHead
from tests.server.framed import OBJECT, framed
from tests.server.whole_gateway import READER, TIMEOUT, Connection, Reply, Whole, whole_gateway

CANARY = b"k7f3a9-told-to-nobody"
UNSIGNED = "UNSIGNED-PAYLOAD"


@pytest.fixture
async def whole(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Whole]:
    """A gateway; tests may ask for the settings of another."""
    async with whole_gateway(tmp_path, **getattr(request, "param", {})) as made:
        yield made


def lines(head: RequestHead, *more: tuple[str, str]) -> bytes:
    """A head as bytes, its last line not ended yet: further lines may follow."""
    pairs = (*head.headers, *more)
    fields = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return f"{head.method} {head.target} HTTP/1.1\r\n{fields}".encode()


def put(whole: Whole, key: str = "k") -> bytes:
    """A PUT by somebody who may, up to the fields that say how its body is framed."""
    head = whole.client().head("PUT", f"/data/{key}", payload=UNSIGNED)
    return lines(head, ("x-canary", CANARY.decode()))


def get(whole: Whole, key: str = "k", *more: tuple[str, str]) -> bytes:
    return lines(whole.client().head("GET", f"/data/{key}"), *more) + b"\r\n"


def hidden(whole: Whole) -> bytes:
    """A whole request that would store an object, were it read as one."""
    return put(whole, "hidden") + b"content-length: 3\r\n\r\nabc"


async def until_closed(whole: Whole, *parts: bytes) -> bytes:
    """What the gateway says before it closes the connection, as it must."""
    connection = await whole.connect()
    said = bytearray()
    try:
        for part in parts:
            connection.writer.write(part)
            await asyncio.sleep(0.01 if len(parts) > 1 else 0)
        async with asyncio.timeout(TIMEOUT):
            while data := await connection.reader.read(65536):
                said += data
    except ConnectionError:
        pass  # it was reset for bytes that nobody read
    except TimeoutError:
        pytest.fail(f"still open after {parts} was answered {bytes(said)!r}")
    return bytes(said)


async def answers(said: bytes, *methods: str) -> list[Reply]:
    """The answers in what was said, the methods being those of their requests."""
    reader = asyncio.StreamReader(limit=2**20)
    reader.feed_data(said)
    reader.feed_eof()
    connection = Connection(reader, None)  # type: ignore[arg-type]  # nothing is written
    found: list[Reply] = []
    while not reader.at_eof():
        found.append(await connection.reply(methods[len(found)] if methods else "GET"))
    return found


async def refused(whole: Whole, raw: bytes, what: object) -> Reply:
    """One refusal and the end of the connection; nothing echoed, logged, or seen upstream (HTTP-9, LOG-1)."""
    said = await until_closed(whole, raw)
    found = await answers(said)
    assert len(found) == 1, (what, found)
    assert 400 <= found[0].status <= 505, (what, found)
    assert found[0].status != 500, (what, found)
    assert CANARY not in said, (what, said)
    assert whole.upstream.seen == [], what
    assert whole.upstream.objects == {}, what
    return found[0]


# Framing

BODY = b"3\r\nabc\r\n0\r\n\r\n"  # as chunks
TWO_READINGS = {
    "length and chunks": (b"content-length: 3\r\ntransfer-encoding: chunked\r\n", BODY),
    "chunks and length": (b"transfer-encoding: chunked\r\ncontent-length: 3\r\n", BODY),
    "chunks and no length": (b"transfer-encoding: chunked\r\ncontent-length: 0\r\n", BODY),
    "two equal lengths": (b"content-length: 3\r\ncontent-length: 3\r\n", b"abc"),
    "two lengths": (b"content-length: 3\r\ncontent-length: 0\r\n", b"abc"),
    "a list of lengths": (b"content-length: 3, 3\r\n", b"abc"),
    "plus": (b"content-length: +3\r\n", b"abc"),
    "minus": (b"content-length: -3\r\n", b"abc"),
    "hexadecimal": (b"content-length: 0x3\r\n", b"abc"),
    "underscore": (b"content-length: 1_0\r\n", b"abcdefghij"),
    "space inside": (b"content-length: 3 3\r\n", b"abc"),
    "no digits": (b"content-length: \r\n", b"abc"),
    "a fraction": (b"content-length: 3.0\r\n", b"abc"),
    "past 64 bits": (b"content-length: 18446744073709551619\r\n", b"abc"),
    "other digits": ("content-length: \u0663\r\n".encode(), b"abc"),
    "identity": (b"transfer-encoding: identity\r\n", b""),
    "gzip, chunked": (b"transfer-encoding: gzip, chunked\r\n", BODY),
    "chunked, gzip": (b"transfer-encoding: chunked, gzip\r\n", BODY),
    "chunked, identity": (b"transfer-encoding: chunked, identity\r\n", BODY),
    "identity, chunked": (b"transfer-encoding: identity, chunked\r\n", BODY),
    "chunked, chunked": (b"transfer-encoding: chunked, chunked\r\n", BODY),
    "chunked twice": (b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", BODY),
    "chunked and identity": (b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", BODY),
    "xchunked": (b"transfer-encoding: xchunked\r\n", BODY),
    "chunked with a parameter": (b"transfer-encoding: chunked;q=1\r\n", BODY),
    "quoted": (b'transfer-encoding: "chunked"\r\n', BODY),
    "a vertical tab": (b"transfer-encoding: \x0bchunked\r\n", BODY),
    "an empty coding": (b"transfer-encoding: \r\n", BODY),
    "a comma": (b"transfer-encoding: , chunked\r\n", BODY),
    "space before the colon": (b"transfer-encoding : chunked\r\n", BODY),
    "space before the length's colon": (b"content-length : 3\r\n", b"abc"),
    "a folded coding": (b"transfer-encoding:\r\n chunked\r\n", BODY),
    "length with an underscore too": (b"content-length: 0\r\ncontent_length: 3\r\n", b""),
    "coding with an underscore too": (b"transfer-encoding: chunked\r\ntransfer_encoding: x\r\n", BODY),
}  # fmt: skip


async def test_http_2_a_body_with_two_readings_is_refused(
    whole: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever two parsers may frame differently ends the connection, and what hid behind it is never read."""
    caplog.set_level(logging.DEBUG)
    for what, (fields, body) in TWO_READINGS.items():
        await refused(whole, put(whole) + fields + b"\r\n" + body + hidden(whole), what)
    assert CANARY.decode() not in caplog.text


async def test_http_2_chunks_on_http_1_0_are_refused(whole: Whole) -> None:
    """HTTP/1.0 has no transfer coding: a proxy of that age would see no body there."""
    head = put(whole).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
    await refused(whole, head + b"transfer-encoding: chunked\r\n\r\n" + BODY + hidden(whole), "1.0")


# Lines and fields

LINES = {
    "folded": b"x-a: b\r\n c\r\n",
    "folded by a tab": b"x-a: b\r\n\tc\r\n",
    "line feed alone": b"x-a: b\nx-b: c\r\n",
    "line feed before the end": b"x-a: b\r\n\n",
    "carriage return alone": b"x-a: b\rx-b: c\r\n",
    "carriage return in a name": b"x-a\r: b\r\n",
    "space before the colon": b"x-a : b\r\n",
    "tab before the colon": b"x-a\t: b\r\n",
    "space in a name": b"x a: b\r\n",
    "bracket in a name": b"x(a: b\r\n",
    "8 bits in a name": b"x-\xc3\xa9: b\r\n",
    "NUL in a name": b"x-\0a: b\r\n",
    "NUL in a value": b"x-a: b\0c\r\n",
    "control in a value": b"x-a: b\x01\r\n",
    "DEL in a value": b"x-a: b\x7f\r\n",
    "no colon": b"x-a\r\n",
    "no name": b": b\r\n",
}


async def test_http_2_lines_with_two_readings_are_refused(
    whole: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    """Folding, bare line ends, controls and names that are no tokens: 400, in a head otherwise good."""
    caplog.set_level(logging.DEBUG)
    for what, evil in LINES.items():
        raw = put(whole) + evil + b"content-length: 3\r\n\r\nabc" + hidden(whole)
        await refused(whole, raw, what)
        first, rest = raw.split(b"\r\n", 1)
        await refused(whole, first + b"\r\n" + evil + rest, (what, "as the first field"))
    everywhere = put(whole).replace(b"\r\n", b"\n") + b"\n"
    await refused(whole, everywhere + hidden(whole), "line feeds alone")
    assert CANARY.decode() not in caplog.text


async def test_aio_14_bytes_that_are_no_utf8_are_refused(whole: Whole) -> None:
    """They would vanish on their way out, and what was signed would not be what is stored."""
    evil = b"x-amz-meta-a: a\xceb\r\ncontent-length: 3\r\n\r\nabc"
    await refused(whole, put(whole) + evil + hidden(whole), "a\\xceb")


START_LINES = {
    "controls": b"GET /data/\x01 HTTP/1.1",
    "NUL": b"GET /data/k\0 HTTP/1.1",
    "8 bits": b"GET /data/\xc3\xa9 HTTP/1.1",
    "a space": b"GET /data/a b HTTP/1.1",
    "a tab": b"GET /data/a\tb HTTP/1.1",
    "a star": b"GET * HTTP/1.1",
    "no slash": b"GET data/k HTTP/1.1",
    "no target": b"GET  HTTP/1.1",
    "lower case": b"get /data/k HTTP/1.1",
    "no method of ours": b"BREW /data/k HTTP/1.1",
    "no version": b"GET /data/k",
    "HTTP/0.9": b"GET /data/k HTTP/0.9",
    "HTTP/1.2": b"GET /data/k HTTP/1.2",
    "HTTP/1.10": b"GET /data/k HTTP/1.10",
    "HTTP/2.0": b"GET /data/k HTTP/2.0",
    "HTTP/11": b"GET /data/k HTTP/11",
    "http in lower case": b"GET /data/k http/1.1",
    "another protocol": b"GET /data/k ICAP/1.0",
    "space in front": b" GET /data/k HTTP/1.1",
    "space behind": b"GET /data/k HTTP/1.1 ",
    "a carriage return inside": b"GET /data/k\r HTTP/1.1",
    "another host": b"GET http://evil.example/data/k HTTP/1.1",
    "user info": b"GET http://a@HOST/data/k HTTP/1.1",
    "another scheme": b"GET ftp://HOST/data/k HTTP/1.1",
    "an authority": b"CONNECT HOST HTTP/1.1",
    "another authority": b"CONNECT evil.example:443 HTTP/1.1",
    "a fragment": b"GET /data/k#x HTTP/1.1",
    "TRACE": b"TRACE /data/k HTTP/1.1",
}


async def test_http_2_3_start_lines_are_read_strictly(
    whole: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    """Method, target and version as HTTP writes them, and no target of another host (PTH-12)."""
    caplog.set_level(logging.DEBUG)
    await whole.signed("PUT", "/data/k", b"object")
    whole.upstream.objects.clear()
    whole.upstream.seen.clear()
    for what, line in START_LINES.items():
        _, _, fields = get(whole, "k", ("connection", "close"), ("x-canary", CANARY.decode())).partition(b"\r\n")  # fmt: skip
        await refused(whole, line.replace(b"HOST", whole.host.encode()) + b"\r\n" + fields, what)
    assert CANARY.decode() not in caplog.text


async def test_http_2_what_is_no_http_is_refused(whole: Whole) -> None:
    """The preface of HTTP/2, a TLS hello and noise: an error at most, and the end."""
    for raw in (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
        b"\xff\xfe\xfd\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\0" * 1000,
    ):
        await refused(whole, raw, raw)


async def test_http_4_one_host_and_a_host_it_must_be(whole: Whole) -> None:
    """None, two, a list, user info, a path: 400 before anything is looked up."""
    ours = f"host: {whole.host}\r\n".encode()
    good = get(whole, "k", ("connection", "close"))
    assert ours in good
    for hosts in (
        b"",
        ours + ours,
        ours + b"host: evil.example\r\n",
        b"host: \r\n",
        b"host: " + whole.host.encode() + b", evil.example\r\n",
        b"host: a@" + whole.host.encode() + b"\r\n",
        b"host: evil.example/" + whole.host.encode() + b"\r\n",
        b"host: " + whole.host.encode() + b"#\r\n",
        b"host: a..b\r\n",
        b"host: a.example.\r\n",
        "host: b\u00fccher.example\r\n".encode(),
        b"host: 127.0.0.1:99999999\r\n",
        b"host: [::1\r\n",
        b"host: [::1]:x\r\n",
    ):
        reply = await refused(whole, good.replace(ours, hosts), hosts)
        assert reply.status == 400, (hosts, reply)


# Sizes

TOO_LARGE = {
    "target": lambda head: head.replace(b" /data/k", b" /data/" + b"k" * 40_000),
    "value": lambda head: head + b"x-a: " + b"v" * 40_000 + b"\r\n",
    "name": lambda head: head + b"n" * 40_000 + b": 1\r\n",
    "number of fields": lambda head: head + b"".join(b"x-%d: 1\r\n" % n for n in range(300)),
    "whole head": lambda head: head + b"".join(b"x-%d: %b\r\n" % (n, b"v" * 20_000) for n in range(5)),
}  # fmt: skip


async def test_http_5_heads_are_bounded(whole: Whole, caplog: pytest.LogCaptureFixture) -> None:
    """32 KiB a line, 256 fields, 64 KiB in all; past that a refusal which repeats nothing."""
    caplog.set_level(logging.DEBUG)
    for what, grown in TOO_LARGE.items():
        raw = grown(put(whole)) + b"content-length: 3\r\n\r\nabc" + hidden(whole)
        reply = await refused(whole, raw, what)
        assert reply.status in (400, 414, 431), (what, reply)
        assert len(reply.body) < 2000, (what, reply)
    assert CANARY.decode() not in caplog.text


async def test_http_5_a_line_without_end_is_not_collected(whole: Whole) -> None:
    """Megabytes of a field that never ends are cut off early."""
    connection = await whole.connect()
    sent = 0
    with pytest.raises(ConnectionError):
        connection.writer.write(put(whole) + b"x-a: ")
        async with asyncio.timeout(TIMEOUT):
            while sent < 64 * 2**20:
                connection.writer.write(b"v" * 65536)
                await connection.writer.drain()
                sent += 65536
    assert whole.upstream.seen == []


async def test_http_5_heads_of_honest_clients_fit(whole: Whole) -> None:
    """12 KB of cookies of other programs, a long session token, two hundred fields."""
    await whole.signed("PUT", "/data/k", b"object")
    more = [("cookie", f"other={'c' * 12_000}"), ("x-long", "v" * 30_000)]
    many = [(f"x-{n}", "1") for n in range(200)]
    for fields in (more, many):
        found = await answers(await until_closed(whole, get(whole, "k", ("connection", "close"), *fields)))  # fmt: skip
        assert [(one.status, one.body) for one in found] == [(200, b"object")]


# One connection, many requests


async def test_requests_that_come_together_are_answered_in_order(whole: Whole) -> None:
    """Pipelined: each answer is that of its own request, the last one closes."""
    store = put(whole) + b"content-length: 6\r\n\r\nobject"
    head = lines(whole.client().head("HEAD", "/data/k")) + b"\r\n"
    missing = get(whole, "missing")
    last = get(whole, "k", ("connection", "close"))
    raw = store + get(whole) + head + missing + get(whole) * 20 + last
    found = await answers(await until_closed(whole, raw), "PUT", "GET", "HEAD", *["GET"] * 22)
    assert [one.status for one in found] == [200, 200, 200, 404, *[200] * 21]
    assert found[1].body == found[-1].body == b"object"
    assert found[2].header("content-length") == "6"


async def test_requests_cut_anywhere_are_the_same(whole: Whole) -> None:
    """One byte at a time, and cut in two at every place."""
    store = put(whole) + b"content-length: 6\r\n\r\nobject"
    last = get(whole, "k", ("connection", "close"))
    raw = store + last
    pieces = [bytes([one]) for one in raw]
    connection = await whole.connect()
    for piece in pieces:
        connection.writer.write(piece)
        await asyncio.sleep(0)
    assert [(await connection.reply("PUT")).status, (await connection.reply()).body] == [200, b"object"]  # fmt: skip
    for place in range(1, len(raw), 7):
        connection = await whole.connect()
        connection.writer.write(raw[:place])
        await asyncio.sleep(0.001)
        connection.writer.write(raw[place:])
        stored, got = await connection.reply("PUT"), await connection.reply()
        assert (stored.status, got.status, got.body) == (200, 200, b"object"), place
        connection.close()


async def test_a_connection_goes_on_after_each_kind_of_refusal(whole: Whole) -> None:
    """A refusal of a request without a body costs no connection, and leaves nothing of itself on it."""
    await whole.signed("PUT", "/data/k", b"object")
    client = whole.client()
    etag = (await whole.signed("GET", "/data/k")).header("etag")
    forged = lines(client.head("GET", "/data/k")).replace(b"Signature=", b"Signature=0")
    host = f"host: {whole.host}\r\n\r\n".encode()
    asked: list[tuple[int, str, bytes]] = [
        (403, "GET", b"GET /data/k HTTP/1.1\r\n" + host),
        (403, "HEAD", b"HEAD /data/k HTTP/1.1\r\n" + host),
        (400, "GET", forged + b"\r\n"),
        (404, "GET", get(whole, "missing")),
        (404, "HEAD", lines(client.head("HEAD", "/data/missing")) + b"\r\n"),
        (403, "GET", lines(client.head("GET", "/nobodys/k")) + b"\r\n"),
        (403, "DELETE", lines(whole.client(READER).head("DELETE", "/data/k")) + b"\r\n"),
        (400, "GET", b"GET /data/../k HTTP/1.1\r\n" + host),
        (400, "GET", b"GET /d%2Fa/k HTTP/1.1\r\n" + host),
        (501, "GET", lines(client.head("GET", "/data/k", [("foo", "")])) + b"\r\n"),
        (403, "OPTIONS", b"OPTIONS /data/k HTTP/1.1\r\n" + host),
        (304, "GET", get(whole, "k", ("if-none-match", etag))),
        (412, "GET", get(whole, "k", ("if-match", '"x"'))),
        (416, "GET", get(whole, "k", ("range", "bytes=99-"))),
        (206, "GET", get(whole, "k", ("range", "bytes=1-2"))),
        (401, "GET", b"GET /api/session HTTP/1.1\r\n" + host),
        (401, "HEAD", b"HEAD /api/session HTTP/1.1\r\n" + host),
        (404, "GET", b"GET /api/nothing HTTP/1.1\r\n" + host),
        (405, "DELETE", b"DELETE /api/openapi.json HTTP/1.1\r\n" + host),
        (302, "GET", b"GET / HTTP/1.1\r\naccept: text/html\r\n" + host),
        (200, "HEAD", b"HEAD /api/openapi.json HTTP/1.1\r\n" + host),
    ]
    connection = await whole.connect()
    for status, method, raw in asked:
        connection.writer.write(raw)
        reply = await connection.reply(method)
        assert reply.status == status, (raw, reply)
        assert reply.whole, (raw, reply)
        assert reply.header("connection") != "close", (raw, reply)
        connection.writer.write(get(whole))
        after = await connection.reply()
        assert (after.status, after.body) == (200, b"object"), (raw, after)


async def test_head_is_answered_without_a_body_everywhere(whole: Whole) -> None:
    """Not one byte follows the head, whoever answers, so that the next answer is read as itself."""
    await whole.signed("PUT", "/data/k", b"object")
    client = whole.client()
    host, html = ("host", whole.host), ("accept", "text/html")
    heads = [
        lines(client.head("HEAD", "/data/k")),
        lines(client.head("HEAD", "/data/missing")),
        lines(client.head("HEAD", "/data")),
        lines(client.head("HEAD", "/nobodys")),
        lines(client.head("HEAD", "/data/../k")),
        lines(client.head("HEAD", "/data/k", [("foo", "")])),
        *(
            lines(RequestHead(method="HEAD", target=target, headers=Headers([host, *more])))
            for target in ("/", "/data/k", "/ui/", "/ui/nothing", "/api/session", "/api/nothing", "/api/openapi.json", "/api/session/check", "/ui/s/x")
            for more in ((), (html,))
        ),
    ]  # fmt: skip
    for head in heads:
        said = await until_closed(whole, head + b"connection: close\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 "), (head, said)
        assert said.partition(b"\r\n\r\n")[2] == b"", (head, said)


@pytest.mark.parametrize("when", ["at once", "later"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_exp_2_a_refused_body_is_never_read_as_a_request(
    whole: Whole, when: str, framing: str
) -> None:
    """Drained or cut off: the request that hides in the body of a refused one is not done."""
    body = hidden(whole)
    host = f"host: {whole.host}\r\n".encode()
    if framing == "length":
        how, data = b"content-length: %d\r\n\r\n" % len(body), body
    else:
        how, data = b"transfer-encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)  # fmt: skip
    forged = put(whole).replace(b"Signature=", b"Signature=0")
    for line in (
        forged,
        b"PUT /data/k HTTP/1.1\r\n" + host,
        b"PUT /data/../k HTTP/1.1\r\n" + host,
        b"POST /api/keys HTTP/1.1\r\n" + host,
        b"POST /api/nothing HTTP/1.1\r\n" + host,
        b"PATCH /data/k HTTP/1.1\r\n" + host,
        b"GET /data/k HTTP/1.1\r\n" + host,
        b"OPTIONS /data/k HTTP/1.1\r\n" + host,
        b"GET /api/session HTTP/1.1\r\n" + host,
        b"POST /?Action=GetCallerIdentity&Version=2011-06-15 HTTP/1.1\r\n" + host,
    ):
        last = get(whole, "none", ("connection", "close"))
        parts = (line + how + data + last,) if when == "at once" else (line + how, data + last)
        found = await answers(await until_closed(whole, *parts))
        assert 1 <= len(found) <= 2, (line, found)
        assert found[0].status >= 400, (line, found)
        if len(found) == 1 and when == "later":
            assert found[0].header("connection") == "close", (line, found)
        elif len(found) == 2:
            assert (found[1].status, found[1].code) == (404, "NoSuchKey"), (line, found)
        assert whole.upstream.objects == {}, line
        assert {one.path for one in whole.upstream.seen} <= {"/real/team/none"}, line


async def test_upgrades_are_not_taken(whole: Whole) -> None:
    """A client that offers another protocol is answered in this one, and so is what follows."""
    await whole.signed("PUT", "/data/k", b"object")
    for more in (
        (("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "eA==")),
        (("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMA")),
    ):
        connection = await whole.connect()
        for raw in (get(whole, "k", *more), get(whole)):
            connection.writer.write(raw)
            reply = await connection.reply()
            assert (reply.status, reply.body) == (200, b"object"), more
            assert "upgrade" not in reply.header("connection").lower()


async def test_http_1_0_gets_what_it_can_read(whole: Whole) -> None:
    """No chunks, and the connection goes on only for who asks for it."""
    await whole.signed("PUT", "/data/k", b"object")
    old = get(whole).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
    found = await answers(await until_closed(whole, old))
    assert [(one.status, one.body) for one in found] == [(200, b"object")]
    kept = old.replace(b"\r\n\r\n", b"\r\nconnection: keep-alive\r\n\r\n")
    found = await answers(await until_closed(whole, kept + kept + old))
    assert [(one.status, one.body) for one in found] == [(200, b"object")] * 3
    listing = whole.client().head("GET", "/data", [("list-type", "2")])

    async def listed(seen: object, wire: object) -> None:
        document = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        await wire.say(200, "content-type: application/xml\r\n", document)  # type: ignore[attr-defined]

    whole.upstream.scripts.append(listed)
    raw = lines(listing).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1) + b"\r\n"
    said = await until_closed(whole, raw)
    assert b"transfer-encoding" not in said.lower()
    assert said.endswith(b"</ListBucketResult>")


async def test_empty_lines_before_a_request_are_skipped(whole: Whole) -> None:
    """RFC 9112 section 2.2: old clients end a POST with one too many."""
    await whole.signed("PUT", "/data/k", b"object")
    found = await answers(await until_closed(whole, b"\r\n" + get(whole, "k", ("connection", "close"))))  # fmt: skip
    assert [one.body for one in found] == [b"object"]


# Chunks

EVIL_CHUNKS = {
    "hexadecimal prefix": b"0x5\r\nabcde\r\n0\r\n\r\n",
    "plus": b"+5\r\nabcde\r\n0\r\n\r\n",
    "minus": b"-5\r\nabcde\r\n0\r\n\r\n",
    "underscore": b"1_0\r\nabcdefghijklmnop\r\n0\r\n\r\n",
    "space in front": b" 5\r\nabcde\r\n0\r\n\r\n",
    "no size": b"\r\nabcde\r\n0\r\n\r\n",
    "a size past 64 bits": b"10000000000000005\r\nabcde\r\n0\r\n\r\n",
    "a size of sixteen f": b"ffffffffffffffff\r\nabcde\r\n0\r\n\r\n",
    "no hexadecimal": b"5g\r\nabcde\r\n0\r\n\r\n",
    "line feed alone after the size": b"5\nabcde\r\n0\r\n\r\n",
    "line feed alone after the data": b"5\r\nabcde\n0\r\n\r\n",
    "nothing after the data": b"5\r\nabcde0\r\n\r\n",
    "one byte too many": b"5\r\nabcdef\r\n0\r\n\r\n",
    "line feed in an extension": b"5;a=b\nc\r\nabcde\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a=\0\r\nabcde\r\n0\r\n\r\n",
    "a trailer that is no field": b"5\r\nabcde\r\n0\r\nx a: b\r\n\r\n",
    "a length in the trailer": b"5\r\nabcde\r\n0\r\ncontent-length: 9\r\n\r\n",
    "a coding in the trailer": b"5\r\nabcde\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
    "a folded trailer": b"5\r\nabcde\r\n0\r\nx-a: b\r\n c\r\n\r\n",
}  # fmt: skip


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)


@pytest.mark.parametrize("whole", [{"payload": "decode"}], indirect=True)
async def test_http_2_chunks_are_read_strictly(whole: Whole) -> None:
    """A chunk with two readings stores nothing, and nothing behind it is read."""
    head, parts = framed(whole)
    base = lines(head, ("transfer-encoding", "chunked"), ("x-canary", CANARY.decode())) + b"\r\n"
    body = b"".join(parts)
    honest = await answers(await until_closed(whole, base.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + chunked(body)))  # fmt: skip
    assert (honest[0].status, whole.stored("/real/team/k")) == (200, OBJECT)
    whole.upstream.objects.clear()
    begun = b"%x\r\n%b\r\n" % (len(body), body)
    for what, evil in EVIL_CHUNKS.items():
        for raw in (base + evil, base + begun + evil):
            said = await until_closed(whole, raw + hidden(whole))
            found = await answers(said)
            assert len(found) <= 1, (what, found)
            assert all(400 <= one.status < 500 for one in found), (what, found)
            assert CANARY not in said, what
            assert whole.upstream.objects == {}, what
    assert not any(one.path.endswith("hidden") for one in whole.upstream.seen)


@pytest.mark.parametrize("whole", [{"payload": "decode"}], indirect=True)
async def test_http_2_extensions_and_trailers_mean_nothing(whole: Whole) -> None:
    """Chunk extensions are skipped; a trailer is no header, whatever it is called."""
    head, parts = framed(whole)
    body = b"".join(parts)
    raw = lines(head, ("transfer-encoding", "chunked"), ("connection", "close")) + b"\r\n"
    raw += b'%x;a=b;c="d"\r\n%b\r\n' % (len(body), body)
    raw += b"0;e\r\nx-amz-meta-late: 1\r\nx-amz-acl: public-read\r\nhost: evil\r\n\r\n"
    found = await answers(await until_closed(whole, raw))
    assert [one.status for one in found] == [200]
    assert whole.stored("/real/team/k") == OBJECT
    assert not {"x-amz-meta-late", "x-amz-acl"} & {name for name, _ in whole.upstream.seen[-1].headers}  # fmt: skip


@pytest.mark.parametrize(
    "whole", [{"payload": "decode", "server": "body_timeout: 1s"}], indirect=True
)
@pytest.mark.parametrize("where", ["extension", "size", "trailer"])
async def test_dos_4_chunk_lines_are_bounded(whole: Whole, where: str) -> None:
    """An extension, a size or a trailer without end does not fill memory, nor is it read for ever."""
    head, parts = framed(whole)
    body = b"".join(parts)
    raw = lines(head, ("transfer-encoding", "chunked")) + b"\r\n"
    raw += {"extension": b"5;a=", "size": b"", "trailer": b"%x\r\n%b\r\n0\r\nx-a: " % (len(body), body)}[where]  # fmt: skip
    connection = await whole.connect()
    connection.writer.write(raw)
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(TIMEOUT):
            while True:
                connection.writer.write(b"0" * 65536)
                await connection.writer.drain()
                await asyncio.sleep(0.001)
    if where != "trailer":
        assert whole.upstream.objects == {}


# Expect


async def test_exp_1_a_refusal_comes_instead_of_the_invitation(whole: Whole) -> None:
    """Whoever is refused is not invited, and the connection is closed at once: no body will come."""
    host = f"host: {whole.host}\r\n".encode()
    fields = b"expect: 100-continue\r\ncontent-length: 5000000000\r\n\r\n"
    began = asyncio.get_running_loop().time()
    for line in (
        put(whole).replace(b"Signature=", b"Signature=0"),
        b"PUT /data/k HTTP/1.1\r\n" + host,
        b"PUT /data/../k HTTP/1.1\r\n" + host,
        lines(whole.client(READER).head("PUT", "/data/k", payload=UNSIGNED)),
        b"POST /api/keys HTTP/1.1\r\n" + host,
        b"POST /api/nothing HTTP/1.1\r\n" + host,
        b"PATCH /data/k HTTP/1.1\r\n" + host,
    ):
        (reply,) = await answers(await until_closed(whole, line + fields))
        assert reply.status >= 400, (line, reply)
        assert reply.interim == [], (line, reply)
        assert reply.header("connection") == "close", (line, reply)
    assert asyncio.get_running_loop().time() - began < 5
    assert whole.upstream.seen == []


@pytest.mark.parametrize("word", ["100-continue", "100-Continue", "100-CONTINUE"])
async def test_exp_4_the_invitation_in_any_case(whole: Whole, word: str) -> None:
    """rclone writes it with a capital letter; it is sent once, after the decision."""
    connection = await whole.connect()
    raw = put(whole) + f"expect: {word}\r\ncontent-length: 6\r\n\r\n".encode()
    connection.writer.write(raw)
    async with asyncio.timeout(TIMEOUT):
        said = await connection.reader.readuntil(b"\r\n\r\n")
    assert said == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.writer.write(b"object")
    assert (await connection.reply("PUT")).status == 200
    connection.writer.write(get(whole))
    assert (await connection.reply()).body == b"object"


async def test_exp_3_who_does_not_wait_needs_no_invitation(whole: Whole) -> None:
    """Body bytes are there already, or there are none to come: at most the answer is said."""
    for fields in (b"content-length: 6\r\n\r\nobject", b"content-length: 0\r\n\r\n"):
        raw = put(whole) + b"connection: close\r\nexpect: 100-continue\r\n" + fields
        (reply,) = await answers(await until_closed(whole, raw))
        assert (reply.status, reply.interim) == (200, []), fields
    raw = get(whole, "k", ("connection", "close"), ("expect", "100-continue"))
    (reply,) = await answers(await until_closed(whole, raw))
    assert (reply.status, reply.interim) == (200, [])


async def test_exp_4_http_1_0_is_not_invited(whole: Whole) -> None:
    """RFC 9110 section 10.1.1: such a client cannot read it; its body is taken all the same."""
    old = put(whole).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
    parts = (old + b"expect: 100-continue\r\ncontent-length: 6\r\n\r\n", b"object")
    (reply,) = await answers(await until_closed(whole, *parts))
    assert (reply.status, reply.interim) == (200, [])


async def test_exp_4_another_expectation_is_not_looked_at(whole: Whole) -> None:
    """S3 takes such uploads; nothing is promised by it, and nothing of it goes upstream (EXP-5)."""
    for value in (b"200", b"", b"100-continue, x", b"100-continue;a"):
        raw = put(whole) + b"expect: " + value + b"\r\ncontent-length: 3\r\n\r\nabc"
        connection = await whole.connect()
        connection.writer.write(raw)
        reply = await connection.reply("PUT")
        assert (reply.status, reply.interim) == (200, []), value


# Slow and early


@pytest.mark.parametrize("whole", [{"server": "header_timeout: 1s"}], indirect=True)
@pytest.mark.parametrize("how", ["silent", "half a head", "dripping", "dripping after a request"])
async def test_dos_1_a_head_has_its_time(whole: Whole, how: str) -> None:
    """A connection that says nothing, or its head byte by byte, does not stay."""
    connection = await whole.connect()
    if how == "dripping after a request":
        connection.writer.write(get(whole))
        assert (await connection.reply()).status == 404
    raw = get(whole)
    began = asyncio.get_running_loop().time()
    if how == "half a head":
        connection.writer.write(raw[:50])
    drip = iter(raw) if how.startswith("dripping") else iter(())
    async with asyncio.timeout(5):
        closed = asyncio.ensure_future(connection.reader.read())
        while not closed.done():
            if (byte := next(drip, None)) is not None:
                connection.writer.write(bytes([byte]))
            await asyncio.wait([closed], timeout=0.1)
    assert 0.5 < asyncio.get_running_loop().time() - began < 4
    assert len(whole.upstream.seen) <= 1


@pytest.mark.parametrize("whole", [{"server": "body_timeout: 1s"}], indirect=True)
@pytest.mark.parametrize("begun", [b"", b"abc"])
async def test_dos_2_aio_18_a_body_that_stalls_is_given_up(whole: Whole, begun: bytes) -> None:
    """T34: the client is told, its connection closed, the upstream cut off, nothing stored, the slot freed."""
    raw = put(whole) + b"content-length: 1000\r\n\r\n" + begun
    (reply,) = await answers(await until_closed(whole, raw))
    assert (reply.status, reply.code) == (400, "RequestTimeout")
    async with asyncio.timeout(2):
        for one in whole.upstream.seen:
            await one.left.wait()
    assert whole.upstream.objects == {}
    assert not any(one.whole for one in whole.upstream.seen)
    assert (await whole.signed("PUT", "/data/k", b"next")).status == 200


async def test_fwd_16_a_client_that_leaves_early_stops_the_upstream(whole: Whole) -> None:
    """Before any answer: the request upstream is dropped within a second, by FIN and by RST."""
    for reset in (False, True):
        arrived = asyncio.Event()

        async def hang(seen: object, wire: object, arrived: asyncio.Event = arrived) -> None:
            arrived.set()
            await wire.reader.read()  # type: ignore[attr-defined]  # until the gateway leaves

        whole.upstream.scripts.append(hang)
        connection = await whole.connect()
        connection.writer.write(get(whole))
        async with asyncio.timeout(TIMEOUT):
            await arrived.wait()
        connection.reset() if reset else connection.close()
        async with asyncio.timeout(1):
            await whole.upstream.seen[-1].left.wait()


async def test_a_client_that_closes_its_half_is_answered_or_let_go(whole: Whole) -> None:
    """`printf … | nc`: a whole answer or none, and in any case the end of the connection."""
    await whole.signed("PUT", "/data/k", b"object")
    connection = await whole.connect()
    connection.writer.write(get(whole))
    connection.writer.write_eof()
    async with asyncio.timeout(TIMEOUT):
        said = await connection.reader.read()
    assert [one.body for one in await answers(said)] in ([], [b"object"])


async def test_dos_4_who_reads_no_answers_is_not_read_on(whole: Whole) -> None:
    """Requests without end from somebody who takes nothing: they wait in the network, not in memory."""
    await whole.signed("PUT", "/data/k", b"x" * 20_000)
    requests = get(whole) * 50
    connection = await whole.connect()
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 64 * 2**20:
            connection.writer.write(requests)
            async with asyncio.timeout(1):
                await connection.writer.drain()
            sent += len(requests)
    assert sent < 32 * 2**20
    answered = len(whole.upstream.seen)
    await asyncio.sleep(0.2)
    assert len(whole.upstream.seen) == answered
    connection.reset()
