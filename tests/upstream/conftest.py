"""
Transports are tried on both event loops: the standard one, and the one that servers run.
Credential sources get a stand-in for AWS that is as strict as AWS.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.contracts.transport import TransportContract
from tests.upstream.fake_aws import FakeAws


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Function
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Of what tests a transport there are two runs."""
    loops = {"asyncio": asyncio.new_event_loop}
    if item.cls is not None and issubclass(item.cls, TransportContract):
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.fixture
async def fake() -> AsyncIterator[FakeAws]:
    """AWS, as far as credentials go."""
    fake = FakeAws()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have credentials; none of them are meant here."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
    # A gateway often runs where clients are told to come to it: it must not call itself.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
