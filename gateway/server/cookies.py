"""
Cookies and query parameters of a request, repeats kept: a library that keeps one of two decides
which one counts (SES-10).
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from aiohttp import web

from gateway.message import Pairs


def query_of(request: web.Request) -> Pairs:
    """The query's parameters, decoded, repeats kept."""
    text = request.raw_path.partition("?")[2]
    return tuple(parse_qsl(text, keep_blank_values=True, errors="replace"))


def cookies_of(request: web.Request) -> Pairs:
    """Every cookie that was sent, repeats kept: aiohttp would keep one of two (SES-10)."""
    found = []
    for line in request.headers.getall("Cookie", []):
        for part in line.split(";"):
            name, equals, value = part.strip().partition("=")
            if equals:
                found.append((name, value))
    return tuple(found)


def only(cookies: Pairs, name: str) -> str | None:
    """The value of the one cookie of this name; None where there is none, or more than one."""
    values = [value for key, value in cookies if key == name]
    return values[0] if len(values) == 1 else None
