"""Hostile clients and upstreams over real sockets: each is refused, and nothing is stored."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.whole_gateway import Whole, whole_gateway


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_gateway(tmp_path) as made:
        yield made


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_fwd_2_what_is_sent_on_is_signed_anew(whole: Whole) -> None:
    """An honest request arrives under the mapped name, proved by the upstream's own key."""
    reply = await whole.signed("PUT", "/data/k", b"hello", headers=[("content-type", "text/x")])
    assert reply.status == 200, reply.body
    assert whole.stored("/real/team/k") == b"hello"
    assert [one.wrong for one in whole.upstream.seen] == [""]
    got = await whole.signed("GET", "/data/k")
    assert (got.status, got.body, got.header("content-type")) == (200, b"hello", "text/x")


async def test_chk_16_a_flipped_byte_is_never_stored(whole: Whole) -> None:
    """The hash was signed, the body is another: the old object stays as it was."""
    assert (await whole.signed("PUT", "/data/k", b"old")).status == 200
    head = whole.client().head("PUT", "/data/k", payload=sha(b"new object"))
    reply = await whole.ask(head, b"nEw object")
    assert (reply.status, reply.code) == (400, "XAmzContentSHA256Mismatch")
    assert whole.stored("/real/team/k") == b"old"
    assert whole.stored("/real/team/k") is not None
