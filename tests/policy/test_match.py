"""Whom a rule is about; what templates make of claims; what of the claims is worth keeping."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import CLAIM_UNUSABLE, TAG_UNUSABLE
from gateway.policy.match import (
    MISSING,
    Keeper,
    Unusable,
    bind,
    claim,
    claims_named,
    forbids,
    holds,
    matches,
    phrase,
    render,
)
from gateway.policy.model import ClaimTest, GrantRule, Match, Policy, Rule
from tests.policies import NOBODY, compiled, may, one_grant, somebody


def holding(matcher, argument, value):
    test = ClaimTest(claim="c", matcher=matcher, argument=argument)
    return holds(test, somebody(**({} if value is MISSING else {"c": value})))


@pytest.mark.parametrize(
    ("matcher", "argument", "value", "result"),
    [
        ("equals", "x", "x", True),
        ("equals", "x", "X", False),
        ("equals", "x", ["x"], False),
        ("equals", True, True, True),
        ("equals", True, 1, False),
        ("equals", True, "true", False),
        ("equals", 1, True, False),
        ("equals", 1, 1.0, False),
        ("equals", "x", MISSING, False),
        ("any_of", ("x", "y"), "y", True),
        ("any_of", ("x", "y"), "z", False),
        ("any_of", (1,), True, False),
        ("contains", "staff", ["dev", "staff"], True),
        ("contains", "staff", "staff", True),
        ("contains", "staff", "staff,admin", False),
        ("contains", "staff", "Staff", False),
        ("contains", "staff", ["Staff"], False),
        ("contains", "staff", [["staff"]], False),
        ("contains", "staff", {"staff": True}, False),
        ("contains", "staff", [], False),
        ("contains", "staff", None, False),
        ("contains", "staff", MISSING, False),
        ("contains_any", ("a", "b"), ["b"], True),
        ("contains_any", ("a", "b"), ["c"], False),
        ("glob", "/eu/*", ["/eu/staff"], True),
        ("glob", "/eu/*", ["/eu/staff/sub"], False),
        ("glob", "/eu/**", "/eu/staff/sub", True),
        ("glob", "*@corp.com", "a@corp.com", True),
        ("glob", "*@corp.com", "a@evil@corp.com", False),
        ("glob", "*@corp.com", "a@corp.com.evil", False),
        ("glob", "*@corp.com", "a@sub.corp.com", False),
        ("glob", "*", "a@b", False),
        ("glob", "*", 5, False),
        ("present", True, "x", True),
        ("present", True, MISSING, False),
        ("present", True, None, False),
        ("present", False, MISSING, True),
        ("present", False, "x", False),
    ],
)
def test_pol_6_and_7_matchers_take_values_as_they_are(matcher, argument, value, result):
    """Exact, case-sensitive, of one kind; a text is a list of one; one `@` is one `@`."""
    assert holding(matcher, argument, value) is result


def test_a_claim_is_taken_literally_first_and_then_by_its_dots():
    """Names hold `:` and `.`; claims within claims are reached where no claim has that very name."""
    identity = somebody(
        **{
            "realm_access": {"roles": ["x"]},
            "kubernetes.io": {"namespace": "prod"},
            "a.b": 1,
            "a": {"b": 2},
            "sub": "forged",
        }
    )

    assert claim(identity, "realm_access.roles") == ["x"]
    assert claim(identity, "kubernetes.io.namespace") == "prod"
    assert claim(identity, "a.b") == 1
    assert claim(identity, "sub") == "alice"
    assert claim(identity, "realm_access.nothing") is MISSING
    assert claim(identity, "nothing.at.all") is MISSING


def test_pol_3_anonymous_and_everyone_are_two_things():
    """Grants for everyone are not for strangers; denies for everyone are."""
    everyone, strangers = Match(everyone=True), Match(anonymous=True)
    both = Match(everyone=True, anonymous=True)

    assert [matches(m, NOBODY) for m in (everyone, strangers, both)] == [False, True, True]
    assert [matches(m, somebody()) for m in (everyone, strangers, both)] == [True, False, True]
    assert [forbids(m, NOBODY) for m in (everyone, strangers, both)] == [True, True, True]
    assert not matches(Match(issuer="corp"), NOBODY)


def test_pol_4_the_same_subject_at_another_issuer_is_somebody_else():
    """A rule about one issuer says nothing about another's people."""
    match = Match(issuer="corp")

    assert matches(match, somebody(issuer="corp"))
    assert not matches(match, somebody(issuer="partner"))


# Templates


@pytest.mark.parametrize(
    "value",
    ["", " ", "a/b", "..", "a..b", ".", "*", "a?", "${x}", "a\x00", "a\nb", "\x7f", "\x85", "\ud800", 5, True, None, ["a"], {}, MISSING],
)  # fmt: skip
def test_pth_9_a_claim_that_could_mean_more_refuses_the_grant(value):
    """It never becomes an empty string, and never a second segment."""
    policy = one_grant(target="acme/users/${claims.team}/")
    identity = somebody(**({} if value is MISSING else {"team": value}))

    entitlements = bind(policy, identity)

    assert entitlements.grants == ()
    assert entitlements.refused[0].reason is CLAIM_UNUSABLE
    assert "team" in entitlements.refused[0].sentence
    assert not may(policy, identity, "GetObject data/x")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_pth_9_what_a_claim_becomes_stays_in_one_segment(value):
    """Whatever the value: refused, or exactly one segment of the prefix, unchanged."""
    try:
        made = render("users/${claims.c}/", somebody(c=value))
    except Unusable:
        return

    assert made == f"users/{value}/"
    assert made.count("/") == 2
    assert value not in ("", ".", "..")
    assert not set(value) & set("*?\x00\n/")


def test_pth_4_a_rendered_prefix_ends_at_a_slash():
    """home/al/ does not open home/alice/."""
    policy = one_grant(target="acme/home/${claims.sub}/")

    assert bind(policy, somebody("al")).grants[0].target_prefix == "home/al/"


def test_aws_2_a_tag_that_aws_does_not_take_refuses_the_grant():
    """The alphabet and the length of session tags are enforced before anybody is asked."""
    rule = Rule(
        name="r",
        match=Match(everyone=True),
        grants=(
            GrantRule(
                bucket="data",
                upstream="aws",
                target_bucket="acme",
                credentials="own",
                actions=frozenset({"s3:GetObject"}),
                tags=(("team", "${claims.team}"),),
            ),
        ),
    )
    policy = Policy(rules=(rule,))

    assert bind(policy, somebody(team="Ümlaut 7+a@b")).grants[0].tags == (("team", "Ümlaut 7+a@b"),)
    for value in ("a<b", "a#b", "x" * 257, "a;b"):
        assert bind(policy, somebody(team=value)).refused[0].reason is TAG_UNUSABLE


def test_pol_1_a_deny_whose_claim_is_unusable_forbids_the_bucket():
    """Failing closed: a deny never shrinks to nothing."""
    policy = compiled(
        """
rules:
- name: all
  match: {everyone: true}
  grants: [{bucket: data, upstream: aws, target: acme-data, credentials: shared, allow: [read]}]
- name: not of others
  match: {everyone: true}
  denies: [{bucket: data, keys: ["${claims.team}/**"], actions: [read]}]
"""
    )

    assert may(policy, somebody(team="eu"), "GetObject data/us/x")
    assert not may(policy, somebody(team="eu"), "GetObject data/eu/x")
    assert not may(policy, somebody(), "GetObject data/us/x")


# The index


RULES = """
rules:
- name: a
  match: {claims: {groups: {contains: a}}}
  grants: [{bucket: aaa, upstream: aws, target: acme-data, credentials: shared, allow: [read]}]
- name: b
  match: {claims: {groups: {contains_any: [b, c]}, level: {equals: 3}}}
  grants: [{bucket: bbb, upstream: aws, target: acme-data, credentials: shared, allow: [read]}]
- name: c
  match: {claims: {flag: {equals: true}}}
  grants: [{bucket: ccc, upstream: aws, target: acme-data, credentials: shared, allow: [read]}]
- name: d
  match: {claims: {mail: {glob: "*@x"}}}
  grants: [{bucket: ddd, upstream: aws, target: acme-data, credentials: shared, allow: [read]}]
- name: e
  match: {claims: {team: {any_of: [x, 1]}, gone: {present: false}}}
  grants: [{bucket: eee, upstream: aws, target: "acme-${claims.team}", credentials: shared, allow: [read]}]
- name: f
  match: {issuer: partner}
  grants: [{bucket: fff, upstream: aws, target: acme-data, credentials: shared, allow: [read], keys: ["${claims.deep.name}/**"]}]
"""
SCALARS = st.sampled_from(["a", "b", "c", "x", "u@x", True, False, 1, 3, None, 3.5])
CLAIMS = st.dictionaries(
    st.sampled_from(["groups", "level", "flag", "mail", "team", "gone", "deep", "other"]),
    SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(st.just("name"), SCALARS),
)


@settings(max_examples=200, deadline=None)
@given(CLAIMS, st.sampled_from(["corp", "partner"]))
def test_pol_7_the_index_finds_the_rules_that_a_walk_finds(claims, issuer):
    """It only saves looking at rules that cannot match."""
    policy = compiled(RULES)
    identity = somebody(issuer=issuer, **claims)

    found = {grant.rule for grant in bind(policy, identity).grants}
    found |= {refused.rule for refused in bind(policy, identity).refused}

    assert found == {rule.name for rule in policy.rules if matches(rule.match, identity)}


@settings(max_examples=200, deadline=None)
@given(CLAIMS, st.sampled_from(["corp", "partner"]))
def test_ses_5_a_decision_on_kept_claims_equals_one_on_all(claims, issuer):
    """What the cookie keeps of the claims is all that any rule, deny or template could ask for."""
    policy = compiled(RULES)
    kept = Keeper(policy).keep(claims)

    whole = bind(policy, somebody(issuer=issuer, **claims))
    reduced = bind(policy, somebody(issuer=issuer, **kept))

    assert whole.grants == reduced.grants
    assert [r.rule for r in whole.refused] == [r.rule for r in reduced.refused]


def test_ses_5_of_a_list_only_values_that_a_rule_could_match_are_kept():
    """Five hundred groups of which three matter make three; other claims are dropped."""
    keeper = Keeper(compiled(RULES))

    kept = keeper.keep({"groups": [f"g{i}" for i in range(500)] + ["a", "c"], "other": 1})

    assert kept == {"groups": ["a", "c"]}


def test_the_digest_changes_with_what_is_asked():
    """A session made under another policy is rebuilt; one made under the same is not."""
    assert Keeper(compiled(RULES)).digest == Keeper(compiled(RULES)).digest
    assert (
        Keeper(compiled(RULES)).digest
        != Keeper(compiled(RULES.replace("contains: a", "contains: z"))).digest
    )


def test_claims_named_lists_conditions_and_templates():
    """By claim, with the conditions on it; a template has none."""
    named = claims_named(compiled(RULES))

    assert set(named) == {"groups", "level", "flag", "mail", "team", "gone", "deep.name"}
    assert set(
        claims_named(
            compiled(
                'rules: [{name: r, match: {everyone: true}, denies: [{bucket: data, keys: ["${claims.x}/**"], actions: [read]}]}]'
            )
        )
    ) == {"x"}
    assert named["deep.name"] == ()
    assert [test.matcher for test in named["groups"]] == ["contains", "contains_any"]


def test_conditions_read_as_sentences():
    """As pages show them."""
    assert (
        phrase(ClaimTest(claim="g", matcher="contains", argument="staff")) == "`g` contains `staff`"
    )
    assert phrase(ClaimTest(claim="v", matcher="equals", argument=True)) == "`v` is `true`"
    assert phrase(ClaimTest(claim="v", matcher="present", argument=False)) == "`v` is absent"
    assert (
        phrase(ClaimTest(claim="v", matcher="any_of", argument=("a", 1)))
        == "`v` is one of `a`, `1`"
    )


def test_ten_thousand_rules_about_others_cost_nothing():
    """Binding looks at the rules that a person's claims concern."""
    rules = tuple(
        Rule(
            name=f"r{i}",
            match=Match(claims=(ClaimTest(claim="groups", matcher="contains", argument=f"g{i}"),)),
            grants=(GrantRule(bucket=f"b{i}", upstream="aws", target_bucket="acme", credentials="shared", actions=frozenset({"s3:GetObject"})),),
        )
        for i in range(10_000)
    )  # fmt: skip
    policy = Policy(rules=rules)
    bind(policy, somebody())  # makes the index
    began = time.perf_counter()

    entitlements = bind(policy, somebody(groups=["g7", "g9999"]))

    assert [grant.rule for grant in entitlements.grants] == ["r7", "r9999"]
    assert time.perf_counter() - began < 5  # a bound on growth, not on speed
