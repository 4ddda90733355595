"""
What a credential source is, and the kinds that need no more than the configuration and the SDK.

Sources hold no credentials (`sources` keeps them): they say by which key they may be kept, and
fetch. Kinds that assume a role for somebody are in `roles`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import final

from gateway.config.model import (
    AnonymousCredentials,
    Config,
    DefaultCredentials,
    ProfileCredentials,
    StaticCredentials,
)
from gateway.identity import ANONYMOUS, Credentials, Proof, Secret
from gateway.policy.model import Grant
from gateway.upstream.aws import Aws, Service

IdToken = Callable[[Proof], Awaitable[Secret | None]]
"""The ID token of the sign-in behind a proof, as fresh as it can be had."""


@final
@dataclass(frozen=True, slots=True)
class World:
    """What a source may need of its surroundings."""

    aws: Aws
    config: Config
    id_token: IdToken
    lend: Callable[[str | None], Awaitable[Credentials]]
    """Credentials of a shared source of the configuration; None for the SDK's chain."""


class SharedSource:
    """An entry of `credentials:` that gives everybody the same."""

    constant: Credentials | None = None
    """The credentials, where they never change."""

    async def fetch(self, now: datetime) -> Credentials:
        """What there is now. Raises UpstreamUnavailable."""
        raise NotImplementedError


class PersonalSource:
    """An entry of `credentials:` that gives each person and grant their own."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def services(self) -> set[Service]:
        """What it may call: clients of everything else may be closed."""
        raise NotImplementedError

    def admit(self, proof: Proof) -> None:
        """Raises CredentialsRefused where such a proof can never be served."""

    def key(self, grant: Grant, proof: Proof) -> Hashable:
        """
        All that shapes the credentials (AWS-4): whoever has an equal key may use them.

        Raises CredentialsRefused where they cannot be asked for (AWS-2, AWS-3).
        """
        raise NotImplementedError

    async def fetch(self, grant: Grant, proof: Proof, now: datetime) -> Credentials:
        """New ones. Raises UpstreamUnavailable, CredentialsRefused."""
        raise NotImplementedError


CredentialSource = SharedSource | PersonalSource


@final
class Static(SharedSource):
    """One access key, written down."""

    def __init__(self, name: str, config: StaticCredentials, world: World) -> None:
        self.constant = Credentials(
            access_key_id=config.access_key_id,
            secret=config.secret_access_key,
            session_token=config.session_token,
        )


@final
class Anonymous(SharedSource):
    """None: requests go unsigned."""

    constant = ANONYMOUS

    def __init__(self, name: str, config: AnonymousCredentials, world: World) -> None:
        pass


@final
class Chain(SharedSource):
    """What the SDK finds: in the environment, files, metadata services; or in one profile."""

    def __init__(
        self, name: str, config: DefaultCredentials | ProfileCredentials, world: World
    ) -> None:
        self._aws = world.aws
        self._profile = config.profile if isinstance(config, ProfileCredentials) else None

    async def fetch(self, now: datetime) -> Credentials:
        return await self._aws.chain(self._profile)
