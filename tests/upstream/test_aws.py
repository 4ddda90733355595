"""The SDK's door: the chain, clients against moto, and what counts as away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from gateway.errors import UPSTREAM_CREDENTIALS, UpstreamUnavailable
from gateway.identity import Credentials, Secret
from gateway.upstream.aws import Aws, AwsRefusal, Service
from tests.upstream.fake_aws import GATEWAY_KEY, ROLE, FakeAws

OURS = Credentials(access_key_id=GATEWAY_KEY[0], secret=Secret(GATEWAY_KEY[1]))


async def lend() -> Credentials:
    return OURS


@pytest.fixture
async def aws() -> AsyncIterator[Aws]:
    made = Aws(pauses=(0.01,))
    yield made
    await made.close()


def sts(endpoint: str) -> Service:
    return Service(name="sts", region="eu-central-1", endpoint=endpoint)


# The chain


async def test_the_chain_reads_the_environment(aws, monkeypatch):
    """The first link: variables."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-the-environment")

    found = await aws.chain()

    assert (found.access_key_id, found.expires) == ("AKIAENV", None)
    assert found.secret.reveal() == "from-the-environment"


async def test_a_profile_is_read_again_each_time(aws, monkeypatch, tmp_path: Path):
    """Files are rotated by others; the environment does not outrank a profile that was named."""
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    text = "[lab]\naws_access_key_id = {}\naws_secret_access_key = s\naws_session_token = t\n"

    file.write_text(text.format("AKIAONE"))
    first = await aws.chain("lab")
    file.write_text(text.format("AKIATWO"))
    second = await aws.chain("lab")

    assert (first.access_key_id, second.access_key_id) == ("AKIAONE", "AKIATWO")
    assert first.session_token == Secret("t")


async def test_a_process_may_give_credentials_that_end(aws, monkeypatch, tmp_path: Path):
    """`credential_process` in a profile; its end is known to the cache."""
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    script = tmp_path / "give"
    script.write_text(
        f'#!/bin/sh\necho \'{{"Version":1,"AccessKeyId":"ASIAP","SecretAccessKey":"s",'
        f'"SessionToken":"t","Expiration":"{ends}"}}\'\n'
    )
    script.chmod(0o700)
    config = tmp_path / "config"
    config.write_text(f"[profile proc]\ncredential_process = {script}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    found = await aws.chain("proc")

    assert found.access_key_id == "ASIAP"
    assert found.expires is not None
    assert found.expires.isoformat() == ends


@pytest.mark.parametrize("profile", [None, "missing"])
async def test_a_chain_that_finds_nothing_is_unavailable(aws, profile):
    """503 with a reason, not an error of ours."""
    with pytest.raises(UpstreamUnavailable) as caught:
        await aws.chain(profile)

    assert caught.value.reason is UPSTREAM_CREDENTIALS


# Calls


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def pool_id(moto: str) -> str:
    client = boto3.client(
        "cognito-identity",
        region_name="us-east-1",
        endpoint_url=moto,
        aws_access_key_id="AKIA",
        aws_secret_access_key="x",
        config=Config(proxies={}),
    )
    made = client.create_identity_pool(
        IdentityPoolName="people", AllowUnauthenticatedIdentities=False
    )
    return str(made["IdentityPoolId"])


async def test_the_plumbing_works_against_moto(aws, moto: str):
    """A third party's STS takes our calls, signed and unsigned."""
    given = await aws.call(
        sts(moto),
        "assume_role",
        lender=("ours", lend),
        RoleArn=ROLE,
        RoleSessionName="alice",
        DurationSeconds=900,
    )
    web = await aws.call(
        sts(moto),
        "assume_role_with_web_identity",
        RoleArn=ROLE,
        RoleSessionName="alice",
        WebIdentityToken="a.b.c",
    )

    assert given["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert web["Credentials"]["Expiration"] > datetime.now(UTC)


async def test_the_pools_plumbing_works_against_moto(aws, moto: str, pool_id: str):
    """GetId and GetCredentialsForIdentity of a third party."""
    pool = Service(name="cognito-identity", region="us-east-1", endpoint=moto)

    found = await aws.call(pool, "get_id", IdentityPoolId=pool_id)
    given = await aws.call(pool, "get_credentials_for_identity", IdentityId=found["IdentityId"])

    assert given["Credentials"]["SecretKey"]


async def test_a_client_is_made_once(aws, fake: FakeAws):
    """However many ask at once; another lender is another client."""
    calls = [
        aws.call(
            sts(fake.url),
            "assume_role",
            lender=(name, lend),
            RoleArn=ROLE,
            RoleSessionName="alice",
            DurationSeconds=900,
        )
        for name in ("a", "a", "b", "a")
    ]

    await asyncio.gather(*calls)

    assert len(aws._clients) == 2


async def test_each_call_is_signed_with_what_is_lent_then(aws, fake: FakeAws):
    """The lender renews; the client keeps nothing."""
    lent = iter([OURS, Credentials(access_key_id="AKIAWRONG", secret=Secret("x"))])

    async def once() -> Credentials:
        return next(lent)

    async def call() -> object:
        return await aws.call(
            sts(fake.url),
            "assume_role",
            lender=("ours", once),
            RoleArn=ROLE,
            RoleSessionName="alice",
            DurationSeconds=900,
        )

    assert await call()
    with pytest.raises(AwsRefusal) as caught:
        await call()

    assert caught.value.code == "InvalidClientTokenId"


async def test_a_lender_that_is_away_is_heard(aws, fake: FakeAws):
    """What it raised comes out unchanged."""

    async def away() -> Credentials:
        raise UpstreamUnavailable("no metadata")

    with pytest.raises(UpstreamUnavailable, match="no metadata"):
        await aws.call(sts(fake.url), "get_caller_identity", lender=("x", away))


async def test_nobody_there_is_unavailable(aws):
    """Neither a proxy of the environment nor its endpoint is tried instead."""
    with pytest.raises(UpstreamUnavailable) as caught:
        await aws.call(sts("http://127.0.0.1:1"), "get_caller_identity", lender=("o", lend))

    assert "127.0.0.1:1" in str(caught.value)


async def test_answers_that_are_no_answers_are_unavailable(aws, fake: FakeAws):
    """A 500 of a proxy in between."""
    fake.away = True

    with pytest.raises(UpstreamUnavailable):
        await aws.call(sts(fake.url), "get_caller_identity", lender=("o", lend))


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-central-1", "https://sts.eu-central-1.amazonaws.com"),
        ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
    ],
)
def test_services_are_regional(region, url):
    """Each partition has its own names."""
    assert Service(name="sts", region=region).url == url


async def test_closing_is_complete(fake: FakeAws):
    """No connection is left, and a second time does no harm."""
    aws = Aws()
    await aws.call(
        sts(fake.url),
        "assume_role",
        lender=("o", lend),
        RoleArn=ROLE,
        RoleSessionName="alice",
        DurationSeconds=900,
    )

    await aws.close()
    await aws.close()

    assert aws._clients == {}
