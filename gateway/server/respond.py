"""
Which kind of client is this, and what does it get for this error: once, for all faces.

A refusal is worked out here as a value; the S3 face writes it as XML, the API as problem+json,
pages as a document (`server.pages`). The table is in docs/architecture.md, "Errors and their faces".

Sources: RFC 9457 (problem details); the S3 API's error responses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, assert_never

from gateway import errors
from gateway.errors import (
    ApiError,
    LoginError,
    ProviderError,
    Reason,
    ReasonedError,
    StateError,
    TokenError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.message import Answer, BytesBody, Headers, Pairs, RequestHead, ResponseHead
from gateway.s3 import errors as s3
from gateway.s3.errors import AccessDenied, S3Error, error_xml

if TYPE_CHECKING:
    from gateway.policy.model import Decision

RETRY_AFTER = 5  # seconds that a client is asked to wait when somebody behind us is away


class Client(Enum):
    """Who is to understand the answer."""

    BROWSER = "browser"
    SCRIPT = "script"
    S3 = "s3"


def client_of(head: RequestHead, *, api: bool = False) -> Client:
    """
    A navigation wants a page; a page's script and every caller of /api JSON; all others speak S3.

    Nobody is believed to be a browser who brought a signature or token along.
    """
    headers = head.headers
    if "authorization" in headers or "x-amz-" in head.target.lower():
        return Client.SCRIPT if api else Client.S3
    mode = headers.get("sec-fetch-mode")
    accept = headers.get("accept") or ""
    if head.method in ("GET", "HEAD"):
        if mode == "navigate" or (mode is None and "text/html" in accept):
            return Client.BROWSER
    elif mode == "navigate" and "text/html" in accept:
        return Client.BROWSER
    if api or mode is not None or "application/json" in accept:
        return Client.SCRIPT
    return Client.S3


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What went wrong, in words that every face can write."""

    status: int
    code: str
    """S3's code where there is one, else the reason's."""
    message: str
    reason: Reason | None = None
    decision: Decision | None = None
    login: bool = False
    """Nobody is signed in, and signing in may help: a browser is sent to do so."""
    headers: Pairs = ()
    retry_after: int = 0
    close: bool = False
    detail: dict[str, str] = field(default_factory=dict)


def refusal(error: BaseException, *, anonymous: bool) -> Refusal:
    """
    The refusal that an exception becomes; anything unforeseen is `InternalError`, and tells nothing.

    `anonymous` says that nobody was identified.
    """
    match error:
        case AccessDenied():
            return _denied(error, anonymous=anonymous)
        case S3Error():
            return Refusal(
                status=error.status,
                code=error.code,
                message=error.message,
                headers=error.headers,
                close=error.close,
                retry_after=RETRY_AFTER if error.status == 503 and not _says_when(error) else 0,
                detail=dict(error.detail),
            )
        case LoginError():
            return _reasoned(error, 400)
        case TokenError():
            # The log says which check failed; the bearer only that it did.
            return Refusal(
                status=401,
                code=error.reason.code,
                message="The token is not accepted.",
                reason=error.reason,
                headers=(("www-authenticate", 'Bearer error="invalid_token"'),),
            )
        case ProviderError():
            return _reasoned(error, 503)
        case UpstreamError():
            return Refusal(
                status=error.status,
                code=error.code,
                message=error.reason.sentence,
                reason=error.reason,
                retry_after=RETRY_AFTER
                if isinstance(error, UpstreamUnavailable | UpstreamTimeout)
                else 0,
            )
        case StateError():
            return Refusal(
                status=503,
                code="ServiceUnavailable",
                message=errors.STATE_AWAY.sentence,
                reason=errors.STATE_AWAY,
                retry_after=RETRY_AFTER,
            )
        case ApiError():
            return Refusal(
                status=error.status,
                code=error.code or "error",
                message=error.detail or error.title,
                retry_after=error.retry_after,
                login=error.status == 401,
            )
        case _:
            return Refusal(
                status=500,
                code="InternalError",
                message="We encountered an internal error. Please try again.",
            )


def _says_when(error: S3Error) -> bool:
    return any(name == "retry-after" for name, _ in error.headers)


def _denied(error: AccessDenied, *, anonymous: bool) -> Refusal:
    decision: Any = error.decision
    reason: Reason | None = error.reason
    sentences: list[str] = [] if reason is None else [error.message]
    if decision is not None:
        for outcome in decision.outcomes:
            if outcome.grant is None or outcome.reason is not errors.GRANTED:
                reason = reason or outcome.reason
                sentences.append(outcome.sentence)
    return Refusal(
        status=403,
        code=error.code,
        message=error.message,
        reason=reason,
        decision=decision,
        login=anonymous,
        close=error.close,
        detail={"sentence": " ".join(dict.fromkeys(sentences))} if sentences else {},
    )


def _reasoned(error: ReasonedError, status: int) -> Refusal:
    return Refusal(
        status=status,
        code=error.reason.code,
        message=error.sentence,
        reason=error.reason,
        retry_after=RETRY_AFTER if status == 503 else 0,
    )


def status_for(client: Client, refused: Refusal) -> int:
    """The status that this kind of client gets: only S3 keeps 403 where nobody was identified."""
    if not refused.login:
        return refused.status
    match client:
        case Client.BROWSER:
            return 302
        case Client.SCRIPT:
            return 401
        case Client.S3:
            return refused.status
        case _:
            assert_never(client)


def as_s3(refused: Refusal, *, resource: str, request_id: str, bodyless: bool) -> Answer:
    """S3's own form: XML, or for HEAD a status alone (FWD-10)."""
    row = s3.Row(refused.code, refused.status, refused.message)
    error = S3Error(row, refused.message)
    error.detail.update({k: v for k, v in refused.detail.items() if k != "sentence"})
    data = b"" if bodyless else error_xml(error, resource=resource, request_id=request_id)
    pairs: list[tuple[str, str]] = [] if bodyless else [("content-type", "application/xml")]
    pairs += refused.headers
    if refused.retry_after:
        pairs.append(("retry-after", str(refused.retry_after)))
    return Answer(
        head=ResponseHead(status=refused.status, headers=Headers(pairs)), body=BytesBody(data)
    )


def as_problem(refused: Refusal, *, status: int, request_id: str) -> Answer:
    """RFC 9457: what happened, who can mend it, and the request id."""
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": refused.message,
        "status": status,
        "code": refused.reason.code if refused.reason is not None else refused.code,
        "request_id": request_id,
    }
    sentence = refused.detail.get("sentence")
    if sentence:
        problem["detail"] = sentence
    if refused.code and refused.code != problem["code"]:
        problem["s3_code"] = refused.code
    if refused.reason is not None:
        problem["acts"] = refused.reason.acts.value
    pairs: list[tuple[str, str]] = [
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        *refused.headers,
    ]
    if status == 401 and all(name != "www-authenticate" for name, _ in pairs):
        pairs.append(("www-authenticate", "Bearer"))
    if refused.retry_after:
        pairs.append(("retry-after", str(refused.retry_after)))
    return Answer(
        head=ResponseHead(status=status, headers=Headers(pairs)),
        body=BytesBody(json.dumps(problem, ensure_ascii=False).encode()),
    )
