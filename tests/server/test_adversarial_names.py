"""
Names with two readings, and operations that ask for more than they say, against the whole gateway.

Each request is signed by somebody who may do much; what is refused was never seen upstream.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from gateway.identity import Credentials
from gateway.message import Headers, RequestHead
from gateway.records import replace
from gateway.s3.request import decode_query
from tests.s3 import model
from tests.server.framed import sha
from tests.server.verifying_upstream import Seen, Stored
from tests.server.whole_gateway import READER, WRITER, Reply, Whole, whole_gateway
from tests.sigv4.clients import Client

HOST = "s3.example.com"


@pytest.fixture
async def whole(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Whole]:
    """With one object of each bucket; tests may ask for settings of `server`."""
    async with whole_gateway(tmp_path, server=getattr(request, "param", "")) as made:
        for path in ("/real/team/k", "/real/plainly/k", "/plain/k"):
            made.upstream.objects[path] = Stored(path.encode(), [])
        yield made


async def unseen(whole: Whole, head: RequestHead, body: bytes = b"") -> Reply:
    """A refusal; nothing was seen upstream, nothing there has changed."""
    before = dict(whole.upstream.objects)
    reply = await whole.ask(head, body)
    assert reply.status in (400, 403, 501), (head.target, head.headers.get("host"), reply)
    assert head.method == "HEAD" or reply.code not in ("", "InternalError"), (head.target, reply)
    assert whole.upstream.seen == [], (head.target, head.headers.get("host"))
    assert whole.upstream.objects == before
    return reply


# Hosts and targets


def at(host: str) -> Client:
    return Client(credentials=WRITER, host=host, now=datetime.now(UTC))


virtual = pytest.mark.parametrize(
    "whole", [f"virtual_host: [{HOST}], s3_host: [plain.example]"], indirect=True
)


@virtual
async def test_pth_7_a_bucket_may_stand_in_the_host(whole: Whole) -> None:
    """T42: in any case, with a port; the whole path is the key then, whatever it looks like."""
    for host in (f"data.{HOST}", "DATA.S3.Example.COM", f"data.{HOST}:{whole.port}"):
        reply = await whole.ask(at(host).head("GET", "/k"))
        assert (reply.status, reply.body) == (200, b"/real/team/k"), host
    for key in ("data/k", "api/session", "ui/", "a//b"):
        reply = await whole.ask(at(f"data.{HOST}").head("PUT", f"/{key}", payload=sha(b"x")), b"x")
        assert (reply.status, whole.stored(f"/real/team/{key}")) == (200, b"x"), key
    for host in (HOST, f"{HOST}:80", "plain.example"):
        reply = await whole.ask(at(host).head("GET", "/data/k"))
        assert (reply.status, reply.body) == (200, b"/real/team/k"), host


@virtual
async def test_pth_7_what_only_looks_like_our_host_is_refused(whole: Whole) -> None:
    """T42: user info, dots too many, a name that ends or begins like ours, a bucket that is none."""
    for host in (
        f"a@data.{HOST}",
        f"data..{HOST}",
        f".{HOST}",
        f"data.{HOST}.",
        f"data.{HOST}.evil",
        f"x{HOST}",
        "evil.example",
        f"data.{HOST}:",
        f"data.{HOST}:x",
        f"data.{HOST}/x",
        f"da ta.{HOST}",
        f"data%2e{HOST}",
        f"-.{HOST}",
        f"d.{HOST}",
        f"da_ta.{HOST}",
        f"{'d' * 64}.{HOST}",
        f"xn--bcher-kva.{HOST}x",
        "data.plain.example",
        "169.254.169.254",
    ):
        await unseen(whole, at(host).head("GET", "/k"))
        await unseen(whole, at(host).head("PUT", "/data/k", payload=sha(b"x")), b"x")


@virtual
async def test_ssr_1_a_bucket_is_a_name_before_it_is_looked_up(whole: Whole) -> None:
    """In host and path alike: no address, no host with a fragment, nothing encoded."""
    for bucket in ("169.254.169.254", "evil.com%23", "evil.com@x", "..", "a..b", "A-B", "ab", "api.", "%64ata%2f"):  # fmt: skip
        await unseen(whole, at(HOST).head("GET", f"/{bucket}/k"))
    await unseen(whole, at(f"169.254.169.254.{HOST}").head("GET", "/k"))


@virtual
async def test_prx_4_what_a_stranger_says_of_the_host_counts_for_nothing(whole: Whole) -> None:
    """Forwarded headers of somebody who is no proxy of ours choose neither bucket nor signature."""
    lies = [("x-forwarded-host", f"data.{HOST}"), ("forwarded", f"host=data.{HOST}"), ("x-original-host", f"data.{HOST}"), ("x-host", f"data.{HOST}")]  # fmt: skip
    head = at(f"data.{HOST}").head("GET", "/k")
    moved = [(n, HOST if n == "host" else v) for n, v in head.headers]
    for lie in lies:
        await unseen(whole, replace(head, headers=Headers([*moved, lie])))
    honest = at(HOST).head("GET", "/data/k")
    for lie in (("x-forwarded-host", "plain.s3.example.com"), ("x-original-uri", "/plain/k"), ("x-rewrite-url", "/plain/k"), ("x-http-method-override", "DELETE")):  # fmt: skip
        reply = await whole.ask(replace(honest, headers=Headers([*honest.headers, lie])))
        assert reply.body == b"/real/team/k", lie
    assert "/plain/k" in whole.upstream.objects


@virtual
async def test_http_3_the_absolute_form_names_the_same_host(whole: Whole) -> None:
    """T41: equal to Host it is the same request; a bucket in one and none in the other is refused."""
    head = at(HOST).head("GET", "/data/k")
    for scheme in ("http", "HTTP", "https"):
        reply = await whole.ask(replace(head, target=f"{scheme}://{HOST}/data/k"))
        assert (reply.status, reply.body) == (200, b"/real/team/k")
    whole.upstream.seen.clear()
    for target in (
        f"http://data.{HOST}/k",
        f"http://{HOST}.evil/data/k",
        f"http://{HOST}:81/data/k",
        f"http://a@{HOST}/data/k",
        f"http://{HOST}@evil/data/k",
        f"//{HOST}/data/k",
        f"http:/{HOST}/data/k",
        "http:///data/k",
        "/data/k#",
        "/data/k#x",
        "/data/#/k",
        f"http://{HOST}/data/k#x",
        f"http://{HOST}?x=/data/k",
    ):
        await unseen(whole, replace(head, target=target))


# Operations


async def every_operation(whole: Whole, bucket: str, who: Credentials) -> dict[str, set[str]]:
    """Each operation of botocore's model, fewest and all parameters, asked of a bucket: what went upstream."""
    passed: dict[str, set[str]] = {}
    for name in model.names():
        for every in (False, True):
            made = model.head(name, every=every)
            path, _, query = made.target.partition("?")
            path = path.replace("/bucket", f"/{bucket}", 1)
            headers = [
                (n, v.replace("/bucket/", f"/{bucket}/").replace("/other/", f"/{bucket}/"))
                for n, v in made.headers
                if n not in ("host", "content-length", "x-amz-content-sha256")
            ]
            body = b"<x/>" if made.method in ("PUT", "POST") else b""
            head = whole.client(who).head(made.method, path, decode_query(query), headers, sha(body))  # fmt: skip
            before = len(whole.upstream.seen)
            reply = await whole.ask(head, body)
            assert reply.status != 500, (name, every, reply)
            if new := whole.upstream.seen[before:]:
                passed.setdefault(name, set()).update(f"{one.method} {one.target}" for one in new)
    return passed


BUCKET_WIDE = {"GetBucketLocation", "GetBucketVersioning", "GetObjectLockConfiguration", "GetBucketEncryption", "HeadBucket"}  # fmt: skip
"""What the table of operations carries below a prefix although it speaks of the real bucket."""
READS = {
    "GetObject", "HeadObject", "GetObjectAttributes", "GetObjectTagging", "GetObjectAcl", "GetObjectTorrent",
    "GetObjectLegalHold", "GetObjectRetention", "GetObjectAnnotation", "ListObjectAnnotations", "SelectObjectContent",
    "ListObjects", "ListObjectsV2", "ListMultipartUploads", "ListParts", "HeadBucket", "GetBucketLocation",
    "ListObjectVersions",
}  # fmt: skip


async def test_ops_1_a_reader_passes_with_reads_alone(whole: Whole) -> None:
    """T45: of all operations of S3, only reads of objects and lists reach the upstream, below the prefix."""
    passed = await every_operation(whole, "data", READER)
    assert passed.keys() <= READS, passed.keys() - READS
    assert {"GetObject", "HeadObject", "ListObjectsV2", "HeadBucket"} <= passed.keys()
    for name, seen in passed.items():
        for one in seen:
            method, target = one.split(" ")
            assert method in ("GET", "HEAD") or name == "SelectObjectContent", one
            if name not in BUCKET_WIDE:
                confined(one, target, "team")


async def test_ops_10_below_a_prefix_no_operation_is_about_the_whole_bucket(whole: Whole) -> None:
    """T45: even where everything is granted, what acts on the real bucket is 501."""
    passed = await every_operation(whole, "power", WRITER)
    assert {"PutObject", "CopyObject", "DeleteObject", "ListObjectVersions"} <= passed.keys()
    for name, seen in passed.items():
        for one in seen:
            method, target = one.split(" ")
            if name in BUCKET_WIDE:
                assert method in ("GET", "HEAD"), one
                assert target.partition("?")[0] == "/real", one
            else:
                confined(one, target, "power")
    refused = {name for name in model.names() if name not in passed}
    for name in ("CreateBucket", "DeleteBucket", "PutBucketPolicy", "GetBucketPolicy", "PutBucketAcl", "PutBucketLifecycleConfiguration", "PutBucketVersioning", "CreateSession", "WriteGetObjectResponse"):  # fmt: skip
        assert name in refused


def confined(what: str, target: str, folder: str) -> None:
    """A key below the folder, or a list that asks for nothing outside it."""
    path, _, query = target.partition("?")
    if path == "/real":
        prefixes = [v for n, v in decode_query(query) if n == "prefix"]
        assert len(prefixes) == 1, what
        assert prefixes[0].startswith(f"{folder}/"), what
    else:
        assert path.startswith(f"/real/{folder}/"), what


async def test_ops_2_6_a_request_says_what_it_is(whole: Whole) -> None:
    """T46: an x-id of another operation; a copy or rename source where the operation has none."""
    client = whole.client()
    for method, path, query in (
        ("PUT", "/data/k", [("x-id", "GetObject")]),
        ("GET", "/data/k", [("x-id", "PutObject")]),
        ("DELETE", "/data/k", [("x-id", "GetObject")]),
        ("GET", "/data", [("list-type", "2"), ("x-id", "ListObjects")]),
    ):
        await unseen(whole, client.head(method, path, query))
    neighbours: tuple[tuple[str, str, list[tuple[str, str]]], ...] = (
        ("GET", "/data/k", []),
        ("HEAD", "/data/k", []),
        ("DELETE", "/data/k", []),
        ("POST", "/data/k", [("uploads", "")]),
        ("POST", "/data/k", [("uploadId", "u")]),
        ("PUT", "/plain/k", [("acl", "")]),
        ("PUT", "/plain/k", [("tagging", "")]),
        ("PUT", "/plain", []),
        ("GET", "/data", []),
        ("POST", "/data", [("delete", "")]),
    )
    for header in ("x-amz-copy-source", "x-amz-rename-source"):
        for method, path, query in neighbours:
            reply = await unseen(whole, client.head(method, path, query, [(header, "/data/other")]))
            assert reply.status in (400, 501), (header, method, path, query)
    for header in ("x-amz-copy-source-range", "x-amz-copy-source-if-match", "x-amz-copy-source-server-side-encryption-customer-key"):  # fmt: skip
        await unseen(whole, client.head("PUT", "/data/k", [], [(header, "bytes=0-1")], sha(b"x")), b"x")  # fmt: skip


async def test_ops_9_archives_are_not_unpacked_upstream(whole: Whole) -> None:
    """T47: what MinIO would unpack into keys that nobody judged."""
    for name in (
        "x-amz-meta-snowball-auto-extract",
        "x-amz-meta-minio-snowball-ignore-dirs",
        "x-amz-meta-minio-snowball-prefix",
    ):
        head = whole.client().head("PUT", "/data/k", [], [(name, "true")], sha(b"x"))
        assert (await unseen(whole, head, b"x")).status == 501
        link = whole.client().link("PUT", "/data/k", [(name, "true")])
        assert (await unseen(whole, link, b"x")).status == 501


async def test_s3_6_7_headers_with_power_are_rights_of_their_own(whole: Whole) -> None:
    """Access lists, locks, governance: somebody who may write and delete may not do those."""
    for name, value in (
        ("x-amz-acl", "public-read"),
        ("x-amz-grant-read", 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'),
        ("x-amz-grant-full-control", "id=1"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z"),
        ("x-amz-object-lock-legal-hold", "ON"),
    ):
        head = whole.client().head("PUT", "/plainly/k", [], [(name, value)], sha(b"x"))
        assert (await unseen(whole, head, b"x")).status == 403, name
        link = whole.client().link("PUT", "/plainly/k", [(name, value)])
        assert (await unseen(whole, link, b"x")).status == 403, name
    bypass = [("x-amz-bypass-governance-retention", "true")]
    head = whole.client().head("DELETE", "/plainly/k", [], bypass)
    assert (await unseen(whole, head)).status == 403


async def test_s3_12_versions_are_rights_of_their_own(whole: Whole) -> None:
    """`?versionId`, also `null` or empty, with nothing but read, write and delete."""
    client = whole.client()
    for version in ("v", "null", ""):
        for method in ("GET", "HEAD", "DELETE"):
            await unseen(whole, client.head(method, "/plainly/k", [("versionId", version)]))
        source = [("x-amz-copy-source", f"/plainly/k?versionId={version}")]
        await unseen(whole, client.head("PUT", "/plainly/new", [], source))


async def test_fwd_1_3_what_is_the_clients_own_affair_does_not_cross(whole: Whole) -> None:
    """Owners, payers, tokens, forwarded and vendor headers: upstream hears none of them."""
    mine = [
        ("x-amz-expected-bucket-owner", "111122223333"),
        ("x-amz-source-expected-bucket-owner", "111122223333"),
        ("x-amz-request-payer", "requester"),
        ("x-amz-user-agent", "me"),
    ]
    theirs = [
        ("cookie", "__Host-session=secret"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-auth-user", "root"),
        ("x-s3-grant", "all"),
        ("x-minio-force-delete", "true"),
        ("x-rgw-object-type", "x"),
        ("x-amzn-trace-id", "Root=1"),
        ("proxy-authorization", "Basic eA=="),
        ("via", "1.1 x"),
        ("te", "trailers"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example"),
        ("accept-encoding", "gzip"),
        ("user-agent", "me"),
    ]
    head = whole.client().head("PUT", "/data/k", [], mine, sha(b"x"))
    assert (await whole.ask(head, b"x", *theirs)).status == 200
    (seen,) = whole.upstream.seen
    names = {name for name, _ in seen.headers}
    assert not names & {name for name, _ in (*mine, *theirs)} - {"accept-encoding", "user-agent"}
    assert seen.header("accept-encoding") in ("", "identity")
    assert seen.header("user-agent") != "me"
    assert "WRITERKEY" not in f"{seen.headers}"


# Copy sources


async def test_cpy_1_2_3_a_source_is_read_once(whole: Whole) -> None:
    """T48: with or without slash, all encoded, a plus, a key that holds an encoded version."""
    for value, there in (
        ("/data/src", "/real/team/src"),
        ("data/src", "/real/team/src"),
        ("data%2Fsrc", "/real/team/src"),
        ("%2Fdata%2Fsrc", "/real/team/src"),
        ("/data/a+b", "/real/team/a%2Bb"),
        ("/data/a%2Bb", "/real/team/a%2Bb"),
        ("/data/a%20b", "/real/team/a%20b"),
        ("/data/k%3FversionId%3Dx", "/real/team/k%3FversionId%3Dx"),
        ("/data/a%2Fb", "/real/team/a/b"),
        ("/data//a", "/real/team//a"),
        ("/data/%2525", "/real/team/%2525"),
        ("/data/k?versionId=v1", "/real/team/k?versionId=v1"),
    ):
        asked: list[Seen] = []

        async def copied(seen: Seen, wire: object, asked: list[Seen] = asked) -> None:
            asked.append(seen)
            await wire.say(200, "", b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>")  # type: ignore[attr-defined]

        whole.upstream.scripts.append(copied)
        reply = await whole.signed("PUT", "/data/new", headers=[("x-amz-copy-source", value)])
        assert reply.status == 200, (value, reply)
        assert asked[0].header("x-amz-copy-source") == there, value
        assert asked[0].target == "/real/team/new"


async def test_cpy_1_8_a_source_with_two_readings_is_refused(whole: Whole) -> None:
    """T48: a second parameter, an ARN, no key, what climbs or cannot be decoded, somebody else's."""
    for value in (
        "/data/k?versionId=x&y",
        "/data/k?versionId=x?y",
        "/data/k?x",
        "/data/k?versionid=x",
        "/data/k?versionId=",
        "/data/k?",
        "/data/k?versionId=%00",
        "arn:aws:s3:us-east-1:123456789012:accesspoint/ap/object/k",
        "arn%3Aaws%3As3%3A%3A%3Adata%2Fk",
        "https://evil.example/data/k",
        "/data",
        "/data/",
        "/",
        "",
        "//data/k",
        "/data/../plain/k",
        "/data/%2e%2e/k",
        "/data/a/./k",
        "data%2F..%2Fk",
        "data%2F%2e%2e%2Fk",
        "/data/%zz",
        "/data/%ff",
        "/data/%00",
        "/data%2Fk/x?versionId=1",
        "/DATA/k",
        "/169.254.169.254/k",
        "/nobodys/k",
        "/nobodys/data/k",
        "/plainly/k?versionId=v",
        "/plainly/k?versionId=null",
    ):
        for query in ([], [("partNumber", "1"), ("uploadId", "u")]):
            headers = [("x-amz-copy-source", value)]
            await unseen(whole, whole.client().head("PUT", "/data/new", query, headers))
    for headers in (
        [("x-amz-copy-source", "/data/k"), ("x-amz-copy-source-range", "bytes=0-")],
        [("x-amz-copy-source", "/data/k"), ("x-amz-copy-source-range", "bytes=5-1")],
        [("x-amz-copy-source", "/data/k"), ("x-amz-copy-source-range", "bytes=0-1,2-3")],
    ):
        query = [("partNumber", "1"), ("uploadId", "u")]
        await unseen(whole, whole.client().head("PUT", "/data/new", query, headers))


async def test_cpy_12_a_rename_stays_in_its_bucket(whole: Whole) -> None:
    """The source of a rename is a key of the same bucket, read by the same parser."""
    for value in ("/plain/k", "plain%2Fk", "/data/../plain/k", "/data/k?versionId=v", "data", ""):
        headers = [("x-amz-rename-source", value)]
        await unseen(whole, whole.client().head("PUT", "/data/new", [("renameObject", "")], headers))  # fmt: skip


async def test_pth_8_no_two_spellings_of_a_name_are_one(whole: Whole) -> None:
    """NFC and NFD, and letters that fold together, are objects of their own."""
    for number, key in enumerate(("caf%C3%A9", "cafe%CC%81", "K", "k", "%E2%84%AA", "a%2Fb", "a%252Fb")):  # fmt: skip
        body = b"%d" % number
        assert (await whole.signed("PUT", f"/data/{key}", body)).status == 200
    for number, key in enumerate(("caf%C3%A9", "cafe%CC%81", "K", "k", "%E2%84%AA", "a%2Fb", "a%252Fb")):  # fmt: skip
        assert (await whole.signed("GET", f"/data/{key}")).body == b"%d" % number, key


async def test_s3_9_every_step_of_an_upload_is_judged_on_its_key(whole: Whole) -> None:
    """PTH-11: an upload id opens no other key, and none at all for whoever may not write there."""
    steps: tuple[tuple[str, list[tuple[str, str]]], ...] = (
        ("POST", [("uploads", "")]),
        ("PUT", [("partNumber", "1"), ("uploadId", "stolen")]),
        ("POST", [("uploadId", "stolen")]),
        ("DELETE", [("uploadId", "stolen")]),
    )
    for method, query in steps:
        for path, who in (("/data/k", READER), ("/open/k", WRITER), ("/nobodys/k", WRITER)):
            await unseen(whole, whole.client(who).head(method, path, query, [], sha(b"x")), b"x")
    await unseen(whole, whole.client().head("GET", "/nobodys/k", [("uploadId", "stolen")]))


ATOMS = [
    "a", "k", "/", "//", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", "+", "%2B", "%20", "%25", "%252e", "%252f", ";", "=", "&",
    "@", ":", "~", "*", "'", "(", "%00", "%0a", "%7f", "%c3%a9", "%ff", "%C0%AE", "%ed%a0%80", "%zz", "%", "team", "real", "plain",
    "..;", "|", "{", "^", "%f0%9f%98%80",
]  # fmt: skip


async def test_pth_2_what_was_decided_is_what_is_used(whole: Whole) -> None:
    """Whatever a key is spelt from: it is stored as its one decoding, below the prefix, or refused."""
    chance = random.Random(1)
    stored = 0
    for _ in range(600):
        raw = "".join(chance.choice(ATOMS) for _ in range(chance.randint(1, 6)))
        whole.upstream.objects.clear()
        whole.upstream.seen.clear()
        head = whole.client().head("PUT", f"/data/{raw}", payload=sha(b"x"))
        reply = await whole.ask(head, b"x")
        while whole.opened:
            whole.opened.pop().close()
        if reply.status != 200:
            assert reply.status == 400, (raw, reply)
            assert whole.upstream.seen == [], raw
            continue
        stored += 1
        (path,) = whole.upstream.objects
        key = unquote_to_bytes(raw).decode("utf-8")
        assert unquote_to_bytes(path).decode("utf-8") == f"/real/team/{key}", raw
        assert not {".", ".."} & set(key.split("/")), raw
        assert [one.wrong for one in whole.upstream.seen] == [""], raw
    assert stored > 100
