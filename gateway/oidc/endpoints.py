"""
A provider's endpoints for codes, refresh tokens and userinfo: who asks, what is sent, what comes back.

What redeems something is sent once and never repeated (OID-17), but for one case: a client secret
that was not believed is read again from its file, since nothing has been redeemed then.

Sources: RFC 6749 sections 2.3.1, 4.1.3, 5 and 6; OpenID Connect Core 5.3.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

from gateway import errors
from gateway.errors import LoginError, ProviderError
from gateway.identity import Secret
from gateway.oidc.calls import TOTAL, Calls
from gateway.oidc.providers import Metadata, Provider

REDEEM = 20.0  # seconds: a provider that logs somebody in may ask others first

log = logging.getLogger("gateway.oidc")


class Endpoints:
    """Redeems codes and refresh tokens, and asks who somebody is."""

    def __init__(self, calls: Calls, reread_secret: Callable[[str], Secret | None]) -> None:
        """`reread_secret` gives the client secret of a provider as its file holds it now."""
        self._calls = calls
        self._reread = reread_secret

    async def redeem(
        self, given: Provider, metadata: Metadata, form: dict[str, str], *, refused: LoginError
    ) -> Mapping[str, Any]:
        """
        The token endpoint's answer to a form that redeems something.

        Raises `refused` for invalid_grant, ProviderError for everything else that is not tokens.
        """
        answer = await self._token(given, metadata, form, given.client_secret)
        if answer.get("error") == "invalid_client":
            # The secret may have been rotated in its file: nothing has been redeemed yet.
            secret = await asyncio.to_thread(self._reread, given.name)
            if secret is not None and secret != given.client_secret:
                answer = await self._token(given, metadata, form, secret)
        error = answer.get("error")
        if error is None:
            return answer
        log.warning(
            "identity provider refused a redemption",
            extra={
                "provider": given.name,
                "error": printable(error),
                "description": printable(answer.get("error_description")),
            },
        )
        if error == "invalid_grant":
            raise refused
        reason = _OURS.get(error, errors.PROVIDER_ANSWER)
        raise ProviderError(reason, problem=printable(error))

    async def _token(
        self, given: Provider, metadata: Metadata, form: dict[str, str], secret: Secret | None
    ) -> Mapping[str, Any]:
        sent = dict(form)
        headers = authenticate(given, metadata, secret, sent)
        reply = await self._calls.post(
            given, metadata.token_endpoint, sent, headers, seconds=REDEEM
        )
        if reply.status >= 500 or reply.status == 429:
            raise ProviderError(errors.PROVIDER_AWAY, problem=f"status {reply.status}")
        answer = reply.document()
        if not isinstance(answer, dict):
            raise ProviderError(errors.PROVIDER_ANSWER, problem="the token answer is not an object")
        if reply.status == 200 and "error" not in answer:
            kind = answer.get("token_type", "bearer")
            if not isinstance(kind, str) or kind.lower() != "bearer":
                raise ProviderError(errors.PROVIDER_ANSWER, problem="token_type is not Bearer")
            return answer
        if not isinstance(answer.get("error"), str):
            raise ProviderError(errors.PROVIDER_ANSWER, problem=f"status {reply.status}")
        return answer

    async def userinfo(
        self, given: Provider, metadata: Metadata, access_token: str
    ) -> Mapping[str, Any]:
        """The userinfo document; whose it is, is the caller's question. Raises ProviderError."""
        if not metadata.userinfo_endpoint:
            raise ProviderError(errors.PROVIDER_ANSWER, problem="there is no userinfo endpoint")
        headers = {"Authorization": f"Bearer {access_token}"}
        reply = await self._calls.call(
            given, "GET", metadata.userinfo_endpoint, headers=headers, seconds=TOTAL
        )
        document = reply.document()
        if reply.status != 200 or not isinstance(document, dict):
            raise ProviderError(errors.PROVIDER_ANSWER, problem=f"userinfo: {reply.status}")
        return document


_OURS = {"invalid_client": errors.PROVIDER_CLIENT, "unauthorized_client": errors.PROVIDER_CLIENT}
"""Codes that complain about this gateway and not about what it redeems."""


def authenticate(
    given: Provider, metadata: Metadata, secret: Secret | None, form: dict[str, str]
) -> dict[str, str]:
    """Headers, and additions to the form, that say which client asks (RFC 6749 2.3.1)."""
    if secret is None:
        form["client_id"] = given.client_id
        return {}
    in_body = metadata.secret_in_body if given.secret_in_body is None else given.secret_in_body
    if in_body:
        form["client_id"], form["client_secret"] = given.client_id, secret.reveal()
        return {}
    # Both parts are form-encoded first: a secret may hold a colon or a percent sign.
    user, password = quote_plus(given.client_id), quote_plus(secret.reveal())
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def warn_of_scope(given: Provider, answer: Mapping[str, Any]) -> None:
    """An access token for the user pool's own API is more than anybody here should hold."""
    if "aws.cognito.signin.user.admin" in str(answer.get("scope", "")).split():
        log.warning(
            "the app client grants aws.cognito.signin.user.admin, which nothing here needs",
            extra={"provider": given.name},
        )


def text_of(answer: Mapping[str, Any], name: str) -> str | None:
    """A member that is a text; None where it is absent or empty. Raises ProviderError."""
    value = answer.get(name)
    if value is not None and not isinstance(value, str):
        raise ProviderError(errors.PROVIDER_ANSWER, problem=f"{name} is not a string")
    return value or None


def secret_of(answer: Mapping[str, Any], name: str) -> Secret | None:
    """The same for a token. Raises ProviderError."""
    value = text_of(answer, name)
    return None if value is None else Secret(value)


def printable(value: object) -> str:
    """A provider's text for the log: short, and without what a terminal acts upon."""
    return "".join(c if c.isprintable() else "?" for c in str(value))[:200] if value else ""
