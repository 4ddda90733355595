"""The chart renders to manifests that fit Kubernetes' schemas and hold a configuration that the gateway takes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.config.load import load
from gateway.snapshot import Snapshot
from tests.deploy import tools

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "s3-auth-gateway"

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]  # seconds: the first run downloads Helm

ALONE: dict[str, Any] = {
    "fullnameOverride": "door",
    "replicaCount": 1,
    "autoscaling": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
    "networkPolicy": {"enabled": False},
    "ingress": {"enabled": False},
    "serviceAccount": {"create": False, "name": "already-there"},
    "stateClaim": "door-state",
    "config": {"state": {"type": "sqlite", "url": None, "path": "/var/lib/gateway/state.db"}},
}
WITH_ALL: dict[str, Any] = {
    "image": {"repository": "registry.example.com/gateway", "tag": "1.2.3"},
    "imagePullSecrets": [{"name": "registry"}],
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "envFrom": [{"secretRef": {"name": "gateway-environment"}}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "corporate-ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/corporate", "readOnly": True}],
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}},
    "service": {"type": "LoadBalancer", "port": 443, "annotations": {"a": "b"}},
    "ingress": {"className": "", "hosts": ["s3.example.com", "*.s3.example.com"], "tlsSecret": ""},
    "networkPolicy": {"clients": [{"podSelector": {}}], "monitoring": []},
    "podLabels": {"team": "storage"},
    "podAnnotations": {},
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"key": "edge", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [],
    "priorityClassName": "system-cluster-critical",
}


@pytest.fixture(scope="session")
def helm() -> str:
    return tools.wheel("helm")


def template(helm: str, folder: Path, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """`helm template` with these values over the chart's own."""
    (folder / "values.json").write_text(json.dumps(values))
    command = [helm, "template", "gateway", str(CHART), "--namespace", "s3-gateway"]
    command += ["--kube-version", "1.30.0", "--values", str(folder / "values.json")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def rendered(helm: str, folder: Path, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The manifests by kind."""
    done = template(helm, folder, values)
    assert done.returncode == 0, done.stderr
    return {one["kind"]: one for one in yaml.safe_load_all(done.stdout) if one}


def test_helm_finds_nothing_wrong(helm):
    """`helm lint`, warnings included."""
    done = subprocess.run([helm, "lint", "--strict", str(CHART)], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", [{}, ALONE, WITH_ALL], ids=["as-it-is", "alone", "with-all"])
@pytest.mark.parametrize("version", ["1.25", "1.34"])
def test_what_is_rendered_fits_the_schemas(helm, values, version, tmp_path):
    """Wrong types and unknown fields are found without a cluster."""
    for manifest in rendered(helm, tmp_path, values).values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_each_switch_leaves_out_its_manifest(helm, tmp_path):
    """What is not enabled is not there, and the volume of one goes from pod to pod."""
    everything, alone = rendered(helm, tmp_path, {}), rendered(helm, tmp_path, ALONE)

    assert set(alone) == {"ConfigMap", "Deployment", "Service"}
    assert set(everything) - set(alone) == {
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "ServiceAccount",
    }
    spec = alone["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    assert spec["template"]["spec"]["serviceAccountName"] == "already-there"
    assert "replicas" not in everything["Deployment"]["spec"]


@pytest.mark.parametrize("values", [{}, ALONE], ids=["as-it-is", "alone"])
def test_the_gateway_takes_the_rendered_configuration(helm, values, tmp_path):
    """With secrets where the Deployment mounts them; the policies' own tests pass."""
    manifests = rendered(helm, tmp_path, values)
    for file, text in manifests["ConfigMap"]["data"].items():
        for place in ("/run/secrets/gateway", "/var/run/secrets/kubernetes.io/serviceaccount"):
            text = text.replace(place, str(tmp_path))
        (tmp_path / file).write_text(text)
    for number, secret in enumerate(("session-key", "client-secret", "ca.crt", "token")):
        (tmp_path / secret).write_text(f"{number}c2VjcmV0cyBvZiB0aGUgY2hhcnQncyB0ZXN0cyE{number}")

    snapshot = Snapshot.build(load(tmp_path / "gateway.yaml", environ={}))

    assert snapshot.policy.tests
    (container,) = manifests["Deployment"]["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert [address.port for address in snapshot.config.server.listen] == [ports["http"]]
    assert [address.port for address in snapshot.config.admin.listen] == [ports["admin"]]
    grace = manifests["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > snapshot.config.server.drain.total_seconds() + 5  # preStop's


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"config": {"state": {"type": "sqlite"}}}, "more than one replica needs redis"),
        ({"config": {"server": {"listen": "0.0.0.0:1"}}}, "server.listen"),
        ({"secretName": ""}, "secretName"),
        ({"policies": {"main": None}}, "policies"),
        ({"autoscaling": {"minimum": 1}}, "minimum"),
    ],
)
def test_values_that_cannot_work_are_refused(helm, values, message, tmp_path):
    """Before anything reaches a cluster."""
    done = template(helm, tmp_path, values)

    assert done.returncode != 0
    assert message in done.stderr.replace("/", ".")  # releases of Helm spell paths differently
