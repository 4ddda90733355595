"""Errors of upstreams, told anew."""

from __future__ import annotations

import pytest

from gateway.s3.errors import ROWS, error_xml
from gateway.s3.refusals import OURS, RenewCredentials, redirected, refusal
from tests.s3.world import PLAIN, PREFIXED, SAME, answer, ask, upstream, view

GET = ask("GET", "/home/docs/a.txt")


def document(code: str, message: str = "", more: str = "") -> str:
    return (
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message>{more}'
        "<HostId>h</HostId><RequestId>theirs</RequestId></Error>"
    )


async def told(data: str | bytes, status: int = 404, *, request=GET, to=PREFIXED):
    return await refusal(answer(data, status), (), view(request, to))


async def test_fwd_9_an_error_keeps_code_and_status_and_loses_names():
    """T54: bucket, key, ARN, account, host, address, in every field and in the message."""
    names = (
        "acme-home users/alice/docs/a.txt arn:aws:s3:::acme-home 123456789012 s3.upstream.example"
    )
    fields = (
        "BucketName", "Bucket", "Key", "Resource", "Endpoint", "HostId", "AWSAccessKeyId", "Region",
        "VersionId", "ArgumentName", "ETag", "Whatever",
    )  # fmt: skip
    more = "".join(f"<{name}>{names}</{name}>" for name in fields)
    for code in sorted(set(ROWS) - OURS):
        error = await told(document(code, names, more), ROWS[code].status)
        written = error_xml(error, resource=GET.path, request_id="ours").decode()

        assert (error.code, error.status) == (code, ROWS[code].status)
        for name in ("acme", "alice", "arn:", "123456789012", "upstream", "theirs"):
            assert name not in written
        assert "<Key>docs/a.txt</Key>" in written
        assert "<BucketName>home</BucketName>" in written


@pytest.mark.parametrize(
    "message",
    ["of acme-home", "of ACME-HOME", "users%2Falice", "users/alice", "for Alice.", "at s3.upstream.example",
     "arn:aws:iam::1:x", "account 123456789012", "http://x", "from 10.0.0.1", "AKIAIOSFODNN7EXAMPLE", ""],
)  # fmt: skip
async def test_fwd_9_a_text_that_tells_is_not_used(message):
    """In any case and spelling; there is always a message (an empty one crashes the aws cli)."""
    error = await told(document("InvalidTag", message), 400)

    assert error.message == ROWS["InvalidTag"].message


async def test_fwd_9_a_text_that_tells_nothing_is_used():
    """With the fields that are safe."""
    more = "<VersionId>v</VersionId><UploadId>u</UploadId><Resource>/acme-home/x</Resource>"
    error = await told(document("Strange", "Too many cooks.", more), 418)

    assert (error.code, error.status, error.message) == ("Strange", 418, "Too many cooks.")
    assert error.detail == {"VersionId": "v", "UploadId": "u"}


async def test_an_unknown_code_without_a_text_still_says_something():
    """Its own name."""
    assert (await told(document("Strange"), 400)).message == "The storage answered Strange."


async def test_under_identity_the_bucket_may_be_named():
    """It is the client's own word."""
    assert (await told(document("X", "in home"), 400, to=SAME)).message == "in home"
    assert (await told(document("X", "in acme-home"), 400, to=PLAIN)).message != "in acme-home"
    assert (
        await told(document("X", "in a b"), 400, to=upstream(prefix="a/b/"))
    ).message == "in a b"


@pytest.mark.parametrize("code", sorted(OURS))
async def test_t56_what_speaks_of_our_signature_asks_for_new_credentials(code):
    """The client sees none of these codes: it would renew its own token or bend its own clock."""
    with pytest.raises(RenewCredentials) as caught:
        await told(document(code), 403)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "InvalidRequest"), (403, "AccessDenied"), (404, "NoSuchKey"), (405, "MethodNotAllowed"),
     (409, "OperationAborted"), (412, "PreconditionFailed"), (413, "EntityTooLarge"), (416, "InvalidRange"),
     (418, "InvalidRequest"), (429, "SlowDown"), (500, "InternalError"), (502, "BadGateway"),
     (503, "ServiceUnavailable"), (504, "GatewayTimeout"), (599, "InternalError")],
)  # fmt: skip
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>nginx</html>",
        b"\xff",
        b"<Error/>",
        b"<Error><Code>a b</Code></Error>",
        b"x" * 70_000,
    ],
)
async def test_fwd_10_without_a_document_the_status_speaks(status, code, data):
    """HEAD, and what a proxy in between wrote."""
    error = await told(data, status)

    assert (error.status, error.code) == (status, code)
    assert error.message


async def test_a_missing_bucket_is_missing_for_whom_it_is_granted():
    """404 of a bucket is its own, in the client's name."""
    assert (await told(b"", 404, request=ask("HEAD", "/home"))).code == "NoSuchBucket"


async def test_an_error_inside_another_element_is_found():
    """As STS and some proxies write it."""
    error = await told("<ErrorResponse><Error><Code>SlowDown</Code></Error></ErrorResponse>", 503)

    assert error.code == "SlowDown"


def test_fwd_11_a_redirect_tells_the_log_its_region():
    """And nobody else."""
    fault = redirected(
        answer(
            status=301, headers=(("x-amz-bucket-region", "eu-west-1"), ("location", "http://x"))
        ),
        view(GET),
    )

    assert "eu-west-1" in str(fault)
    assert "http" not in str(fault)
    assert fault.status == 502
