"""Trace context as W3C says it, and ids that look like S3's."""

from __future__ import annotations

import re

import pytest

from gateway.observe import tracing
from gateway.observe.tracing import trace

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_trace_that_arrives_is_continued():
    """Same trace, our own span, the caller's as its parent; state passes unchanged."""
    ours = trace(f"00-{TRACE}-{PARENT}-01", "vendor=x")

    assert (ours.trace_id, ours.parent_id, ours.sampled) == (TRACE, PARENT, True)
    assert ours.span_id != PARENT
    assert ours.headers() == (
        ("traceparent", f"00-{TRACE}-{ours.span_id}-01"),
        ("tracestate", "vendor=x"),
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "x",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-extra",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\r\nx: y",
        f"01-{TRACE}-{PARENT}-01-" + "x" * 300,
    ],
)
def test_what_is_malformed_begins_a_new_trace(value):
    """A broken header is as good as none, and its state is dropped with it."""
    ours = trace(value, "vendor=x")

    assert ours.trace_id != TRACE
    assert re.fullmatch("[0-9a-f]{32}", ours.trace_id) and re.fullmatch(
        "[0-9a-f]{16}", ours.span_id
    )
    assert (ours.parent_id, ours.state, ours.sampled) == ("", "", False)


def test_a_later_version_is_read_as_far_as_it_is_known():
    """Version 01 may say more behind the flags."""
    assert trace(f"01-{TRACE}-{PARENT}-00-more").trace_id == TRACE


@pytest.mark.parametrize(
    "state", ["a=b\r\nx: y", "ü=1", "a" * 513, "no member", "A=1", "a=b=c", ",".join(["a=1"] * 33)]
)
def test_log_2_a_state_that_is_not_plain_is_not_passed_on(state):
    """It becomes a header of ours, so it holds no line break."""
    assert trace(f"00-{TRACE}-{PARENT}-01", state).state == ""


def test_a_ratio_samples_that_part_of_new_traces():
    """None, some or all."""
    assert not any(trace(ratio=0.0).sampled for _ in range(50))
    assert all(trace(ratio=1.0).sampled for _ in range(50))


def test_request_ids_look_like_those_of_s3():
    """16 upper-case hex digits, each its own."""
    ids = {tracing.request_id() for _ in range(100)}

    assert len(ids) == 100
    assert all(re.fullmatch("[0-9A-F]{16}", each) for each in ids)
