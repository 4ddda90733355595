"""The pages about sign-in and credentials say what the gateway does: blocks, sentences, links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.load import load
from gateway.oidc.providers import KINDS
from gateway.snapshot import Snapshot

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *sorted((DOCS / "sign-in").glob("*.md")),
    *(DOCS / f"{name}.md" for name in ("cognito", "credentials", "kubernetes-tokens")),
]
PROVIDERS = ("keycloak", "entra", "google", "okta", "kubernetes")
KEY = {"KEY": "Fz0rTqY8uJm3XwLc5vBn7aSd9eGh2KpR"}
AROUND: dict[str, Any] = {
    "oidc": [{"name": "corp", "issuer": "https://idp.example.com", "client_id": "x"}],
    "session": {"keys": ["${env:KEY}"]},
    "upstreams": {"main": {}, "aws": {}},
    "credentials": {"storage": {"type": "default"}, "shared": {"type": "default"}},
    "rules": [
        {
            "name": "nothing",
            "match": {"everyone": True},
            "denies": [{"bucket": "none", "actions": ["read"]}],
        }
    ],
    "tests": [],
}
"""What a page may take for granted: parts of gateway.yaml and of a policy file."""
OTHERS = ("Keycloak:", "Microsoft:", "Google:", "Okta:", "Cognito:", "a page of Cognito")


def whole(page: Path) -> dict[str, Any]:
    """The page's YAML blocks that are ours, in what is around them."""
    parts = {name: list(p) if isinstance(p, list) else dict(p) for name, p in AROUND.items()}
    for text in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        block = yaml.safe_load(text)
        for name in parts.keys() & (block if isinstance(block, dict) else {}).keys():
            if isinstance(parts[name], dict):
                parts[name] |= block[name]
            else:
                names = {one.get("name") for one in block[name]} - {None}
                parts[name] = [one for one in parts[name] if one["name"] not in names]
                parts[name] += block[name]
    return parts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_taken_as_it_stands(page: Path, tmp_path: Path):
    """Its configuration and its rules pass `gateway check`; only files are not where it says."""
    parts = whole(page)
    (tmp_path / "file").write_text("")
    for provider in parts["oidc"]:
        for name in {"ca", "token_file"} & provider.keys():
            provider[name] = "file"
        if "client_secret" in provider:
            provider["client_secret"] = "${env:KEY}"
    policy = {name: parts.pop(name) for name in ("rules", "tests")}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
    config = tmp_path / "gateway.yaml"
    config.write_text(yaml.safe_dump({**parts, "policies": ["policy.yaml"]}))

    snapshot = Snapshot.build(load(config, KEY))

    assert len(snapshot.config.oidc) == len(parts["oidc"])
    assert len(snapshot.policy.rules) == len(policy["rules"])


@cache
def said() -> str:
    """Every text of the program, a line each; what is filled in is …"""
    texts = []
    for path in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def explained(page: Path) -> Iterator[str]:
    """What stands in quotes in the first column of a table, but for what others say."""
    for cell in re.findall(r"^\| ([^|]+) \|", page.read_text("utf-8"), re.MULTILINE):
        if not any(other in cell for other in OTHERS):
            yield from re.findall(r"“((?:[^“”]|“[^”]*”)*)”", cell)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_sentence_that_a_page_explains_is_one_that_is_said(page: Path):
    """Word for word, as far as nothing is filled in."""
    for sentence in explained(page):
        start = re.split(r"…|\(|\d|eu-west", sentence)[0].strip()
        assert len(start) > 5, sentence
        assert start in said(), sentence


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path):
    """Files, and headings within them."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text("utf-8")):
        name, _, heading = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        if heading:
            found = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in found}
            assert heading in anchors, target


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_has_a_whole_page(name: str):
    """What to do there, what to write here, who it is, and what goes wrong."""
    text = (DOCS / "sign-in" / f"{name}.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert len(headings) >= 4
    assert headings[1] == "In gateway.yaml"
    assert headings[-1] == "When it does not work"
    assert f"tests/fixtures/idp/{name}.json" in text


def test_every_kind_is_written_about():
    """A row of the table that no page tells about is found by nobody."""
    told = "".join(page.read_text("utf-8") for page in PAGES)

    assert [name for name in KINDS if f"row `{name}`" not in told] == ["cognito"]
