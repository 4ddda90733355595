"""Signing: equal to AWS's worked examples, to botocore and to curl."""

from __future__ import annotations

import hmac
import http.server
import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.identity import ANONYMOUS, Credentials, Secret
from gateway.message import Headers
from gateway.sigv4.sign import (
    EMPTY_HASH,
    NEVER_SIGNED,
    UNSIGNED,
    SigningKey,
    SigningKeys,
    amz_date,
    canonical_headers,
    canonical_query,
    canonical_value,
    presign,
    sign,
    signing_key,
)

NOW = datetime(2026, 11, 24, 20, 15, 3, tzinfo=UTC)
AWS_NOW = datetime(2013, 5, 24, tzinfo=UTC)
AWS = Credentials(
    access_key_id="AKIAIOSFODNN7EXAMPLE", secret=Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
)
OURS = Credentials(access_key_id="GWTEXAMPLE", secret=Secret("ein/geheimer+Schlüssel"))
TEMPORARY = Credentials(
    access_key_id="GWTEXAMPLE", secret=Secret("secret"), session_token=Secret("to/k+en==")
)

keys_of_awkward = st.text(
    st.sampled_from("ab/. +%2F;=*~#?&:@,!'()$[]{}|\\^`\"<>ü😀é-_"), min_size=1, max_size=24
)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
words = st.text(st.sampled_from("ab +%2F;=*~#?&ü😀-_/."), max_size=10)
header_names = st.sampled_from(
    [
        "range",
        "content-type",
        "x-amz-meta-a",
        "x-amz-meta-b",
        "x-amz-acl",
        "if-match",
        "cache-control",
    ]
)


def encode(text: str, safe: str = "") -> str:
    return quote(text, safe=safe + "-_.~")


def parts(authorization: str) -> dict[str, str]:
    return dict(part.strip().split("=", 1) for part in authorization.split(" ", 1)[1].split(","))


def at(now: datetime):
    return patch.object(
        botocore.auth, "get_current_datetime", lambda *_, **__: now.replace(tzinfo=None)
    )


def boto(credentials: Credentials) -> BotoCredentials:
    token = credentials.session_token
    return BotoCredentials(
        credentials.access_key_id, credentials.secret.reveal(), token.reveal() if token else None
    )


# --- AWS's worked examples ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "payload", "expected"),
    [
        (
            "GET",
            "/test.txt",
            "",
            [("range", "bytes=0-9")],
            EMPTY_HASH,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test%24file.text",
            "",
            [
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/",
            "lifecycle=",
            [],
            EMPTY_HASH,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/",
            "max-keys=2&prefix=J",
            [],
            EMPTY_HASH,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_sig_4_the_worked_examples_of_aws(method, path, query, headers, payload, expected):
    """The four requests of AWS's page on header-based signatures get the signatures printed there."""
    signed = sign(
        method=method,
        path=path,
        query=query,
        host="examplebucket.s3.amazonaws.com",
        headers=Headers(headers),
        credentials=AWS,
        region="us-east-1",
        now=AWS_NOW,
        payload=payload,
        keys=SigningKeys(),
    )

    assert signed.signature == expected


def test_pre_4_the_worked_example_of_a_presigned_url():
    """So does the presigned URL of AWS's page on signatures in the query."""
    query = presign(
        method="GET",
        path="/test.txt",
        query="",
        host="examplebucket.s3.amazonaws.com",
        credentials=AWS,
        region="us-east-1",
        now=AWS_NOW,
        expires=86400,
        keys=SigningKeys(),
    )

    assert query.endswith("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


# --- botocore -------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"]),
    key=keys_of_awkward,
    query=st.lists(st.tuples(words.filter(bool), words), max_size=4),
    headers=st.dictionaries(header_names, values, max_size=4),
    payload=st.sampled_from([EMPTY_HASH, UNSIGNED, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]),
    credentials=st.sampled_from([AWS, OURS, TEMPORARY]),
)
@example(
    "GET",
    "a b+c%2F;=*~#?ü/😀",
    [("a", "b"), ("a-", "")],
    {"x-amz-meta-a": " a   b "},
    UNSIGNED,
    AWS,
)
@example("GET", "//x//", [], {}, EMPTY_HASH, AWS)
def test_fwd_2_a_signed_head_equals_botocores(method, key, query, headers, payload, credentials):
    """For any method, key, query and headers, botocore computes the signature that we compute."""
    path = "/bucket/" + encode(key, "/")
    pairs = canonical_query((encode(name), encode(value)) for name, value in query)
    request = AWSRequest(
        method=method, url=f"http://s3.example.com:7000{path}?{pairs}", headers=dict(headers)
    )
    request.headers["X-Amz-Content-SHA256"] = payload
    with at(NOW), patch.object(botocore.auth.S3SigV4Auth, "payload", lambda self, request: payload):
        botocore.auth.S3SigV4Auth(boto(credentials), "s3", "eu-west-1").add_auth(request)

    signed = sign(
        method=method,
        path=path,
        query=pairs,
        host="s3.example.com:7000",
        headers=Headers(headers.items()),
        credentials=credentials,
        region="eu-west-1",
        now=NOW,
        payload=payload,
        keys=SigningKeys(),
    )

    assert parts(signed.headers["authorization"]) == parts(request.headers["Authorization"])


@settings(max_examples=80, deadline=None)
@given(
    key=keys_of_awkward,
    query=st.dictionaries(words.filter(bool), words, max_size=4),
    credentials=st.sampled_from([AWS, OURS, TEMPORARY]),
    headers=st.dictionaries(header_names, values.map(str.strip).filter(bool), max_size=2),
)
def test_pre_4_a_presigned_query_equals_botocores(key, query, credentials, headers):
    """The same for presigned URLs, whose every parameter is signed."""
    path = "/bucket/" + encode(key, "/")
    pairs = canonical_query((encode(name), encode(value)) for name, value in query.items())
    request = AWSRequest(
        method="PUT", url=f"http://s3.example.com{path}?{pairs}".rstrip("?"), headers=headers
    )
    with at(NOW):
        botocore.auth.S3SigV4QueryAuth(boto(credentials), "s3", "eu-west-1", expires=900).add_auth(
            request
        )

    made = presign(
        method="PUT",
        path=path,
        query=pairs,
        host="s3.example.com",
        credentials=credentials,
        region="eu-west-1",
        now=NOW,
        expires=900,
        keys=SigningKeys(),
        headers=Headers(headers.items()),
    )

    assert sorted(made.split("&")) == sorted(urlsplit(request.url).query.split("&"))


# --- curl -----------------------------------------------------------------------------------


class Recorder(http.server.BaseHTTPRequestHandler):
    seen: list[tuple[str, dict[str, str]]] = []  # noqa: RUF012 # one test, one server

    def do_GET(self):
        self.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format, *args):
        pass


@pytest.mark.real
@pytest.mark.parametrize(("path", "query"), [("/b/plain.txt", ""), ("/b/k", "a=1&prefix=x")])
def test_sig_4_equals_curls(path, query):
    """A third opinion: what `curl --aws-sigv4` sends is what we would have sent."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    server = http.server.HTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    host = f"127.0.0.1:{server.server_port}"
    target = f"{path}?{query}" if query else path
    done = subprocess.run(
        [
            *(curl, "-sS", "--noproxy", "*", "--aws-sigv4", "aws:amz:eu-west-1:s3", "-u", "AK:SK"),
            *("-H", f"x-amz-content-sha256: {EMPTY_HASH}", f"http://{host}{target}"),
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    thread.join(20)
    server.server_close()
    assert done.returncode == 0, done.stderr
    _, theirs = Recorder.seen.pop()
    now = datetime.strptime(theirs["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    ours = sign(
        method="GET",
        path=path,
        query=query,
        host=host,
        headers=Headers(),
        credentials=Credentials(access_key_id="AK", secret=Secret("SK")),
        region="eu-west-1",
        now=now,
        payload=EMPTY_HASH,
        keys=SigningKeys(),
    )

    assert parts(ours.headers["authorization"]) == parts(theirs["authorization"])


# --- the pieces -----------------------------------------------------------------------------


@given(st.datetimes().filter(lambda moment: moment.year >= 1000))
def test_sig_6_dates_are_iso_basic(moment):
    """The stamp is what strftime writes."""
    assert amz_date(moment) == moment.strftime("%Y%m%dT%H%M%SZ")


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ("", ""),
        ("   ", ""),
        (" a ", "a"),
        ("a   b  c", "a b c"),
        ("\ta\tb\t", "a\tb"),
        ("ü  ü", "ü ü"),
        ("a\u00a0 \u00a0b", "a\u00a0 \u00a0b"),
    ],
)
def test_sig_22_runs_of_spaces_are_one_space(value, canonical):
    """Ends are trimmed and runs of spaces folded; no other character is a space."""
    assert canonical_value(value) == canonical


def test_sig_22_repeats_are_joined_by_a_comma():
    """Doubled metadata is one line of the canonical request."""
    assert canonical_headers([("x-amz-meta-a", " 1 "), ("host", "h"), ("x-amz-meta-a", "2")]) == (
        "host;x-amz-meta-a",
        "host:h\nx-amz-meta-a:1,2\n",
    )


def test_sig_21_a_query_is_sorted_by_name_then_value():
    """By name first: "a-" comes after "a", although "-" sorts before "="."""
    assert canonical_query([("a-", "1"), ("a", "2"), ("a", "1")]) == "a=1&a=2&a-=1"


def test_fwd_2_what_proxies_touch_is_sent_but_not_signed():
    """Nothing that may change on the way is under the signature; all of it is sent."""
    headers = Headers([(name, "1") for name in sorted(NEVER_SIGNED - {"authorization"})])
    signed = sign(
        method="GET",
        path="/",
        query="",
        host="h",
        headers=headers,
        credentials=AWS,
        region="r",
        now=NOW,
        payload=EMPTY_HASH,
        keys=SigningKeys(),
    )

    assert set(headers.names()) < set(signed.headers.names())
    assert parts(signed.headers["authorization"])["SignedHeaders"] == (
        "host;x-amz-content-sha256;x-amz-date"
    )


@pytest.mark.parametrize(
    ("payload", "sent"), [(UNSIGNED, None), (EMPTY_HASH, EMPTY_HASH)], ids=["unsigned", "hash"]
)
def test_fwd_1_anonymous_credentials_leave_a_request_unsigned(payload, sent):
    """No date, no authorization; a hash of the body stays, which the upstream can compare."""
    signed = sign(
        method="GET",
        path="/",
        query="",
        host="h",
        headers=Headers([("range", "bytes=0-1")]),
        credentials=ANONYMOUS,
        region="r",
        now=NOW,
        payload=payload,
        keys=SigningKeys(),
    )
    query = presign(
        method="GET",
        path="/",
        query="a=b",
        host="h",
        credentials=ANONYMOUS,
        region="r",
        now=NOW,
        expires=1,
        keys=SigningKeys(),
    )

    assert signed.headers.get("x-amz-content-sha256") == sent
    assert set(signed.headers.names()) - {"x-amz-content-sha256"} == {"host", "range"}
    assert (signed.signature, query) == ("", "a=b")


def test_sig_16_a_signing_key_belongs_to_its_secret():
    """A rotated secret, another day, region or service never meets the key of the old one."""
    keys = SigningKeys()
    first = keys.of(AWS, "20261124", "r", "s3")
    rotated = Credentials(access_key_id=AWS.access_key_id, secret=Secret("new"))

    assert keys.of(AWS, "20261124", "r", "s3") is first
    other = signing_key("new", "20261124", "r", "s3")
    assert keys.of(rotated, "20261124", "r", "s3").sign("text") == other.sign("text")
    assert len({first, *(keys.of(AWS, *s) for s in SCOPES)}) == 1 + len(SCOPES)


SCOPES = [("20261125", "r", "s3"), ("20261124", "q", "s3"), ("20261124", "r", "sts")]


def test_sig_16_the_cache_is_bounded_and_finding_enters_nothing():
    """Looking for keys of made-up dates and regions makes nothing grow."""
    keys = SigningKeys(size=2)
    for day in range(5):
        date = f"{NOW + timedelta(days=day):%Y%m%d}"
        assert keys.find("id", AWS.secret, date, "r", "s3") is None

    assert len(keys._cache) == 0
    for region in "abc":
        keys.keep("id", AWS.secret, "20261124", region, "s3", SigningKey(b"k"))
    assert len(keys._cache) == 2


def test_sig_15_neither_key_nor_signature_shows_in_a_repr():
    """A signed head that ends up in a log tells its scope and no more."""
    signed = sign(
        method="GET",
        path="/",
        query="",
        host="h",
        headers=Headers(),
        credentials=TEMPORARY,
        region="r",
        now=NOW,
        payload=EMPTY_HASH,
        keys=SigningKeys(),
    )

    assert repr(signed) == "Signature(scope='20261124/r/s3/aws4_request')"
    assert signed.headers["x-amz-security-token"] == "to/k+en=="


@given(st.binary(min_size=32, max_size=32), st.text())
def test_sig_a_signing_key_signs_as_the_library_does(value, text):
    """RFC 2104 in two halves against the standard library's HMAC; surrogates as the bytes they stand for."""
    data = text.encode("utf-8", "replace")
    text = data.decode("utf-8", "surrogateescape")

    assert SigningKey(value).sign(text) == hmac.new(value, data, "sha256").hexdigest()
    assert value.hex() not in repr(SigningKey(value))


def test_a_lone_surrogate_is_signed_as_its_byte():
    key = SigningKey(b"k" * 32)

    assert key.sign("a\udcff") == hmac.new(b"k" * 32, b"a\xff", "sha256").hexdigest()
