"""Objects that attack the page that shows them (UIS-1 to UIS-7)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Opener, Watch, row
from tests.ui.world import World

SCRIPT = "parent.bad = top.bad = self.bad = 1"
NAMES = [
    '"><img src=x onerror=bad=1>.txt',
    "<script>bad=1<script>",
    "javascript:bad=1",
    "a'b\"c`${bad=1}`.md",
    "\u202egnp.exe",
]


def test_uis_1_the_policy_is_the_whole_of_it(opened: Opener, world: World) -> None:
    """Scripts by path, nothing inline, Trusted Types."""
    page = opened("/ui/")
    answer = page.request.get("/ui/")
    policy = answer.headers["content-security-policy"]

    assert f"script-src {world.url}/ui/static/;" in policy
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", NAMES)
def test_uis_7_names_are_text(opened: Opener, world: World, name: str) -> None:
    """A name is drawn, never parsed: in the list, the pane, the menu, a dialog."""
    world.s3.put(
        "acme-team",
        f"odd/{name}",
        b"x",
        content_type="text/plain",
        x_amz_meta_evil="<img src=x onerror=bad=1>",
    )
    page = opened("/ui/b/team-data/odd/")
    page.locator(".row a").first.click()
    expect(page.locator(".pane h2")).to_be_visible()
    page.locator(".row").first.focus()
    page.keyboard.press("Delete")
    expect(page.get_by_role("dialog")).to_be_visible()

    assert page.evaluate("window.bad") is None
    assert page.locator("main script, main img, dialog img").count() == 0


def test_uis_7_names_are_text_wherever_work_is_told(opened: Opener, world: World) -> None:
    """Tray, failures, conflicts, the dialogs and list of shares, and what a visitor sees."""
    name = '"><img src=x onerror=bad=1><b>.txt'
    for folder in ("odd/", "odd/there/"):
        world.s3.put("acme-team", folder + name, b"x", content_type="text/html")
    refused = world.s3.bend(
        lambda s: s.method == "PUT", status=403, code="<img src=x onerror=bad=1>"
    )
    page = opened("/ui/b/team-data/odd/")

    def harmless() -> None:
        assert page.evaluate("window.bad") is None
        assert page.locator("#app script, #app img, dialog img, dialog b, .tray b").count() == 0

    row = page.locator(".row", has_text="onerror").first
    row.focus()
    page.keyboard.press("m")
    page.get_by_role("dialog").get_by_role("button", name="there/").click()
    page.get_by_role("dialog").get_by_role("button", name="Move here").click()
    expect(page.get_by_role("dialog")).to_contain_text("exist")
    harmless()
    page.get_by_role("dialog").get_by_role("button", name="Replace").click()
    page.locator(".transfer").get_by_role("button", name="Show").click()
    expect(page.get_by_role("dialog")).to_contain_text("onerror")
    harmless()
    page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).last.click()
    refused.times = 0
    row.focus()
    page.keyboard.press("s")
    harmless()
    page.get_by_role("dialog").get_by_role("button", name="Create and copy").click()
    link = page.get_by_role("dialog", name="The link is ready").locator("pre").inner_text()
    page.goto("/ui/shares")
    expect(page.get_by_role("rowheader").last).to_contain_text("onerror")
    harmless()
    page.goto(link)
    expect(page.get_by_role("heading")).to_have_text(name)
    assert page.locator("main img, main b >> nth=1").count() == 0


@pytest.mark.parametrize(
    ("name", "kind", "body"),
    [
        ("evil.html", "text/html", f"<script>{SCRIPT}</script>"),
        (
            "evil.svg",
            "image/svg+xml",
            f"<svg xmlns='http://www.w3.org/2000/svg'><script>{SCRIPT}</script></svg>",
        ),
        (
            "evil.xhtml",
            "application/xhtml+xml",
            f"<html xmlns='http://www.w3.org/1999/xhtml'><script>{SCRIPT}</script></html>",
        ),
        ("evil.jpg", "text/html", f"<script>{SCRIPT}</script>"),
        ("evil.txt", "text/html", f"<script>{SCRIPT}</script>"),
    ],
)
def test_uis_3_no_object_runs_on_our_origin(
    opened: Opener, watch: Watch, world: World, name: str, kind: str, body: str
) -> None:
    """Opened in the pane, in a frame or by itself: its script never runs."""
    world.s3.put("acme-team", name, body.encode(), content_type=kind)
    page = opened(f"/ui/b/team-data/{name}")
    expect(page.locator(".pane .facts-section").first).to_be_visible()
    watch.expect("Blocked script execution|sandbox|Framing|frame")
    page.evaluate(
        "name => new Promise(done => { const f = document.createElement('iframe'); f.src = '/team-data/' + name; f.onload = done; setTimeout(done, 1500); document.body.append(f); })",
        name,
    )

    assert page.evaluate("window.bad") is None


def test_uis_4_objects_are_no_scripts_styles_or_workers(
    opened: Opener, watch: Watch, world: World
) -> None:
    """An uploaded .js is refused as a script, a worker and a service worker."""
    world.s3.put("acme-team", "evil.js", SCRIPT.encode(), content_type="text/javascript")
    page = opened("/ui/b/team-data/")
    expect(row(page, "evil.js")).to_be_visible()
    watch.expect("Content Security Policy|TrustedScriptURL|Failed to")
    failed = page.evaluate(
        """async () => {
            const tries = [
                () => new Promise((ok, no) => { const s = document.createElement('script'); s.onload = ok; s.onerror = no; s.src = '/team-data/evil.js'; document.head.append(s); }),
                () => new Promise((ok, no) => { const w = new Worker('/team-data/evil.js'); w.onmessage = ok; w.onerror = no; }),
                () => navigator.serviceWorker.register('/team-data/evil.js'),
                () => import('/team-data/evil.js'),
            ];
            let failed = 0;
            for (const run of tries) { try { await run(); } catch { failed += 1; } }
            return failed;
        }"""
    )

    assert failed == 4
    assert page.evaluate("window.bad") is None


def test_uis_5_changes_need_the_header(opened: Opener, world: World) -> None:
    """A request that changes something without the proof of same origin is refused."""
    page = opened("/ui/b/team-data/")
    status = page.evaluate("fetch('/team-data/README.md', {method: 'DELETE'}).then(r => r.status)")

    assert status == 403
    assert "README.md" in world.s3.buckets["acme-team"]
