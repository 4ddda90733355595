"""The nouns of the policy language hold what they promise."""

from __future__ import annotations

import dataclasses

import pytest

from gateway import errors
from gateway.policy.language import question
from gateway.policy.match import bind
from gateway.policy.model import Grant, Outcome, RefusedGrant
from gateway.s3.objects import ObjectName
from gateway.s3.operations import On, Requirement
from tests.policies import one_grant, somebody


def grant(**fields) -> Grant:
    given = {
        "bucket": "data", "actions": frozenset({"s3:GetObject"}), "upstream": "aws",
        "target_bucket": "acme", "credentials": "shared", "rule": "r", **fields,
    }  # fmt: skip
    return Grant(**given)


def test_pth_4_a_target_prefix_ends_in_a_slash():
    """So that home/al does not open home/alice."""
    with pytest.raises(ValueError, match="must end in"):
        grant(target_prefix="home/al")


def test_grants_are_equal_by_what_they_say():
    """And hash alike: caches of upstreams and credentials are keyed by them."""
    assert grant() == grant()
    assert hash(grant()) == hash(grant())
    assert grant() != grant(keys=("a/**",))
    assert {grant(): 1}[grant()] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        grant().bucket = "x"  # type: ignore[misc] # that it cannot is what is tested


def test_cpy_6_narrowed_credentials_serve_one_grant_only():
    """Without scope_down two prefixes of one credential are one route; with it they are two."""
    assert grant(target_prefix="a/").route == grant(target_prefix="b/").route
    assert (
        grant(target_prefix="a/", scope_down=True).route
        != grant(target_prefix="b/", scope_down=True).route
    )
    assert grant(target_prefix="a/").place != grant(target_prefix="b/").place
    assert grant().route != grant(credentials="own").route


def test_a_pattern_takes_the_name_that_was_asked_for():
    """In bucket and prefix of the target; a named grant stays itself."""
    made = grant(bucket="lab-*", target_bucket="x-${bucket}", target_prefix="${bucket}/").named(
        "lab-1"
    )

    assert (made.bucket, made.target_bucket, made.target_prefix) == ("lab-1", "x-lab-1", "lab-1/")
    assert not made.pattern
    plain = grant()
    assert plain.named("data") is plain


def test_ssr_1_a_rendered_bucket_is_a_bucket_name_or_no_grant():
    """A claim or a long name never becomes part of a host unchecked."""
    policy = one_grant(target="acme-${claims.team}")
    lengthened = one_grant(bucket="lab-*", target="prefix-of-some-length-${bucket}")

    assert bind(policy, somebody(team="eu")).grants
    for team in ("EU", "a_b", "x" * 70, "evil.com#", "-"):
        assert bind(policy, somebody(team=team)).refused[0].reason is errors.CLAIM_UNUSABLE
    assert bind(lengthened, somebody()).view("lab-1").grants
    assert not bind(lengthened, somebody()).view("lab-" + "x" * 50).grants


def test_reasons_read_as_sentences():
    """With the names filled in."""
    need = Requirement("s3:GetObject", ObjectName("data", "x"), On.TARGET)

    denied = Outcome(need, None, errors.DENIED_BY_RULE, "no")
    refused = RefusedGrant(
        bucket="data", actions=frozenset(), rule="r", reason=errors.CLAIM_UNUSABLE,
        detail={"claim": "team", "problem": "absent"},
    )  # fmt: skip

    assert denied.sentence == "The rule “no” forbids s3:GetObject on data."
    assert refused.sentence == "The grant needs the claim team, which is absent."
    assert str(question("GetObject data/x")) == "GetObject data/x"
