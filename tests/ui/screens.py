"""
Every screen and state of the page, and how to get there: for the pictures and for axe.

A new screen is a row of `SCREENS`; `tests.ui.screenshots` draws it and `test_access` examines it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.ui.conftest import row
from tests.ui.s3 import Stored
from tests.ui.world import World

Show = Callable[[Page, World], None]

PLACE = "/ui/b/team-data/reports/2026/"
LONG = [
    "a name that goes on and on without an end until no column of any window could hold it whole.parquet",
    "תקציב שנתי 2026.xlsx",
    "تقرير الربع الثالث.pdf",
    "四半期報告書.csv",
    "👩‍🔬 experiment 🧪.ipynb",
    "blank at the end ",
    "turned\u202exslx.txt",
    "e\u0301.txt",
    "\u00e9.txt",
    "data_2026-10-22T08-30-00_part-00000-5f2a8c1e-7d64-4f5d-8a0b-3c1b2a4d5e6f-c000.snappy.parquet",
]


def settled(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")


def go(path: str) -> Show:
    return lambda page, world: settled(page, path)


def selected(page: Page, world: World) -> None:
    settled(page, PLACE)
    for name in ("notes.txt", "q3.csv"):
        row(page, name).locator(".check").click()


def keyed(name: str, keys: str) -> Show:
    """A dialog that a key opens on a row."""

    def show(page: Page, world: World) -> None:
        settled(page, PLACE)
        row(page, name).focus()
        page.keyboard.press(keys)
        expect(page.get_by_role("dialog")).to_be_visible()
        page.wait_for_load_state("networkidle")

    return show


def conflict(page: Page, world: World) -> None:
    settled(page, PLACE)
    drop(page, ["q3.csv", "q3.json"])
    expect(page.get_by_role("dialog")).to_be_visible()


def tray(page: Page, world: World) -> None:
    settled(page, PLACE)
    world.s3.bend(
        lambda s: s.method == "PUT" and s.path.endswith("bad.bin"),
        status=400,
        code="InvalidArgument",
    )
    drop(page, ["one.txt", "two.txt", "bad.bin"])
    expect(page.locator(".headline")).to_contain_text("1 failed")


def jobs(page: Page, world: World) -> None:
    """One that goes on, one with a failure."""
    world.s3.undeletable = {"reports/2026/january/one.txt"}
    world.s3.buckets["acme-team"]["reports/2026/large.bin"] = Stored(b"", etag="x", size=6 << 30)
    world.s3.bend(lambda s: int(s.query.get("partNumber", 0)) > 4, hold=threading.Event())
    settled(page, PLACE)
    for name, keys, action in (
        ("large.bin", "Control+c", ""),
        ("january/", "Delete", "Delete"),
    ):
        row(page, name).focus()
        page.keyboard.press(keys)
        if action:
            page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()
    expect(page.locator(".transfer")).to_contain_text("1 failed")
    row(page, "january/").locator("a").click()
    page.get_by_text("one.txt").first.wait_for()
    row(page, "one.txt").focus()
    page.keyboard.press("Control+v")
    expect(page.get_by_text("2.00 GiB of 6.00 GiB")).to_be_visible()


def drop(page: Page, names: list[str]) -> None:
    """Files dropped on the list."""
    data = page.evaluate_handle(
        "names => { const d = new DataTransfer(); for (const n of names) d.items.add(new File(['x'.repeat(90000)], n)); return d; }",
        names,
    )
    page.dispatch_event(".list", "drop", {"dataTransfer": data})


def menu(name: str) -> Show:
    def show(page: Page, world: World) -> None:
        settled(page, PLACE)
        page.get_by_role("button", name=name).first.click()

    return show


def chosen(name: str, item: str) -> Show:
    """A dialog that an item of a menu opens."""

    def show(page: Page, world: World) -> None:
        menu(name)(page, world)
        page.get_by_role("menuitem", name=item).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.wait_for_load_state("networkidle")

    return show


def row_menu(page: Page, world: World) -> None:
    settled(page, PLACE)
    row(page, "notes.txt").focus()
    page.keyboard.press("Shift+F10")


def names(page: Page, world: World) -> None:
    world.s3.fill("acme-team", [f"names/{name}" for name in LONG])
    settled(page, "/ui/b/team-data/names/")


def many(page: Page, world: World) -> None:
    world.s3.fill("acme-team", (f"many/{n:06}.bin" for n in range(20_400)))
    page.goto("/ui/b/team-data/many/?sort=-size")
    expect(page.get_by_text("items loaded, more exist")).to_be_visible()


def empty(page: Page, world: World) -> None:
    world.s3.put("acme-team", "empty/", b"")
    settled(page, "/ui/b/team-data/empty/")


def offline(page: Page, world: World) -> None:
    settled(page, PLACE)
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.get_by_text("You are offline.").first).to_be_visible()


def away(page: Page, world: World) -> None:
    world.s3.bend(lambda s: "list-type" in s.query, status=503, code="ServiceUnavailable")
    page.goto(PLACE)
    expect(page.get_by_role("button", name="Try now")).to_be_visible()


def ended(page: Page, world: World) -> None:
    settled(page, PLACE)
    page.context.clear_cookies()
    row(page, "january/").locator("a").click()
    expect(page.get_by_text("Your session ended.").first).to_be_visible()


def new_key(page: Page, world: World) -> None:
    settled(page, "/ui/keys")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("textbox", name="Name").fill("laptop")
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    expect(page.get_by_text("This secret is shown once.")).to_be_visible()


def shared(page: Page, world: World) -> str:
    """A link to a file; its address."""
    keyed("notes.txt", "s")(page, world)
    page.get_by_role("dialog").get_by_label("Password", exact=True).check()
    page.get_by_label("Password, at least 4 characters").fill("correct horse")
    page.get_by_role("button", name="Create and copy").click()
    expect(page.get_by_role("dialog", name="The link is ready")).to_be_visible()
    return page.get_by_role("dialog").locator("pre").inner_text()


def share_made(page: Page, world: World) -> None:
    shared(page, world)


def share_list(page: Page, world: World) -> None:
    shared(page, world)
    settled(page, "/ui/shares")


def share_password(page: Page, world: World) -> None:
    page.goto(shared(page, world))


def share_open(page: Page, world: World) -> None:
    share_password(page, world)
    page.locator("input[type=password]").fill("correct horse")
    page.locator("input[type=password]").press("Enter")
    page.wait_for_load_state("networkidle")


def share_of(allow: str) -> Show:
    """The page of a visitor to a folder."""

    def show(page: Page, world: World) -> None:
        settled(page, PLACE)
        row(page, "q3.csv").focus()
        page.keyboard.press("Backspace")
        row(page, "2026/").focus()
        page.keyboard.press("s")
        page.get_by_role("dialog").get_by_label(allow).check()
        page.get_by_role("button", name="Create and copy").click()
        page.goto(page.get_by_role("dialog").locator("pre").inner_text())

    return show


SCREENS: dict[str, Show] = {
    "locations": go("/ui/"),
    "list": go(PLACE),
    "names": names,
    "many": many,
    "empty": empty,
    "filter-empty": go(PLACE + "?filter=zebra"),
    "pane-text": go(PLACE + "notes.txt"),
    "pane-table": go(PLACE + "q3.csv"),
    "full-table": go(PLACE + "q3.csv?view=full"),
    "full-markdown": go("/ui/b/team-data/README.md?view=full"),
    "full-code": go("/ui/b/team-data/code/app.py?view=full"),
    "pane-picture": go("/ui/b/team-data/pictures/dot.png"),
    "pane-json": go(PLACE + "q3.json"),
    "pane-gone": go(PLACE + "never.txt"),
    "selection": selected,
    "conflict": conflict,
    "tray": tray,
    "jobs": jobs,
    "rename": keyed("notes.txt", "F2"),
    "delete": keyed("notes.txt", "Delete"),
    "delete-folder": keyed("january/", "Delete"),
    "move": keyed("notes.txt", "m"),
    "share": keyed("notes.txt", "s"),
    "share-made": share_made,
    "share-list": share_list,
    "share-password": share_password,
    "share-open": share_open,
    "share-folder": share_of("View and download"),
    "share-upload": share_of("Upload only"),
    "share-none": go("/ui/s/nothing-like-this"),
    "folder": keyed("notes.txt", "n"),
    "jump": keyed("notes.txt", "Control+k"),
    "help": keyed("notes.txt", "?"),
    "search": chosen("More", "Search below this folder"),
    "unfinished": chosen("More", "Unfinished uploads"),
    "row-menu": row_menu,
    "account": menu("Account of"),
    "keys": go("/ui/keys"),
    "key-made": new_key,
    "refused": go("/ui/b/nothing-here/"),
    "refused-plain": go("/backups/2026/secret.txt"),
    "write-only": go("/ui/b/inbox/"),
    "offline": offline,
    "storage-away": away,
    "session-ended": ended,
    "signed-out": go("/ui/signed-out"),
}
