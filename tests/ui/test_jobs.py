"""Jobs as the tray shows them, by the gateway's own /api/jobs (UI-23, UI-24)."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Opener, row
from tests.ui.s3 import Rule, Stored
from tests.ui.test_actions import PLACE, confirm
from tests.ui.test_upload import until
from tests.ui.world import World

GIB = 1024**3


def move(page: Page, name: str, folder: str) -> None:
    """By the dialog."""
    row(page, name).focus()
    page.keyboard.press("m")
    page.get_by_role("dialog").get_by_role("button", name=folder).click()
    confirm(page, "Move here")


@pytest.fixture
def large(opened: Opener, world: World) -> Rule:
    """An object of 6 GiB of which only the size is there, and parts that wait from the fifth on."""
    world.s3.buckets["acme-team"]["reports/2026/large.bin"] = Stored(
        b"", etag='"1-9"', size=6 * GIB
    )
    world.s3._sorted.clear()
    return world.s3.bend(lambda s: int(s.query.get("partNumber", 0)) > 4, hold=threading.Event())


def test_ui_24_six_gibibytes_go_by_parts_through_a_reload(
    opened: Opener, world: World, large: Rule
) -> None:
    """Bytes counted in the tray; found again after a reload; whole at the end, and gone where it was."""
    page = opened(PLACE)
    move(page, "large.bin", "january/")
    page.locator(".headline").click()
    expect(page.locator(".transfer")).to_contain_text("2.00 GiB of 6.00 GiB")
    page.reload()
    page.locator(".headline").click()
    expect(page.locator(".transfer")).to_contain_text("2.00 GiB of 6.00 GiB")
    large.times = 0
    assert large.hold is not None
    large.hold.set()

    expect(page.locator(".transfer")).to_contain_text("1 moved.", timeout=15_000)
    stored = world.s3.buckets["acme-team"]
    assert stored["reports/2026/january/large.bin"].length == 6 * GIB
    assert "reports/2026/large.bin" not in stored
    assert len([s for s in world.s3.seen if "x-amz-copy-source-range" in s.headers]) == 12


def test_ui_24_a_cancelled_copy_leaves_no_upload_behind(
    opened: Opener, world: World, large: Rule
) -> None:
    """Cancel in the tray: the upload is aborted, the source untouched."""
    page = opened(PLACE)
    move(page, "large.bin", "january/")
    page.locator(".headline").click()
    expect(page.locator(".transfer")).to_contain_text("2.00 GiB of 6.00 GiB")
    assert len(world.s3.uploads) == 1
    page.get_by_role("button", name="Cancel Move large.bin").click()

    expect(page.locator(".transfer")).to_contain_text("Cancelled after 0 objects")
    until(page, lambda: not world.s3.uploads)
    assert "reports/2026/large.bin" in world.s3.buckets["acme-team"]
    assert "reports/2026/january/large.bin" not in world.s3.buckets["acme-team"]


def test_ui_23_a_move_deletes_only_what_is_shown_to_be_copied(opened: Opener, world: World) -> None:
    """The storage says 200 and keeps a byte less: the source stays, and the tray says why."""
    world.s3.spoilt = {"reports/2026/january/notes.txt"}
    page = opened(PLACE)
    before = world.s3.body("acme-team", "reports/2026/notes.txt")
    move(page, "notes.txt", "january/")

    expect(page.locator(".transfer")).to_contain_text("0 moved, 1 failed")
    page.locator(".transfer").get_by_role("button", name="Show").click()
    expect(page.get_by_role("dialog")).to_contain_text("The copy is not what was read")
    assert world.s3.body("acme-team", "reports/2026/notes.txt") == before
