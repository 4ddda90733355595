"""
XML in and out without DTDs, entities or surprises, within a size (S3-4, DEL-2).

Documents that clients send are small and are read into a tree of `Element`s; what upstreams
send is rewritten as it passes and never becomes a tree (see `listing`). Text may hold what
XML 1.0 forbids: S3 keys hold control characters, and servers write them as references (LST-13).

Sources: https://www.w3.org/TR/xml/ sections 2.2, 2.4, 4.1; CVE-2013-0340.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import final

from gateway.records import Struct, field

DEPTH_MAX = 32  # elements inside each other; S3's own documents need 6
SIZE_MAX = 8 * 1024 * 1024  # bytes: a page of 1 000 keys of 1 024 bytes, encoded threefold

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class XMLError(ValueError):
    """The document is not one that S3 would send or take."""


# Writing

_SPECIAL = re.compile("[&<>\"'\x00-\x1f\x7f\ufffe\uffff]")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}


def _reference(match: re.Match[str]) -> str:
    character = match.group()
    return _NAMED.get(character) or f"&#x{ord(character):X};"


def escape(text: str) -> str:
    """The text as character data; controls become references, also those that XML forbids."""
    return _SPECIAL.sub(_reference, text) if _SPECIAL.search(text) else text


def readable(text: str) -> str:
    """The text with what no XML parser takes replaced by U+FFFD: for messages, not for keys."""
    return _FORBIDDEN.sub("\ufffd", text)


# Reading

_REFERENCE = re.compile(r"&(?:#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));|&")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name:
        return _ENTITIES[name]
    if not decimal and not hexadecimal:
        raise XMLError("an entity that is not predefined")
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise XMLError("a reference to no character")
    return chr(code)


def unescape(text: str) -> str:
    """Character data as text. Raises XMLError on an entity that is not predefined."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


@final
class Element(Struct):
    """One element: its local name, the text directly inside it, its children in order."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        return (child for child in self.children if child.name == name)

    def one(self, name: str) -> str | None:
        """The text of the only child of that name. Raises XMLError where there are two (DEL-2)."""
        found = [child for child in self.children if child.name == name]
        if len(found) > 1:
            raise XMLError(f"{name} stands twice")
        return found[0].text if found else None


_NAME = r"[A-Za-z_][A-Za-z0-9_.:-]*"
_ATTRIBUTE = rf"\s+{_NAME}\s*=\s*(?:\"[^\"<]*\"|'[^'<]*')"
_TOKEN = re.compile(
    rf"<(?P<open>{_NAME})(?P<attributes>(?:{_ATTRIBUTE})*)\s*(?P<empty>/?)>"
    rf"|</(?P<close>{_NAME})\s*>"
    r"|<!--(?P<comment>(?:(?!--)[^\x00])*)-->"
    r"|<!\[CDATA\[(?P<cdata>.*?)\]\]>"
    r"|(?P<text>[^<]+)",
    re.DOTALL,
)
_PROLOGUE = re.compile(
    r"\s*<\?xml\s+version\s*=\s*[\"']1\.[01][\"']"
    r"(?:\s+encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"'])?"
    r"(?:\s+standalone\s*=\s*[\"'](?:yes|no)[\"'])?\s*\?>"
)
_RAW_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def _decoded(document: bytes, limit: int) -> str:
    if len(document) > limit:
        raise XMLError(f"longer than {limit} bytes")
    try:
        text = document.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise XMLError("not UTF-8") from error
    if _RAW_FORBIDDEN.search(text):
        raise XMLError("a control character")
    return text


def _body(text: str) -> str:
    """The document behind its XML declaration, if it has one."""
    prologue = _PROLOGUE.match(text)
    if prologue is None:
        return text
    encoding = prologue.group(1)
    if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
        raise XMLError("declares an encoding that is not UTF-8")
    return text[prologue.end() :]


def parse(document: bytes, *, limit: int = SIZE_MAX) -> Element:
    """
    The root element; namespaces are dropped, attributes ignored, comments skipped.

    Raises XMLError on a DTD, a processing instruction, an entity that is not predefined,
    on other encodings than UTF-8, beyond `limit` bytes or DEPTH_MAX, and on what is not well formed.
    """
    text = _body(_decoded(document, limit))
    top = Element("")
    path = [_Open("", top)]
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:  # <!DOCTYPE, <?…, or no markup at all
            raise XMLError("markup that S3 does not use")
        position = token.end()
        _take(token, path)
    if len(path) > 1:
        raise XMLError("ends inside an element")
    if len(top.children) != 1 or "".join(path[0].texts).strip():
        raise XMLError("not one root element")
    return top.children[0]


@final
class _Open(Struct):
    """An element whose end has not come yet, under the name its end must have."""

    name: str
    element: Element
    texts: list[str] = field(default_factory=list)


def _take(token: re.Match[str], path: list[_Open]) -> None:
    """One token into the tree whose open elements are `path`."""
    kind = token.lastgroup
    if kind == "close":
        done = path.pop()
        if not path or done.name != token["close"]:
            raise XMLError("tags that do not match")
        done.element.text = "".join(done.texts)
    elif kind == "text":
        path[-1].texts.append(unescape(token["text"]))
    elif kind == "cdata":
        path[-1].texts.append(token["cdata"])
    elif kind != "comment":
        if len(path) > DEPTH_MAX:
            raise XMLError(f"deeper than {DEPTH_MAX} elements")
        element = Element(token["open"].rpartition(":")[2])
        path[-1].element.children.append(element)
        if not token["empty"]:
            path.append(_Open(token["open"], element))
