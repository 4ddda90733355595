"""Documents cut by place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocolError
from gateway.s3 import scan


def shown(data: bytes) -> list[tuple[str, str, str]]:
    document = scan.cut(data)
    return [(p.name, document.inside(p), document.raw(p)) for p in document.pieces]


def test_the_children_of_the_root_are_found():
    """With namespace prefixes, attributes, empty elements and white space."""
    assert shown(
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<n:R xmlns:n="u">\n <A>1</A><n:B x="1"><C/></n:B>\n<D/></n:R>\n'
    ) == [("A", "1", "\n <A>1</A>"), ("B", "<C/>", '<n:B x="1"><C/></n:B>'), ("D", "", "\n<D/>")]


def test_an_element_may_hold_its_own_name():
    """The first end is not the end then."""
    assert shown(b"<R><A><A>1</A><A/></A><A>2</A></R>") == [
        ("A", "<A>1</A><A/>", "<A><A>1</A><A/></A>"),
        ("A", "2", "<A>2</A>"),
    ]
    assert shown(b"<R><A><AB>1</AB></A></R>")[0][1] == "<AB>1</AB>"


def test_a_root_may_be_empty():
    """In both spellings."""
    for data in (b"<R/>", b"<R></R>", b'<R x="1" />'):
        document = scan.cut(data)
        assert (document.root, document.pieces, document.closing) == ("R", [], "</R>")
        assert document.opening.endswith(">") and "/" not in document.opening


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"\xff", b"<R>", b"<R><A></R>", b"<R><A>1</R></A>", b"<R>text</R>", b"<R/>x",
     b"<R></R>x", b"<R><A><A></A></R>", b"<!DOCTYPE R><R/>", b"<R><!-- --></R>",
     b"<R><![CDATA[x]]></R>", b"<R><?x?></R>", b"<html><body>502</body>"],
)  # fmt: skip
def test_what_is_no_document_of_s3_is_refused(data):
    """Cut off, something else, or with what no S3 server writes."""
    with pytest.raises(UpstreamProtocolError):
        scan.cut(data)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "B", "AB"]), st.sampled_from(["", "1", "<A>1</A>", "<C/>"]))
    )
)
def test_nothing_is_lost_between_the_cuts(children):
    """Opening, children and closing are the document."""
    data = "<R>" + "".join(f"<{name}>{inside}</{name}>" for name, inside in children) + "</R>"
    document = scan.cut(data.encode())

    assert [(p.name, document.inside(p)) for p in document.pieces] == children
    joined = "".join(document.raw(piece) for piece in document.pieces)
    assert document.opening + joined + document.closing == data
