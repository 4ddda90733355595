"""
The table of routes under /api and /ui: what answers, for whom, and how it is described.

Dispatch and `openapi.json` come from the same rows. Paths are matched on the raw target, segment
by segment: nothing is decoded before it has been matched, no slash is added or merged (RED-6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiohttp import web

from gateway import __version__
from gateway.errors import ApiError

Handler = Callable[[Any], Awaitable[web.StreamResponse]]
"""Takes the server's request (aiohttp's, with an exchange), gives an answer."""


class Who(Enum):
    """Whom a route serves. Proof is looked for only where the row says so."""

    ANYONE = "anyone"
    """Nobody is asked who they are; a cookie that came along does nothing."""
    OPTIONAL = "optional"
    """Somebody may be signed in."""
    SIGNED_IN = "signed-in"
    """401 where nobody is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row. `{name}` in the path takes one segment, `{name...}` all that is left."""

    method: str
    path: str
    handler: Handler
    who: Who = Who.SIGNED_IN
    summary: str = ""
    page: bool = False
    """Answers documents, not JSON; left out of openapi.json."""
    body: Callable[[], Mapping[str, Any]] | None = None
    answer: Mapping[str, Any] | None = None
    """JSON Schemas, for openapi.json; that of a body is made when somebody asks for it."""
    query: Sequence[str] = ()


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    parameter: tuple[str, _Node] | None = None
    rest: tuple[str, dict[str, Route]] | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Routes:
    """Finds the row of a request."""

    def __init__(self, rows: Sequence[Route]) -> None:
        self.rows = tuple(rows)
        self._root = _Node()
        for row in rows:
            self._add(row)

    def _add(self, row: Route) -> None:
        node = self._root
        for segment in row.path.split("/")[1:]:
            if segment.startswith("{") and segment.endswith("...}"):
                node.rest = node.rest or (segment[1:-4], {})
                _put(node.rest[1], row)
                return
            if segment.startswith("{"):
                node.parameter = node.parameter or (segment[1:-1], _Node())
                node = node.parameter[1]
            else:
                node = node.children.setdefault(segment, _Node())
        _put(node.routes, row)

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """
        The row and its raw parameters. Raises ApiError (404, 405).

        HEAD is served by the row for GET.
        """
        routes, parameters = self._walk(raw_path)
        row = routes.get(method) or (routes.get("GET") if method == "HEAD" else None)
        if row is None:
            if not routes:
                raise ApiError(404, "There is nothing at this address.", code="not-found")
            allowed = ", ".join(sorted(routes))
            raise ApiError(
                405,
                "This method is not for this address.",
                detail=f"It takes {allowed}.",
                code="method-not-allowed",
            )
        return row, parameters

    def _walk(self, raw_path: str) -> tuple[dict[str, Route], dict[str, str]]:
        node = self._root
        found: dict[str, str] = {}
        segments = raw_path.split("/")[1:]
        for index, segment in enumerate(segments):
            child = node.children.get(segment)
            if child is not None:
                node = child
            elif node.parameter is not None and segment:
                found[node.parameter[0]] = segment
                node = node.parameter[1]
            elif node.rest is not None:
                found[node.rest[0]] = "/".join(segments[index:])
                return node.rest[1], found
            else:
                return {}, {}
        if not node.routes and node.rest is not None:
            found[node.rest[0]] = ""
            return node.rest[1], found
        return node.routes, found


def _put(routes: dict[str, Route], row: Route) -> None:
    if row.method in routes:
        raise ValueError(f"two rows for {row.method} {row.path}")
    routes[row.method] = row


PROBLEM = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
    },
}


def openapi(rows: Sequence[Route], public_url: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of the rows that answer JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.page:
            continue
        path = row.path.replace("...}", "}")
        paths.setdefault(path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "s3-auth-gateway",
            "version": __version__,
            "description": "Everything else on this host is S3; see the documentation.",
        },
        "servers": [{"url": public_url}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM},
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-session"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _operation(row: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {
            "name": segment.strip("{}").removesuffix("..."),
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
        }
        for segment in row.path.split("/")
        if segment.startswith("{")
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
        for name in row.query
    ]
    operation: dict[str, Any] = {
        "summary": row.summary,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "Done.",
                "content": {"application/json": {"schema": row.answer or {}}},
            },
            "default": {
                "description": "What went wrong (RFC 9457).",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            },
        },
        "security": []
        if row.who is Who.ANYONE
        else [{"session": []}, {"bearer": []}, {"basic": []}],
    }
    if row.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": row.body()}}}
    return operation
