"""The pages for who runs it lead to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.model import Config

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["docker", "kubernetes", "nginx", "operations", "troubleshooting"]


@pytest.mark.parametrize("name", PAGES)
def test_files_and_pages_that_are_named_exist(name):
    """Links between pages, and paths below deploy/."""
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    paths = re.findall(r"deploy/[A-Za-z0-9_./-]*[A-Za-z0-9_/](?![\w*{-])", text)

    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
    made = ("deploy/compose/secrets", "deploy/compose/tls")  # by the commands of compose.yaml
    missing = [one for one in paths if not (ROOT / one).exists() and not one.startswith(made)]
    assert missing == []


@pytest.mark.parametrize("name", PAGES)
def test_settings_that_are_named_exist(name):
    """`section.key` in code letters, for the sections that are one of a kind."""
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    wrong = []
    for section, key in re.findall(r"`([a-z_]+)\.([a-z_]+)(?=[`:])", text):
        field = Config.model_fields.get(section)
        model = getattr(field, "annotation", None)
        known = getattr(model, "model_fields", None)
        if known is not None and key not in known:
            wrong.append(f"{section}.{key}")

    assert wrong == []
