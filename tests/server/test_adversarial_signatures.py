"""
Signatures and links that are wrong, old, spelt otherwise or somebody else's, against the whole gateway.

What is refused has not been seen upstream; what is only spelt otherwise is the same request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.accesskeys.keys import TemporaryKeys, mint, service_proof
from gateway.identity import Credentials, Identity, Method, Proof, Secret
from gateway.message import Headers, RequestHead
from gateway.records import replace as replace_record
from gateway.sigv4.sign import EMPTY_HASH
from tests.server.framed import sha
from tests.server.verifying_upstream import Stored
from tests.server.whole_gateway import READER, WRITER, Reply, Whole, whole_gateway
from tests.sigv4.clients import Client, aimed, instead, plus


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    """With one object that a reader may have, and one that anybody may."""
    async with whole_gateway(tmp_path) as made:
        made.upstream.objects["/real/team/k"] = Stored(b"object", [])
        made.upstream.objects["/real/open/k"] = Stored(b"open", [])
        yield made


async def refused(whole: Whole, head: RequestHead, body: bytes = b"") -> Reply:
    """A 400 or 403 with a code, before the upstream is asked anything."""
    before = dict(whole.upstream.objects)
    reply = await whole.ask(head, body)
    assert reply.status in (400, 403), (head, reply)
    assert reply.code not in ("", "InternalError") or head.method == "HEAD", (head, reply)
    assert whole.upstream.seen == [], head
    assert whole.upstream.objects == before, head
    return reply


async def accepted(whole: Whole, head: RequestHead, body: bytes = b"") -> Reply:
    reply = await whole.ask(head, body)
    assert reply.status == 200, (head, reply)
    return reply


def altered(head: RequestHead, old: str, new: str) -> RequestHead:
    """With its Authorization spelt otherwise."""
    value = head.headers.get("authorization") or ""
    assert re.search(old, value)
    return instead(head, "authorization", re.sub(old, lambda _: new, value, count=1))


async def test_sig_6_a_signature_is_fresh(whole: Whole) -> None:
    """T8: a quarter of an hour either way and not more, for the header and, ahead of time, for links."""
    for seconds in (-890, 890):
        now = datetime.now(UTC) + timedelta(seconds=seconds)
        await accepted(whole, whole.client(now=now).head("GET", "/data/k"))
    whole.upstream.seen.clear()
    for seconds in (-910, 910, -86_400, 86_400):
        now = datetime.now(UTC) + timedelta(seconds=seconds)
        reply = await refused(whole, whole.client(now=now).head("GET", "/data/k"))
        assert reply.code == "RequestTimeTooSkewed", seconds
    ahead = whole.client(now=datetime.now(UTC) + timedelta(seconds=910))
    await refused(whole, ahead.link("GET", "/data/k", expires=86_400))
    past = whole.client(now=datetime.now(UTC) - timedelta(seconds=901))
    assert (await refused(whole, past.link("GET", "/data/k", expires=900))).code == "AccessDenied"


async def test_sig_6_the_scope_is_of_this_day_and_service(whole: Whole) -> None:
    """T8: any region that is a name; no other day, service or end, though signed with them."""
    for region in ("default", "eu-west-9", "a" * 64):
        await accepted(whole, replace(whole.client(), region=region).head("GET", "/data/k"))
    whole.upstream.seen.clear()
    for region in ("../x", "", "a b", "a" * 65, "\u0663"):
        await refused(whole, replace(whole.client(), region=region).head("GET", "/data/k"))
    for service in ("s3express", "sts", "S3", "", "s3-outposts"):
        await refused(whole, replace(whole.client(), service=service).head("GET", "/data/k"))
    head = whole.client().head("GET", "/data/k")
    for old, new in (
        (r"aws4_request", "aws4_requesT"),
        (r"/\d{8}/", "/20200101/"),
        (r"/\d{8}/", "/"),
        (r"/s3/aws4_request", "/s3"),
        (r"/s3/aws4_request", "/s3/aws4_request/"),
    ):
        await refused(whole, altered(head, old, new))


async def test_sig_6_a_date_there_must_be(whole: Whole) -> None:
    """T8: none, or one that is no date; and none is believed that was not signed."""
    head = whole.client().head("GET", "/data/k")
    await refused(whole, instead(head, "x-amz-date", None))
    for value in ("20260101", "now", "2026-01-01T00:00:00Z", "20261332T000000Z"):
        await refused(whole, instead(head, "x-amz-date", value))
    http = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    await refused(whole, instead(instead(head, "x-amz-date", None), "date", http))


async def test_sig_18_an_authorization_has_three_parts(whole: Whole) -> None:
    """T9: in any order and spacing, each once and no other; an id with a slash is somebody else's."""
    head = whole.client().head("GET", "/data/k")
    value = head.headers.get("authorization") or ""
    _, credential, names, signature = re.split(r",? ", value)
    for spelt in (
        f"AWS4-HMAC-SHA256 {signature}, {credential}, {names}",
        f"AWS4-HMAC-SHA256 {credential},{names},{signature}",
        f"AWS4-HMAC-SHA256  {credential} , {names} , {signature}",
    ):
        await accepted(whole, instead(head, "authorization", spelt))
    whole.upstream.seen.clear()
    for spelt in (
        f"AWS4-HMAC-SHA256 {credential}, {names}, {signature}, {signature}",
        f"AWS4-HMAC-SHA256 {credential}, {credential}, {names}, {signature}",
        f"AWS4-HMAC-SHA256 {credential}, {names}, {signature}, Extra=1",
        f"AWS4-HMAC-SHA256 {credential}, {names}",
        f"AWS4-HMAC-SHA256 {names}, {signature}",
        f"AWS4-HMAC-SHA256 {credential}; {names}; {signature}",
        f"AWS4-HMAC-SHA256 {credential}, {names.replace('host', 'Host')}, {signature}",
        f"AWS4-HMAC-SHA256 {credential}, {names.replace('host;', '')}, {signature}",
        f"AWS4-HMAC-SHA256 {credential}, {names.replace('host;', 'host;host;')}, {signature}",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA512 " + value.partition(" ")[2],
    ):
        await refused(whole, instead(head, "authorization", spelt))
    reply = await refused(whole, altered(head, "WRITERKEY", "a/WRITERKEY"))
    assert reply.code == "InvalidAccessKeyId"


async def test_sig_9_a_signature_is_64_small_digits(whole: Whole) -> None:
    """T10: upper case, one digit less or more, digits of another script, none at all."""
    head = whole.client().head("GET", "/data/k")
    made = (head.headers.get("authorization") or "")[-64:]
    arabic = "".join(chr(0x660 + int(d)) if d.isdigit() else d for d in made)
    for wrong in (made.upper(), made[:-1], made + "0", arabic, "", "0" * 64, f" {made[1:]}"):
        if wrong != made:
            await refused(whole, altered(head, made, wrong))
    link = whole.client().link("GET", "/data/k")
    made = link.target[-64:]
    for wrong in (made.upper(), made[:-1], made + "0", quote(arabic), ""):
        if wrong != made:
            await refused(whole, aimed(link, made, wrong))


async def test_sig_4_a_plus_is_a_plus(whole: Whole) -> None:
    """T11: signed raw or as %2B it is the key a+b; signed as a space it is refused."""
    for signed in ("/data/a+b", "/data/a%2Bb"):
        head = whole.client().head("PUT", signed, payload=sha(b"x"))
        await accepted(whole, replace_record(head, target="/data/a+b"), b"x")
        assert list(whole.upstream.objects)[-1] == "/real/team/a%2Bb"
        del whole.upstream.objects["/real/team/a%2Bb"]
    whole.upstream.seen.clear()
    head = whole.client().head("PUT", "/data/a%20b", payload=sha(b"x"))
    await refused(whole, replace_record(head, target="/data/a+b"), b"x")
    await refused(whole, replace_record(head, target="/data/a%252Bb"), b"x")


async def test_sig_21_a_query_is_signed_in_one_form(whole: Whole) -> None:
    """T12: however it arrives, in whatever order; and it means what it meant when it was signed."""
    pairs = [("prefix", "a b~*/"), ("marker", ""), ("max-keys", "7")]
    head = whole.client().head("GET", "/data", pairs)
    for query in (
        "prefix=a+b%7E*/&marker=&max-keys=7",
        "max-keys=7&&marker&prefix=a%20b~%2a%2F&",
        "&&marker=&prefix=a%20b%7e*/&max-keys=%37",
    ):
        whole.upstream.seen.clear()
        await whole.ask(replace_record(head, target=f"/data?{query}"))
        (seen,) = whole.upstream.seen
        assert "prefix=team%2Fa%20b~%2A%2F" in seen.target, query
        assert "max-keys=7" in seen.target
    whole.upstream.seen.clear()
    for query in (
        "prefix=a%2Bb~*/&marker=&max-keys=7",
        "prefix=a+b~*/&marker=&max-keys=7&max-keys=7",
        "prefix=a+b~*/&marker=&max-keys=8",
        "prefix=a+b~*/&marker=",
        "Prefix=a+b~*/&marker=&max-keys=7",
    ):
        await refused(whole, replace_record(head, target=f"/data?{query}"))


# Session tokens


def temporary(whole: Whole, who: str = "WRITERKEY", **arguments: object) -> TemporaryKeys:
    """Temporary keys as STS makes them for a service account."""
    shot = whole.app.snapshot
    _, identity = shot.service_accounts[who]
    arguments.setdefault("now", datetime.now(UTC))
    return mint(shot.keyring, service_proof(who, identity), **arguments)  # type: ignore[arg-type]


def credentials(made: TemporaryKeys, token: Secret | None = None) -> Credentials:
    return Credentials(
        access_key_id=made.access_key_id,
        secret=made.secret,
        session_token=made.session_token if token is None else token,
    )


async def test_sig_13_a_session_token_belongs_to_its_key(whole: Whole) -> None:
    """T14: missing, another key's, altered, in two places, beside a permanent key, unsigned."""
    mine, other = temporary(whole), temporary(whole, "READERKEY")
    client = whole.client(credentials(mine))
    token = mine.session_token.reveal()
    await accepted(whole, client.head("GET", "/data/k"))
    await accepted(whole, client.link("GET", "/data/k"))
    for seen in whole.upstream.seen:  # PRE-6, SIG-15
        assert token not in f"{seen.target}{seen.headers}"
        assert quote(token, safe="") not in seen.target
    whole.upstream.seen.clear()
    swapped = whole.client(credentials(mine, other.session_token))
    bent = Secret(token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:])
    stranger = Credentials(access_key_id="GWTNOBODY", secret=mine.secret, session_token=mine.session_token)  # fmt: skip
    permanent = replace(WRITER, session_token=mine.session_token)
    for who in (swapped, whole.client(credentials(mine, bent)), whole.client(stranger)):
        assert (await refused(whole, who.head("GET", "/data/k"))).code == "InvalidToken"
        assert (await refused(whole, who.link("GET", "/data/k"))).code == "InvalidToken"
    await refused(whole, whole.client(permanent).head("GET", "/data/k"))
    await refused(whole, whole.client(permanent).link("GET", "/data/k"))
    bare = Client(credentials=replace(credentials(mine), session_token=None), host=whole.host, now=datetime.now(UTC))  # fmt: skip
    await refused(whole, bare.head("GET", "/data/k"))
    await refused(whole, plus(bare.head("GET", "/data/k"), ("x-amz-security-token", token)))
    await refused(whole, plus(client.link("GET", "/data/k"), ("x-amz-security-token", token)))
    head = client.head("GET", "/data/k")
    await refused(whole, replace_record(head, target=f"/data/k?X-Amz-Security-Token={quote(token, safe='')}"))  # fmt: skip


async def test_sig_13_a_session_token_ends(whole: Whole) -> None:
    """T14: afterwards it is ExpiredToken, by which clients know to renew; in header and link."""
    before = datetime.now(UTC) - timedelta(hours=1)
    client = whole.client(credentials(temporary(whole, now=before, lifetime=timedelta(minutes=59))))
    assert (await refused(whole, client.head("GET", "/data/k"))).code == "ExpiredToken"
    assert (await refused(whole, client.link("GET", "/data/k"))).code == "ExpiredToken"


# Other proofs


async def test_sig_14_25_a_wrong_proof_is_not_anonymous(whole: Whole) -> None:
    """T15, T16: on a bucket that is everybody's, a proof of another kind or a broken one is refused."""
    host = ("host", whole.host)
    anybody = RequestHead(method="GET", target="/open/k", headers=Headers([host]))
    assert (await accepted(whole, anybody)).body == b"open"
    whole.upstream.seen.clear()
    for value in (
        "AWS WRITERKEY:c2lnbmF0dXJl",
        "AWS4-ECDSA-P256-SHA256 Credential=WRITERKEY/20260101/s3/aws4_request, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 garbage",
        "Bearer garbage",
        "Bearer ",
        "Basic garbage",
        "Basic V1JJVEVSS0VZOndyb25n",
        "Digest x",
        "",
    ):
        await refused(whole, plus(anybody, ("authorization", value)))
    for query in (
        "AWSAccessKeyId=WRITERKEY&Expires=4102444800&Signature=c2ln",
        "Signature=c2ln",
        "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=a&X-Amz-Date=a&X-Amz-Expires=9&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
        "X-Amz-Credential=WRITERKEY/20260101/us-east-1/s3/aws4_request",
        "x-amz-credential=WRITERKEY/20260101/us-east-1/s3/aws4_request",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "X-Amz-Signature=" + "0" * 64,
        "X-Amz-Date=20260101T000000Z",
    ):
        reply = await whole.ask(replace_record(anybody, target=f"/open/k?{query}"))
        assert reply.status in (400, 403, 501), (query, reply)
        assert reply.body != b"open"
    assert whole.upstream.seen == []


async def test_sig_12_a_streaming_token_needs_a_signature(whole: Whole) -> None:
    """T16: a key id in the query and a framed body, nothing signed: the gate asks what was chosen."""
    body = b"5\r\nabcde\r\n0\r\nx-amz-checksum-crc32:hYeAkQ==\r\n\r\n"
    pairs = [
        ("host", whole.host),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ]
    today = datetime.now(UTC).strftime("%Y%m%d")
    credential = f"WRITERKEY/{today}/us-east-1/s3/aws4_request"
    for target, more in (
        (f"/data/k?X-Amz-Credential={quote(credential, safe='')}", []),
        ("/data/k", [("authorization", "AWS4-HMAC-SHA256 garbage")]),
        ("/data/k", [("authorization", f"AWS4-HMAC-SHA256 Credential={credential}")]),
        ("/data/k", []),
    ):
        head = RequestHead(method="PUT", target=target, headers=Headers([*pairs, *more]))
        await refused(whole, head, body)


# Links


async def test_pre_8_a_link_that_copies_is_judged_as_a_copy(whole: Whole) -> None:
    """T20: the source in the query is read by its maker's rights, and reaches the upstream as a header."""
    whole.upstream.objects["/other/k"] = Stored(b"secret", [])
    client = whole.client()
    for source in ("/nobodys/k", "nobodys/k", "nobodys%2Fk"):
        reply = await refused(whole, client.link("PUT", "/data/copy", [("x-amz-copy-source", source)]))  # fmt: skip
        assert reply.code == "AccessDenied"
    await refused(whole, whole.client(READER).link("PUT", "/data/copy", [("x-amz-copy-source", "/data/k")]))  # fmt: skip
    await accepted(whole, client.link("PUT", "/data/copy", [("x-amz-copy-source", "/data/k")]))
    (seen,) = whole.upstream.seen
    assert seen.header("x-amz-copy-source") == "/real/team/k"
    assert "?" not in seen.target
    assert whole.stored("/real/team/copy") == b"object"


async def test_pre_8_a_parameter_is_not_a_header_as_well(whole: Whole) -> None:
    """T20: the same name in the query and as a header, or in two spellings: 400."""
    client = whole.client()
    link = client.link("PUT", "/data/k", [("x-amz-meta-a", "1")])
    reply = await refused(whole, plus(link, ("x-amz-meta-a", "2")))
    assert reply.status == 400
    await refused(whole, plus(link, ("x-amz-meta-a", "1")))
    twice = client.link("PUT", "/data/k", [("x-amz-meta-a", "1"), ("X-Amz-Meta-A", "2")])
    await refused(whole, twice)
    head = client.head("PUT", "/data/k", [("x-amz-acl", "public-read")])
    assert (await refused(whole, head)).status == 400


@pytest.mark.parametrize(
    "name",
    [
        "x-amz-meta-a: b",
        "x-amz-meta-a:b",
        "x-amz-meta-a;host",
        "x-amz-meta-a,b",
        "x-amz-meta-a b",
        "x-amz-meta-(a)",
        "x-amz-meta-\u00e9",
        "x-amz-meta-\u212a",
        "X-Amz-Security-To\u212aen",
        "x-amz-meta-a\r\nx-amz-acl",
        "x-amz-meta-a\0",
    ],
)
async def test_pre_8_a_parameter_that_stands_for_a_header_is_named_like_one(
    whole: Whole, name: str
) -> None:
    """Else it would end a line upstream, or the list of what is signed there."""
    link = whole.client().link("PUT", "/data/k", [(name, "v")])
    assert (await refused(whole, link, b"x")).status == 400


@pytest.mark.parametrize("how", ["expired", "removed", "grant"])
async def test_pre_12_a_link_ends_with_the_right_of_its_maker(whole: Whole, how: str) -> None:
    """T23: a key that has ended, an account that is gone, a grant taken back: the link is refused."""
    made = temporary(whole, lifetime=timedelta(seconds=2))
    link = whole.client(credentials(made)).link("GET", "/data/k", expires=900)
    permanent = whole.client().link("GET", "/data/k", expires=900)
    assert (await accepted(whole, link)).body == b"object"
    assert (await accepted(whole, permanent)).body == b"object"
    links = [link]
    config, policy = whole.folder / "gateway.yaml", whole.folder / "policy.yaml"
    if how == "expired":
        await asyncio.sleep((made.expires - datetime.now(UTC)).total_seconds() + 0.05)
    elif how == "removed":
        lines = config.read_text("utf-8").splitlines(keepends=True)
        config.write_text("".join(line for line in lines if "name: writer" not in line), "utf-8")
        links.append(permanent)
    else:
        text = policy.read_text("utf-8")
        policy.write_text(text.replace("[list, read, write, delete, versions]", "[list]"), "utf-8")
        links.append(permanent)
    if how != "expired":
        assert await whole.app.reload()
    whole.upstream.seen.clear()
    for one in links:
        await refused(whole, one)


async def test_key_4_a_revoked_session_ends_its_keys_and_links(whole: Whole) -> None:
    """T23: everything of a person that began before a moment, when the store says so."""
    person = Identity(issuer="corp", subject="ada", claims={"sub": "ada", "groups": ["write"]})
    now = datetime.now(UTC)
    proof = Proof(identity=person, method=Method.SESSION, issued=now - timedelta(minutes=1))
    client = whole.client(credentials(mint(whole.app.snapshot.keyring, proof, now=now)))
    link = client.link("GET", "/data/k")
    await accepted(whole, link)
    whole.upstream.seen.clear()
    await whole.app.sessions.end_everywhere(person.issuer, person.subject, now)
    assert (await refused(whole, link)).code == "ExpiredToken"
    assert (await refused(whole, client.head("GET", "/data/k"))).code == "ExpiredToken"


async def test_sig_19_without_a_hash_there_is_no_body(whole: Whole) -> None:
    """A body that no token speaks of would be stored unsigned."""
    head = instead(whole.client().head("PUT", "/data/k"), "x-amz-content-sha256", None)
    assert (await refused(whole, head, b"x")).status == 400
    reply = await whole.ask(whole.client().head("PUT", "/data/k", payload=EMPTY_HASH), b"x")
    assert (reply.status, reply.code) == (400, "XAmzContentSHA256Mismatch")
    assert whole.stored("/real/team/k") == b"object"


async def test_sig_2_a_cookie_beside_a_signature_changes_nothing(whole: Whole) -> None:
    """T4: whoever's it is: the signer's rights count, and only those."""
    cookie = ("cookie", "session=somebody; __Host-session=somebody")
    assert (await accepted(whole, plus(whole.client(READER).head("GET", "/data/k"), cookie))).body
    whole.upstream.seen.clear()
    head = whole.client(READER).head("PUT", "/data/k", payload=sha(b"x"))
    await refused(whole, plus(head, cookie, ("x-gateway-csrf", "1"), ("sec-fetch-site", "same-origin")), b"x")  # fmt: skip


async def test_sig_3_fwd_2_what_need_not_be_signed_arrives_signed(whole: Whole) -> None:
    """T6: unsigned type and precondition are taken, and the upstream can trust both."""
    head = whole.client().head("PUT", "/data/new", payload=sha(b"x"))
    await accepted(whole, plus(head, ("content-type", "text/x"), ("if-none-match", "*")), b"x")
    (seen,) = whole.upstream.seen
    signed = seen.header("authorization").partition("SignedHeaders=")[2].partition(",")[0]
    assert {"content-type", "if-none-match"} <= set(signed.split(";"))
    assert (seen.header("content-type"), seen.header("if-none-match")) == ("text/x", "*")


async def test_sig_20_a_header_that_a_proxy_would_join_is_doubled(whole: Whole) -> None:
    """T7: the same name with `_` for `-`, equal or not, beside the one that was signed."""
    head = whole.client().head("PUT", "/data/k", [], [("content-type", "a/b")], sha(b"x"))
    for name, value in head.headers:
        if "-" in name:
            for again in (value, value + "1"):
                await refused(whole, plus(head, (name.replace("-", "_"), again)), b"x")


@pytest.mark.parametrize("value", ["a   b", "a \t b", "", "gr\u00fc\u00df \U0001f600", "  a  ", "a,b", "=?UTF-8?Q?=C3=A9?="])  # fmt: skip
async def test_sig_22_values_of_headers_are_what_they_are(whole: Whole, value: str) -> None:
    """T13: runs of blanks, none, UTF-8: signed, proved and handed on without a change that matters."""
    meta = [("x-amz-meta-v", value)]
    await accepted(whole, whole.client().head("PUT", "/data/new", [], meta, sha(b"x")), b"x")
    got = await accepted(whole, whole.client().head("GET", "/data/new"))
    assert got.header("x-amz-meta-v").split() == value.split()


async def test_pre_5_a_link_pinned_to_a_hash_takes_no_other_body(whole: Whole) -> None:
    """T22: the object stays as it was; by the parameter, and by a header that was signed."""
    links = [
        whole.client().link("PUT", "/data/k", [("X-Amz-Content-Sha256", sha(b"good"))]),
        whole.client().link("PUT", "/data/k", headers=[("x-amz-content-sha256", sha(b"good"))]),
    ]
    for link in links:
        reply = await whole.ask(link, b"evil")
        assert (reply.status, reply.code) == (400, "XAmzContentSHA256Mismatch")
        assert whole.stored("/real/team/k") == b"object"
    for link in links:
        await accepted(whole, link, b"good")
        assert whole.stored("/real/team/k") == b"good"
