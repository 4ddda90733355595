"""What remains of a request: complete, one line, and nothing that opens anything."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import errors
from gateway.errors import Reason
from gateway.identity import Identity, Method, Proof, Secret
from gateway.message import RequestHead
from gateway.observe.audit import ALLOW, DENY, AuditEvent, plain, session_hash, timestamp

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HOSTILE = st.text(max_size=40) | st.sampled_from(
    ['a\r\n{"x":1}', "\x1b[31m", "\x7f", "\x7f\x85\u2028", "\ud800"]
)


@dataclass
class Name:
    bucket: str
    key: str


@dataclass
class Request:
    method: str = "GET"
    bucket: str = "home"
    key: str = "a.txt"
    copy_source: Name | None = None
    rename_source: Name | None = None


@dataclass
class Operation:
    name: str = "GetObject"
    keys_in_body: bool = False


@dataclass
class Upstream:
    name: str = "aws"
    bucket: str = "acme-home"
    prefix: str = "users/alice/"


@dataclass
class Requirement:
    name: Name


@dataclass
class Outcome:
    requirement: Requirement
    grant: object | None
    reason: Reason
    rule: str | None = None


@dataclass
class Decision:
    allowed: bool
    outcomes: list[Outcome] = field(default_factory=list)


def outcome(
    key: str, reason: Reason = errors.GRANTED, rule: str | None = "home folders"
) -> Outcome:
    grant = object() if reason is errors.GRANTED else None
    return Outcome(Requirement(Name("home", key)), grant, reason, rule)


def proof(**fields: object) -> Proof:
    identity = Identity(issuer="corp", subject="alice", username="al")
    return Proof(identity=identity, method=Method.SESSION, **fields)  # type: ignore[arg-type] # by keyword


@given(
    values=st.lists(HOSTILE, min_size=22, max_size=22),
    numbers=st.lists(st.integers(0, 10**15), min_size=3, max_size=3),
    keys=st.lists(st.tuples(HOSTILE, HOSTILE), max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_log_2_a_line_is_one_line_whatever_is_in_it(values, numbers, keys):
    """Every field comes back as it was, and the line is printable ASCII with one end."""
    event = AuditEvent(request_id=values[0], time=NOW, peer=values[1], trace_id=values[2])
    event.issuer, event.subject, event.upstream, event.upstream_bucket = "corp", "s", "aws", "b"
    names = ("username", "key_id", "session", "http_method", "operation", "bucket", "key", "source")
    for name, value in zip(
        (*names, "decision", "reason", "rule", "code"), values[3:], strict=False
    ):
        setattr(event, name, value)
    event.method = values[16] or "m"
    event.decision = event.decision or DENY
    event.request_id = event.request_id or "r"
    event.keys = tuple(keys)
    event.status, event.bytes_in, event.bytes_out, event.seconds = 200, numbers[0], numbers[1], 0.25

    line, text = event.json(), event.text()

    assert json.loads(line) == event.line()
    for shown in (line, text):
        assert shown.endswith("\n")
        assert shown[:-1].isascii() and shown[:-1].isprintable()


def test_log_2_a_line_is_written_byte_by_byte_as_ever():
    """Collectors and the people behind them search for text: escapes, order and figures stay."""
    event = AuditEvent(request_id="R", time=NOW.replace(microsecond=0), peer="::1")
    event.bucket, event.key, event.keys = "home", "ü\x7f\udcff", (("a", "granted"),)
    event.seconds = 0.0000015
    told = (
        '{"time":"2026-01-02T03:04:05.000Z","event":"request","request_id":"R","peer":"::1",'
        '"bucket":"home","key":"%s","decision":"error","keys":[["a","granted"]],'
        '"status":0,"bytes_in":0,"bytes_out":0,"seconds":0.000002}\n'
    )

    assert event.json() == told % "\\u00fc\\u007f\\udcff"
    event.key = "\x7f"
    assert event.json() == told % "\\u007f"


def test_log_5_an_allow_names_who_what_and_why():
    """Rule, identity, session hash, key id, address and the upstream's names and request id."""
    event = AuditEvent(request_id="ABCD", time=NOW, peer="192.0.2.7", trace_id="f" * 32)
    event.asked(Request())
    event.identified(proof(session_id="sid-1"))
    event.decided(Operation(), Decision(True, [outcome("a.txt")]))
    event.sent(Upstream())
    event.upstream_answered(206, "tx1")
    event.status, event.bytes_out = 200, 11
    event.finished(NOW + timedelta(microseconds=1500))

    assert json.loads(event.json()) == {
        "time": "2026-01-02T03:04:05.678Z",
        "event": "request",
        "request_id": "ABCD",
        "trace_id": "f" * 32,
        "peer": "192.0.2.7",
        "issuer": "corp",
        "subject": "alice",
        "username": "al",
        "method": "session",
        "session": session_hash("sid-1"),
        "http_method": "GET",
        "operation": "GetObject",
        "bucket": "home",
        "key": "a.txt",
        "decision": ALLOW,
        "reason": "granted",
        "rule": "home folders",
        "upstream": "aws",
        "upstream_bucket": "acme-home",
        "upstream_key": "users/alice/a.txt",
        "upstream_request_id": "tx1",
        "upstream_status": 206,
        "status": 200,
        "bytes_in": 0,
        "bytes_out": 11,
        "seconds": 0.0015,
    }


def test_log_5_a_deny_names_the_outcome_that_refused():
    """Of a copy whose source is refused, the source's reason; and what would have been read."""
    event = AuditEvent(request_id="ABCD", time=NOW)
    outcomes = [outcome("b"), outcome("a", errors.NO_GRANT_FOR_KEY, None)]
    request = Request(method="PUT", key="b", copy_source=Name("data", "a"))
    event.asked(request)
    event.identified(proof(key_id="GWPX"))
    event.decided(Operation("CopyObject"), Decision(False, outcomes))
    event.refused("AccessDenied")

    line = event.line()

    assert (line["decision"], line["reason"], line["code"]) == (
        DENY,
        "no-grant-for-key",
        "AccessDenied",
    )
    assert (line["source"], line["key_id"]) == ("data/a", "GWPX")
    assert "rule" not in line


def test_log_5_each_key_of_a_bulk_delete_is_written_down():
    """Who deleted what is a question of keys, not of requests."""
    event = AuditEvent(request_id="ABCD", time=NOW)
    outcomes = [outcome("a"), outcome("b\n", errors.DENIED_BY_RULE)]
    event.decided(Operation("DeleteObjects", True), Decision(True, outcomes))

    assert json.loads(event.json())["keys"] == [["a", "granted"], ["b\n", "denied-by-rule"]]


def test_log_1_a_session_and_its_proof_are_not_in_the_line():
    """A session id is hashed; ticket and token are not written at all."""
    shown = proof(
        session_id="sid-secret", ticket=Secret("ticket-secret"), token=Secret("token-secret")
    )
    event = AuditEvent(request_id="ABCD", time=NOW)
    event.identified(shown)

    for line in (event.json(), event.text()):
        assert "secret" not in line


def test_an_error_before_any_decision_has_a_line_too():
    """What could not even be parsed is an `error` with its code."""
    event = AuditEvent(request_id="ABCD", time=NOW)
    event.refused("InvalidURI")
    event.status = 400
    event.finished(NOW)

    assert event.line() == {
        "time": timestamp(NOW),
        "event": "request",
        "request_id": "ABCD",
        "decision": "error",
        "code": "InvalidURI",
        "status": 400,
        "bytes_in": 0,
        "bytes_out": 0,
        "seconds": 0.0,
    }


def test_words_of_a_text_line_are_quoted_only_where_they_must_be():
    """So that a person reads it, and a program can split it."""
    assert [plain(v) for v in ("abc", "a b", "", 'q"', 7, "ü")] == [
        "abc",
        '"a b"',
        '""',
        '"q\\""',
        "7",
        '"\\u00fc"',
    ]


def test_log_5_a_wrong_proof_is_a_deny_with_its_reason():
    """Nothing was evaluated, but somebody was turned away; why is noted, for the operator alone."""
    event = AuditEvent(request_id="ABCD", time=NOW)
    event.arrived(
        RequestHead(method="GET", target="/home/a%0a?x-amz-signature=abc", peer="192.0.2.7")
    )
    event.note("token-expired")
    event.note("client-gone")
    event.refused("InvalidToken", errors.TOKEN_EXPIRED)
    event.status = 403
    event.finished(NOW)

    line = event.line()

    assert (line["decision"], line["code"], line["reason"]) == (
        DENY,
        "InvalidToken",
        "token-expired",
    )
    assert (line["notes"], line["peer"]) == ("token-expired,client-gone", "192.0.2.7")
    assert event.resource == "/home/a%0a"
    assert "abc" not in event.json()


def test_an_api_request_is_told_by_its_route():
    """What the route allowed is an allow; a clock set back makes no negative time."""
    event = AuditEvent(request_id="ABCD", time=NOW)
    event.api, event.operation, event.status = True, "POST /api/keys", 201
    event.finished(NOW - timedelta(hours=1))

    line = json.loads(event.json())

    assert (line["event"], line["operation"], line["decision"]) == ("api", "POST /api/keys", ALLOW)
    assert line["seconds"] == 0
