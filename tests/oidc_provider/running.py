"""npm's `oidc-provider` as a process that knows one gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.oidc_provider import install
from tests.processes import free_port

READY_WITHIN = 20.0  # seconds


@asynccontextmanager
async def running(gateway: str) -> AsyncIterator[str]:
    """Its issuer; `gateway` is the public URL of its one client."""
    port = free_port()
    node = await asyncio.create_subprocess_exec(
        "node",
        "op.mjs",
        str(port),
        f"{gateway}/api/session/auth/",
        f"{gateway}/ui/signed-out",
        f"{gateway}/api/session/backchannel-logout",
        cwd=install.FOLDER,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert node.stdout is not None
    try:
        async with asyncio.timeout(READY_WITHIN):
            assert (await node.stdout.readline()).strip() == b"ready"
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            node.kill()
        await node.communicate()
