"""
The whole thing on loopback: identity provider, moto's S3 server, seeded buckets and the gateway.

`gateway demo` runs it for people, the tests for themselves. The gateway in it is the real one,
from files like those a deployment has; they are written to a folder that can be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mimetypes
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from moto.server import ThreadedMotoServer

from gateway.app import App
from gateway.demo.idp import Client, IdentityProvider, User

UPSTREAM_KEYS = ("upstream-key", "upstream-secret-of-the-demo")

USERS = (
    User(
        username="ada",
        password="lovelace",
        name="Ada Lovelace",
        email="ada@example.com",
        groups=("staff", "platform"),
    ),
    User(
        username="bob",
        password="builder",
        name="Bob Builder",
        email="bob@example.com",
        groups=("staff",),
    ),
    User(
        username="cleo",
        password="guest",
        name="Cleo Guest",
        email="cleo@example.com",
        groups=("auditors",),
    ),
)
SERVICE_ACCOUNT = ("backup", "BACKUPKEY", "backup-secret-for-the-demo-only-0001")

POLICY = """\
# Who may do what, in the names that clients see. `gateway policy test` runs the tests below.
rules:
  - name: home folders
    match: {claims: {"cognito:groups": {contains: staff}}}
    grants:
      - bucket: home
        upstream: s3
        target: acme-home/users/${claims.sub}/
        credentials: shared
        allow: [list, read, write, delete, versions]

  - name: team data
    match: {claims: {"cognito:groups": {contains: staff}}}
    grants:
      - {bucket: team-data, upstream: s3, target: acme-team-data, credentials: shared, allow: [list, read, write, delete, versions]}

  - name: the archive can be read by all who work here
    match: {claims: {"cognito:groups": {contains_any: [staff, auditors]}}}
    grants:
      - {bucket: archive, upstream: s3, target: acme-archive/public/, credentials: shared, allow: [list, read]}

  - name: platform team passes through
    match: {claims: {"cognito:groups": {contains: platform}}}
    grants:
      - {bucket: "lab-*", upstream: s3, target: "${bucket}", credentials: shared, allow: ["s3:*"]}

  - name: backups
    match: {claims: {groups: {contains: backup}}}
    grants:
      - {bucket: backups, upstream: s3, target: acme-backups, credentials: shared, allow: [list, read, write, delete, versions]}
      - {bucket: "lab-*", upstream: s3, target: "${bucket}", credentials: shared, allow: ["s3:*"]}

  - name: nobody deletes what is final
    match: {everyone: true}
    denies:
      - {bucket: team-data, keys: ["final/**"], actions: [write, delete]}

tests:
  - who: {iss: demo, sub: ada, "cognito:groups": [staff, platform]}
    may: [GetObject home/a.txt, PutObject home/a.txt, ListObjectsV2 home, CreateBucket lab-1]
    may_not: [DeleteObject team-data/final/report.txt]
  - who: {iss: demo, sub: cleo, "cognito:groups": [auditors]}
    may: [GetObject archive/2024/summary.csv]
    may_not: [PutObject archive/x, ListObjectsV2 home]
"""

CONFIG = """\
# The demo's gateway. A real one differs in its addresses and its secrets, not in its shape.
server:
  listen: {listen}
  public_url: {url}
admin: {{listen: "127.0.0.1:0"}}

oidc:
  - name: demo
    config_url: {issuer}/.well-known/openid-configuration
    client_id: {client_id}
    client_secret: ${{file:secrets/client-secret}}
    scope: ""
    kind: cognito

session:
  keys: ["${{file:secrets/session-key}}"]

state: {{type: sqlite, path: state.db}}

upstreams:
  s3: {{endpoint: "{s3}", region: us-east-1, addressing: path}}

credentials:
  shared: {{type: static, access_key_id: {key}, secret_access_key: "${{file:secrets/upstream-secret}}"}}

service_accounts:
  - {{name: {account}, access_key_id: {account_key}, secret_access_key: "${{file:secrets/backup-secret}}", claims: {{groups: [backup]}}}}

policies: [policies/*.yaml]
audit: {{path: audit.log}}
log: {{level: warning, format: text}}
"""

BUCKETS = {
    "ada": ["home", "team-data", "archive", "lab-notebooks"],
    "bob": ["home", "team-data", "archive"],
    "cleo": ["archive"],
    "backup": ["backups", "lab-notebooks"],
}
"""What each is shown by `aws s3 ls`."""

SEED: dict[str, dict[str, bytes]] = {
    "acme-home": {
        "users/{ada}/hello.txt": b"Hello, Ada. Only you can see this folder.\n",
        "users/{ada}/notes/ideas.md": b"# Ideas\n\n- sign in once\n- use **any** S3 tool\n",
        "users/{bob}/hello.txt": b"Hello, Bob. Only you can see this folder.\n",
    },
    "acme-team-data": {
        "README.md": b"# Team data\n\nEverybody in *staff* reads and writes here.\n",
        "reports/2026/q3.csv": b"region,revenue\nnorth,120\nsouth,98\neast,143\nwest,77\n",
        "reports/2026/q3.json": b'{"region": "north", "revenue": 120, "big": 12345678901234567890}\n',
        "reports/2025/summary.txt": b"A good year.\n",
        "final/report.txt": b"Nobody deletes this: see the rule.\n",
    },
    "acme-archive": {
        "public/2024/summary.csv": b"year,objects\n2024,1204\n",
        "internal/secret.txt": b"Outside of every grant's prefix.\n",
    },
    "acme-backups": {"readme.txt": b"Programs write here.\n"},
    "lab-notebooks": {"first.ipynb": b'{"cells": [], "nbformat": 4}\n'},
}


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class World:
    """What runs, and what a user of it needs to know."""

    url: str
    issuer: str
    s3_url: str
    folder: Path
    idp: IdentityProvider
    app: App
    users: tuple[User, ...] = USERS

    def facts(self) -> dict[str, Any]:
        """The same facts that are printed, as one JSON object."""
        account, key, secret = SERVICE_ACCOUNT
        return {
            "url": self.url,
            "issuer": self.issuer,
            "upstream": self.s3_url,
            "folder": str(self.folder),
            "users": [
                {
                    "username": user.username,
                    "password": user.password,
                    "groups": list(user.groups),
                    "subject": user.subject,
                    "buckets": BUCKETS[user.username],
                    "token_url": self.idp.token_url(user),
                }
                for user in self.users
            ],
            "service_accounts": [
                {
                    "name": account,
                    "access_key_id": key,
                    "secret_access_key": secret,
                    "buckets": BUCKETS[account],
                }
            ],
            "buckets": sorted({name for names in BUCKETS.values() for name in names}),
        }


def write_files(
    folder: Path, *, listen: str, url: str, issuer: str, client_id: str, client_secret: str, s3: str
) -> Path:
    """The demo's configuration as a deployment would have it; its gateway.yaml."""
    account, key, secret = SERVICE_ACCOUNT
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    (folder / "secrets").mkdir(exist_ok=True, mode=0o700)
    for name, value in {
        "client-secret": client_secret,
        "session-key": secrets.token_urlsafe(48),
        "upstream-secret": UPSTREAM_KEYS[1],
        "backup-secret": secret,
    }.items():
        path = folder / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(value + "\n", "utf-8")
    (folder / "policies" / "main.yaml").write_text(POLICY, "utf-8")
    config = folder / "gateway.yaml"
    config.write_text(
        CONFIG.format(
            listen=listen,
            url=url,
            issuer=issuer,
            client_id=client_id,
            s3=s3,
            key=UPSTREAM_KEYS[0],
            account=account,
            account_key=key,
        ),
        "utf-8",
    )
    return config


@contextlib.asynccontextmanager
async def open_world(
    *, port: int = 0, folder: Path | None = None, users: tuple[User, ...] = USERS
) -> AsyncIterator[World]:
    """
    Starts all of it on loopback, and ends it.

    `port` is the gateway's; 0 for one that is free. The rest takes what is free. Raises ListenError.
    """
    async with contextlib.AsyncExitStack() as stack:
        if folder is None:
            made = tempfile.TemporaryDirectory(prefix="gateway-demo-")
            folder = Path(stack.enter_context(made))
        port = port or free_port()
        url = f"http://127.0.0.1:{port}"
        s3_url = await stack.enter_async_context(_moto())
        client = Client(
            client_id="demo-client",
            client_secret=secrets.token_urlsafe(24),
            redirect_uris=(f"{url}/api/session/auth/",),
            logout_uris=(f"{url}/ui/signed-out",),
        )
        idp = IdentityProvider(users=users, client=client)
        await idp.start()
        stack.push_async_callback(idp.stop)
        await _seed(s3_url, users)
        config = write_files(
            folder,
            listen=f"127.0.0.1:{port}",
            url=url,
            issuer=idp.issuer,
            client_id=client.client_id,
            client_secret=client.client_secret,
            s3=s3_url,
        )
        app = App(config)
        await app.start()
        stack.push_async_callback(app.stop)
        yield World(
            url=url, issuer=idp.issuer, s3_url=s3_url, folder=folder, idp=idp, app=app, users=users
        )


@contextlib.asynccontextmanager
async def _moto() -> AsyncIterator[str]:
    # moto logs each request; the gateway's audit line tells more.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    await asyncio.to_thread(server.start)
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        await asyncio.to_thread(server.stop)


async def _seed(s3_url: str, users: tuple[User, ...]) -> None:
    """Buckets and a few objects, put there as anybody could: moto asks for no signature."""
    subjects = {user.username: user.subject for user in users}
    names = {name: subjects.get(name, name) for name in ("ada", "bob")}
    async with aiohttp.ClientSession(headers={"Authorization": _ANY_SIGNATURE}) as session:
        for bucket, objects in SEED.items():
            await _put(session, f"{s3_url}/{bucket}", b"")
            await _put(session, f"{s3_url}/{bucket}?versioning", _VERSIONED)
            for key, data in objects.items():
                await _put(session, f"{s3_url}/{bucket}/{key.format(**names)}", data)


async def _put(session: aiohttp.ClientSession, url: str, data: bytes) -> None:
    kind = mimetypes.guess_type(url)[0] or "application/octet-stream"
    async with session.put(url, data=data, headers={"Content-Type": kind}) as answer:
        answer.raise_for_status()


_VERSIONED = (
    b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<Status>Enabled</Status></VersioningConfiguration>"
)
_ANY_SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=seed/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
