"""Access keys and the lines to paste (UI-36)."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.clients.matrix import install
from tests.clients.table import CLIENTS
from tests.ui.conftest import Opener
from tests.ui.world import World


def create(page: Page, name: str) -> None:
    page.get_by_role("button", name="Create", exact=True).first.click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    expect(page.get_by_text("This secret is shown once.")).to_be_visible()


def snippets(page: Page, tab: str) -> list[str]:
    page.get_by_role("tab", name=tab).click()
    return page.get_by_role("tabpanel").locator("pre").all_inner_texts()


def test_ui_36_the_boto3_lines_run_as_they_stand_until_the_key_is_revoked(
    opened: Opener, world: World
) -> None:
    """Made, pasted, run; revoked, and the next request fails."""
    botocore = pytest.importorskip("botocore.exceptions")
    name = f"boto3-{secrets.token_hex(4)}"  # others make keys in this world too
    page = opened("/ui/keys")
    create(page, name)
    code = "\n".join(snippets(page, "boto3"))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "snippet", "exec"), {})  # what a person would paste
    assert "summary.csv" in out.getvalue()
    page.get_by_role("button", name=f"Revoke {name}").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("button", name=f"Revoke {name}")).to_have_count(0)

    with pytest.raises(botocore.ClientError):
        exec(compile(code, "snippet", "exec"), {})  # the same lines again


@pytest.mark.timeout(180)  # installs the aws cli where it is not there yet
@pytest.mark.parametrize("program", ["aws cli", "rclone", "s3cmd"])
def test_ui_36_the_lines_for_a_shell_run_as_they_stand(
    opened: Opener, tmp_path: Path, program: str
) -> None:
    """Set-up and test pasted into a shell of somebody who has nothing set up yet."""
    client = next(one for one in CLIENTS if one.name == program)
    if client.missing:
        pytest.skip(client.missing)
    install(client)
    page = opened("/ui/keys")
    create(page, program)
    script = "\n".join(snippets(page, program))

    done = subprocess.run(
        ["bash", "-e", "-c", script],
        env={"HOME": str(tmp_path), "PATH": f"{client.folder / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "2024/" in done.stdout


def test_ui_36_every_program_has_complete_lines(opened: Opener, world: World) -> None:
    """Each holds the real endpoint, the key and a place; the keyless way stands first."""
    page = opened("/ui/keys")
    create(page, "all")
    key = page.locator(".secret .value").first.inner_text()
    tabs = page.get_by_role("tab").all_inner_texts()
    assert tabs[0] == "keyless"
    host = world.url.removeprefix("http://")

    for tab in tabs[1:]:
        text = "\n".join(snippets(page, tab))
        assert key in text and host in text, tab
    assert "gateway login" in snippets(page, "keyless")[0]


def test_ui_36_the_secret_is_seen_once(opened: Opener) -> None:
    """It cannot be closed by accident, and is nowhere after it was."""
    page = opened("/ui/keys")
    create(page, "once")
    secret = page.locator(".secret .value").nth(1).inner_text()
    close = page.locator(".secret").get_by_role("button", name="Close")
    expect(close).to_be_disabled()
    page.get_by_label("I have saved it").check()
    close.click()

    page.reload()

    expect(page.get_by_role("rowheader", name="once")).to_be_visible()
    assert secret not in page.content()
    assert not re.search(re.escape(secret), page.evaluate("JSON.stringify({...localStorage})"))
