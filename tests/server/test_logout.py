"""Signing out: by the page, by a form, by the provider; here, there and everywhere."""

from __future__ import annotations

import re

import pytest

from gateway.errors import ApiError, StateError
from gateway.identity import Identity, Method, Proof
from gateway.observe.audit import AuditEvent
from gateway.server.exchange import Exchange
from tests.hostile_provider import Reply, put, sign
from tests.login_world import Browser, parameters
from tests.server.conftest import World

# Signing out


async def test_ses_9_signing_out_ends_it_here_at_the_provider_and_in_the_browser(
    idp, browser, world
):
    """Session revoked, refresh token revoked, cookie cleared, where to go next."""
    await browser.login()
    copied = browser.cookies["session"]
    answer = await browser.sign_out()
    location = (await answer.json())["redirect"]

    assert answer.status == 200 and answer.headers["Clear-Site-Data"] == '"cache"'
    assert location.startswith(f"{idp.domain}/logout?client_id=gateway&logout_uri=")
    assert parameters(location)["logout_uri"] == f"{world.gateway.url}/ui/signed-out"
    assert "session" not in browser.cookies and len(idp.revoked) == 1
    thief = world.browser()
    thief.cookies["session"] = copied
    assert (await thief.who()).status == 401


async def test_ses_9_a_provider_that_is_down_does_not_keep_anybody_signed_in(
    idp, browser, monkeypatch
):
    """Two seconds at most, and the session is over."""
    monkeypatch.setattr("gateway.oidc.client.REVOKE", 0.1)
    await browser.login()
    idp.delays["/revoke"] = 1
    answer = await browser.sign_out()

    assert answer.status == 200 and (await browser.who()).status == 401


async def test_signing_out_twice_answers_the_same(browser, world):
    """And so does signing out without ever having signed in."""
    await browser.login()
    await browser.sign_out()
    answer = await browser.sign_out()

    assert (await answer.json())["redirect"] == f"{world.gateway.url}/ui/signed-out"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"X-Gateway-CSRF": "1"},
        {"Sec-Fetch-Site": "cross-site", "X-Gateway-CSRF": "1"},
        {"Sec-Fetch-Site": "same-site", "X-Gateway-CSRF": "1"},
        {"Origin": "https://evil.example", "X-Gateway-CSRF": "1"},
        {"Origin": "null", "X-Gateway-CSRF": "1"},
    ],
    ids=range(7),
)
async def test_web_1_another_site_cannot_sign_somebody_out(browser, headers):
    """It must be our own page."""
    await browser.login()
    answer = await browser.get("/api/session", "DELETE", headers=headers)

    assert answer.status == 403 and (await browser.who()).status == 200


async def test_ses_16_everywhere_ends_every_browsers_session(browser, world):
    """All of this person's, here and elsewhere."""
    other = world.browser()
    await browser.login()
    await other.login()
    world.clock.forward(seconds=1)
    assert (await browser.sign_out("?everywhere=true")).status == 200

    assert (await other.who()).status == 401
    world.clock.forward(seconds=1)
    assert (await browser.login()).status == 302 and (await browser.who()).status == 200


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"kind": "keycloak"}, "id_token_hint="),
        ({"kind": "okta"}, "id_token_hint="),
        ({"kind": "generic"}, "logout?client_id="),
        ({"kind": "google"}, "/ui/signed-out"),
    ],
    ids=lambda v: str(v),
)
async def test_the_way_out_is_the_providers_own(browser, world, row, expected):
    """By the style of its row; where it has none, our own page."""
    world.reload(row)
    await browser.login()
    location = (await (await browser.sign_out()).json())["redirect"]

    assert expected in location


@pytest.mark.parametrize(
    "query", ["", "?rd=https://evil.example", "?next=//evil", "?redirect_uri=x"]
)
async def test_red_4_the_signed_out_page_shows_no_data_and_leads_nowhere_else(browser, query):
    """Any parameter is ignored."""
    await browser.login()
    await browser.sign_out()
    answer = await browser.get(f"/ui/signed-out{query}")
    text = await answer.text()

    assert answer.status == 200 and "location" not in answer.headers
    assert "signed out here and at" in text and "evil" not in text and "ada" not in text
    assert "refresh" not in text


async def test_the_signed_out_page_says_so_where_the_provider_did_not_sign_out(browser, world):
    """ "You may still be signed in at …"."""
    world.reload({"kind": "google", "title": "Acme"})
    await browser.login()
    await browser.sign_out()
    assert (
        "may still be signed in at <bdi>Acme" in await (await browser.get("/ui/signed-out")).text()
    )
    browser.cookies["login-out"] = "1.<b>nobody"
    text = await (await browser.get("/ui/signed-out")).text()
    assert "nobody" not in text


async def sign_out_token(browser: Browser, world: World) -> str:
    """The form's token, as an error page of somebody signed in holds it."""
    answer = await browser.get("/api/session?at=a&at=b")
    found = re.search(r'name="token" value="([^"]+)"', await answer.text())
    assert found is not None
    return found[1]


async def test_uis_5_a_form_signs_out_with_its_one_time_token(idp, browser, world):
    """Without a script; the page leads on to the provider."""
    await browser.login()
    token = await sign_out_token(browser, world)
    answer = await browser.get("/ui/sign-out", "POST", data={"token": token})
    text = await answer.text()

    assert answer.status == 200 and "http-equiv" in text and f"{idp.domain}/logout" in text
    assert (await browser.who()).status == 401 and len(idp.revoked) == 1


async def test_uis_5_a_form_of_another_session_signs_nobody_out(browser, world):
    """Bound to session, purpose and hour."""
    other = world.browser()
    await browser.login()
    await other.login()
    foreign = await sign_out_token(other, world)
    own = await sign_out_token(browser, world)
    for token in ("", "x", foreign):
        answer = await browser.get("/ui/sign-out", "POST", data={"token": token})
        assert answer.status == 403
    world.clock.forward(minutes=61)
    assert own
    assert (await other.who()).status in (200, 401)


async def test_a_form_without_a_session_is_fine(browser):
    """There is nothing to end."""
    answer = await browser.get("/ui/sign-out", "POST", data={})

    assert answer.status == 200 and "You are signed out" in await answer.text()


@pytest.mark.parametrize("size", [70_000])
async def test_a_long_form_is_refused(browser, size):
    """Before it is held in memory."""
    answer = await browser.get("/ui/sign-out", "POST", data={"token": "x" * size})
    assert answer.status == 413

    async def endless():
        for _ in range(80):
            yield b"x" * 1000

    chunked = await browser.get("/ui/sign-out", "POST", data=endless())
    assert chunked.status == 413
    odd = await browser.get("/ui/sign-out", "POST", data="ä=1".encode())
    assert odd.status == 400


# The provider signs somebody out


async def back(browser: Browser, **form: str) -> int:
    answer = await browser.get("/api/session/backchannel-logout", "POST", data=form)
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status


async def test_oid_15_the_provider_ends_one_session_or_all(idp, browser, world):
    """By `sid`, by `sub`; each token once."""
    world.reload({"kind": "keycloak", "backchannel_logout": True})
    idp.claims = put(sid="op-1")
    await browser.login()
    other = world.browser()
    idp.claims = put(sid="op-2")
    await other.login()
    assert await back(browser, logout_token=idp.logout_token(sub="user-1", sid="op-1")) == 200
    assert (await browser.who()).status == 401
    assert (await other.who()).status == 200
    world.clock.forward(seconds=1)
    token = idp.logout_token(sub="user-1")
    assert await back(browser, logout_token=token) == 200
    assert await back(browser, logout_token=token) == 400
    assert (await other.who()).status == 401


async def test_oid_15_a_logout_that_the_store_did_not_take_may_be_sent_again(
    idp, browser, world, monkeypatch
):
    """The provider tries again with the same token, which has ended nothing yet."""
    world.reload({"kind": "keycloak", "backchannel_logout": True})
    idp.claims = put(sid="op-1")
    await browser.login()
    token = idp.logout_token(sub="user-1", sid="op-1")
    store = world.gateway.store

    async def away(key: str) -> bytes | None:
        raise StateError("away")

    with monkeypatch.context() as patched:
        patched.setattr(store, "take", away)
        assert await back(browser, logout_token=token) == 503

    assert await back(browser, logout_token=token) == 200
    assert (await browser.who()).status == 401
    assert await back(browser, logout_token=token) == 400


async def test_oid_15_a_forged_logout_token_ends_nothing(idp, browser, world):
    """Type, events, nonce, signature, audience, a provider that was not allowed to."""
    world.reload({"kind": "keycloak", "backchannel_logout": True})
    await browser.login()
    good = idp.logout_token(sub="user-1")
    bad = [
        idp.logout_token(sub="user-1", nonce="n"),
        idp.logout_token(sub="user-1", events=None),
        idp.logout_token(sub="user-1", aud="other"),
        idp.logout_token(),
        good[:-4] + "AAAA",
        sign(idp.id_claims(None)),
        "x",
        "",
    ]
    for token in bad:
        assert await back(browser, logout_token=token) == 400
    assert await back(browser) == 400
    world.reload({"kind": "keycloak"})
    assert await back(browser, logout_token=good) == 400

    assert (await browser.who()).status == 200


def exchange(world: World) -> Exchange:
    now = world.clock()
    event = AuditEvent(request_id="r", time=now)
    return Exchange(
        snapshot=world.gateway.snapshot, now=now, request_id="r", event=event, clock=world.clock
    )


def shown(world: World, method: Method) -> Proof:
    return Proof(
        identity=Identity(issuer="corp", subject="user-1"), method=method, issued=world.clock()
    )


async def test_ses_16_a_bearer_may_end_everything_and_an_access_key_may_not(browser, world):
    """A key is handed to machines; a sign-in is the person's."""
    await browser.login()
    end = world.gateway.logout._end
    with pytest.raises(ApiError) as caught:
        await end(exchange(world), shown(world, Method.SIGNATURE), everywhere=True)
    assert caught.value.status == 403
    assert (await browser.who()).status == 200
    location = await end(exchange(world), shown(world, Method.BEARER), everywhere=True)
    assert location == f"{world.gateway.url}/ui/signed-out"

    assert (await browser.who()).status == 401


async def test_ses_9_a_provider_whose_document_is_gone_does_not_keep_anybody_signed_in(
    idp, browser, world
):
    """It ends here, and the browser stays here."""
    await browser.login()
    world.reload({"title": "renamed"})  # its document has to be fetched anew
    idp.replies["/pool/.well-known/openid-configuration"] = Reply(500)
    answer = await browser.sign_out()

    assert (await answer.json())["redirect"] == f"{world.gateway.url}/ui/signed-out"
    assert (await browser.who()).status == 401
