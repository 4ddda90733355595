"""Hostile clients and upstreams over real sockets: each is refused, and nothing is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.identity import Credentials, Secret
from gateway.message import Headers, RequestHead
from gateway.records import replace
from gateway.s3.request import encode_path
from tests.server.framed import OBJECT, crc, framed, sha
from tests.server.whole_gateway import READER, Whole, whole_gateway


@pytest.fixture
async def whole(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Whole]:
    """Frames go on as frames, or, for tests that ask, are taken off (`payload: decode`)."""
    switch = getattr(request, "param", "passthrough")
    async with whole_gateway(tmp_path, payload=switch) as made:
        yield made


both_switches = pytest.mark.parametrize("whole", ["passthrough", "decode"], indirect=True)


async def test_fwd_2_what_is_sent_on_is_signed_anew(whole: Whole) -> None:
    """An honest request arrives under the mapped name, proved by the upstream's own key."""
    reply = await whole.signed("PUT", "/data/k", b"hello", headers=[("content-type", "text/x")])
    assert reply.status == 200, reply.body
    assert whole.stored("/real/team/k") == b"hello"
    assert [one.wrong for one in whole.upstream.seen] == [""]
    got = await whole.signed("GET", "/data/k")
    assert (got.status, got.body, got.header("content-type")) == (200, b"hello", "text/x")


@both_switches
async def test_chk_16_a_flipped_byte_is_never_stored(whole: Whole) -> None:
    """T24: the hash was signed, the body is another: the old object stays as it was."""
    assert (await whole.signed("PUT", "/data/k", b"old")).status == 200
    head = whole.client().head("PUT", "/data/k", payload=sha(b"new object"))
    reply = await whole.ask(head, b"nEw object")
    assert (reply.status, reply.code) == (400, "XAmzContentSHA256Mismatch")
    assert whole.stored("/real/team/k") == b"old"


# Framed bodies


@both_switches
@pytest.mark.parametrize("form", ["signed", "signed-trailer", "unsigned-trailer"])
async def test_chk_11_honest_frames_arrive_whole(whole: Whole, form: str) -> None:
    """Each framed form is stored as the object's bytes, proved again upstream."""
    head, parts = framed(
        whole, signed=form != "unsigned-trailer", trailer=None if form == "signed" else crc(OBJECT)
    )
    reply = await whole.ask(head, b"".join(parts))
    assert reply.status == 200, reply.body
    assert whole.stored("/real/team/k") == OBJECT


def spoilt(parts: list[bytes], how: str) -> list[bytes]:
    """A signed body with something done to it."""
    first, second, third = parts[:3]
    flipped = first.replace(b"aaaa", b"aaba", 1)
    line = first.index(b"\r\n") - 1
    digit = first[:line] + (b"0" if first[line : line + 1] != b"0" else b"1") + first[line + 1 :]
    return {
        "data byte": [flipped, *parts[1:]],
        "signature digit": [digit, *parts[1:]],
        "swapped": [second, first, *parts[2:]],
        "dropped": [first, third, *parts[3:]],
        "repeated": [first, first, *parts[1:]],
        "last chunk left out": [*parts[:3], parts[-1]],
        "hexadecimal prefix": [b"0x" + first, *parts[1:]],
        "line feed alone": [first.replace(b"\r\n", b"\n", 1), *parts[1:]],
    }[how]


@both_switches
@pytest.mark.parametrize(
    "how",
    [
        "data byte",
        "signature digit",
        "swapped",
        "dropped",
        "repeated",
        "last chunk left out",
        "hexadecimal prefix",
        "line feed alone",
    ],
)
async def test_chk_8_spoilt_signed_chunks_store_nothing(whole: Whole, how: str) -> None:
    """T25: whatever is done to signed chunks, the old object stays."""
    assert (await whole.signed("PUT", "/data/k", b"old")).status == 200
    head, parts = framed(whole)
    reply = await whole.ask(head, b"".join(spoilt(parts, how)))
    assert reply.status in (400, 403), reply
    assert reply.code not in ("", "InternalError")
    assert whole.stored("/real/team/k") == b"old"


@both_switches
@pytest.mark.parametrize("signed", [True, False])
async def test_chk_9_10_a_false_trailer_stores_nothing(whole: Whole, signed: bool) -> None:
    """T26, T27: a checksum of other bytes, even if it is signed."""
    head, parts = framed(whole, signed=signed, trailer=crc(b"other"))
    reply = await whole.ask(head, b"".join(parts))
    assert reply.status == 400, reply
    assert whole.stored("/real/team/k") is None


@both_switches
async def test_chk_9_a_trailer_needs_its_signature(whole: Whole) -> None:
    """T26: a signed body whose trailer lost or changed its signature is not stored."""
    head, parts = framed(whole, trailer=crc(OBJECT))
    without = [*parts[:-2], parts[-1]]
    changed = [*parts[:-2], parts[-2][:-4] + b"00\r\n", parts[-1]]
    for body in (without, changed):
        reply = await whole.ask(head, b"".join(body))
        assert reply.status in (400, 403), reply
        assert whole.stored("/real/team/k") is None


@both_switches
@pytest.mark.parametrize("length", [len(OBJECT) - 1, len(OBJECT) + 1])
async def test_chk_4_the_decoded_length_must_be_true(whole: Whole, length: int) -> None:
    """T28: one byte less or more than was announced is no object."""
    head, parts = framed(whole, length=length)
    assert (await whole.ask(head, b"".join(parts))).status == 400
    assert whole.stored("/real/team/k") is None


@both_switches
@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize("form", ["plain", "framed"])
async def test_chk_11_a_short_body_is_never_stored(whole: Whole, end: str, form: str) -> None:
    """T34: a client that leaves in the middle: the upstream is cut off within a second (AIO-18)."""
    if form == "plain":
        body = b"x" * 400_000
        head, length = whole.client().head("PUT", "/data/k", payload=sha(body)), len(body)
    else:
        head, parts = framed(whole)
        body = b"".join(parts)
        length = len(body)
    connection = await whole.connect()
    await connection.send(head, body[: length // 2], ("content-length", str(length)))
    await asyncio.sleep(0.1)
    if end == "rst":
        connection.reset()
    else:
        connection.writer.write_eof()
    async with asyncio.timeout(1):
        while any(not one.left.is_set() for one in whole.upstream.seen):
            await asyncio.sleep(0.01)
    assert whole.upstream.objects == {}
    assert not any(one.whole for one in whole.upstream.seen)


# Heads


@pytest.mark.parametrize(
    "pair",
    [
        ("x-amz-acl", "public-read"),
        ("x-amz-copy-source", "/data/other"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-meta-x", "1"),
    ],
    ids=lambda pair: pair[0],
)
async def test_sig_3_an_unsigned_amz_header_is_refused(whole: Whole, pair: tuple[str, str]) -> None:
    """T5: what nobody signed does not ride along, in a header or beside a link."""
    head = whole.client().head("PUT", "/data/k", payload=sha(b"x"))
    assert (await whole.ask(head, b"x", pair)).status in (400, 403)
    link = whole.client().link("PUT", "/data/k")
    assert (await whole.ask(link, b"x", pair)).status in (400, 403)
    assert whole.upstream.seen == []


@pytest.mark.parametrize("other", ["same", "different"])
async def test_sig_20_a_doubled_header_is_refused(whole: Whole, other: str) -> None:
    """T7: each header that is signed, sent twice: never is one of them chosen."""
    head = whole.client().head("PUT", "/data/k", payload=sha(b"x"))
    for name, value in head.headers:
        again = value if other == "same" else value + "1"
        reply = await whole.ask(head, b"x", (name, again))
        assert reply.status in (400, 403), (name, reply)
    assert whole.upstream.seen == []


async def test_sig_2_two_proofs_are_refused(whole: Whole) -> None:
    """T3: a signature in the query beside anything in Authorization."""
    link = whole.client().link("GET", "/data/k")
    signed = whole.client().head("GET", "/data/k")
    header = next(v for n, v in signed.headers if n == "authorization")
    for value in (header, "Bearer abc", "Basic YTpi"):
        reply = await whole.ask(link, b"", ("authorization", value))
        assert reply.status == 400, (value, reply)
    assert whole.upstream.seen == []


async def test_pre_4_a_link_is_good_for_what_it_says(whole: Whole) -> None:
    """T17, T18, T19: another method, an added parameter, a doubled or missing one, a long life: all refused."""
    await whole.signed("PUT", "/data/k", b"old")
    link = whole.client().link("GET", "/data/k")
    assert (await whole.ask(link)).body == b"old"
    before = len(whole.upstream.seen)
    for method in ("HEAD", "PUT", "DELETE"):
        assert (await whole.ask(replace(link, method=method))).status == 403
    for added in ("versionId=2", "response-content-type=text/html", "X-Amz-Date=20200101T000000Z"):
        reply = await whole.ask(replace(link, target=f"{link.target}&{added}"))
        assert reply.status in (400, 403), added
    for expires in ("0", "-1", "604801", "%2B5", "1_0", "%D9%A3"):
        target = link.target.replace("X-Amz-Expires=900", f"X-Amz-Expires={expires}")
        assert (await whole.ask(replace(link, target=target))).status in (400, 403), expires
    for part in link.target.partition("?")[2].split("&"):
        target = link.target.replace(part, "").replace("&&", "&").replace("?&", "?")
        assert (await whole.ask(replace(link, target=target))).status in (400, 403), part
    assert len(whole.upstream.seen) == before


async def test_exp_1_a_stranger_is_refused_before_the_body_is_invited(whole: Whole) -> None:
    """T1, T2: unknown key and wrong secret with 5 GiB to come: 403, no 100 Continue, no upstream."""
    stranger = Credentials(access_key_id="NOBODYKEY", secret=Secret("x" * 40))
    forger = Credentials(access_key_id="WRITERKEY", secret=Secret("x" * 40))
    for who in (stranger, forger):
        head = whole.client(who).head("PUT", "/data/k", payload="UNSIGNED-PAYLOAD")
        more = ("content-length", str(5 * 2**30))
        for expect in ((("expect", "100-continue"),), ()):
            reply = await whole.ask(head, b"", more, *expect)
            assert (reply.status, reply.interim) == (403, [])
            assert reply.header("connection") == "close"  # EXP-2
    assert whole.upstream.seen == []


async def test_exp_1_who_may_is_invited(whole: Whole) -> None:
    """The body waits for the invitation, which comes once the request is judged."""
    body = b"y" * 70_000
    head = whole.client().head("PUT", "/data/k", payload=sha(body))
    connection = await whole.connect()
    await connection.send(head, b"", ("expect", "100-continue"), ("content-length", str(len(body))))
    assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.writer.write(body)
    assert (await connection.reply("PUT")).status == 200
    assert whole.stored("/real/team/k") == body


@pytest.mark.parametrize(
    "target",
    [
        "/data/../plain/k",
        "/data/%2e%2E/k",
        "/data/a/..%2fk",
        "/data/.%2e/k",
        "/data/./k",
        "/data%2Fk",
        "//k",
        "/data/%00",
        "/data/%0a",
        "/data/%zz",
        "/data/%",
        "/data/%ff",
    ],
)
async def test_pth_3_13_14_paths_that_climb_or_lie_are_refused(whole: Whole, target: str) -> None:
    """T39, T40: signed by somebody who may write: still refused before anything else is done."""
    for method, body in (("GET", b""), ("PUT", b"x")):
        head = whole.client().head(method, target, payload=sha(body))
        reply = await whole.ask(head, body)
        assert reply.status in (400, 403, 404, 405), reply
        assert reply.code
    assert whole.upstream.seen == []


@pytest.mark.parametrize("key", ["/k", "a//b", "k/", "a+b", "a b", "ü/é", "100%", "a&b=c?d#e", "(x)*'!~", "😀", "+", "%2F", "]]><x>"])  # fmt: skip
async def test_pth_1_awkward_keys_round_trip(whole: Whole, key: str) -> None:
    """Each stays itself, and apart from every other."""
    path = "/data/" + encode_path(key)
    assert (await whole.signed("PUT", path, b"v")).status == 200
    assert list(whole.upstream.objects) == ["/real/team/" + encode_path(key)]
    assert (await whole.signed("GET", path)).body == b"v"


@pytest.mark.parametrize(
    ("method", "target", "query"),
    [
        ("GET", "/data", [("ACL", "")]),
        ("GET", "/data/k", [("foo", "")]),
        ("DELETE", "/data", [("foo", "")]),
        ("DELETE", "/plain", [("foo", "")]),
        ("GET", "/data/k", [("acl", ""), ("tagging", "")]),
        ("PUT", "/data/k", [("partNumber", "1")]),
        ("PUT", "/data/k", [("uploadId", "")]),
        ("PATCH", "/data/k", []),
    ],
)
async def test_ops_1_unknown_shapes_are_refused(
    whole: Whole, method: str, target: str, query: list[tuple[str, str]]
) -> None:
    """T44: a query nobody knows never falls back to the operation without it."""
    reply = await whole.signed(method, target, query=query)
    assert reply.status in (400, 405, 501), reply
    assert whole.upstream.seen == []


async def test_sig_24_options_is_refused(whole: Whole) -> None:
    """No cross-origin request is allowed, and no header says otherwise."""
    head = RequestHead(
        method="OPTIONS",
        target="/data/k",
        headers=Headers([("host", whole.host), ("origin", "https://evil"), ("access-control-request-method", "PUT")]),
    )  # fmt: skip
    reply = await whole.ask(head)
    assert reply.status == 403
    assert not [name for name, _ in reply.headers if name.startswith("access-control")]


async def test_http_6_a_reader_cannot_write(whole: Whole) -> None:
    """A good signature is not yet a right; the body is not read and the connection not used again."""
    reply = await whole.signed("PUT", "/data/k", b"x" * 10, credentials=READER)
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert whole.upstream.seen == []
