"""Share links from their owner's dialog to a visitor's page, which needs no JavaScript (UI-35, UIS-9)."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Opener, row
from tests.ui.world import World

PLACE = "/ui/b/team-data/reports/2026/"
NASTY = '"><img src=x onerror=alert(1)>.html'


def visit(opened: Opener, link: str) -> Page:
    """The page of somebody who has nothing but the link, and no JavaScript."""
    return opened(link, person="", java_script_enabled=False)


def made(owner: Page, **order: Any) -> str:
    """A link made by the API, as the dialog does it."""
    order.setdefault("allow", "view")
    order.setdefault("expires_at", (datetime.now(UTC) + timedelta(days=1)).isoformat())
    answer = owner.evaluate(
        """async order => {
            const headers = {"Content-Type": "application/json", "X-Gateway-CSRF": "1"};
            const answer = await fetch("/api/shares", {method: "POST", headers, body: JSON.stringify(order)});
            return answer.json();
        }""",
        {"bucket": "team-data"} | order,
    )
    return str(answer["url"])


def test_ui_35_made_in_the_dialog_opened_with_the_password_and_revoked(opened: Opener) -> None:
    """One hour, a password, two uses; a wrong password opens nothing; the list counts; Revoke ends it."""
    owner = opened(PLACE)
    row(owner, "notes.txt").focus()
    owner.keyboard.press("s")
    dialog = owner.get_by_role("dialog")
    dialog.get_by_label("1 hour").check()
    dialog.get_by_label("Password", exact=True).check()
    dialog.get_by_label("Password, at least 4 characters").fill("correct horse")
    dialog.get_by_label("At most some uses").check()
    dialog.get_by_label("Uses", exact=True).fill("2")
    dialog.get_by_role("button", name="Create and copy").click()
    link = owner.get_by_role("dialog", name="The link is ready").locator("pre").inner_text()

    guest = visit(opened, link)
    expect(guest.get_by_role("heading", name="A shared link")).to_be_visible()
    assert "notes.txt" not in guest.content()
    guest.get_by_label("Password").fill("guess")
    guest.get_by_role("button", name="Open").click()
    expect(guest.get_by_role("alert")).to_have_text("This is not the password.")
    guest.get_by_label("Password").fill("correct horse")
    guest.get_by_role("button", name="Open").click()
    expect(guest.get_by_role("heading", name="notes.txt")).to_be_visible()
    expect(guest.get_by_text("460 B")).to_be_visible()
    with guest.expect_download() as download:
        guest.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "notes.txt"
    assert download.value.path().read_bytes().startswith(b"First line\n")
    guest.get_by_role("link", name="View").click()
    expect(guest.locator("body")).to_contain_text("second line")

    owner.goto("/ui/shares")
    listed = owner.get_by_role("row", name="team-data/reports/2026/notes.txt").filter(
        has_text="1 of 2"
    )
    expect(listed).to_contain_text("with a password")
    listed.get_by_role("button", name="Revoke").click()
    owner.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(listed).to_have_count(0)
    ended = guest.goto(link)
    assert ended is not None and ended.status == 404
    expect(guest.get_by_text("Ask whoever gave you the link for a new one.")).to_be_visible()


def test_ui_35_a_folder_is_a_table_and_a_zip(opened: Opener, world: World) -> None:
    """Into a folder and back; names are text; HTML is saved and never shown; all of it as a zip."""
    world.s3.put("acme-team", f"pub/{NASTY}", b"<script>1</script>", content_type="text/html")
    world.s3.put("acme-team", "pub/deep/Grüße.txt", "ü".encode(), content_type="text/plain")
    link = made(opened(PLACE), prefix="pub/")
    guest = visit(opened, link)

    guest.get_by_role("link", name="deep/").click()
    expect(guest.get_by_role("link", name="Grüße.txt")).to_be_visible()
    guest.get_by_role("link", name="..").click()
    with guest.expect_download() as download:
        guest.get_by_role("link", name=NASTY).click()
    assert download.value.path().read_bytes() == b"<script>1</script>"
    with guest.expect_download() as download:
        guest.get_by_role("link", name="Download all as zip").click()

    assert download.value.suggested_filename == "pub.zip"
    packed = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    assert packed.testzip() is None
    assert packed.read("deep/Grüße.txt") == "ü".encode()
    assert len(packed.namelist()) == 2


def test_ui_35_upload_only_takes_files_and_shows_none(opened: Opener, world: World) -> None:
    """The visitor sends a file, is told so, and can read nothing; nothing is written over."""
    link = made(opened(PLACE), prefix="drop/", allow="upload")
    guest = visit(opened, link)
    expect(guest.get_by_text("you cannot see what is there")).to_be_visible()
    for body in (b"one", b"two"):
        chosen = {"name": "note.txt", "mimeType": "text/plain", "buffer": body}
        guest.locator("input[type=file]").set_input_files(chosen)  # type: ignore[arg-type]
        guest.get_by_role("button", name="Send").click()
        expect(guest.get_by_role("status")).to_have_text("Received: note.txt")

    stored = {k: v for k, v in world.s3.buckets["acme-team"].items() if k.startswith("drop/")}
    assert sorted(v.body for v in stored.values()) == [b"one", b"two"]
    assert all(re.fullmatch(r"drop/note \(\S+\)\.txt", key) for key in stored)
    for key in stored:
        answer = guest.goto(f"{link}/o/{key.removeprefix('drop/')}")
        assert answer is not None and answer.status == 404


@pytest.mark.parametrize("how", ["ended", "used up", "never was"])
def test_ui_35_what_does_not_open_is_the_same_page(opened: Opener, how: str) -> None:
    """Ended, used up and never existed cannot be told apart."""
    owner = opened(PLACE)
    link = owner.url.split("/ui/")[0] + "/ui/s/" + "x" * 32
    if how == "ended":
        soon = (datetime.now(UTC) + timedelta(seconds=1.2)).isoformat()
        link = made(owner, key="reports/2026/notes.txt", expires_at=soon)
        owner.wait_for_timeout(1500)
    if how == "used up":
        link = made(owner, key="reports/2026/notes.txt", max_uses=1)
        first = visit(opened, link)
        first.get_by_role("button", name="Open").click()
        expect(first.get_by_role("heading", name="notes.txt")).to_be_visible()
    guest = visit(opened, link)

    expect(guest.get_by_role("heading", name="There is nothing here")).to_be_visible()
    expect(guest.get_by_text("Ask whoever gave you the link for a new one.")).to_be_visible()
    expect(guest.get_by_text("404 Not Found")).to_be_visible()
