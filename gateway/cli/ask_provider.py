"""
Whether people can sign in at an identity provider, asked as the gateway itself will ask.

The discovery document and the keys; the sign-in page, with the very address that a browser will
be sent to; the token endpoint, with a code that cannot be good, so that only the client may be
complained about. Nothing is changed by it, and nothing secret is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from gateway.cli.findings import Finding, clock
from gateway.config.model import Config
from gateway.config.model import Provider as Section
from gateway.errors import ProviderError
from gateway.oidc import flow
from gateway.oidc.calls import TOTAL, Calls, Reply
from gateway.oidc.endpoints import authenticate
from gateway.oidc.keyset import read_keys
from gateway.oidc.providers import Metadata, Provider, concerns, provider, read_metadata

_PROBE_CODE = "gateway-check-this-code-is-not-valid"


async def ask_provider(
    calls: Calls, section: Section, config: Config, now: datetime
) -> list[Finding]:
    """Everything that a sign-in needs of the provider, or the first thing that is wrong."""
    given = provider(section)
    about = f"identity provider {given.name}"
    try:
        reply = await calls.get(given, given.config_url)
    except ProviderError as away:
        hint = "; is the region right?" if section.cognito else ""
        text = f"{given.config_url} does not answer: {_problem(away)}{hint}"
        return [Finding(about, text, True)]
    findings = list(clock(about, reply.headers.get("date"), now))
    try:
        metadata = read_metadata(_document(reply, section), given)
        findings.append(Finding(about, f"the discovery document of {metadata.issuer} fits"))
        keys = read_keys((await calls.get(given, metadata.jwks_uri)).document())
    except ProviderError as wrong:
        return [*findings, Finding(about, _problem(wrong), True)]
    findings.append(Finding(about, f"keys it signs with: {len(keys.keys)}"))
    if found := concerns(given, metadata):
        return findings + [Finding(about, text, True) for text in found]
    if given.login:
        findings += await _ask_login(calls, given, metadata, config.server.callback_url, about)
    return findings


def _problem(error: ProviderError) -> str:
    return error.detail.get("problem", "") or error.reason.sentence


def _document(reply: Reply, section: Section) -> Any:
    """Raises ProviderError in the provider's own words, where it has any."""
    if reply.status == 200:
        return reply.document()
    said = _members(reply).get("message") or "no document"
    hint = " (are region and user pool id right?)" if section.cognito else ""
    problem = f"{section.discovery_url} answers {reply.status}: {said!s:.200}{hint}"
    raise ProviderError(problem=problem)


def _members(reply: Reply) -> Mapping[str, Any]:
    """The members of a JSON object; none of anything else."""
    try:
        document = reply.document()
    except ProviderError:
        return {}
    return document if isinstance(document, dict) else {}


async def _ask_login(
    calls: Calls, given: Provider, metadata: Metadata, callback: str, about: str
) -> list[Finding]:
    # A blank scope is whatever the client allows: asking for openid tells whether that is in it.
    asked = replace(given, scope="openid") if given.scope == "" else given
    login = flow.LoginState.fresh(given.name, flow.DEFAULT_TARGET)
    url = flow.begin(asked, metadata, login, callback)
    try:
        page = await calls.call(given, "GET", url, headers={}, seconds=TOTAL, for_browser=True)
        findings = [_sign_in_page(about, page, url, callback)]
    except ProviderError as away:
        findings = [Finding(about, f"the sign-in page does not answer: {_problem(away)}", True)]
    try:
        findings.append(await _ask_client(calls, given, metadata, login, callback, about))
    except ProviderError as away:
        text = f"the token endpoint does not answer: {_problem(away)}"
        findings.append(Finding(about, text, True))
    return findings


_SAID: Mapping[str, str] = {
    "redirect_mismatch": "the callback URL {callback} is not registered for this client",
    "invalid_scope": "the client may not ask for the scopes {scope}: allow them there, or set `scope`",
    "unauthorized_client": "the client may not use the authorization code grant",
    "invalid_client": "the provider does not know this client id",
    "invalid_request": "the provider calls the request invalid: are client id and callback URL {callback} registered?",
}
"""What a provider's error code means here."""
_NOBODY_IS_THERE = ("login_required", "interaction_required", "consent_required")


def _sign_in_page(about: str, reply: Reply, url: str, callback: str) -> Finding:
    """Whether the authorization endpoint lets us in as far as its sign-in page."""
    location = urljoin(url, reply.headers.get("location", "")) if 300 <= reply.status < 400 else ""
    code = parse_qs(urlsplit(location).query).get("error", [""])[0]
    if code and code not in _NOBODY_IS_THERE:
        said = _SAID.get(code, f"the sign-in page says {code:.60}")
        scope = parse_qs(urlsplit(url).query).get("scope", [""])[0]
        return Finding(about, said.format(callback=callback, scope=scope), True)
    if reply.status >= 400:
        return Finding(
            about,
            f"the sign-in page answers {reply.status}: are the client id and the callback URL "
            f"{callback} registered?",
            True,
        )
    return Finding(about, "client id and callback URL are known there")


async def _ask_client(
    calls: Calls,
    given: Provider,
    metadata: Metadata,
    login: flow.LoginState,
    callback: str,
    about: str,
) -> Finding:
    """Whether the client is believed: a code that is no code must be the only complaint."""
    form = {
        "grant_type": "authorization_code",
        "code": _PROBE_CODE,
        "redirect_uri": callback,
        "code_verifier": login.verifier,
    }
    headers = authenticate(given, metadata, given.client_secret, form)
    reply = await calls.post(given, metadata.token_endpoint, form, headers, seconds=TOTAL)
    code = _members(reply).get("error")
    if code == "invalid_client" or reply.status == 401:
        return Finding(about, _not_believed(given), True)
    if code == "unauthorized_client":
        return Finding(about, _SAID["unauthorized_client"], True)
    if not isinstance(code, str) or reply.status >= 500:
        text = f"the token endpoint answers {reply.status}, and not as one does"
        return Finding(about, text, True)
    text = "the client secret is accepted" if given.client_secret else "the client needs no secret"
    return Finding(about, text)


def _not_believed(given: Provider) -> str:
    if given.client_secret is None:
        return "the client has a secret there, and none is configured: set client_secret"
    return f"the client secret is not accepted for the client {given.client_id}"
