"""Verification: what is genuine passes however it was spelt; what was changed does not."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from unittest.mock import patch

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.identity import Credentials, Secret
from gateway.message import Headers, RequestHead
from gateway.records import replace
from gateway.s3.errors import S3Error
from gateway.s3.request import encode_query
from gateway.sigv4 import verify as module
from gateway.sigv4.sign import (
    EMPTY_HASH,
    UNSIGNED,
    SigningKey,
    SigningKeys,
    canonical_request,
    string_to_sign,
)
from tests.sigv4.clients import (
    ALICE,
    GUEST,
    NOW,
    Client,
    accept,
    aimed,
    encode,
    instead,
    plus,
)

HASH = hashlib.sha256(b"object").hexdigest()
MISMATCH = (403, "SignatureDoesNotMatch")
DENIED = (403, "AccessDenied")


def refusal(head: RequestHead, secret: Secret | None = ALICE.secret, **how) -> S3Error:
    with pytest.raises(S3Error) as caught:
        accept(head, secret, **how)
    return caught.value


def code(head: RequestHead, secret: Secret | None = ALICE.secret, **how) -> tuple[int, str]:
    error = refusal(head, secret, **how)
    return error.status, error.code


# --- properties -----------------------------------------------------------------------------

segments = st.text(st.sampled_from("ab/+%2F;=*~#?&:@,!'()$ü😀é-_ "), min_size=1, max_size=24)
words = st.text(st.sampled_from("ab +%2F;=*~#?&ü😀-_/."), max_size=10)
names = st.text(st.sampled_from("abc-ü+ "), min_size=1, max_size=6)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@settings(max_examples=100, deadline=None)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"]),
    key=segments,
    query=st.dictionaries(names, words, max_size=4),
    metadata=st.dictionaries(st.sampled_from("abc"), values, max_size=2),
    token=st.sampled_from([EMPTY_HASH, HASH, UNSIGNED, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]),
    guest=st.booleans(),
)
@example("GET", "a b+c%2F;=*~#?ü/😀", {"a-": "1", "a": "+"}, {"a": " a   b "}, HASH, True)
@example("GET", "//x//", {}, {}, EMPTY_HASH, False)
def test_sig_4_what_botocore_signs_is_genuine(method, key, query, metadata, token, guest):
    """Any request that botocore signs is believed, and says which token it was signed with."""
    who = GUEST if guest else ALICE
    target = "/bucket/" + encode(key, "/")
    pairs = "&".join(f"{encode(name)}={encode(value)}" for name, value in query.items())
    request = AWSRequest(
        method=method,
        url=f"http://s3.example.com{target}" + (f"?{pairs}" if pairs else ""),
        headers={f"x-amz-meta-{name}": value for name, value in metadata.items()},
    )
    request.headers["X-Amz-Content-SHA256"] = token
    session = who.session_token.reveal() if who.session_token else None
    boto = BotoCredentials(who.access_key_id, who.secret.reveal(), session)
    with (
        patch.object(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None)),
        patch.object(botocore.auth.S3SigV4Auth, "payload", lambda self, request: token),
    ):
        botocore.auth.S3SigV4Auth(boto, "s3", "default").add_auth(request)
    head = RequestHead(
        method=method,
        target=target + (f"?{pairs}" if pairs else ""),
        headers=Headers.of([("Host", "s3.example.com"), *request.headers.items()]),
    )

    seal = accept(head, who.secret)

    assert (seal.token, seal.presigned) == (token, False)
    assert seal.scope == "20261124/default/s3/aws4_request"
    assert seal.seed in request.headers["Authorization"]


@settings(max_examples=60, deadline=None)
@given(
    key=segments,
    query=st.dictionaries(names, words, max_size=4),
    guest=st.booleans(),
    digit=st.integers(0, 63),
)
def test_sig_9_a_link_is_genuine_until_a_digit_changes(key, query, guest, digit):
    """Presigned URLs are believed with session token or without; one digit off is a mismatch."""
    client = Client(credentials=GUEST if guest else ALICE)
    link = client.link("GET", "/bucket/" + encode(key, "/"), tuple(query.items()))
    place = link.target.index("X-Amz-Signature=") + 16 + digit
    flipped = "0" if link.target[place] != "0" else "1"
    wrong = replace(link, target=link.target[:place] + flipped + link.target[place + 1 :])

    assert accept(link, client.credentials.secret).presigned
    assert code(wrong, client.credentials.secret) == MISMATCH


# --- time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-899, -900, 0, 899, 900])
def test_sig_6_a_quarter_of_an_hour_of_skew_is_allowed(seconds):
    """Clocks may be off by fifteen minutes, either way."""
    accept(Client().head(), now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-901, 901, 86400])
def test_sig_6_more_is_told_with_both_clocks(seconds):
    """SDKs correct their clock from the two times in the answer."""
    error = refusal(Client().head(), now=NOW + timedelta(seconds=seconds))

    assert (error.status, error.code) == (403, "RequestTimeTooSkewed")
    assert error.detail["RequestTime"] == "20261124T201503Z"
    assert error.detail["ServerTime"].startswith("2026-11-2")
    assert error.detail["MaxAllowedSkewMilliseconds"] == "900000"


@pytest.mark.parametrize("seconds", [-900, 0, 900])
def test_pre_3_a_link_lives_from_a_little_before_its_date_to_its_end(seconds):
    """To the second."""
    accept(Client().link(expires=900), now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-901, 901])
def test_pre_3_outside_its_life_a_link_is_denied(seconds):
    """A link made for next year would outlive the seven days, so there is a bound on both sides."""
    error = refusal(Client().link(expires=900), now=NOW + timedelta(seconds=seconds))

    assert (error.status, error.code) == DENIED
    assert error.detail["ServerTime"].startswith("2026-11-24T")


# --- what must be signed --------------------------------------------------------------------

UNSIGNED_POWERS = [
    ("x-amz-acl", "public-read"),
    ("x-amz-copy-source", "/bucket/other"),
    ("x-amz-tagging", "a=b"),
    ("x-amz-meta-x", "1"),
]


@pytest.mark.parametrize("pair", UNSIGNED_POWERS, ids=lambda pair: pair[0])
def test_sig_3_an_x_amz_header_that_nobody_signed_is_refused(pair):
    """Or anyone on the path adds an ACL, or turns a put into a copy."""
    error = refusal(plus(Client().head("PUT"), pair))

    assert (error.status, error.code) == DENIED
    assert error.detail["HeadersNotSigned"] == pair[0]


@pytest.mark.parametrize("pair", UNSIGNED_POWERS, ids=lambda pair: pair[0])
def test_pre_7_the_holder_of_a_link_cannot_add_one(pair):
    """The same for presigned URLs."""
    error = refusal(plus(Client().link("PUT"), pair))

    assert (error.status, error.code) == DENIED
    assert error.detail["HeadersNotSigned"] == pair[0]


@pytest.mark.parametrize(
    "pair",
    [
        ("content-type", "text/html"),
        ("if-none-match", "*"),
        ("range", "bytes=0-1"),
        ("x-amzn-trace-id", "Root=1"),
        ("accept-encoding", "gzip"),
    ],
    ids=lambda pair: pair[0],
)
def test_sig_3_nothing_else_has_to_be_signed(pair):
    """minio-go never signs a content type, object_store no precondition."""
    accept(plus(Client().head("PUT"), pair))
    accept(plus(Client().link("PUT"), pair))


def test_sig_3_what_cloudfront_adds_counts_from_nobody_else():
    """`x-amz-cf-id` is passed over behind a trusted proxy only."""
    head = plus(Client().head(), ("x-amz-cf-id", "abc"))

    assert code(head) == DENIED
    accept(replace(head, trusted=True))


def test_sig_3_the_host_must_be_signed():
    """A signature that names no host would serve at any."""
    stamp, scope = "20261124T201503Z", "20261124/us-east-1/s3/aws4_request"
    keys = SigningKeys()
    key = keys.of(ALICE, "20261124", "us-east-1", "s3")
    lines = f"x-amz-content-sha256:{EMPTY_HASH}\nx-amz-date:{stamp}\n"
    signed = "x-amz-content-sha256;x-amz-date"
    canonical = canonical_request("GET", "/bucket/key", "", lines, signed, EMPTY_HASH)
    made = key.sign(string_to_sign(stamp, scope, canonical))
    head = instead(
        Client().head(),
        "authorization",
        f"AWS4-HMAC-SHA256 Credential={ALICE.access_key_id}/{scope},"
        f"SignedHeaders={signed},Signature={made}",
    )

    error = refusal(head)

    assert error.detail["HeadersNotSigned"] == "host"


def test_sig_23_what_proxies_touch_enters_with_the_value_received():
    """rclone signs accept-encoding: it verifies as long as nothing between has changed it."""
    head = signed_by_hand("accept-encoding:identity\nhost:s3.example.com\n", "accept-encoding;host")

    accept(plus(head, ("accept-encoding", "identity")))
    assert code(plus(head, ("accept-encoding", "gzip"))) == MISMATCH
    assert code(head) == MISMATCH


def signed_by_hand(
    lines: str, signed: str, path: str = "/bucket/key", query: str = ""
) -> RequestHead:
    """A GET with exactly these lines under its signature, by `date`, without a token."""
    stamp, scope = "20261124T201503Z", "20261124/us-east-1/s3/aws4_request"
    key = SigningKeys().of(ALICE, "20261124", "us-east-1", "s3")
    canonical = canonical_request("GET", path, query, lines, signed, EMPTY_HASH)
    made = key.sign(string_to_sign(stamp, scope, canonical))
    return RequestHead(
        method="GET",
        target=path + (f"?{query}" if query else ""),
        headers=Headers(
            [
                ("host", "s3.example.com"),
                ("date", stamp),
                (
                    "authorization",
                    f"AWS4-HMAC-SHA256 Credential={ALICE.access_key_id}/{scope},"
                    f"SignedHeaders={signed},Signature={made}",
                ),
            ]
        ),
    )


# --- path, query, host, header values -------------------------------------------------------


def test_sig_4_a_plus_may_be_signed_raw_or_encoded_but_is_no_space():
    """curl signs its raw spelling, SDKs `%2B`; one key either way. As `%20` it is another key."""
    raw = signed_by_hand("host:s3.example.com\n", "host", path="/bucket/a+b")
    encoded = aimed(
        signed_by_hand("host:s3.example.com\n", "host", path="/bucket/a%2Bb"), "%2B", "+"
    )
    space = aimed(signed_by_hand("host:s3.example.com\n", "host", path="/bucket/a%20b"), "%20", "+")

    accept(raw)
    accept(encoded)
    assert code(space) == MISMATCH


@pytest.mark.parametrize("spelt", ["/bucket/a%2fb", "/bucket/%61", "/bucket/a@b", "/bucket/a%7Eb"])
def test_sig_4_the_raw_spelling_is_the_second_candidate(spelt):
    """Whatever way the client wrote and signed the path, it decodes to the same key."""
    accept(signed_by_hand("host:s3.example.com\n", "host", path=spelt))


@pytest.mark.parametrize(
    ("arrived", "signed"),
    [
        ("prefix=a+b%7E*", "prefix=a%20b~%2A"),
        ("prefix=a/", "prefix=a%2F"),
        ("b&a", "a=&b="),
        ("a=&b", "a=&b="),
        ("&&a", "a="),
        ("z=1&a=2", "a=2&z=1"),
        ("a=%61&b=%2f", "a=a&b=%2F"),
    ],
)
def test_sig_21_a_query_is_signed_in_canonical_form_however_it_arrives(arrived, signed):
    """object_store and s3fs-fuse spell it one way and sign it another."""
    head = signed_by_hand("host:s3.example.com\n", "host", query=signed)

    accept(aimed(head, "?" + signed, "?" + arrived))


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ("x-amz-meta-a:a b c\n", " a   b c "),
        ("x-amz-meta-a:\n", "   "),
        ("x-amz-meta-a:a\tb\n", "\ta\tb"),
        ("x-amz-meta-a:a b\n", "a \t b"),
        ("x-amz-meta-a:ü\n", "ü"),
    ],
)
def test_sig_22_values_are_trimmed_and_runs_of_spaces_folded(lines, value):
    """With a tab inside, both readings that SDKs have are tried."""
    head = signed_by_hand("host:s3.example.com\n" + lines, "host;x-amz-meta-a")

    accept(plus(head, ("x-amz-meta-a", value)))


def test_sig_22_doubled_metadata_is_joined_in_order():
    """A comma and no space; the other order is another value."""
    head = signed_by_hand("host:s3.example.com\nx-amz-meta-a:1,2\n", "host;x-amz-meta-a")

    accept(plus(head, ("x-amz-meta-a", " 1"), ("x-amz-meta-a", "2 ")))
    assert code(plus(head, ("x-amz-meta-a", "2"), ("x-amz-meta-a", "1"))) == MISMATCH


@pytest.mark.parametrize(
    ("signed", "received", "secure"),
    [
        ("h.example", "h.example:80", False),
        ("h.example:80", "h.example", False),
        ("h.example", "h.example:443", True),
        ("h.example:443", "h.example", True),
        ("[::1]:80", "[::1]", False),
        ("[::1]", "[::1]:80", False),
        ("h.example:7000", "h.example:7000", False),
    ],
)
def test_sig_5_the_default_port_may_come_and_go(signed, received, secure):
    """A proxy or a client library may add or drop it."""
    head = instead(Client(host=signed).head(), "host", received)

    accept(replace(head, secure=secure))


@pytest.mark.parametrize(
    ("signed", "received"),
    [
        ("h.example", "h.example:443"),
        ("h.example:81", "h.example"),
        ("other.example", "h.example"),
        ("public.example", "h.example"),
        ("h.example.", "h.example"),
    ],
)
def test_sig_5_there_is_no_other_guess(signed, received):
    """Neither another port, nor what a stranger says in X-Forwarded-Host."""
    head = replace(
        instead(Client(host=signed).head(), "host", received), forwarded_host="other.example"
    )

    assert code(head, public_authority="public.example") == MISMATCH


@pytest.mark.parametrize(
    "signed", ["gateway:8080", "s3.example.com", "s3.example.com:80", "public.example:9000"]
)
def test_sig_5_behind_a_trusted_proxy_it_may_be_what_the_proxy_says(signed):
    """The host received, X-Forwarded-Host, and the public URL's."""
    head = instead(Client(host=signed).head(), "host", "gateway:8080")
    head = replace(head, trusted=True, forwarded_host="s3.example.com")

    accept(head, public_authority="public.example:9000")


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "POST"])
def test_pre_11_a_link_serves_the_method_it_was_made_for(method):
    """A link to read is not one to write."""
    assert code(replace(Client().link("GET"), method=method)) == MISMATCH


@pytest.mark.parametrize(
    "extra", ["versionId=v2", "response-content-type=text/html", "x-id=GetObject"]
)
def test_pre_4_every_parameter_of_a_link_is_signed(extra):
    """One that is added, known or not, breaks it."""
    link = Client().link(query=[("versionId", "v1")])
    changed = aimed(link, "versionId=v1", extra) if "versionId" in extra else None

    assert code(changed or replace(link, target=f"{link.target}&{extra}")) == MISMATCH


def test_pre_6_a_session_token_in_the_query_is_signed():
    """Another's token in its place breaks the link."""
    link = Client(credentials=GUEST).link()

    accept(link, GUEST.secret)
    assert code(aimed(link, "sealed", "SEALED"), GUEST.secret) == MISMATCH


# --- the payload line -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "status", "refused"),
    [
        ("", 400, "InvalidArgument"),
        ("unsigned-payload", 400, "InvalidArgument"),
        ("0" * 63, 400, "InvalidArgument"),
        ("STREAMING-AWS4-HMAC-SHA256", 400, "InvalidArgument"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", 501, "NotImplemented"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", 501, "NotImplemented"),
    ],
)
def test_sig_8_a_token_that_is_none_of_the_table_is_refused(token, status, refused):
    """Before the key id is looked at."""
    assert code(Client().head("PUT", payload=token), None) == (status, refused)


def test_sig_19_without_a_token_there_is_no_body():
    """Read as the empty hash; with a body, which the signature then does not cover, 400."""
    head = signed_by_hand("host:s3.example.com\n", "host")

    assert accept(head).token == EMPTY_HASH
    assert accept(plus(head, ("content-length", "0"))).token == EMPTY_HASH
    for framing in [("content-length", "10"), ("transfer-encoding", "chunked")]:
        assert code(plus(head, framing)) == (400, "InvalidRequest")


def pinned(line: str, *, in_header: bool) -> RequestHead:
    """A link to put an object of one hash, with that hash or UNSIGNED-PAYLOAD as payload line."""
    signed = "host;x-amz-content-sha256" if in_header else "host"
    pairs = [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", f"{ALICE.access_key_id}/20261124/us-east-1/s3/aws4_request"),
        ("X-Amz-Date", "20261124T201503Z"),
        ("X-Amz-Expires", "900"),
        ("X-Amz-SignedHeaders", signed),
    ]
    lines = "host:s3.example.com\n"
    headers = [("host", "s3.example.com")]
    if in_header:
        lines += f"x-amz-content-sha256:{HASH}\n"
        headers.append(("x-amz-content-sha256", HASH))
    else:
        pairs.append(("X-Amz-Content-Sha256", HASH))
    query = encode_query(pairs)
    canonical = canonical_request("PUT", "/bucket/key", query, lines, signed, line)
    key = SigningKeys().of(ALICE, "20261124", "us-east-1", "s3")
    scope = "20261124/us-east-1/s3/aws4_request"
    made = key.sign(string_to_sign("20261124T201503Z", scope, canonical))
    target = f"/bucket/key?{query}&X-Amz-Signature={made}"
    return RequestHead(method="PUT", target=target, headers=Headers(headers))


@pytest.mark.parametrize("line", [UNSIGNED, HASH])
@pytest.mark.parametrize("in_header", [True, False], ids=["header", "query"])
def test_pre_5_a_pinned_hash_is_enforced_whichever_line_was_signed(line, in_header):
    """The pin is the client token, so that the body is held to it."""
    assert accept(pinned(line, in_header=in_header)).token == HASH


def test_pre_5_another_payload_line_is_a_mismatch():
    """Two candidates, no third."""
    assert code(pinned(EMPTY_HASH, in_header=False)) == MISMATCH


@pytest.mark.parametrize(
    "token", ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
)
def test_pre_5_frames_under_a_link_are_refused(token):
    """They would be stored as the object."""
    link = Client().link("PUT", headers=[("x-amz-content-sha256", token)])

    assert code(link) == (400, "InvalidArgument")


def test_pre_5_a_link_without_a_pin_is_unsigned_payload():
    """Also where the header says so."""
    assert accept(Client().link("PUT")).token == UNSIGNED
    link = Client().link("PUT", headers=[("x-amz-content-sha256", UNSIGNED)])
    assert accept(link).token == UNSIGNED


def test_sts_5_the_form_is_the_payload_line():
    """botocore sends no hash with STS requests; where one is sent it must be the form's."""
    client = Client(service="sts")
    head = client.head("POST", "/", payload=HASH)

    assert accept(head, service="sts", body_hash=HASH).token == HASH
    assert code(head, service="sts", body_hash=EMPTY_HASH) == (400, "XAmzContentSHA256Mismatch")
    assert accept(client.head("POST", "/"), service="sts").token == EMPTY_HASH


def test_sts_5_without_a_hash_the_form_counts_all_the_same():
    """Another form under the same signature is a mismatch."""
    stamp, scope = "20261124T201503Z", "20261124/us-east-1/sts/aws4_request"
    key = SigningKeys().of(ALICE, "20261124", "us-east-1", "sts")
    lines = f"host:s3.example.com\nx-amz-date:{stamp}\n"
    canonical = canonical_request("POST", "/", "", lines, "host;x-amz-date", HASH)
    made = key.sign(string_to_sign(stamp, scope, canonical))
    head = RequestHead(
        method="POST",
        target="/",
        headers=Headers(
            [
                ("host", "s3.example.com"),
                ("x-amz-date", stamp),
                (
                    "authorization",
                    f"AWS4-HMAC-SHA256 Credential={ALICE.access_key_id}/{scope},"
                    f"SignedHeaders=host;x-amz-date,Signature={made}",
                ),
            ]
        ),
    )

    assert accept(head, service="sts", body_hash=HASH).token == HASH
    assert code(head, service="sts", body_hash=EMPTY_HASH) == MISMATCH


# --- refusals -------------------------------------------------------------------------------


def count_macs(head: RequestHead, secret: Secret | None, keys: SigningKeys) -> int:
    """HMACs computed for one request, signing keys (four each) included."""
    calls: list[int] = []
    sign = SigningKey.sign

    def counted_key(*arguments):
        calls.append(4)
        return SigningKey(b"k" * 32)

    def counted(key, text):
        calls.append(1)
        return sign(key, text)

    with (
        patch.object(module, "signing_key", counted_key),
        patch.object(SigningKey, "sign", counted),
    ):
        refusal(head, secret, keys=keys)
    return sum(calls)


def test_sig_10_an_unknown_key_costs_what_a_wrong_signature_costs():
    """With the signing key at hand or not, the same number of HMACs: nothing to measure."""
    head = Client().head()
    wrong = Credentials(access_key_id=ALICE.access_key_id, secret=Secret("wrong"))
    warm = SigningKeys()
    accept(head, keys=warm)
    tampered = aimed(head, "/key", "/other")

    counts = {
        count_macs(tampered, ALICE.secret, warm),
        count_macs(tampered, wrong.secret, SigningKeys()),
        count_macs(tampered, None, SigningKeys()),
        count_macs(tampered, None, warm),
    }

    assert len(counts) == 1


def test_sig_10_an_unknown_key_is_named():
    """The caller's own id, and S3's code."""
    error = refusal(Client().head(), None)

    assert (error.status, error.code) == (403, "InvalidAccessKeyId")
    assert error.detail["AWSAccessKeyId"] == ALICE.access_key_id


def test_sig_10_no_secret_is_never_believed():
    """Not even when the signature was made with the stand-in for a missing secret."""
    head = Client(
        credentials=Credentials(access_key_id=ALICE.access_key_id, secret=module._NOBODY)
    ).head()

    assert code(head, None) == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("kind", ["head", "link"])
def test_sig_10_a_mismatch_shows_what_was_seen_and_masks_the_token(kind):
    """Canonical request and string to sign of the caller's own request; no secret among it."""
    client = Client(credentials=GUEST)
    head = aimed(getattr(client, kind)(), "/key", "/other")
    error = refusal(head, GUEST.secret)

    assert (error.status, error.code) == MISMATCH
    shown = "\n".join(error.detail.values())
    assert "sealed" not in shown
    assert "***" in error.detail["CanonicalRequest"]
    assert error.detail["CanonicalRequest"].startswith("GET\n/bucket/other\n")
    assert error.detail["StringToSign"].startswith("AWS4-HMAC-SHA256\n20261124T201503Z\n")
    assert error.detail["AWSAccessKeyId"] == "GWTGUEST"
    assert len(error.detail["SignatureProvided"]) == 64


def test_sig_10_signed_headers_that_did_not_arrive_are_named():
    """nginx drops `x-amz-meta-a_b`, and nothing else would tell."""
    head = Client().head(headers=[("x-amz-meta-a_b", "1"), ("x-amz-meta-c", "")])
    error = refusal(instead(head, "x-amz-meta-a_b", None))
    empty = refusal(instead(head, "x-amz-meta-c", None))

    assert error.message.endswith("did not arrive: x-amz-meta-a_b.")
    assert (empty.status, empty.code) == MISMATCH


def test_sig_16_a_key_is_kept_only_after_a_signature_matched():
    """A stranger who tries dates and regions makes nothing grow."""
    keys = SigningKeys()
    for region in ("a", "b", "c"):
        refusal(Client(region=region).head(), Secret("wrong"), keys=keys)
        refusal(Client(region=region).head(), None, keys=keys)

    assert len(keys._cache) == 0
    seal = accept(Client().head(), keys=keys)
    assert len(keys._cache) == 1
    assert accept(Client().head(), keys=keys) == seal


def test_sig_11_a_signed_request_may_be_repeated():
    """There is no replay cache: writes of S3 are idempotent."""
    head, keys = Client().head("PUT", payload=HASH), SigningKeys()

    assert accept(head, keys=keys) == accept(head, keys=keys)
    assert "k" * 3 not in repr(accept(head))


def test_sig_15_a_seal_shows_neither_seed_nor_key():
    """It may end up in a log."""
    seal = accept(Client().head())

    assert seal.seed not in repr(seal)
    assert "signing_key" not in repr(seal)
