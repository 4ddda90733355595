"""Problems in the operator's files, as golden files: what is written, and everything that is said about it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.errors import ConfigError
from gateway.snapshot import Snapshot

GOLDEN = Path(__file__).parent.parent / "golden" / "config"
ENVIRONMENT = {
    "SESSION_KEY": "canary-Fz0rTqY8uJm3XwLc5vBn7aSd9eGh2KpR",
    "CLIENT_SECRET": "canary-client-secret-1",
    "SHORT": "canary-short",
    "REPEATED": "canary" * 0 + "ab" * 40,
    "PLACEHOLDER": "change-me",
}


def parts(text: str) -> dict[str, str]:
    """The files of a case, by name; `expected` among them."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if line.startswith("--- "):
            name = line[4:].strip()
            found[name] = ""
        elif name:
            found[name] += line
    return found


def told(folder: Path, files: dict[str, str]) -> str:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    try:
        Snapshot.build(load("gateway.yaml", ENVIRONMENT))
    except ConfigError as error:
        return "".join(f"{problem}\n" for problem in error.problems)
    return ""


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_cfg_1_every_problem_is_told_at_once_with_its_place(path, tmp_path, monkeypatch):
    """What is said about the files of a golden case is what stands there. GOLDEN_UPDATE=1 rewrites it."""
    monkeypatch.chdir(tmp_path)
    files = parts(path.read_text())
    expected = files.pop("expected")

    said = told(tmp_path, files)

    if os.environ.get("GOLDEN_UPDATE"):
        head = path.read_text().partition("--- expected\n")[0]
        path.write_text(f"{head}--- expected\n{said}")
    else:
        assert said == expected
    assert said
    assert "canary" not in said  # CFG-2: no message repeats a secret
