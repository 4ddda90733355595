"""
Uploads by a browser's form: what was posted becomes a PutObject like any other.

A form is read up to its file, which needs no trust yet and a bounded memory. Its policy is signed
(`gateway.sigv4.forms`); every field is held against it; then the file goes on as the body of a
request that the pipeline judges by the signer's rights.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import final
from urllib.parse import urlencode, urlsplit

from gateway.message import (
    Answer,
    Body,
    BytesBody,
    Headers,
    IterBody,
    Pairs,
    RequestHead,
    ResponseHead,
)
from gateway.records import replace
from gateway.s3 import xml
from gateway.s3.conditions import PostPolicy, read_policy
from gateway.s3.errors import (
    ACCESS_DENIED,
    ENTITY_TOO_LARGE,
    ENTITY_TOO_SMALL,
    INVALID_ARGUMENT,
    MISSING_CONTENT_LENGTH,
    S3Error,
)
from gateway.s3.formdata import FormReader, boundary_of, malformed
from gateway.s3.names import encode_path, encode_query, has_control, is_field_name
from gateway.s3.operations import OPERATIONS
from gateway.s3.request import S3Request

SMALL_FORM = 1024 * 1024  # bytes left to come that are read whole: then the file's length is known

_SIGNATURE = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-signature",
    }
)
_PLAIN_HEADERS = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    }
)
_X_AMZ = OPERATIONS["PutObject"].known_headers
_STATUSES = {"200": 200, "201": 201, "204": 204}


def is_form(head: RequestHead, request: S3Request) -> bool:
    """Whether this is a form posted to a bucket."""
    return (
        head.method == "POST"
        and not request.key
        and bool(request.bucket)
        and not request.query
        and boundary_of(head.headers.get("content-type") or "") is not None
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form up to its file."""

    fields: Mapping[str, str]
    """By name in lower case, each once."""
    filename: str
    reader: FormReader
    source: AsyncIterator[bytes]
    """The rest of the request's body."""
    begun: bytes
    """Of the file: what came with the fields."""
    left: int
    """Bytes of the request's body still to come."""
    length: int
    """Bytes of the file, if the form ends right after it, as browsers end it."""

    @property
    def policy(self) -> str:
        """The policy as it was signed. Raises S3Error (AccessDenied): without one nobody is asking."""
        try:
            return self.fields["policy"]
        except KeyError:
            raise S3Error(ACCESS_DENIED, "A form must hold a policy and its signature.") from None


async def read_form(head: RequestHead, body: Body) -> Form:
    """
    The fields of a form; the file is left to be read. At most 20 KiB are looked at before it.

    Raises S3Error: MalformedPOSTRequest, MaxPostPreDataLengthExceededError, InvalidArgument for a
    field that stands twice, MissingContentLength.
    """
    boundary = boundary_of(head.headers.get("content-type") or "")
    if boundary is None:
        raise malformed("its Content-Type names no boundary")
    if body.length is None:  # an upload must say how long it is, and no server guesses
        raise S3Error(MISSING_CONTENT_LENGTH)
    reader = FormReader(boundary)
    source = aiter(body)
    begun, seen = b"", 0
    while not reader.in_file:
        data = await anext(source, None)
        if data is None:
            raise malformed("the form has no end")
        seen += len(data)
        begun = reader.feed(data)
    return Form(
        fields=_each_once(reader.fields),
        filename=reader.filename,
        reader=reader,
        source=source,
        begun=begun,
        left=body.length - seen,
        length=len(begun) + reader.pending + body.length - seen - reader.closing,
    )


def _each_once(fields: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in fields:
        if name in found:
            raise S3Error(
                INVALID_ARGUMENT, f"POST requires exactly one {name}.", argument_name=name
            )
        found[name] = value
    return found


# What may be done with it


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A form whose policy allows it: a PutObject, and what to say when it is done."""

    form: Form
    policy: PostPolicy
    head: RequestHead
    """The same as a PUT, to be judged and carried like any other."""
    bucket: str
    key: str
    status: int
    redirect: str | None

    async def body(self) -> Body:
        """
        The file, as long as the policy allows (SIG-17).

        Raises S3Error: EntityTooLarge, EntityTooSmall, MalformedPOSTRequest; the iterator does so
        before it has given all of it.
        """
        form = self.form
        if form.left <= SMALL_FORM:
            data = await _rest(form)
            self._check_size(len(data))
            return BytesBody(data)
        self._check_size(form.length)
        return IterBody(_file(form), form.length)

    def _check_size(self, size: int) -> None:
        if self.policy.largest is not None and size > self.policy.largest:
            raise S3Error(
                ENTITY_TOO_LARGE,
                ProposedSize=str(size),
                MaxSizeAllowed=str(self.policy.largest),
            )
        if size < self.policy.smallest:
            raise S3Error(
                ENTITY_TOO_SMALL,
                ProposedSize=str(size),
                MinSizeAllowed=str(self.policy.smallest),
            )

    def answer(self, answer: Answer, public_url: str) -> Answer:
        """What the browser gets for the upstream's answer; refusals as they are."""
        if answer.status != 200:
            return answer
        etag = answer.head.headers.get("etag") or ""
        location = f"{public_url.rstrip('/')}/{self.bucket}/{encode_path(self.key)}"
        kept = [pair for pair in answer.head.headers if pair[0] != "content-length"]
        if self.redirect is not None:
            query = encode_query([("bucket", self.bucket), ("key", self.key), ("etag", etag)])
            mark = "&" if "?" in self.redirect else "?"
            kept.append(("location", f"{self.redirect}{mark}{query}"))
            return Answer(head=ResponseHead(status=303, headers=Headers(kept)))
        kept.append(("location", location))
        if self.status != 201:
            return Answer(head=ResponseHead(status=self.status, headers=Headers(kept)))
        kept.append(("content-type", "application/xml"))
        members = {"Location": location, "Bucket": self.bucket, "Key": self.key, "ETag": etag}
        inside = "".join(f"<{name}>{xml.escape(value)}</{name}>" for name, value in members.items())
        document = f"{xml.DECLARATION}<PostResponse>{inside}</PostResponse>".encode()
        return Answer(
            head=ResponseHead(status=201, headers=Headers(kept)), body=BytesBody(document)
        )


def permitted(
    form: Form,
    head: RequestHead,
    request: S3Request,
    *,
    now: datetime,
    public_url: str,
) -> Upload:
    """
    The upload that a form's policy allows, once its signature was believed.

    Raises S3Error: InvalidPolicyDocument, AccessDenied where the policy says no, InvalidArgument.
    """
    policy = read_policy(form.policy)
    key = _key(form)
    if form.fields.get("bucket", request.bucket) != request.bucket:
        raise _invalid("bucket", "is not the bucket that was posted to")
    policy.judge({**form.fields, "bucket": request.bucket, "key": key}, now)
    return Upload(
        form=form,
        policy=policy,
        head=_as_put(form, head, request, key),
        bucket=request.bucket,
        key=key,
        status=_STATUSES.get(form.fields.get("success_action_status", ""), 204),
        redirect=_redirect(form, head, public_url),
    )


def _key(form: Form) -> str:
    """
    The key, `${filename}` put in. What is judged is what is used.

    Of a path only the last name counts; a name that would climb is refused with the key (PTH-3).
    """
    key = form.fields.get("key")
    if not key:
        raise _invalid("key", "is missing")
    name = form.filename.replace("\\", "/").rpartition("/")[2]
    return key.replace("${filename}", name)


def _as_put(form: Form, head: RequestHead, request: S3Request, key: str) -> RequestHead:
    path = f"/{encode_path(key)}" if request.virtual else f"/{request.bucket}/{encode_path(key)}"
    headers = [(name, value) for name, value in head.headers if name in ("host", "user-agent")]
    for name, value in _headers(form.fields):
        if has_control(value) or not is_field_name(name):
            # Or a field would write a header of its own.
            raise _invalid(name, "holds what a header cannot")
        headers.append((name, value))
    return replace(head, method="PUT", target=path, headers=Headers(headers))


def _headers(fields: Mapping[str, str]) -> Pairs:
    """The headers of PutObject that fields stand for."""
    pairs: list[tuple[str, str]] = []
    for name, value in fields.items():
        if name == "acl":
            pairs.append(("x-amz-acl", value))
        elif name == "tagging":
            pairs.append(("x-amz-tagging", _tags(value)))
        elif name == "x-amz-checksum-algorithm":  # minio-go names it beside the checksum itself
            pairs.append(("x-amz-sdk-checksum-algorithm", value))
        elif name in _PLAIN_HEADERS or name in _X_AMZ or name.startswith("x-amz-meta-"):
            pairs.append((name, value))
        elif name.startswith("x-amz-") and name not in _SIGNATURE:
            # What PutObject does not know would make it something else: a copy, a framed body.
            raise _invalid(name, "is not a field of an upload")
    return tuple(pairs)


def _tags(document: str) -> str:
    """Tags from their XML to their header."""
    try:
        root = xml.parse(document.encode(), limit=len(document.encode()))
        if root.name != "Tagging":
            raise xml.XMLError("not a Tagging")
        tags = [
            (tag.one("Key") or "", tag.one("Value") or "")
            for tags in root.all("TagSet")
            for tag in tags.all("Tag")
        ]
    except xml.XMLError as error:
        raise _invalid("tagging", "is not a Tagging document") from error
    return urlencode(tags)


def _redirect(form: Form, head: RequestHead, public_url: str) -> str | None:
    """
    Where a browser goes afterwards: to the gateway or back to the page that held the form (RED-3).

    By exact origin, and without user info, which browsers show as if it were the host.
    """
    name = "success_action_redirect"
    url = form.fields.get(name) or form.fields.get(name := "redirect")
    if not url:
        return None
    allowed = {_origin(public_url), _origin(head.headers.get("origin") or "")} - {None}
    if _origin(url) not in allowed:
        raise _invalid(name, "leads neither here nor to the page that sent the form")
    return url.partition("#")[0]


def _origin(url: str) -> tuple[str, str, int] | None:
    if has_control(url) or "\\" in url or " " in url or not url.isascii():
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    default = {"http": 80, "https": 443}.get(parts.scheme)
    if default is None or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port or default


def _invalid(name: str, what: str) -> S3Error:
    return S3Error(INVALID_ARGUMENT, f"The form's {name} {what}.", argument_name=name)


# The file


async def _rest(form: Form) -> bytes:
    """The whole file of a form that is nearly here, whatever follows it."""
    parts = [form.begun]
    async for data in form.source:
        parts.append(form.reader.feed(data))
    form.reader.finish()
    return b"".join(parts)


async def _file(form: Form) -> AsyncIterator[bytes]:
    """
    The file as it comes; its last piece only once the form has ended as it should (CHK-16).

    The length was promised by where the form ends: one that goes on after its file breaks that.
    """
    held, total = form.begun, 0
    async for data in form.source:
        piece = form.reader.feed(data)
        if piece and held:
            total += len(held)
            yield held
        held = piece or held
    form.reader.finish()
    if total + len(held) != form.length:
        raise malformed("the file is not the last field, or the form's end is not CRLF")
    yield held
