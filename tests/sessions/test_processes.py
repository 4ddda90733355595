"""
Two processes of the gateway and a real Redis: what one of them does, the other knows.

Whole processes, as they run behind a load balancer: nothing is shared but the configuration, its
secrets and the store.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from botocore.exceptions import ClientError

from gateway.sessions.session import DUE_MIN
from tests.hostile_provider import HostileProvider, Reply
from tests.processes import NAVIGATION, Serving, free_port, serving
from tests.state.test_redis import SERVER, running

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        SERVER is None, reason="neither redis-server nor valkey-server is installed"
    ),
    pytest.mark.timeout(90),
]

SEEN_WITHIN = 5.0  # seconds: what login.md promises of a revocation
STALE = 8.0  # seconds that this configuration lets the store be away
CONFIG = """
server: {{listen: "127.0.0.1:{port}", public_url: "{url}", hosts: ["*"]}}
admin: {{listen: "127.0.0.1:{admin}"}}
oidc: [{{name: corp, config_url: "{config_url}", client_id: gateway, client_secret: "${{file:client}}", kind: cognito}}]
session: {{keys: ["${{file:key}}"]}}
state: {{type: redis, url: "redis://127.0.0.1:{redis}", stale: {stale}s}}
upstreams: {{minio: {{endpoint: "http://127.0.0.1:9"}}}}
credentials: {{none: {{type: anonymous}}}}
policies: [policy.yaml]
log: {{level: error}}
audit: {{path: "audit-{port}.log"}}
"""
POLICY = """
rules:
- name: everybody
  match: {issuer: corp}
  grants: [{bucket: data, upstream: minio, target: data, credentials: none, allow: [list, read]}]
"""


class Redis:
    """A server that can be taken away and given back; it forgets everything meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._stack = ExitStack()

    def start(self) -> None:
        self._stack.enter_context(running(self._folder, self.port, "--port", str(self.port)))

    def stop(self) -> None:
        """Safe to call twice."""
        self._stack.close()


class World:
    """The provider, Redis, two gateways, and somebody who signs in."""

    idp: HostileProvider
    redis: Redis
    one: Serving
    two: Serving
    http: aiohttp.ClientSession

    async def begin(self) -> tuple[str, dict[str, str]]:
        """The address that the provider sends back to, and the headers of the browser."""
        start = f"{self.one.url}/api/session/auth/"
        async with self.http.get(start, headers=NAVIGATION, allow_redirects=False) as begun:
            assert begun.status == 302, await begun.text()
        there = begun.headers["Location"]
        async with self.http.get(there, allow_redirects=False) as provider:
            return provider.headers["Location"], {**NAVIGATION, "Cookie": _cookies(begun)}

    async def sign_in(self) -> dict[str, str]:
        """At the first process; the session's cookie as a header."""
        back, headers = await self.begin()
        async with self.http.get(back, headers=headers, allow_redirects=False) as done:
            assert done.status == 302, await done.text()
            session = [c for c in _cookies(done).split("; ") if c.startswith("session=")]
            return {"Cookie": session[0]}

    async def status(self, gateway: Serving, headers: dict[str, str]) -> int:
        """Of a question that the session's cookie is enough for."""
        async with self.http.get(f"{gateway.url}/api/session", headers=headers) as got:
            await got.read()
            return got.status

    async def change(
        self, method: str, path: str, headers: dict[str, str], **more: Any
    ) -> tuple[int, Any]:
        """As the page does it, at the first process."""
        headers = {**headers, "Origin": self.one.url, "X-Gateway-CSRF": "1"}
        url = f"{self.one.url}{path}"
        async with self.http.request(method, url, headers=headers, **more) as done:
            return done.status, await done.json(content_type=None)


def _cookies(answer: aiohttp.ClientResponse) -> str:
    return "; ".join(line.partition(";")[0] for line in answer.headers.getall("Set-Cookie", []))


async def seconds_until(wanted: object, ask: Callable[[], Awaitable[object]]) -> float:
    """How long it takes until the answer is this."""
    began = time.monotonic()
    while await ask() != wanted:
        assert time.monotonic() - began < 3 * SEEN_WITHIN, f"never {wanted}"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def known_by(gateway: Serving, key: dict[str, str]) -> bool:
    """Whether a signature made with these keys is believed."""
    sts = boto3.client(
        "sts",
        endpoint_url=gateway.url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key.get("SessionToken"),
    )
    try:
        sts.get_caller_identity()
    except ClientError as refused:
        code = refused.response["Error"]["Code"]
        assert code in ("ExpiredToken", "InvalidClientTokenId"), code
        return False
    return True


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World()
    made.idp = HostileProvider(lambda: datetime.now(UTC))
    made.idp.client_secret = "hostile-but-known-2718281828"
    made.redis = Redis(tmp_path / "redis")
    await made.idp.start()
    places = [(free_port(), free_port()) for _ in range(2)]
    _write(tmp_path, made, places)
    made.redis.start()
    try:
        async with AsyncExitStack() as stack:
            made.one, made.two = await asyncio.gather(
                *(
                    stack.enter_async_context(
                        serving(
                            tmp_path / f"{port}.yaml",
                            url=f"http://127.0.0.1:{port}",
                            admin=f"http://127.0.0.1:{admin}",
                        )
                    )
                    for port, admin in places
                )
            )
            connector = aiohttp.TCPConnector(limit=0)
            made.http = await stack.enter_async_context(
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=connector)
            )
            yield made
    finally:
        made.redis.stop()
        await made.idp.stop()


def _write(folder: Path, world: World, places: list[tuple[int, int]]) -> None:
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "client").write_text(world.idp.client_secret)
    (folder / "key").write_text("Fz0rTqY8uJm3XwLc5vBn7aSd9eGh2KpR")
    for port, admin in places:
        text = CONFIG.format(
            port=port,
            admin=admin,
            url=f"http://127.0.0.1:{places[0][0]}",
            config_url=world.idp.config_url,
            redis=world.redis.port,
            stale=int(STALE),
        )
        (folder / f"{port}.yaml").write_text(text)


async def test_ses_9_who_signs_out_at_one_process_is_refused_by_the_other(world: World):
    """Within five seconds, the cookie and the keys made with it; at once where it was done."""
    cookie = await world.sign_in()
    status, key = await world.change("POST", "/api/keys/temporary", cookie, json={})
    assert status == 200, key
    assert [await world.status(at, cookie) for at in (world.one, world.two)] == [200, 200]
    assert await asyncio.to_thread(known_by, world.two, key)

    status, _ = await world.change("DELETE", "/api/session", cookie)

    assert status == 200
    assert await world.status(world.one, cookie) == 401
    took = [
        await seconds_until(401, lambda: world.status(world.two, cookie)),
        await seconds_until(False, lambda: asyncio.to_thread(known_by, world.two, key)),
    ]
    assert sum(took) < SEEN_WITHIN


async def test_ses_8_two_hundred_requests_of_one_stale_session_cause_one_refresh(world: World):
    """Against rotation without grace: a second redemption would log the person out."""
    world.idp.rotation = True
    world.idp.life = timedelta(seconds=8)  # whose claims count for DUE_MIN
    cookie = await world.sign_in()
    await asyncio.sleep(DUE_MIN + 0.1)
    world.idp.life = timedelta(hours=1)
    world.idp.delays["/token"] = 0.5
    before = world.idp.count("/token")

    statuses = await asyncio.gather(
        *(world.status(at, cookie) for _ in range(100) for at in (world.one, world.two))
    )

    assert set(statuses) == {200}
    assert world.idp.count("/token") - before == 1


async def test_key_4_whom_the_provider_knows_no_more_is_out_everywhere(world: World):
    """The session that is refused a renewal ends, and the person's keys with it, on both."""
    world.idp.life = timedelta(seconds=8)  # whose claims count for DUE_MIN
    cookie = await world.sign_in()
    wanted = {"name": "laptop", "lifetime": 86400}
    status, made = await world.change("POST", "/api/keys", cookie, json=wanted)
    assert status == 201, made
    key = {"AccessKeyId": made["id"], "SecretAccessKey": made["secret"]}
    assert all([await asyncio.to_thread(known_by, at, key) for at in (world.one, world.two)])
    world.idp.replies["/token"] = Reply(400, b'{"error": "invalid_grant"}')
    await asyncio.sleep(DUE_MIN + 0.1)

    assert await world.status(world.one, cookie) == 401

    took = [
        await seconds_until(401, lambda: world.status(world.two, cookie)),
        await seconds_until(False, lambda: asyncio.to_thread(known_by, world.one, key)),
        await seconds_until(False, lambda: asyncio.to_thread(known_by, world.two, key)),
    ]
    assert sum(took) < SEEN_WITHIN


async def test_ses_16_without_the_store_people_go_on_for_a_while_and_then_nobody(world: World):
    """`state.stale`: readiness and metrics tell; what writes is refused at once; all comes back."""
    cookie = await world.sign_in()
    assert await world.status(world.one, cookie) == 200
    back, browser = await world.begin()
    world.redis.stop()
    began = time.monotonic()

    refused = [
        (
            await world.change(
                "POST", "/api/keys", cookie, json={"name": "laptop", "lifetime": 86400}
            )
        )[0],
        (await world.change("DELETE", "/api/session", cookie))[0],
    ]
    async with world.http.get(back, headers=browser, allow_redirects=False) as callback:
        refused.append(callback.status)
    still = await world.status(world.one, cookie)
    ready, told = await world.one.asked(world.http, "/readyz")
    assert time.monotonic() - began < STALE, "too slow to tell"
    assert (refused, still) == ([503, 503, 503], 200)
    assert (ready, json.loads(told)["state"]) == (200, "away")
    _, metrics = await world.one.asked(world.http, "/metrics")
    assert float(metrics.split("\ngateway_state_errors_total ")[1].split()[0]) > 0

    took = await seconds_until(503, lambda: world.status(world.one, cookie))
    assert took < STALE + 2
    await seconds_until(503, lambda: _ready(world))

    world.redis.start()
    assert await seconds_until(200, lambda: world.status(world.one, cookie)) < SEEN_WITHIN
    assert await seconds_until(200, lambda: _ready(world)) < SEEN_WITHIN


async def _ready(world: World) -> int:
    return (await world.one.asked(world.http, "/readyz"))[0]
