"""gateway login, credentials, logout, doctor: as a user runs them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import click
import pytest
from click.testing import CliRunner, Result

from gateway.cli import client, vault
from gateway.cli.calls import Temporary
from gateway.cli.client import credentials, doctor, login, logout
from gateway.identity import Method, Proof, Secret
from tests.cli.gateway_thread import ALICE, Running, running


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    with running() as made:
        yield made


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gateway: Running) -> Iterator[Path]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setattr(vault, "_ring", lambda: None)
    yield tmp_path
    gateway.revoke_all()


@pytest.fixture
def browser(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Alice's browser: what it showed; her answer is its first entry."""
    seen = ["allow"]
    closed = threading.Semaphore(0)
    opens = 0

    def opened(page: str) -> bool:
        # As a terminal's browser: whoever opens it waits until it is closed.
        nonlocal opens
        opens += 1
        seen.append(gateway.click(page, seen[0]))
        closed.release()
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    yield seen
    for _ in range(opens):
        assert closed.acquire(timeout=10)


def browser_page(seen: list[str]) -> str:
    """What the browser showed, once it is closed."""
    deadline = time.monotonic() + 10
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return seen[1]


def run(command: click.Command, *arguments: str, input: str | None = None) -> Result:
    result = CliRunner().invoke(command, arguments, input=input)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_key_7_login_by_browser(gateway: Running, browser: list[str], home: Path) -> None:
    """A key, a profile without a secret, and the code that page and terminal both show."""
    result = run(login, gateway.url, "--profile", "acme")
    shown = browser_page(browser)
    code = result.stderr.partition("code: ")[2][:9]
    kept = next((home / "config" / "gateway").iterdir())
    written = (home / "aws").read_text()

    assert result.exit_code == 0
    assert "Signed in as Alice until" in result.stdout
    assert "aws --profile acme s3 ls" in result.stdout
    assert code in shown
    assert len(gateway.keys()) == 1
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "[profile acme]" in written
    assert f"endpoint_url = {gateway.url}" in written
    assert json.loads(kept.read_text())["secret_access_key"] not in written


def test_login_again_gives_the_earlier_key_up(gateway: Running, browser: list[str]) -> None:
    """One key a machine."""
    run(login, gateway.url)
    first = gateway.keys()
    run(login, gateway.url)

    assert len(gateway.keys()) == 1
    assert gateway.keys() != first


def test_key_7_a_refusal_in_the_browser_ends_the_login(
    gateway: Running, browser: list[str], home: Path
) -> None:
    """Nothing is kept, nothing was made."""
    browser[0] = "refuse"
    result = run(login, gateway.url)

    assert result.exit_code == 3
    assert "refused in the browser" in result.stderr
    assert gateway.keys() == []
    assert not (home / "aws").exists()


def test_login_from_a_remote_shell(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is printed, the code is pasted."""
    pasted: list[str] = []

    def prompt(text: str, **_: object) -> str:
        page = next(word for word in printed if word.startswith(gateway.url))
        shown = gateway.click(page)
        pasted.append(shown.partition('One-time code">')[2].partition("<")[0])
        return pasted[0]

    printed: list[str] = []
    echo = click.echo

    def heard(text: str = "", **options: Any) -> None:
        printed.extend(str(text).split())
        echo(text, **options)

    monkeypatch.setattr(click, "echo", heard)
    monkeypatch.setattr(click, "prompt", prompt)
    result = run(login, gateway.url, "--no-browser", "--no-profile")

    assert result.exit_code == 0
    assert len(pasted[0]) == 24
    assert len(gateway.keys()) == 1


def test_a_wrong_code_is_refused(gateway: Running) -> None:
    """With what the gateway says."""
    result = run(login, gateway.url, "--no-browser", input="AAAA-AAAA-AAAA-AAAA-AAAA\n")

    assert result.exit_code == 1
    assert "wrong, too old or was used" in result.stderr


def test_a_profile_of_somebody_elses_is_left(
    gateway: Running, browser: list[str], home: Path
) -> None:
    """The sign-in stands, and the message says what to do."""
    (home / "aws").write_text("[profile acme]\nsso_session = corp\n")
    result = run(login, gateway.url, "--profile", "acme")

    assert result.exit_code == 1
    assert "--profile NAME" in result.stderr
    assert (home / "aws").read_text() == "[profile acme]\nsso_session = corp\n"
    assert run(credentials, "--url", gateway.url).exit_code == 0


def test_credentials_are_renewed_silently_and_kept(gateway: Running, browser: list[str]) -> None:
    """The second call asks nobody; near the end newer ones are had."""
    run(login, gateway.url)
    first = json.loads(run(credentials, "--url", gateway.url).stdout)
    calls = len(gateway.served.events)
    second = json.loads(run(credentials, "--url", gateway.url).stdout)
    asked_nobody = len(gateway.served.events) == calls
    known = vault.load(gateway.url)
    assert known is not None
    assert known.temporary is not None
    soon = replace(known.temporary, expires=datetime.now(UTC) + timedelta(minutes=5))
    vault.save(replace(known, temporary=soon))
    third = json.loads(run(credentials, "--url", gateway.url).stdout)

    assert first["Version"] == 1
    assert first == second
    assert asked_nobody
    assert third["AccessKeyId"] != first["AccessKeyId"]
    assert gateway.find(third["AccessKeyId"], Secret(third["SessionToken"])) is not None


def test_boto3_uses_the_profile(gateway: Running, browser: list[str], home: Path) -> None:
    """By `credential_process`, with nothing else set."""
    run(login, gateway.url, "--profile", "acme")
    session = boto3.Session(profile_name="acme")
    frozen = session.get_credentials().get_frozen_credentials()
    sts = session.client("sts")
    who = sts.get_caller_identity()
    sts.close()

    assert frozen.access_key.startswith("GWT")
    assert who["UserId"].endswith(":alice") or who["Arn"].endswith("/alice")


def test_when_the_gateway_is_away_what_still_works_is_given(
    gateway: Running, browser: list[str]
) -> None:
    """And when nothing does, the exit code is 3."""
    run(login, gateway.url)
    known = vault.load(gateway.url)
    assert known is not None
    away = replace(
        known,
        url="http://127.0.0.1:1",
        temporary=Temporary("GWTX", "s", "t", datetime.now(UTC) + timedelta(minutes=5)),
    )
    vault.save(away)
    still = run(credentials, "--url", away.url)
    vault.save(replace(away, temporary=None))
    nothing = run(credentials, "--url", away.url)

    assert json.loads(still.stdout)["AccessKeyId"] == "GWTX"
    assert nothing.exit_code == 3
    assert "does not answer" in nothing.stderr


def test_key_4_a_revoked_key_says_how_to_sign_in_again(
    gateway: Running, browser: list[str]
) -> None:
    """On standard error: aws shows it."""
    run(login, gateway.url)
    gateway.revoke_all()
    result = run(credentials, "--url", gateway.url)

    assert result.exit_code == 1
    assert f"gateway login {gateway.url}" in result.stderr
    assert result.stdout == ""


def test_credentials_without_a_sign_in(gateway: Running) -> None:
    """The same hint."""
    result = run(credentials, "--url", gateway.url)

    assert result.exit_code == 1
    assert f"gateway login {gateway.url}" in result.stderr


def test_logout_revokes_and_removes(gateway: Running, browser: list[str], home: Path) -> None:
    """The key at the gateway, the file, the profile; twice does no harm."""
    run(login, gateway.url, "--profile", "acme")
    known = vault.load(gateway.url)
    assert known is not None
    gateway.served.proof = Proof(identity=ALICE, method=Method.BASIC, key_id=known.access_key_id)
    try:
        result = run(logout, gateway.url)
    finally:
        gateway.served.proof = Proof(
            identity=ALICE, method=Method.SESSION, session_id="sid", issued=datetime.now(UTC)
        )

    assert result.exit_code == 0
    assert gateway.keys() == []
    assert "acme" not in (home / "aws").read_text()
    assert os.listdir(home / "config" / "gateway") == []
    assert run(logout, gateway.url).exit_code == 0


def test_logout_that_cannot_reach_the_gateway_says_so(gateway: Running, browser: list[str]) -> None:
    """The machine forgets all the same."""
    run(login, gateway.url)
    known = vault.load(gateway.url)
    assert known is not None
    vault.save(replace(known, url="http://127.0.0.1:1"))
    result = run(logout, "http://127.0.0.1:1")

    assert result.exit_code == 3
    assert "not revoked" in result.stderr
    assert vault.load("http://127.0.0.1:1") is None


def test_key_6_a_secret_does_not_travel_in_the_clear(gateway: Running) -> None:
    """To a host over plain http, logout revokes nothing itself."""
    known = vault.Login(
        url="http://s3.example.com",
        access_key_id="GWPX",
        secret=Secret("s"),
        expires=datetime.now(UTC) + timedelta(days=1),
    )

    assert client._give_up(known) is False
    assert client._give_up(replace(known, expires=datetime.now(UTC))) is True


@pytest.mark.parametrize("command", [login, logout, doctor])
@pytest.mark.parametrize("url", ["ftp://x", "http://", "https://user:x@h"])
def test_wrong_usage_is_2(command: click.Command, url: str) -> None:
    """What is no address is told before anything is tried."""
    assert run(command, url).exit_code == 2


def test_nothing_answers() -> None:
    """Exit code 3: something outside failed."""
    assert run(doctor, "http://127.0.0.1:1").exit_code == 3
    result = run(login, "http://127.0.0.1:1", "--no-browser", input="AAAA\n")
    assert result.exit_code == 3


def test_the_doctor_finds_nothing_wrong_without_a_proxy(
    gateway: Running, browser: list[str]
) -> None:
    """Every probe is good, the signed one with the machine's own key too."""
    run(login, gateway.url)
    result = run(doctor, gateway.url)

    assert result.exit_code == 0, result.output
    assert "FAIL" not in result.stdout
    assert "ok  a signed request is believed" in result.stdout
    assert "Nothing here breaks a signature" in result.stdout


def test_the_doctor_says_what_a_key_that_is_not_ours_gets(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, and the code that the gateway answered."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAX")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    result = run(doctor, gateway.url)

    assert result.exit_code == 3
    assert "InvalidClientTokenId" in result.stdout


def test_the_command_is_called_by_its_full_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that call it have another PATH, or none."""
    monkeypatch.setattr(shutil, "which", lambda _: "/opt/my tools/gateway")
    found = client._command()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    module = client._command()

    assert shlex.split(found) == ["/opt/my tools/gateway"]
    assert shlex.split(module) == [sys.executable, "-m", "gateway"]
    help_text = subprocess.run(
        [*shlex.split(module), "credentials", "--help"], capture_output=True, check=True
    )
    assert b"credential_process" in help_text.stdout
