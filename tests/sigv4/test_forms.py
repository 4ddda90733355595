"""Signed forms: AWS's worked example, botocore's forms, and everything that may be wrong with the proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import botocore.session
import pytest
from botocore.config import Config

from gateway.identity import Secret
from gateway.message import Headers, RequestHead
from gateway.s3.errors import S3Error
from gateway.sigv4.claims import Claimed
from gateway.sigv4.forms import claimed_form, verify_form
from gateway.sigv4.sign import SigningKeys
from tests.sigv4.clients import GUEST, NOW

AWS_SECRET = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
AWS_POLICY = (
    "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7"
    "ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91"
    "c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3Qi"
    "OiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwi"
    "fSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRh"
    "LXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVT"
    "MjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNy"
    "ZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9"
    "LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAi"
    "MjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
)
AWS_FIELDS = {
    "policy": AWS_POLICY,
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
    "x-amz-date": "20151229T000000Z",
    "x-amz-signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
}
AWS_NOW = datetime(2015, 12, 29, 12, 0, tzinfo=UTC)
HEAD = RequestHead(method="POST", target="/bucket", headers=Headers([("host", "h")]))
MALFORMED = (400, "InvalidArgument")


def claim(fields: dict[str, str], **changed: str) -> Claimed:
    changes = {name.replace("_", "-"): value for name, value in changed.items()}
    return claimed_form(HEAD, {**fields, **changes})


def refusal(fields: dict[str, str], **changed: str) -> tuple[int, str]:
    with pytest.raises(S3Error) as caught:
        claim(fields, **changed)
    return caught.value.status, caught.value.code


def test_sig_17_the_worked_example_of_aws():
    """The form of AWS's page on browser uploads is genuine; the policy is what was signed."""
    c = claim(AWS_FIELDS)
    verify_form(c, AWS_POLICY, AWS_SECRET, now=AWS_NOW, keys=SigningKeys())

    assert (c.key_id, c.signer.region, c.session_token) == (
        "AKIAIOSFODNN7EXAMPLE",
        "us-east-1",
        None,
    )


def test_sig_17_what_botocore_signs_is_genuine():
    """With a session token too."""
    session = botocore.session.Session()
    token = GUEST.session_token
    assert token is not None
    session.set_credentials(GUEST.access_key_id, GUEST.secret.reveal(), token.reveal())
    s3 = session.create_client(
        "s3",
        region_name="eu-west-1",
        endpoint_url="http://s3.example.com",
        config=Config(signature_version="s3v4"),
    )
    with patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        post = s3.generate_presigned_post("bucket", "uploads/${filename}")
    fields = {name.lower(): value for name, value in post["fields"].items()}

    c = claim(fields)

    assert c.session_token == GUEST.session_token
    verify_form(c, fields["policy"], GUEST.secret, now=NOW, keys=SigningKeys())


def test_sig_17_another_policy_is_a_mismatch():
    """Shown with what was signed here, as for any request."""
    with pytest.raises(S3Error) as caught:
        verify_form(claim(AWS_FIELDS), "e30=", AWS_SECRET, now=AWS_NOW, keys=SigningKeys())

    assert (caught.value.status, caught.value.code) == (403, "SignatureDoesNotMatch")
    assert caught.value.detail["StringToSign"] == "e30="


def test_sig_17_an_unknown_key_is_refused():
    """With S3's code."""
    with pytest.raises(S3Error) as caught:
        verify_form(claim(AWS_FIELDS), AWS_POLICY, None, now=AWS_NOW, keys=SigningKeys())

    assert (caught.value.status, caught.value.code) == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize(
    ("after", "alive"),
    [
        (timedelta(minutes=-15), True),
        (timedelta(minutes=-16), False),
        (timedelta(days=7), True),
        (timedelta(days=7, seconds=1), False),
    ],
)
def test_pre_3_a_form_lives_as_long_as_a_link_at_most(after, alive):
    """Seven days after its date, whatever its policy says, and not before it."""
    c = claim(AWS_FIELDS)
    if alive:
        verify_form(c, AWS_POLICY, AWS_SECRET, now=c.when + after, keys=SigningKeys())
        return
    with pytest.raises(S3Error) as caught:
        verify_form(c, AWS_POLICY, AWS_SECRET, now=c.when + after, keys=SigningKeys())
    assert (caught.value.status, caught.value.code) == (403, "AccessDenied")


@pytest.mark.parametrize(
    "name", ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"]
)
def test_sig_25_a_form_without_a_whole_proof_is_nobodys(name):
    """A missing part is never made up for."""
    fields = {key: value for key, value in AWS_FIELDS.items() if key != name}

    assert refusal(fields) == (403, "AccessDenied")


def test_sig_14_forms_of_the_old_version_are_refused_by_name():
    """SigV2's fields, and SigV4A's algorithm."""
    assert refusal(AWS_FIELDS, awsaccesskeyid="AK") == (400, "InvalidRequest")
    assert refusal(AWS_FIELDS, signature="x") == (400, "InvalidRequest")
    algorithm = "AWS4-ECDSA-P256-SHA256"
    assert refusal(AWS_FIELDS, x_amz_algorithm=algorithm) == (400, "InvalidRequest")


def test_sig_2_a_form_beside_an_authorization_is_two_proofs():
    """Whatever the header holds."""
    head = RequestHead(method="POST", target="/", headers=Headers([("authorization", "Bearer x")]))
    with pytest.raises(S3Error) as caught:
        claimed_form(head, AWS_FIELDS)

    assert (caught.value.status, caught.value.code) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_amz_credential", "AK/20151229/us-east-1/sts/aws4_request"),
        ("x_amz_credential", "AK/20151228/us-east-1/s3/aws4_request"),
        ("x_amz_credential", "AK"),
        ("x_amz_date", "2015-12-29"),
        ("x_amz_date", "20151329T000000Z"),
        ("x_amz_signature", "A" * 64),
        ("x_amz_signature", "0" * 63),
    ],
)
def test_sig_18_the_parts_obey_the_rules_of_other_proofs(name, value):
    """Scope, date, shape of the signature."""
    assert refusal(AWS_FIELDS, **{name: value}) == MALFORMED
