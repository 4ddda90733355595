"""Claims are renewed once, whatever the number of requests and processes that find them due."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.errors import StateError
from gateway.sessions import refresh
from gateway.state.sqlite import SqliteStore
from tests.hostile_provider import Reply, drop, put
from tests.sessions.conftest import value_of


async def signed_in(world, gateway):
    return value_of((await world.begin(gateway)).set_cookie)


async def test_ses_7_a_group_that_was_removed_is_gone_after_the_refresh(world):
    """Within the ID token's life."""
    gateway = world.process()
    cookie = await signed_in(world, gateway)
    world.idp.groups = ["eu"]
    opened = await gateway.sessions.open(cookie, world.clock.forward(minutes=59, seconds=30))

    assert opened.proof.identity.groups == ("eu",)
    assert opened.proof.identity.claims["cognito:groups"] == ["eu"]
    assert world.idp.count("/token") == 1


async def test_ses_8_two_hundred_requests_of_two_processes_cause_one_refresh(world):
    """Against rotation without grace: a second redemption would log somebody out."""
    world.idp.rotation = True
    world.idp.delays["/token"] = 0.2
    one, two = world.process(), world.process()
    cookie = await signed_in(world, one)
    now = world.clock.forward(minutes=59)
    opened = await asyncio.gather(
        *(gateway.sessions.open(cookie, now) for _ in range(100) for gateway in (one, two))
    )

    assert world.idp.count("/token") == 1
    assert all(o is not None and o.set_cookie is not None for o in opened)
    again = await two.sessions.open(value_of(opened[0].set_cookie), world.clock.forward(minutes=59))
    assert again is not None and world.idp.count("/token") == 2


async def test_ses_8_a_client_that_never_takes_our_cookie_stays_correct(world):
    """auth_request without passing it on: the record says that it was done."""
    gateway = world.process()
    cookie = await signed_in(world, gateway)
    now = world.clock.forward(minutes=59)
    for _ in range(5):
        assert await gateway.sessions.open(cookie, now) is not None
    elsewhere = world.process()
    assert await elsewhere.sessions.open(cookie, now) is not None

    assert world.idp.count("/token") == 1


async def test_ses_8_of_two_who_redeem_one_token_the_second_adopts_the_firsts(world, monkeypatch):
    """A lock that lapsed: invalid_grant, and the record has moved on meanwhile."""
    world.idp.rotation = True
    one, two = world.process(), world.process()
    cookie = await signed_in(world, one)
    now = world.clock.forward(minutes=59)
    original = two.sessions._refresher._renew

    async def late(*args, **given):
        assert await one.sessions.open(cookie, now) is not None
        return await original(*args, **given)

    monkeypatch.setattr(two.sessions._refresher, "_renew", late)
    monkeypatch.setattr(refresh, "LOCK_TTL", timedelta())
    opened = await two.sessions.open(cookie, now)

    assert opened is not None
    assert world.idp.count("/token") == 2
    assert await one.sessions.open(cookie, now) is not None


async def test_ses_8_a_slow_answer_is_waited_for_by_others_and_outlived_by_the_lock(
    world, monkeypatch
):
    """Others go on with the old claims when their patience ends; nobody redeems twice."""
    monkeypatch.setattr(refresh, "OTHERS_WAIT", timedelta(seconds=0.2))
    world.idp.delays["/token"] = 0.8
    one, two = world.process(), world.process()
    cookie = await signed_in(world, one)
    world.idp.groups = ["eu"]
    now = world.clock.forward(minutes=59)
    first = asyncio.ensure_future(one.sessions.open(cookie, now))
    await asyncio.sleep(0.1)
    second = await two.sessions.open(cookie, now)
    assert second is not None and second.proof.identity.groups == ("staff",)
    assert (await first).set_cookie is not None
    assert world.idp.count("/token") == 1


async def test_ses_8_another_replicas_refresh_is_adopted(world):
    """As soon as its record is written."""
    world.idp.delays["/token"] = 0.3
    one, two = world.process(), world.process()
    cookie = await signed_in(world, one)
    world.idp.groups = ["eu"]
    now = world.clock.forward(minutes=59)
    first = asyncio.ensure_future(one.sessions.open(cookie, now))
    await asyncio.sleep(0.1)
    second = await two.sessions.open(cookie, now)
    await first

    assert second.proof.identity.groups == ("eu",)
    assert world.idp.count("/token") == 1


async def test_a_refused_refresh_ends_the_session_everywhere(world):
    """invalid_grant: the deny-list, the record, and a 401 from then on."""
    one, two = world.process(), world.process()
    cookie = await signed_in(world, one)
    world.idp.replies["/token"] = Reply(400, b'{"error": "invalid_grant"}')
    now = world.clock.forward(minutes=59)
    assert await one.sessions.open(cookie, now) is None
    assert await two.sessions.open(cookie, now) is None
    assert await one.sessions.open(cookie, now) is None
    assert world.idp.count("/token") == 1


@pytest.mark.parametrize(
    "change", [put(sub="user-2"), put(iss="https://evil.example")], ids=range(2)
)
async def test_oid_8_an_answer_for_somebody_else_ends_the_session(world, change):
    """And does not take the owner's keys with it: the provider did not say no."""
    gateway = world.process()
    cookie = await signed_in(world, gateway)
    world.idp.refreshed = change
    now = world.clock.forward(minutes=59)

    assert await gateway.sessions.open(cookie, now) is None
    assert await gateway.sessions.owner("corp", "user-1", now) is not None


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(503),
        Reply(429),
        Reply(401, b'{"error": "invalid_client"}'),
        Reply(200, b"<"),
    ],
    ids=range(5),
)
async def test_ses_7_while_the_provider_is_away_old_claims_stand_for_an_hour(world, reply):
    """Asked again with pauses, and no longer than that hour."""
    gateway = world.process()
    cookie = await signed_in(world, gateway)
    world.idp.replies["/token"] = reply
    now = world.clock.forward(minutes=59)
    for _ in range(10):
        assert await gateway.sessions.open(cookie, now) is not None
    assert world.idp.count("/token") == 1
    assert await gateway.sessions.open(cookie, world.clock.forward(seconds=6)) is not None
    assert world.idp.count("/token") == 2
    opened = await gateway.sessions.open(cookie, world.clock.forward(seconds=30))
    assert opened is not None and world.idp.count("/token") == 3
    world.idp.replies.clear()
    back = await gateway.sessions.open(cookie, world.clock.forward(seconds=25))
    assert back is not None and back.set_cookie is not None


async def test_ses_7_after_that_hour_nobody_is_signed_in(world):
    """The bound that users may rely on."""
    gateway = world.process()
    gateway.terms = replace(gateway.terms, idle=timedelta(hours=9))
    cookie = await signed_in(world, gateway)
    world.idp.replies["/token"] = Reply(503)

    assert await gateway.sessions.open(cookie, world.clock.forward(minutes=110)) is not None
    assert await gateway.sessions.open(cookie, world.clock.forward(minutes=10)) is None


async def test_ses_7_with_the_store_away_old_claims_stand_too(world):
    """As long as its answers are stretched."""
    gateway = world.process()
    cookie = await signed_in(world, gateway)
    now = world.clock.forward(minutes=59)
    await gateway.sessions.open(cookie, now - timedelta(minutes=50))
    world.store.away = True
    await asyncio.sleep(1.05)

    assert await gateway.sessions.open(cookie, now) is not None
    assert world.idp.count("/token") == 0


async def test_ses_8_a_store_that_stumbles_loses_no_rotated_token(world, monkeypatch):
    """What was redeemed is written once it can be: the provider takes the old token no more."""
    monkeypatch.setattr(refresh, "WRITE_PAUSES", (0.01, 0.01))
    world.idp.rotation = True
    gateway = world.process()
    cookie = await signed_in(world, gateway)
    original, failures = world.store.put, 2

    async def put(key: str, value: bytes, *, expires: datetime) -> None:
        nonlocal failures
        if key.startswith("session/") and failures:
            failures -= 1
            raise StateError("a master was just elected")
        await original(key, value, expires=expires)

    monkeypatch.setattr(world.store, "put", put)
    for _ in range(2):
        opened = await gateway.sessions.open(cookie, world.clock.forward(minutes=59))
        cookie = value_of(opened.set_cookie)

    assert (failures, world.idp.count("/token")) == (0, 2)


async def test_a_logout_during_a_refresh_is_not_undone(world):
    """The record is not written again, and the cookie stays dead."""
    world.idp.delays["/token"] = 0.3
    gateway = world.process()
    begun = await world.begin(gateway)
    cookie = value_of(begun.set_cookie)
    now = world.clock.forward(minutes=59)
    pending = asyncio.ensure_future(gateway.sessions.open(cookie, now))
    await asyncio.sleep(0.1)
    await gateway.sessions.end(begun.proof, now)

    assert await pending is None
    assert await gateway.sessions.record(begun.proof, now) is None
    assert await gateway.sessions.open(cookie, now) is None


async def test_a_rotated_refresh_token_replaces_the_old_one_and_none_keeps_it(world):
    """Cognito without rotation sends none."""
    gateway = world.process()
    begun = await world.begin(gateway)
    first = (await gateway.sessions.record(begun.proof, world.clock())).refresh_token
    opened = await gateway.sessions.open(
        value_of(begun.set_cookie), world.clock.forward(minutes=59)
    )
    record = await gateway.sessions.record(opened.proof, world.clock())
    assert record.refresh_token == first and record.gen == 2
    world.idp.rotation = True
    opened = await gateway.sessions.open(
        value_of(opened.set_cookie), world.clock.forward(minutes=59)
    )
    record = await gateway.sessions.record(opened.proof, world.clock())
    assert record.refresh_token != first and record.gen == 3


async def test_a_refresh_without_id_token_counts_for_one_hour(world):
    """The account lives, and userinfo says what is known."""
    gateway = world.process()
    cookie = await signed_in(world, gateway)
    world.idp.answer = drop("id_token")
    opened = await gateway.sessions.open(cookie, world.clock.forward(minutes=59))
    record = await gateway.sessions.record(opened.proof, world.clock())

    assert record.claims["groups"] == ["staff"]
    assert timedelta(minutes=50) < timedelta(seconds=record.due - world.clock().timestamp())


async def test_a_record_that_is_gone_is_a_session_that_is_over(world):
    """A restarted gateway with its state in memory."""
    gateway = world.process()
    begun = await world.begin(gateway)
    await gateway.store.delete(f"session/{begun.proof.session_id}")
    cookie = value_of(begun.set_cookie)

    assert await gateway.sessions.open(cookie, world.clock()) is not None
    assert await gateway.sessions.open(cookie, world.clock.forward(minutes=59)) is None


async def test_a_session_without_a_refresh_token_is_not_renewed(world):
    """It ends with its ID token; whoever asks for more gets nothing."""
    gateway = world.process()
    begun = await world.begin(gateway, refresh_token=None)
    record = await gateway.sessions.record(begun.proof, world.clock())
    refresher = gateway.sessions._refresher

    assert await refresher.refreshed(None, record, world.clock()) is None
    assert world.idp.calls == []


async def test_ses_8_two_workers_on_one_file_of_state_cause_one_refresh(world, tmp_path):
    """Each with its own connection to it."""
    world.idp.rotation = True
    world.idp.delays["/token"] = 0.1
    stores = [SqliteStore(tmp_path / "state.db", world.clock) for _ in range(2)]
    gateways = []
    for world.store in stores:
        gateways.append(world.process())
    cookie = await signed_in(world, gateways[0])
    now = world.clock.forward(minutes=59)
    opened = await asyncio.gather(
        *(gateway.sessions.open(cookie, now) for _ in range(25) for gateway in gateways)
    )
    for store in stores:
        await store.close()

    assert all(one is not None for one in opened)
    assert world.idp.count("/token") == 1
