"""Which host names are ours, and which of them name a bucket; whole requests are in `test_request`."""

from __future__ import annotations

import pytest

from gateway.s3.errors import S3Error
from gateway.s3.hosts import Hosts, host_name


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("S3.Example.com:8443", "s3.example.com"),
        ("[::1]:80", "[::1]"),
        ("[FE80::1]", "[fe80::1]"),
        ("a", "a"),
    ],
)
def test_http_4_a_host_is_a_name_and_perhaps_a_port(authority, name):
    """In lower case, the port off, brackets kept."""
    assert host_name(authority) == name


@pytest.mark.parametrize(
    "authority",
    ["", "a@b", "a b", "a..b", ".a", "a.", "-a", "a:", "a:x", "[::1", "a/b", "a#", "\u0661"],
)
def test_http_4_anything_else_is_refused(authority):
    """Nothing is guessed of what was meant."""
    with pytest.raises(S3Error):
        host_name(authority)


def test_pth_7_the_longest_name_counts():
    """Where one name of ours lies below another, the bucket is what is left of the longer one."""
    hosts = Hosts(virtual=("example.com", "s3.example.com"))
    assert hosts.bucket("data.s3.example.com") == "data"
    assert hosts.bucket("s3.example.com") is None
    assert hosts.bucket("data.example.com") == "data"


def test_pth_7_remembered_hosts_are_bounded():
    """A stranger may send any name."""
    hosts = Hosts(virtual=("s3.example.com",))
    for number in range(3000):
        assert hosts.bucket(f"b{number:05}.s3.example.com") == f"b{number:05}"

    assert len(hosts._styles) <= 1024
