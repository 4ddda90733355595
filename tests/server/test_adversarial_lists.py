"""
Lists and bulk deletions that reach beyond what is granted, and upstreams that answer with too much.

Sources: DEL-1 to DEL-10, LST-1 to LST-15, PTH-10, PTH-18, PTH-19, S3-3, S3-4.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

import pytest

from gateway.message import RequestHead
from gateway.s3.request import decode_query
from tests.server.framed import sha
from tests.server.verifying_upstream import Seen, Stored, Wire
from tests.server.whole_gateway import READER, WRITER, Reply, Whole, whole_gateway

XML = "content-type: application/xml\r\n"


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_gateway(tmp_path) as made:
        yield made


def answers(whole: Whole, document: str, status: int = 200) -> list[Seen]:
    """The next request is answered so; what it was, with its body."""
    asked: list[Seen] = []

    async def script(seen: Seen, wire: Wire) -> None:
        seen.body = await wire.reader.readexactly(int(seen.header("content-length") or 0))
        asked.append(seen)
        await wire.say(status, XML, document.encode())

    whole.upstream.scripts.append(script)
    return asked


# DeleteObjects


def md5(body: bytes) -> tuple[str, str]:
    return ("content-md5", base64.b64encode(hashlib.md5(body).digest()).decode())


async def deleting(
    whole: Whole,
    body: bytes,
    *,
    bucket: str = "plainly",
    query: str = "delete",
    headers: Sequence[tuple[str, str]] | None = None,
) -> Reply:
    given = [md5(body)] if headers is None else headers
    head = whole.client().head("POST", f"/{bucket}", decode_query(query), given, sha(body))
    return await whole.ask(head, body)


def document(*keys: str, quiet: bool = False, namespace: str = "") -> bytes:
    entries = "".join(f"<Object><Key>{html.escape(key)}</Key></Object>" for key in keys)
    space = f' xmlns="{namespace}"' if namespace else ""
    return f"<Delete{space}>{entries}{'<Quiet>true</Quiet>' if quiet else ''}</Delete>".encode()


DELETED = "<DeleteResult><Deleted><Key>plainly/k</Key></Deleted></DeleteResult>"


async def test_del_1_it_is_known_by_its_query(whole: Whole) -> None:
    """T49: whatever its type and wherever `delete` stands, each key is judged and mapped."""
    for query, more in (
        ("delete", ("content-type", "text/xml")),
        ("delete=", ("content-type", "application/octet-stream")),
        ("x-a=1&delete", ("content-type", "application/x-www-form-urlencoded")),
        ("delete&x-id=DeleteObjects", ("content-type", "multipart/form-data; boundary=x")),
    ):
        body = document("k", namespace="http://s3.amazonaws.com/doc/2006-03-01/")
        asked = answers(whole, DELETED)
        reply = await deleting(whole, body, query=query, headers=[md5(body), more])
        assert (reply.status, re.findall(b"<Key>(.*?)</Key>", reply.body)) == (200, [b"k"]), query
        (seen,) = asked
        assert seen.target.partition("?")[0] == "/real"
        assert b"<Key>real" not in seen.body
        assert b"<Key>plainly/k</Key>" in seen.body
    whole.upstream.seen.clear()
    body = document("k")
    for method in ("PUT", "GET", "DELETE"):
        head = whole.client().head(method, "/plainly", [("delete", "")], [md5(body)], sha(body))
        assert (await whole.ask(head, body)).status in (400, 403, 501), method
    head = whole.client().head("POST", "/plainly/k", [("delete", "")], [md5(body)], sha(body))
    assert (await whole.ask(head, body)).status in (400, 403, 501)
    assert whole.upstream.seen == []


async def test_del_3_10_each_entry_is_judged(whole: Whole) -> None:
    """T49: a version without the right to versions and keys that nobody may use fail alone; also quietly."""
    for quiet in (False, True):
        versioned = b"<Object><Key>k</Key><VersionId>v</VersionId></Object></Delete>"
        body = document("k", "a/../k", "..", "./k", quiet=quiet).replace(b"</Delete>", versioned)
        asked = answers(whole, DELETED)
        reply = await deleting(whole, body)
        assert reply.status == 200, reply
        assert asked[0].body.count(b"<Object>") == 1
        assert b"VersionId" not in asked[0].body
        codes = sorted(re.findall(b"<Code>(.*?)</Code>", reply.body))
        assert codes == [b"AccessDenied", b"InvalidURI", b"InvalidURI", b"InvalidURI"]
    whole.upstream.seen.clear()
    reply = await deleting(whole, document("../k", ".."))
    assert (reply.status, reply.body.count(b"<Error>")) == (200, 2)  # DEL-7
    body = document("k")
    for who, bucket in ((READER, "data"), (WRITER, "open"), (WRITER, "nobodys")):
        head = whole.client(who).head("POST", f"/{bucket}", [("delete", "")], [md5(body)], sha(body))  # fmt: skip
        reply = await whole.ask(head, body)
        assert reply.status == 403 or b"<Code>AccessDenied</Code>" in reply.body, bucket
        assert b"<Deleted>" not in reply.body
    assert whole.upstream.seen == []


async def test_del_2_s3_4_a_document_with_two_readings_is_refused(whole: Whole) -> None:
    """T49: DTDs, entities, repeats, other encodings, too deep, too many, too large: nothing is deleted."""
    one = "<Object><Key>k</Key></Object>"
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
    for text in (
        f'<!DOCTYPE Delete [<!ENTITY a "k">]><Delete>{one}</Delete>',
        f'<!DOCTYPE Delete SYSTEM "file:///etc/passwd"><Delete>{one}</Delete>',
        f'<!DOCTYPE Delete [<!ENTITY l0 "l">{laughs}]><Delete><Object><Key>&l8;</Key></Object></Delete>',
        "<Delete><Object><Key>&unknown;</Key></Object></Delete>",
        f'<?xml-stylesheet href="x"?><Delete>{one}</Delete>',
        "<Delete><Object><Key>k</Key><Key>other</Key></Object></Delete>",
        "<Delete><Object><Key>k</Key><VersionId>a</VersionId><VersionId>b</VersionId></Object></Delete>",
        f"<Delete><Quiet>true</Quiet><Quiet>false</Quiet>{one}</Delete>",
        "<Delete></Delete>",
        "<Delete><Object></Object></Delete>",
        "<Delete><Object><Key></Key></Object></Delete>",
        f"<Other>{one}</Other>",
        f"<Delete>{one}</Delete><Delete>{one}</Delete>",
        f"<Delete>{one}",
        "<Delete>" + "<a>" * 200 + "</a>" * 200 + f"{one}</Delete>",
        "<Delete>" + one * 1001 + "</Delete>",
        "",
        "{}",
    ):
        reply = await deleting(whole, text.encode())
        assert (reply.status, reply.code) == (400, "MalformedXML"), (text[:80], reply)
        assert b"passwd" not in reply.body
    utf16 = f'<?xml version="1.0" encoding="UTF-16"?><Delete>{one}</Delete>'.encode("utf-16")
    latin = '<?xml version="1.0" encoding="latin-1"?><Delete><Object><Key>\xe9</Key></Object></Delete>'.encode("latin-1")  # fmt: skip
    for body in (utf16, latin, b"\xff\xfe<\x00", document("k").replace(b"k", b"\xff")):
        assert (await deleting(whole, body)).status == 400, body[:40]
    large = b"<Delete>" + b" " * (2 * 2**20) + one.encode() + b"</Delete>"
    assert (await deleting(whole, large)).status == 400
    assert whole.upstream.seen == []


async def test_sig_26_del_1_what_was_signed_is_what_is_obeyed(whole: Whole) -> None:
    """T49: another body than the hash, the MD5 or the checksum vouches for, or than is vouched for at all."""
    body, other = document("k"), document("j")
    client = whole.client()
    signed_other = client.head("POST", "/plainly", [("delete", "")], [md5(body)], sha(other))
    assert (await whole.ask(signed_other, body)).status == 400
    for headers in (
        [md5(other)],
        [("content-md5", "garbage")],
        [("x-amz-checksum-crc32", "AAAAAA==")],
        [("x-amz-checksum-sha256", base64.b64encode(hashlib.sha256(other).digest()).decode())],
    ):
        reply = await deleting(whole, body, headers=headers)
        assert reply.status == 400, (headers, reply)
    unsigned = client.head("POST", "/plainly", [("delete", "")], [], "UNSIGNED-PAYLOAD")
    reply = await whole.ask(unsigned, body)
    assert (reply.status, reply.code) == (400, "InvalidRequest")
    assert whole.upstream.seen == []


async def test_del_8_an_answer_about_another_key_is_not_shown(whole: Whole) -> None:
    """An upstream that speaks of a neighbour's key breaks a rule: 502, and no name of it."""
    for inside in (
        "<Deleted><Key>team/secret</Key></Deleted>",
        "<Deleted><Key>plainly</Key></Deleted>",
        "<Deleted><Key>Plainly/k</Key></Deleted>",
        "<Error><Key>team/secret</Key><Code>AccessDenied</Code></Error>",
    ):
        answers(whole, f"<DeleteResult>{inside}</DeleteResult>")
        reply = await deleting(whole, document("k"))
        assert reply.status == 502, (inside, reply)
        assert b"secret" not in reply.body


# Lists

LISTS: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "v1": ([], "ListBucketResult", "Contents"),
    "v2": ([("list-type", "2")], "ListBucketResult", "Contents"),
    "versions": ([("versions", "")], "ListVersionsResult", "Version"),
    "uploads": ([("uploads", "")], "ListMultipartUploadsResult", "Upload"),
}


def listing(
    kind: str, keys: Sequence[str], *, prefixes: Sequence[str] = (), encoded: bool = True
) -> str:
    """A page as an upstream writes it, names encoded as the gateway asks for."""
    _, root, entry = LISTS[kind]

    def spelt(name: str) -> str:
        return quote(name, safe="/") if encoded else html.escape(name)

    inside = "".join(f"<{entry}><Key>{spelt(key)}</Key></{entry}>" for key in keys)
    inside += "".join(
        f"<CommonPrefixes><Prefix>{spelt(one)}</Prefix></CommonPrefixes>" for one in prefixes
    )
    kind_of = "<EncodingType>url</EncodingType>" if encoded else ""
    bucket = "Bucket" if kind == "uploads" else "Name"
    count = f"<KeyCount>{len(keys) + len(prefixes)}</KeyCount>" if kind == "v2" else ""
    return f"<{root}><{bucket}>real</{bucket}><Prefix>team/</Prefix>{kind_of}{count}<IsTruncated>false</IsTruncated>{inside}</{root}>"


async def listed(
    whole: Whole, kind: str, *more: tuple[str, str], headers: Sequence[tuple[str, str]] = ()
) -> Reply:
    return await whole.signed("GET", "/data", query=[*LISTS[kind][0], *more], headers=headers)


@pytest.mark.parametrize("kind", LISTS)
async def test_lst_1_the_upstream_is_asked_below_the_prefix(whole: Whole, kind: str) -> None:
    """T50: whatever is asked for, the mapping's prefix stands before it, once."""
    for wanted in ("", "a", "team/", "a/b", "..a", "a..", "/", "a//", "\u00e9", "a&prefix=x", "%2e"):  # fmt: skip
        asked = answers(whole, listing(kind, []))
        reply = await listed(whole, kind, ("prefix", wanted))
        assert reply.status == 200, (wanted, reply)
        pairs = decode_query(asked[0].target.partition("?")[2])
        assert [v for n, v in pairs if n == "prefix"] == [f"team/{wanted}"]
        assert asked[0].path == "/real"
    for name in ("marker", "key-marker", "start-after"):
        if (kind, name) not in (("v1", "marker"), ("v2", "start-after"), ("versions", "key-marker"), ("uploads", "key-marker")):  # fmt: skip
            continue
        for value in ("../x", "zzz", "team/k", "\x01"):
            asked = answers(whole, listing(kind, []))
            assert (await listed(whole, kind, (name, value))).status == 200, (name, value)
            found = dict(decode_query(asked[0].target.partition("?")[2]))
            assert (found["prefix"], found[name]) == ("team/", f"team/{value}")


async def test_pth_19_a_parameter_has_one_value(whole: Whole) -> None:
    """T50: another name that contains `prefix`, the same one twice, in other letters."""
    for query in (
        "list-type=2&xprefix=a&prefix=b",
        "list-type=2&prefix=a&prefix=b",
        "list-type=2&prefix=a&prefix=a",
        "list-type=2&Prefix=a",
        "list-type=2&list-type=2",
        "list-type=3",
        "list-type=",
        "list-type=2&max-keys=1e3",
        "list-type=2&max-keys=-1",
        "list-type=2&max-keys=%2B1",
        "list-type=2&max-keys=%D9%A3",
        "list-type=2&max-keys=",
        "list-type=2&versions",
        "list-type=2&uploads",
        "list-type=2&marker=a",
        "list-type=2&prefix%00=a",
    ):
        signed = whole.client().head("GET", "/data", parse_qsl(query, keep_blank_values=True))
        reply = await whole.ask(RequestHead(method="GET", target=f"/data?{query}", headers=signed.headers))  # fmt: skip
        assert reply.status in (400, 403, 501), (query, reply)
    assert whole.upstream.seen == []


@pytest.mark.parametrize("kind", LISTS)
async def test_pth_3_10_a_prefix_does_not_climb(whole: Whole, kind: str) -> None:
    """T50: storage on a file system would resolve it, and list what stands beside the grant."""
    for prefix in ("../", "../plain/", "a/../../", "./", "a/./b", ".."):
        reply = await listed(whole, kind, ("prefix", prefix))
        assert reply.status == 400, (prefix, reply)
    assert whole.upstream.seen == []
    for prefix in (".", ".hidden", "a/.h", "...", "a/..."):
        answers(whole, listing(kind, []))
        assert (await listed(whole, kind, ("prefix", prefix))).status == 200, prefix


async def test_lst_7_a_forged_token_leaves_nothing_but_the_prefix(whole: Whole) -> None:
    """T50: it goes up as it came, the prefix beside it; what the upstream says of it names nothing of ours."""
    for token in ("forged", "plain/k", "../../x", "a" * 2000, "\u00e9=="):
        asked = answers(whole, listing("v2", ["team/k"]))
        reply = await listed(whole, "v2", ("continuation-token", token))
        assert reply.status == 200, token
        pairs = dict(decode_query(asked[0].target.partition("?")[2]))
        assert (pairs["prefix"], pairs["continuation-token"]) == ("team/", token)
    for status, code in ((500, "InternalError"), (400, "InvalidArgument")):
        error = f"<Error><Code>{code}</Code><Message>bad token for real/team/ at host s3-upstream:9000</Message><Resource>/real/team/</Resource><BucketName>real</BucketName><HostId>secret-host</HostId></Error>"
        answers(whole, error, status)
        reply = await listed(whole, "v2", ("continuation-token", "forged"))
        assert (reply.status, reply.code) == (status, code)
        for name in (b"real", b"team", b"s3-upstream", b"secret-host"):
            assert name not in reply.body, name


@pytest.mark.parametrize("kind", LISTS)
async def test_lst_5_what_stands_beside_the_prefix_is_never_shown(whole: Whole, kind: str) -> None:
    """T51: an upstream that ignores `prefix`, or slips in one key: 502, no name, no key of the client's either."""
    pages = [
        listing(kind, ["team/mine", "other/secret"]),
        listing(kind, ["secret", "team/mine"]),
        listing(kind, ["team"]),
        listing(kind, ["Team/secret"]),
        listing(kind, ["/team/secret"]),
        listing(kind, ["teamsecret"]),
        listing(kind, ["team/mine"], prefixes=["other/secret/"]),
        listing(kind, [], prefixes=["t"]),
        listing(kind, ["team/mine", "other/secret"], encoded=False),
        listing(kind, ["team/mine"]).replace("team%", "team/").replace("</Key>", "</Key><Key>other/secret</Key>", 1),
        "<html>secret</html>",
        "not XML: secret",
        f'<!DOCTYPE x [<!ENTITY a "secret">]>{listing(kind, ["team/&a;"])}',
    ]  # fmt: skip
    for page in pages:
        for headers in ((), (("accept", "application/json"),)):
            answers(whole, page)
            reply = await listed(whole, kind, headers=headers)
            assert reply.status == 502, (page, reply)
            assert b"secret" not in reply.body, page
            assert b"mine" not in reply.body, page


AWKWARD = [
    "with space", "plus+plus", "per%cent", "%2F", "amp&", "lt<gt>", "quote\"'", "cdata]]>", "tab\tx", "\u0001ctl", "line\nfeed",
    "ret\rurn", "\U0001f600", "\u00e9", "e\u0301", "team/team/", "a//b", "/lead", "semi;colon", "hash#", "q?", "back\\slash", "~*'()!", "\u202ertl", "\ufffe",
]  # fmt: skip


@pytest.mark.parametrize("kind", LISTS)
async def test_lst_3_4_13_awkward_names_come_back_as_they_are(whole: Whole, kind: str) -> None:
    """T52: as XML, bare and encoded, and as JSON; the client's own prefix off, once."""
    page = listing(kind, [f"team/{key}" for key in AWKWARD])
    member = {"v1": "Contents", "v2": "Contents", "versions": "Versions", "uploads": "Uploads"}
    answers(whole, page)
    bare = await listed(whole, kind)
    found = [xml_unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", bare.body.decode(), re.DOTALL)]  # fmt: skip
    assert found == AWKWARD
    assert "<EncodingType>" not in bare.body.decode()
    answers(whole, page)
    encoded = await listed(whole, kind, ("encoding-type", "url"))
    spelt = re.findall(r"<Key>(.*?)</Key>", encoded.body.decode())
    assert [unquote(html.unescape(key), errors="strict") for key in spelt] == AWKWARD
    assert not any("+" in key or "<" in key for key in spelt)
    answers(whole, page)
    as_json = json.loads((await listed(whole, kind, headers=[("accept", "application/json")])).body)
    assert [one["Key"] for one in as_json[member[kind]]] == AWKWARD


def xml_unescape(text: str) -> str:
    """References as XML 1.1 knows them; `html.unescape` would leave out controls."""
    named = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("#x"):
            return chr(int(name[2:], 16))
        return chr(int(name[1:])) if name.startswith("#") else named[name]

    return re.sub(r"&(#?\w+);", one, text)


@pytest.mark.parametrize("kind", LISTS)
async def test_lst_6_the_marker_of_the_folder_itself_is_left_out(whole: Whole, kind: str) -> None:
    """T53: an entry equal to the prefix would be an object without a name; a page may be empty for it."""
    for keys, expected in ((["team/"], []), (["team/", "team/a"], ["a"])):
        answers(whole, listing(kind, keys))
        reply = await listed(whole, kind)
        assert re.findall(r"<Key>(.*?)</Key>", reply.body.decode()) == expected
        if kind == "v2":
            assert f"<KeyCount>{len(expected)}</KeyCount>".encode() in reply.body


async def test_pth_18_a_key_that_looks_mapped_is_mapped_all_the_same(whole: Whole) -> None:
    """T43: the prefix is put before every key, and taken off once."""
    whole.upstream.objects["/real/team/k"] = Stored(b"outer", [])
    assert (await whole.signed("PUT", "/data/team/k", b"inner")).status == 200
    assert whole.stored("/real/team/team/k") == b"inner"
    assert (await whole.signed("GET", "/data/k")).body == b"outer"
    assert (await whole.signed("GET", "/data/team/k")).body == b"inner"


async def test_pth_17_the_clients_limit_is_told_and_not_the_prefix(whole: Whole) -> None:
    """T43: 1024 bytes less the prefix are stored, one more is refused without a word of the prefix."""
    most = "k" * (1024 - len("team/"))
    assert (await whole.signed("PUT", f"/data/{most}", b"x")).status == 200
    before = len(whole.upstream.seen)
    reply = await whole.signed("PUT", f"/data/{most}k", b"x")
    assert (reply.status, reply.code) == (400, "KeyTooLongError")
    assert b"team" not in reply.body
    assert len(whole.upstream.seen) == before


async def test_s3_5_lst_18_what_is_missing_and_what_is_forbidden_look_alike(whole: Whole) -> None:
    """A bucket of somebody else's, and one that nobody has: the same answer to everything."""
    for method, path, query in (
        ("GET", "", []),
        ("HEAD", "", []),
        ("GET", "/k", []),
        ("HEAD", "/k", []),
        ("PUT", "/k", []),
        ("DELETE", "/k", []),
        ("GET", "", [("list-type", "2")]),
        ("GET", "", [("location", "")]),
        ("GET", "", [("policy", "")]),
        ("PUT", "", []),
        ("DELETE", "", []),
    ):
        said = []
        for bucket in ("plain", "nobody"):
            reply = await whole.signed(method, f"/{bucket}{path}", query=query, credentials=READER)
            text = re.sub(rb"<RequestId>.*?</RequestId>", b"", reply.body).replace(bucket.encode(), b"BUCKET")  # fmt: skip
            names = [(n, v) for n, v in reply.headers if n not in ("x-amz-request-id", "content-length", "date")]  # fmt: skip
            said.append((reply.status, text, names))
        assert said[0] == said[1], (method, path, query)
        assert said[0][0] == 403
    assert whole.upstream.seen == []
