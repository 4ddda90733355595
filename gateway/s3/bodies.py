"""
Bodies that name keys, other than lists: DeleteObjects both ways, copy and multipart results, restores.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html,
API_CompleteMultipartUpload.html, API_CopyObject.html.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import AsyncIterator, Callable

from gateway.message import Answer, Body, BodyTooLarge, Headers, IterBody, Pairs, ResponseHead
from gateway.records import replace
from gateway.s3 import members, scan, xml
from gateway.s3.errors import MALFORMED_XML, NOT_IMPLEMENTED, S3Error, error_xml
from gateway.s3.heads import about, rewritten
from gateway.s3.mapping import Refused, Upstream, View
from gateway.s3.names import encode_path
from gateway.s3.refusals import is_safe, within
from gateway.s3.request import DELETE_BODY_MAX, DeleteEntry, S3Request
from gateway.s3.scan import ANSWER_MAX, Piece, broken
from gateway.s3.xml import escape

RESULT_MAX = 256 * 1024  # bytes of the result of a copy or an upload: a few names of 1 024 bytes


# DeleteObjects, out


def delete_body(request: S3Request, upstream: Upstream) -> tuple[bytes, Pairs]:
    """
    The <Delete> document in the upstream's names, and the headers that vouch for it (DEL-4, DEL-5).

    Entries go as they came, keys mapped, order kept. Raises S3Error (KeyTooLongError).
    """
    parts = [xml.DECLARATION, f'<Delete xmlns="{xml.NAMESPACE}">']
    parts += [_entry_out(entry, upstream) for entry in request.body_keys]
    if request.quiet:
        parts.append("<Quiet>true</Quiet>")
    parts.append("</Delete>")
    document = "".join(parts).encode()
    return document, (("content-type", "application/xml"), *_vouching(request.headers, document))


def _entry_out(entry: DeleteEntry, upstream: Upstream) -> str:
    inside = "".join(
        f"<{name}>{escape(value)}</{name}>"
        for name, value in (
            ("Key", upstream.key(entry.key)),
            ("VersionId", entry.version),
            ("ETag", entry.etag),
            ("LastModifiedTime", entry.last_modified),
            ("Size", entry.size),
        )
        if value is not None
    )
    return f"<Object>{inside}</Object>"


_SUMS: dict[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda data: hashlib.sha256(data).digest(),
    "x-amz-checksum-sha512": lambda data: hashlib.sha512(data).digest(),
    "x-amz-checksum-md5": lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
}
"""Checksums that the standard library computes at full speed."""


def _vouching(received: Headers, document: bytes) -> Pairs:
    """A checksum of the algorithm that the client named, or else Content-MD5 (CHK-21)."""
    for name, sum_of in _SUMS.items():
        if name in received:
            value = base64.b64encode(sum_of(document)).decode()
            algorithm = name.removeprefix("x-amz-checksum-").upper()
            return ((name, value), ("x-amz-sdk-checksum-algorithm", algorithm))
    digest = hashlib.md5(document, usedforsecurity=False).digest()
    return (("content-md5", base64.b64encode(digest).decode()),)


# DeleteObjects, back


async def deleted(answer: Answer, view: View) -> Answer:
    """The result in the client's names, with the entries that were never sent on (DEL-6, DEL-8)."""
    document = scan.cut(await _whole(answer, ANSWER_MAX))
    if document.root == "Error":
        raise _inside_200(document, view)
    parts = [document.opening]
    for piece in document.pieces:
        match piece.name:
            case "Deleted":
                parts.append(_deleted(document, piece, view))
            case "Error":
                parts.append(_not_deleted(document, piece, view))
            case _:
                parts.append(document.raw(piece))
    parts += [_refused(entry) for entry in view.refused]
    parts.append(document.closing)
    return rewritten(answer, "".join(parts).encode("utf-8", "surrogatepass"))


def nothing_to_delete(view: View) -> Answer:
    """The answer where every entry was refused and the upstream was not asked (DEL-7)."""
    refused = "".join(_refused(entry) for entry in view.refused)
    data = f'{xml.DECLARATION}<DeleteResult xmlns="{xml.NAMESPACE}">{refused}</DeleteResult>'
    return rewritten(Answer(head=ResponseHead(status=200)), data.encode())


def _refused(refused: Refused) -> str:
    entry, code, message = refused
    version = "" if entry.version is None else f"<VersionId>{escape(entry.version)}</VersionId>"
    return (
        f"<Error><Key>{escape(entry.key)}</Key>{version}"
        f"<Code>{escape(code)}</Code><Message>{escape(message or code)}</Message></Error>"
    )


def _deleted(document: scan.Document, piece: Piece, view: View) -> str:
    inside = "".join(
        f"<Key>{escape(_client_key(document.inside(child), view))}</Key>"
        if child.name == "Key"
        else document.raw(child)
        for child in scan.pieces(document.text, piece.begin, piece.stop)
    )
    return f"<Deleted>{inside}</Deleted>"


def _not_deleted(document: scan.Document, piece: Piece, view: View) -> str:
    """An <Error> entry; its message may tell names of the upstream's."""
    parts = []
    for child in scan.pieces(document.text, piece.begin, piece.stop):
        match child.name:
            case "Key":
                parts.append(f"<Key>{escape(_client_key(document.inside(child), view))}</Key>")
            case "Message":
                told = _text(document.inside(child))
                safe = told if told.strip() and is_safe(told, view) else "It was not deleted."
                parts.append(f"<Message>{escape(safe)}</Message>")
            case "Code" | "VersionId":
                parts.append(document.raw(child))
            case _:
                pass  # what S3 does not write there may name anything
    return f"<Error>{''.join(parts)}</Error>"


def _client_key(raw: str, view: View) -> str:
    return view.upstream.client_key(_text(raw))


def _text(raw: str) -> str:
    if "<" in raw:
        raise broken("an element where text was expected")
    try:
        return xml.unescape(raw)
    except xml.XMLError as error:
        raise broken("a text cannot be read") from error


# Answers with Bucket and Key at their top


async def named(answer: Answer, view: View) -> Answer:
    """ListParts, CreateMultipartUpload and their like: Bucket and Key become the client's."""
    data = await _whole(answer, ANSWER_MAX)
    if not data.strip():
        return rewritten(answer, b"") if answer.status != 204 else answer
    document = scan.cut(data)
    if document.root == "Error":
        raise _inside_200(document, view)
    if view.as_json and view.operation.name == "ListParts":
        return rewritten(answer, _parts_json(document, view), "application/json")
    return rewritten(answer, _renamed(document, view).encode("utf-8", "surrogatepass"))


def _renamed(document: scan.Document, view: View) -> str:
    """The document with its top-level Bucket, Key and Location in the client's names."""
    ours = _client_names(view)
    parts = [document.opening]
    for piece in document.pieces:
        if piece.name in ours:
            parts.append(f"<{piece.name}>{escape(ours[piece.name])}</{piece.name}>")
        else:
            parts.append(document.raw(piece))
    parts.append(document.closing)
    return "".join(parts)


def _client_names(view: View) -> dict[str, str]:
    request = view.request
    return {
        "Bucket": request.bucket,
        "Key": request.key,
        "Location": f"{view.public_url}{encode_path(request.path)}",
    }


def _parts_json(document: scan.Document, view: View) -> bytes:
    ours = _client_names(view)
    made: dict[str, object] = {}
    parts: list[dict[str, object]] = []
    for piece in document.pieces:
        if piece.name == "Part":
            parts.append(members.fields(document.inside(piece), arrays=frozenset()))
        else:
            made[piece.name] = ours.get(piece.name) or members.value(
                piece.name, document.inside(piece)
            )
    made["Parts"] = parts
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def _inside_200(document: scan.Document, view: View) -> S3Error:
    """An error under a status that says there is none."""
    try:
        element = xml.parse(
            f"<Error>{document.text[document.begin : document.stop]}</Error>".encode()
        )
    except xml.XMLError as error:
        raise broken("an error that cannot be read") from error
    return within(element, view, status=500)


# Results that come late: the head has gone, white space keeps the client waiting (LST-16)


async def completed(answer: Answer, view: View) -> Answer:
    """CompleteMultipartUploadResult: Location, Bucket and Key become the client's."""
    return _late(answer, view, lambda document: _renamed(document, view))


async def copied(answer: Answer, view: View) -> Answer:
    """CopyObjectResult and CopyPartResult name nothing; an <Error> in their place may."""
    return _late(answer, view, lambda document: document.text)


def _late(answer: Answer, view: View, write: Callable[[scan.Document], str]) -> Answer:
    """The head at once, without a length; the document when it is there."""
    kept = about(answer.head.headers.pairs)
    head = ResponseHead(
        status=answer.status, headers=Headers((*kept, ("content-type", "application/xml")))
    )
    return replace(answer, head=head, body=IterBody(_waiting(answer.body, view, write)))


async def _waiting(
    body: Body, view: View, write: Callable[[scan.Document], str]
) -> AsyncIterator[bytes]:
    """White space and declaration as they come, then the document rewritten."""
    held = b""
    begun = False
    try:
        async for data in body:
            held += data
            if len(held) > RESULT_MAX:
                raise broken("a result is too long")
            if not begun:
                place = _root_at(held)
                if place:
                    yield held[:place]
                held = held[place:]
                begun = held[:1] == b"<" and len(held) > 1 and held[1:2] != b"?"
        if held.strip():
            document = scan.cut(held)
            if document.root == "Error":
                yield _told_late(document, view)
            else:
                yield write(document).encode("utf-8", "surrogatepass")
    finally:
        await body.close()


def _root_at(data: bytes) -> int:
    """
    How many bytes may go at once: all before the root element or an unfinished declaration.

    Raises UpstreamProtocolError where anything but white space and the declaration is there.
    """
    place = 0
    while True:
        begin = data.find(b"<", place)
        if data[place : len(data) if begin < 0 else begin].strip():
            raise broken("text before the document")
        if begin < 0:
            return len(data)
        end = data.find(b"?>", begin) if data[begin + 1 : begin + 2] == b"?" else -1
        if end < 0:
            return begin
        place = end + 2


def _told_late(document: scan.Document, view: View) -> bytes:
    """An <Error> inside a 200, in the client's names (CPY-11)."""
    error = _inside_200(document, view)
    if view.failed is not None:
        view.failed(error.code)
    written = error_xml(error, resource=view.request.path, request_id=view.request_id)
    return written.removeprefix(xml.DECLARATION.encode())


async def _whole(answer: Answer, limit: int) -> bytes:
    try:
        return await answer.body.read(limit)
    except BodyTooLarge as error:
        raise broken("it is too long") from error
    finally:
        await answer.body.close()


# RestoreObject


def restore_body(document: bytes) -> bytes:
    """
    A RestoreRequest as it came, if it names no bucket.

    Raises S3Error: NotImplemented where it would restore into one (OPS-11), MalformedXML.
    """
    if not document.strip():
        return document
    try:
        root = xml.parse(document, limit=DELETE_BODY_MAX)
    except xml.XMLError as error:
        raise S3Error(MALFORMED_XML) from error
    if next(root.all("OutputLocation"), None) is not None:
        raise S3Error(NOT_IMPLEMENTED, "Restoring into a bucket is not implemented here.")
    return document
