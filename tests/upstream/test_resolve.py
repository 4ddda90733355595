"""Where grants lead, and session policies that are never wider than the grant."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import UpstreamConfig
from gateway.errors import SCOPE_TOO_LARGE
from gateway.identity import Identity
from gateway.policy.model import Grant
from gateway.s3.errors import AccessDenied
from gateway.s3.operations import ACTIONS, VERBS
from gateway.upstream import resolve
from gateway.upstream.resolve import (
    CredentialsRefused,
    endpoint_for,
    endpoint_of,
    session_name,
    session_policy,
    upstream_for,
    usable_source_identity,
)


def grant(**changes: object) -> Grant:
    values: dict[str, object] = {
        "bucket": "home",
        "actions": VERBS["list"] | VERBS["read"] | VERBS["write"] | VERBS["delete"],
        "upstream": "main",
        "target_bucket": "acme-home",
        "target_prefix": "users/alice/",
        "credentials": "mine",
        "rule": "home folders",
    }
    return Grant(**{**values, **changes})  # type: ignore[arg-type] # a test's shorthand


class Iam:
    """IAM's reading of a session policy, as far as ours use it."""

    def __init__(self, text: str) -> None:
        self.statements = json.loads(text)["Statement"]

    def allows(self, action: str, resource: str, prefix: str | None = None) -> bool:
        return any(
            any(fnmatchcase(action, one) for one in listed(statement["Action"]))
            and any(_fits(one, resource) for one in listed(statement["Resource"]))
            and self._holds(statement.get("Condition"), prefix)
            for statement in self.statements
        )

    def _holds(self, condition: dict[str, dict[str, str]] | None, prefix: str | None) -> bool:
        if condition is None:
            return True
        pattern = condition["StringLike"].get("s3:prefix")
        return pattern is not None and prefix is not None and _fits(pattern, prefix)


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _fits(pattern: str, text: str) -> bool:
    """`*` and `?` are wild, `${*}` and its kin are themselves."""
    parts = re.split(r"(\$\{[$*?]\}|\*|\?)", pattern)
    wild = {"*": ".*", "?": "."}
    regex = "".join(
        wild.get(part) or re.escape(part[2] if part.startswith("${") else part) for part in parts
    )
    return re.fullmatch(regex, text, re.DOTALL) is not None


# Where it leads


def test_ssr_1_endpoints_come_from_the_configuration_alone():
    """Whatever a bucket is called, the connection goes where the operator said."""
    upstreams = {"main": UpstreamConfig(endpoint="https://s3.corp.example:9000", region="eu-1")}

    for bucket in ("169.254.169.254", "evil.com"):
        upstream = upstream_for(grant(target_bucket=bucket), upstreams, "home")
        endpoint = endpoint_for(upstream, upstreams)
        assert (endpoint.scheme, endpoint.host, endpoint.port) == ("https", "s3.corp.example", 9000)


def test_aws_is_the_regions_endpoint():
    """Left out, the endpoint is AWS's in that region, and buckets are virtual hosts there."""
    upstreams = {"main": UpstreamConfig(region="eu-central-1")}

    upstream = upstream_for(grant(), upstreams, "home")

    assert upstream.request_host == "acme-home.s3.eu-central-1.amazonaws.com"
    assert endpoint_for(upstream, upstreams).host == "s3.eu-central-1.amazonaws.com"
    assert (upstream.bucket, upstream.prefix) == ("acme-home", "users/alice/")


def test_a_pattern_leads_to_the_bucket_that_was_named():
    """`lab-*` to `${bucket}`: the name the client used, and no template is left."""
    upstreams = {"main": UpstreamConfig(endpoint="http://minio:9000")}
    lab = grant(bucket="lab-*", target_bucket="${bucket}", target_prefix="")

    assert upstream_for(lab, upstreams, "lab-7").bucket == "lab-7"


def test_settings_of_an_upstream_reach_its_endpoint():
    """Time-outs in seconds, and the bound on connections."""
    endpoint = endpoint_of(
        UpstreamConfig.model_validate(
            {"endpoint": "http://[::1]", "head_timeout": "2m", "max_connections": 7}
        )
    )

    assert (endpoint.host, endpoint.port, endpoint.authority) == ("::1", 80, "[::1]")
    assert (endpoint.head_timeout, endpoint.max_connections) == (120.0, 7)


def test_remembered_endpoints_are_bounded_and_never_mixed_up():
    """A section that is gone cannot lend its endpoint to another that took its place in memory."""
    for port in range(1, 2000):
        made = endpoint_of(UpstreamConfig(endpoint=f"http://h:{port}"))
        assert made.port == port

    assert len(resolve._ENDPOINTS) <= resolve.ENDPOINTS_MAX


# Who they are

PEOPLE = st.builds(Identity, issuer=st.text(max_size=20), subject=st.text(max_size=80))


@given(text=st.text(max_size=100), one=PEOPLE, other=PEOPLE)
@settings(max_examples=200, deadline=None)
def test_aws_1_session_names_are_taken_by_sts_and_of_one_person(text, one, other):
    """The alphabet and length that STS takes; equal templates do not make equal names."""
    name = session_name(text, one)

    assert re.fullmatch(r"[\w+=,.@-]{2,64}", name, re.ASCII)
    assert session_name(text, one) == name
    if (one.issuer, one.subject) != (other.issuer, other.subject):
        assert session_name(text, other) != name


def test_aws_1_long_equal_beginnings_do_not_collide():
    """Cutting a name to fit does not make two people one; nor does moving a letter."""
    long = "x" * 80
    people = [("corp", f"{long}a"), ("corp", f"{long}b"), ("corpx", long), ("corp", f"x{long}")]

    names = {session_name(long, Identity(issuer=i, subject=s)) for i, s in people}

    assert len(names) == len(people)
    assert all(len(name) == 64 for name in names)


def test_aws_1_names_stay_readable():
    """CloudTrail shows who it was."""
    assert session_name("al ice@corp", Identity(issuer="c", subject="s")).startswith("alice@corp-")


@pytest.mark.parametrize(
    ("text", "usable"),
    [("alice", True), ("a", False), ("aws:x", False), ("a b", False), ("é1", False), ("x" * 65, False)],
)  # fmt: skip
def test_aws_1_a_source_identity_is_taken_whole_or_not_at_all(text, usable):
    """Leaving characters out would name somebody else."""
    assert usable_source_identity(text) is usable


# What they may

SEGMENT = st.text("ab*?${}. é", min_size=1, max_size=5)
KEYS = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)


@given(
    keys=st.lists(KEYS, max_size=3),
    prefix=st.one_of(st.just(""), KEYS.map(lambda key: key + "/")),
    actions=st.sets(st.sampled_from(sorted(set().union(*VERBS.values()))), min_size=1),
    asked=KEYS,
)
@settings(max_examples=300, deadline=None)
def test_aws_2_a_session_policy_is_as_wide_as_the_grant_and_no_wider(keys, prefix, actions, asked):
    """What IAM allows below it, the grant allows, where slashes do not matter; and all of that."""
    given_ = grant(keys=tuple(keys), target_prefix=prefix, actions=frozenset(actions))
    iam = Iam(session_policy(given_))
    # At a slash IAM is wider, and says so: there `*` is read as `**`.
    loose = grant(keys=tuple(re.sub(r"\*+", "**", key) for key in keys))

    for action in sorted(ACTIONS & resolve._ON_OBJECTS):
        allowed = iam.allows(action, f"arn:aws:s3:::acme-home/{prefix}{asked}")
        assert allowed == (action in actions and loose.matches(asked))
        assert not iam.allows(action, f"arn:aws:s3:::acme-home2/{prefix}{asked}")
        if prefix and not asked.startswith(prefix):
            assert not iam.allows(action, f"arn:aws:s3:::acme-home/{asked}")


@given(prefix=st.text("ab/*?$ ", min_size=1, max_size=8), asked=st.text("ab/*?$ ", max_size=10))
@settings(max_examples=200, deadline=None)
def test_aws_2_lists_are_bound_to_the_prefix(prefix, asked):
    """Under a prefix, no list shows anything of its neighbours, and no prefix is no list."""
    prefix = prefix.rstrip("/") + "/"
    everything = grant(target_prefix=prefix, actions=VERBS["list"] | VERBS["versions"])
    iam = Iam(session_policy(everything))
    bucket = "arn:aws:s3:::acme-home"

    for action in ("s3:ListBucket", "s3:ListBucketVersions"):
        assert iam.allows(action, bucket, asked) == asked.startswith(prefix)
        assert not iam.allows(action, bucket, None)
    for action in ("s3:ListBucketMultipartUploads", "s3:ListAllMyBuckets"):
        assert not iam.allows(action, bucket, prefix)


def test_aws_2_powers_over_the_bucket_need_the_whole_bucket():
    """A grant on a prefix that names them gives none of them."""
    powers = frozenset({"s3:PutBucketPolicy", "s3:DeleteBucket", "s3:GetObject"})
    bucket = "arn:aws:s3:::acme-home"

    narrow = Iam(session_policy(grant(actions=powers)))
    wide = Iam(session_policy(grant(actions=powers, target_prefix="")))

    assert not narrow.allows("s3:PutBucketPolicy", bucket)
    assert wide.allows("s3:PutBucketPolicy", bucket)
    assert not wide.allows("s3:PutBucketAcl", bucket)


@pytest.mark.parametrize("subject", ["*", "a?", "${aws:username}", "a$b"])
def test_aws_2_wildcards_of_a_prefix_are_themselves(subject):
    """Templates refuse such claims; should one come through, it opens nothing else."""
    iam = Iam(session_policy(grant(target_prefix=f"users/{subject}/")))

    assert iam.allows("s3:GetObject", f"arn:aws:s3:::acme-home/users/{subject}/x")
    assert not iam.allows("s3:GetObject", "arn:aws:s3:::acme-home/users/bob/x")
    assert not iam.allows("s3:GetObject", "arn:aws:s3:::acme-home/users/ab/x")


def test_everything_is_said_shortly():
    """A grant of all of S3 fits, and stays on its bucket."""
    text = session_policy(grant(actions=ACTIONS, target_prefix="", target_bucket="lab"))
    iam = Iam(text)

    assert len(text) < 600
    assert iam.allows("s3:PutBucketPolicy", "arn:aws:s3:::lab")
    assert not iam.allows("s3:GetObject", "arn:aws:s3:::other/x")


def test_the_verbs_fit():
    """What people write in policies leaves room for their keys."""
    everything = frozenset().union(*VERBS.values())

    assert len(session_policy(grant(actions=everything))) < 1500


@pytest.mark.parametrize(
    "changes",
    [
        {"keys": tuple(f"folder-{i}/**" for i in range(60))},
        {"target_prefix": "😀/"},
        {"keys": ("ключ/**",)},
        {"actions": ACTIONS - {"s3:GetObject", "s3:GetBucketAcl"}, "target_prefix": ""},
    ],
    ids=["many keys", "emoji", "not Latin-1", "all but"],
)
def test_aws_3_what_does_not_fit_is_refused(changes):
    """Never assumed without the policy, or with a shorter one."""
    with pytest.raises(CredentialsRefused) as caught:
        session_policy(grant(**changes))

    assert caught.value.reason is SCOPE_TOO_LARGE
    assert isinstance(caught.value, AccessDenied)


def test_aws_3_the_limit_is_exact_and_counts_managed_policies():
    """2048 characters, with the ARNs of managed policies."""
    room = 2048 - len(session_policy(grant(keys=("",))))

    assert len(session_policy(grant(keys=("x" * room,)))) == 2048
    with pytest.raises(CredentialsRefused):
        session_policy(grant(keys=("x" * (room + 1),)))
    with pytest.raises(CredentialsRefused):
        session_policy(grant(keys=("x" * room,)), managed=["arn:aws:iam::aws:policy/ReadOnly"])


def test_a_pattern_of_buckets_can_be_listed_and_no_more():
    """Before a bucket is named all that is asked is which there are."""
    lab = grant(bucket="lab-*", target_bucket="${bucket}", target_prefix="", actions=ACTIONS)

    iam = Iam(session_policy(lab))
    named = Iam(session_policy(lab.named("lab-7")))

    assert iam.allows("s3:ListAllMyBuckets", "*")
    assert not iam.allows("s3:GetObject", "arn:aws:s3:::lab-7/x")
    assert named.allows("s3:GetObject", "arn:aws:s3:::lab-7/x")


def test_other_partitions_have_their_own_arns():
    """China and GovCloud."""
    assert "arn:aws-cn:s3:::acme-home" in session_policy(grant(), "aws-cn")


def test_the_keys_of_encrypted_buckets_stay_usable():
    """A session policy that did not name KMS would lock people out of SSE-KMS objects."""
    statement = next(
        one
        for one in json.loads(session_policy(grant()))["Statement"]
        if "kms:Decrypt" in one["Action"]
    )

    assert statement["Condition"] == {"StringLike": {"kms:ViaService": "s3.*"}}


def test_grants_that_differ_have_policies_that_differ():
    """The cache's key holds the policy: two grants never share credentials by accident."""
    grants = [
        grant(),
        grant(keys=("a",)),
        grant(target_prefix="users/bob/"),
        grant(target_bucket="other"),
        grant(actions=VERBS["read"]),
        replace(grant(), target_prefix=""),
    ]

    assert len({session_policy(one) for one in grants}) == len(grants)
