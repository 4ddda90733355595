"""/api/keys, /api/keys/temporary and /api/credentials."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.config.model import Config, Keys
from gateway.errors import PROVIDER_AWAY, TOKEN_SIGNATURE, ProviderError, TokenError
from gateway.identity import Identity, Method, Proof, Secret
from gateway.server import keys as routes
from gateway.server.accesskeys import AccessKeys
from gateway.server.keys import parse_lifetime
from gateway.state import MemoryStore
from tests.contracts.state_store import Clock
from tests.server.serving import Served, serve, snapshot

ALICE = Identity(
    issuer="corp", subject="alice", claims={"sub": "alice", "groups": ["staff"], "unused": "x"}
)
TOKEN = "good.token.value"


def shown(method: Method = Method.SESSION, **changes: Any) -> Proof:
    return Proof(identity=ALICE, method=method, **changes)


@dataclass
class World:
    served: Served
    access: AccessKeys
    clock: Clock
    revoked: bool = False

    async def call(self, method: str, path: str, **arguments: Any) -> tuple[int, Any, Any]:
        """Status, JSON and headers."""
        async with self.served.client.request(
            method, self.served.url + path, **arguments
        ) as answer:
            body = await answer.json(content_type=None) if answer.status != 204 else None
            return answer.status, body, answer.headers

    async def create(self, **members: Any) -> Any:
        body = {"name": "laptop", "lifetime": "30d"} | members
        status, made, _ = await self.call("POST", "/api/keys", json=body)
        assert status == 201
        return made


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = Clock()
    store = MemoryStore(clock)
    config = Config(keys=Keys(max_lifetime=timedelta(days=90)))
    shot = snapshot(config=config)

    async def owners(issuer: str, subject: str, now: datetime) -> Identity | None:
        return ALICE

    async def verify(token: str, now: datetime) -> Proof:
        if token == "away":
            raise ProviderError(PROVIDER_AWAY)
        if token != TOKEN:
            raise TokenError(TOKEN_SIGNATURE)
        return Proof(
            identity=ALICE,
            method=Method.BEARER,
            token=Secret(token),
            expires=now + timedelta(minutes=20),
            issued=now,
        )

    async def revoked(proof: Proof, now: datetime) -> bool:
        return made.revoked

    def kept(identity: Identity) -> Identity:
        claims = {name: value for name, value in identity.claims.items() if name != "unused"}
        return Identity(issuer=identity.issuer, subject=identity.subject, claims=claims)

    access = AccessKeys(store, material=lambda: shot, owners=owners)
    keys = routes.Keys(access, verify_bearer=verify, revoked=revoked, kept=kept)
    async with serve(keys.routes(), snapshot=shot, clock=clock) as served:
        served.proof = shown(session_id="sid", expires=clock() + timedelta(hours=8))
        made = World(served, access, clock)
        yield made


async def test_key_5_a_secret_stands_in_one_answer(world: World) -> None:
    """The list that follows shows the key and not the secret; no cache keeps either."""
    status, made, headers = await world.call(
        "POST",
        "/api/keys",
        json={
            "name": " laptop ",
            "lifetime": 86400,
            "buckets": ["team", "team"],
            "read_only": True,
        },
    )
    _, listed, list_headers = await world.call("GET", "/api/keys")
    found = await world.access.find(made["id"], None, world.clock())

    assert status == 201
    assert found is not None
    assert made["secret"] == found.secret.reveal()
    assert headers["Cache-Control"] == list_headers["Cache-Control"] == "no-store"
    assert listed == {
        "keys": [
            {
                "id": made["id"],
                "name": "laptop",
                "kind": "personal",
                "buckets": ["team"],
                "read_only": True,
                "created_at": "2026-03-01T12:00:00Z",
                "expires_at": "2026-03-02T12:00:00Z",
                "last_used": None,
            }
        ],
        "personal": True,
        "max_lifetime": 90 * 86400,
    }
    assert made["secret"] not in str(listed)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"lifetime": 3600},
        {"name": "", "lifetime": 3600},
        {"name": "  ", "lifetime": 3600},
        {"name": "a\nb", "lifetime": 3600},
        {"name": "a\u202eb", "lifetime": 3600},
        {"name": "x" * 65, "lifetime": 3600},
        {"name": "x", "lifetime": 0},
        {"name": "x", "lifetime": 59},
        {"name": "x", "lifetime": -5},
        {"name": "x", "lifetime": "91d"},
        {"name": "x", "lifetime": "forever"},
        {"name": "x", "lifetime": "1d1d"},
        {"name": "x", "lifetime": True},
        {"name": "x", "lifetime": 3600.5},
        {"name": "x", "lifetime": None},
        {"name": "x", "lifetime": 3600, "buckets": "team"},
        {"name": "x", "lifetime": 3600, "buckets": ["team/*"]},
        {"name": "x", "lifetime": 3600, "buckets": ["*"]},
        {"name": "x", "lifetime": 3600, "buckets": ["b" * 64]},
        {"name": "x", "lifetime": 3600, "buckets": ["bucket"] * 101},
        {"name": "x", "lifetime": 3600, "read_only": "yes"},
        {"name": "x", "lifetime": 3600, "prefixes": ["a/"]},
        [],
        "x",
        None,
    ],
)
async def test_key_3_a_body_is_what_it_should_be_or_refused(world: World, body: Any) -> None:
    """An unknown member is refused, not ignored: it may have been a restriction."""
    status, problem, headers = await world.call("POST", "/api/keys", json=body)

    assert status == 400
    assert headers["Content-Type"].startswith("application/problem+json")
    assert problem["status"] == 400
    assert (await world.call("GET", "/api/keys"))[1]["keys"] == []


async def test_web_1_a_form_is_not_json(world: World) -> None:
    """What a form of another site could send does nothing, and neither does what is too long."""
    form = {"data": '{"name":"x","lifetime":3600}', "headers": {"Content-Type": "text/plain"}}
    long = {"data": b" " * 70_000, "headers": {"Content-Type": "application/json"}}

    assert (await world.call("POST", "/api/keys", **form))[0] == 415
    assert (await world.call("POST", "/api/keys", **long))[0] == 413


async def test_keys_can_be_switched_off(world: World) -> None:
    """The page learns it from the list."""
    world.served.snapshot.config = Config(keys=Keys(personal=False))
    status, problem, _ = await world.call("POST", "/api/keys", json={"name": "x", "lifetime": 60})

    assert (status, problem["code"]) == (403, "keys-off")
    assert (await world.call("GET", "/api/keys"))[1]["personal"] is False


async def test_key_4_a_key_is_revoked(world: World) -> None:
    """Once; and of what is not one's own nothing is said."""
    made = await world.create()
    gone = await world.call("DELETE", f"/api/keys/{made['id']}")
    again = await world.call("DELETE", f"/api/keys/{made['id']}")

    assert gone[0] == 204
    assert (again[0], again[1]["code"]) == (404, "no-such-key")
    assert await world.access.find(made["id"], None, world.clock()) is None


@pytest.mark.parametrize(
    ("proof", "allowed"),
    [
        (shown(), {"list", "create", "delete"}),
        (shown(Method.BEARER), {"list", "delete"}),
        (shown(Method.BASIC, key_id="GWPOTHER"), set()),
        (shown(Method.SIGNATURE, key_id="GWTX", temporary=True), set()),
        (shown(Method.SHARE), set()),
        (Proof(identity=Identity(issuer="service", subject="s"), method=Method.BASIC), set()),
        (None, set()),
    ],
)
async def test_key_3_who_manages_keys(world: World, proof: Proof | None, allowed) -> None:
    """Nobody but people who are signed in: a key makes no key, and manages no other."""
    made = await world.create()
    world.served.proof = proof
    statuses = {
        "list": (await world.call("GET", "/api/keys"))[0],
        "create": (await world.call("POST", "/api/keys", json={"name": "x", "lifetime": 60}))[0],
        "delete": (await world.call("DELETE", f"/api/keys/{made['id']}"))[0],
    }

    expected = 401 if proof is None else 403
    assert {name for name, status in statuses.items() if status < 300} == allowed
    assert {s for name, s in statuses.items() if name not in allowed} <= {expected}


async def test_a_key_may_give_itself_up(world: World) -> None:
    """`gateway logout` does."""
    made = await world.create()
    world.served.proof = shown(Method.BASIC, key_id=made["id"])

    assert (await world.call("DELETE", f"/api/keys/{made['id']}"))[0] == 204


async def test_temporary_credentials_for_whoever_is_signed_in(world: World) -> None:
    """An hour, or what is asked for within the bounds; never beyond the session."""
    hour = (await world.call("POST", "/api/keys/temporary"))[1]
    asked = (await world.call("POST", "/api/keys/temporary", json={"lifetime": "2h"}))[1]
    most = (await world.call("POST", "/api/keys/temporary", json={"lifetime": "12h"}))[1]
    least = (await world.call("POST", "/api/keys/temporary", json={"lifetime": 1}))[1]
    found = await world.access.find(
        hour["AccessKeyId"], Secret(hour["SessionToken"]), world.clock()
    )

    assert found is not None
    assert found.secret.reveal() == hour["SecretAccessKey"]
    assert found.proof.session_id == "sid"
    assert dict(found.proof.identity.claims) == {"sub": "alice", "groups": ["staff"]}
    assert [one["Expiration"][11:16] for one in (hour, asked, most, least)] == [
        "13:00",
        "14:00",
        "20:00",
        "12:15",
    ]


async def test_key_3_a_share_gives_no_credentials(world: World) -> None:
    """Nor does nobody."""
    world.served.proof = shown(Method.SHARE)
    share = await world.call("POST", "/api/keys/temporary")
    world.served.proof = None
    nobody = await world.call("POST", "/api/keys/temporary")

    assert (share[0], nobody[0]) == (401, 401)


async def test_claims_that_do_not_fit_are_named(world: World) -> None:
    """Nothing is cut: a deny rule might hang on it (POL-1)."""
    big = Identity(
        issuer="c", subject="s", claims={"groups": ["g" * 30 + str(n) for n in range(300)]}
    )
    world.served.proof = Proof(identity=big, method=Method.SESSION)
    status, problem, _ = await world.call("POST", "/api/keys/temporary")

    assert (status, problem["code"]) == (400, "token-too-large")
    assert "groups" in str(problem)


@pytest.mark.parametrize("value", [TOKEN, TOKEN + "\n", f"Bearer {TOKEN}", f"  {TOKEN}\t"])
async def test_key_5_a_token_gets_credentials_in_the_containers_shape(world: World, value) -> None:
    """The bare token, as SDKs send the content of a file; they end with the token."""
    host, port = world.served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    line = value.replace("\n", " ")
    writer.write(
        f"GET /api/credentials HTTP/1.1\r\nHost: x\r\nAuthorization: {line}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    made = json.loads(body)
    assert b" 200 " in head
    assert b"no-store" in head
    assert set(made) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert made["Expiration"] == "2026-03-01T12:20:00Z"
    assert await world.access.find(made["AccessKeyId"], Secret(made["Token"]), world.clock())


async def test_key_5_a_cookie_gets_no_credentials(world: World) -> None:
    """Whoever is signed in: the address answers tokens only."""
    status, problem, _ = await world.call(
        "GET", "/api/credentials", headers={"Cookie": "__Host-session=x"}
    )

    assert (status, problem["code"]) == (401, "token-not-accepted")


async def test_key_8_why_a_token_failed_is_told_to_the_log_alone(world: World) -> None:
    """One answer for every bad token; the provider's absence is another matter."""
    bad = await world.call("GET", "/api/credentials", headers={"Authorization": "bad"})
    note = world.served.events[-1].notes
    away = await world.call("GET", "/api/credentials", headers={"Authorization": "away"})
    world.revoked = True
    revoked = await world.call("GET", "/api/credentials", headers={"Authorization": TOKEN})

    assert (bad[0], bad[1]["code"]) == (401, "token-not-accepted")
    assert bad[1]["title"] == revoked[1]["title"]
    assert note == "token-signature"
    assert (away[0], away[1]["code"]) == (503, "provider-away")
    assert revoked[0] == 401


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(60, 60), ("60s", 60), ("15m", 900), ("12h", 43200), ("90d", 90 * 86400)],
)
def test_lifetimes(value: int | str, seconds: int) -> None:
    """Seconds, or a number and a unit."""
    assert parse_lifetime(value) == timedelta(seconds=seconds)
