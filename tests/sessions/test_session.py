"""A session is one sealed cookie: what is not ours is none, what does not fit is told."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import LOGIN_TOO_BIG, LoginError
from gateway.keyring import Keyring
from gateway.sessions.session import COOKIE_MAX, Session, Style, due_at, seal, unseal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
HOUR = timedelta(hours=1)
KEYRING = Keyring([b"k" * 32])
SEALER = KEYRING.sealer("session")
STYLE = Style(secure=True)
SESSION = Session(
    sid="s" * 22,
    ticket="t" * 43,
    provider="corp",
    subject="user-1",
    username="ada",
    name="Ada Lovelace",
    email="ada@example.com",
    claims={"cognito:groups": ["staff"]},
    digest="d",
    began=AT + 0.123,
    ends=AT + 12 * 3600,
    active=AT,
    due=AT + 3000,
)


def value_of(cookie: str) -> str:
    return cookie.partition(";")[0].partition("=")[2]


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("expired", [True, False])
def test_ses_1_every_cookie_has_every_attribute(secure, expired):
    """`__Host-`, Secure, HttpOnly, Path=/, SameSite=Lax, no Domain; http drops prefix and Secure."""
    style = Style(secure=secure)
    cookie = style.expire(style.session) if expired else style.set(style.session, "v", 60.9)
    first, *attributes = cookie.split("; ")

    assert first == f"{'__Host-' if secure else ''}session={'' if expired else 'v'}"
    expected = [f"Max-Age={0 if expired else 60}", "Path=/", "HttpOnly", "SameSite=Lax"]
    assert attributes == expected + (["Secure"] if secure else [])


@pytest.mark.parametrize(
    ("url", "secure"),
    [("https://s3.example.com", True), ("http://127.0.0.1:8080", False)],
)
def test_ses_1_plain_http_only_where_the_public_url_says_so(url, secure):
    """Never by what a request looks like."""
    assert Style.of(url).secure is secure
    assert Style.of(url).login("abc").endswith("login-abc")


def test_a_session_comes_back_as_it_was():
    """Every field, through seal and unseal."""
    cookie, sealed = seal(SESSION, SEALER, STYLE, NOW)

    assert sealed == SESSION
    assert unseal(value_of(cookie), SEALER, NOW) == SESSION
    assert "Max-Age=43200" in cookie


def test_ses_4_a_hundred_cookies_carry_the_newest_key():
    """The newest seals, all open, a removed one logs its sessions out."""
    old, new = Keyring([b"o" * 32]), Keyring([b"n" * 32, b"o" * 32])
    kids = set()
    for _ in range(100):
        value = value_of(seal(SESSION, new.sealer("session"), STYLE, NOW)[0])
        head = value.partition(".")[0]
        kids.add(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])
    earlier = value_of(seal(SESSION, old.sealer("session"), STYLE, NOW)[0])

    assert len(kids) == 1
    assert unseal(earlier, new.sealer("session"), NOW) == SESSION
    assert unseal(earlier, Keyring([b"n" * 32]).sealer("session"), NOW) is None


def test_ses_5_display_fields_go_before_anything_else():
    """A list is never cut: a deny rule might hang on its last entry."""
    groups = [f"group-{i:04}-of-a-long-name" for i in range(70)]
    big = replace(SESSION, claims={"g": groups}, name="n" * 700, email="e" * 300)
    cookie, sealed = seal(big, SEALER, STYLE, NOW)
    opened = unseal(value_of(cookie), SEALER, NOW)

    assert len(cookie) <= COOKIE_MAX
    assert (sealed.name, sealed.email) == ("", "")
    assert opened is not None and opened.claims == {"g": groups}


def test_ses_5_what_does_not_fit_is_told_by_name():
    """The largest claims, so that somebody can do something about them."""
    groups = [f"group-{i:04}-of-a-long-name" for i in range(500)]
    with pytest.raises(LoginError) as caught:
        seal(replace(SESSION, claims={"small": 1, "g": groups}), SEALER, STYLE, NOW)

    assert caught.value.reason is LOGIN_TOO_BIG
    assert "g (" in caught.value.sentence


@pytest.mark.parametrize(
    ("seconds", "lives"),
    [(0, True), (3599, True), (3600, False), (12 * 3600 - 1, False), (12 * 3600, False)],
)
def test_ses_6_a_session_ends_when_idle(seconds, lives):
    """Checked here, whatever Max-Age the browser made of it."""
    assert SESSION.lives(NOW + timedelta(seconds=seconds), HOUR) is lives


def test_ses_6_a_session_ends_absolutely():
    """However active it is."""
    last = replace(SESSION, active=SESSION.ends - 10)

    assert last.lives(SESSION.end - timedelta(seconds=1), HOUR)
    assert not last.lives(SESSION.end, HOUR)
    cookie, _ = seal(SESSION, SEALER, STYLE, NOW)
    assert unseal(value_of(cookie), SEALER, SESSION.end) is None


def test_ses_6_activity_is_written_down_at_a_tenth_of_the_idle_time():
    """Not at every request."""
    assert not SESSION.worn(NOW + timedelta(minutes=5), HOUR)
    assert SESSION.worn(NOW + timedelta(minutes=7), HOUR)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"sid": ""},
        {"sid": 5},
        {"tk": None},
        {"op": ""},
        {"sub": ""},
        {"c": []},
        {"c": None},
        {"act": "1"},
        {"act": True},
        {"due": 1.5},
        {"iat": "x"},
        {"iat": True},
        {"usr": None},
        {"pc": 5},
    ],
    ids=str,
)
def test_ses_2_a_sealed_cookie_of_another_format_is_none(change):
    """Types and presence of every field."""
    sealed = SEALER.seal({**SESSION.as_claims(), **change}, expires=SESSION.end)

    assert unseal(sealed, SEALER, NOW) is None


@pytest.mark.parametrize("purpose", ["login", "record", "sts", "share", "cli", "count", "form"])
def test_oid_9_no_other_sealed_token_is_a_session(purpose: Any):
    """Purpose is bound by key and by type."""
    sealed = KEYRING.sealer(purpose).seal(SESSION.as_claims(), expires=SESSION.end)

    assert unseal(sealed, SEALER, NOW) is None


GOOD = value_of(seal(SESSION, SEALER, STYLE, NOW)[0])


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_ses_2_one_character_changed_is_no_session(place, character):
    """Anywhere: header, nonce, ciphertext, tag."""
    changed = GOOD[:place] + character + GOOD[place + 1 :]

    assert unseal(changed, SEALER, NOW) == (SESSION if changed == GOOD else None)


@settings(max_examples=1000, deadline=None)
@given(
    st.text(max_size=200)
    | st.text("ABCabc0123._-=", max_size=200)
    | st.lists(st.text("ABCabc012-_", max_size=40), min_size=5, max_size=5).map(".".join)
)
def test_ses_2_no_text_is_a_crash(text):
    """And none is a session."""
    assert unseal(text, SEALER, NOW) is None


def header(**members: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


def test_ses_3_bombs_cost_nothing():
    """zip, PBES2, RSA and megabytes are refused without work."""
    kid = json.loads(base64.urlsafe_b64decode(GOOD.split(".")[0] + "=="))["kid"]
    base = {"alg": "dir", "enc": "A256GCM", "kid": kid, "typ": "session"}
    rest = "." + ".".join(GOOD.split(".")[1:])
    bombs = [
        header(**{**base, "zip": "DEF"}) + rest,
        header(**{**base, "alg": "PBES2-HS512+A256KW", "p2c": 10**9, "p2s": "AAAA"}) + rest,
        header(**{**base, "alg": "RSA-OAEP"}) + rest,
        header(**{**base, "enc": "A128CBC-HS256"}) + rest,
        GOOD + "A" * 10**6,
    ]
    began = time.perf_counter()

    assert all(unseal(bomb, SEALER, NOW) is None for bomb in bombs)
    assert time.perf_counter() - began < 20  # a bound on growth, not on speed


@pytest.mark.parametrize(
    ("life", "chance", "due"),
    [
        (None, 0.0, 3540),
        (3600, 0.0, 3540),
        (3600, 0.999, 3186),
        (300, 0.0, 240),
        (60, 0.0, 30),
        (86400, 0.0, 3540),
        (4, 0.0, 5),
        (-5, 0.0, 5),  # the provider's clock is behind ours
    ],
)
def test_ses_7_claims_count_until_shortly_before_the_id_token_ends(life, chance, due):
    """An hour at most; spread over a tenth; a short token is not renewed at every request."""
    expires = None if life is None else NOW + timedelta(seconds=life)

    assert due_at(expires, NOW, chance) - AT == pytest.approx(due, abs=1)
