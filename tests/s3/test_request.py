"""From a head to an S3Request: read once, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message import Headers, RequestHead
from gateway.s3.errors import S3Error
from gateway.s3.hosts import Hosts
from gateway.s3.names import encode, encode_path
from gateway.s3.objects import ObjectName, key_refusal
from gateway.s3.request import decode_query, parse, with_keys

HOSTS = Hosts(path_style=frozenset({"gw.example.com", "[::1]"}), virtual=("s3.example.com",))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def read(target: str, *more: tuple[str, str], method: str = "GET", host: str = "gw.example.com"):
    pairs = [("host", host), *more]
    return parse(RequestHead(method=method, target=target, headers=Headers(pairs)), HOSTS)


def refusal(target: str, *more: tuple[str, str], **named: str) -> tuple[int, str]:
    with pytest.raises(S3Error) as caught:
        read(target, *more, **named)
    return caught.value.status, caught.value.code


# Paths


@pytest.mark.parametrize(
    ("target", "bucket", "key"),
    [
        ("/", "", ""),
        ("/bucket", "bucket", ""),
        ("/bucket/", "bucket", ""),
        ("/bucket/k", "bucket", "k"),
        ("/bucket//k", "bucket", "/k"),
        ("/bucket/k/", "bucket", "k/"),
        ("/bucket/a+b", "bucket", "a+b"),
        ("/bucket/a%2Bb", "bucket", "a+b"),
        ("/bucket/a%20b", "bucket", "a b"),
        ("/bucket/a%2Fb", "bucket", "a/b"),
        ("/bucket/%25ff", "bucket", "%ff"),
        ("/bucket/a;b\\c", "bucket", "a;b\\c"),
        ("/bucket/%F0%9F%98%80", "bucket", "\U0001f600"),
        ("/bucket/cafe%CC%81", "bucket", "cafe\u0301"),
        ("/b%75cket/k", "bucket", "k"),
        ("http://gw.example.com/bucket/k", "bucket", "k"),
        ("HTTP://GW.example.com", "", ""),
    ],
)
def test_pth_13_bucket_and_key(target, bucket, key):
    """Split at the first raw slash, then decoded once."""
    request = read(target)

    assert (request.bucket, request.key) == (bucket, key)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("//k", "InvalidBucketName"),
        ("/b%2Fk", "InvalidBucketName"),
        ("/buc%2Fket/k", "InvalidBucketName"),
        ("/api/session", "InvalidBucketName"),
        ("/169.254.169.254/latest", "InvalidBucketName"),
        ("/WriteGetObjectResponse", "InvalidBucketName"),
        ("/bucket/%00", "InvalidURI"),
        ("/bucket/a%0ab", "InvalidURI"),
        ("/bucket/%7f", "InvalidURI"),
        ("/bucket/%zz", "InvalidURI"),
        ("/bucket/%", "InvalidURI"),
        ("/bucket/%ff", "InvalidURI"),
        ("/bucket/.", "InvalidURI"),
        ("/bucket/a/../b", "InvalidURI"),
        ("/bucket/%2e%2E", "InvalidURI"),
        ("/bucket/%2e%2e%2fx", "InvalidURI"),
        ("/bucket/..%2fx", "InvalidURI"),
        ("/bucket/.%2e/x", "InvalidURI"),
        ("/bucket/k#x", "InvalidURI"),
        ("/bucket/k x", "InvalidURI"),
        ("/bucket/k\u00fc", "InvalidURI"),
        ("*", "InvalidURI"),
        ("bucket/k", "InvalidURI"),
        ("http://evil.example.com/bucket/k", "InvalidURI"),
        ("http://gw.example.com:81/bucket/k", "InvalidURI"),
        ("/bucket?prefix=%zz", "InvalidURI"),
        ("/bucket?tagging=%01", "InvalidURI"),
        ("/bucket?a%0a=1", "InvalidURI"),
        ("/bucket/" + "k" * 1025, "KeyTooLongError"),
    ],
)
def test_pth_1_targets_with_no_or_two_readings_are_refused(target, code):
    """T39 to T41: dot segments, encoded slashes, bad escapes, controls, fragments, other forms."""
    assert refusal(target) == (400, code)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_pth_2_a_key_is_what_it_was_before_it_was_encoded(key):
    """Whatever the key: it arrives as it is, or is refused by name."""
    try:
        request = read("/bucket/" + encode_path(key))
    except S3Error as error:
        assert key and error.row is key_refusal(key)
    else:
        assert request.key == key


def test_pth_8_there_is_no_unicode_folding():
    """NFC and NFD are two keys."""
    assert read("/bucket/caf%C3%A9").key != read("/bucket/cafe%CC%81").key


def test_a_resource_is_named_as_the_client_does():
    """For errors."""
    assert read("/bucket/a%20b").path == "/bucket/a b"
    assert (read("/bucket").path, read("/").path) == ("/bucket", "/")


# Hosts


@pytest.mark.parametrize(
    ("host", "bucket", "key"),
    [
        ("gw.example.com", "bucket", "k"),
        ("GW.Example.com:8443", "bucket", "k"),
        ("[::1]:8080", "bucket", "k"),
        ("s3.example.com", "bucket", "k"),
        ("data.s3.example.com", "data", "bucket/k"),
        ("a.b.S3.example.com:80", "a.b", "bucket/k"),
    ],
)
def test_pth_7_a_host_says_which_style(host, bucket, key):
    """Case and port do not matter; a subdomain of the virtual name is the bucket, once and for all."""
    for _ in range(2):  # remembered the second time
        request = read("/bucket/k", host=host)
        assert (request.bucket, request.key, request.virtual) == (bucket, key, bucket != "bucket")


@pytest.mark.parametrize(
    "host",
    ["a@gw.example.com", "a..gw.example.com", "gw.example.com.", "", "gw.example.com:x", "other",
     "b.s3.example.com.evil", "xs3.example.com", "gw.example.com/x", "g\u00fc.example.com", "[::1",
     "a" * 301, "gw.example.com:123456"],
)  # fmt: skip
def test_http_4_other_hosts_are_refused(host):
    """T42: user info, two dots, a trailing dot, names that only look like ours."""
    assert refusal("/bucket/k", host=host) == (400, "InvalidRequest")


def test_pth_7_without_configured_names_any_host_is_path_style():
    """As behind a proxy that is trusted to send what is ours."""
    head = RequestHead(method="GET", target="/bucket", headers=Headers([("host", "any.where")]))

    assert parse(head, Hosts()).bucket == "bucket"


def test_pth_16_a_virtual_bucket_is_a_bucket_name():
    """Two labels that no bucket can have."""
    assert refusal("/k", host="a.s3.example.com")[1] == "InvalidBucketName"


def test_http_2_a_host_is_required():
    """Without it there is nothing to compare."""
    with pytest.raises(S3Error):
        parse(RequestHead(method="GET", target="/"), HOSTS)


# Headers


@pytest.mark.parametrize(
    "name",
    ["authorization", "host", "content-length", "content-type", "content-md5", "range", "expect",
     "date", "x-amz-date", "x-amz-content-sha256", "x-amz-acl", "x-amz-copy-source"],
)  # fmt: skip
@pytest.mark.parametrize("second", ["same", "other"])
@pytest.mark.parametrize("spelt", ["-", "_"])
def test_sig_20_a_single_header_comes_once(name, second, spelt):
    """T7: doubled, with equal or different values, also with `_` for `-`."""
    value = "gw.example.com" if name == "host" else "same"
    again = name.replace("-", spelt)

    assert refusal("/bucket/k", (name, value), (again, second)) == (400, "InvalidRequest")


def test_sig_20_a_list_may_have_a_line_for_each_element():
    """The SDK for Go sends the attributes of GetObjectAttributes so."""
    asked = (("x-amz-object-attributes", "ETag"), ("x-amz-object-attributes", "ObjectSize"))

    assert read("/bucket/k?attributes", *asked).headers.all("x-amz-object-attributes") == [
        "ETag",
        "ObjectSize",
    ]


def test_sig_20_metadata_may_repeat():
    """And `a_b` beside `a-b` is two names of metadata."""
    headers = (
        ("x-amz-meta-a", "1"),
        ("x-amz-meta-a", "2"),
        ("x-amz-meta-a_b", "3"),
        ("accept", "x"),
        ("accept", "y"),
    )

    assert read("/bucket/k", *headers).headers.all("x-amz-meta-a") == ["1", "2"]


def test_aio_14_a_header_that_is_not_utf_8_is_refused():
    """T13: such bytes would vanish on their way upstream."""
    assert refusal("/bucket/k", ("x-amz-meta-a", "\udceb")) == (400, "InvalidArgument")
    assert read("/bucket/k", ("x-amz-meta-a", "\u00fc")).headers["x-amz-meta-a"] == "\u00fc"


# Queries


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ("prefix=a+b%7E*", (("prefix", "a b~*"),)),
        ("prefix=a/", (("prefix", "a/"),)),
        ("b&a", (("b", ""), ("a", ""))),
        ("a=&a", (("a", ""), ("a", ""))),
        ("&&a", (("a", ""),)),
        ("a=b=c", (("a", "b=c"),)),
        ("a%2Bb=%2B", (("a+b", "+"),)),
        ("", ()),
    ],
)
def test_sig_21_a_query_is_decoded_once(raw, pairs):
    """T12: plus is a space, a bare name has no value, empty pieces are nothing."""
    assert decode_query(raw) == pairs


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["prefix", "marker"]), TEXT), max_size=3))
def test_sig_21_what_is_encoded_is_decoded(pairs):
    """The values of markers may hold anything."""
    raw = "&".join(f"{encode(name)}={encode(value)}" for name, value in pairs)

    assert decode_query(raw) == tuple(pairs)


def test_pth_19_a_parameter_comes_once():
    """And names that only contain another's are other names."""
    assert refusal("/bucket?prefix=a&prefix=b") == (400, "InvalidArgument")
    assert read("/bucket?xprefix=a&prefix=b").param("prefix") == "b"
    assert read("/bucket?Prefix=a").param("prefix") is None
    assert read("/bucket?prefix").param("prefix") == ""


def test_ops_2_parameters_that_s3_ignores_are_left_out():
    """`x-…` is dropped, `x-id` kept apart; the signature still covers both."""
    request = read("/bucket/k?x-other=1&x-id=GetObject&versionId=3")

    assert request.params == (("versionId", "3"),)
    assert request.says == "GetObject"
    assert len(request.query) == 3


SIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-Date=c"


def test_pre_8_an_amz_parameter_of_a_link_is_a_header():
    """In any case of letters; the signature's own are not among them."""
    request = read(f"/bucket/k?{SIGNED}&x-amz-copy-source=%2Fother%2Fa&X-Amz-Acl=private")

    assert request.presigned
    assert request.params == ()
    assert request.copy_source == ObjectName("other", "a")
    assert request.headers["x-amz-acl"] == "private"
    assert request.amz == ("x-amz-copy-source", "x-amz-acl")


def test_pre_8_the_same_name_twice_is_refused():
    """T20: in query and header, or twice in the query."""
    assert refusal(f"/bucket/k?{SIGNED}&x-amz-meta-a=1", ("x-amz-meta-a", "2"))[0] == 400
    assert refusal(f"/bucket/k?{SIGNED}&x-amz-meta-a=1&X-Amz-Meta-A=1")[0] == 400
    assert refusal(f"/bucket/k?{SIGNED}&x-amz-meta-a=%0d%0ax")[0] == 400


@pytest.mark.parametrize(
    "name", ["x-amz-acl", "X-Amz-Security-Token", "X-Amz-Date", "x-amz-meta-a"]
)
def test_pre_8_without_a_signature_such_a_parameter_is_refused(name):
    """Some servers would obey it."""
    assert refusal(f"/bucket/k?{name}=1") == (400, "InvalidArgument")


@pytest.mark.parametrize("name", ["X-Amz-Algorithm", "x-amz-credential", "X-AMZ-SIGNATURE"])
def test_sig_12_one_parameter_chooses_the_query(name):
    """In any case of letters, whatever else is there."""
    assert read(f"/bucket/k?{name}=1").presigned


def test_cpy_12_a_rename_stays_in_its_bucket():
    """Read by the same parser."""
    renamed = read(
        "/bucket/k?renameObject", ("x-amz-rename-source", "/bucket/old%20one"), method="PUT"
    )

    assert renamed.rename_source == ObjectName("bucket", "old one")
    assert refusal("/bucket/k?renameObject", ("x-amz-rename-source", "/other/old"))[0] == 400
    assert (
        refusal("/bucket/k?renameObject", ("x-amz-rename-source", "/bucket/o?versionId=1"))[0]
        == 400
    )


# DeleteObjects


def entries(*inside: str) -> bytes:
    return (
        "<Delete>" + "".join(f"<Object>{text}</Object>" for text in inside) + "</Delete>"
    ).encode()


def test_del_4_an_entry_keeps_all_that_it_says():
    """Version, ETag, time and size go with the key."""
    request = with_keys(
        read("/bucket?delete", method="POST"),
        entries(
            "<Key>a</Key><VersionId>v</VersionId><ETag>e</ETag><LastModifiedTime>t</LastModifiedTime>"
            "<Size>3</Size>",
            "<Key>b</Key>",
        ).replace(b"<Delete>", b'<Delete xmlns="urn:x"><Quiet> TRUE </Quiet>'),
    )

    first, second = request.body_keys
    assert (first.key, first.version, first.etag, first.last_modified, first.size) == tuple("avet3")
    assert (second.key, second.version) == ("b", None)
    assert request.quiet


@pytest.mark.parametrize(
    "document",
    [
        entries(),
        entries(*["<Key>a</Key>"] * 1001),
        entries("<Key>a</Key><Key>b</Key>"),
        entries("<Key>a</Key><VersionId>1</VersionId><VersionId>2</VersionId>"),
        entries("<VersionId>1</VersionId>"),
        entries("<Key></Key>"),
        b"<Delete><Quiet>true</Quiet><Quiet>false</Quiet><Object><Key>a</Key></Object></Delete>",
        b"<Remove><Object><Key>a</Key></Object></Remove>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>',
        b"not xml",
        b"<Delete>" + b" " * (2 * 1024 * 1024) + b"</Delete>",
    ],
)
def test_del_2_a_body_with_two_readings_is_refused(document):
    """T49: none, too many, duplicates, DTDs, other documents."""
    with pytest.raises(S3Error) as caught:
        with_keys(read("/bucket?delete", method="POST"), document)
    assert caught.value.code == "MalformedXML"


def test_del_10_a_key_that_nobody_may_use_fails_alone():
    """It neither shields the rest nor is deleted by another reading."""
    request = with_keys(
        read("/bucket?delete", method="POST"),
        entries("<Key>a/../b</Key>", "<Key>good</Key>", "<Key>a&#10;b</Key>"),
    )

    assert [entry.key for entry in request.body_keys] == ["good"]
    assert [(entry.key, row.code) for entry, row in request.refused] == [
        ("a/../b", "InvalidURI"),
        ("a\nb", "InvalidURI"),
    ]
