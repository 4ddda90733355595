"""
What is known of one issuer at this moment: its discovery document and its keys, fetched and kept.

One fetch at a time, from a small budget (three at once, one more each minute), so that neither a
flood of invented key ids nor a provider that is away makes a flood of calls, while a rotation
seconds after the first fetch is still followed (OID-7). A bad new copy never replaces a good one;
a good one is believed for a day (OID-10).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from gateway.caches import Cache, SingleFlight
from gateway.errors import PROVIDER_AWAY, ProviderError
from gateway.observe.metrics import KEY_SETS
from gateway.oidc.keyset import VerificationKeys, read_keys
from gateway.oidc.providers import Metadata, Provider, read_metadata

KEPT = timedelta(hours=24)  # a copy that could not be renewed is believed so long
RENEWED = timedelta(hours=1)  # keys in the background; rotation is announced by an unknown kid
DOCUMENT_RENEWED = timedelta(hours=12)  # half of what it is believed for
BUDGET = 3  # fetches at once on demand
BUDGET_EACH = timedelta(minutes=1)  # one more
UNKNOWN_KIDS = 1000  # remembered at once
UNKNOWN_SECONDS = 60.0

Fetch = Callable[[Provider, str], Awaitable[object]]
"""GETs a JSON document of a provider. Raises ProviderError."""


class Budget:
    """Three fetches at once, and one more each minute."""

    def __init__(self) -> None:
        self._left = float(BUDGET)
        self._at: datetime | None = None

    def spend(self, now: datetime) -> bool:
        """Whether a fetch may be made now; it counts as made."""
        if self._at is not None:
            self._left = min(BUDGET, self._left + max(0.0, (now - self._at) / BUDGET_EACH))
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Issuer:
    """The document and the keys of one provider."""

    def __init__(self, provider: Provider, fetch: Fetch) -> None:
        self.provider = provider
        self._fetch = fetch
        self._document: tuple[Metadata, datetime] | None = None
        self._keys: tuple[VerificationKeys, datetime] | None = None
        self._budgets = {"document": Budget(), "keys": Budget()}
        self._flight: SingleFlight[str, None] = SingleFlight()
        self._unknown: Cache[str, bool] = Cache(
            f"unknown_kids:{provider.name}", size=UNKNOWN_KIDS, seconds=UNKNOWN_SECONDS
        )

    async def metadata(self, now: datetime) -> Metadata:
        """Raises ProviderError where there is none that is young enough, and none to be had."""
        if self._document is None or now - self._document[1] > KEPT:
            await self._on_demand("document", self.renew_document, now)
        assert self._document is not None
        return self._document[0]

    async def keys(self, now: datetime) -> VerificationKeys:
        """Raises ProviderError where there are none that are young enough, and none to be had."""
        if self._keys is None or now - self._keys[1] > KEPT:
            await self._on_demand("keys", self.renew_keys, now)
        assert self._keys is not None
        return self._keys[0]

    async def look_again(self, kid: str | None, now: datetime) -> bool:
        """Whether the keys were fetched anew for this key id; an error keeps the old ones."""
        name = kid or ""
        # While a fetch is under way its answer is everybody's: a rotation is met by many at once.
        if self._unknown.get(name) and not self._flight.running("keys"):
            return False
        self._unknown.put(name, True)
        try:
            await self._on_demand("keys", self.renew_keys, now)
        except ProviderError:
            return False
        return True

    async def renew(self, now: datetime) -> None:
        """In the background: whatever has grown old. Raises ProviderError."""
        if self._document is None or now - self._document[1] >= DOCUMENT_RENEWED:
            await self._flight.do("document", lambda: self.renew_document(now))
        if self._keys is None or now - self._keys[1] >= RENEWED:
            await self._flight.do("keys", lambda: self.renew_keys(now))

    async def _on_demand(
        self, what: str, fetch: Callable[[datetime], Awaitable[None]], now: datetime
    ) -> None:
        async def paid() -> None:
            if not self._budgets[what].spend(now):
                raise ProviderError(PROVIDER_AWAY, problem="asked too often already")
            await fetch(now)

        await self._flight.do(what, paid)

    async def renew_document(self, now: datetime) -> None:
        """Fetches and checks the discovery document; the old one stays where that fails."""
        document = await self._fetch(self.provider, self.provider.config_url)
        self._document = (read_metadata(document, self.provider), now)

    async def renew_keys(self, now: datetime) -> None:
        """Fetches and checks the key set; the old one stays where that fails."""
        try:
            metadata = await self.metadata(now)
            document = await self._fetch(self.provider, metadata.jwks_uri)
            self._keys = (read_keys(document), now)
        except ProviderError:
            KEY_SETS.add(self.provider.name, "failed")
            raise
        KEY_SETS.add(self.provider.name, "ok")

    def keys_age(self, now: datetime) -> timedelta | None:
        """How old the keys are; None where there are none: for readiness."""
        return None if self._keys is None else now - self._keys[1]

    @property
    def known(self) -> bool:
        """A document is there: a login can start."""
        return self._document is not None
