"""A browser's form, signed by somebody's key, through the whole gateway (SIG-17)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.identity import Credentials, Secret
from gateway.message import Headers, RequestHead
from gateway.s3.post import SMALL_FORM
from gateway.sigv4.sign import amz_date, signing_key
from tests.server.whole_gateway import READER, WRITER, Reply, Whole, whole_gateway


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_gateway(tmp_path) as made:
        yield made


CONDITIONS: tuple[Any, ...] = (
    {"bucket": "data"},
    ["starts-with", "$key", "up/"],
    ["starts-with", "$Content-Type", "text/"],
    {"success_action_status": "201"},
    {"x-amz-meta-who": "me"},
    ["content-length-range", 2, 3_000_000],
)
FIELDS = {
    "key": "up/${filename}",
    "Content-Type": "text/plain",
    "success_action_status": "201",
    "x-amz-meta-who": "me",
}


def fields(
    who: Credentials = WRITER,
    conditions: Sequence[Any] = CONDITIONS,
    given: dict[str, str] = FIELDS,
    life: timedelta = timedelta(minutes=5),
) -> dict[str, str]:
    """A form's fields, signed as a program does that makes forms."""
    now = datetime.now(UTC)
    scope = f"{now:%Y%m%d}/us-east-1/s3/aws4_request"
    signed = {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{who.access_key_id}/{scope}",
        "x-amz-date": amz_date(now),
    }
    if who.session_token is not None:
        signed["x-amz-security-token"] = who.session_token.reveal()
    document = {
        "expiration": f"{now + life:%Y-%m-%dT%H:%M:%S}.000Z",
        "conditions": [*conditions, *({name: value} for name, value in signed.items())],
    }
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    key = signing_key(who.secret.reveal(), f"{now:%Y%m%d}", "us-east-1", "s3")
    return {**given, **signed, "policy": policy, "x-amz-signature": key.sign(policy)}


async def post(
    whole: Whole,
    filled: dict[str, str],
    data: bytes = b"hello",
    *more: tuple[str, str],
    filename: str = "a b.txt",
    target: str = "/data",
) -> Reply:
    """What a browser sends for a form, and what it gets."""
    text = "".join(
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in filled.items()
    )
    text += f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
    head = RequestHead(
        method="POST",
        target=target,
        headers=Headers(
            [("host", whole.host), ("content-type", "multipart/form-data; boundary=edge"), *more]
        ),
    )
    return await whole.ask(head, text.encode() + data + b"\r\n--edge--\r\n")


@pytest.mark.parametrize("size", [5, SMALL_FORM + 100_000], ids=["small", "streamed"])
async def test_sig_17_a_signed_form_stores_the_file(whole: Whole, size: int) -> None:
    """The file goes where the policy lets it, and the answer is S3's document."""
    data = b"z" * size
    reply = await post(whole, fields(), data)
    assert reply.status == 201, reply
    assert whole.stored("/real/team/up/a%20b.txt") == data
    assert b"<Key>up/a b.txt</Key>" in reply.body
    assert b"<Bucket>data</Bucket>" in reply.body
    assert b"real" not in reply.body
    seen = whole.upstream.seen[-1]
    assert (seen.method, seen.header("content-type")) == ("PUT", "text/plain")
    assert seen.header("x-amz-meta-who") == "me"
    assert not [name for name, _ in seen.headers if "policy" in name]


@pytest.mark.parametrize("at", range(len(CONDITIONS) - 1))
async def test_sig_17_each_condition_is_missed_where_it_is_dropped(whole: Whole, at: int) -> None:
    """A field that no condition speaks of is refused."""
    reply = await post(whole, fields(conditions=[*CONDITIONS[:at], *CONDITIONS[at + 1 :]]))
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert whole.upstream.seen == []


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "elsewhere"},
        {"Content-Type": "image/png"},
        {"x-amz-meta-who": "you"},
        {"success_action_status": "200"},
        {"acl": "public-read"},
        {"x-amz-storage-class": "GLACIER"},
        {"bucket": "plain"},
    ],
    ids=str,
)
async def test_sig_17_a_changed_field_is_refused(whole: Whole, changed: dict[str, str]) -> None:
    """What was signed is what is done."""
    reply = await post(whole, fields() | changed)
    assert reply.status in (400, 403)
    assert whole.upstream.seen == []


@pytest.mark.parametrize("size", [1, 3_000_001])
async def test_sig_17_the_file_keeps_within_its_range(whole: Whole, size: int) -> None:
    """One byte too few or too many, and nothing goes upstream."""
    reply = await post(whole, fields(), b"z" * size)
    assert (reply.status, reply.code) in ((400, "EntityTooSmall"), (400, "EntityTooLarge"))
    assert whole.upstream.seen == []


async def test_sig_17_the_signature_is_what_counts(whole: Whole) -> None:
    """False, absent, of nobody, of somebody without the right, too late, beside another proof."""
    good = fields()
    bad = {**good, "x-amz-signature": "0" * 64}
    unsigned = {name: value for name, value in good.items() if name != "x-amz-signature"}
    nobody = Credentials(access_key_id="NOBODYKEY", secret=Secret("n" * 40))
    for filled, code in (
        (bad, "SignatureDoesNotMatch"),
        (unsigned, "AccessDenied"),
        (fields(nobody), "InvalidAccessKeyId"),
        (fields(READER), "AccessDenied"),
        (fields(life=-timedelta(seconds=1)), "AccessDenied"),
    ):
        reply = await post(whole, filled)
        assert (reply.status, reply.code) == (403, code)
    reply = await post(whole, good, b"hello", ("authorization", "Bearer x"))
    assert reply.status == 400
    assert whole.upstream.seen == []


async def test_sig_17_temporary_credentials_sign_forms(whole: Whole) -> None:
    """With the token as a field; without it, or with another, the key is not known."""
    keys = await temporary(whole)
    reply = await post(whole, fields(keys))
    assert reply.status == 201, reply
    assert whole.stored("/real/team/up/a%20b.txt") == b"hello"
    whole.upstream.objects.clear()
    for token in (None, "garbage"):
        spoilt = fields(keys)
        del spoilt["x-amz-security-token"]
        if token is not None:
            spoilt["x-amz-security-token"] = token
        assert (await post(whole, spoilt)).status in (400, 403)
    assert whole.upstream.objects == {}


async def temporary(whole: Whole) -> Credentials:
    """What GetSessionToken gives the writer."""
    body = b"Action=GetSessionToken&Version=2011-06-15"
    client = replace(whole.client(), service="sts")
    head = client.head(
        "POST",
        "/",
        headers=[("content-type", "application/x-www-form-urlencoded")],
        payload=hashlib.sha256(body).hexdigest(),
    )
    reply = await whole.ask(head, body)
    assert reply.status == 200, reply

    def member(name: str) -> str:
        return reply.body.decode().partition(f"<{name}>")[2].partition("<")[0]

    return Credentials(
        access_key_id=member("AccessKeyId"),
        secret=Secret(member("SecretAccessKey")),
        session_token=Secret(member("SessionToken")),
    )


async def test_http_2_another_multipart_is_no_upload(whole: Whole) -> None:
    """A form sent to an object, or with a query, is judged as what it is: nothing that S3 knows."""
    head = whole.client().head(
        "POST", "/data/k", headers=[("content-type", "multipart/form-data; boundary=edge")]
    )
    assert (await whole.ask(head)).status in (400, 405, 501)
    assert whole.upstream.seen == []


ANY = [{"bucket": "data"}, ["starts-with", "$key", ""], ["starts-with", "$x-amz-meta-who", ""]]


@pytest.mark.parametrize(
    "filename", ["..", "../x", "a/../../b", "..\\\\..\\\\x", "/etc/passwd", ".", "a\tb", ""]
)
async def test_pth_3_a_file_name_does_not_climb(whole: Whole, filename: str) -> None:
    """Of a path its last part counts; what is no name at all is refused, and nothing lands outside."""
    given = {"key": "up/${filename}"}
    reply = await post(whole, fields(conditions=ANY[:2], given=given), filename=filename)
    assert reply.status in (204, 400), reply
    for path in whole.upstream.objects:
        assert path.startswith("/real/team/up/"), path
        assert ".." not in path


@pytest.mark.parametrize("key", ["../plain/k", "a/../../x", "..", "./a", "a\tb", "k" * 1025])
async def test_pth_3_a_key_of_a_form_is_a_key_like_any_other(whole: Whole, key: str) -> None:
    """Judged after the file's name was put in, refused as every such key is."""
    reply = await post(whole, fields(conditions=ANY[:2], given={"key": key}))
    assert reply.status == 400, reply
    assert whole.upstream.seen == []


@pytest.mark.parametrize(
    "name",
    [
        "x-amz-meta-a: b",
        "x-amz-meta-a;host",
        "x-amz-meta-a b",
        "x-amz-copy-source",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-meta-\u00e9",
        "x-amz-meta-snowball-auto-extract",
    ],
)
async def test_sig_17_a_field_is_no_way_to_a_header_of_its_own(whole: Whole, name: str) -> None:
    """Though its maker signed it: not a copy, not a framed body, not a second line upstream."""
    conditions = [*ANY[:2], {name: "v"}]
    reply = await post(whole, fields(conditions=conditions, given={"key": "k", name: "v"}))
    assert reply.status in (400, 501), reply
    assert whole.upstream.seen == []


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://gateway@evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1:1/",
        "/\\\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
    ],
)
async def test_red_3_a_form_redirects_to_no_stranger(whole: Whole, url: str) -> None:
    """Though it was signed: a link on our host would lead anywhere. Nothing is stored either."""
    given = {"key": "k", "success_action_redirect": url}
    conditions = [*ANY[:2], ["starts-with", "$success_action_redirect", ""]]
    for more in ((), (("origin", "null"),), (("origin", "https://other.example"),)):
        reply = await post(whole, fields(conditions=conditions, given=given), b"hello", *more)
        assert reply.status == 400, (url, more, reply)
        assert reply.header("location") == ""
    assert whole.upstream.seen == []


async def test_sig_17_the_bucket_is_the_one_that_was_posted_to(whole: Whole) -> None:
    """A policy for one bucket is none for another, whatever a field or the target says."""
    signed = fields(conditions=ANY[:2], given={"key": "k"})
    for target in ("/plain", "/power", "/nobodys"):
        assert (await post(whole, signed, target=target)).status == 403, target
    other = fields(
        conditions=[["starts-with", "$bucket", ""], ["starts-with", "$key", ""]],
        given={"key": "k", "bucket": "plain"},
    )
    assert (await post(whole, other)).status == 400
    reader = fields(READER, conditions=ANY[:2], given={"key": "k"})
    assert (await post(whole, reader)).status == 403
    assert whole.upstream.seen == []
