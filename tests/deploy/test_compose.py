"""compose.yaml without an engine: its files are taken as they are, and its four services work together as processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest
import trustme
import yaml
from botocore.config import Config
from moto.server import ThreadedMotoServer

from gateway.config.load import load
from gateway.demo.world import free_port
from gateway.snapshot import Snapshot
from tests.deploy import running

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def mounts(service: str) -> dict[str, Path]:
    """Files of the repository by their places in the container."""
    pairs = (volume.split(":") for volume in COMPOSE["services"][service]["volumes"])
    return {parts[1]: ROOT / parts[0] for parts in pairs if parts[0].startswith("./")}


def laid_out(folder: Path, changes: dict[str, str]) -> Path:
    """What the gateway's container is given; its gateway.yaml. `changes` are the names of other services."""
    secrets = folder / "secrets"
    secrets.mkdir()
    for name in COMPOSE["services"]["gateway"]["secrets"]:
        (secrets / name).write_text(os.urandom(36).hex() + "\n")
    (folder / "policies").mkdir()
    for place, path in mounts("gateway").items():
        text = path.read_text("utf-8").replace("/run/secrets", str(secrets))
        for old, new in changes.items():
            text = text.replace(old, new)
        (folder / place.removeprefix("/etc/gateway/")).write_text(text)
    return folder / "gateway.yaml"


def test_the_composed_gateway_reads_its_configuration(tmp_path):
    """Configuration, policies and secrets where compose.yaml mounts them; the policies' own tests pass."""
    snapshot = Snapshot.build(load(laid_out(tmp_path, {}), environ={}))

    assert snapshot.config.state.type == "redis"
    assert len(snapshot.policy.tests) > 1


def test_what_compose_mounts_is_there_or_said_to_be_made():
    """Every file that compose.yaml mounts from the repository exists, secrets and certificates apart."""
    mounted = [place for name in ("gateway", "nginx") for place in mounts(name).values()]
    said = (ROOT / "compose.yaml").read_text("utf-8").partition("services:")[0]

    assert mounted
    for path in mounted:
        assert path.exists() or f"mkdir -p {path.relative_to(ROOT)}" in said, path
    for name in COMPOSE["secrets"]:
        assert name in said.partition("for s in ")[2].partition(";")[0].split()


@pytest.mark.real
@pytest.mark.timeout(90)
@pytest.mark.skipif(
    not Path(running.NGINX).exists() or shutil.which("redis-server") is None,
    reason="nginx or Redis is not installed",
)
def test_the_four_services_work_together(tmp_path):
    """nginx with TLS, the gateway, Redis and an S3 server: upload and download with the program's key."""
    ports = {name: free_port() for name in ("redis", "gateway", "admin", "nginx")}
    with ExitStack() as stack:
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        storage = f"127.0.0.1:{moto.get_host_and_port()[1]}"
        redis = ("redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1")
        _, *arguments = COMPOSE["services"]["redis"]["command"]
        stack.enter_context(running.program(*redis, *arguments, port=ports["redis"], cwd=tmp_path))
        (tmp_path / "gateway").mkdir()
        config = laid_out(
            tmp_path / "gateway",
            {
                "redis://redis:6379": f"redis://127.0.0.1:{ports['redis']}",
                "http://s3:9000": f"http://{storage}",
                "0.0.0.0:8080": f"127.0.0.1:{ports['gateway']}",
                "127.0.0.1:9090": f"127.0.0.1:{ports['admin']}",
                "https://localhost:8443": f"https://localhost:{ports['nginx']}",
                "172.16.0.0/12": "127.0.0.1",
            },
        )
        command = (sys.executable, "-m", "gateway", "serve")
        environment = {"GATEWAY_CONFIG": str(config)}  # as the image sets it
        stack.enter_context(
            running.program(*command, port=ports["gateway"], cwd=tmp_path, env=environment)
        )
        authority = certificate(tmp_path)
        conf = mounts("nginx")["/etc/nginx/nginx.conf"].read_text("utf-8")
        for old, new in {
            "gateway:8080": f"127.0.0.1:{ports['gateway']}",
            "listen 8443": f"listen 127.0.0.1:{ports['nginx']}",
            "/tls/": f"{tmp_path}/",
            "access_log off;": " ".join(
                f"{kind}_temp_path {tmp_path}/{kind};"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
        }.items():
            assert old in conf
            conf = conf.replace(old, new)
        (tmp_path / "nginx.conf").write_text(f"daemon off; pid {tmp_path}/pid;\n{conf}")
        nginx = (running.NGINX, "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "errors"))
        stack.enter_context(running.program(*nginx, port=ports["nginx"]))

        secret = (tmp_path / "gateway/secrets/s3-secret").read_text().strip()
        options = {"region_name": "us-east-1", "config": Config(s3={"addressing_style": "path"})}
        boto3.client(
            "s3",
            endpoint_url=f"http://{storage}",
            aws_access_key_id="gateway",
            aws_secret_access_key=secret,
            **options,
        ).create_bucket(Bucket="acme-backups")
        client = boto3.client(
            "s3",
            endpoint_url=f"https://localhost:{ports['nginx']}",
            aws_access_key_id="BACKUPKEY",
            aws_secret_access_key=(tmp_path / "gateway/secrets/backup").read_text().strip(),
            verify=str(authority),
            **options,
        )
        data = os.urandom(3_000_000)
        client.put_object(Bucket="backups", Key="monday.tar", Body=data, Metadata={"a_b": "c"})
        got = client.get_object(Bucket="backups", Key="monday.tar")
        health = subprocess.run(
            [sys.executable, "-m", "gateway", "health"],  # the image's HEALTHCHECK
            env={**os.environ, "GATEWAY_HEALTH_URL": f"http://127.0.0.1:{ports['admin']}/readyz"},
            capture_output=True,
            text=True,
            timeout=20,
        )

        assert (got["Body"].read() == data, got["Metadata"]) == (True, {"a_b": "c"})
        assert health.returncode == 0, health.stderr


def certificate(folder: Path) -> Path:
    """tls.crt and tls.key for localhost; the authority's file."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(folder / "tls.key"))
    for part in issued.cert_chain_pems:
        part.write_to_path(str(folder / "tls.crt"), append=True)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem"
