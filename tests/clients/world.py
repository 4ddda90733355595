"""
The servers of the matrix: an S3 server, a provider, and `gateway serve` in a process of its own.

All on loopback, on free ports, ended by pid. The gateway's files are those of a deployment; over
TLS its certificate is of an authority made for the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import trustme
from moto.server import ThreadedMotoServer

from gateway.demo.idp import Client, IdentityProvider, User
from gateway.demo.world import free_port
from gateway.identity import Credentials, Secret
from tests.servers import ceph
from tests.sigv4 import clients as signers

BUCKET = "data"
TARGET = "matrix-store"  # the bucket upstream
SERVICE = ("MATRIXSERVICE", "matrix-service-secret-0123456789-abcdef")
ADA = User(
    username="ada", password="lovelace", name="Ada", email="ada@example.com", groups=("staff",)
)
UP_SECONDS = 30.0
VERSIONED = (
    b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<Status>Enabled</Status></VersioningConfiguration>"
)

CONFIG = """\
server:
  listen: 127.0.0.1:{port}
  public_url: {url}
  drain: 1s
{tls}
admin: {{listen: []}}
oidc:
  - name: demo
    config_url: {config_url}
    client_id: matrix
    client_secret: ${{file:client-secret}}
    scope: ""
    kind: cognito
session: {{keys: ["${{file:session-key}}"]}}
state: {{type: sqlite, path: state.db}}
upstreams:
  s3: {{endpoint: "{s3}", region: us-east-1, addressing: path, payload: {payload}}}
credentials:
  shared: {{type: static, access_key_id: "{key}", secret_access_key: "${{file:upstream-secret}}"}}
service_accounts:
  - {{name: matrix, access_key_id: {account}, secret_access_key: "${{file:account-secret}}", claims: {{"cognito:groups": [staff]}}}}
policies: [policy.yaml]
audit: {{path: audit.log}}
log: {{level: info, format: text}}
"""
POLICY = """\
rules:
  - name: the matrix
    match: {claims: {"cognito:groups": {contains: staff}}}
    grants:
      - {bucket: data, upstream: s3, target: matrix-store/below/here/, credentials: shared, allow: [list, read, write, delete, versions]}
"""


@dataclass(frozen=True)
class Server:
    """An S3 server that runs, and what it needs of the gateway."""

    name: str
    url: str
    access_key: str
    secret_key: str
    payload: str
    """The upstream's `payload` setting."""
    versioned: bool = False


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs, and who may use it."""

    url: str
    ca: Path | None
    """The authority behind its certificate; None over plain HTTP."""
    credentials: dict[str, Credentials]
    """By kind: service, personal, temporary."""


@contextlib.contextmanager
def moto() -> Iterator[Server]:
    """
    moto's S3 server: verifies nothing, knows everything.

    With versions: without, it names a version `null` that it then refuses to be asked for.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Server(
            "moto", f"http://{host}:{port}", "any-key", "any-secret", "passthrough", versioned=True
        )
    finally:
        server.stop()


@contextlib.contextmanager
def radosgw() -> Iterator[Server]:
    """Ceph 16: verifies signatures and hashes, and knows no trailers."""
    with ceph.running() as made:
        yield Server("ceph", made.url, made.access_key, made.secret_key, "decode")


SERVERS = {"moto": moto, "ceph": radosgw}


@contextlib.asynccontextmanager
async def gateway(server: Server, *, tls: bool) -> AsyncIterator[Gateway]:
    """A gateway process before `server`, with a bucket and the three kinds of credentials."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="matrix-gateway-")))
        port = free_port()
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        ca = _certificate(folder) if tls else None
        client = Client(
            client_id="matrix",
            client_secret=secrets.token_urlsafe(24),
            redirect_uris=(f"{url}/api/session/auth/",),
        )
        provider = IdentityProvider(users=(ADA,), client=client)
        await provider.start()
        stack.push_async_callback(provider.stop)
        await _make_bucket(server)
        _write(folder, server, port, url, provider.config_url, client.client_secret, tls)
        stack.enter_context(_process(folder, port))
        credentials = await _credentials(url, ca, provider)
        yield Gateway(url=url, ca=ca, credentials=credentials)


def _certificate(folder: Path) -> Path:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(folder / "cert.pem", append=number > 0)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return folder / "ca.pem"


def _write(
    folder: Path, server: Server, port: int, url: str, config_url: str, client: str, tls: bool
) -> None:
    for name, value in {
        "client-secret": client,
        "session-key": secrets.token_urlsafe(48),
        "upstream-secret": server.secret_key,
        "account-secret": SERVICE[1],
    }.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(value + "\n", "utf-8")
    if tls:
        (folder / "key.pem").chmod(0o600)
    (folder / "policy.yaml").write_text(POLICY, "utf-8")
    text = CONFIG.format(
        port=port,
        url=url,
        tls="  tls: {certificate: cert.pem, key: key.pem}" if tls else "",
        config_url=config_url,
        s3=server.url,
        payload=server.payload,
        key=server.access_key,
        account=SERVICE[0],
    )
    (folder / "gateway.yaml").write_text(text, "utf-8")


@contextlib.contextmanager
def _process(folder: Path, port: int) -> Iterator[None]:
    log = folder / "gateway.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--config", str(folder / "gateway.yaml")],
            stdout=out,
            stderr=out,
            env={name: value for name, value in os.environ.items() if "AWS" not in name},
        )
    try:
        _until_listening(child, port, log)
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _until_listening(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + UP_SECONDS
    while time.monotonic() < end:
        if child.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the gateway did not come up:\n{log.read_text('utf-8')[-4000:]}")


async def _make_bucket(server: Server) -> None:
    signer = signers.Client(
        credentials=Credentials(access_key_id=server.access_key, secret=Secret(server.secret_key)),
        now=datetime.now(UTC),
        host=server.url.partition("://")[2],
    )
    calls = [signer.head("PUT", f"/{TARGET}")]
    if server.versioned:
        digest = hashlib.sha256(VERSIONED).hexdigest()
        calls.append(signer.head("PUT", f"/{TARGET}", query=[("versioning", "")], payload=digest))
    async with aiohttp.ClientSession() as session:
        for head, body in zip(calls, (b"", VERSIONED), strict=False):
            url = f"{server.url}{head.target}"
            async with session.put(url, data=body, headers=list(head.headers.pairs)) as answer:
                if answer.status not in (200, 409):
                    raise RuntimeError(await answer.text())


async def _credentials(
    url: str, ca: Path | None, provider: IdentityProvider
) -> dict[str, Credentials]:
    """As people and programs get them: configured, made in a sign-in session, asked of STS."""
    trust = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca) if ca else True)
    jar = aiohttp.CookieJar(unsafe=True)  # takes cookies of an IP address
    async with aiohttp.ClientSession(connector=trust, cookie_jar=jar) as session:
        return {
            "service": Credentials(access_key_id=SERVICE[0], secret=Secret(SERVICE[1])),
            "personal": await _personal(session, url),
            "temporary": await _temporary(session, url, provider.id_token(ADA.username)),
        }


async def _personal(session: aiohttp.ClientSession, url: str) -> Credentials:
    async with session.get(f"{url}/api/session/auth") as page:
        form = page.url
    async with session.post(form, data={"username": ADA.username, "password": ADA.password}) as end:
        end.raise_for_status()
    proof = {"X-Gateway-CSRF": "1", "Origin": url}
    wanted = {"name": "matrix", "lifetime": "1d"}
    async with session.post(f"{url}/api/keys", json=wanted, headers=proof) as answer:
        made = await answer.json(content_type=None)
        if answer.status != 201:
            raise RuntimeError(f"no personal key: {made}")
    return Credentials(access_key_id=made["id"], secret=Secret(made["secret"]))


async def _temporary(session: aiohttp.ClientSession, url: str, token: str) -> Credentials:
    call = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::000000000000:role/matrix",
        "RoleSessionName": "matrix",
        "WebIdentityToken": token,
    }
    async with session.post(f"{url}/", data=call) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"no temporary credentials: {body.decode()}")
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    key, secret, held = (re.findall(f"<{name}>([^<]+)<", body.decode())[0] for name in names)
    return Credentials(access_key_id=key, secret=Secret(secret), session_token=Secret(held))
