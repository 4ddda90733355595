"""A client that signs, for tests of the side that verifies; what it sends can be spoilt on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from gateway.identity import Credentials, Secret
from gateway.message import Headers, RequestHead
from gateway.records import replace
from gateway.s3.hosts import Hosts
from gateway.s3.request import S3Request, encode_query, parse
from gateway.sigv4.sign import EMPTY_HASH, Signature, SigningKeys, presign, sign
from gateway.sigv4.verify import Seal, claimed, verify

NOW = datetime(2026, 11, 24, 20, 15, 3, tzinfo=UTC)
ALICE = Credentials(access_key_id="GWPALICE", secret=Secret("alice's secret"))
GUEST = Credentials(
    access_key_id="GWTGUEST",
    secret=Secret("guest's secret"),
    session_token=Secret("sealed/to+ken=="),
)


def encode(text: str, safe: str = "") -> str:
    return quote(text, safe=safe + "-_.~")


@dataclass(frozen=True, kw_only=True)
class Client:
    """Signs heads as an SDK does."""

    credentials: Credentials = ALICE
    region: str = "us-east-1"
    service: str = "s3"
    host: str = "s3.example.com"
    now: datetime = NOW

    def signature(
        self,
        method: str = "GET",
        path: str = "/bucket/key",
        query: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
        payload: str = EMPTY_HASH,
    ) -> Signature:
        return sign(
            method=method,
            path=path,
            query=encode_query(query),
            host=self.host,
            headers=Headers(headers),
            credentials=self.credentials,
            region=self.region,
            now=self.now,
            payload=payload,
            keys=SigningKeys(),
            service=self.service,
        )

    def head(
        self,
        method: str = "GET",
        path: str = "/bucket/key",
        query: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
        payload: str = EMPTY_HASH,
    ) -> RequestHead:
        signed = self.signature(method, path, query, headers, payload)
        target = f"{path}?{encode_query(query)}" if query else path
        return RequestHead(method=method, target=target, headers=signed.headers)

    def link(
        self,
        method: str = "GET",
        path: str = "/bucket/key",
        query: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
        expires: int = 900,
    ) -> RequestHead:
        """A presigned request, with the headers that its link asks for."""
        made = presign(
            method=method,
            path=path,
            query=encode_query(query),
            host=self.host,
            credentials=self.credentials,
            region=self.region,
            now=self.now,
            expires=expires,
            keys=SigningKeys(),
            headers=Headers(headers),
        )
        return RequestHead(
            method=method,
            target=f"{path}?{made}",
            headers=Headers([("host", self.host), *headers]),
        )


def plus(head: RequestHead, *pairs: tuple[str, str]) -> RequestHead:
    """With further header fields, which nobody signed."""
    return replace(head, headers=Headers([*head.headers, *pairs]))


def instead(head: RequestHead, name: str, value: str | None) -> RequestHead:
    """With another value of a field, or without it."""
    pairs = [pair for pair in head.headers if pair[0] != name]
    return replace(head, headers=Headers(pairs if value is None else [*pairs, (name, value)]))


def aimed(head: RequestHead, old: str, new: str) -> RequestHead:
    """With the target spelt otherwise."""
    assert old in head.target
    return replace(head, target=head.target.replace(old, new))


def accept(
    head: RequestHead,
    secret: Secret | None = ALICE.secret,
    *,
    now: datetime = NOW,
    keys: SigningKeys | None = None,
    service: str = "s3",
    body_hash: str | None = None,
    public_authority: str = "",
) -> Seal:
    """What the gateway does with a head that somebody signed."""
    request: S3Request = parse(head, Hosts())
    claim = claimed(head, request, service=service)
    assert claim is not None
    return verify(
        claim,
        head,
        request,
        secret,
        now=now,
        keys=keys or SigningKeys(),
        public_authority=public_authority,
        body_hash=body_hash,
    )
