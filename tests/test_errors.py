"""The exception tree and the table of reasons."""

from __future__ import annotations

import re

import pytest

from gateway import errors
from gateway.errors import (
    REASONS,
    ApiError,
    ConfigError,
    GatewayError,
    LoginError,
    ProviderError,
    TokenError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)


@pytest.mark.parametrize("reason", REASONS.values(), ids=lambda reason: reason.code)
def test_a_reason_is_a_code_and_a_sentence(reason):
    """The code is for machines, the sentence for people."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", reason.code)
    assert reason.sentence.endswith(".")


def test_a_reason_stands_in_the_table_once():
    """Two rows would be two meanings."""
    with pytest.raises(ValueError, match="granted"):
        errors.reason("granted", "Again.")


def test_every_reason_of_the_module_is_in_the_table():
    """None is made beside it."""
    made = {value for value in vars(errors).values() if isinstance(value, errors.Reason)}

    assert made <= set(REASONS.values())


def test_a_sentence_is_filled_with_what_is_known():
    """And keeps the names of what is not."""
    error = LoginError(errors.CLAIM_UNUSABLE, claim="sub")

    assert error.sentence == "The grant needs the claim sub, which is {problem}."
    assert error.reason is errors.CLAIM_UNUSABLE
    assert str(error) == "claim-unusable"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (UpstreamError, 502, "BadGateway"),
        (UpstreamUnavailable, 503, "ServiceUnavailable"),
        (UpstreamTimeout, 504, "GatewayTimeout"),
        (UpstreamProtocolError, 502, "BadGateway"),
    ],
)
def test_faults_behind_us_have_a_status(kind, status, code):
    """Never 403: a client remembers a denial."""
    error = kind(why=errors.UPSTREAM_CREDENTIALS)

    assert (error.status, error.code, error.reason) == (status, code, errors.UPSTREAM_CREDENTIALS)
    assert str(error) == errors.UPSTREAM_CREDENTIALS.sentence
    assert str(kind()) == kind.__name__
    assert kind("x").reason is errors.UPSTREAM_AWAY


def test_whose_fault_it_is_is_a_type():
    """All of them are caught as the gateway's own."""
    for error in (
        LoginError(errors.LOGIN_STATE),
        TokenError(errors.TOKEN_KEY),
        ProviderError(),
        UpstreamTimeout(),
        ApiError(400, "title", code="c", retry_after=3),
        ConfigError([]),
    ):
        assert isinstance(error, GatewayError)
    assert ProviderError().reason is errors.PROVIDER_AWAY
    assert ApiError(400, "title", detail="d").detail == "d"
    assert ConfigError([]).problems == ()
