"""
The supervisor's internal listener: what its workers say of themselves, added up.

Each worker answers on a unix socket in the folder where they meet; ready is who has all of them ready.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from gateway.config.load import load
from gateway.observe import metrics
from gateway.server.admin import Admin, Readiness
from gateway.server.listeners import notify, open_sockets
from gateway.server.serving import ADMIN_END
from gateway.snapshot import Snapshot

AGAIN = 0.1  # seconds until workers that start are asked once more


class AdminOnly:
    """Answers `/livez`, `/readyz` and `/metrics` for all workers together."""

    def __init__(self, config_path: Path, meeting: Path, workers: int) -> None:
        """Raises ConfigError."""
        self._config = Snapshot.build(load(config_path)).config
        self._meeting = meeting
        self._workers = workers
        self._listeners: list[asyncio.Server] = []

    async def start(self) -> None:
        """Raises ListenError."""
        admin = Admin(ready=self._ready, render=metrics.rendered)
        self._server = web.Server(admin.handle, access_log=None)
        loop = asyncio.get_running_loop()
        self._listeners = [
            await loop.create_server(self._server, sock=sock)
            for sock in open_sockets(self._config.admin.listen)
        ]
        self._telling = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        """Tells the service manager as soon as all workers listen."""
        while True:
            if (await self._ready()).ready:
                notify("READY=1")
                return
            await asyncio.sleep(AGAIN)

    async def _ready(self) -> Readiness:
        """Ready where every worker is."""
        sockets = sorted(self._meeting.glob("*.admin"))
        found = await asyncio.gather(*(_ask(path) for path in sockets))
        alive = [one for one in found if one is not None]
        ready = len(alive) >= self._workers and all(one.get("ready") for one in alive)
        return Readiness(ready, {"workers": alive})

    async def stop(self) -> None:
        self._telling.cancel()
        for listener in self._listeners:
            listener.close()
        await self._server.shutdown(ADMIN_END)


async def _ask(path: Path) -> dict[str, Any] | None:
    """What a worker says of its readiness; None where it does not answer."""
    connector = aiohttp.UnixConnector(path=str(path))
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get("http://worker/readyz") as answer,
        ):
            found = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    return found if isinstance(found, dict) else None
