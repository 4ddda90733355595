"""
The real gateway with the demo's identity provider in front of an S3 server that tests can bend.

All of it runs on loopback in one thread beside the tests, so that they reach the hooks directly.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import struct
import threading
import zlib
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from gateway.app import App
from gateway.demo.idp import Client, IdentityProvider, User
from gateway.demo.world import free_port
from tests.ui.s3 import FakeS3

USERS = tuple(
    User(username=name, password="pw", name=full, email=f"{name}@example.com", groups=groups)
    for name, full, groups in (
        ("ada", "Ada Lovelace", ("staff", "platform")),
        ("bob", "Bob Builder", ("staff",)),
        ("cleo", "Cleo Guest", ("auditors",)),
        ("nil", "Nil Nobody", ("strangers",)),
    )
)

POLICY = """\
rules:
  - name: home folders
    match: {claims: {"cognito:groups": {contains: staff}}}
    grants:
      - {bucket: home, upstream: s3, target: "acme-home/users/${claims.cognito:username}/", credentials: shared, allow: [list, read, write, delete, versions]}
  - name: team data
    match: {claims: {"cognito:groups": {contains: staff}}}
    grants:
      - {bucket: team-data, upstream: s3, target: acme-team, credentials: shared, allow: [list, read, write, delete, versions]}
      - {bucket: inbox, upstream: s3, target: acme-inbox, credentials: shared, allow: [write]}
      - {bucket: shared, upstream: s3, target: acme-shared, credentials: shared, allow: [list, read], keys: ["public/**", "deep/er/place/**"]}
  - name: the archive can be read
    match: {claims: {"cognito:groups": {contains_any: [staff, auditors]}}}
    grants:
      - {bucket: archive, upstream: s3, target: acme-archive, credentials: shared, allow: [list, read]}
  - name: platform team passes through
    match: {claims: {"cognito:groups": {contains: platform}}}
    grants:
      - {bucket: "lab-*", upstream: s3, target: "${bucket}", credentials: shared, allow: ["s3:*"]}
  - name: nobody deletes what is final
    match: {everyone: true}
    denies:
      - {bucket: team-data, keys: ["final/**"], actions: [write, delete]}
"""

CONFIG = """\
server: {{listen: "127.0.0.1:{port}", public_url: {url}}}
admin: {{listen: "127.0.0.1:0"}}
oidc:
  - {{name: acme, config_url: "{issuer}/.well-known/openid-configuration", client_id: pages, client_secret: "${{file:client-secret}}", scope: "", kind: cognito}}
session: {{keys: ["${{file:session-key}}"]}}
state: {{type: memory}}
upstreams: {{s3: {{endpoint: "{s3}", region: us-east-1, addressing: path}}}}
credentials: {{shared: {{type: static, access_key_id: up, secret_access_key: "${{file:upstream-secret}}"}}}}
policies: [policy.yaml]
limits: {{requests_per_second: 2000, concurrent: 256}}
audit: {{path: audit.log}}
log: {{level: error}}
"""


@dataclass
class World:
    """What runs, and how tests reach it."""

    folder: Path
    s3: FakeS3 = field(default_factory=FakeS3)
    url: str = ""
    app: App | None = None
    idp: IdentityProvider | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _ending: asyncio.Event | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), daemon=True)
        self._thread.start()
        ready.result(30)

    def stop(self) -> None:
        assert self._loop is not None and self._ending is not None and self._thread is not None
        self.s3.reset()
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(15)

    def cut(self) -> None:
        """Every connection between a browser and the gateway breaks off, whatever is on it."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        assert self.app is not None
        for connection in list(self.app.serving._clients.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def _run(self, ready: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        upstream = web.AppRunner(self.s3.app(), access_log=None, shutdown_timeout=0.5)
        try:
            await upstream.setup()
            site = web.TCPSite(upstream, "127.0.0.1", 0)
            await site.start()
            s3_url = f"http://127.0.0.1:{upstream.addresses[0][1]}"
            port = free_port()
            self.url = f"http://127.0.0.1:{port}"
            secret = secrets.token_urlsafe(24)
            client = Client(
                client_id="pages",
                client_secret=secret,
                redirect_uris=(f"{self.url}/api/session/auth/",),
                logout_uris=(f"{self.url}/ui/signed-out",),
            )
            self.idp = IdentityProvider(users=USERS, client=client)
            await self.idp.start()
            (self.folder / "policy.yaml").write_text(POLICY, "utf-8")
            config = self.folder / "gateway.yaml"
            for name, value in {
                "client-secret": secret,
                "session-key": secrets.token_urlsafe(48),
                "upstream-secret": secrets.token_urlsafe(24),
            }.items():
                path = self.folder / name
                path.touch(mode=0o600)
                path.write_text(value, "utf-8")
            text = CONFIG.format(port=port, url=self.url, issuer=self.idp.issuer, s3=s3_url)
            config.write_text(text, "utf-8")
            self.app = App(config)
            await self.app.start()
        except BaseException as error:
            ready.set_exception(error)
            raise
        ready.set_result(None)
        await self._ending.wait()
        await self.app.stop()
        await self.idp.stop()
        await upstream.cleanup()

    def seed(self) -> None:
        """What every test finds."""
        s3 = self.s3
        s3.buckets.clear()
        s3._sorted.clear()
        for bucket in (
            "acme-home",
            "acme-team",
            "acme-inbox",
            "acme-shared",
            "acme-archive",
            "lab-one",
            "lab-two",
        ):
            s3.buckets[bucket] = {}
        for name in ("ada", "bob"):
            s3.put(
                "acme-home",
                f"users/{name}/hello.txt",
                f"Hello, {name}.\n".encode(),
                content_type="text/plain",
            )
        s3.put("acme-team", "README.md", README, content_type="text/markdown")
        s3.put("acme-team", "reports/2026/q3.csv", CSV, content_type="text/csv")
        s3.put(
            "acme-team",
            "reports/2026/q3.json",
            b'{"region": "north", "big": 12345678901234567890, "rows": [1, 2, {"a": null}]}',
            content_type="application/json",
        )
        s3.put(
            "acme-team",
            "reports/2026/budget.xlsx",
            b"PK" + b"\0" * 55000,
            content_type="application/vnd.ms-excel",
        )
        s3.put(
            "acme-team",
            "reports/2026/notes.txt",
            b"First line\nsecond line\n" * 20,
            content_type="text/plain",
            x_amz_meta_author="Ada",
            x_amz_meta_note="<b>bold</b>",
        )
        s3.put("acme-team", "reports/2026/january/one.txt", b"1", content_type="text/plain")
        s3.put(
            "acme-team", "reports/2025/summary.txt", b"A good year.\n", content_type="text/plain"
        )
        s3.put(
            "acme-team",
            "code/app.py",
            b"def main():\n    return 'hi'  # a comment\n",
            content_type="text/x-python",
        )
        s3.put("acme-team", "pictures/dot.png", PNG, content_type="image/png")
        s3.put("acme-team", "final/report.txt", b"Final.\n", content_type="text/plain")
        s3.put("acme-shared", "public/open.txt", b"open\n", content_type="text/plain")
        s3.put("acme-shared", "deep/er/place/x.txt", b"x\n", content_type="text/plain")
        s3.put(
            "acme-archive",
            "2024/summary.csv",
            b"year,objects\n2024,1204\n",
            content_type="text/csv",
        )
        s3.put("lab-one", "first.ipynb", b'{"cells": []}', content_type="application/json")


README = b"""# Team data

Everybody in *staff* reads and writes here. See [the report](reports/2026/notes.txt) and <b onclick="x()">this</b>.

- one
- two

![dot](pictures/dot.png)

```python
print("hi")
```
"""
CSV = b"region,revenue,comment\n" + b"".join(
    f'r{n},{n * 7 % 100},"a ""quoted"", one\nwith a break {n}"\n'.encode() for n in range(60)
)


def _png(side: int = 64) -> bytes:
    """A small picture in colours."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = b"".join(
        b"\0" + bytes(part for x in range(side) for part in (x * 4, y * 4, 160))
        for y in range(side)
    )
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


PNG = _png()
