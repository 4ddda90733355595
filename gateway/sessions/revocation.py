"""
The deny-list: sessions, keys and everything of a person that began before a moment.

Each entry ends with what it denies. A "not revoked" is believed for one second, so that a
revocation holds everywhere within five and locally at once. While the store does not answer, what
was known is stretched to `state.stale`; after that the question cannot be answered, and whoever
asked gets 503: never a silent pass (SES-16).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from datetime import datetime, timedelta

from gateway.caches import Cache
from gateway.errors import StateError
from gateway.identity import ANONYMOUS_ISSUER, SERVICE_ISSUER, Proof
from gateway.observe.metrics import STATE_ERRORS
from gateway.state import StateStore

BELIEVED = 1.0  # seconds that a "not revoked" counts in this process
KNOWN = 100_000  # proofs judged lately; each about 520 bytes
DENIED_SECONDS = 60.0  # a "revoked" is asked for again so seldom
_NOT_OURS = frozenset({ANONYMOUS_ISSUER, SERVICE_ISSUER})

log = logging.getLogger("gateway.sessions")
Who = tuple[str, str, str | None, str | None, datetime | None]


def subject_key(issuer: str, subject: str) -> str:
    """A person's part of a key in the store: of one length, and without their name in it."""
    return hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()[:40]


class Revocations:
    """Asks and writes the deny-list."""

    def __init__(self, store: StateStore, stale: timedelta) -> None:
        self._store = store
        seconds = stale.total_seconds()
        self._fresh: Cache[Who, bool] = Cache("not_revoked", size=KNOWN, seconds=BELIEVED)
        self._known: Cache[Who, bool] = Cache("not_revoked_lately", size=KNOWN, seconds=seconds)
        self._denied: Cache[Who, bool] = Cache("revoked", size=KNOWN, seconds=DENIED_SECONDS)
        self.stretched = False
        """The store did not answer the last question: answers are older than a second."""

    async def revoked(self, proof: Proof) -> bool:
        """Whether what was shown has been revoked. Raises StateError where that cannot be told."""
        identity = proof.identity
        if identity.issuer in _NOT_OURS:
            return False
        who = (identity.issuer, identity.subject, proof.session_id, proof.key_id, proof.issued)
        if self._fresh.get(who):
            return False
        if self._denied.get(who):
            return True
        try:
            denied = await self._ask(proof)
        except StateError:
            self._note(stretched=True)
            if not self._known.get(who):
                raise  # and counted where it is answered
            STATE_ERRORS.add()
            self._fresh.put(who, True)
            return False
        self._note(stretched=False)
        if denied:
            self._denied.put(who, True)
            return True
        self._fresh.put(who, True)
        self._known.put(who, True)
        return False

    def _note(self, *, stretched: bool) -> None:
        if stretched and not self.stretched:
            log.warning("the state store does not answer; revocations are judged as last known")
        self.stretched = stretched

    async def _ask(self, proof: Proof) -> bool:
        identity = proof.identity
        questions = [
            self._store.get(f"deny/subject/{subject_key(identity.issuer, identity.subject)}")
        ]
        for kind, name in (("session", proof.session_id), ("key", proof.key_id)):
            if name is not None:
                questions.append(self._store.get(f"deny/{kind}/{name}"))
        not_before, *others = await asyncio.gather(*questions)
        if any(other is not None for other in others):
            return True
        if not_before is None:
            return False
        # What does not say when it began is taken to have begun before.
        return proof.issued is None or proof.issued.timestamp() <= float(not_before)

    async def deny_session(self, sid: str, until: datetime) -> None:
        """Raises StateError."""
        await self._store.put(f"deny/session/{sid}", b"1", expires=until)
        self._forget()

    async def deny_key(self, key_id: str, until: datetime) -> None:
        """Raises StateError."""
        await self._store.put(f"deny/key/{key_id}", b"1", expires=until)
        self._forget()

    async def deny_subject(
        self, issuer: str, subject: str, not_before: datetime, until: datetime
    ) -> None:
        """Everything that began at `not_before` or earlier. Raises StateError."""
        key = f"deny/subject/{subject_key(issuer, subject)}"
        await self._store.put(key, repr(not_before.timestamp()).encode(), expires=until)
        self._forget()

    def _forget(self) -> None:
        # Revocations are rare: asking everything once more is the simplest way to hold at once.
        self._fresh.clear()
        self._known.clear()
