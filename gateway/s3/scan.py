"""
XML documents of upstreams, cut into the children of their root without a tree.

Names are rewritten by path (`Contents/Key`), never by element name, and what no rule names must
pass byte for byte; so a document is cut where its root's children begin and end, and those again
where a rule reaches into them. What upstreams do not write (DTDs, CDATA, comments) is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.errors import UpstreamProtocolError

ANSWER_MAX = (
    8 * 1024 * 1024
)  # bytes read of an answer (LST-14): 1 000 keys of 1 024 bytes, threefold

_ROOT = re.compile(r"\s*(?:<\?xml[^<>]*\?>\s*)?<([A-Za-z_][\w.:-]*)(?:\s[^<>]*)?/?>")
_OPEN = re.compile(r"\s*<([A-Za-z_][\w.:-]*)(?:\s[^<>]*)?/?>")
_TAG = re.compile(r"<(/?)[A-Za-z_][\w.:-]*(?:\s[^<>]*)?/?>")


class Piece(NamedTuple):
    """An element in a text: its local name, and where it and its inside begin and end."""

    name: str
    start: int
    begin: int
    stop: int
    end: int


class Document(NamedTuple):
    """A document's text, its root's local name, and where the root's children are."""

    text: str
    root: str
    begin: int
    """Where the root's opening ends."""
    stop: int
    """Where its closing begins."""
    pieces: list[Piece]

    @property
    def opening(self) -> str:
        """The root's opening as it came, declaration included."""
        return self.text[: self.begin]

    @property
    def closing(self) -> str:
        return self.text[self.stop :]

    def inside(self, piece: Piece) -> str:
        return self.text[piece.begin : piece.stop]

    def raw(self, piece: Piece) -> str:
        """All of an element, as it came."""
        return self.text[piece.start : piece.end]


def broken(why: str) -> UpstreamProtocolError:
    return UpstreamProtocolError(f"the upstream's answer cannot be read: {why}")


def cut(data: bytes) -> Document:
    """A document, cut. Raises UpstreamProtocolError where it is not one."""
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise broken("not UTF-8") from error
    root = _ROOT.match(text)
    if root is None or "<!" in text or text.find("<?", root.start(1)) >= 0:
        raise broken("not an XML document of S3")
    name, begin = root[1], root.end()
    if text[begin - 2] == "/":
        if text[begin:].strip():
            raise broken("it goes on after its end")
        return Document(f"{text[: begin - 2]}></{name}>", local(name), begin - 1, begin - 1, [])
    closing = f"</{name}>"
    stop = text.rfind(closing)
    if stop < begin or text[stop + len(closing) :].strip():
        raise broken("it does not end")
    return Document(text, local(name), begin, stop, pieces(text, begin, stop))


def pieces(text: str, position: int, end: int) -> list[Piece]:
    """The elements between two places of a text; there may be white space between them, and no more."""
    found: list[Piece] = []
    append, match, find, new = found.append, _OPEN.match, text.find, Piece._make
    while (opened := match(text, position, end)) is not None:
        name, start, begin = opened[1], opened.start(), opened.end()
        if text[begin - 2] == "/":
            stop = position = begin
        else:
            stop = find(f"</{name}>", begin, end)
            if stop < 0:
                raise broken(f"{local(name)} does not end")
            if find(f"<{name}", begin, stop) >= 0:
                stop = _matching(text, begin, end)
            position = stop + len(name) + 3
        append(new((local(name), start, begin, stop, position)))
    if text[position:end].strip():
        raise broken("text between elements")
    return found


def _matching(text: str, position: int, end: int) -> int:
    """Where the element that is open at `position` ends, whatever is inside."""
    depth = 1
    for tag in _TAG.finditer(text, position, end):
        if tag[1]:
            depth -= 1
            if depth == 0:
                return tag.start()
        elif text[tag.end() - 2] != "/":
            depth += 1
    raise broken("an element does not end")


def local(name: str) -> str:
    """An element's name without its namespace prefix."""
    return name.rpartition(":")[2] if ":" in name else name
