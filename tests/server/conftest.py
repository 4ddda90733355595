"""Fixtures of the tests of signing in and out: a provider, a gateway, browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from gateway.oidc.client import Providers
from gateway.oidc.providers import provider
from gateway.state import MemoryStore
from tests.hostile_provider import Clock, HostileProvider
from tests.login_world import Browser, Gateway, make_gateway, section, serving


class World:
    """A provider, a gateway and a browser."""

    def __init__(self, idp: HostileProvider, clock: Clock, store: MemoryStore) -> None:
        self.idp, self.clock, self.store = idp, clock, store
        self.rows: list[dict[str, Any]] = [{}]
        self.gateway: Gateway
        self.http: aiohttp.ClientSession

    def make(self, url: str) -> Gateway:
        rows = [provider(section(self.idp, **row)) for row in self.rows]
        self.providers = Providers(rows, clock=self.clock)
        return make_gateway(url, self.clock, self.store, self.providers)

    def reload(self, *rows: dict[str, Any]) -> None:
        """Other providers in the file."""
        self.providers.replace([provider(section(self.idp, **row)) for row in rows])

    def browser(self) -> Browser:
        return Browser(self.http, self.gateway.url)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = Clock()
    idp = HostileProvider(clock)
    await idp.start()
    made = World(idp, clock, MemoryStore(clock))
    async with (
        serving(made.make) as gateway,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        made.gateway, made.http = gateway, http
        yield made
        await made.providers.close()
    await idp.stop()


@pytest.fixture
def browser(world: World) -> Browser:
    return world.browser()


@pytest.fixture
def idp(world: World) -> HostileProvider:
    return world.idp
