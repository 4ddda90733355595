"""Checksums: known vectors, any cutting, and what is said where one differs."""

from __future__ import annotations

import base64
import hashlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message import Headers
from gateway.s3.errors import S3Error
from gateway.s3.headers import CHECKSUMS
from gateway.sigv4 import checksums
from gateway.sigv4.checksums import KNOWN, Sums, algorithm_of, in_headers, maker, native
from tests.sigv4.framing import cut

CHECK = b"123456789"  # what the catalogue of CRCs gives check values of
VECTORS = {
    "crc32": "cbf43926",
    "crc32c": "e3069283",
    "crc64nvme": "ae8b14860a799888",
    "md5": hashlib.md5(CHECK).hexdigest(),
    "sha1": hashlib.sha1(CHECK).hexdigest(),
    "sha256": hashlib.sha256(CHECK).hexdigest(),
    "sha512": hashlib.sha512(CHECK).hexdigest(),
    "xxhash64": "8cb841db40e6ae83",
}


def encoded(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


@pytest.mark.parametrize("name", VECTORS)
def test_chk_13_each_algorithm_gives_its_check_value(name):
    """In network order, base64, as S3 writes it."""
    if maker(name) is None:
        pytest.skip(f"awscrt with {name} is not installed")
    sums = Sums()
    sums.expect(f"x-amz-checksum-{name}", encoded(VECTORS[name]))
    sums.update(CHECK)

    sums.compare()


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=200), places=st.lists(st.integers(0, 300), max_size=6))
def test_chk_6_sums_do_not_depend_on_the_cuts(data, places):
    """Every algorithm that is there, in one piece and in several."""
    for make in filter(None, map(maker, KNOWN)):
        whole, pieces = make(), make()
        whole.update(data)
        for piece in cut(data, places):
            pieces.update(piece)

        assert whole.digest() == pieces.digest()


def test_chk_13_every_checksum_of_the_model_is_known():
    """The table of headers and this one name the same."""
    assert {f"x-amz-checksum-{name}" for name in KNOWN} == CHECKSUMS
    assert native().keys() <= KNOWN


@pytest.mark.parametrize(
    "name", ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type", "etag"]
)
def test_chk_13_other_names_hold_no_checksum(name):
    """They share the beginning only."""
    assert algorithm_of(name) is None
    assert in_headers(Headers([(name, "x"), ("content-md5", "y")])) == ("content-md5",)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("x-amz-content-sha256", "00" * 32, "XAmzContentSHA256Mismatch"),
        ("content-md5", encoded("00" * 16), "BadDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-sha256", encoded("00" * 32), "BadDigest"),
    ],
)
def test_chk_13_a_difference_is_told_with_both_values(field, value, code):
    """Given and computed: whoever debugs a client compares them."""
    sums = Sums()
    sums.expect(field, value)
    sums.update(CHECK)
    with pytest.raises(S3Error) as caught:
        sums.compare()

    assert (caught.value.status, caught.value.code) == (400, code)
    assert value in caught.value.detail.values()
    assert len(caught.value.detail) == 2


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("content-md5", "x", "InvalidDigest"),
        ("content-md5", encoded("00" * 15), "InvalidDigest"),
        ("content-md5", encoded("00" * 16) + "\u00fc", "InvalidDigest"),
        ("x-amz-checksum-crc32", "AAAA", "InvalidRequest"),
        ("x-amz-checksum-crc32", "AAAAAA==-3", "InvalidRequest"),
        ("x-amz-checksum-sha1", "", "InvalidRequest"),
    ],
)
def test_chk_13_a_value_that_is_none_is_refused(field, value, code):
    """Before a byte is read."""
    with pytest.raises(S3Error) as caught:
        Sums().expect(field, value)

    assert (caught.value.status, caught.value.code) == (400, code)


def test_chk_13_what_cannot_be_computed_is_not_implemented(monkeypatch):
    """Announced in a trailer it would be lost unseen; in a header the upstream has it (CHK-20)."""
    slim = {name: make for name, make in native().items() if name != "crc64nvme"}
    monkeypatch.setattr(checksums, "native", lambda: slim)
    sums = Sums()
    sums.expect("x-amz-checksum-crc64nvme", "x")
    assert not sums
    with pytest.raises(S3Error) as caught:
        sums.announce("x-amz-checksum-crc64nvme")

    assert (caught.value.status, caught.value.code) == (501, "NotImplemented")


def test_chk_13_without_awscrt_pythons_own_remain(monkeypatch):
    """The extra is an extra."""
    monkeypatch.setitem(sys.modules, "awscrt", None)
    monkeypatch.delitem(sys.modules, "awscrt.checksums", raising=False)
    monkeypatch.setattr(checksums, "native", checksums.native.__wrapped__)

    computed = {name for name in KNOWN if maker(name) is not None}
    assert computed == {"crc32", "md5", "sha1", "sha256", "sha512"}


def test_chk_10_a_trailer_that_is_no_checksum_is_not_computed():
    """It may be announced; nothing is held against it."""
    sums = Sums()
    sums.announce("x-amz-meta-a")

    assert not sums
    sums.expect("x-amz-meta-a", "1")
    sums.compare()
