"""A span says what the audit line says, in the trace it belongs to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.observe import spans
from gateway.observe.audit import AuditEvent
from gateway.observe.tracing import trace

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def event() -> AuditEvent:
    made = AuditEvent(request_id="REQ1", time=NOW, peer="192.0.2.1")
    made.operation, made.http_method, made.bucket, made.key = "GetObject", "GET", "home", "a"
    made.path, made.status, made.seconds, made.subject = (
        "/home/a?X-Amz-Signature=canary",
        503,
        0.25,
        "alice",
    )
    return made


def test_spans_are_wanted_where_somebody_says_where_they_go():
    """By OpenTelemetry's own variables, and its own switch."""
    there = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}

    assert spans.wanted(there) and spans.wanted({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"})
    assert not spans.wanted({}) and not spans.wanted({**there, "OTEL_SDK_DISABLED": "true"})


@pytest.mark.parametrize(
    ("value", "expected"), [("", 1.0), ("0.25", 0.25), ("7", 1.0), ("-1", 0.0), ("x", 1.0)]
)
def test_the_sampled_part_is_between_none_and_all(value, expected):
    """What is not a number means all, as if it were not there."""
    there = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_SAMPLER_ARG": value}

    assert spans.ratio(there) == expected
    assert spans.ratio({}) == 0.0


def test_log_1_attributes_hold_what_the_audit_line_holds():
    """No query, no header; what is empty is left out."""
    named = spans.attributes(event())

    assert named["aws.s3.key"] == "a" and named["http.response.status_code"] == 503
    assert "gateway.rule" not in named
    assert "canary" not in str(named)


def test_a_sampled_request_becomes_one_span():
    """With our span id under the caller's, its times, and an error where the answer was one."""
    memory = pytest.importorskip(
        "opentelemetry.sdk.trace.export.in_memory_span_exporter",
        reason="the extra `otel` is not installed",
    )
    exporter = memory.InMemorySpanExporter()
    made = spans.Spans(exporter)
    ours = trace(f"00-{TRACE}-{PARENT}-01", "vendor=x")
    made.write(event(), ours)
    made.write(event(), trace())
    made.close()

    (span,) = exporter.get_finished_spans()
    assert format(span.context.trace_id, "032x") == TRACE
    assert format(span.context.span_id, "016x") == ours.span_id
    assert format(span.parent.span_id, "016x") == PARENT
    assert (span.end_time - span.start_time) == 250_000_000
    assert (span.name, span.status.status_code.name, span.kind.name) == (
        "GetObject",
        "ERROR",
        "SERVER",
    )
    assert span.resource.attributes["service.name"] == spans.SERVICE


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    """Not a bare ImportError of a name nobody chose."""
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"\[otel\]"):
        spans.Spans()
