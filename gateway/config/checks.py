"""
What concerns several settings at once: what cannot work together, and what an operator should know.

Problems keep the configuration from coming into force; warnings are told and it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.config.model import (
    NEED_TOKEN,
    AssumeRoleCredentials,
    Config,
    MemoryState,
    Provider,
)
from gateway.config.positions import Document, Problem, did_you_mean, spelled
from gateway.identity import Secret

_TENANTLESS = ("/common/", "/organizations/", "/consumers/")


def problems(config: Config, document: Document) -> Iterator[Problem]:
    """What cannot work."""
    at = document.problem
    if not config.session.keys:
        yield at(
            ("session", "keys"),
            "a key is needed: 32 random bytes or more, the same in every replica "
            "(`gateway init` writes one)",
        )
    if isinstance(config.state, MemoryState) and config.server.workers != 1:
        yield at(
            ("state", "type"),
            "several workers cannot share state in memory: choose sqlite or redis, or workers: 1",
        )
    yield from _listeners(config, document)
    yield from _twins(config, document)
    for place, provider in enumerate(config.oidc):
        yield from _provider(provider, ("oidc", place), document)
    yield from _sources(config, document)
    if config.keys.temporary > config.keys.temporary_max:
        yield at(("keys", "temporary"), "this is longer than keys.temporary_max")


def _listeners(config: Config, document: Document) -> Iterator[Problem]:
    server = config.server
    if not server.listen:
        yield document.problem(("server", "listen"), "an address is needed")
    if set(server.listen) & {address for address in config.admin.listen if address.port}:
        yield document.problem(
            ("admin", "listen"), "the internal listener needs an address of its own"
        )
    if config.logins and not server.public_url:
        yield document.problem(
            ("server", "public_url"),
            "public_url is needed: identity providers send people back to it",
        )
    if server.hostname and server.hostname in server.s3_host:
        yield document.problem(
            ("server", "s3_host"), "this is the host of public_url: no page could be reached there"
        )
    wildcard = any(address.wildcard for address in server.listen)
    if server.offload == "x-accel" and wildcard and not server.trusted_proxies:  # PRX-8
        yield document.problem(
            ("server", "offload"),
            "x-accel hands signed requests to whoever asks: name nginx in server.trusted_proxies, "
            "or listen on loopback only",
        )


def _twins(config: Config, document: Document) -> Iterator[Problem]:
    """Names, key ids and secrets that stand twice."""
    seen: dict[object, str] = {}

    def once(value: object, path: tuple[str | int, ...], what: str) -> Iterator[Problem]:
        first = seen.setdefault((what, value), spelled(path))
        if first != spelled(path):
            yield document.problem(path, f"{what} stands at {first} already")

    for place, provider in enumerate(config.oidc):
        yield from once(provider.name, ("oidc", place, "name"), "the name")
    secrets: list[tuple[Secret, tuple[str | int, ...]]] = [
        (key, ("session", "keys", place)) for place, key in enumerate(config.session.keys)
    ]
    for place, account in enumerate(config.service_accounts):
        yield from once(account.name, ("service_accounts", place, "name"), "the account")
        path = ("service_accounts", place, "access_key_id")
        yield from once(account.access_key_id, path, "the access key id")
        secrets.append(
            (account.secret_access_key, ("service_accounts", place, "secret_access_key"))
        )
    secrets += [
        (hook.secret, ("webhooks", place, "secret")) for place, hook in enumerate(config.webhooks)
    ]
    for secret, where in secrets:  # CFG-2
        yield from once(secret, where, "the same secret")


def _provider(
    provider: Provider, path: tuple[str | int, ...], document: Document
) -> Iterator[Problem]:
    url = provider.issuer_url
    where = (*path, "issuer" if provider.issuer else "config_url")
    if url.startswith("http://") and not is_loopback(urlsplit(url).hostname or ""):
        yield document.problem(
            where, "https is needed: whoever is on the way could sign in as anybody"
        )
    if any(part in url + "/" for part in _TENANTLESS) and "login.microsoftonline" in url:
        yield document.problem(
            where,
            "no token bears this issuer: use the tenant's own URL, "
            "https://login.microsoftonline.com/TENANT-ID/v2.0",
        )
    if provider.scope and "openid" not in provider.scope.split():
        yield document.problem(
            (*path, "scope"), "openid is missing: without it there is no ID token"
        )


def is_loopback(host: str) -> bool:
    """The host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _sources(config: Config, document: Document) -> Iterator[Problem]:
    """Credentials that are had by means of others."""
    for name, settings in config.credentials.items():
        if not isinstance(settings, AssumeRoleCredentials) or settings.source is None:
            continue
        path = ("credentials", name, "source")
        source = config.credentials.get(settings.source)
        if source is None:
            close = did_you_mean(settings.source, config.credentials)
            yield document.problem(path, f"there are no credentials {settings.source!r}{close}")
        elif isinstance(source, (*NEED_TOKEN, AssumeRoleCredentials)) or source.type == "anonymous":
            yield document.problem(
                path,
                f"credentials of type {source.type} cannot assume a role for others: "
                "name some of type static, default or profile",
            )


def warnings(config: Config, document: Document) -> Iterator[Problem]:
    """What works, and may not be meant."""
    at = document.problem
    server = config.server
    if server.public_url.startswith("http://") and not is_loopback(server.hostname):  # SES-1
        yield at(
            ("server", "public_url"),
            "plain http: sessions can be read and taken over by whoever is on the way",
        )
    for place, address in enumerate(config.admin.listen):
        if address.kind == "tcp" and not address.loopback:  # ADM-2
            yield at(
                ("admin", "listen", place),
                "health and metrics are readable by whoever reaches this",
            )
    if config.session.idle > config.session.lifetime:
        yield at(("session", "idle"), "this is longer than session.lifetime, and has no effect")
    if not config.oidc and not config.service_accounts:
        yield at(
            (), "nobody can sign in: there is neither an identity provider nor a service account"
        )
    yield from _provider_warnings(config, document)
    if not config.logins:
        for name, settings in config.credentials.items():
            if isinstance(settings, NEED_TOKEN):
                yield at(
                    ("credentials", name, "type"),
                    f"{settings.type} serves callers with an ID token only: there is no sign-in, "
                    "so bearer tokens remain",
                )


def _provider_warnings(config: Config, document: Document) -> Iterator[Problem]:
    issuers: dict[str, str] = {}
    for place, provider in enumerate(config.oidc):
        path = ("oidc", place)
        twin = issuers.setdefault(provider.issuer_url, provider.name)
        if twin != provider.name:
            yield document.problem(
                (*path, "name"),
                f"the same issuer as {twin!r}: one person will be two, one for each name",
            )
        if provider.scope == "" and not provider.cognito:
            yield document.problem(
                (*path, "scope"), "blank: providers other than Cognito want a scope with openid"
            )
