"""Programs that a deployment consists of, started for tests and ended by their ids."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.demo.idp import Client, IdentityProvider
from gateway.demo.world import USERS, free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KEY, SECRET = "BACKUPKEY", "backup-secret-for-tests-only-0001"

POLICY = """
rules:
  - name: programs
    match: {claims: {groups: {contains: backup}}}
    grants:
      - {bucket: backups, upstream: s3, target: acme/team/, credentials: up, allow: [list, read, write, delete]}
  - name: people
    match: {claims: {"cognito:groups": {contains: staff}}}
    grants:
      - {bucket: home, upstream: s3, target: "acme/home/${claims.cognito:username}/", credentials: up, allow: [list, read, write, delete]}
  - name: anybody may read what is public
    match: {anonymous: true}
    grants:
      - {bucket: public, upstream: s3, target: acme/public/, credentials: up, allow: [read]}
"""
CONFIG = """
server:
  listen: 127.0.0.1:{port}
  public_url: {url}
  trusted_proxies: [127.0.0.1]
  {more}
admin: {{listen: "127.0.0.1:{admin}"}}
{oidc}
session: {{keys: ["${{file:session}}"]}}
state: {{type: memory}}
upstreams:
  s3: {{endpoint: "{s3}", region: us-east-1, addressing: path}}
credentials:
  up: {{type: static, access_key_id: upstream-key, secret_access_key: "${{file:upstream}}"}}
service_accounts:
  - {{name: backup, access_key_id: {key}, secret_access_key: "${{file:account}}", claims: {{groups: [backup]}}}}
policies: [policy.yaml]
audit: {{path: audit.log}}
log: {{level: warning, format: text}}
"""


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """Until somebody listens. Raises RuntimeError when the program has ended instead."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on {port}")


@contextlib.contextmanager
def program(
    *command: str, port: int, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that listens on `port` while the block runs."""
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(env or {})})
    try:
        wait_for(port, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


OIDC = """
oidc:
  - name: demo
    config_url: {config_url}
    client_id: {client_id}
    client_secret: "${{file:client}}"
    scope: ""
    kind: cognito
"""


@contextlib.contextmanager
def identity_provider(*public_urls: str) -> Iterator[IdentityProvider]:
    """The demo's provider, in a thread of its own; its client may come back to each of the addresses."""
    client = Client(
        client_id="demo-client-id",
        client_secret="demo-client-secret-0001",
        redirect_uris=tuple(f"{url}/api/session/auth/" for url in public_urls),
        logout_uris=tuple(f"{url}/ui/signed-out" for url in public_urls),
    )
    provider = IdentityProvider(users=USERS, client=client)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(provider.start(), loop).result(10)
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(provider.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass(frozen=True)
class Gateway:
    """A running gateway and the folder it was started in."""

    port: int
    admin: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def written(
    folder: Path,
    s3: str,
    *,
    more: str = "",
    public_url: str = "",
    provider: IdentityProvider | None = None,
) -> Gateway:
    """
    The gateway's files, for ports that are free; it does not run yet.

    `more` is added to the section `server`; without `public_url` it is the gateway's own address.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, admin = free_port(), free_port()
    (folder / "policy.yaml").write_text(POLICY)
    secrets = {
        "session": os.urandom(32).hex(),
        "upstream": "upstream-secret-0001",
        "account": SECRET,
    }
    oidc = ""
    if provider is not None:
        secrets["client"] = provider.client.client_secret
        oidc = OIDC.format(config_url=provider.config_url, client_id=provider.client.client_id)
    for name, value in secrets.items():
        (folder / name).write_text(value)
    (folder / "gateway.yaml").write_text(
        CONFIG.format(
            port=port,
            url=public_url or f"http://127.0.0.1:{port}",
            admin=admin,
            oidc=oidc,
            s3=s3,
            key=KEY,
            more=more,
        )
    )
    return Gateway(port, admin, folder)


@contextlib.contextmanager
def gateway(folder: Path, s3: str, **settings: Any) -> Iterator[Gateway]:
    """The gateway of `written`, as `gateway serve` runs it."""
    made = written(folder, s3, **settings)
    with served(made):
        yield made


@contextlib.contextmanager
def served(made: Gateway) -> Iterator[subprocess.Popen[bytes]]:
    """`gateway serve` with the files that are there."""
    command = (sys.executable, "-m", "gateway", "serve", "--config", "gateway.yaml")
    with program(*command, port=made.port, cwd=made.folder) as process:
        yield process


NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


@contextlib.contextmanager
def nginx(
    folder: Path, name: str, changes: dict[str, str], port: int | None = None
) -> Iterator[str]:
    """nginx with a shipped configuration, without TLS on `port` or a free one; its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    text = (DEPLOY / "nginx" / name).read_text()
    text = text.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};")
    lines = [
        line
        for line in text.splitlines()
        if not line.strip().startswith(("ssl_certificate", "resolver ", "proxy_ssl_"))
    ]
    text = "\n".join(lines).replace("/etc/nginx/gateway-", str(DEPLOY / "nginx/gateway-"))
    for old, new in changes.items():
        assert old in text, f"{name} no longer holds {old!r}"
        text = text.replace(old, new)
    main = f"""
        daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid;
        error_log {folder}/error.log info;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            {text}
        }}
    """
    (folder / "nginx.conf").write_text(main)
    with program(
        NGINX,
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        str(folder / "error.log"),
        port=port,
    ):
        yield f"http://127.0.0.1:{port}"
