"""
One object from one name to another: copied, and shown to be the same before anything is deleted.

Up to 5 GiB by CopyObject, above by UploadPartCopy; where source and target are served by
different upstreams the bytes stream through. Every request names the ETag that was seen first,
so that what is verified is what was copied.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html (5 GB limit),
https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html (parts); UI-23, UI-24.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from math import ceil

from gateway.message import Body, BytesBody, Headers, IterBody, Pairs
from gateway.s3 import names, xml
from gateway.server.errands import Errand, Refused, refused_alone, succeeded

GIB = 1024**3
PARTS_MAX = 10_000
PARTS_AT_ONCE = 4
_KEPT = frozenset(
    {
        "content-type",
        "content-encoding",
        "content-language",
        "content-disposition",
        "cache-control",
        "expires",
        "x-amz-storage-class",
        "x-amz-website-redirect-location",
    }
)
"""Headers of an object that belong to it, and that a copy by parts or by stream is given anew."""

Tell = Callable[[int], None]
"""Told of each number of bytes that has been copied."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Where one request no longer does, in bytes."""

    whole: int = 5 * GIB
    """The largest object that CopyObject and PutObject take."""
    part: int = GIB // 2


@dataclass(frozen=True, slots=True)
class Place:
    """An object's name."""

    bucket: str
    key: str


async def copy(errand: Errand, source: Place, target: Place, tell: Tell, sizes: Sizes) -> Headers:
    """
    Copies, and verifies the copy. Returns the source's headers, as they were when it was copied.

    Raises Refused; PreconditionFailed where the source changed meanwhile, CopyNotVerified where
    the target is not what was read.
    """
    seen = await errand.head(source.bucket, source.key)
    if seen is None:
        raise Refused(404, "NoSuchKey", "The object is no longer there.")
    size, etag = int(seen.get("content-length") or 0), seen.get("etag") or ""
    work = _Copy(errand, source, target, seen, size, etag, tell, sizes)
    made = await (work.whole() if size <= sizes.whole else work.parts(streamed=False))
    if not _same_by_etag(etag, made):
        await _compare(errand, target, size, made)
    return seen


def _same_by_etag(before: str, after: str) -> bool:
    """Equal ETags of one piece are equal bytes: MD5 of them; those of parts say less."""
    return bool(after) and before.strip('"') == after.strip('"') and "-" not in after


async def _compare(errand: Errand, target: Place, size: int, made: str) -> None:
    there = await errand.head(target.bucket, target.key)
    same = there is not None and int(there.get("content-length") or -1) == size
    if same and there is not None and made:
        same = (there.get("etag") or "").strip('"') == made.strip('"')
    if not same:
        raise Refused(409, "CopyNotVerified", "The copy is not what was read; nothing was deleted.")


@dataclass(frozen=True, slots=True)
class _Copy:
    errand: Errand
    source: Place
    target: Place
    seen: Headers
    size: int
    etag: str
    tell: Tell
    sizes: Sizes

    async def whole(self) -> str:
        """By one CopyObject; the ETag that was made."""
        try:
            _, data = await self.errand.document(
                "PUT", self.target.bucket, self.target.key, headers=self._from()
            )
        except Refused as refused:
            if refused.status != 501:
                raise
            return await self._stream()  # CPY-6: another upstream serves the target
        self.tell(self.size)
        return xml.parse(data).one("ETag") or ""

    def _from(self) -> Pairs:
        path = f"{names.encode(self.source.bucket)}/{names.encode_path(self.source.key)}"
        pairs: Pairs = (("x-amz-copy-source", path),)
        return (*pairs, ("x-amz-copy-source-if-match", self.etag)) if self.etag else pairs

    async def _stream(self) -> str:
        headers = await self._described()
        async with self.errand.ask(
            "GET", self.source.bucket, self.source.key, headers=self._if_match()
        ) as answer:
            await succeeded(answer)
            made, _ = await self.errand.document(
                "PUT",
                self.target.bucket,
                self.target.key,
                headers=headers,
                body=self._counted(answer.body, self.size),
            )
        return made.get("etag") or ""

    def _if_match(self) -> Pairs:
        return (("if-match", self.etag),) if self.etag else ()

    def _counted(self, body: Body, length: int) -> IterBody:
        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in body:
                self.tell(len(chunk))
                yield chunk

        return IterBody(chunks(), length)

    async def _described(self) -> Pairs:
        """What CopyObject would have taken along: headers, metadata, tags."""
        pairs = [
            (name, value)
            for name, value in self.seen
            if name in _KEPT or name.startswith("x-amz-meta-")
        ]
        if int(self.seen.get("x-amz-tagging-count") or 0):
            _, data = await self.errand.document(
                "GET", self.source.bucket, self.source.key, query=(("tagging", ""),)
            )
            tags = [
                (tag.one("Key") or "", tag.one("Value") or "")
                for listed in xml.parse(data).all("TagSet")
                for tag in listed.all("Tag")
            ]
            pairs.append(("x-amz-tagging", names.encode_query(tags)))
        return tuple(pairs)

    async def parts(self, *, streamed: bool) -> str:
        """By a multipart upload, which is aborted where it does not come to its end (UI-24)."""
        bucket, key = self.target.bucket, self.target.key
        _, data = await self.errand.document(
            "POST", bucket, key, query=(("uploads", ""),), headers=await self._described()
        )
        upload = xml.parse(data).one("UploadId") or ""
        try:
            etags = await self._all_parts(upload, streamed=streamed)
        except BaseException as error:
            # A cancelled job must not be stopped from cleaning up.
            await asyncio.shield(self._abort(upload))
            if isinstance(error, Refused) and error.status == 501 and not streamed:
                return await self.parts(streamed=True)
            raise
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{xml.escape(etag)}</ETag></Part>"
            for number, etag in enumerate(etags, 1)
        )
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        _, data = await self.errand.document(
            "POST",
            bucket,
            key,
            query=(("uploadId", upload),),
            headers=(("content-type", "application/xml"),),
            body=BytesBody(document),
        )
        return xml.parse(data).one("ETag") or ""

    async def _abort(self, upload: str) -> None:
        await self.errand.document(
            "DELETE", self.target.bucket, self.target.key, query=(("uploadId", upload),)
        )

    async def _all_parts(self, upload: str, *, streamed: bool) -> list[str]:
        """ETags in order. The first part goes alone: it tells whether parts can be copied at all."""
        length = max(self.sizes.part, ceil(self.size / PARTS_MAX))
        count = ceil(self.size / length)
        etags = [""] * count
        waiting = iter(range(count))

        async def one(index: int) -> None:
            first = index * length
            last = min(first + length, self.size) - 1
            send = self._part_streamed if streamed else self._part_copied
            etags[index] = await send(upload, index + 1, first, last)

        async def work() -> None:
            for index in waiting:
                await one(index)

        await one(next(waiting))
        with refused_alone():
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PARTS_AT_ONCE, count - 1)):
                    group.create_task(work())
        return etags

    async def _part_copied(self, upload: str, number: int, first: int, last: int) -> str:
        _, data = await self.errand.document(
            "PUT",
            self.target.bucket,
            self.target.key,
            query=(("partNumber", str(number)), ("uploadId", upload)),
            headers=(*self._from(), ("x-amz-copy-source-range", f"bytes={first}-{last}")),
        )
        self.tell(last - first + 1)
        return xml.parse(data).one("ETag") or ""

    async def _part_streamed(self, upload: str, number: int, first: int, last: int) -> str:
        async with self.errand.ask(
            "GET",
            self.source.bucket,
            self.source.key,
            headers=(*self._if_match(), ("range", f"bytes={first}-{last}")),
        ) as answer:
            await succeeded(answer)
            made, _ = await self.errand.document(
                "PUT",
                self.target.bucket,
                self.target.key,
                query=(("partNumber", str(number)), ("uploadId", upload)),
                body=self._counted(answer.body, last - first + 1),
            )
        return made.get("etag") or ""
