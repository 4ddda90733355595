"""
What is measured: an upstream, nginx in front of it, the gateway in front of it, and their files.

The upstream is nginx serving files (and taking them by PUT), so that it never is the slowest; its
second port speaks TLS with a certificate made for the run. Lists come from `benchmarks.listing`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from benchmarks.processes import Program, Programs, free_port

KEY_ID = "BENCHKEY"
SECRET = "bench-secret-0123456789-abcdef"
SESSION_KEY = "bench-session-key-0123456789-0123456789-abc"
ENVIRONMENT = {
    "BENCH_SESSION_KEY": SESSION_KEY,
    "BENCH_SECRET": SECRET,
    "BENCH_UPSTREAM_SECRET": "upstream-secret",
    # As where it is installed: modules are compiled once, not at each start, whatever the shell says.
    "PYTHONDONTWRITEBYTECODE": "",
}
SMALL = 1024
BIG = 256 * 1024 * 1024
WORKER_CONNECTIONS = 8192
RULES_A_FILE = 2000  # a file of policies may have a megabyte

_NGINX = """
{user} worker_processes 1; daemon off; pid {name}.pid; error_log {name}.err;
events {{ worker_connections {connections}; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000;
  default_type binary/octet-stream; client_max_body_size 0; client_body_temp_path {name}.body;
  proxy_temp_path {name}.proxy; fastcgi_temp_path {name}.f; uwsgi_temp_path {name}.u; scgi_temp_path {name}.s;
{servers}
}}
"""
_UPSTREAM = """
  server {{
    listen 127.0.0.1:{plain} backlog=8192; listen 127.0.0.1:{tls} ssl backlog=8192;
    ssl_certificate server.pem; ssl_certificate_key server.key; ssl_protocols TLSv1.2 TLSv1.3;
    root {root}; dav_methods PUT; create_full_put_path on;
  }}
"""
_PROXY = """
  upstream plain {{ server 127.0.0.1:{plain}; keepalive 64; keepalive_requests 1000000; }}
  upstream secure {{ server 127.0.0.1:{tls}; keepalive 64; keepalive_requests 1000000; }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off;
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location /bkt/ {{ proxy_pass http://plain; }}
    location /tls/ {{ proxy_pass https://secure/bkt/; proxy_ssl_trusted_certificate ca.pem;
      proxy_ssl_verify on; proxy_ssl_name localhost; proxy_ssl_server_name on; }}
  }}
"""
_GATEWAY = """
server: {{listen: "127.0.0.1:{port}", public_url: "{public}", connections: 20000{more}}}
admin: {{listen: "127.0.0.1:{admin}"}}
oidc:
  - {{name: bench, issuer: "http://127.0.0.1:9", audiences: [bench]}}
session: {{keys: ["${{env:BENCH_SESSION_KEY}}"]}}
state: {{{state}}}
upstreams:
  plain: {{endpoint: "http://127.0.0.1:{plain}", addressing: path, payload: decode}}
  chunks: {{endpoint: "http://127.0.0.1:{plain}", addressing: path}}
  secure: {{endpoint: "https://localhost:{tls}", addressing: path, ca: ca.pem, payload: decode}}
  lists: {{endpoint: "http://127.0.0.1:{lists}", addressing: path}}
credentials:
  shared: {{type: static, access_key_id: UPSTREAM, secret_access_key: "${{env:BENCH_UPSTREAM_SECRET}}"}}
service_accounts:
  - {{name: bench, access_key_id: {key_id}, secret_access_key: "${{env:BENCH_SECRET}}", claims: {{groups: [bench]}}}}
policies: ["policy*.yaml"]
limits: {{requests_per_second: 1000000, concurrent: 100000}}
audit: {{path: audit.log}}
log: {{level: warning, format: text}}
"""
_OFFLOAD = """
  upstream plain {{ server 127.0.0.1:{plain}; keepalive 64; keepalive_requests 1000000; }}
  upstream gateway {{ server 127.0.0.1:{gateway}; keepalive 64; keepalive_requests 1000000; }}
  proxy_http_version 1.1; proxy_buffering off;
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location / {{ proxy_pass http://gateway; proxy_set_header Connection ""; proxy_set_header Host $http_host; }}
    location = /_s3 {{
      internal;
      set $uri_there $upstream_http_x_s3_uri; set $signed $upstream_http_x_s3_authorization;
      set $date $upstream_http_x_s3_date; set $digest $upstream_http_x_s3_content_sha256;
      proxy_pass http://plain$uri_there;
      proxy_set_header Connection ""; proxy_set_header Host 127.0.0.1:{plain};
      proxy_set_header Authorization $signed;
      proxy_set_header X-Amz-Date $date; proxy_set_header X-Amz-Content-Sha256 $digest;
    }}
  }}
"""
_RULE = """
  - name: rule-{number}
    match: {{claims: {{groups: {{contains: team-{number}}}}}}}
    grants: [{{bucket: team-{number}, upstream: plain, target: "team/{number}/", credentials: shared, allow: [list, read, write]}}]
"""
_POLICY = """
rules:
  - name: bench
    match: {claims: {groups: {contains: bench}}}
    grants:
      - {bucket: data, upstream: plain, target: bkt, credentials: shared, allow: [list, read, write, delete]}
      - {bucket: chunks, upstream: chunks, target: bkt, credentials: shared, allow: [list, read, write]}
      - {bucket: tls, upstream: secure, target: bkt, credentials: shared, allow: [list, read, write, delete]}
      - {bucket: listed, upstream: lists, target: "store/users/0123456789/", credentials: shared, allow: [list, read]}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything under way. URLs end without a slash."""

    folder: Path
    upstream: Program
    nginx: Program
    gateway: Program
    nginx_url: str
    gateway_url: str
    plain_port: int
    tls_port: int
    list_port: int


def files(folder: Path) -> None:
    """The objects, and the certificate of the upstream."""
    bucket = folder / "www" / "bkt"
    bucket.mkdir(parents=True)
    (bucket / "small").write_bytes(bytes(range(256)) * (SMALL // 256))
    piece = bytes(range(256)) * 4096
    with (bucket / "big").open("wb") as big:
        for _ in range(BIG // len(piece)):
            big.write(piece)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(folder / "server.pem", append=number > 0)


def nginx(programs: Programs, folder: Path, name: str, servers: str, port: int) -> Program:
    """One nginx with one worker."""
    user = "user root;" if os.geteuid() == 0 else ""  # else it could not read what we wrote
    text = _NGINX.format(user=user, name=name, connections=WORKER_CONNECTIONS, servers=servers)
    (folder / f"{name}.conf").write_text(text)
    command = ["nginx", "-p", str(folder), "-c", f"{name}.conf"]
    return programs.start(name, command, port=port, folder=folder, worker=True)


def policy(folder: Path, rules: int) -> None:
    """The policy files: what is measured, and as many rules of others as it takes."""
    for old in folder.glob("policy-*.yaml"):
        old.unlink()
    (folder / "policy.yaml").write_text(_POLICY)
    for first in range(0, rules - 1, RULES_A_FILE):
        numbers = range(first, min(first + RULES_A_FILE, rules - 1))
        others = "".join(_RULE.format(number=number) for number in numbers)
        (folder / f"policy-{first}.yaml").write_text("rules:\n" + others)


def configuration(
    url: str,
    *,
    plain: int,
    tls: int,
    lists: int,
    public: str = "",
    more: str = "",
    state: str = "type: memory",
) -> str:
    """The gateway.yaml of a gateway at `url`, with `more` in its `server`."""
    return _GATEWAY.format(
        port=urlsplit(url).port,
        public=public or url,
        more=more,
        state=state,
        admin=free_port(),
        plain=plain,
        tls=tls,
        lists=lists,
        key_id=KEY_ID,
    )


def gateway(
    programs: Programs,
    folder: Path,
    *,
    plain: int,
    tls: int,
    lists: int,
    name: str = "gateway",
    public: str = "",
    more: str = "",
    state: str = "type: memory",
) -> tuple[Program, str]:
    """The gateway with static credentials and an audit log in a file, `more` in its `server`; and its URL."""
    url = f"http://127.0.0.1:{free_port()}"
    text = configuration(
        url, plain=plain, tls=tls, lists=lists, public=public, more=more, state=state
    )
    (folder / f"{name}.yaml").write_text(text)
    command = [sys.executable, "-m", "gateway", "serve", "--config", f"{name}.yaml"]
    port = urlsplit(url).port or 80
    program = programs.start(name, command, port=port, folder=folder, env=ENVIRONMENT)
    return program, url


def offloading(programs: Programs, under: Scene) -> tuple[Program, Program, str]:
    """A gateway that lets nginx move objects (`server.offload: x-accel`), that nginx, and its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ours, behind = gateway(
        programs,
        under.folder,
        plain=under.plain_port,
        tls=under.tls_port,
        lists=under.list_port,
        name="offloading",
        public=url,
        more=", trusted_proxies: [127.0.0.1], offload: x-accel, offload_location: /_s3",
    )
    served = _OFFLOAD.format(plain=under.plain_port, gateway=behind.rpartition(":")[2], port=port)
    return ours, nginx(programs, under.folder, "mover", served, port), url


def raise_scene(programs: Programs, folder: Path) -> Scene:
    """Starts all of it in `folder`. Raises RuntimeError where a program does not come up."""
    files(folder)
    policy(folder, 1)
    plain, tls, proxy, lists = (free_port() for _ in range(4))
    served = _UPSTREAM.format(plain=plain, tls=tls, root=folder / "www")
    upstream = nginx(programs, folder, "upstream", served, plain)
    proxied = _PROXY.format(plain=plain, tls=tls, port=proxy)
    beside = nginx(programs, folder, "nginx", proxied, proxy)
    command = [sys.executable, "-m", "benchmarks.listing", str(lists)]
    env = {"PYTHONPATH": str(Path(__file__).parents[1])}
    programs.start("lists", command, port=lists, folder=folder, env=env)
    ours, url = gateway(programs, folder, plain=plain, tls=tls, lists=lists)
    return Scene(
        folder=folder,
        upstream=upstream,
        nginx=beside,
        gateway=ours,
        nginx_url=f"http://127.0.0.1:{proxy}",
        gateway_url=url,
        plain_port=plain,
        tls_port=tls,
        list_port=lists,
    )
