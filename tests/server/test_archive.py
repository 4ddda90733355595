"""A prefix as one zip, read back by other programs than the one that wrote it."""

from __future__ import annotations

import asyncio
import io
import zipfile
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.server.zip64 import SafeNames, ZipWriter
from tests.server.errand_world import errand_world


@pytest.fixture
def _nothing_blocks_the_loop() -> None:
    """The demo's world may wait: it starts and ends an S3 server in this process."""


@pytest.fixture
async def world():
    async with errand_world() as (world, callers):
        yield world, callers


def zipped(members: list[tuple[str, list[bytes]]], modified: datetime | None = None) -> bytes:
    writer = ZipWriter()
    made = b""
    for name, chunks in members:
        made += writer.begin(name, modified)
        made += b"".join(writer.data(chunk) for chunk in chunks)
        made += writer.end()
    return made + b"".join(writer.close())


NAME = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(NAME, st.lists(st.binary(max_size=40), max_size=3), max_size=6))
def test_ui_37_what_was_put_in_comes_out(members):
    """Any names and bytes come back equal, and every sum holds."""
    read = zipfile.ZipFile(io.BytesIO(zipped(list(members.items()))))
    assert read.testzip() is None
    assert {n.orig_filename: read.read(n) for n in read.infolist()} == {
        name: b"".join(chunks) for name, chunks in members.items()
    }


def test_ui_37_times_are_kept():
    """To the two seconds that a zip knows; what it cannot write is its first day."""
    at = datetime(2026, 3, 1, 12, 30, 44, tzinfo=UTC)
    (one,) = zipfile.ZipFile(io.BytesIO(zipped([("a", [])], at))).infolist()
    assert one.date_time == (2026, 3, 1, 12, 30, 44)
    (one,) = zipfile.ZipFile(io.BytesIO(zipped([("a", [])]))).infolist()
    assert one.date_time == (1980, 1, 1, 0, 0, 0)


def test_ui_37_beyond_four_gibibytes():
    """The directory tells sizes and places of 64 bits."""
    writer = ZipWriter()
    made = writer.begin("big", None)
    writer._size = 5 * 2**32
    writer._offset += 5 * 2**32
    made += writer.end()
    made += b"".join(writer.close())
    assert (5 * 2**32).to_bytes(8, "little") in made


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(min_size=1, max_size=12)
        | st.sampled_from(["..", "../x", "a/../..", "C:\\w", "/etc", "A", "a"])
    )
)
def test_s3_13_names_stay_within(names):
    """No absolute, parent or drive name, no control character, and no two alike in any case."""
    safe = SafeNames()
    given_out = [safe.of(name) for name in names]
    for name in given_out:
        parts = name.rstrip("/").split("/")
        assert all(part not in ("", ".", "..") for part in parts), name
        assert not any(ord(c) < 32 or c in ":\\" for c in name), name
    assert len({n.rstrip("/").casefold() for n in given_out}) == len(names)


async def test_ui_37_a_folder_and_a_selection(world):
    """Read back equal by another program; names are relative to what was asked for."""
    _, who = world
    ada = who["ada"]
    await ada.put("home", "trip/Grüße 🙂.txt", "ü".encode())
    await ada.put("home", "trip/deep/x.bin", b"x" * 300_000)
    answer = await ada.ask("GET", "/api/archive/home/trip/")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="trip.zip"')
    read = zipfile.ZipFile(io.BytesIO(answer.body))
    assert sorted(read.namelist()) == ["Grüße 🙂.txt", "deep/x.bin"]
    assert read.read("deep/x.bin") == b"x" * 300_000
    some = await ada.ask("GET", "/api/archive/home/?name=hello.txt&name=trip/&name=gone")
    read = zipfile.ZipFile(io.BytesIO(some.body))
    assert sorted(read.namelist()) == [
        "ERRORS.txt",
        "hello.txt",
        "trip/Grüße 🙂.txt",
        "trip/deep/x.bin",
    ]
    assert b"gone: NoSuchKey" in read.read("ERRORS.txt")


async def test_ui_37_a_long_list_is_posted_first(world):
    """The address that comes back packs it, for whoever posted it and for that place alone."""
    _, who = world
    names = {"names": ["README.md", "reports/"]}
    posted = await who["ada"].ask("POST", "/api/archive/team-data/", json=names)
    href = posted.json["href"]
    read = zipfile.ZipFile(io.BytesIO((await who["ada"].ask("GET", href)).body))
    assert "README.md" in read.namelist() and "reports/2026/q3.csv" in read.namelist()
    assert (await who["bob"].ask("GET", href)).status == 404
    assert (await who["ada"].ask("GET", href.replace("team-data", "home"))).status == 404


async def test_s3_13_no_right_no_archive(world):
    """What may not be listed is an error, not an empty file; nobody is 401."""
    _, who = world
    assert (await who["cleo"].ask("GET", "/api/archive/home/")).status == 403
    assert (await who["nobody"].ask("GET", "/api/archive/home/")).status == 401


async def test_uis_4_an_archive_is_no_script(world):
    """Asked for as a script or a worker it is refused; no other site may embed it."""
    _, who = world
    for headers in ({"Sec-Fetch-Dest": "script"}, {"Service-Worker": "script"}):
        refused = await who["ada"].ask("GET", "/api/archive/home/", headers=headers)
        assert refused.status == 403
    answer = await who["ada"].ask("GET", "/api/archive/home/")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")


async def test_dos_11_places_are_bounded(world):
    """All places taken: 429 with Retry-After, and free again afterwards."""
    world, who = world
    ada = who["ada"]
    held = []
    slots = world.app.archives._slots
    me = await ada.ask("GET", "/api/session")
    identity = type("Who", (), {"issuer": "demo", "subject": me.json["subject"]})()
    for _ in range(2):
        context = slots.taken(identity, world.app.snapshot.config.jobs)
        context.__enter__()
        held.append(context)
    refused = await ada.ask("GET", "/api/archive/home/")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    for context in held:
        context.__exit__(None, None, None)
    assert (await ada.ask("GET", "/api/archive/home/")).status == 200


async def test_ui_37_leaving_ends_what_was_asked_upstream(world):
    """The client closes half-way: places and requests are let go, and nothing more is read."""
    world, who = world
    ada = who["ada"]
    for n in range(6):
        await ada.put("home", f"big/{n}", b"x" * 4_000_000)
    url = f"{world.url}/api/archive/home/big/"
    async with ada.session.get(url, headers={"Authorization": f"Bearer {ada.token}"}) as answer:
        assert await answer.content.readexactly(1000)
        answer.close()
    async with asyncio.timeout(10):
        while world.app.archives._slots._running or world.app.limits.running:
            await asyncio.sleep(0.02)
