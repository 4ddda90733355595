"""What policies and claims change holds at once, for whoever is at work already (POL-5)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.server.verifying_upstream import Stored
from tests.server.whole_gateway import whole_gateway

DENY = """
  - name: nobody reads
    match: {everyone: true}
    denies: [{bucket: data, actions: [read]}]
"""


async def test_pol_5_a_changed_policy_holds_with_the_next_request(tmp_path: Path) -> None:
    """For the identity whose rules were bound a moment ago; and the other way round."""
    async with whole_gateway(tmp_path) as whole:
        whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        policy = tmp_path / "policy.yaml"
        before = await asyncio.to_thread(policy.read_text)
        statuses = []

        for text in (before, before.rstrip() + DENY, before):
            await asyncio.to_thread(policy.write_text, text)
            assert await whole.app.reload()
            statuses.append((await whole.signed("GET", "/data/k")).status)

        assert statuses == [200, 403, 200]


async def test_pol_5_claims_of_a_service_account_hold_with_the_next_request(
    tmp_path: Path,
) -> None:
    """They stand in the configuration, whose change is no different."""
    async with whole_gateway(tmp_path) as whole:
        whole.upstream.objects["/real/team/k"] = Stored(b"v", [])
        config = tmp_path / "gateway.yaml"
        before = await asyncio.to_thread(config.read_text)
        after = before.replace("claims: {groups: [write]}", "claims: {groups: [none]}")
        assert (await whole.signed("GET", "/data/k")).status == 200

        await asyncio.to_thread(config.write_text, after)
        assert await whole.app.reload()

        assert (await whole.signed("GET", "/data/k")).status == 403
