"""Doing things with rows: folders, rename, move, delete, selection, download (UI-20 to UI-26)."""

from __future__ import annotations

import json
import zipfile
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from tests.ui.conftest import Opener, row
from tests.ui.world import World

PLACE = "/ui/b/team-data/reports/2026/"


def orders(page: Page) -> list[dict[str, Any]]:
    """What is ordered of /api/jobs from now on."""
    found: list[dict[str, Any]] = []

    def asked(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/api/jobs"):
            found.append(json.loads(request.post_data or "{}"))

    page.on("request", asked)
    return found


def confirm(page: Page, name: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()


def test_ui_20_a_download_asks_for_the_head_first(opened: Opener, world: World) -> None:
    """The browser fetches it under the server's name; what is gone is said here and leaves the list."""
    page = opened(PLACE)
    row(page, "notes.txt").focus()
    with page.expect_download() as download:
        page.keyboard.press("d")
    assert download.value.suggested_filename == "notes.txt"
    assert any(s.method == "HEAD" for s in world.s3.seen)
    world.s3.drop("acme-team", "reports/2026/q3.json")
    row(page, "q3.json").focus()
    page.keyboard.press("d")

    expect(page.locator(".toast", has_text="There is no q3.json here any more.")).to_be_visible()
    expect(row(page, "q3.json")).to_have_count(0)


def test_ui_21_a_new_folder_is_made_and_opened(opened: Opener, world: World) -> None:
    """PUT of a key that ends in a slash; a name that exists is said before anything is sent."""
    page = opened(PLACE)
    row(page, "january/").focus()
    page.keyboard.press("n")
    page.get_by_role("textbox", name="Name").fill("january")
    expect(page.get_by_text("A folder of that name is here already.")).to_be_visible()
    page.get_by_role("textbox", name="Name").fill("more/levels")
    confirm(page, "Create")

    expect(page.get_by_text("No objects under")).to_be_visible()
    assert page.url.endswith("/reports/2026/more/levels/")
    assert world.s3.body("acme-team", "reports/2026/more/levels/") == b""


def test_ui_22_rename_selects_the_stem_and_goes_by_a_job(opened: Opener, world: World) -> None:
    """F2, type, Enter: the extension is not touched."""
    page = opened(PLACE)
    ordered = orders(page)
    row(page, "notes.txt").focus()
    page.keyboard.press("F2")
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    page.keyboard.type("words")
    page.keyboard.press("Enter")

    expect(row(page, "words.txt")).to_be_visible()
    expect(row(page, "notes.txt")).to_have_count(0)
    assert ordered == [
        {
            "operation": "rename",
            "sources": [{"bucket": "team-data", "key": "reports/2026/notes.txt"}],
            "destination": {"bucket": "team-data", "key": "reports/2026/words.txt"},
            "if_exists": "fail",
        }
    ]


def test_ui_22_a_taken_name_is_asked_about(opened: Opener, world: World) -> None:
    """Replacing is a choice."""
    page = opened(PLACE)
    ordered = orders(page)
    row(page, "notes.txt").focus()
    page.keyboard.press("F2")
    page.get_by_role("textbox", name="Name").fill("q3.csv")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Keep both").click()

    expect(page.locator(".toast")).to_be_visible()
    assert ordered[0]["if_exists"] == "rename"


def test_ui_23_move_by_dialog_and_by_cut_and_paste(opened: Opener, world: World) -> None:
    """A folder is chosen below another; Ctrl+X and Ctrl+V do the same."""
    page = opened(PLACE)
    ordered = orders(page)
    row(page, "notes.txt").focus()
    page.keyboard.press("m")
    page.get_by_role("dialog").get_by_role("button", name="january/").click()
    confirm(page, "Move here")
    expect(row(page, "notes.txt")).to_have_count(0)
    row(page, "q3.csv").focus()
    page.keyboard.press("Control+x")
    row(page, "january/").locator("a").click()
    expect(row(page, "one.txt")).to_be_visible()
    row(page, "one.txt").focus()
    page.keyboard.press("Control+v")

    expect(row(page, "q3.csv")).to_be_visible()
    expect(row(page, "notes.txt")).to_be_visible()
    assert [order["operation"] for order in ordered] == ["move", "move"]


def test_ui_23_rows_are_dragged_onto_a_folder(opened: Opener, world: World) -> None:
    """A drag moves what is selected."""
    page = opened(PLACE)
    row(page, "q3.csv").locator(".check").click()
    row(page, "q3.json").locator(".check").click()

    row(page, "q3.json").drag_to(row(page, "january/"))

    expect(row(page, "q3.csv")).to_have_count(0)
    assert "reports/2026/january/q3.json" in world.s3.buckets["acme-team"]


def test_ui_25_one_by_delete_and_several_by_one_request(opened: Opener, world: World) -> None:
    """The focus goes to the next row."""
    page = opened(PLACE)
    row(page, "notes.txt").focus()
    page.keyboard.press("Delete")
    expect(page.get_by_role("button", name="Delete", exact=True).last).to_be_focused()
    page.keyboard.press("Enter")
    expect(row(page, "notes.txt")).to_have_count(0)
    expect(row(page, "q3.csv")).to_be_focused()
    assert [s.path for s in world.s3.seen if s.method == "DELETE"] == [
        "/acme-team/reports/2026/notes.txt"
    ]
    row(page, "q3.csv").locator(".check").click()
    row(page, "q3.json").locator(".check").click()
    page.get_by_role("toolbar").get_by_role("button", name="Delete").click()
    confirm(page, "Delete 2")

    expect(page.locator(".row")).to_have_count(2)
    assert len(world.s3.asked("POST", delete="")) == 1


def test_ui_25_a_prefix_is_counted_before_the_button_works(opened: Opener, world: World) -> None:
    """Above 1 000 objects the folder's name is typed; failures are listed by key."""
    world.s3.fill("acme-team", (f"reports/old/{n}.txt" for n in range(1204)))
    page = opened("/ui/b/team-data/reports/")
    world.s3.undeletable = {"reports/old/7.txt"}
    row(page, "old/").focus()
    page.keyboard.press("Delete")
    button = page.get_by_role("dialog").get_by_role("button", name="Delete 1\u202f204")
    expect(button).to_be_disabled()
    page.get_by_role("dialog").get_by_role("textbox").fill("old")
    expect(button).to_be_enabled()
    button.click()

    expect(page.locator(".transfer")).to_contain_text("1\u202f203 deleted, 1 failed")
    page.locator(".transfer").get_by_role("button", name="Show").click()
    expect(page.get_by_role("dialog")).to_contain_text("reports/old/7.txt")


def test_ui_23_what_failed_is_tried_again_and_keeps_its_folders(
    opened: Opener, world: World
) -> None:
    """Two objects of a folder could not be copied: Retry failed sends those, to where they belong."""
    for name in ("a.txt", "deep/b.txt", "deep/er/c.txt"):
        world.s3.put("acme-team", f"reports/tree/{name}", name.encode())
    refused = world.s3.bend(
        lambda s: s.method == "PUT" and "/deep/" in s.path, status=403, code="AccessDenied"
    )
    page = opened("/ui/b/team-data/reports/")
    row(page, "tree/").focus()
    page.keyboard.press("F2")
    page.get_by_role("textbox", name="Name").fill("moved")
    page.keyboard.press("Enter")
    expect(page.locator(".transfer")).to_contain_text("1 renamed, 2 failed")
    page.locator(".transfer").get_by_role("button", name="Show").click()
    expect(page.get_by_role("dialog")).to_contain_text("reports/tree/deep/er/c.txt")
    refused.times = 0
    page.get_by_role("dialog").get_by_role("button", name="Retry failed").click()

    expect(page.locator(".transfer").last).to_contain_text("2 renamed.")
    assert sorted(k for k in world.s3.buckets["acme-team"] if k.startswith("reports/moved/")) == [
        "reports/moved/a.txt",
        "reports/moved/deep/b.txt",
        "reports/moved/deep/er/c.txt",
    ]
    assert not [k for k in world.s3.buckets["acme-team"] if k.startswith("reports/tree/")]


@pytest.mark.parametrize("many", [False, True], ids=["address", "posted"])
def test_ui_37_a_folder_and_a_selection_come_as_a_zip(
    opened: Opener, world: World, many: bool
) -> None:
    """Read back equal; no name leads out of the folder it is unpacked in; long lists are posted."""
    names = ["a b+c%2F;=*~#?.txt", "Grüße 🙂.txt", "deep/er/x.bin", "back\\slash.txt"]
    names += [f"{'long name ' * 8}{n:03}.txt" for n in range(90 if many else 0)]
    for name in names:
        world.s3.put("acme-team", f"pack/{name}", name.encode() * 999)
    world.s3.put("acme-team", "pack/../../etc/passwd", b"evil")
    page = opened("/ui/b/team-data/pack/" if many else "/ui/b/team-data/")
    if many:
        row(page, "deep/").focus()
        page.keyboard.press("Control+a")
    else:
        row(page, "pack/").focus()
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.method) if "/api/archive/" in r.url else None)
    with page.expect_download() as download:
        page.keyboard.press("z")

    packed = zipfile.ZipFile(download.value.path())
    assert packed.testzip() is None
    assert download.value.suggested_filename == "pack.zip"
    errors = [name for name in packed.namelist() if name == "ERRORS.txt"]
    found = {packed.read(name) for name in packed.namelist() if name not in errors}
    assert {name.encode() * 999 for name in names} <= found
    assert not [n for n in packed.namelist() if n.startswith("/") or ".." in n.split("/")]
    assert [method for method in asked if method == "POST"] == ["POST"] * many


def test_ui_26_selection_by_box_range_and_keys(opened: Opener) -> None:
    """Boxes, Shift, Ctrl+A, Esc; it survives the filter and says what is hidden."""
    page = opened(PLACE)
    bar = page.get_by_role("toolbar", name="Selection")
    row(page, "budget.xlsx").locator(".check").click()
    row(page, "q3.csv").locator(".check").click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 selected")
    expect(bar).to_contain_text("56.7 KiB")
    row(page, "q3.csv").focus()
    page.keyboard.press("Control+a")
    expect(bar).to_contain_text("5 selected")
    page.goto(page.url + "?filter=q3")
    page.keyboard.press("Escape")
    row(page, "q3.csv").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Shift+ArrowDown")

    expect(bar).to_contain_text("2 selected")
    page.keyboard.press("Escape")
    expect(bar).to_have_count(0)
