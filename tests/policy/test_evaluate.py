"""Decisions: default deny, deny wins, order only picks what serves, lists show what is granted."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import errors
from gateway.identity import Statement
from gateway.message import Headers, RequestHead
from gateway.policy.evaluate import decide, evaluate
from gateway.policy.match import bind
from gateway.policy.model import DenyRule, Entitlements, GrantRule, Match, Policy, Rule
from gateway.s3.hosts import Hosts
from gateway.s3.objects import ObjectName
from gateway.s3.operations import OPERATIONS, VERBS, On, Requirement, resolve
from gateway.s3.request import DeleteEntry, parse
from tests.policies import NOBODY, compiled, decided, may, one_grant, somebody

READ, WRITE, LIST = VERBS["read"], VERBS["write"], VERBS["list"]


def asked(method: str, target: str, **headers: str):
    """Operation and request of a head."""
    pairs = [("host", "s3.example.com"), *((k.replace("_", "-"), v) for k, v in headers.items())]
    request = parse(RequestHead(method=method, target=target, headers=Headers(pairs)), Hosts())
    return resolve(request), request


def entitled(policy: Policy, identity=None) -> Entitlements:
    return bind(policy, identity or somebody())


# Default deny, deny wins


def test_pol_2_what_no_grant_gives_is_refused():
    """Each refusal has the reason that fits."""
    policy = one_grant(allow=["read"], keys=["public/**"])
    reasons = {
        "GetObject other/public/x": errors.NO_GRANT_FOR_BUCKET,
        "PutObject data/public/x": errors.NO_GRANT_FOR_ACTION,
        "GetObject data/private/x": errors.NO_GRANT_FOR_KEY,
    }

    assert may(policy, somebody(), "GetObject data/public/x")
    for question, reason in reasons.items():
        assert decided(policy, somebody(), question).reasons == {reason}


def test_pol_3_nobody_gets_what_everyone_gets():
    """The anonymous match rules that say so, and no others."""
    policy = one_grant()

    assert may(policy, somebody(), "GetObject data/x")
    assert not may(policy, NOBODY, "GetObject data/x")
    assert decided(policy, NOBODY, "ListBuckets").reasons == {errors.NOT_SIGNED_IN}


ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:DeleteBucket"]
KEYS = ["a/x", "a/b/x", "b/x", "x"]
PATTERNS = st.lists(st.sampled_from(["a/**", "a/*", "b/**", "**", "x"]), max_size=2).map(tuple)
GRANTS = st.builds(
    GrantRule,
    bucket=st.sampled_from(["data", "lab-1", "lab-*"]),
    upstream=st.sampled_from(["aws", "minio"]),
    target_bucket=st.sampled_from(["one", "two"]),
    target_prefix=st.just(""),
    credentials=st.sampled_from(["shared", "own"]),
    actions=st.sets(st.sampled_from(ACTIONS), min_size=1).map(frozenset),
    keys=PATTERNS,
)
DENIES = st.builds(
    DenyRule,
    bucket=st.sampled_from(["data", "lab-*"]),
    actions=st.sets(st.sampled_from(ACTIONS), min_size=1).map(frozenset),
    keys=PATTERNS,
)
MATCHES = st.sampled_from([Match(everyone=True), Match(anonymous=True), Match(issuer="corp")])


@st.composite
def rules(draw):
    count = draw(st.integers(1, 4))
    return tuple(
        Rule(
            name=f"r{number}",
            match=draw(MATCHES),
            grants=tuple(draw(st.lists(GRANTS, max_size=2))),
            denies=tuple(draw(st.lists(DENIES, max_size=1))),
        )
        for number in range(count)
    )


def questions():
    for action, bucket in itertools.product(ACTIONS, ["data", "lab-1", "other"]):
        if "Object" in action:
            for key in KEYS:
                yield Requirement(action, ObjectName(bucket, key), On.TARGET)
        elif action == "s3:ListBucket":
            for prefix in ("", "a/", "b/"):
                yield Requirement(action, ObjectName(bucket, prefix), On.LISTED)
        else:
            yield Requirement(action, ObjectName(bucket), On.BUCKET)


def allowed(rules, identity) -> set[Requirement]:
    entitlements = bind(Policy(rules=rules), identity)
    return {need for need in questions() if decide(entitlements, [need]).allowed}


@settings(max_examples=60, deadline=None)
@given(rules(), st.randoms(use_true_random=False))
def test_pol_2_order_never_changes_what_is_allowed(given_rules, random):
    """It picks target and credentials, and nothing else."""
    shuffled = list(given_rules)
    random.shuffle(shuffled)

    for identity in (somebody(), NOBODY):
        assert allowed(given_rules, identity) == allowed(tuple(shuffled), identity)


@settings(max_examples=60, deadline=None)
@given(rules(), DENIES)
def test_pol_2_a_deny_always_wins(given_rules, deny):
    """Added anywhere, it takes away what it names, and gives nothing."""
    rule = Rule(name="no", match=Match(everyone=True), denies=(deny,))
    before = allowed(given_rules, somebody())
    after = allowed((rule, *given_rules), somebody())

    assert after <= before
    assert after == allowed((*given_rules, rule), somebody())
    for need in after:
        if need.on is On.TARGET and need.action in deny.actions and need.name.bucket == deny.bucket:
            assert deny.keys and not any(need.name.key == pattern for pattern in deny.keys)


STATEMENTS = st.builds(
    Statement,
    effect=st.sampled_from(["allow", "deny"]),
    actions=st.lists(st.sampled_from([*ACTIONS, "s3:*", "s3:Get*"]), min_size=1).map(tuple),
    buckets=st.lists(st.sampled_from(["data", "lab-*", "*"]), min_size=1).map(tuple),
    keys=st.lists(st.sampled_from(["**", "a/**", "*"]), min_size=1).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(
    rules(),
    st.lists(STATEMENTS, max_size=3).map(tuple),
    st.lists(STATEMENTS, max_size=2).map(tuple),
)
def test_key_3_narrowing_only_takes_away(given_rules, first, second):
    """One narrowing or two: never more than without, and two never more than one."""
    whole = allowed(given_rules, somebody())
    once = allowed(given_rules, somebody(narrowed=(first,)))
    twice = allowed(given_rules, somebody(narrowed=(first, second)))

    assert twice <= once <= whole


def test_key_3_an_empty_narrowing_leaves_nothing():
    """Allowed by some statement, or not at all."""
    identity = somebody(narrowed=((),))

    assert decided(one_grant(), identity, "GetObject data/x").reasons == {errors.NARROWED_AWAY}
    assert bind(one_grant(), identity).named_buckets() == []


def test_key_3_a_narrowing_by_bucket_key_and_action():
    """A read-only key for one prefix."""
    statement = Statement(actions=("s3:Get*", "s3:List*"), buckets=("data",), keys=("a/**",))
    policy = one_grant(allow=["list", "read", "write"])
    identity = somebody(narrowed=((statement,),))

    assert may(policy, identity, "GetObject data/a/x")
    assert may(policy, identity, "ListObjectsV2 data/a/")
    assert may(policy, identity, "HeadBucket data")
    assert not may(policy, identity, "GetObject data/b/x")
    assert not may(policy, identity, "PutObject data/a/x")
    assert not may(policy, identity, "ListObjectsV2 data/b/")


def test_key_3_a_narrowing_may_take_the_list_of_buckets_away():
    """What reads objects alone lists no buckets; a deny of one bucket leaves the list."""
    objects = (Statement(actions=("s3:GetObject",)),)
    buckets = (Statement(buckets=("data",)),)
    one_denied = (*buckets, Statement(effect="deny", buckets=("secret",)))
    all_denied = (*buckets, Statement(effect="deny", actions=("s3:List*",)))

    listed = [
        may(one_grant(), somebody(narrowed=(narrowing,)), "ListBuckets")
        for narrowing in (objects, buckets, one_denied, all_denied, ())
    ]
    assert listed == [False, True, True, False, False]


# What serves


TWO = """
rules:
- name: first
  match: {everyone: true}
  grants: [{bucket: data, upstream: aws, target: acme-one, credentials: shared, allow: [read, list]}]
- name: second
  match: {everyone: true}
  grants: [{bucket: data, upstream: minio, target: acme-two, credentials: own, allow: [read, write, "s3:PutObjectAcl"]}]
- name: third
  match: {everyone: true}
  grants:
  - {bucket: more, upstream: aws, target: acme-three/x/, credentials: shared, allow: [write]}
  - {bucket: "lab-*", upstream: minio, target: "${bucket}", credentials: own, allow: ["s3:*"]}
"""


def test_the_first_grant_in_order_that_allows_the_action_serves_it():
    """Reads go to the first rule's target, writes to the second's."""
    policy = compiled(TWO)

    assert decided(policy, somebody(), "GetObject data/x").grant.target_bucket == "acme-one"
    assert decided(policy, somebody(), "PutObject data/x").grant.target_bucket == "acme-two"


def test_a_pattern_grant_is_for_each_bucket_that_it_matches():
    """The target takes the name that was asked for; others are unknown."""
    policy = compiled(TWO)

    grant = decided(policy, somebody(), "CreateBucket lab-1").grant

    assert (grant.bucket, grant.target_bucket) == ("lab-1", "lab-1")
    assert not may(policy, somebody(), "CreateBucket xlab-1")
    assert bind(policy, somebody()).named_buckets() == ["data", "more"]
    assert [grant.bucket for grant in bind(policy, somebody()).patterns()] == ["lab-*"]


def test_cpy_6_a_copy_needs_one_upstream_and_one_credential():
    """Else it is not refused for lack of rights but not implemented: a job copies by streaming."""
    policy = compiled(TWO)

    within = decided(policy, somebody(), "CopyObject more/y from data/x")
    across = decided(policy, somebody(), "CopyObject data/y from data/x")
    unread = decided(policy, somebody(), "CopyObject more/y from more/x")

    assert within.allowed
    assert (within.grant.target_prefix, within.source.target_bucket) == ("x/", "acme-one")
    assert not across.allowed
    assert across.other_upstream
    assert not unread.allowed
    assert not unread.other_upstream


def test_s3_1_a_copy_reads_its_source_as_the_requester():
    """CopyObject and UploadPartCopy alike, versions by their own action."""
    policy = compiled(TWO.replace('"s3:*"', '"s3:PutObject", "s3:GetObject"'))

    assert not may(policy, somebody(), "CopyObject lab-1/y from secret/x")
    assert not may(policy, somebody(), "UploadPartCopy lab-1/y from lab-1/x?versionId=1")
    assert may(policy, somebody(), "UploadPartCopy lab-1/y from lab-1/x")


def test_powers_must_be_granted_at_the_place_that_serves():
    """An ACL granted for one target says nothing about another's objects."""
    policy = compiled(TWO.replace("allow: [read, list]", "allow: [read, write]"))
    operation, request = asked("PUT", "/data/x", x_amz_acl="public-read", content_length="0")

    decision = evaluate(entitled(policy), operation, request)

    assert not decision.allowed
    assert errors.OTHER_UPSTREAM in decision.reasons


def test_ops_7_an_acl_asks_for_its_own_action():
    """A write alone does not make an object public."""
    operation, request = asked("PUT", "/data/x", x_amz_acl="public-read", content_length="0")

    assert not evaluate(entitled(one_grant(allow=["write"])), operation, request).allowed
    assert evaluate(
        entitled(one_grant(allow=["write", "s3:PutObjectAcl"])), operation, request
    ).allowed


def test_s3_12_versions_need_their_own_verb():
    """`read` and `delete` speak of what is there now."""
    policy = one_grant()

    assert may(policy, somebody(), "DeleteObject data/x")
    assert not may(policy, somebody(), "DeleteObject data/x?versionId=1")
    assert not may(policy, somebody(), "GetObject data/x?versionId=null")
    assert may(one_grant(allow=["versions"]), somebody(), "GetObject data/x?versionId=1")


def test_a_deny_in_verbs_forbids_versions_too():
    """Who must not read an object must not read it by its version id."""
    policy = compiled(
        """
rules:
- name: all
  match: {everyone: true}
  grants: [{bucket: data, upstream: aws, target: acme-data, credentials: shared, allow: ["s3:*"]}]
- name: archive
  match: {everyone: true}
  denies: [{bucket: data, keys: ["archive/**"], actions: [list, read, delete]}]
"""
    )

    for question in (
        "GetObject data/archive/x", "GetObject data/archive/x?versionId=1",
        "DeleteObject data/archive/x?versionId=1", "ListObjectVersions data/archive/",
        "GetObjectTagging data/archive/x?versionId=1",
    ):  # fmt: skip
        assert decided(policy, somebody(), question).reasons == {errors.DENIED_BY_RULE}
    assert may(policy, somebody(), "PutObject data/archive/x")


@pytest.mark.parametrize(
    "name", [name for name, row in OPERATIONS.items() if row.level == "bucket"]
)
def test_s3_6_a_grant_of_some_keys_does_not_reach_the_whole_bucket(name):
    """`s3:*` on some keys lists them and asks where the bucket is; it configures and deletes nothing."""
    row = OPERATIONS[name]
    entitlements = entitled(one_grant(allow=["s3:*"], keys=["a/**"]))
    needs = [Requirement(need.action, ObjectName("data"), need.on) for need in row.needs]
    harmless = {
        "HeadBucket", "GetBucketLocation", "GetBucketVersioning", "ListObjects", "ListObjectsV2",
        "ListObjectVersions", "ListMultipartUploads",
    }  # fmt: skip

    if any(need.on is On.EACH_KEY for need in row.needs) or row.never:
        return
    assert decide(entitlements, needs).allowed == (name in harmless)


@pytest.mark.parametrize("name", [name for name, row in OPERATIONS.items() if not row.never])
def test_s3_6_verbs_give_no_power_beyond_objects(name):
    """No verb configures a bucket, sets an ACL or a lock, or creates and deletes buckets."""
    row = OPERATIONS[name]
    actions = frozenset().union(*VERBS.values())
    given = {need.action for need in row.needs} <= actions

    if any(word in name for word in ("Acl", "Policy", "Lock", "Retention", "LegalHold", "CreateBucket", "DeleteBucket", "PutBucket", "Restore")):  # fmt: skip
        assert not given


# Lists


def test_lst_10_a_list_shows_the_keys_that_are_granted():
    """Entries outside are left out; common prefixes are shown where something below may be granted."""
    policy = one_grant(allow=["list"], keys=["public/**", "home/${claims.sub}/**"])

    decision = decided(policy, somebody("al"), "ListObjectsV2 data")

    assert decision.allowed
    assert decision.visible("public/x", False)
    assert decision.visible("home/al/x", False)
    assert not decision.visible("home/alice/x", False)
    assert not decision.visible("secret", False)
    assert decision.visible("home/", True)
    assert decision.visible("home/al/", True)
    assert not decision.visible("home/alice/", True)
    assert not decision.visible("secret/", True)
    assert not decision.visible("home/", False)


def test_pth_10_a_prefix_below_which_nothing_is_granted_cannot_be_listed():
    """From above, below, beside; part of a name is not its folder."""
    policy = one_grant(allow=["list"], keys=["home/al/**"])

    for prefix in ("", "h", "home/", "home/al", "home/al/", "home/al/x/y"):
        assert may(policy, somebody(), f"ListObjectsV2 data/{prefix}")
    for prefix in ("home/alice/", "home/b", "other", "home//al"):
        assert decided(policy, somebody(), f"ListObjectsV2 data/{prefix}").reasons == {
            errors.NO_GRANT_FOR_KEY
        }


def test_lst_10_denied_keys_are_not_listed():
    """A deny of `list` on some keys hides them; one on reading does not."""
    policy = compiled(
        """
rules:
- name: all
  match: {everyone: true}
  grants: [{bucket: data, upstream: aws, target: acme-data, credentials: shared, allow: [list, read]}]
- name: hidden
  match: {everyone: true}
  denies: [{bucket: data, keys: ["hidden/**"], actions: [list]}, {bucket: data, keys: ["x/**"], actions: [read]}]
"""
    )

    decision = decided(policy, somebody(), "ListObjectsV2 data")

    assert not decision.visible("hidden/a", False)
    assert not decision.visible("hidden/", True)
    assert decision.visible("x/a", False)
    assert not may(policy, somebody(), "ListObjectsV2 data/hidden/")
    assert decided(policy, somebody(), "GetObject data/x/a").reasons == {errors.DENIED_BY_RULE}


def test_a_list_that_hides_nothing_needs_no_looking():
    """The ordinary grant costs a listing nothing."""
    assert decided(one_grant(), somebody(), "ListObjectsV2 data").visible is None


@settings(max_examples=80, deadline=None)
@given(rules(), st.lists(STATEMENTS, max_size=2).map(tuple), st.sampled_from(["", "a/", "b"]))
def test_lst_10_a_list_never_shows_what_could_not_be_listed_by_its_own_name(
    given_rules, narrowing, prefix
):
    """Every key that is visible could be listed with the key itself as the prefix."""
    for identity in (somebody(), somebody(narrowed=(narrowing,))):
        entitlements = bind(Policy(rules=given_rules), identity)
        need = Requirement("s3:ListBucket", ObjectName("data", prefix), On.LISTED)
        decision = decide(entitlements, [need])
        for key in KEYS if decision.allowed else ():
            if decision.visible is None or decision.visible(key, False):
                own = Requirement("s3:ListBucket", ObjectName("data", key), On.LISTED)
                assert decide(entitlements, [own]).allowed


def test_s3_5_buckets_are_listed_as_granted():
    """Named ones in order, without those of which nothing is left."""
    policy = compiled(
        TWO
        + """
- name: gone
  match: {everyone: true}
  denies: [{bucket: more, actions: ["s3:*"]}]
"""
    )

    assert bind(policy, somebody()).named_buckets() == ["data"]
    assert may(policy, somebody(), "ListBuckets")
    assert decided(policy, somebody(), "ListBuckets").grant is None


# DeleteObjects


def deleting(*keys: str | tuple[str, str]):
    operation, request = asked("POST", "/data?delete", content_length="1")
    from gateway.records import replace

    entries = tuple(DeleteEntry(*((key,) if isinstance(key, str) else key)) for key in keys)
    return operation, replace(request, body_keys=entries)


def test_del_3_each_key_is_judged_and_the_rest_goes_on():
    """Refused ones come back with their code; order and entries stay."""
    policy = one_grant(keys=["a/**"])
    operation, request = deleting("a/1", "b/2", ("a/3", "v"), "a/4")

    decision = evaluate(entitled(policy), operation, request)

    assert decision.allowed
    assert [entry.key for entry in decision.kept(request).body_keys] == ["a/1", "a/4"]
    assert [(entry.key, code) for entry, code, _ in decision.refused_entries(request)] == [
        ("b/2", "AccessDenied"),
        ("a/3", "AccessDenied"),
    ]


def test_del_9_keys_of_another_upstream_are_told_so():
    """One request can be signed for one credential only."""
    policy = compiled(
        """
rules:
- name: two places
  match: {everyone: true}
  grants:
  - {bucket: data, upstream: aws, target: acme-one, credentials: shared, allow: [delete], keys: ["a/**"]}
  - {bucket: data, upstream: minio, target: acme-two, credentials: own, allow: [delete], keys: ["b/**"]}
"""
    )
    operation, request = deleting("a/1", "b/2")

    decision = evaluate(entitled(policy), operation, request)

    assert [entry.key for entry in decision.kept(request).body_keys] == ["a/1"]
    assert [code for _, code, _ in decision.refused_entries(request)] == ["NotImplemented"]


def test_del_7_where_nothing_is_left_there_is_still_an_answer():
    """All keys refused is 200 with errors; a bucket that is not granted is refused whole (LST-18)."""
    operation, request = deleting("b/1")

    known = evaluate(entitled(one_grant(keys=["a/**"])), operation, request)
    unknown = evaluate(entitled(one_grant(bucket="other")), operation, request)

    assert known.allowed
    assert known.grant is not None
    assert known.kept(request).body_keys == ()
    assert not unknown.allowed


def test_del_11_bypassing_governance_is_a_power_for_each_key():
    """The header asks for its own action on every entry."""
    operation, request = asked(
        "POST", "/data?delete", content_length="1", x_amz_bypass_governance_retention="true"
    )
    from gateway.records import replace

    request = replace(request, body_keys=(DeleteEntry("a"), DeleteEntry("b")))

    decision = evaluate(entitled(one_grant()), operation, request)
    granted = evaluate(
        entitled(one_grant(allow=["delete", "s3:BypassGovernanceRetention"])), operation, request
    )

    assert decision.kept(request).body_keys == ()
    assert len(granted.kept(request).body_keys) == 2


def test_pth_5_what_is_remembered_of_buckets_is_bounded():
    """Names that requests bring are a stranger's."""
    entitlements = entitled(one_grant())

    for number in range(1000):
        entitlements.view(f"bucket-{number}")

    assert len(entitlements._views) <= 256


def test_pol_1_the_evaluator_answers_every_operation():
    """No operation makes it raise: unknown is refused."""
    entitlements = entitled(Policy())

    for row in OPERATIONS.values():
        needs = [Requirement(need.action, ObjectName("data", "k"), need.on) for need in row.needs]
        decision = decide(entitlements, needs)
        assert decision.allowed == (row.name == "ListBuckets")
        json.dumps([outcome.sentence for outcome in decision.outcomes])


def test_a_deny_on_every_bucket_may_forbid_listing_them():
    """The one action that is about no bucket."""
    policy = compiled(
        """
rules:
- name: no lists
  match: {everyone: true}
  denies: [{bucket: "*", actions: ["s3:ListAllMyBuckets"]}]
"""
    )

    assert decided(policy, somebody(), "ListBuckets").reasons == {errors.DENIED_BY_RULE}


def test_a_refused_grant_of_other_actions_is_not_the_reason():
    """What is missing is the action, whatever a template refused."""
    policy = one_grant(allow=["read"], keys=["${claims.team}/**"])

    assert decided(policy, somebody(), "GetObject data/x").reasons == {errors.CLAIM_UNUSABLE}
    assert decided(policy, somebody(), "PutObject data/x").reasons == {errors.NO_GRANT_FOR_BUCKET}
