"""Bodies that name keys."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocolError
from gateway.s3 import xml
from gateway.s3.answers import inbound
from gateway.s3.bodies import delete_body, nothing_to_delete, restore_body
from gateway.s3.errors import S3Error
from gateway.s3.refusals import UpstreamRefusal
from gateway.s3.request import DeleteEntry, with_keys
from tests.s3.world import PREFIXED, SAME, answer, ask, slowly, text, upstream, view

KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20
)


def deleting(*entries: str, headers=(), quiet: bool = False):
    inside = "".join(f"<Object>{entry}</Object>" for entry in entries)
    flag = "<Quiet>true</Quiet>" if quiet else ""
    return with_keys(
        ask("POST", "/home?delete", *headers), f"<Delete>{flag}{inside}</Delete>".encode()
    )


# DeleteObjects


def test_del_4_entries_go_up_whole_and_in_order():
    """Version, ETag, time and size intact, keys mapped; Quiet as asked (DEL-6)."""
    request = deleting(
        "<Key>b &amp; c</Key><VersionId>null</VersionId><ETag>&quot;e&quot;</ETag>"
        "<LastModifiedTime>t</LastModifiedTime><Size>3</Size>",
        "<Key>a</Key>",
        quiet=True,
    )
    document, _ = delete_body(request, PREFIXED)

    assert document.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<Object><Key>users/alice/b &amp; c</Key><VersionId>null</VersionId><ETag>&quot;e&quot;</ETag>"
        "<LastModifiedTime>t</LastModifiedTime><Size>3</Size></Object>"
        "<Object><Key>users/alice/a</Key></Object><Quiet>true</Quiet></Delete>"
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(KEYS, min_size=1, max_size=5))
def test_del_8_what_goes_up_mapped_comes_back_as_it_was(keys):
    """Rewriting undone is identity, whatever the keys."""
    request = deleting(*(f"<Key>{xml.escape(key)}</Key>" for key in keys))
    document, _ = delete_body(request, PREFIXED)
    sent = [entry.one("Key") or "" for entry in xml.parse(document).all("Object")]

    assert [PREFIXED.client_key(key) for key in sent] == [entry.key for entry in request.body_keys]


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("x-amz-checksum-crc32", lambda data: zlib.crc32(data).to_bytes(4, "big")),
        ("x-amz-checksum-sha1", lambda data: hashlib.sha1(data).digest()),
        ("x-amz-checksum-sha256", lambda data: hashlib.sha256(data).digest()),
        ("x-amz-checksum-sha512", lambda data: hashlib.sha512(data).digest()),
        ("x-amz-checksum-md5", lambda data: hashlib.md5(data).digest()),
        ("content-md5", lambda data: hashlib.md5(data).digest()),
    ],
)
def test_del_5_the_new_body_has_a_new_checksum_of_the_same_algorithm(name, digest):
    """The client's own covers the old body (CHK-21)."""
    document, headers = delete_body(deleting("<Key>a</Key>", headers=((name, "old"),)), PREFIXED)

    assert dict(headers)[name] == base64.b64encode(digest(document)).decode()


def test_chk_21_where_an_algorithm_cannot_be_computed_the_body_is_vouched_for_by_md5():
    """Always something: servers require it."""
    _, headers = delete_body(
        deleting("<Key>a</Key>", headers=(("x-amz-checksum-crc64nvme", "x"),)), PREFIXED
    )

    assert [name for name, _ in headers] == ["content-type", "content-md5"]


def test_pth_17_one_key_too_long_for_the_prefix_is_refused_by_name():
    """With the client's limit."""
    with pytest.raises(S3Error) as caught:
        delete_body(deleting(f"<Key>{'k' * 1024}</Key>"), PREFIXED)
    assert caught.value.code == "KeyTooLongError"


REFUSED = ((DeleteEntry("x<y", "1"), "AccessDenied", "Access Denied"),)


async def test_del_8_results_come_back_in_the_clients_names():
    """Deleted and Error alike, own refusals beside them, messages without names."""
    data = (
        '<?xml version="1.0"?><DeleteResult xmlns="u"><Deleted><Key>users/alice/a&#x1;</Key>'
        "<DeleteMarker>true</DeleteMarker></Deleted><Error><Key>users/alice/b</Key><VersionId>v</VersionId>"
        "<Code>AccessDenied</Code><Message>arn:aws:s3:::acme-home/users/alice/b</Message>"
        "<Host>acme</Host></Error><Error><Key>users/alice/c</Key><Code>InternalError</Code>"
        "<Message>Try again.</Message></Error></DeleteResult>"
    )
    got = await text(await inbound(answer(data), view(deleting("<Key>a</Key>"), refused=REFUSED)))

    assert got == (
        '<?xml version="1.0"?><DeleteResult xmlns="u"><Deleted><Key>a&#x1;</Key>'
        "<DeleteMarker>true</DeleteMarker></Deleted><Error><Key>b</Key><VersionId>v</VersionId>"
        "<Code>AccessDenied</Code><Message>It was not deleted.</Message></Error><Error><Key>c</Key>"
        "<Code>InternalError</Code><Message>Try again.</Message></Error><Error><Key>x&lt;y</Key>"
        "<VersionId>1</VersionId><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>"
    )


@pytest.mark.parametrize(
    "inside",
    ["<Deleted><Key>users/bob/a</Key></Deleted>", "<Error><Key>users/bob/a</Key></Error>",
     "<Deleted><Key><b/></Key></Deleted>", "<Deleted><Key>&nbsp;</Key></Deleted>"],
)  # fmt: skip
async def test_del_8_a_strangers_key_is_a_fault_of_the_upstream(inside):
    """Nothing of such an answer is shown."""
    with pytest.raises(UpstreamProtocolError):
        await inbound(
            answer(f"<DeleteResult>{inside}</DeleteResult>"), view(deleting("<Key>a</Key>"))
        )


async def test_del_7_nothing_left_is_still_an_answer():
    """200, with the reasons, and the upstream was not asked."""
    got = nothing_to_delete(view(deleting("<Key>a</Key>"), refused=REFUSED))

    assert got.status == 200
    assert "<Key>x&lt;y</Key>" in await text(got)


async def test_what_no_rule_names_passes():
    """Another element of a result, another child of an entry."""
    data = "<DeleteResult><Odd>1</Odd><Deleted><Key>users/alice/a</Key><Odd>2</Odd></Deleted></DeleteResult>"
    got = await text(await inbound(answer(data), view(deleting("<Key>a</Key>"))))

    assert got == data.replace("users/alice/", "")


@pytest.mark.parametrize(
    "data", [b"<Error><A></Error>", b"<Error><A><B></A></Error>", b"x" * (9 << 20)]
)
async def test_a_result_that_cannot_be_read_is_a_fault(data):
    """Broken, or without end."""
    with pytest.raises(UpstreamProtocolError):
        await inbound(answer(data), view(deleting("<Key>a</Key>")))


# Answers with Bucket and Key


async def test_an_upload_that_begins_is_named_as_the_client_does():
    """InitiateMultipartUploadResult; a tag's Key further down is a tag."""
    data = (
        "<InitiateMultipartUploadResult><Bucket>acme-home</Bucket><Key>users/alice/k</Key>"
        "<UploadId>u~1</UploadId><Tag><Key>users/alice/k</Key></Tag></InitiateMultipartUploadResult>"
    )
    got = await text(await inbound(answer(data), view(ask("POST", "/home/k?uploads"))))

    assert got == (
        "<InitiateMultipartUploadResult><Bucket>home</Bucket><Key>k</Key>"
        "<UploadId>u~1</UploadId><Tag><Key>users/alice/k</Key></Tag></InitiateMultipartUploadResult>"
    )


async def test_lst_15_parts_as_json():
    """Numbers and booleans as such, Parts always an array."""
    data = (
        "<ListPartsResult><Bucket>acme-home</Bucket><Key>users/alice/k</Key><UploadId>u</UploadId>"
        "<PartNumberMarker>0</PartNumberMarker><IsTruncated>false</IsTruncated>"
        "<Owner><ID>1</ID></Owner>{}</ListPartsResult>"
    )
    part = "<Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag><Size>5</Size></Part>"
    request = ask("GET", "/home/k?uploadId=u")

    got = json.loads(
        await text(await inbound(answer(data.format(part)), view(request, as_json=True)))
    )
    assert got == {
        "Bucket": "home", "Key": "k", "UploadId": "u", "PartNumberMarker": 0, "IsTruncated": False,
        "Owner": {"ID": "1"}, "Parts": [{"PartNumber": 1, "ETag": '"e"', "Size": 5}],
    }  # fmt: skip
    empty = json.loads(
        await text(await inbound(answer(data.format("")), view(request, as_json=True)))
    )
    assert empty["Parts"] == []


async def test_an_answer_without_a_body_stays_without():
    """PutObjectAnnotation may have none."""
    request = ask("PUT", "/home/k?annotation&annotationName=a")

    assert await text(await inbound(answer(b""), view(request))) == ""
    assert (await inbound(answer(b"", 204), view(request))).status == 204


@pytest.mark.parametrize("target", ["/home/k?uploads", "/home?delete"])
async def test_an_error_under_a_200_becomes_one(target):
    """While there is time to say so."""
    request = deleting("<Key>a</Key>") if "delete" in target else ask("POST", target)
    with pytest.raises(UpstreamRefusal) as caught:
        await inbound(
            answer("<Error><Code>SlowDown</Code><Message>acme-home</Message></Error>"),
            view(request),
        )
    assert (caught.value.code, caught.value.status) == ("SlowDown", 500)


# Results that come late

COMPLETE = ask("POST", "/home/a%20b?uploadId=u")
COPY = ask("PUT", "/home/k", ("x-amz-copy-source", "/home/a"))


async def parts(given) -> list[bytes]:
    return [part async for part in given.body]


async def test_lst_16_white_space_passes_at_once_and_the_document_is_rewritten():
    """The client is kept waiting as S3 does it; Location is the public URL."""
    got = await parts(
        await inbound(
            slowly([
                b'<?xml version="1.0"', b' encoding="UTF-8"?>', b"  \n", b" ", b"<CompleteMultipartUploadResult>",
                b"<Location>http://acme-home.s3/users/alice/a b</Location><Bucket>acme-home</Bucket>",
                b"<Key>users/alice/a b</Key><ETag>e</ETag></CompleteMultipartUploadResult>",
            ]),
            view(COMPLETE),
        )
    )  # fmt: skip

    assert got[:3] == [b'<?xml version="1.0" encoding="UTF-8"?>', b"  \n", b" "]
    assert got[3:] == [
        b"<CompleteMultipartUploadResult><Location>https://gw.example.com/home/a%20b</Location>"
        b"<Bucket>home</Bucket><Key>a b</Key><ETag>e</ETag></CompleteMultipartUploadResult>"
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 150), max_size=6))
async def test_lst_16_the_result_does_not_depend_on_how_it_is_cut(places):
    """One byte at a time gives the same."""
    data = (
        b'<?xml version="1.0"?>\n   <CompleteMultipartUploadResult><Bucket>acme-home</Bucket>'
        b"<Key>users/alice/a b</Key></CompleteMultipartUploadResult>\n"
    )
    cuts = [0, *sorted(places), len(data)]
    pieces = [data[a:b] for a, b in pairwise(cuts)]
    for cut in (pieces, [data[i : i + 1] for i in range(len(data))]):
        assert b"".join(await parts(await inbound(slowly(cut), view(COMPLETE)))) == (
            b'<?xml version="1.0"?>\n   <CompleteMultipartUploadResult><Bucket>home</Bucket>'
            b"<Key>a b</Key></CompleteMultipartUploadResult>\n"
        )


async def test_cpy_11_an_error_inside_a_200_is_told_in_the_clients_names():
    """And to the audit line as a failure."""
    failed: list[str] = []
    given = slowly(
        [
            b"<?xml version='1.0'?>\n ",
            b"<Error><Code>NoSuchKey</Code><Message>no users/alice/a</Message></Error>",
        ]
    )
    got = b"".join(await parts(await inbound(given, view(COPY, failed=failed.append))))

    assert got.startswith(b"<?xml version='1.0'?>\n <Error><Code>NoSuchKey</Code>")
    assert b"alice" not in got
    assert failed == ["NoSuchKey"]


async def test_cpy_11_what_speaks_of_our_signature_is_never_told():
    """Too late to renew; an internal error to the client."""
    got = b"".join(
        await parts(
            await inbound(slowly([b"<Error><Code>ExpiredToken</Code></Error>"]), view(COPY))
        )
    )

    assert b"<Code>InternalError</Code>" in got


@pytest.mark.parametrize(
    "data", [b"<CopyObjectResult>", b"<Copy", b"{}", b"x" * 300_000, b"<Error><x></Error>"]
)
async def test_a_late_result_that_breaks_off_is_no_result(data):
    """The client's connection is closed instead."""
    with pytest.raises(UpstreamProtocolError):
        await parts(await inbound(slowly([data]), view(COPY)))


async def test_a_copy_result_passes():
    """It names nothing."""
    data = b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"

    assert b"".join(await parts(await inbound(slowly([data]), view(COPY)))) == data
    assert await parts(await inbound(slowly([b""]), view(COPY))) == []


# RestoreObject


def test_ops_11_a_restore_into_a_bucket_is_refused():
    """Anything else of it passes byte for byte."""
    plain = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    with pytest.raises(S3Error) as caught:
        restore_body(
            b"<RestoreRequest><OutputLocation><S3><BucketName>b</BucketName></S3></OutputLocation></RestoreRequest>"
        )

    assert caught.value.code == "NotImplemented"
    assert restore_body(plain) is plain
    assert restore_body(b"") == b""
    with pytest.raises(S3Error):
        restore_body(b"<")
    assert SAME.identity("home") and upstream().prefixed
