"""Policies of POST forms: each condition holds, each field is covered, nothing outlives its end."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway.s3.conditions import PostPolicy, read_policy
from gateway.s3.errors import S3Error

END = "2026-03-01T13:00:00.000Z"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIELDS = {"bucket": "b-1", "key": "u/a.txt"}
PLACE = [{"bucket": "b-1"}, ["starts-with", "$key", "u/"]]


def encoded(document: object) -> str:
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.b64encode(text.encode()).decode()


def policy(*conditions: object, expiration: object = END) -> PostPolicy:
    return read_policy(encoded({"expiration": expiration, "conditions": [*PLACE, *conditions]}))


def against(made: PostPolicy, **fields: str) -> str:
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    with pytest.raises(S3Error) as caught:
        made.judge({**FIELDS, **given}, NOW)
    assert (caught.value.status, caught.value.code) == (403, "AccessDenied")
    return caught.value.message


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"acl": "private"}, "private", "public-read"),
        (["eq", "$acl", "private"], "private", "privat"),
        (["EQ", "$ACL", "private"], "private", ""),
        (["starts-with", "$acl", "pri"], "private", "public-read"),
        (["starts-with", "$acl", ""], "anything", None),
    ],
)
def test_sig_17_conditions_hold_or_the_form_is_refused(condition, good, bad):
    """Equal, or beginning so; names in any case."""
    made = policy(condition)

    made.judge({**FIELDS, "acl": good}, NOW)
    if bad is not None:
        assert "Policy Condition failed" in against(made, acl=bad)


def test_sig_17_a_condition_on_a_field_that_is_missing():
    """It is read as empty: only a condition that allows anything holds."""
    policy(["starts-with", "$acl", ""]).judge(FIELDS, NOW)
    assert '["eq", "$acl", "private"]' in against(policy({"acl": "private"}))


def test_sig_17_a_list_of_types_must_begin_so_throughout():
    """`image/png, text/html` is not an image."""
    made = policy(["starts-with", "$Content-Type", "image/"])

    made.judge({**FIELDS, "content-type": "image/png, image/gif"}, NOW)
    assert "failed" in against(made, content_type="image/png,text/html")


def test_sig_17_every_field_is_covered_by_a_condition():
    """What nobody thought of when the form was made is refused: an ACL, metadata, a redirect."""
    assert "Extra input fields: acl" in against(policy(), acl="public-read")
    assert "x-amz-meta-a" in against(policy(), x_amz_meta_a="1")
    assert "x-amz-date" in against(policy(), x_amz_date="20260301T120000Z")
    policy().judge(
        {**FIELDS, "policy": "p", "x-amz-signature": "s", "x-ignore-this": "1", "file": ""}, NOW
    )


@pytest.mark.parametrize("dropped", [0, 1])
def test_sig_17_bucket_and_key_are_covered_too(dropped):
    """A policy that names neither would serve everywhere."""
    places = [place for index, place in enumerate(PLACE) if index != dropped]
    made = read_policy(encoded({"expiration": END, "conditions": places}))

    assert "Extra input fields" in against(made)


def test_sig_17_another_bucket_or_key_is_refused():
    """The policy's own."""
    assert "$bucket" in against(policy(), bucket="b-2")
    assert "$key" in against(policy(), key="v/a.txt")


def test_sig_17_a_policy_ends():
    """To the second."""
    end = NOW + timedelta(hours=1)
    policy().judge(FIELDS, end - timedelta(seconds=1))
    with pytest.raises(S3Error, match="Policy expired"):
        policy().judge(FIELDS, end)


@pytest.mark.parametrize(
    ("ranges", "smallest", "largest"),
    [
        ([], 0, None),
        ([[1, 10]], 1, 10),
        ([["1", "10"]], 1, 10),
        ([[0, 100], [5, 50], [1, 70]], 5, 50),
    ],
)
def test_sig_17_ranges_of_length_narrow_each_other(ranges, smallest, largest):
    """Numbers, or digits as text; with several, the narrowest holds."""
    made = policy(*(["content-length-range", *pair] for pair in ranges))

    assert (made.smallest, made.largest) == (smallest, largest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        encoded("no json"),
        encoded("[]"),
        encoded("{}"),
        encoded('{"expiration": "END"}'.replace("END", END)),
        encoded('{"expiration": "END", "conditions": {}}'.replace("END", END)),
        encoded('{"expiration": "END", "conditions": [], "extra": 1}'.replace("END", END)),
        encoded('{"expiration": "END", "conditions": [], "conditions": []}'.replace("END", END)),
        encoded('{"expiration": "END", "conditions": [{"a": "1", "a": "2"}]}'.replace("END", END)),
        encoded("[" * 5000),
        base64.b64encode(b"\xff").decode(),
        *(
            encoded({"expiration": END, "conditions": [condition]})
            for condition in (
                "x",
                1,
                [],
                ["eq", "$a"],
                ["eq", "a", "b"],
                ["like", "$a", "b"],
                ["eq", "$a", 1],
                {"a": 1},
                {"a": None},
                ["content-length-range", 1],
                ["content-length-range", -1, 5],
                ["content-length-range", 1, True],
                ["content-length-range", 1.5, 5],
                ["content-length-range", "+1", 5],
                ["content-length-range", "x", 5],
                ["content-length-range", 1, 2**63],
            )
        ),
        *(
            encoded({"expiration": expiration, "conditions": []})
            for expiration in (None, 1, "", "tomorrow", "2026-03-01", "2026-13-01T00:00:00Z")
        ),
        encoded({"expiration": "2026-03-01T13:00:00+01:00", "conditions": []}),
    ],
)
def test_sig_17_a_policy_that_cannot_be_read_is_refused(text):
    """Nothing of it is guessed."""
    with pytest.raises(S3Error) as caught:
        read_policy(text)

    assert (caught.value.status, caught.value.code) == (400, "InvalidPolicyDocument")
