"""Requests, upstreams and answers for tests of the rewriting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from gateway.message import Answer, BytesBody, Headers, IterBody, Pairs, RequestHead, ResponseHead
from gateway.s3.hosts import Hosts
from gateway.s3.mapping import Upstream, View
from gateway.s3.operations import resolve
from gateway.s3.request import S3Request, parse

HOSTS = Hosts(path_style=frozenset({"gw.example.com"}))
PREFIX = "users/alice/"


def upstream(**fields: Any) -> Upstream:
    return Upstream(
        **{
            "name": "aws",
            "scheme": "http",
            "host": "s3.upstream.example",
            "port": 9000,
            "authority": "s3.upstream.example:9000",
            "region": "us-east-1",
            "bucket": "acme-home",
            "prefix": PREFIX,
            **fields,
        }
    )


PREFIXED = upstream()
PLAIN = upstream(prefix="")
SAME = upstream(bucket="home", prefix="")


def ask(method: str, target: str, *headers: tuple[str, str]) -> S3Request:
    pairs = [("host", "gw.example.com"), *headers]
    return parse(RequestHead(method=method, target=target, headers=Headers(pairs)), HOSTS)


def view(request: S3Request, to: Upstream = PREFIXED, **more: Any) -> View:
    return View(
        request=request,
        operation=resolve(request),
        upstream=to,
        request_id="ours",
        public_url="https://gw.example.com",
        **more,
    )


def answer(data: bytes | str = b"", status: int = 200, headers: Pairs = ()) -> Answer:
    body = BytesBody(data.encode() if isinstance(data, str) else data)
    return Answer(head=ResponseHead(status=status, headers=Headers(headers)), body=body)


def slowly(parts: Iterable[bytes]) -> Answer:
    """An answer without a length, that comes in these parts."""

    async def give() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return Answer(head=ResponseHead(status=200), body=IterBody(give()))


async def text(given: Answer) -> str:
    return (await given.body.read(1 << 24)).decode("utf-8", "surrogatepass")
