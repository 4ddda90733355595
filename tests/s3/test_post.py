"""Uploads by form: what a browser posts becomes a PutObject that the policy allows, or nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.message import Answer, Body, BytesBody, Headers, RequestHead, ResponseHead
from gateway.records import replace
from gateway.s3.errors import S3Error
from gateway.s3.hosts import Hosts
from gateway.s3.operations import resolve
from gateway.s3.post import SMALL_FORM, Upload, is_form, permitted, read_form
from gateway.s3.request import S3Request, parse

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PUBLIC = "https://s3.example.com"
HOSTS = Hosts(virtual=("s3.example.com",))
TYPE = "multipart/form-data; boundary=xyz"
FILE = b"the file's bytes\r\n--not the end"


def policy(*conditions: object) -> str:
    document = {
        "expiration": "2026-03-01T13:00:00Z",
        "conditions": [{"bucket": "data"}, ["starts-with", "$key", ""], *conditions],
    }
    return base64.b64encode(json.dumps(document).encode()).decode()


def wire(
    fields: dict[str, str], data: bytes = FILE, filename: str = "a.txt", after: bytes = b""
) -> bytes:
    parts = [
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    named = f'name="file"; filename="{filename}"'
    head = f"--xyz\r\nContent-Disposition: form-data; {named}\r\nContent-Type: x/y\r\n\r\n"
    return b"".join(parts) + head.encode() + data + b"\r\n" + after + b"--xyz--\r\n"


class Slowly(Body):
    """A body in pieces; counts them."""

    def __init__(self, data: bytes, size: int, length: int | None = -1) -> None:
        self._data, self._size = data, size
        self.length = len(data) if length == -1 else length
        self.count = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._data), self._size):
            self.count += 1
            yield self._data[at : at + self._size]


def posted(target: str = "/data", host: str = "s3.example.com", *pairs: tuple[str, str]):
    head = RequestHead(
        method="POST",
        target=target,
        headers=Headers([("host", host), ("content-type", TYPE), *pairs]),
        peer="192.0.2.1",
        secure=True,
    )
    return head, parse(head, HOSTS)


async def upload(
    fields: dict[str, str],
    *conditions: object,
    data: bytes = FILE,
    filename: str = "a.txt",
    pieces: int = 50,
    after: bytes = b"",
    request: tuple[RequestHead, S3Request] | None = None,
    now: datetime = NOW,
) -> Upload:
    head, asked = request or posted()
    form = await read_form(
        head, Slowly(wire({**fields, "policy": policy(*conditions)}, data, filename, after), pieces)
    )
    return permitted(form, head, asked, now=now, public_url=PUBLIC)


async def refused(fields: dict[str, str], *conditions: object, **how) -> tuple[int, str]:
    with pytest.raises(S3Error) as caught:
        made = await upload(fields, *conditions, **how)
        parse(made.head, HOSTS)
        body = await made.body()
        async for _ in body:
            pass
    return caught.value.status, caught.value.code


async def whole(body: Body) -> bytes:
    return b"".join([piece async for piece in body])


INVALID = (400, "InvalidArgument")
DENIED = (403, "AccessDenied")
BIG = bytes(range(256)) * (SMALL_FORM // 256 + 1000)


# --- what it becomes ------------------------------------------------------------------------


async def test_sig_17_a_form_becomes_a_put_of_its_file():
    """With the headers that its fields stand for, to be judged like any other."""
    made = await upload(
        {
            "key": "u/${filename}",
            "Content-Type": "text/plain",
            "acl": "private",
            "x-amz-meta-a": "1",
            "tagging": "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag></TagSet></Tagging>",
            "x-ignore-me": "x",
            "submit": "Upload",
        },
        ["starts-with", "$Content-Type", "text/"],
        {"acl": "private"},
        {"x-amz-meta-a": "1"},
        ["starts-with", "$tagging", ""],
        ["starts-with", "$submit", ""],
    )
    request = parse(made.head, HOSTS)

    assert (request.method, request.bucket, request.key) == ("PUT", "data", "u/a.txt")
    assert resolve(request).name == "PutObject"
    assert dict(made.head.headers) == {
        "host": "s3.example.com",
        "content-type": "text/plain",
        "x-amz-acl": "private",
        "x-amz-meta-a": "1",
        "x-amz-tagging": "a+b=1%262",
    }
    assert (made.head.peer, made.head.secure) == ("192.0.2.1", True)
    body = await made.body()
    assert (await whole(body), body.length) == (FILE, len(FILE))


async def test_sig_17_a_form_may_name_the_algorithm_of_its_checksum():
    """By the field that minio-go writes; PutObject has another header for it."""
    made = await upload(
        {"key": "k", "x-amz-checksum-algorithm": "CRC32C", "x-amz-checksum-crc32c": "AAAAAA=="},
        ["starts-with", "$x-amz-checksum-algorithm", ""],
        ["starts-with", "$x-amz-checksum-crc32c", ""],
    )

    assert made.head.headers.get("x-amz-sdk-checksum-algorithm") == "CRC32C"
    assert made.head.headers.get("x-amz-checksum-crc32c") == "AAAAAA=="


@pytest.mark.parametrize("target", ["/data", "/data/"])
def test_sig_17_a_form_is_posted_to_a_bucket(target):
    """Path style or virtual host; anything else is another operation."""
    head, request = posted(target)
    assert is_form(head, request)
    assert is_form(*posted("/", "data.s3.example.com"))
    assert not is_form(*posted("/data/key"))
    assert not is_form(*posted("/data?delete"))
    assert not is_form(*posted("/"))
    assert not is_form(replace(head, method="PUT"), request)
    plain = replace(head, headers=Headers([("host", "h"), ("content-type", "text/plain")]))
    assert not is_form(plain, request)


async def test_pth_7_a_form_by_virtual_host_stays_there():
    """The key is the whole path."""
    made = await upload({"key": "a b/ü"}, request=posted("/", "data.s3.example.com"))

    assert made.head.target == "/a%20b/%C3%BC"
    assert parse(made.head, HOSTS).key == "a b/ü"


@pytest.mark.parametrize("size", [0, 1, 1000, len(BIG)])
@pytest.mark.parametrize("pieces", [100, 65536, 10**7])
async def test_sig_17_any_file_arrives_with_its_length(size, pieces):
    """Read whole where little is left, else by where the form will end."""
    if size > 10**5 and pieces < 1000:
        pieces = 4096
    data = BIG[:size]
    made = await upload({"key": "k"}, data=data, pieces=pieces)
    body = await made.body()

    assert body.length == size
    assert await whole(body) == data


async def test_sig_1_the_file_is_not_read_before_the_policy_is_believed():
    """What is looked at for nothing is the fields and what came with them."""
    body = Slowly(wire({"key": "k", "policy": policy()}, BIG), 1000)
    head, _ = posted()
    form = await read_form(head, body)

    assert body.count <= 2
    assert form.length == len(BIG)
    assert "policy" in form.fields


# --- keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "filename", "becomes"),
    [
        ("${filename}", "a.txt", "a.txt"),
        ("u/${filename}", "C:\\docs\\a.txt", "u/a.txt"),
        ("u/${filename}", "/etc/passwd", "u/passwd"),
        ("u/${filename}.bak", "../../a", "u/a.bak"),
        ("u/x", "a.txt", "u/x"),
        ("u/${filename}", "${filename}", "u/${filename}"),
        ("u/${filename}", "", "u/"),
    ],
)
async def test_sig_17_a_file_name_cannot_climb(key, filename, becomes):
    """Of a path only the last name counts."""
    made = await upload({"key": key}, filename=filename)

    assert made.key == becomes
    assert parse(made.head, HOSTS).key == becomes


@pytest.mark.parametrize("filename", ["..", ".", "a/..", "x\\.."])
async def test_pth_3_a_file_name_of_dots_is_refused(filename):
    """By the one parser of keys."""
    assert await refused({"key": "u/${filename}"}, filename=filename) == (400, "InvalidURI")


@pytest.mark.parametrize(
    ("key", "wanted"),
    [("u/../x", (400, "InvalidURI")), ("x" * 1025, (400, "KeyTooLongError")), ("", INVALID)],
)
async def test_pth_1_keys_obey_the_rules_of_every_key(key, wanted):
    """However they came."""
    assert await refused({"key": key}) == wanted


async def test_sig_17_the_key_is_judged_as_it_is_used():
    """A condition holds for the key with the file name put in."""
    head, request = posted()
    document = {
        "expiration": "2026-03-01T13:00:00Z",
        "conditions": [{"bucket": "data"}, ["starts-with", "$key", "u/alice/"]],
    }
    text = base64.b64encode(json.dumps(document).encode()).decode()
    for key, allowed in [("u/alice/${filename}", True), ("u/${filename}", False)]:
        form = await read_form(head, BytesBody(wire({"key": key, "policy": text}, b"", "alice")))
        if allowed:
            permitted(form, head, request, now=NOW, public_url=PUBLIC)
            continue
        with pytest.raises(S3Error, match="Policy Condition failed"):
            permitted(form, head, request, now=NOW, public_url=PUBLIC)


# --- fields ---------------------------------------------------------------------------------


async def test_sig_17_a_form_without_a_policy_is_nobodys():
    """There is no anonymous upload by form."""
    head, request = posted()
    form = await read_form(head, BytesBody(wire({"key": "k"})))
    with pytest.raises(S3Error) as caught:
        permitted(form, head, request, now=NOW, public_url=PUBLIC)

    assert (caught.value.status, caught.value.code) == DENIED


async def test_sig_17_a_policy_that_says_no():
    """Expired; a field too many; another bucket."""
    assert await refused({"key": "k"}, now=datetime(2026, 3, 1, 13, 0, tzinfo=UTC)) == DENIED
    assert await refused({"key": "k", "acl": "public-read"}) == DENIED
    assert await refused({"key": "k"}, request=posted("/other")) == DENIED
    assert await refused({"key": "k", "bucket": "other"}) == INVALID
    assert (await upload({"key": "k", "bucket": "data"})).bucket == "data"


@pytest.mark.parametrize(
    "name",
    [
        "x-amz-copy-source",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-trailer",
        "x-amz-rename-source",
        "x-amz-unknown",
    ],
)
async def test_sig_17_a_field_that_is_none_of_an_upload_is_refused(name):
    """It would make of a put a copy, or of the file a framed body."""
    assert await refused({"key": "k", name: "1"}, ["starts-with", f"${name}", ""]) == INVALID


async def test_sig_17_a_field_stands_once():
    """In any case: which of two would have been judged?"""
    with pytest.raises(S3Error) as caught:
        await upload({"key": "a", "KEY": "b"})
    assert (caught.value.status, caught.value.code) == INVALID


@pytest.mark.parametrize("value", ["a\r\nx-amz-acl: public-read", "a\nb", "a\0b"])
async def test_sig_17_no_field_writes_a_header_of_its_own(value):
    """Line ends in a value are refused."""
    fields = {"key": "k", "content-type": value}

    assert await refused(fields, ["starts-with", "$content-type", ""]) == INVALID


@pytest.mark.parametrize(
    "text", ["x", "<Tag/>", "<Tagging><TagSet><Tag><Key>a</Key>", "<!DOCTYPE x>"]
)
async def test_sig_17_tags_are_a_document(text):
    """Of their own kind."""
    assert await refused({"key": "k", "tagging": text}, ["starts-with", "$tagging", ""]) == INVALID


async def test_sig_17_a_form_says_its_length_and_its_boundary():
    """Browsers do."""
    head, _ = posted()
    with pytest.raises(S3Error) as caught:
        await read_form(head, Slowly(b"", 10, length=None))
    assert caught.value.code == "MissingContentLength"
    with pytest.raises(S3Error) as caught:
        await read_form(replace(head, headers=Headers()), BytesBody())
    assert caught.value.code == "MalformedPOSTRequest"
    with pytest.raises(S3Error) as caught:
        await read_form(head, BytesBody(b"--xyz\r\n"))
    assert caught.value.code == "MalformedPOSTRequest"


# --- length ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 10, None),
        (10, 10, None),
        (0, 9, (400, "EntityTooLarge")),
        (11, 20, (400, "EntityTooSmall")),
    ],
)
@pytest.mark.parametrize("big", [False, True])
async def test_sig_17_the_range_of_lengths_is_enforced(low, high, wanted, big):
    """To the byte, for what is read whole and for what streams."""
    scale = len(BIG) // 10 if big else 1
    data = BIG[: 10 * scale]
    condition = ["content-length-range", low * scale, high * scale]
    if wanted is None:
        body = await (await upload({"key": "k"}, condition, data=data, pieces=65536)).body()
        assert await whole(body) == data
        return

    assert await refused({"key": "k"}, condition, data=data, pieces=65536) == wanted


async def test_chk_16_a_large_form_that_goes_on_after_its_file_is_refused():
    """Its file's length was promised by the form's; the last piece never goes out."""
    late = b'--xyz\r\nContent-Disposition: form-data; name="late"\r\n\r\n1\r\n'
    made = await upload({"key": "k"}, data=BIG, after=late, pieces=65536)
    body = await made.body()
    out = 0
    with pytest.raises(S3Error) as caught:
        async for piece in body:
            out += len(piece)

    assert caught.value.code == "MalformedPOSTRequest"
    assert body.length is not None
    assert out < len(BIG) < body.length
    small = await upload({"key": "k"}, after=late)
    assert await whole(await small.body()) == FILE


async def test_chk_11_a_form_that_breaks_off_is_refused():
    """Small or large."""
    head, request = posted()
    for data in (FILE, BIG):
        sent = wire({"key": "k", "policy": policy()}, data)
        form = await read_form(head, Slowly(sent[:-9], 65536, length=len(sent)))
        made = permitted(form, head, request, now=NOW, public_url=PUBLIC)
        with pytest.raises(S3Error) as caught:
            await whole(await made.body())
        assert caught.value.code == "MalformedPOSTRequest"


# --- the answer -----------------------------------------------------------------------------

STORED = Answer(
    head=ResponseHead(
        status=200,
        headers=Headers([("etag", '"abc"'), ("content-length", "0"), ("x-amz-version-id", "v")]),
    )
)
ANY_STATUS = ["starts-with", "$success_action_status", ""]
ANY_PAGE = ["starts-with", "$success_action_redirect", ""]


@pytest.mark.parametrize(
    ("asked", "status"),
    [(None, 204), ("200", 200), ("201", 201), ("204", 204), ("500", 204), ("", 204)],
)
async def test_sig_17_the_status_is_one_of_three(asked, status):
    """204 unless 200 or 201 was asked for."""
    fields = {"key": "a&b"} | ({} if asked is None else {"success_action_status": asked})
    answer = (await upload(fields, ANY_STATUS)).answer(STORED, PUBLIC)
    document = (await answer.body.read(10_000)).decode()

    assert answer.status == status
    assert answer.head.headers["location"] == "https://s3.example.com/data/a%26b"
    assert answer.head.headers["etag"] == '"abc"'
    assert "content-length" not in answer.head.headers
    assert ("<Key>a&amp;b</Key>" in document) == (status == 201)


async def test_sig_17_a_refusal_stays_what_it_is():
    """Only success has another face."""
    answer = Answer(head=ResponseHead(status=412))

    assert (await upload({"key": "k"})).answer(answer, PUBLIC) is answer


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://s3.example.com/done", None),
        ("https://S3.example.com:443/done?a=1", None),
        ("https://app.example/done", "https://app.example"),
        ("http://localhost:3000/#x", "http://localhost:3000"),
    ],
)
@pytest.mark.parametrize("name", ["success_action_redirect", "redirect"])
async def test_red_3_a_form_leads_back_here_or_to_its_page(url, origin, name):
    """With bucket, key and etag, as S3 does."""
    pairs = [("origin", origin)] if origin else []
    request = posted("/data", "s3.example.com", *pairs)
    made = await upload({"key": "a b", name: url}, ["starts-with", f"${name}", ""], request=request)
    answer = made.answer(STORED, PUBLIC)
    there = urlsplit(answer.head.headers["location"])

    assert answer.status == 303
    assert answer.head.headers["location"].startswith(url.partition("#")[0])
    assert dict(parse_qsl(there.query)) | {"bucket": "data", "key": "a b", "etag": '"abc"'} == dict(
        parse_qsl(there.query)
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://badapp.example/",
        "https://app.example.evil/",
        "https://app.example@evil/",
        "https://x@app.example/",
        "http://app.example/",
        "https://app.example:444/",
        "https://app.example\\@evil/",
        "//app.example/",
        "/local",
        "javascript:alert(1)",
        "https://app.example /",
        "https://app.example\r\nSet-Cookie: a=b",
        "https://äpp.example/",
        "https://app.example:x/",
        "https:///done",
    ],
)
async def test_red_3_and_nowhere_else(url):
    """By exact origin; nothing is stored."""
    request = posted("/data", "s3.example.com", ("origin", "https://app.example"))

    assert await refused(
        {"key": "k", "success_action_redirect": url}, ANY_PAGE, request=request
    ) == (INVALID)


async def test_red_3_an_origin_of_null_allows_nothing():
    """A sandboxed page has no place to go back to."""
    request = posted("/data", "s3.example.com", ("origin", "null"))

    assert await refused(
        {"key": "k", "success_action_redirect": "null"}, ANY_PAGE, request=request
    ) == (INVALID)
