"""Chromium, the gateway it talks to, and what makes any test fail: a violation, an error, another host."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.ui.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-dev-shm-usage",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/ui/" in str(item.path):
            item.add_marker(pytest.mark.ui)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[None]:
    """Here the tests block and the gateway runs in a thread of its own."""
    yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("gateway"))
    world.start()
    yield world
    world.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


class Watch:
    """What a page must not do."""

    def __init__(self, home: str) -> None:
        self.home = urlsplit(home).netloc
        self.allowed: set[str] = {self.home}
        self.errors: list[str] = []
        self.expected: list[re.Pattern[str]] = []

    def expect(self, pattern: str) -> None:
        """Console messages that a test causes on purpose."""
        self.expected.append(re.compile(pattern))

    def follow(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("request", lambda request: self._asked(request.url))

    def _said(self, kind: str, text: str) -> None:
        if kind != "error" or re.match(
            r"Failed to load resource: (the server responded|net::ERR)", text
        ):
            return
        self.errors.append(text)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws"} and parts.netloc not in self.allowed:
            self.errors.append(f"asked another host: {url}")

    def check(self) -> None:
        left = [e for e in self.errors if not any(p.search(e) for p in self.expected)]
        assert not left, left


@pytest.fixture
def watch(world: World) -> Iterator[Watch]:
    watch = Watch(world.url)
    assert world.idp is not None
    watch.allowed |= {urlsplit(world.idp.issuer).netloc, urlsplit(world.idp.domain).netloc}
    yield watch
    watch.check()


@pytest.fixture(scope="session")
def cookies(world: World, browser: Browser) -> Callable[[str], list[Any]]:
    """The session cookies of a person, from one sign-in."""
    kept: dict[str, list[Any]] = {}

    def of(person: str) -> list[Any]:
        if person not in kept:
            context = browser.new_context()
            page = context.new_page()
            sign_in(page, world, person)
            kept[person] = [c for c in context.cookies() if "session" in c["name"]]
            context.close()
        return kept[person]

    return of


def sign_in(page: Page, world: World, person: str, path: str = "/ui/") -> None:
    page.goto(world.url + path)
    page.locator("input[name=username]").fill(person)
    page.locator("input[name=password]").fill("pw")
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(re.compile(re.escape(world.url)))


Opener = Callable[..., Page]


@pytest.fixture
def opened(
    world: World, browser: Browser, watch: Watch, cookies: Callable[[str], list[Any]]
) -> Iterator[Opener]:
    """Opens a path of the page as somebody who is signed in."""
    world.s3.reset()
    world.seed()
    contexts: list[BrowserContext] = []

    def open_page(
        path: str = "/ui/", person: str = "ada", *, wait: bool = True, **options: Any
    ) -> Page:
        settings: dict[str, Any] = {
            "viewport": {"width": 1280, "height": 800},
            "reduced_motion": "reduce",
            **options,
        }
        context = browser.new_context(base_url=world.url, **settings)
        context.set_default_timeout(10_000)
        contexts.append(context)
        if person:
            context.add_cookies(cookies(person))
        page = context.new_page()
        watch.follow(page)
        page.goto(path)
        if wait and person:
            expect(page.locator(".frame")).to_be_visible()
        return page

    yield open_page
    for context in contexts:
        context.close()
    world.s3.reset()


def row(page: Page, name: str) -> Any:
    return page.locator(f'.row[data-name="{name}"]')


expect.set_options(timeout=8_000)
