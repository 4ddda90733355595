"""Explanations, a policy's own tests, what a session may do, and who can."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity import Statement
from gateway.policy import explain, questions
from gateway.policy.evaluate import judge
from gateway.policy.match import bind
from gateway.s3.objects import ObjectName
from gateway.s3.operations import VERBS, On, Requirement
from tests.config.test_problems import parts
from tests.policies import NOBODY, compiled, decided, one_grant, somebody

GOLDEN = Path(__file__).parent.parent / "golden" / "explain"

POLICY = """
rules:
- name: home folders
  match: {issuer: corp, claims: {"cognito:groups": {contains: staff}}}
  grants:
  - {bucket: home, upstream: aws, target: "acme-home/users/${claims.sub}/", credentials: own, allow: [list, read, write, delete]}
  - {bucket: shared, upstream: aws, target: acme-shared, credentials: shared, allow: [list, read, "s3:GetObjectAcl"], keys: ["public/**", "eu/**"]}
- name: drop box
  match: {everyone: true}
  grants: [{bucket: inbox, upstream: aws, target: acme-inbox, credentials: shared, allow: [write]}]
- name: labs
  match: {claims: {"cognito:groups": {contains: platform}}}
  grants: [{bucket: "lab-*", upstream: minio, target: "${bucket}", credentials: shared, allow: ["s3:*"]}]
- name: nobody deletes the archive
  match: {everyone: true}
  denies: [{bucket: home, keys: ["archive/**"], actions: [write, delete]}]
tests:
- who: {iss: corp, sub: al, "cognito:groups": [staff]}
  may: [GetObject home/x, ListObjectsV2 shared/public/, PutObject inbox/x]
  may_not: [GetObject shared/secret, DeleteObject home/archive/x, CreateBucket lab-1]
- who: {anonymous: true}
  may_not: [PutObject inbox/x]
"""
STAFF = {"cognito:groups": ["staff"]}


def test_what_a_session_may_do_is_told_by_place():
    """Bucket, prefixes, verbs and further actions, and why: what the page's rail shows."""
    entries = explain.session_buckets(bind(compiled(POLICY), somebody("al", **STAFF)))

    because = (
        "because you signed in at `corp` and `cognito:groups` contains `staff`, rule “home folders”"
    )
    assert entries == [
        {"name": "home", "prefixes": [], "allow": ["list", "read", "write", "delete"], "because": because},
        {"name": "shared", "prefixes": ["public/", "eu/"], "allow": ["list", "read", "s3:GetObjectAcl"], "because": because},
        {"name": "inbox", "prefixes": [], "allow": ["write"], "because": "because it is for everyone, rule “drop box”"},
    ]  # fmt: skip


def test_a_pattern_is_told_as_one():
    """The page asks ListBuckets for the names behind it."""
    identity = somebody(**{"cognito:groups": ["platform"]})

    entry = explain.session_buckets(bind(compiled(POLICY), identity))[-1]

    assert (entry["name"], entry["pattern"]) == ("lab-*", True)
    assert set(VERBS) <= set(entry["allow"])


def test_a_narrowed_key_shows_only_what_it_reaches():
    """Buckets and verbs that a narrowing takes away are not told."""
    narrowing = (Statement(actions=("s3:Get*", "s3:List*"), buckets=("home",)),)
    identity = somebody("al", narrowed=(narrowing,), **STAFF)

    entries = explain.session_buckets(bind(compiled(POLICY), identity))

    assert [(entry["name"], entry["allow"]) for entry in entries] == [
        ("home", ["list", "read", "s3:ListMultipartUploadParts"])
    ]


def test_one_place_is_told_exactly():
    """Verbs that are given right there, why, and a sentence for each that is not."""
    entitlements = bind(compiled(POLICY), somebody("al", **STAFF))

    here = explain.at(entitlements, "home", "archive/")
    root = explain.at(entitlements, "shared", "")
    public = explain.at(entitlements, "shared", "public/")
    nowhere = explain.at(entitlements, "other", "")

    assert here["allow"] == ["list", "read"]
    assert here["denied"]["delete"] == (
        "The rule “nobody deletes the archive” forbids s3:DeleteObject on home."
    )
    assert set(here["because"]) == {"list", "read"}
    assert root["allow"] == ["list"]
    assert root["denied"]["read"].startswith("No rule gives you")
    assert public["allow"] == ["list", "read", "s3:GetObjectAcl"]
    assert nowhere["allow"] == []
    assert set(nowhere["denied"]) == set(VERBS)


KEY = st.sampled_from(["", "a/", "a/b/", "archive/", "public/"])


@settings(max_examples=60, deadline=None)
@given(KEY, st.sampled_from(["home", "shared", "inbox", "lab-1", "none"]))
def test_ui_what_a_place_allows_is_what_the_evaluator_says(prefix, bucket):
    """For whole-prefix rules such as these, a name right there is judged just as it was told."""
    entitlements = bind(
        compiled(POLICY), somebody("al", **{"cognito:groups": ["staff", "platform"]})
    )

    told = explain.at(entitlements, bucket, prefix)["allow"]

    for verb, action in (
        ("read", "s3:GetObject"),
        ("write", "s3:PutObject"),
        ("delete", "s3:DeleteObject"),
    ):
        need = Requirement(action, ObjectName(bucket, prefix + "name"), On.TARGET)
        assert (verb in told) == judge(entitlements, need).granted


def test_every_rule_is_looked_at_and_says_what_was_missing():
    """Which claim it was, and what it holds."""
    rows = {
        row["rule"]: row
        for row in explain.looked_at(compiled(POLICY), somebody("al", issuer="partner", **STAFF))
    }

    assert rows["home folders"]["why"] == "the issuer is `partner`, not `corp`"
    assert rows["labs"]["why"] == "not so: `cognito:groups` contains `platform` (it is staff)"
    assert rows["drop box"]["matched"]
    nobody = {row["rule"]: row for row in explain.looked_at(compiled(POLICY), NOBODY)}
    assert not nobody["drop box"]["matched"]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_an_explanation_reads_as_it_stands_there(path):
    """Golden: claims, question, and the explanation. GOLDEN_UPDATE=1 rewrites it."""
    text = path.read_text()
    given = parts(text)
    policy = compiled(given["policy"])
    identity = questions.identity_of(json.loads(given["claims"]))

    decision = decided(policy, identity, given["question"].strip())
    said = {
        "sentences": explain.sentences(decision),
        "decision": explain.as_json(decision),
        "rules": list(explain.looked_at(policy, identity)),
    }
    shown = json.dumps(said, indent=1, ensure_ascii=False) + "\n"

    if os.environ.get("GOLDEN_UPDATE"):
        path.write_text(text.partition("--- expected\n")[0] + "--- expected\n" + shown)
    else:
        assert shown == given["expected"]


def test_rules_for_strangers_are_looked_at_too():
    """Somebody who is known is told that a rule is not for them."""
    policy = compiled(
        "rules: [{name: r, match: {anonymous: true}, grants: [{bucket: data, upstream: aws, target: acme-data, credentials: shared, allow: [read]}]}]"
    )

    known = next(iter(explain.looked_at(policy, somebody())))
    nobody = next(iter(explain.looked_at(policy, NOBODY)))

    assert (known["matched"], known["why"]) == (False, "it is for those who are not signed in")
    assert (nobody["matched"], nobody["why"]) == (True, "whoever is not signed in")


def test_a_refused_grant_is_told_where_it_was_looked_at():
    """With the claim that it needed."""
    row = next(iter(explain.looked_at(one_grant(keys=["${claims.team}/**"]), somebody())))

    assert row["refused"] == [
        "the grant on data is refused: The grant needs the claim team, which is absent."
    ]


def test_a_narrowing_is_told_at_its_place():
    """The key is restricted, not the person."""
    statement = Statement(actions=("s3:GetObject",), buckets=("data",), keys=("a/**",))
    entitlements = bind(one_grant(), somebody(narrowed=((statement,),)))

    assert explain.at(entitlements, "data", "a/")["allow"] == ["s3:GetObject"]
    assert explain.at(entitlements, "data", "b/")["denied"]["read"].startswith(
        "The key or link used"
    )
