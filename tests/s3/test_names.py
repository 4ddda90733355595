"""One decoder, one encoder, and names that nobody may use."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.s3 import names
from gateway.s3.errors import S3Error

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_pth_2_decoding_undoes_encoding(text):
    """Whatever the text: one reading, and the alphabet of RFC 3986."""
    assert names.decode(names.encode_path(text)) == text
    assert names.decode(names.encode(text)) == text
    assert names.encode_path(text) == quote(text, safe="/-._~")
    assert names.encode(text) == quote(text, safe="-._~")


@pytest.mark.parametrize("text", ["%", "%z", "%zz", "a%2", "%ff", "%c0%af", "%ed%a0%80"])
def test_pth_1_a_spelling_that_is_none_is_refused(text):
    """T40: bad escapes, bytes that are not UTF-8, overlong forms, surrogates."""
    with pytest.raises(S3Error) as caught:
        names.decode(text)
    assert caught.value.code == "InvalidURI"


def test_pth_1_two_keys_that_look_alike_stay_apart():
    """`%25ff` is a key; `%ff` is none."""
    assert names.decode("%25ff") == "%ff"


def test_pth_15_a_plus_is_a_plus():
    """In paths."""
    assert names.decode("a+b%2B") == "a+b+"


def test_pth_20_a_query_is_sorted_by_its_encoded_names_and_values():
    """What is sent is what is signed."""
    assert names.encode_query([("b", ""), ("a", "2/"), ("a", "1 +")]) == "a=1%20%2B&a=2%2F&b="


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("bucket", True), ("a.b-c", True), ("abc", True), ("a" * 63, True),
        ("ab", False), ("a" * 64, False), ("Bucket", False), ("a_b", False), ("-ab", False),
        ("ab-", False), ("a..b", False), ("1.2.3.4", False), ("169.254.169.254", False),
        ("api", False), ("evil.com#", False), ("a/b", False), ("", False), ("b\u00fccket", False),
        ("bucket\n", False),
    ],
)  # fmt: skip
def test_pth_16_what_a_bucket_may_be_called(name, good):
    """Checked before lookup, and before it becomes part of a host name."""
    assert names.is_bucket_name(name) is good


@pytest.mark.parametrize("key", [".", "..", "a/./b", "a/../b", "../a", "a/..", "a/."])
def test_pth_3_dot_segments_are_seen(key):
    """Anywhere in a key."""
    assert names.has_dot_segment(key)


@pytest.mark.parametrize("key", ["a", "...", "a..b", ".a", "a.", "a/.b", "a//b", "a/..."])
def test_pth_3_dots_in_names_are_names(key):
    """Only whole segments are refused."""
    assert not names.has_dot_segment(key)


def test_a_key_has_1024_bytes():
    """Bytes, not characters."""
    assert not names.is_too_long("\u00fc" * 512)
    assert names.is_too_long("\u00fc" * 513)
