"""The demo's identity provider behaves as a Cognito user pool does, where the gateway can tell."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from gateway.demo.idp import Client, IdentityProvider, User, make_keys

CALLBACK = "http://127.0.0.1:9/api/session/auth/"
SIGNED_OUT = "http://127.0.0.1:9/ui/signed-out"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")
KEYS = make_keys()
CLIENT = Client(
    client_id="demo", client_secret="a+b/c", redirect_uris=(CALLBACK,), logout_uris=(SIGNED_OUT,)
)
ADA = User(username="ada", password="pw", name="Ada", email="ada@example.com", groups=("staff",))
ASK = {
    "client_id": "demo",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "state": "s",
    "nonce": "n",
    "code_challenge": CHALLENGE.decode(),
    "code_challenge_method": "S256",
}


class Clock:
    now = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def idp(clock):
    provider = IdentityProvider(
        users=[ADA, User(username="eve", password="pw")], client=CLIENT, keys=KEYS, clock=clock
    )
    await provider.start()
    yield provider
    await provider.stop()


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


async def sign_in(http, idp, username="ada", password="pw", **more):
    """What the provider sends back to the client after the form."""
    url = f"{idp.domain}/login?{urlencode({**ASK, **more})}"
    answer = await http.post(
        url, data={"username": username, "password": password}, allow_redirects=False
    )
    if answer.status != 302:
        return answer
    return {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def token(http, idp, auth=("demo", "a+b/c"), **form):
    return await http.post(
        f"{idp.domain}/oauth2/token",
        data=form,
        headers={
            "Authorization": aiohttp.encode_basic_auth(*(urlencode({"": p})[1:] for p in auth))
        },
    )


async def tokens(http, idp, **more):
    sent = await sign_in(http, idp, **more)
    answer = await token(
        http,
        idp,
        grant_type="authorization_code",
        code=sent["code"],
        redirect_uri=CALLBACK,
        code_verifier=VERIFIER,
    )
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def test_the_issuer_and_the_endpoints_live_on_different_ports(http, idp):
    """Discovery is on the issuer; PKCE works and is not advertised."""
    document = await (await http.get(idp.config_url)).json()

    assert document["issuer"] == idp.issuer
    assert urlsplit(document["token_endpoint"]).port != urlsplit(idp.issuer).port
    assert "code_challenge_methods_supported" not in document


async def test_a_login_gives_tokens_of_cognitos_shape(http, idp):
    """Two keys, bare headers, groups in both tokens, no audience on the access token."""
    got = await tokens(http, idp)

    claims, access = claims_of(got["id_token"]), claims_of(got["access_token"])
    assert claims["aud"] == "demo" and claims["token_use"] == "id" and claims["nonce"] == "n"
    assert claims["cognito:groups"] == access["cognito:groups"] == ["staff"]
    assert claims["email_verified"] is True and claims["cognito:username"] == "ada"
    assert "aud" not in access and access["client_id"] == "demo"
    headers = [
        json.loads(base64.urlsafe_b64decode(got[t].split(".")[0] + "=="))
        for t in got
        if t.endswith("_token") and t != "refresh_token"
    ]
    assert all(set(header) == {"kid", "alg"} for header in headers)
    assert headers[0]["kid"] != headers[1]["kid"]


async def test_a_blank_scope_means_every_scope_of_the_client(http, idp):
    """And a scope without openid gives no ID token."""
    assert "openid" in claims_of((await tokens(http, idp))["access_token"])["scope"]
    assert "id_token" not in await tokens(http, idp, scope="email")


async def test_a_group_that_nobody_gave_is_absent(http, idp):
    """No groups, no claim."""
    assert "cognito:groups" not in claims_of((await tokens(http, idp, username="eve"))["id_token"])


async def test_a_wrong_password_shows_the_form_again(http, idp):
    """With a sentence, and without a code."""
    answer = await sign_in(http, idp, password="x")

    assert answer.status == 401 and "Incorrect username or password." in await answer.text()


async def test_a_signed_in_browser_is_sent_back_at_once_until_it_signs_out(http, idp):
    """The provider's own cookie lives on; logout wants client_id and a registered logout_uri."""
    await sign_in(http, idp)
    url = f"{idp.domain}/oauth2/authorize?{urlencode(ASK)}"
    silent = await http.get(url, allow_redirects=False)
    assert silent.headers["location"].startswith(CALLBACK + "?code=")
    bad = await http.get(f"{idp.domain}/logout?post_logout_redirect_uri={SIGNED_OUT}")
    assert bad.status == 400
    query = urlencode({"client_id": "demo", "logout_uri": SIGNED_OUT})
    out = await http.get(f"{idp.domain}/logout?{query}", allow_redirects=False)
    assert out.headers["location"] == SIGNED_OUT
    again = await http.get(url, allow_redirects=False)
    assert again.headers["location"].startswith("/login?")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "openid offline_access"}, "invalid_scope"),
        ({"response_type": "token"}, "unauthorized_client"),
    ],
)
async def test_bad_requests_come_back_as_errors(http, idp, change, error):
    """On the redirect URI, with the state."""
    url = f"{idp.domain}/oauth2/authorize?{urlencode({**ASK, **change})}"
    answer = await http.get(url, allow_redirects=False)

    assert parse_qs(urlsplit(answer.headers["location"]).query) == {
        "error": [error],
        "state": ["s"],
    }


async def test_a_foreign_redirect_uri_is_answered_by_a_page(http, idp):
    """Never by a redirect."""
    for change in ({"redirect_uri": "https://evil.example/"}, {"client_id": "other"}):
        url = f"{idp.domain}/oauth2/authorize?{urlencode({**ASK, **change})}"
        answer = await http.get(url, allow_redirects=False)
        assert answer.status == 400 and "location" not in answer.headers


async def test_a_code_is_good_once_and_only_with_its_verifier(http, idp, clock):
    """Five minutes, one redemption, PKCE, and the client's secret."""
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK}
    code = (await sign_in(http, idp))["code"]
    wrong = await token(http, idp, code=code, code_verifier="w" * 43, **form)
    assert (await wrong.json())["error"] == "invalid_grant"
    late = (await sign_in(http, idp))["code"]
    clock.now += timedelta(minutes=6)
    answer = await token(http, idp, code=late, code_verifier=VERIFIER, **form)
    assert (await answer.json())["error"] == "invalid_grant"
    code = (await sign_in(http, idp))["code"]
    stranger = await token(http, idp, ("demo", "x"), code=code, code_verifier=VERIFIER, **form)
    assert (await stranger.json())["error"] == "invalid_client"
    assert (await token(http, idp, code=code, code_verifier=VERIFIER, **form)).status == 200
    assert (await token(http, idp, code=code, code_verifier=VERIFIER, **form)).status == 400


async def test_refresh_renews_claims_and_keeps_the_token_without_rotation(http, idp, clock):
    """New groups, no nonce, the first sign-in's time; nothing for a disabled person."""
    got = await tokens(http, idp)
    idp.set_groups("ada", ["admins"])
    clock.now += timedelta(hours=2)
    renew = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    answer = await (await token(http, idp, **renew)).json()
    claims = claims_of(answer["id_token"])

    assert "refresh_token" not in answer and "nonce" not in claims
    assert claims["cognito:groups"] == ["admins"]
    assert claims["auth_time"] == claims_of(got["id_token"])["auth_time"]
    idp.disable("ada")
    assert (await (await token(http, idp, **renew)).json())["error"] == "invalid_grant"


async def test_rotation_replaces_the_token_and_the_old_one_has_its_grace(http, idp, clock):
    """As RefreshTokenRotation does with 10 seconds."""
    idp.rotation, idp.grace = True, timedelta(seconds=10)
    old = (await tokens(http, idp))["refresh_token"]
    renew = {"grant_type": "refresh_token", "refresh_token": old}
    new = (await (await token(http, idp, **renew)).json())["refresh_token"]
    assert new != old
    clock.now += timedelta(seconds=9)
    assert (await token(http, idp, **renew)).status == 200
    clock.now += timedelta(seconds=2)
    assert (await token(http, idp, **renew)).status == 400


async def test_revocation_takes_refresh_tokens_only(http, idp):
    """And every descendant of the one revoked; an unknown one is fine."""
    got = await tokens(http, idp)
    auth = aiohttp.encode_basic_auth("demo", "a%2Bb%2Fc")
    for value, status in [
        (got["access_token"], 400),
        ("unknown", 200),
        (got["refresh_token"], 200),
    ]:
        answer = await http.post(
            f"{idp.domain}/oauth2/revoke", data={"token": value}, headers={"Authorization": auth}
        )
        assert answer.status == status
    renew = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    assert (await token(http, idp, **renew)).status == 400


async def test_userinfo_answers_a_current_access_token_only(http, idp):
    """With email_verified as a string, and without groups, as Cognito does."""
    got = await tokens(http, idp)
    url = f"{idp.domain}/oauth2/userInfo"
    good = await http.get(url, headers={"Authorization": f"Bearer {got['access_token']}"})
    bad = await http.get(url, headers={"Authorization": f"Bearer {got['id_token']}"})
    info = await good.json()

    assert info["sub"] == ADA.subject and info["email_verified"] == "true"
    assert "cognito:groups" not in info and bad.status == 401


async def test_a_token_can_be_had_on_a_command_line(http, idp):
    """The demo's own address, which no real pool has."""
    good = await http.get(f"{idp.domain}/demo/token?user=ada&password=pw")
    bad = await http.post(f"{idp.domain}/demo/token", data={"user": "ada", "password": "x"})

    assert claims_of(await good.text())["sub"] == ADA.subject
    assert bad.status == 401
