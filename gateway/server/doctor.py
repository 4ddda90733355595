"""
/api/doctor: tells a caller how its own request arrived, so that `gateway doctor` can name what is between.

Nobody needs to be signed in. What is told is what the caller sent, as it came: the raw target, a
few headers, the number of body bytes. Of what a proxy added only the fact that it did is told;
names inside the network are for those who are signed in.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.message import BodyTooLarge
from gateway.server.bodies import json_answer
from gateway.server.exchange import Request, exchange_of
from gateway.server.inbound import body_of
from gateway.server.routes import Route, Who

BODY_MAX = 4 * 1024 * 1024  # bytes: twice what the doctor sends; read and forgotten
VALUE_MAX = 256  # characters of a header that are told back; of a longer one its length
ECHOED = ("accept-encoding", "content-type", "content-length", "transfer-encoding", "expect")
"""Headers told back besides those that begin `x-amz-meta-doctor` or `x-doctor`."""
FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto")
"""Of these only the names."""


class Doctor:
    """The routes of `gateway doctor`."""

    def routes(self) -> tuple[Route, ...]:
        """The rows of the route table."""
        return tuple(
            Route(
                method=method,
                path=path,
                handler=self.echo,
                who=Who.OPTIONAL,
                summary="How this very request arrived, for `gateway doctor`.",
                answer={"type": "object"},
            )
            for method in ("GET", "PUT")
            for path in ("/api/doctor", "/api/doctor/{probe...}")
        )

    async def echo(self, request: Request) -> web.StreamResponse:
        """GET, PUT /api/doctor."""
        ex = exchange_of(request)
        head = request.head
        received, whole = await _count(request)
        host = head.headers.get("host") or ""
        may_see = ex.proof is not None or host == head.headers.get("x-doctor-host")
        told: dict[str, Any] = {
            "gateway": True,
            "target": head.target,
            "host": host if may_see else None,
            "host_accepted": _accepted(host, head.forwarded_host, ex.snapshot.config),
            "headers": _echoed(request),
            "forwarded": [name for name in FORWARDED if name in head.headers],
            "trusted": head.trusted,
            "secure": head.secure,
            "body": received,
            "body_whole": whole,
            "time": ex.now.timestamp(),
            "who": ex.proof.identity.display if ex.proof is not None else None,
        }
        return json_answer(told)


async def _count(request: Request) -> tuple[int, bool]:
    """Bytes of the body, and whether that is all of them."""
    count = 0
    try:
        async for part in body_of(request.inbound):
            count += len(part)
            if count > BODY_MAX:
                raise BodyTooLarge(BODY_MAX)
    except BodyTooLarge:
        request.close_after()
        return count, False
    return count, True


def _accepted(host: str, forwarded: str | None, config: Any) -> bool:
    """Does the name by which the request came belong to this gateway, as signatures need it?"""
    authority = config.server.public_url.partition("://")[2]
    names = {name.lower() for name in (host, forwarded) if name}
    return authority.lower() in names


def _echoed(request: Request) -> dict[str, str | int]:
    echoed: dict[str, str | int] = {}
    for name, value in request.head.headers:
        if name in ECHOED or name.startswith(("x-amz-meta-doctor", "x-doctor")):
            echoed[name] = value if len(value) <= VALUE_MAX else len(value)
    return echoed
