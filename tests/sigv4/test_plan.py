"""What becomes of a head whose body is carried on, unframed or framed."""

from __future__ import annotations

import pytest

from gateway.message import Headers
from gateway.sigv4.plan import Plan, named_algorithm, without_frames

CRC = "x-amz-checksum-crc32"


@pytest.mark.parametrize(
    ("headers", "announced", "named"),
    [
        ([], (CRC,), "CRC32"),
        ([], ("x-amz-meta-a", "x-amz-checksum-crc64nvme"), "CRC64NVME"),
        ([], ("x-amz-meta-a",), None),
        ([], (), None),
        ([("x-amz-sdk-checksum-algorithm", "SHA1")], (CRC,), None),
        ([], ("x-amz-checksum-xxhash64",), None),
        ([], ("x-amz-checksum-md5", "x-amz-checksum-sha512"), "SHA512"),
    ],
)
def test_chk_14_a_trailing_checksum_is_named(headers, announced, named):
    """Where the client left the name out, and Ceph knows it: an unknown one it refuses."""
    pairs = named_algorithm(Headers(headers), announced)

    assert dict(pairs).get("x-amz-sdk-checksum-algorithm") == named


@pytest.mark.parametrize(
    ("encoding", "set_", "dropped"),
    [
        (["gzip,br"], None, False),
        (["gzip,aws-chunked"], "gzip", True),
        ([" aws-chunked "], None, True),
        (["AWS-CHUNKED", "br , gzip"], "br, gzip", True),
    ],
)
def test_chk_15_what_else_encodes_the_object_stays(encoding, set_, dropped):
    """As it was written, unless `aws-chunked` stood beside it."""
    edits = without_frames(Headers([("content-encoding", value) for value in encoding]))

    assert dict(edits.set).get("content-encoding") == set_
    assert ("content-encoding" in edits.drop) == dropped
    assert {"x-amz-decoded-content-length", "x-amz-trailer"} < edits.drop


def test_sig_26_a_plan_does_not_show_the_bytes_it_holds():
    """It may end up in a log."""
    assert "secret" not in repr(Plan(token="t", length=6, how="bytes", data=b"secret"))
