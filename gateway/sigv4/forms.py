"""
The signature of a POST form: over its policy, by fields of the form (SIG-17).

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from gateway.identity import Secret
from gateway.message import RequestHead
from gateway.s3 import errors
from gateway.s3.errors import S3Error
from gateway.s3.request import other_version
from gateway.sigv4.claims import (
    LIFE_MAX,
    Claimed,
    Signer,
    hex_signature,
    iso_moment,
    same_day,
    scope_of,
)
from gateway.sigv4.sign import ALGORITHM, SigningKeys
from gateway.sigv4.verify import MAX_SKEW, believed

_REQUIRED = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
_MALFORMED = errors.INVALID_ARGUMENT


def claimed_form(head: RequestHead, fields: Mapping[str, str]) -> Claimed:
    """
    The proof that a form offers, by fields in lower case.

    Raises S3Error: AccessDenied where there is none, InvalidRequest for a second proof or another
    version, InvalidArgument for what is malformed.
    """
    if "authorization" in head.headers:  # SIG-2
        raise S3Error(
            errors.INVALID_REQUEST,
            "Only one proof is allowed: a signed policy, or an Authorization header.",
        )
    if "awsaccesskeyid" in fields or "signature" in fields:  # SIG-14
        raise other_version()
    for name in _REQUIRED:
        if name not in fields:
            raise S3Error(errors.ACCESS_DENIED, f"The form has no field {name}.")
    if fields["x-amz-algorithm"] != ALGORITHM:
        raise other_version()
    key_id, date, region = scope_of(fields["x-amz-credential"], "s3", _MALFORMED)
    stamp = fields["x-amz-date"]
    when = iso_moment(stamp)
    if when is None:
        raise S3Error(_MALFORMED, "x-amz-date must be in the ISO 8601 basic form yyyyMMddTHHmmssZ.")
    same_day(date, stamp, _MALFORMED)
    token = fields.get("x-amz-security-token")
    return Claimed(
        signer=Signer(key_id, date, region, "s3", ()),
        signature=hex_signature(fields["x-amz-signature"], _MALFORMED),
        when=when,
        stamp=stamp,
        session_token=None if token is None else Secret(token),
        presigned=True,
        expires=LIFE_MAX,
    )


def verify_form(
    c: Claimed, policy: str, secret: Secret | None, *, now: datetime, keys: SigningKeys
) -> None:
    """
    Believes the signature of a form's policy, or raises S3Error.

    The policy tells when it ends; a signing key lives seven days at most, whatever it says (PRE-3).
    """
    if not c.when - MAX_SKEW <= now <= c.when + timedelta(seconds=LIFE_MAX):
        raise S3Error(errors.ACCESS_DENIED, "Invalid according to Policy: Policy expired.")
    if believed(c, secret, keys, lambda key: [key.sign(policy)]) is None:
        raise S3Error(
            errors.SIGNATURE_DOES_NOT_MATCH,
            AWSAccessKeyId=c.key_id,
            StringToSign=policy,
            SignatureProvided=c.signature,
        )
