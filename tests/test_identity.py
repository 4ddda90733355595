"""Who is asking, and secrets that never print themselves."""

from __future__ import annotations

import json

import pytest

from gateway.identity import (
    ANONYMOUS,
    ANONYMOUS_IDENTITY,
    Credentials,
    Identity,
    Secret,
    Statement,
)


def test_log_1_a_secret_does_not_print_itself():
    """In no form that ends up in a log; only where `reveal` is written."""
    secret = Secret("hunter2")

    assert [repr(secret), str(secret), f"{secret}", f"{[secret]}"] == ["***", "***", "***", "[***]"]
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert "hunter2" not in repr(
        Credentials(access_key_id="a", secret=secret, session_token=secret)
    )


def test_secrets_are_equal_by_value():
    """And an empty one is false."""
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert (bool(Secret("")), bool(Secret("a"))) == (False, True)
    assert len({Secret("a"), Secret("a")}) == 1


def test_an_identity_is_issuer_and_subject():
    """The same subject at two issuers is two people, for every cache as well."""
    one, other = Identity(issuer="a", subject="x"), Identity(issuer="b", subject="x")

    assert one != other
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == Identity(issuer="a", subject="x").fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {"claims": {"groups": ["a"]}},
        {"narrowed": ((Statement(actions=("s3:GetObject",)),),)},
    ],
)
def test_a_fingerprint_changes_with_what_a_decision_depends_on(changed):
    """Claims and narrowings."""
    plain = Identity(issuer="a", subject="x")

    assert Identity(issuer="a", subject="x", **changed).fingerprint != plain.fingerprint


def test_a_fingerprint_takes_any_claim():
    """Also what JSON cannot hold, and half characters."""
    assert Identity(issuer="a", subject="\ud800", claims={"x": {1, 2}}).fingerprint


def test_claims_are_frozen():
    """Whoever holds the identity cannot widen it."""
    claims = {"groups": ["a"]}
    identity = Identity(issuer="a", subject="x", claims=claims)
    claims["groups"] = ["b"]

    assert identity.claims["groups"] == ["a"]
    with pytest.raises(TypeError):
        identity.claims["groups"] = []  # type: ignore[index]


def test_what_to_call_somebody():
    """The friendliest name that is known."""
    assert Identity(issuer="a", subject="x", email="m", username="u", name="n").display == "n"
    assert Identity(issuer="a", subject="x", email="m", username="u").display == "u"
    assert Identity(issuer="a", subject="x", email="m").display == "m"
    assert Identity(issuer="a", subject="x").display == "x"


def test_nobody_is_somebody_too():
    """The anonymous identity, and credentials that leave a request unsigned."""
    assert ANONYMOUS_IDENTITY.anonymous
    assert not Identity(issuer="a", subject="x").anonymous
    assert (ANONYMOUS.anonymous, Credentials(access_key_id="a", secret=Secret("b")).anonymous) == (
        True,
        False,
    )


def test_a_statement_is_what_it_was_before_it_was_sealed():
    """Its form in tokens and records is read back."""
    statement = Statement(effect="deny", actions=("s3:Put*",), buckets=("b",), keys=("a/**",))

    assert Statement.from_json(json.loads(json.dumps(statement.as_json()))) == statement


@pytest.mark.parametrize(
    "value",
    [{}, {"e": "maybe", "a": [], "b": [], "k": []}, {"e": "allow", "a": "s3:*", "b": [], "k": []},
     {"e": "allow", "a": [1], "b": [], "k": []}],
)  # fmt: skip
def test_a_statement_is_read_strictly(value):
    """Anything else than what was written is refused."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        Statement.from_json(value)
