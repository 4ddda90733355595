"""What the page weighs, and that it is what it says (UIP-1 to UIP-3, UIS-1, UIS-2)."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from playwright.sync_api import expect

from tests.ui.conftest import Opener, row
from tests.ui.world import World

STATIC = Path(__file__).resolve().parents[2] / "gateway" / "ui" / "static"
OWN = [p for p in STATIC.rglob("*.js") if "vendor" not in p.parts]


def test_uip_1_the_first_load_is_light(opened: Opener, world: World) -> None:
    """JavaScript and style sheets together have at most 80 KB as they are sent, in at most 60 requests."""
    page = opened("/ui/b/team-data/")
    expect(row(page, "README.md")).to_be_visible()
    rows = page.evaluate(
        "performance.getEntriesByType('resource').map(r => [r.name, r.encodedBodySize])"
    )
    static = {url: size for url, size in rows if "/ui/static/" in url}

    assert sum(static.values()) <= 80 * 1024, sum(static.values())
    assert len(rows) + 1 <= 60, len(rows)
    assert not [url for url in static if re.search(r"marked|purify|hljs|hyparquet", url)]


def test_uip_3_every_import_is_on_the_preload_list(opened: Opener) -> None:
    """No module of the first load is found later than the document."""
    page = opened("/ui/b/team-data/")
    expect(row(page, "README.md")).to_be_visible()
    listed = set(
        page.evaluate("[...document.querySelectorAll('link[rel=modulepreload]')].map(l => l.href)")
    )
    loaded = set(
        page.evaluate(
            "performance.getEntriesByType('resource').map(r => r.name).filter(n => n.endsWith('.js') && !n.endsWith('theme.js'))"
        )
    )

    assert loaded - listed == set()
    assert listed - loaded == set()


def test_uip_2_every_lazy_part_is_small() -> None:
    """No file that is fetched when a kind is opened has more than 60 KB compressed."""
    import gzip

    large = {p.name: len(gzip.compress(p.read_bytes())) for p in STATIC.rglob("*.js")}
    assert not {name: size for name, size in large.items() if size > 60 * 1024}


def test_every_vendored_file_is_what_versions_json_says() -> None:
    """Each file has its recorded hash, each package its licence and integrity."""
    vendor = STATIC / "vendor"
    packages = json.loads((vendor / "versions.json").read_text("utf-8"))["packages"]
    recorded = {name: digest for package in packages for name, digest in package["files"].items()}
    present = {
        p.relative_to(vendor).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in vendor.rglob("*")
        if p.is_file() and p.name != "versions.json"
    }

    assert present == recorded
    assert all(
        p["integrity"].startswith("sha512-") and (vendor / p["licence"]).is_file() for p in packages
    )


def test_uis_2_no_markup_is_made_from_strings() -> None:
    """No module of ours touches a sink that parses markup or code."""
    sinks = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\(|new Function|DOMParser"
    )
    assert not [
        p.name
        for p in OWN
        if sinks.search(re.sub(r"/\*.*?\*/|//[^\n]*", "", p.read_text("utf-8"), flags=re.S))
    ]


def test_every_module_says_what_it_is_for() -> None:
    """A module begins with the sentence that answers its question."""
    assert not [
        p.name for p in OWN if not p.read_text("utf-8").startswith(("/**", "// Classic script"))
    ]
