"""
Pictures of every screen and state, in light and dark, wide and narrow: `python -m tests.ui.screenshots`.

They go to build/screenshots/, to be looked at.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.ui.conftest import ARGS, CHROMIUM, row, sign_in
from tests.ui.jobs import Jobs
from tests.ui.world import World

OUT = Path("build/screenshots")
SIZES: dict[str, ViewportSize] = {
    "1280": {"width": 1280, "height": 800},
    "360": {"width": 360, "height": 740},
}
PLACE = "/ui/b/team-data/reports/2026/"


def go(path: str) -> Callable[[Page, World], None]:
    return lambda page, world: _settled(page, path)


def _settled(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")


def selected(page: Page, world: World) -> None:
    _settled(page, PLACE)
    for name in ("notes.txt", "q3.csv"):
        row(page, name).locator(".check").click()


def keyed(name: str, keys: str) -> Callable[[Page, World], None]:
    """A dialog that a key opens on a row."""

    def show(page: Page, world: World) -> None:
        _settled(page, PLACE)
        row(page, name).focus()
        page.keyboard.press(keys)
        expect(page.get_by_role("dialog")).to_be_visible()
        page.wait_for_load_state("networkidle")

    return show


def conflict(page: Page, world: World) -> None:
    _settled(page, PLACE)
    uploads(page, ["q3.csv", "q3.json"])
    expect(page.get_by_role("dialog")).to_be_visible()


def tray(page: Page, world: World) -> None:
    _settled(page, PLACE)
    world.s3.bend(
        lambda s: s.method == "PUT" and s.path.endswith("bad.bin"),
        status=400,
        code="InvalidArgument",
    )
    uploads(page, ["one.txt", "two.txt", "bad.bin"])
    expect(page.locator(".headline")).to_contain_text("1 failed")


def uploads(page: Page, names: list[str]) -> None:
    data = page.evaluate_handle(
        "names => { const d = new DataTransfer(); for (const n of names) d.items.add(new File(['x'.repeat(90000)], n)); return d; }",
        names,
    )
    page.dispatch_event(".list", "drop", {"dataTransfer": data})


def menu(name: str) -> Callable[[Page, World], None]:
    def show(page: Page, world: World) -> None:
        _settled(page, PLACE)
        page.get_by_role("button", name=name).first.click()

    return show


def row_menu(page: Page, world: World) -> None:
    _settled(page, PLACE)
    row(page, "notes.txt").focus()
    page.keyboard.press("Shift+F10")


def away(page: Page, world: World) -> None:
    world.s3.bend(lambda s: "list-type" in s.query, status=503, code="ServiceUnavailable")
    page.goto(PLACE)
    expect(page.get_by_role("button", name="Try now")).to_be_visible()


def ended(page: Page, world: World) -> None:
    _settled(page, PLACE)
    page.context.clear_cookies()
    page.get_by_role("button", name="More", exact=True).click()
    page.keyboard.press("Escape")
    row(page, "january/").locator("a").click()
    expect(page.get_by_text("Your session ended.").first).to_be_visible()


def new_key(page: Page, world: World) -> None:
    _settled(page, "/ui/keys")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("textbox", name="Name").fill("laptop")
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    expect(page.get_by_text("This secret is shown once.")).to_be_visible()


SCREENS: dict[str, Callable[[Page, World], None]] = {
    "locations": go("/ui/"),
    "list": go(PLACE),
    "pane-text": go(PLACE + "notes.txt"),
    "pane-table": go(PLACE + "q3.csv"),
    "full-markdown": go("/ui/b/team-data/README.md?view=full"),
    "full-code": go("/ui/b/team-data/code/app.py?view=full"),
    "pane-picture": go("/ui/b/team-data/pictures/dot.png"),
    "pane-json": go(PLACE + "q3.json"),
    "selection": selected,
    "conflict": conflict,
    "tray": tray,
    "rename": keyed("notes.txt", "F2"),
    "delete": keyed("notes.txt", "Delete"),
    "move": keyed("notes.txt", "m"),
    "share": keyed("notes.txt", "s"),
    "folder": keyed("notes.txt", "n"),
    "jump": keyed("notes.txt", "Control+k"),
    "help": keyed("notes.txt", "?"),
    "row-menu": row_menu,
    "account": menu("Account of"),
    "keys": go("/ui/keys"),
    "key-made": new_key,
    "refused": go("/ui/b/nothing-here/"),
    "write-only": go("/ui/b/inbox/"),
    "storage-away": away,
    "session-ended": ended,
}


def shoot(browser: Browser, world: World, wanted: set[str]) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        for size, viewport in SIZES.items():
            context = browser.new_context(
                base_url=world.url, viewport=viewport, color_scheme=theme, reduced_motion="reduce"
            )
            context.set_default_timeout(8000)
            page = context.new_page()
            sign_in(page, world, "ada")
            kept = context.cookies()
            for name, show in SCREENS.items():
                if wanted and name not in wanted:
                    continue
                world.s3.reset()
                world.seed()
                context.clear_cookies()
                context.add_cookies(kept)  # type: ignore[arg-type]
                page = context.new_page()
                Jobs(page, world)
                page.on("dialog", lambda dialog: dialog.accept())
                show(page, world)
                page.wait_for_timeout(250)
                page.screenshot(path=OUT / f"{name}-{theme}-{size}.png")
                page.close()
            context.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        world = World(Path(folder))
        world.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        shoot(browser, world, set(sys.argv[1:]))
        browser.close()
        world.stop()


if __name__ == "__main__":
    main()
