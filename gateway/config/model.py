"""
Every setting of gateway.yaml: one model a section, one docstring a field with its unit.

The reference page and the JSON Schema are made from this file. What concerns several sections
at once is asked in `gateway.config.checks`; the policies' own language is `gateway.policy`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway.config.positions import Document, Problem
from gateway.config.validate import looks_like
from gateway.config.values import (
    Address,
    Addresses,
    Duration,
    File,
    HostNames,
    HostOrAny,
    Network,
    Origin,
    RedisUrl,
    SecretText,
    SessionKey,
    Size,
    StrongSecret,
    Url,
)

WELL_KNOWN = "/.well-known/openid-configuration"
COGNITO_ISSUER = r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/"
NAME = looks_like(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "a name: letters, digits, '.', '_' and '-', 64 at most"
)
ROLE_ARN = looks_like(
    r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$",
    "the ARN of a role: arn:aws:iam::123456789012:role/NAME",
)
REGION = looks_like(r"^[a-z0-9-]{1,64}$", "a region such as us-east-1")
ACCOUNT = looks_like(r"^[0-9]{12}$", "an account id of twelve digits, in quotes")
IDENTITY_POOL = looks_like(r"^[\w-]+:[0-9A-Za-z-]+…?$", "an identity pool: us-east-1:0a1b2c3d-…")
KEY_ID = looks_like(
    r"^[\w:.@-]{3,128}$", "an access key id: 3 to 128 letters, digits, ':', '.', '@', '_', '-'"
)
LOCATION = looks_like(r"^/[\w./-]*$", "a location of nginx such as /_s3")

Name = Annotated[str, Field(pattern=NAME)]
"""What sections call each other by: letters, digits, `.`, `_`, `-`; at most 64 characters."""
RoleArn = Annotated[str, Field(pattern=ROLE_ARN)]
Kind = Literal["auto", "cognito", "keycloak", "entra", "google", "okta", "generic"]


class Section(BaseModel):
    """A part of the file: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # CFG-2: what was wrong may be a secret
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )


class Tls(Section):
    """The listener's own certificate. Both files are read again when they change."""

    certificate: File
    """PEM file: the certificate, then its chain."""
    key: File
    """PEM file: the private key."""


def _derived_url(data: dict[str, Any]) -> str:
    scheme = "https" if data.get("tls") else "http"
    for address in data.get("listen", ()):
        if address.kind == "tcp" and address.port and not address.wildcard:
            return f"{scheme}://{address}"
    return ""


class Server(Section):
    """The listener that people and programs reach."""

    listen: Addresses = (Address("tcp", "127.0.0.1", 8080),)
    """Where to listen: `HOST:PORT`, `unix:/path`, `fd:NAME` (a socket of the service manager's), or a list of them."""
    tls: Tls | None = None
    """Serve TLS with this certificate; without it a proxy in front does, or nobody."""
    public_url: Origin = Field(default_factory=_derived_url)
    """The address that browsers and clients use: scheme, host, port. Redirects, cookies and the same-origin rule rest on it. Default: the first address of `listen`."""
    hosts: tuple[HostOrAny, ...] = ()
    """Further host names that requests may name (inside a cluster, for instance); `*` for any. Without `public_url` any is accepted."""
    virtual_host: HostNames = ()
    """`s3.example.com`: requests to `BUCKET.s3.example.com` are S3 for that bucket. A name or a list of them."""
    s3_host: HostNames = ()
    """Host names where everything is S3: no pages, no API, cookies ignored. A name or a list of them."""
    trusted_proxies: tuple[Network, ...] = ()
    """Addresses and networks that may say who the client is (X-Forwarded-*, X-Original-*); `unix` for the peers of a unix socket. Default: nobody."""
    workers: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = 1
    """Processes that share the port; `auto` is one a core."""
    drain: Duration = timedelta(seconds=30)
    """How long running transfers may go on after SIGTERM before they are cut."""
    offload: Literal["none", "x-accel", "redirect"] = "none"
    """Who moves the bytes of a large GET: `none` the gateway; `x-accel` nginx in front, told by X-Accel-Redirect; `redirect` the client itself, by 307 to a presigned URL (SDKs, which do not follow it, are served by the gateway)."""
    offload_min_size: Size = 1024 * 1024
    """Bytes: objects known to be smaller are not offloaded."""
    offload_location: Annotated[str, Field(pattern=LOCATION)] = "/_s3"
    """The internal location of nginx that X-Accel-Redirect names."""
    connections: Annotated[int, Field(ge=1)] = 10_000
    """Connections open at once, in each worker; whoever comes beyond gets 503 and is asked to come again."""
    header_timeout: Duration = timedelta(seconds=30)
    """How long a connection may stay idle, or take for its request head (DOS-1)."""
    body_timeout: Duration = timedelta(seconds=60)
    """Silence in the middle of a body, either way, after which the connection is cut (DOS-2)."""
    body_min_rate: Size = 1024
    """Bytes a second, averaged over a minute, that a body must arrive with (DOS-2); 0 for no limit."""

    @property
    def secure(self) -> bool:
        """Browsers speak TLS to us: cookies carry `Secure` and `__Host-`."""
        return self.public_url.startswith("https://")

    @property
    def authority(self) -> str:
        """Host and port of the public URL."""
        return urlsplit(self.public_url).netloc

    @property
    def hostname(self) -> str:
        """Host of the public URL, lower case, without port or brackets."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def callback_url(self) -> str:
        """What an administrator registers at the identity provider, slash included."""
        return f"{self.public_url}/api/session/auth/"

    @property
    def signed_out_url(self) -> str:
        """The one sign-out URL to register."""
        return f"{self.public_url}/ui/signed-out"


class Admin(Section):
    """The internal listener: `/livez`, `/readyz`, `/metrics` and nothing else."""

    listen: Addresses = (Address("tcp", "127.0.0.1", 9090),)
    """As `server.listen`; an empty list for none."""


class ClaimNames(Section):
    """Claims that describe a person, where the provider's kind does not know better."""

    username: str | None = None
    """Claim for the user name."""
    name: str | None = None
    """Claim for the display name."""
    email: str | None = None
    """Claim for the e-mail address."""
    groups: str | None = None
    """Claim for the groups."""


class Provider(Section):
    """An OpenID Connect provider: people sign in there, or its tokens are accepted, or both."""

    name: Name
    """What policies call it (`issuer:`), and what the choice at sign-in shows unless there is a `title`."""
    title: str = ""
    """What people see where there are several providers."""
    config_url: Url | None = None
    """URL of the discovery document, which ends in `/.well-known/openid-configuration`."""
    issuer: Url | None = None
    """The issuer, exactly as its tokens say it; either this or `config_url`."""
    client_id: Annotated[str, Field(min_length=1)] | None = None
    """The app client registered at the provider. Without it there is no sign-in, only tokens."""
    client_secret: SecretText | None = None
    """Secret of the app client; left out for a public client."""
    scope: str | None = None
    """Scopes asked for at sign-in. Left out: what the kind wants. `""`: the parameter is not sent (Cognito then grants what the app client allows)."""
    kind: Kind = "auto"
    """Whose habits to expect; `auto` looks at the issuer."""
    audiences: tuple[str, ...] = ()
    """Audiences whose tokens are accepted; default: the client id."""
    claims: ClaimNames = ClaimNames()
    """Names of claims that differ from the kind's."""
    parameters: dict[str, str] | None = None
    """Fixed parameters of the sign-in request, in place of the kind's."""
    logout: Literal["cognito", "oidc", "none"] | None = None
    """How to sign out at the provider, in place of the kind's way."""
    userinfo: bool | None = None
    """Whether to ask the userinfo endpoint after sign-in, in place of the kind's habit."""
    algorithms: tuple[str, ...] | None = None
    """Signature algorithms to accept: a subset of RS, PS, ES 256, 384, 512 and EdDSA."""
    client_auth: Literal["client_secret_basic", "client_secret_post"] | None = None
    """How the client secret is sent; default: Basic unless the provider takes post only."""
    ca: File | None = None
    """PEM file of certificate authorities to trust for this provider instead of the system's."""
    token_file: File | None = None
    """A file whose content is sent as bearer token when discovery and keys are fetched: the API server of a Kubernetes cluster may want one."""
    use_environment_proxy: bool = False
    """Reach the provider through HTTPS_PROXY and its kin."""
    backchannel_logout: bool = False
    """Accept the provider's back-channel logout at `/api/session/backchannel-logout`."""

    @field_validator("config_url")
    @classmethod
    def _well_known(cls, value: str | None) -> str | None:
        if value is not None and not value.endswith(WELL_KNOWN):
            raise ValueError(f"a URL that ends in {WELL_KNOWN} is expected")
        return value

    @field_validator("name")
    @classmethod
    def _not_ours(cls, value: str) -> str:
        if value in ("anonymous", "service"):
            raise ValueError(f"{value!r} is the gateway's own name; choose another")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Provider:
        if self.config_url is None and self.issuer is None:
            raise ValueError("config_url or issuer is needed")
        if (
            self.config_url
            and self.issuer
            and self.issuer != self.config_url.removesuffix(WELL_KNOWN)
        ):
            raise ValueError("issuer and config_url disagree; one of them is enough")
        if self.client_id is None and self.client_secret is not None:
            raise ValueError("client_secret without client_id")
        if self.client_id is None and not self.audiences:
            raise ValueError("client_id (for sign-in) or audiences (for tokens) is needed")
        return self

    @property
    def issuer_url(self) -> str:
        """The issuer that documents and tokens must name, character for character (OID-8)."""
        return self.issuer or (self.config_url or "").removesuffix(WELL_KNOWN)

    @property
    def discovery_url(self) -> str:
        return self.config_url or self.issuer_url.rstrip("/") + WELL_KNOWN

    @property
    def cognito(self) -> bool:
        """An Amazon Cognito user pool."""
        return self.kind == "cognito" or (
            self.kind == "auto" and re.match(COGNITO_ISSUER, self.issuer_url) is not None
        )

    @property
    def login(self) -> bool:
        """People can sign in there."""
        return self.client_id is not None

    @property
    def accepted_audiences(self) -> tuple[str, ...]:
        return self.audiences or ((self.client_id,) if self.client_id else ())

    @property
    def label(self) -> str:
        return self.title or self.name


class SessionSettings(Section):
    """Cookies and everything else that the gateway seals."""

    keys: tuple[SessionKey, ...] = ()
    """Keys of 32 bytes or more, newest first; the others still open what they sealed. Removing one ends the sessions, temporary and personal keys made with it. `gateway init` writes one; every replica needs the same."""
    lifetime: Duration = timedelta(hours=12)
    """A session ends so long after sign-in, whatever happens."""
    idle: Duration = timedelta(hours=1)
    """A session ends after so long without a request."""

    @field_validator("keys", mode="before")
    @classmethod
    def _one_key(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("keys")
    @classmethod
    def _all_different(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) != len(value):
            raise ValueError("the same key stands here twice")
        return value


class _State(Section):
    stale: Duration = timedelta(minutes=10)
    """How long "not revoked" may be believed while the store does not answer; 0 refuses at once."""


class MemoryState(_State):
    """State in this process: lost at its end, shared with nobody."""

    type: Literal["memory"] = "memory"
    """`memory`"""


class SqliteState(_State):
    """State in a file that the workers of one host share."""

    type: Literal["sqlite"]
    """`sqlite`"""
    path: File
    """The database file; made when it is not there, its folder must be."""


class RedisState(_State):
    """State in Redis or Valkey, for many hosts."""

    type: Literal["redis"]
    """`redis`"""
    url: RedisUrl
    """`redis://`, `rediss://` (TLS), Sentinel and Cluster forms; a password comes from `${file:}` or `${env:}`."""
    prefix: str = "gateway/"
    """Begins every key in the store."""
    ca: File | None = None
    """PEM file of certificate authorities for `rediss://`."""


State = Annotated[MemoryState | SqliteState | RedisState, Field(discriminator="type")]


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
    connect_timeout: Duration = timedelta(seconds=5)
    """Until connected, TLS included."""
    head_timeout: Duration = timedelta(seconds=60)
    """From the last byte sent to the head of the answer."""
    idle_timeout: Duration = timedelta(seconds=60)
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
    duration: Annotated[
        Duration, AfterValidator(lambda value: _within(value, minimum=900, maximum=43200))
    ] = timedelta(hours=1)
    """Life of the credentials: 15m to 12h, within the role's own maximum (1h where one role assumes another)."""
    region: Annotated[str, Field(pattern=REGION)] | None = None
    """Region of the STS endpoint; default: that of the upstream."""
    endpoint: Origin | None = None
    """STS endpoint of something that is not AWS."""
    ca: File | None = None
    """PEM file of certificate authorities to trust for that endpoint."""


def _within(value: timedelta, *, minimum: int, maximum: int) -> timedelta:
    if not minimum <= value.total_seconds() <= maximum:
        raise ValueError(f"between {minimum} and {maximum} seconds is expected")
    return value


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
    external_id: str | None = None
    """External id that the role's trust policy asks for."""
    tags: Annotated[dict[str, str], Field(max_length=50)] = {}
    """Session tags: templates by tag key."""
    scope_down: bool = False
    """Narrow the credentials to the grant by an inline session policy; what does not fit into one is refused."""
    policy_arns: Annotated[tuple[str, ...], Field(max_length=10)] = ()
    """Managed policies that narrow the session further."""

    @field_validator("tags")
    @classmethod
    def _tag_keys(cls, value: dict[str, str]) -> dict[str, str]:
        seen: set[str] = set()
        for key in value:
            if not 1 <= len(key) <= 128 or re.search(r"[^\w .:/=+\-@]", key):
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
    policy_arns: Annotated[tuple[str, ...], Field(max_length=10)] = ()
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


class ServiceAccount(Section):
    """A program that signs with a key of its own."""

    name: Name
    """Its subject, for policies (`claims.sub`) and audit."""
    access_key_id: Annotated[str, Field(pattern=KEY_ID)]
    """Access key id; must not begin with GWT or GWP, the prefixes of the keys that the gateway makes."""
    secret_access_key: StrongSecret
    """Secret of 16 characters or more."""
    claims: dict[str, Any] = {}
    """Claims that policies may ask for."""

    @field_validator("access_key_id")
    @classmethod
    def _not_ours(cls, value: str) -> str:
        if value.startswith(("GWT", "GWP")):
            raise ValueError("GWT and GWP begin the keys that the gateway makes; choose another id")
        return value


class Limits(Section):
    """What one identity (for the anonymous: one address) may use. Counted in each worker; beyond it 503 SlowDown."""

    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    """Average of requests a second; default: no limit."""
    burst: Annotated[int, Field(ge=1)] | None = None
    """Requests that may come at once above the average; default: one second's."""
    concurrent: Annotated[int, Field(ge=1)] | None = None
    """Requests at once; default: no limit."""
    total: Annotated[int, Field(ge=1)] | None = None
    """Requests at once of all identities together; when they are used up, who has least comes first."""
    failures_per_minute: Annotated[int, Field(ge=1)] = 60
    """Failed proofs (wrong signatures, passwords, tokens) from one address."""


class Audit(Section):
    """One JSON line for every decision."""

    path: str = "-"
    """A file, reopened on SIGHUP; `-` is standard output."""


class Log(Section):
    """What the gateway tells its operator, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is written."""
    format: Literal["json", "text"] = "json"
    """`json`: a line is an object; `text`: for reading in a terminal."""
    requests: bool = False
    """Also a line for every request to pages and API; S3 requests have their audit line."""


class Keys(Section):
    """Access keys that people make for themselves."""

    personal: bool = True
    """Whether people may make personal keys."""
    max_lifetime: Duration = timedelta(days=365)
    """Longest life of a personal key."""
    temporary: Duration = timedelta(hours=1)
    """Life of temporary credentials where none is asked for."""
    temporary_max: Annotated[
        Duration, AfterValidator(lambda value: _within(value, minimum=900, maximum=43200))
    ] = timedelta(hours=12)
    """Longest life of temporary credentials: 15m to 12h."""
    login: Duration = timedelta(days=7)
    """Life of the key that `gateway login` hands to a machine; never longer than `max_lifetime`."""
    unconfirmed: Duration = timedelta(days=30)
    """Personal keys stop when their owner has not been confirmed at the provider for so long (KEY-4)."""


class Sts(Section):
    """The STS query API."""

    roles: tuple[RoleArn, ...] = ()
    """Role ARNs that callers may name; default: any that is well formed. None of them changes what the caller may do."""


class Shares(Section):
    """Links that let others see a prefix or put files there."""

    enabled: bool = True
    """Whether people may make share links."""
    max_lifetime: Duration = timedelta(days=30)
    """Longest life of a link."""


class Jobs(Section):
    """Copy, move and delete of many keys, and archives."""

    per_identity: Annotated[int, Field(ge=1)] = 2
    """Jobs and archives of one identity that run at once."""
    total: Annotated[int, Field(ge=1)] = 16
    """Of all, in each worker."""
    max_objects: Annotated[int, Field(ge=1)] = 1_000_000
    """Keys that one job may touch."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    """Objects that one job works on at once."""


class Webhook(Section):
    """Told of objects that were created or removed, as JSON by POST, with a signature."""

    url: Url
    """Where to send events."""
    secret: StrongSecret
    """Signs each request: `X-Gateway-Signature: sha256=` and the HMAC-SHA256, in hex, of `X-Gateway-Timestamp`, a dot and the body."""
    events: tuple[Literal["created", "removed"], ...] = ("created", "removed")
    """Which events."""
    buckets: tuple[str, ...] = ("*",)
    """Patterns of bucket names, as clients see them."""
    ca: File | None = None
    """PEM file of certificate authorities to trust for this URL."""


class Config(Section):
    """All of gateway.yaml."""

    server: Server = Field(default_factory=lambda: Server())
    """The listener, its names, its proxies and its limits."""
    admin: Admin = Admin()
    """The internal listener."""
    oidc: tuple[Provider, ...] = ()
    """Identity providers."""
    session: SessionSettings = SessionSettings()
    """Cookies and what else is sealed."""
    state: State = MemoryState()
    """Where revocations, personal keys, share links, refresh tokens and jobs are kept."""
    upstreams: dict[Name, UpstreamConfig] = {}
    """The S3 servers behind, by name."""
    credentials: dict[Name, CredentialsConfig] = {}
    """What upstream requests are signed with, by name."""
    service_accounts: tuple[ServiceAccount, ...] = ()
    """Programs that sign with a key of their own."""
    policies: tuple[str, ...] = ("policies/*.yaml",)
    """Policy files: patterns relative to this file. Read in the order given, matches in the order of their names."""
    limits: Limits = Limits()
    """What one identity may use."""
    audit: Audit = Audit()
    """Where the audit lines go."""
    log: Log = Log()
    """What is logged."""
    keys: Keys = Keys()
    """Access keys that people make."""
    sts: Sts = Sts()
    """What callers of the STS query API may name."""
    shares: Shares = Shares()
    """Share links."""
    jobs: Jobs = Jobs()
    """Jobs and archives."""
    webhooks: tuple[Webhook, ...] = ()
    """Told of objects created and removed; none by default."""

    def provider(self, name: str) -> Provider | None:
        """The provider of that name."""
        return next((provider for provider in self.oidc if provider.name == name), None)

    @property
    def logins(self) -> tuple[Provider, ...]:
        """Providers where people can sign in."""
        return tuple(provider for provider in self.oidc if provider.login)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was read from the operator's files; not yet checked as a whole."""

    config: Config | None
    """None where the document does not make one."""
    document: Document
    """gateway.yaml, for the places of what is found wrong later."""
    policies: tuple[Document, ...] = ()
    """Policy files, in order."""
    files: tuple[Path, ...] = ()
    """Every file that was read or looked for: a change of one calls for a reload."""
    problems: tuple[Problem, ...] = ()
