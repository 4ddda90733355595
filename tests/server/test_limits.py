"""One identity's share, and everybody's when there is not enough."""

from __future__ import annotations

import timeit
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import caches
from gateway.identity import ANONYMOUS_IDENTITY, Identity
from gateway.server import limits as module
from gateway.server.limits import Failures, Limits, SlowDown

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Settings:
    requests_per_second: float | None = None
    burst: int | None = None
    concurrent: int | None = None
    total: int | None = None
    failures_per_minute: int = 60


def who(name: str, issuer: str = "corp") -> Identity:
    return Identity(issuer=issuer, subject=name)


def admitted(
    limits: Limits, identity: Identity, count: int, now: datetime = NOW, peer: str | None = None
) -> list[Callable[[], None]]:
    """As many of `count` requests as get in."""
    releases = []
    for _ in range(count):
        try:
            releases.append(limits.admit(identity, peer, now))
        except SlowDown:
            continue
    return releases


def test_without_settings_everything_is_admitted():
    """No limit is the default."""
    assert len(admitted(Limits(Settings()), who("a"), 1000)) == 1000


def test_dos_3_a_rate_is_an_average_with_a_burst():
    """Five at once, then two a second."""
    limits = Limits(Settings(requests_per_second=2, burst=5))

    assert len(admitted(limits, who("a"), 10)) == 5
    assert len(admitted(limits, who("a"), 10, NOW + timedelta(seconds=2))) == 4
    assert len(admitted(limits, who("a"), 10, NOW + timedelta(hours=1))) == 5


def test_dos_3_a_refusal_is_s3s_slow_down_and_says_when():
    """503 with Retry-After: what SDKs back off from."""
    limits = Limits(Settings(requests_per_second=0.1, burst=1))
    limits.admit(who("a"), None, NOW)
    with pytest.raises(SlowDown) as refused:
        limits.admit(who("a"), None, NOW)

    error = refused.value
    assert (error.code, error.status, error.limit) == ("SlowDown", 503, "rate")
    assert error.headers == (("retry-after", "10"),)


def test_dos_3_one_identity_does_not_use_up_anothers():
    """The same subject at two issuers is two people."""
    limits = Limits(Settings(requests_per_second=1, burst=3, concurrent=2))

    assert len(admitted(limits, who("a"), 5)) == 2
    assert len(admitted(limits, who("a", "other"), 5)) == 2


def test_requests_at_once_are_counted_until_they_end():
    """A place is free again when the last byte has gone."""
    limits = Limits(Settings(concurrent=2))
    first, second = admitted(limits, who("a"), 5)
    first()

    assert len(admitted(limits, who("a"), 5)) == 1
    second()
    assert limits.running == 1


def test_a_refusal_for_concurrency_takes_no_token():
    """Who waits for a place has not spent its rate."""
    limits = Limits(Settings(requests_per_second=1, burst=2, concurrent=1))
    (release,) = admitted(limits, who("a"), 50)
    release()

    assert len(admitted(limits, who("a"), 1)) == 1


def test_strangers_are_told_apart_by_address():
    """An IPv6 network of one customer counts as one."""
    limits = Limits(Settings(concurrent=1))

    def anonymous(peer: str | None) -> int:
        return len(admitted(limits, ANONYMOUS_IDENTITY, 1, peer=peer))

    assert [anonymous(p) for p in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "::ffff:192.0.2.1")] == [
        1,
        1,
        0,
        0,
    ]
    assert [anonymous(p) for p in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")] == [1, 0, 1]
    assert [anonymous(p) for p in (None, None, "not an: address")] == [1, 0, 1]


def test_dos_3_a_heavy_client_leaves_room_for_the_others():
    """Alone it may have nine tenths; the tenth is there at once for whoever comes."""
    limits = Limits(Settings(total=100))

    assert len(admitted(limits, who("heavy"), 1000)) == 90
    assert len(admitted(limits, who("light"), 5)) == 5


def test_dos_3_when_full_places_move_to_those_who_hold_least():
    """As the heavy client's requests end, others get its places until they have a full share."""
    limits = Limits(Settings(total=100))
    holds = {
        "heavy": admitted(limits, who("heavy"), 1000),
        "light": admitted(limits, who("light"), 1000),
    }
    for _ in range(300):
        most = max(holds, key=lambda name: len(holds[name]))
        holds[most].pop()()
        for name, held in holds.items():
            held += admitted(limits, who(name), 3)

    assert len(holds["light"]) >= 100 // 3  # two are there, and one more is counted as coming
    assert limits.running >= 90


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), st.integers(-5, 30)), max_size=300),
    st.integers(1, 20),
    st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_dos_3_counts_hold_whatever_happens(steps, total, concurrent):
    """Never more than the limits, never less than nothing, all free at the end; clocks may jump."""
    limits = Limits(Settings(total=total, concurrent=concurrent, requests_per_second=5))
    running: Counter[str] = Counter()
    held: list[tuple[str, Callable[[], None]]] = []
    now = NOW
    for name, leaves, seconds in steps:
        now += timedelta(seconds=seconds)
        if leaves and held:
            owner, release = held.pop(0)
            running[owner] -= 1
            release()
        for release in admitted(limits, who(name), 2, now):
            held.append((name, release))
            running[name] += 1
        assert limits.running == running.total() <= total
        assert all(0 <= count <= concurrent for count in running.values())
    for _, release in held:
        release()
    assert limits.running == 0


def test_a_new_identity_gets_in_while_anything_is_free():
    """With one place kept for the late, a process that is nearly full still serves a newcomer."""
    limits = Limits(Settings(total=20))
    admitted(limits, who("heavy"), 100)

    assert len(admitted(limits, who("new"), 1)) == 1


def test_limits_are_replaced_while_requests_run():
    """A reload changes what is allowed from here on; what runs still counts."""
    limits = Limits(Settings())
    admitted(limits, who("a"), 10)
    limits.replace(Settings(concurrent=5))

    assert admitted(limits, who("a"), 1) == []


def test_dos_5_memory_is_bounded(monkeypatch):
    """Strangers cannot make it grow, and it stands in the register of caches."""
    monkeypatch.setattr(module, "ACCOUNTS_MAX", 10)
    limits = Limits(Settings(requests_per_second=1))
    kept = limits.admit(who("running"), None, NOW)
    for number in range(100):
        limits.admit(who(f"s{number}"), None, NOW)()
    kept()

    assert any(cache.name == "limits" and cache.size == 10 for cache in caches.REGISTER)
    assert len(limits._accounts) <= 10
    assert limits.running == 0


def test_nothing_is_remembered_without_a_rate():
    """Who has nothing running is nobody."""
    limits = Limits(Settings(concurrent=3, total=3))
    for number in range(20):
        limits.admit(who(f"s{number}"), None, NOW)()
    admitted(limits, who("a"), 10)
    admitted(limits, who("b"), 10)

    assert len(limits._accounts) <= 2


def test_key_6_guessing_is_slowed_down_by_address():
    """After so many wrong proofs an address waits, another does not, and waiting helps."""
    failures = Failures(Settings(failures_per_minute=3))
    for _ in range(3):
        failures.check("192.0.2.1", NOW)
        failures.failed("192.0.2.1", NOW)
    failures.check("192.0.2.2", NOW)
    with pytest.raises(SlowDown) as refused:
        failures.check("192.0.2.1", NOW)

    assert refused.value.limit == "address"
    assert refused.value.headers == (("retry-after", "20"),)
    failures.check("192.0.2.1", NOW + timedelta(seconds=21))


def test_dos_3_who_was_believed_at_an_address_goes_on_while_others_fail_there():
    """One broken program behind a company's address stops neither the others nor, for long, a new one."""
    failures = Failures(Settings(failures_per_minute=3))
    assert not failures.watched("192.0.2.1", "good", NOW)  # nobody has failed: nothing to remember
    failures.failed("192.0.2.1", NOW)
    assert failures.watched("192.0.2.1", "good", NOW)
    failures.believed("192.0.2.1", "good")
    for _ in range(2):
        failures.failed("192.0.2.1", NOW)

    failures.watched("192.0.2.1", "good", NOW)
    for stranger in ("new", None):
        with pytest.raises(SlowDown):
            failures.watched("192.0.2.1", stranger, NOW)
    failures.watched("192.0.2.1", "new", NOW + timedelta(seconds=21))
    assert not failures.watched("192.0.2.1", "good", NOW + timedelta(minutes=2))


def test_admitting_costs_microseconds():
    """A hundredfold of what it takes on a quiet machine would be a mistake in the algorithm."""
    limits = Limits(Settings(requests_per_second=1e9, concurrent=10, total=100))
    identity = who("a")

    assert timeit.timeit(lambda: limits.admit(identity, None, NOW)(), number=5000) / 5000 < 200e-6
