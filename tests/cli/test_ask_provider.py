"""What `gateway check --online` and `gateway init` find out about identity providers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.cli.findings import Finding
from gateway.cli.online import ask_providers
from gateway.config.model import Config
from gateway.identity import Secret
from tests.hostile_provider import KEYS

SECRET = "canary-client-secret"
Asked = Callable[..., Awaitable[list[Finding]]]


class Provider:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self.status = 200
        self.authorize = web.HTTPFound("/login")
        self.token: tuple[int, Any] = (400, {"error": "invalid_grant"})
        self.cut: set[str] = set()
        """Addresses where the connection ends without an answer."""
        self.date: str | None = None
        self.keys = [key.as_dict(private=False) for key in KEYS]
        self.seen: list[web.Request] = []

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        headers = {} if self.date is None else {"Date": self.date}
        base = f"http://{request.host}"
        document = {
            "issuer": base,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/jwks",
            **self.document,
        }
        return web.json_response(document, status=self.status, headers=headers)

    async def jwks(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"keys": self.keys})

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        self._cut(request)
        self.seen.append(request)
        return web.Response(status=self.authorize.status, headers=self.authorize.headers)

    def _cut(self, request: web.Request) -> None:
        if request.path in self.cut:
            assert request.transport is not None
            request.transport.close()

    async def redeem(self, request: web.Request) -> web.StreamResponse:
        self._cut(request)
        self.seen.append(request)
        status, body = self.token
        return web.json_response(body, status=status)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def asked(provider: Provider) -> AsyncIterator[Asked]:
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.discovery)
    app.router.add_get("/jwks", provider.jwks)
    app.router.add_get("/authorize", provider.sign_in)
    app.router.add_post("/token", provider.redeem)
    async with TestServer(app, host="127.0.0.1") as server:

        async def ask(now: datetime | None = None, **more: Any) -> list[Finding]:
            settings = {
                "name": "corp", "issuer": str(server.make_url("")).rstrip("/"), "client_id": "gw",
                "client_secret": Secret(SECRET), **more,
            }  # fmt: skip
            config = Config.model_validate({"oidc": [settings]})
            return await ask_providers(config, now or datetime.now(UTC))

        yield ask


async def test_a_provider_that_fits_is_good(provider, asked):
    """Document, keys, sign-in page and secret are each said to be so; nothing secret is shown."""
    findings = await asked()

    assert [finding.bad for finding in findings] == [False, False, False, False]
    query = provider.seen[0].query
    assert query["redirect_uri"] == "http://127.0.0.1:8080/api/session/auth/"
    assert query["code_challenge_method"] == "S256"
    assert query["scope"] == "openid profile email"
    assert SECRET not in "\n".join(map(str, findings))


async def bad(asked: Asked, **more: Any) -> str:
    return "\n".join(str(finding) for finding in await asked(**more) if finding.bad)


async def test_wrong_documents_are_explained(provider, asked):
    """Another issuer, no domain, no openid, no document."""
    provider.document = {"issuer": "https://else"}
    assert "the document's issuer is 'https://else'" in await bad(asked)
    provider.document = {"authorization_endpoint": "https://cognito-idp.us-east-1.amazonaws.com/x"}
    assert "the user pool has no domain" in await bad(asked)
    provider.document = {"scopes_supported": ["email"]}
    assert "scope openid" in await bad(asked)
    provider.document = {"token_endpoint": "http://idp.example.com/token"}
    assert "token_endpoint is not an https address" in await bad(asked)
    provider.document = {"message": "User pool us-east-1_x does not exist."}
    provider.status = 400
    assert "answers 400: User pool us-east-1_x does not exist." in await bad(asked)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/error?error=redirect_mismatch", "is not registered"),
        (
            "http://127.0.0.1:8080/api/session/auth/?error=invalid_scope&state=x",
            "ask for the scopes openid profile email: allow them",
        ),
        ("/error?error=unauthorized_client", "authorization code grant"),
    ],
)
async def test_what_the_sign_in_page_says_is_explained(provider, asked, location, said):
    """The callback URL, the scopes, the flow."""
    provider.authorize = web.HTTPFound(location)

    assert said in await bad(asked)


async def test_a_page_that_stays_at_the_provider_is_explained(provider, asked):
    """Many show an error instead of redirecting."""
    provider.authorize = web.HTTPBadRequest()

    assert "the client id and the callback URL http://127.0.0.1:8080" in await bad(asked)


async def test_a_blank_scope_is_tried_with_openid(provider, asked):
    """What the app client allows is only seen by asking for it: openid must be in it."""
    await asked(scope="")

    assert provider.seen[0].query["scope"] == "openid"


async def test_oid_6_keys_that_cannot_be_used_are_found(provider, asked):
    """Nobody could sign in: tokens would be verified by none of them."""
    provider.keys = [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]

    assert "usable key" in await bad(asked)


async def test_a_wrong_secret_is_found(provider, asked):
    """By a code that cannot be good: only the client may be complained about."""
    provider.token = (401, {"error": "invalid_client"})

    assert "the client secret is not accepted for the client gw" in await bad(asked)
    assert "none is configured" in await bad(asked, client_secret=None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, {"error": "unauthorized_client"}), "authorization code grant"),
        ((404, {}), "answers 404, and not as one does"),
        ((200, "<html>"), "answers 200, and not as one does"),
        ((502, {"error": "server_error"}), "answers 502"),
    ],
)
async def test_a_token_endpoint_that_is_none_is_found(provider, asked, answer, said):
    """Or that has no grant for us."""
    provider.token = answer

    assert said in await bad(asked)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/authorize", "the sign-in page does not answer"),
        ("/token", "the token endpoint does not answer"),
    ],
)
async def test_one_endpoint_that_does_not_answer_is_named(provider, asked, path, said):
    """The other one is asked all the same."""
    provider.cut = {path}
    findings = [str(finding) for finding in await asked()]

    assert [said in finding for finding in findings].count(True) == 1
    assert [finding.startswith("good") for finding in findings].count(True) == 3


async def test_a_clock_that_is_apart_is_found(provider, asked):
    """Tokens would be from the future."""
    found = await bad(asked, now=datetime.now(UTC) - timedelta(minutes=10))

    assert "seconds behind its clock" in found


async def test_tokens_only_needs_no_sign_in_page(provider, asked):
    """A provider without client id is asked for its document alone."""
    findings = await asked(client_id=None, client_secret=None, audiences=["gw"])

    assert [finding.bad for finding in findings] == [False, False]
    assert provider.seen == []


async def test_nobody_there_is_said():
    """A port where nothing listens, and a host that is not there."""
    said = [
        str((await ask_providers(config_of(issuer), datetime.now(UTC)))[0])
        for issuer in ("http://127.0.0.1:9", "https://idp.invalid")
    ]

    assert said[0].startswith("PROBLEM: identity provider corp: http://127.0.0.1:9/.well-known/")
    assert "there is no host idp.invalid" in said[1]


def config_of(issuer: str) -> Config:
    return Config.model_validate({"oidc": [{"name": "corp", "issuer": issuer, "client_id": "x"}]})
