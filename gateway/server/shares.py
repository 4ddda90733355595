"""
/api/shares, for whoever gives links away: list one's own, create, revoke.

A link is a token of 192 bits, of which only a hash is kept; the hash is also the id by which its
owner revokes it. The record holds what the link opens and for how long, and never a right: those
are its owner's, asked at each use (SHR-1).

Sources: SHR-1 to SHR-3, UI-35.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aiohttp import web
from pydantic import Field

from gateway.errors import ApiError, StateError
from gateway.identity import (
    SERVICE_ISSUER,
    Identity,
    Method,
    Narrowing,
    Proof,
    Statement,
)
from gateway.keyring import random_bytes, random_token, same
from gateway.s3 import names
from gateway.server.bodies import Strict, iso, json_answer, read_json
from gateway.server.errands import Errand, Errands, Refused
from gateway.server.exchange import Exchange, Request, exchange_of
from gateway.server.routes import Route

if TYPE_CHECKING:
    from gateway.state import StateStore

TOKEN_BYTES = 24
OWN_MAX = 500  # links of one person that stand at once
LOCK = timedelta(seconds=10)
UPLOADED = "file"  # the name that stands for those of uploads when their right is asked for
CLOCKS = timedelta(minutes=5)  # by how much a browser's clock may be ahead of ours
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = (
    2**14,
    8,
    1,
)  # 16 MiB and some 40 ms a try (RFC 7914, OWASP's table)

Allow = Literal["view", "download", "upload"]


class NewShare(Strict):
    """Body of POST /api/shares."""

    bucket: Annotated[str, Field(min_length=1, max_length=63)]
    key: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    prefix: Annotated[str, Field(max_length=1024)] | None = None
    allow: Allow = "view"
    expires_at: Annotated[datetime, Field(strict=False)]
    password: Annotated[str, Field(min_length=4, max_length=256)] | None = None
    max_uses: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A link as it is kept, under the hash of its token."""

    id: str
    issuer: str
    subject: str
    owner: str
    """What to call them on the page."""
    bucket: str
    place: str
    """The key or the prefix: where the link's world ends."""
    whole: bool
    """`place` is a prefix."""
    allow: Allow
    created: datetime
    expires: datetime
    password: str = ""
    """Salt and hash, in hex; empty where none is asked for."""
    max_uses: int | None = None
    uses: int = 0
    narrowed: tuple[Narrowing, ...] = ()

    @property
    def gated(self) -> bool:
        """Something is asked before it opens: a password, or the wish to spend a use."""
        return bool(self.password) or self.max_uses is not None

    @property
    def used_up(self) -> bool:
        return self.max_uses is not None and self.uses >= self.max_uses

    def as_bytes(self) -> bytes:
        record = {name: getattr(self, name) for name in _PLAIN} | {
            "created": self.created.isoformat(),
            "expires": self.expires.isoformat(),
            "narrowed": [[one.as_json() for one in narrowing] for narrowing in self.narrowed],
        }
        return json.dumps(record).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Share:
        record = json.loads(data)
        plain: dict[str, Any] = {name: record[name] for name in _PLAIN}
        return cls(
            created=datetime.fromisoformat(record["created"]),
            expires=datetime.fromisoformat(record["expires"]),
            narrowed=tuple(
                tuple(Statement.from_json(one) for one in narrowing)
                for narrowing in record["narrowed"]
            ),
            **plain,
        )

    def described(self) -> dict[str, Any]:
        """What its owner's list says of it."""
        return {
            "id": self.id,
            "bucket": self.bucket,
            ("prefix" if self.whole else "key"): self.place,
            "allow": self.allow,
            "created_at": iso(self.created),
            "expires_at": iso(self.expires),
            "password": bool(self.password),
            "max_uses": self.max_uses,
            "uses": self.uses,
        }

    def narrowing(self) -> Narrowing:
        """What the owner's rights are cut down to (SHR-3)."""
        keys = (self.place + "**",) if self.whole else (self.place,)
        if self.allow == "upload":
            actions: tuple[str, ...] = ("s3:PutObject", "s3:AbortMultipartUpload")
        else:
            actions = ("s3:GetObject", "s3:ListBucket")
        return (Statement(actions=actions, buckets=(self.bucket,), keys=keys),)

    def covers(self, key: str) -> bool:
        """The absolute key lies within what was shared (SHR-3)."""
        inside = key.startswith(self.place) if self.whole else key == self.place
        return inside and not names.has_dot_segment(key) and not names.has_control(key)

    def proof(self, owner: Identity) -> Proof:
        """What a visitor shows: the owner as known today, and no more than was shared."""
        narrowed = (*owner.narrowed, *self.narrowed, self.narrowing())
        return Proof(
            identity=replace(owner, narrowed=narrowed, expires=self.expires),
            method=Method.SHARE,
            expires=self.expires,
            issued=self.created,  # so that links made after "sign out everywhere" work
        )


_PLAIN = (
    "id",
    "issuer",
    "subject",
    "owner",
    "bucket",
    "place",
    "whole",
    "allow",
    "password",
    "max_uses",
    "uses",
)


def id_of(token: str) -> str:
    """What a token is kept under."""
    return hashlib.sha256(b"gateway/share/" + token.encode()).hexdigest()


async def hashed(password: str) -> str:
    """Salt and hash of a password, in a thread: it takes long on purpose."""
    salt = random_bytes(16)
    return f"{salt.hex()}${(await asyncio.to_thread(_scrypt, password, salt)).hex()}"


async def fits(password: str, kept: str) -> bool:
    """Whether the password is the one that was hashed."""
    salt, _, digest = kept.partition("$")
    found = await asyncio.to_thread(_scrypt, password, bytes.fromhex(salt))
    return same(found, bytes.fromhex(digest))


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P
    )


class ShareStore:
    """The records of links."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def get(self, share_id: str) -> Share | None:
        value = await self._store.get(f"share/{share_id}")
        return None if value is None else Share.from_bytes(value)

    async def add(self, share: Share) -> None:
        """Raises ApiError (409) where its owner has too many, StateError."""
        async with self._locked(share.issuer, share.subject):
            own = await self.own(share.issuer, share.subject)
            if len(own) >= OWN_MAX:
                raise ApiError(
                    409, "You have too many links; revoke some first.", code="too-many-shares"
                )
            await self._write(share)
            await self._list([*own, share])

    async def own(self, issuer: str, subject: str) -> list[Share]:
        """Somebody's links that still stand, oldest first."""
        value = await self._store.get(_index(issuer, subject))
        ids: list[str] = json.loads(value) if value is not None else []
        found = [await self.get(share_id) for share_id in ids]
        return [
            share
            for share in found
            if share is not None and (share.issuer, share.subject) == (issuer, subject)
        ]

    async def revoke(self, issuer: str, subject: str, share_id: str) -> bool:
        """Ends a link at once; False where it is not theirs, or is none (SHR-2)."""
        async with self._locked(issuer, subject):
            own = await self.own(issuer, subject)
            if share_id not in {share.id for share in own}:
                return False
            await self._store.delete(f"share/{share_id}")
            left = [share for share in own if share.id != share_id]
            await (self._list(left) if left else self._store.delete(_index(issuer, subject)))
            return True

    async def use(self, share: Share) -> bool:
        """Counts a use; False where none is left, or the link has ended meanwhile."""
        async with self._locked(share.issuer, share.subject):
            now = await self.get(share.id)
            if now is None or now.used_up:
                return False
            await self._write(replace(now, uses=now.uses + 1))
            return True

    async def _write(self, share: Share) -> None:
        await self._store.put(f"share/{share.id}", share.as_bytes(), expires=share.expires)

    async def _list(self, own: list[Share]) -> None:
        await self._store.put(
            _index(own[0].issuer, own[0].subject),
            json.dumps([share.id for share in own]).encode(),
            expires=max(share.expires for share in own),
        )

    def _locked(self, issuer: str, subject: str) -> _Lock:
        return _Lock(self._store, f"shares/{_index(issuer, subject)}")


class _Lock:
    """One person's records, changed by one at a time. Raises StateError where that cannot be had."""

    def __init__(self, store: StateStore, name: str) -> None:
        self._context = store.lock(name, ttl=LOCK, wait=LOCK)

    async def __aenter__(self) -> None:
        if not await self._context.__aenter__():
            await self._context.__aexit__(None, None, None)
            raise StateError("the lock of somebody's links was not got")

    async def __aexit__(self, *error: Any) -> None:
        await self._context.__aexit__(*error)


def _index(issuer: str, subject: str) -> str:
    who = hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()
    return f"shares/{who}"


class Shares:
    """The routes of owners."""

    def __init__(self, errands: Errands, kept: ShareStore) -> None:
        self._errands = errands
        self._kept = kept

    def routes(self) -> tuple[Route, ...]:
        """The rows of the route table."""
        return (
            Route(
                method="GET",
                path="/api/shares",
                handler=self.list,
                summary="The caller's own share links.",
                answer={
                    "type": "object",
                    "properties": {"shares": {"type": "array", "items": SHARE}},
                },
            ),
            Route(
                method="POST",
                path="/api/shares",
                handler=self.create,
                summary="A new share link; its address is in this answer and nowhere else.",
                body=NewShare.model_json_schema,
                answer=SHARE,
            ),
            Route(
                method="DELETE",
                path="/api/shares/{id}",
                handler=self.revoke,
                summary="Revokes a share link, at once.",
            ),
        )

    async def list(self, request: Request) -> web.StreamResponse:
        """GET /api/shares."""
        proof = _owner(exchange_of(request))
        own = await self._kept.own(proof.identity.issuer, proof.identity.subject)
        return json_answer({"shares": [share.described() for share in own]})

    async def create(self, request: Request) -> web.StreamResponse:
        """POST /api/shares."""
        ex = exchange_of(request)
        proof = _owner(ex)
        if not ex.snapshot.config.shares.enabled:
            raise ApiError(403, "Share links are switched off here.", code="shares-off")
        wanted = await read_json(request, NewShare)
        token = random_token(TOKEN_BYTES)
        share = Share(
            id=id_of(token),
            issuer=proof.identity.issuer,
            subject=proof.identity.subject,
            owner=proof.identity.display,
            bucket=wanted.bucket,
            place=_place(wanted),
            whole=wanted.key is None,
            allow=wanted.allow,
            created=ex.now.replace(microsecond=0),
            expires=_expires(wanted, ex),
            password=await hashed(wanted.password) if wanted.password is not None else "",
            max_uses=wanted.max_uses,
            narrowed=proof.identity.narrowed,
        )
        await self._check(share, proof, request)
        await self._kept.add(share)
        url = f"{ex.snapshot.public_url}/ui/s/{token}"
        return json_answer(share.described() | {"url": url}, status=201)

    async def _check(self, share: Share, proof: Proof, request: Request) -> None:
        """Nobody gives away what they may not do themselves (SHR-1). Raises ApiError."""
        errand = self._errands.errand(proof, peer=request.head.peer, note="share")
        try:
            if share.allow == "upload":
                await errand.permitted("PUT", share.bucket, share.place + UPLOADED)
            elif share.whole:
                await errand.page(share.bucket, share.place, size=1)
            elif await errand.head(share.bucket, share.place) is None:
                raise ApiError(404, "There is no such object.", code="NoSuchKey")
        except Refused as refused:
            raise ApiError(refused.status, refused.message, code=refused.code) from refused

    async def revoke(self, request: Request) -> web.StreamResponse:
        """DELETE /api/shares/{id}."""
        proof = _owner(exchange_of(request))
        identity = proof.identity
        if not await self._kept.revoke(identity.issuer, identity.subject, request.match_info["id"]):
            raise ApiError(404, "You have no share link of this id.", code="no-such-share")
        return web.Response(status=204, headers={"Cache-Control": "no-store"})


def _owner(ex: Exchange) -> Proof:
    """Somebody whose rights can be asked again later: a person who signed in here. Raises ApiError."""
    proof = ex.proof
    if proof is None:
        raise ApiError(401, "Nobody is signed in.", code="not-signed-in")
    if proof.method is not Method.SESSION or proof.identity.issuer == SERVICE_ISSUER:
        raise ApiError(
            403,
            "Share links are managed by people who are signed in.",
            code="shares-need-session",
        )
    return proof


def _place(wanted: NewShare) -> str:
    if (wanted.key is None) == (wanted.prefix is None):
        raise ApiError(400, "A link opens either a key or a prefix.", code="share")
    if wanted.key is not None:
        if wanted.allow == "upload":
            raise ApiError(400, "Uploads go below a prefix.", code="share")
        place = wanted.key
    else:
        place = wanted.prefix or ""
        if place and not place.endswith("/"):  # SHR-3: `a/b` would also open `a/b-private`
            raise ApiError(400, "A prefix that is shared ends in a slash.", code="share")
    if names.has_dot_segment(place) or names.has_control(place):
        raise ApiError(400, "This name cannot be shared.", code="share")
    return place


def _expires(wanted: NewShare, ex: Exchange) -> datetime:
    limit = ex.now + ex.snapshot.config.shares.max_lifetime
    given = wanted.expires_at
    given = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    if not ex.now < given <= limit + CLOCKS:
        raise ApiError(
            400,
            "The end is not within what is allowed.",
            detail=f"It lies in the future and not after {iso(limit)}.",
            code="lifetime",
        )
    return min(given, limit).replace(microsecond=0)


async def visitor(
    share: Share, owner: Identity | None, errands: Errands, peer: str | None
) -> Errand | None:
    """What a visitor may do; None where the owner's own standing has ended (SHR-1)."""
    if owner is None:
        return None
    return errands.errand(share.proof(owner), peer=peer, note=f"share:{share.id[:16]}")


_TEXT = {"type": "string"}
SHARE = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("id", "bucket", "key", "prefix", "url"), _TEXT),
        "allow": {"enum": ["view", "download", "upload"]},
        "created_at": {"type": "string", "format": "date-time"},
        "expires_at": {"type": "string", "format": "date-time"},
        "password": {"type": "boolean"},
        "max_uses": {"type": ["integer", "null"]},
        "uses": {"type": "integer"},
    },
}
