"""The files that people copy from work as they are."""

from __future__ import annotations

from pathlib import Path

from gateway.config.load import load
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


def test_cfg_2_a_missing_secret_is_named():
    """Without the environment the example says which secrets it wants, all at once."""
    loaded = load(ROOT / "gateway.yaml", environ={})

    told = "\n".join(str(problem) for problem in loaded.problems)
    for name in SECRETS:
        assert name in told
