"""The figures are right, bounded, and the same for one process and for several."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway.caches import Cache
from gateway.observe import metrics
from gateway.observe.audit import AuditEvent

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def samples() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = metrics.render().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(name: str, **labels: str) -> float:
    return samples().get((name, frozenset(labels.items())), 0.0)


def ended(operation: str, status: int = 200, seconds: float = 0.01, size: int = 5) -> AuditEvent:
    event = AuditEvent(request_id="R", time=NOW)
    event.operation, event.decision = operation, "allow"
    event.status, event.bytes_in, event.bytes_out = status, size, size * 2
    event.seconds = seconds
    return event


def test_a_request_is_counted_with_its_time_and_bytes():
    """One request raises each figure by what it was."""
    before = samples()
    metrics.observe(ended("GetObject", seconds=0.3))
    after = samples()

    def rise(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after[key] - before.get(key, 0.0)

    assert (
        rise("gateway_requests_total", operation="GetObject", decision="allow", status="200") == 1
    )
    assert rise("gateway_request_seconds_sum", operation="GetObject") == pytest.approx(0.3)
    assert rise("gateway_request_seconds_bucket", operation="GetObject", le="0.5") == 1
    assert rise("gateway_request_seconds_bucket", operation="GetObject", le="0.25") == 0
    assert rise("gateway_request_bytes_total", direction="in") == 5
    assert rise("gateway_request_bytes_total", direction="out") == 10


@given(
    st.lists(st.sampled_from([0.0, *metrics.SECONDS]) | st.floats(0, 100), min_size=1, max_size=30)
)
@settings(max_examples=50, deadline=None)
def test_adding_up_first_is_the_same_as_observing_each(seconds):
    """The fast way and prometheus-client's own agree on every bucket."""
    fast, slow = "GetObjectAcl", "PutObjectAcl"
    before = samples()
    for each in seconds:
        metrics.observe(ended(fast, seconds=each))
        metrics.REQUEST_SECONDS.observe(slow, seconds=each)
    after = samples()

    for bound in [*map(str, metrics.SECONDS), "+Inf"]:
        rises = [
            after[key] - before.get(key, 0.0)
            for name in (fast, slow)
            for key in [
                ("gateway_request_seconds_bucket", frozenset({("operation", name), ("le", bound)}))
            ]
        ]
        assert rises[0] == rises[1]


def test_log_4_requests_do_not_make_series():
    """10 000 requests with whatever status, key and bucket leave the number of series alone."""
    for status in (200, 403, 404, 999, 299):
        metrics.observe(ended("GetObject", status))
    settled = len(samples())
    chance = random.Random(7)
    for number in range(10_000):
        event = ended("GetObject", chance.choice((200, 403, 404, 999, 298, 297)))
        event.bucket, event.key, event.subject = f"b{number}", f"k{number}", f"s{number}"
        metrics.observe(event)

    assert len(samples()) == settled


def test_a_request_to_the_api_is_counted_by_its_route():
    """Routes are a table, so they may be labels; they are no S3 operations."""
    event = ended("GET /api/keys", 401)
    event.api = True
    before = value("gateway_api_requests_total", route="GET /api/keys", status="401")
    metrics.observe(event)

    assert value("gateway_api_requests_total", route="GET /api/keys", status="401") == before + 1
    assert (
        value("gateway_requests_total", operation="GET /api/keys", decision="allow", status="401")
        == 0
    )


def test_dos_5_every_cache_shows_its_entries_and_its_limit():
    """From the one register; those of one name are added."""
    one, two = (Cache[str, int]("test_metrics", size=10, seconds=60) for _ in range(2))
    one.put("a", 1)
    two.put("b", 2)

    assert value("gateway_cache_entries", cache="test_metrics") == 2
    assert value("gateway_cache_limit", cache="test_metrics") == 20


def test_every_row_of_the_table_is_shown_and_described():
    """A name begins with gateway_, a text is a sentence, a label a plain word."""
    text = metrics.render().decode()
    for name, row in metrics.TABLE.items():
        assert re.fullmatch("gateway_[a-z_]+", name)
        assert row.text.endswith(".")
        assert all(re.fullmatch("[a-z]+", label) for label in row.labels)
        assert f"# HELP {name.removesuffix('_total')}" in text


async def test_keep_settles_until_it_is_cancelled(monkeypatch):
    """A worker's figures are never older than a second."""
    monkeypatch.setattr(metrics, "SETTLE_SECONDS", 0.01)
    seen: list[int] = []
    monkeypatch.setattr(metrics, "WATCHED", [lambda: seen.append(1)])
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(metrics.keep())
        await asyncio.sleep(0.1)
        task.cancel()

    assert len(seen) >= 2


WORKER = """
from datetime import UTC, datetime
from gateway.observe import metrics
from gateway.observe.audit import AuditEvent
event = AuditEvent(request_id="R", time=datetime(2026, 1, 1, tzinfo=UTC))
event.operation, event.decision = "GetObject", "allow"
event.status = 200
metrics.observe(event)
metrics.GENERATION.set(to=3)
metrics.CONNECTIONS.set(to=4)
metrics.settle()
import sys
sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.read()
"""
SUPERVISOR = """
import sys
from gateway.observe import metrics
sys.stdout.write(metrics.render().decode())
"""


def test_workers_are_added_up_by_the_supervisor(tmp_path):
    """Counters are sums; levels of one truth are not added, connections those of the living."""
    environ = {**os.environ, metrics.MULTIPROCESS: str(tmp_path)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None and worker.stdout.readline() == b"ready\n"
    shown = subprocess.run(
        [sys.executable, "-c", SUPERVISOR], env=environ, capture_output=True, text=True, check=True
    ).stdout
    for worker in workers:
        worker.communicate(b"")

    assert (
        'gateway_requests_total{decision="allow",operation="GetObject",status="200"} 2.0' in shown
    )
    assert "gateway_connections 8.0" in shown
    assert "gateway_config_generation 3.0" in shown
