"""Bodies of the JSON API and of forms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ApiError
from gateway.server import bodies
from gateway.server.bodies import Strict, form_fields, iso, json_answer, read_form, read_json
from gateway.server.exchange import Request
from gateway.server.routes import Route, Who
from tests.contracts.state_store import Clock
from tests.server.serving import Served, serve, snapshot


class Body(Strict):
    name: str
    count: int = 1


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async def as_json(request: Request) -> Any:
        return json_answer((await read_json(request, Body)).model_dump())

    async def as_form(request: Request) -> Any:
        return json_answer(list(await read_form(request)))

    routes = [
        Route(method="POST", path=path, handler=handler, who=Who.ANYONE)
        for path, handler in (("/json", as_json), ("/form", as_form))
    ]
    async with serve(routes, snapshot=snapshot(), clock=Clock()) as served:
        yield served


async def post(served: Served, path: str, **arguments: Any) -> tuple[int, Any]:
    async with served.client.post(served.url + path, **arguments) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_a_body_is_its_model(served: Served) -> None:
    """Members that were left out have their default; the answer is kept by nobody."""
    async with served.client.post(served.url + "/json", json={"name": "ü"}) as answer:
        assert await answer.json() == {"name": "ü", "count": 1}
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x", "count": "1"}, "count"),
        ({"name": "x", "count": 1.5}, "count"),
        ({"name": "x", "cuont": 1}, "cuont"),
    ],
)
async def test_what_is_not_expected_is_named(served: Served, body: Any, says: str) -> None:
    """Where, and what was expected: never what was there, which may be a secret."""
    status, problem = await post(served, "/json", json=body)

    assert status == 400
    assert says in problem["title"]


async def test_web_1_only_json_is_json(served: Served) -> None:
    """A form of another site can send text/plain; nothing here reads it."""
    status, _ = await post(
        served, "/json", data=b'{"name": "x"}', headers={"Content-Type": "text/plain"}
    )

    assert status == 415


async def test_http_a_body_has_a_bound(served: Served) -> None:
    """Announced or not."""
    big = b" " * (bodies.BODY_MAX + 1)

    async def pieces() -> AsyncIterator[bytes]:
        yield big

    headers = {"Content-Type": "application/json"}
    assert (await post(served, "/json", data=big, headers=headers))[0] == 413
    assert (await post(served, "/json", data=pieces(), headers=headers))[0] == 413


async def test_a_form_is_read_in_order(served: Served) -> None:
    """Repeats kept, blanks too."""
    status, fields = await post(served, "/form", data=[("a", "1"), ("b", ""), ("a", "ü&=")])

    assert (status, fields) == (200, [["a", "1"], ["b", ""], ["a", "ü&="]])
    assert (await post(served, "/form", json={}))[0] == 415


@pytest.mark.parametrize("data", [b"a=%ff", b"\xff=1", "ü=1".encode(), b"&".join([b"a=1"] * 65)])
def test_a_form_that_cannot_be_read_is_refused(data: bytes) -> None:
    """One reading, or none."""
    with pytest.raises(ApiError) as caught:
        form_fields(data)
    assert caught.value.status == 400


@given(st.binary(max_size=200))
def test_any_form_is_read_or_refused(data: bytes) -> None:
    """Never another exception."""
    try:
        form_fields(data)
    except ApiError as refused:
        assert refused.status == 400


def test_times_are_whole_seconds_in_utc() -> None:
    """As every client reads them."""
    assert iso(datetime(2026, 3, 1, 12, 0, 0, 999, tzinfo=UTC)) == "2026-03-01T12:00:00Z"
    assert iso(None) is None
