"""The pictures of docs/images, drawn of the page as it is: `python -m tests.ui.pictures`."""

from __future__ import annotations

import math
import struct
import tempfile
import zlib
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from tests.ui.conftest import ARGS, CHROMIUM, row, sign_in
from tests.ui.screens import Show, drop, settled
from tests.ui.world import World

OUT = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDE: ViewportSize = {"width": 1280, "height": 720}
PHONE: ViewportSize = {"width": 360, "height": 640}
PLACE = "reports/2026/"

SALES = b"region,month,orders,revenue\n" + b"".join(
    f"{region},{month},{orders},{orders * 41.5:.2f}\n".encode()
    for region, orders in (("north", 1204), ("south", 983), ("east", 1431), ("west", 772))
    for month in ("July", "August", "September")
)


def furnish(world: World) -> None:
    """A folder as a person would have it."""
    world.seed()
    for name, kind, size in (
        ("budget.xlsx", "application/vnd.ms-excel", 54_982),
        ("q3.parquet", "application/vnd.apache.parquet", 7_664_102),
        ("minutes.md", "text/markdown", 3_120),
        ("forecast.ipynb", "application/json", 48_210),
        ("figures.pdf", "application/pdf", 1_204_882),
        ("interview.m4a", "audio/mp4", 31_457_280),
    ):
        world.s3.put("acme-team", PLACE + name, b"", content_type=kind)
        world.s3.buckets["acme-team"][PLACE + name].size = size
    for name in ("notes.txt", "q3.json"):
        world.s3.drop("acme-team", PLACE + name)
    world.s3.drop("acme-team", "pictures/dot.png")
    for folder in ("april/", "february/", "march/"):
        world.s3.put("acme-team", f"{PLACE}{folder}summary.txt", b"1")
    world.s3.put("acme-team", PLACE + "q3.csv", SALES, content_type="text/csv")
    for n in range(14):
        name = f"pictures/field-{n + 1:02}.png"
        world.s3.put("acme-team", name, landscape(n), content_type="image/png")


def landscape(seed: int, width: int = 240, height: int = 150) -> bytes:
    """Hills under a sky, as a PNG."""
    sky = (120 + seed * 9 % 110, 170 - seed * 5 % 60, 215)
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            colour = tuple(min(255, c + y // 3) for c in sky)
            for layer in range(3):
                wave = math.sin(x / (26 + 11 * layer) + seed * (layer + 2)) * (20 - 4 * layer)
                if y > height * (0.5 + 0.17 * layer) + wave:
                    colour = (70 - 18 * layer, 120 - 22 * layer + seed * 3 % 30, 90 - 20 * layer)
            rows += bytes(colour)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def browser(page: Page, world: World) -> None:
    settled(page, f"/ui/b/team-data/{PLACE}")
    row(page, "q3.csv").locator("a").click()
    expect(page.locator(".view-table")).to_be_visible()
    page.wait_for_load_state("networkidle")


def tiles(page: Page, world: World) -> None:
    settled(page, "/ui/b/team-data/pictures/")
    page.get_by_role("button", name="Tiles").click()
    row(page, "field-03.png").locator(".check").click()
    row(page, "field-04.png").locator(".check").click()
    page.wait_for_load_state("networkidle")


def share(page: Page, world: World) -> None:
    settled(page, f"/ui/b/team-data/{PLACE}")
    row(page, "q3.csv").focus()
    page.keyboard.press("s")
    expect(page.get_by_role("dialog")).to_be_visible()


def keys(page: Page, world: World) -> None:
    settled(page, "/ui/keys")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("textbox", name="Name").fill("laptop")
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    page.get_by_role("tab", name="rclone").click()


def transfers(page: Page, world: World) -> None:
    settled(page, f"/ui/b/team-data/{PLACE}")
    world.s3.bend(
        lambda s: s.method == "PUT" and s.path.endswith("draft.docx"), status=403, code="AccessDenied"
    )  # fmt: skip
    drop(page, ["photo-1.jpg", "photo-2.jpg", "draft.docx", "photo-3.jpg"])
    expect(page.locator(".headline")).to_contain_text("1 failed")


def refused(page: Page, world: World) -> None:
    settled(page, "/ui/b/payroll/2026/")


def phone(page: Page, world: World) -> None:
    settled(page, f"/ui/b/team-data/{PLACE}")


PICTURES: dict[str, tuple[Show, ViewportSize]] = {
    "browser": (browser, WIDE),
    "tiles": (tiles, WIDE),
    "share": (share, WIDE),
    "keys": (keys, WIDE),
    "transfers": (transfers, WIDE),
    "refused": (refused, {"width": 1280, "height": 300}),
    "phone": (phone, PHONE),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        world = World(Path(folder))
        world.start()
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        signed_in = chromium.new_context()
        sign_in(signed_in.new_page(), world, "ada")
        cookies = signed_in.cookies()
        for name, (show, viewport) in PICTURES.items():
            world.s3.reset()
            furnish(world)
            context = chromium.new_context(
                base_url=world.url, viewport=viewport, reduced_motion="reduce"
            )
            context.add_cookies(cookies)  # type: ignore[arg-type]
            page = context.new_page()
            show(page, world)
            page.wait_for_timeout(300)
            page.screenshot(path=OUT / f"{name}.png")
            context.close()
        chromium.close()
        world.stop()


if __name__ == "__main__":
    main()
