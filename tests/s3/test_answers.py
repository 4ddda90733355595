"""Answers, whole."""

from __future__ import annotations

import pytest

from gateway.errors import UpstreamProtocolError
from gateway.message import Headers, IterBody
from gateway.s3.answers import RenewCredentials, UpstreamRefusal, inbound, upstream_request_id
from gateway.s3.errors import S3Error
from tests.s3.world import answer, ask, slowly, text, view

GET = ask("GET", "/home/k")


async def test_fwd_7_an_object_passes_as_it_comes():
    """The very body, neither read nor copied."""
    given = slowly([b"a", b"b"])
    passed = await inbound(given, view(GET))

    assert passed.body is given.body
    assert isinstance(passed.body, IterBody)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 304])
async def test_fwd_6_statuses_stay_themselves(status):
    """Also 304, whatever the operation rewrites."""
    for request in (GET, ask("GET", "/home?list-type=2")):
        if request is GET or status == 304:
            assert (await inbound(answer(status=status), view(request))).status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_fwd_11_redirects_are_neither_followed_nor_passed_on(status):
    """T55."""
    with pytest.raises(UpstreamProtocolError):
        await inbound(answer(status=status, headers=(("location", "http://evil"),)), view(GET))


async def test_a_status_that_s3_does_not_use_is_a_fault():
    """Nothing is guessed from it."""
    with pytest.raises(UpstreamProtocolError):
        await inbound(answer(status=299), view(GET))


async def test_an_error_is_raised_with_the_headers_that_cross():
    """Delete markers and Retry-After; not the old body's description."""
    given = answer(
        "<Error><Code>NoSuchKey</Code></Error>", 404,
        (("x-amz-delete-marker", "true"), ("content-length", "38"), ("retry-after", "2"), ("server", "x")),
    )  # fmt: skip
    with pytest.raises(UpstreamRefusal) as caught:
        await inbound(given, view(GET))

    assert isinstance(caught.value, S3Error)
    assert dict(caught.value.headers) == {
        "x-amz-delete-marker": "true", "retry-after": "2",
    }  # fmt: skip


async def test_t56_stale_credentials_are_told_before_any_byte():
    """So that the request can be sent once more."""
    with pytest.raises(RenewCredentials):
        await inbound(answer("<Error><Code>ExpiredToken</Code></Error>", 400), view(GET))


async def test_a_list_is_rewritten():
    """By what the operation says of its answer."""
    data = "<ListBucketResult><Name>acme-home</Name></ListBucketResult>"

    assert "<Name>home</Name>" in await text(await inbound(answer(data), view(ask("GET", "/home"))))


def test_the_upstreams_request_id_is_for_the_audit_line():
    """Where it gave one."""
    assert upstream_request_id(answer(headers=(("x-amz-request-id", "theirs"),))) == "theirs"
    assert upstream_request_id(answer()) == ""
    assert Headers() == Headers(())
