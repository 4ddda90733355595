"""Whose access key is it, and does it still hold?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.accesskeys.keys import mint, service_proof
from gateway.accesskeys.records import KeyRecord
from gateway.errors import ApiError, StateError
from gateway.identity import Identity, Method, Proof, Secret, Statement
from gateway.s3.errors import S3Error
from gateway.server import accesskeys
from gateway.server.accesskeys import FRESH, AccessKeys, Wanted
from gateway.state import MemoryStore
from tests.contracts.state_store import Clock
from tests.server.serving import snapshot

ALICE = Identity(issuer="corp", subject="alice", claims={"sub": "alice", "groups": ["staff"]})
BACKUP = Identity(issuer="service", subject="backup")


class Store:
    """The memory store, which can be away, and counts what it is asked."""

    def __init__(self, clock: Clock) -> None:
        self.inner = MemoryStore(clock)
        self.away = False
        self.asked: list[str] = []

    def _note(self, key: str) -> None:
        self.asked.append(key)
        if self.away:
            raise StateError("away")

    async def get(self, key: str) -> bytes | None:
        self._note(key)
        return await self.inner.get(key)

    async def put(self, key: str, value: bytes, *, expires: datetime) -> None:
        self._note(key)
        await self.inner.put(key, value, expires=expires)

    async def add(self, key: str, value: bytes, *, expires: datetime) -> bool:
        self._note(key)
        return await self.inner.add(key, value, expires=expires)

    async def delete(self, key: str) -> None:
        self._note(key)
        await self.inner.delete(key)

    async def take(self, key: str) -> bytes | None:
        self._note(key)
        return await self.inner.take(key)

    def lock(
        self, key: str, *, ttl: timedelta, wait: timedelta
    ) -> AbstractAsyncContextManager[bool]:
        return self.inner.lock(key, ttl=ttl, wait=wait)

    async def ping(self) -> None:
        self._note("ping")

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class World:
    """Access keys with their surroundings."""

    clock: Clock
    store: Store
    material: Any
    owner: Identity | None = ALICE
    replicas: list[AccessKeys] = field(default_factory=list)

    async def owners(self, issuer: str, subject: str, now: datetime) -> Identity | None:
        assert (issuer, subject) == ("corp", "alice")
        return self.owner

    def replica(self) -> AccessKeys:
        return AccessKeys(
            self.store,
            material=lambda: self.material,
            owners=self.owners,
            stale=timedelta(minutes=10),
        )

    async def personal(self, keys: AccessKeys, **changes) -> tuple[KeyRecord, Secret]:
        wanted: dict[str, Any] = {
            "issuer": "corp",
            "subject": "alice",
            "name": "laptop",
            "expires": self.clock() + timedelta(days=30),
        }
        return await keys.create(Wanted(**(wanted | changes)), self.clock())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def world(clock: Clock) -> AsyncIterator[World]:
    store = Store(clock)
    material = snapshot(service_accounts={"BACKUPKEY": (Secret("s" * 40), BACKUP)})
    yield World(clock, store, material)
    await store.close()


@pytest.fixture
def keys(world: World) -> AccessKeys:
    return world.replica()


async def test_a_service_account_is_found_by_its_id(keys: AccessKeys, world: World) -> None:
    """Nothing else is asked."""
    found = await keys.find("BACKUPKEY", None, world.clock())

    assert found is not None
    assert found.secret == Secret("s" * 40)
    assert found.proof == service_proof("BACKUPKEY", BACKUP)
    assert world.store.asked == []


@pytest.mark.parametrize("key_id", ["", "AKIAX", "GWP", "GWP" + "a" * 17, "GWP" + "A" * 18])
async def test_sig_10_an_id_that_is_nobodys_is_none(keys: AccessKeys, world: World, key_id) -> None:
    """What cannot be an id of ours does not reach the store."""
    assert await keys.find(key_id, None, world.clock()) is None
    assert world.store.asked == []


async def test_key_1_a_personal_key_is_found_and_its_secret_is_nowhere(
    keys: AccessKeys, world: World
) -> None:
    """The secret given once is derived again; a dump of the store does not hold it."""
    record, secret = await world.personal(keys, buckets=("team",), read_only=True)
    found = await keys.find(record.key_id, None, world.clock())
    dump = b"".join(value for value, _ in world.store.inner._entries.values())

    assert found is not None
    assert found.secret == secret
    assert len(secret.reveal()) == 40
    assert found.proof.identity.claims == ALICE.claims
    assert found.proof.identity.narrowed == (
        (Statement(actions=("s3:Get*", "s3:List*", "s3:Describe*"), buckets=("team",)),),
    )
    assert secret.reveal().encode() not in dump


async def test_a_key_in_use_asks_the_store_once_in_a_while(keys: AccessKeys, world: World) -> None:
    """Not for every request; and twenty requests at once ask once."""
    record, _ = await world.personal(keys)
    world.store.asked.clear()
    await asyncio.gather(*(keys.find(record.key_id, None, world.clock()) for _ in range(20)))
    once = len(world.store.asked)
    await world.clock.later(FRESH.total_seconds() + 0.1)
    await keys.find(record.key_id, None, world.clock())

    assert (once, len(world.store.asked)) == (1, 2)


async def test_key_4_a_revoked_key_ends_here_at_once_and_elsewhere_within_seconds(
    keys: AccessKeys, world: World
) -> None:
    """Two replicas; so does what was made with it."""
    other = world.replica()
    record, _ = await world.personal(keys)
    found = await keys.find(record.key_id, None, world.clock())
    assert found is not None
    assert await other.find(record.key_id, None, world.clock())
    child = mint(world.material.keyring, found.proof, now=world.clock())
    assert await other.find(child.access_key_id, child.session_token, world.clock())

    assert await keys.revoke("corp", "alice", record.key_id, world.clock())

    assert await keys.find(record.key_id, None, world.clock()) is None
    with pytest.raises(S3Error) as caught:
        await keys.find(child.access_key_id, child.session_token, world.clock())
    assert caught.value.code == "ExpiredToken"
    await world.clock.later(5)
    assert await other.find(record.key_id, None, world.clock()) is None
    with pytest.raises(S3Error):
        await other.find(child.access_key_id, child.session_token, world.clock())


async def test_key_4_a_read_that_began_before_the_revocation_does_not_bring_the_key_back(
    keys: AccessKeys, world: World
) -> None:
    """The store's answer was on its way."""
    record, _ = await world.personal(keys)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(issuer: str, subject: str, now: datetime) -> Identity | None:
        asked.set()
        await go_on.wait()
        return ALICE

    keys._owners = slow
    reading = asyncio.create_task(keys.find(record.key_id, None, world.clock()))
    await asked.wait()
    await keys.revoke("corp", "alice", record.key_id, world.clock())
    go_on.set()
    await reading

    assert await keys.find(record.key_id, None, world.clock()) is None


async def test_key_4_a_key_stops_with_its_owner(keys: AccessKeys, world: World) -> None:
    """No longer confirmed at the provider: the key is nobody's; confirmed again, it is back."""
    record, _ = await world.personal(keys)
    world.owner = None
    refused = await keys.find(record.key_id, None, world.clock())
    world.owner = ALICE
    await world.clock.later(5)

    assert refused is None
    assert await keys.find(record.key_id, None, world.clock())


async def test_key_4_a_key_ends(keys: AccessKeys, world: World) -> None:
    """At its own end, also while its record is still remembered."""
    record, _ = await world.personal(keys, expires=world.clock() + timedelta(seconds=1))
    assert await keys.find(record.key_id, None, world.clock())
    await world.clock.later(1)

    assert await keys.find(record.key_id, None, world.clock()) is None


async def test_ses_4_a_key_whose_gateway_key_was_removed_ends(
    keys: AccessKeys, world: World
) -> None:
    """At the reload; and a rotation with the old key kept changes nothing."""
    record, secret = await world.personal(keys)
    world.material = snapshot(keys=(b"n" * 32, b"k" * 32), generation=2)
    kept = await keys.find(record.key_id, None, world.clock())
    world.material = snapshot(keys=(b"n" * 32,), generation=3)
    gone = await keys.find(record.key_id, None, world.clock())

    assert kept is not None
    assert kept.secret == secret
    assert gone is None


async def test_ses_16_what_was_known_stands_while_the_store_is_away(
    keys: AccessKeys, world: World
) -> None:
    """For `state.stale`; after that, and for what was not known, 503: never a pass."""
    record, _ = await world.personal(keys)
    assert await keys.find(record.key_id, None, world.clock())
    world.store.away = True
    await world.clock.later(9 * 60)
    stretched = await keys.find(record.key_id, None, world.clock())
    with pytest.raises(StateError):
        await keys.find("GWP" + "A" * 17, None, world.clock())
    await world.clock.later(2 * 60)

    assert stretched is not None
    with pytest.raises(StateError):
        await keys.find(record.key_id, None, world.clock())


def temporary(world: World, **changes):
    proof = Proof(
        identity=ALICE, method=Method.SESSION, session_id="s", issued=world.clock(), **changes
    )
    return mint(world.material.keyring, proof, now=world.clock())


async def code(call) -> str:
    with pytest.raises(S3Error) as caught:
        await call
    return caught.value.code


async def test_sig_13_a_token_is_there_if_and_only_if_the_key_is_temporary(
    keys: AccessKeys, world: World
) -> None:
    """Missing, on top of another kind of key, of another key: InvalidToken."""
    made, other = temporary(world), temporary(world)
    personal, _ = await world.personal(keys)
    now = world.clock()
    assert await keys.find(made.access_key_id, made.session_token, now)

    assert await code(keys.find(made.access_key_id, None, now)) == "InvalidToken"
    assert await code(keys.find("BACKUPKEY", made.session_token, now)) == "InvalidToken"
    assert await code(keys.find(personal.key_id, made.session_token, now)) == "InvalidToken"
    assert await code(keys.find(other.access_key_id, made.session_token, now)) == "InvalidToken"
    assert await code(keys.find("GWT" + "A" * 17, Secret("x"), now)) == "InvalidToken"


async def test_sig_13_a_hot_token_still_expires(keys: AccessKeys, world: World) -> None:
    """It is opened once, and its end is looked at each time."""
    made = temporary(world)
    first = await keys.find(made.access_key_id, made.session_token, world.clock())
    second = await keys.find(made.access_key_id, made.session_token, world.clock())
    await world.clock.later(3600)

    assert first is second
    assert (
        await code(keys.find(made.access_key_id, made.session_token, world.clock()))
        == "ExpiredToken"
    )


async def test_key_3_what_a_service_account_made_ends_with_the_account(
    keys: AccessKeys, world: World
) -> None:
    """Removed from the configuration, at the reload."""
    made = mint(world.material.keyring, service_proof("BACKUPKEY", BACKUP), now=world.clock())
    assert await keys.find(made.access_key_id, made.session_token, world.clock())
    world.material = snapshot(generation=2)

    assert (
        await code(keys.find(made.access_key_id, made.session_token, world.clock()))
        == "ExpiredToken"
    )


async def test_keys_are_listed_newest_first_with_their_last_use(
    keys: AccessKeys, world: World
) -> None:
    """One's own alone; ended and revoked ones are gone."""
    first, _ = await world.personal(keys, name="first")
    await world.clock.later(1)
    second, _ = await world.personal(keys, name="second", kind="cli")
    gone, _ = await world.personal(keys, expires=world.clock() + timedelta(seconds=1))
    revoked, _ = await world.personal(keys)
    await keys.revoke("corp", "alice", revoked.key_id, world.clock())
    found = await keys.find(first.key_id, None, world.clock())
    assert found is not None
    async with asyncio.TaskGroup() as group:
        writer = group.create_task(keys.run())
        keys.used(found.proof, address="192.0.2.7", program="aws-cli/2 " * 50, now=world.clock())
        keys.used(found.proof, address="192.0.2.8", program="later", now=world.clock())
        await asyncio.sleep(0.01)
        writer.cancel()
    await world.clock.later(1)
    listed = await keys.owned("corp", "alice", world.clock())

    assert [record.key_id for record, _ in listed] == [second.key_id, first.key_id]
    assert gone.key_id not in {record.key_id for record, _ in listed}
    use = listed[1][1]
    assert use is not None
    assert use.address == "192.0.2.7"
    assert len(use.program) == accesskeys.PROGRAM_MAX
    assert listed[0][1] is None
    assert await keys.owned("corp", "bob", world.clock()) == []


async def test_a_use_of_what_a_key_made_is_a_use_of_the_key(keys: AccessKeys, world: World) -> None:
    """And neither sessions nor service accounts are noted."""
    record, _ = await world.personal(keys)
    found = await keys.find(record.key_id, None, world.clock())
    assert found is not None
    child = mint(world.material.keyring, found.proof, now=world.clock())
    used = await keys.find(child.access_key_id, child.session_token, world.clock())
    assert used is not None
    session = Proof(identity=ALICE, method=Method.SESSION)
    for proof in (used.proof, session, service_proof("BACKUPKEY", BACKUP)):
        keys.used(proof, address=None, program=None, now=world.clock())

    assert list(keys._uses) == [record.key_id]


async def test_a_store_that_is_away_loses_only_the_note(keys: AccessKeys, world: World) -> None:
    """The task that writes notes of use goes on."""
    record, _ = await world.personal(keys)
    found = await keys.find(record.key_id, None, world.clock())
    assert found is not None
    async with asyncio.TaskGroup() as group:
        writer = group.create_task(keys.run())
        world.store.away = True
        keys.used(found.proof, address="a", program="p", now=world.clock())
        await asyncio.sleep(0.01)
        alive = not writer.done()
        writer.cancel()

    assert alive


async def test_nobody_revokes_somebody_elses_key(keys: AccessKeys, world: World) -> None:
    """Nor learns whether there is one."""
    record, _ = await world.personal(keys)

    assert not await keys.revoke("corp", "bob", record.key_id, world.clock())
    assert not await keys.revoke("corp", "bob", "GWP" + "A" * 17, world.clock())
    assert not await keys.revoke("corp", "alice", "../x", world.clock())
    assert await keys.find(record.key_id, None, world.clock())


async def test_dos_the_number_of_keys_is_bounded(
    keys: AccessKeys, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when they are made at once."""
    monkeypatch.setattr(accesskeys, "KEYS_EACH", 3)
    made = await asyncio.gather(*(world.personal(keys) for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(one, ApiError) for one in made) == 2
    assert len(await keys.owned("corp", "alice", world.clock())) == 3


async def test_a_record_that_cannot_be_read_is_no_key(keys: AccessKeys, world: World) -> None:
    """Something else stands there."""
    record, _ = await world.personal(keys)
    for name in (f"key/{record.key_id}", f"key-used/{record.key_id}"):
        await world.store.put(name, b"{", expires=record.expires)

    assert await keys.find(record.key_id, None, world.clock()) is None
    assert await keys.owned("corp", "alice", world.clock()) == []
