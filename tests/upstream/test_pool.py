"""The pool keeps what every transport promises, and its own bookkeeping."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from gateway.errors import UpstreamUnavailable
from gateway.message import NO_BODY
from gateway.observe import metrics
from gateway.records import replace
from gateway.upstream import connection, pool
from gateway.upstream.pool import Pool
from tests.contracts.scripted import (
    OK,
    Keeping,
    Peer,
    Scripted,
    Tap,
    forever,
    get,
    put,
    silent,
    whole,
)
from tests.contracts.transport import TransportContract


@pytest.fixture
async def transport() -> AsyncIterator[Pool]:
    made = Pool()
    yield made
    await made.close()


class TestPool(TransportContract):
    """What every transport promises."""


async def test_connections_are_counted(transport: Pool) -> None:
    """Metrics and readiness see what is open and what is idle."""
    upstream = Scripted()
    await upstream.start()
    upstream.plays(forever)

    await whole(await transport.send(upstream.endpoint, get(), NO_BODY))

    assert transport.counts() == {upstream.endpoint: (1, 1)}
    metrics.settle()
    text = (await asyncio.to_thread(metrics.render)).decode()
    assert re.search(r'gateway_upstream_connections{.*state="idle".*} 1', text)
    assert re.search(r'gateway_upstream_connections{.*state="busy".*} 0', text)
    await upstream.stop()


async def test_a_small_answer_in_two_pieces_is_handed_over_whole(transport: Pool) -> None:
    """Many servers send the head first: a second wake-up is not worth it."""
    upstream = Scripted()
    await upstream.start()

    async def script(peer: Peer) -> None:
        await peer.answer(OK[:-2])
        await asyncio.sleep(0.02)
        await peer.send(OK[-2:])
        await peer.closed()

    upstream.plays(script)

    answer = await transport.send(upstream.endpoint, get(), NO_BODY)

    assert answer.body.whole() == b"ok"
    await upstream.stop()


async def test_idle_connections_are_closed(
    transport: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's sockets stay open for the sake of a request that may never come."""
    monkeypatch.setattr(connection, "KEPT_IDLE", 0.05)
    upstream = Scripted()
    await upstream.start()
    upstream.plays(forever)
    await whole(await transport.send(upstream.endpoint, get(), NO_BODY))

    await asyncio.sleep(0.2)

    assert transport.counts() == {upstream.endpoint: (0, 0)}
    await upstream.stop()


@pytest.mark.parametrize(
    ("offer", "used_again"), [(b"timeout=30, max=9", True), (b"timeout=1", False)]
)
async def test_the_upstreams_offer_bounds_the_idle_time(
    transport: Pool, offer: bytes, used_again: bool
) -> None:
    """A connection that the upstream is about to close is not kept for a request to fail on."""
    upstream = Scripted()
    await upstream.start()
    upstream.plays(
        Keeping(b"HTTP/1.1 200 OK\r\nKeep-Alive: " + offer + b"\r\nContent-Length: 0\r\n\r\n")
    )

    for _ in range(2):
        await whole(await transport.send(upstream.endpoint, get(), NO_BODY))
        await asyncio.sleep(0.05)

    assert len(upstream.peers) == (1 if used_again else 2)
    await upstream.stop()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_cannot_be_sent_again_takes_no_old_connection(
    transport: Pool, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """An upload that meets a stale connection is lost, so it meets none that may be."""
    monkeypatch.setattr(pool, "FRESH", 0.05)
    upstream = Scripted()
    await upstream.start()
    upstream.plays(forever)
    await whole(await transport.send(upstream.endpoint, get(), NO_BODY))
    await asyncio.sleep(0.1)

    await whole(await transport.send(upstream.endpoint, put(method), NO_BODY))

    assert len(upstream.peers) == (1 if method == "GET" else 2)
    await upstream.stop()


async def test_an_old_connection_makes_room_for_what_needs_a_new_one(
    transport: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound on connections holds, and nobody waits for an idle one."""
    monkeypatch.setattr(pool, "FRESH", 0.05)
    upstream = Scripted()
    await upstream.start()
    upstream.plays(forever)
    endpoint = replace(upstream.endpoint, max_connections=1)
    await whole(await transport.send(endpoint, get(), NO_BODY))
    await asyncio.sleep(0.1)

    await whole(await transport.send(endpoint, put("POST"), NO_BODY))

    assert transport.counts() == {endpoint: (1, 1)}
    await upstream.stop()


async def test_endpoints_of_the_past_are_forgotten(transport: Pool) -> None:
    """A configuration that is reloaded for ever does not grow the pool."""
    upstream = Scripted()
    await upstream.start()
    upstream.plays(forever)

    for timeout in range(1, 6):
        endpoint = replace(upstream.endpoint, head_timeout=timeout)
        await whole(await transport.send(endpoint, get(), NO_BODY))
        for peer in upstream.peers:
            peer.writer.transport.abort()
        await asyncio.sleep(0.02)

    assert len(transport.counts()) == 1
    await upstream.stop()


async def test_fwd_16_whoever_leaves_takes_nobody_along(transport: Pool) -> None:
    """A request that is cancelled as its answer arrives does not cut the connection's next user."""
    upstream = Scripted()
    await upstream.start()

    async def script(peer: Peer) -> None:
        while True:
            await peer.answer()

    upstream.plays(script)
    endpoint = replace(upstream.endpoint, max_connections=2)

    async def impatient(patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                assert await whole(await transport.send(endpoint, get(), NO_BODY)) == b"ok"
        except TimeoutError:
            pass

    async def patient() -> None:
        for _ in range(100):
            assert await whole(await transport.send(endpoint, get(), NO_BODY)) == b"ok"

    await asyncio.gather(patient(), patient(), *[impatient(i / 20_000) for i in range(100)])
    await upstream.stop()


async def test_closing_ends_everything(transport: Pool) -> None:
    """Requests in flight hear it, later ones too; no socket is left."""
    upstream = Scripted()
    await upstream.start()
    upstream.plays(silent)
    tasks = [
        asyncio.ensure_future(transport.send(upstream.endpoint, put(), body))
        for body in (NO_BODY, Tap(), Tap(length=1 << 30))
    ]
    await asyncio.sleep(0.1)

    await transport.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results] == [UpstreamUnavailable] * 3
    with pytest.raises(UpstreamUnavailable):
        await transport.send(upstream.endpoint, get(), NO_BODY)
    await upstream.stop()
