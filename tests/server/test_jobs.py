"""Copy, move, rename and delete of many objects through the whole gateway."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import ApiError
from gateway.server import transfer
from gateway.server.carry import Failed, Progress
from gateway.server.errands import is_error
from gateway.server.orders import Name, Order, Source, check_order, other_names, target_base
from gateway.sessions.lifetime import _holder
from tests.server.errand_world import errand_world, signed_in


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
        ("copy", Source(bucket="b", key="a/x.txt"), Name(bucket="c", prefix="d/"), "d/x.txt"),
        ("move", Source(bucket="b", prefix="a/sub/"), Name(bucket="c", prefix="d/"), "d/sub/"),
        ("move", Source(bucket="b", key="a/empty/"), Name(bucket="c", prefix=""), "empty/"),
        ("rename", Source(bucket="b", prefix="a/"), Name(bucket="b", prefix="z/"), "z/"),
        ("copy", Source(bucket="b", key="a/x"), Name(bucket="c", key="q/y"), "q/y"),
        ("copy", Source(bucket="b", prefix=""), Name(bucket="c", prefix="all/"), "all/"),
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
        {"operation": "delete", "sources": [{"bucket": "b", "prefix": "a/", "only": ["b/c"]}]},
        {"operation": "delete", "sources": [{"bucket": "b", "key": "a", "only": ["a"]}]},
    ],
    ids=["nowhere", "nothing", "into-itself", "two-in-one", "not-below", "of-a-key"],
)
def test_ui_23_orders_that_cannot_be(order):
    """What could lose objects or never end is refused before anything starts."""
    with pytest.raises(ApiError):
        check_order(Order.model_validate(order))


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b"<Error><Code>SlowDown</Code></Error>", True),
        (b'<?xml version="1.0"?>\n\n<Error xmlns="x"><Code>A</Code></Error>', True),
        (b"<DeleteResult><Error><Key>a</Key></Error></DeleteResult>", False),
        (b"<CopyObjectResult/>", False),
    ],
)
def test_fwd_8_a_list_of_errors_is_no_error(document, error):
    """What DeleteObjects could not delete is told key by key, not as if nothing had been deleted."""
    assert is_error(document) is error


def test_dos_11_a_running_job_tells_how_many_failed_and_names_some():
    """The page asks often: ten thousand names are told once, at the end."""
    failed = [Failed("home", f"k/{n}", "AccessDenied", "No.") for n in range(500)]
    running = Progress(state="running", failed=failed).as_json()
    over = Progress(state="done", failed=failed).as_json()
    assert (running["failures"], len(running["failed"])) == (500, 100)
    assert (over["failures"], len(over["failed"])) == (500, 500)


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


async def test_ui_22_some_keys_of_a_prefix_keep_their_folders(world):
    """What failed is ordered again by name, and goes where it would have gone the first time."""
    _, who = world
    ada = who["ada"]
    for name in ("a.txt", "deep/b.txt", "deep/er/c.txt"):
        await ada.put("home", f"old/{name}", name.encode())
    told = await ada.job(
        operation="rename",
        sources=[
            {"bucket": "home", "prefix": "old/", "only": ["old/deep/er/c.txt", "old/deep/gone"]}
        ],
        destination={"bucket": "home", "prefix": "new/"},
    )
    assert told["done"] == {"objects": 1, "bytes": 13}, told
    (failed,) = told["failed"]
    assert (failed["bucket"], failed["key"]) == ("home", "old/deep/gone")
    assert await ada.keys("home", "new/") == ["new/deep/er/c.txt"]
    assert await ada.keys("home", "old/") == ["old/a.txt", "old/deep/b.txt"]


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
    job_id = await ada.start(
        operation="copy",
        sources=[{"bucket": "home", "key": "big.bin"}],
        destination={"bucket": "team-data", "prefix": ""},
    )
    await asyncio.wait_for(began.wait(), 10)
    assert (await ada.ask("DELETE", f"/api/jobs/{job_id}")).status == 204
    assert (await ada.follow(job_id))["state"] == "cancelled"
    listed = await ada.ask("GET", "/team-data?uploads")
    assert b"<Upload>" not in listed.body


async def test_ui_23_what_changed_between_two_questions_is_told_at_once(world, monkeypatch):
    """Or the page would show an old figure for as long as one large part takes."""
    app, who = world[0].app, world[1]
    ada = who["ada"]
    held, go = asyncio.Event(), asyncio.Event()

    async def waits(self):
        held.set()
        await go.wait()

    monkeypatch.setattr(transfer._Copy, "whole", waits)
    await ada.put("home", "one.txt", b"x")
    job_id = await ada.start(
        operation="copy",
        sources=[{"bucket": "home", "key": "one.txt"}],
        destination={"bucket": "team-data", "prefix": ""},
    )
    await asyncio.wait_for(held.wait(), 10)
    before = (await ada.ask("GET", f"/api/jobs/{job_id}")).json["changes"]
    app.jobs._running[job_id].job.change()

    async with asyncio.timeout(5):
        told = await ada.ask("GET", f"/api/jobs/{job_id}?wait=30&seen={before}")
    assert (told.json["state"], told.json["changes"]) == ("running", before + 1)
    assert (await ada.ask("GET", f"/api/jobs/{job_id}?seen=-1")).status == 400
    assert (await ada.ask("DELETE", f"/api/jobs/{job_id}")).status == 204


async def test_ui_23_a_job_is_cancelled_from_another_replica(world, monkeypatch):
    """There only the store is shared: the wish is noted, and found within moments."""
    world, who = world
    ada = who["ada"]
    monkeypatch.setattr("gateway.server.jobs.RENEWED", 0.05)
    held = asyncio.Event()

    async def slow(self):
        held.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(transfer._Copy, "whole", slow)
    order = {
        "operation": "copy",
        "sources": [{"bucket": "home", "key": "hello.txt"}],
        "destination": {"bucket": "team-data", "prefix": ""},
    }
    job_id = (await ada.ask("POST", "/api/jobs", json=order)).json["id"]
    await asyncio.wait_for(held.wait(), 10)
    here = world.app.jobs._running
    monkeypatch.setattr(world.app.jobs, "_running", {})
    async with asyncio.timeout(10):  # the store learns of it within moments
        while (await ada.ask("GET", f"/api/jobs/{job_id}")).json["state"] != "running":
            await asyncio.sleep(0.02)
    assert (await ada.ask("DELETE", f"/api/jobs/{job_id}")).status == 204
    await asyncio.wait({here[job_id].task}, timeout=10)

    assert (await ada.ask("GET", f"/api/jobs/{job_id}")).json["state"] == "cancelled"


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


async def test_cpy_6_between_upstreams_the_bytes_stream_through(world):
    """No upstream copies from another: read here, written there, with what belongs to the object."""
    world, who = world
    folder = world.folder
    config = (folder / "gateway.yaml").read_text()
    line = f's3: {{endpoint: "{world.s3_url}", region: us-east-1, addressing: path}}'
    assert line in config
    other = line.replace("s3: ", "other: ", 1)
    (folder / "gateway.yaml").write_text(config.replace(line, f"{line}\n  {other}"))
    policy = folder / "policies" / "main.yaml"
    grant = "      - {bucket: elsewhere, upstream: other, target: acme-home/elsewhere/, credentials: shared, allow: [list, read, write, delete]}\n"
    team = '  - name: team data\n    match: {claims: {"cognito:groups": {contains: staff}}}\n    grants:\n'
    assert team in policy.read_text()
    policy.write_text(policy.read_text().replace(team, team + grant))
    assert await world.app.reload()
    ada = who["ada"]
    mib = 1024 * 1024
    world.app.jobs._sizes = transfer.Sizes(whole=6 * mib, part=5 * mib)
    await ada.put("home", "m/small.txt", b"small", **{"x-amz-meta-a": "b", "x-amz-tagging": "k=v"})
    await ada.put("home", "m/large.bin", b"l" * (7 * mib))
    told = await ada.job(
        operation="move",
        sources=[{"bucket": "home", "prefix": "m/"}],
        destination={"bucket": "elsewhere", "prefix": ""},
    )
    assert (told["state"], told["done"]["objects"]) == ("done", 2), told
    assert await ada.get("elsewhere", "m/large.bin") == b"l" * (7 * mib)
    seen = await ada.ask("HEAD", "/elsewhere/m/small.txt")
    assert seen.headers["x-amz-meta-a"] == "b" and seen.headers["x-amz-tagging-count"] == "1"
    assert await ada.keys("home", "m/") == []


async def test_s3_13_signing_out_ends_a_job(world, monkeypatch):
    """What the session may no longer do, its job does no more; what was not copied stays."""
    world, who = world
    ada = await signed_in(who["nobody"], "ada")
    monkeypatch.setattr("gateway.server.errands.STILL_STANDS", timedelta(0))
    for n in range(4):
        await ada.put("home", f"j/{n}", b"x")
    held, go = asyncio.Event(), asyncio.Event()
    real = transfer._Copy.whole

    async def waits(self):
        held.set()
        await go.wait()
        return await real(self)

    monkeypatch.setattr(transfer._Copy, "whole", waits)
    job_id = await ada.start(
        operation="move",
        sources=[{"bucket": "home", "prefix": "j/"}],
        destination={"bucket": "team-data", "prefix": ""},
    )
    running = world.app.jobs._running[job_id]
    await asyncio.wait_for(held.wait(), 10)
    assert (await ada.ask("DELETE", "/api/session")).status == 200
    go.set()
    await asyncio.wait({running.task}, timeout=10)
    told = running.job.progress.as_json()
    assert told["state"] == "failed"
    assert "ExpiredToken" in {one["code"] for one in told["failed"]}
    assert await who["ada"].keys("home", "j/") == ["j/0", "j/1", "j/2", "j/3"]


async def test_s3_13_a_right_that_is_lost_ends_with_the_next_object(world, monkeypatch):
    """A group is taken away at the provider while a job runs: the rest stays where it is."""
    world, who = world
    ada = await signed_in(who["nobody"], "ada")
    monkeypatch.setattr("gateway.server.errands.STILL_STANDS", timedelta(0))
    for n in range(3):
        await ada.put("home", f"j/{n}", b"x")
    bounds = world.app.snapshot.config.jobs.model_copy(update={"concurrency": 1})
    world.app.snapshot.config.__dict__["jobs"] = bounds
    copied = transfer._Copy.whole

    async def then_the_group_goes(self):
        made = await copied(self)
        world.idp.set_groups("ada", ["visitors"])
        await session_falls_due(world, ada)
        return made

    monkeypatch.setattr(transfer._Copy, "whole", then_the_group_goes)
    told = await ada.job(
        operation="copy",
        sources=[{"bucket": "home", "prefix": "j/"}],
        destination={"bucket": "team-data", "prefix": ""},
    )
    assert told["done"]["objects"] == 1
    assert [one["code"] for one in told["failed"]] == ["AccessDenied", "AccessDenied"]
    assert await who["ada"].keys("team-data", "j/") == ["j/0"]


async def session_falls_due(world, caller) -> None:
    """The claims of this session are to be renewed before they count again."""
    sessions, now = world.app.sessions, world.app.errands.clock()
    opened = await sessions.open(caller.extra["Cookie"].partition("=")[2], now)
    record = await sessions.record(opened.proof, now)
    await sessions._records.write(_holder(opened.proof), replace(record, due=0))


async def test_a_job_whose_process_is_gone_is_interrupted(world):
    """The record tells what was known; one that nobody renews says so."""
    world, who = world
    ada = who["ada"]
    me = (await ada.ask("GET", "/api/session")).json
    now = world.app.errands.clock()
    for age, state in ((1, "running"), (60, "interrupted")):
        record = {
            "owner": [me["issuer"], me["subject"]],
            "at": (now - timedelta(seconds=age)).isoformat(),
            "progress": {"state": "running"},
        }
        await world.app.store.put(
            "job/lost", json.dumps(record).encode(), expires=now + timedelta(hours=1)
        )
        assert (await ada.ask("GET", "/api/jobs/lost")).json["state"] == state


async def test_dos_11_jobs_are_bounded(world):
    """More objects than a job may touch: told, and nothing is done."""
    world, who = world
    ada = who["ada"]
    bounds = world.app.snapshot.config.jobs.model_copy(update={"max_objects": 2})
    world.app.snapshot.config.__dict__["jobs"] = bounds
    for n in range(3):
        await ada.put("home", f"k/{n}", b"x")
    told = await ada.job(operation="delete", sources=[{"bucket": "home", "prefix": "k/"}])
    assert (told["state"], told["failed"][0]["code"]) == ("failed", "TooManyObjects")
    assert len(await ada.keys("home", "k/")) == 3
