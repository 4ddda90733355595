"""
Is a signature genuine, fresh, complete and for us?

What was claimed is judged with the secret of the claimed key id: time, client token, what must be
signed, and last the signature, in constant time. What a proxy may have changed between the client
and us is tried in a fixed, short order of candidates, the common case first, so that a good
request costs one HMAC. All candidates of one request say the same thing, so none widens anything.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import product
from urllib.parse import quote

from gateway.identity import Secret
from gateway.message import Headers, RequestHead, by_names
from gateway.records import Record
from gateway.s3 import errors
from gateway.s3.errors import S3Error
from gateway.s3.names import decode, encode_path, encode_query
from gateway.s3.request import S3Request
from gateway.sigv4.claims import Claimed, claimed
from gateway.sigv4.sign import (
    EMPTY_HASH,
    HEADER_LINE,
    UNSIGNED,
    SigningKey,
    SigningKeys,
    canonical_request,
    canonical_value,
    has_odd_blanks,
    signing_key,
    string_to_sign,
)
from gateway.sigv4.tokens import read_token

__all__ = ["Claimed", "Seal", "claimed", "verify"]

MAX_SKEW = timedelta(minutes=15)  # S3 answers RequestTimeTooSkewed beyond it

_NOBODY = Secret("no secret of anybody: work for a key id that is not known")
_SPACES = re.compile(r"\s+")


class Seal(Record, frozen=True, kw_only=True):
    """What a verified signature covers of the body, and what chunk signatures go on from."""

    hidden = ("seed", "signing_key")

    token: str
    """The client token; where none was sent, what its absence stands for."""
    when: str
    """The date of the string to sign, ISO basic."""
    scope: str
    seed: str
    signing_key: SigningKey
    presigned: bool = False


def verify(
    c: Claimed,
    head: RequestHead,
    request: S3Request,
    secret: Secret | None,
    *,
    now: datetime,
    keys: SigningKeys,
    public_authority: str = "",
    body_hash: str | None = None,
) -> Seal:
    """
    Believes a claim, or raises S3Error with S3's code for what is wrong with it.

    Args:
        secret: of the claimed key id; None where nobody has it, which costs the same work (SIG-10).
        public_authority: of `server.public_url`, which clients may have signed as their host (SIG-5).
        body_hash: SHA-256 of the form, for STS, where it is the payload line (STS-5).

    """
    _fresh(c, now)
    token, lines = _payload(c, head, body_hash)
    if secret is not None:
        _complete(c, head)

    form = _Form(c, head, request)
    key = believed(c, secret, keys, lambda key: _candidates(c, form, key, lines, public_authority))
    if key is None or form.missing:
        raise _mismatch(c, form, lines[0])
    return Seal(
        token=token,
        when=c.stamp,
        scope=c.signer.scope,
        seed=c.signature,
        signing_key=key,
        presigned=c.presigned,
    )


def believed(
    c: Claimed,
    secret: Secret | None,
    keys: SigningKeys,
    candidates: Callable[[SigningKey], Iterable[str]],
) -> SigningKey | None:
    """
    The signing key, where one of the signatures that `candidates` makes with it is the one claimed.

    None where none is. Raises S3Error (InvalidAccessKeyId) without a secret, after the same work
    as for a wrong one: with the key at hand or not, a refusal costs one derivation (SIG-10).
    """
    owner = secret or _NOBODY
    signer = c.signer
    place = (signer.date, signer.region, signer.service)
    known = keys.find(signer.key_id, owner, *place)
    key = known or signing_key(owner.reveal(), *place)
    matched = False
    for made in candidates(key):
        if hmac.compare_digest(made, c.signature):  # SIG-9
            matched = True
            break
    if matched and secret is not None:
        if known is None:
            keys.keep(signer.key_id, secret, *place, key)
        return key
    if known is not None:
        signing_key(_NOBODY.reveal(), *place)
    if secret is None:
        raise S3Error(errors.INVALID_ACCESS_KEY_ID, AWSAccessKeyId=signer.key_id)
    return None


# --- time -----------------------------------------------------------------------------------


def _fresh(c: Claimed, now: datetime) -> None:
    if c.expires is not None:
        _alive(c, now, c.expires)
    elif abs(now - c.when) > MAX_SKEW:  # SIG-6
        raise S3Error(
            errors.REQUEST_TIME_TOO_SKEWED,
            RequestTime=c.stamp,
            ServerTime=_iso(now),
            MaxAllowedSkewMilliseconds=str(MAX_SKEW // timedelta(milliseconds=1)),
        )


def _alive(c: Claimed, now: datetime, seconds: int) -> None:
    """PRE-3: a bound on both sides; a link made for next year would outlive its seven days."""
    if now < c.when - MAX_SKEW:
        raise S3Error(
            errors.ACCESS_DENIED,
            "Request is not valid yet",
            XAmzDate=c.stamp,
            ServerTime=_iso(now),
        )
    end = c.when + timedelta(seconds=seconds)
    if now > end:
        raise S3Error(
            errors.ACCESS_DENIED, "Request has expired", Expires=_iso(end), ServerTime=_iso(now)
        )


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


# --- the payload line -----------------------------------------------------------------------


def _payload(c: Claimed, head: RequestHead, body_hash: str | None) -> tuple[str, tuple[str, ...]]:
    """The client token, and the payload lines that the client may have signed."""
    if c.signer.service != "s3":
        return _form_hash(c, body_hash or EMPTY_HASH)
    if c.payload is None:
        if c.presigned:
            return UNSIGNED, (UNSIGNED,)
        _without_body(head.headers)
        return EMPTY_HASH, (EMPTY_HASH,)
    token = read_token(c.payload)
    if not c.presigned:
        return token.text, (token.text,)
    if token.framed:  # PRE-5: the frames would be stored as the object
        raise S3Error(
            errors.INVALID_ARGUMENT,
            "A presigned URL cannot be used with a STREAMING- payload.",
            argument_name="x-amz-content-sha256",
            argument_value=token.text,
        )
    # PRE-5: SDKs that pin a hash sign it as the payload line, or UNSIGNED-PAYLOAD and the pin beside.
    return token.text, (UNSIGNED, token.text) if token.hashed else (UNSIGNED,)


def _form_hash(c: Claimed, body_hash: str) -> tuple[str, tuple[str, ...]]:
    """STS-5: the hash of the form; the header may be absent, but may not say otherwise."""
    if c.payload is not None and c.payload.lower() != body_hash:
        raise S3Error(
            errors.CONTENT_SHA256_MISMATCH,
            ClientComputedContentSHA256=c.payload,
            S3ComputedContentSHA256=body_hash,
        )
    return body_hash, (body_hash,)


def _without_body(headers: Headers) -> None:
    """SIG-19: curl 7.88 signs the empty hash although it uploads."""
    if (headers.get("content-length") or "").strip("0") or "transfer-encoding" in headers:
        raise S3Error(
            errors.INVALID_REQUEST,
            "Missing required header for this request: x-amz-content-sha256",
        )


# --- what must be signed --------------------------------------------------------------------


def _complete(c: Claimed, head: RequestHead) -> None:
    """SIG-3, PRE-7: or anyone on the path, or the holder of a link, adds an x-amz-acl."""
    unsigned = _unsigned(head.headers, c.signer.signed_headers)
    if unsigned and head.trusted:  # CloudFront adds it on the way
        unsigned = tuple(name for name in unsigned if name != "x-amz-cf-id")
    if unsigned:
        raise S3Error(
            errors.ACCESS_DENIED,
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(unsigned),
        )


@by_names
def _unsigned(names: str, signed: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the names, a line each, that must be signed and are not."""
    present = [n for n in names.split("\n") if n[:6] == "x-amz-" and n not in signed]
    return tuple(present if "host" in signed else [*present, "host"])


# --- the signature --------------------------------------------------------------------------


class _Form:
    """The canonical request of what was received, but for what has several candidates."""

    __slots__ = ("after", "before", "head", "missing", "names", "query", "request")

    def __init__(self, c: Claimed, head: RequestHead, request: S3Request) -> None:
        self.head = head
        self.request = request
        signer, headers = c.signer, head.headers
        self.names = signer.names
        self.query = encode_query(_covered(request)) if request.query else ""
        signed = signer.signed_headers
        values = list(map(self._doubled if headers.doubled else headers.get, signed))
        self.missing: list[str] = []
        if None in values:
            self.missing = [
                name for name, value in zip(signed, values, strict=True) if value is None
            ]
            values = [value or "" for value in values]
        lines = list(map(HEADER_LINE, zip(signed, values, strict=True)))
        if has_odd_blanks("".join(lines)):
            trimmed = [canonical_value(value or "") for value in values]
            lines = list(map(HEADER_LINE, zip(signed, trimmed, strict=True)))
        self.before = "".join(lines[: signer.before_host])
        self.after = "".join(lines[signer.after_host :])

    def _doubled(self, name: str) -> str | None:
        values = self.head.headers.all(name)
        return ",".join([canonical_value(value) for value in values]) if values else None

    def canonical(self, path: str, host: str, payload: str, *, folded: bool = False) -> str:
        lines = f"{self.before}host:{host}\n{self.after}"
        if folded:
            lines = _fold(lines)
        return canonical_request(self.head.method, path, self.query, lines, self.names, payload)


def _covered(request: S3Request) -> Iterator[tuple[str, str]]:
    """PRE-4: every parameter but the signature itself, those unknown to us too."""
    return (pair for pair in request.query if pair[0] != "X-Amz-Signature")


def _fold(lines: str) -> str:
    return "".join([_SPACES.sub(" ", line).rstrip() + "\n" for line in lines.split("\n")[:-1]])


def _candidates(
    c: Claimed, form: _Form, key: SigningKey, payloads: tuple[str, ...], public_authority: str
) -> Iterator[str]:
    """The signatures that would do, in turn; the first is what nearly all clients sign."""
    scope = c.signer.scope
    paths = _paths(form.request.raw_path)
    canonical = form.canonical(paths[0], _host(form.head), payloads[0])
    yield key.sign(string_to_sign(c.stamp, scope, canonical))

    tabs = "\t" in form.before or "\t" in form.after
    # SIG-22: of white space that is no space, botocore and aws-sdk-js make one space, Go does not.
    foldings = (False, True) if tabs else (False,)
    hosts = _hosts(form.head, public_authority)
    others = product(paths, hosts, payloads, foldings)
    next(others)  # is the one above
    for path, host, payload, folded in others:
        canonical = form.canonical(path, host, payload, folded=folded)
        yield key.sign(string_to_sign(c.stamp, scope, canonical))


def _paths(raw_path: str) -> tuple[str, ...]:
    """SIG-4: decoded once and encoded again; else as spelt. Both decode to one key."""
    encoded = encode_path(decode(raw_path))
    return (encoded,) if encoded == raw_path else (encoded, raw_path)


def _host(head: RequestHead) -> str:
    return (head.headers.get("host") or "").strip()


def _hosts(head: RequestHead, public_authority: str) -> list[str]:
    """SIG-5: as received; behind a trusted proxy what it says; each with and without the port."""
    names = [_host(head)]
    if head.trusted:
        names += [name for name in (head.forwarded_host, public_authority) if name]
    port = ":443" if head.secure else ":80"
    hosts: dict[str, None] = {}
    for name in names:
        hosts[name] = None
        if name.endswith(port):
            hosts[name.removesuffix(port)] = None
        elif name.endswith("]") or ":" not in name:
            hosts[name + port] = None
    return list(hosts)


# --- what is said of a mismatch -------------------------------------------------------------


def _mismatch(c: Claimed, form: _Form, payload: str) -> S3Error:
    """SIG-10: what the caller's own request looked like here, and what of it did not arrive."""
    path = _paths(form.request.raw_path)[0]
    canonical = form.canonical(path, _host(form.head), payload)
    message = errors.SIGNATURE_DOES_NOT_MATCH.message
    if form.missing:
        message += f" These signed headers did not arrive: {', '.join(form.missing)}."
    return S3Error(
        errors.SIGNATURE_DOES_NOT_MATCH,
        message,
        AWSAccessKeyId=c.key_id,
        StringToSign=string_to_sign(c.stamp, c.signer.scope, canonical),
        SignatureProvided=c.signature,
        CanonicalRequest=_masked(canonical, c.session_token),
    )


def _masked(canonical: str, token: Secret | None) -> str:
    if not token:
        return canonical
    text = token.reveal()
    return canonical.replace(
        f"X-Amz-Security-Token={quote(text, safe='-_.~')}", "X-Amz-Security-Token=***"
    ).replace(f"x-amz-security-token:{canonical_value(text)}", "x-amz-security-token:***")
