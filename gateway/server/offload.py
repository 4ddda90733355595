"""
Large downloads that somebody else moves: nginx in front, or the client itself.

The decision, the names and the signature stay here. `x-accel` answers nginx with X-Accel-Redirect and
the signed head; `redirect` answers a client that is no SDK with 307 to a presigned URL of the upstream
that lasts a minute. What a browser fetches by its cookie is never handed over: its headers are rewritten
so that an object is harmless on the page's own host (WEB-3), and only we do that.

Sources: PRX-11, PRX-12; https://nginx.org/en/docs/http/ngx_http_proxy_module.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.message import Answer, Headers, RequestHead, ResponseHead
from gateway.server.forward_auth import upstream_headers

if TYPE_CHECKING:
    from gateway.s3.rewrite import Upstream
    from gateway.server.pipeline import Ruling
    from gateway.snapshot import Snapshot
    from gateway.upstream import Outbound

EXPIRES = 60  # seconds that a presigned redirect lasts: it is followed at once
DECLINE = "x-gateway-offload"
"""`none` in this header: the proxy asks for the bytes themselves, because the upstream refused it."""

_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")


def wanted(ruling: Ruling, head: RequestHead, snapshot: Snapshot) -> bool:
    """Is this a download that the configuration lets somebody else move?"""
    server = snapshot.config.server
    if server.offload == "none" or ruling.operation.name != "GetObject" or head.method != "GET":
        return False
    if ruling.proof.by_cookie or head.headers.get(DECLINE) == "none":
        return False
    if "if-range" in head.headers:  # storages do not know it: `s3.resume` does
        return False
    if server.offload == "x-accel" and not head.trusted:
        return False
    if server.offload == "redirect" and not _follows(ruling, head):
        return False
    size = known_size(head)
    return size is None or size >= server.offload_min_size


def _follows(ruling: Ruling, head: RequestHead) -> bool:
    """
    Can the client go where a 307 leads?

    SDKs, which sign in the header, cannot: boto3 and the aws cli end with an error, rclone too.
    Those that hold a presigned URL, a bearer or basic credentials are plain HTTP clients.
    """
    if (head.headers.get("authorization") or "").startswith("AWS4-"):
        return False
    # Keys of the client's own encryption and the like are headers, which a URL does not hold.
    return not ruling.request.amz


def known_size(head: RequestHead) -> int | None:
    """How many bytes are asked for, where a range says so; None where only the upstream knows."""
    match = _RANGE.fullmatch(head.headers.get("range") or "")
    return None if match is None else max(0, int(match[2]) - int(match[1]) + 1)


def accel(
    head: RequestHead, outbound: Outbound, upstream: Upstream, location: str
) -> Answer | None:
    """The answer to nginx; None where a signed head is not enough."""
    handed = upstream_headers(head, outbound, upstream)
    if not handed:
        return None
    pairs = [("x-accel-redirect", location), ("cache-control", "no-store")]
    pairs += [(name.lower(), value) for name, value in handed.items()]
    return Answer(head=ResponseHead(status=200, headers=Headers(pairs)))


def redirect(url: str) -> Answer:
    """The answer to a client that fetches the object itself."""
    pairs = (("location", url), ("cache-control", "no-store"))
    return Answer(head=ResponseHead(status=307, headers=Headers(pairs)))
