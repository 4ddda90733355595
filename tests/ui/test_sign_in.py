"""Signing in and out (UI-1, UI-2), and addresses that lead astray."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Opener, row, sign_in
from tests.ui.world import World


@pytest.mark.parametrize("scripts", [True, False])
def test_ui_1_sign_in_leads_to_the_provider_and_back(
    opened: Opener, world: World, scripts: bool
) -> None:
    """The same address, with its query; nothing of ours stands between; no JavaScript is needed."""
    page = opened("/ui/b/home/?sort=-size", person="", java_script_enabled=scripts)
    assert not page.url.startswith(world.url)
    page.locator("input[name=username]").fill("ada")
    page.locator("input[name=password]").fill("pw")
    page.locator("input[name=password]").press("Enter")

    page.wait_for_url(world.url + "/ui/b/home/?sort=-size")
    if scripts:
        expect(row(page, "hello.txt")).to_be_visible()
    else:
        expect(page.locator("main.noscript")).to_contain_text("The file browser needs JavaScript.")


@pytest.mark.parametrize(
    "target",
    [
        "//elsewhere.example/",
        "https://elsewhere.example/",
        "/\\elsewhere.example",
        "javascript:alert(1)",
    ],
)
def test_uis_7_a_hostile_next_stays_here(opened: Opener, world: World, target: str) -> None:
    """Whatever `next` says, the way back is a page of ours."""
    page = opened(f"/api/session/auth/?next={target}", person="", wait=False)
    page.locator("input[name=username]").fill("ada")
    page.locator("input[name=password]").fill("pw")
    page.locator("input[name=password]").press("Enter")

    page.wait_for_url(re.compile(re.escape(world.url) + "/ui/"))


def test_ui_2_sign_out_ends_every_tab(opened: Opener, world: World) -> None:
    """Back shows no row, the other tab leaves, the browser keeps nothing."""
    page = opened("/ui/b/home/", person="", wait=False)
    sign_in(page, world, "ada", "/ui/b/home/")
    expect(row(page, "hello.txt")).to_be_visible()
    other = page.context.new_page()
    other.goto("/ui/b/team-data/")
    expect(row(other, "README.md")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Account of")).click()
    page.get_by_role("menuitem", name="Sign out", exact=True).click()
    page.wait_for_url(re.compile("/ui/signed-out|logout"))
    other.wait_for_url(re.compile("/ui/signed-out"))

    page.goto("/ui/b/home/")

    expect(page.locator("form").first).to_be_attached()
    assert page.locator(".row").count() == 0


def test_uis_8_the_browser_keeps_no_secret(opened: Opener) -> None:
    """No token in storage, none in a cookie that scripts can read."""
    page = opened("/ui/b/home/")
    expect(row(page, "hello.txt")).to_be_visible()

    assert page.evaluate("document.cookie") == ""
    kept = page.evaluate("JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})")
    assert not re.search(r"eyJ|secret|token", kept)
