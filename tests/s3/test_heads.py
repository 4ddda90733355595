"""Heads of answers."""

from __future__ import annotations

import pytest

from gateway.message import Headers
from gateway.s3.heads import about, crossing, rewritten
from tests.s3.world import PREFIXED, SAME, answer, ask, text, view

GET = ask("GET", "/home/k")


def crossed(*pairs: tuple[str, str], request=GET, to=PREFIXED) -> list[tuple[str, str]]:
    return list(crossing(Headers(pairs), view(request, to)))


def test_fwd_6_what_describes_an_object_crosses():
    """Lengths, ranges, times, types, metadata, also empty and zero."""
    pairs = [
        ("content-length", "0"), ("content-range", "bytes 0-1/2"), ("etag", '"e"'), ("expires", "x"),
        ("content-encoding", "gzip"), ("x-amz-meta-a", ""), ("x-amz-version-id", "v"),
        ("x-amz-meta-b", "\u00fc"), ("retry-after", "3"), ("x-amz-bucket-region", "eu-west-1"),
        ("x-amz-website-redirect-location", "/x"),
    ]  # fmt: skip

    assert crossed(*pairs) == pairs


@pytest.mark.parametrize(
    "name",
    ["set-cookie", "server", "date", "connection", "transfer-encoding", "access-control-allow-origin",
     "strict-transport-security", "content-security-policy", "link", "refresh", "clear-site-data",
     "alt-svc", "service-worker-allowed", "location", "x-amz-id-2", "x-amz-bucket-arn",
     "x-amz-access-point-alias", "x-amz-restore-output-path", "x-rgw-object-type", "via"],
)  # fmt: skip
def test_fwd_3_what_a_hostile_upstream_sends_does_not_cross(name):
    """T57."""
    assert crossed((name, "value")) == []


def test_the_request_id_is_ours():
    """The upstream's is for the audit line; the gateway's is written with every answer."""
    assert crossed(("x-amz-request-id", "theirs")) == []


def test_names_of_the_bucket_cross_under_identity():
    """Where the client calls it the same."""
    assert crossed(("x-amz-bucket-arn", "arn:x"), to=SAME) == [("x-amz-bucket-arn", "arn:x")]


def test_s3_11_the_context_of_an_encryption_names_the_upstreams_bucket():
    """Base64 of JSON with the ARN of the object: Ceph sends it for every object of aws:kms."""
    told = ("x-amz-server-side-encryption-context", "eyJhd3M6czM6YXJuIjogImFybiJ9")

    assert crossed(told) == []
    assert crossed(told, to=SAME) == [told]


def test_the_location_of_a_new_bucket_is_the_clients():
    """Of nothing else."""
    assert crossed(("location", "/acme-home"), request=ask("PUT", "/home")) == [
        ("location", "/home")
    ]


@pytest.mark.parametrize("value", ["\udcff", "a\r\nset-cookie: x", "a\x00", "a\x7f"])
def test_aio_14_what_cannot_be_written_is_counted(value):
    """Metadata is not dropped in silence; other headers are left out."""
    assert crossed(("x-amz-meta-a", value), ("etag", value), ("x-amz-meta-b", "\t")) == [
        ("x-amz-meta-b", "\t"), ("x-amz-missing-meta", "1"),
    ]  # fmt: skip
    assert crossed(("x-amz-meta-a", value), ("x-amz-missing-meta", "2")) == [
        ("x-amz-missing-meta", "3")
    ]


def test_fwd_6_the_kind_of_checksum_is_of_the_upload_not_of_the_body():
    """CreateMultipartUpload says it in its head; its body is written anew."""
    told = (("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "COMPOSITE"))

    assert about((*told, ("etag", "e"))) == told


async def test_a_body_written_anew_is_described_anew():
    """Nothing of the old body's description is left."""
    old = answer(
        headers=(
            ("content-length", "9"),
            ("etag", "e"),
            ("content-encoding", "gzip"),
            ("x-amz-version-id", "v"),
        )
    )
    new = rewritten(old, b"abc")

    assert await text(new) == "abc"
    assert list(new.head.headers) == [
        ("x-amz-version-id", "v"), ("content-type", "application/xml"), ("content-length", "3"),
    ]  # fmt: skip
    assert about((("content-type", "x"), ("retry-after", "1"))) == (("retry-after", "1"),)
