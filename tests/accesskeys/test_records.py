"""What the state store keeps of a personal key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accesskeys.records import KeyRecord, Use, narrowings_from, narrowings_json
from gateway.identity import Statement

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)

texts = st.text(max_size=20)
statements = st.builds(
    Statement,
    effect=st.sampled_from(["allow", "deny"]),
    actions=st.tuples(texts),
    buckets=st.tuples(texts, texts),
    keys=st.tuples(texts),
)
records = st.builds(
    KeyRecord,
    key_id=texts,
    issuer=texts,
    subject=texts,
    name=texts,
    created=st.just(WHEN),
    expires=st.just(WHEN + timedelta(days=1)),
    kid=texts,
    kind=st.sampled_from(["personal", "cli"]),
    buckets=st.lists(texts, max_size=3).map(tuple),
    read_only=st.booleans(),
    narrowed=st.lists(st.lists(statements, max_size=2).map(tuple), max_size=2).map(tuple),
)


@given(records)
def test_a_record_comes_back_as_it_was(record: KeyRecord) -> None:
    """Whatever a name or a subject holds."""
    assert KeyRecord.from_bytes(record.to_bytes()) == record


@given(st.builds(Use, at=st.just(WHEN), address=texts, program=texts))
def test_a_use_comes_back_as_it_was(use: Use) -> None:
    """Whatever a program calls itself."""
    assert Use.from_bytes(use.to_bytes()) == use


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b'{"v": 2}', b'{"v": 1, "nar": {}}', b"\xff", b'"x"']
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    """A value of another kind, or of a newer gateway, is never taken for a key."""
    with pytest.raises(ValueError):
        KeyRecord.from_bytes(data)
    with pytest.raises(ValueError):
        Use.from_bytes(data)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [{"e": "allow"}],
        [[{"e": "maybe", "a": [], "b": [], "k": []}]],
        [[{"e": "deny", "a": "s3:*", "b": [], "k": []}]],
    ],
)
def test_key_3_a_narrowing_that_cannot_be_read_is_an_error(value: object) -> None:
    """Never nothing, for that would be a wider key."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        narrowings_from(value)


def test_key_3_an_empty_narrowing_is_not_none() -> None:
    """One that allows nothing stays one that allows nothing."""
    assert narrowings_from(narrowings_json(((),))) == ((),)


def record(**changes) -> KeyRecord:
    values: dict[str, Any] = {
        "key_id": "GWPX",
        "issuer": "corp",
        "subject": "alice",
        "name": "laptop",
        "created": WHEN,
        "expires": WHEN,
        "kid": "k",
    }
    return KeyRecord(**(values | changes))


def test_a_key_with_no_restriction_narrows_nothing() -> None:
    """It may do what its owner may."""
    assert record().narrowing is None


def test_a_read_only_key_lists_and_reads() -> None:
    """In every bucket, or in those that it names."""
    everywhere = record(read_only=True).narrowing
    here = record(read_only=True, buckets=("a", "b")).narrowing
    any_action = record(buckets=("a",)).narrowing

    assert everywhere == (Statement(actions=("s3:Get*", "s3:List*", "s3:Describe*")),)
    assert here is not None
    assert here[0].buckets == ("a", "b")
    assert any_action == (Statement(actions=("s3:*",), buckets=("a",)),)
