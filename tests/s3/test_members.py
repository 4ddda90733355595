"""Members of JSON lists, held against botocore's model."""

from __future__ import annotations

import pytest

from gateway.errors import UpstreamProtocolError
from gateway.s3 import members
from tests.s3 import model


def _lists(shape, depth: int = 0):
    """Every member of a page, with its type and the operation's own lists by their element."""
    for name, member in shape.members.items():
        if "location" in member.serialization:
            continue
        yield name, member
        inner = member.member if member.type_name == "list" else member
        if inner.type_name == "structure" and depth < 4:
            yield from _lists(inner, depth + 1)


@pytest.mark.parametrize("name", sorted(members.PAGES))
def test_lst_15_types_are_those_of_the_model(name):
    """A number is a number, a boolean a boolean, everything else a text."""
    for member, shape in _lists(model.service().operation_model(name).output_shape):
        kind = shape.type_name
        assert (member in members.NUMBERS) == (kind in ("integer", "long")), member
        assert (member in members.BOOLEANS) == (kind == "boolean"), member


@pytest.mark.parametrize("name", sorted(members.PAGES))
def test_lst_15_arrays_are_the_lists_of_the_model(name):
    """Under the model's names, by the element that repeats."""
    shape = model.service().operation_model(name).output_shape
    lists = {
        member.serialization.get("name", key): key
        for key, member in shape.members.items()
        if member.type_name == "list"
    }

    assert members.PAGES[name] == lists


def test_fields_of_an_entry():
    """Flat ones and nested ones; a list of one is a list."""
    inside = (
        "<Size>3</Size><ETag>&quot;e&quot;</ETag> <ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
        "<Owner><ID>1</ID><DisplayName>a&amp;b</DisplayName></Owner><Type>Normal</Type>"
        "<ChecksumAlgorithm>SHA1</ChecksumAlgorithm><Empty/>"
    )

    assert members.fields(inside) == {
        "Size": 3, "ETag": '"e"', "ChecksumAlgorithm": ["CRC32", "SHA1"],
        "Owner": {"ID": "1", "DisplayName": "a&b"}, "Type": "Normal", "Empty": "",
    }  # fmt: skip
    assert members.fields("<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>", arrays=frozenset()) == {
        "ChecksumAlgorithm": "CRC32"
    }


def test_a_number_that_is_none_stays_a_text():
    """Nothing is made up."""
    assert members.typed("Size", "many") == "many"
    assert members.value("IsTruncated", " True ") is True


@pytest.mark.parametrize("inside", ["<A>&nbsp;</A>", "<A><B></A></B>", "stray"])
def test_what_cannot_be_read_is_a_fault_of_the_upstream(inside):
    """As everywhere in a list."""
    with pytest.raises(UpstreamProtocolError):
        members.fields(inside)
