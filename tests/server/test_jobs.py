"""Copy, move, rename and delete of many objects through the whole gateway."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from gateway.errors import ApiError
from gateway.server import transfer
from gateway.server.jobs import Name, Order, check_order, other_names, target_base
from tests.server.errand_world import errand_world


@pytest.fixture
def _nothing_blocks_the_loop() -> None:
    """The demo's world may wait: it starts and ends an S3 server in this process."""


@pytest.fixture
async def world():
    async with errand_world() as (world, callers):
        yield world, callers


def test_ui_22_free_names_keep_the_extension():
    """`name (2).ext`, counted up; what begins with a dot has no extension."""
    assert list(itertools.islice(other_names("a/b.tar"), 2)) == ["a/b (2).tar", "a/b (3).tar"]
    assert next(other_names("a/.profile")) == "a/.profile (2)"
    assert next(other_names("x")) == "x (2)"


@pytest.mark.parametrize(
    ("operation", "source", "destination", "base"),
    [
        ("copy", Name(bucket="b", key="a/x.txt"), Name(bucket="c", prefix="d/"), "d/x.txt"),
        ("move", Name(bucket="b", prefix="a/sub/"), Name(bucket="c", prefix="d/"), "d/sub/"),
        ("move", Name(bucket="b", key="a/empty/"), Name(bucket="c", prefix=""), "empty/"),
        ("rename", Name(bucket="b", prefix="a/"), Name(bucket="b", prefix="z/"), "z/"),
        ("copy", Name(bucket="b", key="a/x"), Name(bucket="c", key="q/y"), "q/y"),
        ("copy", Name(bucket="b", prefix=""), Name(bucket="c", prefix="all/"), "all/"),
    ],
    ids=["key", "prefix", "folder", "rename", "exact", "bucket"],
)
def test_ui_23_targets(operation, source, destination, base):
    """A source keeps its last name below a prefix; a name that is given is taken as it is."""
    assert target_base(operation, source, destination) == base


@pytest.mark.parametrize(
    "order",
    [
        {"operation": "copy", "sources": [{"bucket": "b", "prefix": "a/"}]},
        {"operation": "delete", "sources": [{"bucket": "b"}]},
        {
            "operation": "rename",
            "sources": [{"bucket": "b", "prefix": "a/"}],
            "destination": {"bucket": "b", "prefix": "a/b/"},
        },
        {
            "operation": "move",
            "sources": [{"bucket": "b", "key": "a"}, {"bucket": "b", "key": "c"}],
            "destination": {"bucket": "b", "key": "d"},
        },
    ],
    ids=["nowhere", "nothing", "into-itself", "two-in-one"],
)
def test_ui_23_orders_that_cannot_be(order):
    """What could lose objects or never end is refused before anything starts."""
    with pytest.raises(ApiError):
        check_order(Order.model_validate(order))


async def test_ui_22_rename_a_prefix(world):
    """Every object goes, with type and metadata, and nothing stays behind."""
    _, who = world
    ada = who["ada"]
    for n in range(5):
        await ada.put("home", f"old/{n}.txt", b"x" * n, **{"x-amz-meta-n": str(n)})
    told = await ada.job(
        operation="rename",
        sources=[{"bucket": "home", "prefix": "old/"}],
        destination={"bucket": "home", "prefix": "new/"},
    )
    assert told["state"] == "done", told["failed"]
    assert told["counted"] == {"objects": 5, "bytes": 10, "complete": True}
    assert told["done"] == {"objects": 5, "bytes": 10}
    assert await ada.keys("home", "old/") == []
    assert await ada.keys("home", "new/") == [f"new/{n}.txt" for n in range(5)]
    seen = await ada.ask("HEAD", "/home/new/3.txt")
    assert seen.headers["x-amz-meta-n"] == "3"


@pytest.mark.parametrize(
    ("how", "state", "there", "skipped", "failed"),
    [
        ("fail", "failed", b"old", 0, ["AlreadyExists"]),
        ("skip", "done", b"old", 1, []),
        ("replace", "done", b"new", 0, []),
        ("rename", "done", b"old", 0, []),
    ],
)
async def test_ui_23_a_name_that_is_taken(world, how, state, there, skipped, failed):
    """Each of the four answers to it; the source of a failed move stays."""
    _, who = world
    ada = who["ada"]
    await ada.put("home", "in/x.txt", b"new")
    await ada.put("team-data", "out/x.txt", b"old")
    told = await ada.job(
        operation="move",
        sources=[{"bucket": "home", "key": "in/x.txt"}],
        destination={"bucket": "team-data", "prefix": "out/"},
        if_exists=how,
    )
    assert (told["state"], told["skipped"]) == (state, skipped), told
    assert [one["code"] for one in told["failed"]] == failed
    assert await ada.get("team-data", "out/x.txt") == there
    moved = how in ("replace", "rename")
    assert (await ada.get("home", "in/x.txt") is None) is moved
    if how == "rename":
        assert await ada.get("team-data", "out/x (2).txt") == b"new"


async def test_ui_23_a_move_that_may_not_delete_keeps_the_source(world):
    """The archive is read-only: copied and told, nothing lost."""
    _, who = world
    told = await who["ada"].job(
        operation="move",
        sources=[{"bucket": "archive", "key": "2024/summary.csv"}],
        destination={"bucket": "home", "prefix": ""},
    )
    assert told["state"] == "failed"
    assert told["failed"][0]["code"] == "AccessDenied"
    assert await who["ada"].get("archive", "2024/summary.csv") is not None


async def test_s3_13_every_key_is_judged(world):
    """A prefix that holds what a rule protects: all the rest goes, that stays and is named."""
    _, who = world
    bob = who["bob"]
    counted = await bob.job(
        operation="delete", sources=[{"bucket": "team-data", "prefix": ""}], dry_run=True
    )
    assert counted["state"] == "done" and counted["counted"]["objects"] == 5
    told = await bob.job(operation="delete", sources=[{"bucket": "team-data", "prefix": ""}])
    assert told["done"]["objects"] == 4
    assert [one["key"] for one in told["failed"]] == ["final/report.txt"]
    assert await bob.keys("team-data") == ["final/report.txt"]


async def test_ui_24_large_objects_go_by_parts(world):
    """Above the limit of CopyObject: parts, metadata kept, bytes counted."""
    app, who = world[0].app, world[1]
    ada = who["ada"]
    mib = 1024 * 1024
    app.jobs._sizes = transfer.Sizes(whole=mib, part=5 * mib)
    data = bytes(range(256)) * (11 * mib // 256)
    await ada.put("home", "big.bin", data, **{"x-amz-meta-a": "b", "x-amz-tagging": "k=v%20w"})
    told = await ada.job(
        operation="move",
        sources=[{"bucket": "home", "key": "big.bin"}],
        destination={"bucket": "team-data", "prefix": ""},
    )
    assert told["state"] == "done", told
    assert told["done"]["bytes"] == len(data)
    assert await ada.get("team-data", "big.bin") == data
    assert await ada.get("home", "big.bin") is None
    seen = await ada.ask("HEAD", "/team-data/big.bin")
    assert seen.headers["x-amz-meta-a"] == "b"
    tags = await ada.ask("GET", "/team-data/big.bin?tagging")
    assert b"v w" in tags.body


async def test_ui_24_cancelling_leaves_no_upload(world, monkeypatch):
    """A job that is cancelled within its parts aborts them."""
    app, who = world[0].app, world[1]
    ada = who["ada"]
    mib = 1024 * 1024
    app.jobs._sizes = transfer.Sizes(whole=mib, part=5 * mib)
    began = asyncio.Event()

    async def slow(self, upload, number, first, last):
        began.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(transfer._Copy, "_part_copied", slow)
    await ada.put("home", "big.bin", b"x" * (6 * mib))
    started = await ada.ask(
        "POST",
        "/api/jobs",
        json={
            "operation": "copy",
            "sources": [{"bucket": "home", "key": "big.bin"}],
            "destination": {"bucket": "team-data", "prefix": ""},
        },
    )
    await asyncio.wait_for(began.wait(), 10)
    job_id = started.json["id"]
    assert (await ada.ask("DELETE", f"/api/jobs/{job_id}")).status == 204
    assert (await ada.follow(job_id))["state"] == "cancelled"
    listed = await ada.ask("GET", "/team-data?uploads")
    assert b"<Upload>" not in listed.body


async def test_jobs_belong_to_their_owner(world):
    """Another's id is the same 404 as one that never was; nobody is 401."""
    _, who = world
    started = await who["ada"].ask(
        "POST",
        "/api/jobs",
        json={"operation": "delete", "sources": [{"bucket": "home", "key": "x"}]},
    )
    path = f"/api/jobs/{started.json['id']}"
    assert (await who["bob"].ask("GET", path)).status == 404
    assert (await who["bob"].ask("DELETE", path)).status == 404
    assert (await who["nobody"].ask("GET", path)).status == 401
    assert (await who["ada"].ask("GET", path)).status == 200
