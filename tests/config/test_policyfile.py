"""The shape of policy files: what the models refuse by themselves."""

from __future__ import annotations

import pytest

from gateway.config.policyfile import PolicyFile
from gateway.config.positions import read
from gateway.config.validate import validate

DENY = "denies: [{bucket: data, actions: [read]}]"


def told(text: str) -> str:
    return "\n".join(map(str, validate(PolicyFile, read(text, "p.yaml"))[1]))


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ("{everyone: true}", ""),
        ("{anonymous: true, everyone: true}", ""),
        ("{issuer: corp}", ""),
        ("{claims: {a: {equals: true}}}", ""),
        ("{claims: {a: {equals: 1, present: true}}}", ""),
        ("{}", "whom?"),
        ("{everyone: false}", "whom?"),
        ("{anonymous: true, issuer: corp}", "stand alone"),
        ("{claims: {a: staff}}", "a condition is expected"),
        ("{claims: {a: {}}}", "a condition is expected"),
        ("{claims: {a: {equals: null}}}", "a text, a number"),
        ("{claims: {a: {equals: [x]}}}", "a text, a number"),
        ("{claims: {a: {any_of: x}}}", "a list of texts"),
        ("{claims: {a: {any_of: []}}}", "a list of texts"),
        ("{claims: {a: {contains_any: [[x]]}}}", "a list of texts"),
        ("{claims: {a: {glob: 5}}}", "a text is expected"),
        ("{claims: {a: {glob: null}}}", "a condition is expected"),
    ],
)
def test_pol_3_a_match_says_whom(match, said):
    """Nothing that could vanish into a rule about more people."""
    problems = told(f"rules: [{{name: r, match: {match}, {DENY}}}]")

    assert (said in problems) if said else not problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [{name: r, match: {everyone: true}}]", "neither grants nor denies"),
        (f"rules: [{{name: '', match: {{everyone: true}}, {DENY}}}]", "must not be empty"),
        ("tests: [{who: {sub: x}}]", "asks nothing"),
        ("tests: [{who: x, may: [y]}]", "a mapping is expected"),
        ("rules: [{name: r, match: {everyone: true}, denies: [{bucket: data, actions: []}]}]", "at least 1"),
    ],
)  # fmt: skip
def test_rules_and_tests_do_something(text, said):
    """An empty one is a slip."""
    assert said in told(text)
