"""What every request meets first: forwarded headers, same-origin proof, who is a browser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.message import Headers, RequestHead
from gateway.server.middleware import Proxies, head_of, is_navigation, origin_of, same_origin

PUBLIC = "https://s3.example.com"


def head(method="POST", **headers):
    return RequestHead(
        method=method,
        target="/b/k",
        headers=Headers.of((name.replace("_", "-"), value) for name, value in headers.items()),
    )


def test_prx_1_nobody_is_trusted_by_default():
    """Without `server.trusted_proxies` no peer may speak for another, a unix socket neither."""
    proxies = Proxies([])

    assert not proxies.trusts("127.0.0.1")
    assert not proxies.trusts(None)


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("fe80::1%eth0", False),
        ("not an address", False),
        (None, True),
    ],
)
def test_prx_1_a_proxy_is_known_by_its_address(peer, trusted):
    """Networks, IPv4 mapped into IPv6, and `unix` for the peers of a unix socket."""
    assert Proxies(["10.0.0.0/8", "unix"]).trusts(peer) is trusted


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6", "203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8::9]:4711"], "2001:db8::9"),
        (["evil, 203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, evil"], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_prx_1_the_client_is_read_from_the_right(forwarded, client):
    """What a client wrote itself stands to the left of what our proxies wrote, and is not believed."""
    assert Proxies(["10.0.0.0/8"]).client("10.0.0.1", forwarded) == client


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"x_gateway_csrf": "1", "sec_fetch_site": "same-origin"}, True),
        ({"x_gateway_csrf": "1", "origin": PUBLIC}, True),
        ({"sec_fetch_site": "same-origin"}, False),
        ({"x_gateway_csrf": "1"}, False),
        ({"x_gateway_csrf": "0", "sec_fetch_site": "same-origin"}, False),
        ({"x_gateway_csrf": "1", "sec_fetch_site": "same-site"}, False),
        ({"x_gateway_csrf": "1", "sec_fetch_site": "cross-site", "origin": PUBLIC}, False),
        ({"x_gateway_csrf": "1", "sec_fetch_site": "none"}, False),
        ({"x_gateway_csrf": "1", "origin": "https://evil.example.com"}, False),
        ({"x_gateway_csrf": "1", "origin": "null"}, False),
        ({"x_gateway_csrf": "1", "origin": "http://s3.example.com"}, False),
        ({"x_gateway_csrf": "1", "origin": "https://s3.example.com:8443"}, False),
    ],
)
def test_web_1_what_changes_something_comes_from_our_own_page(headers, allowed):
    """Fetch metadata where it is sent, else the origin; and our header in both cases."""
    assert same_origin(head(**headers), PUBLIC) is allowed


def test_the_origin_of_a_url_is_scheme_and_authority():
    """Path and case do not count."""
    assert origin_of("HTTPS://S3.example.com:8443/x/y") == "https://s3.example.com:8443"


@pytest.mark.parametrize(
    ("method", "headers", "browser"),
    [
        ("GET", {"accept": "text/html,*/*"}, True),
        ("GET", {"sec_fetch_mode": "navigate", "accept": "*/*"}, True),
        ("GET", {"sec_fetch_mode": "cors", "accept": "text/html"}, False),
        ("GET", {"accept": "text/html", "authorization": "Bearer x"}, False),
        ("POST", {"accept": "text/html"}, False),
        ("GET", {"accept": "*/*"}, False),
        ("GET", {}, False),
    ],
)
def test_a_navigation_is_told_from_scripts_and_s3_clients(method, headers, browser):
    """Only somebody at a browser's address bar is sent to sign in."""
    assert is_navigation(head(method, **headers)) is browser


@pytest.mark.parametrize(
    ("peer", "protos", "hosts", "secure", "host"),
    [
        ("10.0.0.1", ["https"], ["s3.example.com"], True, "s3.example.com"),
        ("10.0.0.1", ["https", "http"], ["evil.example", "s3.example.com"], False, None),
        ("10.0.0.1", ["https, http"], [], False, None),
        ("192.0.2.1", ["https"], ["s3.example.com"], False, None),
    ],
)
def test_prx_1_what_is_forwarded_twice_is_not_believed(peer, protos, hosts, secure, host):
    """Of two values the first is the client's own."""
    pairs = [("x-forwarded-proto", one) for one in protos]
    pairs += [("x-forwarded-host", one) for one in hosts]
    inbound: Any = SimpleNamespace(
        line=SimpleNamespace(peer=peer, secure=False),
        read=SimpleNamespace(method="GET", target="/", headers=Headers(pairs), garbled=False),
    )
    head = head_of(inbound, Proxies(["10.0.0.0/8"]))

    assert (head.secure, head.forwarded_host) == (secure, host)
