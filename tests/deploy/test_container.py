"""The image's last stage: nobody's root, no shell between a signal and the gateway, nothing to build with."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, in order, with continued lines joined."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [
        (word, " ".join(rest.split())) for word, _, rest in (one.partition(" ") for one in lines)
    ]


def last_stage() -> dict[str, list[str]]:
    """Its instructions by word."""
    found: dict[str, list[str]] = {}
    for word, rest in instructions():
        if word == "FROM":
            found = {}
        found.setdefault(word, []).append(rest)
    return found


def test_the_gateway_is_not_root_and_hears_signals_itself():
    """A number, so that Kubernetes can see that it is not 0; commands as lists, so that no shell is in between."""
    stage = last_stage()

    assert stage["USER"] == ["10001:10001"]
    assert json.loads(stage["ENTRYPOINT"][-1]) == ["gateway"]
    assert json.loads(stage["CMD"][-1]) == ["serve"]
    assert json.loads(stage["HEALTHCHECK"][-1].partition(" CMD ")[2]) == ["gateway", "health"]
    assert stage["STOPSIGNAL"] == ["SIGTERM"]


def test_what_was_installed_can_be_looked_up():
    """The label names the list, which the build stage wrote."""
    label = " ".join(last_stage()["LABEL"])
    built = " ".join(rest for word, rest in instructions() if word == "RUN")

    assert 'org.opencontainers.image.sbom="/opt/gateway/sbom.json"' in label
    assert "pip inspect --local > /opt/gateway/sbom.json" in built
    assert "uninstall --yes setuptools pip" in built


def test_nothing_of_a_developers_folder_gets_into_the_image():
    """Only the package and what describes it are copied; secrets of compose are not even sent to the engine."""
    copied = [rest for word, rest in instructions() if word == "COPY"]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()

    assert copied == [
        "pyproject.toml README.md LICENSE ./",
        "gateway ./gateway",
        "--from=build /opt/gateway /opt/gateway",
    ]
    assert {".git", ".venv", "build", "deploy"} <= set(ignored)
