"""Uploads that the storage verifies (UI-57)."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from playwright.sync_api import expect

from tests.ui.conftest import Opener, row
from tests.ui.s3 import SHA256
from tests.ui.test_upload import choose, made
from tests.ui.world import World

MIB = 1024 * 1024
PLACE = "/ui/b/team-data/reports/"


def digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def test_ui_57_every_body_brings_the_checksum_that_the_storage_verifies(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """A small file whole, a larger one in parts; the completion names the checksum of each part."""
    page = opened(PLACE)
    choose(page, made(tmp_path, "small.bin", 3 * MIB), made(tmp_path, "large.bin", 17 * MIB))
    expect(row(page, "small.bin")).to_be_visible()
    expect(row(page, "large.bin")).to_be_visible(timeout=20_000)

    bodies = {s.path.rpartition("/")[2]: s for s in world.s3.seen if s.method == "PUT"}
    whole = (tmp_path / "small.bin").read_bytes()
    assert bodies["small.bin"].headers[SHA256] == digest(whole)
    parts = {int(s.query["partNumber"]): s.headers[SHA256] for s in world.s3.seen if "partNumber" in s.query}  # fmt: skip
    large = (tmp_path / "large.bin").read_bytes()
    assert parts == {n + 1: digest(large[n * 8 * MIB : (n + 1) * 8 * MIB]) for n in range(3)}
    begun = next(s for s in world.s3.seen if s.method == "POST" and "uploads" in s.query)
    assert begun.headers["x-amz-checksum-algorithm"] == "SHA256"


def test_ui_57_a_body_that_arrived_otherwise_is_sent_again(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """BadDigest is a fault of the line, not of the file."""
    world.s3.bend(
        lambda s: s.method == "PUT" and s.path.endswith("once.bin"),
        status=400,
        code="BadDigest",
        times=1,
    )
    page = opened(PLACE)
    choose(page, made(tmp_path, "once.bin", MIB))

    expect(row(page, "once.bin")).to_be_visible(timeout=15_000)
    assert world.s3.body("acme-team", "reports/once.bin") == (tmp_path / "once.bin").read_bytes()


def test_ui_57_storage_without_checksums_gets_the_upload_without_them(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    """An upstream that answers 501 is asked once more, plainly."""
    world.s3.bend(lambda s: SHA256 in s.headers, status=501, code="NotImplemented")
    page = opened(PLACE)
    choose(page, made(tmp_path, "plain.bin", MIB))

    expect(row(page, "plain.bin")).to_be_visible(timeout=15_000)
