"""Questions put to a policy: its own tests, and who may do something."""

from __future__ import annotations

from gateway.policy import questions
from gateway.policy.language import question
from tests.policies import compiled, decided, one_grant, somebody
from tests.policy.test_explain import POLICY


def test_a_policys_own_tests_run():
    """What holds says nothing; what does not says who, what and why."""
    assert questions.run_tests(compiled(POLICY)) == []

    failed = questions.run_tests(
        compiled(POLICY.replace("may: [GetObject home/x,", "may: [GetObject home2/x,"))
    )

    assert len(failed) == 1
    assert str(failed[0]).startswith(
        "main.yaml:18:3: tests[0]: al at corp may not GetObject home2/x: "
    )


def test_who_can_names_the_rules_and_those_they_are_about():
    """Grants and denies of every rule that speaks of the place."""
    rows = questions.who_can(compiled(POLICY), question("DeleteObject home/archive/x"))

    assert [(row["rule"], row["gives"], row["forbids"]) for row in rows] == [
        ("home folders", ["s3:DeleteObject"], []),
        ("nobody deletes the archive", [], ["s3:DeleteObject"]),
    ]
    assert rows[0]["who"] == "the issuer is `corp` and `cognito:groups` contains `staff`"


def test_who_can_knows_that_a_claim_is_one_segment():
    """Keys made of claims match whatever the claim may be."""
    policy = one_grant(keys=["home/${claims.sub}/**"])

    assert questions.who_can(policy, question("GetObject data/home/anyone/x"))[0]["claims"] == [
        "sub"
    ]
    assert questions.who_can(policy, question("GetObject data/home/x")) == []


def test_questions_may_name_actions_and_what_is_never_allowed():
    """An IAM action is asked of a key, a prefix or a bucket; some operations are refused whatever is granted."""
    policy = one_grant(allow=["s3:*"])

    for asked in ("s3:GetObjectAcl data/x", "s3:ListBucket data", "s3:PutBucketPolicy data"):
        assert decided(policy, somebody(), asked).allowed
    assert not decided(policy, somebody(), "CreateSession data").allowed
    assert not decided(
        one_grant(keys=["a/**"], allow=["s3:*"]), somebody(), "s3:PutBucketPolicy data"
    ).allowed


def test_a_test_about_nobody_says_so():
    """Where it fails."""
    text = POLICY.replace("  may_not: [PutObject inbox/x]", "  may: [PutObject inbox/x]")

    failed = questions.run_tests(compiled(text))

    assert "nobody in particular may not PutObject inbox/x" in str(failed[0])


def test_who_can_list_a_prefix():
    """By grants that reach it."""
    policy = one_grant(keys=["home/${claims.sub}/**"])

    assert questions.who_can(policy, question("ListObjectsV2 data/home/"))
    assert not questions.who_can(policy, question("ListObjectsV2 data/other/"))
    assert questions.who_can(
        one_grant(bucket="d*", target="x-${bucket}"), question("HeadBucket data")
    )


def test_a_test_that_fails_names_the_condition_that_was_missing():
    """Of each rule that would have given it: an operator sees which claim the test forgot."""
    text = POLICY.replace('"cognito:groups": [staff]', '"cognito:groups": [guests]')

    failed = str(questions.run_tests(compiled(text))[0])

    assert "The rule “home folders” would give it, but not so: " in failed
    assert failed.endswith("(it is guests).")


def test_a_test_that_should_fail_names_the_rule_that_gives_it():
    """Nothing is missing there."""
    text = POLICY.replace(
        "may_not: [PutObject inbox/x]",
        "may_not: [PutObject inbox/x]\n- who: {iss: corp, sub: al}\n  may_not: [PutObject inbox/x]",
    )

    failed = str(questions.run_tests(compiled(text))[0])

    assert "al at corp may PutObject inbox/x: " in failed
    assert "drop box" in failed
    assert "would give it" not in failed
