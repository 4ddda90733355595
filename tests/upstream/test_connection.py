"""Bodies of answers as they arrive: order, ends, and whoever does not read to the end."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import UpstreamProtocolError
from gateway.upstream.connection import Connection, Incoming


class Nobody:
    """Stands in for a connection, and counts."""

    def __init__(self) -> None:
        self.taken_count = self.aborted = 0

    def taken(self) -> None:
        self.taken_count += 1

    def abort(self) -> None:
        self.aborted += 1


@pytest.fixture
def nobody() -> Nobody:
    return Nobody()


@pytest.fixture
def incoming(nobody: Nobody) -> Incoming:
    connection: Connection = nobody  # type: ignore[assignment] # a stand-in
    return Incoming(connection, None)


async def test_pieces_come_in_order_and_then_the_end(incoming, nobody):
    """Whoever waits is woken by each."""
    reading = asyncio.ensure_future(incoming.read(100))
    for piece in (b"a", b"b", b"c"):
        await asyncio.sleep(0)
        incoming.feed(piece)
    incoming.end()

    assert await reading == b"abc"
    assert nobody.aborted == 0


async def test_what_is_whole_is_given_without_waiting(incoming):
    """Once it has ended, and only then; and only once."""
    incoming.feed(b"ab")
    incoming.feed(b"c")
    assert incoming.whole() is None

    incoming.end()

    assert (incoming.whole(), incoming.whole(), incoming.size) == (b"abc", b"", 0)


async def test_what_broke_off_gives_its_pieces_and_then_its_error(incoming):
    """What arrived may be passed on; that it was not all is never hidden."""
    incoming.feed(b"ab")
    incoming.end(UpstreamProtocolError("cut"))
    incoming.end()

    assert incoming.whole() is None
    parts = []
    with pytest.raises(UpstreamProtocolError):
        async for part in incoming:
            parts.append(part)
    assert parts == [b"ab"]


async def test_a_body_that_is_closed_early_cuts_its_connection_once(incoming, nobody):
    """And one that was read to its end does not."""
    incoming.feed(b"ab")
    await incoming.close()
    await incoming.close()

    assert (nobody.aborted, incoming.size) == (1, 0)


async def test_closing_after_the_end_touches_nothing(incoming, nobody):
    """The connection may serve somebody else by then."""
    incoming.end()
    await incoming.close()

    assert nobody.aborted == 0


async def test_a_reader_that_leaves_does_not_break_the_writer(incoming):
    """A cancelled read is no reason for the connection to fail."""
    reading = asyncio.ensure_future(incoming.__anext__())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    incoming.feed(b"later")
    incoming.end()

    assert incoming.whole() == b"later"
