"""
One job as it is carried out: counted, then copied or deleted, and what is told of it.

It works through the same lists twice, so that nothing is kept of the objects but their number.

Sources: UI-22 to UI-25, S3-13, DOS-11.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gateway.server.errands import BATCH, Entry, Errand, Refused, refused_alone
from gateway.server.orders import Order, Source, other_names, target_base
from gateway.server.transfer import Place, Sizes, copy

if TYPE_CHECKING:
    from gateway.config.model import Jobs as Bounds

FAILED_TOLD = 100  # failures that are told while a job runs; all of them when it is over
FAILED_MAX = 10_000  # failures that are told one by one; then the job gives up
SETTLE = 0.2  # seconds in which changes are gathered before they are told

State = Literal["counting", "running", "done", "failed", "cancelled", "interrupted"]
OVER = frozenset({"done", "failed", "cancelled", "interrupted"})


@dataclass(frozen=True, slots=True)
class Failed:
    """One object that the job could not do; of the job as a whole where no name is given."""

    bucket: str
    key: str
    code: str
    message: str


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
    failed: list[Failed] = field(default_factory=list)
    changes: int = 0
    """How often something was told anew: who has seen so many waits for more."""

    def as_json(self) -> dict[str, Any]:
        told = len(self.failed) if self.state in OVER else FAILED_TOLD
        return {
            "state": self.state,
            "changes": self.changes,
            "counted": {"objects": self.objects, "bytes": self.bytes, "complete": self.complete},
            "done": {"objects": self.done_objects, "bytes": self.done_bytes},
            "skipped": self.skipped,
            "failures": len(self.failed),
            "failed": [asdict(one) for one in self.failed[:told]],
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
            self._fail(Place("", ""), refused)
            progress.state = "failed"
        except asyncio.CancelledError:
            progress.state = "cancelled"
            raise
        except BaseException:
            progress.state = "failed"
            progress.failed.append(
                Failed("", "", "InternalError", "The job failed; please try again.")
            )
            raise
        finally:
            self.change()

    def change(self) -> None:
        """Wakes whoever waits for news."""
        self.progress.changes += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seconds: float) -> None:
        """Returns when something has changed, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
                if self.progress.state not in OVER:
                    await asyncio.sleep(SETTLE)

    def _fail(self, place: Place, refused: Refused) -> None:
        self.progress.failed.append(Failed(place.bucket, place.key, refused.code, refused.message))
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
            if (keys := _named(source)) is not None:
                async for sizes in self._sizes_of(source.bucket, keys, sized=sized):
                    yield [
                        Item(Place(source.bucket, key), size, self._target(source, key))
                        for key, size in sizes
                    ]
                continue
            async for entries in self._errand.walk(source.bucket, source.prefix or ""):
                yield [self._item(source, entry) for entry in entries]

    async def _sizes_of(
        self, bucket: str, keys: tuple[str, ...], *, sized: bool
    ) -> AsyncIterator[list[tuple[str, int]]]:
        """Keys with their sizes, as many at a time as the job has workers; zeros if not `sized`."""
        step = self._bounds.concurrency if sized else BATCH
        for start in range(0, len(keys), step):
            some = keys[start : start + step]
            sizes = [0] * len(some)
            if sized:
                async with asyncio.TaskGroup() as group:
                    asked = [group.create_task(self._size(bucket, key)) for key in some]
                sizes = [task.result() for task in asked]
            yield list(zip(some, sizes, strict=True))

    async def _size(self, bucket: str, key: str) -> int:
        if self.order.operation == "delete":
            return 0  # a deletion needs no right to read
        try:
            found = await self._errand.head(bucket, key)
        except Refused:
            return 0  # told when the object's turn comes
        return int(found.get("content-length") or 0) if found is not None else 0

    def _item(self, source: Source, entry: Entry) -> Item:
        return Item(Place(source.bucket, entry.key), entry.size, self._target(source, entry.key))

    def _target(self, source: Source, key: str) -> Place | None:
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
            self._fail(Place(batch[0].source.bucket, key), Refused(409, code, message))
        self.change()

    # -- copying -----------------------------------------------------------------------------------

    async def _copy_all(self) -> None:
        queue: asyncio.Queue[Item | None] = asyncio.Queue(maxsize=BATCH)
        workers = self._bounds.concurrency

        async def work() -> None:
            while (item := await queue.get()) is not None:
                await self._copy(item)

        with refused_alone():
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(work())
                async for items in self._items():
                    for item in items:
                        await queue.put(item)
                for _ in range(workers):
                    await queue.put(None)

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
            self._fail(source, refused)
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


def _named(source: Source) -> tuple[str, ...] | None:
    """The keys of a source that names them; None where they have to be listed."""
    return source.only if source.key is None else (source.key,)
