"""The settings of the two listeners: where they listen, what they are called, whom they trust, their limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from gateway.config.section import Lasting, Section
from gateway.config.validate import looks_like
from gateway.config.values import (
    Address,
    Addresses,
    Duration,
    File,
    HostNames,
    HostOrAny,
    Network,
    Origin,
    Size,
)

LOCATION = looks_like(r"^/[\w./-]*$", "a location of nginx such as /_s3")


class Tls(Section):
    """The listener's own certificate. Both files are read again when they change."""

    certificate: File
    """PEM file: the certificate, then its chain."""
    key: File
    """PEM file: the private key."""


def _derived_url(data: dict[str, Any]) -> str:
    scheme = "https" if data.get("tls") else "http"
    for address in data.get("listen", ()):
        if address.kind == "tcp" and address.port and not address.wildcard:
            return f"{scheme}://{address}"
    return ""


class Server(Section):
    """The listener that people and programs reach."""

    listen: Addresses = (Address("tcp", "127.0.0.1", 8080),)
    """Where to listen: `HOST:PORT`, `unix:/path`, `fd:NAME` (a socket of the service manager's), or a list of them."""
    tls: Tls | None = None
    """Serve TLS with this certificate; without it a proxy in front does, or nobody."""
    public_url: Origin = Field(default_factory=_derived_url)
    """The address that browsers and clients use: scheme, host, port. Redirects, cookies and the same-origin rule rest on it. Default: the first address of `listen`."""
    hosts: tuple[HostOrAny, ...] = ()
    """Further host names that requests may name (inside a cluster, for instance); `*` for any. Without `public_url` any is accepted."""
    virtual_host: HostNames = ()
    """`s3.example.com`: requests to `BUCKET.s3.example.com` are S3 for that bucket. A name or a list of them."""
    s3_host: HostNames = ()
    """Host names where everything is S3: no pages, no API, cookies ignored. A name or a list of them."""
    trusted_proxies: tuple[Network, ...] = ()
    """Addresses and networks that may say who the client is (X-Forwarded-*, X-Original-*); `unix` for the peers of a unix socket. Default: nobody."""
    check: bool = True
    """Answer `/api/session/check` to trusted proxies. `false` where none of them asks: a proxy that hands on every path would hand on a client's asking, too (PRX-11)."""
    workers: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = 1
    """Processes that share the port; `auto` is one a core."""
    drain: Duration = timedelta(seconds=30)
    """How long running transfers may go on after SIGTERM before they are cut."""
    offload: Literal["none", "x-accel", "redirect"] = "none"
    """Who moves the bytes of a large GET: `none` the gateway; `x-accel` nginx in front, told by X-Accel-Redirect; `redirect` the client itself, by 307 to a presigned URL (SDKs, which do not follow it, are served by the gateway)."""
    offload_min_size: Size = 1024 * 1024
    """Bytes: objects known to be smaller are not offloaded."""
    offload_location: Annotated[str, Field(pattern=LOCATION)] = "/_s3"
    """The internal location of nginx that X-Accel-Redirect names."""
    connections: Annotated[int, Field(ge=1)] = 10_000
    """Connections open at once, in each worker; whoever comes beyond gets 503 and is asked to come again."""
    header_timeout: Lasting = timedelta(seconds=30)
    """How long a connection may stay idle, or take for its request head (DOS-1)."""
    body_timeout: Lasting = timedelta(seconds=60)
    """Silence in the middle of a body, either way, after which the connection is cut (DOS-2)."""
    body_min_rate: Size = 1024
    """Bytes a second, averaged over a minute, that a body must arrive with (DOS-2); 0 for no limit."""

    @property
    def secure(self) -> bool:
        """Browsers speak TLS to us: cookies carry `Secure` and `__Host-`."""
        return self.public_url.startswith("https://")

    @property
    def authority(self) -> str:
        """Host and port of the public URL."""
        return urlsplit(self.public_url).netloc

    @property
    def hostname(self) -> str:
        """Host of the public URL, lower case, without port or brackets."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def callback_url(self) -> str:
        """What an administrator registers at the identity provider, slash included."""
        return f"{self.public_url}/api/session/auth/"

    @property
    def signed_out_url(self) -> str:
        """The one sign-out URL to register."""
        return f"{self.public_url}/ui/signed-out"


class Admin(Section):
    """The internal listener: `/livez`, `/readyz`, `/metrics` and nothing else."""

    listen: Addresses = (Address("tcp", "127.0.0.1", 9090),)
    """As `server.listen`; an empty list for none."""
