"""
What the state store holds of sessions and of their owners.

A session's record (refresh token, all claims) is sealed under the ticket that only the cookie
holds: a copied database opens nothing, nor do database and gateway keys together (SES-15). Which
sessions belong to a person stands in one record of ids; what was last known of a person, for the
keys they made, in another, sealed under the gateway's own key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway import errors
from gateway.errors import LoginError
from gateway.identity import Identity, Secret
from gateway.keyring import Sealer, ticket_sealer
from gateway.sessions.revocation import subject_key
from gateway.sessions.session import Session
from gateway.state import StateStore

RECORD_MAX = 48 * 1024  # bytes of JSON: joserfc opens no larger JWE
SEALED_MAX = 70_000  # characters: the same, sealed
SESSIONS_EACH = (
    200  # ids of one person's sessions; beyond it the oldest are only denied, not deleted
)
INDEX_WAIT = timedelta(seconds=2)
INDEX_TTL = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What only the holder of the cookie can open."""

    sid: str
    gen: int
    """Counts writes: whoever waited for another's refresh sees that it is done."""
    claims: Mapping[str, Any]
    """All of them, as the provider said them last."""
    refresh_token: Secret | None
    id_token: Secret | None
    nonce: str
    due: int

    def as_claims(self) -> dict[str, Any]:
        return {
            "sid": self.sid,
            "gen": self.gen,
            "claims": dict(self.claims),
            "refresh_token": self.refresh_token.reveal() if self.refresh_token else None,
            "id_token": self.id_token.reveal() if self.id_token else None,
            "nonce": self.nonce,
            "due": self.due,
        }

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Record:
        refresh_token, id_token = claims["refresh_token"], claims["id_token"]
        return cls(
            sid=claims["sid"],
            gen=claims["gen"],
            claims=claims["claims"],
            refresh_token=None if refresh_token is None else Secret(refresh_token),
            id_token=None if id_token is None else Secret(id_token),
            nonce=claims["nonce"],
            due=claims["due"],
        )


class Records:
    """Reads and writes sessions' records and the lists that find them. Raises StateError."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def read(self, session: Session, now: datetime) -> Record | None:
        """None where there is none, it has ended, or this ticket does not open it."""
        sealed = await self._store.get(f"session/{session.sid}")
        if sealed is None:
            return None
        claims = ticket_sealer(session.ticket).open(sealed.decode(), now=now, limit=SEALED_MAX)
        if claims is None or claims.get("sid") != session.sid:
            return None
        return Record.from_claims(claims)

    async def write(self, session: Session, record: Record) -> None:
        """Raises LoginError (LOGIN_TOO_BIG) before anything is written."""
        claims = record.as_claims()
        if len(json.dumps(claims)) > RECORD_MAX:
            raise LoginError(errors.LOGIN_TOO_BIG, claims="all of them together")
        sealed = ticket_sealer(session.ticket).seal(claims, expires=session.end)
        await self._store.put(f"session/{session.sid}", sealed.encode(), expires=session.end)

    async def delete(self, sid: str) -> None:
        await self._store.delete(f"session/{sid}")

    async def add_to(self, index: str, session: Session, now: datetime) -> None:
        """Notes the session under `index`, with its end."""
        async with self._store.lock(index, ttl=INDEX_TTL, wait=INDEX_WAIT):
            # Where the lock was not to be had, an id may be lost: its record then ends by itself,
            # and the deny-list speaks of the person, not of ids.
            held = {sid: end for sid, end in await self._ids(index) if end > now.timestamp()}
            held[session.sid] = session.ends
            kept = sorted(held.items(), key=lambda item: item[1])[-SESSIONS_EACH:]
            expires = datetime.fromtimestamp(max(held.values()), UTC)
            await self._store.put(index, json.dumps(kept).encode(), expires=expires)

    async def take_all(self, index: str) -> list[tuple[str, datetime]]:
        """The sessions noted under `index`, with their ends; the list is gone afterwards."""
        found = _ids(await self._store.take(index))
        return [(sid, datetime.fromtimestamp(end, UTC)) for sid, end in found]

    async def _ids(self, index: str) -> list[tuple[str, int]]:
        return _ids(await self._store.get(index))


def _ids(data: bytes | None) -> list[tuple[str, int]]:
    return [] if data is None else [(sid, end) for sid, end in json.loads(data)]


def of_subject(issuer: str, subject: str) -> str:
    """The index of a person's sessions."""
    return f"sessions/subject/{subject_key(issuer, subject)}"


def of_provider_session(issuer: str, sid: str) -> str:
    """The index of the sessions that came from one session at the provider (back-channel logout)."""
    return f"sessions/provider/{subject_key(issuer, sid)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What was last known of somebody who may own keys."""

    claims: Mapping[str, Any]
    confirmed: float
    """When the provider last said yes: a login, or a refresh of any of their sessions."""
    refused: float | None = None
    """When it said no."""

    def stands(self, now: datetime, window: timedelta) -> bool:
        """The latest word was a yes, and it is not too old (KEY-4)."""
        if self.refused is not None and self.refused >= self.confirmed:
            return False
        return now.timestamp() - self.confirmed <= window.total_seconds()


class Owners:
    """The records of owners. Raises StateError."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def read(self, issuer: str, subject: str, sealer: Sealer, now: datetime) -> Owner | None:
        sealed = await self._store.get(_owner_key(issuer, subject))
        if sealed is None:
            return None
        claims = sealer.open(sealed.decode(), now=now, limit=SEALED_MAX)
        if claims is None:
            return None
        return Owner(
            claims=claims["claims"], confirmed=claims["confirmed"], refused=claims.get("refused")
        )

    async def confirm(
        self, owner: Identity, sealer: Sealer, now: datetime, window: timedelta
    ) -> None:
        """The provider says yes, and these are their claims."""
        known = Owner(claims=owner.claims, confirmed=now.timestamp())
        await self._write(owner.issuer, owner.subject, known, sealer, now + window)

    async def refuse(self, issuer: str, subject: str, sealer: Sealer, now: datetime) -> None:
        """The provider says no: keys stop until the next login."""
        owner = await self.read(issuer, subject, sealer, now)
        if owner is not None:
            refused = replace(owner, refused=now.timestamp())
            await self._write(issuer, subject, refused, sealer, now + timedelta(days=1))

    async def _write(
        self, issuer: str, subject: str, owner: Owner, sealer: Sealer, expires: datetime
    ) -> None:
        claims = {
            "claims": dict(owner.claims),
            "confirmed": owner.confirmed,
            "refused": owner.refused,
        }
        sealed = sealer.seal(claims, expires=expires)
        await self._store.put(_owner_key(issuer, subject), sealed.encode(), expires=expires)


def _owner_key(issuer: str, subject: str) -> str:
    return f"owner/{subject_key(issuer, subject)}"
