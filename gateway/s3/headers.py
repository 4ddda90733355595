"""
The tables of headers that cross: what a client's request may carry upstream, and what comes back.

Both are allow-lists (FWD-3): what no row names does not cross. Groups of x-amz-* headers stand
here once, and `operations` says which operation has which.

Source: botocore's S3 model, against which `tests/s3/test_operations.py` holds every group.
"""

from __future__ import annotations

# Groups of x-amz-* request headers

ACL = frozenset(
    {
        "x-amz-acl",
        "x-amz-grant-full-control",
        "x-amz-grant-read",
        "x-amz-grant-read-acp",
        "x-amz-grant-write-acp",
    }
)
CHECKSUMS = frozenset(
    {
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc32c",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-md5",
        "x-amz-checksum-sha1",
        "x-amz-checksum-sha256",
        "x-amz-checksum-sha512",
        "x-amz-checksum-xxhash128",
        "x-amz-checksum-xxhash3",
        "x-amz-checksum-xxhash64",
    }
)
SSE = frozenset(
    {
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-bucket-key-enabled",
        "x-amz-server-side-encryption-context",
    }
)
SSE_C = frozenset(
    {
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-customer-key-md5",
    }
)
LOCK = frozenset(
    {
        "x-amz-object-lock-event-hold",
        "x-amz-object-lock-event-hold-duration-days",
        "x-amz-object-lock-event-hold-duration-years",
        "x-amz-object-lock-legal-hold",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-retain-until-date",
    }
)
STORED = (
    ACL
    | SSE
    | SSE_C
    | LOCK
    | {
        "x-amz-meta-*",
        "x-amz-storage-class",
        "x-amz-tagging",
        "x-amz-website-redirect-location",
    }
)
"""What is stored with an object."""
COPIED = frozenset(
    {
        "x-amz-copy-source",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-unmodified-since",
        "x-amz-copy-source-server-side-encryption-customer-algorithm",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key-md5",
    }
)
RENAMED = frozenset(
    {
        "x-amz-client-token",
        "x-amz-rename-source",
        "x-amz-rename-source-if-match",
        "x-amz-rename-source-if-modified-since",
        "x-amz-rename-source-if-none-match",
        "x-amz-rename-source-if-unmodified-since",
    }
)

OURS = frozenset(
    {
        "x-amz-expected-bucket-owner",
        "x-amz-source-expected-bucket-owner",
        "x-amz-request-payer",
    }
)
"""Never the client's: the gateway's own, where the upstream needs them (S3-7)."""

FAMILIES = (
    "x-amz-server-side-encryption",
    "x-amz-object-lock",
    "x-amz-checksum-",
    "x-amz-if-",
    "x-amz-copy-source",
)
"""Promises: a member that the model does not know is refused, not dropped in silence (FWD-4)."""

# Crossing, whatever the operation

OUT = CHECKSUMS | {
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
    "x-amz-checksum-mode",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "x-amz-decoded-content-length",
}
"""Request headers that go upstream, signed; `x-amz-content-sha256` is written by the signer."""

OF_REQUEST_BODY = CHECKSUMS | {
    "content-encoding",
    "content-md5",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
}
"""What describes the bytes of a body: not sent where the body is written anew (CHK-21)."""

BACK = frozenset(
    {
        "accept-ranges",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "expires",
        "last-modified",
        "retry-after",
    }
)
"""Response headers that reach the client, beside `x-amz-*`."""

NOT_BACK = frozenset({"x-amz-request-id", "x-amz-id-2"})
"""x-amz-* response headers that do not: they are the upstream's own names for the request."""

BACK_UNDER_IDENTITY = frozenset(
    {
        "x-amz-bucket-arn",
        "x-amz-access-point-alias",
        "x-amz-restore-output-path",
        "x-amz-server-side-encryption-context",  # base64 of JSON that holds the object's ARN
    }
)
"""These name the upstream's bucket, and cross where the client calls it the same."""

OF_ANSWER_BODY = CHECKSUMS | {
    "accept-ranges",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "etag",
}
"""What describes the bytes of an answer's body: not kept where the body is written anew."""
