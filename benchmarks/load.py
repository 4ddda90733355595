"""
The clients of a run: wrk for many small requests, sockets of our own for large bodies and crowds.

Every request is signed once, by botocore, and sent as it is again and again: signatures hold for
fifteen minutes, and what verifies them does not know that it saw them before.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import selectors
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AT_ONCE = 16
AGENT = "Boto3/1.43 md/Botocore#1.43 ua/2.1 os/linux"
PIECE = 256 * 1024  # bytes a call to send or recv
CHUNK = 64 * 1024  # bytes of a signed chunk, as SDKs send them
SILENCE = 120.0  # seconds without a byte before a run is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it is sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


class _Signer(S3SigV4Auth):  # type: ignore[misc]
    """S3's signature over a body that is not at hand."""

    def __init__(self, credentials: Credentials, digest: str) -> None:
        super().__init__(credentials, "s3", "us-east-1")
        self._digest = digest

    def payload(self, request: AWSRequest) -> str:
        return self._digest


def plain(method: str, url: str, *, body: bytes = b"") -> Call:
    """A request without credentials, with what every SDK sends beside."""
    return Call(method=method, url=url, headers=_common({}), body=body)


def signed(
    method: str,
    url: str,
    key: tuple[str, str, str | None],
    *,
    body: bytes = b"",
    digest: str | None = None,
    service: str = "s3",
) -> Call:
    """A request signed in its headers; `digest` is the body's SHA-256 where that is not at hand."""
    request = AWSRequest(method, url, data=body or None)
    if service == "s3":
        auth: SigV4Auth = _Signer(Credentials(*key), digest or hashlib.sha256(body).hexdigest())
    else:
        request.headers["content-type"] = "application/x-www-form-urlencoded"
        auth = SigV4Auth(Credentials(*key), service, "us-east-1")
    auth.add_auth(request)
    headers = dict(request.headers.items())
    return Call(method=method, url=url, headers=_common(headers), body=body)


def in_chunks(
    method: str, url: str, key: tuple[str, str, str | None], source: Path, framed: Path
) -> Call:
    """
    An upload in chunks that are signed one by one; its body, `source` in frames, is written to `framed`.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    """
    token = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    request = AWSRequest(method, url)
    request.headers["x-amz-decoded-content-length"] = str(source.stat().st_size)
    request.headers["content-encoding"] = "aws-chunked"
    _Signer(Credentials(*key), token).add_auth(request)
    date = request.headers["X-Amz-Date"]
    scope = f"{date[:8]}/us-east-1/s3/aws4_request"
    signing_key = f"AWS4{key[1]}".encode()
    for part in scope.split("/"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    previous = request.headers["Authorization"].rpartition("Signature=")[2]
    nothing = hashlib.sha256().hexdigest()
    with source.open("rb") as whole, framed.open("wb") as out:
        chunk = b" "
        while chunk:
            chunk = whole.read(CHUNK)
            digest = hashlib.sha256(chunk).hexdigest()
            text = "\n".join(("AWS4-HMAC-SHA256-PAYLOAD", date, scope, previous, nothing, digest))
            previous = hmac.digest(signing_key, text.encode(), "sha256").hex()
            out.write(f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n")
    return Call(method=method, url=url, headers=_common(dict(request.headers.items())))


def with_cookie(method: str, url: str, cookie: str) -> Call:
    """A request as a browser's page makes it."""
    return Call(method=method, url=url, headers=_common({"Cookie": cookie}))


def _common(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "User-Agent": AGENT, "Accept-Encoding": "identity"}


def head(call: Call, length: int | None = None) -> bytes:
    """The bytes of a request's head."""
    parts = urlsplit(call.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{call.method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def once(call: Call) -> tuple[int, bytes]:
    """Status and body of one request whose answer says its length."""
    with _connected(call.url) as conn:
        conn.sendall(head(call, len(call.body) if call.body else None) + call.body)
        status, length, data = _answer_head(conn)
        while len(data) < length and call.method != "HEAD":
            piece = conn.recv(PIECE)
            if not piece:
                raise RuntimeError(f"{call.url} was cut after {len(data)} bytes")
            data += piece
        return status, data


def _connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 80), SILENCE)


def _answer_head(conn: socket.socket) -> tuple[int, int, bytes]:
    """Status, stated length, and the first bytes of the body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = conn.recv(PIECE)
        if not piece:
            raise RuntimeError("no answer")
        data += piece
    text, _, rest = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", text)
    return int(text.split()[1]), int(length[1]) if length else 0, rest


@dataclass(frozen=True, slots=True)
class Many:
    """What wrk saw."""

    requests: int
    seconds: float
    failed: int


def many(call: Call, folder: Path, seconds: int, at_once: int = AT_ONCE) -> Many:
    """The same request over `at_once` connections for some seconds."""
    if call.method == "HEAD":
        return many_heads(call, seconds, at_once)
    parts = urlsplit(call.url)
    lines = [f"wrk.method = {_lua(call.method)}"]
    lines += [f"wrk.headers[{_lua(n)}] = {_lua(v)}" for n, v in call.headers.items()]
    if call.body:
        data = "".join(f"\\{byte:03}" for byte in call.body)
        lines.append(f'wrk.body = "{data}"')
    script = folder / "wrk.lua"
    script.write_text("\n".join(lines) + "\n")
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    command = ["wrk", "-t1", f"-c{at_once}", f"-d{seconds}s", "--timeout", "20s"]
    done = subprocess.run(
        [*command, "-s", str(script), f"{parts.scheme}://{parts.netloc}{target}"],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    )
    total = re.search(r"(\d+) requests in ([\d.]+)s", done.stdout)
    if total is None:
        raise RuntimeError(done.stdout)
    errors = sum(
        int(number)
        for line in re.findall(r"Socket errors:.*|Non-2xx or 3xx responses:.*", done.stdout)
        for number in re.findall(
            r"\d+", line.partition(":")[2].replace("2xx", "").replace("3xx", "")
        )
    )
    return Many(int(total[1]), float(total[2]), errors)


def many_heads(call: Call, seconds: int, at_once: int = AT_ONCE) -> Many:
    """As `many`, for HEAD: wrk would wait for the bodies that the answers speak of."""
    asked = head(call)
    count = failed = 0
    began = time.monotonic()
    with selectors.DefaultSelector() as selector, ExitStack() as held:
        for _ in range(at_once):
            conn = held.enter_context(_connected(call.url))
            selector.register(conn, selectors.EVENT_READ)
            conn.sendall(asked)
        while (taken := time.monotonic() - began) < seconds:
            for key, _ in selector.select(1.0):
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                answer = ready.recv(PIECE)  # a head on loopback comes in one piece
                count += 1
                failed += not (answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n"))
                ready.sendall(asked)
    return Many(count, taken, failed)


def each(calls: Iterable[Call], at_once: int = AT_ONCE) -> int:
    """HEAD requests that all differ, each sent once; how many. Raises RuntimeError where one fails."""
    waiting = iter(calls)
    count = 0
    with selectors.DefaultSelector() as selector, ExitStack() as held:
        for call in islice(waiting, at_once):
            conn = held.enter_context(_connected(call.url))
            selector.register(conn, selectors.EVENT_READ)
            conn.sendall(head(call))
        while selector.get_map():
            for key, _ in selector.select(SILENCE):
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                answer = ready.recv(PIECE)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"request {count} was answered {answer[:300]!r}")
                count += 1
                following = next(waiting, None)
                if following is None:
                    selector.unregister(ready)
                else:
                    ready.sendall(head(following))
    return count


def _lua(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def download(call: Call, expected: int) -> None:
    """Reads one large answer and forgets it. Raises RuntimeError where it is not whole."""
    buffer = bytearray(1024 * 1024)
    with _connected(call.url) as conn:
        conn.sendall(head(call))
        status, length, rest = _answer_head(conn)
        if status != 200 or length != expected:
            raise RuntimeError(f"{call.url}: {status}, {length} bytes; {rest[:500]!r}")
        done = len(rest)
        while done < length:
            count = conn.recv_into(buffer)
            if not count:
                raise RuntimeError(f"{call.url} was cut after {done} bytes")
            done += count


def upload(call: Call, source: Path) -> None:
    """Sends a file as the body. Raises RuntimeError where it was not taken."""
    length = source.stat().st_size
    with _connected(call.url) as conn, source.open("rb") as file:
        conn.sendall(head(call, length))
        conn.sendfile(file)
        status, _, rest = _answer_head(conn)
        if status not in (200, 201, 204):
            raise RuntimeError(f"{call.url}: {status} {rest[:500]!r}")


def crowd(call: Call, count: int) -> list[socket.socket]:
    """
    Connections that have asked for a large body, have read a little and then read no more.

    The caller closes them.
    """
    conns: list[socket.socket] = []
    for _ in range(count):
        conn = _connected(call.url)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        conn.sendall(head(call))
        conns.append(conn)
    for conn in conns:
        status, _, _ = _answer_head(conn)
        if status != 200:
            raise RuntimeError(f"a slow reader was answered {status}")
    return conns


def sip(conns: list[socket.socket], amount: int) -> None:
    """Reads up to `amount` bytes from each connection, as far as there are any."""
    with selectors.DefaultSelector() as selector:
        for conn in conns:
            selector.register(conn, selectors.EVENT_READ)
        for key, _ in selector.select(1.0):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.recv(amount)


def idle(url: str, count: int) -> list[socket.socket]:
    """Open connections without a request. The caller closes them."""
    return [_connected(url) for _ in range(count)]
