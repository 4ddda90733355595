"""
Credentials for upstream requests: one cache in front of all sources.

Kept by all that shapes them (AWS-4), never by name alone; one fetch at a time; renewed in the
background while the old ones still serve. With the source away they serve until they end, and
then the answer is 503 and why.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, final

from gateway.caches import Cache, SingleFlight
from gateway.config.model import Config, CredentialsConfig, DefaultCredentials
from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.identity import Credentials, Proof, Secret
from gateway.observe.metrics import CREDENTIALS
from gateway.policy.model import Grant
from gateway.upstream.aws import Aws, unavailable
from gateway.upstream.kinds import (
    Anonymous,
    Chain,
    CredentialSource,
    IdToken,
    PersonalSource,
    SharedSource,
    Static,
    World,
)
from gateway.upstream.resolve import CredentialsRefused
from gateway.upstream.roles import AssumeRole, CognitoIdentity, WebIdentity

log = logging.getLogger(__name__)

_Fetch = Callable[[], Awaitable[Credentials]]

RENEW: Final = timedelta(minutes=5)  # before their end: longer than any outage worth hiding
LAST: Final = timedelta(seconds=20)  # before it: a request signed now must still arrive in time
LONGEST: Final = 43_200.0  # seconds: the longest session of a role
KEPT: Final = 10_000  # credentials: one for each person and grant at work
FAILED: Final = 3.0  # seconds for which a failure answers for the next who ask
UNDATED: Final = 900.0  # seconds until credentials without an end are read again: files rotate
YOUNG: Final = 10.0  # seconds in which refused credentials are not asked for again
CLOSING: Final = 30.0  # seconds for which clients of a former configuration may end their calls


SOURCES: Mapping[str, Callable[[str, Any, World], CredentialSource]] = {
    "static": Static,
    "default": Chain,
    "profile": Chain,
    "assume_role": AssumeRole,
    "web_identity": WebIdentity,
    "cognito_identity": CognitoIdentity,
    "anonymous": Anonymous,
}
"""The kinds by the `type` of an entry of `credentials:`. A new one is a class and a row."""


@final
@dataclass(frozen=True, slots=True)
class _Entry:
    credentials: Credentials
    since: float
    """Loop time of the fetch."""


@final
@dataclass(frozen=True, slots=True)
class _Named:
    """A source of the configuration. Equal to another only if the same would come of it."""

    kind: str
    settings: str
    """Digest of all its settings."""
    source: CredentialSource = field(compare=False)


@final
class CredentialSources:
    """The sources of the configuration in force, and what they gave."""

    def __init__(
        self, config: Config, aws: Aws, id_token: IdToken, clock: Callable[[], datetime]
    ) -> None:
        self._aws = aws
        self._id_token = id_token
        self._clock = clock
        self._cache: Cache[Hashable, _Entry] = Cache("credentials", size=KEPT, seconds=LONGEST)
        self._keys: Cache[Hashable, Hashable] = Cache("credential-keys", size=KEPT, seconds=3600)
        self._failures: Cache[Hashable, GatewayError] = Cache(
            "credential-failures", size=1024, seconds=FAILED
        )
        self._flights: SingleFlight[Hashable, Credentials] = SingleFlight()
        self._tasks: set[asyncio.Future[None]] = set()
        self._former: Mapping[str, _Named] = {}
        self._config = config
        self._named = self._made(config)
        self._chain = _Named("default", "", self._source(DefaultCredentials(type="default"), ""))

    def _made(self, config: Config) -> Mapping[str, _Named]:
        return {
            name: _Named(section.type, _settings(section, config), self._source(section, name))
            for name, section in config.credentials.items()
        }

    def _source(self, section: CredentialsConfig, name: str) -> CredentialSource:
        world = World(aws=self._aws, config=self._config, id_token=self._id_token, lend=self._lend)
        return SOURCES[section.type](name, section, world)

    # -- asking --------------------------------------------------------------------------------

    async def get(self, grant: Grant, proof: Proof, now: datetime) -> Credentials:
        """What to sign a request with. Raises UpstreamUnavailable, CredentialsRefused."""
        named = self._find(grant.credentials)
        source = named.source
        if isinstance(source, SharedSource):
            return source.constant or await self._shared(named, source, now)
        source.admit(proof)
        key = self._key(named, source, grant, proof)
        return await self._kept(key, named, lambda: source.fetch(grant, proof, now), now)

    def invalidate(self, grant: Grant, proof: Proof) -> None:
        """The upstream does not take these credentials: the next request fetches new ones."""
        named = self._find(grant.credentials)
        source = named.source
        key = named if isinstance(source, SharedSource) else self._key(named, source, grant, proof)
        entry = self._cache.get(key)
        # An upstream that takes none of them must not make us fetch with every request.
        if entry is not None and _loop_time() - entry.since > YOUNG:
            self._cache.drop(key)

    async def _shared(self, named: _Named, source: SharedSource, now: datetime) -> Credentials:
        return await self._kept(named, named, lambda: source.fetch(now), now)

    async def _lend(self, name: str | None) -> Credentials:
        """What calls to STS are signed with."""
        named = self._chain if name is None else self._find(name)
        if not isinstance(named.source, SharedSource):
            raise unavailable(f"credentials {name!r} belong to persons and cannot assume a role")
        return named.source.constant or await self._shared(named, named.source, self._clock())

    def _find(self, name: str) -> _Named:
        """A request that began before a reload may name what is no more."""
        named = self._named.get(name) or self._former.get(name)
        if named is None:
            raise unavailable(f"the configuration has no credentials {name!r} any more")
        return named

    def _key(self, named: _Named, source: PersonalSource, grant: Grant, proof: Proof) -> Hashable:
        """The source's key, remembered: policies and digests take longer than a lookup."""
        who = proof.identity
        asked = (named, grant, who.issuer, who.subject, who.fingerprint)
        key = self._keys.get(asked)
        if key is None:
            key = (named.settings, source.key(grant, proof))
            self._keys.put(asked, key)
        return key

    # -- keeping -------------------------------------------------------------------------------

    async def _kept(
        self, key: Hashable, named: _Named, fetch: _Fetch, now: datetime
    ) -> Credentials:
        entry = self._cache.get(key)
        if entry is not None:
            expires = entry.credentials.expires
            if expires is None or expires - now > RENEW:
                return entry.credentials
            if expires - now > LAST:
                self._renew(key, named, fetch, now)
                return entry.credentials
        failure = self._failures.get(key)
        if failure is not None:
            raise failure.with_traceback(None)
        return await self._flights.do(key, lambda: self._fetched(key, named, fetch, now))

    def _renew(self, key: Hashable, named: _Named, fetch: _Fetch, now: datetime) -> None:
        """In the background; whoever asks meanwhile is served with what there is."""
        if self._failures.get(key) is None and not self._flights.running(key):
            self._hold(self._renewed(key, named, fetch, now))

    async def _renewed(self, key: Hashable, named: _Named, fetch: _Fetch, now: datetime) -> None:
        try:
            await self._flights.do(key, lambda: self._fetched(key, named, fetch, now))
        except GatewayError as error:
            log.warning(
                "credentials not renewed, the old ones serve on", extra={"error": str(error)}
            )

    async def _fetched(
        self, key: Hashable, named: _Named, fetch: _Fetch, now: datetime
    ) -> Credentials:
        try:
            credentials = await fetch()
        except CredentialsRefused as refused:
            self._failed(key, named, refused, "refused")
            raise
        except UpstreamUnavailable as away:
            self._failed(key, named, away, "away")
            raise
        CREDENTIALS.add(named.kind, "ok")
        expires = credentials.expires
        life = UNDATED if expires is None else (expires - now).total_seconds()
        self._cache.put(key, _Entry(credentials, _loop_time()), life)
        return credentials

    def _failed(self, key: Hashable, named: _Named, error: GatewayError, outcome: str) -> None:
        CREDENTIALS.add(named.kind, outcome)
        self._failures.put(key, error)
        log.warning("credentials not to be had", extra={"kind": named.kind, "error": str(error)})

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- coming and going ----------------------------------------------------------------------

    def replace(self, config: Config) -> None:
        """Another configuration is in force. What did not change in it keeps its credentials."""
        self._config = config
        self._former, self._named = self._named, self._made(config)
        self._hold(self._close_clients())

    async def _close_clients(self) -> None:
        await asyncio.sleep(CLOSING)
        personal = [
            named.source
            for named in self._named.values()
            if isinstance(named.source, PersonalSource)
        ]
        await self._aws.keep({service for source in personal for service in source.services})

    async def close(self) -> None:
        """Ends what runs in the background, and the clients."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._aws.close()


def _settings(section: CredentialsConfig, config: Config) -> str:
    """Changes with anything in the configuration that shapes what a section gives."""
    lender = config.credentials.get(getattr(section, "source", None) or "")
    sections = [_plain(part) for part in (section, lender) if part is not None]
    # A provider's name may come to mean another issuer, whose people are not those of before.
    issuers = [(provider.name, provider.issuer_url) for provider in config.oidc]
    regions = [(name, upstream.region) for name, upstream in config.upstreams.items()]
    text = repr((sections, issuers, regions))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(section: CredentialsConfig) -> dict[str, object]:
    """The section's fields with its secrets as they are, which their repr hides."""
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in section.__dict__.items()
    }


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
