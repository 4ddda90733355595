"""Findings are sentences, and clocks are compared by what an answer says of its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.cli.findings import Finding, clock

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def test_a_finding_begins_with_how_it_is():
    """So that problems can be searched for."""
    assert str(Finding("upstream aws", "answers")) == "good: upstream aws: answers"
    assert str(Finding("upstream aws", "is away", True)).startswith("PROBLEM: ")


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("Thu, 01 Jan 2026 12:05:00 GMT", "300 seconds behind its clock"),
        ("Thu, 01 Jan 2026 11:50:00 GMT", "600 seconds ahead of its clock"),
        ("Thu, 01 Jan 2026 12:00:59 GMT", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_clocks_may_be_a_minute_apart(date, said):
    """As tokens may; an answer without a usable date says nothing."""
    found = list(clock("upstream aws", date, NOON))

    assert [said in finding.text for finding in found] == ([] if said is None else [True])
