"""A gateway at which somebody may sign in, and what a person's own key does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from gateway.identity import Credentials, Secret
from tests.chaos.world import chaotic
from tests.hostile_provider import HostileProvider, Reply, put
from tests.server.whole_gateway import Whole

OIDC = """\
oidc:
  - {{name: corp, config_url: "{url}", client_id: gateway, client_secret: "${{file:client}}", kind: cognito}}
"""


def real_time() -> datetime:
    return datetime.now(UTC)


@dataclass
class Staffed:
    """The gateway, its provider, and a token of somebody who may write."""

    whole: Whole
    idp: HostileProvider
    http: aiohttp.ClientSession
    browser: aiohttp.ClientSession

    @property
    def token(self) -> str:
        return self.idp.token(self.idp.id_claims(None) | {"groups": ["write"]})

    async def sign_in(self) -> None:
        """The browser has a session from here on."""
        async with self.browser.get(f"{self.whole.url}/api/session/auth/?next=/ui/") as answer:
            assert answer.status == 200, await answer.text()

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The API, by the browser's session: status, and the answer as JSON where it is that."""
        headers = {"X-Gateway-CSRF": "1", "Origin": self.whole.url}
        url = self.whole.url + path
        async with self.browser.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else text

    async def s3(self, path: str, token: str = "") -> int:
        """Status of a GET with a bearer token."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        async with self.http.get(self.whole.url + path, headers=headers) as answer:
            return answer.status

    async def new_key(self) -> tuple[int, Credentials]:
        """Status, and a personal key where it was made."""
        status, told = await self.ask("POST", "/api/keys", {"name": "chaos", "lifetime": "1h"})
        made = told if status == 201 else {"id": "none", "secret": "none"}
        return status, Credentials(access_key_id=made["id"], secret=Secret(made["secret"]))

    async def ready(self) -> tuple[bool, str]:
        """Whether `/readyz` is content, and its word for the state store."""
        found = await self.whole.app.readiness()
        return found.ready, found.checks["state"]


@asynccontextmanager
async def staffed(
    folder: Path,
    *changes: tuple[str, str],
    clock: Callable[[], datetime] = real_time,
    running: bool = True,
) -> AsyncIterator[Staffed]:
    """With `running` false the provider is not there yet: `idp.start()` is the test's."""
    idp = HostileProvider(clock)
    idp.claims = put(groups=["write"])
    await idp.start()
    (folder / "client").touch(mode=0o600)
    (folder / "client").write_text(idp.client_secret, "utf-8")
    if not running:
        idp.replies = {"/pool/.well-known/openid-configuration": away()}
    try:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
            chaotic(folder, *changes, more=OIDC.format(url=idp.config_url)) as whole,
        ):
            yield Staffed(whole, idp, http, browser)
    finally:
        await idp.stop()


def away() -> Reply:
    """What a provider's load balancer says where nobody is behind it."""
    return Reply(status=503)
