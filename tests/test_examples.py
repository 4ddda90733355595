"""The files that people copy from work as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.positions import read
from gateway.policy.load import Names, compile_policy
from gateway.policy.questions import run_tests
from gateway.snapshot import Snapshot

ROOT = Path(__file__).resolve().parent.parent

SECRETS = {
    "COGNITO_CLIENT_SECRET": "1q2w3e4r5t6y7u8i9o0pasdfghjklzxcvbnm",
    "GATEWAY_SESSION_KEY": "Zm9yIHRoZSB0ZXN0cyBvZiB0aGUgZXhhbXBsZXMgb25seQ==",
    "MINIO_SECRET_KEY": "a-secret-for-the-tests-0123456789",
    "BACKUP_SECRET_KEY": "b-secret-for-the-tests-9876543210",
}


def test_the_example_configuration_and_its_policies_are_taken_as_they_are():
    """gateway.yaml with policies/examples: nothing wrong, and the policies' own tests pass."""
    snapshot = Snapshot.build(load(ROOT / "gateway.yaml", environ=SECRETS))

    assert len(snapshot.policy.rules) >= 6
    assert snapshot.policy.tests


def _blocks() -> list[str]:
    text = (ROOT / "docs" / "policies.md").read_text("utf-8")
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(
    "block", _blocks(), ids=lambda block: block.split("name: ")[1].splitlines()[0]
)
def test_the_policies_that_the_page_shows_are_policies(block):
    """Each block of docs/policies.md is a file whose own tests pass."""
    config = load(ROOT / "gateway.yaml", environ=SECRETS).config
    assert config is not None

    compiled = compile_policy([read(block, "docs/policies.md")], Names.of(config))

    assert list(compiled.problems) == []
    assert compiled.policy.tests
    assert run_tests(compiled.policy) == []


def test_cfg_2_a_missing_secret_is_named():
    """Without the environment the example says which secrets it wants, all at once."""
    loaded = load(ROOT / "gateway.yaml", environ={})

    told = "\n".join(str(problem) for problem in loaded.problems)
    for name in SECRETS:
        assert name in told
