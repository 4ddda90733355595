"""
The routes that the client commands speak to, served in a thread of their own with its own loop.

The commands block, as programs of a terminal may; a test that runs them has no loop.
"""

from __future__ import annotations

import asyncio
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

from gateway.config.model import Config
from gateway.identity import Identity, Method, Proof
from gateway.server.accesskeys import AccessKeys
from gateway.server.cli_login import CliLogin
from gateway.server.doctor import Doctor
from gateway.server.keys import Keys
from gateway.server.pages import Pages
from gateway.server.sts import Sts
from gateway.sigv4.sign import SigningKeys
from gateway.state import MemoryStore
from tests.server.serving import Served, serve, snapshot

ALICE = Identity(issuer="corp", subject="alice", claims={"sub": "alice"}, name="Alice")
PAGES = Pages(static="/ui/static/x")


def clock() -> datetime:
    return datetime.now(UTC)


class Failures:
    def check(self, peer: str | None, now: datetime) -> None:
        pass

    def failed(self, peer: str | None, now: datetime) -> None:
        pass


@dataclass
class Running:
    """A gateway, as far as the commands see it."""

    url: str
    served: Served
    access: AccessKeys
    loop: asyncio.AbstractEventLoop

    def keys(self) -> list[str]:
        """Ids of Alice's keys."""
        asked = self.access.owned("corp", "alice", clock())
        rows = asyncio.run_coroutine_threadsafe(asked, self.loop).result(10)
        return [record.key_id for record, _ in rows]

    def revoke_all(self) -> None:
        for key_id in self.keys():
            asked = self.access.revoke("corp", "alice", key_id, clock())
            asyncio.run_coroutine_threadsafe(asked, self.loop).result(10)

    def find(self, key_id: str, session_token: Any) -> Any:
        asked = self.access.find(key_id, session_token, clock())
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result(10)

    def click(self, page: str, answer: str = "allow") -> str:
        """Alice's browser: opens the page, answers it, and gives what comes; follows to loopback."""
        with urllib.request.urlopen(page, timeout=10) as got:
            text: str = got.read().decode()
        token = re.search(r'name="token" value="([^"]+)"', text)
        assert token is not None
        form = urlencode({"token": unescape(token[1]), "answer": answer}).encode()
        request = urllib.request.Request(
            self.url + "/api/cli/confirm", data=form, headers={"Sec-Fetch-Site": "same-origin"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as done:
                return f"{text}{done.read().decode()}"
        except urllib.error.HTTPError as end:
            with end:  # the last redirect leads to a page that is not served here
                return f"{text}{end.read().decode()}"


async def _serve(ready: list[Any], started: threading.Event, ended: asyncio.Event) -> None:
    store = MemoryStore(clock)
    shot = snapshot(config=Config())

    async def owners(issuer: str, subject: str, now: datetime) -> Identity | None:
        return ALICE

    async def verify(token: str, now: datetime) -> Proof:
        raise AssertionError

    async def revoked(proof: Proof, now: datetime) -> bool:
        return False

    access = AccessKeys(store, material=lambda: shot, owners=owners)
    keys = Keys(access, verify_bearer=verify, revoked=revoked, kept=lambda identity: identity)
    sts = Sts(
        access,
        keys,
        verify_bearer=verify,
        revoked=revoked,
        granted=lambda identity, ex: True,
        failures=Failures(),
        signing_keys=SigningKeys(),
    )
    login = CliLogin(access, store, PAGES, revoked=revoked, failures=Failures())
    routes = (*keys.routes(), *login.routes(), *Doctor().routes())
    async with serve(routes, snapshot=shot, clock=clock, root=sts.handle) as served:
        public = {"server": {"public_url": served.url}}
        served.snapshot.config = Config.model_validate(public)
        served.proof = Proof(
            identity=ALICE,
            method=Method.SESSION,
            session_id="sid",
            issued=clock(),
            expires=clock() + timedelta(hours=8),
        )
        ready.append(Running(served.url, served, access, asyncio.get_running_loop()))
        started.set()
        await ended.wait()


@contextmanager
def running() -> Iterator[Running]:
    """Serves until the block ends."""
    ready: list[Any] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(_serve(ready, started, ended)), daemon=True
    )
    thread.start()
    assert started.wait(20)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(20)
        loop.close()
