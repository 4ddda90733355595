"""Transports are tried on both event loops: the standard one, and the one that servers run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.contracts.transport import TransportContract


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Function
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Of what tests a transport there are two runs."""
    loops = {"asyncio": asyncio.new_event_loop}
    if item.cls is not None and issubclass(item.cls, TransportContract):
        loops["uvloop"] = uvloop.new_event_loop
    return loops
