"""Temporary keys made and opened; personal and service keys as proofs."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accesskeys import keys
from gateway.accesskeys.keys import (
    Found,
    TemporaryKeys,
    TokenTooLarge,
    ended,
    mint,
    open_token,
    personal_proof,
    service_proof,
)
from gateway.accesskeys.records import KeyRecord
from gateway.identity import Identity, Method, Proof, Secret, Statement
from gateway.keyring import Keyring, Purpose
from gateway.s3.errors import S3Error

OLD, NEW = b"o" * 32, b"n" * 32
RING = Keyring([NEW])
READ = (Statement(actions=("s3:Get*",)),)
TEAM = (Statement(buckets=("team",)), Statement(effect="deny", keys=("secret/**",)))


def alice(**changes) -> Identity:
    values: dict[str, Any] = {
        "issuer": "corp",
        "subject": "alice-1",
        "claims": {"sub": "alice-1", "cognito:groups": ["staff", "dev"]},
        "username": "alice",
        "name": "Alice",
        "email": "alice@example.com",
        "groups": ("staff", "dev"),
    }
    return Identity(**(values | changes))


def shown(now: datetime, **changes) -> Proof:
    values: dict[str, Any] = {
        "identity": alice(),
        "method": Method.SESSION,
        "session_id": "sid-1",
        "expires": now + timedelta(hours=8),
        "issued": now - timedelta(hours=1),
    }
    return Proof(**(values | changes))


def opened(made: TemporaryKeys, now: datetime, ring: Keyring = RING) -> Found:
    return open_token(ring, made.access_key_id, made.session_token.reveal(), now)


def test_key_2_a_session_token_opens_to_whom_it_was_made_for(now: datetime) -> None:
    """Identity, end, session and start of the sign-in come back; the secret is derived again."""
    made = mint(RING, shown(now), now=now)
    found = opened(made, now)

    assert made.access_key_id.startswith("GWT")
    assert len(made.access_key_id) == 20
    assert found.secret == made.secret
    assert made.expires == now + timedelta(hours=1)
    proof = found.proof
    assert proof.identity == replace(alice(), expires=made.expires)
    assert proof.temporary
    assert (proof.key_id, proof.session_id) == (made.access_key_id, "sid-1")
    assert (proof.expires, proof.issued) == (made.expires, now - timedelta(hours=1))


def test_key_1_the_token_does_not_hold_the_secret(now: datetime) -> None:
    """Nor does a repr show either."""
    made = mint(RING, shown(now), now=now)
    claims = RING.sealer("sts").open(made.session_token.reveal(), now=now)

    assert made.secret.reveal() not in repr(claims)
    assert made.secret.reveal() not in repr(made)
    assert made.session_token.reveal() not in repr(made)


@pytest.mark.parametrize(
    ("proof_ends", "identity_ends", "asked", "ends"),
    [
        (None, None, 3600, 3600),
        (600, None, 3600, 600),
        (None, 700, 3600, 700),
        (600, 500, 3600, 500),
        (7200, 7200, 900, 900),
    ],
)
def test_key_3_nothing_made_from_a_proof_outlasts_it(
    now: datetime, proof_ends, identity_ends, asked, ends
) -> None:
    """The earliest end of proof, identity and what was asked for."""

    def at(seconds):
        return None if seconds is None else now + timedelta(seconds=seconds)

    proof = shown(now, expires=at(proof_ends), identity=alice(expires=at(identity_ends)))
    made = mint(RING, proof, now=now, lifetime=timedelta(seconds=asked))

    assert made.expires == now + timedelta(seconds=ends)


def test_key_3_a_chain_of_three_only_ever_narrows(now: datetime) -> None:
    """Each child carries every narrowing above it, ends no later, and names the same root."""
    root = shown(now, method=Method.SIGNATURE, key_id="GWPROOT", session_id=None)
    first = mint(RING, root, now=now, lifetime=timedelta(minutes=30), narrowing=READ)
    second = mint(RING, opened(first, now).proof, now=now, narrowing=TEAM)
    third = mint(RING, opened(second, now).proof, now=now, lifetime=timedelta(hours=12))
    last = opened(third, now).proof

    assert last.identity.narrowed == (READ, TEAM)
    assert third.expires == first.expires
    assert last.parent_key == "GWPROOT"
    assert last.issued == root.issued


def test_key_3_a_narrowing_that_allows_nothing_is_kept(now: datetime) -> None:
    """An empty policy is not no policy."""
    made = mint(RING, shown(now), now=now, narrowing=())

    assert opened(made, now).proof.identity.narrowed == ((),)


def code_of(call) -> str:
    with pytest.raises(S3Error) as caught:
        call()
    return caught.value.code


def test_sig_13_a_token_of_another_key_is_invalid(now: datetime) -> None:
    """The id inside must be the credential's id."""
    one, two = mint(RING, shown(now), now=now), mint(RING, shown(now), now=now)

    assert (
        code_of(lambda: open_token(RING, one.access_key_id, two.session_token.reveal(), now))
        == "InvalidToken"
    )


@pytest.mark.parametrize("purpose", ["session", "login", "record", "share", "cli", "form"])
def test_key_2_a_token_for_another_purpose_is_invalid(now: datetime, purpose: Purpose) -> None:
    """A cookie, a share link or a form token is no session token, though the same keys sealed it."""
    made = mint(RING, shown(now), now=now)
    claims = RING.sealer("sts").open(made.session_token.reveal(), now=now)
    assert claims is not None
    other = RING.sealer(purpose).seal(claims, expires=made.expires)

    assert code_of(lambda: open_token(RING, made.access_key_id, other, now)) == "InvalidToken"


@given(position=st.integers(0, 5000), character=st.sampled_from("AB_-.="))
def test_key_2_an_altered_token_is_invalid(position: int, character: str) -> None:
    """Wherever one character is changed."""
    moment = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
    made = mint(RING, shown(moment), now=moment)
    token = made.session_token.reveal()
    at = position % len(token)
    altered = token[:at] + character + token[at + 1 :]

    if altered != token:
        assert (
            code_of(lambda: open_token(RING, made.access_key_id, altered, moment)) == "InvalidToken"
        )


@given(st.text(max_size=200))
def test_key_2_any_text_is_answered(text: str) -> None:
    """Garbage is InvalidToken, never another exception."""
    moment = datetime.fromisoformat("2026-03-01T12:00:00+00:00")

    assert code_of(lambda: open_token(RING, "GWTX", text, moment)) == "InvalidToken"


def test_sig_13_an_expired_token_says_so(now: datetime) -> None:
    """ExpiredToken is what clients read as "renew"."""
    made = mint(RING, shown(now), now=now)

    assert code_of(lambda: opened(made, made.expires)) == "ExpiredToken"
    assert opened(made, made.expires - timedelta(seconds=1)).secret == made.secret


def test_ses_4_keys_rotate_and_removal_ends_what_a_key_made(now: datetime) -> None:
    """An older key still opens what it sealed; a removed one does not."""
    made = mint(Keyring([OLD]), shown(now), now=now)

    assert opened(made, now, Keyring([NEW, OLD])).secret == made.secret
    assert code_of(lambda: opened(made, now, Keyring([NEW]))) == "InvalidToken"


def test_ses_4_a_secret_whose_key_was_removed_has_ended(now: datetime) -> None:
    """Where another key sealed the token than derives the secret."""
    claims = {"id": "GWTX", "kid": "gone", "v": 1, "sid": None, "pk": None, "iat": 1, "nar": ""}
    claims |= {"op": "c", "sub": "s", "c": {}, "usr": "", "name": "", "eml": "", "grp": []}
    token = RING.sealer("sts").seal(claims, expires=now + timedelta(hours=1))

    assert code_of(lambda: open_token(RING, "GWTX", token, now)) == "ExpiredToken"


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"op": None, "c": 5},
        {"grp": "nothing"},
        {"nar": "!"},
        {"nar": "eJw="},
        {"iat": "x"},
    ],
)
def test_key_2_a_token_of_another_format_is_invalid(now: datetime, changes) -> None:
    """One sealed by a newer gateway, say, is not guessed at."""
    claims = {"id": "GWTX", "kid": "k", "v": 1, "sid": None, "pk": None, "iat": 1, "nar": ""}
    claims |= {"op": "c", "sub": "s", "c": {}, "usr": "", "name": "", "eml": "", "grp": []}
    token = RING.sealer("sts").seal(claims | changes, expires=now + timedelta(hours=1))

    assert code_of(lambda: open_token(RING, "GWTX", token, now)) == "InvalidToken"


def test_ses_3_narrowings_of_an_unbelievable_size_are_not_unpacked(now: datetime) -> None:
    """Though only we could have sealed them."""
    bomb = base64.b64encode(zlib.compress(b" " * 10_000_000)).decode()
    with pytest.raises(ValueError, match="size"):
        keys._unpacked(bomb)


def test_sts_12_a_session_token_stays_below_4096_bytes(now: datetime) -> None:
    """What is for display goes first; then the largest claims are named; nothing is cut (POL-1)."""
    fits = alice(name="n" * 1500, email="e" * 1500)
    made = mint(RING, shown(now, identity=fits), now=now)
    big = alice(claims={"sub": "a", "big": ["g" * 20] * 200, "less": "x" * 50})

    assert len(made.session_token.reveal()) < 4096
    assert opened(made, now).proof.identity.name == ""
    with pytest.raises(TokenTooLarge) as caught:
        mint(RING, shown(now, identity=big), now=now)
    assert caught.value.largest == ("big", "less", "sub")
    assert not caught.value.policy


def test_sts_7_a_policy_that_does_not_fit_is_told_from_claims_that_do_not(now: datetime) -> None:
    """STS has a code of its own for it."""
    import random

    noise = random.Random(1)
    long = tuple(
        Statement(keys=("".join(noise.choices("abcdefghijklmnopqrstuvwxyz", k=400)),))
        for _ in range(12)
    )
    with pytest.raises(TokenTooLarge) as caught:
        mint(RING, shown(now), now=now, narrowing=long)
    assert caught.value.policy


def test_groups_that_are_no_claim_are_kept(now: datetime) -> None:
    """They are what X-Auth-Groups says behind nginx."""
    identity = alice(claims={"sub": "a"}, groups=("one", "two"))

    assert opened(
        mint(RING, shown(now, identity=identity), now=now), now
    ).proof.identity.groups == (
        "one",
        "two",
    )


def test_a_service_accounts_temporary_key_names_its_key(now: datetime) -> None:
    """It ends with the account."""
    proof = service_proof("BACKUP", Identity(issuer="service", subject="backup"))
    made = mint(RING, proof, now=now)

    assert opened(made, now).proof.parent_key == "BACKUP"
    assert opened(made, now).proof.issued == now


def test_key_4_a_personal_key_shows_its_owner_as_known_today(now: datetime) -> None:
    """Today's claims, narrowed as the key was made and as its maker was."""
    record = KeyRecord(
        key_id="GWPX",
        issuer="corp",
        subject="alice-1",
        name="laptop",
        created=now,
        expires=now + timedelta(days=1),
        kid="k",
        buckets=("team",),
        narrowed=(READ,),
    )
    proof = personal_proof(record, alice())
    plain = personal_proof(replace(record, buckets=(), narrowed=()), alice())

    assert proof.identity.claims == alice().claims
    assert proof.identity.narrowed == (READ, (Statement(buckets=("team",)),))
    assert (proof.key_id, proof.expires, proof.issued) == ("GWPX", record.expires, now)
    assert not proof.temporary
    assert plain.identity.narrowed == ()


def test_ended(now: datetime) -> None:
    """A proof without an end does not end; at its end it has ended."""
    assert not ended(shown(now, expires=None), now)
    assert ended(shown(now, expires=now), now)
    assert not ended(shown(now), now)


def test_a_secret_is_not_shown() -> None:
    """However it is printed."""
    found = Found(secret=Secret("hidden"), proof=service_proof("A", alice()))

    assert "hidden" not in repr(found)
