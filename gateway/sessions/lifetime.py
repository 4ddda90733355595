"""
How a session begins, goes on and ends.

A request with a cookie gets a Proof, and a new cookie where claims were renewed or the last
activity has to be written down. Claims are renewed at the provider once, whatever the number of
requests, processes and hosts that find them due (SES-8); while the provider is away the old ones
stand for an hour at most (SES-7). Redeeming a refresh token, and what claims make of somebody, are
functions handed in: this package knows no provider.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.caches import Cache
from gateway.errors import LoginError, StateError
from gateway.identity import SERVICE_ISSUER, Identity, Method, Proof, Secret
from gateway.keyring import random_token
from gateway.records import replace as replace_record
from gateway.sessions import records
from gateway.sessions.records import Owners, Record, Records
from gateway.sessions.refresh import Refresher, Renew, Stand, chance
from gateway.sessions.revocation import Revocations, subject_key
from gateway.sessions.session import Session, Terms, due_at, seal, unseal
from gateway.state import StateStore

GRACE = timedelta(hours=1)  # that old claims stand past `due`
OPENED = 10_000  # cookies that were opened lately; each about 4 KiB
OPENED_SECONDS = 60.0
NO_REFRESH_MIN = timedelta(hours=1)  # a session without refresh token lives at least so long

log = logging.getLogger("gateway.sessions")


Identify = Callable[[str, Mapping[str, Any]], Identity | None]
"""What a provider's claims make of somebody; None where the provider is not configured any more."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Somebody signed in; `set_cookie` goes out with the answer's head, before prepare()."""

    proof: Proof
    set_cookie: str | None


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that has just begun."""

    proof: Proof
    set_cookie: str


@dataclass(frozen=True, slots=True)
class _Held:
    """A cookie that was opened, under the terms it was opened under."""

    terms: Terms
    session: Session
    opened: Opened


class Sessions:
    """Opens, begins, renews and ends sessions. Raises StateError where the store is needed and away."""

    def __init__(
        self,
        store: StateStore,
        *,
        terms: Callable[[], Terms],
        identify: Identify,
        renew: Renew,
        stale: timedelta,
    ) -> None:
        self._store = store
        self._terms = terms
        self._identify = identify
        self._records = Records(store)
        self._owners = Owners(store)
        self.revocations = Revocations(store, stale)
        self._opened: Cache[str, _Held] = Cache(
            "opened_cookies", size=OPENED, seconds=OPENED_SECONDS
        )
        self._refresher = Refresher(
            store, self._records, self._owners, self.revocations, terms=terms, renew=renew
        )

    # -- a request comes -------------------------------------------------------------------------

    async def open(self, cookie: str, now: datetime) -> Opened | None:
        """Who this cookie says is asking; None where it is none of ours, or the session is over."""
        terms = self._terms()
        held = self._opened.get(cookie)
        if held is None or held.terms is not terms:
            held = self._unsealed(cookie, terms, now)
            if held is None:
                return None
            self._opened.put(cookie, held)
        session = held.session
        if not session.lives(now, terms.idle):
            return None
        if await self.revocations.revoked(held.opened.proof):
            self._opened.drop(cookie)
            return None
        if (
            now.timestamp() < session.due
            and session.digest == terms.digest
            and not session.worn(now, terms.idle)
        ):
            return held.opened
        try:
            current = await self._current(session, terms, now)
            renewed = (
                held if current is None or current is session else self._sealed(current, terms, now)
            )
        except LoginError as grown:
            log.warning("session ended: its claims have grown", extra={"problem": grown.sentence})
            current = None
            renewed = held
        if current is None:
            self._opened.drop(cookie)
            return None
        # The old cookie leads to the new one for as long as it is remembered: requests that were
        # under way with it, and clients that never store ours, cost no second sealing.
        self._opened.put(cookie, renewed)
        return renewed.opened

    def _unsealed(self, cookie: str, terms: Terms, now: datetime) -> _Held | None:
        session = unseal(cookie, terms.keyring.sealer("session"), now)
        proof = None if session is None else self._proof(session)
        if session is None or proof is None:
            return None
        return _Held(terms, session, Opened(proof, None))

    def _sealed(self, session: Session, terms: Terms, now: datetime) -> _Held:
        cookie, fitting = seal(session, terms.keyring.sealer("session"), terms.style, now)
        proof = self._proof(fitting)
        assert proof is not None  # the provider was there when the session was read
        return _Held(terms, fitting, Opened(proof, cookie))

    def _proof(self, session: Session) -> Proof | None:
        claims = {**session.claims, "sub": session.subject}
        described = self._identify(session.provider, claims)
        if described is None:
            return None
        identity = Identity(
            issuer=session.provider,
            subject=session.subject,
            claims=claims,
            username=session.username,
            name=session.name,
            email=session.email,
            groups=described.groups,
            expires=session.end,
        )
        return Proof(
            identity=identity,
            method=Method.SESSION,
            session_id=session.sid,
            ticket=Secret(session.ticket),
            expires=session.end,
            issued=datetime.fromtimestamp(session.began, UTC),
        )

    async def _current(self, session: Session, terms: Terms, now: datetime) -> Session | None:
        """
        The session with claims that count now; None where it is over.

        Raises LoginError where they do not fit any more, StateError.
        """
        active = replace(session, active=int(now.timestamp()))
        chosen = session.digest == terms.digest
        if chosen and now.timestamp() < session.due:
            return active
        if chosen and self._refresher.paused(session.sid, now):
            return _standing(session, terms, now)
        try:
            record = await self._records.read(session, now)
        except StateError:
            # Claims that were chosen for other rules must not meet these: a deny may be missed.
            if not chosen:
                raise
            return _standing(session, terms, now)
        if record is not None and now.timestamp() >= record.due:
            due = record.due
            try:
                record = await self._refresher.refreshed(session, record, now)
            except (Stand, StateError):
                if now.timestamp() >= due + GRACE.total_seconds():
                    return None
                if chosen:
                    return _used(session, terms, now)
        return None if record is None else self._adopted(active, record, terms)

    def _adopted(self, session: Session, record: Record, terms: Terms) -> Session | None:
        described = self._identify(session.provider, record.claims)
        if described is None:
            return None
        return replace(
            session,
            username=described.username,
            name=described.name,
            email=described.email,
            claims=terms.keeper.keep(record.claims),
            digest=terms.digest,
            due=record.due,
        )

    # -- begin and end ---------------------------------------------------------------------------

    async def begin(
        self,
        identity: Identity,
        *,
        nonce: str,
        id_token: Secret | None,
        refresh_token: Secret | None,
        expires: datetime | None,
        earlier: str | None,
        now: datetime,
    ) -> Begun:
        """
        A session for somebody who has just signed in; `expires` is the end of their ID token.

        `id_token` is kept where it is given. The cookie `earlier` that came along is ended (OID-14).
        Raises LoginError (LOGIN_TOO_BIG), StateError.
        """
        terms = self._terms()
        ends = now + terms.lifetime
        if refresh_token is None:
            ends = min(ends, max(expires or now, now + NO_REFRESH_MIN))
        due = due_at(expires, now, chance()) if refresh_token else int(ends.timestamp())
        session = Session(
            sid=random_token(16),
            ticket=random_token(32),
            provider=identity.issuer,
            subject=identity.subject,
            username=identity.username,
            name=identity.name,
            email=identity.email,
            claims=terms.keeper.keep(identity.claims),
            digest=terms.digest,
            began=round(now.timestamp(), 3),
            ends=int(ends.timestamp()),
            active=int(now.timestamp()),
            due=due,
        )
        sealed = self._sealed(session, terms, now)
        if earlier is not None:
            await self._end_earlier(earlier, terms, now)
        record = Record(
            sid=session.sid,
            gen=1,
            claims=identity.claims,
            refresh_token=refresh_token,
            id_token=id_token,
            nonce=nonce,
            due=due,
        )
        await self._records.write(session, record)
        await self._index(session, identity.claims.get("sid"), now)
        sealer = terms.keyring.sealer("record")
        await self._owners.confirm(identity, sealer, now, terms.unconfirmed)
        assert sealed.opened.set_cookie is not None
        return Begun(sealed.opened.proof, sealed.opened.set_cookie)

    async def _index(self, session: Session, provider_sid: object, now: datetime) -> None:
        index = records.of_subject(session.provider, session.subject)
        await self._records.add_to(index, session, now)
        if isinstance(provider_sid, str) and provider_sid:
            index = records.of_provider_session(session.provider, provider_sid)
            await self._records.add_to(index, session, now)

    async def _end_earlier(self, cookie: str, terms: Terms, now: datetime) -> None:
        session = unseal(cookie, terms.keyring.sealer("session"), now)
        if session is not None:
            await self.revocations.deny_session(session.sid, session.end)
            await self._records.delete(session.sid)

    async def end(self, proof: Proof, now: datetime) -> Record | None:
        """
        Ends the session of this proof, at once and everywhere (SES-9).

        Gives what its record held, so that the refresh token can be given back to the provider.
        """
        if proof.session_id is None or proof.expires is None:
            return None
        await self.revocations.deny_session(proof.session_id, proof.expires)
        record = await self.record(proof, now)
        await self._records.delete(proof.session_id)
        return record

    async def end_everywhere(self, issuer: str, subject: str, now: datetime) -> None:
        """Ends whatever of this person began before now: sessions, keys, bearer tokens."""
        until = now + self._terms().longest
        await self.revocations.deny_subject(issuer, subject, now, until)
        await self._end_all(records.of_subject(issuer, subject))

    async def end_provider_session(self, issuer: str, provider_sid: str) -> None:
        """Ends the sessions that came from one session at the provider (OID-15)."""
        await self._end_all(records.of_provider_session(issuer, provider_sid))

    async def _end_all(self, index: str) -> None:
        for sid, ends in await self._records.take_all(index):
            await self.revocations.deny_session(sid, ends)
            await self._records.delete(sid)

    async def used(self, issuer: str, jti: str) -> bool:
        """Whether this logout token has done its work already (OID-15)."""
        return await self._store.get(_logout_token(issuer, jti)) is not None

    async def use(self, issuer: str, jti: str, expires: datetime) -> None:
        """Counts it as used, once everything that it ends has ended."""
        await self._store.put(_logout_token(issuer, jti), b"1", expires=expires)

    # -- questions -------------------------------------------------------------------------------

    async def revoked(self, proof: Proof, now: datetime) -> bool:
        """Whether what was shown has been revoked. Raises StateError where that cannot be told."""
        return await self.revocations.revoked(proof)

    async def revoke_key(self, key_id: str, until: datetime) -> None:
        """`until` is when the key would have ended by itself."""
        await self.revocations.deny_key(key_id, until)

    async def record(self, proof: Proof, now: datetime) -> Record | None:
        """All that is kept of the session of this proof; None where that is nothing."""
        holder = _holder(proof)
        return None if holder is None else await self._records.read(holder, now)

    async def current(self, proof: Proof, now: datetime) -> Proof | None:
        """
        A proof of earlier, with the claims that count now; None where it has ended (S3-13).

        For what goes on without anybody asking anew: jobs, archives. A session's claims are renewed
        as they are when a request comes; a key's are its owner's. Raises StateError.
        """
        if await self.revoked(proof, now):
            return None
        match proof.method:
            case Method.SESSION:
                identity = await self._identity_of_session(proof, now)
            case Method.BASIC if proof.identity.issuer != SERVICE_ISSUER:
                identity = await self.owner(proof.identity.issuer, proof.identity.subject, now)
            case _:
                return proof
        if identity is None:
            return None
        narrowed = proof.identity.narrowed
        identity = replace(identity, narrowed=narrowed, expires=proof.expires)
        return replace_record(proof, identity=identity)

    async def _identity_of_session(self, proof: Proof, now: datetime) -> Identity | None:
        holder = _holder(proof)
        if holder is None:
            return None
        try:
            session = await self._current(holder, self._terms(), now)
        except LoginError as grown:
            log.warning("session ended: its claims have grown", extra={"problem": grown.sentence})
            return None
        found = None if session is None else self._proof(session)
        return None if found is None else found.identity

    async def id_token(self, proof: Proof, now: datetime) -> Secret | None:
        """The person's ID token, for credentials that are had in exchange for one; None without."""
        if proof.method is Method.BEARER:
            return proof.token
        record = await self.record(proof, now)
        return None if record is None else record.id_token

    async def owner(self, issuer: str, subject: str, now: datetime) -> Identity | None:
        """
        A key's owner as last confirmed at the provider (KEY-4).

        None where the provider's latest word was a no, or is too old.
        """
        terms = self._terms()
        owner = await self._owners.read(issuer, subject, terms.keyring.sealer("record"), now)
        if owner is None or not owner.stands(now, terms.unconfirmed):
            return None
        return self._identify(issuer, owner.claims)


def _holder(proof: Proof) -> Session | None:
    """What opens the record of the session of this proof; None where it has none."""
    if proof.session_id is None or proof.ticket is None or proof.expires is None:
        return None
    return Session(
        sid=proof.session_id,
        ticket=proof.ticket.reveal(),
        provider=proof.identity.issuer,
        subject=proof.identity.subject,
        claims={},
        digest="",
        began=0,
        ends=int(proof.expires.timestamp()),
        active=0,
        due=0,
    )


def _logout_token(issuer: str, jti: str) -> str:
    return f"jti/{subject_key(issuer, jti)}"


def _standing(session: Session, terms: Terms, now: datetime) -> Session | None:
    """The old claims stand for an hour past `due` (SES-7), and no longer."""
    stands = now.timestamp() < session.due + GRACE.total_seconds()
    return _used(session, terms, now) if stands else None


def _used(session: Session, terms: Terms, now: datetime) -> Session:
    """The session itself, or with this activity in it where that has to be written down."""
    return (
        replace(session, active=int(now.timestamp())) if session.worn(now, terms.idle) else session
    )
