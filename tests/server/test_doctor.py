"""How a request arrived, told to whoever sent it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.config.model import Config
from gateway.identity import Identity, Method, Proof
from gateway.server.doctor import BODY_MAX, Doctor
from tests.contracts.state_store import Clock
from tests.server.serving import Served, serve, snapshot

ALICE = Proof(identity=Identity(issuer="corp", subject="a", name="Alice"), method=Method.BEARER)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    config = Config.model_validate({"server": {"public_url": "https://s3.example.com"}})
    async with serve(
        Doctor().routes(), snapshot=snapshot(config=config), clock=Clock(), trusted=["127.0.0.1"]
    ) as served:
        yield served


async def raw(served: Served, head: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
    """Sent byte for byte."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.replace("\n", "\r\n").encode() + b"Connection: close\r\n\r\n" + body)
    answer, _, data = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(answer.split()[1]), json.loads(data)


async def test_sig_4_the_target_is_told_as_it_came(served: Served) -> None:
    """Slashes, encodings and the query, untouched."""
    for target in ("/api/doctor", "/api/doctor/a//b", "/api/doctor/%2F%7e+(x)?z=1&a=b%20&c"):
        status, told = await raw(served, f"GET {target} HTTP/1.1\nHost: x\n")

        assert (status, told["target"]) == (200, target)


async def test_a_stranger_is_told_what_the_stranger_sent(served: Served) -> None:
    """A host name that a proxy put there is for those who are signed in; so is who they are."""
    head = "GET /api/doctor HTTP/1.1\nHost: internal:8080\nx-doctor-host: s3.example.com\n"
    _, stranger = await raw(served, head)
    _, same = await raw(served, head.replace("s3.example.com", "internal:8080"))
    served.proof = ALICE
    _, known = await raw(served, head)

    assert (stranger["host"], stranger["who"]) == (None, None)
    assert same["host"] == "internal:8080"
    assert (known["host"], known["who"]) == ("internal:8080", "Alice")


async def test_sig_5_a_host_is_accepted_that_a_trusted_proxy_passes_on(served: Served) -> None:
    """Or that is the gateway's own."""
    own = await raw(served, "GET /api/doctor HTTP/1.1\nHost: s3.example.com\n")
    passed = await raw(
        served,
        "GET /api/doctor HTTP/1.1\nHost: x\nX-Forwarded-Host: s3.example.com\n"
        "X-Forwarded-Proto: https\nX-Forwarded-For: 10.0.0.7\n",
    )
    other = await raw(served, "GET /api/doctor HTTP/1.1\nHost: x\n")

    assert [told["host_accepted"] for _, told in (own, passed, other)] == [True, True, False]
    assert passed[1]["secure"] is True
    assert passed[1]["trusted"] is True
    assert "10.0.0.7" not in str(passed)
    assert passed[1]["forwarded"] == ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]


async def test_headers_that_matter_are_told_and_no_others(served: Served) -> None:
    """Never a cookie, nor an Authorization; of a long one its length."""
    _, told = await raw(
        served,
        "GET /api/doctor HTTP/1.1\nHost: x\nAccept-Encoding: identity\nx-amz-meta-doctor_a: 1\n"
        f"x-doctor-long: {'x' * 20_000}\nCookie: secret=1\nX-Real-Ip: 10.0.0.7\n",
    )

    assert told["headers"] == {
        "accept-encoding": "identity",
        "x-amz-meta-doctor_a": "1",
        "x-doctor-long": 20_000,
    }
    assert "secret" not in str(told)


async def test_a_body_is_counted_within_a_bound(served: Served) -> None:
    """Read and forgotten."""
    sizes = []
    for size in (0, 2_000_000, BODY_MAX + 1):
        async with served.client.put(
            served.url + "/api/doctor", data=io.BytesIO(bytes(size))
        ) as answer:
            told = await answer.json()
            sizes.append((told["body"] >= size, told["body_whole"]))

    assert sizes == [(True, True), (True, True), (True, False)]
