"""
An upstream that resets, stalls and lies at every stage of a request.

Whatever it does, nobody is told a success that is none: a download is right, or an error, or visibly
cut; an upload that was answered 200 is stored whole; and the next request works.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.chaos.world import IMPATIENT, PATIENCE, chaotic, recovers
from tests.server.verifying_upstream import Script, Seen, Wire
from tests.server.whole_gateway import Reply, Whole

SMALL, LARGE = b"s" * 1000, b"L" * 300_000
HEAD = 'content-type: text/plain\r\netag: "e"\r\n'


@pytest.fixture
async def whole(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Whole]:
    """Impatient where the upstream stalls."""
    stalls = "stall" in request.node.name
    async with chaotic(tmp_path, patience=IMPATIENT if stalls else PATIENCE) as made:
        yield made


def tasks() -> int:
    """Tasks in this loop, but for the connections of the upstream that plays along."""
    return sum("VerifyingUpstream" not in repr(task.get_coro()) for task in asyncio.all_tasks())


Ending = Callable[[Wire], Awaitable[None]]


async def reset(wire: Wire) -> None:
    wire.cut()


async def fin(wire: Wire) -> None:
    wire.writer.close()


async def stall(wire: Wire) -> None:
    await wire.reader.read()  # until the other side has had enough


ENDINGS = {"reset": reset, "fin": fin, "stall": stall}


def gets(data: bytes) -> dict[str, tuple[bytes, bytes]]:
    """By stage: what the upstream says of a GET before its ending, and what it has."""
    head = f"HTTP/1.1 200 OK\r\n{HEAD}content-length: {len(data)}\r\n\r\n".encode()
    chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (len(data), data)
    return {
        "before-head": (b"", data),
        "in-status": (b"HTTP/1.1 2", data),
        "in-head": (head[:40], data),
        "after-head": (head, data),
        "mid-body": (head + data[: len(data) // 2], data),
        "last-byte": (head + data[:-1], data),
        "in-chunk-size": (chunks + chunk + b"5", data),
        "before-last-chunk": (chunks + chunk, data),
        "in-last-chunk": (chunks + chunk + b"0\r\n", data),
    }


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("size", ["small", "large"])
async def test_aio_16_a_get_that_breaks_is_never_whole(
    whole: Whole, size: str, ending: str
) -> None:
    """At each stage: an error in S3's words, or a body that visibly ends too early."""
    data = SMALL if size == "small" else LARGE
    for stage, (said, _) in gets(data).items():

        async def script(seen: Seen, wire: Wire, said: bytes = said) -> None:
            wire.writer.write(said)
            await wire.writer.drain()
            await ENDINGS[ending](wire)

        whole.upstream.scripts[:] = [script, script]  # a GET may be asked once more
        reply = await whole.signed("GET", "/data/k")
        if reply.status == 200:
            assert not reply.whole, stage
        else:
            assert reply.status in (502, 503, 504), stage
            assert reply.code in ("BadGateway", "ServiceUnavailable", "GatewayTimeout"), stage
    await recovers(whole)


LIES: dict[str, tuple[str, bytes]] = {
    "longer-than-said": (f"content-length: {len(SMALL)}\r\n", SMALL + b"HTTP/1.1 200 OK\r\n\r\n"),
    "two-lengths": ("content-length: 5\r\ncontent-length: 6\r\n", b"wrong!"),
    "negative": ("content-length: -1\r\n", b"wrong"),
    "not-a-number": ("content-length: 1_0\r\n", b"wrong67890"),
    "both-framings": ("content-length: 5\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n"),
    "unknown-coding": ("transfer-encoding: gzip\r\n", b"wrong"),
    "chunk-too-long": ("transfer-encoding: chunked\r\n", b"ffffffffffffffffff\r\nwrong"),
    "chunk-not-hex": ("transfer-encoding: chunked\r\n", b"wrong\r\n"),
    "no-end-of-chunk": ("transfer-encoding: chunked\r\n", b"5\r\nwrong!!\r\n0\r\n\r\n"),
    "another-range": ("content-range: bytes 0-4/9\r\n", b""),
}


@pytest.mark.parametrize("lie", LIES)
async def test_fwd_6_a_lie_about_length_reaches_nobody(whole: Whole, lie: str) -> None:
    """What two could read differently is an error; what comes after the end is never passed on."""
    lines, body = LIES[lie]

    async def lies(seen: Seen, wire: Wire) -> None:
        await wire.say(200, lines, body, end=False)
        wire.writer.close()

    whole.upstream.scripts.append(lies)
    reply = await whole.signed("GET", "/data/k")

    if lie == "longer-than-said":
        assert (reply.status, reply.body) == (200, SMALL)
    elif lie == "another-range":
        assert reply.body == b""
    else:
        assert reply.status == 502 or not reply.whole
    await recovers(whole)


def puts(data: bytes, after: Ending) -> dict[str, Script]:
    """By stage: an upstream that takes a PUT's head and so much of its body, then ends."""

    def script(taken: int, said: bytes = b"") -> Script:
        async def run(seen: Seen, wire: Wire) -> None:
            if taken:
                seen.body = await wire.reader.readexactly(taken)
            wire.writer.write(said)
            await after(wire)

        return run

    ok = b'HTTP/1.1 200 OK\r\netag: "e"\r\ncontent-length: 0\r\n\r\n'
    return {
        "before-body": script(0),
        "first-byte": script(1),
        "mid-body": script(len(data) // 2),
        "last-byte": script(len(data) - 1),
        "before-answer": script(len(data)),
        "in-answer": script(len(data), ok[:20]),
        "success-before-the-body": script(0, ok),
        "success-in-mid-body": script(len(data) // 2, ok),
    }


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("size", ["small", "large"])
async def test_exp_6_a_put_that_breaks_is_never_a_success(
    whole: Whole, size: str, ending: str
) -> None:
    """Nothing is told as stored that the upstream cannot have: not even where it says so itself."""
    data = SMALL if size == "small" else LARGE * 20  # more than the sockets hold
    token = hashlib.sha256(data).hexdigest()
    for stage, script in puts(data, ENDINGS[ending]).items():
        if size == "small" and stage.startswith("success"):
            continue  # a body that went with its head in one write: nobody can tell
        whole.upstream.scripts[:] = [script, script]
        reply = await whole.signed("PUT", "/data/k", data, payload=token)

        assert reply.status in (502, 503, 504), stage
        assert whole.stored("/real/team/k") is None
    await recovers(whole)


async def test_exp_3_who_waits_to_be_invited_hears_of_an_upstream_that_is_gone(
    whole: Whole,
) -> None:
    """`Expect: 100-continue`, and the upstream resets at once: an error, whether invited or not."""

    async def cuts(seen: Seen, wire: Wire) -> None:
        wire.cut()

    whole.upstream.scripts[:] = [cuts, cuts]
    head = whole.client().head("PUT", "/data/k", payload="UNSIGNED-PAYLOAD")
    connection = await whole.connect()
    await connection.send(
        head, b"", ("expect", "100-continue"), ("content-length", str(len(LARGE)))
    )
    reply = await connection.reply("PUT")

    assert reply.status in (502, 503)
    assert reply.header("connection") == "close"
    await recovers(whole)


@pytest.mark.parametrize(
    ("status", "lines", "expected"),
    [
        (500, "", (500, "InternalError", "")),
        (503, "", (503, "SlowDown", "1")),
        (503, "retry-after: 7\r\n", (503, "SlowDown", "7")),
        (503, "retry-after: soon\r\nx: y\r\n", (503, "SlowDown", "")),
        (429, "retry-after: 2\r\n", (429, "SlowDown", "2")),
    ],
    ids=["500", "503", "503-with-time", "503-nonsense", "429"],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_fwd_9_an_upstreams_own_errors_keep_their_meaning(
    whole: Whole, method: str, status: int, lines: str, expected: tuple[int, str, str]
) -> None:
    """SDKs try these again, after the time that is given."""
    code = expected[1]
    xml = f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()

    async def fails(seen: Seen, wire: Wire) -> None:
        await wire.say(status, lines + "connection: close\r\n", xml)

    whole.upstream.scripts.append(fails)
    reply = await whole.signed(method, "/data/k", b"x" if method == "PUT" else b"")

    assert (reply.status, reply.code) == expected[:2]
    assert len(whole.upstream.seen) == 1  # whether to try again is the client's choice
    await recovers(whole)


async def test_dos_4_a_storm_leaves_nothing_behind(whole: Whole) -> None:
    """Hundreds of broken exchanges, many at once: no task, connection or request stays."""
    stages = [said for said, _ in gets(LARGE).values()]

    def breaking(said: bytes) -> Script:
        async def run(seen: Seen, wire: Wire) -> None:
            wire.writer.write(said)
            await wire.writer.drain()
            wire.cut()

        return run

    before = tasks()
    for _ in range(10):
        whole.upstream.scripts += [breaking(said) for said in stages * 2]
        asked = [whole.signed("GET", "/data/k") for _ in range(18)]
        replies: list[Reply] = await asyncio.gather(*asked)
        assert not [reply for reply in replies if reply.status == 200 and reply.whole]
    await recovers(whole)
    async with asyncio.timeout(20):
        while tasks() > before:
            await asyncio.sleep(0.01)


async def test_fwd_16_stalled_clients_and_upstreams_do_not_fill_the_pool(whole: Whole) -> None:
    """As many silent answers as there are connections: the next request works all the same."""

    async def silent(seen: Seen, wire: Wire) -> None:
        await wire.reader.read()

    whole.upstream.scripts += [silent] * 16
    replies = await asyncio.gather(*(whole.signed("GET", "/data/k") for _ in range(8)))

    assert {reply.status for reply in replies} == {504}
    await recovers(whole)
