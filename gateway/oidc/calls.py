"""
One call to an identity provider: a request, an answer within limits, nothing repeated.

No redirect is followed, no cookie kept, nothing decompressed, no more than 256 KiB read, TLS
verified against the system's authorities or the configured one (SSR-2).
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp

from gateway import errors
from gateway.errors import ProviderError
from gateway.oidc.providers import Provider

CONNECT = 3.0  # seconds
TOTAL = 10.0  # seconds for documents, keys and userinfo
ANSWER_MAX = 256 * 1024  # bytes; a key set of a hundred keys with certificates has 200 KiB


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name, the first of each."""

    def document(self) -> object:
        """The body as JSON. Raises ProviderError (PROVIDER_ANSWER)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ProviderError(errors.PROVIDER_ANSWER, problem="the answer is not JSON") from None


class Calls:
    """The HTTP client for providers, with or without the environment's proxy."""

    def __init__(self) -> None:
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._contexts: dict[str, tuple[tuple[int, int], ssl.SSLContext]] = {}

    async def close(self) -> None:
        """Safe to call twice."""
        while self._sessions:
            await self._sessions.popitem()[1].close()

    async def document(self, given: Provider, url: str) -> object:
        """A JSON document of a provider. Raises ProviderError."""
        reply = await self.get(given, url)
        if reply.status != 200:
            raise ProviderError(errors.PROVIDER_AWAY, problem=f"status {reply.status}")
        return reply.document()

    async def get(self, given: Provider, url: str) -> Reply:
        """What is at the address of a document. Raises ProviderError."""
        headers = {}
        same_host = urlsplit(url).netloc == urlsplit(given.config_url).netloc
        # The token of our pod goes to whom the cluster's own CA vouches for, and to nobody else.
        if given.token_file and (given.ca or same_host):
            token = await asyncio.to_thread(_read, given.token_file)
            headers["Authorization"] = f"Bearer {token}"
        return await self.call(given, "GET", url, headers=headers, seconds=TOTAL)

    async def post(
        self,
        given: Provider,
        url: str,
        form: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        seconds: float,
    ) -> Reply:
        """A form, sent once. Raises ProviderError."""
        return await self.call(
            given,
            "POST",
            url,
            headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
            data=urlencode(form).encode(),
            seconds=seconds,
        )

    async def call(
        self,
        given: Provider,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        seconds: float,
        data: bytes | None = None,
        for_browser: bool = False,
    ) -> Reply:
        """
        One request, one answer, nothing repeated. Raises ProviderError.

        What is `for_browser` may be a redirect, or a page, which is not read.
        """
        context = await self._context(given.ca)
        try:
            async with self._session(given.trust_env).request(
                method,
                url,
                data=data,
                headers={
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                    **headers,
                },
                allow_redirects=False,
                ssl=context,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT),
            ) as answer:
                if not for_browser and 300 <= answer.status < 400:
                    problem = f"a redirect ({answer.status})"
                    raise ProviderError(errors.PROVIDER_ANSWER, problem=problem)
                headers = {name.lower(): answer.headers[name] for name in answer.headers}
                body = b"" if for_browser else await _body(answer)
                return Reply(answer.status, body, headers)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failed:
            raise ProviderError(errors.PROVIDER_AWAY, problem=_why(failed, url)) from failed

    def _session(self, trust_env: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(trust_env)
        if session is None:
            session = self._sessions[trust_env] = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=trust_env,
                connector=aiohttp.TCPConnector(limit_per_host=20),
            )
        return session

    async def _context(self, ca: str) -> ssl.SSLContext | bool:
        """Trust in the authorities of a file as it is now: a cluster renews its own under way."""
        if not ca:
            return True
        try:
            changed = await asyncio.to_thread(_changed, ca)
            held = self._contexts.get(ca)
            if held is None or held[0] != changed:
                context = await asyncio.to_thread(ssl.create_default_context, cafile=ca)
                held = self._contexts[ca] = (changed, context)
        except (OSError, ssl.SSLError) as failed:
            raise ProviderError(errors.PROVIDER_AWAY, problem=f"{ca}: {failed}") from failed
        return held[1]


def _changed(path: str) -> tuple[int, int]:
    """What differs where a file is another than before; links, which Kubernetes swaps, are followed."""
    found = Path(path).stat()
    return found.st_mtime_ns, found.st_ino


def _why(failed: Exception, url: str) -> str:
    """Why nothing came back, for the operator."""
    match failed:
        case aiohttp.ClientConnectorDNSError():
            return f"there is no host {urlsplit(url).hostname}"
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not believed: {failed.certificate_error}"
        case aiohttp.ClientConnectorError() if failed.os_error.errno:
            why = os.strerror(failed.os_error.errno)
            return f"no connection to {failed.host}:{failed.port}: {why}"
        case TimeoutError():
            return "no answer in time"
        case _:
            return f"{type(failed).__name__}: {failed}"


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """At most ANSWER_MAX bytes. Raises ProviderError for more, or a coding."""
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProviderError(errors.PROVIDER_ANSWER, problem="a compressed answer nobody asked for")
    parts, size = [], 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > ANSWER_MAX:
            raise ProviderError(errors.PROVIDER_ANSWER, problem="the answer is too long")
        parts.append(part)
    return b"".join(parts)


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as failed:
        raise ProviderError(errors.PROVIDER_AWAY, problem=f"{path}: {failed}") from failed
