"""The files of compose.yaml are taken by the gateway as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from gateway.config.load import load
from gateway.snapshot import Snapshot

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_composed_gateway_reads_its_configuration(tmp_path):
    """Configuration, policy and secrets where compose.yaml mounts them."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for number, name in enumerate(("client-secret", "session-key", "s3-secret")):
        (secrets / name).write_text(f"{number}Zm9yIHRoZSB0ZXN0cyBvZiBjb21wb3NlIG9ubHkh{number}\n")
    text = (ROOT / "deploy/compose/gateway.yaml").read_text("utf-8")
    (tmp_path / "gateway.yaml").write_text(text.replace("/run/secrets", str(secrets)))
    (tmp_path / "policies").mkdir()
    shutil.copy(ROOT / "deploy/compose/policy.yaml", tmp_path / "policies" / "main.yaml")

    snapshot = Snapshot.build(load(tmp_path / "gateway.yaml", environ={}))

    assert snapshot.config.state.type == "redis"


def test_what_compose_mounts_is_there():
    """Every file that compose.yaml mounts from the repository exists, secrets and certificates apart."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    mounted = [
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]

    assert mounted
    for path in mounted:
        assert (ROOT / path).exists() or path.endswith("/tls"), path
