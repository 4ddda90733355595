"""
Uploads that survive: lines that break, pages that are left, sessions that end, servers that refuse
(UI-13, UI-16 to UI-18).

`UPLOAD_MIB=2048` makes the long journey one of 2 GiB.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Opener, row, sign_in
from tests.ui.s3 import FakeS3, Rule
from tests.ui.test_upload import MIB, arrived, choose, done, made, parts, until
from tests.ui.world import World

SIZE = int(os.environ.get("UPLOAD_MIB", "64"))


def hold_after(s3: FakeS3, number: int) -> Rule:
    """Parts beyond this one wait at the server."""
    return s3.bend(
        lambda s: int(s.query.get("partNumber", 0)) > number and s.method == "PUT",
        hold=threading.Event(),
    )


def let_go(rule: Rule) -> None:
    assert rule.hold is not None
    rule.times = 0
    rule.hold.set()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sign_in_again(page: Page, person: str) -> None:
    """In the window that the page opens for it."""
    with page.expect_popup() as popup:
        page.get_by_role("button", name="Sign in again").first.click()
    popup.value.locator("input[name=username]").fill(person)
    popup.value.locator("input[name=password]").fill("pw")
    popup.value.locator("input[name=password]").press("Enter")


def end_session(page: Page, world: World) -> None:
    """At the gateway, and at the provider, so that signing in again asks for the password."""
    answer = page.context.request.delete(
        f"{world.url}/api/session", headers={"X-Gateway-CSRF": "1", "Origin": world.url}
    )
    assert answer.ok, answer.text()
    page.context.clear_cookies()


@pytest.mark.timeout(60 + SIZE)
def test_ui_16_a_line_that_breaks_a_reload_and_a_session_that_ends(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """One upload through all three: what had arrived is not sent again, and the bytes are right."""
    page = opened("/ui/b/team-data/", person="")
    sign_in(page, world, "ada", "/ui/b/team-data/")
    page.on("dialog", lambda dialog: dialog.accept())
    path = made(tmp_path, "big.bin", SIZE * MIB + 12345)
    part = (8 if SIZE <= 512 else 16) * MIB
    count = -(-path.stat().st_size // part)
    quarters = [count * n // 4 for n in (1, 2, 3)]

    gate = hold_after(world.s3, quarters[0])
    choose(page, path)
    until(page, lambda: len(arrived(world)) >= quarters[0], seconds=SIZE)
    until(page, lambda: len(parts(world)) >= quarters[0] + 4)
    following = hold_after(world.s3, quarters[1])
    world.cut()
    expect(page.locator(".transfer, .headline").first).to_be_visible()
    let_go(gate)

    until(page, lambda: len(arrived(world)) >= quarters[1], seconds=SIZE)
    gate, following = following, hold_after(world.s3, quarters[2])
    page.reload()
    let_go(gate)
    expect(page.locator(".headline")).to_contain_text("1 unfinished: choose the same file")
    page.locator(".headline").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose file").click()
    chooser.value.set_files(path)

    until(page, lambda: len(arrived(world)) >= quarters[2], seconds=SIZE)
    end_session(page, world)
    let_go(following)
    expect(page.get_by_text("Your session ended.").first).to_be_visible(timeout=20_000)
    sign_in_again(page, "ada")

    expect(page.locator(".headline")).to_contain_text(
        "Uploads 1 of 1", timeout=(30 + SIZE / 4) * 1000
    )
    body = world.s3.body("acme-team", "big.bin")
    assert hashlib.sha256(body).hexdigest() == digest(path)
    # Those that were on their way at an interruption may come twice; no others do.
    assert len(parts(world)) <= count + 3 * 4
    assert not world.s3.uploads


def test_ui_18_another_person_does_not_go_on_with_it(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """Bob signs in where Ada's session ended: her upload waits for her, and nothing is sent as his."""
    page = opened("/ui/b/team-data/", person="")
    sign_in(page, world, "ada", "/ui/b/team-data/")
    path = made(tmp_path, "big.bin", 40 * MIB)
    gate = hold_after(world.s3, 2)
    choose(page, path)
    until(page, lambda: arrived(world) == {1, 2})
    end_session(page, world)
    let_go(gate)
    expect(page.locator(".headline")).to_contain_text("1 paused", timeout=15_000)
    before = len(parts(world))
    sign_in_again(page, "bob")
    expect(page.get_by_text("You are now signed in as Bob Builder.")).to_be_visible()
    page.wait_for_timeout(500)
    page.locator(".headline").click()
    expect(page.locator(".transfer")).to_contain_text("Waits for its owner")
    assert len(parts(world)) == before and "big.bin" not in world.s3.buckets["acme-team"]

    page.context.clear_cookies()
    row(page, "reports/").locator("a").click()
    sign_in_again(page, "ada")

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", "big.bin") == path.read_bytes()
    assert parts(world).count(1) == 1


@pytest.mark.parametrize("size", [10, 20], ids=["whole", "parts"])
def test_ui_16_a_proxy_that_refuses_large_bodies_gets_smaller_ones(
    opened: Opener, world: World, tmp_path: Path, size: int
) -> None:
    """413 above 6 MiB: the parts become 5 MiB and all of it arrives."""
    world.s3.bend(
        lambda s: s.method == "PUT" and int(s.headers.get("content-length", 0)) > 6 * MIB,
        status=413,
        code="EntityTooLarge",
    )
    path = made(tmp_path, "big.bin", size * MIB)
    page = opened("/ui/b/team-data/")
    choose(page, path)

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", "big.bin") == path.read_bytes()
    assert not world.s3.uploads


def test_ui_41_a_proxy_that_refuses_even_small_parts_is_named(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """Below 5 MiB S3 takes no parts: the words say what is in the way."""
    world.s3.bend(lambda s: "partNumber" in s.query, status=413, code="EntityTooLarge")
    page = opened("/ui/b/team-data/")
    choose(page, made(tmp_path, "big.bin", 17 * MIB))

    expect(page.locator(".transfer[data-phase=failed]")).to_contain_text(
        "A proxy in front of the gateway refuses bodies of 5 MiB (413)."
    )


@pytest.mark.parametrize("size", [1, 17], ids=["whole", "parts"])
def test_ui_19_a_server_without_conditions_gets_none(
    opened: Opener, world: World, tmp_path: Path, size: int
) -> None:
    """501 to If-None-Match: sent again without it, after the look whether the name is free."""
    world.s3.bend(lambda s: "if-none-match" in s.headers, status=501, code="NotImplemented")
    path = made(tmp_path, "new.bin", size * MIB)
    page = opened("/ui/b/team-data/")
    choose(page, path)

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", "new.bin") == path.read_bytes()


def test_ui_16_an_upload_that_the_server_forgot_begins_anew(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """NoSuchUpload to a part: all parts once more, under a new upload."""
    gate = hold_after(world.s3, 2)
    path = made(tmp_path, "big.bin", 40 * MIB)
    page = opened("/ui/b/team-data/")
    choose(page, path)
    until(page, lambda: arrived(world) == {1, 2})
    world.s3.uploads.clear()
    let_go(gate)

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", "big.bin") == path.read_bytes()
    assert parts(world).count(1) == 2


def test_ui_16_a_completion_whose_answer_was_lost_is_believed_by_the_object(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """NoSuchUpload to a completion: size and number of parts tell that it had come about."""
    completes = world.s3.bend(
        lambda s: s.method == "POST" and "uploadId" in s.query, hold=threading.Event()
    )
    path = made(tmp_path, "big.bin", 17 * MIB)
    page = opened("/ui/b/team-data/")
    choose(page, path)
    until(
        page,
        lambda: bool([s for s in world.s3.seen if "uploadId" in s.query and s.method == "POST"]),
    )
    (upload,) = world.s3.uploads.values()
    world.s3.buckets["acme-team"]["big.bin"] = upload.joined()
    world.s3.uploads.clear()
    let_go(completes)

    done(page, "Uploads 1 of 1")
    assert len(parts(world)) == 3


def test_ui_16_a_file_that_changed_on_disk_is_named(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """Half of one file and half of another are no upload."""
    gate = hold_after(world.s3, 2)
    path = made(tmp_path, "big.bin", 64 * MIB)
    page = opened("/ui/b/team-data/")
    choose(page, path)
    until(page, lambda: arrived(world) == {1, 2})
    with path.open("ab") as file:
        file.write(b"more")
    let_go(gate)

    expect(page.locator(".transfer[data-phase=failed]")).to_contain_text(
        "“big.bin” changed or went away while it was being sent.", timeout=20_000
    )
    assert "big.bin" not in world.s3.buckets["acme-team"]


def test_ui_16_offline_waits_and_goes_on_by_itself(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """Nothing to click when the line is back."""
    gate = hold_after(world.s3, 2)
    path = made(tmp_path, "big.bin", 40 * MIB)
    page = opened("/ui/b/team-data/")
    choose(page, path)
    until(page, lambda: arrived(world) == {1, 2})
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline.").first).to_be_visible()
    let_go(gate)
    page.context.set_offline(False)

    done(page, "Uploads 1 of 1")
    assert world.s3.body("acme-team", "big.bin") == path.read_bytes()


MANY = """async ([module, count, half]) => {
    const { add } = await import(module);
    let told;
    window.goOn = () => told();
    const waits = new Promise((resolve) => (told = resolve));
    window.read = 0;
    const file = new File(["x"], "x.txt"); // making 50 000 of them takes longer than all the rest
    async function* files() {
        for (let n = 0; n < count; n += 1) {
            if (n === half) await waits;
            window.read = n + 1;
            yield { path: `folder/${n % 100}/${n}.txt`, file };
        }
    }
    window.reading = add("team-data", "many/", files());
}"""


def test_ui_13_fifty_thousand_files(opened: Opener, world: World) -> None:
    """The first is sent before the last name is read; the tray stays small; all can be cancelled."""
    gate = world.s3.bend(
        lambda s: s.method == "PUT" and s.path > "/acme-team/many/folder/1/", hold=threading.Event()
    )
    page = opened("/ui/b/team-data/")
    static = page.evaluate("document.documentElement.dataset.static")
    page.evaluate(MANY, [f"{static}/upload/board.js", 50_000, 25_000])
    until(page, lambda: any(s.method == "PUT" for s in world.s3.seen))
    assert page.evaluate("window.read") <= 25_000
    page.evaluate("() => { window.goOn(); return window.reading.then(() => true); }")
    expect(page.locator(".headline")).to_contain_text("of 50\u202f000")
    page.locator(".headline").click()
    assert page.locator(".transfer").count() < 60
    page.get_by_role("button", name="Cancel all").click()
    let_go(gate)

    expect(page.locator(".headline")).to_contain_text("Uploads 1 of 1", timeout=10_000)
    assert page.locator(".transfer").count() < 60
