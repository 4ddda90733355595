"""Where a client's names lead."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocolError
from gateway.s3.errors import S3Error
from tests.s3.world import PLAIN, PREFIXED, SAME, upstream

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
PREFIXES = st.lists(KEYS, max_size=3).map(lambda parts: "".join(f"{part}/" for part in parts))


@settings(max_examples=200, deadline=None)
@given(KEYS, PREFIXES)
def test_pth_18_the_prefix_is_added_and_taken_off_once(key, prefix):
    """Also where a key begins with it already; rewriting undone is identity."""
    mapped = upstream(prefix=prefix)

    assert mapped.key(key) == prefix + key
    assert mapped.client_key(mapped.key(key)) == key
    assert mapped.key(prefix + key) != mapped.key(key) or not prefix


@pytest.mark.parametrize("key", ["users/bob/x", "users/alice", "users/alicex/", ""])
def test_lst_5_a_key_outside_the_prefix_is_a_fault_of_the_upstream(key):
    """`home/al/` does not open `home/alice/`."""
    with pytest.raises(UpstreamProtocolError):
        PREFIXED.client_key(key)


def test_pth_17_a_key_that_does_not_fit_is_refused_without_naming_the_prefix():
    """T43: 1024 bytes less the prefix are stored; one more is not."""
    room = 1024 - len("users/alice/")
    with pytest.raises(S3Error) as caught:
        PREFIXED.key("\u00fc" * (room // 2) + "k")

    assert PREFIXED.key("k" * room)
    assert caught.value.code == "KeyTooLongError"
    assert caught.value.detail == {"Size": str(room + 1), "MaxSizeAllowed": str(room)}
    assert "alice" not in str(caught.value)


def test_a_prefix_ends_in_a_slash():
    """Else it would open the names that begin so."""
    with pytest.raises(ValueError, match="must end"):
        upstream(prefix="users/al")


def test_pth_21_addressing():
    """A bucket with a dot is never virtual over TLS; Host is exactly what is signed."""
    virtual = upstream(addressing="virtual")
    dotted = upstream(addressing="virtual", scheme="https", bucket="a.b")
    nothing = upstream(addressing="virtual", bucket="", prefix="")

    assert (virtual.request_host, virtual.bucket_path, virtual.object_path) == (
        "acme-home.s3.upstream.example:9000", "/", "/users/alice/",
    )  # fmt: skip
    assert (dotted.request_host, dotted.object_path) == (
        "s3.upstream.example:9000",
        "/a.b/users/alice/",
    )
    assert (nothing.request_host, nothing.bucket_path) == ("s3.upstream.example:9000", "/")
    assert (PLAIN.bucket_path, PLAIN.object_path) == ("/acme-home", "/acme-home/")
    assert upstream(prefix="a b/\u00fc/").object_path == "/acme-home/a%20b/%C3%BC/"


def test_kinds_of_mapping():
    """Prefixed, plain, identity."""
    assert (PREFIXED.prefixed, PLAIN.prefixed) == (True, False)
    assert SAME.identity("home")
    assert not PLAIN.identity("home")
    assert not upstream(bucket="home").identity("home")
