"""
List answers as they pass: the prefix taken off, hidden entries left out, tokens carried; as XML or JSON.

A page is bounded, read whole, cut into its entries and written again without a tree: nothing of
it is given before every key is known to be the client's to see (LST-5). What the client asked is
echoed from its request (LST-3); other elements pass byte for byte, in the upstream's order.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html and its neighbours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from gateway.errors import UpstreamProtocolError
from gateway.message import Answer, BodyTooLarge
from gateway.s3 import members, scan, xml
from gateway.s3.errors import S3Error
from gateway.s3.heads import rewritten
from gateway.s3.mapping import View
from gateway.s3.names import decode, encode_path
from gateway.s3.scan import ANSWER_MAX, Document, Piece, broken
from gateway.s3.xml import escape, unescape


@final
@dataclass(frozen=True, slots=True)
class Form:
    """One kind of list: where it names keys, and what of it repeats the request."""

    root: str
    bucket: str
    """The element that names the bucket."""
    entries: frozenset[str]
    """Elements with a `Key` that is the client's to see, or not."""
    size: str
    """The element that repeats how many were asked for, and `size_param` that asks."""
    size_param: str
    marks: Mapping[str, str]
    """Elements that repeat parameters, encoded as keys are."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Elements that repeat parameters as they are."""
    next: str = ""
    """The element that says from which key on to continue."""


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "ListObjects": Form(
            root="ListBucketResult",
            bucket="Name",
            entries=frozenset({"Contents"}),
            size="MaxKeys",
            size_param="max-keys",
            marks={"Marker": "marker"},
            next="NextMarker",
        ),
        "ListObjectsV2": Form(
            root="ListBucketResult",
            bucket="Name",
            entries=frozenset({"Contents"}),
            size="MaxKeys",
            size_param="max-keys",
            marks={"StartAfter": "start-after"},
            tokens={"ContinuationToken": "continuation-token"},
        ),
        "ListObjectVersions": Form(
            root="ListVersionsResult",
            bucket="Name",
            entries=frozenset({"Version", "DeleteMarker"}),
            size="MaxKeys",
            size_param="max-keys",
            marks={"KeyMarker": "key-marker"},
            next="NextKeyMarker",
        ),
        "ListMultipartUploads": Form(
            root="ListMultipartUploadsResult",
            bucket="Bucket",
            entries=frozenset({"Upload"}),
            size="MaxUploads",
            size_param="max-uploads",
            marks={"KeyMarker": "key-marker"},
            next="NextKeyMarker",
        ),
    }
)

PAGE_MAX = 1000  # entries of a page: S3's own limit (LST-11)


def page_size(asked: str) -> str:
    """How many are asked of the upstream, and said to have been: S3 also repeats its limit."""
    return str(PAGE_MAX) if int(asked) > PAGE_MAX else asked


_NAMING = frozenset(
    {
        "Name",
        "Bucket",
        "Prefix",
        "Delimiter",
        "EncodingType",
        "Marker",
        "KeyMarker",
        "StartAfter",
        "ContinuationToken",
        "NextMarker",
        "NextKeyMarker",
    }
)
"""Elements that repeat the request, or name a key to go on from: never passed on as they come, also
not by an upstream that answers one kind of list with another."""
_ALWAYS = frozenset({"Prefix", "Marker", "KeyMarker"})
"""Written even where the client said nothing, as S3 does."""
_AFTER_NOTHING = "\t"
"""Where a page of v1 ends with the folder marker, an empty key of the client's: an empty marker
would begin anew (LST-2), and no key that can be reached comes before this one."""
_KEY = re.compile(r"\s*<Key>([^<]*)</Key>")
_PREFIX = re.compile(r"\s*<Prefix>([^<]*)</Prefix>")


async def listed(answer: Answer, view: View) -> Answer:
    """
    The page in the client's names. Raises UpstreamProtocolError where it breaks a rule, and
    nothing of it has been given.
    """
    try:
        data = await answer.body.read(ANSWER_MAX)
    except BodyTooLarge as error:
        raise broken("the list is too long") from error
    finally:
        await answer.body.close()
    if view.as_json:
        return rewritten(answer, page_json(data, view), "application/json")
    return rewritten(answer, page_xml(data, view))


_Entry = tuple[str, str, str, str]
"""An element that names a key: the element's name, the key in the client's names, what stands
before the key's element and behind it."""


@final
@dataclass(slots=True)
class _Page:
    """A page in the client's names, before it is written."""

    form: Form
    document: Document
    entries: list[_Entry] = field(default_factory=list)
    others: list[Piece] = field(default_factory=list)
    """Elements that neither name keys nor repeat the request."""
    next: str | None = None
    """The key to continue from."""
    dropped: int = 0
    """Entries that were left out (LST-6, LST-10)."""
    last: str = ""
    """The last key or common prefix of the page, shown or not."""
    truncated: bool = False


def _read(data: bytes, view: View) -> _Page:
    form = FORMS[view.operation.name]
    document = scan.cut(data)
    if document.root != form.root:
        raise broken(f"{document.root} is not {form.root}")
    page = _Page(form, document)
    encoded = any(
        piece.name == "EncodingType" and document.inside(piece).strip().lower() == "url"
        for piece in document.pieces
    )
    reader = _Reader(view, page, encoded)
    entries, entry = form.entries, reader.entry
    following = None
    for piece in document.pieces:
        name = piece[0]
        if name in entries or name == "CommonPrefixes":
            entry(piece)
        elif name == form.next:
            following = document.inside(piece)
        elif name not in _NAMING:
            page.others.append(piece)
            if name == "IsTruncated":
                page.truncated = document.inside(piece).strip() == "true"
    if following is not None:
        page.next = reader.marker(following)
    elif form.next == "NextMarker" and page.truncated and page.dropped:
        # Clients continue from the last entry that they see, which here is not the page's last.
        page.next = page.last
    if form.next == "NextMarker" and page.truncated and page.next == "":
        page.next = _AFTER_NOTHING
    return page


@final
class _Reader:
    """Takes keys from their spelling in an answer to the client's names."""

    __slots__ = ("_encoded", "_page", "_prefix", "_text", "_view")

    def __init__(self, view: View, page: _Page, encoded: bool) -> None:
        self._view = view
        self._page = page
        self._encoded = encoded
        self._prefix = view.upstream.prefix
        self._text = page.document.text

    def entry(self, piece: Piece) -> None:
        """One entry into the page, unless it is hidden or the prefix itself."""
        name, _, begin, stop, _ = piece
        page, text = self._page, self._text
        is_prefix = name == "CommonPrefixes"
        match = (_PREFIX if is_prefix else _KEY).match(text, begin, stop)
        if match is None or text.find("<Prefix" if is_prefix else "<Key", match.end(), stop) >= 0:
            before, raw, after = _around(text, piece, "Prefix" if is_prefix else "Key")
        else:
            before, raw, after = "", match[1], text[match.end() : stop]
        key = self.key(raw)
        if key > page.last:
            page.last = key
        visible = self._view.visible
        if not key or (visible is not None and not visible(key, is_prefix)):
            page.dropped += 1  # LST-6: an entry equal to the prefix would be an empty key
        else:
            page.entries.append((name, key, before, after))

    def key(self, raw: str) -> str:
        """A key in the client's names. Raises UpstreamProtocolError where it is not below the prefix."""
        text = raw if "&" not in raw and "%" not in raw and "+" not in raw else self._meant(raw)
        prefix = self._prefix
        if not text.startswith(prefix):  # LST-5
            raise UpstreamProtocolError(
                f"{self._view.upstream.name} lists a key outside the prefix that was asked for"
            )
        return text[len(prefix) :]

    def _meant(self, raw: str) -> str:
        """What the upstream means by a spelling (LST-4)."""
        text = _unescaped(raw) if "&" in raw else raw
        if self._encoded and ("%" in text or "+" in text):
            try:
                return decode(text.replace("+", " "))
            except S3Error as error:
                raise broken("a key is not URL-encoded") from error
        return text

    def marker(self, raw: str) -> str:
        """
        The key to continue from.

        Ceph writes it bare where it encodes keys; so where both readings differ, the one that is
        an entry of the page counts.
        """
        if not raw:
            return ""
        bare = _unescaped(raw)
        readings = [self._meant(raw), bare] if self._encoded and _decodable(bare) else [bare]
        below = [text[len(self._prefix) :] for text in readings if text.startswith(self._prefix)]
        page = self._page
        if not below and page.form.next == "NextMarker" and (page.entries or page.dropped):
            return (
                page.last
            )  # moto writes a token that is no key; behind the last entry is the same
        if not below:
            raise UpstreamProtocolError(
                f"{self._view.upstream.name} continues outside the prefix that was asked for"
            )
        return page.last if page.last in below else below[0]


def _unescaped(raw: str) -> str:
    try:
        return unescape(raw)
    except xml.XMLError as error:
        raise broken("a key cannot be read") from error


def _decodable(text: str) -> bool:
    try:
        decode(text)
    except S3Error:
        return False
    return True


def _around(text: str, piece: Piece, name: str) -> tuple[str, str, str]:
    """What stands before, in and behind the one child of that name, wherever it stands."""
    children = scan.pieces(text, piece.begin, piece.stop)
    named = [child for child in children if child.name == name]
    if len(named) != 1 or "<" in text[named[0].begin : named[0].stop]:
        raise broken(f"not one {name} in an entry")
    key = named[0]
    before, after = text[piece.begin : key.start], text[key.end : piece.stop]
    return before, text[key.begin : key.stop], after


# XML


def page_xml(data: bytes, view: View) -> bytes:
    """The page as XML."""
    page = _read(data, view)
    document = page.document
    encode = encode_path if _asks_encoding(view) else escape
    parts = [document.opening]
    parts += [f"<{name}>{text}</{name}>" for name, text in _echo(page, view, encode)]
    sized = view.request.param(page.form.size_param) is not None
    for piece in page.others:
        if piece.name == "KeyCount":
            parts.append(f"<KeyCount>{_count(document.inside(piece), page)}</KeyCount>")
        elif not (piece.name == page.form.size and sized):
            parts.append(document.raw(piece))
    if page.next is not None:
        parts.append(f"<{page.form.next}>{encode(page.next)}</{page.form.next}>")
    parts += [
        f"<{name}>{before}<Prefix>{encode(key)}</Prefix>{after}</{name}>"
        if name == "CommonPrefixes"
        else f"<{name}>{before}<Key>{encode(key)}</Key>{after}</{name}>"
        for name, key, before, after in page.entries
    ]
    parts.append(document.closing)
    return "".join(parts).encode("utf-8", "surrogatepass")


def _asks_encoding(view: View) -> bool:
    return view.request.param("encoding-type") == "url"


def _echo(page: _Page, view: View, encode: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """What the request said, as S3 repeats it (LST-3)."""
    request, form = view.request, page.form
    yield form.bucket, escape(request.bucket)
    asked = {"Prefix": "prefix", **form.marks}
    if request.param("delimiter"):  # S3 leaves an empty one out
        asked["Delimiter"] = "delimiter"
    for element, name in asked.items():
        value = request.param(name)
        if value is not None or element in _ALWAYS:
            yield element, encode(value or "")
    for element, name in form.tokens.items():
        value = request.param(name)
        if value is not None:
            yield element, escape(value)
    size = request.param(form.size_param)
    if size is not None:
        yield form.size, page_size(size)
    if encode is encode_path:
        yield "EncodingType", "url"


def _count(text: str, page: _Page) -> int:
    count = text.strip()
    if not (count.isascii() and count.isdigit()):
        raise broken("KeyCount is no number")
    return max(int(count) - page.dropped, 0)


# JSON


def page_json(data: bytes, view: View) -> bytes:
    """The page as JSON: the model's member names, keys decoded, lists always arrays (LST-15)."""
    page = _read(data, view)
    document = page.document
    shape = members.PAGES[view.operation.name]
    made: dict[str, Any] = {}
    for name, text in _echo(page, view, _plain):
        made[name] = members.typed(name, text)
    sized = view.request.param(page.form.size_param) is not None
    for piece in page.others:
        if piece.name == "KeyCount":
            made["KeyCount"] = _count(document.inside(piece), page)
        elif not (piece.name == page.form.size and sized):
            made[piece.name] = members.value(piece.name, document.inside(piece))
    if page.next is not None:
        made[page.form.next] = page.next
    for member in shape.values():
        made[member] = []
    for name, key, before, after in page.entries:
        inner = "Prefix" if name == "CommonPrefixes" else "Key"
        made[shape[name]].append({inner: key, **members.fields(before + after)})
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def _plain(text: str) -> str:
    return text
