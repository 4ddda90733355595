"""
The terminal's half of `gateway login`: a verifier kept here, a browser sent there, a code that comes back.

The code comes to a listener on this machine's loopback address, or is pasted. It is good only
together with the verifier, which never leaves this process but in the call that redeems it.

Sources: RFC 7636 (PKCE), RFC 8252 (OAuth 2.0 for native apps).
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from gateway.keyring import random_token, same

PATIENCE = 300.0  # seconds until the browser must have come back: as long as a second factor takes


class SignInFailed(Exception):
    """It was refused in the browser, or nobody came back."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in: what is kept, and what the browser is given."""

    url: str
    name: str
    """Of this machine, as the page shows it."""
    verifier: str = field(default_factory=random_token, repr=False)
    state: str = field(default_factory=lambda: random_token(16), repr=False)

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @property
    def comparison(self) -> str:
        """What terminal and page both show."""
        digest = hashlib.sha256(b"compare/" + self.challenge.encode()).digest()
        text = base64.b32encode(digest).decode()[:8]
        return f"{text[:4]}-{text[4:]}"

    def page(self, redirect: str | None) -> str:
        """The address to open; `redirect` is where the code is awaited, None where it is pasted."""
        query = {"challenge": self.challenge, "name": self.name}
        if redirect is not None:
            query |= {"redirect": redirect, "state": self.state}
        return f"{self.url}/ui/cli?{urlencode(query)}"


class Listener:
    """Waits on 127.0.0.1 for the browser to come back."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._code: str | None = None
        self._refused = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10  # seconds: a browser opens connections ahead of need and says nothing

            def do_GET(self) -> None:
                outer.receive(self)

            def log_message(self, *_: Any) -> None:
                """The address holds the code: nothing is printed."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.timeout = 1

    @property
    def redirect(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def receive(self, request: BaseHTTPRequestHandler) -> None:
        """One request of the browser's: ours if it knows the state."""
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        host = request.headers.get("Host", "")
        if (
            parts.path != "/"
            or host != f"127.0.0.1:{self._server.server_port}"
            or not same(query.get("state", ""), self._attempt.state)
        ):
            request.send_error(404)
            return
        self._code = query.get("code")
        self._refused = self._code is None
        request.send_response(303)
        # Away from the address that holds the code.
        onward = "/ui/" if self._refused else "/ui/signed-in"
        request.send_header("Location", self._attempt.url + onward)
        request.send_header("Content-Length", "0")
        request.send_header("Connection", "close")
        request.end_headers()

    def wait(self, patience: float = PATIENCE) -> str:
        """The code. Raises SignInFailed."""
        deadline = time.monotonic() + patience
        while self._code is None and not self._refused:
            if time.monotonic() >= deadline:
                raise SignInFailed("nobody came back from the browser in time")
            self._server.handle_request()
        if self._code is None:
            raise SignInFailed("access was refused in the browser")
        return self._code

    def close(self) -> None:
        self._server.server_close()
