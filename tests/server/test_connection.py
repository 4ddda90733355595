"""Requests of one connection, in their order; and how connections end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.s3.errors import S3Error
from gateway.server.connection import PIPELINED, Clients
from gateway.server.inbound import Inbound, Line
from gateway.server.reader import SLICE

Handle = Callable[[Inbound], Awaitable[None]]
GET = b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n"
UNREADABLE = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Served:
    """What was asked, and answers that a test chooses."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.targets: list[str] = []

    async def handle(self, inbound: Inbound) -> None:
        self.targets.append(inbound.read.target)
        await self._handle(inbound)

    def unreadable(self, line: Line) -> bytes:
        return UNREADABLE


def say(inbound: Inbound, text: str) -> None:
    assert inbound.line.transport is not None
    more = "" if inbound.stays else "connection: close\r\n"
    head = f"HTTP/1.1 200 OK\r\n{more}content-length: {len(text)}\r\n\r\n"
    inbound.line.transport.write(f"{head}{text}".encode())


async def echo(inbound: Inbound) -> None:
    say(inbound, inbound.read.target)


@asynccontextmanager
async def serving(
    handle: Handle, *, header_timeout: float = 30.0
) -> AsyncIterator[tuple[Served, Clients, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A server, and a client's connection to it."""
    served = Served(handle)
    clients = Clients(served, header_timeout=header_timeout)
    server = await asyncio.get_running_loop().create_server(clients, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(10):
            yield served, clients, reader, writer
    finally:
        writer.close()
        server.close()
        await clients.drain(1.0)


async def test_dos_4_requests_in_a_row_are_answered_in_order_and_few_wait() -> None:
    """Five thousand at once: what is not served yet stays in the client's own hands."""
    most = 0

    async def slowly(inbound: Inbound) -> None:
        nonlocal most
        await asyncio.sleep(0)
        (connection,) = clients.connections
        most = max(most, len(connection._waiting))
        await echo(inbound)

    async with serving(slowly) as (served, clients, reader, writer):
        writer.write(b"".join(GET % number for number in range(5000)))
        for number in range(5000):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.rpartition(b": ")[2])
            assert await reader.readexactly(length) == b"/%d" % number
    assert served.targets == [f"/{number}" for number in range(5000)]
    assert most < PIPELINED + SLICE // len(GET % 1) + 1


async def test_dos_1_a_head_that_drips_is_not_waited_for() -> None:
    """A byte now and then does not move the end of the time for a head."""
    async with serving(echo, header_timeout=0.3) as (served, _, reader, writer):
        began = asyncio.get_running_loop().time()
        for byte in GET % 1:
            if reader.at_eof():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        assert await reader.read() == b""
        assert asyncio.get_running_loop().time() - began < 1.5
    assert served.targets == []


async def test_the_time_for_a_head_begins_anew_after_an_answer() -> None:
    """A connection may rest for as long again."""
    async with serving(echo, header_timeout=0.4) as (_, _, reader, writer):
        for number in range(3):
            writer.write(GET % number)
            assert (await reader.readuntil(b"\r\n/%d" % number)).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.25)
        assert await reader.read() == b""


async def test_what_comes_before_something_unreadable_is_answered_first() -> None:
    """Then the refusal, then the end; what follows it is never asked."""
    async with serving(echo) as (served, _, reader, writer):
        writer.write(GET % 1 + b"NO HTTP AT ALL\r\n\r\n" + GET % 2)
        said = await reader.read()
    assert said.endswith(b"\r\n/1" + UNREADABLE)
    assert served.targets == ["/1"]


async def test_http_2_a_body_that_breaks_off_into_nonsense_is_told_to_its_reader() -> None:
    """Nothing is read from there on, and the reader of the body learns why."""
    faults: list[S3Error] = []

    async def read(inbound: Inbound) -> None:
        try:
            async for _ in inbound.body:
                pass
        except S3Error as fault:
            faults.append(fault)
            say(inbound, "refused")

    async with serving(read) as (served, _, reader, writer):
        writer.write(b"PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"nonsense\r\n" + GET % 2)
        assert b"connection: close" in await reader.read()
    assert [fault.code for fault in faults] == ["InvalidRequest"]
    assert served.targets == ["/"]


async def test_exp_2_an_answer_arrives_though_the_body_is_not_read() -> None:
    """The client goes on sending for a while; the answer is whole, and the connection ends."""
    async with serving(echo) as (_, _, reader, writer):
        writer.write(b"PUT /k HTTP/1.1\r\nhost: a\r\ncontent-length: 50000000\r\n\r\n")
        for _ in range(20):
            writer.write(bytes(50_000))
            await asyncio.sleep(0.005)
        said = await reader.readuntil(b"/k")
        assert b"connection: close" in said


async def test_a_client_that_leaves_ends_its_request() -> None:
    """Whatever is under way for it is cancelled at once (DOS-4)."""
    cancelled = asyncio.Event()

    async def wait(inbound: Inbound) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(wait) as (_, clients, _, writer):
        writer.write(GET % 1)
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await asyncio.wait_for(cancelled.wait(), 1)
        await asyncio.sleep(0.05)
        assert not clients.connections


@pytest.mark.parametrize("patience", [5.0, 0.1])
async def test_a_drain_lets_what_runs_finish_and_cuts_what_takes_too_long(patience: float) -> None:
    """Idle connections end at once, and nobody is asked a second time."""
    go_on = asyncio.Event()

    async def slow(inbound: Inbound) -> None:
        await go_on.wait()
        await echo(inbound)

    async with serving(slow) as (_, clients, reader, writer):
        writer.write(GET % 1 + GET % 2)
        await asyncio.sleep(0.05)
        draining = asyncio.ensure_future(clients.drain(patience))
        await asyncio.sleep(0.05)
        if patience > 1:
            go_on.set()
        said = await reader.read()
        await draining
        assert said.count(b"HTTP/1.1") == (1 if patience > 1 else 0)
        assert (b"connection: close" in said) is (patience > 1)
        assert not clients.connections
