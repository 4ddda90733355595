"""Documents say what happened, escape everything, and run no script."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway import errors
from gateway.errors import ApiError, LoginError, ProviderError, StateError
from gateway.identity import Identity, Method, Proof
from gateway.keyring import Keyring
from gateway.observe.audit import AuditEvent
from gateway.server.exchange import EXCHANGE, Exchange
from gateway.server.forms import form_allows
from gateway.server.pages import Choice, Pages, plain_policy, sign_in_link
from gateway.server.respond import Refusal, refusal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring([b"k" * 32])
PAGES = Pages(static="/ui/static/r1", assets=["model/session.js"])
HOSTILE = '"><img src=x onerror="alert(1)"><script>\u202e'
ADA = Proof(
    identity=Identity(issuer="corp", subject="u-1", name="Ada", groups=("staff", "eu")),
    method=Method.SESSION,
    session_id="sid",
)


def exchange(proof: Proof | None = None) -> Exchange:
    snapshot: Any = SimpleNamespace(public_url="https://gw.example", keyring=KEYRING)
    return Exchange(
        snapshot=snapshot,
        now=NOW,
        request_id="req-7",
        event=AuditEvent(request_id="req-7", time=NOW),
        clock=lambda: NOW,
        proof=proof,
    )


def error(raised: BaseException | Refusal, proof: Proof | None = None) -> tuple[Any, str]:
    request = make_mocked_request("GET", "/x")
    request[EXCHANGE] = exchange(proof)
    refused = raised if isinstance(raised, Refusal) else refusal(raised, anonymous=proof is None)
    response = PAGES.error(request, refused)
    return response, cast(str, response.text)


ROWS: dict[str, tuple[BaseException, Proof | None, int, list[str]]] = {
    "login": (
        LoginError(errors.LOGIN_STATE),
        None,
        400,
        ["You are not signed in", "took too long", 'href="/api/session/auth/"', "login-state"],
    ),
    "provider away": (
        ProviderError(),
        None,
        503,
        ["Signing in does not work", "does not answer", "provider-away", "operates this gateway"],
    ),
    "store away": (StateError("x"), None, 503, ["does not work at the moment", "state-away"]),
    "forbidden": (
        ApiError(403, "No.", detail="You need s3:GetObject.", code="no-grant-for-action"),
        ADA,
        403,
        ["You may not do this", "You need s3:GetObject.", "u-1 at corp", "staff, eu", "Sign out"],
    ),
    "not found": (ApiError(404, "There is nothing."), ADA, 404, ["There is nothing here"]),
    "ours": (RuntimeError("secret"), None, 500, ["Something went wrong", "internal error"]),
    "wrong": (ApiError(400, "Twice."), None, 400, ["This did not work", "Twice."]),
}


@pytest.mark.parametrize(("raised", "proof", "status", "texts"), ROWS.values(), ids=ROWS.keys())
def test_an_error_page_says_what_happened_and_what_can_be_done(raised, proof, status, texts):
    """One sentence, an advice, details with the request id; nothing of an unforeseen fault."""
    response, text = error(raised, proof)

    assert response.status == status
    for expected in [*texts, "req-7", "2026-03-01 12:00:00 UTC", str(status)]:
        assert expected in text
    assert "secret" not in text
    assert response.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in response.headers) is (status == 503)


def test_web_6_whatever_is_shown_is_text():
    """Names, groups, sentences, providers, hosts."""
    hostile = Proof(
        identity=Identity(issuer=HOSTILE, subject=HOSTILE, name=HOSTILE, groups=(HOSTILE,)),
        method=Method.SESSION,
        session_id="s",
    )
    pages = [
        error(ApiError(403, HOSTILE, detail=HOSTILE, code=HOSTILE), hostile)[1],
        PAGES.sign_in(exchange(), [Choice(HOSTILE, sign_in_link(HOSTILE, HOSTILE))]).text,
        PAGES.signed_out(exchange(), provider=HOSTILE, there=True).text,
        PAGES.signed_out(exchange(), provider=HOSTILE, there=False, onward=HOSTILE).text,
        PAGES.login_confirm(
            exchange(hostile),
            name=HOSTILE,
            code=HOSTILE,
            until=NOW,
            action="/api/cli/confirm",
            fields={HOSTILE: HOSTILE},
        ).text,
    ]
    for text in pages:
        assert text is not None
        assert "<img src=x" not in text and "<script" not in text


def test_web_6_no_page_without_javascript_may_run_any():
    """No script-src at all; styles by their path, because an object may be one."""
    policy = plain_policy(exchange())

    assert "script-src" not in policy and "default-src 'none'" in policy
    assert "style-src https://gw.example/ui/static/;" in policy
    assert "frame-ancestors 'none'" in policy and "'unsafe" not in policy
    pages = [
        PAGES.sign_in(exchange(), []),
        PAGES.signed_out(exchange(), provider=None, there=False),
        error(ApiError(404, "x"))[0],
    ]
    assert all(page.headers["Content-Security-Policy"] == policy for page in pages)


def test_the_page_after_a_sign_in_elsewhere_has_one_module():
    """Of ours, by its path."""
    page = PAGES.signed_in(exchange())

    assert "script-src https://gw.example/ui/static/" in page.headers["Content-Security-Policy"]
    assert (page.text or "").count("<script") == 1


def test_uis_1_the_file_browsers_page_has_its_policy_and_its_facts():
    """Scripts by path, trusted types, modules preloaded, facts as attributes."""
    page = PAGES.app(exchange(), region="eu-west-1", version="1.2.3", release="r1")
    policy = page.headers["Content-Security-Policy"]

    assert "script-src https://gw.example/ui/static/;" in policy
    assert "require-trusted-types-for 'script'" in policy and "'unsafe" not in policy
    assert "'self'" not in policy.split("script-src")[1].split(";")[0]
    for fact in ('data-release="r1"', 'data-region="eu-west-1"', "model/session.js"):
        assert fact in (page.text or "")


def test_signed_out_says_how_far():
    """Here; here and there; here and perhaps not there; and the way on."""

    def text(**given: Any) -> str:
        return PAGES.signed_out(exchange(), **given).text or ""

    assert "here and at <bdi>Acme" in text(provider="Acme", there=True)
    assert "may still be signed in at <bdi>Acme" in text(provider="Acme", there=False)
    assert "signed out here.</p>" in text(provider=None, there=False)
    onward = text(provider="Acme", there=False, onward="https://id.example/logout?a=1&b=2")
    assert 'content="0; url=https://id.example/logout?a=1&amp;b=2"' in onward


def test_uis_5_the_sign_out_form_is_there_for_a_session_only():
    """With a token that is good for it."""
    _, text = error(ApiError(404, "x"), ADA)
    token = text.split('name="token" value="')[1].split('"')[0]
    bearer = Proof(identity=ADA.identity, method=Method.BEARER)

    assert form_allows(KEYRING, token, "sid", "sign-out", NOW)
    assert "sign-out" not in error(ApiError(404, "x"), bearer)[1]
    assert "sign-out" not in error(ApiError(404, "x"))[1]


def test_a_refused_action_names_permission_and_place():
    """What somebody who helps will ask for."""
    outcome = SimpleNamespace(
        granted=False,
        requirement=SimpleNamespace(
            action="s3:PutObject", name=SimpleNamespace(bucket="home", key="a/b")
        ),
    )
    granted = SimpleNamespace(granted=True)
    decision: Any = SimpleNamespace(outcomes=(granted, outcome))
    refused = Refusal(
        status=403,
        code="AccessDenied",
        message="Access Denied",
        reason=errors.NO_GRANT_FOR_ACTION,
        decision=decision,
        detail={"sentence": "You need s3:PutObject."},
    )
    text = error(refused, ADA)[1]

    for expected in ("You need s3:PutObject.", "home/a/b", "s3:PutObject", "administers"):
        assert expected in text


def test_a_terminals_page_asks_with_name_code_and_end():
    """Allow and Refuse in one form, to our own address."""
    text = PAGES.login_confirm(
        exchange(ADA),
        name="laptop",
        code="K7QD-M2XA",
        until=NOW,
        action="/api/cli/confirm",
        fields={"token": "t"},
    ).text

    for expected in ("laptop", "Ada", "K7QD-M2XA", "1 March 2026, 12:00 UTC", 'value="allow"'):
        assert expected in (text or "")
