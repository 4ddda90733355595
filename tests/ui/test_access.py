"""Accessible: axe, keyboard, contrast, reflow (UIA-1 to UIA-8, UI-38 to UI-40)."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, ViewportSize, expect

from tests.ui.conftest import Opener, row
from tests.ui.screens import SCREENS
from tests.ui.world import World

AXE = (files("axe_core_python") / "axe.min.js").read_text("utf-8")
STATIC = Path(__file__).resolve().parents[2] / "gateway" / "ui" / "static"
SIZES: dict[str, ViewportSize] = {
    "wide": {"width": 1280, "height": 800},
    "phone": {"width": 360, "height": 740},
}


WCAG: dict[str, object] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
}
CONTRAST: dict[str, object] = {
    "runOnly": {"type": "rule", "values": ["color-contrast"]},
    "resultTypes": ["violations"],
}
"""A theme changes colours only: structure is examined once for each width."""

SMALL = """() => [...document.querySelectorAll('button, select, summary, input, [role="option"]')]
    .filter(node => node.checkVisibility({visibilityProperty: true}) && !node.closest('.hidden, .picker'))
    .map(node => (node.matches('input') && node.closest('label, .check')) || node)
    .map(node => [node.outerHTML.slice(0, 120), node.getBoundingClientRect()])
    .filter(([, {width, height}]) => width && height && (width < 24 || height < 24))
    .map(([html, {width, height}]) => `${width.toFixed(0)} x ${height.toFixed(0)}: ${html}`)"""


def findings(page: Page, options: dict[str, object]) -> list[str]:
    """Serious findings of axe, each with where it is."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    result = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{v['id']}: {v['help']}: {n['html'][:160]}: {n.get('failureSummary', '')[:200]}"
        for v in result["violations"]
        if v["impact"] in {"serious", "critical"}
        for n in v["nodes"][:4]
    ]


@pytest.mark.parametrize("screen", list(SCREENS))
def test_uia_axe_finds_nothing_serious(opened: Opener, world: World, screen: str) -> None:
    """Every screen and state, in light and dark, wide and on a phone; targets have 24 px (UIA-4)."""
    page = opened("", person="ada", wait=False)
    page.on("dialog", lambda dialog: dialog.accept())
    SCREENS[screen](page, world)
    found = {}
    for size, viewport in SIZES.items():
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme="light")
        found[size, "light"] = findings(page, WCAG)
        found[size, "targets"] = page.evaluate(SMALL)
        page.emulate_media(color_scheme="dark")
        found[size, "dark"] = findings(page, CONTRAST)

    assert {where: rows for where, rows in found.items() if rows} == {}


def channels(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def luminance(colour: str) -> float:
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, two: str) -> float:
    a, b = sorted((luminance(one), luminance(two)), reverse=True)
    return (a + 0.05) / (b + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_uia_the_tokens_keep_their_contrast(theme: int) -> None:
    """Text has 4.5:1 on every surface it stands on, lines have 3:1."""
    text = (STATIC / "css" / "tokens.css").read_text("utf-8")
    found = {
        m[1]: m.groups()[1:]
        for m in re.finditer(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", text)
    }
    colours = {name: pair[theme] for name, pair in found.items()}
    surfaces = ["bg", "subtle", "hover", "selected"]

    weak = [
        (name, surface, round(contrast(colours[name], colours[surface]), 2))
        for name in ("text", "muted", "accent", "danger", "warn", "ok")
        for surface in surfaces
        if contrast(colours[name], colours[surface]) < 4.5
    ]
    weak += [
        (name, f"{name}-bg", 0)
        for name in ("danger", "warn", "ok")
        if contrast(colours[name], colours[f"{name}-bg"]) < 4.5
    ]
    weak += [("line", s, 0) for s in surfaces if contrast(colours["line"], colours[s]) < 3]
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert not weak


def test_ui_38_the_theme_is_kept_without_a_flash(opened: Opener) -> None:
    """Dark chosen on a light system is dark before anything is painted."""
    page = opened("/ui/", color_scheme="light")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitemradio", name="Dark").click()
    assert (
        page.evaluate("getComputedStyle(document.body).getPropertyValue('color')")
        == "rgb(230, 234, 240)"
    )

    page.reload(wait_until="commit")

    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")


def test_ui_39_a_file_is_found_opened_and_left_by_keys(opened: Opener, world: World) -> None:
    """Ctrl+K, Enter, Space, arrows, Esc; the focus is where the eye is."""
    page = opened("/ui/")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("team-data/reports/2026/not")
    expect(page.get_by_role("option", name="notes.txt")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".pane h2")).to_have_text("notes.txt")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    row(page, "notes.txt").focus()
    page.keyboard.press("Escape")
    expect(page.locator(".pane")).to_have_count(0)
    expect(row(page, "notes.txt")).to_be_focused()
    page.keyboard.press("Alt+ArrowUp")
    expect(row(page, "2026/")).to_be_focused()
    page.keyboard.press("Shift+F10")
    expect(page.get_by_role("menuitem", name="Open")).to_be_focused()
    page.keyboard.press("Escape")

    expect(row(page, "2026/")).to_be_focused()


def test_ui_39_what_is_typed_ahead_of_a_dialog_goes_into_it(opened: Opener, world: World) -> None:
    """Letters behind F2 or Ctrl+K are the name, however late the dialog comes, and no keys of the list."""
    page = opened("/ui/b/team-data/reports/2026/")

    def slowly(route: Route) -> None:
        page.wait_for_timeout(300)  # milliseconds
        route.continue_()

    page.route("**/dialogs/*.js", slowly)
    row(page, "notes.txt").focus()
    page.keyboard.press("F2")
    page.keyboard.type("renamed")
    expect(page.get_by_role("textbox", name="Name")).to_have_value("renamed.txt")
    page.keyboard.press("Enter")
    expect(row(page, "renamed.txt")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("team-data/code/")

    expect(page.get_by_role("combobox")).to_have_value("team-data/code/")


def test_uia_8_letters_can_be_switched_off(opened: Opener) -> None:
    """Single letters act only in the list, and only where they are wanted."""
    page = opened("/ui/b/team-data/reports/2026/")
    page.get_by_role("button", name=re.compile("^Account of")).click()
    page.get_by_role("menuitemcheckbox", name="Single-letter keys").click()
    row(page, "notes.txt").focus()
    page.keyboard.press("n")

    expect(page.get_by_role("dialog")).to_have_count(0)


def test_ui_40_nothing_scrolls_sideways_on_a_phone(opened: Opener) -> None:
    """320 CSS pixels, every page; the rail is a sheet."""
    page = opened("/ui/", viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    for path in (
        "/ui/",
        "/ui/b/team-data/reports/2026/",
        "/ui/b/team-data/reports/2026/q3.csv",
        "/ui/keys",
    ):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    page.goto("/ui/b/team-data/reports/2026/")
    page.get_by_role("button", name="Locations").tap()
    page.get_by_role("navigation", name="Locations").get_by_role("link", name="home").tap()

    expect(row(page, "hello.txt")).to_be_visible()


def test_ui_39_the_journeys_need_no_pointer(opened: Opener, world: World) -> None:
    """J5, J7, J9: look through files, share one, rename, move neighbours, delete; every focus is where work goes on."""
    page = opened("/ui/b/team-data/reports/2026/")
    row(page, "notes.txt").focus()
    page.keyboard.press("Space")
    expect(page.locator(".pane h2")).to_have_text("notes.txt")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".pane h2")).to_have_text("q3.csv")
    page.keyboard.press("Space")
    expect(page.locator(".pane")).to_have_count(0)

    page.keyboard.press("s")
    expect(page.get_by_role("button", name="Create and copy")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="The link is ready")).to_be_visible()
    page.keyboard.press("Escape")
    expect(row(page, "q3.csv")).to_be_focused()

    page.keyboard.press("F2")
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    page.keyboard.type("sales")
    page.keyboard.press("Enter")
    expect(row(page, "sales.csv")).to_be_focused()

    row(page, "budget.xlsx").focus()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("m")
    expect(page.get_by_role("dialog", name="Move 2 items")).to_be_visible()
    page.keyboard.type("january/")
    expect(page.get_by_role("button", name=re.compile("^Move.*here"))).to_be_enabled()
    page.keyboard.press("Control+Enter")
    expect(row(page, "notes.txt")).to_have_count(0)
    assert "reports/2026/january/notes.txt" in world.s3.buckets["acme-team"]

    row(page, "q3.json").focus()
    page.keyboard.press("Delete")
    expect(page.get_by_role("dialog").get_by_role("button", name="Delete")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row(page, "q3.json")).to_have_count(0)
    expect(row(page, "sales.csv")).to_be_focused()


def test_ui_39_a_key_is_made_without_a_pointer(opened: Opener) -> None:
    """J8: account menu, Access keys, Create, Copy."""
    page = opened("/ui/")
    page.get_by_role("button", name=re.compile("^Account of")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Access keys")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Create")).to_be_visible()
    page.get_by_role("button", name="Create").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    page.keyboard.type("laptop")
    page.keyboard.press("Enter")

    expect(page.get_by_text("This secret is shown once.")).to_be_visible()
    page.get_by_role("tab", name="keyless").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="aws cli")).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_contain_text("aws configure set")


def test_uia_3_one_polite_region_tells_what_happened(opened: Opener) -> None:
    """Items, selection and filter are said once each; a refusal is said at once."""
    page = opened("/ui/b/team-data/reports/2026/")
    polite = page.locator('[aria-live="polite"][role="status"]')
    expect(polite).to_have_count(1)
    expect(polite).to_have_text("5 items")
    row(page, "notes.txt").focus()
    page.keyboard.press("Control+Space")
    expect(polite).to_contain_text("1 selected, 460 B")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("q3")
    expect(polite).to_contain_text("2 names")
    page.goto("/ui/b/nothing-here/")

    expect(page.locator('[aria-live="assertive"]')).to_contain_text("You need list")


def test_uia_7_motion_stops_where_that_is_wished(opened: Opener) -> None:
    """Nothing moves under prefers-reduced-motion; otherwise transitions have 120 ms."""
    motion = "getComputedStyle(document.documentElement).getPropertyValue('--motion').trim()"
    page = opened("/ui/b/team-data/", reduced_motion="no-preference")
    assert page.evaluate(motion) == "120ms"

    page.emulate_media(reduced_motion="reduce")

    assert page.evaluate(motion) == "0ms"
    assert page.evaluate("document.getAnimations().length") == 0


def test_ui_38_forced_colours_leave_the_page_usable(opened: Opener) -> None:
    """Buttons keep a border, and the focused row an outline."""
    page = opened("/ui/b/team-data/reports/2026/", forced_colors="active")
    row(page, "notes.txt").focus()
    page.keyboard.press("ArrowDown")

    assert row(page, "q3.csv").evaluate("row => getComputedStyle(row).outlineStyle") == "solid"
    folder = page.get_by_role("button", name="Folder")
    assert folder.evaluate("button => getComputedStyle(button).borderStyle") == "solid"
