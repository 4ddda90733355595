"""A signed-in person, a provider, and as many processes of the gateway as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.errors import StateError
from gateway.identity import Identity, Secret
from gateway.oidc import flow
from gateway.oidc.client import Providers
from gateway.oidc.providers import provider
from gateway.sessions.lifetime import Begun
from gateway.state import MemoryStore
from tests.hostile_provider import Clock, HostileProvider
from tests.login_world import Gateway, make_gateway, section

URL = "https://gw.example"


class FlakyStore:
    """A store in memory that can be away, and counts what is asked."""

    def __init__(self, clock: Clock) -> None:
        self._store = MemoryStore(clock)
        self.away = False
        self.gets = 0

    def _there(self) -> MemoryStore:
        if self.away:
            raise StateError("away")
        return self._store

    async def get(self, key: str) -> bytes | None:
        self.gets += 1
        return await self._there().get(key)

    async def put(self, key: str, value: bytes, *, expires: datetime) -> None:
        await self._there().put(key, value, expires=expires)

    async def add(self, key: str, value: bytes, *, expires: datetime) -> bool:
        return await self._there().add(key, value, expires=expires)

    async def delete(self, key: str) -> None:
        await self._there().delete(key)

    async def take(self, key: str) -> bytes | None:
        return await self._there().take(key)

    def lock(
        self, key: str, *, ttl: timedelta, wait: timedelta
    ) -> AbstractAsyncContextManager[bool]:
        return self._there().lock(key, ttl=ttl, wait=wait)

    async def ping(self) -> None:
        self._there()

    async def close(self) -> None:
        await self._store.close()


@dataclass
class World:
    """The store is one; processes are as many as are made."""

    clock: Clock
    idp: HostileProvider
    store: FlakyStore
    made: list[Providers] = field(default_factory=list)
    kind: dict[str, Any] = field(default_factory=dict)

    def process(self, **more: Any) -> Gateway:
        """Another process, on the same store."""
        providers = Providers([provider(section(self.idp, **self.kind))], clock=self.clock)
        self.made.append(providers)
        return make_gateway(URL, self.clock, self.store, providers, **more)

    async def begin(self, gateway: Gateway, sid: str | None = "op-1", **more: Any) -> Begun:
        """A session, as a finished login makes it; its refresh token is one of the provider's."""
        claims = self.idp.id_claims("nonce")
        given = gateway.providers.find("corp")
        values: dict[str, Any] = {
            "nonce": "nonce",
            "id_token": None,
            "refresh_token": Secret(self.idp.issue_refresh("nonce")),
            "expires": self.clock() + timedelta(hours=1),
            "earlier": None,
            **more,
        }
        identity: Identity = flow.identity_of(given, {**claims, **({"sid": sid} if sid else {})})
        return await gateway.sessions.begin(identity, now=self.clock(), **values)


def value_of(set_cookie: str | None) -> str:
    assert set_cookie is not None
    return set_cookie.partition(";")[0].partition("=")[2]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = Clock()
    idp = HostileProvider(clock)
    await idp.start()
    made = World(clock, idp, FlakyStore(clock))
    yield made
    for providers in made.made:
        await providers.close()
    await idp.stop()


@pytest.fixture
def process(world: World) -> Callable[..., Gateway]:
    return world.process
