"""
AWS Signature Version 4 for S3: the canonical request, the string to sign, the signature.

Every input is an argument: no clock, no network. Verifying and signing share these functions,
so the two directions cannot drift apart. Paths and queries come in encoded (the one encoder is
in `gateway.s3.request`): what is signed is what is sent.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable
from datetime import datetime
from operator import itemgetter
from typing import final
from urllib.parse import quote

from msgspec.json import Encoder

from gateway.caches import Cache
from gateway.identity import Credentials, Secret
from gateway.message import Headers, Pairs
from gateway.records import Record

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"

HEADER_LINE = "%s:%s\n".__mod__
"""A line of the canonical request from the pair (name, value)."""

_NAME = itemgetter(0)
_BLOCK = 64  # bytes of a block of SHA-256
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))

NEVER_SIGNED = frozenset(
    {
        "accept-encoding",
        "authorization",
        "baggage",
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)
"""SIG-23, FWD-2: what anything between two HTTP servers may add, drop or double."""

KEYS_MAX = 4096  # signing keys held: each is one credential on one day in one region
KEYS_SECONDS = 26 * 3600.0  # a scope lasts a day, and fifteen minutes of skew on both sides


@final
class SigningKey:
    """
    What one credential signs with on one day in one region.

    HMAC-SHA256 by RFC 2104, with the blocks that hold the key hashed once: each signature takes
    less than half of `hmac.digest`, which begins with the key every time.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, value: bytes) -> None:
        """`value` is the derived key: 32 bytes."""
        block = value.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def sign(self, text: str) -> str:
        """64 lower-case hex digits. Surrogates stand for bytes that are not UTF-8."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode("utf-8", "surrogateescape"))
        outer.update(inner.digest())
        return outer.hexdigest()

    def __repr__(self) -> str:
        return "SigningKey(***)"


class SigningKeys:
    """
    Signing keys that were derived before, for verifying and for signing (SIG-16).

    Date and region are a stranger's input, so whoever verifies looks with `find` and enters with
    `keep` only after a signature has matched. The secret is part of the key: a rotated secret
    never meets the key of the old one.
    """

    def __init__(self, name: str = "signing-keys", *, size: int = KEYS_MAX) -> None:
        self._cache: Cache[tuple[str, str, str, str, str], SigningKey] = Cache(
            name, size=size, seconds=KEYS_SECONDS
        )

    def find(
        self, key_id: str, secret: Secret, date: str, region: str, service: str
    ) -> SigningKey | None:
        return self._cache.get((key_id, secret.reveal(), date, region, service))

    def keep(
        self, key_id: str, secret: Secret, date: str, region: str, service: str, key: SigningKey
    ) -> None:
        self._cache.put((key_id, secret.reveal(), date, region, service), key)

    def of(self, credentials: Credentials, date: str, region: str, service: str) -> SigningKey:
        """The key for our own credentials: derived where it is not there yet, and kept."""
        entry = (credentials.access_key_id, credentials.secret.reveal(), date, region, service)
        key = self._cache.get(entry)
        if key is None:
            key = signing_key(entry[1], date, region, service)
            self._cache.put(entry, key)
        return key


class Signature(Record, frozen=True, kw_only=True):
    """A signed head, and what signing its chunks goes on from."""

    headers: Headers
    """All header fields to send, but those of framing."""
    amz_date: str = ""
    scope: str = ""
    signature: str = ""
    """The seed of chunk signatures; empty where the request goes unsigned, and no key then."""
    signing_key: SigningKey | None = None

    def __repr__(self) -> str:
        return f"Signature(scope={self.scope!r})"  # the key and the signature are secrets


def amz_date(moment: datetime) -> str:
    """ISO 8601 basic form, for `x-amz-date`; `moment` is in UTC."""
    # On the path of every request: an eighth of what strftime takes. b'"2026-01-02T03:04:05.678901Z"'
    return f"{_encode(moment)[1:20].translate(None, b'-:').decode()}Z"


_encode = Encoder().encode


def signing_key(secret: str, date: str, region: str, service: str) -> SigningKey:
    """The key derived for one day, region and service."""
    key = hmac.digest(b"AWS4" + secret.encode("utf-8", "surrogatepass"), date.encode(), "sha256")
    for part in (region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return SigningKey(key)


def canonical_value(value: str) -> str:
    """SIG-22: ends trimmed, inner runs of spaces made one; nothing else is touched."""
    value = value.strip(" \t")
    return " ".join([word for word in value.split(" ") if word]) if "  " in value else value


def canonical_headers(pairs: Collection[tuple[str, str]]) -> tuple[str, str]:
    """SignedHeaders, and the lines of the canonical request; repeats are joined by a comma."""
    ordered = sorted(pairs)
    lines = "".join(map(HEADER_LINE, ordered))
    if len(dict(ordered)) != len(ordered) or has_odd_blanks(lines):
        values: dict[str, str] = {}
        for name, value in pairs:
            value = canonical_value(value)
            values[name] = f"{values[name]},{value}" if name in values else value
        ordered = sorted(values.items())
        lines = "".join(map(HEADER_LINE, ordered))
    return ";".join(map(_NAME, ordered)), lines


def has_odd_blanks(lines: str) -> bool:
    """Some value of these header lines may not be canonical: blanks at its ends, or runs of them."""
    return "  " in lines or ": " in lines or " \n" in lines or "\t" in lines


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """The query from encoded pairs: sorted by name, then value (SIG-21)."""
    return "&".join([f"{name}={value}" for name, value in sorted(pairs)])


def canonical_request(
    method: str, path: str, query: str, header_lines: str, signed_headers: str, payload: str
) -> str:
    """The six parts, each already in canonical form."""
    return f"{method}\n{path}\n{query}\n{header_lines}\n{signed_headers}\n{payload}"


def string_to_sign(stamp: str, scope: str, canonical: str) -> str:
    # Header values may hold bytes that are not UTF-8: as surrogates they become those bytes again.
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}"


def sign(
    *,
    method: str,
    path: str,
    query: str,
    host: str,
    headers: Headers,
    credentials: Credentials,
    region: str,
    now: datetime,
    payload: str,
    keys: SigningKeys,
    service: str = "s3",
) -> Signature:
    """
    Signs a request head.

    Args:
        path, query: encoded, the query in canonical form: exactly what will be sent.
        headers: what else is sent; without host, date, session token and authorization. All of it
            is signed but `NEVER_SIGNED` (FWD-2).
        payload: the value of x-amz-content-sha256.
        credentials: ANONYMOUS leaves the request unsigned.

    """
    if credentials.anonymous:
        return Signature(headers=Headers(_unsigned(host, headers, payload)))

    stamp = amz_date(now)
    pairs = [("host", host), ("x-amz-date", stamp), ("x-amz-content-sha256", payload)]
    if credentials.session_token is not None:
        pairs.append(("x-amz-security-token", credentials.session_token.reveal()))
    pairs += headers.pairs
    signed = pairs
    if not NEVER_SIGNED.isdisjoint(headers.names()):
        signed = [pair for pair in pairs if pair[0] not in NEVER_SIGNED]
    names, lines = canonical_headers(signed)
    scope = f"{stamp[:8]}/{region}/{service}/{TERMINATOR}"
    key = keys.of(credentials, stamp[:8], region, service)
    canonical = canonical_request(method, path, query, lines, names, payload)
    made = key.sign(string_to_sign(stamp, scope, canonical))
    pairs.append(
        (
            "authorization",
            f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={made}",
        )
    )
    return Signature(
        headers=Headers(pairs), amz_date=stamp, scope=scope, signature=made, signing_key=key
    )


def _unsigned(host: str, headers: Headers, payload: str) -> Pairs:
    # A hash is a promise about the body that an upstream can hold us to without a signature;
    # the other tokens speak of signing only.
    promise = () if payload == UNSIGNED else (("x-amz-content-sha256", payload),)
    return (("host", host), *promise, *headers.pairs)


def presign(
    *,
    method: str,
    path: str,
    query: str,
    host: str,
    credentials: Credentials,
    region: str,
    now: datetime,
    expires: int,
    keys: SigningKeys,
    headers: Headers | None = None,
) -> str:
    """
    The query of a presigned URL, valid for `expires` seconds.

    Args:
        query: encoded; its pairs are signed with the rest.
        headers: fields that whoever uses the URL must send with these values.

    """
    if credentials.anonymous:
        return query
    stamp = amz_date(now)
    scope = f"{stamp[:8]}/{region}/s3/{TERMINATOR}"
    names, lines = canonical_headers([("host", host), *(headers or Headers()).pairs])
    pairs = [_split(piece) for piece in query.split("&") if piece]
    pairs += [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", quote(f"{credentials.access_key_id}/{scope}", safe="")),
        ("X-Amz-Date", stamp),
        ("X-Amz-Expires", str(expires)),
        ("X-Amz-SignedHeaders", quote(names, safe="")),
    ]
    if credentials.session_token is not None:
        token = quote(credentials.session_token.reveal(), safe="")
        pairs.append(("X-Amz-Security-Token", token))
    full = canonical_query(pairs)
    key = keys.of(credentials, stamp[:8], region, "s3")
    canonical = canonical_request(method, path, full, lines, names, UNSIGNED)
    return f"{full}&X-Amz-Signature={key.sign(string_to_sign(stamp, scope, canonical))}"


def _split(piece: str) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    return name, value
