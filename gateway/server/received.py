"""
What a visitor sends by an upload-only link: one file of a form, stored under a name of its own.

Sources: UI-35, SHR-3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.errors import ApiError
from gateway.keyring import random_token
from gateway.message import Body, BytesBody
from gateway.s3.formdata import FormReader
from gateway.s3.xml import escape, parse
from gateway.server.errands import Errand
from gateway.server.shares import Share

PART = 8 * 1024 * 1024  # bytes of an upload that wait in memory
FILE_MAX = 10_000 * PART
NAME_MAX = 200  # characters of an uploaded file's name


async def receive(reader: FormReader, body: Body, errand: Errand, share: Share) -> str:
    """Stores the form's file below what is shared; the name it came with. Raises ApiError, Refused."""
    file = _file_of(reader, body)
    first = await _gathered(file)
    # Nothing that is there is written over: the visitor cannot see it, nor ask (UI-35).
    key = share.place + _file_name(reader.filename)
    if not reader.filename or not share.covers(key):
        raise ApiError(400, "No file was chosen.", code="no-file")
    await _stored(errand, share.bucket, key, first, file)
    return reader.filename[:NAME_MAX]


async def _file_of(reader: FormReader, body: Body) -> AsyncIterator[bytes]:
    """The bytes of the form's file."""
    async for chunk in body:
        data = reader.feed(chunk)
        if data:
            yield data
    reader.finish()


async def _gathered(file: AsyncIterator[bytes]) -> bytes:
    """PART bytes or somewhat more; fewer only at the end."""
    parts: list[bytes] = []
    size = 0
    while size < PART:
        chunk = await anext(file, None)
        if chunk is None:
            break
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts)


async def _stored(
    errand: Errand, bucket: str, key: str, first: bytes, file: AsyncIterator[bytes]
) -> None:
    """In one request where it is small; else by parts, so that no more than one waits in memory."""
    if len(first) < PART:
        await errand.document("PUT", bucket, key, body=BytesBody(first))
        return
    _, data = await errand.document("POST", bucket, key, query=(("uploads", ""),))
    upload = parse(data).one("UploadId") or ""
    try:
        listed, size, number = "", 0, 0
        while first:
            number += 1
            size += len(first)
            if size > FILE_MAX:
                raise ApiError(413, "The file is too large.", code="body-too-large")
            made, _ = await errand.document(
                "PUT",
                bucket,
                key,
                query=(("partNumber", str(number)), ("uploadId", upload)),
                body=BytesBody(first),
            )
            etag = escape(made.get("etag") or "")
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            first = await _gathered(file)
        await errand.document(
            "POST",
            bucket,
            key,
            query=(("uploadId", upload),),
            headers=(("content-type", "application/xml"),),
            body=BytesBody(f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()),
        )
    except BaseException:
        await errand.document("DELETE", bucket, key, query=(("uploadId", upload),))
        raise


def _file_name(given: str) -> str:
    """The last part of a name, with something that makes it the only one of its kind."""
    last = given.replace("\\", "/").rpartition("/")[2]
    clean = "".join("_" if ord(c) < 32 or c == "\x7f" else c for c in last)[-NAME_MAX:]
    stem, dot, extension = clean.rpartition(".")
    if not stem:
        stem, dot, extension = clean, "", ""
    return f"{stem} ({random_token(6)}){dot}{extension}"
