"""
Configuration, policy and keys in force together: built whole, checked, then swapped.

A request keeps the snapshot it began with. Building is pure: files were read before, and what is
wrong in any of them is told at once, with the policies' own tests as the last word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

from gateway.config import checks
from gateway.config.model import Config, Loaded, Server, ServiceAccount, UpstreamConfig
from gateway.config.positions import Problem
from gateway.errors import ConfigError
from gateway.identity import SERVICE_ISSUER, Identity, Secret
from gateway.keyring import Keyring
from gateway.policy import lint
from gateway.policy.load import Compiled, Names, compile_policy
from gateway.policy.match import Keeper, index_of
from gateway.policy.model import Policy
from gateway.policy.questions import run_tests
from gateway.s3.hosts import Hosts

ANY_HOST = "*"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is in force."""

    generation: int
    """Counts the snapshots of this process: a part of every cache's key."""
    config: Config
    policy: Policy
    keyring: Keyring
    hosts: Hosts
    service_accounts: Mapping[str, tuple[Secret, Identity]]
    """By access key id."""
    upstreams: Mapping[str, UpstreamConfig]
    warnings: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = ()
    """Files and folders that a change of calls for a reload."""
    keeper: Keeper

    @classmethod
    def build(cls, loaded: Loaded, generation: int = 1) -> Snapshot:
        """Raises ConfigError with everything that is wrong in any of the files."""
        config = loaded.config
        names = Names.of(config) if config is not None else Names.raw(loaded.document.values)
        compiled = compile_policy(loaded.policies, names)
        problems = [*loaded.problems, *compiled.problems]
        if config is not None:
            problems += checks.problems(config, loaded.document)
            problems += lint.template_problems(config, loaded.document)
        if not problems:
            problems += run_tests(compiled.policy)
        if problems or config is None:
            raise ConfigError(sorted(set(problems)))
        index_of(compiled.policy)  # now, and not within the first request
        return cls(
            generation=generation,
            config=config,
            policy=compiled.policy,
            keyring=Keyring([key.reveal().encode() for key in config.session.keys]),
            hosts=hosts_of(config.server),
            service_accounts=MappingProxyType(
                {
                    account.access_key_id: (account.secret_access_key, identity_of(account))
                    for account in config.service_accounts
                }
            ),
            upstreams=MappingProxyType(dict(config.upstreams)),
            warnings=tuple(_warnings(config, loaded, compiled)),
            files=loaded.files,
            keeper=Keeper(compiled.policy),
        )

    @property
    def public_url(self) -> str:
        """Where browsers and clients reach the gateway; without a slash at its end."""
        return self.config.server.public_url

    @property
    def cookie_name(self) -> str:
        """Of the session cookie: plain http cannot have the prefix (SES-1)."""
        return "__Host-session" if self.config.server.secure else "session"

    def keep(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """Of somebody's claims, those that the policy could ask for: what a cookie holds."""
        return self.keeper.keep(claims)

    @property
    def claims_digest(self) -> str:
        """Changes when what is kept may change."""
        return self.keeper.digest


def _warnings(config: Config, loaded: Loaded, compiled: Compiled) -> Iterator[Problem]:
    yield from checks.warnings(config, loaded.document)
    yield from lint.unused(compiled.policy, config, loaded.document)
    yield from lint.warnings(compiled.policy, compiled.sources, config)


def hosts_of(server: Server) -> Hosts:
    """
    The host names of this gateway (HTTP-4, PTH-7).

    Where `public_url` is not written in the file, nobody has said by which names clients come,
    and any is a path-style name.
    """
    named = "public_url" in server.model_fields_set and ANY_HOST not in server.hosts
    path_style: set[str] = set()
    if named:
        path_style |= {_bracketed(server.hostname), *server.s3_host}
        path_style |= {_bracketed(host) for host in server.hosts}
        for address in server.listen:
            if address.kind != "tcp":
                continue
            if address.loopback or address.wildcard:
                path_style.update(_LOOPBACK)
            if address.host and not address.wildcard:
                path_style.add(_bracketed(address.host.lower()))
    return Hosts(
        path_style=frozenset(path_style),
        virtual=server.virtual_host,
        s3_only=frozenset(server.s3_host),
        public_authority=server.authority,
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def identity_of(account: ServiceAccount) -> Identity:
    """Who a service account is to policies: the issuer is `service`, the subject its name."""
    groups = account.claims.get("groups", ())
    listed = groups if isinstance(groups, list | tuple) else (groups,)
    return Identity(
        issuer=SERVICE_ISSUER,
        subject=account.name,
        claims=account.claims,
        username=account.name,
        groups=tuple(group for group in listed if isinstance(group, str)),
    )
