"""A request leaves as it is given: no library on the way tidies it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from gateway.cli.calls import Unreachable
from gateway.cli.wire import Line

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Case: A\r\n\r\n%s"


class Listener:
    """Takes one request, keeps its bytes, and answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.authority = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.seen = b""
        self.body = b'{"gateway": true}'
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._socket, self._socket.accept()[0] as connection:
            while b"\r\n\r\n" not in self.seen:
                self.seen += connection.recv(65536)
            connection.sendall(ANSWER % (len(self.body), self.body))

    def close(self) -> None:
        self._thread.join(5)


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def test_sig_5_what_is_sent_is_what_was_given(listener: Listener):
    """Target, Host and header values to the letter; no Accept-Encoding that nobody asked for."""
    line = Line(f"http://{listener.authority}")
    echo = line.send("GET", "/a//b%2F%7E?z=1&a", host="other:80", headers={"X-A": "a  b"})

    head = listener.seen.decode()
    assert head.startswith("GET /a//b%2F%7E?z=1&a HTTP/1.1\r\nHost: other:80\r\n")
    assert "\r\nX-A: a  b\r\n" in head
    assert "accept-encoding" not in head.lower()
    assert (echo.status, echo.headers["x-case"], echo.ours) == (200, "A", True)


def test_an_answer_of_somebody_else_is_not_ours(listener: Listener):
    """Whatever its status."""
    listener.body = b'["gateway"]'

    assert not Line(f"http://{listener.authority}").send("GET", "/").ours


def test_nobody_there_is_said():
    """With the address that was tried."""
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9: .*refused"):
        Line("http://127.0.0.1:9").send("GET", "/")
