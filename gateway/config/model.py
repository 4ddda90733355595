"""
Every setting of gateway.yaml: one model a section, one docstring a field with its unit.

The reference page and the JSON Schema are made from these models; the larger groups stand in
`listeners`, `people` and `storage`, and are imported from here all the same. What concerns several
sections at once is asked in `gateway.config.checks`; the policies' own language is `gateway.policy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, final

from pydantic import Field

from gateway.config.listeners import Admin, Server, Tls
from gateway.config.people import (
    WELL_KNOWN,
    ClaimNames,
    Kind,
    Provider,
    ServiceAccount,
    SessionSettings,
)
from gateway.config.positions import Document, Problem
from gateway.config.section import Assumed, Lasting, Life, Name, RoleArn, Section
from gateway.config.storage import (
    NEED_TOKEN,
    AnonymousCredentials,
    AssumeRoleCredentials,
    CognitoIdentityCredentials,
    CredentialsConfig,
    DefaultCredentials,
    ProfileCredentials,
    StaticCredentials,
    UpstreamConfig,
    WebIdentityCredentials,
)
from gateway.config.values import Duration, File, RedisUrl, StrongSecret, Url

__all__ = [
    "NEED_TOKEN",
    "WELL_KNOWN",
    "Admin",
    "AnonymousCredentials",
    "AssumeRoleCredentials",
    "Audit",
    "ClaimNames",
    "CognitoIdentityCredentials",
    "Config",
    "CredentialsConfig",
    "DefaultCredentials",
    "Jobs",
    "Keys",
    "Kind",
    "Limits",
    "Loaded",
    "Log",
    "MemoryState",
    "ProfileCredentials",
    "Provider",
    "RedisState",
    "Section",
    "Server",
    "ServiceAccount",
    "SessionSettings",
    "Shares",
    "SqliteState",
    "State",
    "StaticCredentials",
    "Sts",
    "Tls",
    "UpstreamConfig",
    "WebIdentityCredentials",
    "Webhook",
]


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
    max_lifetime: Life = timedelta(days=365)
    """Longest life of a personal key."""
    temporary: Lasting = timedelta(hours=1)
    """Life of temporary credentials where none is asked for."""
    temporary_max: Assumed = timedelta(hours=12)
    """Longest life of temporary credentials: 15m to 12h."""
    login: Life = timedelta(days=7)
    """Life of the key that `gateway login` hands to a machine; never longer than `max_lifetime`."""
    unconfirmed: Lasting = timedelta(days=30)
    """Personal keys stop when their owner has not been confirmed at the provider for so long (KEY-4)."""


class Sts(Section):
    """The STS query API."""

    roles: tuple[RoleArn, ...] = ()
    """Role ARNs that callers may name; default: any that is well formed. None of them changes what the caller may do."""


class Shares(Section):
    """Links that let others see a prefix or put files there."""

    enabled: bool = True
    """Whether people may make share links."""
    max_lifetime: Life = timedelta(days=30)
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
    upstreams: dict[Name, UpstreamConfig] = Field(default_factory=dict)
    """The S3 servers behind, by name."""
    credentials: dict[Name, CredentialsConfig] = Field(default_factory=dict)
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
