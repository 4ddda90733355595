"""What is known of an issuer is fetched seldom, kept when a new copy is bad, and given up in the end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.errors import ProviderError
from gateway.oidc.issuer import BUDGET, Budget, Issuer
from gateway.oidc.providers import KINDS, Provider
from tests.hostile_provider import KEYS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROVIDER = Provider(
    name="corp",
    issuer="https://id.example",
    config_url="https://id.example/.well-known/openid-configuration",
    kind=KINDS["generic"],
)
DOCUMENT = {"issuer": "https://id.example", "jwks_uri": "https://id.example/jwks"}


class Away:
    """Answers documents by address, counts, and fails on order."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            PROVIDER.config_url: DOCUMENT,
            "https://id.example/jwks": {"keys": [KEYS[0].as_dict(private=False)]},
        }
        self.asked: list[str] = []
        self.away = False

    async def __call__(self, provider: Provider, url: str) -> object:
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.away:
            raise ProviderError
        return self.answers[url]

    @property
    def keys(self) -> int:
        return self.asked.count("https://id.example/jwks")


@pytest.fixture
def fetch():
    return Away()


@pytest.fixture
def issuer(fetch):
    return Issuer(PROVIDER, fetch)


async def test_oid_7_a_thousand_invented_kids_cost_three_fetches(issuer, fetch):
    """Whatever they are called, and however many ask at once."""
    await issuer.keys(NOW)
    first = fetch.keys
    for i in range(0, 1000, 50):
        await asyncio.gather(*(issuer.look_again(f"kid-{i + j}", NOW) for j in range(50)))

    assert fetch.keys - first <= BUDGET
    assert await issuer.look_again("after a minute", NOW + timedelta(minutes=1))
    assert not await issuer.look_again("and another", NOW + timedelta(minutes=1))


async def test_oid_7_a_rotation_seconds_after_the_first_fetch_is_followed(issuer, fetch):
    """A flat cool-down would not."""
    await issuer.keys(NOW)
    new = KEYS[1].as_dict(private=False)
    fetch.answers["https://id.example/jwks"] = {"keys": [new]}

    assert await issuer.look_again(str(new["kid"]), NOW + timedelta(seconds=2))
    assert (await issuer.keys(NOW)).keys[0].kid == new["kid"]


async def test_oid_7_all_who_meet_a_new_key_at_once_wait_for_the_one_fetch(issuer, fetch):
    """Fifty pods whose tokens bear tomorrow's key: none is refused because another was first."""
    await issuer.keys(NOW)
    first = fetch.keys

    found = await asyncio.gather(*(issuer.look_again("new", NOW) for _ in range(50)))

    assert all(found)
    assert fetch.keys - first == 1


async def test_oid_7_an_unknown_kid_is_remembered(issuer, fetch):
    """The same one does not spend the budget twice."""
    await issuer.keys(NOW)

    assert await issuer.look_again("x", NOW)
    assert not await issuer.look_again("x", NOW)
    assert fetch.keys == 2


@pytest.mark.parametrize("bad", [{"error": "x"}, {"keys": []}, [], {"keys": [{"kty": "oct"}]}])
async def test_oid_7_a_broken_answer_keeps_the_old_keys(issuer, fetch, bad):
    """An error document, an empty set, a set without a usable key."""
    good = await issuer.keys(NOW)
    fetch.answers["https://id.example/jwks"] = bad

    assert not await issuer.look_again("x", NOW)
    with pytest.raises(ProviderError):
        await issuer.renew(NOW + timedelta(hours=2))
    assert await issuer.keys(NOW + timedelta(hours=3)) is good


async def test_oid_10_a_bad_copy_of_the_document_never_replaces_a_good_one(issuer, fetch):
    """And neither is believed for longer than a day."""
    good = await issuer.metadata(NOW)
    fetch.answers[PROVIDER.config_url] = {**DOCUMENT, "issuer": "https://evil.example"}
    with pytest.raises(ProviderError):
        await issuer.renew(NOW + timedelta(hours=13))

    assert await issuer.metadata(NOW + timedelta(hours=23)) is good
    with pytest.raises(ProviderError):
        await issuer.metadata(NOW + timedelta(hours=25))


async def test_oid_10_a_provider_that_is_away_at_the_start_is_asked_again(issuer, fetch):
    """On demand a few times at most; a login meanwhile is an error that says so, not a crash."""
    fetch.away = True
    for _ in range(20):
        with pytest.raises(ProviderError):
            await issuer.metadata(NOW)
    assert len(fetch.asked) == BUDGET
    assert not issuer.known and issuer.keys_age(NOW) is None
    fetch.away = False
    await issuer.renew(NOW)

    assert issuer.known and issuer.keys_age(NOW + timedelta(hours=1)) == timedelta(hours=1)


async def test_one_fetch_at_a_time(issuer, fetch):
    """Two hundred who ask at once cause one."""
    await asyncio.gather(*(issuer.keys(NOW) for _ in range(200)))

    assert fetch.keys == 1


async def test_what_is_young_is_not_renewed(issuer, fetch):
    """Keys each hour, the document twice a day."""
    await issuer.renew(NOW)
    await issuer.renew(NOW + timedelta(minutes=59))
    assert len(fetch.asked) == 2
    await issuer.renew(NOW + timedelta(minutes=61))
    assert len(fetch.asked) == 3
    await issuer.renew(NOW + timedelta(hours=12, minutes=1))
    assert len(fetch.asked) == 5


def test_a_budget_does_not_grow_with_a_clock_that_goes_back():
    """Nor beyond its three."""
    budget = Budget()
    assert [budget.spend(NOW) for _ in range(4)] == [True, True, True, False]
    assert not budget.spend(NOW - timedelta(hours=1))
    assert [budget.spend(NOW + timedelta(days=1)) for _ in range(4)] == [True, True, True, False]
