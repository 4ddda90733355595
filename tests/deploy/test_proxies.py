"""Caddy, Traefik and Envoy with the shipped configurations: S3 as it came, and an application that learns who is there."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from gateway.demo.idp import IdentityProvider
from gateway.demo.world import free_port
from tests.deploy import running, tools
from tests.deploy.browser import SAME_ORIGIN, Browser
from tests.deploy.recorder import Recorder
from tests.deploy.running import DEPLOY, KEY, SECRET
from tests.deploy.test_decisions import raw
from tests.deploy.test_nginx_end_to_end import KEYS, client

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]  # seconds: the first run downloads them
BASIC = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
PROXIES = ["caddy", "traefik", "envoy"]


@dataclass(frozen=True)
class World:
    """One proxy: S3 under one name of this machine, the application under the other."""

    name: str
    s3: str
    app: str
    application: Recorder
    gateway: running.Gateway
    provider: IdentityProvider


def adapted(name: str, folder: Path, port: int, gateway: int, application: int) -> list[str]:
    """The command that runs a shipped configuration on loopback, without TLS."""
    text = {
        path.name: path.read_text("utf-8")
        .replace("127.0.0.1:8080", f"127.0.0.1:{gateway}")
        .replace("127.0.0.1:3000", f"127.0.0.1:{application}")
        for path in (DEPLOY / name).iterdir()
    }
    match name:
        case "caddy":
            options = "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n"
            text["Caddyfile"] = (
                text["Caddyfile"]
                .replace("\n{\n", "\n" + options, 1)
                .replace(
                    "# expected_underscore_headers x-amz-meta-my_name",
                    "expected_underscore_headers x-amz-meta-a_*",
                )
                .replace("\ns3.example.com {", f"\nhttp://127.0.0.1:{port} {{")
                .replace("\napp.example.com {", f"\nhttp://localhost:{port} {{")
            )
            command = ["run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
        case "traefik":
            text["traefik.yaml"] = (
                text["traefik.yaml"]
                .replace('":443"', f'"127.0.0.1:{port}"')
                .replace("      tls: {}\n", "")
                .replace("/etc/traefik", str(folder))
            )
            text["dynamic.yaml"] = (
                text["dynamic.yaml"]
                .replace("`s3.example.com`", "`127.0.0.1`")
                .replace("`app.example.com`", "`localhost`")
                .replace("__Host-session", "session")
            )
            command = [f"--configFile={folder / 'traefik.yaml'}"]
        case _:
            text["envoy.yaml"] = (
                text["envoy.yaml"]
                .replace("0.0.0.0, port_value: 8443", f"127.0.0.1, port_value: {port}")
                .replace("port_value: 8080", f"port_value: {gateway}")
                .replace("port_value: 3000", f"port_value: {application}")
                .replace("[s3.example.com]", f'["127.0.0.1:{port}"]')
                .replace("[app.example.com]", f'["localhost:{port}"]')
                .replace("value: app.example.com", f'value: "localhost:{port}"')
            )
            command = ["--config-path", str(folder / "envoy.yaml"), "--concurrency", "1"]
            command += ["--log-level", "error", "--use-dynamic-base-id"]
    for file, content in text.items():
        (folder / file).write_text(content)
    return [tools.wheel(name), *command]


@pytest.fixture(scope="module", params=PROXIES)
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp(request.param)
    port = free_port()
    with ExitStack() as stack:
        app = f"http://localhost:{port}"
        provider = stack.enter_context(running.identity_provider(app))
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        storage = f"http://127.0.0.1:{moto.get_host_and_port()[1]}"
        client(storage).create_bucket(Bucket="acme")
        application = Recorder()
        stack.callback(application.close)
        gateway = stack.enter_context(
            running.gateway(
                folder / "gateway",
                storage,
                more="hosts: [127.0.0.1]",
                public_url=app,
                provider=provider,
            )
        )
        command = adapted(request.param, folder, port, gateway.port, application.port)
        environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        stack.enter_context(running.program(*command, port=port, cwd=folder, env=environment))
        for _ in range(100):  # Traefik listens before it knows its routes
            if (
                Browser()
                .open(f"http://127.0.0.1:{port}/public/x", headers={})
                .body.startswith(b"<?xml")
            ):
                break
            time.sleep(0.1)
        yield World(request.param, f"http://127.0.0.1:{port}", app, application, gateway, provider)


def test_prx_7_every_awkward_key_is_its_own_object(world):
    """Signed for the proxy's own host and port; stored, found, ranged, deleted; an underscore in a signed name."""
    through, direct = client(world.s3), client(world.gateway.url)
    refused = []
    for number, key in enumerate(KEYS):
        data = os.urandom(5000) + str(number).encode()
        place = {"Bucket": "backups", "Key": f"k/{key}"[:1000]}
        try:
            through.put_object(**place, Body=data, Metadata={"a_b": str(number)})
            whole = direct.get_object(**place)
            some = through.get_object(**place, Range="bytes=5-1999")["Body"].read()
            through.delete_object(**place)
        except Exception as problem:
            refused.append((key, str(problem)))
            continue
        assert whole["Metadata"] == {"a_b": str(number)}
        assert (key, whole["Body"].read() == data, some == data[5:2000]) == (key, True, True)
    assert refused == []


def test_a_large_upload_comes_back_as_it_was(world):
    """In parts, both ways."""
    data = os.urandom(12_000_000)
    through = client(world.s3)
    upload = through.create_multipart_upload(Bucket="backups", Key="large")["UploadId"]
    place = {"Bucket": "backups", "Key": "large", "UploadId": upload}
    parts = [
        {
            "PartNumber": number,
            "ETag": through.upload_part(**place, PartNumber=number, Body=part)["ETag"],
        }
        for number, part in ((1, data[:6_000_000]), (2, data[6_000_000:]))
    ]
    through.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})

    assert through.get_object(Bucket="backups", Key="large")["Body"].read() == data


@pytest.mark.parametrize("target", ["/backups/x/../a", "/backups/x/%2e%2e/a", "/backups/a%00b"])
def test_pth_3_what_could_climb_is_refused(world, target):
    """By the gateway, in S3's words, or by the proxy; nothing is resolved on the way."""
    host = world.s3.partition("//")[2]
    request = f"GET {target} HTTP/1.1\nHost: {host}\nAuthorization: {BASIC}\nConnection: close\n\n"

    assert raw(world.s3, request)[0] == 400


def test_prx_11_no_client_gets_an_answer_of_the_check(world):
    """Under either name."""
    for url in (world.s3, world.app):
        for path in ("", "?for=application", "/backups/a"):
            answer = Browser().open(
                f"{url}/api/session/check{path}",
                headers={
                    "Authorization": BASIC,
                    "X-Original-Method": "GET",
                    "X-Original-Uri": "/backups/a",
                    "X-Original-Host": "127.0.0.1",
                },
            )
            assert answer.status in (403, 404)
            assert not any(name.lower().startswith(("x-s3-", "x-auth-")) for name in answer.headers)


def test_prx_3_the_application_is_told_who_it_is_and_by_nobody_else(world):
    """A script with a token; what it claims to be is replaced. Without one: 401, and no request."""
    world.application.seen.clear()
    claims = {
        "X-Auth-Subject": "root",
        "X-Auth-Groups": "admin",
        "X_Auth_Subject": "root",
        "X-Auth_Groups": "admin",
        "X-Original-Uri": "/other",
        "X-Forwarded-Uri": "/other",
        "X-Forwarded-For": "198.51.100.1",
    }
    token = {"Authorization": f"Bearer {world.provider.id_token('ada')}"}
    nobody = Browser().open(f"{world.app}/page", headers=claims)
    known = Browser().open(f"{world.app}/page?x=%2F&groups=z", headers=claims | token)
    time.sleep(0.3)  # for the audit line
    told = (world.gateway.folder / "audit.log").read_text("utf-8").splitlines()[-1]

    (seen,) = world.application.seen
    assert (nobody.status, known.status, known.body) == (401, 200, b"application")
    assert seen.target == "/page?x=%2F&groups=z"
    assert seen.headers["x-auth-username"] == "ada"
    assert seen.headers["x-auth-groups"] == "staff,platform"
    assert not any("_auth" in name or "auth_" in name for name in seen.headers)
    # PRX-1: the proxy's own word, in Envoy's case the address of this machine.
    assert json.loads(told)["peer"] != "198.51.100.1"


def test_somebody_signs_in_at_the_application(world):
    """Where the proxy can send a browser to the sign-in, it comes back to the page it wanted."""
    browser = Browser()
    if world.name == "envoy":  # answers 401: its pages lead people to the sign-in themselves
        assert browser.open(f"{world.app}/deep/page").status == 401
        browser.sign_in(f"{world.app}/api/session/auth/?next=/deep/page", "ada", "lovelace")
    else:
        browser.sign_in(f"{world.app}/deep/page", "ada", "lovelace")
    told = world.application.seen[-1]
    who = json.loads(browser.open(f"{world.app}/api/session").body)
    put = browser.open(f"{world.app}/ui/", headers=SAME_ORIGIN)

    assert told.target == "/deep/page"
    assert (told.headers["x-auth-username"], who["username"]) == ("ada", "ada")
    if world.name == "caddy":
        assert "session=" not in told.headers.get("cookie", "")
    assert put.status == 200
