"""
One request to a gateway, byte for byte as it is given, and how the gateway says that it arrived.

The standard library's client again: nothing here may normalise a target or tidy a header, which
is what `gateway doctor` looks for in others.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gateway.cli.calls import AGENT, Unreachable

TIMEOUT = 20.0  # seconds of silence


@dataclass(frozen=True, slots=True)
class Echo:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    told: dict[str, Any] = field(default_factory=dict)
    """What the gateway says; empty where somebody else answered."""

    @property
    def ours(self) -> bool:
        return self.told.get("gateway") is True


class Line:
    """One connection's worth of requests, sent byte for byte as they are given."""

    def __init__(self, url: str, *, ca: str | None = None) -> None:
        parts = urlsplit(url)
        self.authority = parts.netloc
        self.secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._tls = ssl.create_default_context(cafile=ca) if self.secure else None

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: dict[str, str] | None = None,
        host: str | None = None,
        body: bytes | None = None,
    ) -> Echo:
        """Raises Unreachable."""
        connection = self._connection()
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host or self.authority)
            connection.putheader("User-Agent", AGENT)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            answer = self._exchange(connection, body)
            data = answer.read()
        except (OSError, http.client.HTTPException) as away:
            raise Unreachable(f"{self.authority}: {str(away) or type(away).__name__}") from away
        finally:
            connection.close()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Echo(answer.status, fields, data, _told(fields, data))

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=TIMEOUT, context=self._tls
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)

    @staticmethod
    def _exchange(
        connection: http.client.HTTPConnection, body: bytes | None
    ) -> http.client.HTTPResponse:
        connection.endheaders()
        if body is not None:
            try:
                connection.send(body)
            except (BrokenPipeError, ConnectionResetError):
                # Refused before the end: the answer says by whom, if it is still there.
                return connection.getresponse()
        return connection.getresponse()


def _told(headers: dict[str, str], data: bytes) -> dict[str, Any]:
    if not headers.get("content-type", "").startswith("application/json"):
        return {}
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
