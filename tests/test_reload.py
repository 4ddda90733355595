"""The configuration in force: newer files take over, or leave everything as it was."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

import pytest

from gateway import reload
from gateway.observe.metrics import REGISTRY
from gateway.reload import InForce
from tests.server.whole_gateway import written


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return written(tmp_path, port=1, s3=2)


async def in_force(config: Path) -> InForce:
    return await asyncio.to_thread(InForce, config)


def failed() -> float | None:
    return REGISTRY.get_sample_value("gateway_config_reload_failed")


async def test_cfg_3_a_good_file_takes_over_and_is_told(config: Path) -> None:
    """Whoever depends on it gets the new snapshot; the generation rises."""
    found = await in_force(config)
    told: list[int] = []
    found.tell(lambda snapshot: told.append(snapshot.generation))
    config.write_text(config.read_text().replace("drain: 1s", "drain: 7s"))

    assert await found.reload()
    assert found.snapshot.config.server.drain.total_seconds() == 7
    assert told == [2] and failed() == 0


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("drain: 1s", "drain: soon, conections: 5", 2),
        ("rules:", "rules: [}", 1),
        ("target: plain", "upstream: nowhere", 1),
    ],
    ids=["two-problems", "not-yaml", "no-such-upstream"],
)
async def test_cfg_3_a_bad_file_leaves_everything_and_tells_all(
    config: Path, caplog: pytest.LogCaptureFixture, old: str, new: str, problems: int
) -> None:
    """Every problem in the log with its place, a metric, and the old snapshot stays."""
    found = await in_force(config)
    before = found.snapshot
    path = config if old in config.read_text() else config.with_name("policy.yaml")
    good = path.read_text()
    path.write_text(good.replace(old, new, 1))

    with caplog.at_level(logging.ERROR):
        assert not await found.reload()
    assert found.snapshot is before and failed() == 1
    told = [getattr(record, "problem", "") for record in caplog.records]
    assert len([one for one in told if path.name in one]) >= problems, told

    path.write_text(good)
    assert await found.reload()
    assert failed() == 0 and found.snapshot.generation == 2


async def test_cfg_3_a_file_that_is_gone_is_told_once(
    config: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at every few seconds, and the log is not filled with it."""
    monkeypatch.setattr(reload, "WATCH_SECONDS", 0.02)
    found = await in_force(config)
    config.unlink()
    with caplog.at_level(logging.ERROR), suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await found.watch(lambda: asyncio.sleep(0))

    assert len(caplog.records) == 1, caplog.text
    assert found.snapshot.generation == 1


async def test_a_fault_of_ours_ends_nothing(
    config: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong while files are read, requests go on by what was known."""
    found = await in_force(config)

    def broken(path: Path) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(reload, "load", broken)
    with caplog.at_level(logging.ERROR):
        assert not await found.reload()
    assert found.snapshot.generation == 1 and "RecursionError" in caplog.text
