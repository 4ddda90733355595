"""Fixtures that every test may use, and the rules that every test obeys."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from datetime import UTC, datetime

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    A coroutine of ours that blocks the event loop fails its test.

    Where real servers run, the demo's world is started in the test's own loop, and may.
    """
    if request.node.get_closest_marker("real"):
        yield
        return
    with blockbuster_ctx("gateway"):
        yield


@pytest.fixture
def now() -> datetime:
    """A moment that tests agree on."""
    return datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is there to be had, a test that skips itself has failed."""
    report = yield
    if report.skipped and os.environ.get("GATEWAY_NO_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report
