"""What the store holds of sessions and owners."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import LoginError
from gateway.identity import Identity, Secret
from gateway.keyring import Keyring
from gateway.sessions.records import SESSIONS_EACH, Owner, Owners, Record, Records, of_subject
from gateway.sessions.session import Session
from tests.hostile_provider import Clock
from tests.sessions.conftest import FlakyStore

CLOCK = Clock()
NOW = CLOCK()
SESSION = Session(
    sid="s1",
    ticket="t" * 43,
    provider="corp",
    subject="u",
    claims={},
    digest="",
    began=0,
    ends=int(NOW.timestamp()) + 3600,
    active=0,
    due=0,
)
RECORD = Record(
    sid="s1",
    gen=1,
    claims={"sub": "u", "a": [1, {"b": None}]},
    refresh_token=Secret("r"),
    id_token=None,
    nonce="n",
    due=5,
)
SEALER = Keyring([b"k" * 32]).sealer("record")


@pytest.fixture
def store():
    return FlakyStore(CLOCK)


async def test_ses_15_only_the_ticket_opens_a_record(store):
    """And only for its own session."""
    records = Records(store)
    await records.write(SESSION, RECORD)
    assert await records.read(SESSION, NOW) == RECORD
    assert await records.read(replace(SESSION, ticket="u" * 43), NOW) is None
    assert await records.read(replace(SESSION, sid="s2"), NOW) is None
    sealed = await store.get("session/s1")
    await store.put("session/s2", sealed, expires=SESSION.end)
    assert await records.read(replace(SESSION, sid="s2"), NOW) is None
    assert await records.read(SESSION, SESSION.end) is None
    await records.delete("s1")
    assert await records.read(SESSION, NOW) is None


async def test_a_record_of_48_kib_is_written_and_read_and_a_larger_one_refused(store):
    """Before anything is written."""
    records = Records(store)
    big = replace(RECORD, claims={"a": "x" * 48_000})
    await records.write(SESSION, big)
    assert await records.read(SESSION, NOW) == big
    with pytest.raises(LoginError):
        await records.write(SESSION, replace(RECORD, gen=2, claims={"a": "x" * 50_000}))
    assert await records.read(SESSION, NOW) == big


async def test_an_index_holds_the_sessions_that_live(store):
    """Ended ones fall out; it is taken once."""
    records, index = Records(store), of_subject("corp", "u")
    await records.add_to(index, SESSION, NOW)
    await records.add_to(index, replace(SESSION, sid="s2", ends=SESSION.ends + 9), NOW)
    later = NOW + timedelta(hours=1)
    await records.add_to(index, replace(SESSION, sid="s3", ends=SESSION.ends + 99), later)
    assert [sid for sid, _ in await records.take_all(index)] == ["s2", "s3"]
    assert await records.take_all(index) == []


async def test_an_index_is_bounded_and_loses_nothing_to_concurrency(store):
    """Two hundred at once."""
    records, index = Records(store), of_subject("corp", "u")
    sessions = [replace(SESSION, sid=f"s{i}", ends=SESSION.ends + i) for i in range(60)]
    await asyncio.gather(*(records.add_to(index, session, NOW) for session in sessions))
    assert len(await records.take_all(index)) == 60
    for i in range(SESSIONS_EACH + 5):
        await records.add_to(index, replace(SESSION, sid=f"s{i}", ends=SESSION.ends + i), NOW)
    assert len(await records.take_all(index)) == SESSIONS_EACH


async def test_key_4_an_owners_record_is_sealed_and_says_the_latest_word(store):
    """A no after a yes, and a yes after that."""
    owners, owner = Owners(store), Identity(issuer="corp", subject="u", claims={"name": "Ada"})
    window = timedelta(days=30)
    assert await owners.read("corp", "u", SEALER, NOW) is None
    await owners.refuse("corp", "u", SEALER, NOW)
    await owners.confirm(owner, SEALER, NOW, window)
    read = await owners.read("corp", "u", SEALER, NOW)
    assert read is not None and read.claims == {"name": "Ada"} and read.stands(NOW, window)
    other = Keyring([b"x" * 32]).sealer("record")
    assert await owners.read("corp", "u", other, NOW) is None
    await owners.refuse("corp", "u", SEALER, NOW + timedelta(seconds=1))
    read = await owners.read("corp", "u", SEALER, NOW)
    assert read is not None and not read.stands(NOW, window)


@pytest.mark.parametrize(
    ("refused", "age", "stands"),
    [(None, 0, True), (None, 30, True), (None, 31, False), (-1.0, 0, True), (1.0, 0, False)],
)
def test_key_4_an_owner_stands_for_thirty_days_after_a_yes(refused, age, stands):
    """And not after a no."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    owner = Owner(
        claims={},
        confirmed=at.timestamp(),
        refused=None if refused is None else at.timestamp() + refused,
    )

    assert owner.stands(at + timedelta(days=age), timedelta(days=30)) is stands
