"""One call to a provider stays within its limits, whatever the provider answers."""

from __future__ import annotations

import gzip
import ssl
from dataclasses import replace

import pytest
import trustme
from aiohttp import web

from gateway.errors import PROVIDER_ANSWER, PROVIDER_AWAY, ProviderError
from gateway.oidc import calls as module
from gateway.oidc.calls import ANSWER_MAX, Calls
from gateway.oidc.providers import KINDS, Provider
from tests.hostile_provider import Reply

PROVIDER = Provider(name="corp", issuer="x", config_url="x", kind=KINDS["generic"])


@pytest.fixture
async def calls():
    made = Calls()
    yield made
    await made.close()


async def get(calls, idp, seconds=5.0):
    return await calls.call(PROVIDER, "GET", f"{idp.domain}/x", headers={}, seconds=seconds)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(302, headers={"Location": "/jwks"}), PROVIDER_ANSWER),
        (Reply(307, headers={"Location": "/jwks"}), PROVIDER_ANSWER),
        (Reply(200, b"x" * (ANSWER_MAX + 1)), PROVIDER_ANSWER),
        (Reply(200, gzip.compress(b"0" * 10**6), {"Content-Encoding": "gzip"}), PROVIDER_ANSWER),
    ],
    ids=["302", "307", "long", "gzip"],
)
async def test_ssr_2_redirects_floods_and_bombs_are_errors(calls, idp, reply, reason):
    """Nothing is followed, nothing unpacked, no more read than 256 KiB."""
    idp.replies["/x"] = reply
    with pytest.raises(ProviderError) as caught:
        await get(calls, idp)

    assert caught.value.reason is reason
    assert len(idp.calls) == 1


async def test_ssr_2_silence_has_an_end(calls, idp):
    """A provider that does not answer is away."""
    idp.delays["/x"] = 5
    with pytest.raises(ProviderError) as caught:
        await get(calls, idp, seconds=0.2)

    assert caught.value.reason is PROVIDER_AWAY


async def test_ssr_2_no_cookie_is_kept(calls, idp):
    """What one answer sets, the next request does not send."""
    idp.replies["/x"] = Reply(200, b"{}", {"Set-Cookie": "a=b"})
    await get(calls, idp)
    await get(calls, idp)

    assert all("Cookie" not in headers for _, _, headers in idp.calls)
    assert all(headers["Accept-Encoding"] == "identity" for _, _, headers in idp.calls)


async def test_a_closed_port_is_away(calls):
    """And so is a name that does not resolve."""
    with pytest.raises(ProviderError):
        await calls.call(PROVIDER, "GET", "http://127.0.0.1:1/", headers={}, seconds=2)


@pytest.mark.parametrize(
    "reply", [Reply(404), Reply(200, b"<html>"), Reply(200, b"[" * 100_000)], ids=range(3)
)
async def test_a_document_is_json_of_a_good_answer(calls, idp, reply):
    """Another status and another format are errors."""
    idp.replies["/x"] = reply
    with pytest.raises(ProviderError):
        await calls.document(PROVIDER, f"{idp.domain}/x")


async def test_the_pods_token_goes_only_where_its_authority_vouches(calls, idp, tmp_path):
    """Or, without an authority of its own, to the host that was configured."""
    (tmp_path / "token").write_text("secret\n")
    idp.replies["/x"] = Reply(200, b"{}")
    given = replace(PROVIDER, token_file=str(tmp_path / "token"), config_url=f"{idp.domain}/y")
    await calls.document(given, f"{idp.domain}/x")
    await calls.document(replace(given, config_url="https://other.example/"), f"{idp.domain}/x")
    with pytest.raises(ProviderError):
        await calls.document(replace(given, token_file=str(tmp_path / "no")), f"{idp.domain}/x")

    assert [headers.get("Authorization") for _, _, headers in idp.calls] == ["Bearer secret", None]


@pytest.fixture
async def secured(tmp_path):
    """An authority, its file, and an address of a server that it vouches for."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"a": 1})

    app.router.add_get("/x", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield tmp_path / "ca.pem", f"https://127.0.0.1:{runner.addresses[0][1]}/x"
    await runner.cleanup()


async def test_tls_is_verified_against_the_configured_authority(calls, secured):
    """The system's authorities do not know this one; the file does."""
    ca, url = secured
    with pytest.raises(ProviderError) as stranger:
        await calls.document(PROVIDER, url)
    with pytest.raises(ProviderError):
        await calls.document(replace(PROVIDER, ca=str(ca.with_name("no.pem"))), url)

    assert "its certificate is not believed" in stranger.value.detail["problem"]
    assert await calls.document(replace(PROVIDER, ca=str(ca)), url) == {"a": 1}


async def test_an_authority_that_is_renewed_is_read_again(calls, secured):
    """As Kubernetes renews its own, under the same name."""
    ca, url = secured
    given = replace(PROVIDER, ca=str(ca))
    renewed, right = ca.with_name("renewed.pem"), ca.read_bytes()
    ca.unlink()
    trustme.CA().cert_pem.write_to_path(str(ca))
    with pytest.raises(ProviderError):
        await calls.document(given, url)
    renewed.write_bytes(right)
    renewed.replace(ca)

    assert await calls.document(given, url) == {"a": 1}


def test_limits_have_their_order():
    """Connecting is a part of the whole."""
    assert module.CONNECT < module.TOTAL


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://idp.invalid/", "there is no host idp.invalid"),
        ("http://127.0.0.1:1/", "no connection to 127.0.0.1:1: Connection refused"),
    ],
)
async def test_what_keeps_an_answer_away_is_said_in_words(calls, url, said):
    """For `gateway check --online` and the log."""
    with pytest.raises(ProviderError) as caught:
        await calls.call(PROVIDER, "GET", url, headers={}, seconds=5)

    assert said in caught.value.detail["problem"]


@pytest.mark.parametrize(
    "reply",
    [Reply(302, headers={"Location": "/login"}), Reply(200, b"x" * (ANSWER_MAX + 1))],
    ids=["redirect", "page"],
)
async def test_what_is_for_a_browser_is_neither_followed_nor_read(calls, idp, reply):
    """A redirect is an answer there, and so is a page of any length."""
    idp.replies["/x"] = reply
    got = await calls.call(
        PROVIDER, "GET", f"{idp.domain}/x", headers={}, seconds=5, for_browser=True
    )

    assert (got.status, got.body) == (reply.status, b"")
    assert got.headers.get("location") == reply.headers.get("Location")
    assert len(idp.calls) == 1
