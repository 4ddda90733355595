"""
Who is asking: signature, bearer, basic, cookie or nobody; and has that been revoked?

Exactly one proof counts (SIG-2). Each authenticator answers None for "not mine" and raises for
"mine, and wrong": a bad signature never becomes an anonymous request (SIG-25).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Hashable
from datetime import datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol, TypeVar

from gateway import keyring
from gateway.errors import CROSS_SITE, ProviderError, TokenError
from gateway.identity import ANONYMOUS_IDENTITY, Method, Proof, Secret
from gateway.message import RequestHead
from gateway.observe.metrics import REFUSED_PROOFS
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error
from gateway.s3.hosts import host_name
from gateway.server.middleware import SAFE_METHODS, cross_site, same_origin
from gateway.sigv4.claims import claimed
from gateway.sigv4.forms import claimed_form, verify_form
from gateway.sigv4.verify import verify

if TYPE_CHECKING:
    from gateway.accesskeys.keys import Found
    from gateway.s3.post import Form
    from gateway.s3.request import S3Request
    from gateway.server.exchange import Exchange
    from gateway.sessions.lifetime import Opened
    from gateway.sigv4.claims import Claimed
    from gateway.sigv4.sign import SigningKeys
    from gateway.sigv4.verify import Seal

T = TypeVar("T")

BASIC_MAX = 512  # bytes of an Authorization: Basic value: an id of 20 and a secret of up to 128 fit

NOBODY = Proof(identity=ANONYMOUS_IDENTITY, method=Method.ANONYMOUS)


class Keys(Protocol):
    async def find(
        self, key_id: str, session_token: Secret | None, now: datetime
    ) -> Found | None: ...

    def used(
        self, proof: Proof, *, address: str | None, program: str | None, now: datetime
    ) -> None: ...


class Failures(Protocol):
    def check(self, peer: str | None, now: datetime) -> None: ...

    def watched(self, peer: str | None, who: Hashable, now: datetime) -> bool: ...

    def believed(self, peer: str | None, who: Hashable) -> None: ...

    def failed(self, peer: str | None, now: datetime) -> None: ...


class Bearers(Protocol):
    async def verify_bearer(self, token: str, now: datetime) -> Proof: ...


class Sessions(Protocol):
    async def open(self, cookie: str, now: datetime) -> Opened | None: ...

    async def revoked(self, proof: Proof, now: datetime) -> bool: ...


class Authenticator:
    """Finds the one proof of a request and believes it, or refuses."""

    def __init__(
        self,
        *,
        keys: Keys,
        bearers: Bearers,
        sessions: Sessions,
        failures: Failures,
        signing_keys: SigningKeys,
    ) -> None:
        self._keys = keys
        self._bearers = bearers
        self._sessions = sessions
        self._failures = failures
        self._signing_keys = signing_keys

    async def s3(
        self, head: RequestHead, request: S3Request, ex: Exchange
    ) -> tuple[Proof, Seal | None]:
        """Who asks for this S3 request, and what was signed of its body. Raises S3Error."""
        signed = claimed(head, request)
        if signed is not None:
            return await self._signature(signed, head, request, ex)
        proof = await self.authorization(head, ex)
        if proof is None and not self._host_without_cookies(head, ex):
            proof = await self.cookie(head, ex)
        return proof or NOBODY, None

    async def _signature(
        self, signed: Claimed, head: RequestHead, request: S3Request, ex: Exchange
    ) -> tuple[Proof, Seal]:
        def verified(secret: Secret | None) -> Seal:
            return verify(
                signed,
                head,
                request,
                secret,
                now=ex.now,
                keys=self._signing_keys,
                public_authority=ex.snapshot.hosts.public_authority,
            )

        return await self._believed(signed, head, ex, verified)

    async def form(self, head: RequestHead, form: Form, ex: Exchange) -> Proof:
        """Who signed this form's policy (SIG-17); no other proof is looked at. Raises S3Error."""
        signed = claimed_form(head, form.fields)

        def verified(secret: Secret | None) -> None:
            verify_form(signed, form.policy, secret, now=ex.now, keys=self._signing_keys)

        proof, _ = await self._believed(signed, head, ex, verified)
        return proof

    async def _believed(
        self,
        signed: Claimed,
        head: RequestHead,
        ex: Exchange,
        verified: Callable[[Secret | None], T],
    ) -> tuple[Proof, T]:
        """
        Who signed, and what `verified` made of it, which refuses a wrong signature and None.

        What every signature goes through, over a head or over a form. Raises S3Error.
        """
        watched = self._failures.watched(head.peer, signed.key_id, ex.now)
        found = await self._keys.find(signed.key_id, signed.session_token, ex.now)
        try:
            seal = verified(found.secret if found is not None else None)
        except S3Error as refused:
            if refused.row in (s3.SIGNATURE_DOES_NOT_MATCH, s3.INVALID_ACCESS_KEY_ID):
                self._wrong(head, ex, "signature")
            raise
        assert found is not None  # who has no secret was refused
        await self._refuse_revoked(found.proof, ex.now)
        if watched:
            self._failures.believed(head.peer, signed.key_id)
        self._used(found.proof, head, ex)
        return found.proof, seal

    def _used(self, proof: Proof, head: RequestHead, ex: Exchange) -> None:
        program = head.headers.get("user-agent")
        self._keys.used(proof, address=head.peer, program=program, now=ex.now)

    def _wrong(self, head: RequestHead, ex: Exchange, method: str) -> None:
        self._failures.failed(head.peer, ex.now)
        REFUSED_PROOFS.add(method)

    @staticmethod
    def _host_without_cookies(head: RequestHead, ex: Exchange) -> bool:
        only = ex.snapshot.hosts.s3_only
        return bool(only) and host_name(head.headers.get("host") or "") in only

    async def api(self, head: RequestHead, ex: Exchange) -> Proof | None:
        """Who asks for something of /api: bearer, basic or cookie; None where nobody does."""
        return await self.authorization(head, ex) or await self.cookie(head, ex)

    async def authorization(self, head: RequestHead, ex: Exchange) -> Proof | None:
        """Who the Authorization header says is asking; None where there is none. Raises S3Error."""
        value = head.headers.get("authorization")
        if value is None:
            return None
        scheme, _, rest = value.partition(" ")
        match scheme.lower():
            case "":
                raise S3Error(s3.ACCESS_DENIED)
            case "bearer":
                return await self._bearer(head, rest.strip(), ex)
            case "basic":
                return await self._basic(head, rest.strip(), ex)
            case _:
                raise S3Error(
                    s3.INVALID_REQUEST,
                    "This Authorization is not understood; please use AWS4-HMAC-SHA256, Bearer or Basic.",
                )

    async def _bearer(self, head: RequestHead, token: str, ex: Exchange) -> Proof:
        who = hash(token)  # the token itself is not kept for this
        watched = self._failures.watched(head.peer, who, ex.now)
        try:
            proof = await self._bearers.verify_bearer(token, ex.now)
        except TokenError as bad:
            ex.event.note(bad.reason.code)
            self._wrong(head, ex, "bearer")
            expired = bad.reason.code == "token-expired"
            row = s3.EXPIRED_TOKEN if expired else s3.INVALID_TOKEN
            raise S3Error(
                row, headers=(("www-authenticate", 'Bearer error="invalid_token"'),)
            ) from bad
        except ProviderError as away:
            raise S3Error(s3.SERVICE_UNAVAILABLE, away.sentence) from away
        await self._refuse_revoked(proof, ex.now)
        if watched:
            self._failures.believed(head.peer, who)
        return proof

    async def _basic(self, head: RequestHead, encoded: str, ex: Exchange) -> Proof:
        # KEY-6: refused before the secret is looked at; it has been sent in the clear by then,
        # but nobody may come to rely on it.
        if not (head.secure or loopback(head.peer)):
            raise S3Error(s3.INVALID_REQUEST, "Basic authorization is taken over TLS only.")
        if cookies_called(head, ex.snapshot.cookie_name):  # SIG-2
            raise S3Error(s3.INVALID_REQUEST, "Two proofs came: Basic, and a session's cookie.")
        # WEB-1: browsers add a password they once asked for, whoever's page it is that asks.
        if head.method not in SAFE_METHODS and cross_site(head, ex.snapshot.public_url):
            ex.event.note(CROSS_SITE.code)
            raise S3Error(s3.ACCESS_DENIED, CROSS_SITE.sentence)
        pair = _decoded(encoded)
        if pair is None:
            raise S3Error(s3.INVALID_REQUEST, "This Basic authorization cannot be read.")
        self._failures.check(head.peer, ex.now)
        key_id, secret = pair
        found = await self._keys.find(key_id, None, ex.now)
        expected = found.secret.reveal() if found is not None else keyring.random_token()
        if not keyring.same(expected, secret) or found is None:
            self._wrong(head, ex, "basic")
            raise S3Error(s3.INVALID_ACCESS_KEY_ID, headers=(("www-authenticate", "Basic"),))
        await self._refuse_revoked(found.proof, ex.now)
        self._used(found.proof, head, ex)
        return Proof(
            identity=found.proof.identity,
            method=Method.BASIC,
            key_id=key_id,
            expires=found.proof.expires,
            issued=found.proof.issued,
        )

    async def cookie(self, head: RequestHead, ex: Exchange) -> Proof | None:
        """
        Who the session cookie says is asking; None where there is none, or it has ended.

        What changes something must come from a page of ours (WEB-1). Raises S3Error (AccessDenied).
        """
        value = session_cookie(head, ex.snapshot.cookie_name)
        if value is None:
            return None
        opened = await self._sessions.open(value, ex.now)
        if opened is None:
            return None
        if head.method not in SAFE_METHODS and not same_origin(head, ex.snapshot.public_url):
            ex.event.note(CROSS_SITE.code)
            raise S3Error(s3.ACCESS_DENIED, CROSS_SITE.sentence)
        if opened.set_cookie is not None:
            ex.set_cookies.append(opened.set_cookie)
        return opened.proof

    async def _refuse_revoked(self, proof: Proof, now: datetime) -> None:
        if await self._sessions.revoked(proof, now):
            raise S3Error(s3.EXPIRED_TOKEN)


def session_cookie(head: RequestHead, name: str) -> str | None:
    """The value of the one cookie of this name; None where there is none, or more than one (SES-10)."""
    found = cookies_called(head, name)
    return found[0] if len(found) == 1 else None


def cookies_called(head: RequestHead, name: str) -> list[str]:
    """The values of every cookie of this name, in any number of headers."""
    pairs = [
        part.strip().partition("=")
        for line in head.headers.all("cookie")
        for part in line.split(";")
    ]
    return [value for key, _, value in pairs if key == name]


def loopback(peer: str | None) -> bool:
    """A unix socket, or an address of this machine alone."""
    if peer is None:
        return True
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False


def _decoded(encoded: str) -> tuple[str, str] | None:
    if len(encoded) > BASIC_MAX:
        return None
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    key_id, colon, secret = text.partition(":")
    # A key id may hold a colon (swift's do), a secret of ours never does.
    if text.count(":") > 1:
        key_id, colon, secret = text.rpartition(":")
    return (key_id, secret) if colon and key_id else None
