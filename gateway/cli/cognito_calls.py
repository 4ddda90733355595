"""
What a Cognito deployment of the gateway consists of: found, and made where it is missing.

What bears our name is not made twice. An interrupted run is mended by the next: each step looks
at what is there, and the last ones say the same every time.

Sources: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/;
https://docs.aws.amazon.com/cognito/latest/developerguide/attributes-for-access-control.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, final

import click

from gateway.identity import Credentials
from gateway.upstream.aws import Aws, AwsRefusal, Service

NAME: Final = "s3-auth-gateway"
"""Of user pool and app client: how a second run finds them."""
PAGE: Final = 60  # entries a page: the most that Cognito gives
SCOPES: Final = ("openid", "email", "profile")
_HASH = 8  # characters that make a domain's name nobody else's

POOL_SETTINGS: Final[Mapping[str, Any]] = {
    "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True},  # nobody lets themselves in
    "UsernameAttributes": ["email"],
    "UsernameConfiguration": {"CaseSensitive": False},
    "AutoVerifiedAttributes": ["email"],
    "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
    "DeletionProtection": "ACTIVE",
}
CLIENT_SETTINGS: Final[Mapping[str, Any]] = {
    "AllowedOAuthFlowsUserPoolClient": True,
    "AllowedOAuthFlows": ["code"],
    "AllowedOAuthScopes": list(SCOPES),
    "SupportedIdentityProviders": ["COGNITO"],
    "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"],
    "PreventUserExistenceErrors": "ENABLED",
    "EnableTokenRevocation": True,
}
_CLIENT_KEPT: Final = frozenset(
    {
        *CLIENT_SETTINGS,
        *("ClientName", "RefreshTokenValidity", "AccessTokenValidity", "IdTokenValidity"),
        *("TokenValidityUnits", "ReadAttributes", "WriteAttributes", "DefaultRedirectURI"),
        *("AnalyticsConfiguration", "AuthSessionValidity", "RefreshTokenRotation"),
        "EnablePropagateAdditionalUserContextData",
    }
)
"""Settings that an update sets back to their default unless it repeats them."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be there in the end."""

    region: str
    bucket: str
    callback_url: str
    signed_out_url: str
    first_user: str = ""
    """E-mail address; empty for nobody."""
    identity_pool: bool = False

    @property
    def role_name(self) -> str:
        return f"{NAME}-{self.bucket}"[:64]


@final
@dataclass(slots=True, kw_only=True)
class Found:
    """What is there already."""

    pool_id: str = ""
    domain: str = ""
    client: Mapping[str, Any] = field(default_factory=dict)
    user: bool = False
    identity_pool_id: str = ""
    role_arn: str = ""

    def urls_missing(self, wish: Wish) -> bool:
        """The app client is there and does not know this gateway."""
        return wish.callback_url not in self.client.get(
            "CallbackURLs", ()
        ) or wish.signed_out_url not in self.client.get("LogoutURLs", ())


# The API


@final
class Cloud:
    """Calls to the three services, signed with what the SDK's chain finds."""

    def __init__(
        self, aws: Aws, credentials: Credentials, region: str, endpoint: str | None
    ) -> None:
        async def lend() -> Credentials:
            return credentials

        self._aws = aws
        self._lender = ("chain", lend)
        self._region = region
        self._endpoint = endpoint

    async def call(
        self, name: Literal["cognito-idp", "cognito-identity", "iam"], operation: str, **params: Any
    ) -> Mapping[str, Any]:
        service = Service(name=name, region=self._region, endpoint=self._endpoint)
        return await self._aws.call(service, operation, lender=self._lender, **params)

    async def idp(self, operation: str, **params: Any) -> Mapping[str, Any]:
        return await self.call("cognito-idp", operation, **params)

    async def pages(
        self,
        name: Literal["cognito-idp", "cognito-identity"],
        operation: str,
        member: str,
        **params: Any,
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Every entry of a list, whatever number of pages it has."""
        token: dict[str, str] = {}
        while True:
            page = await self.call(name, operation, MaxResults=PAGE, **token, **params)
            for entry in page.get(member, ()):
                yield entry
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


# Looking


async def look(cloud: Cloud, wish: Wish) -> Found:
    """What of the wish is there. Raises AwsRefusal, UpstreamUnavailable, click.ClickException."""
    found = Found()
    pools = [
        pool async for pool in cloud.pages("cognito-idp", "list_user_pools", "UserPools")
        if pool["Name"] == NAME
    ]  # fmt: skip
    if len(pools) > 1:
        raise click.ClickException(f"there are {len(pools)} user pools {NAME}; rename all but one")
    if pools:
        await _look_into(cloud, wish, found, pools[0]["Id"])
    if wish.identity_pool:
        found.identity_pool_id = await _identity_pool(cloud)
        found.role_arn = await _role(cloud, wish)
    return found


async def _look_into(cloud: Cloud, wish: Wish, found: Found, pool_id: str) -> None:
    found.pool_id = pool_id
    described = (await cloud.idp("describe_user_pool", UserPoolId=pool_id))["UserPool"]
    found.domain = described.get("CustomDomain") or described.get("Domain") or ""
    async for client in cloud.pages(
        "cognito-idp", "list_user_pool_clients", "UserPoolClients", UserPoolId=pool_id
    ):
        if client["ClientName"] == NAME:
            found.client = await _client(cloud, pool_id, client["ClientId"])
    if wish.first_user:
        found.user = await _user(cloud, pool_id, wish.first_user)


async def _client(cloud: Cloud, pool_id: str, client_id: str) -> Mapping[str, Any]:
    answer = await cloud.idp("describe_user_pool_client", UserPoolId=pool_id, ClientId=client_id)
    client: Mapping[str, Any] = answer["UserPoolClient"]
    return client


async def _user(cloud: Cloud, pool_id: str, email: str) -> bool:
    try:
        await cloud.idp("admin_get_user", UserPoolId=pool_id, Username=email)
    except AwsRefusal as refusal:
        if refusal.code == "UserNotFoundException":
            return False
        raise
    return True


async def _identity_pool(cloud: Cloud) -> str:
    async for pool in cloud.pages("cognito-identity", "list_identity_pools", "IdentityPools"):
        if pool["IdentityPoolName"] == NAME:
            return str(pool["IdentityPoolId"])
    return ""


async def _role(cloud: Cloud, wish: Wish) -> str:
    try:
        answer = await cloud.call("iam", "get_role", RoleName=wish.role_name)
    except AwsRefusal as refusal:
        if refusal.code == "NoSuchEntity":
            return ""
        raise
    return str(answer["Role"]["Arn"])


# Making


async def make(cloud: Cloud, wish: Wish, found: Found) -> Found:
    """What is missing. What was made before a failure is found by the next run."""
    if not found.pool_id:
        answer = await cloud.idp("create_user_pool", PoolName=NAME, **POOL_SETTINGS)
        found.pool_id = answer["UserPool"]["Id"]
    if not found.domain:
        found.domain = f"{NAME}-{_short(found.pool_id)}"
        await cloud.idp("create_user_pool_domain", Domain=found.domain, UserPoolId=found.pool_id)
    found.client = await _made_client(cloud, wish, found)
    if wish.first_user and not found.user:
        await cloud.idp(
            "admin_create_user",
            UserPoolId=found.pool_id,
            Username=wish.first_user,
            UserAttributes=[
                {"Name": "email", "Value": wish.first_user},
                {"Name": "email_verified", "Value": "true"},
            ],
            DesiredDeliveryMediums=["EMAIL"],
        )
        found.user = True
    if wish.identity_pool:
        await _make_identity_pool(cloud, wish, found)
    return found


def _short(pool_id: str) -> str:
    """Tells pools apart, and is the same in every run."""
    return hashlib.sha256(pool_id.encode()).hexdigest()[:_HASH]


async def _made_client(cloud: Cloud, wish: Wish, found: Found) -> Mapping[str, Any]:
    client = found.client
    if not client:
        answer = await cloud.idp(
            "create_user_pool_client",
            UserPoolId=found.pool_id,
            ClientName=NAME,
            GenerateSecret=True,
            CallbackURLs=[wish.callback_url],
            LogoutURLs=[wish.signed_out_url],
            **CLIENT_SETTINGS,
        )
        made: Mapping[str, Any] = answer["UserPoolClient"]
        return made
    if found.urls_missing(wish):
        await cloud.idp(
            "update_user_pool_client",
            UserPoolId=found.pool_id,
            ClientId=client["ClientId"],
            CallbackURLs=_with(client.get("CallbackURLs", ()), wish.callback_url),
            LogoutURLs=_with(client.get("LogoutURLs", ()), wish.signed_out_url),
            **{name: value for name, value in client.items() if name in _CLIENT_KEPT},
        )
    return client


def _with(urls: list[str], url: str) -> list[str]:
    return list(dict.fromkeys([*urls, url]))


async def _make_identity_pool(cloud: Cloud, wish: Wish, found: Found) -> None:
    provider = f"{_service_host('cognito-idp', wish.region)}/{found.pool_id}"
    if not found.identity_pool_id:
        answer = await cloud.call(
            "cognito-identity",
            "create_identity_pool",
            IdentityPoolName=NAME,
            AllowUnauthenticatedIdentities=False,
            CognitoIdentityProviders=[
                {
                    "ProviderName": provider,
                    "ClientId": found.client["ClientId"],
                    "ServerSideTokenCheck": True,  # whoever was signed out everywhere gets nothing
                }
            ],
        )
        found.identity_pool_id = answer["IdentityPoolId"]
    if not found.role_arn:
        answer = await cloud.call(
            "iam",
            "create_role",
            RoleName=wish.role_name,
            Description="What people who sign in at the S3 gateway may do by themselves",
            AssumeRolePolicyDocument=json.dumps(trust_policy(found.identity_pool_id)),
        )
        found.role_arn = answer["Role"]["Arn"]
    # These say the same each time: an interrupted run is mended by the next.
    await cloud.call(
        "iam",
        "put_role_policy",
        RoleName=wish.role_name,
        PolicyName="objects",
        PolicyDocument=json.dumps(role_policy(wish.bucket, found.role_arn.split(":")[1])),
    )
    await cloud.call(
        "cognito-identity",
        "set_principal_tag_attribute_map",
        IdentityPoolId=found.identity_pool_id,
        IdentityProviderName=provider,
        UseDefaults=False,
        PrincipalTags={"username": "sub", "client": "aud"},
    )
    await cloud.call(
        "cognito-identity",
        "set_identity_pool_roles",
        IdentityPoolId=found.identity_pool_id,
        Roles={"authenticated": found.role_arn},
    )


def _service_host(name: str, region: str) -> str:
    return f"{name}.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def trust_policy(identity_pool_id: str) -> dict[str, Any]:
    """Only this pool, and only for people who have signed in."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": "cognito-identity.amazonaws.com"},
                "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {"cognito-identity.amazonaws.com:aud": identity_pool_id},
                    "ForAnyValue:StringLike": {
                        "cognito-identity.amazonaws.com:amr": "authenticated"
                    },
                },
            }
        ],
    }


def role_policy(bucket: str, partition: str = "aws") -> dict[str, Any]:
    """Read the bucket; write below one's own prefix, whose name is the subject of the sign-in."""
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "s3:ListBucket",
                    "s3:GetBucketLocation",
                    "s3:ListBucketMultipartUploads",
                ],
                "Resource": arn,
            },
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/*"},
            {
                "Effect": "Allow",
                "Action": [
                    "s3:PutObject",
                    "s3:DeleteObject",
                    "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                ],
                "Resource": f"{arn}/users/${{aws:PrincipalTag/username}}/*",
            },
        ],
    }
