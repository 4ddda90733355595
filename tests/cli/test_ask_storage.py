"""What `gateway check --online` finds out about upstreams, credentials and buckets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.cli.ask_storage import ask_storage
from gateway.config.load import load
from gateway.snapshot import Snapshot

ENVIRONMENT = {"KEY": "Fz0rTqY8uJm3XwLc5vBn7aSd9eGh2KpR", "SECRET": "canary-of-an-upstream"}
CONFIG = """
session: {{keys: ["${{env:KEY}}"]}}
oidc: [{{name: corp, issuer: "https://idp.example.com", client_id: x}}]
upstreams: {{aws: {{endpoint: "{server}", region: us-east-1}}}}
credentials:
  key: {{type: static, access_key_id: AK, secret_access_key: "${{env:SECRET}}"}}
  none: {{type: anonymous}}
  own: {{type: web_identity, role_arn: "arn:aws:iam::123456789012:role/x"}}
  role: {{type: assume_role, role_arn: "arn:aws:iam::123456789012:role/x", source: key, scope_down: true, endpoint: "{server}", tags: {{who: "${{claims.sub}}"}}}}
"""
POLICY = """
rules:
- name: r
  match: {{everyone: true}}
  grants: [{{bucket: data, upstream: aws, target: "{target}", credentials: {credentials}, allow: {allow}}}]
"""


class Server:
    """STS and S3 at one address, which answer as they are told."""

    def __init__(self) -> None:
        self.sts = 200
        self.s3: tuple[int, str, dict[str, str]] = (200, "<ListBucketResult/>", {})
        self.cut = False
        """Buckets are not answered."""
        self.seen: list[web.Request] = []
        self.forms: list[Any] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        if self.cut and request.path != "/":
            assert request.transport is not None
            request.transport.close()
        if request.method == "POST":
            return await self._assume(request)
        status, text, headers = self.s3
        return web.Response(status=status, text=text, headers=headers, content_type="text/xml")

    async def _assume(self, request: web.Request) -> web.StreamResponse:
        self.forms.append(await request.post())
        if self.sts != 200:
            text = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
            return web.Response(status=self.sts, text=text, content_type="text/xml")
        ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.Response(
            text="<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAX</AccessKeyId>"
            "<SecretAccessKey>canary</SecretAccessKey><SessionToken>canary</SessionToken>"
            f"<Expiration>{ends}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
            content_type="text/xml",
        )


class World:
    """The server, and a configuration that leads to it."""

    def __init__(self, folder: Path, server: Server, url: str) -> None:
        self.folder = folder
        self.server = server
        self.url = url

    async def asked(
        self,
        *,
        target: str = "acme",
        credentials: str = "key",
        allow: str = "[list, read]",
        url: str = "",
        now: datetime | None = None,
        more: str = "",
    ) -> dict[str, str]:
        """Every finding, by what it is about."""
        (self.folder / "policies").mkdir(exist_ok=True)
        policy = POLICY.format(target=target, credentials=credentials, allow=allow) + more
        (self.folder / "policies" / "main.yaml").write_text(policy)
        (self.folder / "gateway.yaml").write_text(CONFIG.format(server=url or self.url))
        loaded = await asyncio.to_thread(load, self.folder / "gateway.yaml", ENVIRONMENT)
        found = await ask_storage(Snapshot.build(loaded), now or datetime.now(UTC))
        return {finding.about: str(finding).replace(f"{finding.about}: ", "") for finding in found}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", server.answer)
    async with TestServer(app, host="127.0.0.1") as running:
        yield World(tmp_path, server, str(running.make_url("")).rstrip("/"))


def error(code: str, **more: str) -> str:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    return f"<Error><Code>{code}</Code><Message>no</Message>{inner}</Error>"


async def test_a_bucket_is_listed_as_its_grant_would(world):
    """Signed with the grant's credentials, below the grant's prefix, one entry long."""
    found = await world.asked(target="acme/users/${claims.sub}/")

    assert found["bucket acme"] == "good: is at aws, and key may list it"
    request = world.server.seen[-1]
    assert request.path_qs == "/acme?list-type=2&max-keys=1&prefix=users%2Fgateway-check%2F"
    assert "Credential=AK/" in request.headers["Authorization"]


@pytest.mark.parametrize(
    ("answer", "allow", "said"),
    [
        ((404, error("NoSuchBucket"), {}), "[list]", "PROBLEM: there is no such bucket at aws"),
        (
            (301, error("PermanentRedirect"), {"x-amz-bucket-region": "eu-west-1"}),
            "[list]",
            "PROBLEM: it is in the region eu-west-1: set upstreams.aws.region",
        ),
        (
            (400, error("AuthorizationHeaderMalformed", Region="eu-west-1"), {}),
            "[list]",
            "PROBLEM: it is in the region eu-west-1: set upstreams.aws.region",
        ),
        (
            (403, error("InvalidAccessKeyId"), {}),
            "[list]",
            "PROBLEM: aws does not accept the credentials key: InvalidAccessKeyId",
        ),
        (
            (403, error("AccessDenied"), {}),
            "[list]",
            "PROBLEM: the credentials key may not list it (AccessDenied): allow them s3:ListBucket there",
        ),
        ((403, error("AccessDenied"), {}), "[write]", "good: key may not list it, and no rule lets anybody"),
        ((503, "<html>", {}), "[list]", "PROBLEM: aws answers 503"),
    ],
    ids=["none", "301", "400", "key", "denied", "not-granted", "503"],
)  # fmt: skip
async def test_what_s3_says_of_a_bucket_is_explained(world, answer, allow, said):
    """What is wrong, and which setting mends it."""
    world.server.s3 = answer

    assert (await world.asked(allow=allow))["bucket acme"] == said


async def test_a_bucket_that_a_claim_names_is_not_asked(world):
    """Nobody knows which there are."""
    found = await world.asked(target="acme-${claims.sub}")

    assert not any(about.startswith("bucket") for about in found)


async def test_nobody_there_is_said_once(world):
    """What leads through an upstream that is away is not asked as well."""
    found = await world.asked(url="http://127.0.0.1:9")

    assert found["upstream aws"].startswith("PROBLEM: http://127.0.0.1:9 does not answer")
    assert "bucket acme" not in found


async def test_aws_3_credentials_narrowed_to_a_grant_list_its_own_bucket(world):
    """Those of the first rule would be refused at the bucket of the second."""
    second = """
- name: second
  match: {everyone: true}
  grants: [{bucket: logs, upstream: aws, target: acme-logs, credentials: role, allow: [list]}]
"""
    found = await world.asked(credentials="role", more=second)

    assert all(found[f"bucket {name}"].startswith("good") for name in ("acme", "acme-logs"))
    narrowed = [form["Policy"] for form in world.server.forms]
    assert ["acme-logs" in policy for policy in narrowed] == [False, True]


async def test_a_grant_that_no_session_policy_can_say_is_told(world):
    """Its credentials are had for others."""
    keys = ", ".join(f'"{letter * 200}/**"' for letter in "abcdefghijkl")
    second = f"""
- name: second
  match: {{everyone: true}}
  grants: [{{bucket: logs, upstream: aws, target: acme-logs, credentials: role, keys: [{keys}], allow: [list, read]}}]
"""
    found = await world.asked(credentials="role", more=second)

    assert found["bucket acme"].startswith("good")
    assert "PROBLEM: no credentials for this grant: " in found["bucket acme-logs"]


async def test_a_bucket_that_is_not_answered_is_said(world):
    """The server was there a moment ago."""
    world.server.cut = True
    found = await world.asked()

    assert found["upstream aws"].startswith("good")
    assert found["bucket acme"].startswith("PROBLEM: cannot be listed: ")


async def test_credentials_of_no_rule_are_left_alone(world):
    """For whom a role would be assumed, and in which region, only a rule tells."""
    found = await world.asked(credentials="key")

    assert found["credentials role"] == "good: no rule uses them, so not asked for"
    assert found["credentials key"] == "good: as configured; the upstream judges them"


async def test_a_clock_that_is_apart_is_found(world):
    """Signatures would be of another time."""
    found = await world.asked(now=datetime.now(UTC) - timedelta(minutes=10))

    assert "seconds behind its clock" in found["upstream aws"]


@pytest.mark.parametrize("status", [200, 403])
async def test_sources_of_credentials_are_asked(world, status):
    """A role is assumed as for a grant; what belongs to persons is left to them."""
    world.server.sts = status
    found = await world.asked(target="acme/${claims.sub}/", credentials="role")

    form = world.server.forms[0]
    assert form["RoleSessionName"].startswith("gateway-check-")
    assert "acme/gateway-check/*" in form["Policy"]
    expected = "good: had: access key ASIAX" if status == 200 else "PROBLEM: cannot be had"
    assert found["credentials role"].startswith(expected)
    assert ("bucket acme" in found) is (status == 200)
    assert all(found[f"credentials {name}"].startswith("good") for name in ("key", "none", "own"))
    assert "canary" not in "".join(found.values())
