"""Unfinished uploads whose file the browser still knows (UI-56)."""

from __future__ import annotations

import threading

from playwright.sync_api import expect

from tests.ui.conftest import Opener, row
from tests.ui.test_upload import arrived, done, parts, until
from tests.ui.world import World

MIB = 1024 * 1024

# A file of the browser's own file system stands for one of the desk: its handle needs no prompt.
DROP = """async size => {
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle('film.bin', {create: true});
    const out = await handle.createWritable();
    for (let n = 0; n < size; n += 1 << 20) await out.write(new Uint8Array(1 << 20).fill(n >> 20));
    await out.close();
    DataTransferItem.prototype.getAsFileSystemHandle = async () => handle;
    const data = new DataTransfer();
    data.items.add(await handle.getFile());
    document.querySelector('.list').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}));
}"""


def test_ui_56_a_dropped_file_goes_on_after_a_reload_by_one_click(
    opened: Opener, world: World
) -> None:
    """Its handle was kept with the upload: nobody looks for the file, and no part is sent twice."""
    gate = threading.Event()
    world.s3.bend(lambda s: s.query.get("partNumber") in {"3", "4"}, hold=gate)
    page = opened("/ui/b/team-data/reports/")
    page.on("dialog", lambda dialog: dialog.accept())
    expect(row(page, "2026/")).to_be_visible()
    page.evaluate(DROP, 32 * MIB)
    until(page, lambda: arrived(world) == {1, 2})
    page.reload()
    gate.set()
    page.locator(".headline", has_text="1 unfinished").click()

    page.get_by_role("button", name="Resume").click()

    done(page, "Uploads 1 of 1")
    body = world.s3.body("acme-team", "reports/film.bin")
    assert body == b"".join(bytes([n]) * MIB for n in range(32))
    assert parts(world).count(1) == 1
