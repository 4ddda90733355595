"""
Signing in, refreshing and signing out with npm's certified `oidc-provider`.

It demands PKCE, promises and sends `iss`, rotates refresh tokens, and answers a used one by ending
the whole grant: a second redemption by any process would log its person out.
"""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest

from gateway.config import model
from gateway.identity import Secret
from gateway.oidc.client import Providers
from gateway.oidc.providers import provider
from gateway.state import MemoryStore
from tests.login_world import Browser, Gateway, make_gateway, serving
from tests.oidc_provider import install
from tests.oidc_provider.running import running

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(install.missing()), reason=install.missing() or "installed"),
]

SECRET = "0123456789abcdef0123456789abcdef"


class Clock:
    """The real time, which a test may move ahead: the provider's own goes on."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class World:
    """The provider's process, two processes of the gateway on one store, and browsers."""

    issuer: str
    gateway: Gateway
    second: Gateway
    http: aiohttp.ClientSession
    clock: Clock

    def section(self) -> model.Provider:
        return model.Provider.model_validate(
            {
                "name": "corp",
                "issuer": self.issuer,
                "client_id": "gateway",
                "client_secret": Secret(SECRET),
                "kind": "keycloak",  # whose logout wants the ID token back, as this one's does
                "scope": "openid offline_access email profile cognito",
                "claims": {"groups": "cognito:groups", "username": "cognito:username"},
                "backchannel_logout": True,
            }
        )

    async def login(self, browser: Browser, account: str = "jane") -> aiohttp.ClientResponse:
        """Through the provider's own forms: sign in, consent, back to the gateway."""
        self.jar: dict[str, str] = {}
        url, data = await browser.start("?next=/ui/b/home/"), None
        for _ in range(12):
            if url.startswith(browser.url):
                return await browser.get(url)
            url, data = await self._step(url, data, account)
        raise AssertionError("no end of redirects")

    async def _step(
        self, url: str, data: dict[str, str] | None, account: str
    ) -> tuple[str, dict[str, str] | None]:
        async with self.http.request(
            "POST" if data else "GET",
            url,
            data=data,
            headers={"Cookie": self._cookies()},
            allow_redirects=False,
        ) as answer:
            self._keep(answer)
            if "Location" in answer.headers:
                return urljoin(url, answer.headers["Location"]), None
            page = await answer.text()
        action = html.unescape(re.findall(r'action="([^"]+)"', page)[0])
        prompt = re.findall(r'name="prompt" value="([^"]+)"', page)[0]
        form = {"prompt": prompt}
        if prompt == "login":
            form |= {"login": account, "password": "x"}
        return urljoin(url, action), form

    async def redeem(self, refresh_token: Secret) -> int:
        """The status of a refresh that somebody else tries."""
        async with self.http.post(
            f"{self.issuer}/token",
            data={"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()},
            headers={"Authorization": aiohttp.encode_basic_auth("gateway", SECRET)},
        ) as answer:
            return answer.status

    async def sign_out_there(self, url: str) -> str:
        """The provider's own sign-out page and its form; where that leads."""
        async with self.http.get(url, headers={"Cookie": self._cookies()}) as page:
            text = await page.text()
            self._keep(page)
        action = html.unescape(re.findall(r'action="([^"]+)"', text)[0])
        xsrf = re.findall(r'name="xsrf" value="([^"]+)"', text)[0]
        async with self.http.post(
            action,
            data={"xsrf": xsrf, "logout": "yes"},
            headers={"Cookie": self._cookies()},
            allow_redirects=False,
        ) as done:
            return done.headers["Location"]

    def _cookies(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())

    def _keep(self, answer: aiohttp.ClientResponse) -> None:
        for line in answer.headers.getall("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.jar[name] = value

    async def groups(self, account: str, groups: str) -> None:
        url = f"{self.issuer}/test/groups?account={account}&groups={groups}"
        async with self.http.post(url) as answer:
            assert answer.status == 204


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.clock = Clock()
    store = MemoryStore(made.clock)
    clients: list[Providers] = []

    def process(url: str) -> Gateway:
        return make_gateway(url, made.clock, store, client())  # type: ignore[arg-type] # a clock is a clock

    def client() -> Providers:
        clients.append(Providers([], clock=made.clock))
        return clients[-1]

    async with (
        serving(process) as gateway,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        running(gateway.url) as issuer,
    ):
        made.gateway, made.http, made.issuer = gateway, http, issuer
        made.second = process(gateway.url)
        for known in clients:
            known.replace([provider(made.section())])
        try:
            yield made
        finally:
            for known in clients:
                await known.close()


def value(answer: Any) -> str:
    cookie: str = answer.set_cookie
    return cookie.partition(";")[0].partition("=")[2]


async def test_oid_2_a_login_with_a_certified_provider(world):
    """PKCE demanded, `iss` promised and sent, Basic authentication."""
    browser = Browser(world.http, world.gateway.url)
    answer = await world.login(browser)

    assert answer.status == 302, await answer.text()
    assert answer.headers["Location"] == "/ui/b/home/"
    who = await (await browser.who()).json()
    assert (who["subject"], who["username"], who["groups"]) == ("jane", "jane", ["staff"])
    assert who["email"] == "jane@example.com"


async def test_ses_8_two_processes_refresh_once_under_rotation_without_grace(world):
    """A hundred requests at once, twice; nobody is logged out, and groups follow."""
    browser = Browser(world.http, world.gateway.url)
    await world.login(browser)
    cookie = browser.cookies["session"]
    opened: list[Any] = []
    for groups in (["eu"], []):  # the provider's own clock stands: its tokens last a minute
        await world.groups("jane", ",".join(groups))
        world.clock.ahead += timedelta(seconds=40)
        now = world.clock()
        opened = await asyncio.gather(
            *(
                g.sessions.open(cookie, now)
                for _ in range(50)
                for g in (world.gateway, world.second)
            )
        )
        assert all(one is not None for one in opened)
        assert {one.proof.identity.groups for one in opened} == {tuple(groups)}
        cookie = value(opened[0])
    record = await world.second.sessions.record(opened[0].proof, world.clock())
    assert record is not None and record.gen == 3


async def test_a_used_refresh_token_ends_the_grant_and_with_it_the_session(world):
    """What somebody who copied it would cause: the provider says no, and so do we."""
    browser = Browser(world.http, world.gateway.url)
    await world.login(browser)
    opened = await world.gateway.sessions.open(browser.cookies["session"], world.clock())
    record = await world.gateway.sessions.record(opened.proof, world.clock())
    assert [await world.redeem(record.refresh_token) for _ in range(2)] == [200, 400]
    world.clock.ahead += timedelta(seconds=40)

    assert (await browser.who()).status == 401
    assert await world.second.sessions.open(browser.cookies["session"], world.clock()) is None


async def test_ses_9_signing_out_revokes_and_leads_through_the_provider(world):
    """The refresh token is good for nothing; the provider's form comes back to our page."""
    browser = Browser(world.http, world.gateway.url)
    await world.login(browser)
    opened = await world.gateway.sessions.open(browser.cookies["session"], world.clock())
    record = await world.gateway.sessions.record(opened.proof, world.clock())
    location = (await (await browser.sign_out()).json())["redirect"]
    assert await world.redeem(record.refresh_token) == 400
    assert "id_token_hint=" in location
    assert await world.sign_out_there(location) == f"{world.gateway.url}/ui/signed-out"
    page_text = await (await browser.get("/ui/signed-out")).text()
    assert "You are signed out" in page_text


async def test_oid_15_signing_out_at_the_provider_ends_our_session(world):
    """Its own back-channel logout token, signed and typed as it does."""
    browser = Browser(world.http, world.gateway.url)
    await world.login(browser)
    assert (await browser.who()).status == 200
    await world.sign_out_there(f"{world.issuer}/session/end")
    async with asyncio.timeout(10):
        while (await browser.who()).status == 200:
            await asyncio.sleep(0.1)
