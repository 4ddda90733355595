"""A session begins, goes on while it may, and ends everywhere at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import LOGIN_TOO_BIG, LoginError, StateError
from gateway.identity import Method, Secret, Statement
from gateway.keyring import Keyring
from gateway.records import replace as replace_record
from tests.hostile_provider import Reply
from tests.login_world import KEY, Keep, provider, section
from tests.sessions.conftest import value_of


async def test_ses_1_a_session_is_a_cookie_that_says_who(world):
    """Provider and subject, the claims that policies name, when it began and ends."""
    gateway = world.process()
    begun = await world.begin(gateway)
    opened = await gateway.sessions.open(value_of(begun.set_cookie), world.clock())

    assert opened is not None and opened.set_cookie is None
    proof = opened.proof
    assert (proof.identity.issuer, proof.identity.subject) == ("corp", "user-1")
    assert proof.identity.claims == {"cognito:groups": ["staff"], "sub": "user-1"}
    assert proof.identity.groups == ("staff",)
    assert proof.identity.email == "ada@example.com"
    assert proof.method is Method.SESSION and proof.session_id and proof.ticket
    assert proof.expires == world.clock() + timedelta(hours=12)
    assert proof.issued == world.clock()


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c.d.e", "a..b.c.d"])
async def test_ses_2_anything_else_is_nobody(world, cookie):
    """And no question to the store."""
    gateway = world.process()

    assert await gateway.sessions.open(cookie, world.clock()) is None
    assert world.store.gets == 0


async def test_ses_6_idle_and_absolute_ends(world):
    """An active session lasts twelve hours, an idle one an hour."""
    gateway = world.process()
    cookie = value_of((await world.begin(gateway)).set_cookie)
    idle = await gateway.sessions.open(cookie, world.clock.now + timedelta(minutes=61))
    assert idle is None
    for _ in range(23):
        opened = await gateway.sessions.open(cookie, world.clock.forward(minutes=30))
        assert opened is not None
        cookie = value_of(opened.set_cookie)
    world.clock.forward(minutes=30)

    assert await gateway.sessions.open(cookie, world.clock()) is None


async def test_ses_6_a_reissue_changes_the_activity_and_nothing_else(world):
    """The beginning stays, for `not_before` compares with it."""
    gateway = world.process()
    begun = await world.begin(gateway)
    opened = await gateway.sessions.open(
        value_of(begun.set_cookie), world.clock.forward(minutes=10)
    )

    assert opened is not None and opened.set_cookie is not None
    assert opened.proof.issued == begun.proof.issued
    assert opened.proof.expires == begun.proof.expires
    assert opened.proof.session_id == begun.proof.session_id


async def test_an_opened_cookie_costs_no_second_opening(world, monkeypatch):
    """It is remembered for a minute; revocation is asked all the same."""
    gateway = world.process()
    cookie = value_of((await world.begin(gateway)).set_cookie)
    first = await gateway.sessions.open(cookie, world.clock())
    monkeypatch.setattr("gateway.sessions.lifetime.unseal", None)
    second = await gateway.sessions.open(cookie, world.clock())
    assert first is second
    await gateway.sessions.end(second.proof, world.clock())

    assert await gateway.sessions.open(cookie, world.clock()) is None


async def test_ses_4_a_removed_key_ends_its_sessions_at_once(world):
    """Though the cookie was opened a moment ago."""
    gateway = world.process()
    cookie = value_of((await world.begin(gateway)).set_cookie)
    assert await gateway.sessions.open(cookie, world.clock())
    gateway.terms = replace(gateway.terms, keyring=Keyring([b"n" * 32, KEY]))
    assert await gateway.sessions.open(cookie, world.clock())
    gateway.terms = replace(gateway.terms, keyring=Keyring([b"n" * 32]))

    assert await gateway.sessions.open(cookie, world.clock()) is None


async def test_oid_14_the_session_that_came_along_is_ended(world):
    """A new id, a new ticket; the fixed cookie is good for nothing afterwards."""
    gateway = world.process()
    earlier = value_of((await world.begin(gateway)).set_cookie)
    begun = await world.begin(gateway, earlier=earlier)
    assert await gateway.sessions.open(earlier, world.clock()) is None
    assert await gateway.sessions.open(value_of(begun.set_cookie), world.clock())
    await world.begin(gateway, earlier="rubbish")


async def test_ses_9_a_copied_cookie_is_refused_on_another_replica(world):
    """At once here, within five seconds there; the record is gone."""
    one, two = world.process(), world.process()
    begun = await world.begin(one)
    cookie = value_of(begun.set_cookie)
    assert await two.sessions.open(cookie, world.clock())
    record = await one.sessions.end(begun.proof, world.clock())
    assert record is not None and record.refresh_token is not None
    assert await one.sessions.open(cookie, world.clock()) is None
    await asyncio.sleep(1.1)

    assert await two.sessions.open(cookie, world.clock()) is None
    assert await one.sessions.record(begun.proof, world.clock()) is None


async def test_ses_16_everywhere_ends_every_session_but_not_a_later_one(world):
    """Also one that was re-issued meanwhile."""
    gateway = world.process()
    cookies = [value_of((await world.begin(gateway)).set_cookie) for _ in range(3)]
    opened = await gateway.sessions.open(cookies[0], world.clock.forward(minutes=10))
    cookies.append(value_of(opened.set_cookie))
    await gateway.sessions.end_everywhere("corp", "user-1", world.clock())
    world.clock.forward(seconds=0.01)

    assert all([await gateway.sessions.open(c, world.clock()) is None for c in cookies])
    later = value_of((await world.begin(gateway)).set_cookie)
    assert await gateway.sessions.open(later, world.clock()) is not None


async def test_oid_15_a_session_at_the_provider_ends_ours(world):
    """Only those that came from it."""
    gateway = world.process()
    begun = await world.begin(gateway)
    await gateway.sessions.end_provider_session("corp", "op-2")
    assert await gateway.sessions.open(value_of(begun.set_cookie), world.clock())
    await gateway.sessions.end_provider_session("corp", "op-1")

    assert await gateway.sessions.open(value_of(begun.set_cookie), world.clock()) is None


async def test_oid_15_a_logout_token_is_good_once(world):
    """By issuer and id."""
    sessions, soon = world.process().sessions, world.clock() + timedelta(minutes=2)

    assert not await sessions.used("corp", "j")
    await sessions.use("corp", "j", soon)
    assert await sessions.used("corp", "j")
    assert not await sessions.used("other", "j")


async def test_ses_5_claims_that_do_not_fit_end_the_login_before_anything_is_written(world):
    """With the reason."""
    gateway = world.process()
    world.idp.groups = [f"group-{i:05}" for i in range(1000)]
    with pytest.raises(LoginError) as caught:
        await world.begin(gateway)

    assert caught.value.reason is LOGIN_TOO_BIG


async def test_ses_5_claims_that_grow_too_large_end_the_session(world):
    """At the refresh; never an error from a request."""
    gateway = world.process()
    cookie = value_of((await world.begin(gateway)).set_cookie)
    world.idp.groups = [f"group-{i:05}-of-a-long-name" for i in range(300)]
    opened = await gateway.sessions.open(cookie, world.clock.forward(minutes=59))

    assert opened is None and world.idp.count("/token") == 1


async def test_when_policies_name_other_claims_they_come_from_the_record(world):
    """The record holds them all."""
    gateway = world.process()
    cookie = value_of((await world.begin(gateway)).set_cookie)
    gateway.terms = replace(gateway.terms, keeper=Keep("cognito:groups", "name"))
    opened = await gateway.sessions.open(cookie, world.clock())

    assert opened is not None and opened.set_cookie is not None
    assert opened.proof.identity.claims["name"] == "Ada"
    assert world.idp.count("/token") == 0


async def test_pol_1_claims_chosen_for_other_rules_never_meet_new_ones(world):
    """Store away and policies changed: nobody can tell, so 503."""
    gateway = world.process()
    cookie = value_of((await world.begin(gateway)).set_cookie)
    await gateway.sessions.open(cookie, world.clock())
    gateway.terms = replace(gateway.terms, keeper=Keep("name"))
    world.store.away = True

    with pytest.raises(StateError):
        await gateway.sessions.open(cookie, world.clock())


async def test_a_provider_that_is_not_configured_any_more_ends_its_sessions(world):
    """There is nobody left who could say who that is."""
    gateway = world.process()
    cookie = value_of((await world.begin(gateway)).set_cookie)
    gateway.providers.replace([])

    assert await gateway.sessions.open(cookie, world.clock()) is None


async def test_a_provider_that_became_another_issuer_has_no_sessions_of_the_former(world):
    """The same name and the same subject are somebody else there; personal keys end as well."""
    gateway = world.process()
    cookie = value_of((await world.begin(gateway)).set_cookie)
    moved = provider(section(world.idp, config_url=None, issuer="https://new.example.com"))
    gateway.providers.replace([moved])
    gateway.terms = replace(gateway.terms, issuers=(("corp", moved.issuer),))

    assert await gateway.sessions.open(cookie, world.clock()) is None
    assert await gateway.sessions.owner("corp", "user-1", world.clock()) is None


async def test_without_a_refresh_token_a_session_ends_with_its_id_token(world):
    """But not before one hour; no refresh is tried."""
    gateway = world.process()
    for life, minutes in [(30, 60), (90, 90), (6000, 720)]:
        expires = world.clock() + timedelta(minutes=life)
        begun = await world.begin(gateway, refresh_token=None, expires=expires)
        assert begun.proof.expires == world.clock() + timedelta(minutes=minutes)
    assert world.idp.calls == []


async def test_ses_15_a_dump_of_the_store_opens_nothing(world):
    """Nor does another session's ticket, nor the gateway's key."""
    gateway = world.process()
    one, two = await world.begin(gateway), await world.begin(gateway)
    crossed = replace_record(one.proof, ticket=two.proof.ticket)

    assert await gateway.sessions.record(crossed, world.clock()) is None
    assert await gateway.sessions.record(one.proof, world.clock()) is not None
    dump = repr(vars(world.store._store))
    record = await gateway.sessions.record(one.proof, world.clock())
    for secret in (one.proof.ticket, record.refresh_token):
        assert secret.reveal() not in dump
    assert "ada" not in dump and "staff" not in dump and "user-1" not in dump


async def test_the_id_token_is_there_only_where_it_was_kept(world):
    """Or shown, by a bearer."""
    gateway = world.process()
    without = await world.begin(gateway)
    kept = await world.begin(gateway, id_token=Secret("t"))
    now = world.clock()

    assert await gateway.sessions.id_token(without.proof, now) is None
    assert await gateway.sessions.id_token(kept.proof, now) == Secret("t")
    bearer = replace_record(kept.proof, method=Method.BEARER, token=Secret("b"), ticket=None)
    assert await gateway.sessions.id_token(bearer, now) == Secret("b")
    assert await gateway.sessions.id_token(replace_record(kept.proof, ticket=None), now) is None


async def test_key_4_an_owner_stands_while_the_provider_says_yes(world):
    """The latest word counts; for thirty days, and not after a no."""
    gateway = world.process()
    now = world.clock()
    assert await gateway.sessions.owner("corp", "user-1", now) is None
    begun = await world.begin(gateway)
    owner = await gateway.sessions.owner("corp", "user-1", now)
    assert owner is not None and owner.claims["name"] == "Ada"
    assert await gateway.sessions.owner("corp", "user-1", now + timedelta(days=31)) is None
    world.idp.replies["/token"] = Reply(400, b'{"error": "invalid_grant"}')
    late = await gateway.sessions.open(value_of(begun.set_cookie), world.clock.forward(minutes=59))
    assert late is None
    assert await gateway.sessions.owner("corp", "user-1", world.clock()) is None
    await world.begin(gateway)

    assert await gateway.sessions.owner("corp", "user-1", world.clock()) is not None


async def test_a_proof_of_another_kind_has_no_session(world):
    """Ending it does nothing."""
    gateway = world.process()
    begun = await world.begin(gateway)
    bearer: Any = replace_record(begun.proof, session_id=None, method=Method.BEARER)

    assert await gateway.sessions.end(bearer, world.clock()) is None
    assert await gateway.sessions.record(bearer, world.clock()) is None


async def test_key_4_a_revoked_key_is_revoked(world):
    """Until it would have ended by itself."""
    gateway = world.process()
    begun = await world.begin(gateway)
    key: Any = replace_record(begun.proof, session_id=None, key_id="GWT1")
    assert not await gateway.sessions.revoked(key, world.clock())
    await gateway.sessions.revoke_key("GWT1", world.clock() + timedelta(hours=1))

    assert await gateway.sessions.revoked(key, world.clock())


async def test_s3_13_what_goes_on_alone_has_the_claims_of_the_moment(world):
    """A job's proof: renewed at the provider as for a request, narrowed as before, ended when over."""
    gateway = world.process()
    begun = await world.begin(gateway)
    narrowed = ((Statement(actions=("s3:GetObject",), buckets=("data",), keys=("a/**",)),),)
    earlier = replace_record(begun.proof, identity=replace(begun.proof.identity, narrowed=narrowed))
    world.idp.groups = ["others"]
    now = world.clock.forward(minutes=59)
    proof = await gateway.sessions.current(earlier, now)

    assert proof is not None and proof.identity.groups == ("others",)
    assert proof.identity.narrowed == narrowed
    assert (proof.session_id, proof.issued) == (earlier.session_id, earlier.issued)
    world.store.away = True
    with pytest.raises(StateError):
        await gateway.sessions.current(earlier, now + timedelta(hours=1))
    world.store.away = False
    await gateway.sessions.end(begun.proof, now)
    assert await gateway.sessions.current(earlier, now) is None


async def test_s3_13_a_keys_job_has_its_owners_claims(world):
    """Until the provider says no; other proofs stay what they are while they are not revoked."""
    gateway = world.process()
    begun = await world.begin(gateway)
    now = world.clock()
    key: Any = replace_record(
        begun.proof, session_id=None, ticket=None, key_id="GWP1", method=Method.BASIC
    )
    proof = await gateway.sessions.current(key, now)

    assert proof is not None and proof.identity.claims["name"] == "Ada"
    assert await gateway.sessions.current(key, now + timedelta(days=31)) is None
    bearer = replace_record(key, method=Method.BEARER, key_id=None)
    assert await gateway.sessions.current(bearer, now) is bearer


async def test_ses_7_changed_rules_meet_the_records_claims_while_the_provider_is_away(world):
    """Not renewed, but all there; and for no longer than the old ones would stand."""
    gateway = world.process()
    gateway.terms = replace(gateway.terms, idle=timedelta(hours=9))
    cookie = value_of((await world.begin(gateway)).set_cookie)
    gateway.terms = replace(gateway.terms, keeper=Keep("name"))
    world.idp.replies["/token"] = Reply(503)
    opened = await gateway.sessions.open(cookie, world.clock.forward(minutes=59))

    assert opened is not None and opened.proof.identity.claims["name"] == "Ada"
    gateway.terms = replace(gateway.terms, keeper=Keep("email"))
    assert await gateway.sessions.open(cookie, world.clock.forward(minutes=5)) is not None
    assert await gateway.sessions.open(cookie, world.clock.forward(minutes=60)) is None


async def test_a_provider_without_sessions_of_its_own_is_fine(world):
    """`sid` is optional."""
    gateway = world.process()
    world.idp.claims = lambda claims: claims
    begun = await world.begin(gateway, sid=None)
    await gateway.sessions.end_provider_session("corp", "op-1")

    assert await gateway.sessions.open(value_of(begun.set_cookie), world.clock()) is not None
