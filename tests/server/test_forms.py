"""A form's token is good for its session and purpose, for an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.keyring import Keyring
from gateway.server.forms import form_allows, form_token

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring([b"k" * 32])


def test_uis_5_a_token_is_for_one_session_one_purpose_and_one_hour():
    """Anything else is refused."""
    token = form_token(KEYRING, "sid", "sign-out", NOW)

    assert form_allows(KEYRING, token, "sid", "sign-out", NOW + timedelta(minutes=59))
    assert not form_allows(KEYRING, token, "sid", "sign-out", NOW + timedelta(minutes=61))
    assert not form_allows(KEYRING, token, "other", "sign-out", NOW)
    assert not form_allows(KEYRING, token, "sid", "allow", NOW)
    assert not form_allows(Keyring([b"x" * 32]), token, "sid", "sign-out", NOW)
    assert not form_allows(KEYRING, token[:-1] + "A", "sid", "sign-out", NOW) or token[-1] == "A"
    session = KEYRING.sealer("session").seal({"sid": "sid", "for": "sign-out"}, expires=NOW)
    assert not form_allows(KEYRING, session, "sid", "sign-out", NOW - timedelta(hours=1))
