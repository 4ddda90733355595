"""Tiles and columns: the same rows drawn otherwise (UI-55, UI-61)."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.ui.conftest import Opener, row
from tests.ui.world import PNG, World

PLACE = "/ui/b/team-data/reports/2026/"


def tiles(page: Page) -> None:
    page.get_by_role("button", name="Tiles").click()
    expect(page.get_by_role("grid")).to_have_class(re.compile("tiles"))


def pictures(world: World, count: int) -> None:
    for n in range(count):
        world.s3.put("acme-team", f"album/{n:03}.png", PNG, content_type="image/png")


def test_ui_55_thumbnails_are_asked_for_when_they_come_into_view(
    opened: Opener, world: World
) -> None:
    """Small pictures show themselves; those below the window, and large ones, are not fetched."""
    pictures(world, 200)
    world.s3.fill("acme-team", ["album/000-large.png"], size=5 * 1024 * 1024)
    page = opened("/ui/b/team-data/album/")
    expect(row(page, "000.png")).to_be_visible()
    tiles(page)

    expect(row(page, "000.png").locator("img.thumb")).to_be_visible()
    page.wait_for_function("() => document.querySelector('.thumb').naturalWidth === 64")
    expect(row(page, "000-large.png").locator("img")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    asked = {s.path for s in world.s3.seen if s.method == "GET" and s.path.endswith(".png")}
    assert 10 <= len(asked) <= 80
    page.locator(".viewport").evaluate("view => view.scrollTop = view.scrollHeight")
    expect(row(page, "199.png").locator("img.thumb")).to_be_visible()


def test_ui_55_keys_and_selection_are_those_of_the_list(opened: Opener, world: World) -> None:
    """Arrows go in two directions, Shift makes ranges, End and F2 do what they do in the list."""
    pictures(world, 40)
    page = opened("/ui/b/team-data/album/")
    expect(row(page, "000.png")).to_be_visible()
    tiles(page)
    across = page.evaluate(
        "() => new Set([...document.querySelectorAll('.row')].map(r => r.getBoundingClientRect().left)).size"
    )
    assert across >= 4
    row(page, "000.png").focus()
    page.keyboard.press("ArrowRight")
    expect(row(page, "001.png")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(row(page, f"{1 + across:03}.png")).to_be_focused()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(".row.selected")).to_have_count(2)
    page.keyboard.press("End")
    expect(row(page, "039.png")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Space")
    expect(page.locator(".pane h2")).to_have_text("039.png")
    page.reload()

    expect(page.get_by_role("grid")).to_have_class(re.compile("tiles"))


def test_ui_61_chosen_columns_persist(opened: Opener) -> None:
    """A column that was left out is gone after a reload, and comes back when chosen."""
    page = opened(PLACE)
    size = row(page, "notes.txt").locator(".cell.size")
    expect(size).to_be_visible()
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitemcheckbox", name="Column Size").click()
    expect(size).to_be_hidden()
    expect(page.get_by_role("columnheader", name="Size")).to_be_hidden()

    page.reload()

    expect(row(page, "notes.txt")).to_be_visible()
    expect(size).to_be_hidden()
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitemcheckbox", name="Column Size").click()
    expect(size).to_be_visible()


def test_ui_61_a_pasted_file_is_uploaded(opened: Opener, world: World) -> None:
    """Ctrl+V with a file in the clipboard puts it where the person stands."""
    page = opened(PLACE)
    expect(row(page, "notes.txt")).to_be_visible()
    page.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File(['pasted'], 'picture.txt', {type: 'text/plain'}));
            document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true}));
        }"""
    )

    expect(row(page, "picture.txt")).to_be_visible()
    assert world.s3.body("acme-team", "reports/2026/picture.txt") == b"pasted"
