"""
What is learned of a request on its way, and the one line that remains of it.

An `AuditEvent` is made when the head has arrived, filled by whoever learns something, and
written when the last byte has gone: one line for every allow and every deny (LOG-5). It holds
names, numbers and codes; a session is shown as a hash, a token or signature never (LOG-1). Text
from outside is escaped to printable ASCII, so that no key can end a line or colour a terminal
(LOG-2).

The line is written by hand, not from a dictionary: every request pays for it, and this is
half of what `json.dumps` takes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Protocol, final

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
class AuditEvent:
    """One request as it becomes known. Text fields are "" and numbers 0 until then."""

    __slots__ = (
        "api",
        "bucket",
        "bytes_in",
        "bytes_out",
        "code",
        "decision",
        "http_method",
        "issuer",
        "key",
        "key_id",
        "keys",
        "method",
        "notes",
        "operation",
        "path",
        "peer",
        "reason",
        "request_id",
        "rule",
        "seconds",
        "session",
        "size",
        "source",
        "status",
        "subject",
        "time",
        "trace_id",
        "upstream",
        "upstream_bucket",
        "upstream_key",
        "upstream_request_id",
        "upstream_status",
        "username",
    )

    def __init__(
        self, request_id: str, time: datetime, peer: str | None = None, trace_id: str = ""
    ) -> None:
        self.request_id = request_id
        self.time = time
        self.peer = peer or ""
        self.trace_id = trace_id
        self.api = False
        """A request to our own API or pages: `operation` is its route."""
        self.path = ""
        self.http_method = ""
        self.issuer = ""
        self.subject = ""
        self.username = ""
        self.method = ""
        """How the identity was shown (`Method`); not the HTTP method."""
        self.key_id = ""
        self.session = ""
        self.operation = ""
        self.bucket = ""
        self.key = ""
        self.source = ""
        """`bucket/key` that a copy or a rename reads."""
        self.keys: Pairs = ()
        """DeleteObjects: each key and the code of its outcome."""
        self.decision = ERROR
        self.reason = ""
        self.notes = ""
        """What else is worth knowing, as codes: why a token was not believed, that the client left."""
        self.code = ""
        """The S3 error code that was answered."""
        self.rule = ""
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.size: int | None = None
        """Bytes of the object that was sent on, without frames; not in the line."""
        self.seconds = 0.0
        self.upstream = ""
        self.upstream_bucket = ""
        self.upstream_key = ""
        self.upstream_request_id = ""
        self.upstream_status = 0

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
        event = "api" if self.api else "request"
        fields: dict[str, Any] = {"time": timestamp(self.time), "event": event}
        for name in _TEXTS:
            value = getattr(self, name)
            if value:
                fields[name] = value
        if self.keys:
            fields["keys"] = [list(pair) for pair in self.keys]
        if self.upstream_status:
            fields["upstream_status"] = self.upstream_status
        for name in _NUMBERS:
            fields[name] = getattr(self, name)
        fields["seconds"] = round(self.seconds, 6)
        return fields

    def json(self) -> str:
        """`line()` as one line of JSON, in printable ASCII, with its end."""
        # Written out field by field: a loop over names would cost three times as much.
        q = quoted
        event = "api" if self.api else "request"
        text = (
            f'{{"time":"{timestamp(self.time)}","event":"{event}","request_id":{q(self.request_id)}'
        )
        if self.trace_id:
            text += f',"trace_id":{q(self.trace_id)}'
        if self.peer:
            text += f',"peer":{q(self.peer)}'
        text += _who(
            self.issuer, self.subject, self.username, self.method, self.key_id, self.session
        )
        if self.http_method:
            text += f',"http_method":{q(self.http_method)}'
        if self.operation:
            text += f',"operation":{q(self.operation)}'
        if self.bucket:
            text += f',"bucket":{q(self.bucket)}'
        if self.key:
            text += f',"key":{q(self.key)}'
        if self.source:
            text += f',"source":{q(self.source)}'
        text += f',"decision":{q(self.decision)}'
        if self.reason:
            text += f',"reason":{q(self.reason)}'
        if self.rule:
            text += f',"rule":{q(self.rule)}'
        if self.code:
            text += f',"code":{q(self.code)}'
        if self.notes:
            text += f',"notes":{q(self.notes)}'
        if self.upstream:
            text += f',"upstream":{q(self.upstream)},"upstream_bucket":{q(self.upstream_bucket)}'
            if self.upstream_key:
                text += f',"upstream_key":{q(self.upstream_key)}'
        if self.upstream_status:
            text += f',"upstream_status":{self.upstream_status}'
        if self.upstream_request_id:
            text += f',"upstream_request_id":{q(self.upstream_request_id)}'
        if self.keys:
            keys = ",".join([f"[{q(key)},{q(code)}]" for key, code in self.keys])
            text += f',"keys":[{keys}]'
        return (
            f'{text},"status":{self.status},"bytes_in":{self.bytes_in},"bytes_out":{self.bytes_out}'
            f',"seconds":{self.seconds:.6f}}}\n'
        )

    def text(self) -> str:
        """The same for people: `name=value`, quoted where a value is not one plain word."""
        fields = self.line()
        head = f"{fields.pop('time')} {fields.pop('event')}"
        return head + "".join(f" {name}={plain(value)}" for name, value in fields.items()) + "\n"


@lru_cache(maxsize=4096)
def _who(issuer: str, subject: str, username: str, method: str, key_id: str, session: str) -> str:
    """The part of a line that is the same for all that somebody does."""
    text = ""
    if issuer:
        text += f',"issuer":{quoted(issuer)},"subject":{quoted(subject)}'
        if username:
            text += f',"username":{quoted(username)}'
        text += f',"method":{quoted(method)}'
    if key_id:
        text += f',"key_id":{quoted(key_id)}'
    if session:
        text += f',"session":{quoted(session)}'
    return text


_TEXTS = (
    "request_id",
    "trace_id",
    "peer",
    "issuer",
    "subject",
    "username",
    "method",
    "key_id",
    "session",
    "http_method",
    "operation",
    "bucket",
    "key",
    "source",
    "decision",
    "reason",
    "rule",
    "code",
    "notes",
    "upstream",
    "upstream_bucket",
    "upstream_key",
    "upstream_request_id",
)
_NUMBERS = ("status", "bytes_in", "bytes_out")


def _telling(outcomes: Sequence[Judged], allowed: bool) -> Judged:
    """The outcome that explains the decision: the first that was refused, else the first."""
    if allowed:
        return outcomes[0]
    return next((outcome for outcome in outcomes if outcome.grant is None), outcomes[0])


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as every log collector reads it."""
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def plain(value: object) -> str:
    """A value of a text line: as it is where it is one plain word, else in JSON's quotes."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable() and text and not set(text) & set(' "=\\'):
        return text
    return quoted(text)
