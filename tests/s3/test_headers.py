"""The tables of headers that cross."""

from __future__ import annotations

from gateway.s3 import headers
from tests.s3 import model


def _members(name: str, side: str) -> set[str]:
    shape = getattr(model.service().operation_model(name), side)
    members = shape.members.values() if shape is not None else ()
    return {
        member.serialization["name"].lower()
        for member in members
        if member.serialization.get("location") == "header"
    }


def test_fwd_3_every_answer_header_of_the_model_has_a_place():
    """It crosses, is rewritten, or is known not to."""
    found = set().union(*(_members(name, "output_shape") for name in model.names()))

    assert {name for name in found if not name.startswith("x-amz-")} <= headers.BACK | {"location"}


def test_fwd_4_checksums_are_those_of_the_model():
    """A new algorithm needs its row, or is refused as a promise that nobody knows."""
    found = set().union(*(_members(name, "input_shape") for name in model.names()))
    sums = {name for name in found if name.startswith("x-amz-checksum-")}

    assert (
        sums - {"x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-checksum-algorithm"}
        == headers.CHECKSUMS
    )


def test_fwd_3_no_name_crosses_that_is_ours():
    """What the gateway writes itself is never the client's, and names of the upstream stay there."""
    assert not headers.OUT & headers.OURS
    assert not headers.BACK & {"set-cookie", "server", "date", "connection", "location", "link"}
    assert all(name == name.lower() for name in headers.OUT | headers.BACK | headers.OURS)
