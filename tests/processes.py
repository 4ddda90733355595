"""The gateway's commands and listeners as processes of their own, and a browser that fills forms."""

from __future__ import annotations

import asyncio
import html
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

import aiohttp

NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
READY_WITHIN = 30.0  # seconds: imports alone take one on a loaded machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    text: str


async def command(*words: str, environment: Mapping[str, str] | None = None) -> Done:
    """`gateway` with these words, to its end; both outputs in one text."""
    process = await _started(words, environment, asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, output.decode())


async def _started(
    words: tuple[str, ...], environment: Mapping[str, str] | None, output: IO[bytes] | int
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        *words,
        env={**os.environ, **(environment or {})},
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
    )


@dataclass(frozen=True)
class Serving:
    """A gateway that serves."""

    url: str
    admin: str

    async def asked(self, http: aiohttp.ClientSession, path: str) -> tuple[int, str]:
        """What the internal listener says."""
        async with http.get(f"{self.admin}{path}") as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def serving(
    config: Path, *, url: str, admin: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Serving]:
    """`gateway serve` with this file, from ready to gone; `url` and `admin` are what it says."""
    with config.with_suffix(".log").open("w+b") as log:
        process = await _started(("serve", "--config", str(config)), environment, log)
        try:
            await _ready(admin, process, log)
            yield Serving(url, admin)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _ready(admin: str, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
    async with asyncio.timeout(READY_WITHIN), aiohttp.ClientSession() as http:
        while True:
            if process.returncode is not None:
                log.seek(0)
                raise AssertionError(log.read().decode())
            with suppress(aiohttp.ClientError):
                async with http.get(f"{admin}/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


class Person:
    """Somebody with a browser of their own: cookies kept, redirects followed, forms filled."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        """`http` belongs to this person alone, and keeps cookies of addresses."""
        self.url = url
        self.http = http

    async def sign_in(self, **fields: str) -> aiohttp.ClientResponse:
        """Through every page of the provider that has a form, back to the gateway."""
        start = f"{self.url}/api/session/auth/?next=/ui/"
        answer = await self.http.get(start, headers=NAVIGATION)
        for _ in range(6):
            page = await answer.text()
            if str(answer.url).startswith(self.url):
                return answer
            form = re.search(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page, re.DOTALL)
            assert form is not None, f"{answer.status} {answer.url}: {page[:500]}"
            where = urljoin(str(answer.url), html.unescape(form[1]))
            answer = await self.http.post(where, data=_filled(form[2], fields))
        raise AssertionError("no end of forms")

    async def get(self, path: str) -> tuple[int, str]:
        async with self.http.get(f"{self.url}{path}") as answer:
            return answer.status, await answer.text()

    async def change(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """As the page does it: from the same origin, saying so."""
        headers = {"Origin": self.url, "X-Gateway-CSRF": "1"}
        async with self.http.request(method, f"{self.url}{path}", headers=headers, **more) as done:
            return done.status, await done.json(content_type=None)


def _filled(form: str, fields: Mapping[str, str]) -> dict[str, str]:
    """The form's own values, and those that we know."""
    inputs = re.findall(r'<input[^>]*\bname="([^"]+)"([^>]*)>', form)
    values = {name: re.findall(r'\bvalue="([^"]*)"', rest) for name, rest in inputs}
    own = {name: html.unescape(found[0]) for name, found in values.items() if found}
    return own | {name: value for name, value in fields.items() if name in values}


def browser() -> aiohttp.ClientSession:
    """A client that keeps cookies of addresses, as browsers do for 127.0.0.1."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
