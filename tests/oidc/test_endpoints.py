"""What is sent to a provider's endpoints, and what its answers mean."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from gateway import errors
from gateway.errors import LoginError, ProviderError
from gateway.identity import Secret
from gateway.oidc.calls import Calls
from gateway.oidc.endpoints import Endpoints, authenticate, text_of
from gateway.oidc.providers import KINDS, Metadata, Provider
from tests.hostile_provider import Reply

GIVEN = Provider(
    name="corp",
    issuer="x",
    config_url="x",
    kind=KINDS["generic"],
    client_id="gateway",
    client_secret=Secret("s3cr:t%/+ä"),
)
REFUSED = LoginError(errors.TOKEN_REDEEM)


def at(idp) -> Metadata:
    return Metadata(issuer="x", jwks_uri="x", token_endpoint=f"{idp.domain}/token")


@pytest.fixture
async def calls():
    made = Calls()
    yield made
    await made.close()


def test_both_parts_of_basic_are_form_encoded_first():
    """RFC 6749 2.3.1: a secret may hold a colon."""
    form: dict[str, str] = {}
    metadata = Metadata(issuer="x", jwks_uri="x")
    header = authenticate(GIVEN, metadata, GIVEN.client_secret, form)["Authorization"]

    assert base64.b64decode(header.removeprefix("Basic ")) == b"gateway:s3cr%3At%25%2F%2B%C3%A4"
    assert form == {}


def test_a_public_client_names_itself():
    """In the form; and a provider that wants the secret there gets it there."""
    public, posted = dict[str, str](), dict[str, str]()
    metadata = Metadata(issuer="x", jwks_uri="x", secret_in_body=True)

    assert authenticate(GIVEN, metadata, None, public) == {}
    assert public == {"client_id": "gateway"}
    assert authenticate(GIVEN, metadata, Secret("s"), posted) == {}
    assert posted == {"client_id": "gateway", "client_secret": "s"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("invalid_client", errors.PROVIDER_CLIENT),
        ("unauthorized_client", errors.PROVIDER_CLIENT),
        ("invalid_scope", errors.PROVIDER_ANSWER),
    ],
)
async def test_whose_fault_a_refusal_is(idp, calls, code, reason):
    """The gateway's own registration, or something that nobody expected."""
    idp.replies["/token"] = Reply(400, b'{"error": "%s"}' % code.encode())
    with pytest.raises(ProviderError) as caught:
        await Endpoints(calls, lambda _: None).redeem(GIVEN, at(idp), {}, refused=REFUSED)

    assert caught.value.reason is reason


async def test_oid_17_a_rotated_secret_is_read_again_once(idp, calls):
    """Nothing was redeemed by whoever was not believed; a second refusal is final."""
    idp.replies["/token"] = Reply(401, b'{"error": "invalid_client"}')
    asked: list[str] = []

    def reread(name: str) -> Secret:
        asked.append(name)
        return Secret("newer")

    with pytest.raises(ProviderError):
        await Endpoints(calls, reread).redeem(GIVEN, at(idp), {}, refused=REFUSED)

    assert asked == ["corp"]
    assert idp.count("/token") == 2


async def test_userinfo_needs_an_endpoint_and_an_object(idp, calls):
    """Else the provider's answer is not usable."""
    endpoints = Endpoints(calls, lambda _: None)
    with pytest.raises(ProviderError):
        await endpoints.userinfo(GIVEN, at(idp), "token")
    idp.replies["/userinfo"] = Reply(200, b"[]")
    asked = replace(at(idp), userinfo_endpoint=f"{idp.domain}/userinfo")
    with pytest.raises(ProviderError):
        await endpoints.userinfo(GIVEN, asked, "token")

    assert idp.count("/userinfo") == 1


def test_an_empty_text_is_none_and_a_number_an_error():
    """As servers of every kind send them."""
    assert (text_of({}, "a"), text_of({"a": ""}, "a"), text_of({"a": "b"}, "a")) == (
        None,
        None,
        "b",
    )
    with pytest.raises(ProviderError):
        text_of({"a": 1}, "a")
