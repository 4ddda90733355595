"""
Requests that the gateway makes in somebody's name: for jobs, archives and share links.

Each goes through the pipeline as if it had arrived: judged by the policy of this moment,
rewritten, signed, and written to the audit log with a note of what it was for (S3-13). Who the
proof behind it shows, and whether it still stands, is asked again every few seconds.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gateway.errors import ApiError, GatewayError, StateError
from gateway.message import (
    NO_BODY,
    Answer,
    Body,
    BodyTooLarge,
    BytesBody,
    Headers,
    Pairs,
    RequestHead,
)
from gateway.observe import metrics
from gateway.observe.audit import AuditEvent
from gateway.s3 import errors as s3
from gateway.s3 import names, xml
from gateway.s3.errors import S3Error
from gateway.server.exchange import Exchange
from gateway.server.respond import refusal

if TYPE_CHECKING:
    from gateway.config.model import Jobs as Bounds
    from gateway.identity import Identity, Proof
    from gateway.observe.logs import Sink
    from gateway.server.pipeline import Pipeline
    from gateway.snapshot import Snapshot

STILL_STANDS = timedelta(seconds=3)  # between questions what the proof is good for by now
ERROR_MAX = 64 * 1024  # bytes of an upstream's error document
DOCUMENT_MAX = 16 * 1024 * 1024  # bytes of a page of a list, and of what DeleteObjects answers
TRIES = 6  # of a request that was told to slow down
PAUSE = 0.2  # seconds before the second try; doubled for each further one
AWAY = "Whether the sign-in behind this still stands cannot be told at the moment."
BATCH = 1000  # keys in one DeleteObjects, and in one page of a list


class Refused(GatewayError):
    """One request was answered with an error; the error is told to whoever wanted it done."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


@contextmanager
def refused_alone() -> Iterator[None]:
    """
    Around a task group: the first refusal comes out as itself, since the others follow from it.

    It is raised after `except*`: inside, Python before 3.11.4 puts it into a group again.
    """
    first: Refused | None = None
    try:
        yield
    except* Refused as refused:
        first = _first(refused)
    if first is not None:
        raise first


def _first(group: BaseExceptionGroup[Refused]) -> Refused:
    found = group.exceptions[0]
    return found if isinstance(found, Refused) else _first(found)


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a list shows it."""

    key: str
    size: int
    etag: str
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list."""

    entries: tuple[Entry, ...]
    prefixes: tuple[str, ...]
    next: str | None


class Errand:
    """What one proof may still do. One for a job, an archive, or a visit by a share link."""

    def __init__(self, errands: Errands, proof: Proof, *, peer: str | None, note: str) -> None:
        self._errands = errands
        self.proof = proof
        self._peer = peer
        self._note = note
        self._asked: datetime | None = None

    async def check(self) -> None:
        """Raises Refused: ExpiredToken where the proof has ended; 503 where nobody can tell."""
        now = self._errands.clock()
        if self.proof.expires is not None and now >= self.proof.expires:
            raise _ended()
        if self._asked is None or now - self._asked >= STILL_STANDS:
            # S3-13: whose groups have changed, or who signed out, is judged so from here on.
            self.proof, self._asked = await self._current(now), now

    async def _current(self, now: datetime) -> Proof:
        tries = 0
        while True:
            try:
                current = await self._errands.current(self.proof, now)
            except StateError as away:
                tries += 1
                if tries == TRIES:
                    raise Refused(503, "ServiceUnavailable", AWAY) from away
                await asyncio.sleep(PAUSE * 2**tries)
                continue
            if current is None:
                raise _ended()
            return current

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Iterable[tuple[str, str]] = (),
        body: Body = NO_BODY,
    ) -> AsyncIterator[Answer]:
        """The answer, whatever its status; it is closed at the end of the block. Raises Refused."""
        head = self._head(method, bucket, key, tuple(query), headers, body)
        await self.check()
        tries = 0
        while True:
            ex = self._errands.exchange(head, self._note)
            with self._errands.written(ex):
                answer, slow = await self._sent(head, body, ex)
                if answer is not None:
                    try:
                        yield answer
                    finally:
                        await answer.body.close()
                    return
            assert slow is not None
            tries += 1
            if tries == TRIES:
                raise slow
            await asyncio.sleep(PAUSE * 2**tries)

    async def _sent(
        self, head: RequestHead, body: Body, ex: Exchange
    ) -> tuple[Answer | None, Refused | None]:
        """The answer; or that it should be tried again later. Raises Refused."""
        pipeline = self._errands.pipeline
        judged = False
        try:
            ruling = await pipeline.judge(head, body, ex, proof=self.proof)
            judged = True
            # Not `handle`: what is fetched here is never handed over to a proxy (PRX-11).
            answer = await pipeline.carry(ruling, ex)
        except GatewayError as error:
            found = _refused(error, ex)
            if not judged and isinstance(error, S3Error) and error.row is s3.SLOW_DOWN:
                return None, found  # our own limit, before anything was taken
            raise found from error
        ex.event.status = answer.status
        return answer, None

    async def permitted(self, method: str, bucket: str, key: str) -> None:
        """Asks the policy, and nobody else: nothing is done, nothing written down. Raises Refused."""
        head = self._head(method, bucket, key, (), (), NO_BODY)
        await self.check()
        ex = self._errands.exchange(head, self._note)
        try:
            await self._errands.pipeline.judge(head, NO_BODY, ex, proof=self.proof)
        except GatewayError as error:
            raise _refused(error, ex) from error
        finally:
            ex.finish()

    def _head(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Pairs,
        headers: Iterable[tuple[str, str]],
        body: Body,
    ) -> RequestHead:
        snapshot = self._errands.snapshot()
        public = urlsplit(snapshot.public_url)
        target = f"/{names.encode(bucket)}"
        if key:
            target += f"/{names.encode_path(key)}"
        if query:
            target += f"?{names.encode_query(query)}"
        pairs = [("host", public.netloc), *headers]
        if method in ("PUT", "POST"):
            pairs.append(("content-length", str(body.length)))
        return RequestHead(
            method=method,
            target=target,
            headers=Headers(pairs),
            peer=self._peer,
            secure=public.scheme == "https",
        )

    async def document(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Iterable[tuple[str, str]] = (),
        body: Body = NO_BODY,
    ) -> tuple[Headers, bytes]:
        """Headers and content of a successful answer. Raises Refused for any other."""
        async with self.ask(method, bucket, key, query=query, headers=headers, body=body) as answer:
            await succeeded(answer)
            try:
                data = await answer.body.read(DOCUMENT_MAX)
            except BodyTooLarge:
                raise Refused(502, "BadGateway", "An answer is longer than can be read.") from None
        # A copy and a completion may fail after 200 was sent (FWD-8).
        if is_error(data):
            raise told(200, data)
        return answer.head.headers, data

    async def head(self, bucket: str, key: str) -> Headers | None:
        """Headers of an object; None where there is none. Raises Refused."""
        try:
            async with self.ask("HEAD", bucket, key) as answer:
                await succeeded(answer)
                return answer.head.headers
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    async def page(
        self,
        bucket: str,
        prefix: str,
        *,
        after: str | None = None,
        delimiter: str = "",
        size: int = BATCH,
    ) -> Listed:
        """One page of a list. Raises Refused."""
        query = [("list-type", "2"), ("prefix", prefix), ("max-keys", str(size))]
        if delimiter:
            query.append(("delimiter", delimiter))
        if after is not None:
            query.append(("continuation-token", after))
        _, data = await self.document(
            "GET", bucket, query=query, headers=(("accept", "application/json"),)
        )
        found: dict[str, Any] = json.loads(data)
        return Listed(
            entries=tuple(
                Entry(
                    key=one["Key"],
                    size=int(one.get("Size", 0)),
                    etag=one.get("ETag", ""),
                    modified=str(one.get("LastModified", "")),
                )
                for one in found.get("Contents", ())
            ),
            prefixes=tuple(one["Prefix"] for one in found.get("CommonPrefixes", ())),
            next=found.get("NextContinuationToken"),
        )

    async def walk(self, bucket: str, prefix: str) -> AsyncGenerator[tuple[Entry, ...], None]:
        """Every object below a prefix, a page at a time. Raises Refused."""
        after: str | None = None
        while True:
            page = await self.page(bucket, prefix, after=after)
            yield page.entries
            after = page.next
            if after is None:
                return

    async def delete(self, bucket: str, keys: Iterable[str]) -> list[tuple[str, str, str]]:
        """Deletes up to BATCH keys; key, code and message of those that failed. Raises Refused."""
        listed = "".join(f"<Object><Key>{xml.escape(key)}</Key></Object>" for key in keys)
        data = f"<Delete><Quiet>true</Quiet>{listed}</Delete>".encode("utf-8", "surrogatepass")
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        _, answer = await self.document(
            "POST",
            bucket,
            query=(("delete", ""),),
            headers=(
                ("content-type", "application/xml"),
                ("content-md5", base64.b64encode(digest).decode()),
            ),
            body=BytesBody(data),
        )
        if not answer:
            return []
        root = xml.parse(answer, limit=DOCUMENT_MAX)
        return [
            (one.one("Key") or "", one.one("Code") or "", one.one("Message") or "")
            for one in root.all("Error")
        ]


_ERROR = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?<Error[\s>]")


def is_error(data: bytes) -> bool:
    """The document is an error, and not one that lists errors, as DeleteObjects answers."""
    return _ERROR.match(data) is not None


async def succeeded(answer: Answer) -> None:
    """Raises Refused with what the answer tells, unless it is 2xx."""
    if 200 <= answer.status < 300:
        return
    try:
        data = await answer.body.read(ERROR_MAX)
    except BodyTooLarge:
        data = b""
    raise told(answer.status, data)


def told(status: int, data: bytes) -> Refused:
    """What an error document says."""
    try:
        root = xml.parse(data, limit=ERROR_MAX)
        code, message = root.one("Code") or "", root.one("Message") or ""
    except xml.XMLError:
        code, message = "", ""
    known = {404: "NoSuchKey", 403: "AccessDenied", 412: "PreconditionFailed"}
    return Refused(
        status, code or known.get(status, "BadGateway"), message or f"It was answered {status}."
    )


def _refused(error: GatewayError, ex: Exchange) -> Refused:
    """What a refusal of ours says to whoever wanted it done; its audit line says the same."""
    told = refusal(error, anonymous=False)
    ex.event.status = told.status
    ex.event.refused(told.code, told.reason)
    return Refused(told.status, told.code, told.detail.get("sentence") or told.message)


def _ended() -> Refused:
    return Refused(403, "ExpiredToken", "The sign-in behind this has ended.")


class Errands:
    """What errands are made of."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        snapshot: Callable[[], Snapshot],
        clock: Callable[[], datetime],
        new_request_id: Callable[[], str],
        sinks: Iterable[Sink],
        current: Callable[[Proof, datetime], Awaitable[Proof | None]],
    ) -> None:
        """`current` gives a proof with the claims that count now; None where it has ended."""
        self.pipeline = pipeline
        self.snapshot = snapshot
        self.clock = clock
        self.current = current
        self._new_request_id = new_request_id
        self._sinks = tuple(sinks)

    def errand(self, proof: Proof, *, peer: str | None, note: str) -> Errand:
        """`note` stands in every audit line: `job`, `archive` or `share`, and which."""
        return Errand(self, proof, peer=peer, note=note)

    def exchange(self, head: RequestHead, note: str) -> Exchange:
        """An exchange of its own for a request of ours."""
        now = self.clock()
        event = AuditEvent(request_id=self._new_request_id(), time=now)
        event.arrived(head)
        event.note(note)
        return Exchange(
            snapshot=self.snapshot(),
            now=now,
            request_id=event.request_id,
            event=event,
            clock=self.clock,
        )

    @contextmanager
    def written(self, ex: Exchange) -> Iterator[None]:
        """Lets go of what the exchange holds, and writes its line."""
        try:
            yield
        finally:
            ex.finish()
            ex.event.finished(self.clock())
            for sink in self._sinks:
                sink.write(ex.event)
            metrics.observe(ex.event)


class Slots:
    """How many jobs and archives run: one identity's, and all of them (DOS-11)."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], int] = {}

    @contextmanager
    def taken(self, identity: Identity, bounds: Bounds) -> Iterator[None]:
        """Holds a place for the block. Raises ApiError (429)."""
        owner = (identity.issuer, identity.subject)
        mine = self._running.get(owner, 0)
        if mine >= bounds.per_identity or sum(self._running.values()) >= bounds.total:
            raise ApiError(
                429,
                "Too many jobs and archives run already.",
                detail=f"You may have {bounds.per_identity} at once; wait until one has ended.",
                code="too-many-jobs",
                retry_after=5,
            )
        self._running[owner] = mine + 1
        try:
            yield
        finally:
            self._running[owner] -= 1
            if not self._running[owner]:
                del self._running[owner]
