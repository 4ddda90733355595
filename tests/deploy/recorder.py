"""An HTTP server that remembers what reached it: in front of a storage, or as an application."""

from __future__ import annotations

import http.client
import http.server
import threading
from dataclasses import dataclass
from typing import Any


@dataclass
class Seen:
    """What reached the storage or the application."""

    method: str
    target: str
    headers: dict[str, str]


class Recorder:
    """
    An HTTP server that remembers; in front of moto, or as an application.

    With `forward` it passes requests on to that port; without, it answers every one with `headers`.
    """

    def __init__(
        self, forward: int | None = None, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.seen: list[Seen] = []
        recorder, extra = self, headers

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                recorder.seen.append(
                    Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
                )
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                if forward is None:
                    status, data = 200, b"application"
                    answered = [("Content-Type", "text/plain"), *extra]
                else:
                    status, answered, data = self.carry(body)
                self.send_response(status)
                for name, value in answered:
                    self.send_header(name, value)
                if status not in (204, 304) and not any(
                    n.lower() == "content-length" for n, _ in answered
                ):
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def carry(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
                assert forward is not None
                link = http.client.HTTPConnection("127.0.0.1", forward, timeout=20)
                link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    link.putheader(name, value)
                link.endheaders(body)
                answer = link.getresponse()
                data = answer.read()
                skip = {"transfer-encoding", "connection", "server", "date"}
                pairs = [(n, v) for n, v in answer.getheaders() if n.lower() not in skip]
                link.close()
                return answer.status, pairs, data

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

            def log_message(self, *_args: Any) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
