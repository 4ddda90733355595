"""What `gateway check --online` and `gateway init` find out about identity providers and upstreams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.cli.online import Finding, _session, ask_providers, ask_sources, ask_upstream
from gateway.config.load import load
from gateway.config.model import Config, UpstreamConfig
from gateway.identity import Secret
from gateway.snapshot import Snapshot

SECRET = "canary-client-secret"
Asked = Callable[..., Awaitable[list[Finding]]]


class Provider:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self.status = 200
        self.authorize = web.HTTPFound("/login")
        self.token: tuple[int, dict[str, Any]] = (400, {"error": "invalid_grant"})
        self.date: str | None = None
        self.seen: list[web.Request] = []

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        headers = {} if self.date is None else {"Date": self.date}
        base = f"http://{request.host}"
        document = {
            "issuer": base,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            **self.document,
        }
        return web.json_response(document, status=self.status, headers=headers)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        return web.Response(status=self.authorize.status, headers=self.authorize.headers)

    async def redeem(self, request: web.Request) -> web.StreamResponse:
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
    """Document, sign-in page and secret are each said to be so; nothing secret is shown."""
    findings = await asked()

    assert [finding.bad for finding in findings] == [False, False, False]
    query = provider.seen[0].query
    assert query["redirect_uri"] == "http://127.0.0.1:8080/api/session/auth/"
    assert query["code_challenge_method"] == "S256"
    assert SECRET not in "\n".join(map(str, findings))


async def bad(asked: Asked, **more: Any) -> str:
    return "\n".join(str(finding) for finding in await asked(**more) if finding.bad)


async def test_wrong_documents_are_explained(provider, asked):
    """Another issuer, no domain, no openid, no document."""
    provider.document = {"issuer": "https://else"}
    assert "its issuer is 'https://else'" in await bad(asked)
    provider.document = {"authorization_endpoint": "https://cognito-idp.us-east-1.amazonaws.com/x"}
    assert "the user pool has no domain" in await bad(asked)
    provider.document = {"scopes_supported": ["email"]}
    assert "scope openid" in await bad(asked)
    provider.document = {"message": "User pool us-east-1_x does not exist."}
    provider.status = 400
    assert "answers 400: User pool us-east-1_x does not exist." in await bad(asked)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/error?error=redirect_mismatch", "is not registered"),
        ("http://127.0.0.1:8080/api/session/auth/?error=invalid_scope&state=x", "allow openid"),
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


async def test_a_wrong_secret_is_found(provider, asked):
    """By a code that cannot be good: only the client may be complained about."""
    provider.token = (401, {"error": "invalid_client"})

    assert "the client secret is not accepted" in await bad(asked)


async def test_a_clock_that_is_apart_is_found(provider, asked):
    """Tokens would be from the future."""
    found = await bad(asked, now=datetime.now(UTC) - timedelta(minutes=10))

    assert "seconds behind its clock" in found


async def test_tokens_only_needs_no_sign_in_page(provider, asked):
    """A provider without client id is asked for its document alone."""
    findings = await asked(client_id=None, client_secret=None, audiences=["gw"])

    assert len(findings) == 1
    assert provider.seen == []


async def test_nobody_there_is_said():
    """A host that does not answer, for providers and upstreams."""
    config = Config.model_validate(
        {"oidc": [{"name": "corp", "issuer": "http://127.0.0.1:9", "client_id": "x"}]}
    )
    now = datetime.now(UTC)

    findings = await ask_providers(config, now)
    async with _session() as session:
        upstream = await ask_upstream(
            session, "minio", UpstreamConfig(endpoint="http://127.0.0.1:9"), now
        )

    assert findings[0].bad
    assert upstream.bad
    assert str(upstream).startswith("PROBLEM: upstream minio: http://127.0.0.1:9 does not answer")


CREDENTIALS = """
session: {{keys: ["${{env:KEY}}"]}}
oidc: [{{name: corp, issuer: "https://idp.example.com", client_id: x}}]
upstreams: {{aws: {{}}}}
credentials:
  key: {{type: static, access_key_id: AK, secret_access_key: "${{env:SECRET}}"}}
  none: {{type: anonymous}}
  own: {{type: web_identity, role_arn: "arn:aws:iam::123456789012:role/x"}}
  role: {{type: assume_role, role_arn: "arn:aws:iam::123456789012:role/x", source: key, scope_down: true, endpoint: "{sts}", tags: {{who: "${{claims.sub}}"}}}}
"""
POLICY = """
rules:
- name: r
  match: {everyone: true}
  grants: [{bucket: data, upstream: aws, target: "acme/${claims.sub}/", credentials: role, allow: [read]}]
"""


@pytest.mark.parametrize("answers", [True, False])
async def test_sources_of_credentials_are_asked(tmp_path, answers):
    """A role is assumed as for a grant; what belongs to persons is left to them."""

    async def sts(request: web.Request) -> web.StreamResponse:
        form: Any = await request.post()
        assert form["RoleSessionName"].startswith("gateway-check-")
        assert "acme/gateway-check/*" in form["Policy"]
        if not answers:
            text = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
            return web.Response(status=403, text=text, content_type="text/xml")
        ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.Response(
            text="<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAX</AccessKeyId>"
            "<SecretAccessKey>canary</SecretAccessKey><SessionToken>canary</SessionToken>"
            f"<Expiration>{ends}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
            content_type="text/xml",
        )

    app = web.Application()
    app.router.add_post("/", sts)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "main.yaml").write_text(POLICY)
    async with TestServer(app, host="127.0.0.1") as server:
        text = CREDENTIALS.format(sts=str(server.make_url("")).rstrip("/"))
        (tmp_path / "gateway.yaml").write_text(text)
        environment = {"KEY": "Fz0rTqY8uJm3XwLc5vBn7aSd9eGh2KpR", "SECRET": "canary-of-an-upstream"}
        loaded = await asyncio.to_thread(load, tmp_path / "gateway.yaml", environment)
        snapshot = Snapshot.build(loaded)

        findings = {f.about: f for f in await ask_sources(snapshot, datetime.now(UTC))}

    role = findings["credentials role"]
    assert role.bad is not answers
    assert ("had: access key ASIAX" in role.text) is answers
    assert not any(f.bad for about, f in findings.items() if about != "credentials role")
    assert "canary" not in "".join(map(str, findings.values()))
