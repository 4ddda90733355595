"""Sound, film and PDF, shown by the browser itself from the object's own address (UI-28, UI-29)."""

from __future__ import annotations

import base64
import math
import struct

from playwright.sync_api import Page, expect

from tests.ui.conftest import Opener
from tests.ui.test_upload import until
from tests.ui.world import World

RATE = 44_100  # samples a second


def tone(seconds: int) -> bytes:
    """A WAV of so many seconds, 16 bits, two channels."""
    second = b"".join(
        struct.pack("<hh", level, level)
        for level in (round(8000 * math.sin(n * 440 * math.tau / RATE)) for n in range(RATE))
    )
    data = second * seconds
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, RATE, RATE * 4, 4, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
        + form
        + struct.pack("<4sI", b"data", len(data))
        + data
    )


def pdf(script: str) -> bytes:
    """One red page, and a script that a viewer might run when it opens."""
    drawing = b"1 0 0 rg 0 0 200 200 re f"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (%s) >> >>"
        % script.encode(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
    ]
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        out
        + b"xref\n0 5\n0000000000 65535 f \n%strailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (table, len(out))
    )


def test_ui_28_seeking_asks_for_that_place(opened: Opener, world: World) -> None:
    """A jump near the end of ten minutes asks by Range from there on, and plays."""
    sound = tone(600)
    world.s3.put("acme-team", "long.wav", sound, content_type="audio/wav")
    page = opened("/ui/b/team-data/long.wav")
    player = page.locator(".view-media audio")
    until(page, lambda: bool(player.evaluate("a => a.readyState >= 1 && a.duration > 599")))
    before = len(world.s3.seen)
    player.evaluate("a => new Promise(r => { a.onseeked = r; a.currentTime = 590; })")

    starts = [
        int(s.headers["range"].removeprefix("bytes=").partition("-")[0])
        for s in world.s3.seen[before:]
        if s.path.endswith("long.wav") and "range" in s.headers
    ]
    assert len(starts) == 1 and starts[0] > len(sound) * 0.9
    assert player.evaluate("a => a.error === null && a.seekable.length === 1")


def test_ui_28_leaving_the_pane_ends_the_transfer(opened: Opener, world: World) -> None:
    """What is not listened to any more is not fetched any more."""
    sound = tone(900)
    world.s3.put("acme-team", "long.wav", sound, content_type="audio/wav")
    page = opened("/ui/b/team-data/long.wav")
    player = page.locator(".view-media audio")
    until(page, lambda: bool(player.evaluate("a => a.readyState >= 1")))
    page.keyboard.press("Escape")
    page.goto("/ui/b/team-data/reports/")
    page.wait_for_timeout(300)
    fetched = [s.sent for s in world.s3.seen if s.path.endswith("long.wav")]
    page.wait_for_timeout(300)

    assert [s.sent for s in world.s3.seen if s.path.endswith("long.wav")] == fetched
    assert sum(fetched) < len(sound)


def colour(page: Page, picture: bytes) -> list[int]:
    """Red, green and blue in the middle of a PNG, as another page of the browser decodes it."""
    return list(
        page.evaluate(
            """async (data) => {
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
                const canvas = new OffscreenCanvas(image.width, image.height);
                const drawing = canvas.getContext("2d");
                drawing.drawImage(image, 0, 0);
                return [...drawing.getImageData(image.width / 2, image.height / 2, 1, 1).data.slice(0, 3)];
            }""",
            base64.b64encode(picture).decode(),
        )
    )


def test_ui_29_a_pdf_is_drawn_and_its_script_reaches_nothing(opened: Opener, world: World) -> None:
    """
    By the browser's viewer, in a frame of the object's own address.

    Chromium's viewer has an interpreter of its own for a PDF's scripts, which no header turns off:
    it may show a message. It gets no hold of the page, opens no window and asks no server.
    """
    elsewhere = "http://127.0.0.1:9/leak"
    script = rf"app.alert\('ran'\); app.launchURL\('{elsewhere}', true\); this.submitForm\('{elsewhere}'\);"
    world.s3.put("acme-team", "red.pdf", pdf(script), content_type="application/pdf")
    page = opened("/ui/b/team-data/")
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.goto("/ui/b/team-data/red.pdf?view=full")
    frame = page.locator("iframe.view-frame")
    expect(frame).to_be_visible()
    assert frame.get_attribute("sandbox") is None

    def red() -> bool:
        r, g, b = colour(page, frame.screenshot())
        return r > 200 and g < 60 and b < 60

    until(page, red, seconds=4)
    page.wait_for_timeout(300)
    assert page.context.pages == [page]
    assert page.url.endswith("/ui/b/team-data/red.pdf?view=full")
    assert elsewhere not in asked
