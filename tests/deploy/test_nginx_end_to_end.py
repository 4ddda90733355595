"""People and clients behind nginx: sign-in, upload and download in every mode, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from gateway.demo.world import free_port
from tests.clients.matrix import install
from tests.clients.table import CLIENTS
from tests.deploy import running
from tests.deploy.browser import SAME_ORIGIN, Browser
from tests.deploy.recorder import Recorder
from tests.deploy.running import KEY, SECRET

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        not Path(running.NGINX).exists(), reason="nginx is not installed (apt-get install nginx)"
    ),
]
MODES = {
    "proxy": ("proxy.conf", ""),
    "redirect": ("proxy.conf", "offload: redirect\n  offload_min_size: 1KiB"),
    "x-accel": ("x-accel.conf", "offload: x-accel\n  offload_min_size: 1KiB"),
    "move": ("move.conf", ""),
}
KEYS = [
    "plain",
    "a//b",
    "//lead",
    "trail/",
    "a%2Fb",
    "a%2e%2e/b",
    "%00",
    "a#b",
    "a?b=c&d",
    "a b",
    "a+b",
    "a%20b+c d",
    "ü/☃/é",
    "semi;colon=1",
    "col:on@at,comma",
    "~!*'()$",
    'q"<>\\|^`{}',
    ".hidden/...",
    "_s3",
    "-/check",
    "api/session/check",
    "k" * 1000,
]
BIG = os.urandom(20_000_000)


@dataclass(frozen=True)
class World:
    urls: dict[str, str]
    application: str
    asked: Recorder
    """The application, and what it was told."""
    storage: Recorder
    """In front of the storage of all gateways."""
    direct: Any
    """A client at the storage itself."""
    gateways: dict[str, running.Gateway]

    def carried(self, mode: str, key: str) -> int:
        """Bytes of an object's downloads that passed through the gateway, by its audit lines."""
        lines = (self.gateways[mode].folder / "audit.log").read_text("utf-8").splitlines()
        told = [json.loads(line) for line in lines]
        wanted = {"operation": "GetObject", "key": key}
        return sum(one["bytes_out"] for one in told if wanted.items() <= one.items())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A provider, a storage that remembers, an application, and for each mode a gateway behind nginx."""
    folder = tmp_path_factory.mktemp("end-to-end")
    names = [*MODES, "application"]
    gateways: dict[str, running.Gateway] = {}
    ports = {name: free_port() for name in names}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with ExitStack() as stack:
        provider = stack.enter_context(running.identity_provider(*urls.values()))
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        direct = client(f"http://127.0.0.1:{moto.get_host_and_port()[1]}")
        direct.create_bucket(Bucket="acme")
        storage = Recorder(moto.get_host_and_port()[1])
        stack.callback(storage.close)
        application = Recorder()
        stack.callback(application.close)
        for name in names:
            conf, more = MODES.get(name, ("application.conf", ""))
            gateways[name] = gateway = stack.enter_context(
                running.gateway(
                    folder / name,
                    f"http://127.0.0.1:{storage.port}",
                    more=more,
                    public_url=urls[name],
                    provider=provider,
                )
            )
            changes = {"server 127.0.0.1:8080;": f"server 127.0.0.1:{gateway.port};"}
            if name == "application":
                changes["127.0.0.1:3000"] = f"127.0.0.1:{application.port}"
            if name == "move":
                changes |= kept_open(storage.port)
            stack.enter_context(
                running.nginx(folder / f"{name}-nginx", conf, changes, port=ports[name])
            )
        yield World(urls, urls.pop("application"), application, storage, direct, gateways)


def kept_open(port: int) -> dict[str, str]:
    """The lines for a known storage, with their comment signs taken off."""
    return {
        "# https://s3.us-east-1.amazonaws.com https://storage;": f"http://127.0.0.1:{port} http://storage;",
        "# upstream storage {": "upstream storage {",
        "#     server s3.us-east-1.amazonaws.com:443;": f"server 127.0.0.1:{port};",
        "#     keepalive 64;\n# }": "keepalive 64; }",
    }


def client(url: str, key: str = KEY, secret: str = SECRET) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            signature_version="s3v4",
        ),
    )


@pytest.mark.parametrize("mode", MODES)
def test_somebody_signs_in_and_works_by_cookie(world, mode):
    """The code flow through nginx; then list, upload, download, and the way out."""
    url = world.urls[mode]
    browser = Browser()
    assert "/login?" in browser.open(f"{url}/home/a%20b.bin").url  # an object's address, too
    page = browser.sign_in(f"{url}/ui/?at=home", "ada", "lovelace")
    who = json.loads(browser.open(f"{url}/api/session").body)
    data = os.urandom(300_000)
    put = browser.open(f"{url}/home/a%20b.bin", method="PUT", data=data, headers=SAME_ORIGIN)
    forged = browser.open(f"{url}/home/forged", method="PUT", data=b"x", headers={})
    got = browser.open(f"{url}/home/a%20b.bin")
    listed = browser.open(f"{url}/home?list-type=2", headers={"Accept": "application/json"})

    assert (page.status, page.url) == (200, f"{url}/ui/?at=home")
    assert (who["username"], who["method"]) == ("ada", "session")
    assert (put.status, forged.status) == (200, 403)
    assert (got.status, got.body == data) == (200, True)
    # WEB-3: whoever moves the bytes, the answer is harmless on the page's host.
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert [one["Key"] for one in json.loads(listed.body)["Contents"]] == ["a b.bin"]
    stored = world.direct.get_object(Bucket="acme", Key="home/ada/a b.bin")
    assert stored["Body"].read() == data

    out = browser.open(f"{url}/api/session", method="DELETE", headers=SAME_ORIGIN)
    assert "signed-out" in urllib.parse.unquote(json.loads(out.body)["redirect"])
    after = browser.open(f"{url}/api/session", headers={"Accept": "application/json"})
    assert after.status == 401


@pytest.mark.parametrize("mode", MODES)
def test_prx_4_the_way_back_is_the_public_url_whatever_a_client_claims(world, mode):
    """Forwarded headers of the client's own change neither the redirect URI nor the cookie."""
    hostile = {
        "Accept": "text/html",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "192.0.2.1",
        "Forwarded": "host=evil.example;proto=https",
    }
    form = Browser().open(f"{world.urls[mode]}/api/session/auth/?next=/ui/", headers=hostile)

    back = urllib.parse.parse_qs(urllib.parse.urlsplit(form.url).query)["redirect_uri"]
    assert back == [f"{world.urls[mode]}/api/session/auth/"]


def test_an_application_behind_nginx_is_told_who_signed_in(world):
    """
    Sent to the sign-in, back to the page, which reads X-Auth-*; the session is kept from it.

    Groups are those that a rule names: a session holds no others.
    """
    browser = Browser()
    page = browser.sign_in(f"{world.application}/deep/page", "ada", "lovelace")

    told = world.asked.seen[-1]
    assert (page.status, page.body, told.target) == (200, b"application", "/deep/page")
    assert told.headers["x-auth-username"] == "ada"
    assert told.headers["x-auth-groups"] == "staff"
    assert told.headers["x-auth-email"] == "ada@example.com"
    assert "session" not in told.headers.get("cookie", "")


@pytest.mark.parametrize("mode", MODES)
def test_prx_7_pth_2_every_awkward_key_is_its_own_object(world, mode):
    """Stored, found, ranged and listed under the very key, through nginx and at the storage."""
    through = client(world.urls[mode])
    prefix = f"keys-{mode}/"
    refused = []
    for number, key in enumerate(KEYS):
        data = f"{mode} {number}".encode() * 400
        name = prefix + key if len(key) < 900 else key[: 1000 - len(prefix)]
        try:
            through.put_object(Bucket="backups", Key=name, Body=data)
            whole = through.get_object(Bucket="backups", Key=name)["Body"].read()
            some = through.get_object(Bucket="backups", Key=name, Range="bytes=5-1999")
            stored = world.direct.get_object(Bucket="acme", Key=f"team/{name}")["Body"].read()
        except Exception as problem:
            refused.append((key, str(problem)))
            continue
        assert (key, whole == data, stored == data) == (key, True, True)
        assert some["Body"].read() == data[5:2000]
        through.delete_object(Bucket="backups", Key=name)
    assert refused == []


@pytest.fixture(scope="module")
def aws() -> str:
    """The aws cli, in an environment of its own."""
    cli = next(one for one in CLIENTS if one.name == "aws cli")
    install(cli)
    return str(cli.folder / "bin" / "aws")


@pytest.mark.parametrize("mode", MODES)
def test_the_aws_cli_moves_20_mb_both_ways(world, mode, aws, tmp_path):
    """Multipart up, whole and by range down; equal bytes, and nginx fetched them where it is to."""
    source = tmp_path / "source.bin"
    source.write_bytes(BIG)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": world.urls[mode],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }

    def run(*command: str) -> None:
        subprocess.run([aws, *command], env=environment, check=True, capture_output=True)

    key = f"cli {mode}/ü.bin"
    run("s3", "cp", str(source), f"s3://backups/{key}")
    run("s3", "cp", f"s3://backups/{key}", str(tmp_path / "back.bin"))
    time.sleep(0.3)  # for the audit lines
    carried = world.carried(mode, key)
    part = ("--bucket", "backups", "--key", key, "--range", "bytes=-70000")
    run("s3api", "get-object", *part, str(tmp_path / "part.bin"))

    assert (tmp_path / "back.bin").read_bytes() == BIG
    assert (tmp_path / "part.bin").read_bytes() == BIG[-70_000:]
    assert carried == (0 if mode in ("x-accel", "move") else len(BIG))


def test_prx_12_a_presigned_link_is_followed_to_the_storage(world):
    """307 to one key for a minute; what is swapped in it fails."""
    through = client(world.urls["redirect"])
    through.put_object(Bucket="backups", Key="link", Body=b"l" * 5000)
    link = through.generate_presigned_url("get_object", {"Bucket": "backups", "Key": "link"})
    browser = Browser()
    got = browser.open(link, headers={})

    assert got.body == b"l" * 5000
    assert got.url.startswith(f"http://127.0.0.1:{world.storage.port}/acme/team/link?")
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(got.url).query)
    assert query["X-Amz-Expires"] == ["60"]
    assert query["X-Amz-Credential"][0].startswith("upstream-key/")


@pytest.mark.parametrize("mode", ["proxy", "x-accel", "move"])
def test_web_3_a_link_opened_in_a_browser_runs_nothing(world, mode):
    """Whoever moves the bytes: the page's host says that the object is sandboxed."""
    through = client(world.urls[mode])
    place = {"Bucket": "backups", "Key": f"page-{mode}.html"}
    page = b"<script>alert(document.domain)</script>" * 50
    through.put_object(**place, Body=page, ContentType="text/html")
    shown = Browser().open(through.generate_presigned_url("get_object", place))

    assert (shown.status, shown.body) == (200, page)
    assert shown.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert len(shown.headers.get_all("Content-Security-Policy", [])) == 1
    assert len(shown.headers.get_all("x-amz-request-id", [])) == 1


@pytest.mark.parametrize("mode", ["x-accel", "move"])
def test_conditions_and_heads_are_the_storages(world, mode):
    """304, 412, 416, HEAD and suffix ranges come through as S3 says them."""
    through = client(world.urls[mode])
    etag = through.put_object(Bucket="backups", Key=f"cond-{mode}", Body=b"c" * 5000)["ETag"]
    place = {"Bucket": "backups", "Key": f"cond-{mode}"}

    def status(**more: str) -> tuple[int, str]:
        try:
            answer = through.get_object(**place, **more)
            return answer["ResponseMetadata"]["HTTPStatusCode"], ""
        except through.exceptions.ClientError as error:
            meta = error.response["ResponseMetadata"]
            return meta["HTTPStatusCode"], error.response["Error"]["Code"]

    head = through.head_object(**place)
    assert (head["ContentLength"], head["ETag"]) == (5000, etag)
    assert status(IfMatch=etag) == (200, "")
    assert status(IfNoneMatch=etag)[0] == 304
    assert status(IfMatch='"no"') == (412, "PreconditionFailed")
    assert status(Range="bytes=-7") == (206, "")
    assert status(Range="bytes=9000-9001") == (416, "InvalidRange")
