"""
Requests a second and requests at once: one identity's, and all of them together.

An identity has a bucket of tokens, filled at the configured rate, and a count of what it has
running. When the process itself is nearly full, fairness decides: a tenth of the places is kept
for those who hold less than an equal share, so that one heavy client neither starves the others
nor is stopped while nobody else wants anything (DOS-3). Strangers are told apart by address.

Refusals are `503 SlowDown` with Retry-After, from which every AWS SDK backs off by itself.

Everything is counted in this process: several workers or replicas allow as many times more.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Protocol, final

from gateway import caches
from gateway.caches import Cache
from gateway.identity import Identity
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error

ACCOUNTS_MAX = 100_000  # identities remembered between their requests; about 20 MB
RESERVE = 10  # of the places, one in so many is kept for identities below an equal share
BELIEVED_MAX = 10_000  # proofs that were right where others failed
BELIEVED_SECONDS = 3600.0  # how long that counts
IPV6_HOST = 64  # bits of an IPv6 address that name one customer; the rest is theirs to choose


class Settings(Protocol):
    """`limits:` in gateway.yaml. None is no limit."""

    @property
    def requests_per_second(self) -> float | None: ...
    @property
    def burst(self) -> int | None: ...
    @property
    def concurrent(self) -> int | None: ...
    @property
    def total(self) -> int | None: ...
    @property
    def failures_per_minute(self) -> int: ...


@final
class _Account:
    """What one identity has running, and what it may still begin."""

    __slots__ = ("filled", "running", "tokens")

    def __init__(self, tokens: float, filled: float) -> None:
        self.running = 0
        self.tokens = tokens
        self.filled = filled
        """When `tokens` was right: seconds since 1970."""

    def fill(self, now: float, rate: float, most: float) -> None:
        # A clock set back neither takes tokens away nor stops the filling.
        passed = now - self.filled
        if passed > 0:
            self.tokens = min(most, self.tokens + passed * rate)
        self.filled = now


class _Accounts:
    """A bounded number of accounts, by whoever they belong to; the idle and oldest go first."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._by_owner: dict[Hashable, _Account] = {}
        caches.REGISTER.add(self)  # type: ignore[arg-type] # has what the register asks: name, size, len

    def __len__(self) -> int:
        return len(self._by_owner)

    def clear(self) -> None:
        self._by_owner.clear()

    def get(self, owner: Hashable) -> _Account | None:
        return self._by_owner.get(owner)

    def add(self, owner: Hashable, tokens: float, now: float) -> _Account:
        if len(self._by_owner) >= self.size:
            self._forget_one()
        account = self._by_owner[owner] = _Account(tokens, now)
        return account

    def drop(self, owner: Hashable) -> None:
        self._by_owner.pop(owner, None)

    def _forget_one(self) -> None:
        # Dictionaries keep order, so the first idle one is the one known longest. Running ones
        # stay: their release must find them. There are never more of them than connections.
        for owner, account in self._by_owner.items():
            if not account.running:
                del self._by_owner[owner]
                return


@final
class Limits:
    """Admits a request or refuses it. One for the process."""

    def __init__(self, settings: Settings) -> None:
        self._accounts = _Accounts("limits", ACCOUNTS_MAX)
        self._running = 0
        self._active = 0
        self.replace(settings)

    def replace(self, settings: Settings) -> None:
        """Other limits from here on; what runs goes on and counts."""
        self._rate = settings.requests_per_second
        self._burst = max(1.0, float(settings.burst or settings.requests_per_second or 1.0))
        self._concurrent = settings.concurrent
        self._total = settings.total
        total = settings.total or 0
        self._reserve = max(1, total // RESERVE) if total > 1 else 0

    @property
    def running(self) -> int:
        """Requests that were admitted and have not been released."""
        return self._running

    def admit(self, identity: Identity, peer: str | None, now: datetime) -> Callable[[], None]:
        """
        Counts a request in; what is returned counts it out and must be called once.

        Raises S3Error (SlowDown); its `limit` says which: rate, concurrent or full.
        """
        owner = _owner(identity, peer)
        account = self._accounts.get(owner)
        running = 0 if account is None else account.running
        total = self._total
        if total is not None and self._running >= total - self._reserve:
            self._refuse_when_full(total, running)
        if self._concurrent is not None and running >= self._concurrent:
            raise SlowDown("concurrent", 1)
        seconds = now.timestamp()
        if account is None:
            account = self._accounts.add(owner, self._burst, seconds)
        if self._rate is not None:
            account.fill(seconds, self._rate, self._burst)
            if account.tokens < 1:
                raise SlowDown("rate", ceil((1 - account.tokens) / self._rate))
            account.tokens -= 1
        if not running:
            self._active += 1
        account.running += 1
        self._running += 1
        return partial(self._release, owner, account)

    def _refuse_when_full(self, total: int, running: int) -> None:
        # What is left is for those who hold less than an equal share, with one more to come. A
        # share is one place at least, or among very many identities nobody would have one.
        identities = self._active + (1 if running else 2)
        if self._running >= total or running >= max(1, total // identities):
            raise SlowDown("full", 1)

    def _release(self, owner: Hashable, account: _Account) -> None:
        self._running -= 1
        account.running -= 1
        if not account.running:
            self._active -= 1
            if self._rate is None:
                self._accounts.drop(
                    owner
                )  # nothing to remember of somebody who has nothing running


@final
class Failures:
    """
    Wrong proofs from one address: guessing is slowed down, whoever is guessed at.

    Asked before a proof is believed and told when it was wrong (KEY-6, KEY-8). Whoever was
    believed at an address while others failed there goes on: behind one address may be a company,
    or a proxy that nobody declared (DOS-3).
    """

    def __init__(self, settings: Settings) -> None:
        self._accounts = _Accounts("failures", ACCOUNTS_MAX)
        self._believed: Cache[tuple[str, Hashable], bool] = Cache(
            "believed", size=BELIEVED_MAX, seconds=BELIEVED_SECONDS
        )
        self.replace(settings)

    def replace(self, settings: Settings) -> None:
        """Another limit from here on."""
        self._most = float(settings.failures_per_minute)

    def check(self, peer: str | None, now: datetime) -> None:
        """Raises S3Error (SlowDown) while this address has failed too often."""
        self.watched(peer, None, now)

    def watched(self, peer: str | None, who: Hashable, now: datetime) -> bool:
        """
        Whether this address has failed lately. Raises S3Error (SlowDown) while that is too often.

        `who` names the proof that is offered, where it is none that can be guessed: the key id of
        a signature, not of a password.
        """
        address = _address(peer)
        account = self._accounts.get(address)
        if account is None:
            return False
        rate = self._most / 60
        account.fill(now.timestamp(), rate, self._most)
        if account.tokens < 1 and (who is None or self._believed.get((address, who)) is None):
            raise SlowDown("address", ceil((1 - account.tokens) / rate))
        return account.tokens < self._most

    def believed(self, peer: str | None, who: Hashable) -> None:
        """This proof was right, at an address where others fail."""
        self._believed.put((_address(peer), who), True)

    def failed(self, peer: str | None, now: datetime) -> None:
        """A proof from this address was wrong."""
        owner = _address(peer)
        account = self._accounts.get(owner)
        if account is None:
            account = self._accounts.add(owner, self._most, now.timestamp())
        account.fill(now.timestamp(), self._most / 60, self._most)
        account.tokens = max(0.0, account.tokens - 1)


class SlowDown(S3Error):
    """503 SlowDown with Retry-After in seconds; `limit` is the label of the metric."""

    def __init__(self, limit: str, seconds: int) -> None:
        super().__init__(s3.SLOW_DOWN, headers=(("retry-after", str(max(1, seconds))),))
        self.limit = limit


def _owner(identity: Identity, peer: str | None) -> Hashable:
    return _address(peer) if identity.anonymous else (identity.issuer, identity.subject)


def _address(peer: str | None) -> str:
    """Who an address belongs to: itself, or of IPv6 its network; a unix socket is one."""
    if peer is None or ":" not in peer:
        return peer or ""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, IPV6_HOST), strict=False))
    return str(address)
