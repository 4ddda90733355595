"""
An S3 server that believes nothing: it stores an object once everything about it has been proved.

Signature, payload hash, chunk signatures, trailer and length are computed anew here, apart from the
gateway's own code, and what was seen is kept. A test may have it answer, or die, as it likes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import unquote

KEY_ID, SECRET = "UPSTREAMKEY", "upstream-secret-that-no-client-knows"
EMPTY = hashlib.sha256(b"").hexdigest()
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


class Wrong(Exception):
    """Something about a request is not as it should be; S3 has a code for it."""

    def __init__(self, what: str, code: str = "SignatureDoesNotMatch", status: int = 403) -> None:
        super().__init__(what)
        self.code, self.status = code, status


@dataclass
class Seen:
    """A request as far as it came."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    """As it was sent, framed or not."""
    whole: bool = False
    """The body came to the end that its head promised."""
    wrong: str = ""
    """Why it was not believed."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the connection has ended."""

    def header(self, name: str) -> str:
        return ",".join(value for key, value in self.headers if key == name)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass
class Stored:
    data: bytes
    headers: list[tuple[str, str]]

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data).hexdigest()}"'


class Wire:
    """The connection of one request, for a script."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(
        self, status: int, headers: str = "", body: bytes = b"", end: bool = True
    ) -> None:
        """An answer as given; with `end`, its length is that of the body."""
        lines = f"HTTP/1.1 {status} X\r\n{headers}"
        if end:
            lines += f"content-length: {len(body)}\r\n"
        self.writer.write(lines.encode() + b"\r\n" + body)
        await self.writer.drain()

    def cut(self) -> None:
        self.writer.transport.abort()


Script = Callable[[Seen, Wire], Awaitable[None]]


class VerifyingUpstream:
    """Serves one connection after the other; `objects` is by path."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.seen: list[Seen] = []
        self.scripts: list[Script] = []
        """What the next requests meet instead, right after their head."""
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        seen: Seen | None = None
        try:
            while True:
                seen = await _head(reader)
                self.seen.append(seen)
                if self.scripts:
                    await self.scripts.pop(0)(seen, Wire(reader, writer))
                    return
                if not await self._answer(seen, reader, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            for one in self.seen:
                if one is seen:
                    one.left.set()
            writer.close()

    async def _answer(
        self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection goes on."""
        try:
            key, scope = verify_head(seen)
            await _body(seen, reader)
            data = verify_body(seen, key, scope)
        except Wrong as wrong:
            seen.wrong = str(wrong)
            answer = Wire(reader, writer)
            await answer.say(wrong.status, "connection: close\r\n", _error(wrong.code))
            return False
        await self._serve(seen, data, Wire(reader, writer))
        return True

    async def _serve(self, seen: Seen, data: bytes, wire: Wire) -> None:
        path = seen.path
        if seen.method == "PUT":
            if seen.header("if-none-match") == "*" and path in self.objects:
                await wire.say(412, "", _error("PreconditionFailed"))
                return
            source = unquote(seen.header("x-amz-copy-source"))
            if source:
                data = self.objects["/" + source.lstrip("/")].data
            kept = [
                (name, value)
                for name, value in seen.headers
                if name.startswith("x-amz-meta-") or name in ("content-type", "cache-control")
            ]
            encodings = [
                part.strip()
                for part in seen.header("content-encoding").split(",")
                if part.strip() and part.strip() != "aws-chunked"
            ]
            if encodings:
                kept.append(("content-encoding", ",".join(encodings)))
            self.objects[path] = stored = Stored(data, kept)
            await wire.say(200, f"etag: {stored.etag}\r\n")
        elif seen.method == "DELETE":
            self.objects.pop(path, None)
            await wire.say(204, end=False)
        elif (found := self.objects.get(path)) is None:
            await wire.say(404, "", b"" if seen.method == "HEAD" else _error("NoSuchKey"))
        else:
            await self._object(seen, found, wire)

    async def _object(self, seen: Seen, found: Stored, wire: Wire) -> None:
        lines = f"etag: {found.etag}\r\nlast-modified: {formatdate(0, usegmt=True)}\r\n"
        lines += "".join(f"{name}: {value}\r\n" for name, value in found.headers)
        if seen.header("if-none-match") == found.etag:
            await wire.say(304, lines, end=False)
            return
        if seen.header("if-match") not in ("", found.etag):
            await wire.say(412, "", _error("PreconditionFailed"))
            return
        status, data = 200, found.data
        if asked := seen.header("range"):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            if int(first) >= len(data):
                await wire.say(416, "", _error("InvalidRange"))
                return
            end = int(last) + 1 if last else len(data)
            lines += f"content-range: bytes {first}-{min(end, len(data)) - 1}/{len(data)}\r\n"
            status, data = 206, data[int(first) : end]
        if seen.method == "HEAD":
            await wire.say(status, f"{lines}content-length: {len(data)}\r\n", end=False)
        else:
            await wire.say(status, lines, data)


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


async def _head(reader: asyncio.StreamReader) -> Seen:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    pairs = [line.split(":", 1) for line in lines]
    return Seen(method, target, [(name.lower(), value.strip()) for name, value in pairs])


async def _body(seen: Seen, reader: asyncio.StreamReader) -> None:
    if seen.header("transfer-encoding"):
        raise Wrong("S3 wants a length", "MissingContentLength", 411)
    left = int(seen.header("content-length") or 0)
    while left:
        data = await reader.read(min(left, 65536))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        seen.body += data
        left -= len(data)
    seen.whole = True


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()


def verify_head(seen: Seen) -> tuple[bytes, str]:
    """Signing key and scope. Raises Wrong."""
    value = seen.header("authorization")
    if not value.startswith("AWS4-HMAC-SHA256 "):
        raise Wrong("no signature")
    parts = dict(part.strip().split("=", 1) for part in value[17:].split(","))
    key_id, _, scope = parts["Credential"].partition("/")
    if key_id != KEY_ID:
        raise Wrong("a key id that is not ours")
    names = parts["SignedHeaders"].split(";")
    sent = {name for name, _ in seen.headers}
    unsigned = {n for n in sent if n.startswith("x-amz-")} - set(names)
    if unsigned or "host" not in names:
        raise Wrong(f"unsigned headers {sorted(unsigned)}")
    day, region, service, _ = scope.split("/")
    key = _hmac(("AWS4" + SECRET).encode(), day)
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    path, _, query = seen.target.partition("?")
    pairs = sorted(p if "=" in p else p + "=" for p in query.split("&") if p)
    lines = "".join(f"{name}:{re.sub(' +', ' ', seen.header(name).strip())}\n" for name in names)
    canonical = "\n".join(
        (
            seen.method,
            path,
            "&".join(pairs),
            lines,
            parts["SignedHeaders"],
            seen.header("x-amz-content-sha256"),
        )
    )
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{seen.header('x-amz-date')}\n{scope}\n{digest}"
    if _hmac(key, text).hex() != parts["Signature"]:
        raise Wrong("the signature")
    seen.headers.append(("seed", parts["Signature"]))
    return key, scope


def verify_body(seen: Seen, key: bytes, scope: str) -> bytes:
    """The object's bytes. Raises Wrong."""
    token = seen.header("x-amz-content-sha256")
    if token.startswith("STREAMING-"):
        data = _unframed(seen, key, scope, token)
    else:
        data = seen.body
        if token != "UNSIGNED-PAYLOAD" and hashlib.sha256(data).hexdigest() != token:
            raise Wrong("the hash of the body", "XAmzContentSHA256Mismatch", 400)
    md5 = seen.header("content-md5")
    if md5 and base64.b64decode(md5) != hashlib.md5(data).digest():
        raise Wrong("Content-MD5", "BadDigest", 400)
    _checksums(seen.headers, data)
    return data


def _checksums(pairs: list[tuple[str, str]], data: bytes) -> None:
    for name, value in pairs:
        if name == "x-amz-checksum-crc32":
            if base64.b64decode(value) != zlib.crc32(data).to_bytes(4, "big"):
                raise Wrong("the checksum", "BadDigest", 400)
        elif name == "x-amz-checksum-sha256" and (
            base64.b64decode(value) != hashlib.sha256(data).digest()
        ):
            raise Wrong("the checksum", "BadDigest", 400)


def _unframed(seen: Seen, key: bytes, scope: str, token: str) -> bytes:
    signed, when = token.startswith(SIGNED), seen.header("x-amz-date")
    previous, rest, data = seen.header("seed"), seen.body, b""

    def mac(kind: str, *more: str) -> str:
        text = "\n".join((f"AWS4-HMAC-SHA256-{kind}", when, scope, previous, *more))
        return _hmac(key, text).hex()

    while True:
        line, _, rest = rest.partition(b"\r\n")
        size, _, extension = line.decode().partition(";chunk-signature=")
        chunk, rest = rest[: int(size, 16)], rest[int(size, 16) :]
        if signed:
            previous = mac("PAYLOAD", EMPTY, hashlib.sha256(chunk).hexdigest())
            if extension != previous:
                raise Wrong("the signature of a chunk")
        if not chunk:
            break
        if rest[:2] != b"\r\n":
            raise Wrong("the frame of a chunk")
        data, rest = data + chunk, rest[2:]
    if len(data) != int(seen.header("x-amz-decoded-content-length")):
        raise Wrong("the decoded length", "IncompleteBody", 400)
    lines = [line.decode() for line in rest.split(b"\r\n") if line]
    trailer = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
    if token.endswith("-TRAILER"):
        if signed:
            name, given = trailer.pop()
            text = "".join(f"{n}:{v}\n" for n, v in trailer)
            if name != "x-amz-trailer-signature" or given != mac(
                "TRAILER", hashlib.sha256(text.encode()).hexdigest()
            ):
                raise Wrong("the signature of the trailer")
        if {n for n, _ in trailer} != {
            n.strip() for n in seen.header("x-amz-trailer").lower().split(",")
        }:
            raise Wrong("a trailer that was not announced", "MalformedTrailerError", 400)
        _checksums(trailer, data)
    elif trailer:
        raise Wrong("a trailer", "MalformedTrailerError", 400)
    return data


@asynccontextmanager
async def upstream() -> AsyncIterator[VerifyingUpstream]:
    """One that runs on a free port."""
    made = VerifyingUpstream()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=2**20)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
