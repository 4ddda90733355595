"""The few calls that the commands make."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gateway.cli import calls
from gateway.cli.calls import Refused, Unreachable, base_url, safe_for_secrets
from gateway.identity import Credentials, Secret

KEY = Credentials(access_key_id="GWPX", secret=Secret("s"))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Odd(HTTPServer):
    """Answers everything by one status, type and body, and counts."""

    status, body, location = 200, b"", ""
    asked = 0


@pytest.fixture
def odd() -> Iterator[Odd]:
    class Handler(BaseHTTPRequestHandler):
        server: Odd

        def answer(self) -> None:
            self.server.asked += 1
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(self.server.status)
            if self.server.location:
                self.send_header("Location", self.server.location)
            self.send_header("Content-Length", str(len(self.server.body)))
            self.end_headers()
            self.wfile.write(self.server.body)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    with Odd(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(server: socketserver.BaseServer) -> str:
    assert isinstance(server, HTTPServer)
    return f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s3.example.com", "https://s3.example.com"),
        ("S3.Example.com:8443", "https://s3.example.com:8443"),
        ("https://s3.example.com/ui/b/x?y#z", "https://s3.example.com"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_what_somebody_types_becomes_an_address(text: str, found: str) -> None:
    """https where they left it out; the page's address does as well."""
    assert base_url(text) == found


@pytest.mark.parametrize("text", ["", "ftp://h", "https://", "https://u:p@h", "file:///etc/passwd"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError):
        base_url(text)


def test_key_6_where_a_secret_may_travel() -> None:
    """TLS, or one's own machine."""
    assert safe_for_secrets("https://s3.example.com")
    assert safe_for_secrets("http://127.0.0.1:8080")
    assert safe_for_secrets("http://[::1]:8080")
    assert not safe_for_secrets("http://s3.example.com")
    assert not safe_for_secrets("http://127.0.0.1.example.com")


def test_ssr_2_no_redirect_is_followed(odd: Odd) -> None:
    """What goes out holds secrets."""
    odd.status, odd.location = 307, url(odd) + "/elsewhere"
    with pytest.raises(Unreachable):
        calls.redeem(url(odd), "code", "verifier")
    with pytest.raises(Refused):
        calls.session_token(url(odd), KEY, NOW)

    assert odd.asked == 2


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b"<Expiration></Expiration>"])
def test_an_answer_that_is_no_gateways_is_told_as_such(odd: Odd, body: bytes) -> None:
    """Some other server at this address."""
    odd.body = body
    with pytest.raises(Unreachable):
        calls.redeem(url(odd), "code", "verifier")
    with pytest.raises(Unreachable):
        calls.session_token(url(odd), KEY, NOW)


def test_an_sts_error_keeps_its_code(odd: Odd) -> None:
    """It decides what the user is told."""
    odd.status = 403
    odd.body = (
        b"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>a &amp; b</Message></Error>"
    )
    with pytest.raises(Refused) as caught:
        calls.session_token(url(odd), KEY, NOW)

    assert (caught.value.code, str(caught.value)) == ("ExpiredToken", "a & b")


@pytest.mark.parametrize("code", ["no-such-key", "InvalidAccessKeyId"])
def test_a_key_that_is_gone_already_is_given_up(odd: Odd, code: str) -> None:
    """Whoever revoked it."""
    odd.status, odd.body = 404, f'{{"code": "{code}"}}'.encode()

    assert calls.revoke(url(odd), "GWPX", Secret("s")) is False


def test_a_key_that_cannot_be_given_up_is_told(odd: Odd) -> None:
    """With the gateway's own words."""
    odd.status, odd.body = 503, b'{"code": "state-away", "title": "The store is away."}'
    with pytest.raises(Refused, match="store is away"):
        calls.revoke(url(odd), "GWPX", Secret("s"))
