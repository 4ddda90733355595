"""
/api/archive: a prefix, or some entries of it, as one zip that is written while it is read.

Members are stored, not compressed: what people share is compressed already, and this way
the gateway's processor is not what limits the download. The format is in `server/zip64.py`.

Sources: UI-37, S3-13, DOS-11.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from aiohttp import web
from pydantic import Field

from gateway.errors import ApiError
from gateway.keyring import random_token
from gateway.message import Answer, Headers, IterBody, ResponseHead
from gateway.observe.metrics import JOBS
from gateway.s3 import names
from gateway.s3.errors import S3Error
from gateway.server import wire
from gateway.server.bodies import Strict, json_answer, read_json
from gateway.server.browser import attachment, check_destination
from gateway.server.cookies import query_of
from gateway.server.errands import Entry, Errand, Errands, Refused, Slots, succeeded
from gateway.server.exchange import Request, exchange_of
from gateway.server.inbound import ClientGone
from gateway.server.routes import Route
from gateway.server.zip64 import SafeNames, ZipWriter

if TYPE_CHECKING:
    from gateway.config.model import Jobs as Bounds
    from gateway.server.exchange import Exchange
    from gateway.state import StateStore

LIST_LIFE = timedelta(minutes=10)  # of a posted list of names: it is followed at once
LIST_MAX = 4 * 1024 * 1024  # bytes of such a list
NAMES_MAX = 50_000  # names in it
ERRORS = "ERRORS.txt"


class Names(Strict):
    """Body of POST /api/archive/{bucket}/{prefix}."""

    names: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...],
        Field(min_length=1, max_length=NAMES_MAX, strict=False),
    ]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of which prefix; no names are all of it."""

    bucket: str
    prefix: str
    names: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the file is called, without `.zip`."""
        only = self.names[0] if len(self.names) == 1 else ""
        return (self.prefix + only).rstrip("/").rpartition("/")[2] or self.bucket


async def archive(errand: Errand, wanted: Wanted, bounds: Bounds) -> AsyncGenerator[bytes, None]:
    """
    The archive's bytes. A member that cannot be read is told in ERRORS.txt; one that breaks off
    half-way breaks the whole, for its header has gone (AIO-16).
    """
    writer, safe = ZipWriter(), SafeNames()
    safe.of(ERRORS)
    failed: list[str] = []
    count = 0
    async with aclosing(_entries(errand, wanted, failed)) as entries:
        async for entry in entries:
            if count == bounds.max_objects:
                failed.append(
                    f"The archive ends here: it holds up to {bounds.max_objects} objects."
                )
                break
            count += 1
            name = entry.key[len(wanted.prefix) :]
            if not name:
                continue  # the folder itself
            async with aclosing(
                _member(errand, wanted, entry, name, writer, safe, failed)
            ) as parts:
                async for part in parts:
                    yield part
    if failed:
        yield writer.begin(ERRORS, None)
        yield writer.data(("\r\n".join(failed) + "\r\n").encode("utf-8", "replace"))
        yield writer.end()
    for part in writer.close():
        yield part


async def _entries(
    errand: Errand, wanted: Wanted, failed: list[str]
) -> AsyncGenerator[Entry, None]:
    """Every object that was asked for, as it is found."""
    for name in wanted.names or ("/",):
        key = wanted.prefix + name if wanted.names else wanted.prefix
        if wanted.names and not name.endswith("/"):
            yield Entry(key=key, size=0, etag="")
            continue
        try:
            async with aclosing(errand.walk(wanted.bucket, key)) as pages:
                async for page in pages:
                    for entry in page:
                        yield entry
        except Refused as refused:
            failed.append(_told(name, refused))


async def _member(
    errand: Errand,
    wanted: Wanted,
    entry: Entry,
    name: str,
    writer: ZipWriter,
    safe: SafeNames,
    failed: list[str],
) -> AsyncGenerator[bytes, None]:
    """One object with what stands around it."""
    modified = moment(entry.modified)
    if name.endswith("/"):  # a folder's mark: it has a name and nothing else
        yield writer.begin(safe.of(name), modified) + writer.end()
        return
    try:
        async with errand.ask("GET", wanted.bucket, entry.key) as answer:
            await succeeded(answer)
            yield writer.begin(
                safe.of(name), modified or stored_at(answer.head.headers.get("last-modified") or "")
            )
            async for chunk in answer.body:
                yield writer.data(chunk)
            yield writer.end()
    except Refused as refused:
        failed.append(_told(name, refused))


def _told(name: str, refused: Refused) -> str:
    """A line of ERRORS.txt. Raises the refusal where nothing more may be read at all (S3-13)."""
    if refused.code == "ExpiredToken":
        raise refused
    return f"{name}: {refused.code}: {refused.message}"


def moment(text: str) -> datetime | None:
    """The time that a list gives an object."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def stored_at(text: str) -> datetime | None:
    """The time that a head's Last-Modified gives an object."""
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None


class Archives:
    """The routes."""

    def __init__(self, errands: Errands, store: StateStore, slots: Slots) -> None:
        self._errands = errands
        self._store = store
        self._slots = slots

    def routes(self) -> tuple[Route, ...]:
        """The rows of the route table."""
        return (
            Route(
                method="GET",
                path="/api/archive/{bucket}/{prefix...}",
                handler=self.pack,
                summary="A prefix, or the entries of it that `name` lists, as a zip.",
                query=("name", "list"),
            ),
            Route(
                method="POST",
                path="/api/archive/{bucket}/{prefix...}",
                handler=self.post,
                summary="A list of names too long for an address; `href` packs them.",
                body=Names.model_json_schema,
                answer={"type": "object", "properties": {"href": {"type": "string"}}},
            ),
        )

    async def post(self, request: Request) -> web.StreamResponse:
        """POST /api/archive/{bucket}/{prefix}."""
        ex = exchange_of(request)
        bucket, prefix = place(request)
        asked = await read_json(request, Names, LIST_MAX)
        list_id = random_token(16)
        owner = _owner(ex)
        await self._store.put(
            f"archive/{list_id}",
            Names(names=asked.names).model_dump_json().encode(),
            expires=ex.now + LIST_LIFE,
        )
        # Sealed with its owner and place: the address is of use to nobody else.
        token = ex.snapshot.keyring.sealer("archive").seal(
            {"id": list_id, "own": owner, "b": bucket, "p": prefix}, expires=ex.now + LIST_LIFE
        )
        path = request.head.target.partition("?")[0]
        return json_answer({"href": f"{path}?list={quote(token, safe='')}"})

    async def pack(self, request: Request) -> web.StreamResponse:
        """GET /api/archive/{bucket}/{prefix}."""
        ex = exchange_of(request)
        proof = ex.proof
        assert proof is not None  # the route is for those who are signed in
        wanted = await self._wanted(request, ex)
        errand = self._errands.errand(proof, peer=request.head.peer, note="archive")
        with self._slots.taken(proof.identity, ex.snapshot.config.jobs):
            return await send_archive(request, ex, errand, wanted)

    async def _wanted(self, request: Request, ex: Exchange) -> Wanted:
        bucket, prefix = place(request)
        listed: tuple[str, ...] = ()
        for name, value in query_of(request):
            if name == "name" and value:
                listed += (value,)
            elif name == "list":
                listed = await self._posted(value, ex, bucket, prefix)
        return Wanted(bucket, prefix, tuple(dict.fromkeys(listed)))

    async def _posted(self, token: str, ex: Exchange, bucket: str, prefix: str) -> tuple[str, ...]:
        claims = ex.snapshot.keyring.sealer("archive").open(token, now=ex.now)
        value = None
        if claims is not None and claims == claims | {"own": _owner(ex), "b": bucket, "p": prefix}:
            value = await self._store.get(f"archive/{claims.get('id')}")
        if value is None:
            raise ApiError(404, "The list of names is no longer there.", code="no-such-list")
        return Names.model_validate_json(value).names


def _owner(ex: Exchange) -> list[str]:
    assert ex.proof is not None
    return [ex.proof.identity.issuer, ex.proof.identity.subject]


def place(request: Request) -> tuple[str, str]:
    """Bucket and prefix of the address, decoded once. Raises ApiError (400)."""
    try:
        bucket = names.decode(request.match_info["bucket"])
        prefix = names.decode(request.match_info.get("prefix", ""))
    except S3Error as bad:
        raise ApiError(400, "The address cannot be read.", code="address") from bad
    if not names.is_bucket_name(bucket) or len(prefix) > names.KEY_MAX:
        raise ApiError(400, "The address cannot be read.", code="address")
    return bucket, prefix


async def send_archive(
    request: Request, ex: Exchange, errand: Errand, wanted: Wanted
) -> web.StreamResponse:
    """Writes the archive as the answer. Raises ApiError where not even a list may be had."""
    check_destination(request.head)  # UIS-4: its members are stored as they are, scripts among them
    # Asked once before the head goes: who may see nothing gets an error, not an archive of it.
    if not wanted.names:
        try:
            await errand.page(wanted.bucket, wanted.prefix, size=1)
        except Refused as refused:
            raise ApiError(
                refused.status, refused.message, code=refused.code, retry_after=0
            ) from refused
    answer = Answer(
        head=ResponseHead(
            status=200,
            headers=Headers(
                (
                    ("content-type", "application/zip"),
                    ("content-disposition", attachment(wanted.title + ".zip")),
                    ("cache-control", "no-store"),
                    ("content-security-policy", "sandbox; default-src 'none'"),
                    ("cross-origin-resource-policy", "same-origin"),
                    ("x-content-type-options", "nosniff"),
                    ("referrer-policy", "no-referrer"),
                )
            ),
        ),
        body=IterBody(archive(errand, wanted, ex.snapshot.config.jobs)),
    )
    extra = f"x-amz-request-id: {ex.request_id}\r\nserver: {wire.SERVER_NAME}\r\n"
    extra += f"date: {wire.http_date(ex.now)}\r\n"
    for cookie in ex.set_cookies:
        extra += f"set-cookie: {cookie}\r\n"
    outcome = "failed"
    try:
        sent = await wire.send(request.inbound, answer, extra=extra, count=[0])
        outcome = "done"
    except (ClientGone, asyncio.CancelledError):
        outcome = "cancelled"
        raise
    finally:
        JOBS.add("archive", outcome)
    return sent
