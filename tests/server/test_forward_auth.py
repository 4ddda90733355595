"""What a proxy asks about is what is judged, and the answer is 200, 401 or 403."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import TOKEN_EXPIRED, StateError, TokenError, UpstreamUnavailable
from gateway.identity import ANONYMOUS_IDENTITY, Identity, Method, Proof
from gateway.message import Body, Headers, RequestHead
from gateway.observe.audit import AuditEvent
from gateway.s3 import errors as s3
from gateway.s3.errors import AccessDenied, S3Error
from gateway.server import forward_auth
from gateway.server.exchange import EXCHANGE, Exchange
from gateway.server.forward_auth import ForwardAuth, header_text

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ALICE = Identity(
    issuer="corp", subject="alice", username="al", email="al@example.com", groups=("staff", "a,b")
)


@dataclass
class Pipeline:
    """Says what it was asked; allows, or raises what it is told to."""

    error: Exception | None = None
    identity: Identity = ALICE
    operation: str = "GetObject"
    signed_headers: tuple[tuple[str, str], ...] = (
        ("host", "bucket.s3.example.net"),
        ("x-amz-date", "20260102T030405Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-security-token", "tok"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=up"),
    )
    seen: list[RequestHead] = field(default_factory=list)
    method: Method = Method.SIGNATURE
    reads: bool = False

    async def judge(self, head: RequestHead, body: Body, ex: Exchange) -> Any:
        self.seen.append(head)
        ex.proof = Proof(identity=self.identity, method=self.method)
        if self.reads:
            await body.read(100)
        if self.error:
            raise self.error
        return SimpleNamespace(proof=ex.proof, operation=SimpleNamespace(name=self.operation))

    async def signed(self, _ruling: Any, _ex: Exchange) -> Any:
        outbound = SimpleNamespace(
            headers=Headers(self.signed_headers), target="/users/alice/a%20b"
        )
        return outbound, SimpleNamespace(scheme="https")


@dataclass
class Authenticate:
    """Believes whom it is told to."""

    proof: Proof | None = None
    methods: list[str] = field(default_factory=list)

    async def api(self, head: RequestHead, _ex: Exchange) -> Proof | None:
        self.methods.append(head.method)
        return self.proof


ORIGINAL = (
    ("host", "gateway.internal"),
    ("x-original-method", "GET"),
    ("x-original-uri", "/home/a%20b"),
    ("x-original-host", "s3.example.com"),
    ("authorization", "AWS4-HMAC-SHA256 Credential=client"),
    ("x-amz-date", "20260102T030405Z"),
    ("cookie", "__Host-session=x"),
)


class Asked(dict[Any, Any]):
    """As much of a request as the handler looks at."""

    def __init__(self, head: RequestHead, *, on: bool = True) -> None:
        config = SimpleNamespace(server=SimpleNamespace(check=on))
        event = AuditEvent(request_id="R", time=NOW)
        event.api = True
        self.head = head
        self[EXCHANGE] = Exchange(
            snapshot=SimpleNamespace(config=config),  # type: ignore[arg-type] # as much as is used
            now=NOW,
            request_id="R",
            event=event,
            clock=lambda: NOW,
        )

    @property
    def event(self) -> AuditEvent:
        event: AuditEvent = self[EXCHANGE].event
        return event


def asked(
    headers: tuple[tuple[str, str], ...] = ORIGINAL,
    *,
    target: str = "/api/session/check",
    method: str = "GET",
    trusted: bool = True,
) -> Asked:
    return Asked(
        RequestHead(
            method=method,
            target=target,
            headers=Headers(headers),
            peer="192.0.2.9",
            trusted=trusted,
        )
    )


async def check(
    request: Asked, pipeline: Pipeline | None = None, authenticate: Authenticate | None = None
) -> web.Response:
    made = ForwardAuth(
        pipeline=pipeline or Pipeline(),
        authenticate=authenticate or Authenticate(),  # type: ignore[arg-type] # as much as is used
    )
    response = await made.check(request)  # type: ignore[arg-type] # as much as is used
    assert isinstance(response, web.Response)
    assert not response.body
    return response


def without(name: str) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in ORIGINAL if pair[0] != name)


def changed(name: str, value: str) -> tuple[tuple[str, str], ...]:
    return (*without(name), (name, value))


async def test_prx_2_what_is_judged_is_what_was_described():
    """Method, raw target and host of the original; the client's own headers, in order."""
    pipeline = Pipeline()
    response = await check(asked(changed("x-original-uri", "/b//k%2F..?x=%41+b")), pipeline)

    (head,) = pipeline.seen
    assert response.status == 200
    assert (head.method, head.target) == ("GET", "/b//k%2F..?x=%41+b")
    assert head.headers.pairs == (
        ("host", "s3.example.com"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=client"),
        ("x-amz-date", "20260102T030405Z"),
        ("cookie", "__Host-session=x"),
    )


async def test_an_allowed_request_is_told_who_and_with_what():
    """X-Auth-* for the application, X-S3-* for the proxy that moves the bytes."""
    response = await check(asked())

    assert dict(response.headers) == {
        "X-Auth-Subject": "alice",
        "X-Auth-Username": "al",
        "X-Auth-Email": "al@example.com",
        "X-Auth-Groups": "staff,a%2Cb",
        "X-S3-Upstream": "https://bucket.s3.example.net",
        "X-S3-Uri": "/users/alice/a%20b",
        "X-S3-Authorization": "AWS4-HMAC-SHA256 Credential=up",
        "X-S3-Date": "20260102T030405Z",
        "X-S3-Content-Sha256": "UNSIGNED-PAYLOAD",
        "X-S3-Security-Token": "tok",
    }


@pytest.mark.parametrize("name", ["method", "uri", "host"])
@pytest.mark.parametrize("family", ["original", "forwarded"])
async def test_prx_2_each_part_comes_exactly_once(name, family):
    """Missing, empty or doubled, in either family of headers: 403, and nothing is judged."""
    headers = tuple((n.replace("x-original-", f"x-{family}-"), v) for n, v in ORIGINAL)
    part = f"x-{family}-{name}"
    value = dict(headers)[part]
    pipeline = Pipeline()
    rest = tuple(pair for pair in headers if pair[0] != part)
    for wrong in (rest, (*headers, (part, value)), (*rest, (part, ""))):
        response = await check(asked(wrong), pipeline)
        assert response.status == 403
    assert (await check(asked(headers), Pipeline())).status == 200
    assert pipeline.seen == []


@pytest.mark.parametrize("name", ["method", "uri", "host"])
async def test_prx_2_families_that_disagree_are_refused(name):
    """A client's X-Forwarded-Uri that nginx passes along must not name another request."""
    pipeline = Pipeline()
    value = dict(ORIGINAL)[f"x-original-{name}"]
    same = await check(asked((*ORIGINAL, (f"x-forwarded-{name}", value))), Pipeline())
    other = await check(asked((*ORIGINAL, (f"x-forwarded-{name}", value + "x"))), pipeline)

    assert (same.status, other.status) == (200, 403)
    assert pipeline.seen == []


async def test_prx_2_prx_11_nobody_but_a_trusted_proxy_may_ask():
    """An untrusted peer gets no decision and no signature."""
    pipeline = Pipeline()
    for request in (
        asked(trusted=False),
        asked(target="/api/session/check/home/a", trusted=False),
        asked(target="/api/session/check?for=application", trusted=False),
    ):
        response = await check(
            request, pipeline, Authenticate(Proof(identity=ALICE, method=Method.SESSION))
        )
        assert response.status == 403
        assert not any(name.startswith(("X-S3", "X-Auth")) for name in response.headers)
    assert pipeline.seen == []


async def test_prx_11_a_gateway_that_no_proxy_asks_answers_nobody():
    """Behind a proxy that hands on every path, the asker would be a client."""
    request = Asked(asked().head, on=False)

    assert (await check(request)).status == 403
    assert request.event.notes == "check,check-off"


@pytest.mark.parametrize(
    "uri", ["home/a", "http://s3.example.com/home/a", "*", "//" * 20_000, "/" + "a" * 65_536]
)
async def test_prx_6_what_is_no_path_is_403(uri):
    """Absolute form, authority form and what is longer than any request line."""
    assert (await check(asked(changed("x-original-uri", uri)))).status == 403


@pytest.mark.parametrize("method", ["get", "G T", "X", "GET\r\n", "A" * 40])
async def test_prx_6_a_method_is_a_method(method):
    """Lower case is another method in HTTP, and none of S3's."""
    assert (await check(asked(changed("x-original-method", method)))).status == 403


@pytest.mark.parametrize(
    "name",
    [
        "X-Auth-Subject",
        "x-auth-groups",
        "x_auth_groups",
        "X-S3-Authorization",
        "x-original_uri",
        "x_forwarded_for",
        "x-envoy-internal",
    ],
)
async def test_prx_3_smuggled_headers_do_not_reach_the_judge(name):
    """In every spelling with - and _."""
    pipeline = Pipeline()
    response = await check(asked((*ORIGINAL, (name.lower(), "admin"))), pipeline)

    assert response.status == 200
    assert name.lower() not in pipeline.seen[0].headers


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_prx_3_identity_headers_are_printable_ascii(text):
    """Whatever a claim holds, it stays one value of one header; nothing is lost but outer spaces."""
    value = header_text(text)

    assert value.isascii() and (value.isprintable() or not value)
    assert "," not in value and value == value.strip()


async def test_prx_3_a_claim_cannot_add_a_header():
    """A group with a line break, and one that would be two."""
    identity = Identity(issuer="corp", subject="a\r\nX-Auth-Groups: admin", groups=("x,admin", "ü"))
    response = await check(asked(), Pipeline(identity=identity))

    assert response.headers["X-Auth-Subject"] == "a%0D%0AX-Auth-Groups: admin"
    assert response.headers["X-Auth-Groups"] == "x%2Cadmin,%C3%BC"


async def test_a_list_of_groups_that_does_not_fit_is_left_out():
    """A cut list would be another list."""
    identity = Identity(issuer="corp", subject="a", groups=tuple(f"group-{n}" for n in range(2000)))
    response = await check(asked(), Pipeline(identity=identity))

    assert response.status == 200
    assert "X-Auth-Groups" not in response.headers


@pytest.mark.parametrize(
    ("error", "identity", "status"),
    [
        (AccessDenied(), ALICE, 403),
        (AccessDenied(), ANONYMOUS_IDENTITY, 401),
        (S3Error(s3.SIGNATURE_DOES_NOT_MATCH), ALICE, 403),
        (S3Error(s3.INVALID_URI), ALICE, 403),
        (S3Error(s3.EXPIRED_TOKEN), ALICE, 401),
        (S3Error(s3.INVALID_TOKEN), ALICE, 401),
        (S3Error(s3.SLOW_DOWN), ALICE, 403),
        (TokenError(TOKEN_EXPIRED), ALICE, 401),
        (UpstreamUnavailable(), ALICE, 403),
        (StateError(), ALICE, 403),
        (RuntimeError("anything else"), ALICE, 403),
    ],
)
async def test_prx_5_the_answer_is_200_401_or_403(error, identity, status):
    """nginx makes 500 of everything else; what is ours to mend is 403 as well (POL-1)."""
    response = await check(asked(), Pipeline(error=error, identity=identity))

    assert response.status == status
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert "Location" not in response.headers and "Set-Cookie" not in response.headers


async def test_prx_5_a_body_that_is_needed_is_403():
    """DeleteObjects is judged by its body, which stays with the proxy."""
    assert (await check(asked(), Pipeline(reads=True))).status == 200
    chunked = (*ORIGINAL, ("x-original-content-length", "12"))
    assert (await check(asked(chunked), Pipeline(reads=True))).status == 403


async def test_the_length_of_the_original_body_is_restored():
    """s3cmd signs Content-Length, which a subrequest has not."""
    pipeline = Pipeline()
    await check(
        asked((*ORIGINAL, ("x-original-content-length", "12"), ("content-length", "0"))), pipeline
    )
    await check(asked((*ORIGINAL, ("x-original-content-length", ""))), pipeline)
    bad = await check(asked((*ORIGINAL, ("x-original-content-length", "+12"))), pipeline)

    assert [head.headers.all("content-length") for head in pipeline.seen] == [["12"], []]
    assert bad.status == 403


@pytest.mark.parametrize(
    ("client", "signed", "moved"),
    [
        ((("range", "bytes=0-1"),), (("range", "bytes=0-1"),), True),
        ((("x-amz-meta-a", "1"),), (("x-amz-meta-a", "1"),), True),
        ((("x-amz-meta-a", "1"),), (), False),
        ((("x_amz_acl", "public-read"),), (), False),
        ((("range", "bytes=0-1"), ("if-range", '"a"')), (("range", "bytes=0-1"),), False),
        ((), (("x-amz-expected-bucket-owner", "1"),), False),
        ((("content-type", "a"),), (("content-type", "b"),), False),
        ((("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")), (("x-amz-meta-a", "1,2"),), False),
        ((("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),), (), False),
        ((("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),), (), True),
    ],
)
async def test_prx_11_a_signed_head_is_given_only_where_the_proxy_can_send_it(
    client, signed, moved
):
    """What the signature covers is what the client sent and the proxy passes on, nothing more or less."""
    pipeline = Pipeline(signed_headers=Pipeline.signed_headers + signed)
    response = await check(asked(ORIGINAL + client), pipeline)

    assert response.status == 200
    assert ("X-S3-Authorization" in response.headers) == moved


@pytest.mark.parametrize(
    "operation", ["ListObjectsV2", "CompleteMultipartUpload", "CopyObject", "GetObjectAcl"]
)
async def test_prx_11_bodies_that_name_things_are_not_for_the_proxy(operation):
    """Their answers are rewritten, so the gateway itself must carry them."""
    response = await check(asked(), Pipeline(operation=operation))

    assert response.status == 200
    assert "X-Auth-Subject" in response.headers
    assert not any(name.startswith("X-S3") for name in response.headers)


@pytest.mark.parametrize("method", [Method.SESSION, Method.SHARE])
async def test_web_3_what_a_cookie_fetches_is_carried_by_the_gateway(method):
    """Only the gateway's own answer is made harmless on the page's host."""
    response = await check(asked(), Pipeline(method=method))

    assert response.status == 200
    assert not any(name.startswith("X-S3") for name in response.headers)


STORAGE = "/api/session/check?for=storage"


async def test_a_proxy_that_asks_for_the_storage_gets_a_signed_head_or_403():
    """So that its configuration has one branch, not two."""
    moved = await check(asked(target=STORAGE))
    carried = await check(asked(target=STORAGE), Pipeline(operation="ListObjectsV2"))
    by_cookie = await check(asked(target=STORAGE), Pipeline(method=Method.SESSION))

    assert (moved.status, "X-S3-Authorization" in moved.headers) == (200, True)
    assert (carried.status, by_cookie.status) == (403, 403)
    assert not any(name.startswith("X-") for name in carried.headers)


async def test_web_4_a_service_worker_gets_no_object_through_the_proxy():
    """What the gateway refuses to give to scripts by cookie, it does not let a proxy give."""
    worker = (*ORIGINAL, ("sec-fetch-dest", "serviceworker"))

    assert (await check(asked(worker), Pipeline(method=Method.SESSION))).status == 403
    assert (await check(asked(worker), Pipeline(method=Method.SIGNATURE))).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_envoy_asks_with_the_originals_method_and_path(method):
    """Below the route's own path; the Host header is the original's."""
    pipeline = Pipeline()
    headers = (("host", "s3.example.com"), ("x-original-uri", "/ignored"))
    response = await check(
        asked(headers, target="/api/session/check/home//a%2Fb?x=1", method=method), pipeline
    )

    (head,) = pipeline.seen
    assert response.status == 200
    assert (head.method, head.target, head.headers["host"]) == (
        method,
        "/home//a%2Fb?x=1",
        "s3.example.com",
    )


APPLICATION = "/api/session/check?for=application"


async def test_an_application_is_told_who_is_signed_in():
    """No S3 is involved; its own forms are its own question, so a POST is judged as a visit."""
    authenticate = Authenticate(Proof(identity=ALICE, method=Method.SESSION))
    pipeline = Pipeline()
    headers = changed("x-original-method", "POST")
    response = await check(asked(headers, target=APPLICATION), pipeline, authenticate)

    assert response.status == 200
    assert response.headers["X-Auth-Subject"] == "alice"
    assert (authenticate.methods, pipeline.seen) == (["GET"], [])


async def test_an_application_turns_away_who_is_not_signed_in_or_in_no_group():
    """401 sends a browser to the sign-in; 403 does not, because it would not help."""
    signed_in = Authenticate(Proof(identity=ALICE, method=Method.SESSION))

    assert (await check(asked(target=APPLICATION), None, Authenticate())).status == 401
    assert (
        await check(asked(target=APPLICATION + "&groups=staff,other"), None, signed_in)
    ).status == 200
    assert (
        await check(asked(target=APPLICATION + "&groups=admins"), None, signed_in)
    ).status == 403


async def test_prx_2_what_a_client_appends_asks_for_nothing_else():
    """Envoy puts the client's target behind the operator's address."""
    signed_in = Authenticate(Proof(identity=ALICE, method=Method.SESSION))
    address = APPLICATION + "&groups=admins&then=/page?x=1&for=storage&groups=staff"

    assert (await check(asked(target=address), None, signed_in)).status == 403


async def test_prx_2_a_client_cannot_choose_to_be_an_application():
    """`for=application` in the original's query is the original's, not the proxy's."""
    pipeline = Pipeline(error=AccessDenied())
    described = await check(asked(changed("x-original-uri", "/home/a?for=application")), pipeline)
    below = await check(asked(target="/api/session/check/home/a?for=application"), pipeline)

    assert (described.status, below.status) == (403, 403)
    assert len(pipeline.seen) == 2


async def test_log_5_a_check_is_told_as_what_it_was_about():
    """An audit line of the S3 request, with a note that only the question was asked here."""
    request = asked()
    await check(request)
    refused = asked()
    await check(refused, Pipeline(error=AccessDenied()))

    assert (request.event.api, request.event.notes) == (False, "check")
    assert refused.event.code == "AccessDenied"


def test_every_method_has_a_row():
    """Envoy asks with the original's method."""
    made = ForwardAuth(pipeline=Pipeline(), authenticate=Authenticate())  # type: ignore[arg-type] # unused
    rows = forward_auth.routes(made)

    assert {row.method for row in rows if row.path.endswith("{original...}")} >= {
        "GET",
        "PUT",
        "POST",
        "DELETE",
    }
