"""Uploads: bytes, parts, pauses, faults, conflicts, sessions that end (UI-12 to UI-19)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Opener, Watch, row, sign_in
from tests.ui.world import World

MIB = 1024 * 1024


def choose(page: Page, *files: Path | dict[str, Any]) -> None:
    """Upload ▾, Files, and these."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload", exact=True).first.click()
        page.get_by_role("menuitem", name="Files").click()
    chooser.value.set_files(list(files))  # type: ignore[arg-type]


def made(folder: Path, name: str, size: int) -> Path:
    """A file whose parts differ."""
    path = folder / name
    with path.open("wb") as out:
        for n in range(0, size, MIB):
            out.write(
                (n // MIB).to_bytes(4, "big") * (min(MIB, size - n) // 4)
                + b"x" * (min(MIB, size - n) % 4)
            )
    return path


def parts(world: World) -> list[int]:
    return sorted(int(s.query["partNumber"]) for s in world.s3.seen if "partNumber" in s.query)


def arrived(world: World) -> set[int]:
    """Parts that the server has."""
    return {number for upload in world.s3.uploads.values() for number in upload.parts}


def until(page: Page, holds: Callable[[], bool], seconds: float = 15) -> None:
    """Waits for something at the server."""
    for _ in range(max(600, int(seconds * 40))):
        if holds():
            return
        page.wait_for_timeout(25)
    raise AssertionError("it never came to that")


def done(page: Page, words: str) -> None:
    expect(page.locator(".headline")).to_contain_text(words, timeout=30_000)


@pytest.mark.parametrize("size", [0, 1, 15 * MIB, 17 * MIB])
def test_ui_12_files_arrive_byte_for_byte(
    opened: Opener, world: World, tmp_path: Path, size: int
) -> None:
    """Whole or in parts, with their type; the row is there without a reload."""
    path = made(tmp_path, "file.csv", size)
    page = opened("/ui/b/team-data/reports/")

    choose(page, path)

    expect(row(page, "file.csv")).to_be_visible(timeout=30_000)
    assert world.s3.body("acme-team", "reports/file.csv") == path.read_bytes()
    assert world.s3.buckets["acme-team"]["reports/file.csv"].headers["content-type"] == "text/csv"


def drop(page: Page, target: str, files: dict[str, str]) -> None:
    """Files dropped on an element."""
    data = page.evaluate_handle(
        "files => { const d = new DataTransfer(); for (const [n, t] of Object.entries(files)) d.items.add(new File([t], n)); return d; }",
        files,
    )
    page.dispatch_event(target, "dragover", {"dataTransfer": data})
    page.dispatch_event(target, "drop", {"dataTransfer": data})


@pytest.mark.parametrize(
    ("target", "key"),
    [
        (".list", "reports/2026/a.txt"),
        ('.row[data-name="january/"]', "reports/2026/january/a.txt"),
        (".crumbs a >> nth=1", "reports/a.txt"),
    ],
)
def test_ui_12_drops_land_where_they_fall(
    opened: Opener, world: World, target: str, key: str
) -> None:
    """On the list, a folder row, a level of the breadcrumb."""
    page = opened("/ui/b/team-data/reports/2026/")
    expect(row(page, "january/")).to_be_visible()

    drop(page, target, {"a.txt": "dropped", ".DS_Store": "x"})

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", key) == b"dropped"
    expect(page.get_by_text("1 system file left out").first).to_be_visible()


def test_ui_13_a_folder_keeps_its_tree(opened: Opener, world: World, tmp_path: Path) -> None:
    """Three levels arrive as three levels."""
    for name in ("top.txt", "one/mid.txt", "one/two/low.txt"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    page = opened("/ui/b/team-data/")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload", exact=True).first.click()
        page.get_by_role("menuitem", name="Folder").click()
    chooser.value.set_files(tmp_path / "tree")

    expect(row(page, "tree/")).to_be_visible()
    done(page, "Uploads 3 of 3")
    assert world.s3.body("acme-team", "tree/one/two/low.txt") == b"one/two/low.txt"


def test_ui_15_four_parts_and_never_more(opened: Opener, world: World, tmp_path: Path) -> None:
    """Four parts are in flight, and a list request is answered meanwhile."""
    gate = threading.Event()
    world.s3.bend(lambda s: "partNumber" in s.query, hold=gate)
    page = opened("/ui/b/team-data/")
    choose(page, made(tmp_path, "big.bin", 64 * MIB), made(tmp_path, "other.bin", 20 * MIB))
    until(page, lambda: len(parts(world)) == 4)
    row(page, "reports/").locator("a").click()
    expect(row(page, "2026/")).to_be_visible()
    gate.set()

    done(page, "Uploads 2 of 2")
    assert world.s3.most_in_flight == 4
    assert len(world.s3.body("acme-team", "big.bin")) == 64 * MIB


def test_ui_16_pause_stops_and_resume_sends_what_is_missing(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """No part is sent twice, those cut by the pause apart."""
    gate = threading.Event()
    held = world.s3.bend(lambda s: s.query.get("partNumber") in {"3", "4"}, hold=gate)
    page = opened("/ui/b/team-data/")
    path = made(tmp_path, "big.bin", 32 * MIB)
    choose(page, path)
    until(page, lambda: len(parts(world)) == 4 and arrived(world) == {1, 2})
    page.get_by_role("button", name="Pause all").click()
    expect(page.locator(".headline")).to_contain_text("1 paused")
    gate.set()
    held.times = 0

    page.get_by_role("button", name="Resume all").click()

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", "big.bin") == path.read_bytes()
    assert parts(world).count(1) == parts(world).count(2) == 1


def test_ui_16_cut_connections_and_500s_are_tried_again(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """A part killed and a part refused once: the object is whole in the end."""
    world.s3.bend(lambda s: s.query.get("partNumber") == "2", status=500, times=1)
    path = made(tmp_path, "big.bin", 20 * MIB)
    page = opened("/ui/b/team-data/")

    choose(page, path)

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", "big.bin") == path.read_bytes()


def test_ui_16_a_refusal_is_said_and_can_be_retried(opened: Opener, world: World) -> None:
    """403 is not retried by itself; the tray says why and offers Retry."""
    rule = world.s3.bend(lambda s: s.method == "PUT", status=400, code="InvalidArgument")
    page = opened("/ui/b/team-data/")
    choose(page, {"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"})
    expect(page.locator(".transfer[data-phase=failed]")).to_contain_text("InvalidArgument")
    rule.times = 0

    page.get_by_role("button", name="Retry a.txt").click()

    done(page, "Uploads 1 of 1")


def test_ui_17_a_reload_goes_on_from_the_parts_that_are_there(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """Another file is refused by name; the same one sends only what is missing."""
    gate = threading.Event()
    world.s3.bend(lambda s: s.query.get("partNumber") in {"3", "4"}, hold=gate)
    page = opened("/ui/b/team-data/")
    page.on("dialog", lambda dialog: dialog.accept())
    path = made(tmp_path, "big.bin", 32 * MIB)
    choose(page, path)
    until(page, lambda: arrived(world) == {1, 2})
    page.reload()
    gate.set()
    expect(page.locator(".headline")).to_contain_text("1 unfinished: choose the same file")
    page.locator(".headline").click()
    other = tmp_path / "other.bin"
    other.write_bytes(b"z" * 32 * MIB)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose file").click()
    chooser.value.set_files(other)
    expect(page.locator(".toast", has_text="“other.bin” is not the file")).to_be_visible()

    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose file").click()
    chooser.value.set_files(path)

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", "big.bin") == path.read_bytes()
    assert parts(world).count(1) == 1


def test_ui_18_a_session_that_ends_pauses_and_goes_on(
    opened: Opener, world: World, watch: Watch, tmp_path: Path
) -> None:
    """The queue stops at the first 401; after signing in again in a window of its own it goes on, parts kept."""
    gate = threading.Event()
    world.s3.bend(lambda s: s.query.get("partNumber") in {"3", "4"}, hold=gate)
    page = opened("/ui/b/team-data/", person="")
    sign_in(page, world, "ada", "/ui/b/team-data/")
    path = made(tmp_path, "big.bin", 40 * MIB)
    choose(page, path)
    until(page, lambda: arrived(world) == {1, 2})
    page.context.clear_cookies()
    gate.set()
    expect(page.get_by_text("Your session ended.").first).to_be_visible(timeout=15_000)
    expect(page.locator(".headline")).to_contain_text("1 paused")
    expect(row(page, "README.md")).to_be_visible()

    with page.expect_popup() as popup:
        page.get_by_role("button", name="Sign in again").click()
    popup.value.locator("input[name=username]").fill("ada")
    popup.value.locator("input[name=password]").fill("pw")
    popup.value.locator("input[name=password]").press("Enter")

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", "big.bin") == path.read_bytes()
    assert parts(world).count(1) == 1


@pytest.mark.parametrize(
    ("button", "kept", "names"),
    [
        ("Replace", b"mine", {"summary.txt"}),
        ("Keep both", b"A good year.\n", {"summary.txt", "summary (2).txt"}),
        ("Skip", b"A good year.\n", {"summary.txt"}),
    ],
)
def test_ui_19_a_taken_name_is_asked_about(
    opened: Opener, world: World, button: str, kept: bytes, names: set[str]
) -> None:
    """Replace, keep both, skip: nothing is overwritten that was not agreed to."""
    page = opened("/ui/b/team-data/reports/2025/")
    expect(row(page, "summary.txt")).to_be_visible()
    choose(page, {"name": "summary.txt", "mimeType": "text/plain", "buffer": b"mine"})

    page.get_by_role("dialog").get_by_role("button", name=button).click()

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".row")).to_have_count(len(names))

    def there() -> set[str]:
        keys = world.s3.buckets["acme-team"]
        return {key.rsplit("/", 1)[1] for key in keys if key.startswith("reports/2025/")}

    until(
        page,
        lambda: there() == names and world.s3.body("acme-team", "reports/2025/summary.txt") == kept,
    )


def test_ui_19_one_answer_serves_the_batch(opened: Opener, world: World) -> None:
    """Asked once, with the same for the others."""
    world.s3.fill("acme-team", [f"many/{n}.txt" for n in range(5)])
    page = opened("/ui/b/team-data/many/")
    expect(page.locator(".row")).to_have_count(5)
    choose(
        page, *({"name": f"{n}.txt", "mimeType": "text/plain", "buffer": b"new"} for n in range(5))
    )
    page.get_by_label("the same for the others of this batch").check()
    page.get_by_role("button", name="Replace").click()

    done(page, "Uploads 5 of 5")
    assert {world.s3.body("acme-team", f"many/{n}.txt") for n in range(5)} == {b"new"}


def test_ui_19_a_name_taken_meanwhile_is_not_overwritten(opened: Opener, world: World) -> None:
    """If-None-Match: what somebody wrote after the check stays, and is asked about."""
    page = opened("/ui/b/team-data/reports/2025/")
    expect(row(page, "summary.txt")).to_be_visible()
    world.s3.put("acme-team", "reports/2025/new.txt", b"theirs")

    choose(page, {"name": "new.txt", "mimeType": "text/plain", "buffer": b"mine"})

    expect(page.get_by_role("dialog")).to_contain_text("new.txt")
    assert world.s3.body("acme-team", "reports/2025/new.txt") == b"theirs"


def test_ui_12_write_only_places_take_files(opened: Opener, world: World) -> None:
    """Where nothing can be seen, files can be put, and this tab's own are listed."""
    page = opened("/ui/b/inbox/")
    expect(page.get_by_text("You may put files here, and cannot see what is here.")).to_be_visible()

    choose(page, {"name": "in.txt", "mimeType": "text/plain", "buffer": b"in"})

    expect(page.locator(".own")).to_contain_text("in.txt")
    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-inbox", "in.txt") == b"in"


def test_uia_5_progress_stands_in_the_title(opened: Opener, world: World, tmp_path: Path) -> None:
    """Per cent before the name of the place while something is sent."""
    gate = threading.Event()
    world.s3.bend(lambda s: s.query.get("partNumber") == "3", hold=gate)
    page = opened("/ui/b/team-data/")
    choose(page, made(tmp_path, "big.bin", 24 * MIB))

    expect(page).to_have_title(re.compile(r"^\d+ % · team-data · Files$"))
    gate.set()
    expect(page).to_have_title("team-data · Files", timeout=15_000)
