"""What is decided is what is done: each shipped nginx configuration, the real nginx, awkward requests."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from tests.deploy import running
from tests.deploy.recorder import Recorder
from tests.deploy.running import KEY, SECRET

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not Path(running.NGINX).exists(),
        reason="nginx is not installed (apt-get install nginx-light)",
    ),
]
BASIC = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
BIG = os.urandom(3_000_000)


@dataclass
class World:
    storage: Recorder
    application: Recorder
    gateway: running.Gateway
    proxy: str
    move: str
    accel: str
    app: str


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    """moto behind a recorder, two gateways, and nginx four times."""
    folder = tmp_path_factory.mktemp("nginx")
    with ExitStack() as stack:
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        direct = s3(f"http://127.0.0.1:{moto.get_host_and_port()[1]}")
        direct.create_bucket(Bucket="acme")
        for key, data in {"a/b": b"one", "a//b": b"two", "big": BIG, "a b+c%2F": b"odd"}.items():
            direct.put_object(Bucket="acme", Key=f"team/{key}", Body=data)
        direct.put_object(Bucket="acme", Key="public/hello", Body=b"hello")
        storage = Recorder(moto.get_host_and_port()[1])
        stack.callback(storage.close)
        application = Recorder()
        stack.callback(application.close)
        url = f"http://127.0.0.1:{storage.port}"
        plain = stack.enter_context(running.gateway(folder / "plain", url))
        handing = stack.enter_context(
            running.gateway(
                folder / "handing", url, more="offload: x-accel\n  offload_min_size: 1KiB"
            )
        )

        def nginx(name: str, port: int, **more: str) -> str:
            changes = {"server 127.0.0.1:8080;": f"server 127.0.0.1:{port};", **more}
            return stack.enter_context(running.nginx(folder / name, name, changes))

        yield World(
            storage=storage,
            application=application,
            gateway=plain,
            proxy=nginx("proxy.conf", plain.port),
            move=nginx("move.conf", plain.port),
            accel=nginx("x-accel.conf", handing.port),
            app=nginx(
                "application.conf",
                plain.port,
                **{"127.0.0.1:3000": f"127.0.0.1:{application.port}"},
            ),
        )


def s3(url: str, **config: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
    )


def raw(url: str, request: str) -> tuple[int, dict[str, str], bytes]:
    """A request byte for byte, and its answer."""
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 20) as link:
        link.sendall(request.replace("\n", "\r\n").encode("latin-1"))
        answer = http.client.HTTPResponse(link)
        answer.begin()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def get(
    url: str, target: str, *, host: str = "127.0.0.1", more: str = "", auth: str = BASIC
) -> tuple[int, dict[str, str], bytes]:
    authorization = f"Authorization: {auth}\n" if auth else ""
    return raw(
        url, f"GET {target} HTTP/1.1\nHost: {host}\n{authorization}{more}Connection: close\n\n"
    )


MODES = ["proxy", "move", "accel"]


@pytest.mark.parametrize("mode", MODES)
def test_prx_7_golden_decisions(world, mode):
    """Each spelling of a target reaches the object it names, or is refused; nothing is normalised on the way."""
    url = getattr(world, mode)
    golden = {
        "/backups/a/b": (200, b"one"),
        "/backups/a//b": (200, b"two"),
        "/backups/a%2Fb": (200, b"one"),
        "/backups/a%2fb": (200, b"one"),
        "/backups/a%2F%2Fb": (200, b"two"),
        "/backups/%61/b": (200, b"one"),
        "/backups/a%20b%2Bc%252F": (200, b"odd"),
        "/backups/a%20b+c%252F": (200, b"odd"),
        "/backups//a/b": (404, None),
        "/backups/A/b": (404, None),
        "/backups/x/%2e%2e/a/b": (400, None),
        "/backups/x/../a/b": (400, None),
        "/backups/./a/b": (400, None),
        "/../backups/a/b": (400, None),
        "/backups/%2e%2e/%2e%2e/public/hello": (400, None),
        "/backups/a%00b": (400, None),
        "/backups/a%zz": (400, None),
        "/backups/a%": (400, None),
        "/backups/a;b": (404, None),
        "//backups/a/b": (400, None),
        "/other/a": (403, None),
        "/public/hello": (403, None),
    }
    for target, (status, data) in golden.items():
        got, _, body = get(url, target)
        assert (got, target) == (status, target)
        assert data is None or body == data


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", ["/backups/a#b", "/backups/a/b#x"])
def test_prx_6_a_fragment_is_never_cut_into_another_key(world, mode, target):
    """`#` in a request line is refused by nginx or the gateway, or stays in the key; it opens nothing else."""
    status, _, body = get(getattr(world, mode), target)

    assert status in (400, 403, 404)
    assert b"one" not in body


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "host", ["a@b", "127.0.0.1:80:80", "", "-", "evil.example", "127.0.0.1\nHost: 127.0.0.1"]
)
def test_prx_4_odd_hosts_open_nothing(world, mode, host):
    """Nobody is served under a name that is not ours, nor with two."""
    status, _, body = get(getattr(world, mode), "/backups/a/b", host=host)

    assert status in (400, 403)
    assert body != b"one"


@pytest.mark.parametrize("mode", [*MODES, "app"])
@pytest.mark.parametrize(
    "target",
    [
        "/api/session/check",
        "/api/session/check/backups/a/b",
        "/api/session/check?for=application",
        "/-/check",
    ],
)
def test_prx_11_no_client_gets_an_answer_of_the_check(world, mode, target):
    """Not by asking through the proxy that the gateway trusts."""
    more = "X-Original-Method: GET\nX-Original-URI: /backups/a/b\nX-Original-Host: 127.0.0.1\n"
    status, headers, _ = get(getattr(world, mode), target, more=more)

    assert status in (400, 401, 403, 404)
    assert not any(name.startswith(("x-s3-", "x-auth-")) for name in headers)


@pytest.mark.parametrize("mode", MODES)
def test_prx_2_what_a_client_says_of_the_original_changes_nothing(world, mode):
    """Smuggled X-Original-*, X-Forwarded-Uri and X-S3-* neither open nor redirect anything."""
    smuggled = (
        "X-Original-URI: /backups/a/b\nX-Forwarded-Uri: /backups/a/b\nX-Forwarded-Method: GET\n"
        "X-S3-Upstream: http://127.0.0.1:1\nX-S3-Uri: /x\nX-Accel-Redirect: /_s3\nX-Auth-Subject: root\n"
    )
    refused, _, _ = get(getattr(world, mode), "/other/a", more=smuggled)
    allowed, _, body = get(getattr(world, mode), "/backups/a/b", more=smuggled)

    assert refused == 403
    assert (allowed, body) == (200, b"one")


@pytest.mark.parametrize("mode", MODES)
def test_bytes_are_equal_both_ways(world, mode, tmp_path):
    """boto3 with multipart, signed metadata with an underscore, ranges; through each mode."""
    client = s3(getattr(world, mode))
    data = os.urandom(12_000_000)
    source = tmp_path / "source"
    source.write_bytes(data)
    name = f"up/{mode} ü+%.bin"
    client.upload_file(
        str(source),
        "backups",
        name,
        ExtraArgs={"Metadata": {"a_b": "1"}},
        Config=TransferConfig(multipart_threshold=6_000_000, multipart_chunksize=6_000_000),
    )
    client.download_file("backups", name, str(tmp_path / "back"))
    part = client.get_object(Bucket="backups", Key=name, Range="bytes=1000-5000999")

    assert (tmp_path / "back").read_bytes() == data
    assert part["Body"].read() == data[1000:5_001_000]
    assert client.head_object(Bucket="backups", Key=name)["Metadata"] == {"a_b": "1"}


@pytest.mark.parametrize("mode", ["move", "accel"])
def test_ses_11_prx_11_nginx_fetches_with_the_upstreams_signature_alone(world, mode):
    """What reaches the storage is signed with our key for the mapped name; no cookie, no client credential."""
    world.storage.seen.clear()
    status, headers, body = get(
        getattr(world, mode), "/backups/big", more="Cookie: __Host-session=secret; a=b\n"
    )

    (seen,) = world.storage.seen
    assert (status, body == BIG) == (200, True)
    assert seen.target == "/acme/team/big"
    assert seen.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=upstream-key/")
    assert "cookie" not in seen.headers and SECRET not in str(seen.headers)
    assert not any(name.startswith("x-s3-") for name in headers)
    # Fetched by nginx itself: the gateway writes its own name into what it carries.
    assert "x-gateway-offload" not in seen.headers


@pytest.mark.parametrize("mode", ["move", "accel"])
def test_s3_11_the_storages_refusal_is_told_in_the_clients_names(world, mode):
    """Although nginx asked the storage itself."""
    with pytest.raises(ClientError) as refused:
        s3(getattr(world, mode)).get_object(Bucket="backups", Key="missing")

    assert refused.value.response["Error"]["Code"] == "NoSuchKey"
    _, _, body = get(getattr(world, mode), "/backups/missing")
    assert b"<Code>NoSuchKey</Code>" in body and b"acme" not in body and b"team/" not in body


def test_anonymous_reads_what_is_public_and_nothing_else(world):
    """401 of the check becomes S3's own refusal."""
    assert get(world.move, "/public/hello", auth="")[::2] == (200, b"hello")
    status, _, body = get(world.move, "/backups/a/b", auth="")
    assert status == 403 and b"AccessDenied" in body


def test_an_upload_that_is_refused_stays_a_refusal(world):
    """A failed precondition after the body has gone comes back as it is."""
    client = s3(world.move)
    with pytest.raises(ClientError) as refused:
        client.put_object(Bucket="other", Key="x", Body=b"y" * 100_000)

    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_ses_13_prx_3_an_application_learns_who_is_signed_in_and_nothing_more(world):
    """The client's X-Auth-* are replaced, the session cookie is kept back, other cookies stay."""
    world.application.seen.clear()
    cookies = "Cookie: a=1; __Host-session=sealed; b=2\n"
    spoof = "X-Auth-Subject: root\nX-Auth-Groups: admin\n"
    status, _, body = get(world.app, "/page?x=%2F", more=cookies + spoof)

    (seen,) = world.application.seen
    assert (status, body) == (200, b"application")
    assert seen.target == "/page?x=%2F"
    assert seen.headers["x-auth-subject"] == "backup"
    assert seen.headers.get("x-auth-groups") == "backup"
    assert "sealed" not in str(seen.headers)
    assert "a=1" in seen.headers["cookie"] and "b=2" in seen.headers["cookie"]


def test_an_application_is_not_reached_without_a_sign_in(world):
    """A browser is sent to sign in and comes back to where it was going; a script gets 401."""
    world.application.seen.clear()
    script, _, _ = get(world.app, "/page", auth="")
    browser, headers, _ = get(world.app, "/deep/page?x=1", auth="", more="Accept: text/html\n")

    assert script == 401
    assert browser == 302
    assert headers["location"] == "/api/session/auth/?next=/deep/page"  # PRX-4: no host in it
    assert world.application.seen == []


def test_log_5_each_request_behind_nginx_has_its_line_with_the_clients_address(world):
    """The check is told as the request it was about."""
    before = len((world.gateway.folder / "audit.log").read_text().splitlines())
    get(world.move, "/backups/a/b")
    lines: list[dict[str, Any]] = []
    for _ in range(50):
        time.sleep(0.1)
        lines = [
            json.loads(line)
            for line in (world.gateway.folder / "audit.log").read_text().splitlines()
        ]
        if len(lines) > before:
            break

    line = lines[-1]
    assert (line["operation"], line["bucket"], line["key"], line["decision"]) == (
        "GetObject",
        "backups",
        "a/b",
        "allow",
    )
    assert line["notes"] == "check" and line["peer"] == "127.0.0.1"


HOSTILE = (
    ("X-Accel-Redirect", "/-/check"),
    ("X-Accel-Expires", "3600"),
    ("X-Accel-Limit-Rate", "1"),
    ("Set-Cookie", "__Host-session=theirs"),
    ("Content-Security-Policy", "script-src *"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Service-Worker-Allowed", "/"),
    ("Refresh", "0; url=https://evil.example/"),
    ("Link", "<https://evil.example/x.css>; rel=stylesheet"),
    ("Clear-Site-Data", '"*"'),
    ("Strict-Transport-Security", "max-age=0"),
)


@pytest.mark.parametrize("conf", ["move.conf", "x-accel.conf"])
def test_web_4_a_storage_tells_neither_nginx_nor_the_browser_what_to_do(conf, tmp_path):
    """Though nginx talks to it without the gateway in between."""
    storage = Recorder(headers=HOSTILE)
    more = "offload: x-accel\n  offload_min_size: 1" if conf == "x-accel.conf" else ""
    try:
        with (
            running.gateway(
                tmp_path / "gateway", f"http://127.0.0.1:{storage.port}", more=more
            ) as gateway,
            running.nginx(
                tmp_path / "nginx",
                conf,
                {"server 127.0.0.1:8080;": f"server 127.0.0.1:{gateway.port};"},
            ) as url,
        ):
            status, headers, body = get(url, "/backups/a")
    finally:
        storage.close()

    assert (status, body) == (200, b"application")
    assert len(storage.seen) == 1
    hidden = {name.lower() for name, _ in HOSTILE} - {"content-security-policy"}
    assert not hidden & headers.keys()
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    "target", ["/_s3", "/%5fs3", "//_s3", "/x/../_s3", "/-/check", "/%2D%2Fcheck", "/./-/check"]
)
@pytest.mark.parametrize("mode", [*MODES, "app"])
def test_prx_11_internal_locations_stay_internal(world, mode, target):
    """Whatever their spelling: 404 by nginx, or refused as what is no bucket."""
    world.storage.seen.clear()
    status, headers, _ = get(getattr(world, mode), target)

    if mode != "app":
        assert status in (400, 404)
    assert not any(name.startswith(("x-s3-", "x-auth-")) for name in headers)
    assert world.storage.seen == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_sig_5_curl_signs_for_nginxs_host_and_port(world):
    """Host and port as the client signed them arrive unchanged."""
    for url in (world.proxy, world.move, world.accel):
        done = subprocess.run(
            [
                "curl",
                "-sS",
                "--aws-sigv4",
                "aws:amz:us-east-1:s3",
                "--user",
                f"{KEY}:{SECRET}",
                f"{url}/backups/a/b",
            ],
            capture_output=True,
            check=True,
        )
        assert done.stdout == b"one"
