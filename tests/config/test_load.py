"""The operator's files from disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import load

KEY = "Fz0rTqY8uJm3XwLc5vBn7aSd9eGh2KpR"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "b.yaml").write_text("rules: []\n")
    (tmp_path / "policies" / "a.yaml").write_text("rules: []\n")
    (tmp_path / "policies" / ".hidden.yaml").write_text("rules: []\n")
    (tmp_path / "key").write_text(KEY + "\r\n")
    (tmp_path / "gateway.yaml").write_text('session: {keys: ["${file:key}"]}\n')
    return tmp_path


def test_a_trailing_newline_is_not_part_of_a_secret(folder):
    """Editors and `echo` add one."""
    loaded: Any = load(folder / "gateway.yaml", {})

    assert loaded.problems == ()
    assert loaded.config.session.keys[0].reveal() == KEY


def test_every_file_that_was_read_is_watched(folder):
    """The secrets and the policies' folder included, in order."""
    loaded: Any = load(folder / "gateway.yaml", {})

    assert [path.relative_to(folder).as_posix() for path in loaded.files] == [
        "gateway.yaml", "key", "policies/a.yaml", "policies/b.yaml", "policies",
    ]  # fmt: skip
    assert [Path(document.file).name for document in loaded.policies] == ["a.yaml", "b.yaml"]


def test_references_stand_anywhere_in_a_text(folder):
    """In the middle, twice; claims and buckets are left for policies."""
    (folder / "gateway.yaml").write_text(
        'session: {keys: ["${env:A}-${env:B}-${file:key}"]}\n'
        'credentials: {own: {type: assume_role, role_arn: "arn:aws:iam::123456789012:role/x", session_name: "${env:A}-${claims.sub}"}}\n'
    )

    loaded: Any = load(folder / "gateway.yaml", {"A": "one", "B": "two"})

    assert loaded.problems == ()
    assert loaded.config.session.keys[0].reveal() == f"one-two-{KEY}"
    assert loaded.config.credentials["own"].session_name == "one-${claims.sub}"


def test_a_number_may_come_from_the_environment(folder):
    """Where a number or a switch is wanted, its text is read."""
    (folder / "gateway.yaml").write_text(
        'session: {keys: ["${file:key}"]}\nserver: {workers: "${env:WORKERS}"}\nlog: {requests: "${env:ON}"}\n'
    )

    loaded: Any = load(folder / "gateway.yaml", {"WORKERS": "3", "ON": "true"})

    assert (loaded.config.server.workers, loaded.config.log.requests) == (3, True)


def test_a_file_named_twice_is_read_once(folder):
    """Patterns may overlap; absolute ones are taken too."""
    (folder / "gateway.yaml").write_text(
        f'session: {{keys: ["${{file:key}}"]}}\npolicies: [policies/b.yaml, "{folder}/policies/*.yaml"]\n'
    )

    loaded: Any = load(folder / "gateway.yaml", {})

    assert [Path(document.file).name for document in loaded.policies] == ["b.yaml", "a.yaml"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the file cannot be read"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 70_000, "larger than"),
    ],
)
def test_a_secret_that_cannot_be_had_is_told_at_its_place(folder, content, said):
    """And once: nothing else is said about the same value."""
    (folder / "key").unlink()
    if content is not None:
        (folder / "key").write_bytes(content)

    loaded: Any = load(folder / "gateway.yaml", {})

    assert len(loaded.problems) == 1
    assert re.search(
        rf"gateway.yaml:1:18: session.keys\[0\]: key: .*{said}", str(loaded.problems[0])
    )


def test_a_file_that_is_not_there(tmp_path):
    """Told like anything else; the file is watched for."""
    loaded: Any = load(tmp_path / "gateway.yaml")

    assert loaded.config is None
    assert "cannot be read" in str(loaded.problems[0])
    assert loaded.files[0] == tmp_path / "gateway.yaml"


@pytest.mark.parametrize(
    ("pattern", "watched"),
    [
        ("policies/a.yaml", "policies/a.yaml"),
        ("later.yaml", "later.yaml"),
        ("more/*.yaml", "more"),
    ],
    ids=["one", "not-there-yet", "no-match-yet"],
)
def test_only_what_may_bring_a_policy_is_watched(folder, pattern, watched):
    """A file's own folder may hold the state store: its changes mean nothing. What is missing is waited for."""
    (folder / "gateway.yaml").write_text(
        f'session: {{keys: ["${{file:key}}"]}}\npolicies: ["{pattern}"]\n'
    )
    loaded: Any = load(folder / "gateway.yaml", {})
    names = [path.relative_to(folder).as_posix() for path in loaded.files]

    assert names == ["gateway.yaml", "key", watched]


def test_too_many_files_and_patterns_that_are_none(folder, monkeypatch):
    """Told at the pattern."""
    monkeypatch.setattr("gateway.config.load.POLICY_FILES_MAX", 1)
    assert "more than 1 policy files" in str(load(folder / "gateway.yaml", {}).problems[0])
    (folder / "gateway.yaml").write_text('session: {keys: ["${file:key}"]}\npolicies: [""]\n')
    assert "policies[0]" in str(load(folder / "gateway.yaml", {}).problems[0])


def test_a_policy_file_that_cannot_be_read_is_told(folder, monkeypatch):
    """By its name."""
    (folder / "policies" / "c.yaml").symlink_to(folder / "policies" / "a.yaml")
    read_bytes = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "c.yaml":
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)

    assert "c.yaml:1:1: the file cannot be read: Permission denied" in str(
        load(folder / "gateway.yaml", {}).problems[0]
    )


def test_without_a_list_of_policies_the_usual_ones_are_judged(folder):
    """Although the configuration is wrong."""
    (folder / "gateway.yaml").write_text("policies: 5\n")

    assert len(load(folder / "gateway.yaml", {}).policies) == 2
