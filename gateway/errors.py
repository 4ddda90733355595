"""
The exception tree, and the table of reasons.

::

    GatewayError
    ├── gateway.s3.errors.S3Error     the client's request is wrong, or refused: S3's own codes
    │   └── AccessDenied              somebody is known, and may not: carries the decision
    ├── LoginError(reason)            the browser or the provider did something wrong in a sign-in
    ├── TokenError(reason)            a token shown to us is not good
    ├── ProviderError(reason)         an identity provider is away or answers nonsense
    ├── UpstreamError                 the S3 server behind us, or the source of its credentials
    │   ├── UpstreamUnavailable       no connection, TLS failure, credentials not to be had
    │   ├── UpstreamTimeout           silence
    │   └── UpstreamProtocolError     an answer that breaks a rule
    ├── StateError                    the state store does not answer
    ├── ApiError(status, title, …)    an /api request is wrong: problem+json
    └── ConfigError(problems)         the operator's files are wrong

The class says whose fault it is. Code chooses by type or code, never by searching a message.
A reason's code is the same in tests, log, audit line, explanation and error page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final


class Acts(StrEnum):
    """Who can mend it."""

    USER = "user"
    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    NOBODY = "nobody"


@final
@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was refused: a code for machines, a sentence for people."""

    code: str
    sentence: str
    """May hold `{names}`, filled by whoever reports it."""
    acts: Acts = Acts.ADMINISTRATOR


REASONS: dict[str, Reason] = {}


def reason(code: str, sentence: str, acts: Acts = Acts.ADMINISTRATOR) -> Reason:
    """Adds a row to the table of reasons."""
    if code in REASONS:
        raise ValueError(f"reason {code!r} stands in the table already")
    row = Reason(code, sentence, acts)
    REASONS[code] = row
    return row


# Decisions
GRANTED = reason("granted", "The rule {rule} grants {action} here.", Acts.NOBODY)
NO_GRANT_FOR_BUCKET = reason("no-grant-for-bucket", "No rule gives you the bucket {bucket}.")
NO_GRANT_FOR_ACTION = reason(
    "no-grant-for-action", "You need {action} on {bucket}; your rules do not give it."
)
NO_GRANT_FOR_KEY = reason("no-grant-for-key", "No rule gives you {key} in {bucket}.")
DENIED_BY_RULE = reason("denied-by-rule", "The rule {rule} forbids {action} on {bucket}.")
NARROWED_AWAY = reason(
    "narrowed-away", "The key or link used is restricted and does not reach this far.", Acts.USER
)
CLAIM_UNUSABLE = reason("claim-unusable", "The grant needs the claim {claim}, which is {problem}.")
NEVER_ALLOWED = reason("never-allowed", "The gateway never passes {operation} on.", Acts.NOBODY)
OTHER_UPSTREAM = reason(
    "other-upstream", "The names lead to different upstreams or credentials; use a job to copy."
)

# Sign-in
LOGIN_STATE = reason(
    "login-state", "This sign-in took too long or began in another browser.", Acts.USER
)
LOGIN_PARAMETERS = reason("login-parameters", "The sign-in address is not complete.", Acts.USER)
LOGIN_ISSUER = reason("login-issuer", "The answer came from another identity provider.")
LOGIN_REFUSED = reason(
    "login-refused", "The identity provider did not sign you in ({error}).", Acts.USER
)
LOGIN_LOOP = reason("login-loop", "Signing in was tried too often in one minute.", Acts.USER)
LOGIN_TOO_BIG = reason(
    "login-too-big", "Your claims do not fit into a session; the largest are {claims}."
)
NO_ID_TOKEN = reason(
    "no-id-token",
    "The identity provider sent no ID token: the scope “openid” is missing.",
    Acts.OPERATOR,
)
TOKEN_REDEEM = reason(
    "token-redeem", "The identity provider did not accept the sign-in code.", Acts.OPERATOR
)
PROVIDER_AWAY = reason("provider-away", "The identity provider does not answer.", Acts.OPERATOR)
PROVIDER_ANSWER = reason(
    "provider-answer", "The identity provider's answer is not usable.", Acts.OPERATOR
)
PROVIDER_CLIENT = reason(
    "provider-client",
    "The identity provider does not accept this gateway's client id or secret.",
    Acts.OPERATOR,
)
UNKNOWN_PROVIDER = reason(
    "unknown-provider", "There is no identity provider of that name.", Acts.USER
)

# Tokens
TOKEN_MALFORMED = reason("token-malformed", "This is not a usable token.", Acts.USER)
TOKEN_ALGORITHM = reason("token-algorithm", "The token's algorithm is not accepted.")
TOKEN_KEY = reason("token-key", "The token's key is not one of the issuer's.")
TOKEN_SIGNATURE = reason("token-signature", "The token's signature is wrong.", Acts.USER)
TOKEN_ISSUER = reason("token-issuer", "The token's issuer is not configured.")
TOKEN_AUDIENCE = reason("token-audience", "The token was made for somebody else.")
TOKEN_EXPIRED = reason("token-expired", "The token has expired.", Acts.USER)
TOKEN_TIMES = reason("token-times", "The token's times are missing or not believable.")
TOKEN_SUBJECT = reason("token-subject", "The token names nobody.")
TOKEN_NONCE = reason("token-nonce", "The token belongs to another sign-in.", Acts.USER)
TOKEN_USE = reason("token-use", "The token is for another use.")
TOKEN_REVOKED = reason("token-revoked", "The sign-in behind this has ended.", Acts.USER)
GROUPS_OVERAGE = reason(
    "groups-overage", "You are in more groups than the provider puts into a token."
)

# Sessions
SESSION_ENDED = reason("session-ended", "Your session ended.", Acts.USER)
NOT_SIGNED_IN = reason("not-signed-in", "Nobody is signed in.", Acts.USER)
CROSS_SITE = reason(
    "cross-site", "The request did not come from a page of this gateway.", Acts.USER
)

# Behind us
STATE_AWAY = reason("state-away", "The state store does not answer.", Acts.OPERATOR)
UPSTREAM_AWAY = reason("upstream-away", "The storage does not answer.", Acts.OPERATOR)
UPSTREAM_CREDENTIALS = reason(
    "upstream-credentials", "Credentials for the storage could not be had.", Acts.OPERATOR
)
UPSTREAM_SIGNATURE = reason(
    "upstream-signature", "The storage did not accept the gateway's signature.", Acts.OPERATOR
)
CREDENTIALS_NEED_TOKEN = reason(
    "credentials-need-token",
    "This grant uses your own sign-in token at the storage, which this kind of key does not hold.",
)
CREDENTIALS_TOKEN_ENDED = reason(
    "credentials-token-ended",
    "The storage needs a newer sign-in token than yours; sign in again.",
    Acts.USER,
)
SCOPE_TOO_LARGE = reason(
    "scope-too-large", "The session policy for this grant does not fit what AWS allows."
)
TAG_UNUSABLE = reason("tag-unusable", "The session tag {tag} has a value that AWS does not take.")


class GatewayError(Exception):
    """Everything the gateway raises on purpose."""


class ReasonedError(GatewayError):
    """An error with a row of the table of reasons, and what its sentence needs."""

    def __init__(self, why: Reason, **detail: str) -> None:
        super().__init__(why.code)
        self.reason = why
        self.detail = detail

    @property
    def sentence(self) -> str:
        text = self.reason.sentence
        for name, value in self.detail.items():
            text = text.replace("{" + name + "}", value)
        return text


class LoginError(ReasonedError):
    """A sign-in failed through the browser or the provider."""


class TokenError(ReasonedError):
    """A token that was shown to us is not good. The reason is for the log, not for the bearer."""


class ProviderError(ReasonedError):
    """An identity provider is away or answers nonsense."""

    def __init__(self, why: Reason = PROVIDER_AWAY, /, **detail: str) -> None:
        super().__init__(why, **detail)


class UpstreamError(GatewayError):
    """Somebody behind us fails. `safe_to_resend` is true where no byte of the body had been taken."""

    status = 502
    code = "BadGateway"

    def __init__(self, message: str = "", *, why: Reason | None = None) -> None:
        super().__init__(message or (why.sentence if why else self.__class__.__name__))
        self.reason = why or UPSTREAM_AWAY


class UpstreamUnavailable(UpstreamError):
    """No connection, TLS failure, or no credentials to be had: 503."""

    status = 503
    code = "ServiceUnavailable"


class UpstreamTimeout(UpstreamError):
    """Silence: 504."""

    status = 504
    code = "GatewayTimeout"


class UpstreamProtocolError(UpstreamError):
    """An answer that breaks a rule of HTTP or of S3: 502."""


class StateError(GatewayError):
    """The state store does not answer; what needs it is 503."""


class ApiError(GatewayError):
    """A request to /api that cannot be served: becomes RFC 9457 problem+json."""

    def __init__(
        self, status: int, title: str, *, detail: str = "", code: str = "", retry_after: int = 0
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.code = code
        self.retry_after = retry_after


class ConfigError(GatewayError):
    """What is wrong in the operator's files: every Problem, whose text begins with its place."""

    def __init__(self, problems: Sequence[object]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
