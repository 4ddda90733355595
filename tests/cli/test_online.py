"""What `gateway check --online` asks of the world, all of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.online import ask
from gateway.config.load import load
from gateway.snapshot import Snapshot

CONFIG = """
session: {keys: ["${env:KEY}"]}
oidc: [{name: corp, issuer: "http://127.0.0.1:9", client_id: x}]
upstreams: {minio: {endpoint: "http://127.0.0.1:9"}}
credentials: {none: {type: profile, profile: not-there}}
"""
POLICY = """
rules:
- name: r
  match: {everyone: true}
  grants: [{bucket: data, upstream: minio, target: data, credentials: none, allow: [read]}]
"""


async def test_everything_that_the_file_leads_to_is_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """Providers, upstreams and credentials; one that is away does not hide the others."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "main.yaml").write_text(POLICY)
    (tmp_path / "gateway.yaml").write_text(CONFIG)

    loaded = await asyncio.to_thread(
        load, tmp_path / "gateway.yaml", {"KEY": "Fz0rTqY8uJm3XwLc5vBn7aSd9eGh2KpR"}
    )
    found = await ask(Snapshot.build(loaded), datetime.now(UTC))

    assert [(finding.about, finding.bad) for finding in found] == [
        ("identity provider corp", True),
        ("upstream minio", True),
        ("credentials none", True),
    ]
    assert caplog.records == []  # it is all in the findings
