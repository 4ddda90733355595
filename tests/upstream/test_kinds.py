"""The kinds that need no more than the configuration and the SDK."""

from __future__ import annotations

from datetime import datetime

import pytest

from gateway.config.values import Resolved
from gateway.identity import ANONYMOUS, Secret
from gateway.upstream.aws import Aws
from gateway.upstream.sources import CredentialSources
from tests.contracts.credential_source import GRANT
from tests.upstream.test_roles import SIGNED
from tests.upstream.test_sources import START, configuration, no_token


def sources(section: dict[str, object]) -> CredentialSources:
    return CredentialSources(configuration(section), Aws(), no_token, lambda: START)


async def test_a_written_key_is_given_as_it_is(now: datetime):
    """Session token and all."""
    section: dict[str, object] = {
        "type": "static",
        "access_key_id": "AKIA",
        "secret_access_key": Resolved("a secret of the file"),
        "session_token": Resolved("its token"),
    }

    given = await sources(section).get(GRANT, SIGNED, now)

    assert (given.access_key_id, given.expires) == ("AKIA", None)
    assert given.secret == Secret("a secret of the file")
    assert given.session_token == Secret("its token")


async def test_anonymous_is_the_constant(now: datetime):
    """Which the signer leaves unsigned."""
    assert await sources({"type": "anonymous"}).get(GRANT, SIGNED, now) is ANONYMOUS


async def test_a_profile_is_the_named_one(now: datetime, monkeypatch: pytest.MonkeyPatch):
    """And `default` names none."""
    asked: list[str | None] = []

    async def chain(self: Aws, profile: str | None = None) -> object:
        asked.append(profile)
        return ANONYMOUS

    monkeypatch.setattr(Aws, "chain", chain)

    await sources({"type": "profile", "profile": "lab"}).get(GRANT, SIGNED, now)
    await sources({"type": "default"}).get(GRANT, SIGNED, now)

    assert asked == ["lab", None]
