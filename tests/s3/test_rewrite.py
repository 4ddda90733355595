"""Requests in the upstream's names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.s3 import headers
from gateway.s3.errors import S3Error
from gateway.s3.names import encode, encode_path
from gateway.s3.operations import OPERATIONS, resolve
from gateway.s3.request import decode_query
from gateway.s3.rewrite import HeaderEdits, outbound
from tests.s3 import model
from tests.s3.world import PLAIN, PREFIX, PREFIXED, SAME, ask, upstream

KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    lambda key: not any(part in (".", "..") for part in key.split("/"))
)


def send(method: str, target: str, *given: tuple[str, str], to=PREFIXED, **more):
    request = ask(method, target, *given)
    return outbound(request, resolve(request), to, **more)


def refusal(method: str, target: str, *given: tuple[str, str], to=PREFIXED) -> tuple[int, str]:
    with pytest.raises(S3Error) as caught:
        send(method, target, *given, to=to)
    return caught.value.status, caught.value.code


@settings(max_examples=200, deadline=None)
@given(KEYS)
def test_pth_2_the_upstream_gets_prefix_and_key_in_our_spelling(key):
    """Never the client's spelling, whatever the key."""
    plain = send("GET", "/home/" + encode_path(key))
    spelt = send("GET", "/home/" + "".join(f"%{byte:02x}" for byte in key.encode()))

    assert plain.path == "/acme-home/" + encode_path(PREFIX + key)
    assert plain.target == spelt.target


def test_pth_18_a_key_that_begins_with_the_prefix_stays_apart():
    """T43."""
    assert send("GET", "/home/users/alice/x").path == "/acme-home/users/alice/users/alice/x"


def test_pth_20_the_query_is_canonical():
    """What is sent is what is signed; `x-id` stays here."""
    outgoing = send("GET", "/home/k?versionId=a%2bb&response-content-type=x+y&x-id=GetObject")

    assert outgoing.query == "response-content-type=x%20y&versionId=a%2Bb"
    assert outgoing.host == "s3.upstream.example:9000"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"prefix": PREFIX}),
        ("list-type=2&prefix=a%2F&delimiter=%2F", {"list-type": "2", "prefix": PREFIX + "a/", "delimiter": "/"}),
        ("list-type=2&start-after=x&continuation-token=t", {"list-type": "2", "prefix": PREFIX, "start-after": PREFIX + "x", "continuation-token": "t"}),
        ("marker=", {"prefix": PREFIX, "marker": ""}),
        ("marker=x&max-keys=5000", {"prefix": PREFIX, "marker": PREFIX + "x", "max-keys": "1000"}),
        ("versions&key-marker=x&version-id-marker=v", {"versions": "", "prefix": PREFIX, "key-marker": PREFIX + "x", "version-id-marker": "v"}),
        ("versions&key-marker=&version-id-marker=v", {"versions": "", "prefix": PREFIX, "key-marker": PREFIX, "version-id-marker": "v"}),
        ("uploads&key-marker=x&max-uploads=7&encoding-type=url", {"uploads": "", "prefix": PREFIX, "key-marker": PREFIX + "x", "max-uploads": "7"}),
        ("prefix=users%2Falice%2F", {"prefix": PREFIX + PREFIX}),
    ],
)  # fmt: skip
def test_lst_1_a_list_is_confined_by_the_prefix_that_is_always_sent(query, expected):
    """T50: and asked for in URL encoding (LST-4), a page at most (LST-11), markers mapped (LST-2)."""
    sent = dict(decode_query(send("GET", f"/home?{query}").query))

    assert sent == {"encoding-type": "url", **expected}


def test_lst_4_there_is_one_encoding():
    """Another is refused rather than ignored."""
    assert refusal("GET", "/home?encoding-type=base64") == (400, "InvalidArgument")


def test_lst_11_pages_of_parts_are_bounded():
    """As every page."""
    assert send("GET", "/home/k?uploadId=u&max-parts=9999").query == "max-parts=1000&uploadId=u"


def test_pth_17_a_listed_prefix_has_the_length_of_a_key():
    """Said by the gateway, so that the upstream does not name its own."""
    assert refusal("GET", "/home?prefix=" + "k" * 1020)[1] == "KeyTooLongError"
    assert refusal("PUT", "/home/" + "k" * 1020)[1] == "KeyTooLongError"


# What a mapping carries


@pytest.mark.parametrize(
    "name", [n for n, row in OPERATIONS.items() if not row.never and not row.answered_here]
)
def test_ops_10_under_a_prefix_nothing_acts_on_the_whole_bucket(name):
    """T45: whatever is granted."""
    request, operation = model.request(name, every=False), OPERATIONS[name]
    if operation.prefixed:
        sent = outbound(request, operation, PREFIXED, source=PREFIXED)
        assert request.key == "" or sent.path.startswith("/acme-home/users/alice/")
    else:
        with pytest.raises(S3Error) as caught:
            outbound(request, operation, PREFIXED)
        assert caught.value.code == "NotImplemented"


@pytest.mark.parametrize("name", [n for n, row in OPERATIONS.items() if row.names_buckets])
def test_ops_11_bodies_that_name_buckets_pass_under_identity_only(name):
    """Half-rewritten configuration is worse than none."""
    request, operation = model.request(name, every=False), OPERATIONS[name]
    with pytest.raises(S3Error) as caught:
        outbound(request, operation, PLAIN)

    assert caught.value.code == "NotImplemented"
    assert outbound(request, operation, upstream(bucket="bucket", prefix="")).path == "/bucket"


# Headers


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_fwd_3_what_the_model_knows_crosses(name):
    """Each header of the operation, and nothing that is the gateway's own."""
    operation = OPERATIONS[name]
    if operation.never or operation.answered_here or operation.keys_in_body:
        return
    request = model.request(name, every=True)
    same = upstream(bucket="bucket", prefix="")
    sent = outbound(request, operation, same, source=same).headers
    expected = {
        pair for pair in request.headers
        if pair[0] in headers.OUT or pair[0].startswith("x-amz-")
    }  # fmt: skip
    expected = {
        pair for pair in expected if pair[0] not in headers.OURS and "source" not in pair[0]
    }

    assert {pair for pair in sent if "source" not in pair[0]} == expected


def test_fwd_3_everything_else_stays_here():
    """T57: proofs, cookies, hops, forwarded, and what other servers would obey."""
    names = [
        "authorization", "cookie", "date", "expect", "connection", "te", "trailer", "upgrade",
        "keep-alive", "proxy-authorization", "forwarded", "x-forwarded-for", "x-forwarded-host",
        "x-real-ip", "via", "x-original-uri", "x-auth-subject", "x-s3-uri", "origin", "referer",
        "accept", "amz-sdk-request", "x-amz-user-agent", "x-amz-api-version", "x-amzn-trace-id",
        "traceparent", "x-minio-extract", "x-rgw-object", "accept-encoding", "user-agent",
        "content-length", "transfer-encoding", "x-amz-date", "x-amz-security-token",
        "x-amz-content-sha256", "x-amz-expected-bucket-owner", "x-amz-request-payer",
        "x-amz-source-expected-bucket-owner", "x-amz-unheard-of", "x_amz_acl",
    ]  # fmt: skip
    sent = send("PUT", "/home/k", *((name, "1") for name in names))

    assert list(sent.headers) == []


def test_fwd_5_preconditions_and_ranges_cross():
    """Whether the client signed them or not."""
    given = (
        ("if-none-match", "*"),
        ("if-match", '"e"'),
        ("range", "bytes=0-1"),
        ("content-type", "text/x"),
    )

    assert sorted(send("PUT", "/home/k", *given).headers) == sorted(given)


def test_fwd_8_one_range_at_a_time():
    """A list of them is amplification."""
    assert refusal("GET", "/home/k", ("range", "bytes=0-1,3-4")) == (416, "InvalidRange")


def test_sig_20_doubled_metadata_is_joined():
    """For the signature and for the upstream."""
    given = (("x-amz-meta-a", "1"), ("x-amz-meta-b", "3"), ("x-amz-meta-a", "2"))

    assert list(send("PUT", "/home/k", *given).headers) == [
        ("x-amz-meta-a", "1,2"),
        ("x-amz-meta-b", "3"),
    ]


def test_sig_20_lines_of_a_list_are_joined():
    """An upstream that reads one line only would leave attributes out."""
    asked = (("x-amz-object-attributes", "ETag"), ("x-amz-object-attributes", "ObjectSize"))

    assert list(send("GET", "/home/k?attributes", *asked).headers) == [
        ("x-amz-object-attributes", "ETag,ObjectSize")
    ]


def test_s3_7_owner_and_payer_are_ours():
    """Said by the operator, where the upstream needs them."""
    to = upstream(expected_owner="123456789012", requester_pays=True)
    copied = send("PUT", "/home/k", ("x-amz-copy-source", "/home/a"), to=to).headers

    assert dict(send("GET", "/home/k", ("x-amz-request-payer", "me"), to=to).headers) == {
        "x-amz-expected-bucket-owner": "123456789012",
        "x-amz-request-payer": "requester",
    }
    assert copied["x-amz-source-expected-bucket-owner"] == "123456789012"
    assert "x-amz-request-payer" not in send("HEAD", "/home", to=to).headers
    assert list(send("PUT", "/home", to=upstream(expected_owner="1", prefix="")).headers) == []


def test_chk_21_a_body_written_anew_brings_its_own_sums():
    """What described the client's bytes is dropped, what was made anew is set."""
    given = (
        ("content-md5", "old"),
        ("x-amz-checksum-crc32", "old"),
        ("x-amz-trailer", "x"),
        ("x-amz-mfa", "1"),
    )
    edits = HeaderEdits(set=(("content-md5", "new"),), drop=frozenset({"x-amz-mfa"}))

    assert dict(send("POST", "/home?delete", *given).headers) == {"x-amz-mfa": "1"}
    assert dict(send("POST", "/home?delete", *given, edits=edits).headers) == {"content-md5": "new"}


# Sources


@settings(max_examples=100, deadline=None)
@given(KEYS)
def test_cpy_7_a_source_goes_in_our_spelling_and_the_upstreams_names(key):
    """Mapped by its own grant, which may lead elsewhere in the same upstream."""
    other = upstream(bucket="acme-data", prefix="b/")
    sent = send(
        "PUT",
        "/home/k",
        ("x-amz-copy-source", f"other/{encode_path(key)}?versionId=1%2B"),
        source=other,
    )

    assert sent.headers["x-amz-copy-source"] == f"/acme-data/b/{encode_path(key)}?versionId=1%2B"


def test_cpy_7_without_its_mapping_a_foreign_source_is_never_sent():
    """A fault of ours, not a guess."""
    with pytest.raises(ValueError, match="mapping"):
        send("PUT", "/home/k", ("x-amz-copy-source", "other/k"))


@pytest.mark.parametrize(
    "value", ["bytes=0-", "bytes=-5", "0-5", "bytes=5-1", "bytes=0-1,3-4", "bytes=+1-2"]
)
def test_cpy_9_the_range_of_a_copy(value):
    """Both ends, in digits, in order."""
    given = (("x-amz-copy-source", "home/k"), ("x-amz-copy-source-range", value))

    assert refusal("PUT", "/home/k?partNumber=1&uploadId=u", *given) == (400, "InvalidArgument")


def test_cpy_10_conditions_on_the_source_cross():
    """And its SSE-C headers."""
    given = (
        ("x-amz-copy-source", "home/k"),
        ("x-amz-copy-source-if-match", "e"),
        ("x-amz-copy-source-range", "bytes=0-1"),
    )
    sent = send("PUT", "/home/k?partNumber=1&uploadId=u", *given).headers

    assert dict(sent) == {**dict(given), "x-amz-copy-source": "/acme-home/users/alice/k"}


def test_cpy_12_a_renamed_key_is_mapped():
    """By the same rule."""
    sent = send("PUT", "/home/new?renameObject", ("x-amz-rename-source", "home/old")).headers

    assert sent["x-amz-rename-source"] == "/acme-home/users/alice/old"


def test_identity_changes_no_name():
    """Where the bucket is called the same."""
    assert send("GET", "/home/a%20b?acl", to=SAME).target == "/home/a%20b?acl="
    assert encode("~") == "~"
