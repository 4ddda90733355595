"""Looking into objects (UI-27 to UI-34, UI-50, UI-53)."""

from __future__ import annotations

import gzip

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Opener, row
from tests.ui.world import World


def test_ui_27_a_picture_is_an_img(opened: Opener) -> None:
    """Fit and 100 %, by the browser's own decoder."""
    page = opened("/ui/b/team-data/pictures/dot.png")

    image = page.locator(".view-image img")
    expect(image).to_be_visible()
    assert image.evaluate("i => i.decode().then(() => i.naturalWidth)") == 64
    page.get_by_role("button", name="100 %").click()
    assert image.evaluate("i => i.clientWidth") == 64


def test_ui_27_an_svg_runs_no_script(opened: Opener, world: World) -> None:
    """SVG is shown by <img> only, where its script cannot run."""
    evil = b"<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'><script>parent.bad = 1</script><rect width='40' height='40'/></svg>"
    world.s3.put("acme-team", "evil.svg", evil, content_type="image/svg+xml")
    page = opened("/ui/b/team-data/evil.svg")

    expect(page.locator(".view-image img")).to_be_visible()
    assert page.evaluate("window.bad") is None


def test_ui_30_text_comes_by_the_mebibyte(opened: Opener, world: World) -> None:
    """The first MiB by Range, and more when asked."""
    world.s3.put("acme-team", "big.txt", b"0123456789abcde\n" * 200_000, content_type="text/plain")
    page = opened("/ui/b/team-data/big.txt")
    expect(page.get_by_text("Showing the first 1.00 MiB of 3.05 MiB.")).to_be_visible()
    assert [s.headers["range"] for s in world.s3.asked("GET") if "range" in s.headers] == [
        "bytes=0-1048575"
    ]

    page.get_by_role("button", name="Load more").click()

    expect(page.get_by_text("Showing the first 2.00 MiB")).to_be_visible()


@pytest.mark.parametrize(
    ("body", "words", "charset"),
    [
        ("Grüße".encode(), "Grüße", "UTF-8"),
        ("Grüße".encode("utf-16"), "Grüße", "UTF-16"),
        ("Grüße".encode("latin-1"), "Grüße", "Latin-1"),
    ],
)
def test_ui_30_charsets_are_found_and_named(
    opened: Opener, world: World, body: bytes, words: str, charset: str
) -> None:
    """UTF-8, UTF-16 by its mark, else Latin-1, which is said."""
    world.s3.put("acme-team", "a.txt", body, content_type="text/plain")
    page = opened("/ui/b/team-data/a.txt")

    expect(page.locator(".view-text")).to_contain_text(words)
    expect(page.locator(".view-bar")).to_contain_text(charset)


def test_ui_30_code_is_highlighted_and_binary_is_not_shown(opened: Opener, world: World) -> None:
    """The highlighter's tree becomes elements; NUL bytes end the preview."""
    world.s3.put("acme-team", "code/bin.txt", b"a\0b", content_type="text/plain")
    page = opened("/ui/b/team-data/code/app.py")
    expect(page.locator(".hl-keyword", has_text="def")).to_be_visible()
    expect(page.locator(".hl-comment")).to_have_text("# a comment")

    page.goto("/ui/b/team-data/code/bin.txt")

    expect(page.get_by_text("This is a binary file.")).to_be_visible()


def test_ui_30_compressed_text_is_inflated(opened: Opener, world: World) -> None:
    """A .gz is read from its start, since a range of it cannot be decoded."""
    world.s3.put(
        "acme-team",
        "log.txt.gz",
        gzip.compress(b"inflated words\n" * 50),
        content_type="application/gzip",
    )
    page = opened("/ui/b/team-data/log.txt.gz")

    expect(page.locator(".view-text")).to_contain_text("inflated words")


def test_ui_31_markdown_is_rendered_and_its_html_is_text(opened: Opener) -> None:
    """Raw HTML stays text, pictures of the bucket are shown, links lead to the page."""
    page = opened("/ui/b/team-data/README.md")
    doc = page.locator(".view-doc")

    expect(doc.get_by_role("heading", name="Team data")).to_be_visible()
    expect(doc).to_contain_text('<b onclick="x()">this</b>')
    expect(doc.locator("img")).to_have_attribute("src", "/team-data/pictures/dot.png")
    expect(doc.get_by_role("link", name="the report")).to_have_attribute(
        "href", "/ui/b/team-data/reports/2026/notes.txt"
    )


HOSTILE = b"""<img src=x onerror="parent.bad=1"><script>bad=1</script>
[click](javascript:bad=1) [also](JaVaScRiPt:bad=1 "t") ![x](javascript:bad=1) ![out](https://elsewhere.example/x.png)
<svg onload=bad=1> <iframe srcdoc="<script>bad=1</script>"> ![a](x" onerror="bad=1)
<style>*{display:none}</style> [d](data:text/html,<script>bad=1</script>)
"""


def test_ui_31_hostile_markdown_raises_no_report(opened: Opener, world: World) -> None:
    """Nothing runs, nothing is fetched from outside, no violation is reported."""
    world.s3.put("acme-team", "evil.md", HOSTILE, content_type="text/markdown")
    page = opened("/ui/b/team-data/evil.md")

    expect(page.locator(".view-doc")).to_contain_text("click")
    assert page.evaluate("window.bad") is None
    assert (
        page.locator(
            ".view-doc a[href^='javascript'], .view-doc a[href^='data'], .view-doc script, .view-doc svg, .view-doc style"
        ).count()
        == 0
    )
    expect(page.locator(".view-doc a", has_text="out")).to_have_attribute(
        "rel", "noopener noreferrer"
    )


def test_ui_32_a_table_keeps_quotes_and_breaks(opened: Opener) -> None:
    """Quotes with line breaks stand in one field, and the delimiter can be changed."""
    page = opened("/ui/b/team-data/reports/2026/q3.csv")

    expect(page.locator(".view-table thead th").nth(3)).to_have_text("comment")
    expect(page.locator(".view-table tbody tr")).to_have_count(60)
    expect(page.locator(".view-table tbody tr").first.locator("td").nth(2)).to_have_text(
        'a "quoted", one with a break 0'
    )
    page.get_by_label("Delimiter").select_option(";")
    expect(page.locator(".view-table thead th")).to_have_count(2)


def test_ui_33_big_integers_stay_exact(opened: Opener, world: World) -> None:
    """The tree shows numbers as they are written; a fault is named with its place."""
    world.s3.put("acme-team", "broken.json", b'{"a": 1,\n "b": }', content_type="application/json")
    page = opened("/ui/b/team-data/reports/2026/q3.json")
    expect(page.locator(".view-tree")).to_contain_text("12345678901234567890")

    page.goto("/ui/b/team-data/broken.json")

    expect(page.get_by_text("line 2, column 7")).to_be_visible()


def test_ui_34_details_show_metadata_as_text(opened: Opener) -> None:
    """Hostile metadata is text; each value has a button that copies it."""
    page = opened("/ui/b/team-data/reports/2026/notes.txt")
    pane = page.locator(".pane")

    expect(pane).to_contain_text("<b>bold</b>")
    expect(pane.get_by_role("button", name="Copy etag")).to_be_visible()
    expect(pane).to_contain_text("s3://team-data/reports/2026/notes.txt")


def test_ui_34_an_empty_object_is_never_asked_by_range(opened: Opener, world: World) -> None:
    """A range of nothing is an error; nothing is asked."""
    world.s3.put("acme-team", "empty.txt", b"", content_type="text/plain")
    page = opened("/ui/b/team-data/empty.txt")

    expect(page.get_by_text("The file is empty.")).to_be_visible()
    assert not [s for s in world.s3.seen if "range" in s.headers]


def test_ui_34_the_pane_follows_and_the_full_view_has_neighbours(opened: Opener) -> None:
    """Space opens, arrows follow, Enter fills the page, Esc comes back."""
    page = opened("/ui/b/team-data/reports/2026/")
    row(page, "notes.txt").focus()
    page.keyboard.press("Space")
    expect(page.locator(".pane h2")).to_have_text("notes.txt")
    row(page, "notes.txt").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".pane h2")).to_have_text("q3.csv")
    page.keyboard.press("Enter")
    expect(page.locator(".pane.full h2")).to_have_text("q3.csv")
    assert "view=full" in page.url
    page.keyboard.press("ArrowRight")
    expect(page.locator(".pane.full h2")).to_have_text("q3.json")
    page.keyboard.press("Escape")

    expect(page.locator(".pane.full")).to_have_count(0)
    expect(page.locator(".pane h2")).to_have_text("q3.json")


def test_ui_53_an_edit_is_saved_unless_somebody_was_faster(opened: Opener, world: World) -> None:
    """PUT with If-Match; 412 offers to overwrite or to keep both."""
    page = opened("/ui/b/team-data/reports/2026/notes.txt")
    page.locator(".view-bar").get_by_role("button", name="Edit").click()
    page.get_by_label("Content of notes.txt").fill("mine")
    world.s3.put("acme-team", "reports/2026/notes.txt", b"theirs", content_type="text/plain")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".pane .banner", has_text="Somebody changed this file")).to_be_visible()

    page.get_by_role("button", name="Keep mine as a copy").click()

    expect(row(page, "notes (2).txt")).to_be_visible()
    assert world.s3.body("acme-team", "reports/2026/notes (2).txt") == b"mine"
    assert world.s3.body("acme-team", "reports/2026/notes.txt") == b"theirs"
