"""Upstreams that lie, die, dawdle or gossip: the client never has a false whole, nor a name of theirs."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.verifying_upstream import Script, Seen, Stored, Wire
from tests.server.whole_gateway import Whole, whole_gateway


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_gateway(tmp_path) as made:
        yield made


def answers(status: int, headers: str = "", body: bytes = b"") -> Script:
    async def script(seen: Seen, wire: Wire) -> None:
        await wire.say(status, headers + "connection: close\r\n", body)

    return script


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>real/team of upstream</Message><Key>team/k</Key><BucketName>real</BucketName></Error>".encode()


@pytest.mark.parametrize("short", [1, 50_000, 100_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_aio_16_a_dying_upstream_never_looks_whole(
    whole: Whole, short: int, framing: str
) -> None:
    """T37: after the head, in the middle, or one byte early: the client sees that something is missing."""
    data = b"d" * 100_000

    async def dies(seen: Seen, wire: Wire) -> None:
        if framing == "length":
            await wire.say(200, f"content-length: {len(data)}\r\n", data[:-short], end=False)
        else:
            part = data[:-short]
            body = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
            await wire.say(200, "transfer-encoding: chunked\r\n", body, end=False)

    whole.upstream.scripts.append(dies)
    reply = await whole.signed("GET", "/data/k")
    assert reply.status >= 500 or not reply.whole


async def test_exp_6_an_early_answer_reaches_the_client(whole: Whole) -> None:
    """T36: the upstream refuses after the head of an upload that would take hours."""
    whole.upstream.scripts.append(answers(403, "", error("AccessDenied")))
    head = whole.client().head("PUT", "/data/k", payload="UNSIGNED-PAYLOAD")
    connection = await whole.connect()
    await connection.send(head, b"x" * 200_000, ("content-length", str(5 * 2**30)))
    async with asyncio.timeout(2):
        reply = await connection.reply("PUT")
    assert reply.status == 403
    assert reply.header("connection") == "close"
    assert b"real" not in reply.body


async def test_aio_18_a_client_that_leaves_is_felt_upstream(whole: Whole) -> None:
    """A download that nobody takes any more ends within a second."""

    async def dawdles(seen: Seen, wire: Wire) -> None:
        await wire.say(200, "content-length: 1000000\r\n", b"x" * 1000, end=False)
        await wire.reader.read()  # until the other side leaves

    whole.upstream.scripts.append(dawdles)
    connection = await whole.connect()
    await connection.send(whole.client().head("GET", "/data/k"))
    await connection.reader.readuntil(b"\r\n\r\n")
    connection.reset()
    async with asyncio.timeout(1):
        await whole.upstream.seen[0].left.wait()


async def test_fwd_3_hostile_headers_do_not_cross(whole: Whole) -> None:
    """T57: cookies, CORS, redirects, server names and what is unknown stay behind."""
    lines = (
        "set-cookie: a=b\r\naccess-control-allow-origin: *\r\nlocation: http://evil/\r\n"
        "x-amz-id-2: gossip\r\nserver: Upstream/1\r\nx-secret: 1\r\nstrict-transport-security: x\r\n"
        "x-amz-meta-kept: yes\r\n"
    )
    whole.upstream.scripts.append(answers(200, lines, b"data"))
    reply = await whole.signed("GET", "/data/k")
    assert (reply.status, reply.body) == (200, b"data")
    assert reply.header("x-amz-meta-kept") == "yes"
    for name in (
        "set-cookie",
        "access-control-allow-origin",
        "location",
        "x-amz-id-2",
        "x-secret",
        "strict-transport-security",
    ):
        assert reply.header(name) == "", name
    assert "Upstream" not in reply.header("server")


@pytest.mark.parametrize("code", ["ExpiredToken", "RequestTimeTooSkewed", "InvalidAccessKeyId"])
async def test_fwd_12_credentials_are_renewed_once(whole: Whole, code: str) -> None:
    """T56: the upstream's word about our signature: asked again once, then 503, never the client's code."""
    await whole.signed("PUT", "/data/k", b"v")
    whole.upstream.scripts.append(answers(403, "", error(code)))
    assert (await whole.signed("GET", "/data/k")).body == b"v"
    whole.upstream.scripts += [answers(403, "", error(code)), answers(403, "", error(code))]
    reply = await whole.signed("GET", "/data/k")
    assert reply.status == 503
    assert code.encode() not in reply.body
    assert len(whole.upstream.seen) == 5


@pytest.mark.parametrize("status", [301, 307])
async def test_fwd_11_redirects_are_not_followed(whole: Whole, status: int) -> None:
    """T55: neither followed nor passed on."""
    lines = "location: http://other.example/real/team/k\r\n"
    whole.upstream.scripts.append(answers(status, lines, error("PermanentRedirect")))
    reply = await whole.signed("GET", "/data/k")
    assert reply.status >= 500
    assert reply.header("location") == ""
    assert b"real" not in reply.body
    assert len(whole.upstream.seen) == 1


async def test_fwd_9_errors_speak_the_clients_names(whole: Whole) -> None:
    """T54: no bucket, key or sentence of the upstream reaches the client."""
    whole.upstream.scripts.append(answers(404, "", error("NoSuchKey")))
    reply = await whole.signed("GET", "/data/k")
    assert (reply.status, reply.code) == (404, "NoSuchKey")
    assert b"team" not in reply.body
    assert b"real" not in reply.body


async def test_fwd_12_an_upstream_that_is_away_is_503(whole: Whole) -> None:
    """Nobody listens: try again later."""

    async def cuts(seen: Seen, wire: Wire) -> None:
        wire.cut()

    whole.upstream.scripts += [cuts, cuts, cuts]
    for method, body in (("PUT", b"x"), ("GET", b"")):
        reply = await whole.signed(method, "/data/k", body)
        assert reply.status == 503
        assert int(reply.header("retry-after")) > 0
    assert len([one for one in whole.upstream.seen if one.method == "PUT"]) == 1


async def test_aio_2_3_encoded_objects_cross_byte_for_byte(whole: Whole) -> None:
    """T35: what is stored compressed is given compressed, and HEAD tells the same length."""
    data = gzip.compress(b"text " * 1000)
    headers = [("content-encoding", "gzip"), ("content-type", "text/plain")]
    assert (await whole.signed("PUT", "/data/k.gz", data, headers=headers)).status == 200
    assert whole.stored("/real/team/k.gz") == data
    got = await whole.signed("GET", "/data/k.gz")
    assert (got.body, got.header("content-encoding")) == (data, "gzip")
    head = await whole.signed("HEAD", "/data/k.gz")
    assert head.header("content-length") == str(len(data))


async def test_aio_5_heads_conditions_and_ranges(whole: Whole) -> None:
    """206, 304, 412, 416, an empty object, and a connection that goes on after each of them."""
    data = b"0123456789"
    await whole.signed("PUT", "/data/k", data)
    etag = f'"{hashlib.md5(data).hexdigest()}"'
    connection = await whole.connect()

    async def ask(method: str = "GET", path: str = "/data/k", *pairs: tuple[str, str]):
        await connection.send(whole.client().head(method, path, headers=pairs))
        return await connection.reply(method)

    assert (await ask("GET", "/data/k", ("if-none-match", etag))).status == 304
    assert (await ask("GET", "/data/k", ("if-match", '"x"'))).status == 412
    part = await ask("GET", "/data/k", ("range", "bytes=2-4"))
    assert (part.status, part.body, part.header("content-range")) == (206, b"234", "bytes 2-4/10")
    assert (await ask("GET", "/data/k", ("range", "bytes=99-"))).status == 416
    assert (await ask("HEAD")).header("content-length") == "10"
    missing = await ask("HEAD", "/data/none")
    assert (missing.status, missing.body) == (404, b"")
    assert (await whole.signed("PUT", "/data/empty", b"")).status == 200
    empty = await ask("GET", "/data/empty")
    assert (empty.status, empty.body, empty.header("content-length")) == (200, b"", "0")


FAKE = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
GIFTS = {
    "after a body": ("GET", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" + FAKE),
    "after the last chunk": (
        "GET",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + FAKE,
    ),
    "a body for HEAD": ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 51\r\n\r\n" + FAKE),
    "a body for 204": ("DELETE", b"HTTP/1.1 204 No Content\r\ncontent-length: 51\r\n\r\n" + FAKE),
    "a body for 304": ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 51\r\n\r\n" + FAKE),
    "two answers": ("PUT", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" + FAKE),
    "a second answer after a refusal": (
        "GET",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n" + FAKE,
    ),
}


@pytest.mark.parametrize("gift", GIFTS)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
async def test_fwd_13_what_nobody_asked_for_is_nobodys_answer(
    whole: Whole, gift: str, late: bool
) -> None:
    """Bytes behind an answer, on a connection that is kept: the next request is not answered by them."""
    method, said = GIFTS[gift]
    first, second = said.removesuffix(FAKE), FAKE

    async def generous(seen: Seen, wire: Wire) -> None:
        wire.writer.write(first + (b"" if late else second))
        await wire.writer.drain()
        if late:
            await asyncio.sleep(0.05)
            wire.writer.write(second)
        await wire.reader.read(1)  # whether the connection is used again, or closed
        wire.cut()

    whole.upstream.scripts.append(generous)
    body = b"x" if method == "PUT" else b""
    await whole.signed(method, "/data/k", body)
    if late:
        await asyncio.sleep(0.1)
    for _ in range(2):
        reply = await whole.signed("GET", "/data/other")
        assert b"poison" not in reply.body, reply
        assert (reply.status, reply.code) == (404, "NoSuchKey"), reply


async def test_fwd_13_interim_answers_have_an_end(whole: Whole) -> None:
    """An upstream that says 103 for ever is given up; what is interim never reaches the client."""

    async def hints(seen: Seen, wire: Wire) -> None:
        wire.writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 3)
        await wire.say(200, "", b"object")

    whole.upstream.scripts.append(hints)
    reply = await whole.signed("GET", "/data/k")
    assert (reply.status, reply.body, reply.interim) == (200, b"object", [])

    async def endless(seen: Seen, wire: Wire) -> None:
        while not wire.writer.is_closing():
            wire.writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 100)
            await wire.writer.drain()
            await asyncio.sleep(0)

    whole.upstream.scripts.append(endless)
    reply = await whole.signed("GET", "/data/k")
    assert reply.status in (502, 504), reply


@pytest.mark.parametrize("how", ["upload", "copy", "download"])
async def test_fwd_12_what_was_begun_is_not_sent_twice(whole: Whole, how: str) -> None:
    """T38: a kept connection dies under the next request: once more without a body, never with one."""
    whole.upstream.objects["/real/team/src"] = Stored(b"object", [])
    begun = bytearray()

    async def dies_at_the_second(seen: Seen, wire: Wire) -> None:
        await wire.say(200, "", b"first")
        begun.extend(await wire.reader.read(65536))
        wire.cut()

    whole.upstream.scripts.append(dies_at_the_second)
    assert (await whole.signed("GET", "/data/first")).body == b"first"
    if how == "upload":
        reply = await whole.signed("PUT", "/data/k", b"x" * 1000)
        assert reply.status == 503, reply
        assert reply.header("retry-after")
        assert whole.stored("/real/team/k") is None
    elif how == "copy":
        copy = [("x-amz-copy-source", "/data/src")]
        reply = await whole.signed("PUT", "/data/k", headers=copy)
        assert (reply.status, whole.stored("/real/team/k")) == (200, b"object")
    else:
        reply = await whole.signed("GET", "/data/src")
        assert (reply.status, reply.body) == (200, b"object")
    assert begun  # the connection was used once more
