"""Share links against visitors who want more than was shared, and after their owner signed out everywhere."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tests.server.errand_world import Caller, errand_world, signed_in
from tests.server.test_shares import cookie_of, shared, visitor


@pytest.fixture
def _nothing_blocks_the_loop() -> None:
    """The demo's world may wait: it starts and ends an S3 server in this process."""


@pytest.fixture
async def ada():
    """Ada's browser."""
    async with errand_world() as (_, callers):
        yield await signed_in(callers["nobody"], "ada")


async def test_shr_3_a_visitor_stays_where_they_were_let_in(ada: Caller) -> None:
    """Encoded or not, up or beside: one and the same 404, and no byte of what lies there."""
    for key in ("docs/in/a.txt", "docs/in-secret/b.txt", "docs/c.txt", "d.txt"):
        await ada.put("home", key, b"c0ffee of ada" if "in/" not in key else b"shared")
    folder, _ = await shared(ada, bucket="home", prefix="docs/in/")
    single, _ = await shared(ada, bucket="home", key="docs/c.txt")
    guest = visitor(ada)
    assert (await guest.ask("GET", f"{folder}/o/a.txt")).body == b"shared"
    ways = ["../c.txt", "..%2fc.txt", "%2e%2e/c.txt", "%2e%2e%2fc.txt", "x/../../c.txt", "..%5cc.txt", "../in-secret/b.txt",
            "-secret/b.txt", "%2e%2e%2f..%2fd.txt", "....//c.txt", "%252e%252e/c.txt", "/docs/c.txt", "%2fdocs%2fc.txt",
            "a.txt%00", "%ff", "..;/c.txt", ".", ""]  # fmt: skip
    for way in ways:
        for kind in ("o", "l", "zip"):
            url = f"{ada.world.url}{folder}/{kind}/{way}"
            head = f"GET {folder}/{kind}/{way} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            said = await raw(url, head)
            assert b"c0ffee" not in said.partition(b"\r\n\r\n")[2], (kind, way)
            assert way in ("", ".") or said.split(b" ")[1] in (b"404", b"400"), (
                kind,
                way,
                said[:80],
            )
    for way in ("d.txt", "c.txt2", "../d.txt", "..%2fd.txt", "in/a.txt", ""):
        assert (await guest.ask("GET", f"{single}/o/{way}")).status in (404, 400), way
    assert (await guest.ask("GET", f"{single}/zip/")).status == 404


async def raw(url: str, head: str) -> bytes:
    """A target as it is spelt: clients resolve dots before they send."""
    authority = url.split("/")[2]
    host, _, port = authority.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.replace("Host: x", f"Host: {authority}").encode())
    async with asyncio.timeout(10):
        said = await reader.read()
    writer.close()
    return said


async def test_shr_3_the_way_into_one_link_is_none_into_another(ada: Caller) -> None:
    """The cookie of a visit is for its own link; a password there opens nothing here."""
    first, _ = await shared(ada, bucket="home", key="hello.txt", password="open sesame")
    second, _ = await shared(ada, bucket="home", key="notes/ideas.md", password="other word")
    guest = visitor(ada)
    opened = await guest.ask("POST", first, data={"password": "open sesame"})
    assert opened.status == 303
    cookie = cookie_of(opened)
    assert (await guest.ask("GET", f"{first}/o/hello.txt", headers=cookie)).status == 200
    for headers in (cookie, {"Cookie": cookie["Cookie"][:-2] + "xx"}, {"Cookie": ada.extra["Cookie"].replace("session=", "share=")}):  # fmt: skip
        assert (await guest.ask("GET", f"{second}/o/ideas.md", headers=headers)).status == 404
    as_session = {"Cookie": cookie["Cookie"].replace("share=", "session=")}
    assert (await guest.ask("GET", "/api/session", headers=as_session)).status != 200


async def test_ui_35_of_many_who_open_at_once_as_many_as_were_allowed(ada: Caller) -> None:
    """Two uses, ten visitors at the same moment."""
    path, _ = await shared(ada, bucket="home", key="hello.txt", max_uses=2)
    guest = visitor(ada)
    replies = await asyncio.gather(*(guest.ask("POST", path, data={"a": "b"}) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [303] * 2 + [404] * 8


async def test_ses_16_signing_out_everywhere_ends_links_and_not_those_that_come_after(
    ada: Caller,
) -> None:
    """What was given away before is taken back; what is shared afterwards works."""
    before, _ = await shared(ada, bucket="home", key="hello.txt")
    guest = visitor(ada)
    assert (await guest.ask("GET", f"{before}/o/hello.txt")).status == 200
    owner = next(user for user in ada.world.users if user.username == "ada")
    await ada.world.app.sessions.end_everywhere("demo", owner.subject, datetime.now(UTC))
    await asyncio.sleep(1.1)  # a session's beginning is known to the second
    again = await signed_in(Caller(ada.world, ada.session), "ada")
    after, _ = await shared(again, bucket="home", key="hello.txt")
    assert (await guest.ask("GET", f"{before}/o/hello.txt")).status == 404
    assert (await guest.ask("GET", f"{after}/o/hello.txt")).status == 200
