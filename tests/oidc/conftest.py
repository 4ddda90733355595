"""A hostile provider and a client of it."""

from __future__ import annotations

import pytest

from gateway.oidc.client import Providers
from gateway.oidc.providers import provider
from tests.hostile_provider import Clock, HostileProvider
from tests.login_world import section


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def idp(clock):
    hostile = HostileProvider(clock)
    await hostile.start()
    yield hostile
    await hostile.stop()


@pytest.fixture
async def providers(idp, clock):
    made = Providers([provider(section(idp))], clock=clock)
    yield made
    await made.close()
