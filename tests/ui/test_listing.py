"""Lists: pages, order, places, freshness (UI-5 to UI-11, UI-42)."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Opener, row
from tests.ui.world import World

AWKWARD = [
    "a b+c%2F;=*~#?ü",
    "😀",
    "quo\"te'<i>",
    "x\u202ey.txt",
    " blank ",
    "back\\slash",
    "100%",
    "e\u0301.txt",
    "\u00e9.txt",
]


def lists(world: World) -> list[Any]:
    return [s for s in world.s3.seen if s.query.get("list-type") == "2"]


def names(page: Page) -> list[str]:
    """Names in the order they are drawn."""
    rows = page.locator(".row").evaluate_all(
        "rows => rows.map(r => [+r.ariaRowIndex || +r.getAttribute('aria-rowindex'), r.dataset.name])"
    )
    return [name for _, name in sorted(rows)]


def test_ui_5_a_long_folder_is_three_requests_and_draws_the_first_at_once(
    opened: Opener, world: World
) -> None:
    """2 500 keys are asked for in three pages; the first is on screen while the second is held back."""
    world.s3.fill("acme-team", (f"many/{n:05}.txt" for n in range(2500)))
    gate = threading.Event()
    world.s3.bend(lambda s: "continuation-token" in s.query, hold=gate)
    page = opened("/ui/b/team-data/many/")

    expect(row(page, "00000.txt")).to_be_visible()
    expect(page.locator(".count")).to_contain_text("1\u202f000 items…")
    gate.set()

    expect(page.locator(".count")).to_have_text("2\u202f500 items")
    asked = [s.query for s in lists(world) if s.query.get("prefix") == "many/"]
    assert len(asked) == 3
    assert all(q["delimiter"] == "/" for q in asked)


def test_ui_5_leaving_a_folder_aborts_its_request(opened: Opener, world: World) -> None:
    """Where nobody waits for the answer any more, the upstream sees the connection go."""
    world.s3.fill("acme-team", (f"many/{n:05}.txt" for n in range(2500)))
    gate = threading.Event()
    world.s3.bend(lambda s: "continuation-token" in s.query, hold=gate)
    page = opened("/ui/b/team-data/many/")
    expect(row(page, "00000.txt")).to_be_visible()
    with page.expect_event("requestfailed", lambda r: "continuation-token" in r.url):
        page.get_by_role("link", name="team-data").first.click()

    expect(row(page, "README.md")).to_be_visible()
    gate.set()


def test_ui_6_a_hundred_thousand_rows_are_a_few_elements(opened: Opener, world: World) -> None:
    """Whatever the offset, at most 500 elements are in the grid, and the indices are right."""
    world.s3.fill("acme-team", (f"many/{n:06}.bin" for n in range(100_000)))
    page = opened("/ui/b/team-data/many/")
    for loaded in range(20, 100, 20):
        expect(page.locator(".count")).to_have_text(
            f"{loaded}\u202f000 items loaded", timeout=30_000
        )
        page.get_by_role("button", name=re.compile("^Load 20")).click()
    expect(page.locator(".count")).to_have_text("100\u202f000 items", timeout=30_000)
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "100001")
    most = page.evaluate(
        """async () => {
            const view = document.querySelector('.viewport'); let most = 0;
            for (let i = 0; i <= 50; i += 1) {
                view.scrollTop = (view.scrollHeight - view.clientHeight) * i / 50;
                await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
                most = Math.max(most, document.querySelectorAll('.rows *').length);
            }
            return most;
        }"""
    )
    assert most <= 500

    page.locator(".row").first.focus()
    page.keyboard.press("End")

    expect(row(page, "099999.bin")).to_be_focused()
    expect(row(page, "099999.bin")).to_have_attribute("aria-rowindex", "100001")
    page.keyboard.press("Shift+PageUp")
    expect(page.locator(".chosen")).to_contain_text("selected")
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    expect(row(page, "000000.bin")).to_be_focused()
    page.mouse.move(600, 400)
    page.mouse.wheel(0, 36 * 5000)
    row(page, "005004.bin").locator("a").click()
    expect(page.locator(".pane h2")).to_have_text("005004.bin")


def test_ui_7_the_stream_pauses_at_twenty_thousand(opened: Opener, world: World) -> None:
    """No request goes on past the cap until it is asked for; the sort says what it applies to."""
    world.s3.fill("acme-team", (f"many/{n:06}.bin" for n in range(22_000)))
    page = opened("/ui/b/team-data/many/")
    banner = page.locator(".banner", has_text="items loaded, more exist")
    expect(banner).to_be_visible(timeout=20_000)
    assert len(lists(world)) == 20
    page.get_by_role("button", name=re.compile("^Sort")).click()
    page.get_by_role("menuitemradio", name="Largest first").click()
    expect(
        page.get_by_role("button", name=re.compile("Largest first · of 20.000 loaded"))
    ).to_be_visible()

    page.get_by_role("button", name=re.compile("^Load 20")).click()

    expect(page.locator(".count")).to_have_text("22\u202f000 items")


def test_ui_8_back_restores_place_offset_and_focus(opened: Opener, world: World) -> None:
    """Five levels down and back again: every place stands as it was left."""
    world.s3.fill("acme-team", [f"deep/{n:03}/{'a/b/c/d/'}x" for n in range(200)])
    page = opened("/ui/b/team-data/deep/")
    page.locator(".viewport").evaluate("v => v.scrollTop = 150 * 36")
    row(page, "155/").locator("a").click()
    for name in ("a/", "b/", "c/", "d/"):
        row(page, name).locator("a").click()
    expect(row(page, "x")).to_be_visible()

    for _ in range(5):
        page.go_back()

    expect(row(page, "155/")).to_be_focused()
    assert abs(page.locator(".viewport").evaluate("v => v.scrollTop") - 150 * 36) < 40


def test_ui_8_looking_into_a_file_leaves_the_list_where_it_is(opened: Opener, world: World) -> None:
    """The pane opens and closes beside row 155; the list does not jump, and its row keeps the focus."""
    world.s3.fill("acme-team", [f"flat/{n:03}" for n in range(200)])
    page = opened("/ui/b/team-data/flat/")
    expect(row(page, "000")).to_be_visible()
    view = page.locator(".viewport")
    view.evaluate("v => v.scrollTop = 150 * 36")
    row(page, "155").locator("a").click()
    expect(page.locator(".pane h2")).to_have_text("155")
    assert view.evaluate("v => v.scrollTop") == 150 * 36
    row(page, "155").focus()
    page.keyboard.press("Space")
    expect(page.locator(".pane")).to_have_count(0)
    assert view.evaluate("v => v.scrollTop") == 150 * 36

    page.keyboard.press("ArrowDown")

    expect(row(page, "156")).to_be_focused()


@pytest.mark.parametrize("name", AWKWARD)
def test_ui_8_awkward_keys_go_through_the_address_bar(
    opened: Opener, world: World, name: str
) -> None:
    """A link to any key opens its pane; the name is drawn whole."""
    world.s3.put("acme-team", f"odd/{name}", b"odd content", content_type="text/plain")
    page = opened("/ui/b/team-data/odd/")
    page.locator(".row a").first.click()
    expect(page.locator(".pane")).to_contain_text("odd content")

    page.goto(page.url)

    expect(page.locator(".pane")).to_contain_text("odd content")
    assert page.locator(".row").get_attribute("data-name") == name


def test_ui_8_names_that_no_address_can_hold_say_so(opened: Opener, world: World) -> None:
    """A segment of dots is normalised away by browsers: opening is off."""
    world.s3.put("acme-team", "dots/../x.txt", b"")
    page = opened("/ui/b/team-data/dots/")

    expect(row(page, "../").get_by_text("no address")).to_be_visible()
    expect(row(page, "../").locator("a")).to_have_count(0)
    row(page, "../").locator(".label").click()

    expect(page.get_by_text("A browser cannot address a name")).to_be_visible()
    assert page.url.endswith("/dots/")


def test_ui_8_twins_are_marked(opened: Opener, world: World) -> None:
    """Two names that look the same carry a badge each."""
    world.s3.fill("acme-team", ["odd/e\u0301.txt", "odd/\u00e9.txt"])
    page = opened("/ui/b/team-data/odd/")

    expect(page.locator(".badge", has_text="looks alike")).to_have_count(2)


def test_ui_9_third_click_returns_to_key_order(opened: Opener, world: World) -> None:
    """Ascending, descending, key order; digits count as numbers; the address keeps the sort."""
    world.s3.fill("acme-team", ["s/f10", "s/f9", "s/f1"])
    page = opened("/ui/b/team-data/s/")
    header = page.get_by_role("columnheader", name="Name").get_by_role("button")
    header.click()
    expect(page.locator(".row").first).to_be_visible()
    assert names(page) == ["f1", "f9", "f10"]
    assert "sort=name" in page.url
    header.click()
    assert names(page) == ["f10", "f9", "f1"]
    header.click()

    assert names(page) == ["f1", "f10", "f9"]
    assert "sort=" not in page.url


def test_ui_9_a_long_sort_happens_in_a_worker(opened: Opener, world: World) -> None:
    """Over 10 000 rows the order comes from a worker that the policy permits."""
    world.s3.fill("acme-team", (f"many/{n:06}.bin" for n in range(12_000)))
    page = opened("/ui/b/team-data/many/?sort=-name")

    expect(row(page, "011999.bin")).to_be_visible(timeout=15_000)


def test_ui_10_filtering_asks_nothing(opened: Opener, world: World) -> None:
    """Typing narrows loaded rows, and offers to ask for keys that begin so."""
    world.s3.fill("acme-team", [f"f/{n:03}.txt" for n in range(50)])
    page = opened("/ui/b/team-data/f/")
    expect(row(page, "001.txt")).to_be_visible()
    before = len(lists(world))
    row(page, "000.txt").focus()
    page.keyboard.press("/")
    page.keyboard.type("04")
    expect(page.locator(".row")).to_have_count(11)
    assert len(lists(world)) == before
    page.keyboard.type("zz")

    expect(page.get_by_text("No loaded name contains ‘04zz’.")).to_be_visible()
    page.get_by_role("button", name="Keys starting with ‘04zz’").click()
    expect(page.get_by_text("No name here starts with ‘04zz’.")).to_be_visible()
    assert "starts=04zz" in page.url


def test_ui_11_jump_finds_a_key_among_a_hundred_thousand(opened: Opener, world: World) -> None:
    """Ctrl+K, a name, Enter: three requests at most."""
    world.s3.fill("acme-team", (f"many/{n:06}.bin" for n in range(100_000)))
    page = opened("/ui/b/home/")
    expect(row(page, "hello.txt")).to_be_visible()
    before = len(lists(world))
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("s3://team-data/many/0777")
    expect(page.get_by_role("option", name="many/077700.bin")).to_be_visible()
    page.keyboard.press("Enter")

    expect(row(page, "077700.bin")).to_be_visible()
    assert len(lists(world)) - before <= 3


def test_ui_42_own_changes_leave_the_order_as_it_was(opened: Opener) -> None:
    """Folders still stand first after a rename, and while the place is asked again."""
    page = opened("/ui/b/team-data/reports/2026/")
    row(page, "q3.csv").focus()
    page.keyboard.press("F2")
    page.keyboard.type("sales")
    page.keyboard.press("Enter")
    expect(row(page, "sales.csv")).to_be_focused()

    assert names(page) == ["january/", "budget.xlsx", "notes.txt", "q3.json", "sales.csv"]
    page.get_by_role("button", name="Refresh").click()
    assert names(page)[0] == "january/"


def test_ui_42_another_tabs_change_is_seen(opened: Opener, world: World) -> None:
    """What one tab changes, another of the same browser shows."""
    page = opened("/ui/b/team-data/reports/2026/")
    other = page.context.new_page()
    other.goto("/ui/b/team-data/reports/2026/")
    expect(row(other, "notes.txt")).to_be_visible()
    row(page, "notes.txt").focus()
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Delete", exact=True).last.click()
    expect(row(page, "notes.txt")).to_have_count(0)

    expect(row(other, "notes.txt")).to_have_count(0)


def test_ui_41_what_the_line_refused_comes_by_itself_when_it_is_back(opened: Opener) -> None:
    """Offline says so once; online again, list and pane fill without a click, and no banner is left."""
    page = opened("/ui/b/team-data/reports/2026/")
    expect(row(page, "notes.txt")).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline.").first).to_be_visible()
    row(page, "notes.txt").locator("a").click()
    expect(page.get_by_text("could not be loaded")).to_be_visible()
    row(page, "notes.txt").focus()
    page.keyboard.press("F2")
    expect(page.locator(".toast", has_text="could not be loaded")).to_be_visible()
    page.get_by_role("link", name="reports", exact=True).click()
    page.go_back()

    page.context.set_offline(False)

    expect(page.locator(".pane")).to_contain_text("First line")
    expect(page.locator(".banner")).to_have_count(0)
