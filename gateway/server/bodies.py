"""
Bodies of the JSON API and of forms: read whole within a bound, checked by a model, nothing unknown.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import ApiError
from gateway.message import BodyTooLarge, Pairs
from gateway.server.exchange import Request
from gateway.server.inbound import body_of

BODY_MAX = 64 * 1024  # bytes of a JSON body or form: what people type, and lists of names
FIELDS_MAX = 64  # fields of a form

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """A body of the API: unknown members are refused, and text stays text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


async def read_bytes(request: Request, limit: int = BODY_MAX) -> bytes:
    """The body. Raises ApiError (413)."""
    try:
        return await body_of(request.inbound).read(limit)
    except BodyTooLarge:
        raise ApiError(
            413, f"The body is longer than {limit} bytes.", code="body-too-large"
        ) from None


async def read_json(request: Request, model: type[M], limit: int = BODY_MAX) -> M:
    """The body as a model; an empty one is an object without members. Raises ApiError (400, 413, 415)."""
    data = await read_bytes(request, limit)
    if data and _media_type(request) != "application/json":
        # Also what keeps a form of another site from being taken for JSON.
        raise ApiError(415, "The body must be application/json.", code="not-json")
    try:
        return model.model_validate_json(data or b"{}")
    except ValidationError as wrong:
        raise ApiError(
            400, "The body is not as expected.", detail=_first(wrong), code="body"
        ) from None


def _first(wrong: ValidationError) -> str:
    error = wrong.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else error["msg"]


async def read_form(request: Request, limit: int = BODY_MAX) -> Pairs:
    """The fields of a form, in order. Raises ApiError (400, 413, 415)."""
    data = await read_bytes(request, limit)
    if _media_type(request) != "application/x-www-form-urlencoded":
        raise ApiError(415, "The body must be a form.", code="not-a-form")
    return form_fields(data)


def form_fields(data: bytes) -> Pairs:
    """The fields of an urlencoded form, in order. Raises ApiError (400)."""
    try:
        text = data.decode("ascii")
        return tuple(
            parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
        )
    except ValueError:
        raise ApiError(400, "The form cannot be read.", code="form") from None


def _media_type(request: Request) -> str:
    return (request.head.headers.get("content-type") or "").partition(";")[0].strip().lower()


def json_answer(value: Any, *, status: int = 200) -> web.Response:
    """An answer of the API, kept by nobody on the way (SES-13)."""
    return web.Response(
        body=json.dumps(value, ensure_ascii=False).encode(),
        status=status,
        content_type="application/json",
        charset="utf-8",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )


def iso(moment: datetime | None) -> str | None:
    """A time as the API writes it: UTC, whole seconds, `Z`."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
