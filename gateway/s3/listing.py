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
from gateway.s3.scan import ANSWER_MAX, Piece, broken
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

    @property
    def echoed(self) -> frozenset[str]:
        """What is written from the request, never from the answer."""
        return frozenset(
            {self.bucket, "Prefix", "Delimiter", "EncodingType", *self.marks, *self.tokens}
        )


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


@final
@dataclass(frozen=True, slots=True)
class _Entry:
    """An element that names a key or common prefix, and what else is in it."""

    name: str
    key: str
    """In the client's names."""
    before: str
    after: str


@final
@dataclass(slots=True)
class _Page:
    """A page in the client's names, before it is written."""

    form: Form
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


def _read(data: bytes, view: View) -> tuple[scan.Document, _Page]:
    form = FORMS[view.operation.name]
    document = scan.cut(data)
    if document.root != form.root:
        raise broken(f"{document.root} is not {form.root}")
    page = _Page(form)
    encoded = any(
        piece.name == "EncodingType" and piece.inside.strip().lower() == "url"
        for piece in document.pieces
    )
    reader = _Reader(view, encoded)
    echoed, entries, following = form.echoed, form.entries, None
    for piece in document.pieces:
        name = piece.name
        if name in entries or name == "CommonPrefixes":
            reader.entry(piece, page)
        elif name == form.next:
            following = piece
        elif name not in echoed:
            page.others.append(piece)
            if name == "IsTruncated":
                page.truncated = piece.inside.strip() == "true"
    if following is not None:
        page.next = reader.marker(following.inside, page.last)
    elif form.next == "NextMarker" and page.truncated and page.dropped:
        # Clients continue from the last entry that they see, which here is not the page's last.
        page.next = page.last
    if form.next == "NextMarker" and page.truncated and page.next == "":
        page.next = _AFTER_NOTHING
    return document, page


@final
class _Reader:
    """Takes keys from their spelling in an answer to the client's names."""

    __slots__ = ("_encoded", "_prefix", "_view", "_visible")

    def __init__(self, view: View, encoded: bool) -> None:
        self._view = view
        self._encoded = encoded
        self._prefix = view.upstream.prefix
        self._visible = view.visible

    def entry(self, piece: Piece, page: _Page) -> None:
        """One entry into the page, unless it is hidden or the prefix itself."""
        inside = piece.inside
        is_prefix = piece.name == "CommonPrefixes"
        match = (_PREFIX if is_prefix else _KEY).match(inside)
        what = "<Prefix" if is_prefix else "<Key"
        if match is None or inside.find(what, match.end()) >= 0:
            before, raw, after = _around(inside, what[1:])
        else:
            before, raw, after = "", match[1], inside[match.end() :]
        key = self.key(raw)
        page.last = max(page.last, key)
        if not key or (self._visible is not None and not self._visible(key, is_prefix)):
            page.dropped += 1  # LST-6: an entry equal to the prefix would be an empty key
        else:
            page.entries.append(_Entry(piece.name, key, before, after))

    def key(self, raw: str) -> str:
        """A key in the client's names. Raises UpstreamProtocolError where it is not below the prefix."""
        text = self._text(raw)
        prefix = self._prefix
        if not text.startswith(prefix):  # LST-5
            raise UpstreamProtocolError(
                f"{self._view.upstream.name} lists a key outside the prefix that was asked for"
            )
        return text[len(prefix) :]

    def _text(self, raw: str) -> str:
        """What the upstream means by a spelling (LST-4)."""
        text = _unescaped(raw) if "&" in raw else raw
        if self._encoded and ("%" in text or "+" in text):
            try:
                return decode(text.replace("+", " "))
            except S3Error as error:
                raise broken("a key is not URL-encoded") from error
        return text

    def marker(self, raw: str, last: str) -> str:
        """
        The key to continue from.

        Ceph writes it bare where it encodes keys; so where both readings differ, the one that is
        an entry of the page counts.
        """
        if not raw:
            return ""
        bare = _unescaped(raw)
        readings = [self._text(raw), bare] if self._encoded and _decodable(bare) else [bare]
        below = [text[len(self._prefix) :] for text in readings if text.startswith(self._prefix)]
        if not below:
            raise UpstreamProtocolError(
                f"{self._view.upstream.name} continues outside the prefix that was asked for"
            )
        return last if last in below else below[0]


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


def _around(inside: str, name: str) -> tuple[str, str, str]:
    """What stands before, in and after the one child of that name, wherever it stands."""
    pieces = scan.pieces(inside, 0, len(inside))
    places = [place for place, piece in enumerate(pieces) if piece.name == name]
    if len(places) != 1 or "<" in pieces[places[0]].inside:
        raise broken(f"not one {name} in an entry")
    place = places[0]
    before = "".join(piece.raw for piece in pieces[:place])
    after = "".join(piece.raw for piece in pieces[place + 1 :])
    return before, pieces[place].inside, after


# XML


def page_xml(data: bytes, view: View) -> bytes:
    """The page as XML."""
    document, page = _read(data, view)
    encode = encode_path if _asks_encoding(view) else escape
    parts = [document.opening]
    parts += [f"<{name}>{text}</{name}>" for name, text in _echo(page, view, encode)]
    sized = view.request.param(page.form.size_param) is not None
    for piece in page.others:
        if piece.name == "KeyCount":
            parts.append(f"<KeyCount>{_count(piece.inside, page)}</KeyCount>")
        elif not (piece.name == page.form.size and sized):
            parts.append(piece.raw)
    if page.next is not None:
        parts.append(f"<{page.form.next}>{encode(page.next)}</{page.form.next}>")
    for entry in page.entries:
        name = entry.name
        inner = "Prefix" if name == "CommonPrefixes" else "Key"
        parts.append(
            f"<{name}>{entry.before}<{inner}>{encode(entry.key)}</{inner}>{entry.after}</{name}>"
        )
    parts.append(document.closing)
    return "".join(parts).encode("utf-8", "surrogatepass")


def _asks_encoding(view: View) -> bool:
    return view.request.param("encoding-type") == "url"


def _echo(page: _Page, view: View, encode: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """What the request said, as S3 repeats it (LST-3)."""
    request, form = view.request, page.form
    yield form.bucket, escape(request.bucket)
    asked = {"Prefix": "prefix", **form.marks, "Delimiter": "delimiter"}
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
        yield form.size, size
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
    _, page = _read(data, view)
    shape = members.PAGES[view.operation.name]
    made: dict[str, Any] = {}
    for name, text in _echo(page, view, _plain):
        made[name] = members.typed(name, text)
    sized = view.request.param(page.form.size_param) is not None
    for piece in page.others:
        if piece.name == "KeyCount":
            made["KeyCount"] = _count(piece.inside, page)
        elif not (piece.name == page.form.size and sized):
            made[piece.name] = members.value(piece)
    if page.next is not None:
        made[page.form.next] = page.next
    for member in shape.values():
        made[member] = []
    for entry in page.entries:
        inner = "Prefix" if entry.name == "CommonPrefixes" else "Key"
        rest = members.fields(f"{entry.before}{entry.after}")
        made[shape[entry.name]].append({inner: entry.key, **rest})
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def _plain(text: str) -> str:
    return text
