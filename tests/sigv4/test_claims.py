"""Proofs taken apart: one reading, or a refusal that says what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.message import Headers, RequestHead
from gateway.s3.errors import S3Error
from gateway.s3.hosts import Hosts
from gateway.s3.request import parse
from gateway.sigv4.claims import Claimed, claimed
from tests.sigv4.clients import GUEST, NOW, Client, aimed, instead, plus

HEX = "0" * 64
CREDENTIAL = "AK/20261124/us-east-1/s3/aws4_request"
PLAIN = f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature={HEX}"


def read(head: RequestHead, service: str = "s3") -> Claimed | None:
    return claimed(head, parse(head, Hosts()), service=service)


def by_header(authorization: str, *pairs: tuple[str, str], date: str | None = "20261124T201503Z"):
    headers = [("host", "s3.example.com"), ("authorization", authorization), *pairs]
    if date is not None:
        headers.append(("x-amz-date", date))
    return RequestHead(method="GET", target="/bucket/key", headers=Headers(headers))


def refusal(head: RequestHead, service: str = "s3") -> tuple[int, str]:
    with pytest.raises(S3Error) as caught:
        read(head, service)
    return caught.value.status, caught.value.code


# --- which proof ----------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", [None, "Bearer x.y.z", "Basic QUs6U0s=", ""])
def test_sig_25_not_ours_is_none(authorization):
    """Without a SigV4 proof nothing is claimed; others look for theirs."""
    head = RequestHead(method="GET", target="/bucket/key", headers=Headers([("host", "h")]))
    if authorization is not None:
        head = plus(head, ("authorization", authorization))

    assert read(head) is None


@pytest.mark.parametrize("other", ["Bearer x.y.z", "Basic QUs6U0s=", PLAIN, "garbage"])
def test_sig_2_a_link_beside_an_authorization_is_two_proofs(other):
    """A presigned URL sent with any Authorization at all is refused."""
    assert refusal(plus(Client().link(), ("authorization", other))) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Credential=AK",
        "x-amz-signature=00",
        "X-AMZ-ALGORITHM=AWS4-HMAC-SHA256",
        f"X-Amz-Credential={CREDENTIAL}&X-Amz-Algorithm=AWS4-HMAC-SHA256",
    ],
)
def test_sig_12_any_part_of_a_query_signature_chooses_the_query(query):
    """A key id in the query and no signature is a broken proof, with a streaming token or without."""
    head = RequestHead(
        method="PUT",
        target=f"/bucket/key?{query}",
        headers=Headers(
            [("host", "h"), ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")]
        ),
    )

    assert refusal(head) == (400, "AuthorizationQueryParametersError")


def test_sig_12_a_garbage_header_signature_is_broken_not_absent():
    """What begins like a SigV4 header is one."""
    assert refusal(by_header("AWS4-HMAC-SHA256 garbage")) == (400, "AuthorizationHeaderMalformed")
    assert refusal(by_header("AWS4-HMAC-SHA256")) == (400, "AuthorizationHeaderMalformed")


@pytest.mark.parametrize(
    "head",
    [
        by_header("AWS AK:c2ln"),
        by_header("aws4-hmac-sha256 x"),
        by_header(PLAIN.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")),
        *(
            RequestHead(method="GET", target=f"/b-1/k?{query}", headers=Headers([("host", "h")]))
            for query in (
                "AWSAccessKeyId=AK&Signature=x&Expires=1",
                "AWSAccessKeyId=AK",
                "Signature=x",
                "AWSAccessKeyId=AK&Signature=x&x-amz-security-token=t&Expires=1",
                "x-amz-security-token=t&Signature=x",
            )
        ),
        aimed(Client().link(), "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
    ],
)
def test_sig_14_other_versions_are_refused_by_name(head):
    """SigV2 and SigV4A are told which version is spoken here, and are never anonymous."""
    with pytest.raises(S3Error, match="AWS4-HMAC-SHA256") as caught:
        read(head)

    assert (caught.value.status, caught.value.code) == (400, "InvalidRequest")


# --- the header -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        PLAIN,
        PLAIN.replace(", ", ","),
        PLAIN.replace(", ", " ,\t "),
        f"AWS4-HMAC-SHA256 Signature={HEX}, SignedHeaders=host;x-amz-date, Credential={CREDENTIAL}",
    ],
)
def test_sig_18_parts_come_in_any_order_and_spacing(authorization):
    """minio-go and s3cmd write no space after the comma."""
    claim = read(by_header(authorization))

    assert claim is not None
    assert (claim.key_id, claim.signer.region, claim.signature) == ("AK", "us-east-1", HEX)
    assert claim.signer.signed_headers == ("host", "x-amz-date")
    assert claim.signer.scope == "20261124/us-east-1/s3/aws4_request"


def test_sig_18_a_key_id_may_hold_slashes():
    """The credential is split from the right."""
    claim = read(by_header(PLAIN.replace("=AK/", "=team/a:b/AK/")))

    assert claim is not None
    assert claim.key_id == "team/a:b/AK"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (", Signature=" + HEX, ""),
        ("SignedHeaders=", "signedheaders="),
        (", Signature", ", Extra=1, Signature"),
        (", Signature", ", Signature=x, Signature"),
        ("AK/20261124", "20261124"),
        ("AK/", "/"),
        ("/20261124/", "/2026112/"),
        ("/20261124/", "/٢0261124/"),
        ("host;x-amz-date", "x-amz-date;host"),
        ("host;x-amz-date", "host;host;x-amz-date"),
        ("host;x-amz-date", "Host;x-amz-date"),
        ("host;x-amz-date", "host;;x-amz-date"),
        ("host;x-amz-date", ""),
    ],
)
def test_sig_18_anything_else_is_malformed(old, new):
    """A part twice, missing, unknown, out of order, in another case: one reading or none."""
    assert old in PLAIN
    assert refusal(by_header(PLAIN.replace(old, new, 1))) == (400, "AuthorizationHeaderMalformed")


@pytest.mark.parametrize(
    "signature", ["A" * 64, "0" * 63, "0" * 65, "٠" * 64, "", "g" * 64, "0" * 64 + "\n"]
)
def test_sig_9_a_signature_is_64_lower_case_digits(signature):
    """Any other shape is refused before an HMAC is computed."""
    head = by_header(PLAIN.replace(HEX, signature))

    assert refusal(head) == (400, "AuthorizationHeaderMalformed")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (", Signature=" + HEX, "", "the authorization header requires three components: "
         "Credential, SignedHeaders, and Signature."),
        ("SignedHeaders=", "SignedHeaders-", 'the authorization component "SignedHeaders-host;x-amz-date" is malformed.'),
        ("Credential=", "Other=", "missing Credential."),
        ("SignedHeaders=", "Other=", "missing SignedHeaders."),
        ("Signature=", "Other=", "missing Signature."),
        (CREDENTIAL, "AK/x", 'the Credential is mal-formed; expecting '
         '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'),
        ("aws4_request", "aws_request", 'incorrect terminal "aws_request". This endpoint uses "aws4_request".'),
        ("/s3/", "/ec2/", 'incorrect service "ec2". This endpoint belongs to "s3".'),
        ("20261124", "2026112", 'incorrect date format "2026112". '
         'This date in the credential must be in the format "yyyyMMdd".'),
    ],
)  # fmt: skip
def test_sig_18_what_is_malformed_is_said_as_s3_says_it(old, new, says):
    """People search for these sentences, and test suites compare them."""
    with pytest.raises(S3Error) as caught:
        read(by_header(PLAIN.replace(old, new)))

    assert caught.value.message == f"The authorization header is malformed; {says}"


@pytest.mark.parametrize(
    ("life", "says"),
    [
        ("invalid", "X-Amz-Expires should be a number"),
        ("-3", "X-Amz-Expires must be non-negative"),
        ("0", "X-Amz-Expires must be at least one second"),
        ("604801", "X-Amz-Expires must be less than a week (in seconds); that is, the given "
         "X-Amz-Expires must be less than 604800 seconds"),
        ("9" * 5000, "X-Amz-Expires must be less than a week (in seconds); that is, the given "
         "X-Amz-Expires must be less than 604800 seconds"),
    ],
)  # fmt: skip
def test_pre_2_what_is_wrong_with_a_life_is_said_as_s3_says_it(life, says):
    """However long the number."""
    with pytest.raises(S3Error) as caught:
        read(aimed(Client().link(expires=600), "X-Amz-Expires=600", f"X-Amz-Expires={life}"))

    assert (caught.value.code, caught.value.message) == ("AuthorizationQueryParametersError", says)


@pytest.mark.parametrize("region", ["default", "eu-west-9", "us_gov", "x" * 64])
def test_sig_6_any_region_that_is_a_name(region):
    """Clients sign with the region that GetBucketLocation told them."""
    claim = read(by_header(PLAIN.replace("us-east-1", region)))

    assert claim is not None
    assert claim.signer.region == region


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("us-east-1", "../x"),
        ("us-east-1", ""),
        ("us-east-1", "x" * 65),
        ("/s3/", "/s3express/"),
        ("/s3/", "/sts/"),
        ("/s3/", "/S3/"),
        ("aws4_request", "aws4"),
        ("20261124", "20261123"),
    ],
)
def test_sig_6_a_scope_is_for_this_day_and_service(old, new):
    """The day before, another service, another ending: 400 and the reason."""
    assert refusal(by_header(PLAIN.replace(old, new))) == (400, "AuthorizationHeaderMalformed")


def test_sts_5_a_scope_of_s3_is_refused_where_sts_is_spoken():
    """And the other way round: a signature serves one service."""
    assert refusal(by_header(PLAIN), "sts") == (400, "AuthorizationHeaderMalformed")
    assert read(by_header(PLAIN.replace("/s3/", "/sts/")), "sts") is not None


@pytest.mark.parametrize(
    "text",
    [
        "20261124T201503Z",
        "Tue, 24 Nov 2026 20:15:03 GMT",
        "Tue, 24 Nov 2026 21:15:03 +0100",
    ],
)
def test_sig_6_a_date_header_serves_where_x_amz_date_is_absent(text):
    """In ISO basic form or by RFC 1123."""
    claim = read(by_header(PLAIN, ("date", text), date=None))

    assert claim is not None
    assert (claim.when, claim.stamp) == (NOW, "20261124T201503Z")


@pytest.mark.parametrize(
    ("own", "date"),
    [
        (None, None),
        (None, "yesterday"),
        (None, "Tue, 24 Nov 2026 20:15:03"),
        (None, "Tue, 99 Nov 2026 20:15:03 GMT"),
        ("", "20261124T201503Z"),
        ("2026-11-24T20:15:03Z", "20261124T201503Z"),
        ("20261324T201503Z", None),
        ("٢0261124T201503Z", None),
        ("Tue, 24 Nov 2026 20:15:03 GMT", None),
    ],
)
def test_sig_6_without_a_readable_date_access_is_denied(own, date):
    """A broken x-amz-date is not replaced by a good Date."""
    pairs = [("date", date)] if date is not None else []

    assert refusal(by_header(PLAIN, *pairs, date=own)) == (403, "AccessDenied")


# --- the query ------------------------------------------------------------------------------

PARAMETERS = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
]


@pytest.mark.parametrize("name", [*PARAMETERS, "X-Amz-Security-Token"])
def test_pre_1_each_parameter_once_and_spelt_so(name):
    """Missing, doubled, in another case: two readings of one URL, so none."""
    link = Client(credentials=GUEST).link()
    value = next(p for p in link.target.split("?")[1].split("&") if p.startswith(name + "="))
    wanted = (400, "AuthorizationQueryParametersError")

    assert refusal(aimed(link, value, f"{value}&{value}")) == wanted
    assert refusal(aimed(link, value, value.replace(name, name.lower()))) == wanted
    if name in PARAMETERS:
        assert refusal(aimed(link, value, "a=b")) == wanted


@pytest.mark.parametrize(
    "expires",
    ["0", "-1", "604801", "%2B5", "+5", "1_0", "%D9%A3", "6e1", "", "1.0", "0x10", "9" * 30],
)
def test_pre_2_a_life_is_ascii_digits_up_to_seven_days(expires):
    """Python's int takes several of these; S3 takes none."""
    head = aimed(Client().link(), "X-Amz-Expires=900", f"X-Amz-Expires={expires}")

    assert refusal(head) == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize("expires", [1, 604800])
def test_pre_2_the_edges_are_allowed(expires):
    """From one second to seven days."""
    claim = read(Client().link(expires=expires))

    assert claim is not None
    assert (claim.presigned, claim.expires) == (True, expires)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Date=20261124", "X-Amz-Date=2026-11-24"),
        ("X-Amz-Date=20261124", "X-Amz-Date=20261123"),
        ("AWS4-HMAC-SHA256", "HMAC"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=Host"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Bdate"),
        ("%2Fs3%2F", "%2Fs3express%2F"),
        ("%2Faws4_request", "%2Faws4"),
        ("X-Amz-Signature=", "X-Amz-Signature=A"),
    ],
)
def test_pre_1_values_obey_the_same_rules_as_in_the_header(old, new):
    """With the code that speaks of query parameters."""
    head = aimed(Client().link(), old, new)

    assert refusal(head) == (400, "AuthorizationQueryParametersError")


def test_sig_13_a_session_token_is_in_one_place():
    """In the query or in a header; in both is 400."""
    link = Client(credentials=GUEST).link()
    claim = read(link)

    assert claim is not None
    assert claim.session_token == GUEST.session_token
    assert refusal(plus(link, ("x-amz-security-token", "t"))) == (400, "InvalidToken")


def test_sig_13_a_session_token_in_the_header_is_claimed_and_shown_by_no_repr():
    """It is a secret, and its signature is none of a log's business."""
    head = Client(credentials=GUEST).head()
    claim = read(head)

    assert claim is not None
    assert claim.session_token == GUEST.session_token
    assert "sealed" not in repr(claim)
    assert claim.signature not in repr(claim)


def test_sig_6_dates_before_the_header_existed_are_read_all_the_same():
    """Any year that ISO basic form can write is a date; whether it is near is asked later."""
    head = instead(Client().head(), "x-amz-date", "00010101T000000Z")
    head = instead(head, "authorization", PLAIN.replace("20261124", "00010101"))
    claim = read(head)

    assert claim is not None
    assert claim.when == datetime(1, 1, 1, tzinfo=UTC)
