"""What a running gateway tells of itself: figures, audit lines, traces, timings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from gateway import __version__
from gateway.observe.metrics import REGISTRY
from tests.server.errand_world import errand_world
from tests.server.verifying_upstream import Seen, Wire
from tests.server.whole_gateway import Whole, whole_gateway

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = ("traceparent", f"00-{TRACE}-{PARENT}-01")


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_gateway(tmp_path) as made:
        yield made


@asynccontextmanager
async def at_work(whole: Whole) -> AsyncIterator[None]:
    """With what runs beside the requests, as `gateway serve` has it."""
    ending = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(whole.app.run_until(ending))
        yield
        ending.set()


async def figures(whole: Whole) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of `/metrics`, read from the internal listener."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{whole.app.serving.admin_addresses[0]}/metrics") as answer,
    ):
        text = await answer.text()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def audit_lines(whole: Whole) -> list[dict[str, Any]]:
    await asyncio.to_thread(whole.app.audit.flush)
    text = await asyncio.to_thread((whole.folder / "audit.log").read_text)
    return [json.loads(line) for line in text.splitlines()]


async def test_figures_that_nobody_sets_on_the_way_are_set(whole: Whole) -> None:
    """Version, generation, how late the loop woke and open connections stand in `/metrics`."""
    async with at_work(whole):
        held = await whole.connect()
        await held.send(whole.client().head("GET", "/data/none"))
        await held.reply()
        await asyncio.sleep(1.1)  # what is watched is looked at once a second
        found = await figures(whole)

    assert found["gateway_build_info", frozenset({("version", __version__)})] == 1
    assert found["gateway_config_generation", frozenset()] == 1
    assert found["gateway_config_reload_failed", frozenset()] == 0
    assert found["gateway_connections", frozenset()] == 1
    assert 0 <= found["gateway_loop_lag_seconds", frozenset()] < 1


async def test_dos_2_connections_turned_away_are_counted(whole: Whole) -> None:
    """Beyond `server.connections` nobody has an audit line; the figure says that it happens."""
    name = ("gateway_limited_total", frozenset({("limit", "connections")}))
    before = (await figures(whole)).get(name, 0.0)
    whole.app.serving._door._most = 1
    await whole.connect()
    await asyncio.sleep(0.05)
    second = await whole.connect()
    reply = await second.reply()

    assert (reply.status, reply.header("retry-after")) == (503, "1")
    assert (await figures(whole))[name] == before + 1


@pytest.mark.parametrize("payload", ["passthrough", "decode"])
async def test_log_5_bytes_of_a_body_are_counted_however_it_goes_on(
    tmp_path: Path, payload: str
) -> None:
    """Untouched, opened or refused unread: what arrived stands in the audit line."""
    async with whole_gateway(tmp_path, payload=payload) as whole:
        await whole.signed("PUT", "/data/k", b"x" * 5000)
        await whole.signed("PUT", "/data/big", b"x" * 600_000, payload="UNSIGNED-PAYLOAD")
        lines = await audit_lines(whole)

    assert [(line["status"], line["bytes_in"]) for line in lines] == [(200, 5000), (200, 600_000)]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : secret-canary\r\n\r\n",
        b"\x16\x03\x01secret-canary\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /data/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
    ids=["space-before-colon", "tls-hello", "endless-target", "two-lengths"],
)
async def test_http_9_what_cannot_be_read_is_refused_and_written_down(
    whole: Whole, sent: bytes
) -> None:
    """An error in S3's words, one audit line with the address, and nothing of what was sent."""
    connection = await whole.connect()
    connection.writer.write(sent)
    reply = await connection.reply()

    assert (reply.status, reply.code) == (400, "InvalidRequest")
    assert b"canary" not in reply.body
    (line,) = await audit_lines(whole)
    assert line["request_id"] == reply.header("x-amz-request-id")
    assert (line["status"], line["decision"], line["peer"]) == (400, "error", "127.0.0.1")
    assert "canary" not in json.dumps(line)


async def test_a_trace_goes_through(whole: Whole) -> None:
    """Without spans of ours the trace is handed on as it came, and the audit line names it."""
    await whole.signed("PUT", "/data/k", b"v", headers=[TRACEPARENT, ("tracestate", "vendor=x")])
    await whole.signed("GET", "/data/k", headers=[("traceparent", "00-not-a-trace-01")])
    traced, untraced = whole.upstream.seen

    assert TRACEPARENT in traced.headers and ("tracestate", "vendor=x") in traced.headers
    assert not [name for name, _ in untraced.headers if name.startswith("trace")]
    lines = await audit_lines(whole)
    assert [line.get("trace_id") for line in lines] == [TRACE, None]


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A receiver of OTLP over HTTP: its address, and the bodies that arrived."""
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", bodies
    finally:
        await runner.cleanup()


async def test_requests_become_spans_where_a_collector_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server span under the caller's, and the upstream is told ours as its parent."""
    service = pytest.importorskip(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
        reason="the extra `otel` is not installed",
    )
    async with collector() as (address, bodies):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        async with whole_gateway(tmp_path) as whole:
            await whole.signed("PUT", "/data/k", b"v", headers=[TRACEPARENT])
            await whole.signed("GET", "/api/session")
            sent = dict(whole.upstream.seen[0].headers)["traceparent"]

    spans = []
    for body in bodies:
        export = service.ExportTraceServiceRequest.FromString(body)
        for resource in export.resource_spans:
            spans += [span for scope in resource.scope_spans for span in scope.spans]
    put, api = sorted(spans, key=lambda span: span.start_time_unix_nano)
    assert (put.name, put.trace_id.hex(), put.parent_span_id.hex()) == ("PutObject", TRACE, PARENT)
    assert sent == f"00-{TRACE}-{put.span_id.hex()}-01"
    assert (api.name, api.parent_span_id) == ("GET /api/session", b"")
    assert api.trace_id.hex() != TRACE


async def test_log_1_spans_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither signature nor query of a presigned address."""
    pytest.importorskip("opentelemetry.proto", reason="the extra `otel` is not installed")
    async with collector() as (address, bodies):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        async with whole_gateway(tmp_path) as whole:
            await whole.signed("GET", "/data/k", query=[("versionId", "canary-version")])

    assert bodies
    for canary in (b"canary-version", b"AWS4-HMAC", b"Signature"):
        assert canary not in b"".join(bodies)


async def test_who_asks_is_told_how_long_it_takes(whole: Whole) -> None:
    """Server-Timing, in all and until the upstream's head; only on request, and not for strangers."""

    async def thinks(seen: Seen, wire: Wire) -> None:
        await asyncio.sleep(0.05)
        await wire.say(200, "connection: close\r\n", b"data")

    asked = ("x-gateway-timing", "1")
    whole.upstream.scripts.append(thinks)
    reply = await whole.signed("GET", "/data/k", headers=[asked])
    parts = dict(part.strip().split(";dur=") for part in reply.header("server-timing").split(","))

    assert float(parts["total"]) >= float(parts["upstream"]) >= 50
    assert (await whole.signed("GET", "/data/k")).header("server-timing") == ""
    stranger = await whole.connect()
    with suppress(ConnectionError):
        stranger.writer.write(b"GET /data/k HTTP/1.1\r\nHost: x\r\nx-gateway-timing: 1\r\n\r\n")
    assert (await stranger.reply()).header("server-timing") == ""


class TestJobs:
    """With the demo's whole world."""

    @pytest.fixture
    def _nothing_blocks_the_loop(self) -> None:
        """The demo's world may wait: it starts and ends an S3 server in this process."""

    async def test_jobs_and_archives_are_counted_by_how_they_ended(self) -> None:
        """A job that did its work, one that was refused, and an archive."""

        def count(kind: str, outcome: str) -> float:
            key = ("gateway_jobs_total", {"kind": kind, "outcome": outcome})
            return REGISTRY.get_sample_value(*key) or 0.0

        kinds = (("delete", "done"), ("delete", "failed"), ("archive", "done"))
        before = [count(*kind) for kind in kinds]
        async with errand_world() as (_, who):
            ada = who["ada"]
            await ada.put("home", "x", b"1")
            for bucket, key in (("home", "x"), ("acme-archive", "internal/secret.txt")):
                sources = [{"bucket": bucket, "key": key}]
                await ada.job(operation="delete", sources=sources)
            assert (await ada.ask("GET", "/api/archive/home/")).status == 200

        assert [count(*kind) for kind in kinds] == [n + 1 for n in before]
