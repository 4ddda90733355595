"""The small texts of the policy language."""

from __future__ import annotations

import pytest

from gateway.policy import language
from gateway.s3.objects import ObjectName
from gateway.s3.operations import ACTIONS, VERBS


@pytest.mark.parametrize(
    ("target", "pattern", "good"),
    [
        ("acme-data", False, True),
        ("acme-data/users/${claims.sub}/", False, True),
        ("acme-${claims.custom:team}", False, True),
        ("acme/home", False, False),
        ("acme/", False, False),
        ("acme//x/", False, False),
        ("acme/../x/", False, False),
        ("ab", False, False),
        ("Acme", False, False),
        ("${bucket}", False, False),
        ("${bucket}", True, True),
        ("prefix-${bucket}/x/", True, True),
        ("labs/${bucket}/", True, True),
        ("labs", True, False),
        ("${claims.sub", False, False),
        ("acme/${env:X}/", False, False),
    ],
)
def test_pth_4_targets_are_buckets_or_prefixes_that_end_in_a_slash(target, pattern, good):
    """Anything else cannot be meant."""
    assert (language.target_problem(target, pattern=pattern) is None) is good


@pytest.mark.parametrize(
    ("name", "good"),
    [("data", True), ("lab-*", True), ("api", False), ("ab", False), ("Data", False), ("a..b", False),
     ("192.168.1.1", False), ("*", True), ("LAB-*", False), ("a/b", False), ("", False)],
)  # fmt: skip
def test_pth_16_buckets_are_names_that_clients_can_say(name, good):
    """`api` is the gateway's own path."""
    assert (language.bucket_problem(name) is None) is good


def test_words_stand_for_actions():
    """Verbs, actions, patterns of actions."""
    assert language.actions_of(["read"]) == VERBS["read"]
    assert language.actions_of(["s3:*"]) == ACTIONS
    assert language.actions_of(["s3:GetObjectAcl"]) == {"s3:GetObjectAcl"}
    assert "s3:GetObject" in language.actions_of(["s3:Get*"])
    for word in ("reed", "s3:Nope", "s3:Nope*", "*", "S3:GetObject", ""):
        with pytest.raises(KeyError):
            language.actions_of([word])


def test_a_verb_in_a_deny_means_versions_too():
    """`read` forbids what `versions` would give of the same objects."""
    denied = language.actions_of(["list", "read", "delete"], deny=True)

    assert {"s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:ListBucketVersions"} <= denied
    assert "s3:PutObject" not in denied
    assert language.actions_of(["s3:GetObject"], deny=True) == {"s3:GetObject"}


def test_questions_name_operations_or_actions():
    """With keys that hold spaces, versions, and the source of a copy."""
    asked = language.question("CopyObject data/my file from other/x?versionId=v 1")

    assert asked.target == ObjectName("data", "my file")
    assert asked.source == ObjectName("other", "x", "v 1")
    assert str(asked) == "CopyObject data/my file from other/x?versionId=v 1"
    assert language.question("ListBuckets").target == ObjectName("")
    assert language.question("s3:GetObjectAcl s3://data/x").target == ObjectName("data", "x")


@pytest.mark.parametrize(
    "text",
    ["GetObjct data/x", "GetObject data", "ListBuckets data", "CopyObject a/b", "", "HeadBucket"],
)
def test_questions_that_cannot_be_asked(text):
    """Say what is missing."""
    with pytest.raises(ValueError):
        language.question(text)
