"""The keyring: what is sealed opens for its purpose and nothing else; secrets are derived, never stored."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe

from gateway import keyring as module
from gateway.keyring import (
    TOKEN_MAX,
    Keyring,
    Purpose,
    Sealer,
    derive,
    random_bytes,
    random_key_id,
    random_token,
    same,
    ticket_sealer,
)

NOW = datetime(2026, 11, 24, 20, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
OLD, NEW = b"o" * 32, b"n" * 32
PURPOSES = get_args(Purpose)

claims = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name != "exp"),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.lists(st.text(max_size=5)),
    max_size=5,
)


def bits(token: str, part: int, at: int) -> str:
    """The token with one character of a part changed to another of the alphabet."""
    parts = token.split(".")
    place = at % len(parts[part])
    other = "A" if parts[part][place] != "A" else "B"
    parts[part] = parts[part][:place] + other + parts[part][place + 1 :]
    return ".".join(parts)


@settings(max_examples=30, deadline=None)
@given(claims, st.sampled_from(PURPOSES))
def test_ses_2_what_is_sealed_opens(content, purpose):
    """Under the same key and purpose, until it ends."""
    sealer = Keyring([NEW]).sealer(purpose)
    token = sealer.seal(content, expires=LATER)

    assert sealer.open(token, now=NOW) == {**content, "exp": int(LATER.timestamp())}


@pytest.mark.parametrize("seconds", [0, 1])
def test_ses_2_and_no_longer(seconds):
    """To the second."""
    sealer = Keyring([NEW]).sealer("session")
    token = sealer.seal({}, expires=LATER)

    assert sealer.open(token, now=LATER - timedelta(seconds=1)) is not None
    assert sealer.open(token, now=LATER + timedelta(seconds=seconds)) is None


def test_oid_9_no_token_serves_as_another():
    """Each purpose has a key of its own, and says its name inside."""
    ring = Keyring([NEW])
    for sealed in PURPOSES:
        token = ring.sealer(sealed).seal({"a": 1}, expires=LATER)
        opened = [p for p in PURPOSES if ring.sealer(p).open(token, now=NOW) is not None]

        assert opened == [sealed]


def test_oid_9_the_purpose_inside_counts_even_under_the_right_key():
    """The second binding holds where the first would fail."""
    sealer = Sealer([NEW], "session")
    other = Sealer([NEW], "session")
    other.purpose = "login"
    token = other.seal({"a": 1}, expires=LATER)

    assert sealer.open(token, now=NOW) is None


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([0, 2, 3, 4]), st.integers(0, 500))
def test_ses_3_a_token_that_was_altered_opens_never(part, at):
    """In any character of any part, head included: its last character's spare bits apart."""
    sealer = Keyring([NEW]).sealer("session")
    token = sealer.seal({"sub": "alice"}, expires=LATER)
    altered = bits(token, part, at)
    lengths = [len(piece) for piece in token.split(".")]
    if at % lengths[part] == lengths[part] - 1 and lengths[part] % 4:
        return  # base64url's last character holds bits that decode to nothing

    assert sealer.open(altered, now=NOW) is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "....",
        "a.b.c.d.e",
        "a..AAAAAAAAAAAAAAAA.b.AAAAAAAAAAAAAAAAAAAAAA",
        "\u00fc..AAAAAAAAAAAAAAAA.b.AAAAAAAAAAAAAAAAAAAAAA",
        "bnVsbA..AAAAAAAAAAAAAAAA.b.AAAAAAAAAAAAAAAAAAAAAA",
        "W10..AAAAAAAAAAAAAAAA.b.AAAAAAAAAAAAAAAAAAAAAA",
        "e30..AAAAAAAAAAAAAAAA.b.AAAAAAAAAAAAAAAAAAAAAA",
    ],
)
def test_ses_3_opening_rubbish_is_none_and_raises_nothing(token):
    """Whatever a stranger puts into a cookie."""
    assert Keyring([NEW]).sealer("session").open(token, now=NOW) is None


def test_ses_3_a_token_that_is_too_long_is_not_looked_at():
    """Nor one that is longer than whoever opens it allows."""
    sealer = Keyring([NEW]).sealer("session")
    token = sealer.seal({"a": "x" * TOKEN_MAX}, expires=LATER)
    small = sealer.seal({"a": 1}, expires=LATER)

    assert sealer.open(token, now=NOW) is None
    assert sealer.open(token, now=NOW, limit=10 * TOKEN_MAX) is not None
    assert sealer.open(small, now=NOW, limit=len(small) - 1) is None


def forged(content: bytes, **header: str) -> tuple[Sealer, str]:
    """A token under the right key, made by whoever has it, with another head or content."""
    sealer = Sealer([NEW], "session")
    ((kid, key),) = sealer._by_kid.items()
    head = {"alg": "dir", "enc": "A256GCM", "kid": kid, "typ": "session", **header}
    registry = jwe.JWERegistry(algorithms=["dir", "A256GCM", "DEF"])
    return sealer, jwe.encrypt_compact(head, content, key, registry=registry)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"exp": "9999999999"}',
        b'{"exp": true}',
        b'{"exp": 1e10}',
        b"\xff",
    ],
)
def test_ses_3_inside_there_is_an_object_with_an_end(content):
    """A token without an `exp` that is a whole number opens never."""
    sealer, token = forged(content)

    assert sealer.open(token, now=NOW) is None


def test_ses_3_nothing_is_decompressed():
    """A small token must not unfold to a large one."""
    content = json.dumps({"exp": int(LATER.timestamp())}).encode()
    plain_sealer, plain = forged(content)
    sealer, packed = forged(content, zip="DEF")

    assert plain_sealer.open(plain, now=NOW) is not None
    assert sealer.open(packed, now=NOW) is None


def test_ses_4_newest_key_first_and_older_ones_still_open():
    """A key is rotated by putting a new one before it, and ended by taking it away."""
    before = Keyring([OLD]).sealer("session").seal({"a": 1}, expires=LATER)
    rotated = Keyring([NEW, OLD]).sealer("session")
    after = rotated.seal({"a": 2}, expires=LATER)

    assert rotated.open(before, now=NOW) is not None
    assert Keyring([NEW]).sealer("session").open(before, now=NOW) is None
    assert Keyring([NEW]).sealer("session").open(after, now=NOW) is not None
    assert Keyring([OLD]).sealer("session").open(after, now=NOW) is None


def test_ses_4_a_sealer_is_made_once():
    """Deriving its keys on every request would cost more than opening."""
    ring = Keyring([NEW])

    assert ring.sealer("session") is ring.sealer("session")


@pytest.mark.parametrize("keys", [[], [b"short"], [NEW, b"x" * 31]])
def test_ses_4_a_keyring_needs_keys_of_32_bytes(keys):
    """Each of them."""
    with pytest.raises(ValueError, match="key"):
        Keyring(keys)


def test_key_1_a_secret_is_derived_from_id_and_gateway_key():
    """The same on every replica; another for each id and each key; nothing to store."""
    ring = Keyring([NEW, OLD])
    (old_kid,) = Keyring([OLD])._s3
    mine = ring.secret_for("GWTA", ring.newest)

    assert mine == Keyring([NEW]).secret_for("GWTA", ring.newest)
    assert mine != ring.secret_for("GWTB", ring.newest)
    assert mine != ring.secret_for("GWTA", old_kid)
    assert mine is not None
    assert len(mine) == 40
    assert Keyring([NEW]).newest == ring.newest


def test_key_1_a_gateway_key_that_was_removed_ends_what_it_made():
    """Its secrets are no longer to be had."""
    removed = Keyring([OLD]).newest

    assert Keyring([NEW]).secret_for("GWTA", removed) is None
    assert Keyring([NEW]).secret_for("GWTA", "") is None


def test_ses_15_a_record_opens_under_its_ticket_only():
    """The store holds nothing that opens it."""
    ticket, other = random_token(), random_token()
    token = ticket_sealer(ticket).seal({"refresh": "x"}, expires=LATER)

    assert ticket_sealer(ticket).open(token, now=NOW) is not None
    assert ticket_sealer(other).open(token, now=NOW) is None


def test_key_1_derived_keys_belong_to_secret_and_purpose():
    """32 bytes, another for each."""
    made = {derive(secret, purpose) for secret in (OLD, NEW) for purpose in ("a", "b")}

    assert len(made) == 4
    assert {len(key) for key in made} == {32}
    assert derive(OLD, "a") == derive(OLD, "a")


def test_key_1_ids_are_seventeen_random_characters():
    """85 bits after the prefix, in letters and digits that nobody confuses."""
    ids = {random_key_id("GWT") for _ in range(50)}

    assert len(ids) == 50
    assert {len(key_id) for key_id in ids} == {20}
    assert set("".join(ids)) <= set(module._BASE32)


def test_ses_1_random_tokens_are_base64url_without_padding():
    """As long as was asked for."""
    assert len(base64.urlsafe_b64decode(random_token(32) + "=")) == 32
    assert len(random_bytes(12)) == 12
    assert random_bytes(12) != random_bytes(12)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("ü", "ü", True),
        (b"z", "z", True),
        ("\ud800", "?", False),
    ],
)
def test_sig_9_comparing_takes_text_and_bytes(a, b, equal):
    """Any text, also what is not UTF-8, without raising."""
    assert same(a, b) is equal
