"""Cookies and query parameters as they were sent: repeats are seen."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from gateway.server.cookies import cookies_of, only, query_of


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], ()),
        (["a=1"], (("a", "1"),)),
        (["a=1; b=2;c=3"], (("a", "1"), ("b", "2"), ("c", "3"))),
        (["a=1; a=2"], (("a", "1"), ("a", "2"))),
        (["a=1", "a=2"], (("a", "1"), ("a", "2"))),
        (["a=b=c; flag; =x; a="], (("a", "b=c"), ("", "x"), ("a", ""))),
    ],
    ids=range(6),
)
def test_ses_10_every_cookie_is_seen(lines, found):
    """In one header or several."""
    headers = CIMultiDict([("Cookie", line) for line in lines])
    cookies = cookies_of(make_mocked_request("GET", "/", headers=headers))

    assert cookies == found


def test_ses_10_one_of_two_is_none():
    """And one is one."""
    assert only((("a", "1"), ("b", "2")), "a") == "1"
    assert only((("a", "1"), ("a", "1")), "a") is None
    assert only((), "a") is None


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/x", ()),
        ("/x?a=1&a=2&b", (("a", "1"), ("a", "2"), ("b", ""))),
        ("/x?a=%2Fy%20z+w&%61=c", (("a", "/y z w"), ("a", "c"))),
        ("/x?a=%ff", (("a", "\ufffd"),)),
        ("/x?a=b?c=d", (("a", "b?c=d"),)),
    ],
    ids=range(5),
)
def test_oid_1_every_parameter_is_seen(target, found):
    """Decoded once."""
    assert query_of(make_mocked_request("GET", target)) == found
