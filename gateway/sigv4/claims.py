"""
The proof that a request offers by AWS Signature Version 4, taken apart: header or query.

Reading is apart from believing: what is claimed here is judged in `verify`, with the secret of
the key id that is claimed. "Not mine" is None; "mine, and wrong" raises, so that a proof that is
there and broken is never followed by a weaker one (SIG-25).

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import final

from gateway.identity import Secret
from gateway.message import Headers, Pairs, RequestHead
from gateway.records import Record
from gateway.s3 import errors
from gateway.s3.errors import Row, S3Error
from gateway.s3.request import (
    CHOOSE_QUERY,
    OLD_PARAMETERS,
    SIGNATURE_PARAMETERS,
    S3Request,
    other_version,
)
from gateway.sigv4.sign import ALGORITHM, TERMINATOR, amz_date

LIFE_MAX = 604800  # seconds of a presigned URL: seven days, as S3
FRONT_MAX = 1024  # characters of an Authorization header, but its signature, that are remembered
ISO_LENGTH = 16
FRONTS = 2048  # such headers remembered: each is a client's for a day

_HEADER = errors.AUTHORIZATION_HEADER_MALFORMED
_QUERY = errors.AUTHORIZATION_QUERY_PARAMETERS_ERROR
_OPENINGS = {
    _HEADER.code: "The authorization header is malformed; ",
    _QUERY.code: "Error parsing the X-Amz-Credential parameter; ",
}

_TOKEN_PARAMETER = "X-Amz-Security-Token"  # noqa: S105 # the parameter's name
_REQUIRED = tuple(name for name in SIGNATURE_PARAMETERS.values() if name != _TOKEN_PARAMETER)

_SIGNATURE_PART = "Signature="

_ISO = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_DATE = re.compile(r"[0-9]{8}")
_REGION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_EXPIRES_DIGITS = 7  # one more than a life has: beyond it every number is too large
_EXPIRES = re.compile(r"[0-9]+")  # ASCII: int() alone takes "+5", "1_0" and other digits


@final
@dataclass(frozen=True, slots=True)
class Signer:
    """Whose key is said to have signed, for which day and place, and which headers."""

    key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    names: str = field(init=False, compare=False)
    """SignedHeaders as it stands in the canonical request."""
    scope: str = field(init=False, compare=False)
    before_host: int = field(init=False, compare=False)
    """How many of the signed headers come before `host`."""
    after_host: int = field(init=False, compare=False)
    """Where those begin that come after it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", ";".join(self.signed_headers))
        before = bisect_left(self.signed_headers, "host")
        object.__setattr__(self, "before_host", before)
        object.__setattr__(self, "after_host", before + self.signed_headers[before:].count("host"))
        scope = f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"
        object.__setattr__(self, "scope", scope)


class Claimed(Record, frozen=True, kw_only=True):
    """What a request says of itself. Nothing of it is believed yet."""

    hidden = ("signature",)

    signer: Signer
    signature: str
    when: datetime
    stamp: str
    """`when` in ISO basic form, as it stands in the string to sign."""
    session_token: Secret | None = None
    payload: str | None = None
    """The client token, as received; None where there is none."""
    presigned: bool = False
    expires: int | None = None
    """Seconds that a presigned URL is valid."""

    @property
    def key_id(self) -> str:
        return self.signer.key_id


def claimed(head: RequestHead, request: S3Request, *, service: str = "s3") -> Claimed | None:
    """
    The SigV4 proof that a request offers; None where it offers none.

    Raises S3Error where it offers a broken one, two of them, or one of another version. Fields
    that may come only once are single already: `s3.request.parse` saw to it (SIG-20).
    """
    authorization = head.headers.get("authorization")
    if request.query and _chooses_query(request.query):
        if authorization is not None:  # SIG-2
            raise S3Error(
                errors.INVALID_REQUEST,
                "Only one proof is allowed: a signature in the query, or an Authorization header.",
            )
        return _from_query(head, request, service)
    if authorization is None or authorization[:3].upper() != "AWS":
        return None
    return _from_header(head, authorization, request, service)


def _chooses_query(query: Pairs) -> bool:
    """SIG-12: by what was chosen, in any case, not by what a later check finds. SIG-14: not SigV2."""
    names = {name.lower() for name, _ in query}
    if names & OLD_PARAMETERS:
        raise other_version()
    return not names.isdisjoint(CHOOSE_QUERY)


# --- the Authorization header ---------------------------------------------------------------


def _from_header(
    head: RequestHead, authorization: str, request: S3Request, service: str
) -> Claimed:
    # A client's headers differ in their ends alone: what stands before is taken apart once a day.
    front, _, given = authorization.rpartition(_SIGNATURE_PART)
    if not front or "," in given or len(front) > FRONT_MAX:
        signer, given = _signer(authorization, service)
    else:
        signer, _ = _same_signer(front + _SIGNATURE_PART, service)
    when, stamp = _header_date(head.headers)
    same_day(signer.date, stamp, _HEADER)
    token = head.headers.get("x-amz-security-token")
    return Claimed(
        signer=signer,
        signature=hex_signature(given, _HEADER),
        when=when,
        stamp=stamp,
        session_token=None if token is None else Secret(token),
        payload=request.headers.get("x-amz-content-sha256"),
    )


def _signer(authorization: str, service: str) -> tuple[Signer, str]:
    """Who signed by the header, and the part Signature, not looked at yet. Raises S3Error."""
    scheme, _, rest = authorization.partition(" ")
    if scheme != ALGORITHM:  # SIG-14
        raise other_version()
    parts = _parts(rest)
    key_id, date, region = scope_of(parts["Credential"], service, _HEADER)
    signed = _signed_headers(parts["SignedHeaders"], _HEADER)
    return Signer(key_id, date, region, service, signed), parts["Signature"]


_same_signer = lru_cache(maxsize=FRONTS)(_signer)


def _parts(text: str) -> dict[str, str]:
    """SIG-18: three parts, each once, in any order, comma with or without a space."""
    pieces = [piece.strip(" \t") for piece in text.split(",")]
    if len(pieces) != 3:
        raise _malformed(
            _HEADER,
            "the authorization header requires three components: Credential, SignedHeaders, and "
            "Signature.",
        )
    parts = dict[str, str]()
    for piece in pieces:
        name, equals, value = piece.partition("=")
        if not equals:
            raise _malformed(_HEADER, f'the authorization component "{piece}" is malformed.')
        parts[name] = value
    for name in ("Credential", "SignedHeaders", "Signature"):
        if name not in parts:
            raise _malformed(_HEADER, f"missing {name}.")
    return parts


def _header_date(headers: Headers) -> tuple[datetime, str]:
    """SIG-6: x-amz-date, else Date, which some write by RFC 1123; and the same in ISO basic."""
    own = headers.get("x-amz-date")
    text = (headers.get("date") or "") if own is None else own
    when = iso_moment(text)
    if when is not None:
        return when, text
    when = _rfc1123(text) if own is None else None
    if when is None:
        raise S3Error(
            errors.ACCESS_DENIED,
            "AWS authentication requires a valid Date or x-amz-date header.",
        )
    return when, amz_date(when)


def _rfc1123(text: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return None if when.tzinfo is None else when.astimezone(UTC)


# --- the query ------------------------------------------------------------------------------


def _from_query(head: RequestHead, request: S3Request, service: str) -> Claimed:
    values = _parameters(request.query)
    if values["X-Amz-Algorithm"] != ALGORITHM:
        if values["X-Amz-Algorithm"].startswith("AWS4-"):
            raise other_version()
        raise _broken("X-Amz-Algorithm", f"must be {ALGORITHM}")
    key_id, date, region = scope_of(values["X-Amz-Credential"], service, _QUERY)
    when = iso_moment(values["X-Amz-Date"])
    if when is None:
        raise _broken("X-Amz-Date", "must be in the ISO 8601 basic form yyyyMMddTHHmmssZ")
    same_day(date, values["X-Amz-Date"], _QUERY)
    if "x-amz-security-token" in head.headers and _TOKEN_PARAMETER in values:  # SIG-13
        raise S3Error(errors.INVALID_TOKEN, "The session token is there twice.")
    token = values.get(_TOKEN_PARAMETER, head.headers.get("x-amz-security-token"))
    signed = _signed_headers(values["X-Amz-SignedHeaders"], _QUERY)
    return Claimed(
        signer=Signer(key_id, date, region, service, signed),
        signature=hex_signature(values["X-Amz-Signature"], _QUERY),
        when=when,
        stamp=values["X-Amz-Date"],
        session_token=None if token is None else Secret(token),
        payload=request.headers.get("x-amz-content-sha256"),
        presigned=True,
        expires=_life(values["X-Amz-Expires"]),
    )


def _parameters(query: Pairs) -> dict[str, str]:
    """PRE-1: each parameter of the signature exactly once, and spelt exactly so."""
    values: dict[str, str] = {}
    for name, value in query:
        proper = SIGNATURE_PARAMETERS.get(name.lower())
        if proper is None:
            continue
        if name != proper:
            raise _broken(proper, f"is spelt {name!r}")
        if name in values:
            raise _broken(name, "is there twice")
        values[name] = value
    if any(name not in values for name in _REQUIRED):
        raise S3Error(
            _QUERY,
            "Query-string authentication version 4 requires the X-Amz-Algorithm, "
            "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
            "X-Amz-Expires parameters.",
        )
    return values


def _life(text: str) -> int:
    """PRE-2: ASCII digits, from one second to seven days."""
    if not _EXPIRES.fullmatch(text):
        negative = text[:1] == "-" and _EXPIRES.fullmatch(text[1:])
        raise S3Error(
            _QUERY, f"X-Amz-Expires {'must be non-negative' if negative else 'should be a number'}"
        )
    seconds = int(text[:_EXPIRES_DIGITS])
    if seconds == 0:
        raise S3Error(_QUERY, "X-Amz-Expires must be at least one second")
    if seconds > LIFE_MAX:
        raise S3Error(
            _QUERY,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given "
            f"X-Amz-Expires must be less than {LIFE_MAX} seconds",
        )
    return seconds


def _broken(name: str, what: str) -> S3Error:
    return S3Error(_QUERY, f"The query parameter {name} {what}.")


# --- what both hold -------------------------------------------------------------------------


def scope_of(text: str, service: str, malformed: Row) -> tuple[str, str, str]:
    """Key id, date, region. Split from the right: an id may hold a slash (SIG-18)."""
    pieces = text.rsplit("/", 4)
    if len(pieces) != 5 or not pieces[0]:
        raise _malformed(
            malformed,
            "the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        )
    key_id, date, region, named, terminator = pieces
    if terminator != TERMINATOR:
        raise _malformed(
            malformed, f'incorrect terminal "{terminator}". This endpoint uses "{TERMINATOR}".'
        )
    if named != service:
        raise _malformed(
            malformed, f'incorrect service "{named}". This endpoint belongs to "{service}".'
        )
    if not _REGION.fullmatch(region):
        raise _malformed(malformed, "the region is not a name.")
    if not _DATE.fullmatch(date):
        raise _malformed(
            malformed,
            f'incorrect date format "{date}". This date in the credential must be in the format '
            '"yyyyMMdd".',
        )
    return key_id, date, region


def _malformed(row: Row, what: str) -> S3Error:
    """In the sentences of S3, which open otherwise for each place that a credential stands in."""
    return S3Error(row, _OPENINGS.get(row.code, "") + what)


def _signed_headers(text: str, malformed: Row) -> tuple[str, ...]:
    """SIG-18: lower case, sorted, without repeats."""
    names = text.split(";")
    if text != text.lower() or "" in names or names != sorted(set(names)):
        raise S3Error(malformed, "SignedHeaders must be lower-case names, sorted, each once.")
    return tuple(names)


def hex_signature(text: str, malformed: Row) -> str:
    """SIG-9: any other shape is refused before an HMAC."""
    if not _SIGNATURE.fullmatch(text):
        raise S3Error(malformed, "The signature must be 64 lower-case hexadecimal digits.")
    return text


def same_day(date: str, stamp: str, malformed: Row) -> None:
    """SIG-6: a key is derived for a day, and no older key may sign a newer request."""
    day = stamp[:8]
    if date != day:
        raise S3Error(
            malformed,
            f'Invalid credential date "{date}". This date is not the same as X-Amz-Date: "{day}".',
        )


def iso_moment(text: str) -> datetime | None:
    """The moment that ISO 8601's basic form names; None for any other text."""
    return _moment(text) if len(text) == ISO_LENGTH else None


@lru_cache(maxsize=1024)  # the requests of a second share their text
def _moment(text: str) -> datetime | None:
    if not _ISO.fullmatch(text):
        return None
    try:
        return datetime(
            int(text[:4]),
            int(text[4:6]),
            int(text[6:8]),
            int(text[9:11]),
            int(text[11:13]),
            int(text[13:15]),
            tzinfo=UTC,
        )
    except ValueError:
        return None
