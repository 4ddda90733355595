"""
What an object's answer carries when a browser may have asked for it.

Objects are hostile and share the page's origin: nothing of theirs may run there. Whatever type
was stored, and whatever `response-content-*` asks for, cannot lift this. What a cookie fetched is
guarded; what a link alone can fetch (presigned, or public) keeps its type and runs nothing either.

Sources: UIS-3, UIS-4, WEB-3, WEB-4, WEB-8; RFC 6266, RFC 8187.
"""

from __future__ import annotations

from urllib.parse import quote

from gateway.message import Answer, Headers, RequestHead, ResponseHead
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error

OBJECT_POLICY = (
    "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'"
)
DESTINATIONS = frozenset({"", "empty", "document", "iframe", "image", "audio", "video"})
"""Sec-Fetch-Dest values that may receive an object: never script, style, worker, object, embed."""

INLINE = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/bmp",
        "image/x-icon",
        "image/vnd.microsoft.icon",
        "application/pdf",
    }
)
"""Types that a browser shows without running anything of theirs under OBJECT_POLICY."""

TEXT = frozenset({"application/json", "application/x-ndjson", "application/yaml"})
"""Shown as text/plain, beside the harmless ones of text/*."""

ACTIVE_TEXT = frozenset(
    {
        "text/html",
        "text/xml",
        "text/css",
        "text/javascript",
        "text/ecmascript",
        "text/xsl",
        "text/cache-manifest",
        "text/vbscript",
    }
)


def check_destination(head: RequestHead) -> None:
    """Refuses an object to an element that would run it. Raises S3Error (AccessDenied)."""
    headers = head.headers
    if "service-worker" in headers or (headers.get("sec-fetch-dest") or "") not in DESTINATIONS:
        raise S3Error(
            s3.ACCESS_DENIED, "Objects are not given to scripts, styles, workers and plug-ins."
        )


def by_link(head: RequestHead) -> bool:
    """
    Could somebody be led to send this by clicking a link? SDKs sign in a header.

    A link may hold a name and a password, which browsers send as Basic.
    """
    value = head.headers.get("authorization")
    return value is None or value[:6].lower() == "basic "


def sandboxed(answer: Answer, head: RequestHead) -> Answer:
    """The same answer, unable to run anything as the page's own host. Raises S3Error (AccessDenied)."""
    if "service-worker" in head.headers:  # WEB-4
        raise S3Error(s3.ACCESS_DENIED, "Objects are not given to workers.")
    extra = (("content-security-policy", OBJECT_POLICY), ("x-content-type-options", "nosniff"))
    headers = Headers((*answer.head.headers, *extra))
    return Answer(head=ResponseHead(status=answer.head.status, headers=headers), body=answer.body)


def guard(answer: Answer, head: RequestHead, key: str) -> Answer:
    """The same answer with the headers that keep it harmless on the page's own host."""
    headers = answer.head.headers
    kind = (headers.get("content-type") or "").partition(";")[0].strip().lower()
    disposition, content_type = _presentation(kind, headers, head, key)
    kept = [
        (name, value)
        for name, value in headers
        if name not in ("content-type", "content-disposition", "cache-control")
    ]
    kept += [
        ("content-type", content_type),
        ("content-security-policy", OBJECT_POLICY),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "private, no-cache"),
        ("vary", "Cookie"),
    ]
    stored = headers.get("content-type")
    if stored is not None and stored != content_type:
        kept.append(("x-gateway-stored-type", stored))  # for the page, which shows and edits it
    if disposition is not None:
        kept.append(("content-disposition", disposition))
    return Answer(
        head=ResponseHead(status=answer.head.status, headers=Headers(kept)), body=answer.body
    )


def _presentation(
    kind: str, headers: Headers, head: RequestHead, key: str
) -> tuple[str | None, str]:
    """Content-Disposition and Content-Type of an object."""
    stored = headers.get("content-disposition") or ""
    wants_file = stored.strip().lower().startswith("attachment")
    if kind in INLINE:
        return (attachment(key) if wants_file else None), kind
    if kind.startswith(("audio/", "video/")):
        # Opened by itself under the sandbox, a film cannot fetch itself: a file then.
        opened = (head.headers.get("sec-fetch-dest") or "") == "document"
        return (attachment(key) if wants_file or opened else None), kind
    if kind in TEXT or (kind.startswith("text/") and kind not in ACTIVE_TEXT):
        charset = _charset(headers.get("content-type") or "")
        shown = f"text/plain; charset={charset}" if charset else "text/plain"
        return (attachment(key) if wants_file else None), shown
    return attachment(key), kind or "application/octet-stream"


def _charset(content_type: str) -> str:
    for part in content_type.split(";")[1:]:
        name, _, value = part.strip().partition("=")
        value = value.strip('"').lower()
        if name.lower() == "charset" and value.replace("-", "").replace("_", "").isalnum():
            return value
    return ""


def attachment(key: str) -> str:
    """Content-Disposition for the last part of a key, in the form that keeps every character (RFC 8187)."""
    name = key.rstrip("/").rpartition("/")[2] or "download"
    name = "".join("_" if ord(c) < 32 or c in '/\\\x7f"' else c for c in name)
    plain = "".join(c if " " <= c <= "~" and c not in '%"\\;' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
