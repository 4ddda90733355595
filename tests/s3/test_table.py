"""The rows, held against botocore's model: parameters, headers, bodies."""

from __future__ import annotations

import pytest

from gateway.s3 import headers
from gateway.s3.table import ALIASES, OPERATIONS, Body, named
from tests.s3 import model

ROWS = [row for row in OPERATIONS.values() if not row.never]


def _members(name: str, location: str) -> dict[str, str]:
    shape = model.service().operation_model(name).input_shape
    members = shape.members.values() if shape is not None else ()
    return {
        member.serialization["name"]: member.name
        for member in members
        if member.serialization.get("location") == location
    }


def test_ops_12_every_operation_of_the_model_has_a_row():
    """A botocore that knows more fails here until the operation has a row."""
    assert {name for name in model.names() if named(name) is None} == set()
    assert set(OPERATIONS) | set(ALIASES) == set(model.names())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_ops_12_parameters_are_those_of_the_model(row):
    """A row knows the query names of the model, no more and no fewer."""
    uri = model.service().operation_model(row.name).http["requestUri"]
    flags = {piece.partition("=")[0] for piece in uri.partition("?")[2].split("&") if piece}

    assert row.known_params == flags | set(_members(row.name, "querystring"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_fwd_4_headers_are_those_of_the_model(row):
    """Every x-amz-* header that the model gives the operation is known to its row."""
    model_has = {name.lower() for name in _members(row.name, "header")}
    if _members(row.name, "headers"):
        model_has.add("x-amz-meta-*")
    model_has = {name for name in model_has if name.startswith("x-amz-")}
    aliases = [alias for alias, name in ALIASES.items() if name == row.name]

    assert row.known_headers - headers.OUT == model_has - headers.OUT - headers.OURS
    for alias in aliases:
        assert {name.lower() for name in _members(alias, "header")} <= (
            row.known_headers | headers.OUT | headers.OURS
        )


def test_fwd_3_every_plain_header_of_the_model_crosses():
    """What the model calls a header of some operation is in the table of what goes out."""
    plain = {
        name.lower() for row in ROWS for name in _members(row.name, "header") if "amz" not in name
    }

    assert {name for name in plain if not name.startswith("x-amz-")} <= headers.OUT | {
        "content-length"
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_chk_2_streaming_bodies_are_those_of_the_model(row):
    """Frames are taken where the model has a streaming body, and nowhere else."""
    assert row.streaming_body == model.service().operation_model(row.name).has_streaming_input


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_answer_that_names_a_bucket_or_key_is_rewritten(row):
    """A member Bucket, Key, Name or Location in an answer's body has a rewriting."""
    shape = model.service().operation_model(row.name).output_shape
    members = shape.members if shape is not None else {}
    naming = {
        name
        for name in ("Bucket", "Key", "Name", "Location")
        if name in members and "location" not in members[name].serialization
    }

    assert not naming or row.rewrites


def test_ops_10_what_is_carried_under_a_prefix():
    """Objects are; of a bucket's operations only lists, multi-delete, and four questions."""
    carried = {name for name, row in OPERATIONS.items() if row.level == "bucket" and row.prefixed}

    assert carried == {
        "HeadBucket", "ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads",
        "DeleteObjects", "GetBucketLocation", "GetBucketVersioning", "GetObjectLockConfiguration",
        "GetBucketEncryption",
    }  # fmt: skip
    assert all(row.prefixed for row in OPERATIONS.values() if row.level == "object")


def test_ops_8_what_is_never_served():
    """The operations that hand out upstream credentials or belong to other services."""
    assert {name for name, row in OPERATIONS.items() if row.never} == {
        "CreateSession", "ListDirectoryBuckets", "WriteGetObjectResponse"
    }  # fmt: skip


def test_a_body_that_names_keys_is_read_before_the_decision():
    """DeleteObjects is the only one."""
    assert [row.name for row in OPERATIONS.values() if row.keys_in_body] == ["DeleteObjects"]
    assert [row.name for row in OPERATIONS.values() if row.body_out is Body.RESTORE] == [
        "RestoreObject"
    ]
