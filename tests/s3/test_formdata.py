"""Forms as browsers and other clients write them, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.s3.errors import S3Error
from gateway.s3.formdata import FIELDS_MAX, TAIL_MAX, FormReader, boundary_of

B = b"----WebKitFormBoundaryX"


def part(name: str, value: bytes, filename: str | None = None, extra: str = "") -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'Content-Disposition: form-data; name="{name}"{named}\r\n{extra}\r\n'
    return b"--" + B + b"\r\n" + head.encode() + value + b"\r\n"


def form(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    return b"".join(parts) + b"--" + B + end


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


def read(pieces: list[bytes]) -> tuple[FormReader, bytes]:
    reader = FormReader(B)
    data = b"".join([reader.feed(piece) for piece in pieces])
    reader.finish()
    return reader, data


def code(pieces: list[bytes]) -> str:
    with pytest.raises(S3Error) as caught:
        read(pieces)
    assert caught.value.status == 400
    return caught.value.code


files = st.one_of(
    st.binary(max_size=200),
    st.text(st.sampled_from("\r\n-WebKitFormBoundaryX"), max_size=80).map(str.encode),
)


@settings(max_examples=120, deadline=None)
@given(
    data=files.filter(lambda data: b"\r\n--" + B not in b"\r\n" + data),
    value=st.text(max_size=20),
    places=st.lists(st.integers(0, 2000), max_size=12),
)
def test_sig_17_a_form_reads_the_same_however_it_is_cut(data, value, places):
    """Fields, file name and every byte of the file, line ends and half boundaries included."""
    value = value.replace("\r", "").replace("\n", "")
    wire = form(part("key", value.encode()), part("File", data, "a.txt", "Content-Type: x/y\r\n"))

    reader, got = read(cut(wire, places))

    assert got == data
    assert reader.fields == [("key", value)]
    assert (reader.filename, reader.ended) == ("a.txt", True)


def test_sig_17_one_byte_at_a_time():
    """The extreme cut."""
    wire = form(part("key", b"k"), part("empty", b""), part("file", b"\r\n--x", "f"))
    reader, got = read([wire[at : at + 1] for at in range(len(wire))])

    assert (got, reader.fields) == (b"\r\n--x", [("key", "k"), ("empty", "")])


@pytest.mark.parametrize(
    ("filename", "seen"),
    [
        ("a b.txt", "a b.txt"),
        ("C:\\docs\\a.txt", "C:\\docs\\a.txt"),
        ('say \\"hi\\".txt', 'say "hi".txt'),
        ("%22.txt", "%22.txt"),
        ("ü😀.txt", "ü😀.txt"),
        ("", ""),
        ("a; name=x", "a; name=x"),
    ],
)
def test_sig_17_file_names_are_taken_as_browsers_write_them(filename, seen):
    """A quotation mark may be escaped; any other backslash is itself."""
    reader, _ = read([form(part("file", b"x", filename))])

    assert reader.filename == seen


def test_sig_17_what_follows_the_file_is_ignored():
    """As S3 ignores it, within a bound."""
    reader, got = read([form(part("file", b"x", "f"), part("late", b"1"), part("file", b"y"))])

    assert (got, reader.fields) == (b"x", [])
    long = form(part("file", b"x", "f"), part("late", b"1" * (TAIL_MAX + 8192)))
    assert code([long[:200], *cut(long[200:], list(range(0, TAIL_MAX, 4096)))]) == (
        "MalformedPOSTRequest"
    )


def test_sig_17_the_end_may_come_without_a_line_end():
    """And bytes after it are nobody's."""
    for end in (b"--", b"--\r\n", b"--\r\nepilogue"):
        assert read(cut(form(part("file", b"x", "f"), end=end), [150, 151, 152]))[1] == b"x"


def test_sig_17_the_length_of_what_closes_a_form_is_known():
    """So that the length of a file is known before it has come."""
    wire = form(part("file", b"12345", "f"))

    assert wire.index(b"12345") + 5 + FormReader(B).closing == len(wire)


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"x",
        b"preamble\r\n" + form(part("file", b"x")),
        form(part("key", b"k")),
        form(),
        form(part("file", b"x"), end=b""),
        part("file", b"x"),
        part("key", b"k"),
        b"--" + B + b"\r\n\r\n\r\nvalue",
        b"--" + B + b"\r\nContent-Type: x\r\n\r\nvalue",
        b"--" + B + b'\r\nContent-Disposition: attachment; name="a"\r\n\r\nvalue',
        b"--" + B + b'\r\nContent-Disposition: form-data; name=""\r\n\r\nvalue',
        b"--" + B + b'\r\nContent-Disposition: form-data; name="a"; name="b"\r\n\r\nvalue',
        b"--" + B + b'\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nvalue',
        form(part("a", b"\xff"), part("file", b"x")),
        b"--" + B + b"x\r\n",
        part("a", b"1") + b"--" + B + b"xx\r\n",
    ],
    ids=range(17),
)
def test_sig_17_what_is_no_form_is_refused(wire):
    """However it came."""
    assert code([wire] if wire else []) == "MalformedPOSTRequest"
    assert code(cut(wire, list(range(len(wire))))) == "MalformedPOSTRequest"


@pytest.mark.parametrize("bytewise", [True, False])
@pytest.mark.parametrize(
    "wire",
    [
        form(part("a", b"1" * FIELDS_MAX), part("file", b"x")),
        form(part("a", b"1" * (FIELDS_MAX - 100)), part("file", b"x", "f" * 200)),
        b"--" + B + b"\r\n" + b"x" * (FIELDS_MAX + 1),
        form(*[part(f"n{index}", b"1") for index in range(400)], part("file", b"x")),
    ],
    ids=["field", "file name", "head", "many"],
)
def test_sig_17_fields_are_read_within_a_bound(wire, bytewise):
    """20 KiB before the file, as S3."""
    pieces = [wire[at : at + 1000] for at in range(0, len(wire), 1000)] if bytewise else [wire]

    assert code(pieces) == "MaxPostPreDataLengthExceededError"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data;charset=utf-8; Boundary="a b"', b"a b"),
        ("multipart/form-data; boundary=abc; charset=utf-8", b"abc"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=" + "x" * 71, None),
        ("multipart/form-data; boundary=\u00fc", None),
        ("multipart/mixed; boundary=abc", None),
        ("application/x-www-form-urlencoded", None),
        ("", None),
    ],
)
def test_sig_17_the_boundary_comes_from_the_content_type(content_type, boundary):
    """Quoted or not; anything else is no form."""
    assert boundary_of(content_type) == boundary
