"""Floods and depths: what strangers and friends can send without end costs no memory and no worker."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from tests.chaos.people import staffed
from tests.chaos.world import chaotic, recovers

DEEP = 100_000


async def test_dos_6_sign_ins_begun_leave_no_state(tmp_path: Path) -> None:
    """A thousand ways to the provider, none of them gone: the store holds what it held."""
    async with staffed(tmp_path) as at:
        store = at.whole.app.store
        await at.ask("GET", "/api/session")
        before = len(store._entries)  # type: ignore[attr-defined] # the memory store's own
        for _ in range(20):
            asked = [
                at.http.get(f"{at.whole.url}/api/session/auth/?next=/ui/", allow_redirects=False)
                for _ in range(50)
            ]
            answers = await asyncio.gather(*asked)
            assert {answer.status for answer in answers} == {302}
        assert len(store._entries) == before  # type: ignore[attr-defined] # as above


@pytest.mark.parametrize(
    "body",
    [b"[" * DEEP, b'{"a":' * DEEP, b'{"sources":' + b"[" * DEEP + b"]" * DEEP + b"}"],
    ids=["lists", "objects", "closed"],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/keys/temporary", "/api/shares"])
async def test_dos_7_deep_json_is_refused(tmp_path: Path, path: str, body: bytes) -> None:
    """By a 4xx of ours, not by a stack that ran out."""
    async with staffed(tmp_path) as at:
        await at.sign_in()
        headers = {
            "X-Gateway-CSRF": "1",
            "Origin": at.whole.url,
            "Content-Type": "application/json",
        }
        url = at.whole.url + path
        async with at.browser.post(url, data=body, headers=headers) as answer:
            assert 400 <= answer.status < 500


@pytest.mark.parametrize(
    ("query", "opening"),
    [
        ("delete", b"<Delete><Object>"),
        ("delete", b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><Delete>&b;'),
        ("tagging", b"<Tagging>"),
        ("versioning", b"<VersioningConfiguration>"),
    ],
    ids=["delete", "entities", "tagging", "versioning"],
)
async def test_dos_7_deep_xml_is_refused_or_not_read(
    tmp_path: Path, query: str, opening: bytes
) -> None:
    """What is parsed here is refused; what goes on untouched is the upstream's."""
    async with chaotic(tmp_path) as whole:
        body = opening + b"<a>" * DEEP
        method = "POST" if query == "delete" else "PUT"
        reply = await whole.signed(method, "/plain", body, query=[(query, "")])
        if query == "delete":
            assert (reply.status, reply.code) == (400, "MalformedXML")
        else:
            assert reply.status < 600 and reply.whole
        await recovers(whole)


async def test_http_7_a_bomb_stays_packed(tmp_path: Path) -> None:
    """A packed body is stored packed: 10 MB of nothing are 10 KB here, whatever its encoding says."""
    packed = gzip.compress(b"\0" * 10_000_000)
    async with chaotic(tmp_path) as whole:
        reply = await whole.signed("PUT", "/data/k", packed, headers=[("content-encoding", "gzip")])
        assert reply.status == 200
        assert whole.stored("/real/team/k") == packed
