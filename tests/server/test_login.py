"""
Signing in and out, as conversations between a browser, the gateway and a provider.

Where a case has a name in the OpenID conformance suite, the test's id is that name. A negative
passes only if the gateway answered 4xx, set no session cookie and made no call it should not make.
"""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from gateway.errors import LOGIN_TOO_BIG, LoginError, StateError
from gateway.oidc.providers import provider
from gateway.server.login import keeps_id_token
from tests.hostile_provider import (
    EC,
    KEYS,
    OKP,
    STRANGER,
    Clock,
    HostileProvider,
    Reply,
    b64,
    drop,
    left_half,
    put,
    sign,
)
from tests.login_world import Browser, parameters, section


def session_set(browser: Browser) -> bool:
    return any(re.match(r"(__Host-)?session=.", line) for line in browser.set_cookies)


async def refused(
    browser: Browser, answer: aiohttp.ClientResponse, status: int = 400, code: str = ""
) -> str:
    """The page says what happened, and nobody is signed in."""
    text = await answer.text()
    assert answer.status == status, text
    assert "location" not in answer.headers
    assert not session_set(browser)
    assert "req-1" in text and "<script" not in text
    assert code in text
    assert (await browser.who()).status == 401
    return text


# What must be accepted


ACCEPTED: dict[str, dict[str, Any]] = {
    "oidcc-client-test": {},
    "idtoken-sig-rs256": {"alg": "RS256"},
    "idtoken-sig-ps256": {"alg": "PS256"},
    "idtoken-sig-es256": {"alg": "ES256", "key": EC, "keys": [*KEYS, EC]},
    "idtoken-sig-eddsa": {"alg": "EdDSA", "key": OKP, "keys": [*KEYS, OKP]},
    "client-secret-basic": {},
    "kid-absent-single-jwks": {"keys": KEYS[:1], "header": put(kid=None)},
    "discovery-openid-config": {},
    "discovery-jwks-uri-keys": {"jwks": lambda s: {"keys": [{"kty": "AKP"}, 5, *s["keys"]]}},
    "valid-aud-as-array": {"claims": lambda c: {**c, "aud": [c["aud"]]}},
    "token-type-case-insensitivity": {"answer": put(token_type="bEaReR")},
    "token-endpoint-response-without-expires_in": {"answer": drop("expires_in")},
    "no-scope-in-token-endpoint-response": {"answer": drop("scope")},
    "aggregated-claims": {
        "claims": put(_claim_names={"address": "s"}, _claim_sources={"s": {"JWT": "x.y.z"}})
    },
    "distributed-claims": {
        "claims": put(_claim_names={"age": "s"}, _claim_sources={"s": {"endpoint": "http://x/"}})
    },
    "escaped-slashes": {"claims": lambda c: sign(json.dumps(c).replace("/", "\\/"))},
    "roles-as-string": {"claims": put(**{"cognito:roles": "arn:a,arn:b"})},
    "pkce-unadvertised": {"document": drop("code_challenge_methods_supported")},
    "session-state": {"callback": put(session_state="x", scope="openid", authuser="0")},
    "iss-on-callback": {"document": put(authorization_response_iss_parameter_supported=True)},
}


@pytest.mark.parametrize("switches", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_a_login_that_must_be_accepted(idp, browser, world, switches):
    """By the standard, or because a provider is known to do so."""
    for name, value in switches.items():
        setattr(idp, name, value)
    if "idtoken" in str(switches.get("alg")) or "alg" in switches:
        world.reload({"kind": "generic"})
    if "authorization_response" in str(idp.document({})):
        idp.callback = put(iss=idp.issuer)
    answer = await browser.login("?next=/ui/b/home/")

    assert answer.status == 302, await answer.text()
    assert answer.headers["Location"] == "/ui/b/home/"
    who = await (await browser.who()).json()
    assert (who["issuer"], who["subject"]) == ("corp", "user-1")
    assert [path for path, _, _ in idp.calls if path not in KNOWN] == []


KNOWN = {"/pool/.well-known/openid-configuration", "/jwks", "/authorize", "/token", "/userinfo"}


async def test_signing_key_rotation(idp, browser, world):
    """`signing-key-rotation` and `…-just-before-signing`: seconds after the first login."""
    assert (await browser.login()).status == 302
    idp.keys = [KEYS[1]]
    world.clock.forward(seconds=1)

    assert (await world.browser().login()).status == 302


async def test_userinfo_bearer_header_and_scope_userinfo_claims(idp, browser, world):
    """`userinfo-bearer-header`, `scope-userinfo-claims`: asked where the row says so."""
    world.reload({"kind": "generic", "userinfo": True})
    assert (await browser.login()).status == 302
    headers = [headers for path, _, headers in idp.calls if path == "/userinfo"]

    assert len(headers) == 1 and headers[0]["Authorization"].startswith("Bearer ")


# What must be refused


def hs256(secret: bytes) -> Any:
    return lambda claims: sign(claims, secret, "HS256", kid=KEYS[0].kid)


def spoilt(claims: dict[str, Any]) -> str:
    token = sign(claims)
    return token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")


def null_alg(claims: dict[str, Any]) -> str:
    head = b64(json.dumps({"alg": None, "kid": KEYS[0].kid}).encode())
    return ".".join([head, *sign(claims).split(".")[1:]])


REFUSED: dict[str, dict[str, Any]] = {
    "invalid-iss": {"claims": put(iss="https://evil.example")},
    "missing-sub": {"claims": drop("sub")},
    "invalid-aud": {"claims": put(aud="other")},
    "missing-aud": {"claims": drop("aud")},
    "missing-iat": {"claims": drop("iat")},
    "kid-absent-multiple-jwks": {"header": put(kid=None)},
    "idtoken-sig-none": {"claims": lambda c: sign(c, alg="none", kid=None) + "AA"},
    "invalid-sig-rs256": {"claims": spoilt},
    "invalid-sig-rs256-stranger": {"claims": lambda c: sign(c, STRANGER)},
    "invalid-sig-es256": {
        "keys": [*KEYS, EC],
        "claims": lambda c: sign(c, KEYS[0], "RS256", kid="ec"),
    },
    "invalid-sig-hs256": {"claims": hs256("s3cr:t%/+ä".encode())},
    "invalid-sig-hs256-public-key": {"claims": hs256(KEYS[0].as_pem(private=False))},
    "nonce-invalid": {"claims": put(nonce="x")},
    "invalid-missing-nonce": {"claims": drop("nonce")},
    "iat-is-week-in-past": {"claims": lambda c: {**c, "iat": c["iat"] - 7 * 86400}},
    "invalid-secondary-aud": {"claims": lambda c: {**c, "aud": [c["aud"], "evil"]}},
    "invalid-null-alg": {"claims": null_alg},
    "invalid-alternate-alg": {"alg": "PS256"},
    "invalid-missing-exp": {"claims": drop("exp")},
    "invalid-expired-exp": {"claims": lambda c: {**c, "exp": c["iat"] - 600}},
    "invalid-at-hash": {"claims": put(at_hash=left_half("another"))},
    "access-token": {"claims": put(token_use="access")},
    "typ-logout": {"header": put(typ="logout+jwt")},
    "crit": {"header": put(crit=["exp"])},
    "no-id-token": {"answer": drop("id_token")},
    "id-token-not-a-token": {"answer": put(id_token="opaque")},
}


@pytest.mark.parametrize("switches", REFUSED.values(), ids=REFUSED.keys())
async def test_oid_8_a_login_that_must_be_refused(idp, browser, world, switches):
    """4xx, no session, a page with a way back, and one redemption at most."""
    if "alg" not in switches:
        world.reload({"kind": "generic"})
    for name, value in switches.items():
        setattr(idp, name, value)
    text = await refused(browser, await browser.login())

    assert 'href="/api/session/auth/"' in text
    assert idp.count("/token") == 1
    assert idp.count("/jwks") <= 2
    assert [path for path, _, _ in idp.calls if path not in KNOWN] == []


async def test_oid_11_userinfo_of_somebody_else(idp, browser, world):
    """`userinfo-invalid-sub`."""
    world.reload({"kind": "generic", "userinfo": True})
    idp.userinfo = put(sub="user-2")

    await refused(browser, await browser.login(), code="token-subject")


@pytest.mark.parametrize(
    "document",
    [
        put(issuer="https://evil.example"),
        drop("token_endpoint"),
        put(token_endpoint="http://evil.example/token"),
        put(id_token_signing_alg_values_supported=["none"]),
    ],
    ids=["discovery-issuer-mismatch", "no-token-endpoint", "http-endpoint", "only-none"],
)
async def test_oid_10_a_login_does_not_start_with_a_bad_document(idp, browser, document):
    """503, and nothing of it is used."""
    idp.document = document
    answer = await browser.get("/api/session/auth/")

    await refused(browser, answer, 503, "provider-answer")


async def test_oid_10_a_provider_that_is_away_is_503_with_retry_after(idp, browser):
    """Never a crash, never a hang."""
    idp.replies["/pool/.well-known/openid-configuration"] = Reply(500)
    answer = await browser.get("/api/session/auth/")

    await refused(browser, answer, 503, "provider-away")
    assert answer.headers["Retry-After"]


ISSUERS = [
    ("invalid-authorization-response-iss", False, "https://evil.example", False),
    ("remove-authorization-response-iss", True, None, False),
    ("iss-promised-and-right", True, "right", True),
    ("iss-not-promised-and-right", False, "right", True),
]


@pytest.mark.parametrize(
    ("promised", "iss", "fine"), [row[1:] for row in ISSUERS], ids=[row[0] for row in ISSUERS]
)
async def test_oid_3_the_answers_issuer(idp, browser, promised, iss, fine):
    """RFC 9207; refused before the code is redeemed."""
    idp.document = put(authorization_response_iss_parameter_supported=promised)
    if iss is not None:
        idp.callback = put(iss=idp.issuer if iss == "right" else iss)
    answer = await browser.login()
    if fine:
        assert answer.status == 302
    else:
        await refused(browser, answer, code="login-issuer")
        assert idp.count("/token") == 0


STATES = {
    "ensure-authorization-response-with-invalid-state-fails": put(state="x" * 43),
    "ensure-authorization-response-with-missing-state-fails": drop("state"),
    "two states": lambda c: {**c, "state": [c["state"], c["state"]]},
    "two codes": lambda c: {**c, "code": [c["code"], "other"]},
    "code and error": put(error="access_denied"),
    "no code": drop("code"),
    "empty code": put(code=""),
}


@pytest.mark.parametrize("callback", STATES.values(), ids=STATES.keys())
async def test_oid_1_nothing_is_believed_before_the_state(idp, browser, callback):
    """The token endpoint sees nothing."""
    idp.callback = callback

    await refused(browser, await browser.login())
    assert idp.count("/token") == 0


async def test_oid_1_a_callback_in_another_browser(idp, browser, world):
    """Login CSRF: the victim's browser has no cookie for this state."""
    location = await browser.at_provider(await browser.start())
    victim = world.browser()

    await refused(victim, await victim.get(location), code="login-state")
    assert idp.count("/token") == 0


async def test_oid_1_a_callback_is_good_once(idp, browser):
    """The login cookie goes with it, whatever happens next."""
    location = await browser.at_provider(await browser.start())
    assert (await browser.get(location)).status == 302
    again = await browser.get(location)

    assert again.status == 400 and idp.count("/token") == 1


async def test_oid_1_a_callback_after_ten_minutes(idp, browser, world):
    """Its cookie has ended."""
    location = await browser.at_provider(await browser.start())
    world.clock.forward(minutes=10)

    await refused(browser, await browser.get(location), code="login-state")
    assert idp.count("/token") == 0


async def test_oid_1_the_login_cookie_of_another_login(idp, browser, world):
    """Two logins in one browser do not meet; neither does a cookie under another's name."""
    first = await browser.at_provider(await browser.start())
    second = await browser.at_provider(await browser.start())
    names = [name for name in browser.cookies if re.fullmatch(r"login-.{8}", name)]
    assert len(names) == 2
    browser.cookies[names[0]], browser.cookies[names[1]] = (
        browser.cookies[names[1]],
        browser.cookies[names[0]],
    )
    assert (await browser.get(first)).status == 400
    assert (await browser.get(second)).status == 400
    assert idp.count("/token") == 0


async def test_oid_2_the_verifier_is_checked_by_the_provider(idp, browser):
    """A code that was caught on its way is good for nobody else."""
    one = await browser.at_provider(await browser.start())
    two = await browser.at_provider(await browser.start())
    crossed = two.replace(parameters(two)["code"], parameters(one)["code"])

    await refused(browser, await browser.get(crossed), code="token-redeem")


async def test_oid_3_two_providers_crossed(idp, browser, world):
    """The provider of a login is named in its cookie, not by the answer."""
    other = HostileProvider(world.clock)
    await other.start()
    try:
        rows = [section(idp), section(other, name="other")]
        world.providers.replace(map(provider, rows))
        location = await browser.at_provider(await browser.start("?provider=corp"))
        idp.callback = put(iss=other.issuer)
        mixed = await browser.at_provider(await browser.start("?provider=corp"))
        assert (await browser.get(mixed)).status == 400
        assert other.count("/token") == 0
        assert (await browser.get(location)).status == 302
        assert other.count("/token") == 0
    finally:
        await other.stop()


@pytest.mark.parametrize("query", ["?provider=nobody", "?provider="])
async def test_an_unknown_provider_is_told(browser, query):
    """By a page."""
    answer = await browser.get(f"/api/session/auth/{query}")

    await refused(browser, answer, code="unknown-provider")


async def test_several_providers_are_a_choice(browser, world):
    """One link each, which keeps where somebody was going."""
    world.reload(
        {"title": "Acme <b>"},
        {"name": "two"},
        {"name": "tokens", "client_id": None, "client_secret": None, "audiences": ["x"]},
    )
    answer = await browser.get("/api/session/auth/?next=/ui/b/home/%3Fa%3D1%26b")
    text = await answer.text()

    assert answer.status == 200 and "Acme &lt;b&gt;" in text
    assert "provider=tokens" not in text
    assert "/api/session/auth/?provider=corp&amp;next=/ui/b/home/%3Fa%3D1%26b" in text
    assert browser.set_cookies == []


async def test_no_provider_at_all_is_told(browser, world):
    """Keys work without one."""
    world.reload()

    await refused(browser, await browser.get("/api/session/auth/"), code="unknown-provider")


async def test_oid_12_an_error_ends_on_a_page(idp, browser):
    """In our own words; the provider's text is not shown."""
    idp.callback = lambda c: {
        "state": c["state"],
        "error": "access_denied",
        "error_description": "<b>call 555-EVIL</b>",
    }
    text = await refused(browser, await browser.login(), code="login-refused")

    assert "EVIL" not in text and "access_denied" in text
    assert idp.count("/token") == 0


async def test_oid_12_the_fourth_start_within_a_minute_gets_a_page(browser, world):
    """A cookie that never sticks ends somewhere."""
    for _ in range(3):
        await browser.start()
    await refused(browser, await browser.get("/api/session/auth/"), code="login-loop")
    world.clock.forward(seconds=61)

    assert (await browser.get("/api/session/auth/")).status == 302


async def test_oid_13_nothing_of_the_request_reaches_the_provider(browser, world):
    """Whatever is tried."""
    evil = "prompt=none&acr_values=x&redirect_uri=https://evil.example&scope=x&nonce=n&client_id=c"
    sent = parameters(await browser.start(f"?{evil}&login_hint=a&claims=b&request_uri=c&next=/x"))

    assert set(sent) == {
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    }
    assert sent["client_id"] == "gateway" and "evil" not in str(sent)
    assert sent["redirect_uri"] == f"{world.gateway.url}/api/session/auth/"


async def test_prx_4_the_redirect_uri_does_not_follow_the_host_header(browser, world):
    """It is what the administrator registered."""
    answer = await browser.get(
        "/api/session/auth/",
        headers={
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "https",
        },
    )

    assert "evil" not in answer.headers["Location"]
    assert all("Secure" not in line for line in browser.set_cookies)


async def test_oid_14_a_cookie_from_before_is_no_session_afterwards(browser, world):
    """Fixation: the attacker's cookie dies with the victim's login."""
    attacker = world.browser()
    await attacker.login()
    browser.cookies["session"] = attacker.cookies["session"]
    await browser.login()

    assert browser.cookies["session"] != attacker.cookies["session"]
    assert (await browser.who()).status == 200
    assert (await attacker.who()).status == 401


@pytest.mark.parametrize(
    ("reply", "delay"),
    [
        (Reply(500), 0),
        (Reply(302, headers={"Location": "/jwks"}), 0),
        (Reply(200, b"{"), 0),
        (None, 0.5),
    ],
    ids=["500", "redirect", "cut", "slow"],
)
async def test_oid_17_a_token_endpoint_that_fails_counts_one_request(
    idp, browser, monkeypatch, reply, delay
):
    """No retry below a redemption."""
    monkeypatch.setattr("gateway.oidc.endpoints.REDEEM", 0.2)
    if reply:
        idp.replies["/token"] = reply
    idp.delays["/token"] = delay
    await refused(browser, await browser.login(), 503)

    assert idp.count("/token") == 1 and idp.count("/jwks") == 0


# Where to


@pytest.mark.parametrize("path", ["/api/session/auth", "/api/session/auth/"])
async def test_the_callback_works_with_and_without_its_slash(browser, path):
    """Administrators register either."""
    location = await browser.at_provider(await browser.start())

    answer = await browser.get(location.replace("/api/session/auth/", path))
    assert answer.status == 302


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("/ui/b/home/", "/ui/b/home/"),
        ("/home/a%2520b%252F..%2525?x=1", "/home/a%20b%2F..%25?x=1"),
        ("//evil.example", "/ui/"),
        ("/%5Cevil.example", "/ui/"),
        ("https://evil.example", "/ui/"),
        ("/api/session", "/ui/"),
        ("/%252e%252e/x", "/ui/"),
        ("", "/ui/"),
    ],
)
async def test_red_1_the_return_target_is_ours_and_verbatim(browser, given, target):
    """It must not pass through a URL class."""
    answer = await browser.login(f"?next={given}")

    assert answer.headers["Location"] == target


async def test_red_2_the_target_travels_in_the_sealed_cookie(idp, browser):
    """An altered state finds no cookie; an altered cookie opens nothing."""
    url = await browser.start("?next=/ui/b/home/")
    assert "home" not in url
    location = await browser.at_provider(url)
    name = next(n for n in browser.cookies if re.fullmatch(r"login-.{8}", n))
    browser.cookies[name] = browser.cookies[name][:-2] + "AA"

    await refused(browser, await browser.get(location), code="login-state")


async def test_only_a_navigation_starts_a_login(browser):
    """A script gets 401, and no cookie of a login that nobody sees."""
    for mode in ("cors", "no-cors", "same-origin"):
        answer = await browser.get("/api/session/auth/", headers={"Sec-Fetch-Mode": mode})
        assert answer.status == 401
    assert browser.set_cookies == []
    answer = await browser.get("/api/session/auth/", headers={"Sec-Fetch-Mode": "navigate"})
    assert answer.status == 302


# Cookies


async def test_ses_1_every_cookie_that_is_set_has_its_attributes(browser, world):
    """Login, count, session, out; set and expired."""
    await browser.login()
    await browser.sign_out()
    for line in browser.set_cookies:
        first, *attributes = line.split("; ")
        assert attributes[0].startswith("Max-Age=")
        assert attributes[1:] == ["Path=/", "HttpOnly", "SameSite=Lax"], line
        assert first.split("=")[0] in ("session", "login-count", "login-out") or re.fullmatch(
            r"login-[\w-]{8}", first.split("=")[0]
        )


async def test_ses_12_twenty_tabs_do_not_lock_anybody_out(browser, world):
    """Five login cookies and 3000 bytes at most, then login and logout still work."""
    for _ in range(20):
        world.clock.forward(seconds=25)
        await browser.start("?next=/ui/b/home/" + "x" * 300)
    logins = {n: v for n, v in browser.cookies.items() if re.fullmatch(r"login-.{8}", n)}
    assert 1 <= len(logins) <= 5
    assert sum(len(n) + 1 + len(v) for n, v in logins.items()) <= 3000
    world.clock.forward(seconds=61)
    assert (await browser.login()).status == 302
    assert (await browser.sign_out()).status == 200


async def test_ses_12_the_oldest_logins_give_way(browser, world):
    """The newest tab still finishes."""
    urls = []
    for _ in range(7):
        world.clock.forward(seconds=30)
        urls.append(await browser.start())
    newest = await browser.get(await browser.at_provider(urls[-1]))
    oldest = await browser.get(await browser.at_provider(urls[0]))

    assert newest.status == 302 and oldest.status == 400


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("split", [False, True])
async def test_ses_10_two_cookies_of_one_name_are_no_session(browser, world, order, split):
    """In either order, in one header or two."""
    await browser.login()
    pair = [f"session={browser.cookies['session']}", "session=evil"]
    if order:
        pair.reverse()
    headers = [("Cookie", one) for one in pair] if split else [("Cookie", "; ".join(pair))]
    answer = await world.http.get(f"{world.gateway.url}/api/session", headers=headers)

    assert answer.status == 401


# Who am I


async def test_the_session_answer_holds_what_the_contract_says_and_never_a_token(browser, idp):
    """Identity, when it ends, how it was shown, buckets."""
    await browser.login()
    answer = await browser.who()
    text = await answer.text()
    who = json.loads(text)

    assert set(who) == {
        "subject",
        "issuer",
        "username",
        "name",
        "email",
        "groups",
        "expires_at",
        "method",
        "buckets",
    }
    assert who["groups"] == ["staff"] and who["method"] == "session"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "eyJ" not in text


async def test_the_session_answer_for_one_place(browser):
    """`?at=bucket/prefix`, once."""
    await browser.login()
    one = await (await browser.get("/api/session?at=home/a%2Fb/")).json()
    two = await browser.get("/api/session?at=a&at=b")

    assert one["at"]["because"] == "home:a/b/"
    assert two.status == 400


async def test_groups_are_those_of_the_record_where_the_store_answers(browser, world, monkeypatch):
    """And those of the cookie where it does not."""
    world.idp.groups = ["staff", "eu"]
    await browser.login()
    assert (await (await browser.who()).json())["groups"] == ["staff", "eu"]

    async def away(*_: Any) -> None:
        raise StateError

    monkeypatch.setattr(world.gateway.sessions, "record", away)
    assert (await (await browser.who()).json())["groups"] == ["staff", "eu"]
    world.reload()


async def test_the_signed_in_page_has_one_script_of_ours(browser):
    """For a sign-in in a window of its own."""
    answer = await browser.get("/ui/signed-in")

    assert answer.status == 200
    assert "/ui/static/" in answer.headers["Content-Security-Policy"].split("script-src")[1]


async def test_entra_overage_is_told(idp, browser, world):
    """Too many groups: the login fails with that reason, and nothing is fetched."""
    world.reload({"kind": "entra"})
    idp.claims = put(_claim_names={"groups": "src1"}, _claim_sources={"src1": {"endpoint": "x"}})

    await refused(browser, await browser.login(), code="groups-overage")


async def test_ses_5_too_many_groups_are_told_by_name(idp, browser):
    """Three hundred of them; a token of five hundred is longer than any that is read."""
    idp.groups = [f"group-{i:05}-of-a-long-name" for i in range(300)]
    text = await refused(browser, await browser.login(), code="login-too-big")

    assert "cognito:groups" in text


def test_the_id_token_is_kept_only_where_something_needs_it():
    """A logout hint, or credentials had in exchange for it."""

    def snapshot(*types: str) -> Any:
        kinds = {str(i): SimpleNamespace(type=kind) for i, kind in enumerate(types)}
        return SimpleNamespace(config=SimpleNamespace(credentials=kinds))

    idp = HostileProvider(Clock())
    idp.issuer = "https://id.example"
    rows = {kind: provider(section(idp, kind=kind)) for kind in ("keycloak", "cognito", "google")}

    assert keeps_id_token(rows["keycloak"], snapshot("static"))
    assert not keeps_id_token(rows["cognito"], snapshot("static", "assume_role"))
    assert keeps_id_token(rows["cognito"], snapshot("static", "web_identity"))
    assert keeps_id_token(rows["google"], snapshot("cognito_identity"))


def test_every_reason_of_a_failed_login_has_a_sentence_without_gaps():
    """What the page shows."""
    assert "{" not in LoginError(LOGIN_TOO_BIG, claims="x").sentence
