"""Which downloads somebody else may move."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.identity import Identity, Method, Proof
from gateway.message import Headers, RequestHead
from gateway.server import offload

ALICE = Identity(issuer="corp", subject="alice")
SIGNED = ("authorization", "AWS4-HMAC-SHA256 Credential=x")


def wanted(
    mode: str = "x-accel",
    *,
    headers: tuple[tuple[str, str], ...] = (),
    how: Method = Method.SIGNATURE,
    operation: str = "GetObject",
    method: str = "GET",
    trusted: bool = True,
    amz: tuple[str, ...] = (),
) -> bool:
    ruling: Any = SimpleNamespace(
        operation=SimpleNamespace(name=operation),
        proof=Proof(identity=ALICE, method=how),
        request=SimpleNamespace(amz=amz),
    )
    server = SimpleNamespace(offload=mode, offload_min_size=1000)
    snapshot: Any = SimpleNamespace(config=SimpleNamespace(server=server))
    head = RequestHead(
        method=method, target="/b/k", headers=Headers(headers), peer="192.0.2.1", trusted=trusted
    )
    return offload.wanted(ruling, head, snapshot)


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({}, True),
        ({"mode": "none"}, False),
        ({"operation": "HeadObject", "method": "HEAD"}, False),
        ({"operation": "GetObjectAcl"}, False),
        ({"trusted": False}, False),
        ({"how": Method.SESSION}, False),
        ({"how": Method.SHARE}, False),
        ({"headers": (("x-gateway-offload", "none"),)}, False),
        ({"headers": (("range", "bytes=5-"), ("if-range", '"a"'))}, False),
        ({"headers": (("range", "bytes=0-998"),)}, False),
        ({"headers": (("range", "bytes=0-999"),)}, True),
        ({"headers": (("range", "bytes=5-"),)}, True),
    ],
)
def test_prx_11_x_accel_is_for_large_downloads_that_a_trusted_proxy_asks_for(changed, answer):
    """Nothing that a cookie fetched, that is known to be small, or that nginx declined."""
    assert wanted(**changed) is answer


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"how": Method.BEARER, "headers": (("authorization", "Bearer x"),)}, True),
        ({"how": Method.BASIC, "headers": (("authorization", "Basic x"),)}, True),
        ({"how": Method.SIGNATURE}, True),
        ({"how": Method.ANONYMOUS}, True),
        ({"headers": (SIGNED,)}, False),
        ({"how": Method.SESSION}, False),
        ({"amz": ("x-amz-server-side-encryption-customer-key",)}, False),
        ({"trusted": False}, True),
    ],
)
def test_prx_12_a_redirect_is_for_clients_that_follow_it(changed, answer):
    """boto3, the aws cli and rclone sign in the header and end with an error at a 307."""
    assert wanted("redirect", **changed) is answer


def test_a_range_says_how_much_is_asked_for_where_it_has_both_ends():
    """Suffixes, open ends and what is no range leave the size to the upstream."""
    sizes = {"bytes=0-0": 1, "bytes=10-19": 10, "bytes=9-1": 0, "bytes=-5": None, "bytes=5-": None}

    for value, size in sizes.items():
        head = RequestHead(
            method="GET", target="/b/k", headers=Headers((("range", value),)), peer=None
        )
        assert offload.known_size(head) == size
