"""Every kind of credential source keeps the contract; the cache in front keeps people apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest

from gateway.config.model import Config, CredentialsConfig
from gateway.config.values import Resolved
from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.identity import ANONYMOUS, Credentials, Proof, Secret
from gateway.upstream import sources as module
from gateway.upstream.aws import Aws, unavailable
from gateway.upstream.sources import SOURCES, CredentialSources
from tests.contracts.credential_source import (
    GRANT,
    CredentialSourceContract,
    SourceWorld,
    TokenOf,
)
from tests.upstream.fake_aws import GATEWAY_KEY, ISSUER, LOGIN, POOL, ROLE, FakeAws, token

START = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
STATIC = {
    "type": "static",
    "access_key_id": GATEWAY_KEY[0],
    "secret_access_key": Resolved(GATEWAY_KEY[1]),
}
ASSUME = {"type": "assume_role", "role_arn": ROLE, "source": "ours"}


def configuration(mine: Mapping[str, Any], **others: Mapping[str, Any]) -> Config:
    return Config.model_validate(
        {
            "oidc": [
                {"name": "corp", "issuer": ISSUER, "client_id": "app"},
                {"name": "other", "issuer": f"{ISSUER}2", "client_id": "app"},
            ],
            "upstreams": {"main": {"region": "eu-central-1"}},
            "credentials": {"mine": mine, "ours": STATIC, **others},
        }
    )


async def no_token(proof: Proof) -> Secret | None:
    return None


def made(config: Config, fake: FakeAws | None = None) -> CredentialSources:
    return CredentialSources(
        config, Aws(pauses=(0.01, 0.01)), no_token, lambda: fake.now if fake else START
    )


async def at_work(
    mine: Mapping[str, Any],
    fake: FakeAws,
    call: str,
    *,
    personal: bool = True,
    dated: bool = True,
    tokens: TokenOf | None = None,
) -> AsyncIterator[SourceWorld]:
    """A source against the fake; fetches are counted by the call that gives credentials."""
    built = made(configuration(mine), fake)
    yield SourceWorld(
        sources=built,
        fetches=lambda: fake.counts[call],
        fail=lambda away: setattr(fake, "away", away),
        at=lambda now: setattr(fake, "now", now),
        now=fake.now,
        personal=personal,
        dated=dated,
        token=tokens,
    )
    await built.close()


class TestStatic(CredentialSourceContract):
    """One access key, for everybody, for ever."""

    @pytest.fixture
    async def world(self, fake: FakeAws) -> AsyncIterator[SourceWorld]:
        async for world in at_work(STATIC, fake, "", personal=False, dated=False):
            yield world


class TestAnonymous(CredentialSourceContract):
    """No access key, for everybody."""

    @pytest.fixture
    async def world(self, fake: FakeAws) -> AsyncIterator[SourceWorld]:
        async for world in at_work({"type": "anonymous"}, fake, "", personal=False, dated=False):
            yield world

    async def test_it_is_the_one_that_leaves_requests_unsigned(self, world: SourceWorld) -> None:
        """The signer asks for it by name."""
        assert await world.get() is ANONYMOUS


class TestAssumeRole(CredentialSourceContract):
    """A role assumed by the gateway."""

    @pytest.fixture
    async def world(self, fake: FakeAws) -> AsyncIterator[SourceWorld]:
        async for world in at_work({**ASSUME, "endpoint": fake.url}, fake, "AssumeRole"):
            yield world


class TestWebIdentity(CredentialSourceContract):
    """A role assumed with the person's token."""

    @pytest.fixture
    async def world(self, fake: FakeAws) -> AsyncIterator[SourceWorld]:
        section = {"type": "web_identity", "role_arn": ROLE, "endpoint": fake.url}
        async for world in at_work(section, fake, "AssumeRoleWithWebIdentity", tokens=long_token):
            yield world


class TestCognitoEnhanced(CredentialSourceContract):
    """An identity pool that knows its roles."""

    @pytest.fixture
    async def world(self, fake: FakeAws) -> AsyncIterator[SourceWorld]:
        section = {
            "type": "cognito_identity",
            "identity_pool_id": POOL,
            "endpoint": fake.url,
            "login": LOGIN,
        }
        async for world in at_work(section, fake, "GetCredentialsForIdentity", tokens=long_token):
            yield world


class TestCognitoBasic(CredentialSourceContract):
    """An identity pool, and STS behind it."""

    @pytest.fixture
    async def world(self, fake: FakeAws) -> AsyncIterator[SourceWorld]:
        section = {
            "type": "cognito_identity",
            "identity_pool_id": POOL,
            "endpoint": fake.url,
            "sts_endpoint": fake.url,
            "login": LOGIN,
            "flow": "basic",
            "role_arn": ROLE,
        }
        async for world in at_work(section, fake, "AssumeRoleWithWebIdentity", tokens=long_token):
            yield world


def long_token(subject: str, now: datetime) -> str:
    return token(subject, now, seconds=86_400)


class Chain:
    """The SDK's chain, in the test's hands."""

    def __init__(self) -> None:
        self.calls = 0
        self.now = START
        self.away = False

    async def __call__(self, profile: str | None = None) -> Credentials:
        self.calls += 1
        await asyncio.sleep(0)
        if self.away:
            raise unavailable("no metadata service")
        return Credentials(
            access_key_id=f"ASIA{self.calls}",
            secret=Secret("chain-secret"),
            expires=self.now + timedelta(hours=1),
        )


class TestDefault(CredentialSourceContract):
    """What the SDK's chain finds, here a role of the machine."""

    @pytest.fixture
    async def world(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SourceWorld]:
        chain = Chain()
        monkeypatch.setattr(Aws, "chain", lambda self, profile=None: chain(profile))
        built = made(configuration({"type": "default"}))
        yield SourceWorld(
            sources=built,
            fetches=lambda: chain.calls,
            fail=lambda away: setattr(chain, "away", away),
            at=lambda now: setattr(chain, "now", now),
            now=START,
            personal=False,
            dated=True,
        )
        await built.close()


# The table


def test_every_kind_has_its_source():
    """A kind that the configuration knows is in the table, and the other way round."""
    union = get_args(CredentialsConfig)[0]
    kinds = {get_args(section.model_fields["type"].annotation)[0] for section in get_args(union)}

    assert set(SOURCES) == kinds


# The cache


@pytest.fixture
async def build(fake: FakeAws) -> AsyncIterator[Callable[..., CredentialSources]]:
    """Makes sources for a configuration, and closes them."""
    built: list[CredentialSources] = []

    def build(mine: Mapping[str, Any], **others: Mapping[str, Any]) -> CredentialSources:
        built.append(made(configuration(mine, **others), fake))
        return built[-1]

    yield build
    for one in built:
        await one.close()


def proof(subject: str = "alice") -> Proof:
    return SourceWorld(
        sources=None,  # type: ignore[arg-type] # only the proof is wanted
        fetches=int,
        fail=lambda _: None,
        at=lambda _: None,
        now=START,
        personal=True,
        dated=True,
    ).proof(subject)


async def test_aws_4_grants_that_differ_do_not_share(fake, build):
    """Name, tags and source identity of the session are part of the key."""
    sources = build({**ASSUME, "endpoint": fake.url})
    grants = [
        GRANT,
        replace(GRANT, session_name="else"),
        replace(GRANT, tags=(("team", "a"),)),
        replace(GRANT, tags=(("team", "b"),)),
        replace(GRANT, source_identity="alice"),
    ]

    given = [await sources.get(grant, proof(), fake.now) for grant in grants]

    assert len({one.access_key_id for one in given}) == len(grants)


async def test_aws_4_without_scope_down_the_target_does_not_matter(fake, build):
    """Two prefixes of one person need one session, unless the session is narrowed to each."""
    wide = build({**ASSUME, "endpoint": fake.url})
    narrow = build({**ASSUME, "endpoint": fake.url, "scope_down": True})
    other = replace(GRANT, target_prefix="users/else/")

    same = [await wide.get(grant, proof(), fake.now) for grant in (GRANT, other)]
    apart = [await narrow.get(grant, proof(), fake.now) for grant in (GRANT, other)]

    assert same[0] == same[1]
    assert apart[0] != apart[1]


async def test_a_changed_configuration_gives_new_credentials(fake, build):
    """What did not change keeps them; a changed role does not inherit them."""
    sources = build({**ASSUME, "endpoint": fake.url})
    first = await sources.get(GRANT, proof(), fake.now)

    sources.replace(configuration({**ASSUME, "endpoint": fake.url}))
    same = await sources.get(GRANT, proof(), fake.now)
    sources.replace(configuration({**ASSUME, "endpoint": fake.url, "duration": "15m"}))
    other = await sources.get(GRANT, proof(), fake.now)

    assert first == same
    assert other != first


async def test_aws_4_a_provider_of_the_same_name_is_not_the_same_provider(fake, build):
    """Where a name comes to mean another issuer, a subject of it is somebody else."""
    section = {**ASSUME, "endpoint": fake.url}
    sources = build(section)
    first = await sources.get(GRANT, proof(), fake.now)
    moved = configuration(section)
    providers = [p.model_copy(update={"issuer": f"{p.issuer}-new"}) for p in moved.oidc]

    sources.replace(moved.model_copy(update={"oidc": tuple(providers)}))

    assert await sources.get(GRANT, proof(), fake.now) != first


async def test_a_request_of_the_former_configuration_is_still_served(fake, build):
    """It began before the reload; of one long gone it is 503."""
    sources = build({**ASSUME, "endpoint": fake.url})
    empty = Config.model_validate({"upstreams": {"main": {}}})

    sources.replace(empty)
    assert await sources.get(GRANT, proof(), fake.now)
    sources.replace(empty)
    with pytest.raises(UpstreamUnavailable):
        await sources.get(GRANT, proof(), fake.now)


async def test_a_rotated_secret_is_used_at_once(fake, build):
    """Static credentials are never older than the configuration; neither is what they sign."""
    sources = build({**ASSUME, "endpoint": fake.url})
    await sources.get(GRANT, proof(), fake.now)
    fake.keys = {"AKIANEW": "another-secret-for-tests"}
    config = configuration({**ASSUME, "endpoint": fake.url})
    rotated = {
        **STATIC,
        "access_key_id": "AKIANEW",
        "secret_access_key": Resolved("another-secret-for-tests"),
    }
    changed = Config.model_validate(
        {
            "upstreams": {"main": {"region": "eu-central-1"}},
            "credentials": {"mine": {**ASSUME, "endpoint": fake.url}, "ours": rotated},
        }
    )
    assert config != changed

    sources.replace(changed)
    await sources.get(GRANT, proof("bob"), fake.now)

    assert fake.counts["AssumeRole"] == 2


async def test_clients_of_former_services_are_closed(fake, build, monkeypatch):
    """A configuration that is reloaded for ever does not gather connections."""
    monkeypatch.setattr(module, "CLOSING", 0.01)
    sources = build({**ASSUME, "endpoint": fake.url})
    await sources.get(GRANT, proof(), fake.now)

    sources.replace(configuration(STATIC))
    await asyncio.sleep(0.1)

    assert sources._aws._clients == {}


async def test_a_personal_source_cannot_lend(fake, build):
    """What assumes a role belongs to the gateway, not to whoever asked first."""
    sources = build(
        {**ASSUME, "source": "theirs", "endpoint": fake.url},
        theirs={**ASSUME, "endpoint": fake.url},
    )

    with pytest.raises(UpstreamUnavailable):
        await sources.get(GRANT, proof(), fake.now)


async def test_invalid_credentials_are_fetched_anew(fake, build, monkeypatch):
    """What the upstream did not take is not offered again."""
    monkeypatch.setattr(module, "YOUNG", 0.0)
    sources = build({**ASSUME, "endpoint": fake.url})
    first = await sources.get(GRANT, proof(), fake.now)

    sources.invalidate(GRANT, proof())

    assert await sources.get(GRANT, proof(), fake.now) != first


async def test_the_cache_is_bounded(fake, build, monkeypatch):
    """A stranger with many names does not grow memory."""
    monkeypatch.setattr(module, "KEPT", 20)
    sources = build({**ASSUME, "endpoint": fake.url})

    await asyncio.gather(*[sources.get(GRANT, proof(str(i)), fake.now) for i in range(50)])

    assert len(sources._cache) <= 20
    assert len(sources._keys) <= 20


async def test_failures_say_what_failed(fake, build):
    """The operator reads the service and the code; nobody reads a secret."""
    fake.keys = {}
    sources = build({**ASSUME, "endpoint": fake.url})

    with pytest.raises(GatewayError) as caught:
        await sources.get(GRANT, proof(), fake.now)

    assert "InvalidClientTokenId" in str(caught.value)
    assert GATEWAY_KEY[1] not in str(caught.value)
