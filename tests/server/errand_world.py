"""The demo's whole gateway, and callers who have signed in at it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from gateway.demo.world import World, open_world


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """Somebody who asks the gateway, with a bearer token or as nobody."""

    world: World
    session: aiohttp.ClientSession
    token: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, **options: Any) -> Reply:
        headers = {**self.extra, **options.pop("headers", {})}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if isinstance(options.get("data"), bytes):
            options["data"] = io.BytesIO(options["data"])
        url = path if path.startswith("http") else self.world.url + path
        async with self.session.request(
            method, url, headers=headers, allow_redirects=False, **options
        ) as answer:
            return Reply(answer.status, dict(answer.headers), await answer.read())

    async def put(self, bucket: str, key: str, data: bytes, **headers: str) -> None:
        answer = await self.ask("PUT", f"/{bucket}/{quote(key)}", data=data, headers=headers)
        assert answer.status == 200, answer.body

    async def get(self, bucket: str, key: str) -> bytes | None:
        answer = await self.ask("GET", f"/{bucket}/{quote(key)}")
        return answer.body if answer.status == 200 else None

    async def keys(self, bucket: str, prefix: str = "") -> list[str]:
        answer = await self.ask(
            "GET",
            f"/{bucket}?list-type=2&prefix={quote(prefix)}",
            headers={"Accept": "application/json"},
        )
        return [one["Key"] for one in answer.json["Contents"]]

    async def start(self, **order: Any) -> str:
        """A job begins; its id."""
        started = await self.ask("POST", "/api/jobs", json=order)
        assert started.status == 202, started.body
        return str(started.json["id"])

    async def job(self, **order: Any) -> dict[str, Any]:
        """A job to its end, as the page follows it."""
        return await self.follow(await self.start(**order))

    async def follow(self, job_id: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                answer = await self.ask("GET", f"/api/jobs/{job_id}?wait=5")
                assert answer.status == 200, answer.body
                if answer.json["state"] not in ("counting", "running"):
                    return dict(answer.json)


async def signed_in(nobody: Caller, username: str) -> Caller:
    """A browser with somebody's session, as the page uses it."""
    world = nobody.world
    user = next(one for one in world.users if one.username == username)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        url = URL(f"{world.url}/api/session/auth/?next=/ui/")
        async with browser.get(url) as answer:
            text, where = await answer.text(), answer.url
        action = re.search(r'<form method="post" action="([^"]+)"', text)
        assert action is not None, text
        form = {"username": username, "password": user.password}
        async with browser.post(where.join(URL(unescape(action[1]), encoded=True)), data=form):
            pass
        kept = browser.cookie_jar.filter_cookies(URL(world.url))["session"].value
    headers = {"Cookie": f"session={kept}", "X-Gateway-CSRF": "1", "Origin": world.url}
    return Caller(world, nobody.session, extra=headers)


@asynccontextmanager
async def _logging_as_before() -> AsyncIterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)


@asynccontextmanager
async def errand_world() -> AsyncIterator[tuple[World, dict[str, Caller]]]:
    """The world, and ada, bob, cleo and nobody."""
    async with (
        _logging_as_before(),
        open_world() as world,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        callers = {"nobody": Caller(world, session)}
        for user in world.users:
            async with session.get(world.idp.token_url(user)) as answer:
                text = (await answer.text()).strip()
            token = json.loads(text)["id_token"] if text.startswith("{") else text
            callers[user.username] = Caller(world, session, token)
        yield world, callers
        async with session.post(
            f"{world.s3_url}/moto-api/reset"
        ) as answer:  # it outlives its server
            assert answer.status == 200
