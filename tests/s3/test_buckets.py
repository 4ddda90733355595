"""ListBuckets."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.s3.buckets import NO_DATE, list_buckets
from gateway.s3.errors import S3Error
from tests.s3.world import ask

BUCKETS = [("home", ""), ("lab-1", "2026-03-01T12:00:00.000Z"), ("lab-2", "")]


def told(query: str = "", buckets=BUCKETS) -> Any:
    whole = list_buckets(buckets, ask("GET", f"/?{query}"), as_json=True).body.whole()
    return json.loads(whole or b"")


def test_buckets_as_xml():
    """With a date each, which clients cannot do without."""
    answer = list_buckets(BUCKETS, ask("GET", "/"))
    root = ElementTree.fromstring(answer.body.whole() or b"")
    ns = "{http://s3.amazonaws.com/doc/2006-03-01/}"

    assert answer.status == 200
    assert root.tag == f"{ns}ListAllMyBucketsResult"
    assert [b.findtext(f"{ns}Name") for b in root.iter(f"{ns}Bucket")] == ["home", "lab-1", "lab-2"]
    assert next(root.iter(f"{ns}CreationDate")).text == NO_DATE
    assert root.find(f"{ns}Owner/{ns}ID") is not None


def test_lst_15_buckets_as_json():
    """Always an array."""
    assert told()["Buckets"][1] == {"Name": "lab-1", "CreationDate": "2026-03-01T12:00:00.000Z"}
    assert told(buckets=[])["Buckets"] == []
    assert told("prefix=lab-")["Prefix"] == "lab-"


def test_buckets_by_prefix_and_page():
    """The token continues after the last name."""
    first = told("prefix=lab-&max-buckets=1")
    second = told(f"prefix=lab-&max-buckets=1&continuation-token={first['ContinuationToken']}")

    assert [b["Name"] for b in first["Buckets"]] == ["lab-1"]
    assert [b["Name"] for b in second["Buckets"]] == ["lab-2"]
    assert "ContinuationToken" not in second
    page = list_buckets(BUCKETS, ask("GET", "/?max-buckets=1&prefix=")).body.whole() or b""
    assert b"<ContinuationToken>" in page
    assert b"<Prefix></Prefix>" in page


@settings(max_examples=100, deadline=None)
@given(st.sets(st.text("abc-", min_size=1, max_size=5), max_size=12), st.integers(1, 5))
def test_pages_together_are_the_whole_list(names, size):
    """Each name once, in order."""
    buckets = [(name, "") for name in sorted(names)]
    seen, token = [], ""
    for _ in range(20):
        page = told(
            f"max-buckets={size}" + (f"&continuation-token={token}" if token else ""), buckets
        )
        seen += [bucket["Name"] for bucket in page["Buckets"]]
        token = page.get("ContinuationToken", "")
        if not token:
            break

    assert seen == [name for name, _ in buckets]


@pytest.mark.parametrize(
    "query",
    [
        "max-buckets=0",
        "max-buckets=10001",
        "continuation-token=%25",
        "continuation-token=_w==",
        "continuation-token=%C3%BC",
    ],
)
def test_what_cannot_be_is_refused(query):
    """A forged token that can be read shows nothing that is not granted."""
    with pytest.raises(S3Error) as caught:
        told(query)
    assert caught.value.code == "InvalidArgument"
