"""
STS on `POST /`: temporary credentials for whoever shows a token or a signature, in AWS's words.

The form is read before anybody is known, because the signature covers it: 64 KiB at most, and
nothing is done with it until the signature has matched (SIG-1, STS-4, STS-5). Whatever fails is
told in the query API's own form, and of a token never why (STS-10, KEY-8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from gateway.accesskeys import sts
from gateway.accesskeys.keys import Found, TokenTooLarge
from gateway.accesskeys.sts import Assume, Caller, SessionToken, StsError, WebIdentity
from gateway.errors import ApiError, ProviderError, StateError, TokenError
from gateway.identity import Identity, Proof, Secret
from gateway.message import Pairs, RequestHead
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error
from gateway.s3.request import decode_query, parse
from gateway.server.bodies import form_fields, read_bytes
from gateway.server.exchange import Exchange, Request, exchange_of
from gateway.sigv4.verify import claimed, verify

if TYPE_CHECKING:
    from gateway.server.keys import Keys
    from gateway.sigv4.sign import SigningKeys

FORM_MAX = 64 * 1024  # bytes: a token of 20 000 characters, percent-encoded (STS-4)
CHAINED_MOST = timedelta(hours=1)
"""What temporary credentials may make of themselves lasts no longer, as with AWS's role chaining."""

CODES = {
    s3.INVALID_ACCESS_KEY_ID.code: ("InvalidClientTokenId", 403),
    s3.INVALID_TOKEN.code: ("InvalidClientTokenId", 403),
    s3.EXPIRED_TOKEN.code: ("ExpiredToken", 403),
    s3.AUTHORIZATION_HEADER_MALFORMED.code: ("IncompleteSignature", 400),
    s3.AUTHORIZATION_QUERY_PARAMETERS_ERROR.code: ("IncompleteSignature", 400),
    s3.SLOW_DOWN.code: ("Throttling", 400),
}
"""S3's codes in the words of the query API; the others are the same there."""


class Lookup(Protocol):
    """Whose key id it is (`server.accesskeys`)."""

    async def find(
        self, key_id: str, session_token: Secret | None, now: datetime
    ) -> Found | None: ...

    def used(
        self, proof: Proof, *, address: str | None, program: str | None, now: datetime
    ) -> None: ...


class Failures(Protocol):
    """Wrong proofs from one address (`server.limits`)."""

    def check(self, peer: str | None, now: datetime) -> None: ...

    def failed(self, peer: str | None, now: datetime) -> None: ...


Granted = Callable[[Identity, Exchange], bool]
"""Does any rule grant this identity anything?"""


class Sts:
    """The STS query API."""

    def __init__(
        self,
        access: Lookup,
        keys: Keys,
        *,
        verify_bearer: Callable[[str, datetime], Awaitable[Proof]],
        revoked: Callable[[Proof, datetime], Awaitable[bool]],
        granted: Granted,
        failures: Failures,
        signing_keys: SigningKeys,
    ) -> None:
        self._access = access
        self._keys = keys
        self._verify_bearer = verify_bearer
        self._revoked = revoked
        self._granted = granted
        self._failures = failures
        self._signing_keys = signing_keys

    def speaks(self, head: RequestHead, query: str) -> bool:
        """Is this `POST /` a call of STS (STS-1)? Everything else at `/` is S3."""
        media = (head.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if media == "application/x-www-form-urlencoded" and not _bodyless(head):
            return True
        return _bodyless(head) and any(p.startswith("Action=") for p in query.split("&"))

    async def handle(self, request: Request) -> web.StreamResponse:
        """`POST /`. Raises what is nobody's fault, and nothing else."""
        ex = exchange_of(request)
        ex.event.api = True
        ex.event.operation = "sts"
        try:
            body = await self._answer(request, ex)
            status = 200
        except StsError as error:
            status = error.status
            body = _refused(ex, error.code, error.message, status)
        except S3Error as error:
            code, status = CODES.get(error.code, (error.code, error.status))
            body = _refused(ex, code, error.message, status)
        except ApiError as error:
            status = error.status
            body = _refused(ex, "ValidationError", error.title, status)
        except StateError:
            status = 503
            body = _refused(ex, "ServiceUnavailable", "Please try again later.", status)
        ex.event.status = status
        return web.Response(
            body=body,
            status=status,
            content_type="text/xml",
            headers={"Cache-Control": "no-store", "x-amzn-RequestId": ex.request_id},
        )

    async def _answer(self, request: Request, ex: Exchange) -> bytes:
        head = request.head
        self._failures.check(head.peer, ex.now)
        data = await read_bytes(request, FORM_MAX)
        call = sts.parse(_parameters(head, data))
        ex.event.operation = f"sts:{sts.action_of(call)}"
        if isinstance(call, WebIdentity):
            proof = await self._by_token(call, head, ex)
        else:
            proof = await self._by_signature(head, data, ex)
        if isinstance(call, Caller):
            return sts.caller_xml(proof.identity, ex.request_id)
        return self._credentials(call, proof, ex)

    def _credentials(
        self, call: WebIdentity | Assume | SessionToken, proof: Proof, ex: Exchange
    ) -> bytes:
        lifetime = call.duration
        narrowing = None
        match call:
            case SessionToken():
                if proof.temporary:
                    raise StsError(
                        "AccessDenied",
                        "Cannot call GetSessionToken with session credentials.",
                        status=403,
                    )
            case Assume():
                _check_role(call, ex)
                narrowing = call.narrowing
                if proof.temporary:
                    lifetime = min(lifetime, CHAINED_MOST)
            case WebIdentity():
                narrowing = call.narrowing
        try:
            made = self._keys.mint_raw(proof, ex, lifetime, narrowing)
        except TokenTooLarge as large:
            raise StsError("PackedPolicyTooLarge") from large
        return sts.credentials_xml(call, made, proof, ex.request_id)

    # Who asks?

    async def _by_token(self, call: WebIdentity, head: RequestHead, ex: Exchange) -> Proof:
        """STS-4: whatever else the request carries changes nothing."""
        _check_role(call, ex)
        try:
            proof = await self._verify_bearer(call.token.reveal(), ex.now)
        except TokenError as bad:
            ex.event.note(bad.reason.code)
            self._failures.failed(head.peer, ex.now)
            expired = bad.reason.code == "token-expired"
            raise StsError("ExpiredTokenException" if expired else "InvalidIdentityToken") from bad
        except ProviderError as away:
            ex.event.note(away.reason.code)
            raise StsError("IDPCommunicationError") from away
        if await self._revoked(proof, ex.now):
            raise StsError("ExpiredTokenException")
        ex.event.identified(proof)
        if not self._granted(proof.identity, ex):
            raise StsError("IDPRejectedClaim", status=403)
        return proof

    async def _by_signature(self, head: RequestHead, data: bytes, ex: Exchange) -> Proof:
        request = parse(head, ex.snapshot.hosts)
        signed = claimed(head, request, service="sts")
        if signed is None:
            raise StsError(
                "MissingAuthenticationToken",
                "The request must be signed with an access key of this gateway.",
                status=403,
            )
        try:
            found = await self._access.find(signed.key_id, signed.session_token, ex.now)
            verify(
                signed,
                head,
                request,
                None if found is None else found.secret,
                now=ex.now,
                keys=self._signing_keys,
                public_authority=ex.snapshot.hosts.public_authority,
                body_hash=hashlib.sha256(data).hexdigest(),
            )
        except S3Error:
            self._failures.failed(head.peer, ex.now)
            raise
        assert found is not None  # verify refuses a key that was not found
        if await self._revoked(found.proof, ex.now):
            raise S3Error(s3.EXPIRED_TOKEN)
        ex.event.identified(found.proof)
        program = head.headers.get("user-agent")
        self._access.used(found.proof, address=head.peer, program=program, now=ex.now)
        return found.proof


def _bodyless(head: RequestHead) -> bool:
    headers = head.headers
    return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


def _parameters(head: RequestHead, data: bytes) -> Pairs:
    """STS-2: of the form or of the query, never of both. Raises StsError, ApiError."""
    query = head.target.partition("?")[2]
    if data:
        if query:
            raise StsError("ValidationError", "Parameters stand in the form or in the query.")
        return form_fields(data)
    pairs = decode_query(query)
    return tuple(pair for pair in pairs if not pair[0].lower().startswith("x-amz-"))


def _check_role(call: WebIdentity | Assume, ex: Exchange) -> None:
    """STS-9: where roles are configured, one of them; none of them changes what may be done."""
    roles = ex.snapshot.config.sts.roles
    if roles and call.role.arn not in roles:
        raise StsError(
            "AccessDenied",
            f"Not authorized to perform sts:{sts.action_of(call)}",
            status=403,
        )


def _refused(ex: Exchange, code: str, message: str, status: int) -> bytes:
    ex.event.refused(code)
    return sts.error_xml(code, message, status, ex.request_id)
