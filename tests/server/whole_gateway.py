"""The whole gateway, as its composition root builds it, in front of the verifying upstream."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gateway.app import App
from gateway.demo.world import free_port
from gateway.identity import Credentials, Secret
from gateway.message import RequestHead
from gateway.sigv4.sign import EMPTY_HASH
from tests.server.verifying_upstream import KEY_ID, SECRET, VerifyingUpstream, upstream
from tests.sigv4.clients import Client

WRITER = Credentials(access_key_id="WRITERKEY", secret=Secret("writer-secret-0123456789-abcdef"))
READER = Credentials(access_key_id="READERKEY", secret=Secret("reader-secret-0123456789-abcdef"))
TIMEOUT = 10.0  # seconds that any one answer may take

CONFIG = """\
server: {{listen: "127.0.0.1:{port}", public_url: "http://127.0.0.1:{port}", drain: 1s{server}}}
admin: {{listen: "127.0.0.1:0"}}
session: {{keys: ["${{file:session-key}}"]}}
state: {{type: memory}}
upstreams:
  s3: {{endpoint: "http://127.0.0.1:{s3}", region: us-east-1, addressing: path, payload: {payload}}}
credentials:
  shared: {{type: static, access_key_id: {key}, secret_access_key: "${{file:upstream-secret}}"}}
service_accounts:
  - {{name: writer, access_key_id: WRITERKEY, secret_access_key: "${{file:writer}}", claims: {{groups: [write]}}}}
  - {{name: reader, access_key_id: READERKEY, secret_access_key: "${{file:reader}}", claims: {{groups: [read]}}}}
policies: [policy.yaml]
audit: {{path: audit.log}}
log: {{level: error, format: json}}
"""

POLICY = """\
rules:
  - name: writers
    match: {claims: {groups: {contains: write}}}
    grants:
      - {bucket: data, upstream: s3, target: real/team/, credentials: shared, allow: [list, read, write, delete, versions]}
      - {bucket: plain, upstream: s3, target: plain, credentials: shared, allow: ["s3:*"]}
      - {bucket: power, upstream: s3, target: real/power/, credentials: shared, allow: ["s3:*"]}
      - {bucket: plainly, upstream: s3, target: real/plainly/, credentials: shared, allow: [list, read, write, delete]}
  - name: anybody
    match: {anonymous: true}
    grants:
      - {bucket: open, upstream: s3, target: real/open/, credentials: shared, allow: [list, read]}
  - name: readers
    match: {claims: {groups: {contains: read}}}
    grants:
      - {bucket: data, upstream: s3, target: real/team/, credentials: shared, allow: [list, read]}
"""


@dataclass
class Reply:
    """What came back over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool
    """The body is as long as its head said, or its last chunk came."""
    interim: list[int] = field(default_factory=list)

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key == name)

    @property
    def code(self) -> str:
        return self.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


class Connection:
    """A client's connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, head: RequestHead, body: bytes = b"", *more: tuple[str, str]) -> None:
        """Head and body; Content-Length is stated unless it, or a framing, is among `more`."""
        pairs = [*head.headers, *more]
        names = {name.lower() for name, _ in pairs}
        if not names & {"content-length", "transfer-encoding"} and (body or head.method == "PUT"):
            pairs.append(("content-length", str(len(body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        text = f"{head.method} {head.target} HTTP/1.1\r\n{lines}\r\n"
        self.writer.write(text.encode("utf-8", "surrogateescape") + body)
        await self.writer.drain()

    async def reply(self, method: str = "GET") -> Reply:
        """The next answer, as far as it came. Raises TimeoutError."""
        async with asyncio.timeout(TIMEOUT):
            interim: list[int] = []
            while True:
                raw = await self.reader.readuntil(b"\r\n\r\n")
                first, *lines = raw.decode("utf-8", "surrogateescape").split("\r\n")[:-2]
                status = int(first.split(" ")[1])
                if status >= 200:
                    break
                interim.append(status)
            pairs = [tuple(line.split(":", 1)) for line in lines]
            made = Reply(status, [(n.lower(), v.strip()) for n, v in pairs], b"", True, interim)
            if method == "HEAD" or status in (204, 304):
                return made
            try:
                if made.header("transfer-encoding") == "chunked":
                    while size := int(await self.reader.readuntil(b"\r\n"), 16):
                        made.body += (await self.reader.readexactly(size + 2))[:-2]
                    await self.reader.readexactly(2)
                else:
                    made.body = await self.reader.readexactly(int(made.header("content-length")))
            except asyncio.IncompleteReadError as cut:
                made.body += cut.partial
                made.whole = False
            except ConnectionError:
                made.whole = False
            return made

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()


@dataclass
class Whole:
    """A gateway that runs, and its upstream."""

    app: App
    upstream: VerifyingUpstream
    port: int
    folder: Path
    opened: list[Connection] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def client(self, credentials: Credentials = WRITER, now: datetime | None = None) -> Client:
        now = now or datetime.now(UTC)
        return Client(credentials=credentials, host=self.host, now=now)

    async def connect(self) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        made = Connection(reader, writer)
        self.opened.append(made)
        return made

    async def ask(self, head: RequestHead, body: bytes = b"", *more: tuple[str, str]) -> Reply:
        """One request on a connection of its own."""
        connection = await self.connect()
        with contextlib.suppress(ConnectionError):  # the refusal may be there already
            await connection.send(head, body, *more)
        return await connection.reply(head.method)

    async def signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
        payload: str | None = None,
        credentials: Credentials = WRITER,
    ) -> Reply:
        """A request as an SDK signs it."""
        token = payload or (hashlib.sha256(body).hexdigest() if body else EMPTY_HASH)
        head = self.client(credentials).head(method, path, query, headers, token)
        return await self.ask(head, body)

    def stored(self, key: str) -> bytes | None:
        """The upstream's object under a path of its own."""
        found = self.upstream.objects.get(key)
        return None if found is None else found.data


def written(
    folder: Path, *, port: int, s3: int, payload: str = "passthrough", server: str = ""
) -> Path:
    """The gateway's files; its gateway.yaml. `server` is further settings of that section."""
    for name, value in {
        "session-key": secrets.token_urlsafe(48),
        "upstream-secret": SECRET,
        "writer": WRITER.secret.reveal(),
        "reader": READER.secret.reveal(),
    }.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(value + "\n", "utf-8")
    (folder / "policy.yaml").write_text(POLICY, "utf-8")
    config = folder / "gateway.yaml"
    config.write_text(
        CONFIG.format(
            port=port, s3=s3, key=KEY_ID, payload=payload, server=server and f", {server}"
        ),
        "utf-8",
    )
    return config


@asynccontextmanager
async def served(config: Path, behind: VerifyingUpstream, port: int) -> AsyncIterator[Whole]:
    """The gateway of this file, until the block ends; connections that tests opened are closed then."""
    app = await asyncio.to_thread(App, config)
    await app.start()
    made = Whole(app, behind, port, config.parent)
    try:
        yield made
    finally:
        for connection in made.opened:
            connection.close()
        await app.stop()


@asynccontextmanager
async def whole_gateway(
    folder: Path, *, payload: str = "passthrough", server: str = ""
) -> AsyncIterator[Whole]:
    """Both, on free ports, until the block ends."""
    async with upstream() as behind:
        port = free_port()
        config = written(folder, port=port, s3=behind.port, payload=payload, server=server)
        async with served(config, behind, port) as made:
            yield made
