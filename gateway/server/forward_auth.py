"""
`GET /api/session/check`: may the request that a proxy describes be done?

nginx (auth_request), Traefik (ForwardAuth) and Caddy (forward_auth) describe it in headers, Envoy
(ext_authz) by asking for the same path below this one with the same method. The described head is
built and judged by the first half of the one pipeline. The answer is 200, 401 or 403 and nothing
else (PRX-5), because nginx makes 500 of any other; what cannot be read is 403 (PRX-6).

Where one object is asked for, and a signed head is all that is needed to fetch or store it, that head is
answered too: the proxy moves the bytes, and neither they nor the client ever see our credentials'
secret. It serves for that method, that key and the upstream's clock skew, so it goes to trusted
proxies only and is never cached (PRX-11).

With `?for=storage` the proxy asks whether it may move the bytes itself: 403 also where only the gateway
can carry the request, so that 200 always comes with a signed head.

With `?for=application` the described request is one to somebody's own application behind the proxy,
which knows no S3: who is signed in passes, and `groups=a,b` asks for one of these groups.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, quote

from aiohttp import web

from gateway.errors import GatewayError, TokenError
from gateway.identity import Identity, Proof
from gateway.message import NO_BODY, Body, Headers, RequestHead
from gateway.records import replace
from gateway.s3 import errors as s3
from gateway.s3.errors import AccessDenied, S3Error
from gateway.server.browser import check_destination
from gateway.server.exchange import Exchange, exchange_of
from gateway.server.routes import Route, Who

if TYPE_CHECKING:
    from gateway.s3.rewrite import Upstream
    from gateway.server.authenticate import Authenticator
    from gateway.server.pipeline import Ruling
    from gateway.upstream import Outbound

log = logging.getLogger("gateway.server")

PATH = "/api/session/check"
TARGET_MAX = 32 * 1024  # bytes of a described URI: the longest line the listener itself takes
VALUE_MAX = 8 * 1024  # bytes of one X-Auth-* header; nginx's `proxy_buffer_size` must hold them all
MOVABLE = frozenset({"GetObject", "HeadObject", "PutObject", "UploadPart", "DeleteObject"})
"""Operations on one object whose bodies pass unread: what a proxy may carry with a signed head alone."""

_METHOD = re.compile(r"[A-Z]{3,16}")
_PLAIN = "!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~ "
"""Printable ASCII that stands for itself in X-Auth-*: all but the comma between groups and `%`."""

_SEPARATELY = frozenset(
    {"host", "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
)
"""Headers that the proxy sets from our answer; all others it passes on as the client sent them."""


class Judges(Protocol):
    """The first half of the pipeline, and a signed head that is not sent."""

    async def judge(self, head: RequestHead, body: Body, ex: Exchange) -> Ruling: ...

    async def signed(self, ruling: Ruling, ex: Exchange) -> tuple[Outbound, Upstream]: ...


class Refused(Exception):
    """The answer, where it is no."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class ForwardAuth:
    """The check."""

    def __init__(self, *, pipeline: Judges, authenticate: Authenticator) -> None:
        self._pipeline = pipeline
        self._authenticate = authenticate

    async def check(self, request: web.BaseRequest) -> web.StreamResponse:
        """The route's handler, for every method."""
        ex = exchange_of(request)
        ex.event.note("check")
        head: RequestHead = request.head  # type: ignore[attr-defined] # our own Request has it
        try:
            headers = await self._answer(head, ex)
        except Refused as no:
            ex.event.note(no.why)
            return _refusal(no.status)
        except Exception as error:  # POL-1: whatever went wrong, the answer is no
            code = getattr(error, "code", type(error).__name__)
            ex.event.refused(str(code), getattr(error, "reason", None))
            if not isinstance(error, GatewayError):
                log.exception("a check failed", extra={"request_id": ex.request_id})
            return _refusal(status_of(error, ex.proof))
        return web.Response(status=200, headers=headers)

    async def _answer(self, head: RequestHead, ex: Exchange) -> dict[str, str]:
        if not ex.snapshot.config.server.check:
            raise Refused(403, "check-off")  # PRX-11
        if not head.trusted:
            raise Refused(403, "untrusted-proxy")  # PRX-2
        own_path = head.target.startswith(PATH + "/")
        asked = {} if own_path else _asked(head.target)
        if asked.get("for") == "application":
            return await self._application(described(head), asked.get("groups", ""), ex)
        ex.event.api = False  # told as the S3 request that it is about
        original = described(head)
        ruling = await self._pipeline.judge(original, ElsewhereBody(original), ex)
        if ruling.proof.by_cookie:
            check_destination(original)
        moving = await self._moving(ruling, original, ex)
        if not moving and asked.get("for") == "storage":
            raise Refused(403, "not-movable")
        return identity_headers(ruling.proof.identity) | moving

    async def _moving(self, ruling: Ruling, original: RequestHead, ex: Exchange) -> dict[str, str]:
        """X-S3-*; empty where the proxy cannot carry it, or must not."""
        # WEB-3: what a browser shows by its cookie is made harmless here, as `offload` has it.
        if ruling.operation.name not in MOVABLE or ruling.proof.by_cookie:
            return {}
        outbound, upstream = await self._pipeline.signed(ruling, ex)
        return upstream_headers(original, outbound, upstream)

    async def _application(self, original: RequestHead, named: str, ex: Exchange) -> dict[str, str]:
        # Where its forms come from is the application's own question: it knows its tokens.
        proof = await self._authenticate.api(replace(original, method="GET"), ex)
        if proof is None:
            raise Refused(401, "not-signed-in")
        ex.proof = proof
        ex.event.identified(proof)
        if named and not set(named.split(",")).intersection(proof.identity.groups):
            raise Refused(403, "not-in-group")
        return identity_headers(proof.identity)


def _asked(target: str) -> Mapping[str, str]:
    """
    What the operator's address asks for. The first of a name counts: Envoy appends the client's own
    target to it, which must not ask for other groups.
    """
    pairs = parse_qsl(target.partition("?")[2], keep_blank_values=True)
    return dict(reversed(pairs))


def status_of(error: Exception, proof: Proof | None) -> int:
    """401 where signing in may help, else 403."""
    match error:
        case AccessDenied():
            return 401 if proof is None or proof.identity.anonymous else 403
        case S3Error() if error.row in (s3.EXPIRED_TOKEN, s3.INVALID_TOKEN):
            return 401
        case TokenError():
            return 401
        case _:
            return 403


def _refusal(status: int) -> web.Response:
    # RFC 9110 wants to be told how; nginx hands this on with its own 401.
    headers = {"WWW-Authenticate": 'Bearer realm="s3-auth-gateway"'} if status == 401 else {}
    return web.Response(status=status, headers=headers)


# The described request


class ElsewhereBody(Body):
    """A body that stays with the proxy: its length is known, its bytes are not."""

    def __init__(self, head: RequestHead) -> None:
        declared = head.headers.get("content-length")
        if declared is not None:
            self.length = int(declared)
        else:
            self.length = None if "transfer-encoding" in head.headers else 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self.length == 0:
            return NO_BODY.__aiter__()
        raise S3Error(s3.INVALID_REQUEST, "The body of a checked request stays with the proxy.")


def described(head: RequestHead) -> RequestHead:
    """
    The head that the proxy asks about. Raises Refused (403).

    Each part comes exactly once; where both families of headers are there they agree: what a
    client slipped past a proxy that knows one of them only is not believed (PRX-2).
    """
    if head.target.startswith(PATH + "/"):
        method, target = head.method, head.target[len(PATH) :]
        host = _once(head.headers, "host")
    else:
        method = _part(head.headers, "method")
        target = _part(head.headers, "uri")
        host = _part(head.headers, "host")
    # PRX-6: origin form only; what is inside is read, or refused, by the one parser.
    if not target.startswith("/") or len(target) > TARGET_MAX:
        raise Refused(403, "bad-uri")
    if _METHOD.fullmatch(method) is None:
        raise Refused(403, "bad-method")
    return RequestHead(
        method=method,
        target=target,
        headers=Headers(_as_sent(head.headers, host)),
        peer=head.peer,
        secure=head.secure,
        trusted=True,
    )


def _part(headers: Headers, name: str) -> str:
    original, forwarded = headers.all(f"x-original-{name}"), headers.all(f"x-forwarded-{name}")
    value = _only(original or forwarded)
    if original and forwarded and _only(forwarded) != value:
        raise Refused(403, "headers-at-odds")
    return value


def _once(headers: Headers, name: str) -> str:
    return _only(headers.all(name))


def _only(values: list[str]) -> str:
    if len(values) != 1 or not values[0]:
        raise Refused(403, "header-missing-or-doubled")
    return values[0]


_OURS = ("x-original-", "x-forwarded-", "x-auth-", "x-s3-", "x-envoy-")
_HOP = frozenset({"host", "connection", "content-length", "transfer-encoding", "x-real-ip"})


def _as_sent(headers: Headers, host: str) -> Iterable[tuple[str, str]]:
    """The client's own headers: without those the proxy adds or must not be sent (PRX-3)."""
    yield ("host", host)
    for name, value in headers:
        plain = name.replace("_", "-")
        if plain not in _HOP and not plain.startswith(_OURS):
            yield (name, value)
    # The subrequest has no body; how long the original's is, clients may have signed.
    lengths = headers.all("x-original-content-length")
    if lengths and lengths != [""]:
        length = _only(lengths)
        if not (length.isascii() and length.isdecimal()):
            raise Refused(403, "bad-length")
        yield ("content-length", length)


# The answer's headers


def identity_headers(identity: Identity) -> dict[str, str]:
    """X-Auth-*: who it is, safe to be a header (PRX-3)."""
    values = {
        "X-Auth-Subject": header_text(identity.subject),
        "X-Auth-Username": header_text(identity.username),
        "X-Auth-Email": header_text(identity.email),
        "X-Auth-Groups": ",".join(header_text(group) for group in identity.groups),
    }
    # A list that was cut would be another list; one that does not fit is left out as a whole.
    return {name: value for name, value in values.items() if len(value) <= VALUE_MAX}


def header_text(text: str) -> str:
    """Printable ASCII as it is; everything else, the comma and `%` percent-encoded as UTF-8."""
    return quote(text, safe=_PLAIN, errors="surrogatepass").strip(" ") if text else ""


def upstream_headers(
    original: RequestHead, outbound: Outbound, upstream: Upstream
) -> dict[str, str]:
    """
    X-S3-*: what the proxy needs to send the request on by itself; empty where that is not enough.

    The proxy sets five headers from these and passes on the client's other ones, so each header
    that was signed must be one of the five or what the client sent; and no x-amz-* header that the
    client sent may be missing from the signature, or the upstream refuses.
    """
    signed = outbound.headers
    sent = original.headers
    for name, value in signed:
        if name not in _SEPARATELY and sent.all(name) != [value]:
            return {}
    for name in sent.names():
        # A storage behind CGI or WSGI takes `_` for `-`.
        if name.replace("_", "-").startswith("x-amz-") and not (
            name in _SEPARATELY or name in signed
        ):
            return {}
    streamed = (sent.get("x-amz-content-sha256") or "").startswith("STREAMING-AWS4")
    if streamed:
        return {}  # chunks that the client signed with its own key: only we can open them
    if "if-range" in sent:
        return {}  # storages do not know it: `s3.resume` does
    return {
        "X-S3-Upstream": f"{upstream.scheme}://{signed['host']}",
        "X-S3-Uri": outbound.target,
        "X-S3-Authorization": signed.get("authorization") or "",
        "X-S3-Date": signed.get("x-amz-date") or "",
        "X-S3-Content-Sha256": signed.get("x-amz-content-sha256") or "",
        "X-S3-Security-Token": signed.get("x-amz-security-token") or "",
    }


def routes(check: ForwardAuth) -> list[Route]:
    """The rows of the check: every method, because Envoy asks with the original's."""
    rows = [("GET", PATH)]
    rows += [
        (method, PATH + "/{original...}")
        for method in ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")
    ]
    return [
        Route(
            method=method,
            path=path,
            handler=check.check,
            who=Who.ANYONE,
            summary="For a proxy: may the request that it describes be done?",
        )
        for method, path in rows
    ]


__all__ = ["PATH", "ForwardAuth", "described", "identity_headers", "routes", "upstream_headers"]
