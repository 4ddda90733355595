"""What works and may not be meant. What cannot work together stands in tests/golden/config."""

from __future__ import annotations

import pytest

from gateway.config import checks
from gateway.config.model import Config
from gateway.config.positions import read
from gateway.config.validate import validate


def warned(text: str) -> list[str]:
    document = read(text, "gateway.yaml")
    config, problems = validate(Config, document)
    assert config is not None, problems
    return [str(warning) for warning in checks.warnings(config, document)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {public_url: 'http://s3.example.com'}", "plain http"),
        ("admin: {listen: ':9090'}", "health and metrics"),
        ("session: {idle: 13h}", "longer than session.lifetime"),
        ("oidc: [{name: a, issuer: 'https://i', client_id: c, scope: ''}]", "other than Cognito"),
        ("oidc: [{name: a, issuer: 'https://i', client_id: c}, {name: b, issuer: 'https://i', client_id: d}]", "the same issuer as 'a'"),
        ("{}", "nobody can sign in"),
        ("{credentials: {w: {type: web_identity, role_arn: 'arn:aws:iam::123456789012:role/x'}}}", "no sign-in"),
    ],
)  # fmt: skip
def test_suspicious_settings_are_told(text, said):
    """Each with its place."""
    assert any(said in warning for warning in warned(text))


def test_ses_1_plain_http_on_loopback_is_for_trying_out():
    """No warning at each start of a demo."""
    for host in ("localhost", "127.0.0.1", "[::1]", "x.localhost"):
        text = f"server: {{public_url: 'http://{host}:8080'}}\noidc: [{{name: a, issuer: 'https://i', client_id: c}}]"
        assert warned(text) == []


def wrong(text: str) -> list[str]:
    document = read(text, "gateway.yaml")
    config, problems = validate(Config, document)
    assert config is not None, problems
    return [str(problem) for problem in checks.problems(config, document)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {listen: []}", "an address is needed"),
        ("{server: {listen: 'unix:/run/x'}, oidc: [{name: a, issuer: 'https://i', client_id: c}]}", "public_url is needed"),
        ("{credentials: {a: {type: assume_role, role_arn: 'arn:aws:iam::123456789012:role/x', source: shard}, shared: {type: default}}}", "did you mean 'shared'?"),
        ("{credentials: {a: {type: assume_role, role_arn: 'arn:aws:iam::123456789012:role/x', source: b}, b: {type: anonymous}}}", "cannot assume a role for others"),
        ("{credentials: {a: {type: assume_role, role_arn: 'arn:aws:iam::123456789012:role/x', source: b}, b: {type: web_identity, role_arn: 'arn:aws:iam::123456789012:role/x'}}}", "credentials.a.source: credentials of type web_identity cannot assume a role for others: name some of type static, default or profile"),
        ("{credentials: {a: {type: assume_role, role_arn: 'arn:aws:iam::123456789012:role/x', source: a}}}", "cannot assume a role for others"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_together(text, said):
    """What one section needs of another."""
    assert any(said in problem for problem in wrong(text))


def test_a_source_that_can_assume_a_role_is_good():
    """Shared credentials of any kind."""
    role = "type: assume_role, role_arn: 'arn:aws:iam::123456789012:role/x'"

    assert not any(
        "source" in p
        for p in wrong(f"credentials: {{a: {{{role}, source: b}}, b: {{type: default}}}}")
    )
