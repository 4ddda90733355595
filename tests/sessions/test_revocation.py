"""What was revoked is refused everywhere; what cannot be told is not passed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import StateError
from gateway.identity import ANONYMOUS_IDENTITY, Identity, Method, Proof
from gateway.records import replace
from gateway.sessions.revocation import Revocations, subject_key
from tests.hostile_provider import Clock
from tests.sessions.conftest import FlakyStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STALE = timedelta(minutes=10)
PROOF = Proof(
    identity=Identity(issuer="corp", subject="u"),
    method=Method.SESSION,
    session_id="s1",
    issued=NOW,
)
LATER = NOW + timedelta(hours=12)


@pytest.fixture
def store():
    return FlakyStore(Clock())


@pytest.fixture
def revocations(store):
    return Revocations(store, STALE)


@pytest.mark.parametrize(
    ("proof", "revoked"),
    [
        (PROOF, True),
        (replace(PROOF, issued=NOW - timedelta(seconds=1)), True),
        (replace(PROOF, issued=NOW + timedelta(seconds=1)), False),
        (replace(PROOF, issued=None), True),
        (replace(PROOF, identity=Identity(issuer="other", subject="u")), False),
        (replace(PROOF, identity=Identity(issuer="corp", subject="v")), False),
    ],
)
async def test_ses_16_not_before_compares_with_the_beginning(revocations, proof, revoked):
    """What does not say when it began is taken to have begun before."""
    await revocations.deny_subject("corp", "u", NOW, LATER)

    assert await revocations.revoked(proof) is revoked


async def test_each_kind_denies_its_own(revocations):
    """A session, a key; others stay."""
    key = replace(PROOF, session_id=None, key_id="GWT1")
    await revocations.deny_session("s1", LATER)
    assert await revocations.revoked(PROOF)
    assert not await revocations.revoked(replace(PROOF, session_id="s2"))
    assert not await revocations.revoked(key)
    await revocations.deny_key("GWT1", LATER)
    assert await revocations.revoked(key)


async def test_ses_16_a_revocation_holds_here_at_once_and_elsewhere_within_seconds(store):
    """Two processes on one store."""
    here, there = Revocations(store, STALE), Revocations(store, STALE)
    assert not await here.revoked(PROOF) and not await there.revoked(PROOF)
    await here.deny_session("s1", LATER)
    assert await here.revoked(PROOF)
    await asyncio.sleep(1.05)

    assert await there.revoked(PROOF)


async def test_a_hot_proof_asks_the_store_once_a_second(store, revocations):
    """A thousand requests, one question."""
    for _ in range(1000):
        assert not await revocations.revoked(PROOF)

    assert store.gets == 2  # the person and the session


async def test_ses_16_without_the_store_known_answers_are_stretched(store, revocations):
    """What was never asked about is not passed."""
    assert not await revocations.revoked(PROOF)
    store.away = True
    await asyncio.sleep(1.05)
    assert not await revocations.revoked(PROOF)
    assert revocations.stretched
    with pytest.raises(StateError):
        await revocations.revoked(replace(PROOF, session_id="s2"))
    store.away = False
    await asyncio.sleep(1.05)
    assert not await revocations.revoked(PROOF) and not revocations.stretched


async def test_ses_16_stale_0_refuses_at_once(store):
    """Some would rather have an outage."""
    strict = Revocations(store, timedelta())
    assert not await strict.revoked(PROOF)
    store.away = True
    await asyncio.sleep(1.05)
    with pytest.raises(StateError):
        await strict.revoked(PROOF)


async def test_a_revoked_answer_stays_revoked_without_the_store(store, revocations):
    """It cannot be taken back."""
    await revocations.deny_session("s1", LATER)
    assert await revocations.revoked(PROOF)
    store.away = True

    assert await revocations.revoked(PROOF)


async def test_nobody_and_the_configurations_own_are_not_asked_about(store, revocations):
    """They end by changing the file."""
    service = Proof(identity=Identity(issuer="service", subject="b"), method=Method.SIGNATURE)
    anonymous = Proof(identity=ANONYMOUS_IDENTITY, method=Method.ANONYMOUS)

    assert not await revocations.revoked(service) and not await revocations.revoked(anonymous)
    assert store.gets == 0


def test_a_persons_key_in_the_store_does_not_name_them():
    """And no two pairs share one."""
    assert "user" not in subject_key("corp", "user")
    assert subject_key("a", "b c") != subject_key("a b", "c")
