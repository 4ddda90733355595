"""Words and names that mean nothing are told whatever the shape of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.positions import read
from gateway.policy.checks import Known, problems

KNOWN = Known(upstreams=("aws",), credentials=("shared",), issuers=("corp", "partner"))


def told(text: str, known: Known = KNOWN) -> list[str]:
    return [str(problem) for problem in problems(read(text, "p.yaml"), known)]


@pytest.mark.parametrize(
    "text", ["", "5", "[]", "rules: 5", "rules: [5, {grants: 5, denies: [5], match: 5}]", "tests: [{who: 5, may: 5}]",
             "rules: [{grants: [{bucket: 5, keys: [5], allow: {a: b}, target: [], upstream: 5}]}]"]
)  # fmt: skip
def test_what_has_the_wrong_shape_is_passed_over(text):
    """The model of the file tells it."""
    assert told(text) == []


def test_a_misspelt_verb_is_told_beside_a_missing_key():
    """Both at once is what all at once means."""
    assert told("rules: [{grants: [{allow: [reed], upstream: asw}]}]") == [
        "p.yaml:1:45: rules[0].grants[0].upstream: 'asw' is not the name of an upstream in gateway.yaml; did you mean 'aws'?",
        "p.yaml:1:28: rules[0].grants[0].allow[0]: 'reed' is not one of list, read, write, delete, versions, nor an IAM action such as s3:GetObject; did you mean 'read'?",
    ]  # fmt: skip


def test_names_where_there_are_none():
    """Said so, rather than suggested."""
    assert told("rules: [{match: {issuer: x}, grants: [{upstream: y}]}]", Known())[1].endswith(
        "; there are none"
    )


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("{iss: corp, sub: x}", ""),
        ("{iss: service, sub: x}", ""),
        ("{anonymous: true}", ""),
        ("{sub: x}", "iss is needed"),
        ("{iss: crop, sub: x}", "did you mean 'corp'"),
        ("{iss: corp}", "sub is needed"),
        ("{iss: corp, sub: 5}", "sub is needed"),
    ],
)
def test_a_test_says_who_asks(who, said):
    """The provider where there are several, and the subject."""
    text = "\n".join(told(f"tests: [{{who: {who}, may: [GetObject data/x]}}]"))

    assert (said in text) if said else not text


VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["read", "s3:*", "data", "aws", "${claims.sub}", "GetObject data/x"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["rules", "tests", "match", "grants", "denies", "allow", "actions", "keys", "bucket", "target", "who", "may", "issuer", "iss", "sub"]),
        inner, max_size=4,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["rules", "tests"]), VALUES))
def test_pol_1_no_document_makes_it_raise(values):
    """Whatever stands in the file."""
    import json

    told(json.dumps(values))
