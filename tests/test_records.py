"""What a record promises: frozen, one value with its equals, and silent about what it hides."""

from __future__ import annotations

import pytest

from gateway.message import Headers, RequestHead
from gateway.records import Record, replace
from gateway.s3.objects import ObjectName
from gateway.sigv4.plan import Plan


class Ticket(Record, frozen=True, kw_only=True):
    hidden = ("opens",)

    name: str
    opens: str = ""


class Anywhere(Record, frozen=True):
    bucket: str
    key: str
    version: str | None = None


def test_a_record_cannot_be_changed():
    """Not by the type checker's word alone: it is shared, kept and hashed."""
    head = RequestHead(method="GET", target="/")
    with pytest.raises(AttributeError):
        head.method = "PUT"  # type: ignore[misc] # that it cannot is what is tested

    assert replace(head, method="PUT") == RequestHead(method="PUT", target="/")
    assert head.method == "GET"


def test_records_are_equal_and_hash_by_what_they_say():
    """Of one class: another record with the same fields is something else."""
    assert ObjectName("b", "k") == ObjectName("b", "k", None)
    assert len({ObjectName("b", "k"), ObjectName("b", "k"), ObjectName("b")}) == 2
    assert ObjectName("b", "k") != Anywhere("b", "k")  # type: ignore[comparison-overlap] # never equal: what is tested


def test_log_1_a_record_shows_no_hidden_field():
    """Wherever one ends up: in a log line, in the message of an exception."""
    assert repr(Ticket(name="n", opens="door")).endswith("Ticket(name='n')")
    assert "sesame" not in repr(Plan(token="t", length=1, data=b"sesame"))


def test_defaults_are_nobody_elses():
    """What is made for one request is not in the next."""
    assert RequestHead(method="GET", target="/").headers == Headers()
