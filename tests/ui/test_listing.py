"""Lists: pages, order, places, freshness (UI-5 to UI-11, UI-42)."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.ui.conftest import Opener, row


def test_ui_8_a_folder_is_opened_and_left_again(opened: Opener) -> None:
    """Folders open by a click, and Back restores where one was."""
    page = opened("/ui/b/team-data/")
    row(page, "reports/").locator("a").click()
    expect(row(page, "2026/")).to_be_visible()

    page.go_back()

    expect(row(page, "README.md")).to_be_visible()
