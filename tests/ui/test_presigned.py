"""A presigned URL from the Share dialog (UI-61)."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Opener, row
from tests.ui.world import World

NAME = "it's (1) ü+&.txt"


def fetched(url: str) -> bytes:
    """What a program gets that knows nothing but the URL."""
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
        return body


def presign(page: Page, name: str) -> str:
    row(page, name).focus()
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Download by program").check()
    dialog.get_by_label("5 minutes", exact=True).check()
    dialog.get_by_role("button", name="Create and copy").click()
    return page.get_by_role("dialog", name="The link is ready").locator("pre").inner_text()


def test_ui_61_a_presigned_url_works_for_a_program_until_its_key_is_revoked(
    opened: Opener, world: World
) -> None:
    """Signed by the browser with a key of its own: listed, read only, of one bucket, gone with it."""
    world.s3.put("acme-team", f"odd/{NAME}", b"for a program", content_type="text/plain")
    page = opened("/ui/b/team-data/odd/")
    url = presign(page, NAME)

    assert fetched(url) == b"for a program"
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["300"]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        fetched(url.replace("/odd/", "/even/"))
    page.goto("/ui/keys")
    listed = page.get_by_role("row", name=re.compile("URL of it's"))
    expect(listed).to_contain_text("read only: team-data")
    listed.get_by_role("button", name=re.compile("^Revoke")).click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(listed).to_have_count(0)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        fetched(url)


def test_s3_8_a_presigned_url_lasts_an_hour_at_most(opened: Opener) -> None:
    """The longer terms of share links are not offered for it, nor a password that nobody would ask for."""
    page = opened("/ui/b/team-data/reports/2026/")
    row(page, "notes.txt").focus()
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("7 days")).to_be_checked()
    dialog.get_by_label("Download by program").check()

    expect(dialog.get_by_label("1 hour")).to_be_checked()
    expect(dialog.get_by_label(re.compile("day"))).to_have_count(0)
    expect(dialog.get_by_label("Password", exact=True)).to_have_count(0)
