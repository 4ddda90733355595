"""
The internal listener: `/livez`, `/readyz`, `/metrics`, and nothing else (ADM-1, ADM-2).

`/livez` says that the process answers and depends on nobody. `/readyz` says whether it is of use:
words and ages, no names of hosts and no secrets (ADM-4).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.observe import metrics
from gateway.server.wire import SERVER_NAME


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests should be sent here, and what it was judged by."""

    ready: bool
    checks: Mapping[str, Any]


class Admin:
    """Answers the internal listener."""

    def __init__(
        self,
        *,
        ready: Callable[[], Awaitable[Readiness]],
        render: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._ready = ready
        self._render = render

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """aiohttp's handler."""
        if request.method not in ("GET", "HEAD"):
            return _text(405, "only GET\n")
        match request.raw_path.partition("?")[0]:
            case "/livez":
                return _text(200, "ok\n")
            case "/readyz":
                found = await self._ready()
                return web.Response(
                    status=200 if found.ready else 503,
                    text=json.dumps({"ready": found.ready, **found.checks}) + "\n",
                    content_type="application/json",
                    headers=_HEADERS,
                )
            case "/metrics":
                return web.Response(
                    body=await self._render(),
                    headers={**_HEADERS, "Content-Type": metrics.CONTENT_TYPE},
                )
            case _:
                return _text(404, "/livez, /readyz and /metrics are here\n")


_HEADERS = {"Cache-Control": "no-store", "Server": SERVER_NAME, "X-Content-Type-Options": "nosniff"}


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers=_HEADERS)
