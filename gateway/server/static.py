"""
The page's static files: read once at start, named by the release they belong to, kept by browsers for ever.

A release is one hash over the whole tree, so that relative imports stay within one. An address of
another release (a page that was open while replicas were replaced) gets the present file, and
no cache keeps that. The modules that the page needs at once are found by following its imports.
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from gateway.errors import ApiError
from gateway.server.exchange import Request

ROOT = Path(__file__).resolve().parent.parent / "ui" / "static"
ENTRY = "app.js"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
SMALL = 512  # bytes below which compression gains nothing
# Static imports and re-exports; a dynamic import("…") is loaded when it is needed.
_IMPORT = re.compile(
    r"""^\s*(?:import\s*|(?:import|export)\b[^"'`;(=]*?\bfrom\s*)["'](\.[^"']+)["']""", re.MULTILINE
)


@dataclass(slots=True)
class Asset:
    """One file, as it is sent."""

    content: bytes
    kind: str
    etag: str
    _zipped: bytes | None = None

    @property
    def zipped(self) -> bytes | None:
        """Compressed by whoever asks first, not by every start; None where that gains nothing."""
        if len(self.content) <= SMALL or self.kind.startswith("image/png"):
            return None
        if self._zipped is None:
            self._zipped = gzip.compress(self.content, 9, mtime=0)
        return self._zipped


class Static:
    """All static files of the page."""

    def __init__(self, root: Path = ROOT) -> None:
        self._assets: dict[str, Asset] = {}
        digest = hashlib.sha256()
        for path in sorted(root.rglob("*")):
            kind = TYPES.get(path.suffix)
            if kind is None or not path.is_file():
                continue
            name = path.relative_to(root).as_posix()
            content = path.read_bytes()
            digest.update(name.encode() + b"\0" + content)
            self._assets[name] = _asset(content, kind)
        self.release = digest.hexdigest()[:16]

    @property
    def base(self) -> str:
        """Where the files of this release are."""
        return f"/ui/static/{self.release}"

    def preload(self) -> tuple[str, ...]:
        """The modules that the page's entry imports, directly or not, the entry first."""
        found: dict[str, None] = {}
        waiting = [ENTRY] if ENTRY in self._assets else []
        while waiting:
            name = waiting.pop(0)
            if name in found or name not in self._assets:
                continue
            found[name] = None
            text = self._assets[name].content.decode("utf-8")
            folder = posixpath.dirname(name)
            waiting += [
                posixpath.normpath(posixpath.join(folder, target))
                for target in _IMPORT.findall(text)
            ]
        return tuple(found)

    async def serve(self, request: Request) -> web.StreamResponse:
        """`/ui/static/{release}/{path}`. Raises ApiError (404)."""
        found = request.match_info
        asset = self._assets.get(found["path"])
        if asset is None:
            raise ApiError(404, "There is no such file.", code="not-found")
        current = found["release"] == self.release
        headers = {
            "Content-Type": asset.kind,
            "ETag": asset.etag,
            "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
            "Vary": "Accept-Encoding",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        }
        if asset.etag in (request.headers.get("If-None-Match") or ""):
            return web.Response(status=304, headers=headers)
        if "gzip" in (request.headers.get("Accept-Encoding") or "") and asset.zipped is not None:
            return web.Response(body=asset.zipped, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=asset.content, headers=headers)


def _asset(content: bytes, kind: str) -> Asset:
    etag = '"' + hashlib.sha256(content).hexdigest()[:32] + '"'
    return Asset(content, kind, etag)
