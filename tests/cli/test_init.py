"""`gateway init`: five values in, files that pass `gateway check` out."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import DONE, WRONG_INPUT, WRONG_USAGE, tree
from gateway.config.load import load
from gateway.snapshot import Snapshot

FIVE = {
    "--region": "eu-west-1",
    "--user-pool-id": "eu-west-1_AbCdEfGhI",
    "--client-id": "2tav5b05lg6e8pal6j3jedqio5",
    "--client-secret": "1p0a9s8d7f6g5h4j3k2l1qpwoeiruty",
    "--bucket": "acme-data",
}


@pytest.fixture
def init(tmp_path: Path):
    def run(*more: str, stdin: str = "", **changed: str | None) -> Result:
        options = {**FIVE, "--public-url": "http://localhost:8080", "--directory": str(tmp_path)}
        for name, value in changed.items():
            options[f"--{name.replace('_', '-')}"] = value or ""
            if value is None:
                del options[f"--{name.replace('_', '-')}"]
        words = [word for pair in options.items() for word in pair]
        return CliRunner().invoke(tree, ["init", "--offline", *words, *more], input=stdin)

    return run


def test_what_is_written_passes_check(init, tmp_path):
    """Configuration, a policy with a test, secrets; and the URLs to register are printed."""
    result = init()

    assert result.exit_code == DONE, result.output
    snapshot = Snapshot.build(load(tmp_path / "gateway.yaml", {}))
    provider = snapshot.config.oidc[0]
    assert provider.issuer_url == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"
    assert provider.client_secret is not None
    assert provider.client_secret.reveal() == FIVE["--client-secret"]
    assert snapshot.policy.tests
    assert snapshot.warnings == ()
    assert "callback URL:  http://localhost:8080/api/session/auth/\n" in result.stdout
    assert "sign-out URL:  http://localhost:8080/ui/signed-out\n" in result.stdout
    assert FIVE["--client-secret"] not in result.output


def test_secrets_are_readable_by_their_owner_alone(init, tmp_path):
    """Files of mode 0600 in a folder of mode 0700."""
    init()

    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "client-secret": 0o600,
        "session-key": 0o600,
    }


def test_nothing_is_written_over_unasked(init, tmp_path):
    """And where it is asked for, sessions go on: the session key stays."""
    init()
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    key = (tmp_path / "secrets" / "session-key").read_text()

    again = init(bucket="other-data")
    forced = init("--force", bucket="other-data")

    assert again.exit_code == WRONG_INPUT
    assert "--force" in again.stderr
    assert before != {path: path.read_text() for path in before}
    assert forced.exit_code == DONE
    assert (tmp_path / "secrets" / "session-key").read_text() == key
    assert "other-data" in (tmp_path / "policies" / "main.yaml").read_text()


def test_the_same_again_changes_nothing(init, tmp_path):
    """As the second run of --create-cognito must be able to."""
    init()
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*") if path.is_file()}

    again = init()

    assert again.exit_code == DONE, again.output
    assert again.stdout.count("kept ") == len(before) == 4
    assert {path: path.stat().st_ino for path in before} == before


def test_what_is_not_given_is_asked_for(init, tmp_path):
    """In the order of the guide; the secret is not echoed."""
    result = init(
        region=None, user_pool_id=None, client_id=None, client_secret=None, bucket=None,
        stdin="eu-west-1\nacme-data\neu-west-1_AbCdEfGhI\n2tav5b05\nsecret-1987-abcdef\n",
    )  # fmt: skip

    assert result.exit_code == DONE, result.output
    assert "secret-1987-abcdef" not in result.output
    assert (tmp_path / "secrets" / "client-secret").read_text() == "secret-1987-abcdef\n"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"region": "us-east-1"}, "is in eu-west-1, not in us-east-1"),
        ({"region": "Ireland"}, "not a region"),
        ({"user_pool_id": "AbCdEfGhI"}, "not a user pool id"),
        ({"bucket": "Acme"}, "a bucket name has"),
        ({"bucket": "lab-*"}, "one bucket is expected"),
        ({"bucket": "api"}, "cannot be a bucket"),
        ({"client_secret": "changeme"}, "placeholder"),
        ({"public_url": "s3.example.com"}, "scheme, host and port"),
    ],
)
def test_a_value_that_cannot_be_is_told_before_anything_is_written(init, tmp_path, changed, said):
    """Wrong region, wrong bucket, wrong URL: wrong usage."""
    result = init(**changed)

    assert result.exit_code == WRONG_USAGE
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_other_providers_are_named_by_issuer(init, tmp_path):
    """A public client, an S3 server that is not AWS, one group, awkward names."""
    result = init(
        "--issuer", "https://idp.example.com/realms/acme", "--endpoint", "http://minio:9000",
        "--group", 'sta"ff: #1', user_pool_id=None, client_secret="",
    )  # fmt: skip

    assert result.exit_code == DONE, result.output
    snapshot = Snapshot.build(load(tmp_path / "gateway.yaml", {}))
    assert snapshot.config.oidc[0].issuer_url == "https://idp.example.com/realms/acme"
    assert snapshot.config.oidc[0].client_secret is None
    assert snapshot.config.upstreams["main"].url == "http://minio:9000"
    assert snapshot.policy.rules[0].match.claims[0].argument == 'sta"ff: #1'


@pytest.mark.parametrize(
    ("changed", "more", "said"),
    [
        ({"client_id": ""}, (), "--client-id"),
        ({}, ("--provider", "service"), "--provider: 'service' is the gateway's own name"),
        ({}, ("--endpoint", "minio:9000"), "--endpoint: a URL that begins with"),
        ({"user_pool_id": None}, ("--issuer", "http://idp.example.com"), "--issuer: https is"),
    ],
)
def test_what_check_would_refuse_is_not_written(init, tmp_path, changed, more, said):
    """Told as the option that it came from; a second try then needs no --force."""
    result = init(*more, **changed)

    assert result.exit_code == WRONG_USAGE
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_kind_names_the_claim_of_the_groups(init, tmp_path):
    """A pool behind an issuer of its own name; what the issuer gives away needs no saying."""
    init(
        "--issuer", "https://login.example.com/pool", "--kind", "cognito", "--group", "staff",
        user_pool_id=None,
    )  # fmt: skip
    policy = (tmp_path / "policies" / "main.yaml").read_text()

    assert '"cognito:groups": {contains: "staff"}' in policy
    assert "kind: cognito" in (tmp_path / "gateway.yaml").read_text()
