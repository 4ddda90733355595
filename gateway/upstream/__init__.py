"""
The S3 servers behind us: how a signed request gets there and its answer back.

`Transport` is the one interface between the pipeline and the network; `pool` is the
implementation in use, and a recording one stands in for it in tests.
"""

from __future__ import annotations

from typing import Protocol

from gateway.message import Answer, Body, Headers
from gateway.records import Record


class Endpoint(Record, frozen=True, kw_only=True, cache_hash=True):
    """Where an upstream listens, and how it is to be spoken to. Hashable, once: each request finds its pool by it."""

    scheme: str
    host: str
    """Name or address to connect to, and to verify TLS against; IPv6 without brackets."""
    port: int
    ca: str | None = None
    """Path of a file of CA certificates; None for the system's."""
    connect_timeout: float = 5.0
    """Seconds until connected, TLS included."""
    head_timeout: float = 60.0
    """Seconds from the last byte sent to the head of the answer."""
    idle_timeout: float = 60.0
    """Seconds of silence in the middle of a body, either way."""
    max_connections: int = 512

    @property
    def authority(self) -> str:
        """For a Host header: the port left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == default else f"{host}:{self.port}"


class Outbound(Record, frozen=True, kw_only=True):
    """A request head ready to be written: built from values, signed, complete."""

    method: str
    target: str
    """Path and query exactly as signed."""
    headers: Headers
    """All of them, `host` and `authorization` included; not those of framing."""


class Transport(Protocol):
    """
    Sends a signed head and a body, gives the head and body of the answer.

    - Target and headers arrive byte for byte; framing (Content-Length or chunked) is written from
      `body.length`; no redirect, decompression, cookie or added header.
    - A pooled connection that turns out stale is retried once, and only if no byte of the body was taken.
    - A body that raises cuts the connection, and what it raised comes out of `send` unchanged.
    - An answer before the end of the request body is delivered; the rest of the body is left unread.
    - A connection is used again only after a clean end on both sides.
    - Closing the answer's body before its end cuts the connection.

    Raises UpstreamUnavailable, UpstreamTimeout, UpstreamProtocolError.
    """

    async def send(self, endpoint: Endpoint, head: Outbound, body: Body) -> Answer:
        """The answer's body must be closed by whoever takes it."""

    async def close(self) -> None:
        """Ends all connections."""
