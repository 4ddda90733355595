"""The kinds of value that settings have."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import values
from gateway.config.values import Resolved, parse_address, parse_duration, parse_size
from gateway.identity import Secret


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("12h", 43200), ("1h30m", 5400), ("7d", 604800), ("1.5s", 1.5), (90, 90), ("91", 91), (0, 0), (0.5, 0.5)],
)  # fmt: skip
def test_durations(text, seconds):
    """With units, largest first; plain numbers are seconds."""
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(values.spell_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize("text", ["", "s", "5 m", "m5", "1m1h", "-5s", -1, True, None, "1w", "1e3"])
def test_durations_that_are_none(text):
    """Refused."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("8MiB", 8 << 20), ("5GB", 5 * 10**9), ("512k", 512_000), ("1 Ki", 1024), (7, 7), ("70", 70), ("7B", 7), ("1.5MiB", 3 << 19)],
)  # fmt: skip
def test_sizes(text, size):
    """Binary and decimal units; plain numbers are bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", -2, True, None, "8XiB", "1e3"])
def test_sizes_that_are_none(text):
    """Refused."""
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "kind", "loopback", "wildcard"),
    [
        ("127.0.0.1:8080", "tcp", True, False),
        ("localhost:0", "tcp", True, False),
        ("[::1]:8080", "tcp", True, False),
        (":8080", "tcp", False, True),
        ("0.0.0.0:8080", "tcp", False, True),
        ("[::]:8080", "tcp", False, True),
        ("gateway.example.com:443", "tcp", False, False),
        ("unix:/run/gateway.sock", "unix", True, False),
        ("fd:http", "fd", False, False),
    ],
)
def test_addresses(text, kind, loopback, wildcard):
    """And back to the same text."""
    address = parse_address(text)

    assert (address.kind, address.loopback, address.wildcard) == (kind, loopback, wildcard)
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "8081",
        8080,
        "",
        "host",
        "host:",
        "host:x",
        "host:99999",
        "unix:",
        "fd:",
        "a b:80",
        "[x]:80",
        "h:８０",
    ],
)
def test_addresses_that_are_none(text):
    """Refused."""
    with pytest.raises(ValueError):
        parse_address(text)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("plain", "does not stand in this file"),
        (Resolved(""), "empty"),
        (Resolved("change-me"), "placeholder"),
        (Resolved("your-secret-here"), "placeholder"),
        (Resolved("<secret>"), "placeholder"),
        (Resolved("xxxxxxxx"), "placeholder"),
        (Resolved("Password"), "placeholder"),
        (5, "a secret is expected"),
    ],
)
def test_cfg_2_secrets_that_are_none(value, wrong):
    """Literal, empty and placeholder secrets refuse to start, and are not repeated."""
    with pytest.raises(ValueError, match=wrong):
        values._secret(value)


@pytest.mark.parametrize(
    "value", ["testing", "minioadmin", "1p0a9s8d7f6g5h4j3k2l", "secret-of-the-year-1987"]
)
def test_cfg_2_a_secret_of_somebody_elses_making_is_taken(value):
    """How strong an upstream's secret is was not our choice."""
    assert values._secret(Resolved(value)).reveal() == value


@given(st.integers(1, 64), st.sampled_from(["a", "ab", "abcde"]))
def test_cfg_2_our_own_secrets_are_long_and_varied(length, letters):
    """Repeating a few characters does not make a key."""
    text = (letters * 64)[: length * len(letters)]

    with pytest.raises(ValueError, match=r"short|repeats"):
        values._strong(Secret(text), 32)


def test_origins_and_hosts():
    """One spelling each; anything more than an origin is refused."""
    assert values._origin("https://S3.Example.com/") == "https://s3.example.com"
    assert values._host("S3.Example.com") == "s3.example.com"
    assert values._host_or_any("*") == "*"
    assert values._host_or_any("[::1]") == "::1"
    for wrong in (
        "s3.example.com",
        "ftp://x",
        "https://x/path",
        "https://u:p@x",
        "https://x?q",
        "https://",
    ):
        with pytest.raises(ValueError, match="expected"):
            values._origin(wrong)
    for wrong in ("https://x", "x/y", "x:80", "-x", ""):
        with pytest.raises(ValueError, match="host name"):
            values._host(wrong)
