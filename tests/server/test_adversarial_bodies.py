"""
Bodies cut, oversized, framed where no frames belong, and raced, against the whole gateway.

Whatever is done to the stream, the object is the one that was signed, or there is none.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.message import RequestHead
from tests.server.framed import OBJECT, SIGNED, crc, framed, sha
from tests.server.whole_gateway import Connection, Whole, whole_gateway


@pytest.fixture
async def whole(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Whole]:
    """Frames go on as frames, or, for tests that ask, are taken off (`payload: decode`)."""
    async with whole_gateway(tmp_path, payload=getattr(request, "param", "passthrough")) as made:
        yield made


both_switches = pytest.mark.parametrize("whole", ["passthrough", "decode"], indirect=True)
where_frames_are_opened = pytest.mark.parametrize(
    ("whole", "signed"),
    [("passthrough", True), ("decode", True), ("decode", False)],
    indirect=["whole"],
)
"""Frames that nobody signed pass as they are where the upstream reads them itself."""
FORMS = ["signed", "signed-trailer", "unsigned-trailer"]
SMALL = (b"first chunk", b"2", b"the third\r\n0\r\n\r\n")


def form_of(whole: Whole, form: str) -> tuple[RequestHead, list[bytes]]:
    """The small pieces, framed in one of three ways."""
    trailer = None if form == "signed" else crc(b"".join(SMALL))
    return framed(whole, signed=form != "unsigned-trailer", trailer=trailer, pieces=SMALL)


async def parted(connection: Connection, *parts: bytes) -> None:
    """Written one after the other, each read before the next is there."""
    for part in parts:
        connection.writer.write(part)
        for _ in range(3):
            await asyncio.sleep(0)


@both_switches
@pytest.mark.parametrize("form", FORMS)
async def test_chk_6_frames_do_not_depend_on_how_they_are_cut(whole: Whole, form: str) -> None:
    """T30: byte by byte, and in two at each place: one and the same object."""
    whole_object = b"".join(SMALL)
    connection = await whole.connect()
    head, parts = form_of(whole, form)
    body = b"".join(parts)
    length = ("content-length", str(len(body)))
    cuts = [tuple(bytes([one]) for one in body)]
    cuts += [(body[:place], body[place:]) for place in range(1, len(body), 3)]
    for pieces in cuts:
        await connection.send(head, b"", length)
        await parted(connection, *pieces)
        reply = await connection.reply("PUT")
        assert reply.status == 200, (len(pieces[0]), reply)
        assert whole.stored("/real/team/k") == whole_object, len(pieces[0])
        whole.upstream.objects.clear()


@both_switches
async def test_chk_7_a_signed_chunk_is_bounded(whole: Whole) -> None:
    """T31: one of 17 MiB is refused at its first line, not collected until its signature can be compared."""
    head, _ = framed(whole, length=17 * 2**20)
    line = b"%x;chunk-signature=%b\r\n" % (17 * 2**20, b"0" * 64)
    connection = await whole.connect()
    await connection.send(head, line + b"x" * 1000, ("content-length", str(18 * 2**20)))
    reply = await connection.reply("PUT")
    assert (reply.status, reply.code) == (400, "InvalidRequest")
    assert whole.upstream.objects == {}
    assert not any(one.whole for one in whole.upstream.seen)


@both_switches
async def test_chk_12_chunks_may_be_tiny(whole: Whole) -> None:
    """T31: ten thousand of one byte are an object like any other, in a few seconds."""
    pieces = [b"x"] * 10_000
    head, parts = framed(whole, pieces=pieces)
    async with asyncio.timeout(10):
        reply = await whole.ask(head, b"".join(parts))
    assert reply.status == 200, reply
    assert whole.stored("/real/team/k") == b"x" * 10_000


@both_switches
@pytest.mark.parametrize("encoding", [None, "aws-chunked", "gzip, aws-chunked", "AWS-Chunked , gzip"])  # fmt: skip
async def test_chk_1_framing_follows_the_token(whole: Whole, encoding: str | None) -> None:
    """T32: what Content-Encoding says neither frames a body nor takes frames off it."""
    head, parts = framed(whole, signed=False, trailer=crc(OBJECT), encoding=encoding)
    assert (await whole.ask(head, b"".join(parts))).status == 200
    assert whole.stored("/real/team/k") == OBJECT
    looks_framed = b"5\r\nhello\r\n0\r\n\r\n"
    headers = [] if encoding is None else [("content-encoding", encoding)]
    assert (await whole.signed("PUT", "/data/k", looks_framed, headers=headers)).status == 200
    assert whole.stored("/real/team/k") == looks_framed


@pytest.mark.parametrize("whole", ["decode"], indirect=True)
async def test_chk_15_what_was_taken_off_is_no_longer_named(whole: Whole) -> None:
    """T32: `aws-chunked` in any case and place goes, the other codings stay in order."""
    for encoding, kept in (
        ("aws-chunked", ""),
        ("gzip, aws-chunked", "gzip"),
        ("AWS-Chunked , gzip", "gzip"),
        ("br,aws-chunked,gzip", "br,gzip"),
    ):
        head, parts = framed(whole, signed=False, trailer=crc(OBJECT), encoding=encoding)
        assert (await whole.ask(head, b"".join(parts))).status == 200
        sent = whole.upstream.seen[-1].header("content-encoding")
        codings = [one.strip().lower() for one in sent.split(",") if one.strip()]
        assert ",".join(one for one in codings if one != "aws-chunked") == kept
        got = await whole.signed("GET", "/data/k")
        assert "chunked" not in got.header("content-encoding").lower()


@pytest.mark.parametrize("token", [SIGNED, f"{SIGNED}-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"])  # fmt: skip
async def test_chk_2_frames_belong_to_uploads(whole: Whole, token: str) -> None:
    """T33: anywhere else they would be read as a document, or as nothing: 400."""
    rows: tuple[tuple[str, str, list[tuple[str, str]]], ...] = (
        ("GET", "/data/k", []),
        ("HEAD", "/data/k", []),
        ("DELETE", "/data/k", []),
        ("GET", "/data", [("list-type", "2")]),
        ("POST", "/data", [("delete", "")]),
        ("PUT", "/plain", [("policy", "")]),
        ("PUT", "/plain/k", [("acl", "")]),
        ("PUT", "/plain/k", [("tagging", "")]),
        ("POST", "/data/k", [("uploadId", "u")]),
        ("POST", "/data/k", [("uploads", "")]),
    )
    headers = [("x-amz-decoded-content-length", "5"), ("x-amz-trailer", "x-amz-checksum-crc32")]
    for method, path, query in rows:
        reply = await whole.signed(method, path, query=query, headers=headers, payload=token)
        assert reply.status == 400, (method, path, query, reply)
    copy = [*headers, ("x-amz-copy-source", "/data/other")]
    reply = await whole.signed("PUT", "/data/k", headers=copy, payload=token)
    assert reply.status == 400, reply
    assert whole.upstream.seen == []


async def test_chk_23_frames_under_a_link_are_refused(whole: Whole) -> None:
    """They would be stored as the object: a link says nothing about framing."""
    token = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    link = whole.client().link("PUT", "/data/k", [("X-Amz-Content-Sha256", token)])
    assert (await whole.ask(link, b"5\r\nhello\r\n0\r\n\r\n")).status in (400, 403)
    link = whole.client().link("PUT", "/data/k", headers=[("x-amz-content-sha256", token)])
    assert (await whole.ask(link, b"5\r\nhello\r\n0\r\n\r\n")).status in (400, 403)
    assert whole.upstream.seen == []


@both_switches
async def test_chk_20_a_checksum_in_a_header_is_enforced(whole: Whole) -> None:
    """Of other bytes, or none at all: nothing is stored, whoever compares."""
    wrong_md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    for pair in (
        ("content-md5", wrong_md5),
        ("x-amz-checksum-crc32", crc(b"other")),
        ("x-amz-checksum-sha256", base64.b64encode(hashlib.sha256(b"other").digest()).decode()),
    ):
        for token in (sha(b"object"), "UNSIGNED-PAYLOAD"):
            reply = await whole.signed("PUT", "/data/k", b"object", headers=[pair], payload=token)
            assert reply.status in (400, 403), (pair, reply)
            assert whole.upstream.objects == {}, pair


async def test_fwd_5_of_two_who_create_one_wins(whole: Whole) -> None:
    """T58: an unsigned `If-None-Match: *` crosses each time, as lance and deltalake rely on."""
    connections = [await whole.connect() for _ in range(2)]
    for turn in range(300):
        body = b"%d" % turn
        for connection in connections:
            head = whole.client().head("PUT", f"/data/{turn}", payload=sha(body))
            await connection.send(head, body, ("if-none-match", "*"))
        replies = [await connection.reply("PUT") for connection in connections]
        assert sorted(reply.status for reply in replies) == [200, 412], turn


SUM = crc(OBJECT).encode()
TRAILERS = {
    "not announced": b"x-amz-checksum-sha256:AAAA\r\n",
    "announced and absent": b"",
    "two": b"x-amz-checksum-crc32:%b\r\nx-amz-meta-x:1\r\n" % SUM,
    "the same twice": b"x-amz-checksum-crc32:%b\r\n" % SUM * 2,
    "no colon": b"x-amz-checksum-crc32\r\n",
    "empty": b"x-amz-checksum-crc32:\r\n",
    "too long": b"x-amz-checksum-crc32:" + b"A" * 100_000 + b"\r\n",
    "another case and value": b"X-Amz-Checksum-CRC32:AAAAAA==\r\n",
}


@pytest.mark.parametrize("whole", ["decode"], indirect=True)
@pytest.mark.parametrize("how", TRAILERS)
async def test_chk_10_a_trailer_is_what_was_announced(whole: Whole, how: str) -> None:
    """T27: no other name, none missing, none twice; else there is no object."""
    head, parts = framed(whole, signed=False, trailer=crc(OBJECT))
    reply = await whole.ask(head, b"".join([*parts[:-2], TRAILERS[how], b"\r\n"]))
    assert reply.status in (400, 403), reply
    assert whole.upstream.objects == {}


@where_frames_are_opened
@pytest.mark.parametrize(
    "size",
    [b"0x2000", b"2_000", b" 2000", b"2000 ", b"-1", b"+2000", b"", b"00000000000002000", b"g", "\u0662000".encode()],
)  # fmt: skip
async def test_chk_5_a_size_is_hexadecimal_digits(whole: Whole, signed: bool, size: bytes) -> None:
    """T29: as Python's `int` would take it, and as nobody should."""
    head, parts = framed(whole, signed=signed, trailer=None if signed else crc(OBJECT))
    assert parts[0].startswith(b"2000")
    reply = await whole.ask(head, b"".join([size + parts[0][4:], *parts[1:]]))
    assert reply.status in (400, 403), reply
    assert whole.upstream.objects == {}


@where_frames_are_opened
async def test_chk_5_a_chunk_line_has_an_end(whole: Whole, signed: bool) -> None:
    """T29: ten KiB of extension, and a line feed alone."""
    head, parts = framed(whole, signed=signed, trailer=None if signed else crc(OBJECT))
    line, _, rest = parts[0].partition(b"\r\n")
    for first in (line + b";" + b"x" * 10_240 + b"\r\n" + rest, line + b"\n" + rest):
        reply = await whole.ask(head, b"".join([first, *parts[1:]]))
        assert reply.status in (400, 403), reply
        assert whole.upstream.objects == {}
