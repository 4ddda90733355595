"""
What `gateway check --online` and `gateway init` ask of the world: is it there, and does it fit?

Identity providers are asked as an outsider would: the discovery document, the sign-in page with
our client id and callback, the token endpoint with a code that cannot be good. Nothing is
changed by it, and nothing secret is told. Each finding is a sentence that says what to do.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, final
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import aiohttp

from gateway.config.model import Config, Provider, UpstreamConfig
from gateway.errors import GatewayError
from gateway.identity import SERVICE_ISSUER, Identity, Method, Proof, Secret
from gateway.policy.match import TEMPLATE
from gateway.policy.model import Grant
from gateway.snapshot import Snapshot
from gateway.upstream.aws import Aws
from gateway.upstream.sources import CredentialSources

CONNECT = 5.0  # seconds
TOTAL = 15.0  # seconds for one answer
ANSWER_MAX = 256 * 1024  # bytes read of one
CLOCK_APART = 60  # seconds: what tokens are allowed; S3 takes 15 minutes
_PROBE_CODE = "gateway-check-this-code-is-not-valid"


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was asked, and what came of it."""

    about: str
    text: str
    bad: bool = False

    def __str__(self) -> str:
        return f"{'PROBLEM' if self.bad else 'good'}: {self.about}: {self.text}"


async def ask(snapshot: Snapshot, now: datetime) -> list[Finding]:
    """All that the configuration leads to."""
    findings: list[Finding] = []
    async with _session() as session:
        for provider in snapshot.config.oidc:
            findings += await ask_provider(session, provider, snapshot.config, now)
        for name, upstream in snapshot.config.upstreams.items():
            findings.append(await ask_upstream(session, name, upstream, now))
    return [*findings, *await ask_sources(snapshot, now)]


async def ask_providers(config: Config, now: datetime) -> list[Finding]:
    """The identity providers alone."""
    findings: list[Finding] = []
    async with _session() as session:
        for provider in config.oidc:
            findings += await ask_provider(session, provider, config, now)
    return findings


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=TOTAL, sock_connect=CONNECT),
        trust_env=True,
    )


@final
@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class _Unreachable(Exception):
    """No answer, and why."""


async def _call(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    ca: object = None,
    *,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> _Reply:
    context: ssl.SSLContext | bool = True
    try:
        if ca is not None:
            context = ssl.create_default_context(cafile=str(ca))
        async with session.request(
            method, url, data=data, headers=headers, allow_redirects=False, ssl=context
        ) as answer:
            body = await answer.content.read(ANSWER_MAX)
            return _Reply(answer.status, dict(answer.headers), body)
    except aiohttp.ClientConnectorDNSError as failed:
        raise _Unreachable(f"there is no host {urlsplit(url).hostname}") from failed
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failed:
        raise _Unreachable(str(failed) or type(failed).__name__) from failed


async def ask_provider(
    session: aiohttp.ClientSession, provider: Provider, config: Config, now: datetime
) -> list[Finding]:
    """Discovery, and where people sign in there: the sign-in page and the client's secret."""
    about = f"identity provider {provider.name}"
    try:
        reply = await _call(session, "GET", provider.discovery_url, provider.ca)
    except _Unreachable as why:
        hint = "; is the region right?" if provider.cognito else ""
        return [Finding(about, f"{provider.discovery_url} does not answer: {why}{hint}", True)]
    findings = list(_clock(about, reply, now))
    document = reply.json()
    wrong = _discovery_problem(provider, reply, document)
    if wrong is not None:
        return [*findings, Finding(about, wrong, True)]
    findings.append(Finding(about, f"the discovery document of {provider.issuer_url} fits"))
    if provider.login:
        findings += await _ask_login(session, provider, config, document, about)
    return findings


def _clock(about: str, reply: _Reply, now: datetime) -> Iterator[Finding]:
    try:
        there = parsedate_to_datetime(reply.headers.get("Date", ""))
    except ValueError:
        return
    apart = round((now - there).total_seconds()) if there.tzinfo is not None else 0
    if abs(apart) > CLOCK_APART:
        ahead = "ahead of" if apart > 0 else "behind"
        yield Finding(
            about, f"this machine's clock is {abs(apart)} seconds {ahead} its clock", True
        )


def _discovery_problem(provider: Provider, reply: _Reply, document: Any) -> str | None:
    """What is wrong with the discovery document; None where nothing is."""
    if reply.status != 200 or not isinstance(document, dict):
        said = document.get("message") if isinstance(document, dict) else None
        hint = " (are region and user pool id right?)" if provider.cognito else ""
        return f"{provider.discovery_url} answers {reply.status}: {said or 'no document'}{hint}"
    if document.get("issuer") != provider.issuer_url:
        return (
            f"the document says that its issuer is {document.get('issuer')!r}; "
            f"configured is {provider.issuer_url!r}, and they must be equal to the letter"
        )
    if provider.login:
        endpoint = str(document.get("authorization_endpoint") or "")
        if not endpoint:
            return "the document names no authorization endpoint"
        if (urlsplit(endpoint).hostname or "").startswith("cognito-idp."):
            return "the user pool has no domain: add one (Cognito console, Branding, Domain)"
        scopes = document.get("scopes_supported")
        if isinstance(scopes, list) and "openid" not in scopes:
            return (
                "the provider does not offer the scope openid, and without it there is no ID token"
            )
    return None


async def _ask_login(
    session: aiohttp.ClientSession,
    provider: Provider,
    config: Config,
    document: Mapping[str, Any],
    about: str,
) -> list[Finding]:
    findings: list[Finding] = []
    query = {
        "response_type": "code",
        "client_id": provider.client_id or "",
        "redirect_uri": config.server.callback_url,
        "state": "gateway-check",
        "nonce": "gateway-check",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    if provider.scope != "":
        query["scope"] = provider.scope or "openid"
    endpoint = str(document["authorization_endpoint"])
    url = endpoint + ("&" if "?" in endpoint else "?") + urlencode(query)
    try:
        reply = await _call(session, "GET", url, provider.ca)
        findings.append(_sign_in_page(about, reply, url, config.server.callback_url))
        token_endpoint = document.get("token_endpoint")
        if isinstance(token_endpoint, str):
            findings.append(await _client(session, provider, config, token_endpoint, about))
    except _Unreachable as why:
        findings.append(Finding(about, f"the sign-in page does not answer: {why}", True))
    return findings


_SAID = {
    "redirect_mismatch": "the callback URL {callback} is not registered for this client",
    "invalid_scope": "the client may not ask for these scopes: allow openid, email and profile",
    "unauthorized_client": "the client may not use the authorization code grant",
    "invalid_client": "the provider does not know this client id",
    "invalid_request": "the provider calls the request invalid: are client id and callback URL {callback} registered?",
}
"""What a provider's error code means here."""


def _sign_in_page(about: str, reply: _Reply, url: str, callback: str) -> Finding:
    """Whether the authorization endpoint lets us in as far as its sign-in page."""
    location = urljoin(url, reply.headers.get("Location", "")) if 300 <= reply.status < 400 else ""
    parameters = parse_qs(urlsplit(location).query)
    code = parameters.get("error", [""])[0]
    if code in ("login_required", "interaction_required", "consent_required"):
        code = ""
    if code:
        said = _SAID.get(code, f"the sign-in page says {code}").format(callback=callback)
        return Finding(about, said, True)
    if reply.status >= 400:
        return Finding(
            about,
            f"the sign-in page answers {reply.status}: are the client id and the callback URL "
            f"{callback} registered?",
            True,
        )
    return Finding(about, "client id and callback URL are known there")


async def _client(
    session: aiohttp.ClientSession, provider: Provider, config: Config, url: str, about: str
) -> Finding:
    """Whether the client's secret is believed: a code that is no code must be the only complaint."""
    form = {
        "grant_type": "authorization_code",
        "code": _PROBE_CODE,
        "redirect_uri": config.server.callback_url,
        "code_verifier": "x" * 43,
        "client_id": provider.client_id or "",
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if provider.client_secret is not None:
        if provider.client_auth == "client_secret_post":
            form["client_secret"] = provider.client_secret.reveal()
        else:  # RFC 6749 section 2.3.1: both parts form-encoded first
            pair = f"{quote(provider.client_id or '', safe='')}:{quote(provider.client_secret.reveal(), safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    reply = await _call(
        session, "POST", url, provider.ca, data=urlencode(form).encode(), headers=headers
    )
    document = reply.json()
    code = document.get("error") if isinstance(document, dict) else None
    if code == "invalid_client" or reply.status == 401:
        return Finding(about, "the client secret is not accepted", True)
    if code == "unauthorized_client":
        return Finding(about, "the client may not use the authorization code grant", True)
    if reply.status >= 500:
        return Finding(about, f"the token endpoint answers {reply.status}", True)
    return Finding(about, "the client secret is accepted")


async def ask_upstream(
    session: aiohttp.ClientSession, name: str, upstream: UpstreamConfig, now: datetime
) -> Finding:
    """Whether something answers there; what it answers to a stranger says nothing."""
    about = f"upstream {name}"
    try:
        reply = await _call(session, "GET", upstream.url + "/", upstream.ca)
    except _Unreachable as why:
        return Finding(about, f"{upstream.url} does not answer: {why}", True)
    for finding in _clock(about, reply, now):
        return finding
    return Finding(about, f"{upstream.url} answers")


async def ask_sources(snapshot: Snapshot, now: datetime) -> list[Finding]:
    """Whether credentials can be had. Those of persons are had for their sign-in: not asked here."""
    sources = CredentialSources(snapshot.config, Aws(), _nobodys_token, lambda: now)
    findings: list[Finding] = []
    try:
        for name, settings in snapshot.config.credentials.items():
            if settings.type in _NOT_ASKED:
                findings.append(Finding(f"credentials {name}", _NOT_ASKED[settings.type]))
            else:
                findings.append(await _ask_source(sources, name, snapshot, now))
    finally:
        await sources.close()
    return findings


_NOT_ASKED = {
    "static": "as configured; the upstream judges them",
    "anonymous": "requests go unsigned",
    "web_identity": "had for each person's sign-in, so not asked for now",
    "cognito_identity": "had for each person's sign-in, so not asked for now",
}
"""Kinds of credentials of which nothing can be asked without somebody."""


async def _ask_source(
    sources: CredentialSources, name: str, snapshot: Snapshot, now: datetime
) -> Finding:
    about = f"credentials {name}"
    somebody = Identity(issuer=SERVICE_ISSUER, subject=_WHO, claims={})
    proof = Proof(identity=somebody, method=Method.SIGNATURE)
    try:
        credentials = await sources.get(_grant(name, snapshot), proof, now)
    except GatewayError as error:
        return Finding(about, f"cannot be had: {error}", True)
    return Finding(about, f"had: access key {credentials.access_key_id}")


_WHO = "gateway-check"


def _grant(name: str, snapshot: Snapshot) -> Grant:
    """A grant as some rule gives it under these credentials, every claim being our own name."""
    rules = (grant for rule in snapshot.policy.rules for grant in rule.grants)
    given = next((grant for grant in rules if grant.credentials == name), None)
    if given is None:
        return Grant(
            bucket=_WHO, actions=frozenset({"s3:GetObject"}), upstream="", target_bucket=_WHO,
            credentials=name, rule="", session_name=_WHO,
        )  # fmt: skip
    return Grant(
        bucket=_WHO,
        keys=tuple(_filled(key) for key in given.keys),
        actions=given.actions,
        upstream=given.upstream,
        target_bucket=_filled(given.target_bucket),
        target_prefix=_filled(given.target_prefix),
        credentials=name,
        rule="",
        session_name=_filled(given.session_name),
        source_identity=_filled(given.source_identity),
        tags=tuple((tag, _filled(value)) for tag, value in given.tags),
        scope_down=given.scope_down,
    )


def _filled(template: str) -> str:
    return TEMPLATE.sub(_WHO, template)


async def _nobodys_token(_proof: Proof) -> Secret | None:
    return None
