"""
Pictures of every screen and state, in light and dark, wide and narrow: `python -m tests.ui.screenshots`.

They go to build/screenshots/, to be looked at. Names of screens as arguments draw only those.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tests.ui.conftest import ARGS, CHROMIUM, sign_in
from tests.ui.screens import SCREENS
from tests.ui.world import World

OUT = Path("build/screenshots")
SIZES: dict[str, ViewportSize] = {
    "1280": {"width": 1280, "height": 800},
    "360": {"width": 360, "height": 740},
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
