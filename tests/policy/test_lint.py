"""What is suspicious in a policy is told, with its place."""

from __future__ import annotations

import pytest

from gateway.config.model import Config
from gateway.config.positions import read
from gateway.policy import lint
from gateway.policy.load import Names, compile_policy

BASE = {
    "oidc": [{"name": "corp", "issuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Ab", "client_id": "x"},
             {"name": "other", "issuer": "https://idp.example.com", "client_id": "x"}],
    "upstreams": {"aws": {}},
    "credentials": {"shared": {"type": "default"}},
}  # fmt: skip


def told(rule: str, **more: object) -> str:
    config = Config.model_validate({**BASE, **more})
    text = f"rules:\n- {{name: r, {rule}}}\n"
    compiled = compile_policy([read(text, "p.yaml")], Names.of(config))
    assert not compiled.problems
    warnings = lint.warnings(compiled.policy, compiled.sources, config)
    return "\n".join(map(str, warnings))


def grant(
    target: str = "acme", allow: str = "[read]", more: str = "", match: str = "{issuer: corp}"
) -> str:
    return f'match: {match}, grants: [{{bucket: data, upstream: aws, target: "{target}", credentials: shared, allow: {allow}{more}}}]'


@pytest.mark.parametrize(
    ("claims", "warned"),
    [
        ('{email: {glob: "*@corp.com"}}', True),
        ("{email: {equals: a@b}, email_verified: {equals: 1}}", True),
        ('{email: {equals: a@b}, email_verified: {equals: "true"}}', True),
        ("{email: {equals: a@b}, email_verified: {equals: true}}", False),
        ("{email: {present: true}}", False),
        ("{groups: {contains: a}}", False),
    ],
)
def test_pol_6_an_address_counts_when_it_was_confirmed(claims, warned):
    """By the boolean, and nothing like it."""
    text = told(grant(match=f"{{claims: {claims}}}"))

    assert ("email_verified" in text) is warned


@pytest.mark.parametrize(
    ("target", "match", "warned"),
    [
        ("acme/${claims.sub}/", "{issuer: corp}", False),
        ("acme/${claims.custom:team}/", "{issuer: corp}", True),
        ("acme/${claims.custom:team}/", "{issuer: other}", False),
        ("acme/${claims.custom:team}/", "{everyone: true}", True),
        ("acme/${claims.preferred_username}/", "{issuer: other}", True),
        ("acme/${claims.tenant}/", "{issuer: corp}", False),
    ],
)
def test_pth_9_a_place_made_of_what_people_can_edit_warns(target, match, warned):
    """Custom attributes are editable at Cognito; names and addresses nearly everywhere."""
    assert ("`sub` is safe" in told(grant(target, match=match))) is warned


def test_pth_9_key_patterns_are_looked_at_too():
    """With the place of the pattern."""
    text = told(grant(more=', keys: ["a/**", "${claims.email}/**"]'))

    assert "rules[0].grants[0].keys[1]" in text


@pytest.mark.parametrize(
    ("target", "allow", "warned"),
    [
        ("acme/x/", "[list, read, write, delete, versions]", False),
        ("acme/x/", '["s3:*"]', True),
        ("acme/x/", '["s3:PutBucketPolicy"]', True),
        ("acme", '["s3:*"]', False),
    ],
)
def test_ops_10_actions_that_a_prefix_never_carries_warn(target, allow, warned):
    """They act on the whole real bucket."""
    assert ("never carried" in told(grant(target, allow))) is warned


def test_patterns_that_match_little_warn():
    """A leading slash, and a folder's marker alone."""
    text = told(grant(more=', keys: ["/a/**", "public/"]'))

    assert "do not begin with a slash" in text
    assert "did you mean 'public/**'?" in text


def test_denied_patterns_are_looked_at_and_names_that_stand_twice():
    """With the first one's place."""
    config = Config.model_validate(BASE)
    rule = (
        "{name: r, match: {everyone: true}, denies: [{bucket: data, keys: [x/], actions: [read]}]}"
    )
    compiled = compile_policy([read(f"rules: [{rule}, {rule}]", "p.yaml")], Names.of(config))

    texts = list(map(str, lint.warnings(compiled.policy, compiled.sources, config)))

    assert sum("another rule bears this name: p.yaml:1" in text for text in texts) == 1
    assert sum("did you mean 'x/**'?" in text for text in texts) == 2


def test_names_that_nothing_uses_are_told():
    """At their key; a source of others is in use."""
    text = """
upstreams: {aws: {}, spare: {}}
credentials:
  shared: {type: assume_role, role_arn: "arn:aws:iam::123456789012:role/x", source: base}
  base: {type: default}
  spare: {type: default}
"""
    document = read(text, "gateway.yaml")
    config = Config.model_validate(document.values)
    rule = f"rules: [{{name: r, {grant(match='{everyone: true}')}}}]"
    policy = compile_policy([read(rule, "p.yaml")], Names.of(config)).policy

    assert [str(problem) for problem in lint.unused(policy, config, document)] == [
        "gateway.yaml:2:22: upstreams.spare: no grant names this upstream",
        "gateway.yaml:6:3: credentials.spare: no grant names these credentials",
    ]


def test_session_templates_name_claims_and_nothing_else():
    """A slip there would go to AWS as it stands."""
    text = """
credentials:
  own: {type: assume_role, role_arn: "arn:aws:iam::123456789012:role/x", session_name: "${claims.sub", source_identity: "${bucket}", tags: {a: "${claims.x}", b: "${claims}"}}
"""
    document = read(text, "gateway.yaml")
    config = Config.model_validate(document.values)

    assert [problem.path for problem in lint.template_problems(config, document)] == [
        "credentials.own.session_name",
        "credentials.own.source_identity",
        "credentials.own.tags.b",
    ]
