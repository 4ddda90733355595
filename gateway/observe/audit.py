"""
What is learned of a request on its way, and the one line that remains of it.

An `AuditEvent` is made when the head has arrived, filled by whoever learns something, and
written when the last byte has gone: one line for every allow and every deny (LOG-5). It holds
names, numbers and codes; a session is shown as a hash, a token or signature never (LOG-1). Text
from outside is escaped to printable ASCII, so that no key can end a line or colour a terminal
(LOG-2).

Every request pays for it, so event and line are structs, made and written in C.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, Protocol, final

from msgspec import Struct, defstruct, to_builtins
from msgspec.json import Encoder
from msgspec.structs import astuple

from gateway.identity import Proof
from gateway.message import Pairs, RequestHead

ALLOW, DENY, ERROR = "allow", "deny", "error"
"""`error` is a request that ended before anybody could decide: not HTTP, no such operation."""


class Named(Protocol):
    """Of an object's name, what is written down."""

    @property
    def bucket(self) -> str: ...
    @property
    def key(self) -> str: ...


class Asked(Protocol):
    """Of a request, what is written down."""

    @property
    def method(self) -> str: ...
    @property
    def bucket(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def copy_source(self) -> Named | None: ...
    @property
    def rename_source(self) -> Named | None: ...


class Operated(Protocol):
    """Of an operation, what is written down."""

    @property
    def name(self) -> str: ...
    @property
    def keys_in_body(self) -> bool: ...


class Reached(Protocol):
    """Of an upstream, what is written down."""

    @property
    def name(self) -> str: ...
    @property
    def bucket(self) -> str: ...
    @property
    def prefix(self) -> str: ...


class Coded(Protocol):
    @property
    def code(self) -> str: ...


class Required(Protocol):
    @property
    def name(self) -> Named: ...


class Judged(Protocol):
    """Of the outcome for one name, what is written down."""

    @property
    def requirement(self) -> Required: ...
    @property
    def grant(self) -> object | None: ...
    @property
    def reason(self) -> Coded: ...
    @property
    def rule(self) -> str | None: ...


class Decided(Protocol):
    """Of a decision, what is written down."""

    @property
    def allowed(self) -> bool: ...
    @property
    def outcomes(self) -> Sequence[Judged]: ...


@lru_cache(maxsize=4096)
def session_hash(session_id: str) -> str:
    """What a session is called in logs: follows it through the lines, opens nothing."""
    return hashlib.sha256(b"gateway/log/" + session_id.encode()).hexdigest()[:16]


@final
class AuditEvent(Struct, kw_only=True, eq=False):
    """One request as it becomes known. Text fields are "" and numbers 0 until then."""

    time: datetime
    api: bool = False
    """A request to our own API or pages: `operation` is its route."""
    path: str = ""
    size: int | None = None
    """Bytes of the object that was sent on, without frames."""
    seconds: float = 0.0

    # INVARIANT: from here on, what stands in the line, in its order.
    request_id: str
    trace_id: str = ""
    peer: str = ""
    issuer: str = ""
    subject: str = ""
    username: str = ""
    method: str = ""
    """How the identity was shown (`Method`); not the HTTP method."""
    key_id: str = ""
    session: str = ""
    http_method: str = ""
    operation: str = ""
    bucket: str = ""
    key: str = ""
    source: str = ""
    """`bucket/key` that a copy or a rename reads."""
    decision: str = ERROR
    reason: str = ""
    rule: str = ""
    code: str = ""
    """The S3 error code that was answered."""
    notes: str = ""
    """What else is worth knowing, as codes: why a token was not believed, that the client left."""
    upstream: str = ""
    upstream_bucket: str = ""
    upstream_key: str = ""
    upstream_status: int = 0
    upstream_request_id: str = ""
    keys: Pairs = ()
    """DeleteObjects: each key and the code of its outcome."""
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def arrived(self, head: RequestHead, trace_id: str = "") -> None:
        """The head is here: who sent it, and what it is about until it has been parsed."""
        self.peer = head.peer or ""
        self.http_method = head.method
        self.path = head.target.partition("?")[0]
        self.trace_id = trace_id

    def identified(self, proof: Proof) -> None:
        """Somebody is known, whatever comes of it."""
        identity = proof.identity
        self.issuer = identity.issuer
        self.subject = identity.subject
        self.username = identity.username
        self.method = proof.method._value_  # without the descriptor of enum, which takes longer
        self.key_id = proof.key_id or ""
        if proof.session_id:
            self.session = session_hash(proof.session_id)

    def asked(self, request: Asked) -> None:
        """The request has been parsed: what it names."""
        self.http_method = request.method
        self.bucket = request.bucket
        self.key = request.key
        source = request.copy_source or request.rename_source
        if source is not None:
            self.source = f"{source.bucket}/{source.key}"

    def decided(self, operation: Operated, decision: Decided) -> None:
        """The decision: its first refusal where there is one, else the outcome for the target."""
        self.operation = operation.name
        self.decision = ALLOW if decision.allowed else DENY
        outcomes = decision.outcomes
        if outcomes:
            telling = _telling(outcomes, decision.allowed)
            self.reason = telling.reason.code
            self.rule = telling.rule or ""
        if operation.keys_in_body:
            self.keys = tuple((o.requirement.name.key, o.reason.code) for o in outcomes)

    def refused(self, code: str, reason: Coded | None = None) -> None:
        """An error was answered, by this code and, where the table of reasons has one, for this reason."""
        self.code = code
        if reason is not None:
            self.reason = reason.code

    def note(self, code: str) -> None:
        """Something else worth knowing."""
        self.notes = f"{self.notes},{code}" if self.notes else code

    def sent(self, upstream: Reached) -> None:
        """The request goes on, under the upstream's names."""
        self.upstream = upstream.name
        self.upstream_bucket = upstream.bucket
        self.upstream_key = upstream.prefix + self.key

    def upstream_answered(self, status: int, request_id: str) -> None:
        """How the upstream answered, and what it calls the request."""
        self.upstream_status = status
        self.upstream_request_id = request_id

    def finished(self, now: datetime) -> None:
        """The last byte has gone, or the connection has."""
        self.seconds = max(0.0, (now - self.time).total_seconds())
        if self.decision == ERROR:
            # Nothing was evaluated: a proof was wrong or missing, or the route itself decided.
            if self.status in (401, 403):
                self.decision = DENY
            elif self.api and self.status < 400:
                self.decision = ALLOW

    @property
    def resource(self) -> str:
        """What an error says it is about: `/bucket/key`, or the path until that is known."""
        return f"/{self.bucket}/{self.key}" if self.bucket else self.path

    def line(self) -> dict[str, Any]:
        """The fields by name, without those that nobody filled."""
        fields: dict[str, Any] = to_builtins(self._told())
        if self.keys:
            fields["keys"] = [list(pair) for pair in self.keys]
        fields["seconds"] = round(self.seconds, 6)
        return fields

    def json(self) -> str:
        """`line()` as one line of JSON, in printable ASCII, with its end."""
        told = self._told()
        try:
            text = _encode(told).decode("ascii").replace("\x7f", "\\u007f")
        except UnicodeError:  # not ASCII, or no text at all: a byte that only surrogateescape takes
            text = json.dumps(to_builtins(told), separators=(",", ":"))
        return f'{text[:-1]},"seconds":{self.seconds:.6f}}}\n'

    def _told(self) -> Struct:
        event = "api" if self.api else "request"
        return _Line(timestamp(self.time), event, *astuple(self)[_UNTOLD:])

    def text(self) -> str:
        """The same for people: `name=value`, quoted where a value is not one plain word."""
        fields = self.line()
        head = f"{fields.pop('time')} {fields.pop('event')}"
        return head + "".join(f" {name}={plain(value)}" for name, value in fields.items()) + "\n"


_UNTOLD: Final = AuditEvent.__struct_fields__.index("request_id")
_ALWAYS: Final = {"request_id", "decision", "status", "bytes_in", "bytes_out"}
"""What a line has even where it is nothing; all else is left out then."""


def _line() -> type[Struct]:
    """What is encoded: the fields of the line alone."""
    blank = AuditEvent(time=datetime(1970, 1, 1, tzinfo=UTC), request_id="")
    told = AuditEvent.__struct_fields__[_UNTOLD:]
    fields = [(name, Any, None if name in _ALWAYS else getattr(blank, name)) for name in told]
    return defstruct("_Line", [("time", str), ("event", str), *fields], omit_defaults=True)


_Line: Final = _line()
_encode: Final = Encoder().encode


def _telling(outcomes: Sequence[Judged], allowed: bool) -> Judged:
    """The outcome that explains the decision: the first that was refused, else the first."""
    if allowed:
        return outcomes[0]
    return next((outcome for outcome in outcomes if outcome.grant is None), outcomes[0])


def timestamp(moment: datetime) -> str:
    """RFC 3339 with milliseconds, as every log collector reads it; `moment` is in UTC."""
    # A tenth of what isoformat takes where there is a time zone. '"2026-01-02T03:04:05.678901Z"'
    text = _encode(moment).decode()
    return f"{text[1:24]}Z" if moment.microsecond else f"{text[1:20]}.000Z"


def plain(value: object) -> str:
    """A value of a text line: as it is where it is one plain word, else in JSON's quotes."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable() and text and not set(text) & set(' "=\\'):
        return text
    return quoted(text)
