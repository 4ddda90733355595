"""
Identity providers: how they differ, and what their discovery document says once checked.

A kind is a row of data in KINDS, never a branch elsewhere: to correct a provider's quirk, edit
its row. The document comes from the network and is believed only as far as the rules here go:
endpoints must be https (http on loopback), and the issuer must be the configured one (OID-10).

Sources: OpenID Connect Discovery 1.0; RFC 8414; RFC 9207; the providers' own manuals.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from gateway.config import model
from gateway.errors import PROVIDER_ANSWER, ProviderError
from gateway.identity import Secret
from gateway.message import Pairs

WELL_KNOWN = "/.well-known/openid-configuration"
URL_MAX = 2048  # characters of an endpoint: browsers and proxies carry no longer ones reliably

ASYMMETRIC = frozenset(
    {f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)} | {"EdDSA"}
)
"""The only algorithms there are (OID-4): HS* and none are not among them and cannot be added."""

_RS256 = frozenset({"RS256"})


class Logout(Enum):
    """How a browser is signed out at the provider."""

    COGNITO = "cognito"
    """`client_id` and a registered `logout_uri`; not RP-initiated logout, whatever it advertises."""
    OIDC = "oidc"
    """OpenID Connect RP-Initiated Logout 1.0, where the document names an endpoint."""
    LOCAL = "none"
    """The provider cannot: only the gateway's own session ends."""


class Revoke(Enum):
    """How a refresh token is given back."""

    CLIENT = "client"
    """RFC 7009, with client authentication."""
    TOKEN_ONLY = "token"  # noqa: S105 # the name of a style
    """The token alone, without client authentication."""
    NEVER = "none"


class Email(Enum):
    """When an e-mail address is believed to belong to the person."""

    VERIFIED = "verified"
    """With `email_verified`."""
    HOSTED = "hosted"
    """With `email_verified`, for gmail.com or with a Workspace domain (`hd`)."""
    NEVER = "never"
    """Anybody can edit it: the takeovers known as nOAuth."""


class Userinfo(Enum):
    """When the userinfo endpoint is asked after a login."""

    NEVER = "never"
    THIN = "thin"
    """Where policies speak of groups and the ID token left them out, as Okta's do."""
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is particular about a family of providers."""

    name: str
    scope: str = "openid profile email"
    offline_if_advertised: bool = False
    """Ask for `offline_access` where the document lists it; elsewhere it is an unknown scope."""
    fixed: Pairs = ()
    """Parameters of every authorization request."""
    groups: str = "groups"
    username: str = "preferred_username"
    access_username: str = "preferred_username"
    """The same on access tokens, where those name it otherwise."""
    display: str = "name"
    address: str = "email"
    """Claims for the display name and the e-mail address."""
    email: Email = Email.VERIFIED
    algorithms: frozenset[str] = ASYMMETRIC
    logout: Logout = Logout.OIDC
    hint: bool = False
    """Logout wants the ID token back: it is kept in the session's record."""
    revoke: Revoke = Revoke.CLIENT
    userinfo: Userinfo = Userinfo.NEVER
    access_client: bool = False
    """Access tokens carry no `aud`; their `client_id` stands in."""
    overage: bool = False
    """Too many groups become a pointer (`_claim_names`), which is never followed."""


KINDS: Mapping[str, Kind] = {
    row.name: row
    for row in (
        Kind(
            name="cognito",
            scope="openid email profile",
            groups="cognito:groups",
            username="cognito:username",
            access_username="username",
            algorithms=_RS256,
            logout=Logout.COGNITO,
            access_client=True,
        ),
        Kind(name="keycloak", hint=True),
        Kind(
            name="entra",
            scope="openid profile email offline_access",
            email=Email.NEVER,
            algorithms=_RS256,
            revoke=Revoke.NEVER,
            overage=True,
        ),
        Kind(
            name="google",
            fixed=(("access_type", "offline"), ("prompt", "consent")),
            username="email",
            email=Email.HOSTED,
            algorithms=_RS256,
            logout=Logout.LOCAL,
            revoke=Revoke.TOKEN_ONLY,
        ),
        Kind(
            name="okta",
            scope="openid profile email offline_access",
            algorithms=_RS256,
            hint=True,
            userinfo=Userinfo.THIN,
        ),
        Kind(name="generic", offline_if_advertised=True),
    )
}

_ENTRA_HOSTS = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
    }
)
_OKTA_DOMAINS = (".okta.com", ".oktapreview.com", ".okta-emea.com")
_POD_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_IN_CLUSTER = ("kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


def kind_of(issuer: str) -> str:
    """The kind that an issuer's URL gives away: what `kind: auto` means."""
    url = urlsplit(issuer)
    host = url.hostname or ""
    if host.startswith("cognito-idp.") and host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return "cognito"
    if "/realms/" in url.path:
        return "keycloak"
    if host in _ENTRA_HOSTS:
        return "entra"
    if issuer == "https://accounts.google.com":
        return "google"
    if host.endswith(_OKTA_DOMAINS):
        return "okta"
    return "generic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One configured issuer: for logins where it has a client id, else for tokens only."""

    name: str
    issuer: str
    """As configured, or the `config_url` without its well-known suffix."""
    config_url: str
    kind: Kind
    exact: bool = True
    """The issuer was written down; else the document may add the slash that its URL lost."""
    client_id: str = ""
    client_secret: Secret | None = None
    scope: str | None = None
    """None: the kind's own. Empty: the parameter is left out."""
    audiences: frozenset[str] = frozenset()
    title: str = ""
    """What the sign-in page calls it."""
    secret_in_body: bool | None = None
    """How the secret is sent; None: as the discovery document wants it."""
    ca: str = ""
    """File of the authority that signs the provider's certificates; empty: the system's."""
    token_file: str = ""
    """A file whose content is sent when the document and the keys are fetched."""
    trust_env: bool = False
    """Calls go through the proxy that the environment names."""
    backchannel: bool = False
    """The provider may end sessions by a token that it posts to us."""

    @property
    def login(self) -> bool:
        """People sign in here; else only its tokens are taken."""
        return bool(self.client_id)

    def issues(self, iss: object) -> bool:
        """Whether `iss` names this issuer: to the letter, but for the slash that a URL may have lost."""
        return iss == self.issuer or (not self.exact and iss == self.issuer + "/")

    @property
    def accepted_audiences(self) -> frozenset[str]:
        return self.audiences or frozenset({self.client_id} - {""})


def provider(section: model.Provider) -> Provider:
    """A provider as the configuration describes it: the kind's row, with cells replaced."""
    issuer = section.issuer_url
    row = KINDS[kind_of(issuer) if section.kind == "auto" else section.kind]
    cluster = (urlsplit(issuer).hostname or "") in _IN_CLUSTER
    return Provider(
        name=section.name,
        issuer=issuer,
        exact=section.issuer is not None,
        config_url=section.discovery_url,
        kind=_with_overrides(row, section),
        client_id=section.client_id or "",
        client_secret=section.client_secret,
        scope=section.scope,
        audiences=frozenset(section.audiences),
        title=section.label,
        secret_in_body=_POSTED.get(section.client_auth),
        ca=str(section.ca or (f"{_POD_MOUNT}/ca.crt" if cluster else "")),
        token_file=str(section.token_file or (f"{_POD_MOUNT}/token" if cluster else "")),
        trust_env=section.use_environment_proxy,
        backchannel=section.backchannel_logout,
    )


def _with_overrides(row: Kind, section: model.Provider) -> Kind:
    names, changes = section.claims, dict[str, Any]()
    for cell, value in {
        "groups": names.groups,
        "username": names.username,
        "display": names.name,
        "address": names.email,
    }.items():
        if value is not None:
            changes[cell] = value
    if section.parameters is not None:
        changes["fixed"] = tuple(section.parameters.items())
    if section.logout is not None:
        changes["logout"] = Logout(section.logout)
    if section.userinfo is not None:
        changes["userinfo"] = Userinfo.ALWAYS if section.userinfo else Userinfo.NEVER
    if section.algorithms is not None:
        changes["algorithms"] = frozenset(section.algorithms) & ASYMMETRIC
    return replace(row, **changes)


_POSTED: dict[str | None, bool] = {"client_secret_post": True, "client_secret_basic": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A discovery document, as far as it matters here, once checked."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    revocation_endpoint: str = ""
    algorithms: frozenset[str] = _RS256
    secret_in_body: bool = False
    """Only `client_secret_post` is offered; else Basic."""
    promises_issuer: bool = False
    """RFC 9207: every authorization answer names its issuer."""
    scopes: frozenset[str] = frozenset()


def read_metadata(document: object, given: Provider) -> Metadata:
    """The document checked for this provider (OID-10). Raises ProviderError (PROVIDER_ANSWER)."""
    if not isinstance(document, dict):
        raise ProviderError(PROVIDER_ANSWER, problem="the discovery document is not an object")
    issuer = document.get("issuer")
    # A discovery URL names its issuer but for one closing slash, which Discovery 4.1 takes off.
    if not isinstance(issuer, str) or not given.issues(issuer):
        problem = f"the document's issuer is {issuer!r:.200}, configured is {given.issuer!r}: they must be equal to the letter"
        raise ProviderError(PROVIDER_ANSWER, problem=problem)
    # Only a provider on loopback has endpoints there: another's would reach what else listens here.
    endpoint = partial(_endpoint, document, here=given.issuer.startswith("http://"))
    authorization = endpoint("authorization_endpoint", required=given.login)
    cognito = given.kind.logout is Logout.COGNITO
    return Metadata(
        issuer=issuer,
        jwks_uri=endpoint("jwks_uri", required=True),
        authorization_endpoint=authorization,
        token_endpoint=endpoint("token_endpoint", required=given.login),
        userinfo_endpoint=endpoint("userinfo_endpoint"),
        # Cognito has named its logout only since 2024, and its revocation not everywhere.
        end_session_endpoint=endpoint("end_session_endpoint")
        or (_beside(authorization, "/logout") if cognito else ""),
        revocation_endpoint=endpoint("revocation_endpoint")
        or (_beside(authorization, "/oauth2/revoke") if cognito else ""),
        algorithms=_algorithms(document, given.kind),
        secret_in_body=_secret_in_body(document),
        promises_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        scopes=frozenset(_strings(document.get("scopes_supported"))),
    )


def _endpoint(document: Mapping[str, Any], name: str, *, here: bool, required: bool = False) -> str:
    value = document.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not usable_url(value, here=here):
        raise ProviderError(PROVIDER_ANSWER, problem=f"{name} is not an https address")
    return value


def usable_url(value: str, *, here: bool = True) -> bool:
    """https, or where it may be `here` http to this machine; without user, fragment or blanks."""
    if len(value) > URL_MAX or not value.isascii() or any(c <= " " for c in value):
        return False
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError:
        return False
    if not url.hostname or "@" in url.netloc or "\\" in value or url.fragment:
        return False
    return url.scheme == "https" or (here and url.scheme == "http" and loopback(url.hostname))


def loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _beside(authorization: str, path: str) -> str:
    url = urlsplit(authorization)
    return f"{url.scheme}://{url.netloc}{path}" if authorization else ""


def _algorithms(document: Mapping[str, Any], kind: Kind) -> frozenset[str]:
    """What the document lists, shrunk by the kind and by ASYMMETRIC; never grown (OID-4)."""
    listed = document.get("id_token_signing_alg_values_supported")
    names = _RS256 if listed is None else frozenset(_strings(listed))
    usable = names & kind.algorithms & ASYMMETRIC
    if not usable:
        raise ProviderError(PROVIDER_ANSWER, problem="no usable signing algorithm is listed")
    return usable


def _secret_in_body(document: Mapping[str, Any]) -> bool:
    methods = _strings(document.get("token_endpoint_auth_methods_supported"))
    return "client_secret_post" in methods and "client_secret_basic" not in methods


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def scope_of(given: Provider, metadata: Metadata) -> str:
    """The scope parameter; empty where it is left out."""
    if given.scope is not None:
        return given.scope
    kind = given.kind
    if kind.offline_if_advertised and "offline_access" in metadata.scopes:
        return f"{kind.scope} offline_access"
    return kind.scope


def concerns(given: Provider, metadata: Metadata) -> list[str]:
    """What keeps people from signing in with a document that is correct in itself."""
    found = []
    host = urlsplit(metadata.authorization_endpoint).hostname or ""
    if host.startswith("cognito-idp."):
        found.append("the user pool has no domain: add one (Cognito console, Branding, Domain)")
    if given.login and metadata.scopes and "openid" not in metadata.scopes:
        found.append(
            "the provider does not offer the scope openid, and without it there is no ID token"
        )
    return found
