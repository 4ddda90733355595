"""The STS query API as strangers and narrow callers try to widen what they have, on the whole gateway (T59)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gateway.identity import Credentials, Secret
from gateway.message import Headers, RequestHead
from gateway.records import replace
from gateway.sigv4.sign import EMPTY_HASH
from tests.server.framed import sha
from tests.server.verifying_upstream import Stored
from tests.server.whole_gateway import READER, WRITER, Reply, Whole, whole_gateway
from tests.sigv4.clients import Client

FORM = ("content-type", "application/x-www-form-urlencoded")
VERSION = ("Version", "2011-06-15")
READ_ALL = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
)
READ_K = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/k"}]}'
ROLE = [("RoleArn", "arn:aws:iam::123456789012:role/any"), ("RoleSessionName", "me")]


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_gateway(tmp_path) as made:
        for key in ("k", "other"):
            made.upstream.objects[f"/real/team/{key}"] = Stored(b"object", [])
        yield made


def caller(whole: Whole, who: Credentials, service: str = "sts") -> Client:
    return Client(credentials=who, host=whole.host, now=datetime.now(UTC), service=service)


async def call(
    whole: Whole,
    action: str,
    *more: tuple[str, str],
    who: Credentials = WRITER,
    headers: Sequence[tuple[str, str]] = (),
    query: Sequence[tuple[str, str]] = (),
) -> Reply:
    body = urlencode([("Action", action), VERSION, *more]).encode()
    head = caller(whole, who).head("POST", "/", query, [FORM, *headers], sha(body))
    return await whole.ask(head, body)


def made(reply: Reply) -> Credentials:
    """The credentials in an answer."""
    assert reply.status == 200, reply
    found = {
        name: re.findall(f"<{name}>(.*?)</{name}>", reply.body.decode())[0]
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")
    }
    return Credentials(
        access_key_id=found["AccessKeyId"],
        secret=Secret(found["SecretAccessKey"]),
        session_token=Secret(found["SessionToken"]),
    )


async def may(whole: Whole, who: Credentials, method: str, path: str, body: bytes = b"") -> bool:
    reply = await whole.signed(method, path, body, credentials=who)
    assert reply.status in (200, 204, 403), reply
    return reply.status != 403


async def test_sts_1_2_there_is_one_way_to_say_it(whole: Whole) -> None:
    """A GET, parameters in form and query at once, a repeat, another version, no or another action."""
    ask = [("Action", "GetCallerIdentity"), VERSION]
    assert (await call(whole, "GetCallerIdentity")).status == 200
    for service in ("sts", "s3"):
        reply = await whole.ask(caller(whole, WRITER, service).head("GET", "/", ask))
        assert reply.status in (400, 403, 501), service
        assert b"GetCallerIdentityResult" not in reply.body
    assert (await call(whole, "GetCallerIdentity", query=ask)).status == 400
    assert (await call(whole, "GetCallerIdentity", query=[("x", "1")])).status == 400
    assert (await call(whole, "GetCallerIdentity", ("Action", "GetSessionToken"))).status == 400
    assert (await call(whole, "GetCallerIdentity", VERSION)).status == 400
    assert (await call(whole, "GetFederationToken", ("Name", "me"))).status == 400
    assert (await call(whole, "")).status == 400
    for body in (b"", b"Action=GetCallerIdentity", b"Action=GetCallerIdentity&Version=2010-01-01", b"\xff=%ff"):  # fmt: skip
        head = caller(whole, WRITER).head("POST", "/", [], [FORM], sha(body))
        assert (await whole.ask(head, body)).status in (400, 501), body


async def test_sts_7_a_narrowing_is_honoured_or_refused(whole: Whole) -> None:
    """A Policy wider than its caller gives no more than the caller has; what cannot be honoured is 400."""
    wide = made(await call(whole, "AssumeRole", *ROLE, ("Policy", READ_ALL), who=READER))
    assert await may(whole, wide, "GET", "/data/k")
    assert not await may(whole, wide, "PUT", "/data/k", b"x")
    assert not await may(whole, wide, "GET", "/plain/k")
    narrow = made(await call(whole, "AssumeRole", *ROLE, ("Policy", READ_K)))
    assert await may(whole, narrow, "GET", "/data/k")
    assert not await may(whole, narrow, "GET", "/data/other")
    assert not await may(whole, narrow, "PUT", "/data/k", b"x")
    assert not await may(whole, narrow, "DELETE", "/data/k")
    for more in (
        ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"),
        ("Tags.member.1.Key", "a"),
        ("SourceIdentity", "me"),
        ("Policy", "{}"),
        ("Policy", "not JSON"),
        ("Policy", READ_K.replace('"Effect"', '"NotAction":"s3:PutObject","Effect"')),
        ("Policy", READ_K.replace('"Resource"', '"Condition":{"Bool":{"aws:x":"1"}},"Resource"')),
        ("Policy", READ_K.replace('"Resource"', '"NotResource"')),
        ("Policy", READ_K.replace("}]", ',"Principal":"*"}]')),
        ("Policy", READ_K + " " * 2048),
        ("DurationSeconds", "1e3"),
        ("DurationSeconds", "899"),
        ("DurationSeconds", "43201"),
        ("Nonsense", "1"),
    ):
        reply = await call(whole, "AssumeRole", *ROLE, more)
        assert reply.status == 400, (more, reply)
        assert b"SecretAccessKey" not in reply.body
    assert whole.stored("/real/team/k") == b"object"


async def test_sts_8_a_session_of_a_session_is_no_wider(whole: Whole) -> None:
    """Each link of a chain has at most what the one before had; and GetSessionToken is not for them."""
    first = made(await call(whole, "AssumeRole", *ROLE, ("Policy", READ_K)))
    second = made(await call(whole, "AssumeRole", *ROLE, ("Policy", READ_ALL), who=first))
    third = made(await call(whole, "AssumeRole", *ROLE, who=second))
    for who in (first, second, third):
        assert await may(whole, who, "GET", "/data/k")
        assert not await may(whole, who, "GET", "/data/other")
        assert not await may(whole, who, "PUT", "/data/k", b"x")
    assert (await call(whole, "GetSessionToken", who=first)).status == 403


async def test_sts_5_a_signature_is_for_one_service(whole: Whole) -> None:
    """One for S3 is none here, one for STS none there; nor is a link, which is made to be handed on."""
    body = urlencode([("Action", "GetSessionToken"), VERSION]).encode()
    for service in ("s3", "iam", "STS"):
        head = caller(whole, WRITER, service).head("POST", "/", [], [FORM], sha(body))
        reply = await whole.ask(head, body)
        assert reply.status in (400, 403), service
        assert b"SecretAccessKey" not in reply.body
    reply = await whole.ask(caller(whole, WRITER, "sts").head("GET", "/data/k"))
    assert reply.status in (400, 403)
    other = urlencode([("Action", "GetCallerIdentity"), VERSION]).encode()
    replayed = caller(whole, WRITER).head("POST", "/", [], [FORM], sha(other))
    reply = await whole.ask(replayed, body)
    assert reply.status in (400, 403)
    assert b"SecretAccessKey" not in reply.body
    for pair in (("x-amz-content-sha256", EMPTY_HASH), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")):  # fmt: skip
        head = caller(whole, WRITER).head("POST", "/", [], [FORM], pair[1])
        assert (await whole.ask(head, body)).status in (400, 403)
    assert whole.upstream.seen == []


async def test_sts_5_a_link_gets_no_keys(whole: Whole) -> None:
    """A presigned GET is unknown here, as everything else at `/` is S3; a presigned POST makes nothing."""
    ask = [("Action", "GetSessionToken"), VERSION]
    for method in ("GET", "POST"):
        link = caller(whole, WRITER).link(method, "/", ask)
        reply = await whole.ask(link)
        assert reply.status in (400, 403, 501), (method, reply)
        assert b"SecretAccessKey" not in reply.body


async def test_sts_4_key_8_a_stranger_is_read_a_little_and_told_nothing(whole: Whole) -> None:
    """70 KiB of form are refused; no token, a bad one and a foreign one have one answer each, without reasons."""
    host = ("host", whole.host)
    identity = [("Action", "AssumeRoleWithWebIdentity"), VERSION, *ROLE]

    async def post(body: bytes, *more: tuple[str, str]) -> Reply:
        head = RequestHead(method="POST", target="/", headers=Headers([host, FORM, *more]))
        return await whole.ask(head, body)

    large = await post(urlencode([*identity, ("WebIdentityToken", "x" * 70 * 1024)]).encode())
    assert large.status in (400, 413)
    texts = set()
    for token in ("garbage", "e30.e30.", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"):  # fmt: skip
        body = urlencode([*identity, ("WebIdentityToken", token)]).encode()
        for more in ((), (("authorization", "Bearer x"),), (("cookie", "session=x"),)):
            reply = await post(body, *more)
            assert reply.status == 400, (token, reply)
            assert token.encode() not in reply.body
            texts.add(re.sub(rb"<RequestId>.*?</RequestId>", b"", reply.body))
    assert len(texts) == 1, texts
    assert (await post(urlencode(identity).encode())).status == 400
    for action in ("GetSessionToken", "GetCallerIdentity", "AssumeRole"):
        assert (await post(urlencode([("Action", action), VERSION, *ROLE]).encode())).status in (400, 403)  # fmt: skip
    assert whole.upstream.seen == []


async def test_sts_9_the_path_is_the_root(whole: Whole) -> None:
    """Anywhere else a form is no call, whoever signed it."""
    body = urlencode([("Action", "GetSessionToken"), VERSION]).encode()
    head = caller(whole, WRITER).head("POST", "/", [], [FORM], sha(body))
    for target in ("/data", "//", "/.", "/%2f", "/data/k"):
        reply = await whole.ask(replace(head, target=target), body)
        assert reply.status >= 400, target
        assert b"SecretAccessKey" not in reply.body, target
    assert whole.upstream.seen == []
