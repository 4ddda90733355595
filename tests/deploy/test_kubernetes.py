"""The manifests fit Kubernetes' own schemas, and the gateway reads what they mount."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.config.load import load
from gateway.snapshot import Snapshot

MANIFESTS = Path(__file__).resolve().parent.parent.parent / "deploy" / "kubernetes"
FILES = sorted(path.name for path in MANIFESTS.glob("*.yaml"))


def documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((MANIFESTS / name).read_text("utf-8")) if one]


@pytest.mark.parametrize("name", FILES)
def test_the_manifests_fit_the_schemas(name):
    """Wrong types and unknown fields are found without a cluster."""
    for document in documents(name):
        kubernetes_validate.validate(document, "1.30", strict=True)


@pytest.mark.parametrize("name", FILES)
def test_the_gateway_takes_the_mounted_configuration(name, tmp_path):
    """The ConfigMap's files, with secrets where they are mounted; the policy's own tests pass."""
    (mounted,) = [one for one in documents(name) if one["kind"] == "ConfigMap"]
    for file, text in mounted["data"].items():
        text = text.replace("/run/secrets/gateway", str(tmp_path)).replace(
            "/var/run/secrets/kubernetes.io/serviceaccount", str(tmp_path)
        )
        (tmp_path / file).write_text(text)
    for number, secret in enumerate(("session-key", "client-secret", "ca.crt", "token")):
        (tmp_path / secret).write_text(
            f"{number}c2VjcmV0cyBvZiB0aGUgbWFuaWZlc3RzIHRlc3RzIQ{number}"
        )

    snapshot = Snapshot.build(load(tmp_path / "gateway.yaml", environ={}))

    assert snapshot.policy.tests


@pytest.mark.parametrize("name", FILES)
def test_containers_of_ours_may_do_nothing_they_need_not(name):
    """No root, no writable root file system, no capabilities, no escalation."""
    for document in documents(name):
        if document["kind"] != "Deployment":
            continue
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        (ours,) = [one for one in pod["containers"] if one["name"] == "gateway"]
        assert ours["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
