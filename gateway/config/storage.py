"""The settings of what is behind: S3 servers, and the credentials that requests to them are signed with."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gateway.config.section import REGION, Assumed, Lasting, Name, RoleArn, Section
from gateway.config.validate import looks_like
from gateway.config.values import File, Origin, SecretText

ACCOUNT = looks_like(r"^[0-9]{12}$", "an account id of twelve digits, in quotes")
IDENTITY_POOL = looks_like(r"^[\w-]+:[0-9A-Za-z-]+…?$", "an identity pool: us-east-1:0a1b2c3d-…")
EXTERNAL_ID = looks_like(
    r"^[A-Za-z0-9_+=,.@:/-]+$", "an external id: letters, digits and + = , . @ : / - _"
)
POLICY_ARN = looks_like(
    r"^arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy/[\w+=,.@/-]+$",
    "the ARN of a managed policy: arn:aws:iam::aws:policy/NAME",
)

PolicyArn = Annotated[str, Field(pattern=POLICY_ARN)]


class UpstreamConfig(Section):
    """An S3 server behind the gateway."""

    endpoint: Origin | None = None
    """`https://host:port`; left out for AWS in `region`."""
    region: Annotated[str, Field(pattern=REGION)] = "us-east-1"
    """Region to sign for."""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    """Where the bucket stands: in the path, or in the host name; `auto` is virtual for AWS and path elsewhere."""
    payload: Literal["passthrough", "decode"] = "passthrough"
    """`decode` opens aws-chunked bodies for servers that do not know that encoding."""
    ca: File | None = None
    """PEM file of certificate authorities to trust for this upstream instead of the system's."""
    expected_owner: Annotated[str, Field(pattern=ACCOUNT)] | None = None
    """Account id that must own the bucket: sent as x-amz-expected-bucket-owner with every request."""
    requester_pays: bool = False
    """Send x-amz-request-payer: the credentials' account pays for the traffic."""
    connect_timeout: Lasting = timedelta(seconds=5)
    """Until connected, TLS included."""
    head_timeout: Lasting = timedelta(seconds=60)
    """From the last byte sent to the head of the answer."""
    idle_timeout: Lasting = timedelta(seconds=60)
    """Silence in the middle of a body, either way."""
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 512
    """Connections open at once, in each worker."""

    @property
    def aws(self) -> bool:
        return self.endpoint is None

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        if self.endpoint is not None:
            return self.endpoint
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://s3.{self.region}.{suffix}"

    @property
    def style(self) -> Literal["path", "virtual"]:
        """The addressing in use."""
        if self.addressing == "auto":
            return "virtual" if self.aws else "path"
        return self.addressing


class StaticCredentials(Section):
    """One access key."""

    type: Literal["static"]
    """`static`"""
    access_key_id: Annotated[str, Field(min_length=1, max_length=128)]
    """The access key id."""
    secret_access_key: SecretText
    """Its secret."""
    session_token: SecretText | None = None
    """Its session token, where it is a temporary one."""


class DefaultCredentials(Section):
    """What the SDK's chain finds: environment, IRSA, Pod Identity, ECS, instance metadata, the default profile."""

    type: Literal["default"]
    """`default`"""


class ProfileCredentials(Section):
    """A named profile of the AWS configuration files."""

    type: Literal["profile"]
    """`profile`"""
    profile: Annotated[str, Field(min_length=1)]
    """Name of the profile."""


class _Role(Section):
    duration: Assumed = timedelta(hours=1)
    """Life of the credentials: 15m to 12h, within the role's own maximum (1h where one role assumes another)."""
    region: Annotated[str, Field(pattern=REGION)] | None = None
    """Region of the STS endpoint; default: that of the upstream."""
    endpoint: Origin | None = None
    """STS endpoint of something that is not AWS."""
    ca: File | None = None
    """PEM file of certificate authorities to trust for that endpoint."""


class AssumeRoleCredentials(_Role):
    """A role assumed for each person: CloudTrail shows who it was, tags and session policy say what they may."""

    type: Literal["assume_role"]
    """`assume_role`"""
    role_arn: RoleArn
    """The role to assume."""
    source: Name | None = None
    """Name of the credentials that assume the role; default: the SDK's chain."""
    session_name: str = "${claims.sub}"
    """Template of the role session name; other characters are left out, and a hash of provider and subject is appended."""
    source_identity: str | None = None
    """Template of the source identity."""
    external_id: (
        Annotated[str, Field(pattern=EXTERNAL_ID, min_length=2, max_length=1224)] | None
    ) = None
    """External id that the role's trust policy asks for."""
    tags: dict[str, str] = Field(default_factory=dict, max_length=50)
    """Session tags: templates by tag key."""
    scope_down: bool = False
    """Narrow the credentials to the grant by an inline session policy; what does not fit into one is refused."""
    policy_arns: Annotated[tuple[PolicyArn, ...], Field(max_length=10)] = ()
    """Managed policies that narrow the session further."""

    @field_validator("source_identity")
    @classmethod
    def _not_of_aws(cls, value: str | None) -> str | None:
        if value is not None and value.lower().startswith("aws:"):
            raise ValueError("AWS keeps names that begin with aws: for itself")
        return value

    @field_validator("tags")
    @classmethod
    def _tag_keys(cls, value: dict[str, str]) -> dict[str, str]:
        seen: set[str] = set()
        for key in value:
            reserved = key.lower().startswith("aws:")
            if reserved or not 1 <= len(key) <= 128 or re.search(r"[^\w .:/=+\-@]", key):
                raise ValueError(f"{key!r} is not a tag key that AWS takes")
            if key.lower() in seen:
                raise ValueError(
                    f"{key!r} stands here twice: AWS does not tell upper from lower case"
                )
            seen.add(key.lower())
        return value


class WebIdentityCredentials(_Role):
    """A role assumed with the person's own ID token: for sign-in sessions and bearer tokens only."""

    type: Literal["web_identity"]
    """`web_identity`"""
    role_arn: RoleArn
    """The role, whose trust policy names the provider."""
    session_name: str = "${claims.sub}"
    """As for `assume_role`."""
    scope_down: bool = False
    """As for `assume_role`."""
    policy_arns: Annotated[tuple[PolicyArn, ...], Field(max_length=10)] = ()
    """As for `assume_role`."""


class CognitoIdentityCredentials(_Role):
    """Credentials of a Cognito identity pool, had for the person's own ID token."""

    type: Literal["cognito_identity"]
    """`cognito_identity`"""
    identity_pool_id: Annotated[str, Field(pattern=IDENTITY_POOL)]
    """The identity pool: `us-east-1:…`."""
    flow: Literal["enhanced", "basic"] = "enhanced"
    """`basic` must be allowed in the pool and assumes `role_arn` with a session policy: `scope_down` needs it."""
    role_arn: RoleArn | None = None
    """enhanced: one of the person's `cognito:roles` to ask for; basic: the role to assume."""
    session_name: str = "${claims.sub}"
    """basic: as for `assume_role`."""
    scope_down: bool = False
    """basic: as for `assume_role`."""
    login: str | None = None
    """Name of the provider within the pool; default: the issuer without `https://`."""
    sts_endpoint: Origin | None = None
    """basic: STS endpoint of something that is not AWS; `endpoint` is that of the identity pool."""

    @model_validator(mode="after")
    def _flows(self) -> CognitoIdentityCredentials:
        if self.flow == "basic" and self.role_arn is None:
            raise ValueError("flow basic needs role_arn")
        if self.flow == "enhanced" and self.scope_down:
            raise ValueError("scope_down needs flow: basic, which takes a session policy")
        return self


class AnonymousCredentials(Section):
    """Requests go upstream unsigned: for public buckets."""

    type: Literal["anonymous"]
    """`anonymous`"""


CredentialsConfig = Annotated[
    StaticCredentials
    | DefaultCredentials
    | ProfileCredentials
    | AssumeRoleCredentials
    | WebIdentityCredentials
    | CognitoIdentityCredentials
    | AnonymousCredentials,
    Field(discriminator="type"),
]
NEED_TOKEN = (WebIdentityCredentials, CognitoIdentityCredentials)
"""Serve only callers whose ID token is at hand."""
