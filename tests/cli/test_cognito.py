"""`gateway init --create-cognito`, against moto: the plan first, and nothing made twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import boto3
import pytest
from botocore.config import Config
from click.testing import CliRunner, Result
from moto.cognitoidentity.responses import CognitoIdentityResponse
from moto.server import ThreadedMotoServer

from gateway.cli import OUTSIDE_FAILED, WRONG_INPUT
from gateway.cli.cognito import plan
from gateway.cli.cognito_calls import NAME, Found, Wish, role_policy, trust_policy
from gateway.cli.init import init

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty account, and credentials for it."""
    build_opener(ProxyHandler({})).open(Request(f"{server}/moto-api/reset", method="POST")).close()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAADMIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "administrators-secret")
    return server


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What moto was told by the calls that it does not know."""
    told: dict[str, dict[str, Any]] = {}

    def known(name: str) -> Callable[[CognitoIdentityResponse], str]:
        def method(self: CognitoIdentityResponse) -> str:
            told[name] = json.loads(self.body)
            return "{}"

        return method

    for name in ("set_principal_tag_attribute_map", "set_identity_pool_roles"):
        monkeypatch.setattr(CognitoIdentityResponse, name, known(name), raising=False)
    return told


def client(moto: str, service: str) -> Any:
    return boto3.client(
        service, region_name="eu-west-1", endpoint_url=moto, config=Config(proxies={})
    )


@pytest.fixture
def cli(moto: str, tmp_path: Path) -> Cli:
    def run(*options: str, url: str = "https://s3.example.com", input: str | None = None) -> Result:
        fixed = ["--create-cognito", "--aws-endpoint", moto, "--region", "eu-west-1", "--offline"]
        fixed += ["--bucket", "acme-data", "--public-url", url, "--directory", str(tmp_path)]
        return CliRunner().invoke(init, [*fixed, "--force", *options], input=input)

    return run


def pools(moto: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = client(moto, "cognito-idp").list_user_pools(MaxResults=60)[
        "UserPools"
    ]
    return found


def test_the_plan_comes_first_and_no_is_no(cli: Cli, moto: str, tmp_path: Path):
    """Whoever does not agree has made nothing, in the account and on disk."""
    result = cli("--first-user", "ann@example.com", input="n\n")

    assert result.exit_code == 1
    for text in ("+ user pool s3-auth-gateway in eu-west-1", "+ its domain", "ann@example.com"):
        assert text in result.output
    assert "https://s3.example.com/api/session/auth/" in result.output
    assert pools(moto) == []
    assert list(tmp_path.iterdir()) == []


def test_everything_is_made_and_written(cli: Cli, moto: str, tmp_path: Path):
    """Pool, domain, client, user; and a configuration that names them."""
    result = cli("--first-user", "ann@example.com", input="y\n")
    assert result.exit_code == 0, result.output

    idp = client(moto, "cognito-idp")
    (pool,) = pools(moto)
    described = idp.describe_user_pool(UserPoolId=pool["Id"])["UserPool"]
    (listed,) = idp.list_user_pool_clients(UserPoolId=pool["Id"])["UserPoolClients"]
    app = idp.describe_user_pool_client(UserPoolId=pool["Id"], ClientId=listed["ClientId"])[
        "UserPoolClient"
    ]
    assert described["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert described["Domain"].startswith(f"{NAME}-")
    assert app["CallbackURLs"] == ["https://s3.example.com/api/session/auth/"]
    assert app["LogoutURLs"] == ["https://s3.example.com/ui/signed-out"]
    assert app["AllowedOAuthFlows"] == ["code"]
    assert app["AllowedOAuthScopes"] == ["openid", "email", "profile"]
    assert len(idp.list_users(UserPoolId=pool["Id"])["Users"]) == 1
    text = (tmp_path / "gateway.yaml").read_text()
    assert pool["Id"] in text
    assert listed["ClientId"] in text
    secret = tmp_path / "secrets" / "client-secret"
    assert secret.read_text().strip() == app["ClientSecret"]
    assert secret.stat().st_mode & 0o777 == 0o600
    assert app["ClientSecret"] not in result.output


def test_a_second_run_makes_nothing_and_asks_nothing(cli: Cli, moto: str, tmp_path: Path):
    """It finds the same pool, client and secret."""
    cli("--first-user", "ann@example.com", "--identity-pool", "--yes")
    before = (tmp_path / "secrets" / "client-secret").read_text()

    result = cli("--first-user", "ann@example.com", "--identity-pool")

    assert result.exit_code == 0, result.output
    assert " + " not in result.output
    assert result.output.count("(there already)") == 6
    assert (tmp_path / "secrets" / "client-secret").read_text() == before
    assert len(pools(moto)) == 1
    assert (
        len(client(moto, "cognito-identity").list_identity_pools(MaxResults=9)["IdentityPools"])
        == 1
    )


def test_another_gateway_is_added_to_the_client(cli: Cli, moto: str):
    """The first one goes on working, and settings that an administrator changed stay."""
    cli("--yes")
    idp = client(moto, "cognito-idp")
    pool = pools(moto)[0]["Id"]
    app = idp.list_user_pool_clients(UserPoolId=pool)["UserPoolClients"][0]["ClientId"]
    now = idp.describe_user_pool_client(UserPoolId=pool, ClientId=app)["UserPoolClient"]
    idp.update_user_pool_client(
        UserPoolId=pool,
        ClientId=app,
        RefreshTokenValidity=3,
        **{
            name: now[name]
            for name in ("CallbackURLs", "LogoutURLs", "AllowedOAuthFlows", "AllowedOAuthScopes")
        },
    )

    result = cli("--yes", url="https://other.example.com")

    assert "~ app client" in result.output
    after = idp.describe_user_pool_client(UserPoolId=pool, ClientId=app)["UserPoolClient"]
    assert after["CallbackURLs"] == [
        "https://s3.example.com/api/session/auth/",
        "https://other.example.com/api/session/auth/",
    ]
    assert after["RefreshTokenValidity"] == 3
    assert after["AllowedOAuthFlows"] == ["code"]


def test_the_identity_pool_gives_people_their_own_credentials(
    cli: Cli, moto: str, tmp_path: Path, told: dict[str, dict[str, Any]]
):
    """A role that trusts this pool alone, and a configuration that asks the pool."""
    result = cli("--identity-pool", "--yes")
    assert result.exit_code == 0, result.output

    pool = client(moto, "cognito-identity").list_identity_pools(MaxResults=9)["IdentityPools"][0]
    iam = client(moto, "iam")
    role = iam.get_role(RoleName=f"{NAME}-acme-data")["Role"]
    policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="objects")
    assert told["set_identity_pool_roles"]["Roles"] == {"authenticated": role["Arn"]}
    assert told["set_principal_tag_attribute_map"]["PrincipalTags"]["username"] == "sub"
    assert role["AssumeRolePolicyDocument"] == trust_policy(pool["IdentityPoolId"])
    assert policy["PolicyDocument"] == role_policy("acme-data")
    assert (
        f'identity_pool_id: "{pool["IdentityPoolId"]}"' in (tmp_path / "gateway.yaml").read_text()
    )


def test_two_pools_of_our_name_are_not_chosen_between(cli: Cli, moto: str):
    """The wrong one would be a lock-out."""
    for _ in range(2):
        client(moto, "cognito-idp").create_user_pool(PoolName=NAME)

    result = cli("--yes")

    assert result.exit_code == 1
    assert "2 user pools" in result.output


def test_cognito_takes_no_plain_http(cli: Cli, moto: str):
    """But for localhost; said before anything is made."""
    refused = cli("--yes", url="http://10.0.0.1:8080")
    local = cli("--yes", url="http://localhost:8080")

    assert refused.exit_code == WRONG_INPUT
    assert "https://" in refused.output
    assert local.exit_code == 0, local.output


@pytest.mark.parametrize("address", ["ann", "ann@", "a b@c.d"])
def test_a_user_needs_an_address(cli: Cli, address: str):
    """The invitation goes there."""
    result = cli("--first-user", address, "--yes")

    assert result.exit_code == WRONG_INPUT
    assert "e-mail" in result.output


def test_no_credentials_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    """Exit code 3: something outside failed."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    result = cli("--yes")

    assert result.exit_code == OUTSIDE_FAILED
    assert "could not be asked" in result.output


# The plan

WISH = Wish(
    region="eu-west-1",
    bucket="b",
    callback_url="https://g/api/session/auth/",
    signed_out_url="https://g/ui/signed-out",
    first_user="ann@example.com",
    identity_pool=True,
)


def test_the_plan_names_what_is_kept_made_and_changed():
    """In the order in which it will be done."""
    found = Found(
        pool_id="eu-west-1_x",
        client={"CallbackURLs": ["https://old/"], "LogoutURLs": []},
        role_arn="arn:aws:iam::1:role/x",
    )

    doing = [line.doing for line in plan(WISH, found)]

    assert doing == ["keep", "make", "change", "make", "make", "keep"]
