"""
From `gateway init` to somebody's objects: the written files alone carry a whole deployment.

Every step is the command that a user types, in a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from gateway.demo.idp import Client, IdentityProvider, User
from tests.oidc_provider import install
from tests.oidc_provider.running import running
from tests.processes import Person, browser, command, free_port, serving

SECRET = "0123456789abcdef0123456789abcdef"
AWS = {"AWS_ACCESS_KEY_ID": "AKIAUPSTREAM", "AWS_SECRET_ACCESS_KEY": "of-the-machine-itself"}
CALM = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


@pytest.fixture
def storage() -> Iterator[str]:
    """An S3 server with a bucket, and an object in it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    made = s3(f"http://{host}:{port}", AWS)
    made.create_bucket(Bucket="acme-data")
    made.put_object(Bucket="acme-data", Key="report.txt", Body=b"hello")
    yield f"http://{host}:{port}"
    server.stop()


def s3(url: str, key: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=key.get("AWS_SESSION_TOKEN"),
        config=CALM,
    )


class World:
    """A provider that knows a gateway which does not exist yet, a storage, and a folder."""

    def __init__(self, folder: Path, storage: str, port: int) -> None:
        self.folder = folder
        self.storage = storage
        self.url = f"http://localhost:{port}"

    async def init(self, issuer: str, *more: str, secret: str = SECRET) -> str:
        """`gateway init`; what it prints."""
        words = {
            "--region": "us-east-1",
            "--issuer": issuer,
            "--client-id": "gateway",
            "--client-secret": secret,
            "--bucket": "acme-data",
            "--public-url": self.url,
            "--endpoint": self.storage,
            "--directory": str(self.folder),
        }
        options = [word for pair in words.items() for word in pair]
        done = await command("init", *options, *more, environment=AWS)
        assert done.status == 0, done.text
        return done.text

    async def deployed(self, issuer: str, *more: str, **person: str) -> None:
        """Written, checked, served, signed in to, listed, written to, signed out of."""
        told = await self.init(issuer, *more)
        assert f"callback URL:  {self.url}/api/session/auth/" in told
        config = self.folder / "gateway.yaml"
        checked = await command("check", "--online", "--config", str(config), environment=AWS)
        assert checked.status == 0, checked.text
        assert "good: bucket acme-data: is at main, and storage may list it" in checked.text
        admin = free_port()  # the usual one may be taken on a machine that runs tests
        config.write_text(config.read_text().replace(":9090", f":{admin}"))
        async with (
            serving(config, url=self.url, admin=f"http://127.0.0.1:{admin}", environment=AWS),
            browser() as http,
        ):
            await self._used(Person(self.url, http), **person)

    async def _used(self, ann: Person, **person: str) -> None:
        page = await ann.sign_in(**person)
        assert page.status == 200
        status, listing = await ann.get("/acme-data?list-type=2")
        assert (status, "<Key>report.txt</Key>" in listing) == (200, True), listing
        status, key = await ann.change("POST", "/api/keys/temporary", json={})
        assert status == 200, key
        await asyncio.to_thread(self._by_key, key)
        status, done = await ann.change("DELETE", "/api/session")
        assert status == 200 and done["redirect"]
        assert (await ann.get("/api/session"))[0] == 401
        with pytest.raises(ClientError, match="ExpiredToken"):
            await asyncio.to_thread(self._by_key, key)

    def _by_key(self, key: dict[str, str]) -> None:
        """What any S3 client does, with the policy that was written."""
        client = s3(
            self.url,
            {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                "AWS_SESSION_TOKEN": key["SessionToken"],
            },
        )
        assert [o["Key"] for o in client.list_objects_v2(Bucket="acme-data")["Contents"]] == [
            "report.txt"
        ]
        client.put_object(Bucket="home", Key="mine.txt", Body=b"own")
        assert client.get_object(Bucket="home", Key="mine.txt")["Body"].read() == b"own"
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket="acme-data", Key="theirs.txt", Body=b"")


@pytest.fixture
def world(tmp_path: Path, storage: str) -> World:
    return World(tmp_path / "deployment", storage, free_port())


@pytest.fixture
async def idp(world: World) -> AsyncIterator[IdentityProvider]:
    """The demo's provider, shaped like a Cognito user pool."""
    made = IdentityProvider(
        users=[User("ann", "anns-password", name="Ann", email="ann@example.com")],
        client=Client(
            client_id="gateway",
            client_secret=SECRET,
            redirect_uris=(f"{world.url}/api/session/auth/",),
            logout_uris=(f"{world.url}/ui/signed-out",),
        ),
    )
    await made.start()
    yield made
    await made.stop()


@pytest.mark.timeout(90)
async def test_the_written_files_are_a_deployment(world: World, idp: IdentityProvider):
    """Init, check, serve; then a person's sign-in, their listing, their keys, their sign-out."""
    await world.deployed(idp.issuer, "--kind", "cognito", username="ann", password="anns-password")


@pytest.mark.timeout(90)
async def test_a_wrong_secret_is_told_before_anybody_tries(world: World, idp: IdentityProvider):
    """By init, whose files are written all the same, and by check."""
    await world.init(idp.issuer, "--offline", secret="not-the-one-that-it-knows")

    config = str(world.folder / "gateway.yaml")
    done = await command("check", "--online", "--config", config, environment=AWS)

    assert done.status == 3
    assert "PROBLEM: identity provider corp: the client secret is not accepted" in done.text


@pytest.mark.real
@pytest.mark.skipif(bool(install.missing()), reason=install.missing() or "installed")
@pytest.mark.timeout(90)
async def test_the_written_files_suit_a_certified_provider(world: World):
    """The same with npm's oidc-provider, which is asked for consent as well."""
    async with running(world.url) as issuer:
        await world.deployed(issuer, login="jane", password="x")
