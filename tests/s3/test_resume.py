"""A range is answered for the object that the client holds a part of, or not at all."""

from __future__ import annotations

import pytest

from gateway.message import Headers
from gateway.s3.resume import joins
from tests.server.whole_gateway import whole_gateway

DATE = "Wed, 25 Nov 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("validator", "answer"),
    [
        (None, True),
        ('"a"', True),
        ('"b"', False),
        ('W/"a"', False),
        (DATE, True),
        ("Wed, 25 Nov 2026 00:00:01 GMT", False),
        ("", False),
    ],
)
def test_a_part_joins_only_the_object_of_its_validator(validator, answer):
    """A strong tag or the very date; nothing weaker."""
    asked = Headers([] if validator is None else [("if-range", validator)])

    assert joins(asked, Headers([("etag", '"a"'), ("last-modified", DATE)])) is answer


async def test_ui_20_a_download_that_goes_on_never_joins_two_objects(tmp_path):
    """While the object is the same its rest comes; once it changed, all of it."""
    async with whole_gateway(tmp_path) as whole:
        first = await whole.signed("PUT", "/data/film", b"first edition")
        rest = [("range", "bytes=6-"), ("if-range", first.header("etag"))]
        same = await whole.signed("GET", "/data/film", headers=rest)
        await whole.signed("PUT", "/data/film", b"second edition")
        changed = await whole.signed("GET", "/data/film", headers=rest)

    assert (same.status, same.body) == (206, b"edition")
    assert (changed.status, changed.body) == (200, b"second edition")
