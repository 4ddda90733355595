"""
Whose access key is this, and does it still hold? Personal keys kept in the state store.

Service accounts are looked up in the snapshot, temporary keys open themselves, personal keys have
a record; each answer is kept for a moment, so that a key in use costs a look into a dictionary.
What a temporary key was made with is asked for as well: it ends with that (KEY-3, KEY-4).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from gateway.accesskeys.keys import (
    PERSONAL,
    TEMPORARY,
    Found,
    ended,
    open_token,
    personal_proof,
    service_proof,
)
from gateway.accesskeys.records import KeyRecord, Kind, Use
from gateway.caches import Cache, SingleFlight
from gateway.errors import ApiError, StateError
from gateway.identity import Identity, Narrowing, Proof, Secret
from gateway.keyring import Keyring, random_key_id
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error
from gateway.state import StateStore

log = logging.getLogger("gateway.keys")

FRESH = timedelta(
    seconds=2
)  # how long a record is believed: revocation holds everywhere within 5 s
OPENED = 4_096  # session tokens kept open: at 4 KiB each and their claims, some 30 MiB at most
RECORDS = (
    10_000  # personal keys, and ids that are none: a stranger's guesses must not reach the store
)
USES = 10_000  # keys whose last use is remembered as noted, or waits to be
USE_EVERY = 60.0  # seconds between two notes of one key's use
USE_KEPT = timedelta(days=400)
PROGRAM_MAX = 120  # characters of a User-Agent that a list of keys shows
KEYS_EACH = 100  # personal keys of one owner: more is a program that forgets to revoke
LOCK = timedelta(seconds=10)
_PERSONAL_ID = re.compile(PERSONAL + "[A-Z2-7]{17}")


class Material(Protocol):
    """Of a snapshot, what keys are made of."""

    @property
    def generation(self) -> int: ...
    @property
    def keyring(self) -> Keyring: ...
    @property
    def service_accounts(self) -> Mapping[str, tuple[Secret, Identity]]: ...


Owners = Callable[[str, str, datetime], Awaitable[Identity | None]]
"""
(issuer, subject, now): the owner as last confirmed at the provider.

None where the latest verdict is a no, or too old (KEY-4). Raises StateError.
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the store said of a personal key, and when."""

    found: Found | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A personal key to be made."""

    issuer: str
    subject: str
    name: str
    expires: datetime
    kind: Kind = "personal"
    buckets: tuple[str, ...] = ()
    read_only: bool = False
    narrowed: tuple[Narrowing, ...] = ()


class AccessKeys:
    """
    The gateway's access keys.

    `material` gives the snapshot in force; `owners` tells of key owners; `stale` is how long an
    answer of the store stands while the store is away.
    """

    def __init__(
        self,
        store: StateStore,
        *,
        material: Callable[[], Material],
        owners: Owners,
        stale: timedelta = timedelta(minutes=10),
    ) -> None:
        self._store = store
        self._material = material
        self._owners = owners
        self._stale = stale
        self._opened: Cache[tuple[int, str], Found] = Cache(
            "session_tokens", size=OPENED, seconds=3600
        )
        self._records: Cache[tuple[int, str], _Seen] = Cache(
            "personal_keys", size=RECORDS, seconds=(FRESH + stale).total_seconds()
        )
        self._revoked: Cache[str, bool] = Cache("revoked_keys", size=RECORDS, seconds=60)
        self._asking: SingleFlight[tuple[int, str], Found | None] = SingleFlight()
        self._noted: Cache[str, bool] = Cache("key_uses", size=USES, seconds=USE_EVERY)
        self._uses: dict[str, Use] = {}
        self._waiting = asyncio.Event()

    # Whose is it?

    async def find(self, key_id: str, session_token: Secret | None, now: datetime) -> Found | None:
        """
        Whose key id it is, and its secret; None where it is nobody's.

        Raises S3Error: InvalidToken where the token is wrong, or there though the key is no
        temporary one, or missing though it is (SIG-13); ExpiredToken where it, or what it was
        made with, has ended. Raises StateError.
        """
        material = self._material()
        if key_id.startswith(TEMPORARY):
            if session_token is None:
                raise S3Error(s3.INVALID_TOKEN)
            return await self._temporary(material, key_id, session_token.reveal(), now)
        if session_token is not None:
            raise S3Error(s3.INVALID_TOKEN)
        account = material.service_accounts.get(key_id)
        if account is not None:
            return Found(secret=account[0], proof=service_proof(key_id, account[1]))
        if key_id.startswith(PERSONAL):
            return await self._personal(material, key_id, now)
        return None

    async def _temporary(self, material: Material, key_id: str, token: str, now: datetime) -> Found:
        found = self._opened.get((material.generation, token))
        if found is None:
            found = open_token(material.keyring, key_id, token, now)
            self._opened.put((material.generation, token), found)
        elif found.proof.key_id != key_id:
            raise S3Error(s3.INVALID_TOKEN)
        parent = found.proof.parent_key
        if ended(found.proof, now) or not (
            parent is None or await self._holds(material, parent, now)
        ):
            raise S3Error(s3.EXPIRED_TOKEN)
        return found

    async def _holds(self, material: Material, key_id: str, now: datetime) -> bool:
        if key_id in material.service_accounts:
            return True
        return await self._personal(material, key_id, now) is not None

    async def _personal(self, material: Material, key_id: str, now: datetime) -> Found | None:
        if not _PERSONAL_ID.fullmatch(key_id):
            return None
        place = (material.generation, key_id)
        seen = self._records.get(place)
        if seen is None or now - seen.at > FRESH:
            seen = await self._ask(place, material, seen, now)
        found = seen.found
        return None if found is None or ended(found.proof, now) else found

    async def _ask(
        self, place: tuple[int, str], material: Material, seen: _Seen | None, now: datetime
    ) -> _Seen:
        try:
            found = await self._asking.do(place, lambda: self._read(material, place[1], now))
        except StateError:
            # SES-16: what was known stands for a while; nothing is made up.
            if seen is None or now - seen.at > FRESH + self._stale:
                raise
            return seen
        # A read that began before a revocation must not bring the key back.
        fresh = _Seen(None if self._revoked.get(place[1]) else found, now)
        self._records.put(place, fresh)
        return fresh

    async def _read(self, material: Material, key_id: str, now: datetime) -> Found | None:
        record = await self._record(key_id)
        if record is None or record.expires <= now:
            return None
        secret = material.keyring.secret_for(key_id, record.kid)
        owner = await self._owners(record.issuer, record.subject, now)
        if secret is None or owner is None:
            return None
        return Found(secret=Secret(secret), proof=personal_proof(record, owner))

    async def _record(self, key_id: str) -> KeyRecord | None:
        data = await self._store.get(_record_key(key_id))
        if data is None:
            return None
        try:
            return KeyRecord.from_bytes(data)
        except ValueError:
            # Written by a newer gateway, or by something else: no key of ours.
            log.warning("a key's record cannot be read", extra={"key_id": key_id})
            return None

    # Made, listed, revoked

    async def create(self, wanted: Wanted, now: datetime) -> tuple[KeyRecord, Secret]:
        """
        A new personal key and its secret, which is shown this once (KEY-5).

        Raises ApiError where the owner has too many, StateError.
        """
        keyring = self._material().keyring
        record = KeyRecord(
            key_id=random_key_id(PERSONAL),
            issuer=wanted.issuer,
            subject=wanted.subject,
            name=wanted.name,
            created=now.replace(microsecond=0),
            expires=wanted.expires,
            kid=keyring.newest,
            kind=wanted.kind,
            buckets=wanted.buckets,
            read_only=wanted.read_only,
            narrowed=wanted.narrowed,
        )
        async with self._store.lock(
            _index_key(wanted.issuer, wanted.subject), ttl=LOCK, wait=LOCK
        ) as got:
            if not got:
                raise StateError("the list of keys is locked")
            records = await self._records_of(wanted.issuer, wanted.subject, now)
            if len(records) >= KEYS_EACH:
                raise ApiError(
                    409,
                    f"You have {KEYS_EACH} access keys; revoke one first.",
                    code="too-many-keys",
                )
            await self._store.put(
                _record_key(record.key_id), record.to_bytes(), expires=record.expires
            )
            await self._write_index([*records, record])
        secret = keyring.secret_for(record.key_id, record.kid)
        assert secret is not None  # the newest key is always there
        return record, Secret(secret)

    async def owned(
        self, issuer: str, subject: str, now: datetime
    ) -> list[tuple[KeyRecord, Use | None]]:
        """Somebody's own personal keys, newest first, with their last use. Raises StateError."""
        records = await self._records_of(issuer, subject, now)
        uses = [await self._use_of(record.key_id) for record in records]
        return sorted(zip(records, uses, strict=True), key=lambda row: row[0].created, reverse=True)

    async def revoke(self, issuer: str, subject: str, key_id: str, now: datetime) -> bool:
        """Ends a personal key of theirs, at once; whether there was one. Raises StateError."""
        if not _PERSONAL_ID.fullmatch(key_id):
            return False
        record = await self._record(key_id)
        if record is None or (record.issuer, record.subject) != (issuer, subject):
            return False
        await self._store.delete(_record_key(key_id))
        self._revoked.put(key_id, True)
        self._records.drop((self._material().generation, key_id))
        await self._store.delete(_use_key(key_id))
        async with self._store.lock(_index_key(issuer, subject), ttl=LOCK, wait=LOCK) as got:
            if got:  # else the list drops it when it is next written: the record is what counts
                records = await self._records_of(issuer, subject, now)
                await self._write_index(records, owner=(issuer, subject))
        return True

    async def _records_of(self, issuer: str, subject: str, now: datetime) -> list[KeyRecord]:
        data = await self._store.get(_index_key(issuer, subject))
        ids = json.loads(data) if data is not None else []
        records = [await self._record(key_id) for key_id in ids]
        return [record for record in records if record is not None and record.expires > now]

    async def _write_index(
        self, records: list[KeyRecord], *, owner: tuple[str, str] | None = None
    ) -> None:
        if owner is None:
            owner = (records[0].issuer, records[0].subject)
        key = _index_key(*owner)
        if not records:
            await self._store.delete(key)
            return
        ids = json.dumps([record.key_id for record in records]).encode()
        await self._store.put(key, ids, expires=max(record.expires for record in records))

    # Last used

    def used(
        self, proof: Proof, *, address: str | None, program: str | None, now: datetime
    ) -> None:
        """Notes the use of a personal key, or of what was made with it: at most once a minute, later."""
        key_id = proof.parent_key if proof.temporary else proof.key_id
        if key_id is None or not key_id.startswith(PERSONAL) or self._noted.get(key_id):
            return
        if len(self._uses) >= USES:
            return
        self._noted.put(key_id, True)
        self._uses[key_id] = Use(
            at=now, address=address or "", program=(program or "")[:PROGRAM_MAX]
        )
        self._waiting.set()

    async def run(self) -> None:
        """Writes notes of use until it is cancelled; a task of the application."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            uses, self._uses = self._uses, {}
            try:
                for key_id, use in uses.items():
                    await self._store.put(
                        _use_key(key_id), use.to_bytes(), expires=use.at + USE_KEPT
                    )
            except StateError:
                # A list of keys that shows an older use is all that is lost.
                log.info("notes of key use were dropped", extra={"count": len(uses)})

    async def _use_of(self, key_id: str) -> Use | None:
        data = await self._store.get(_use_key(key_id))
        try:
            return None if data is None else Use.from_bytes(data)
        except ValueError:
            return None


def _record_key(key_id: str) -> str:
    return f"key/{key_id}"


def _use_key(key_id: str) -> str:
    return f"key-used/{key_id}"


def _index_key(issuer: str, subject: str) -> str:
    # Hashed: a subject may be long, and hold anything.
    digest = hashlib.sha256(f"{issuer}\0{subject}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"keys-of/{digest}"
