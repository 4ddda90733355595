"""
An S3 server in memory whose behaviour tests can bend: hold an answer, cut a connection, answer an
error, count what was asked.

It speaks XML as S3 does, and JSON where it is asked for it, so that it can stand behind the
gateway or beside the page. Signatures are not looked at.
"""

from __future__ import annotations

import asyncio
import base64
import bisect
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from aiohttp import web

PAGE = 1000


@dataclass
class Stored:
    """One object."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    modified: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    tags: dict[str, str] = field(default_factory=dict)
    size: int | None = None
    """Where only the size matters, the body is left out."""

    @property
    def length(self) -> int:
        return len(self.body) if self.size is None else self.size


@dataclass
class Seen:
    """One request, as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    finished: bool = False
    """False where the client went away before the answer was out."""
    sent: int = 0


@dataclass
class Rule:
    """What happens to requests that fit, before they are answered."""

    fits: Callable[[Seen], bool]
    hold: threading.Event | None = None
    status: int = 0
    code: str = "InternalError"
    cut: bool = False
    times: int = -1
    headers: dict[str, str] = field(default_factory=dict)


def whole(body: bytes) -> Stored:
    """An object or part of these bytes."""
    return Stored(body, etag=f'"{hashlib.md5(body).hexdigest()}"')


@dataclass
class Upload:
    bucket: str
    key: str
    headers: dict[str, str]
    parts: dict[int, Stored] = field(default_factory=dict)
    sums: dict[int, str] = field(default_factory=dict)
    """SHA-256 of each part, as it was sent."""

    def joined(self) -> Stored:
        """The object that its parts make; without a body where one of them has none."""
        rows = [self.parts[number] for number in sorted(self.parts)]
        body = b"".join(row.body for row in rows)
        sparse = any(row.size is not None for row in rows)
        return Stored(
            body,
            self.headers,
            etag=f'"{hashlib.md5(body).hexdigest()}-{len(rows)}"',
            size=sum(row.length for row in rows) if sparse else None,
        )


class FakeS3:
    """Buckets in memory."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, Stored]] = {}
        self.uploads: dict[str, Upload] = {}
        self.rules: list[Rule] = []
        self.seen: list[Seen] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.undeletable: set[str] = set()
        """Keys that DeleteObjects answers with AccessDenied."""
        self.spoilt: set[str] = set()
        """Keys whose copies lose their last byte."""
        self._sorted: dict[str, list[tuple[bytes, str]]] = {}

    # What tests do -----------------------------------------------------------------------------

    def put(self, bucket: str, key: str, body: bytes = b"", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        stored = Stored(body, named, etag=f'"{hashlib.md5(body).hexdigest()}"')
        self.buckets.setdefault(bucket, {})[key] = stored
        self._sorted.pop(bucket, None)

    def fill(self, bucket: str, keys: Iterable[str], size: int = 100) -> None:
        """Many objects of which nobody reads the content."""
        when = datetime(2026, 10, 22, 8, 30, tzinfo=UTC)
        rows = self.buckets.setdefault(bucket, {})
        for number, key in enumerate(keys):
            rows[key] = Stored(b"", etag='"0"', modified=when, size=size + number % 7919)
        self._sorted.pop(bucket, None)

    def drop(self, bucket: str, key: str) -> None:
        self.buckets[bucket].pop(key, None)
        self._sorted.pop(bucket, None)

    def bend(self, fits: Callable[[Seen], bool], **what: Any) -> Rule:
        rule = Rule(fits, **what)
        self.rules.append(rule)
        return rule

    def asked(self, method: str = "", /, **query: str) -> list[Seen]:
        """Requests of a method whose query holds these pairs."""
        wanted = {name.replace("_", "-"): value for name, value in query.items()}
        return [
            s
            for s in self.seen
            if (not method or s.method == method)
            and all(s.query.get(name) == value for name, value in wanted.items())
        ]

    def body(self, bucket: str, key: str) -> bytes:
        return self.buckets[bucket][key].body

    def reset(self) -> None:
        for rule in self.rules:
            if rule.hold:
                rule.hold.set()
        self.rules.clear()
        self.seen.clear()
        self.uploads.clear()
        self.undeletable.clear()
        self.spoilt.clear()
        self.most_in_flight = 0

    # How it answers ----------------------------------------------------------------------------

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 34, handler_args={"read_bufsize": 1 << 20})
        app.router.add_route("*", "/{tail:.*}", self.handle)
        return app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw, _, query = request.raw_path.partition("?")
        seen = Seen(
            request.method,
            unquote(raw),
            dict(parse_qsl(query, keep_blank_values=True)),
            {name.lower(): value for name, value in request.headers.items()},
        )
        self.seen.append(seen)
        body_request = request.method in {"PUT", "POST"} and "list-type" not in seen.query
        if body_request:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            for rule in list(self.rules):
                if rule.times == 0 or not rule.fits(seen):
                    continue
                rule.times -= 1
                if rule.hold is not None:
                    while not rule.hold.is_set():
                        await asyncio.sleep(0.01)
                if rule.cut:
                    assert request.transport is not None
                    request.transport.abort()
                    return web.Response()
                if rule.status:
                    await request.read()
                    return self._error(request, rule.status, rule.code, rule.headers)
            answer = await self._answer(request, seen)
            if not isinstance(answer, web.StreamResponse):
                raise TypeError(answer)
            await answer.prepare(request)
            await answer.write_eof()
            seen.finished = True
            return answer
        finally:
            if body_request:
                self.in_flight -= 1

    async def _answer(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        bucket, _, key = seen.path[1:].partition("/")
        if not bucket:
            return self._buckets(request)
        if not key:
            return await self._bucket(request, seen, bucket)
        return await self._object(request, seen, bucket, key)

    def _error(
        self, request: web.Request, status: int, code: str, headers: dict[str, str] | None = None
    ) -> web.Response:
        text = f"<Error><Code>{code}</Code><Message>{code} it is.</Message><RequestId>fake-1</RequestId></Error>"
        return web.Response(
            status=status,
            text="" if request.method == "HEAD" else text,
            content_type="application/xml",
            headers={"x-amz-request-id": "fake-1", **(headers or {})},
        )

    def _said(self, request: web.Request, name: str, answer: dict[str, Any]) -> web.Response:
        """An answer as JSON where that is asked for, else as XML."""
        headers = {"x-amz-request-id": "fake-1"}
        if "application/json" in request.headers.get("Accept", ""):
            text = json.dumps(answer, ensure_ascii=False)
            return web.Response(text=text, content_type="application/json", headers=headers)
        text = f'<?xml version="1.0"?><{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{xml(answer)}</{name}>'
        return web.Response(text=text, content_type="application/xml", headers=headers)

    def _buckets(self, request: web.Request) -> web.Response:
        rows = [
            {"Name": name, "CreationDate": "2026-01-01T00:00:00.000Z"}
            for name in sorted(self.buckets)
        ]
        return self._said(request, "ListAllMyBucketsResult", {"Buckets": {"Bucket": rows}})

    async def _bucket(self, request: web.Request, seen: Seen, bucket: str) -> web.StreamResponse:
        if bucket not in self.buckets:
            return self._error(request, 404, "NoSuchBucket")
        if request.method == "POST" and "delete" in seen.query:
            text = (await plain(request)).decode()
            keys = [unescaped(key) for key in re.findall(r"<Key>([^<]*)</Key>", text)]
            refused = [key for key in keys if key in self.undeletable]
            for key in keys:
                if key not in self.undeletable:
                    self.drop(bucket, key)
            errors = [
                {"Key": key, "Code": "AccessDenied", "Message": "Not this one."} for key in refused
            ]
            return self._said(request, "DeleteResult", {"Error": errors})
        if "uploads" in seen.query:
            rows = [
                {"Key": u.key, "UploadId": name, "Initiated": "2026-11-20T10:00:00.000Z"}
                for name, u in self.uploads.items()
                if u.bucket == bucket and u.key.startswith(seen.query.get("prefix", ""))
            ]
            return self._said(
                request, "ListMultipartUploadsResult", {"IsTruncated": "false", "Upload": rows}
            )
        if "versions" in seen.query:
            prefix = seen.query.get("prefix", "")
            versions: list[dict[str, Any]] = [
                {
                    "Key": k,
                    "VersionId": "null",
                    "IsLatest": "true",
                    "LastModified": stamp(o),
                    "ETag": o.etag,
                    "Size": o.length,
                }
                for k, o in sorted(self.buckets[bucket].items())
                if k.startswith(prefix)
            ][:PAGE]
            return self._said(
                request, "ListVersionsResult", {"IsTruncated": "false", "Version": versions}
            )
        if request.method == "HEAD":
            return web.Response()
        return self._list(request, seen, bucket)

    def _list(self, request: web.Request, seen: Seen, bucket: str) -> web.Response:
        prefix = seen.query.get("prefix", "")
        delimiter = seen.query.get("delimiter", "")
        most = min(PAGE, int(seen.query.get("max-keys", PAGE)))
        after = seen.query.get("continuation-token", "") or seen.query.get("start-after", "")
        rows = self._sorted.get(bucket)
        if rows is None:
            rows = sorted((key.encode(), key) for key in self.buckets[bucket])
            self._sorted[bucket] = rows
        keys: list[dict[str, Any]] = []
        folders: list[dict[str, str]] = []
        start = max(prefix.encode(), after.encode())
        i = bisect.bisect_left(rows, (start, ""))
        last = ""
        truncated = False
        while i < len(rows):
            key = rows[i][1]
            if not key.startswith(prefix):
                break
            if after and key.encode() <= after.encode():
                i += 1
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key[: cut + 1] if cut >= 0 else key
            if cut >= 0 and after == name:
                i = bisect.bisect_left(rows, (name.encode() + b"\xff", ""))
                continue
            if len(keys) + len(folders) >= most:
                truncated = True
                break
            last = name
            if cut >= 0:
                folders.append({"Prefix": name})
                i = bisect.bisect_left(rows, (name.encode() + b"\xff", ""))
            else:
                stored = self.buckets[bucket][key]
                keys.append(
                    {
                        "Key": key,
                        "LastModified": stamp(stored),
                        "ETag": stored.etag,
                        "Size": stored.length,
                        "StorageClass": stored.headers.get("x-amz-storage-class", "STANDARD"),
                    }
                )
                i += 1
        answer: dict[str, Any] = {
            "Name": bucket,
            "Prefix": prefix,
            "MaxKeys": most,
            "KeyCount": len(keys) + len(folders),
            "IsTruncated": truncated,
            "Contents": keys,
            "CommonPrefixes": folders,
        }
        if truncated:
            answer["NextContinuationToken"] = last
        return self._said(request, "ListBucketResult", answer)

    async def _object(
        self, request: web.Request, seen: Seen, bucket: str, key: str
    ) -> web.StreamResponse:
        rows = self.buckets.get(bucket)
        if rows is None:
            return self._error(request, 404, "NoSuchBucket")
        match request.method:
            case "PUT" | "POST":
                return await self._write(request, seen, bucket, key)
            case "DELETE" if "uploadId" in seen.query:
                self.uploads.pop(seen.query["uploadId"], None)
                return web.Response(status=204)
            case "DELETE":
                self.drop(bucket, key)
                return web.Response(status=204)
            case _:
                return await self._read(request, seen, bucket, key)

    async def _write(
        self, request: web.Request, seen: Seen, bucket: str, key: str
    ) -> web.StreamResponse:
        query = seen.query
        kept = {
            name: value
            for name, value in seen.headers.items()
            if name in {"content-type", "content-encoding", "cache-control"}
            or name.startswith("x-amz-meta-")
        }
        if kept.get("content-encoding", "").startswith("aws-chunked"):
            kept.pop("content-encoding")
        if "uploads" in query:
            name = f"upload-{len(self.seen)}"
            self.uploads[name] = Upload(bucket, key, kept)
            return self._said(
                request,
                "InitiateMultipartUploadResult",
                {"Bucket": bucket, "Key": key, "UploadId": name},
            )
        upload = self.uploads.get(query.get("uploadId", ""))
        if "uploadId" in query and upload is None:
            await request.read()
            return self._error(request, 404, "NoSuchUpload")
        if "partNumber" in query:
            assert upload is not None
            number = int(query["partNumber"])
            if "x-amz-copy-source" in seen.headers:
                return self._part_copied(request, seen, upload, number)
            body = await plain(request)
            if not sound(seen, body):
                return self._error(request, 400, "BadDigest")
            upload.parts[number] = whole(body)
            upload.sums[number] = seen.headers.get(SHA256, "")
            return web.Response(headers={"ETag": upload.parts[number].etag, **echoed(seen)})
        if "tagging" in query:
            text = (await plain(request)).decode()
            pairs = re.findall(r"<Key>([^<]*)</Key><Value>([^<]*)</Value>", text)
            self.buckets[bucket][key].tags = {unescaped(k): unescaped(v) for k, v in pairs}
            return web.Response()
        if seen.headers.get("if-none-match") == "*" and key in self.buckets[bucket]:
            await request.read()
            return self._error(request, 412, "PreconditionFailed")
        match = seen.headers.get("if-match")
        if match and (key not in self.buckets[bucket] or self.buckets[bucket][key].etag != match):
            await request.read()
            return self._error(request, 412, "PreconditionFailed")
        if upload is not None:
            told = re.findall(r"<ChecksumSHA256>([^<]*)<", (await plain(request)).decode())
            if told != [upload.sums[n] for n in sorted(upload.parts) if upload.sums.get(n)]:
                return self._error(request, 400, "InvalidPart")
            made = upload.joined()
            self.buckets[bucket][key] = made
            self._sorted.pop(bucket, None)
            del self.uploads[query["uploadId"]]
            return self._said(
                request,
                "CompleteMultipartUploadResult",
                {"Bucket": bucket, "Key": key, "ETag": made.etag, **composite(told)},
            )
        if "x-amz-copy-source" in seen.headers:
            source = self._source(seen)
            if isinstance(source, str):
                return self._error(request, 404 if source == "NoSuchKey" else 412, source)
            replaced = seen.headers.get("x-amz-metadata-directive") == "REPLACE"
            made = replace(
                source,
                headers=kept if replaced else dict(source.headers),
                tags=dict(source.tags),
            )
            if key in self.spoilt:
                made = replace(made, body=made.body[:-1], etag=whole(made.body[:-1]).etag)
            self.buckets[bucket][key] = made
            self._sorted.pop(bucket, None)
            return self._said(
                request, "CopyObjectResult", {"ETag": made.etag, "LastModified": stamp(made)}
            )
        body = await plain(request)
        if not sound(seen, body):
            return self._error(request, 400, "BadDigest")
        self.put(bucket, key, body)
        self.buckets[bucket][key].headers = kept
        return web.Response(headers={"ETag": self.buckets[bucket][key].etag, **echoed(seen)})

    def _source(self, seen: Seen) -> Stored | str:
        """What a copy is made of, or the code of why there is none."""
        bucket, _, key = unquote(seen.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        source = self.buckets.get(bucket, {}).get(key)
        if source is None:
            return "NoSuchKey"
        wanted = seen.headers.get("x-amz-copy-source-if-match", source.etag)
        return source if wanted == source.etag else "PreconditionFailed"

    def _part_copied(
        self, request: web.Request, seen: Seen, upload: Upload, number: int
    ) -> web.StreamResponse:
        source = self._source(seen)
        if isinstance(source, str):
            return self._error(request, 404 if source == "NoSuchKey" else 412, source)
        first, _, last = (
            seen.headers["x-amz-copy-source-range"].removeprefix("bytes=").partition("-")
        )
        if int(last) >= source.length:
            return self._error(request, 400, "InvalidArgument")
        size = int(last) - int(first) + 1
        part = whole(source.body[int(first) : int(last) + 1])
        if source.size is not None:
            part = Stored(b"", etag=f'"sparse-{number}"', size=size)
        upload.parts[number] = part
        return self._said(request, "CopyPartResult", {"ETag": part.etag})

    async def _read(
        self, request: web.Request, seen: Seen, bucket: str, key: str
    ) -> web.StreamResponse:
        if "uploadId" in seen.query:
            upload = self.uploads.get(seen.query["uploadId"])
            if upload is None:
                return self._error(request, 404, "NoSuchUpload")
            rows = [
                {
                    "PartNumber": number,
                    "Size": part.length,
                    "ETag": part.etag,
                    "LastModified": "2026-11-24T10:00:00.000Z",
                    **({"ChecksumSHA256": sum} if (sum := upload.sums.get(number)) else {}),
                }
                for number, part in sorted(upload.parts.items())
            ]
            return self._said(request, "ListPartsResult", {"IsTruncated": "false", "Part": rows})
        stored = self.buckets[bucket].get(key)
        if stored is None:
            return self._error(request, 404, "NoSuchKey")
        if "tagging" in seen.query:
            rows = [{"Key": k, "Value": v} for k, v in stored.tags.items()]
            answer = {"TagSet": {"Tag": rows}}
            text = f"<Tagging>{xml(answer)}</Tagging>"
            return web.Response(text=text, content_type="application/xml")
        headers = {
            "ETag": stored.etag,
            "Last-Modified": stored.modified.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "x-amz-request-id": "fake-1",
        }
        headers |= {name.title(): value for name, value in stored.headers.items()}
        body = stored.body
        status = 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", seen.headers.get("range", ""))
        if asked:
            start = int(asked[1])
            end = min(int(asked[2]) if asked[2] else len(body) - 1, len(body) - 1)
            if start >= len(body):
                return self._error(request, 416, "InvalidRange")
            headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
            body = body[start : end + 1]
            status = 206
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = (
            stored.length if request.method == "HEAD" and not asked else len(body)
        )
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        for i in range(0, len(body), 1 << 18):
            await response.write(body[i : i + (1 << 18)])
            seen.sent += len(body[i : i + (1 << 18)])
        return response


SHA256 = "x-amz-checksum-sha256"


def sound(seen: Seen, body: bytes) -> bool:
    """Whether a body has the checksum that came with it, if one did."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return seen.headers.get(SHA256, digest) == digest


def echoed(seen: Seen) -> dict[str, str]:
    return {SHA256: seen.headers[SHA256]} if SHA256 in seen.headers else {}


def composite(sums: list[str]) -> dict[str, str]:
    """The checksum of an object in parts: the hash of their hashes, and their number."""
    joined = hashlib.sha256(b"".join(base64.b64decode(sum) for sum in sums)).digest()
    whole = f"{base64.b64encode(joined).decode()}-{len(sums)}"
    return {"ChecksumSHA256": whole} if sums else {}


async def plain(request: web.Request) -> bytes:
    """The body without aws-chunked framing."""
    body = await request.read()
    if not request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        return body
    parts = []
    at = 0
    while at < len(body):
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        if size == 0:
            break
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(parts)


def stamp(stored: Stored) -> str:
    return stored.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def unescaped(text: str) -> str:
    for entity, char in (
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", '"'),
        ("&#10;", "\n"),
        ("&#13;", "\r"),
        ("&#9;", "\t"),
        ("&amp;", "&"),
    ):
        text = text.replace(entity, char)
    return text


def xml(value: Any) -> str:
    if isinstance(value, dict):
        parts = []
        for name, member in value.items():
            for row in member if isinstance(member, list) else [member]:
                parts.append(f"<{name}>{xml(row)}</{name}>")
        return "".join(parts)
    if isinstance(value, bool):
        return str(value).lower()
    return escape(str(value))
