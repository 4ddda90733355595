"""
Which face answers, what a refusal looks like there, and the one audit line that remains of each request.

Asked over a socket: who a client is, is told by its head alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.message import Headers, RequestHead
from tests.server.framed import sha
from tests.server.verifying_upstream import Stored
from tests.server.whole_gateway import READER, Reply, Whole, whole_gateway

S3_HOST, VIRTUAL, API_HOST = "s3.internal", "data.buckets.example", "127.0.0.1"
HTML = ("accept", "text/html,application/xhtml+xml")
NAVIGATES = ("sec-fetch-mode", "navigate")
SCRIPT = ("sec-fetch-mode", "cors")
JSON = ("accept", "application/json")


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    """A gateway with a host for S3 alone and one whose subdomains are buckets."""
    settings = f"s3_host: [{S3_HOST}], virtual_host: [buckets.example]"
    async with whole_gateway(tmp_path, server=settings) as made:
        made.upstream.objects["/real/team/k"] = Stored(b"object", [])
        made.upstream.objects["/real/open/k"] = Stored(b"open", [])
        yield made


async def ask(
    whole: Whole, method: str, target: str, *more: tuple[str, str], host: str = ""
) -> Reply:
    """A request that nobody signed."""
    pairs = [("host", host or whole.host), *more]
    return await whole.ask(RequestHead(method=method, target=target, headers=Headers(pairs)))


async def audited(whole: Whole, reply: Reply) -> dict[str, Any]:
    """The one line of the request that was answered so."""
    request_id = reply.header("x-amz-request-id")
    async with asyncio.timeout(5):
        while True:
            text = await asyncio.to_thread((whole.folder / "audit.log").read_text, "utf-8")
            found = [json.loads(line) for line in text.splitlines() if request_id in line]
            if found:
                (line,) = found
                return dict(line)
            await asyncio.sleep(0.02)


# Which face


def face(reply: Reply) -> str:
    """Who wrote this, by its type and shape."""
    kind = reply.header("content-type").partition(";")[0]
    if reply.status in (302, 303):
        return "redirect"
    if kind == "application/problem+json":
        return "api"
    if kind == "text/html":
        return "page"
    if kind == "text/xml" and b"ErrorResponse" in reply.body:
        return "sts"
    if kind == "application/xml" and b"<Error>" in reply.body:
        return "s3"
    return kind


@pytest.mark.parametrize(
    ("method", "target", "more", "expected"),
    [
        ("GET", "/api", (), "api"),
        ("GET", "/api/nothing", (), "api"),
        ("GET", "/api/session", (), "api"),
        ("GET", "/apix/k", (), "s3"),
        ("GET", "/API/session", (), "s3"),
        ("GET", "/%61pi/session", (), "s3"),
        ("GET", "//api/session", (), "s3"),
        ("GET", "/data/api/session", (), "s3"),
        ("GET", "/ui/", (HTML,), "redirect"),
        ("GET", "/ui/nothing.js", (SCRIPT,), "api"),
        ("GET", "/uix/k", (), "s3"),
        ("GET", "/", (), "application/xml"),
        ("GET", "/", (HTML,), "redirect"),
        ("GET", "/", (NAVIGATES,), "redirect"),
        ("GET", "/?X-Amz-Signature=1", (HTML,), "s3"),
        ("POST", "/", (("content-type", "application/x-www-form-urlencoded"),), "s3"),
        ("POST", "/?Action=GetCallerIdentity&Version=2011-06-15", (), "sts"),
        ("POST", "/data?Action=GetCallerIdentity&Version=2011-06-15", (), "s3"),
        ("OPTIONS", "/data/k", (), "s3"),
        ("OPTIONS", "/api/session", (), "api"),
        ("GET", "/livez", (), "s3"),
        ("GET", "/metrics", (), "s3"),
        ("GET", "/readyz/x", (), "s3"),
    ],
)
async def test_adm_1_a_path_has_one_face(whole, method, target, more, expected):
    """/api and /ui as they are spelt, calls of STS at the root; all else is S3, the names of probes too."""
    assert face(await ask(whole, method, target, *more)) == expected
    assert whole.upstream.seen == []


@pytest.mark.parametrize("host", [S3_HOST, VIRTUAL])
@pytest.mark.parametrize("target", ["/api/session", "/ui/", "/api", "/ui/s/token"])
async def test_where_everything_is_s3_there_is_no_page(whole, host, target):
    """Neither API nor page nor a way to sign in, whatever the client is; no cookie is set."""
    reply = await ask(whole, "GET", target, JSON, host=host)
    assert face(reply) not in ("page", "redirect", "application/json")
    assert reply.header("set-cookie") == ""
    post = await ask(whole, "POST", "/?Action=GetCallerIdentity&Version=2011-06-15", host=host)
    assert face(post) == "s3"


async def test_pth_7_a_host_that_is_none_of_ours_has_no_face(whole):
    """Not even the API: redirects and cookies would follow a name that somebody made up."""
    for target in ("/data/k", "/", "/api/session"):
        reply = await ask(whole, "GET", target, HTML, host="evil.example")
        assert reply.header("location") == "" or reply.header("location").startswith("/")
        assert "evil" not in reply.header("set-cookie") + reply.header("location")
    assert (await ask(whole, "GET", "/data/k", host="evil.example")).status == 400


# What a refusal looks like

CLIENTS = {
    "S3 client": ((), 403, "s3"),
    "S3 client with a program's name": ((("user-agent", "Mozilla/5.0"),), 403, "s3"),
    "browser": ((HTML,), 302, "redirect"),
    "browser with fetch metadata": ((NAVIGATES, ("accept", "*/*")), 302, "redirect"),
    "script": ((SCRIPT,), 401, "api"),
    "script that asks for JSON": ((JSON,), 401, "api"),
}


@pytest.mark.parametrize("kind", CLIENTS)
async def test_what_nobody_may_is_told_to_each_in_their_own_form(whole, kind):
    """XML, a way to sign in, or problem+json: and everybody gets the request's id."""
    more, status, shape = CLIENTS[kind]
    reply = await ask(whole, "GET", "/data/k%26", *more)
    assert (reply.status, face(reply)) == (status, shape)
    assert len(reply.header("x-amz-request-id")) == 16
    assert reply.header("server") == "s3-auth-gateway"
    if shape == "redirect":
        assert reply.header("location") == "/api/session/auth/?next=/data/k%2526"
        assert reply.header("cache-control") == "no-store"
    if shape == "api":
        assert json.loads(reply.body)["request_id"] == reply.header("x-amz-request-id")
    if shape == "s3":
        assert reply.header("x-amz-request-id").encode() in reply.body


async def test_who_brought_a_proof_is_no_browser(whole):
    """A bad signature, token or link is told in S3's words, though the client would take a page."""
    bad = [("authorization", "Bearer x"), ("authorization", "AWS4-HMAC-SHA256 x"), ("authorization", "Basic x")]  # fmt: skip
    for pair in bad:
        reply = await ask(whole, "GET", "/data/k", HTML, NAVIGATES, pair)
        assert face(reply) == "s3", pair
        assert reply.status in (400, 401, 403)
    reply = await ask(whole, "GET", "/data/k?X-Amz-Signature=0", HTML, NAVIGATES)
    assert face(reply) == "s3"
    reply = await ask(whole, "GET", "/api/session", HTML, NAVIGATES, bad[0])
    assert face(reply) == "api"


async def test_fwd_10_head_is_refused_without_words(whole):
    """A status and an id; whatever the client is, no byte of a body."""
    for more in ((), (SCRIPT,), (HTML,)):
        reply = await ask(whole, "HEAD", "/data/k", *more)
        assert reply.status in (302, 401, 403)
        assert reply.body == b""


async def test_what_we_did_not_foresee_tells_nothing(whole, monkeypatch, caplog):
    """A fault of ours is InternalError with an id, in each form, and the log has the rest."""

    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("gateway.server.pipeline.parse", broken)
    for more, shape in (((), "s3"), ((HTML,), "page"), ((SCRIPT,), "api")):
        reply = await ask(whole, "GET", "/data/k", *more)
        assert (reply.status, face(reply)) == (500, shape)
        assert b"secret" not in reply.body and b"Traceback" not in reply.body
        line = await audited(whole, reply)
        assert (line["status"], line["decision"]) == (500, "error")
    assert "secret detail" in caplog.text


# One audit line


async def test_log_5_what_was_allowed_is_written_down(whole):
    """Who, by which key, did what, to what, by which rule, where it went, and how that ended."""
    reply = await whole.signed("GET", "/data/k", credentials=READER)
    line = await audited(whole, reply)
    expected = {
        "decision": "allow",
        "status": 200,
        "operation": "GetObject",
        "bucket": "data",
        "key": "k",
        "method": "signature",
        "key_id": "READERKEY",
        "subject": "reader",
        "rule": "readers",
        "upstream": "s3",
        "upstream_bucket": "real",
        "upstream_key": "team/k",
        "upstream_status": 200,
        "bytes_out": 6,
    }
    assert expected == {name: line[name] for name in expected}
    assert line["peer"] == "127.0.0.1"


@pytest.mark.parametrize("what", ["no right", "no identity", "wrong signature", "unknown operation", "bad name", "missing", "api", "unreadable"])  # fmt: skip
async def test_log_5_what_was_refused_is_written_down(whole, what):
    """One line for each outcome, with the code that was answered, whoever refused it."""
    client = whole.client(READER)
    head = {
        "no right": client.head("PUT", "/data/k", payload=sha(b"")),
        "no identity": RequestHead(method="GET", target="/data/k", headers=Headers([("host", whole.host)])),
        "unknown operation": client.head("GET", "/data/k", [("foo", "")]),
        "bad name": client.head("GET", "/data/../k"),
        "missing": client.head("GET", "/data/missing"),
        "api": RequestHead(method="GET", target="/api/session", headers=Headers([("host", whole.host)])),
        "unreadable": RequestHead(method="BREW", target="/data/k", headers=Headers([("host", whole.host)])),
    }.get(what, client.head("GET", "/data/k", [("a", "b")]))  # fmt: skip
    if what == "wrong signature":
        pairs = [(n, v.replace("Signature=", "Signature=0")[: len(v)] if n == "authorization" else v) for n, v in client.head("GET", "/data/k").headers]  # fmt: skip
        head = RequestHead(method="GET", target="/data/k", headers=Headers(pairs))
    reply = await whole.ask(head)
    line = await audited(whole, reply)
    status, decision, code = {
        "no right": (403, "deny", "AccessDenied"),
        "no identity": (403, "deny", "AccessDenied"),
        "wrong signature": (403, "deny", "SignatureDoesNotMatch"),
        "unknown operation": (501, "error", "NotImplemented"),
        "bad name": (400, "error", "InvalidURI"),
        "missing": (404, "allow", "NoSuchKey"),
        "api": (401, "deny", "not-signed-in"),
        "unreadable": (400, "error", "InvalidRequest"),
    }[what]
    assert (reply.status, line["status"]) == (status, status), line
    assert line["decision"] == decision, line
    assert code in (line.get("code"), line.get("reason")), line


async def test_log_1_no_line_holds_what_opens_something(whole):
    """Signatures, tokens, cookies and the query of a link are in no audit line."""
    link = whole.client(READER).link("GET", "/data/k")
    reply = await whole.ask(link, b"", ("cookie", "session=cookie-canary"))
    await audited(whole, reply)
    reply = await ask(whole, "GET", "/data/k", ("authorization", "Bearer bearer-canary"))
    await audited(whole, reply)
    text = (whole.folder / "audit.log").read_text("utf-8")
    for secret in (link.target[-64:], "cookie-canary", "bearer-canary", "X-Amz-Credential"):
        assert secret not in text


async def test_adm_5_every_face_names_the_same_server(whole):
    """No version, and none of a library's."""
    for target in ("/data/k", "/api/session", "/ui/", "/api/openapi.json", "/%zz"):
        reply = await ask(whole, "GET", target)
        assert reply.header("server") == "s3-auth-gateway", target
        assert reply.header("x-amz-request-id"), target
