"""
What every request meets first: the head as the core sees it, forwarded headers, same-origin proof;
and the headers that every answer of a page or of the API carries.

Sources: RFC 7239, Fetch Metadata; PRX-1 to PRX-4, WEB-1, WEB-6, HTTP-2, HTTP-6.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from gateway.caches import Cache
from gateway.message import RequestHead
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error

if TYPE_CHECKING:
    from gateway.server.inbound import Inbound

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
UNIX = "unix"
"""How `server.trusted_proxies` names a peer on a unix socket."""

PAGE_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
API_HEADERS = {
    **PAGE_HEADERS,
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class Proxies:
    """Which directly connected peers may speak for somebody else (PRX-1). Default: nobody."""

    def __init__(self, trusted: Iterable[str]) -> None:
        names = list(trusted)
        self._unix = UNIX in names
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(name, strict=False) for name in names if name != UNIX
        ]
        self._known: Cache[str, bool] = Cache("trusted_peers", size=4096, seconds=3600)

    def trusts(self, peer: str | None) -> bool:
        """Is this address one of the trusted? None is the peer of a unix socket."""
        if peer is None:
            return self._unix
        if not self._networks:
            return False
        known = self._known.get(peer)
        if known is None:
            known = self._look(peer)
            self._known.put(peer, known)
        return known

    def _look(self, peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def client(self, peer: str | None, forwarded: list[str]) -> str | None:
        """Who a trusted peer speaks for: the last address in X-Forwarded-For that is not a proxy of ours."""
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        for hop in reversed(hops):
            bare = _bare(hop)
            if bare is None:
                return peer  # what cannot be read is not believed, nor is what stands before it
            if not self._look(bare):
                return bare
            peer = bare
        return peer


def _bare(hop: str) -> str | None:
    host = hop
    if hop.startswith("["):
        host = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        host = hop.partition(":")[0]
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def head_of(inbound: Inbound, proxies: Proxies) -> RequestHead:
    """The head of a request. Raises S3Error (InvalidArgument) for one that is no text (AIO-14)."""
    read, line = inbound.read, inbound.line
    headers = read.headers
    if read.garbled:
        raise S3Error(s3.INVALID_ARGUMENT, "A header field is not UTF-8.", close=True)
    peer, secure = line.peer, line.secure
    forwarded_host = None
    trusted = proxies.trusts(peer)
    if trusted:
        # Said once: a proxy that adds its own behind a client's leaves two, and the first is the client's.
        secure = secure or headers.all("x-forwarded-proto") == ["https"]
        hosts = headers.all("x-forwarded-host")
        forwarded_host = hosts[0] if len(hosts) == 1 else None
        peer = proxies.client(peer, headers.all("x-forwarded-for"))
    return RequestHead(
        method=read.method,
        target=read.target,
        headers=headers,
        peer=peer,
        secure=secure,
        trusted=trusted,
        forwarded_host=forwarded_host,
    )


def same_origin(head: RequestHead, public_url: str) -> bool:
    """
    Does a request that the cookie authorises come from a page of ours (WEB-1)?

    Fetch metadata counts where it is sent, else the Origin; and in both cases our own header,
    which no other site's page can add without being asked by CORS, which we never answer.
    """
    headers = head.headers
    if headers.get("x-gateway-csrf") != "1":
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and origin == origin_of(public_url)


def cross_site(head: RequestHead, public_url: str) -> bool:
    """Does a browser say that somebody else's page asks? Programs say nothing of the kind."""
    site = head.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = head.headers.get("origin")
    return origin is not None and origin != origin_of(public_url)


def origin_of(url: str) -> str:
    """Scheme and authority of a URL."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}".lower()


def is_navigation(head: RequestHead) -> bool:
    """Is this a browser opening an address, as opposed to a script or an S3 client?"""
    headers = head.headers
    if head.method not in ("GET", "HEAD") or "authorization" in headers:
        return False
    mode = headers.get("sec-fetch-mode")
    if mode is not None:
        return mode == "navigate"
    return "text/html" in (headers.get("accept") or "")
