"""
/api/jobs: copy, move, rename and delete of many keys or a prefix, with counts and a cancel button.

A job runs in this process; what is told of it is also written to the state store, so that a
reload of the page, or another replica, finds it. A record that nobody renews any more says
`interrupted`. What a job does is in `server/carry.py`.

Sources: UI-22 to UI-25, S3-13, DOS-11.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.errors import ApiError, StateError
from gateway.keyring import random_token
from gateway.observe.metrics import JOBS
from gateway.server.bodies import json_answer, read_json
from gateway.server.carry import OVER, Job
from gateway.server.cookies import query_of
from gateway.server.errands import Errands, Slots
from gateway.server.exchange import Request, exchange_of
from gateway.server.orders import Order, check_order
from gateway.server.routes import Route
from gateway.server.transfer import Sizes

if TYPE_CHECKING:
    from gateway.identity import Proof
    from gateway.state import StateStore

log = logging.getLogger("gateway.jobs")

ORDER_MAX = 8 * 1024 * 1024  # bytes of an order
KEPT = timedelta(days=1)  # how long is told what became of a job
RENEWED = 4.0  # seconds between two records of a running job
LAPSED = timedelta(seconds=30)  # a record older than this has nobody who runs it
WAIT_MAX = 30  # seconds that a question may wait for a change
DIGITS_MAX = 12


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
                body=Order.model_json_schema,
                answer={"type": "object", "properties": {"id": {"type": "string"}}},
            ),
            Route(
                method="GET",
                path="/api/jobs/{id}",
                handler=self.show,
                summary="How far a job is; with `wait`, as soon as `changes` is no longer what was `seen`.",
                answer=PROGRESS,
                query=("wait", "seen"),
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
        seconds = min(_number(request, "wait") or 0, WAIT_MAX)
        seen = _number(request, "seen")
        if running is not None:
            now = running.job.progress
            if seconds and now.state not in OVER and seen in (None, now.changes):
                await running.job.changed(seconds)
            return json_answer(now.as_json())
        progress: dict[str, Any] = record["progress"]
        if progress["state"] not in OVER:
            if datetime.fromisoformat(record["at"]) + LAPSED < ex.now:
                progress["state"] = "interrupted"
            elif seconds and seen in (
                None,
                progress["changes"],
            ):  # it runs at another replica, which writes this often
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


def _number(request: Request, asked: str) -> int | None:
    """A number in the query; None where it is not there. Raises ApiError (400)."""
    for name, value in query_of(request):
        if name == asked:
            if not value.isdecimal() or not value.isascii() or len(value) > DIGITS_MAX:
                raise ApiError(400, f"`{asked}` is a number.", code=asked)
            return int(value)
    return None


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
        "changes": {"type": "integer"},
        "counted": _COUNT,
        "done": _COUNT,
        "skipped": {"type": "integer"},
        "failures": {"type": "integer"},
        "failed": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {n: {"type": "string"} for n in ("bucket", "key", "code", "message")},
            },
        },
    },
}
