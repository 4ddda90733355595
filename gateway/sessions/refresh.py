"""
Claims renewed at the provider: once, whatever the number of requests, processes and hosts.

Within a process one call runs for a session; across processes a lock in the state store does the
same, held longer than a redemption can last, and the record is read again under it. Of two who
redeem one token all the same (a lock that lapsed), the one who is refused adopts what the other
has written (SES-8).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from gateway.caches import Cache, SingleFlight
from gateway.errors import SESSION_ENDED, LoginError, ProviderError, StateError, TokenError
from gateway.identity import Identity, Secret
from gateway.keyring import random_bytes
from gateway.observe.metrics import REFRESHES
from gateway.sessions.records import Owners, Record, Records
from gateway.sessions.revocation import Revocations
from gateway.sessions.session import Session, Terms, due_at
from gateway.state import StateStore

LOCK_TTL = timedelta(seconds=30)  # longer than a redemption can last (20 s), or two would happen
WRITE_PAUSES = (0.2, 1.0)  # seconds before each further try, within what the lock has left
OTHERS_WAIT = timedelta(seconds=5)  # for another replica's refresh; then the old claims stand
PAUSE_MIN, PAUSE_MAX = 5, 60  # seconds between tries while the provider is away
PAUSES = 10_000  # sessions that wait for their provider at once
PAUSE_KEPT = 7200.0  # seconds that failures are counted together

log = logging.getLogger("gateway.sessions")


class Renewal(Protocol):
    """What a redeemed refresh token brought."""

    @property
    def claims(self) -> Mapping[str, Any]: ...

    @property
    def id_token(self) -> Secret | None: ...

    @property
    def refresh_token(self) -> Secret | None: ...

    @property
    def expires(self) -> datetime | None: ...


class Renew(Protocol):
    """
    Redeems a refresh token, once.

    Raises LoginError or TokenError where the session is over, ProviderError where the provider is
    away or the fault is ours.
    """

    async def __call__(
        self,
        provider: str,
        *,
        refresh_token: Secret,
        old: Mapping[str, Any],
        nonce: str,
        now: datetime,
    ) -> Renewal: ...


class Stand(Exception):
    """Nothing could be renewed now: the old claims stand, as long as they may."""


class Refresher:
    """Renews records."""

    def __init__(
        self,
        store: StateStore,
        records: Records,
        owners: Owners,
        revocations: Revocations,
        *,
        terms: Callable[[], Terms],
        renew: Renew,
    ) -> None:
        self._store = store
        self._records = records
        self._owners = owners
        self._revocations = revocations
        self._terms = terms
        self._renew = renew
        self._flight: SingleFlight[str, Record | None] = SingleFlight()
        self._pauses: Cache[str, tuple[int, datetime]] = Cache(
            "refresh_pauses", size=PAUSES, seconds=PAUSE_KEPT
        )

    def paused(self, sid: str, now: datetime) -> bool:
        """The provider failed a moment ago: it is not asked again yet."""
        held = self._pauses.get(sid)
        return held is not None and now < held[1]

    async def refreshed(self, session: Session, record: Record, now: datetime) -> Record | None:
        """
        The record with current claims, for one that is due; None where the session is over.

        Raises Stand, StateError; LoginError where the claims do not fit any more.
        """
        if record.refresh_token is None:
            return None
        if self.paused(session.sid, now):
            raise Stand
        return await self._flight.do(session.sid, lambda: self._once(session, record.gen, now))

    async def _once(self, session: Session, gen: int, now: datetime) -> Record | None:
        name = f"refresh/{session.sid}"
        async with self._store.lock(name, ttl=LOCK_TTL, wait=timedelta()) as got:
            if got:
                return await self._under_lock(session, now)
        return await self._by_another(session, gen, now)

    async def _by_another(self, session: Session, gen: int, now: datetime) -> Record | None:
        """What another replica's refresh brings, if it does so soon."""
        try:
            async with asyncio.timeout(OTHERS_WAIT.total_seconds()):
                while True:
                    await asyncio.sleep(0.05 + 0.2 * chance())
                    record = await self._records.read(session, now)
                    if record is None or record.gen > gen:
                        return record
        except TimeoutError:
            raise Stand from None

    async def _under_lock(self, session: Session, now: datetime) -> Record | None:
        record = await self._records.read(session, now)
        if record is None or now.timestamp() < record.due or record.refresh_token is None:
            return record
        try:
            renewal = await self._renew(
                session.provider,
                refresh_token=record.refresh_token,
                old=record.claims,
                nonce=record.nonce,
                now=now,
            )
        except (LoginError, TokenError) as refused:
            return await self._refused(session, record, refused, now)
        except ProviderError as away:
            REFRESHES.add(session.provider, "away")
            self._pause(session, away, now)
            raise Stand from away
        REFRESHES.add(session.provider, "ok")
        self._pauses.drop(session.sid)
        return await self._kept(session, record, renewal, now)

    async def _kept(
        self, session: Session, record: Record, renewal: Renewal, now: datetime
    ) -> Record | None:
        """Written although the store may stumble: the old refresh token may be worth nothing now."""
        for pause in WRITE_PAUSES:
            try:
                return await self._written(session, record, renewal, now)
            except StateError:
                await asyncio.sleep(pause)
        return await self._written(session, record, renewal, now)

    async def _written(
        self, session: Session, record: Record, renewal: Renewal, now: datetime
    ) -> Record | None:
        # Logged out meanwhile, or the lock lapsed and another was faster: theirs stands.
        latest = await self._records.read(session, now)
        if latest is None or latest.gen != record.gen:
            return latest
        renewed = replace(
            record,
            gen=record.gen + 1,
            claims=renewal.claims,
            refresh_token=renewal.refresh_token or record.refresh_token,
            # One is kept only where one was: see `begin`.
            id_token=record.id_token and (renewal.id_token or record.id_token),
            due=due_at(renewal.expires, now, chance()),
        )
        await self._records.write(session, renewed)
        terms = self._terms()
        owner = Identity(
            issuer=session.provider, subject=session.subject, claims=dict(renewal.claims)
        )
        sealer = terms.keyring.sealer("record")
        await self._owners.confirm(owner, sealer, now, terms.unconfirmed)
        log.info("session refreshed", extra={"issuer": session.provider})
        return renewed

    async def _refused(
        self, session: Session, record: Record, refused: LoginError | TokenError, now: datetime
    ) -> Record | None:
        latest = await self._records.read(session, now)
        if latest is not None and latest.gen != record.gen:
            return latest  # of two who redeemed one token, the second adopts the first's
        REFRESHES.add(session.provider, "refused")
        log.info(
            "session ended by the provider",
            extra={"issuer": session.provider, "reason": refused.reason.code},
        )
        await self._revocations.deny_session(session.sid, session.end)
        await self._records.delete(session.sid)
        if refused.reason is SESSION_ENDED:
            sealer = self._terms().keyring.sealer("record")
            await self._owners.refuse(session.provider, session.subject, sealer, now)
        return None

    def _pause(self, session: Session, away: ProviderError, now: datetime) -> None:
        failures = (self._pauses.get(session.sid) or (0, now))[0] + 1
        seconds = min(PAUSE_MAX, PAUSE_MIN * 2 ** (failures - 1))
        self._pauses.put(session.sid, (failures, now + timedelta(seconds=seconds)))
        log.warning(
            "session not refreshed; its claims stand for now",
            extra={
                "issuer": session.provider,
                "reason": away.reason.code,
                "problem": away.detail.get("problem", ""),
            },
        )


def chance() -> float:
    """In [0, 1)."""
    return int.from_bytes(random_bytes(4)) / 2**32
