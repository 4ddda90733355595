"""
/api/jobs: copy, move, rename and delete of many keys or a prefix, with counts and a cancel button.

A job first counts, then works through the same lists again. It runs in this process; what is
told of it is also written to the state store, so that a reload of the page, or another replica,
finds it. A record that nobody renews any more says `interrupted`.

Sources: UI-22 to UI-25, S3-13, DOS-11.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aiohttp import web
from pydantic import Field

from gateway.errors import ApiError, StateError
from gateway.keyring import random_token
from gateway.observe.metrics import JOBS
from gateway.server.bodies import Strict, json_answer, read_json
from gateway.server.cookies import query_of
from gateway.server.errands import BATCH, Entry, Errand, Errands, Refused, Slots
from gateway.server.exchange import Request, exchange_of
from gateway.server.routes import Route
from gateway.server.transfer import Place, Sizes, copy

if TYPE_CHECKING:
    from gateway.config.model import Jobs as Bounds
    from gateway.identity import Proof
    from gateway.state import StateStore

log = logging.getLogger("gateway.jobs")

ORDER_MAX = 8 * 1024 * 1024  # bytes of an order
SOURCES_MAX = 50_000  # names in an order: what somebody may have selected in the page
FAILED_MAX = 10_000  # failures that are told one by one; then the job gives up
KEPT = timedelta(days=1)  # how long is told what became of a job
RENEWED = 4.0  # seconds between two records of a running job
LAPSED = timedelta(seconds=30)  # a record older than this has nobody who runs it
WAIT_MAX = 30.0  # seconds that a question may wait for a change
SETTLE = 0.2  # seconds in which changes are gathered before they are told
COPIES_MAX = 1000  # numbers that are tried for a free name

Operation = Literal["copy", "move", "rename", "delete"]
State = Literal["counting", "running", "done", "failed", "cancelled", "interrupted"]
OVER = frozenset({"done", "failed", "cancelled", "interrupted"})


class Name(Strict):
    """An object by `key`, or all below a `prefix`."""

    bucket: Annotated[str, Field(min_length=1, max_length=63)]
    key: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    prefix: Annotated[str, Field(max_length=1024)] | None = None


class Order(Strict):
    """Body of POST /api/jobs."""

    operation: Operation
    sources: Annotated[tuple[Name, ...], Field(min_length=1, max_length=SOURCES_MAX, strict=False)]
    destination: Name | None = None
    if_exists: Literal["fail", "replace", "skip", "rename"] = "fail"
    dry_run: bool = False
    """Only count."""


@dataclass(slots=True)
class Progress:
    """What is told of a job."""

    state: State = "counting"
    objects: int = 0
    bytes: int = 0
    complete: bool = False
    done_objects: int = 0
    done_bytes: int = 0
    skipped: int = 0
    failed: list[tuple[str, str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "counted": {"objects": self.objects, "bytes": self.bytes, "complete": self.complete},
            "done": {"objects": self.done_objects, "bytes": self.done_bytes},
            "skipped": self.skipped,
            "failed": [
                {"key": key, "code": code, "message": message} for key, code, message in self.failed
            ],
        }


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a job, and the name that it shall get."""

    source: Place
    size: int
    target: Place | None


class Job:
    """One order as it is carried out."""

    def __init__(self, order: Order, errand: Errand, bounds: Bounds, sizes: Sizes) -> None:
        self.order = order
        self.progress = Progress()
        self._errand = errand
        self._bounds = bounds
        self._sizes = sizes
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Counts, then works. Whatever is refused becomes part of what is told."""
        progress = self.progress
        try:
            await self._count()
            if not self.order.dry_run:
                progress.state = "running"
                self.change()
                await (self._delete_all() if self.order.operation == "delete" else self._copy_all())
            broken = bool(progress.failed) and not progress.done_objects
            progress.state = "failed" if broken else "done"
        except Refused as refused:
            self._fail("", refused)
            progress.state = "failed"
        except asyncio.CancelledError:
            progress.state = "cancelled"
            raise
        except BaseException:
            progress.state = "failed"
            progress.failed.append(("", "InternalError", "The job failed; please try again."))
            raise
        finally:
            self.change()

    def change(self) -> None:
        """Wakes whoever waits for news."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seconds: float) -> None:
        """Returns when something has changed, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
                if self.progress.state not in OVER:
                    await asyncio.sleep(SETTLE)

    def _fail(self, key: str, refused: Refused) -> None:
        self.progress.failed.append((key, refused.code, refused.message))
        self.change()
        if len(self.progress.failed) >= FAILED_MAX:
            raise Refused(409, "TooManyFailures", "So many objects failed that the job gave up.")

    # -- counting ----------------------------------------------------------------------------------

    async def _count(self) -> None:
        progress = self.progress
        async for items in self._items(sized=True):
            progress.objects += len(items)
            progress.bytes += sum(item.size for item in items)
            if progress.objects > self._bounds.max_objects:
                raise Refused(
                    409, "TooManyObjects", f"A job takes up to {self._bounds.max_objects} objects."
                )
            self.change()
        progress.complete = True

    async def _items(self, *, sized: bool = False) -> AsyncIterator[list[Item]]:
        """All objects of the order, some at a time."""
        for source in self.order.sources:
            if source.key is not None:
                size = await self._size(source.bucket, source.key) if sized else 0
                place = Place(source.bucket, source.key)
                yield [Item(place, size, self._target(source, source.key))]
                continue
            async for entries in self._errand.walk(source.bucket, source.prefix or ""):
                yield [self._item(source, entry) for entry in entries]

    async def _size(self, bucket: str, key: str) -> int:
        if self.order.operation == "delete":
            return 0  # a deletion needs no right to read
        try:
            found = await self._errand.head(bucket, key)
        except Refused:
            return 0  # told when the object's turn comes
        return int(found.get("content-length") or 0) if found is not None else 0

    def _item(self, source: Name, entry: Entry) -> Item:
        return Item(Place(source.bucket, entry.key), entry.size, self._target(source, entry.key))

    def _target(self, source: Name, key: str) -> Place | None:
        destination = self.order.destination
        if destination is None:
            return None
        base = target_base(self.order.operation, source, destination)
        rest = key[len(source.prefix or "") :] if source.key is None else ""
        return Place(destination.bucket, base + rest)

    # -- deleting ----------------------------------------------------------------------------------

    async def _delete_all(self) -> None:
        batch: list[Item] = []
        async for items in self._items():
            for item in items:
                if len(batch) == BATCH or (batch and batch[0].source.bucket != item.source.bucket):
                    await self._delete(batch)
                    batch = []
                batch.append(item)
        if batch:
            await self._delete(batch)

    async def _delete(self, batch: list[Item]) -> None:
        keys = [item.source.key for item in batch]
        try:
            failed = await self._errand.delete(batch[0].source.bucket, keys)
        except Refused as refused:
            if refused.code == "ExpiredToken":
                raise
            failed = [(key, refused.code, refused.message) for key in keys]
        lost = {key for key, _, _ in failed}
        self.progress.done_objects += len(keys) - len(lost)
        self.progress.done_bytes += sum(i.size for i in batch if i.source.key not in lost)
        for key, code, message in failed:
            self._fail(key, Refused(409, code, message))
        self.change()

    # -- copying -----------------------------------------------------------------------------------

    async def _copy_all(self) -> None:
        queue: asyncio.Queue[Item | None] = asyncio.Queue(maxsize=BATCH)
        workers = self._bounds.concurrency

        async def work() -> None:
            while (item := await queue.get()) is not None:
                await self._copy(item)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(work())
                async for items in self._items():
                    for item in items:
                        await queue.put(item)
                for _ in range(workers):
                    await queue.put(None)
        except* Refused as refused:
            raise next(_leaves(refused)) from None

    async def _copy(self, item: Item) -> None:
        source = item.source
        before = self.progress.done_bytes
        told = 0

        def tell(count: int) -> None:
            nonlocal told
            told += count
            self.progress.done_bytes += count
            self.change()

        try:
            assert item.target is not None
            target = await self._free(source, item.target)
            if target is None:
                self.progress.skipped += 1
            else:
                seen = await copy(self._errand, source, target, tell, self._sizes)
                if self.order.operation != "copy":
                    await self._remove(source, seen.get("etag") or "")
                self.progress.done_objects += 1
        except Refused as refused:
            self.progress.done_bytes -= told
            if refused.code == "ExpiredToken":
                raise
            self._fail(source.key, refused)
        finally:
            if self.progress.done_bytes != before:
                self.change()

    async def _free(self, source: Place, target: Place) -> Place | None:
        """The name to copy to; None where it is taken and shall be skipped. Raises Refused."""
        how = self.order.if_exists
        if how == "replace":
            if target == source:
                raise Refused(409, "SameObject", "Source and target are the same object.")
            return target
        if await self._errand.head(target.bucket, target.key) is None:
            return target
        if how == "skip":
            return None
        if how == "fail":
            raise Refused(409, "AlreadyExists", f"{target.key} exists already.")
        for other in other_names(target.key):
            if await self._errand.head(target.bucket, other) is None:
                return Place(target.bucket, other)
        raise Refused(409, "AlreadyExists", f"{target.key} and its numbered names exist already.")

    async def _remove(self, source: Place, etag: str) -> None:
        """Deletes the source of a verified copy, unless it is another object by now (UI-23)."""
        seen = await self._errand.head(source.bucket, source.key)
        if seen is None:
            return
        if (seen.get("etag") or "") != etag:
            raise Refused(
                409, "SourceChanged", "It changed after it was copied and was not deleted."
            )
        await self._errand.document("DELETE", source.bucket, source.key)


def _leaves(group: BaseExceptionGroup[Refused]) -> Iterator[Refused]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def target_base(operation: Operation, source: Name, destination: Name) -> str:
    """Where a source goes: below a prefix by its last name, or exactly where a name is given."""
    if destination.key is not None:
        return destination.key
    prefix = destination.prefix or ""
    if operation == "rename":
        return prefix
    whole = source.key if source.key is not None else source.prefix or ""
    folder = "/" if whole.endswith("/") else ""
    last = whole.rstrip("/").rpartition("/")[2]
    return prefix + last + folder if last else prefix


def other_names(key: str) -> Iterator[str]:
    """`name (2).ext`, `name (3).ext` and so on."""
    folder, slash, last = key.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    if not stem:
        stem, dot, extension = last, "", ""
    for number in range(2, COPIES_MAX):
        yield f"{folder}{slash}{stem} ({number}){dot}{extension}"


def check_order(order: Order) -> None:
    """Raises ApiError (400) for what cannot be carried out."""
    for source in order.sources:
        if (source.key is None) == (source.prefix is None):
            raise _bad("Each source has either a key or a prefix.")
    destination = order.destination
    if order.operation == "delete":
        if destination is not None:
            raise _bad("A deletion has no destination.")
        return
    if destination is None or (destination.key is None) == (destination.prefix is None):
        raise _bad("A destination has either a key or a prefix.")
    exact = destination.key is not None or order.operation == "rename"
    if exact and len(order.sources) > 1:
        raise _bad("Several sources cannot have one name.")
    for source in order.sources:
        _check_pair(order, source, destination)


def _check_pair(order: Order, source: Name, destination: Name) -> None:
    if destination.key is not None and source.key is None:
        raise _bad("A prefix cannot become an object.")
    if order.operation == "rename" and source.key is not None and destination.key is None:
        raise _bad("An object is renamed to a key.")
    if source.prefix is None:
        return
    base = target_base(order.operation, source, destination)
    if source.bucket == destination.bucket and base.startswith(source.prefix):
        raise _bad("A prefix cannot go into itself.")


def _bad(sentence: str) -> ApiError:
    return ApiError(400, "The job cannot be carried out.", detail=sentence, code="job")


@dataclass(slots=True)
class _Running:
    owner: tuple[str, str]
    job: Job
    task: asyncio.Task[None]


class Jobs:
    """The routes, and the jobs of this process."""

    def __init__(
        self, errands: Errands, store: StateStore, slots: Slots, sizes: Sizes | None = None
    ) -> None:
        self._errands = errands
        self._store = store
        self._slots = slots
        self._sizes = sizes or Sizes()
        self._running: dict[str, _Running] = {}

    def routes(self) -> tuple[Route, ...]:
        """The rows of the route table."""
        return (
            Route(
                method="POST",
                path="/api/jobs",
                handler=self.create,
                summary="Starts copying, moving, renaming or deleting many objects.",
                body=Order.model_json_schema(),
                answer={"type": "object", "properties": {"id": {"type": "string"}}},
            ),
            Route(
                method="GET",
                path="/api/jobs/{id}",
                handler=self.show,
                summary="How far a job is; with `wait`, as soon as that changed.",
                answer=PROGRESS,
                query=("wait",),
            ),
            Route(
                method="DELETE",
                path="/api/jobs/{id}",
                handler=self.cancel,
                summary="Cancels a job.",
            ),
        )

    async def create(self, request: Request) -> web.StreamResponse:
        """POST /api/jobs."""
        ex = exchange_of(request)
        proof = _person(ex.proof)
        order = await read_json(request, Order, ORDER_MAX)
        check_order(order)
        bounds = ex.snapshot.config.jobs
        with ExitStack() as stack:
            stack.enter_context(self._slots.taken(proof.identity, bounds))
            job_id = random_token(16)
            errand = self._errands.errand(proof, peer=request.head.peer, note=f"job:{job_id}")
            job = Job(order, errand, bounds, self._sizes)
            owner = (proof.identity.issuer, proof.identity.subject)
            await self._write(job_id, owner, job)
            held = stack.pop_all()
        task = asyncio.get_running_loop().create_task(self._run(job_id, owner, job, held))
        self._running[job_id] = _Running(owner, job, task)
        return json_answer({"id": job_id}, status=202)

    async def show(self, request: Request) -> web.StreamResponse:
        """GET /api/jobs/{id}."""
        ex = exchange_of(request)
        running, record = await self._found(request)
        seconds = _seconds(request)
        if running is not None:
            if seconds and running.job.progress.state not in OVER:
                await running.job.changed(seconds)
            return json_answer(running.job.progress.as_json())
        progress: dict[str, Any] = record["progress"]
        if progress["state"] not in OVER:
            if datetime.fromisoformat(record["at"]) + LAPSED < ex.now:
                progress["state"] = "interrupted"
            elif seconds:  # it runs at another replica, which writes this often
                await asyncio.sleep(min(seconds, RENEWED / 2))
                _, record = await self._found(request)
                progress = record.get("progress", progress)
        return json_answer(progress)

    async def cancel(self, request: Request) -> web.StreamResponse:
        """DELETE /api/jobs/{id}: at once here, within seconds at another replica."""
        ex = exchange_of(request)
        running, _ = await self._found(request)
        if running is not None:
            running.task.cancel()
            await asyncio.wait({running.task}, timeout=WAIT_MAX)
        else:
            job_id = request.match_info["id"]
            await self._store.put(_cancelled(job_id), b"1", expires=ex.now + KEPT)
        return web.Response(status=204, headers={"Cache-Control": "no-store"})

    async def _found(self, request: Request) -> tuple[_Running | None, dict[str, Any]]:
        """A job of the caller's, here or by its record. Raises ApiError (404)."""
        proof = _person(exchange_of(request).proof)
        owner = (proof.identity.issuer, proof.identity.subject)
        job_id = request.match_info["id"]
        running = self._running.get(job_id)
        if running is not None and running.owner == owner:
            return running, {}
        value = await self._store.get(_name(job_id))
        record: dict[str, Any] = json.loads(value) if value is not None else {}
        if tuple(record.get("owner", ())) != owner:
            raise ApiError(404, "You have no job of this id.", code="no-such-job")
        return None, record

    async def _run(self, job_id: str, owner: tuple[str, str], job: Job, held: ExitStack) -> None:
        """A job to its end, and its record beside it."""
        loop = asyncio.get_running_loop()
        with held:
            work = loop.create_task(job.run())
            try:
                while not (await asyncio.wait({work}, timeout=RENEWED))[0]:
                    await self._renew(job_id, owner, job, work)
                if not work.cancelled():
                    work.result()
            except asyncio.CancelledError:
                work.cancel()
                await asyncio.wait({work})
            except Exception:
                log.exception("a job failed", extra={"job": job_id})
            finally:
                JOBS.add(job.order.operation, job.progress.state)
                with contextlib.suppress(StateError):
                    await self._write(job_id, owner, job)
                self._running.pop(job_id, None)

    async def _renew(
        self, job_id: str, owner: tuple[str, str], job: Job, work: asyncio.Task[None]
    ) -> None:
        try:
            await self._write(job_id, owner, job)
            if await self._store.get(_cancelled(job_id)) is not None:
                work.cancel()
        except StateError as away:
            # The job goes on; its requests are refused by themselves where nobody can be judged.
            log.warning("a job's record was not written", extra={"job": job_id, "why": str(away)})

    async def _write(self, job_id: str, owner: tuple[str, str], job: Job) -> None:
        now = self._errands.clock()
        record = {"owner": owner, "at": now.isoformat(), "progress": job.progress.as_json()}
        await self._store.put(_name(job_id), json.dumps(record).encode(), expires=now + KEPT)

    async def close(self) -> None:
        """Ends every job of this process; their records say so."""
        tasks = [running.task for running in self._running.values()]
        for running in self._running.values():
            running.task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _person(proof: Proof | None) -> Proof:
    if proof is None:
        raise ApiError(401, "Nobody is signed in.", code="not-signed-in")
    return proof


def _seconds(request: Request) -> float:
    """`wait`, within bounds. Raises ApiError (400)."""
    for name, value in query_of(request):
        if name == "wait":
            if not value.isdecimal() or not value.isascii() or len(value) > 6:
                raise ApiError(400, "`wait` is a number of seconds.", code="wait")
            return min(float(value), WAIT_MAX)
    return 0.0


def _name(job_id: str) -> str:
    return f"job/{job_id}"


def _cancelled(job_id: str) -> str:
    return f"job-cancel/{job_id}"


_COUNT = {
    "type": "object",
    "properties": {"objects": {"type": "integer"}, "bytes": {"type": "integer"}},
}
PROGRESS = {
    "type": "object",
    "properties": {
        "state": {"enum": ["counting", "running", *sorted(OVER)]},
        "counted": _COUNT,
        "done": _COUNT,
        "skipped": {"type": "integer"},
        "failed": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {n: {"type": "string"} for n in ("key", "code", "message")},
            },
        },
    },
}
