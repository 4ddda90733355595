"""
Request ids and trace context: which request a line of the log belongs to.

A `traceparent` that arrives is continued, so that the gateway's lines are found by the trace of
the client or the proxy. Where spans are sent it becomes ours, and one is begun where none
arrives; else it is handed on as it came, and whoever brings none costs nothing. What is bound
here is in every log line of the request, whoever writes it.

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from random import Random
from typing import TYPE_CHECKING, final

from gateway.keyring import random_bytes
from gateway.message import Headers
from gateway.records import Record

if TYPE_CHECKING:
    from gateway.observe.audit import AuditEvent
    from gateway.observe.spans import Spans

TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
TRACEPARENT_MAX = 256  # characters; version 00 has 55, and later ones may only add
TRACESTATE_MAX = 512  # characters that everybody must be able to pass on (section 3.3.1.5)
MEMBERS_MAX = 32
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[ !-+\--<>-~]{0,255}[!-+\--<>-~]")
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_SPACE = 1 << 64  # what half a trace id counts to

BOUND: ContextVar[tuple[str, str]] = ContextVar("gateway_request", default=("", ""))
"""Request id and trace id of the request at work."""


@final
class Trace(Record, frozen=True, kw_only=True):
    """One request's place in a trace."""

    trace_id: str
    span_id: str
    """Ours: the parent of whatever happens behind us."""
    parent_id: str = ""
    """Of whoever called us; empty where the trace begins here."""
    sampled: bool = False
    state: str = ""

    def headers(self) -> tuple[tuple[str, str], ...]:
        """What to send on, so that the next one joins the trace."""
        parent = f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"
        if self.state:
            return (("traceparent", parent), ("tracestate", self.state))
        return (("traceparent", parent),)


_ids = Random()  # seeded by the system; it tells requests apart and guards nothing  # noqa: S311
os.register_at_fork(after_in_child=_ids.seed)


def request_id() -> str:
    """A new request id: 16 upper-case hex digits, as S3's are."""
    return f"{_ids.getrandbits(64):016X}"


def trace(
    traceparent: str | None = None, tracestate: str | None = None, *, ratio: float = 0.0
) -> Trace:
    """
    The trace that the headers name, continued; a new one where they are missing or malformed.

    `ratio` is the part of the traces begun here, 0 to 1, that are marked as sampled.
    """
    entropy = random_bytes(24).hex()
    span_id = entropy[:16]
    match = _read(traceparent) if traceparent else None
    if match is not None:
        return Trace(
            trace_id=match[2],
            span_id=span_id,
            parent_id=match[3],
            sampled=_sampled(match),
            state=_passable(tracestate),
        )
    trace_id = entropy[16:]
    # As OpenTelemetry's TraceIdRatioBased does, so that every process decides alike.
    return Trace(
        trace_id=trace_id, span_id=span_id, sampled=int(trace_id[16:], 16) < ratio * _SPACE
    )


def handed_on(traceparent: str, tracestate: str | None = None) -> Trace | None:
    """The trace that the headers name, without a span of ours in it; None for a malformed one."""
    match = _read(traceparent)
    if match is None:
        return None
    return Trace(
        trace_id=match[2],
        span_id=match[3],
        sampled=_sampled(match),
        state=_passable(tracestate),
    )


def _read(traceparent: str) -> re.Match[str] | None:
    if len(traceparent) > TRACEPARENT_MAX:
        return None
    match = TRACEPARENT.fullmatch(traceparent)
    return match if match is not None and _valid(*match.groups()) else None


def _sampled(match: re.Match[str]) -> bool:
    return bool(int(match[4], 16) & 1)


def _valid(version: str, trace_id: str, parent_id: str, _flags: str, rest: str | None) -> bool:
    # Version ff is forbidden; version 00 ends with the flags, later ones may go on.
    if version == "ff" or (version == "00" and rest):
        return False
    return trace_id != _NO_TRACE and parent_id != _NO_SPAN


def _passable(tracestate: str | None) -> str:
    # By the grammar of section 3.3.1: whoever takes it apart later need not complain of it.
    if not tracestate or len(tracestate) > TRACESTATE_MAX:
        return ""
    members = [member.strip(" \t") for member in tracestate.split(",")]
    whole = len(members) <= MEMBERS_MAX and all(map(_MEMBER.fullmatch, filter(None, members)))
    return tracestate if whole else ""


def bind(request: str, trace_id: str = "") -> None:
    """Every log line from here on, in this task, names this request."""
    BOUND.set((request, trace_id))


@final
class Tracing:
    """Gives each request its place in a trace, and sends its span where spans are wanted."""

    def __init__(self, spans: Spans | None = None, ratio: float = 0.0) -> None:
        """`ratio` is the part of the traces begun here, 0 to 1, that are sampled."""
        self._spans = spans
        self._ratio = ratio

    def begin(self, headers: Headers) -> Trace | None:
        """The trace that a request is in; None where it is in none."""
        given = headers.get("traceparent")
        if self._spans is not None:
            return trace(given, headers.get("tracestate"), ratio=self._ratio)
        return None if given is None else handed_on(given, headers.get("tracestate"))

    def end(self, event: AuditEvent, place: Trace) -> None:
        """The request has ended. Neither waits nor raises."""
        if self._spans is not None:
            self._spans.write(event, place)

    def close(self) -> None:
        """Sends the spans that wait. Waits itself: not to be called in the event loop."""
        if self._spans is not None:
            self._spans.close()
