"""The files of a first deployment: what they hold, how they are written, what is wrong with them."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from gateway.cli.seed import Answers, File, files_of, policy_text, problems_of

ANSWERS = Answers(
    config_url="https://sso.example.com/realms/acme/.well-known/openid-configuration",
    client_id="s3",
    client_secret="b3JhY2xlLW9mLWRlbHBoaQ",
    bucket="acme-data",
    region="eu-west-1",
    public_url="https://s3.example.com",
)


def test_a_secret_never_stands_in_a_file_that_others_read():
    """Only in the one that is its own."""
    holding = [file for file in files_of(ANSWERS) if ANSWERS.client_secret in file.text]

    assert [(file.name, file.private) for file in holding] == [("secrets/client-secret", True)]
    assert problems_of(files_of(ANSWERS)) == ()


def test_a_private_file_takes_the_place_of_a_public_one(tmp_path: Path):
    """Its mode is not that of the file that was there, nor does an old handle see the new text."""
    path = tmp_path / "secrets" / "key"
    path.parent.mkdir()
    path.write_text("old")
    with path.open() as old:
        File("secrets/key", "new", private=True).write(tmp_path)

        assert old.read() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_problems_name_the_setting():
    """The one that the wrong value ended up in."""
    problems = problems_of(files_of(replace(ANSWERS, provider="a b")))

    assert [problem.path for problem in problems] == ["oidc[0].name"]


def test_a_bucket_of_the_name_home_keeps_it():
    """The place of one's own is then called otherwise."""
    assert "- bucket: my-home" in policy_text(replace(ANSWERS, bucket="home"))
    assert "- bucket: home" in policy_text(ANSWERS)


def test_the_listener_is_where_a_local_public_url_says():
    """Behind a proxy it is the usual port on loopback."""
    assert replace(ANSWERS, public_url="http://localhost:18080").listen == "127.0.0.1:18080"
    assert ANSWERS.listen == "127.0.0.1:8080"
