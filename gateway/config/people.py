"""The settings of who may come: identity providers, sessions, and programs with a key of their own."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from gateway.config.section import Lasting, Life, Name, Section
from gateway.config.validate import looks_like
from gateway.config.values import File, SecretText, SessionKey, StrongSecret, Url

WELL_KNOWN = "/.well-known/openid-configuration"
COGNITO_ISSUER = r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/"
# ASCII, as what stands in a Credential; `\w`, the letters of all scripts, took 40 ms of each start to compile.
KEY_ID = looks_like(
    r"^[0-9A-Za-z_:.@-]{3,128}$",
    "an access key id: 3 to 128 letters A to Z, digits, ':', '.', '@', '_', '-'",
)

Kind = Literal["auto", "cognito", "keycloak", "entra", "google", "okta", "generic"]


Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
_OURS = frozenset(
    {"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce"}
    | {"code_challenge", "code_challenge_method", "request", "request_uri", "claims"}
)
"""Parameters of a sign-in that are the gateway's own, or that change how it comes back."""


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
    audiences: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Audiences whose tokens are accepted; default: the client id."""
    claims: ClaimNames = ClaimNames()
    """Names of claims that differ from the kind's."""
    parameters: dict[str, str] | None = None
    """Fixed parameters of the sign-in request, in place of the kind's."""
    logout: Literal["cognito", "oidc", "none"] | None = None
    """How to sign out at the provider, in place of the kind's way."""
    userinfo: bool | None = None
    """Whether to ask the userinfo endpoint after sign-in, in place of the kind's habit."""
    algorithms: tuple[Algorithm, ...] | None = None
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

    @field_validator("issuer")
    @classmethod
    def _bare(cls, value: str | None) -> str | None:
        if value is not None and ("?" in value or "#" in value):
            raise ValueError("an issuer has neither query nor fragment")
        return value

    @field_validator("algorithms")
    @classmethod
    def _some(cls, value: tuple[Algorithm, ...] | None) -> tuple[Algorithm, ...] | None:
        if value == ():
            raise ValueError("at least one is needed: no token could be verified")
        return value

    @field_validator("parameters")
    @classmethod
    def _additional(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for name in value or {}:
            if name in _OURS:
                raise ValueError(f"{name!r} is not to be set: it is the sign-in's own")
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
        if self.client_id is None and self.backchannel_logout:
            raise ValueError("backchannel_logout without client_id: there are no sessions to end")
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
    lifetime: Life = timedelta(hours=12)
    """A session ends so long after sign-in, whatever happens."""
    idle: Lasting = timedelta(hours=1)
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


class ServiceAccount(Section):
    """A program that signs with a key of its own."""

    name: Name
    """Its subject, for policies (`claims.sub`) and audit."""
    access_key_id: Annotated[str, Field(pattern=KEY_ID)]
    """Access key id; must not begin with GWT or GWP, the prefixes of the keys that the gateway makes."""
    secret_access_key: StrongSecret
    """Secret of 16 characters or more."""
    claims: dict[str, Any] = Field(default_factory=dict)
    """Claims that policies may ask for."""

    @field_validator("access_key_id")
    @classmethod
    def _not_ours(cls, value: str) -> str:
        if value.startswith(("GWT", "GWP")):
            raise ValueError("GWT and GWP begin the keys that the gateway makes; choose another id")
        return value
