"""
STS and Cognito identity pools as strict as AWS is where moto is not.

Checks who signed, trust, external ids, session names, durations, tags, session policies and
their size, tokens and their time; throttles and fails on order. Keeps what it was asked.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.test_utils import TestServer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

ROLE = "arn:aws:iam::123456789012:role/s3-users"
POOL = "us-east-1:11111111-2222-3333-4444-555555555555"
LOGIN = "cognito-idp.us-east-1.amazonaws.com/us-east-1_Pool"
ISSUER = f"https://{LOGIN}"
GATEWAY_KEY = ("AKIAGATEWAY", "gateway-secret-of-test-only")
_TAG = re.compile(r"[\w\s.:/=+\-@]{0,256}")


class Refusal(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


def token(
    subject: str, now: datetime, *, seconds: float = 3600, aud: str = "app", **more: Any
) -> str:
    """An ID token (its signature is nobody's: this fake believes it)."""
    claims = {"iss": ISSUER, "sub": subject, "aud": aud, "exp": int(now.timestamp() + seconds)}
    parts = [{"alg": "RS256"}, {**claims, **more}]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*texts, b"c2ln"]).decode()


@dataclass
class Role:
    """What the fake knows of a role."""

    external_id: str | None = None
    longest: int = 3600
    chained: bool = False


@dataclass
class FakeAws:
    """One server for all services; the clock is the test's."""

    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    keys: dict[str, str] = field(default_factory=lambda: dict([GATEWAY_KEY]))
    roles: dict[str, Role] = field(default_factory=lambda: {ROLE: Role()})
    packed_limit: int = 2048
    throttle: int = 0
    """So many of the next calls are throttled."""
    away: bool = False
    delay: float = 0.0
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._server = TestServer(app)
        self._issued = 0

    async def start(self) -> None:
        await self._server.start_server()

    async def stop(self) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("/")).rstrip("/")

    @property
    def counts(self) -> Counter[str]:
        return Counter(name for name, _ in self.calls)

    async def _handle(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.delay)
        body = await request.read()
        if self.away:
            return web.Response(status=500, text="oops")
        target = request.headers.get("X-Amz-Target", "")
        if target:
            return self._pool(target.rpartition(".")[2], json.loads(body))
        params = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        return self._sts(request, body, params)

    def _count(self, name: str, params: dict[str, Any]) -> None:
        self.calls.append((name, params))
        if self.throttle:
            self.throttle -= 1
            raise Refusal("Throttling")

    # STS

    def _sts(self, request: web.Request, body: bytes, params: dict[str, str]) -> web.Response:
        action = params["Action"]
        try:
            self._count(action, params)
            if action == "AssumeRole":
                self._signed(request, body)
                self._assume(params, external=True)
            elif action == "AssumeRoleWithWebIdentity":
                assert "Authorization" not in request.headers
                self._token(params["WebIdentityToken"])
                self._assume(params, external=False)
            else:
                raise Refusal("InvalidAction")
        except Refusal as refusal:
            text = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{refusal.code}</Code>"
                f"<Message>{refusal.code} it is</Message></Error></ErrorResponse>"
            )
            return web.Response(status=refusal.status, text=text, content_type="text/xml")
        given = self._credentials(int(params["DurationSeconds"]))
        given["Expiration"] = given["Expiration"].isoformat()
        fields = "".join(f"<{name}>{value}</{name}>" for name, value in given.items())
        text = (
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
            f"<Credentials>{fields}</Credentials></{action}Result></{action}Response>"
        )
        return web.Response(text=text, content_type="text/xml")

    def _signed(self, request: web.Request, body: bytes) -> None:
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/sts/aws4_request, "
            r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
            request.headers.get("Authorization", ""),
        )
        if found is None or found[1] not in self.keys:
            raise Refusal("InvalidClientTokenId", 403)
        names = found[3].split(";")
        again = AWSRequest(
            "POST", str(request.url), data=body, headers={n: request.headers[n] for n in names}
        )
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        auth = SigV4Auth(BotoCredentials(found[1], self.keys[found[1]]), "sts", found[2])
        text = auth.string_to_sign(again, auth.canonical_request(again))
        if auth.signature(text, again) != found[4]:
            raise Refusal("SignatureDoesNotMatch", 403)

    def _assume(self, params: Mapping[str, str], *, external: bool) -> None:
        role = self.roles.get(params["RoleArn"])
        if role is None or (external and role.external_id != params.get("ExternalId")):
            raise Refusal("AccessDenied", 403)
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", params["RoleSessionName"], re.ASCII):
            raise Refusal("ValidationError")
        if not 900 <= int(params["DurationSeconds"]) <= role.longest:
            raise Refusal("ValidationError")
        self._tags(params)
        policy = params.get("Policy", "")
        managed = [value for name, value in params.items() if name.startswith("PolicyArns")]
        self._policy(policy, sum(map(len, managed)))

    def _tags(self, params: Mapping[str, str]) -> None:
        seen = set()
        for name, value in params.items():
            if re.fullmatch(r"Tags\.member\.\d+\.Key", name):
                if value.lower() in seen:
                    raise Refusal("InvalidParameterValue")
                seen.add(value.lower())
            if re.fullmatch(r"Tags\.member\.\d+\.Value", name) and not _TAG.fullmatch(value):
                raise Refusal("ValidationError")

    def _policy(self, policy: str, managed: int) -> None:
        if not policy:
            return
        if len(policy) + managed > 2048 or re.search(r"[^\t\n\r\x20-\xff]", policy):
            raise Refusal("ValidationError")
        if json.loads(policy)["Version"] != "2012-10-17":
            raise Refusal("MalformedPolicyDocument")
        if len(policy.encode()) > self.packed_limit:
            raise Refusal("PackedPolicyTooLarge")

    def _token(self, text: str) -> dict[str, Any]:
        payload = text.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
        if claims["iss"] not in (ISSUER, "https://cognito-identity.amazonaws.com"):
            raise Refusal("InvalidIdentityToken")
        if claims["exp"] <= self.now.timestamp():
            raise Refusal("ExpiredTokenException")
        return claims

    def _credentials(self, seconds: int) -> dict[str, Any]:
        self._issued += 1
        return {
            "AccessKeyId": f"ASIA{self._issued:016d}",
            "SecretAccessKey": f"secret-{self._issued}",
            "SessionToken": f"session-{self._issued}",
            "Expiration": self.now + timedelta(seconds=seconds),
        }

    # Cognito identity pools

    def _pool(self, operation: str, params: dict[str, Any]) -> web.Response:
        try:
            self._count(operation, params)
            answer = self._pool_answer(operation, params)
        except Refusal as refusal:
            body = {"__type": refusal.code, "message": f"{refusal.code} it is"}
            return web.json_response(
                body, status=refusal.status, content_type="application/x-amz-json-1.1"
            )
        return web.json_response(answer, content_type="application/x-amz-json-1.1")

    def _pool_answer(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        try:
            claims = self._token(params["Logins"][LOGIN])
        except (Refusal, KeyError) as error:
            raise Refusal("NotAuthorizedException") from error
        identity = f"us-east-1:{claims['sub']}"
        match operation:
            case "GetId":
                if params["IdentityPoolId"] != POOL:
                    raise Refusal("ResourceNotFoundException")
                return {"IdentityId": identity}
            case _ if params["IdentityId"] != identity:
                raise Refusal("NotAuthorizedException")
            case "GetCredentialsForIdentity":
                role = params.get("CustomRoleArn")
                if role is not None and role not in claims.get("cognito:roles", []):
                    raise Refusal("InvalidParameterException")
                given = self._credentials(3600)
                given["SecretKey"] = given.pop("SecretAccessKey")
                given["Expiration"] = given["Expiration"].timestamp()
                return {"IdentityId": identity, "Credentials": given}
            case "GetOpenIdToken":
                opened = token(identity, self.now, seconds=600, aud=POOL)
                return {
                    "IdentityId": identity,
                    "Token": opened.replace(opened.split(".")[1], _reissued(opened)),
                }
            case _:
                raise Refusal("UnknownOperationException")


def _reissued(text: str) -> str:
    claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    claims["iss"] = "https://cognito-identity.amazonaws.com"
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
