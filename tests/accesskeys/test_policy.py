"""The part of IAM's language that a narrowing can express."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accesskeys.policy import ACTIONS_OF, Level, MalformedPolicy, narrowing
from gateway.identity import Statement
from gateway.s3.operations import ACTIONS


def policy(*statements, **members) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)} | members)


def allow(actions, resources, **members):
    return {"Effect": "Allow", "Action": actions, "Resource": resources} | members


def test_every_action_has_a_level() -> None:
    """An action that stood nowhere could not be restricted."""
    assert set().union(*ACTIONS_OF.values()) == ACTIONS


def test_sts_7_an_objects_resource_allows_nothing_on_its_bucket() -> None:
    """As in IAM: `b/*` reads objects of b, and does not list it."""
    made = narrowing(policy(allow("s3:*", "arn:aws:s3:::b/*")))

    assert len(made) == 1
    assert "s3:GetObject" in made[0].actions
    assert "s3:ListBucket" not in made[0].actions
    assert (made[0].buckets, made[0].keys) == (("b",), ("**",))


def test_sts_7_a_buckets_resource_allows_nothing_on_its_objects() -> None:
    """As in IAM: `b` is listed, and nothing in it read."""
    made = narrowing(policy(allow("s3:*", "arn:aws:s3:::b")))

    assert "s3:ListBucket" in made[0].actions
    assert "s3:GetObject" not in made[0].actions


def test_a_star_is_everything() -> None:
    """And stays short."""
    assert narrowing(policy(allow("*", "*"))) == (Statement(),)
    assert narrowing(policy(allow(["s3:*"], ["arn:aws:s3:::*"]))) == (Statement(),)


def test_a_bucket_pattern_names_objects_as_well() -> None:
    """IAM's star does not stop at the slash."""
    made = narrowing(policy(allow(["s3:GetObject", "s3:ListBucket"], "arn:aws:s3:::lab-*")))

    assert made == (
        Statement(actions=("s3:GetObject", "s3:ListBucket"), buckets=("lab-*",), keys=("**",)),
    )


def test_keys_stars_cross_slashes() -> None:
    """`home/*` in IAM is everything below home."""
    made = narrowing(policy(allow("s3:GetObject", "arn:aws:s3:::b/home/*/x**")))

    assert made[0].keys == ("home/**/x**",)


def test_actions_are_found_whatever_their_case() -> None:
    """IAM does not care; the decision does."""
    made = narrowing(policy(allow(["s3:getobject", "S3:PutObjectT*"], "arn:aws:s3:::b/*")))

    assert made[0].actions == ("s3:GetObject", "s3:PutObjectTagging")


def test_a_deny_is_a_deny() -> None:
    """Each statement keeps its effect."""
    made = narrowing(
        policy(allow("s3:*", "*"), {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"})
    )

    assert [s.effect for s in made] == ["allow", "deny"]
    assert made[1].actions == ("s3:DeleteObject",)


def test_one_statement_needs_no_list_and_labels_are_allowed() -> None:
    """As AWS reads it."""
    text = json.dumps({"Id": "x", "Statement": allow("s3:GetObject", "*", Sid="one")})

    assert narrowing(text) == (Statement(actions=("s3:GetObject",)),)


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ({"StringLike": {"s3:prefix": "home/al/*"}}, ("home/al/**",)),
        ({"StringLike": {"s3:prefix": ["home/al/", "pub*"]}}, ("home/al/**", "pub**")),
        ({"StringEquals": {"s3:prefix": ["home/al/"]}}, ("home/al/**",)),
        ({"StringEquals": {"s3:prefix": ""}}, ("**",)),
    ],
)
def test_sts_7_a_prefix_condition_says_what_a_list_shows(condition, keys) -> None:
    """The one condition that people write for home folders."""
    made = narrowing(policy(allow("s3:ListBucket", "arn:aws:s3:::b", Condition=condition)))

    assert made == (Statement(actions=("s3:ListBucket",), buckets=("b",), keys=keys),)


@pytest.mark.parametrize(
    "statement",
    [
        allow("s3:ListBucket", "*", Condition={}),
        allow("s3:ListBucket", "*", Condition={"StringLike": {}}),
        allow("s3:ListBucket", "*", Condition={"StringLike": {"s3:prefix": []}}),
        allow("s3:ListBucket", "*", Condition={"StringLike": {"s3:delimiter": "/"}}),
        allow("s3:ListBucket", "*", Condition={"StringLike": {"s3:prefix": "${aws:username}/"}}),
        allow("s3:ListBucket", "*", Condition={"StringLike": {"s3:prefix": "a?"}}),
        allow("s3:ListBucket", "*", Condition={"StringEquals": {"s3:prefix": "a*"}}),
        allow("s3:ListBucket", "*", Condition={"StringLikeIfExists": {"s3:prefix": "a*"}}),
        allow("s3:ListBucket", "*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        allow(
            "s3:ListBucket",
            "*",
            Condition={"StringLike": {"s3:prefix": "a"}, "StringEquals": {"s3:prefix": "b"}},
        ),
        allow("s3:*", "*", Condition={"StringLike": {"s3:prefix": "a*"}}),
        allow("s3:GetObject", "*", Condition={"StringLike": {"s3:prefix": "a*"}}),
        {
            "Effect": "Deny",
            "Action": "s3:ListBucket",
            "Resource": "*",
            "Condition": {"StringLike": {"s3:prefix": "a*"}},
        },
    ],
)
def test_sts_7_other_conditions_are_refused(statement) -> None:
    """A deny with one above all: what it excepts would be denied, or what it denies allowed."""
    with pytest.raises(MalformedPolicy):
        narrowing(policy(statement))


def test_sts_7_an_action_at_the_wrong_level_gives_nothing() -> None:
    """Reading objects of the bucket itself: nothing is allowed, rather than everything."""
    assert narrowing(policy(allow("s3:GetObject", "arn:aws:s3:::b"))) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "[" * 5000,
        policy(),
        policy(Version="2020-01-01"),
        policy(allow("s3:GetObject", "*"), Extra=1),
        policy("Allow"),
        policy(allow("s3:GetObject", "*", Condition={})),
        policy(allow("s3:GetObject", "*", Principal="*")),
        policy({"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"}),
        policy({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "*"}),
        policy({"Effect": "allow", "Action": "s3:GetObject", "Resource": "*"}),
        policy({"Action": "s3:GetObject", "Resource": "*"}),
        policy({"Effect": "Allow", "Resource": "*"}),
        policy({"Effect": "Allow", "Action": "s3:GetObject"}),
        policy(allow([], "*")),
        policy(allow([5], "*")),
        policy(allow("s3:NoSuchAction", "*")),
        policy(allow("kms:Decrypt", "*")),
        policy(allow(["s3:GetObject", "sts:*"], "*")),
        policy(allow("s3:[A-z]*", "*")),
        policy(allow("s3:GetObject", "arn:aws:s3:::")),
        policy(allow("s3:GetObject", "arn:aws:s3:::b/")),
        policy(allow("s3:GetObject", "arn:aws:s3:::b?/x")),
        policy(allow("s3:GetObject", "arn:aws:s3:::b/${aws:username}/*")),
        policy(allow("s3:GetObject", "arn:aws:s3:eu-west-1:1:accesspoint/x")),
        policy(allow("s3:GetObject", "b/*")),
        '{"Statement": [], "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}',
    ],
)
def test_sts_7_what_a_narrowing_cannot_say_is_refused(text: str) -> None:
    """Never ignored: an ignored restriction is a wider key."""
    with pytest.raises(MalformedPolicy):
        narrowing(text)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["Effect", "Action", "Resource", "Statement", "Version", "x"]),
            inner,
            max_size=4,
        ),
    ),
)


@given(values)
def test_sts_7_any_json_is_read_or_refused(value: object) -> None:
    """No document raises anything else, and none becomes wider than it says."""
    try:
        made = narrowing(json.dumps(value))
    except MalformedPolicy:
        return
    assert all(set(statement.actions) <= ACTIONS | {"s3:*"} for statement in made)


def test_levels_are_those_of_iam() -> None:
    """A few that people write."""
    assert "s3:ListBucket" in ACTIONS_OF[Level.BUCKET]
    assert "s3:GetObject" in ACTIONS_OF[Level.OBJECT]
    assert "s3:GetObjectVersion" in ACTIONS_OF[Level.OBJECT]
    assert "s3:ListAllMyBuckets" in ACTIONS_OF[Level.ACCOUNT]
    assert "s3:AbortMultipartUpload" in ACTIONS_OF[Level.OBJECT]
    assert "s3:ListBucketMultipartUploads" in ACTIONS_OF[Level.BUCKET]
