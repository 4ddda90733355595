"""The gateway as a client of a provider that misbehaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway import errors
from gateway.errors import LoginError, ProviderError, TokenError
from gateway.identity import Method, Secret
from gateway.oidc.client import Providers
from gateway.oidc.flow import LoginState, begin, code_of, read_callback
from gateway.oidc.providers import provider
from tests.hostile_provider import EC, KEYS, Reply, drop, put, sign
from tests.login_world import parameters, section

BACK = "https://gw.example/api/session/auth/"


async def code(idp, providers, http):
    """A login in flight and the code that the provider sent back."""
    given = providers.for_login()[0]
    metadata = await providers.metadata(given.name, idp.clock())
    login = LoginState.fresh(given.name, "/ui/")
    answer = await http.get(begin(given, metadata, login, BACK), allow_redirects=False)
    callback = read_callback(tuple(parameters(answer.headers["Location"]).items()))
    return login, code_of(callback)


@pytest.fixture
async def http():
    import aiohttp

    async with aiohttp.ClientSession() as session:
        yield session


async def redeem(idp, providers, http, named=()):
    login, value = await code(idp, providers, http)
    return login, await providers.redeem(
        login.provider, code=value, redirect_uri=BACK, login=login, named=named, now=idp.clock()
    )


async def refresh(idp, providers, token, login, old, named=()):
    return await providers.refresh(
        "corp",
        refresh_token=token,
        old=old,
        nonce=login.nonce,
        named=named,
        now=idp.clock(),
    )


async def test_a_code_brings_claims_and_tokens(idp, providers, http):
    """Client authentication is Basic, both parts form-encoded: this secret holds : and %."""
    _, tokens = await redeem(idp, providers, http)

    assert tokens.claims["sub"] == "user-1"
    assert tokens.refresh_token and tokens.id_token and tokens.expires
    form = next(form for path, form, _ in idp.calls if path == "/token")
    assert "client_secret" not in form and form["redirect_uri"] == BACK


async def test_the_secret_goes_into_the_body_where_only_that_is_offered(idp, providers, http):
    """`client_secret_post`; both, and it stays Basic."""
    idp.document = put(token_endpoint_auth_methods_supported=["client_secret_post"])
    await redeem(idp, providers, http)

    form = next(form for path, form, _ in idp.calls if path == "/token")
    assert form["client_secret"] == idp.client_secret


async def test_oid_17_a_failed_redemption_is_one_request(idp, providers, http):
    """500, a cut answer, a slow one: never a second try, never another style."""
    for reply in (Reply(500), Reply(502, b"x"), Reply(200, b"{"), Reply(429), Reply(400, b"{}")):
        idp.replies.clear()
        login, value = await code(idp, providers, http)
        before = idp.count("/token")
        idp.replies["/token"] = reply
        with pytest.raises(ProviderError):
            await providers.redeem(
                "corp", code=value, redirect_uri=BACK, login=login, named=(), now=idp.clock()
            )
        assert idp.count("/token") - before == 1


async def test_oid_17_a_code_is_redeemed_once(idp, providers, http):
    """The provider's invalid_grant is the end of the login."""
    login, value = await code(idp, providers, http)
    args: dict[str, Any] = {"code": value, "redirect_uri": BACK, "login": login, "named": ()}
    await providers.redeem("corp", **args, now=idp.clock())
    with pytest.raises(LoginError) as caught:
        await providers.redeem("corp", **args, now=idp.clock())

    assert caught.value.reason is errors.TOKEN_REDEEM


async def test_a_rotated_client_secret_is_read_again_once(idp, clock, http):
    """invalid_client is our fault: the file may hold a newer secret."""
    secret = Secret(idp.client_secret)
    for newer, fine, calls in [(secret, True, 2), (Secret("old"), False, 1), (None, False, 1)]:
        made = Providers(
            [provider(section(idp, client_secret=Secret("old")))],
            clock=clock,
            reread_secret={"corp": newer}.get,
        )
        before = idp.count("/token")
        try:
            if fine:
                await redeem(idp, made, http)
            else:
                with pytest.raises(ProviderError):
                    await redeem(idp, made, http)
        finally:
            await made.close()
        assert idp.count("/token") - before == calls


async def test_no_id_token_is_a_configuration_error(idp, providers, http):
    """It names the scope that is missing."""
    idp.answer = drop("id_token")
    with pytest.raises(LoginError) as caught:
        await redeem(idp, providers, http)

    assert caught.value.reason is errors.NO_ID_TOKEN and "openid" in caught.value.sentence


@pytest.mark.parametrize(
    "answer",
    [put(token_type="bearer"), put(token_type="BEARER"), drop("expires_in"), drop("scope")],
    ids=["lower", "upper", "no expires_in", "no scope"],
)
async def test_token_answers_that_the_standard_allows(idp, providers, http, answer):
    """`token-type-case-insensitivity`, `token-endpoint-response-without-expires_in`, no scope."""
    idp.answer = answer

    assert (await redeem(idp, providers, http))[1].claims["sub"] == "user-1"


@pytest.mark.parametrize(
    "answer",
    [
        put(token_type="DPoP"),
        put(token_type=5),
        put(id_token=5),
        put(access_token=["x"]),
        put(refresh_token={}),
        put(error="invalid_request"),
        lambda _: [],
        lambda _: None,
    ],
    ids=range(8),
)
async def test_token_answers_that_it_does_not_allow(idp, providers, http, answer):
    """Wrong types and wrong token types."""
    idp.answer = answer
    with pytest.raises(ProviderError):
        await redeem(idp, providers, http)


async def test_oid_7_keys_that_changed_seconds_ago_are_found(idp, providers, http):
    """`signing-key-rotation`: the second login is signed by a key that was not there before."""
    await redeem(idp, providers, http)
    idp.keys = [KEYS[1]]
    idp.clock.forward(seconds=2)

    assert (await redeem(idp, providers, http))[1].claims["sub"] == "user-1"


async def test_oid_6_a_token_without_kid(idp, providers, http):
    """`kid-absent-single-jwks` works, `kid-absent-multiple-jwks` does not."""
    idp.header = put(kid=None)
    with pytest.raises(TokenError):
        await redeem(idp, providers, http)
    single = Providers([provider(section(idp))], clock=idp.clock)
    idp.keys = [KEYS[0]]
    try:
        assert (await redeem(idp, single, http))[1].claims["sub"] == "user-1"
    finally:
        await single.close()


async def test_thin_tokens_are_filled_from_userinfo(idp, clock, http):
    """Okta leaves groups out; they are fetched where policies speak of them, and never override."""
    okta = Providers([provider(section(idp, kind="okta"))], clock=clock)
    idp.userinfo = put(iss="https://evil.example", aud="x", name="Other")
    try:
        _, tokens = await redeem(idp, okta, http, named={"groups"})
        assert tokens.claims["groups"] == ["staff"] and tokens.claims["name"] == "Ada"
        assert tokens.claims["iss"] == idp.issuer
        assert idp.calls[-1][2]["Authorization"].startswith("Bearer ")
        count = idp.count("/userinfo")
        await redeem(idp, okta, http)
        assert idp.count("/userinfo") == count
        idp.userinfo = put(sub="other")
        with pytest.raises(LoginError):
            await redeem(idp, okta, http, named={"groups"})
        idp.replies["/userinfo"] = Reply(500)
        with pytest.raises(ProviderError):
            await redeem(idp, okta, http, named={"groups"})
        idp.replies.clear()
        idp.document = drop("userinfo_endpoint")
        silent = Providers([provider(section(idp, kind="okta"))], clock=clock)
        with pytest.raises(ProviderError):
            await redeem(idp, silent, http, named={"groups"})
        await silent.close()
    finally:
        await okta.close()


async def test_a_refresh_renews_claims_and_takes_what_comes(idp, providers, http):
    """`refresh-token`: a new refresh token with rotation, none without."""
    login, first = await redeem(idp, providers, http)
    idp.groups = ["eu"]
    second = await refresh(idp, providers, first.refresh_token, login, first.claims)
    assert second.claims["cognito:groups"] == ["eu"] and second.refresh_token is None
    idp.rotation = True
    third = await refresh(idp, providers, first.refresh_token, login, first.claims)

    assert third.refresh_token not in (None, first.refresh_token)


@pytest.mark.parametrize(
    "change",
    [
        put(iss="https://evil.example"),
        put(sub="user-2"),
        put(aud="other"),
        put(nonce="another"),
        lambda claims: sign(claims, EC, "ES256"),
    ],
    ids=["invalid-issuer", "invalid-sub", "invalid-aud", "invalid-nonce", "unknown key"],
)
async def test_oid_8_a_refresh_for_somebody_else_is_refused(idp, providers, http, change):
    """`refresh-token-invalid-issuer`, `refresh-token-invalid-sub` and their kin."""
    login, first = await redeem(idp, providers, http)
    idp.refreshed = change
    with pytest.raises(TokenError):
        await refresh(idp, providers, first.refresh_token, login, first.claims)


async def test_a_refresh_without_id_token_asks_userinfo(idp, providers, http):
    """Where there is one; else the old claims stand, for the account lives."""
    login, first = await redeem(idp, providers, http)
    idp.answer = drop("id_token")
    second = await refresh(idp, providers, first.refresh_token, login, first.claims)
    assert second.claims["groups"] == ["staff"] and second.expires is None
    assert second.claims["sub"] == "user-1"
    idp.answer = drop("id_token", "access_token")
    third = await refresh(idp, providers, first.refresh_token, login, first.claims)
    assert third.claims == first.claims


async def test_a_refused_refresh_ends_the_session_and_a_missing_provider_does_not(
    idp, providers, http
):
    """invalid_grant against 503."""
    login, first = await redeem(idp, providers, http)
    with pytest.raises(LoginError) as caught:
        await refresh(idp, providers, Secret("unknown"), login, first.claims)
    assert caught.value.reason is errors.SESSION_ENDED
    idp.replies["/token"] = Reply(503)
    with pytest.raises(ProviderError):
        await refresh(idp, providers, first.refresh_token, login, first.claims)


async def test_ses_9_revocation_is_tried_for_two_seconds_and_never_raises(
    idp, providers, http, monkeypatch
):
    """Whether it worked is all that is told."""
    _, first = await redeem(idp, providers, http)
    now = idp.clock()
    assert await providers.revoke("corp", first.refresh_token, now)
    assert idp.revoked == [first.refresh_token.reveal()]
    idp.replies["/revoke"] = Reply(400)
    assert not await providers.revoke("corp", first.refresh_token, now)
    assert not await providers.revoke("nobody", first.refresh_token, now)
    monkeypatch.setattr("gateway.oidc.client.REVOKE", 0.1)
    idp.delays["/revoke"] = 5
    assert not await providers.revoke("corp", first.refresh_token, now)


async def test_a_provider_that_cannot_revoke_is_not_asked(idp, clock):
    """Entra has no such endpoint; Google takes the token alone."""
    for kind, calls in [("entra", 0), ("google", 1)]:
        idp.calls.clear()
        made = Providers([provider(section(idp, kind=kind))], clock=clock)
        await made.revoke("corp", Secret("t"), clock())
        assert idp.count("/revoke") == calls
        assert all("Authorization" not in h for p, _, h in idp.calls if p == "/revoke")
        await made.close()


async def test_oid_16_a_bearer_token_becomes_a_proof(idp, providers):
    """With the provider's name, the person, their groups, and the token itself."""
    now = idp.clock()
    token = idp.token(idp.id_claims(None))
    proof = await providers.verify_bearer(token, now)

    assert (proof.identity.issuer, proof.identity.subject) == ("corp", "user-1")
    assert proof.method is Method.BEARER and proof.identity.groups == ("staff",)
    assert proof.token and proof.token.reveal() == token
    assert proof.issued == now and proof.expires == proof.identity.expires
    assert await providers.verify_bearer(token, now) is proof


async def test_oid_16_a_remembered_token_still_ends(idp, providers):
    """The cache is by the token's hash and never outlives it."""
    token = idp.token(idp.id_claims(None))
    await providers.verify_bearer(token, idp.clock())
    now = idp.clock.forward(hours=1, seconds=61)
    with pytest.raises(TokenError) as caught:
        await providers.verify_bearer(token, now)

    assert caught.value.reason is errors.TOKEN_EXPIRED


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "ey" * 20_000, "\ud800.x.y"])
async def test_oid_16_an_opaque_token_is_never_sent_anywhere(idp, providers, token):
    """No introspection, no fetch."""
    with pytest.raises(TokenError):
        await providers.verify_bearer(token, idp.clock())

    assert idp.calls == []


async def test_oid_16_an_unconfigured_issuer_is_not_asked(idp, providers):
    """Its name selects among ours and fetches nothing."""
    token = sign({**idp.id_claims(None), "iss": "https://evil.example"})
    with pytest.raises(TokenError) as caught:
        await providers.verify_bearer(token, idp.clock())

    assert caught.value.reason is errors.TOKEN_ISSUER and idp.calls == []


async def test_ssr_3_addresses_in_a_token_are_never_fetched(idp, providers):
    """jku, x5u, request_uri, picture, claim sources."""
    trap = f"{idp.domain}/trap"
    claims = {
        **idp.id_claims(None),
        "picture": trap,
        "request_uri": trap,
        "_claim_names": {"x": "s"},
        "_claim_sources": {"s": {"endpoint": trap}},
    }
    await providers.verify_bearer(sign(claims, jku=trap, x5u=trap), idp.clock())

    assert idp.count("/trap") == 0


async def test_two_clients_of_one_pool_are_told_apart_by_audience(idp, clock):
    """The token of the second is the second's."""
    rows = [section(idp, name="one", client_id="one"), section(idp, name="two")]
    made = Providers(map(provider, rows), clock=clock)
    proof = await made.verify_bearer(idp.token(idp.id_claims(None)), clock())
    assert proof.identity.issuer == "two"
    with pytest.raises(TokenError):
        await made.verify_bearer(idp.token({**idp.id_claims(None), "aud": "three"}), clock())
    await made.close()


async def test_oid_7_a_flood_of_invented_kids_reaches_the_provider_three_times(idp, providers):
    """As bearer tokens, at once."""
    now = idp.clock()
    await providers.verify_bearer(idp.token(idp.id_claims(None)), now)
    before = idp.count("/jwks")
    floods = [
        providers.verify_bearer(sign(idp.id_claims(None), kid=f"k{i}"), now) for i in range(100)
    ]
    results = await asyncio.gather(*floods, return_exceptions=True)

    assert all(isinstance(result, TokenError) for result in results)
    assert idp.count("/jwks") - before <= 3


async def test_oid_10_a_provider_that_is_down_at_the_start_comes_up_later(idp, clock, monkeypatch):
    """Fetched in the background, again and again."""
    monkeypatch.setattr("gateway.oidc.client.RETRY_MIN", 0.01)
    path = "/pool/.well-known/openid-configuration"
    idp.replies[path] = Reply(503)
    made = Providers([provider(section(idp))], clock=clock)
    await made.start()
    await asyncio.sleep(0.1)
    assert made.ready(clock())["corp"]["known"] is False
    idp.replies.clear()
    async with asyncio.timeout(5):
        while not made.ready(clock())["corp"]["known"]:
            await asyncio.sleep(0.02)
    await made.close()
    await made.close()


async def test_a_reload_keeps_what_did_not_change(idp, clock):
    """Documents and keys of the same provider; not those of one whose row is another now."""
    made = Providers([provider(section(idp))], clock=clock)
    await made.metadata("corp", clock())
    made.replace([provider(section(idp)), provider(section(idp, name="new"))])
    assert made.ready(clock())["corp"]["known"] and not made.ready(clock())["new"]["known"]
    made.replace([provider(section(idp, client_id="other"))])
    assert not made.ready(clock())["corp"]["known"]
    assert made.known("new") is None
    with pytest.raises(LoginError):
        made.find("new")
    await made.close()


async def test_oid_15_only_a_provider_that_was_allowed_to_ends_sessions(idp, clock, providers):
    """`backchannel_logout: true` in the file."""
    token = idp.logout_token(sub="user-1")
    with pytest.raises(TokenError):
        await providers.verify_logout(token, clock())
    made = Providers([provider(section(idp, backchannel_logout=True))], clock=clock)
    name, read = await made.verify_logout(token, clock())
    assert (name, read.subject) == ("corp", "user-1")
    with pytest.raises(TokenError):
        await made.verify_logout(idp.logout_token(sub="user-1", nonce="n"), clock())
    await made.close()


async def test_a_public_client_names_itself_in_the_form(idp, clock, http):
    """Without a secret there is nothing to authenticate with."""
    made = Providers([provider(section(idp, client_secret=None))], clock=clock)
    with pytest.raises(ProviderError):  # this provider wants one
        await redeem(idp, made, http)
    form, headers = next((form, headers) for path, form, headers in idp.calls if path == "/token")
    assert form["client_id"] == "gateway" and "Authorization" not in headers
    await made.close()


async def test_a_scope_that_nothing_needs_is_noted(idp, providers, http, caplog):
    """The blank scope of Cognito may grant more than expected."""
    idp.answer = put(scope="openid aws.cognito.signin.user.admin")
    await redeem(idp, providers, http)

    assert "aws.cognito.signin.user.admin" in caplog.text


async def test_userinfo_is_asked_after_a_refresh_where_the_row_says_so(idp, clock, http):
    """The same as at the login; a list is not an answer."""
    made = Providers([provider(section(idp, kind="okta"))], clock=clock)
    login, first = await redeem(idp, made, http, named={"groups"})
    idp.groups = ["eu"]
    second = await refresh(idp, made, first.refresh_token, login, first.claims, {"groups"})
    assert second.claims["groups"] == ["eu"]
    idp.userinfo = lambda _: []
    with pytest.raises(ProviderError):
        await refresh(idp, made, first.refresh_token, login, first.claims, {"groups"})
    await made.close()
