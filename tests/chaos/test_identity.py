"""The identity provider is away, slow, or changes its keys; S3 goes on for everybody else."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.chaos.people import away, staffed
from tests.hostile_provider import KEYS, STRANGER
from tests.server.verifying_upstream import Stored

DOCUMENT = "/pool/.well-known/openid-configuration"


async def test_oid_10_a_provider_that_is_down_from_the_start(tmp_path: Path) -> None:
    """Programs work, people get 503 and not 403, and once it is there they are believed."""
    async with staffed(tmp_path, running=False) as at:
        at.whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        assert (await at.whole.signed("GET", "/data/k")).status == 200
        assert await at.s3("/data/k") == 503

        del at.idp.replies[DOCUMENT]
        async with asyncio.timeout(20):
            while await at.s3("/data/k") != 200:
                await asyncio.sleep(0.2)


async def test_a_slow_provider_delays_only_its_own_people(tmp_path: Path) -> None:
    """While a token waits for keys, a service account's requests pass."""
    async with staffed(tmp_path, running=False) as at:
        at.whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        del at.idp.replies[DOCUMENT]
        at.idp.delays["/jwks"] = 1.0
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(at.s3("/data/k"))
            await asyncio.sleep(0.1)
            served = 0
            while not waiting.done() and served < 20:
                assert (await at.whole.signed("GET", "/data/k")).status == 200
                served += 1
        assert served == 20


async def test_oid_7_keys_rotate_under_load(tmp_path: Path) -> None:
    """A new key is found, one that was withdrawn and one that never was are not believed, and the provider is hardly asked."""
    async with staffed(tmp_path) as at:
        at.whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        at.idp.keys, at.idp.key = KEYS[:1], KEYS[0]
        old = at.token
        assert await at.s3("/data/k", old) == 200

        at.idp.keys, at.idp.key = KEYS[1:], KEYS[1]
        async with asyncio.timeout(20):
            while await at.s3("/data/k") != 200:
                await asyncio.sleep(0.1)
        at.idp.key = STRANGER
        forged = [at.token for _ in range(50)]
        statuses = await asyncio.gather(*(at.s3("/data/k", token) for token in forged))

        assert set(statuses) == {400}  # InvalidToken
        assert at.idp.count("/jwks") <= 6


async def test_a_provider_that_goes_away_takes_nobody_along(tmp_path: Path) -> None:
    """Its keys are known: tokens go on being believed, and those of strangers refused."""
    async with staffed(tmp_path) as at:
        at.whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        assert await at.s3("/data/k") == 200
        at.idp.replies = {DOCUMENT: away(), "/jwks": away()}
        began = time.monotonic()

        assert await at.s3("/data/k") == 200
        at.idp.key = STRANGER
        assert await at.s3("/data/k") in (400, 503)
        assert time.monotonic() - began < 5
