"""
What `gateway check --online` and `gateway init` ask of the world: is it there, and does it fit?
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from gateway.cli.ask_provider import ask_provider
from gateway.cli.ask_storage import ask_storage
from gateway.cli.findings import Finding
from gateway.config.model import Config
from gateway.oidc.calls import Calls
from gateway.snapshot import Snapshot


async def ask(snapshot: Snapshot, now: datetime) -> list[Finding]:
    """All that the configuration leads to."""
    providers = await ask_providers(snapshot.config, now)
    with _findings_only():
        return [*providers, *await ask_storage(snapshot, now)]


async def ask_providers(config: Config, now: datetime) -> list[Finding]:
    """The identity providers alone."""
    calls = Calls()
    try:
        with _findings_only():
            return [
                finding
                for provider in config.oidc
                for finding in await ask_provider(calls, provider, config, now)
            ]
    finally:
        await calls.close()


@contextmanager
def _findings_only() -> Iterator[None]:
    """What a gateway would log on the way is told by findings here, once."""
    logger = logging.getLogger("gateway")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
