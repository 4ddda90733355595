"""Patterns of keys and names."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.patterns import key_pattern, name_pattern

PARTS = st.sampled_from(["a", "b", "/", "*", "**", "ab", "/a"])
PATTERNS = st.lists(PARTS, max_size=8).map("".join)
KEYS = st.text(alphabet="ab/", max_size=10)


def slow(pattern: str) -> re.Pattern[str]:
    """The same pattern as a regular expression, in the obvious way."""
    stars = {"*": "[^/]*"}
    parts = re.findall(r"\*+|[^*]", pattern)
    return re.compile(
        "".join(stars.get(p, ".*") if p[0] == "*" else re.escape(p) for p in parts), re.DOTALL
    )


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("public/**", "public/a/b", True),
        ("public/**", "public/", True),
        ("public/**", "public", False),
        ("public/*", "public/a", True),
        ("public/*", "public/a/b", False),
        ("home/al/**", "home/alice/x", False),
        ("**/*.csv", "a/b/c.csv", True),
        ("**/*.csv", "c.csv", False),
        ("*.csv", "c.csv", True),
        ("*.csv", "a/c.csv", False),
        ("a?c", "abc", False),
        ("a?c", "a?c", True),
        ("[ab]", "a", False),
        ("**", "", True),
        ("a\nb/**", "a\nb/c\nd", True),
        ("\u212a/**", "K/x", False),
    ],
)
def test_pth_5_a_star_stops_at_a_slash_and_two_do_not(pattern, key, fits):
    """Anchored at both ends, case and everything else literal."""
    assert key_pattern(pattern).matches(key) is fits


@settings(max_examples=300, deadline=None)
@given(PATTERNS, KEYS)
def test_pth_5_patterns_match_what_the_obvious_expression_matches(pattern, key):
    """Whether by expression or by states, the answer is the same."""
    made = key_pattern(pattern)

    assert made.matches(key) == bool(slow(pattern).fullmatch(key))
    assert bool(made._after(key) & made._exact) == made.matches(key)


@settings(max_examples=300, deadline=None)
@given(PATTERNS, KEYS, KEYS)
def test_lst_10_what_a_prefix_reaches_is_a_superset_of_what_matches_below(pattern, prefix, rest):
    """A prefix that does not reach hides nothing; one that covers shows nothing forbidden."""
    made = key_pattern(pattern)
    key = prefix + rest

    if made.matches(key):
        assert made.reaches(prefix)
    if made.covers(prefix):
        assert made.matches(key)
    if made.matches(key) and "/" not in rest:
        assert made.opens(prefix)


@pytest.mark.parametrize(
    ("pattern", "prefix", "reaches", "covers", "opens"),
    [
        ("home/al/**", "home/", True, False, False),
        ("home/al/**", "home/al/", True, True, True),
        ("home/al/**", "home/alice/", False, False, False),
        ("home/al/**", "", True, False, False),
        ("*/public/**", "tenant/", True, False, False),
        ("*/public/**", "tenant/public/", True, True, True),
        ("**", "", True, True, True),
        ("*.txt", "", True, False, True),
        ("*.txt", "a/", False, False, False),
    ],
)
def test_lst_10_questions_about_prefixes(pattern, prefix, reaches, covers, opens):
    """May something below match, must everything, may something right here."""
    made = key_pattern(pattern)

    assert (made.reaches(prefix), made.covers(prefix), made.opens(prefix)) == (
        reaches,
        covers,
        opens,
    )


def test_dos_7_a_hostile_pattern_takes_linear_time():
    """What a user sends as a narrowing cannot keep the gateway busy."""
    began = time.perf_counter()

    for pattern in ("*a" * 200 + "b", "**a" * 300 + "b", "a*" * 3 + "**" + "b*" * 50):
        assert not key_pattern(pattern).matches("a" * 1024)
    assert time.perf_counter() - began < 20  # a bound on growth, not on speed


def test_names_know_two_wildcards():
    """In bucket names and actions `*` is any characters and `?` any one."""
    assert name_pattern("lab-*").matches("lab-x")
    assert not name_pattern("lab-*").matches("xlab-x")
    assert name_pattern("s3:Get*").matches("s3:GetObject")
    assert name_pattern("lab-?").matches("lab-1")
    assert not name_pattern("lab-?").matches("lab-12")
    assert repr(name_pattern("lab-?")) == "Pattern('lab-?')"
