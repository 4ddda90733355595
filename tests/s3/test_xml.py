"""XML that S3 speaks, and nothing else of XML."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.s3 import xml

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)


def test_an_element_has_text_and_children():
    """Namespaces are dropped, attributes and comments ignored."""
    root = xml.parse(
        b'<?xml version="1.0" encoding="UTF-8"?>\n<a:Delete xmlns:a="urn:x"><!-- c -->'
        b"<Object><Key>a&amp;b<![CDATA[<c>]]></Key></Object><Quiet/></a:Delete>"
    )

    assert root.name == "Delete"
    assert next(root.all("Object")).one("Key") == "a&b<c>"
    assert (root.one("Quiet"), root.one("Other")) == ("", None)


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><a>&lol2;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>&b;</a>",
        b"<a>&</a>",
        b"<a>&#0;</a>",
        b"<a>&#xD800;</a>",
        b"<a>&#x110000;</a>",
        b"<a><?php x?></a>",
        b'<?xml version="1.0" encoding="UTF-16"?><a/>',
        "<a>\u00fc</a>".encode("utf-16"),
        b"<a>\xff</a>",
        b"<a>\x01</a>",
        b"<a><b></a></b>",
        b"</a>",
        b"<a>",
        b"<a/><b/>",
        b"text",
        b"",
        b"<a x=1/>",
        b"<a" * 3,
        b"<d>" * 40 + b"</d>" * 40,
    ],
)
def test_s3_4_what_no_client_of_s3_writes_is_refused(document):
    """DTDs, entities, processing instructions, other encodings, depth, and what is not well formed."""
    with pytest.raises(xml.XMLError):
        xml.parse(document)


def test_s3_4_a_document_has_a_size():
    """Beyond the limit nothing is looked at."""
    with pytest.raises(xml.XMLError):
        xml.parse(b"<a>" + b"x" * 100 + b"</a>", limit=50)


def test_del_2_an_element_that_must_be_single_is():
    """Two keys in one entry are two readings."""
    with pytest.raises(xml.XMLError):
        xml.parse(b"<a><Key>1</Key><Key>2</Key></a>").one("Key")


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_lst_13_what_is_escaped_is_read_back(text):
    """Also controls, which are written as references that XML 1.0 forbids."""
    assert xml.unescape(xml.escape(text)) == text
    assert xml.parse(f"<a>{xml.escape(text)}</a>".encode()).text == text


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=60), st.text("<>/a&;!?-[]'\"= \n", max_size=40).map(str.encode))
)
def test_s3_4_any_bytes_are_read_or_refused(document):
    """Nothing but XMLError comes out of the parser."""
    try:
        element = xml.parse(document)
    except xml.XMLError:
        return
    assert element.name


def test_many_small_texts_are_read_in_linear_time():
    """Comments between letters do not make the text grow by copying."""
    assert len(xml.parse(b"<a>" + b"x<!---->" * 50_000 + b"</a>").text) == 50_000


def test_a_readable_text_has_nothing_that_a_parser_refuses():
    """For messages, not for keys."""
    assert xml.readable("a\x00\ud800b\n") == "a\ufffd\ufffdb\n"
