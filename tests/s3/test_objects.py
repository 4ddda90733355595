"""What names an object: keys that nobody may use, and the sources of copies."""

from __future__ import annotations

import pytest

from gateway.s3.errors import INVALID_URI, KEY_TOO_LONG, S3Error
from gateway.s3.objects import ObjectName, checked_key, copy_source, key_refusal


@pytest.mark.parametrize("key", ["a", "a b", ".hidden", "a/..b", "...", "//", "a/", "k" * 1024])
def test_pth_4_most_texts_are_keys(key):
    """Slashes, blanks and dots that are no segments are part of the name."""
    assert key_refusal(key) is None


@pytest.mark.parametrize(
    ("key", "refusal"),
    [
        (".", INVALID_URI),
        ("a/..", INVALID_URI),
        ("../a", INVALID_URI),
        ("a/./b", INVALID_URI),
        ("a\0", INVALID_URI),
        ("a\n", INVALID_URI),
        ("k" * 1025, KEY_TOO_LONG),
        ("\u00e9" * 513, KEY_TOO_LONG),
    ],
)
def test_pth_1_3_some_nobody_may_use(key, refusal):
    """Controls, dot segments, and what is too long in bytes."""
    assert key_refusal(key) is refusal


def test_pth_3_a_key_is_judged_as_decoded():
    """Once, and after its one encoding was taken off."""
    assert checked_key("a%252e%252e/b") == "a%2e%2e/b"
    with pytest.raises(S3Error):
        checked_key("a/%2e%2e/b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/bucket/key", ObjectName("bucket", "key")),
        ("bucket/key", ObjectName("bucket", "key")),
        ("bucket%2Fkey", ObjectName("bucket", "key")),
        ("%2Fbucket%2Fa%2Fb", ObjectName("bucket", "a/b")),
        ("bucket/a+b", ObjectName("bucket", "a+b")),
        ("bucket//a", ObjectName("bucket", "/a")),
        ("bucket/a%20b?versionId=x%2By", ObjectName("bucket", "a b", "x+y")),
        ("bucket/key%3FversionId%3Dx", ObjectName("bucket", "key?versionId=x")),
        ("bucket/key?versionId=null", ObjectName("bucket", "key", "null")),
    ],
)
def test_cpy_1_a_source_has_one_reading(value, expected):
    """T48: cut at the raw question mark, then decoded once."""
    assert copy_source(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "/", "bucket", "bucket/", "//key", "/%2Fbucket%2Fkey", "bucket/key?x", "bucket/key?versionId=",
     "bucket/key?versionId=x&y", "bucket/key?versionId=x?y", "bucket/key?versionId=%00",
     "arn:aws:s3:us-east-1:123456789012:accesspoint/a/object/k", "arn%3Aaws%3As3:::b/k",
     "bucket/a/../b", "bucket/%2e%2e/b", "bucket/%00", "bucket/%zz", "buc%2Fket/key", "UP/key",
     "bucket/" + "k" * 1025],
)  # fmt: skip
def test_cpy_8_other_sources_are_refused(value):
    """T48: ARNs, dot segments, other parameters, names that are none."""
    with pytest.raises(S3Error) as caught:
        copy_source(value)
    assert caught.value.code == "InvalidArgument"
