"""The internal listener says how the process is, and is no way around anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.server.whole_gateway import Whole, whole_gateway

PATHS = ["/livez", "/readyz", "/metrics"]


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_gateway(tmp_path) as made:
        yield made


async def inside(whole: Whole, method: str, path: str) -> tuple[int, str, str]:
    """Status, body and Server header of the internal listener."""
    place = whole.app.serving.admin_addresses[0]
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"http://{place}{path}") as answer,
    ):
        return answer.status, await answer.text(), answer.headers["Server"]


@pytest.mark.parametrize("path", PATHS)
async def test_adm_1_the_same_paths_outside_are_s3(whole: Whole, path: str) -> None:
    """A bucket may be called so; a stranger is refused, whatever they say that they are."""
    for agent in ("kube-probe/1.30", "ELB-HealthChecker/2.0", "Prometheus/2.53"):
        connection = await whole.connect()
        head = f"GET {path} HTTP/1.1\r\nHost: {whole.host}\r\nUser-Agent: {agent}\r\n\r\n"
        connection.writer.write(head.encode())
        reply = await connection.reply()
        assert (reply.status, reply.code) == (403, "AccessDenied")


async def test_adm_1_a_probe_by_address_is_refused_like_anybody(whole: Whole) -> None:
    """Load balancers that probe `/` by IP get no answer of ours but S3's refusal."""
    connection = await whole.connect()
    connection.writer.write(b"GET /livez HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n")
    assert (await connection.reply()).status in (400, 403)


@pytest.mark.parametrize(
    "path",
    ["/", "/debug/pprof/", "/api/session", "/data/k", "/metrics/", "//metrics"],
)
async def test_adm_2_there_is_nothing_else_inside(whole: Whole, path: str) -> None:
    """No debug routes, no S3, no API."""
    assert (await inside(whole, "GET", path))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_adm_3_nothing_can_be_done_inside(whole: Whole, method: str) -> None:
    """Only looked at."""
    for path in PATHS:
        assert (await inside(whole, method, path))[0] == 405


async def test_adm_4_readiness_holds_words_and_ages(whole: Whole) -> None:
    """Neither hosts nor ports nor key ids of what is behind."""
    status, text, _ = await inside(whole, "GET", "/readyz")

    assert status == 200
    for secret in ("127.0.0.1", str(whole.upstream.port), "UPSTREAMKEY", "WRITERKEY", "real"):
        assert secret not in text


async def test_adm_4_figures_name_no_bucket_key_or_person(whole: Whole) -> None:
    """Labels are words of ours and of the operator (LOG-4)."""
    await whole.signed("PUT", "/data/canary-key", b"v")
    await whole.signed("GET", "/canary-bucket/k")
    await whole.signed("BREW", "/data/canary-key")
    _, text, _ = await inside(whole, "GET", "/metrics")

    assert "gateway_requests_total" in text
    for name in ("canary", "WRITERKEY", "BREW", "127.0.0.1"):
        assert name not in text


async def test_adm_5_no_version_is_told(whole: Whole) -> None:
    """Inside and outside the same name."""
    outside = (await whole.signed("GET", "/data/none")).header("server")
    inner = (await inside(whole, "GET", "/livez"))[2]

    assert outside == inner == "s3-auth-gateway"
