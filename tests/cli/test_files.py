"""check, schema, policy: what they say and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import DONE, WRONG_INPUT, WRONG_USAGE, tree
from tests.test_snapshot import CONFIG, ENVIRONMENT, POLICY


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A command in a folder that holds these files."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    (tmp_path / "policies").mkdir()

    def command(
        *arguments: str, config: str = CONFIG, policy: str = POLICY, stdin: str = ""
    ) -> Result:
        (tmp_path / "gateway.yaml").write_text(config)
        (tmp_path / "policies" / "main.yaml").write_text(policy)
        return CliRunner().invoke(tree, list(arguments), input=stdin)

    return command


def test_check_says_how_much_is_good(run):
    """Rules, grants and tests are counted."""
    result = run("check")

    assert result.exit_code == DONE
    assert result.stdout == (
        "gateway.yaml: good; 2 rules, 2 grants, 0 denies, 1 identity provider, 1 upstream, 1 test passed\n"
    )


def test_check_tells_every_problem_on_standard_error(run):
    """One a line, with its place; the exit code is 1."""
    result = run("check", config=CONFIG + "polices: []\nservr: {}\n")

    assert result.exit_code == WRONG_INPUT
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "gateway.yaml:8:1: polices: there is no such key; did you mean 'policies'?",
        "gateway.yaml:9:1: servr: there is no such key; did you mean 'server'?",
    ]


def test_check_warns_and_is_done(run):
    """A warning is no problem."""
    result = run(
        "check",
        config=CONFIG + "admin: {listen: ':9090'}\n",
    )

    assert result.exit_code == DONE
    assert result.stderr.startswith("warning: gateway.yaml:8:17: admin.listen[0]:")


def test_another_file_is_named_by_option_or_environment(run, tmp_path, monkeypatch):
    """Problems bear the name that was given."""
    run("check")
    other = tmp_path / "other.yaml"
    other.write_text("x: 1\n")

    result = CliRunner().invoke(tree, ["check", "--config", "other.yaml"])
    monkeypatch.setenv("GATEWAY_CONFIG", "other.yaml")
    again = CliRunner().invoke(tree, ["check"])

    assert result.stderr == again.stderr
    assert "other.yaml:1:1: x: there is no such key" in result.stderr
    assert CliRunner().invoke(tree, ["check", "--config", "none.yaml"]).exit_code == WRONG_INPUT


@pytest.mark.parametrize("which", ["config", "policy"])
def test_schemas_are_json(run, which):
    """For editors."""
    result = run("schema", which)

    assert result.exit_code == DONE
    assert json.loads(result.stdout)["additionalProperties"] is False


def test_usage_is_told_apart_from_input(run):
    """An unknown command, option, operation or schema is wrong usage."""
    for arguments in (["nothing"], ["check", "--no"], ["schema", "x"], ["policy", "explain"], ["policy", "who-can", "GetObjct", "a/b"]):  # fmt: skip
        assert run(*arguments).exit_code == WRONG_USAGE


def test_explain_shows_the_decision_and_every_rule(run, tmp_path):
    """What served it, or which claim was missing."""
    (tmp_path / "c.json").write_text(
        json.dumps({"iss": "https://idp.example.com", "sub": "al", "groups": ["staff"]})
    )

    allowed = run("policy", "explain", "--claims", "c.json", "GetObject", "data/my", "file.txt")
    refused = run("policy", "explain", "--claims", "c.json", "PutObject", "backups/x")

    assert allowed.exit_code == refused.exit_code == DONE
    assert (
        allowed.stdout.splitlines()[0] == "ALLOWED: GetObject data/my file.txt, asked by al at corp"
    )
    assert "Served by aws: acme-data/ with the credentials shared." in allowed.stdout
    assert refused.stdout.splitlines()[:2] == [
        "REFUSED: PutObject backups/x, asked by al at corp",
        "  No rule gives you the bucket backups.",
    ]
    assert "- backups (policies/main.yaml:3): the issuer is `corp`, not `service`" in refused.stdout


def test_explain_answers_in_json_and_reads_standard_input(run):
    """For scripts; the one provider need not be named."""
    result = run(
        "policy", "explain", "--json", "--claims", "-", "GetObject", "data/x",
        stdin='{"sub": "al", "groups": ["staff"]}',
    )  # fmt: skip

    answer = json.loads(result.stdout)
    assert answer["allowed"] is True
    assert answer["served_by"]["rule"] == "staff"
    assert [row["matched"] for row in answer["rules"]] == [False, True]


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ("{", "not JSON"),
        ("[]", "a JSON object is expected"),
        ('{"sub": "x", "iss": "crop"}', "did you mean 'corp'?"),
        ('{"iss": "corp"}', "sub is needed"),
    ],
)
def test_claims_that_cannot_be_used(run, claims, said):
    """Told, with exit code 1."""
    result = run("policy", "explain", "--claims", "-", "GetObject", "data/x", stdin=claims)

    assert result.exit_code == WRONG_INPUT
    assert said in result.stderr


def test_nobody_can_be_explained_too(run):
    """`{"anonymous": true}` is a request without proof."""
    result = run(
        "policy", "explain", "--claims", "-", "GetObject", "data/x", stdin='{"anonymous": true}'
    )

    assert "asked by nobody" in result.stdout


def test_policy_test_counts_and_fails(run):
    """What does not hold is told at the test's place."""
    passed = run("policy", "test")
    failed = run("policy", "test", policy=POLICY.replace("may: [PutObject", "may_not: [PutObject"))

    assert (passed.exit_code, passed.stdout) == (DONE, "1 test passed, 1 question\n")
    assert failed.exit_code == WRONG_INPUT
    assert failed.stderr.startswith(
        "policies/main.yaml:10:3: tests[0]: backup at service may PutObject"
    )


def test_who_can_names_rules(run):
    """In words and in JSON."""
    words = run("policy", "who-can", "GetObject", "data/x")
    nobody = run("policy", "who-can", "DeleteObject", "data/x")
    rows = json.loads(run("policy", "who-can", "--json", "GetObject", "data/x").stdout)["rules"]

    assert words.stdout == (
        "GetObject data/x is granted to\n"
        "  the issuer is `corp` and `groups` contains `staff`: rule “staff” (policies/main.yaml:6)\n"
    )
    assert nobody.stdout == "DeleteObject data/x is granted to\n  nobody\n"
    assert [row["rule"] for row in rows] == ["staff"]


def test_cfg_2_no_command_prints_a_secret(run):
    """Neither what is good nor what is wrong."""
    for arguments, config in (
        (["check"], CONFIG),
        (["check"], CONFIG + "x: 1\n"),
        (["check"], CONFIG.replace('"${env:OLD_KEY}"', '"${env:SESSION_KEY}"')),
        (["schema", "config"], CONFIG),
    ):
        result = run(*arguments, config=config)
        assert not any(secret in result.output for secret in ENVIRONMENT.values())
