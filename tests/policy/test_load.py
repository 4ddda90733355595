"""Policy files to a Policy. What is said of wrong ones stands in tests/golden/config."""

from __future__ import annotations

import time

import pytest

from gateway.config import described
from gateway.config.model import AssumeRoleCredentials, Config
from gateway.config.policyfile import PolicyFile
from gateway.config.positions import read
from gateway.policy.load import Names, compile_policy
from gateway.policy.match import bind
from gateway.s3.operations import ACTIONS
from tests.policies import compiled, one_grant, problems, somebody


def test_rules_keep_their_order_over_files():
    """First in file and rule order is what the language promises."""
    rule = "rules: [{{name: {0}, match: {{everyone: true}}, grants: [{{bucket: data, upstream: aws, target: acme, credentials: shared, allow: [read]}}]}}]"
    names = Names(upstreams=frozenset({"aws"}), credentials={"shared": None})

    made = compile_policy(
        [read(rule.format("b"), "1.yaml"), read(rule.format("a"), "2.yaml")], names
    )

    assert [(rule.name, rule.file, rule.line) for rule in made.policy.rules] == [
        ("b", "1.yaml", 1),
        ("a", "2.yaml", 1),
    ]


def test_session_templates_of_credentials_become_part_of_the_grant():
    """Names and tags are filled with the claims of whoever asks."""
    credentials = AssumeRoleCredentials(
        type="assume_role",
        role_arn="arn:aws:iam::123456789012:role/x",
        session_name="${claims.email}",
        source_identity="${claims.sub}",
        tags={"team": "${claims.team}"},
        scope_down=True,
    )
    names = Names(upstreams=frozenset({"aws"}), credentials={"own": credentials})
    text = "rules: [{name: r, match: {everyone: true}, grants: [{bucket: data, upstream: aws, target: acme, credentials: own, allow: [read]}]}]"

    grant = bind(compiled(text, names), somebody(email="a@b", team="eu")).grants[0]

    assert (grant.session_name, grant.source_identity) == ("a@b", "alice")
    assert grant.tags == (("team", "eu"),)
    assert grant.scope_down


def test_names_are_those_of_the_configuration():
    """Also as far as a document tells that makes no configuration."""
    raw = Names.raw(
        {"upstreams": {"aws": 1}, "credentials": {"x": {}}, "oidc": [{"name": "corp"}, 5]}
    )

    assert (raw.upstreams, set(raw.credentials), raw.issuers) == (
        frozenset({"aws"}),
        {"x"},
        ("corp",),
    )
    assert Names.raw(None).upstreams == frozenset()
    assert Names.of(Config()).issuers == ()


def test_pol_3_a_rule_without_match_is_an_error():
    """So is an empty one, and one with null conditions."""
    for match in ("", "match: {}", "match: {claims: {}}", "match: {claims: {a: {equals: null}}}", "match: {claims: {a: {glob: null}}}"):  # fmt: skip
        text = f"rules:\n- name: r\n  {match}\n  denies: [{{bucket: data, actions: [read]}}]\n"
        assert problems(text), match


def test_unknown_keys_everywhere_are_errors():
    """A condition that was misspelt must not vanish."""
    for text in (
        "rules: []\nrule: []\n",
        "rules: [{name: r, match: {everyone: true, clams: {}}, denies: [{bucket: data, actions: [read]}]}]",
        "rules: [{name: r, match: {everyone: true}, denies: [{bucket: data, actions: [read], key: [x]}]}]",
    ):
        assert any("no such key" in str(problem) for problem in problems(text))


def test_everything_is_every_action():
    """`s3:*` is what the table of operations knows, and nothing unnamed."""
    assert one_grant(allow=["s3:*"]).rules[0].grants[0].actions == ACTIONS


def test_ten_thousand_rules_are_loaded_and_checked_in_seconds():
    """From text to a policy, some of the five seconds that are allowed."""
    rule = '- name: r{0}\n  match: {{claims: {{"cognito:groups": {{contains: g{0}}}}}}}\n  grants: [{{bucket: bucket-{0}, upstream: aws, target: "acme/${{claims.sub}}/", credentials: shared, allow: [list, read]}}]\n'
    files = [
        "rules:\n" + "".join(rule.format(1000 * file + number) for number in range(1000))
        for file in range(10)
    ]
    names = Names(upstreams=frozenset({"aws"}), credentials={"shared": None}, issuers=("corp",))
    began = time.perf_counter()

    made = compile_policy([read(text, f"{n}.yaml") for n, text in enumerate(files)], names)
    bind(made.policy, somebody())

    assert len(made.policy.rules) == 10_000
    assert not made.problems
    assert time.perf_counter() - began < 30  # a bound on growth, not on speed


def test_the_schema_describes_every_key():
    """Editors show a sentence for each."""
    definitions = described.schema(PolicyFile)["$defs"]
    for name, definition in definitions.items():
        for key, value in definition["properties"].items():
            assert value.get("description"), f"{name}.{key}"


@pytest.mark.parametrize(
    ("settings", "name", "scope_down"),
    [
        ({"type": "web_identity", "scope_down": True}, "alice", True),
        ({"type": "cognito_identity", "identity_pool_id": "us-east-1:0a", "flow": "basic"}, "alice", False),
        ({"type": "cognito_identity", "identity_pool_id": "us-east-1:0a"}, "", False),
        ({"type": "default"}, "", False),
    ],
)  # fmt: skip
def test_which_credentials_have_a_session_of_their_own(settings, name, scope_down):
    """Roles have names and may be narrowed; others know neither."""
    if (
        settings["type"] != "default"
        and settings.get("flow", "basic") == "basic"
        and "role_arn" not in settings
    ):
        settings = {**settings, "role_arn": "arn:aws:iam::123456789012:role/x"}
    config = Config.model_validate({"credentials": {"own": settings}, "upstreams": {"aws": {}}})
    text = "rules: [{name: r, match: {everyone: true}, grants: [{bucket: data, upstream: aws, target: acme, credentials: own, allow: [read]}]}]"

    grant = bind(compiled(text, Names.of(config)), somebody()).grants[0]

    assert (grant.session_name, grant.scope_down) == (name, scope_down)
