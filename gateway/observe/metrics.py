"""
The figures: one row each, below; `render()` is what `/metrics` answers.

Labels come from closed sets only (LOG-4): names of operations, of configured upstreams and
providers, statuses of HTTP, and the words listed here. Nothing a client writes becomes a label.

prometheus-client finds a labelled child by hashing and locking; a request cannot afford that.
So children are kept in plain dictionaries, and what each request counts is noted in one place
(`observe`), added up and handed over by `settle`, once a second and before every `render`.

With several workers each writes to files in PROMETHEUS_MULTIPROC_DIR, which must be in the
environment before this module is imported, and the supervisor's `render` adds them up.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from http import HTTPStatus
from itertools import pairwise
from typing import Final, Literal, final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

from gateway import __version__, caches
from gateway.observe.audit import AuditEvent

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"
SETTLE_SECONDS = 1.0
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Buckets of durations: a small GET to a large upload."""

disable_created_metrics()  # type: ignore[no-untyped-call] # one more series for each, and nobody asks when a counter began

REGISTRY = CollectorRegistry(auto_describe=True)


@final
class Count:
    """A counter whose children are found by the tuple of their label values."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.text, self.labels = f"{name}_total", text, labels
        self._counter = Counter(name, text, labels, registry=REGISTRY)
        self._children: dict[tuple[str, ...], Counter] = {}
        if not labels:
            self._children[()] = self._counter
        TABLE[self.name] = self

    def add(self, *labels: str, by: float = 1.0) -> None:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._counter.labels(*labels)
        child.inc(by)


@final
class Level:
    """A gauge. `mode` is how the values of several workers become one."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...] = (),
        mode: Literal["livesum", "livemax"] = "livesum",
    ) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._gauge = Gauge(name, text, labels, registry=REGISTRY, multiprocess_mode=mode)
        self._children: dict[tuple[str, ...], Gauge] = {}
        if not labels:
            self._children[()] = self._gauge
        TABLE[name] = self

    def _child(self, labels: tuple[str, ...]) -> Gauge:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._gauge.labels(*labels)
        return child

    def set(self, *labels: str, to: float) -> None:
        self._child(labels).set(to)

    def add(self, *labels: str, by: float = 1.0) -> None:
        self._child(labels).inc(by)


@final
class Spread:
    """A histogram of seconds."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._histogram = Histogram(name, text, labels, registry=REGISTRY, buckets=SECONDS)
        self._waiting: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
        TABLE[name] = self

    def observe(self, *labels: str, seconds: float) -> None:
        self._waiting[labels].append(seconds)

    def settle(self) -> None:
        """Hands over what was observed since the last time."""
        for labels, waiting in self._waiting.items():
            self.merge(*labels, durations=waiting)
            waiting.clear()

    def merge(self, *labels: str, durations: list[float]) -> None:
        """Many observations at once; sorts them."""
        if not durations:
            return
        child = self._histogram.labels(*labels) if labels else self._histogram
        durations.sort()
        # How many are no longer than each bound, and then: how many are in each bucket.
        within = [bisect_right(durations, bound) for bound in SECONDS]
        counts = [after - before for before, after in pairwise([0, *within, len(durations)])]
        # prometheus-client has no public way; a test compares this with observing each.
        for bucket, count in zip(child._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        child._sum.inc(sum(durations))


TABLE: dict[str, Count | Level | Spread] = {}
"""Every metric by the name that `/metrics` shows; the reference page is made from it."""

# The table. Words that a label may take stand in the text.

REQUESTS = Count(
    "gateway_requests",
    "S3 requests, by operation, decision (allow, deny, error) and status.",
    ("operation", "decision", "status"),
)
REQUEST_SECONDS = Spread(
    "gateway_request_seconds",
    "Seconds from the head of a request to the last byte of its answer, by operation.",
    ("operation",),
)
REQUEST_BYTES = Count(
    "gateway_request_bytes",
    "Bytes of bodies, by direction: in from clients, out to clients.",
    ("direction",),
)
IN_FLIGHT = Level("gateway_requests_in_flight", "Requests between first and last byte.")
CONNECTIONS = Level("gateway_connections", "Open connections of clients.")
API_REQUESTS = Count(
    "gateway_api_requests",
    "Requests to /api and /ui, by route of the table and status.",
    ("route", "status"),
)
REFUSED_PROOFS = Count(
    "gateway_refused_proofs",
    "Proofs that were shown and not believed, by kind (signature, bearer, basic, session, share).",
    ("method",),
)
LIMITED = Count(
    "gateway_limited",
    "Requests answered 503 SlowDown, by limit (rate, concurrent, full, address), and connections turned away (connections).",
    ("limit",),
)
UPSTREAM_SECONDS = Spread(
    "gateway_upstream_seconds",
    "Seconds from sending a request to the head of the upstream's answer, by upstream.",
    ("upstream",),
)
UPSTREAM_ERRORS = Count(
    "gateway_upstream_errors",
    "Upstream requests without a usable answer, by upstream and kind (unavailable, timeout, protocol).",
    ("upstream", "kind"),
)
UPSTREAM_CONNECTIONS = Level(
    "gateway_upstream_connections",
    "Open connections to upstreams, by state (busy, idle).",
    ("state",),
)
CREDENTIALS = Count(
    "gateway_credentials_fetches",
    "Upstream credentials fetched, by source and outcome (ok, refused, away).",
    ("source", "outcome"),
)
LOGINS = Count(
    "gateway_logins",
    "Sign-ins that came back from the provider, by provider and outcome (ok, refused).",
    ("provider", "outcome"),
)
REFRESHES = Count(
    "gateway_session_refreshes",
    "Sessions renewed at the provider, by provider and outcome (ok, refused, away).",
    ("provider", "outcome"),
)
KEY_SETS = Count(
    "gateway_key_set_fetches",
    "Fetches of a provider's keys, by provider and outcome (ok, failed).",
    ("provider", "outcome"),
)
STATE_ERRORS = Count("gateway_state_errors", "Calls to the state store that failed.")
RELOADS = Count(
    "gateway_config_reloads",
    "Configurations read again, by outcome (done, failed).",
    ("outcome",),
)
GENERATION = Level(
    "gateway_config_generation",
    "Number of the configuration in force; it rises with every accepted reload.",
    mode="livemax",
)
RELOAD_FAILED = Level(
    "gateway_config_reload_failed",
    "1 while the files on disk are refused and an older configuration runs on, else 0.",
    mode="livemax",
)
AUDIT_LOST = Count("gateway_audit_lines_lost", "Audit lines that could not be written.")
AUDIT_WAITING = Level("gateway_audit_waiting_bytes", "Audit lines not written yet, in bytes.")
WEBHOOKS = Count(
    "gateway_webhooks",
    "Object events, by outcome (delivered, refused, dropped).",
    ("outcome",),
)
WEBHOOKS_WAITING = Level("gateway_webhooks_waiting", "Object events not delivered yet.")
JOBS = Count(
    "gateway_jobs",
    "Jobs that ended, by kind (copy, move, rename, delete, archive) and outcome (done, failed, cancelled).",
    ("kind", "outcome"),
)
CACHE_ENTRIES = Level("gateway_cache_entries", "Entries in a cache, by cache.", ("cache",))
CACHE_LIMIT = Level(
    "gateway_cache_limit", "Entries a cache may hold, by cache.", ("cache",), mode="livemax"
)
LOOP_LAG = Level(
    "gateway_loop_lag_seconds",
    "How late the event loop woke last: above 0.1 the process has too much to do.",
    mode="livemax",
)
BUILD = Level("gateway_build_info", "1, with the version.", ("version",), mode="livemax")

# What every request counts.

OTHER = "other"
NO_OPERATION = "none"
"""The operation of a request that ended before one was recognised."""
_STATUSES: Mapping[int, str] = {status.value: str(status.value) for status in HTTPStatus}


_ENDED: defaultdict[tuple[str, str, int], list[float]] = defaultdict(list)
"""Seconds of the requests since the last `settle`, by operation, decision and status."""
_BYTES = [0, 0]


def observe(event: AuditEvent) -> None:
    """Counts a request that has ended."""
    if event.api:
        API_REQUESTS.add(event.operation, _STATUSES.get(event.status, OTHER))
        return
    _ENDED[event.operation, event.decision, event.status].append(event.seconds)
    _BYTES[0] += event.bytes_in
    _BYTES[1] += event.bytes_out


WATCHED: list[Callable[[], None]] = []
"""Called by every `settle`: whoever has a level that nobody sets on the way sets it here."""


def settle() -> None:
    """Hands over what was added up, and looks at the caches and what else is watched."""
    for (operation, decision, status), durations in _ENDED.items():
        if durations:
            name = operation or NO_OPERATION
            REQUESTS.add(name, decision, _STATUSES.get(status, OTHER), by=len(durations))
            REQUEST_SECONDS.merge(name, durations=durations)
            durations.clear()
    for position, direction in enumerate(("in", "out")):
        if _BYTES[position]:
            REQUEST_BYTES.add(direction, by=_BYTES[position])
            _BYTES[position] = 0
    for row in TABLE.values():
        if isinstance(row, Spread):
            row.settle()
    for watch in WATCHED:
        watch()
    _sweep()


def _sweep() -> None:
    """Caches of one name are counted as one: there may be one for each snapshot."""
    entries: dict[str, tuple[int, int]] = {}
    for cache in list(caches.REGISTER):
        had, limit = entries.get(cache.name, (0, 0))
        entries[cache.name] = (had + len(cache), limit + cache.size)
    for name, (had, limit) in entries.items():
        CACHE_ENTRIES.set(name, to=had)
        CACHE_LIMIT.set(name, to=limit)


async def keep() -> None:
    """Settles for as long as the process serves, and sees how late the loop wakes. Never returns."""
    BUILD.set(__version__, to=1)
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        await asyncio.sleep(SETTLE_SECONDS)
        LOOP_LAG.set(to=max(0.0, loop.time() - began - SETTLE_SECONDS))
        settle()


def render() -> bytes:
    """What `/metrics` answers: this process, or in multi-process mode all workers together."""
    _settle_own()
    return _text()


async def rendered() -> bytes:
    """The same for the event loop, which need not wait for files to be read and thousands of lines written."""
    _settle_own()
    return await asyncio.to_thread(_text)


def _settle_own() -> None:
    if MULTIPROCESS not in os.environ:  # else each worker does for itself
        settle()


def _text() -> bytes:
    if MULTIPROCESS not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # theirs is not typed
    return generate_latest(registry)


def worker_gone(pid: int) -> None:
    """Levels of a worker that ended count no more; the supervisor says so when it has reaped it."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call] # theirs is not typed


ProcessCollector(registry=REGISTRY)
