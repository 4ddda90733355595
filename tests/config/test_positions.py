"""YAML with positions: what comes out, where it stood, and what is refused."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import positions
from gateway.config.positions import Document, did_you_mean, read, spelled

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff"),
    max_size=8,
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(params=["C", "Python"])
def loader(request, monkeypatch):
    """Both of PyYAML's parsers: which one is there depends on how it was built."""
    chosen = yaml.CSafeLoader if request.param == "C" else yaml.SafeLoader
    monkeypatch.setattr(positions, "_LOADER", chosen)


@settings(max_examples=150, deadline=None)
@given(PLAIN)
def test_what_yaml_writes_comes_back(values):
    """Texts, numbers, true, false, null, lists and mappings."""
    document = read(yaml.safe_dump(values, allow_unicode=True), "f.yaml")

    assert document.problems == ()
    assert document.values == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("off", "off"), ("NO", "NO"), ("true", True), ("True", True), ("~", None), ("", None),
        ("012", "012"), ("0", 0), ("-7", -7), ("1_000", "1_000"), ("0x1F", "0x1F"), ("12:30:00", "12:30:00"),
        ("1e5", "1e5"), ("1.5", 1.5), (".5", ".5"), (".inf", ".inf"), ("2026-01-01", "2026-01-01"),
        ("123456789012", 123456789012), ('"5"', "5"), ("'true'", "true"), ("!!str 5", "5"), ("<<", "<<"),
        ("1" * 40, "1" * 40),
    ],
)  # fmt: skip
def test_cfg_1_scalars_mean_what_they_look_like(text, value, loader):
    """A country code is no truth, an account id keeps its zeros, a time is no number."""
    document = read(f"a: {text}\n", "f.yaml")

    assert document.values == {"a": value}
    assert type(document.values["a"]) is type(value)


def test_places_are_those_of_the_file(loader):
    """Keys and values, in block and in flow style; a missing step is told at the last that is there."""
    document = read('a: 1\nb: [x, {c: y}]\n"k:1":\n  - {x.y: [1, 2]}\n', "f.yaml")

    def place(*path, key=False):
        problem = document.problem(path, "m", key=key)
        return problem.line, problem.column

    assert place("b", 1, "c") == (2, 12)
    assert place("b", 1, "c", key=True) == (2, 9)
    assert place("k:1", 0, "x.y", 1) == (4, 15)
    assert place("b", 1, "none", "deeper") == place("b", 1)
    assert str(document.problem(("k:1", 0, "x.y", 1), "m")) == 'f.yaml:4:15: k:1[0]["x.y"][1]: m'
    assert document.has(("b", 1, "c"))
    assert not document.has(("b", 2))
    assert not document.has(("a", "x"))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\na: 2\n", 2, "twice; first in line 1"),
        ("a: {b: 1, b: 2}\n", 1, "twice"),
        ("a: *b\n", 1, "&b is not defined"),
        ("a: &a [*a]\n", 1, "&a is not defined"),
        ("a: !!python/object/apply:os.system [x]\n", 1, "tag"),
        ("a: !secret x\n", 1, "tag"),
        ("a: !!binary aGk=\n", 1, "tag"),
        ("--- 1\n--- 2\n", 2, "a second begins here"),
        ("? [x]\n: 1\n", 1, "a key must be a text"),
        ("a: [\n", 2, ""),
        ("a: 1\n\tb: 2\n", 2, ""),
        ("a: \x07\n", 1, "U+0007"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        ("a: 'x\n", 2, ""),
    ],
)
def test_cfg_1_what_is_refused(text, line, message, loader):
    """With its line, and without building anything."""
    problems = read(text, "f.yaml").problems

    assert len(problems) == 1
    assert message in problems[0].message
    assert abs(problems[0].line - line) <= 1


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "[" * 100_000,
        "{a: " * 5_000,
        "- " * 50_000 + "x",
        "a: [" + "*x," * 5 + "]",
        "a: &a x\nb: [" + ",".join(["*a"] * 101) + "]\n",
        "x: " + "y" * 1_000_001,
    ],
)
def test_cfg_1_bombs_are_counted_before_they_are_built(text):
    """Aliases, depth, size: refused at once."""
    began = time.perf_counter()

    document = read(text, "f.yaml")

    assert document.values is None
    assert len(document.problems) == 1
    assert time.perf_counter() - began < 30  # a bound on growth, not on speed


def test_an_alias_within_the_cap_is_good():
    """People do write them; each use stands at its own place."""
    document = read("a: &x {k: [1]}\nb: *x\n", "f.yaml")

    assert document.values == {"a": {"k": [1]}, "b": {"k": [1]}}
    assert document.problem(("b",), "m").line == 2
    assert document.has(("b", "k", 0))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet="ab:-[]{}&*!'\"|>#% \n\t?,", max_size=40))
def test_cfg_1_no_text_makes_it_raise(text):
    """Whatever stands in the file, there are values or problems."""
    assert isinstance(read(text, "f.yaml"), Document)


def test_a_byte_order_mark_is_no_character():
    """Editors on Windows write one."""
    assert read(b"\xef\xbb\xbfa: 1\n", "f.yaml").values == {"a": 1}


def test_suggestions_are_close_or_none():
    """Case and dashes do not matter; nonsense gets no suggestion."""
    assert did_you_mean("reed", ["read", "write"]) == "; did you mean 'read'?"
    assert did_you_mean("Client-ID", ["client_id"]) == "; did you mean 'client_id'?"
    assert did_you_mean("per_usr", ["per-user"]) == "; did you mean 'per-user'?"
    assert did_you_mean("zzz", ["read"]) == ""


def test_paths_are_spelled_as_people_write_them():
    """A key that holds a dot or a space stands in brackets."""
    assert spelled(("rules", 0, "allow", 1)) == "rules[0].allow[1]"
    assert spelled(("claims", "cognito:groups")) == "claims.cognito:groups"
    assert spelled(("a.b", 0, "c d")) == '["a.b"][0]["c d"]'
