"""
One-time tokens of the forms that work without a script: a form cannot send the header of WEB-1.

A token is sealed for one session and one purpose, lasts an hour, and says nothing to anybody else.

Source: UIS-5.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.keyring import Keyring, same

LIFE = timedelta(hours=1)  # a page may stand open over lunch


def form_token(keyring: Keyring, session_id: str, purpose: str, now: datetime) -> str:
    """What the hidden field `token` of the form holds."""
    claims = {"sid": session_id, "for": purpose}
    return keyring.sealer("form").seal(claims, expires=now + LIFE)


def form_allows(keyring: Keyring, token: str, session_id: str, purpose: str, now: datetime) -> bool:
    """Whether the token was made for this session and purpose, and lately."""
    claims = keyring.sealer("form").open(token, now=now)
    if claims is None:
        return False
    return same(str(claims.get("sid")), session_id) and claims.get("for") == purpose
