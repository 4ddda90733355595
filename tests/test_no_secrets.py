"""No secret that exists while the gateway works is in a log, an audit line, a metric or the state."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import aiohttp
import pytest
from yarl import URL

from gateway.demo.world import World, open_world
from gateway.identity import Credentials, Secret
from gateway.message import RequestHead
from gateway.observe import logs
from tests.sigv4.clients import Client

PASSWORD = "lovelace"
WRONG = "a-password-that-is-wrong"


@dataclass
class Visitor:
    """Does what people and programs do, and remembers every secret that it sent or was given."""

    world: World
    http: aiohttp.ClientSession
    secrets: dict[str, str] = field(default_factory=dict)

    def keep(self, name: str, value: str) -> str:
        assert len(value) >= 8, name
        self.secrets[f"{name} {len(self.secrets)}"] = value
        return value

    async def get(self, url: str, **more: Any) -> aiohttp.ClientResponse:
        answer = await self.http.get(URL(url, encoded=True), allow_redirects=False, **more)
        await answer.read()
        self._cookies(answer)
        return answer

    async def post(self, url: str, **more: Any) -> aiohttp.ClientResponse:
        answer = await self.http.post(URL(url, encoded=True), allow_redirects=False, **more)
        await answer.read()
        self._cookies(answer)
        return answer

    def _cookies(self, answer: aiohttp.ClientResponse) -> None:
        for name, morsel in answer.cookies.items():
            if len(morsel.value) >= 8:
                self.keep(f"cookie {name}", morsel.value)

    async def sign_in(self) -> None:
        """A wrong password first, then the whole round."""
        url = f"{self.world.url}/api/session/auth/?next=/ui/"
        for _ in range(8):
            answer = await self.get(url)
            if answer.status == 200:
                text = await answer.text()
                if 'name="password"' not in text:
                    return
                action = re.search(r'<form method="post" action="([^"]+)"', text)
                assert action is not None
                place = urljoin(url, unescape(action[1]))
                await self.post(place, data={"username": "ada", "password": WRONG})
                answer = await self.post(place, data={"username": "ada", "password": PASSWORD})
            url = urljoin(url, answer.headers["Location"])
            query = parse_qs(urlsplit(url).query)
            for name in ("code", "state", "nonce"):
                for value in query.get(name, ()):
                    self.keep(name, value)
            if urlsplit(url).path == "/ui/":
                return
        raise AssertionError("never signed in")

    async def api(self, path: str, body: Any) -> Any:
        headers = {"X-Gateway-CSRF": "1", "Origin": self.world.url}
        answer = await self.post(f"{self.world.url}{path}", json=body, headers=headers)
        assert answer.status in (200, 201), await answer.text()
        return await answer.json()

    def client(self, key_id: str, secret: str, token: str | None = None) -> Client:
        return Client(
            credentials=Credentials(
                access_key_id=key_id,
                secret=Secret(secret),
                session_token=Secret(token) if token else None,
            ),
            host=urlsplit(self.world.url).netloc,
            now=datetime.now(UTC),
        )

    async def send(self, head: RequestHead, body: bytes = b"") -> int:
        """A signed request, outside of the browser's cookies."""
        for name, value in head.headers:
            if name == "authorization":
                self.keep("signature", value.rpartition("Signature=")[2])
        if "X-Amz-Signature=" in head.target:
            self.keep("link", head.target.partition("X-Amz-Signature=")[2].partition("&")[0])
        headers = [(n, v) for n, v in head.headers if n != "host"]
        async with (
            aiohttp.ClientSession() as bare,
            bare.request(
                head.method,
                URL(self.world.url + head.target, encoded=True),
                headers=headers,
                data=body,
            ) as answer,
        ):
            await answer.read()
            return answer.status


async def live(visitor: Visitor) -> None:
    """Sign-in, keys, STS, links; each also as it fails."""
    world = visitor.world
    await visitor.sign_in()
    assert (await visitor.get(f"{world.url}/api/session")).status == 200
    personal = await visitor.api("/api/keys", {"name": "laptop", "lifetime": "30d"})
    visitor.keep("personal secret", personal["secret"])
    given = await visitor.api("/api/keys/temporary", {})
    visitor.keep("temporary secret", given["SecretAccessKey"])
    visitor.keep("temporary token", given["SessionToken"])

    token = visitor.keep("id token", world.idp.id_token("ada"))
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::000000000000:role/any",
        "RoleSessionName": "laptop",
        "WebIdentityToken": token,
    }
    async with aiohttp.ClientSession() as bare:
        async with bare.post(world.url + "/", data=form) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            for name in ("SecretAccessKey", "SessionToken"):
                visitor.keep(name, text.partition(f"<{name}>")[2].partition("<")[0])
        spoilt = visitor.keep("spoilt token", token[:-6] + "AAAAAA")
        form["WebIdentityToken"] = spoilt
        async with bare.post(world.url + "/", data=form) as answer:
            assert answer.status >= 400
        basic = visitor.keep("basic", base64.b64encode(b"GWPNOBODY:not-the-secret").decode())
        for value in (f"Bearer {token}", f"Bearer {spoilt}", f"Basic {basic}"):
            async with bare.get(f"{world.url}/home", headers={"Authorization": value}) as answer:
                await answer.read()

    ours = visitor.client(personal["id"], personal["secret"])
    guest = visitor.client(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    forger = visitor.client(personal["id"], visitor.keep("forged", "forged-secret-0123456789"))
    data = b"contents"
    digest = hashlib.sha256(data).hexdigest()
    assert await visitor.send(ours.head("PUT", "/home/k", payload=digest), data) == 200
    assert await visitor.send(guest.head("GET", "/home/k")) == 200
    assert await visitor.send(guest.link("GET", "/home/k")) == 200
    assert await visitor.send(forger.head("GET", "/home/k")) == 403
    assert await visitor.send(forger.link("GET", "/home/k")) == 403
    link = guest.link("GET", "/home/k")
    assert await visitor.send(RequestHead(method="PUT", target=link.target), b"x") == 403
    await fail(visitor, guest)
    for name in ("client-secret", "session-key", "upstream-secret", "backup-secret"):
        path = world.folder / "secrets" / name
        visitor.keep(name, await asyncio.to_thread(path.read_text))


async def fail(visitor: Visitor, guest: Client) -> None:
    """A fault of our own, with a request full of secrets at hand: its traceback is logged."""

    async def broken(*_: object) -> Any:
        raise RuntimeError("a fault")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visitor.world.app.pool, "send", broken)
        assert await visitor.send(guest.link("GET", "/home/k")) == 500


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> None:
    """The demo's world may wait: it starts and ends an S3 server in this process."""


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Puts back what the gateway's own set-up of logging replaced."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.parametrize("form", ["json", "text"])
async def test_log_1_no_secret_is_ever_written(
    tmp_path: Path, root_logger: None, form: Literal["json", "text"]
) -> None:
    """At the finest level, through every way of signing in and every failure."""
    stream = io.StringIO()
    async with open_world(folder=tmp_path) as world:
        logs.configure("debug", form, stream)
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as http:
            visitor = Visitor(world, http)
            await live(visitor)
            admin = world.app.serving.admin_addresses[0]
            async with http.get(f"http://{admin}/metrics") as answer:
                metrics = await answer.text()
    written = {
        "log": stream.getvalue(),
        "audit": (tmp_path / "audit.log").read_text(),
        "metrics": metrics,
        "state": (tmp_path / "state.db").read_bytes().decode("latin-1"),
    }
    assert "a fault" in written["log"], "the log was not captured"
    assert len(written["audit"].splitlines()) > 15, "the audit log was not captured"
    for line in written["audit"].splitlines():
        json.loads(line)
    assert len(visitor.secrets) > 25
    found = [
        (name, where)
        for name, value in visitor.secrets.items()
        for where, text in written.items()
        if value.strip() in text or unquote(value.strip()) in text
    ]
    assert found == []
