"""
The gateway as a client of its identity providers: codes and refresh tokens are redeemed, tokens
verified and revoked.

Which token is believed is decided by `tokens`; this module finds the keys for it, and asks once
more where a key is unknown. What redeems something is sent once and never repeated (OID-17).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from gateway import errors
from gateway.caches import Cache
from gateway.errors import LoginError, ProviderError, TokenError
from gateway.identity import Method, Proof, Secret
from gateway.oidc import flow, tokens
from gateway.oidc.calls import Calls
from gateway.oidc.endpoints import Endpoints, authenticate, secret_of, text_of, warn_of_scope
from gateway.oidc.issuer import Issuer
from gateway.oidc.keyset import VerificationKeys
from gateway.oidc.providers import Metadata, Provider, Revoke
from gateway.oidc.tokens import Claims, Original, UnknownKey

REVOKE = 2.0  # seconds: nobody waits longer to be signed out
BEARERS = 10_000  # verified tokens remembered at once
BEARER_SECONDS = 60.0
RETRY_MIN, RETRY_MAX = 1.0, 60.0  # seconds between background tries
ROUND = 30.0  # seconds between looks at what has grown old

log = logging.getLogger("gateway.oidc")
T = TypeVar("T", covariant=True)


class Check(Protocol[T]):
    """One of the verifications of `tokens`, waiting for the issuer's keys and document."""

    def __call__(self, *, keys: VerificationKeys, metadata: Metadata) -> T: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a redeemed code or refresh token brought, verified."""

    claims: Claims
    id_token: Secret | None
    refresh_token: Secret | None
    expires: datetime | None
    """End of the ID token; None where a refresh brought none."""


class Providers:
    """Every configured provider: who it is, what it says, and the calls to it."""

    def __init__(
        self,
        providers: Iterable[Provider],
        *,
        clock: Callable[[], datetime],
        reread_secret: Callable[[str], Secret | None] = lambda _name: None,
    ) -> None:
        """`reread_secret` gives the client secret of a provider as its file holds it now."""
        self._clock = clock
        self._issuers: dict[str, Issuer] = {}
        self._calls = Calls()
        self._endpoints = Endpoints(self._calls, reread_secret)
        self._bearers: Cache[bytes, Proof] = Cache(
            "verified_bearers", size=BEARERS, seconds=BEARER_SECONDS
        )
        self._renewing: asyncio.Future[None] | None = None
        self.replace(providers)

    # -- life ------------------------------------------------------------------------------------

    def replace(self, providers: Iterable[Provider]) -> None:
        """After a reload. What did not change keeps its document and keys."""
        old = self._issuers
        self._issuers = {}
        for given in providers:
            known = old.get(given.name)
            same = known is not None and known.provider == given
            self._issuers[given.name] = (
                known if same and known else Issuer(given, self._calls.document)
            )
        self._bearers.clear()

    async def start(self) -> None:
        """Begins to fetch documents and keys, and to renew them, in the background."""
        self._renewing = asyncio.ensure_future(self._renew_for_ever())

    async def close(self) -> None:
        """Safe to call twice."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            self._renewing = None
        await self._calls.close()

    async def _renew_for_ever(self) -> None:
        wait = RETRY_MIN
        while True:
            issuers = list(self._issuers.values())
            done = await asyncio.gather(*(self._renew(issuer) for issuer in issuers))
            wait = ROUND if all(done) else min(RETRY_MAX, wait * 2)
            await asyncio.sleep(wait)

    async def _renew(self, issuer: Issuer) -> bool:
        try:
            await issuer.renew(self._clock())
        except ProviderError as away:
            log.warning(
                "identity provider not renewed",
                extra={"provider": issuer.provider.name, **_reason(away)},
            )
            return False
        return True

    # -- who there is ----------------------------------------------------------------------------

    def find(self, name: str) -> Provider:
        """Raises LoginError (UNKNOWN_PROVIDER)."""
        return self._issuer(name).provider

    def known(self, name: str) -> Provider | None:
        """The provider of this name; None where the configuration does not have it any more."""
        issuer = self._issuers.get(name)
        return None if issuer is None else issuer.provider

    def for_login(self) -> list[Provider]:
        """Where people can sign in, in the order of the file."""
        return [i.provider for i in self._issuers.values() if i.provider.login]

    def _issuer(self, name: str) -> Issuer:
        issuer = self._issuers.get(name)
        if issuer is None:
            raise LoginError(errors.UNKNOWN_PROVIDER)
        return issuer

    async def metadata(self, name: str, now: datetime) -> Metadata:
        """Raises ProviderError (not there yet), LoginError (UNKNOWN_PROVIDER)."""
        return await self._issuer(name).metadata(now)

    def ready(self, now: datetime) -> dict[str, dict[str, Any]]:
        """For readiness and metrics: is the document there, how old are the keys (seconds)."""
        found: dict[str, dict[str, Any]] = {}
        for name, issuer in self._issuers.items():
            age = issuer.keys_age(now)
            seconds = None if age is None else age.total_seconds()
            found[name] = {"known": issuer.known, "keys_age_seconds": seconds}
        return found

    # -- tokens shown by programs ----------------------------------------------------------------

    async def verify_bearer(self, token: str, now: datetime) -> Proof:
        """
        Who this JWT says is asking (OID-16). Whether that has been revoked is the caller's question.

        Raises TokenError; ProviderError where the issuer's keys are not to be had.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        proof = self._bearers.get(digest)
        if proof is not None and proof.expires is not None and proof.expires > now:
            return proof
        proof = await self._believe(token, now)
        assert proof.expires is not None
        self._bearers.put(digest, proof, (proof.expires - now).total_seconds())
        return proof

    async def _believe(self, token: str, now: datetime) -> Proof:
        parsed = tokens.parse(token)
        candidates = self._issued_by(tokens.unverified_issuer(parsed))
        why = TokenError(errors.TOKEN_ISSUER)
        for issuer in candidates:
            given = issuer.provider
            try:
                check = partial(tokens.verify_bearer, parsed, provider=given, now=now)
                claims = await self._verified(issuer, now, check)
            except TokenError as bad:
                why = bad  # two clients of one pool: the other one may be meant
                continue
            ends = tokens.ends(claims)
            return Proof(
                identity=flow.identity_of(given, claims, expires=ends),
                method=Method.BEARER,
                token=Secret(token),
                expires=ends,
                issued=tokens.began(claims),
            )
        raise why

    def _issued_by(self, iss: str) -> list[Issuer]:
        return [one for one in self._issuers.values() if one.provider.issues(iss)]

    async def verify_logout(self, token: str, now: datetime) -> tuple[str, tokens.LogoutToken]:
        """The provider's name and its back-channel logout token (OID-15). Raises as verify_bearer."""
        parsed = tokens.parse(token)
        why = TokenError(errors.TOKEN_ISSUER)
        for issuer in self._issued_by(tokens.unverified_issuer(parsed)):
            given = issuer.provider
            if not given.backchannel:
                continue
            try:
                check = partial(tokens.verify_logout, parsed, provider=given, now=now)
                return given.name, await self._verified(issuer, now, check)
            except TokenError as bad:
                why = bad
        raise why

    async def _verified(self, issuer: Issuer, now: datetime, check: Check[T]) -> T:
        """`check` with the issuer's keys, and once more where a key was unknown (OID-7)."""
        metadata = await issuer.metadata(now)
        try:
            return check(keys=await issuer.keys(now), metadata=metadata)
        except UnknownKey as unknown:
            if not await issuer.look_again(unknown.kid, now):
                raise
        return check(keys=await issuer.keys(now), metadata=metadata)

    # -- logins ----------------------------------------------------------------------------------

    async def redeem(
        self,
        name: str,
        *,
        code: str,
        redirect_uri: str,
        login: flow.LoginState,
        named: Collection[str],
        now: datetime,
    ) -> Tokens:
        """
        The claims that a code stands for; redeemed once (OID-17). `named`: claims in policies.

        Raises LoginError, TokenError, ProviderError.
        """
        issuer = self._issuer(name)
        given, metadata = issuer.provider, await issuer.metadata(now)
        answer = await self._endpoints.redeem(
            given,
            metadata,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": login.verifier,
            },
            refused=LoginError(errors.TOKEN_REDEEM),
        )
        id_token, access_token = text_of(answer, "id_token"), text_of(answer, "access_token")
        if id_token is None:
            raise LoginError(errors.NO_ID_TOKEN)
        warn_of_scope(given, answer)
        parsed = tokens.parse(id_token)
        check = partial(
            tokens.verify_login,
            parsed,
            provider=given,
            nonce=login.nonce,
            access_token=access_token,
            now=now,
        )
        claims = await self._verified(issuer, now, check)
        return Tokens(
            claims=await self._whole(given, metadata, claims, access_token, named),
            id_token=Secret(id_token),
            refresh_token=secret_of(answer, "refresh_token"),
            expires=tokens.ends(claims),
        )

    async def refresh(
        self,
        name: str,
        *,
        refresh_token: Secret,
        old: Claims,
        nonce: str,
        named: Collection[str],
        now: datetime,
    ) -> Tokens:
        """
        The claims of somebody signed in, anew; redeemed once.

        Raises LoginError (SESSION_ENDED) where the provider says that it is over, TokenError where
        it answers for somebody else, ProviderError where it is away or the fault is ours.
        """
        issuer = self._issuer(name)
        given, metadata = issuer.provider, await issuer.metadata(now)
        answer = await self._endpoints.redeem(
            given,
            metadata,
            {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()},
            refused=LoginError(errors.SESSION_ENDED),
        )
        id_token, access_token = text_of(answer, "id_token"), text_of(answer, "access_token")
        renewed = secret_of(answer, "refresh_token")
        if id_token is None:
            claims = await self._without_id_token(given, metadata, access_token, old)
            return Tokens(claims=claims, id_token=None, refresh_token=renewed, expires=None)
        parsed = tokens.parse(id_token)
        check = partial(
            tokens.verify_refreshed,
            parsed,
            provider=given,
            original=Original(str(old["sub"]), nonce),
            access_token=access_token,
            now=now,
        )
        claims = await self._verified(issuer, now, check)
        return Tokens(
            claims=await self._whole(given, metadata, claims, access_token, named),
            id_token=Secret(id_token),
            refresh_token=renewed,
            expires=tokens.ends(claims),
        )

    async def _whole(
        self,
        given: Provider,
        metadata: Metadata,
        claims: Claims,
        access_token: str | None,
        named: Collection[str],
    ) -> Claims:
        """What a verified ID token says, and userinfo adds where the provider's row wants it."""
        flow.refuse_overage(given, claims)
        if access_token is None or not flow.asks_userinfo(given, claims, named):
            return claims
        userinfo = await self._endpoints.userinfo(given, metadata, access_token)
        return flow.merge_userinfo(claims, userinfo)

    async def _without_id_token(
        self, given: Provider, metadata: Metadata, access_token: str | None, old: Claims
    ) -> Claims:
        """Claims from userinfo where there is one; else the old ones: the account lives at least."""
        if not metadata.userinfo_endpoint or access_token is None:
            return old
        userinfo = await self._endpoints.userinfo(given, metadata, access_token)
        return flow.renewed_by_userinfo(old, userinfo)

    async def revoke(self, name: str, refresh_token: Secret, now: datetime) -> bool:
        """Gives a refresh token back, within two seconds; whether that worked. Never raises."""
        try:
            async with asyncio.timeout(REVOKE):
                issuer = self._issuer(name)
                given, metadata = issuer.provider, await issuer.metadata(now)
                if given.kind.revoke is Revoke.NEVER or not metadata.revocation_endpoint:
                    return False
                form = {"token": refresh_token.reveal(), "token_type_hint": "refresh_token"}
                headers = {}
                if given.kind.revoke is Revoke.CLIENT:
                    headers = authenticate(given, metadata, given.client_secret, form)
                reply = await self._calls.post(
                    given, metadata.revocation_endpoint, form, headers, seconds=REVOKE
                )
        except (LoginError, ProviderError, TimeoutError) as failed:
            log.info(
                "refresh token not revoked",
                extra={"provider": name, "cause": type(failed).__name__},
            )
            return False
        if reply.status != 200:
            log.info("refresh token not revoked", extra={"provider": name, "status": reply.status})
        return reply.status == 200


def _reason(error: ProviderError) -> dict[str, str]:
    return {"reason": error.reason.code, "problem": error.detail.get("problem", "")}
