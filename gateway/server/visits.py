"""
/ui/s/{token}: what somebody sees who was given a share link. No script, no session.

A link that ended, was used up, was revoked or never existed is one and the same 404, and so is
one whose owner may no longer do what it opens. Objects carry what keeps them harmless on the
page's own host.

Sources: SHR-1, SHR-3, UI-35, UIS-9, WEB-3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from aiohttp import web

from gateway.errors import ApiError
from gateway.message import Answer, Headers, ResponseHead
from gateway.s3 import names
from gateway.s3.errors import S3Error
from gateway.s3.formdata import FormReader, boundary_of
from gateway.server import wire
from gateway.server.archive import Wanted, moment, send_archive, stored_at
from gateway.server.authenticate import session_cookie
from gateway.server.bodies import form_fields, read_bytes
from gateway.server.browser import attachment, check_destination, guard
from gateway.server.cookies import query_of
from gateway.server.errands import Entry, Errand, Errands, Refused, Slots
from gateway.server.exchange import Exchange, Request, exchange_of
from gateway.server.inbound import body_of
from gateway.server.received import receive
from gateway.server.routes import Route, Who
from gateway.server.shares import Share, ShareStore, fits, id_of, visitor

if TYPE_CHECKING:
    from gateway.identity import Identity
    from gateway.server.pages import Pages

VISIT = timedelta(hours=1)  # how long a visit lasts that was paid for by a password or a use
TOKEN_MAX = 64  # characters; ours have 32
NOTHING = (
    "This link opens nothing: it may have ended, been used up or been taken back. "
    "Ask whoever gave you the link for a new one."
)
_PASSED = ("range", "if-none-match", "if-modified-since", "if-range", "if-match")
_PAGE = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}

Owners = Callable[[str, str, datetime], Awaitable["Identity | None"]]


class Failures(Protocol):
    def check(self, peer: str | None, now: datetime) -> None: ...

    def failed(self, peer: str | None, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Row:
    """An object or a folder on the page."""

    name: str
    href: str
    size: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A share that stands, and what may be done by it."""

    share: Share
    errand: Errand
    base: str
    """Its address, which its cookie and its links begin with."""
    entered: bool
    """What the link asks for has been given."""


class Visits:
    """The routes of visitors."""

    def __init__(
        self,
        errands: Errands,
        kept: ShareStore,
        slots: Slots,
        pages: Pages,
        *,
        owners: Owners,
        failures: Failures,
    ) -> None:
        self._errands = errands
        self._kept = kept
        self._slots = slots
        self._pages = pages
        self._owners = owners
        self._failures = failures

    def routes(self) -> tuple[Route, ...]:
        """The rows of the route table."""
        rows = (
            ("GET", "/ui/s/{token}", self.landing),
            ("POST", "/ui/s/{token}", self.enter),
            ("GET", "/ui/s/{token}/l/{rest...}", self.landing),
            ("GET", "/ui/s/{token}/o/{rest...}", self.object),
            ("GET", "/ui/s/{token}/zip/{rest...}", self.zip),
            ("POST", "/ui/s/{token}/upload", self.upload),
        )
        return tuple(
            Route(method=method, path=path, handler=handler, who=Who.ANYONE, page=True)
            for method, path, handler in rows
        )

    async def _visit(self, request: Request) -> Visit:
        """Raises ApiError (404), the same for all that does not open."""
        ex = exchange_of(request)
        token = request.match_info["token"]
        share = None
        if len(token) <= TOKEN_MAX and token.isascii():
            share = await self._kept.get(id_of(token))
        if share is None or share.expires <= ex.now or not ex.snapshot.config.shares.enabled:
            raise _nothing()
        entered = self._entered(request, share, ex)
        if share.used_up and not entered:
            raise _nothing()
        owner = await self._owners(share.issuer, share.subject, ex.now)
        errand = await visitor(share, owner, self._errands, request.head.peer)
        if errand is None:
            raise _nothing()
        return Visit(share, errand, f"/ui/s/{token}", entered or not share.gated)

    def _entered(self, request: Request, share: Share, ex: Exchange) -> bool:
        value = session_cookie(request.head, _cookie_name(ex))
        claims = ex.snapshot.keyring.sealer("share").open(value, now=ex.now) if value else None
        return claims is not None and claims.get("id") == share.id

    def _enter(self, visit: Visit, ex: Exchange) -> None:
        """The cookie of a visit: for the link's own path, and no session (UIS-9)."""
        ends = min(ex.now + VISIT, visit.share.expires)
        value = ex.snapshot.keyring.sealer("share").seal({"id": visit.share.id}, expires=ends)
        age = int((ends - ex.now).total_seconds())
        secure = "" if ex.snapshot.public_url.startswith("http:") else "; Secure"
        ex.set_cookies.append(
            f"{_cookie_name(ex)}={value}; Max-Age={age}; Path={visit.base}; "
            f"HttpOnly; SameSite=Lax{secure}"
        )

    # -- pages -------------------------------------------------------------------------------------

    async def landing(self, request: Request) -> web.StreamResponse:
        """GET /ui/s/{token}, and …/l/{folder}."""
        ex = exchange_of(request)
        visit = await self._visit(request)
        if not visit.entered:
            return self._gate(visit, ex)
        if not self._entered(request, visit.share, ex):
            # Without a password or a limit the first page counts as the use.
            if not await self._kept.use(visit.share):
                raise _nothing()
            self._enter(visit, ex)
        share = visit.share
        if share.allow == "upload":
            done = next((value for name, value in query_of(request) if name == "done"), "")
            return self._page(visit, ex, upload=True, done=done)
        try:
            if share.whole:
                return await self._folder(visit, request, ex)
            return await self._file(visit, ex)
        except Refused as refused:
            raise _hidden(refused) from refused

    def _gate(
        self, visit: Visit, ex: Exchange, problem: str = "", status: int = 200
    ) -> web.StreamResponse:
        gate = "password" if visit.share.password else "open"
        return self._page(visit, ex, gate=gate, problem=problem, status=status, hidden=True)

    def _page(
        self,
        visit: Visit,
        ex: Exchange,
        *,
        status: int = 200,
        hidden: bool = False,
        **values: Any,
    ) -> web.StreamResponse:
        share = visit.share
        last = share.place.rstrip("/").rpartition("/")[2] or share.bucket
        shown: dict[str, Any] = {
            "title": "A shared link" if hidden and share.password else last,
            "owner": share.owner,
            "until": share.expires,
            "base": visit.base,
            "view": share.allow == "view",
            "upload": share.allow == "upload" and not hidden,
            "problem": "",
            "done": "",
            "gate": "",
            "file": None,
            "rows": (),
            "parent": "",
            "next": "",
            "zip": "",
        }
        return self._pages.document(
            "share.html", ex, status=status, headers=_PAGE, **(shown | values)
        )

    async def _file(self, visit: Visit, ex: Exchange) -> web.StreamResponse:
        share = visit.share
        found = await visit.errand.head(share.bucket, share.place)
        if found is None:
            raise _nothing()
        row = Row(
            name=share.place,
            href=f"{visit.base}/o/{names.encode(share.place.rpartition('/')[2])}",
            size=_size(int(found.get("content-length") or 0)),
            modified=_minute(stored_at(found.get("last-modified") or "")),
        )
        return self._page(visit, ex, file=row)

    async def _folder(self, visit: Visit, request: Request, ex: Exchange) -> web.StreamResponse:
        share = visit.share
        rest = _rest(request)
        prefix = share.place + rest
        if (rest and not rest.endswith("/")) or not share.covers(prefix):
            raise _nothing()
        after = next((value for name, value in query_of(request) if name == "after"), None)
        page = await visit.errand.page(share.bucket, prefix, after=after, delimiter="/")
        rows = [
            Row(
                name=folder[len(prefix) :],
                href=f"{visit.base}/l/{names.encode_path(folder[len(share.place) :])}",
            )
            for folder in page.prefixes
        ]
        rows += [self._row(visit, entry, prefix) for entry in page.entries if entry.key != prefix]
        here = f"{visit.base}/l/{names.encode_path(rest)}" if rest else visit.base
        above = rest.rstrip("/").rpartition("/")[0]
        parent = f"{visit.base}/l/{names.encode_path(above)}/" if above else visit.base
        return self._page(
            visit,
            ex,
            rows=rows,
            parent=parent if rest else "",
            next=f"{here}?after={quote(page.next, safe='')}" if page.next else "",
            zip=f"{visit.base}/zip/{names.encode_path(rest)}",
        )

    @staticmethod
    def _row(visit: Visit, entry: Entry, prefix: str) -> Row:
        return Row(
            name=entry.key[len(prefix) :],
            href=f"{visit.base}/o/{names.encode_path(entry.key[len(visit.share.place) :])}",
            size=_size(entry.size),
            modified=_minute(moment(entry.modified)),
        )

    async def enter(self, request: Request) -> web.StreamResponse:
        """POST /ui/s/{token}: the password, and the wish to open it, which is what is counted."""
        ex = exchange_of(request)
        visit = await self._visit(request)
        share = visit.share
        if share.password:
            # By address, and by link: many addresses guess no faster than one.
            for who in (request.head.peer, f"share {share.id}"):
                self._failures.check(who, ex.now)
            fields = dict(form_fields(await read_bytes(request)))
            if not await fits(fields.get("password", ""), share.password):
                for who in (request.head.peer, f"share {share.id}"):
                    self._failures.failed(who, ex.now)
                return self._gate(visit, ex, "This is not the password.", 403)
        if not await self._kept.use(share):
            raise _nothing()
        self._enter(visit, ex)
        return _to(visit.base)

    # -- bytes -------------------------------------------------------------------------------------

    async def object(self, request: Request) -> web.StreamResponse:
        """GET /ui/s/{token}/o/{name}."""
        ex = exchange_of(request)
        visit = await self._readable(request)
        share = visit.share
        rest = _rest(request)
        key = share.place + rest if share.whole else share.place
        last = share.place.rpartition("/")[2]
        if not rest or not share.covers(key) or (not share.whole and rest != last):
            raise _nothing()
        head = request.head
        check_destination(head)
        headers = [(name, value) for name in _PASSED if (value := head.headers.get(name))]
        try:
            async with visit.errand.ask(
                "HEAD" if head.method == "HEAD" else "GET", share.bucket, key, headers=headers
            ) as answer:
                saved = share.allow == "download" or _asked(request, "download")
                shown = _safe(guard(answer, head, key), key if saved else None)
                return await wire.send(request.inbound, shown, extra=_lines(ex), count=[0])
        except Refused as refused:
            raise _hidden(refused) from refused

    async def zip(self, request: Request) -> web.StreamResponse:
        """GET /ui/s/{token}/zip/{folder}."""
        ex = exchange_of(request)
        visit = await self._readable(request)
        share = visit.share
        rest = _rest(request)
        prefix = share.place + rest
        if not share.whole or (rest and not rest.endswith("/")) or not share.covers(prefix):
            raise _nothing()
        with self._slots.taken(visit.errand.proof.identity, ex.snapshot.config.jobs):
            return await send_archive(request, ex, visit.errand, Wanted(share.bucket, prefix))

    async def _readable(self, request: Request) -> Visit:
        visit = await self._visit(request)
        if not visit.entered or visit.share.allow == "upload":
            raise _nothing()
        return visit

    async def upload(self, request: Request) -> web.StreamResponse:
        """POST /ui/s/{token}/upload: one file of a form."""
        visit = await self._visit(request)
        share = visit.share
        if not visit.entered or share.allow != "upload":
            raise _nothing()
        boundary = boundary_of(request.head.headers.get("content-type") or "")
        if boundary is None:
            raise ApiError(415, "The body must be a form with a file.", code="not-a-form")
        try:
            name = await receive(
                FormReader(boundary), body_of(request.inbound), visit.errand, share
            )
        except Refused as refused:
            raise _hidden(refused) from refused
        return _to(f"{visit.base}?done={quote(name, safe='')}")


def _rest(request: Request) -> str:
    """What of the address follows the link, decoded once. Raises ApiError (404)."""
    try:
        return names.decode(request.match_info.get("rest", ""))
    except S3Error:
        raise _nothing() from None


def _asked(request: Request, name: str) -> bool:
    return any(key == name for key, _ in query_of(request))


def _safe(answer: Answer, saved_as: str | None) -> Answer:
    """A guarded object without what was meant for its owner, for a visitor."""
    dropped = {"referrer-policy", "x-robots-tag", "x-gateway-stored-type"}
    if saved_as is not None:
        dropped.add("content-disposition")
    pairs = [
        (name, value)
        for name, value in answer.head.headers
        if name not in dropped and not name.startswith("x-amz-")
    ]
    pairs += [("referrer-policy", "no-referrer"), ("x-robots-tag", "noindex, nofollow")]
    if saved_as is not None:
        pairs.append(("content-disposition", attachment(saved_as)))
    return Answer(
        head=ResponseHead(status=answer.head.status, headers=Headers(pairs)), body=answer.body
    )


def _lines(ex: Exchange) -> str:
    return (
        f"x-amz-request-id: {ex.request_id}\r\n"
        f"server: {wire.SERVER_NAME}\r\ndate: {wire.http_date(ex.now)}\r\n"
    )


def _to(place: str) -> web.StreamResponse:
    response = web.Response(status=303, headers=_PAGE)
    response.headers["Location"] = place
    return response


def _cookie_name(ex: Exchange) -> str:
    # `__Host-` would insist on Path=/, and the point is that it has another.
    return "share" if ex.snapshot.public_url.startswith("http:") else "__Secure-share"


def _nothing() -> ApiError:
    return ApiError(404, NOTHING, code="not-found")


def _hidden(refused: Refused) -> ApiError:
    """What a visitor is told: a right that its owner has lost looks like a link that never was."""
    if refused.status in (403, 404):
        return _nothing()
    return ApiError(refused.status, refused.message, code=refused.code)


def _minute(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if at is not None else ""


def _size(count: int) -> str:
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
