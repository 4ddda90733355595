"""Roles assumed for people: what STS is told, and what becomes of its refusals."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import (
    CREDENTIALS_NEED_TOKEN,
    CREDENTIALS_TOKEN_ENDED,
    SCOPE_TOO_LARGE,
    TAG_UNUSABLE,
    UPSTREAM_CREDENTIALS,
    UpstreamUnavailable,
)
from gateway.identity import Identity, Method, Proof, Secret
from gateway.server.respond import refusal
from gateway.upstream.aws import Aws
from gateway.upstream.resolve import CredentialsRefused, session_name, session_policy
from gateway.upstream.sources import CredentialSources
from tests.contracts.credential_source import GRANT
from tests.upstream.fake_aws import LOGIN, POOL, ROLE, FakeAws, Role, token
from tests.upstream.test_sources import ASSUME, configuration

ALICE = Identity(issuer="corp", subject="alice", claims={"sub": "alice"})
SIGNED = Proof(identity=ALICE, method=Method.SIGNATURE, key_id="GWPKEY")
SESSION = Proof(identity=ALICE, method=Method.SESSION, ticket=Secret("ticket"), session_id="s")

Build = Callable[[Mapping[str, Any]], CredentialSources]


def bearer(fake: FakeAws, **claims: Any) -> Proof:
    return Proof(
        identity=ALICE, method=Method.BEARER, token=Secret(token("alice", fake.now, **claims))
    )


@pytest.fixture
async def build(fake: FakeAws) -> AsyncIterator[Build]:
    """Sources whose STS and identity pool are the fake."""
    built: list[CredentialSources] = []

    async def id_token(proof: Proof) -> Secret | None:
        return Secret(token("alice", fake.now))

    def build(section: Mapping[str, Any]) -> CredentialSources:
        config = configuration({**section, "endpoint": fake.url})
        aws = Aws(pauses=(0.01, 0.01))
        built.append(CredentialSources(config, aws, id_token, lambda: fake.now))
        return built[-1]

    yield build
    for one in built:
        await one.close()


WEB = {"type": "web_identity", "role_arn": ROLE}
ENHANCED = {"type": "cognito_identity", "identity_pool_id": POOL}


def basic(fake: FakeAws, **more: Any) -> dict[str, Any]:
    return {**ENHANCED, "flow": "basic", "role_arn": ROLE, "sts_endpoint": fake.url, **more}


# AssumeRole


async def test_sts_is_told_who_it_is(fake, build):
    """Name, tags, source identity, external id, duration, and the policy, as configured and bound."""
    fake.roles[ROLE] = Role(external_id="ours", longest=7200)
    sources = build({**ASSUME, "external_id": "ours", "duration": "2h", "scope_down": True})
    grant = replace(
        GRANT, session_name="al ice", source_identity="alice", tags=(("team", "Ünit 1"), ("a", "b"))
    )

    given = await sources.get(grant, SIGNED, fake.now)

    params = fake.calls[0][1]
    assert params["RoleSessionName"] == session_name("alice", ALICE)
    assert params["SourceIdentity"] == "alice"
    assert params["DurationSeconds"] == "7200"
    assert params["Policy"] == session_policy(grant)
    assert [params[f"Tags.member.{n}.Value"] for n in (1, 2)] == ["Ünit 1", "b"]
    assert given.expires == fake.now + timedelta(hours=2)


async def test_managed_policies_narrow_as_well(fake, build):
    """They are named beside the inline policy, and count to its size."""
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    sources = build({**ASSUME, "policy_arns": [arn], "scope_down": True})

    await sources.get(GRANT, SIGNED, fake.now)

    assert fake.calls[0][1]["PolicyArns.member.1.arn"] == arn


async def test_without_scope_down_there_is_no_session_policy(fake, build):
    """What the role may is then what AWS says it may."""
    await build(ASSUME).get(GRANT, SIGNED, fake.now)

    assert "Policy" not in fake.calls[0][1]


async def test_aws_3_what_does_not_fit_never_reaches_sts(fake, build):
    """Refused before anything is asked, so that nobody is served without the policy."""
    sources = build({**ASSUME, "scope_down": True})
    grant = replace(GRANT, keys=tuple(f"folder-{n}/**" for n in range(100)))

    with pytest.raises(CredentialsRefused) as caught:
        await sources.get(grant, SIGNED, fake.now)

    assert caught.value.reason is SCOPE_TOO_LARGE
    assert fake.calls == []
    told = refusal(caught.value, anonymous=False)
    assert (told.status, told.reason) == (403, SCOPE_TOO_LARGE)


async def test_aws_3_too_large_when_packed_is_refused_too(fake, build):
    """STS has a second limit that nobody can compute."""
    fake.packed_limit = 300
    sources = build({**ASSUME, "scope_down": True})

    with pytest.raises(CredentialsRefused) as caught:
        await sources.get(GRANT, SIGNED, fake.now)

    assert caught.value.reason is SCOPE_TOO_LARGE


async def test_aws_1_a_source_identity_that_sts_does_not_take_is_refused(fake, build):
    """Never shortened: it says who did it."""
    grant = replace(GRANT, source_identity="alice smith")

    with pytest.raises(CredentialsRefused) as caught:
        await build(ASSUME).get(grant, SIGNED, fake.now)

    assert caught.value.reason is TAG_UNUSABLE
    assert fake.calls == []


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ({"role_arn": "arn:aws:iam::123456789012:role/other"}, "AccessDenied"),
        ({"external_id": "wrong"}, "AccessDenied"),
        ({"duration": "2h"}, "ValidationError"),
    ],
)
async def test_what_the_operator_must_mend_is_503(fake, build, section, code):
    """Nobody's request is at fault where the role does not trust us; the log has AWS's code."""
    with pytest.raises(UpstreamUnavailable) as caught:
        await build({**ASSUME, **section}).get(GRANT, SIGNED, fake.now)

    assert caught.value.reason is UPSTREAM_CREDENTIALS
    assert code in str(caught.value)


async def test_throttling_is_waited_out(fake, build):
    """Twice; whoever throttles longer is away."""
    fake.throttle = 2
    sources = build(ASSUME)
    assert await sources.get(GRANT, SIGNED, fake.now)

    fake.throttle = 3
    with pytest.raises(UpstreamUnavailable):
        await sources.get(replace(GRANT, session_name="b"), SIGNED, fake.now)

    assert fake.counts["AssumeRole"] == 6


async def test_a_refusal_is_not_asked_for_again(fake, build):
    """Only throttling and an identity provider out of reach are worth another attempt."""
    fake.roles = {}

    with pytest.raises(UpstreamUnavailable):
        await build(ASSUME).get(GRANT, SIGNED, fake.now)

    assert fake.counts["AssumeRole"] == 1


async def test_credentials_that_have_ended_already_are_none(fake, build):
    """Clocks that disagree are found out here, not by S3's refusals."""
    sources = build(ASSUME)

    with pytest.raises(UpstreamUnavailable, match="clocks"):
        await sources.get(GRANT, SIGNED, fake.now + timedelta(hours=3))


# Web identity


async def test_the_persons_own_token_is_exchanged(fake, build):
    """Of a bearer, the token itself; of a session, the one in its record. Unsigned."""
    sources = build({**WEB, "scope_down": True})

    for proof in (bearer(fake), SESSION):
        await sources.get(replace(GRANT, session_name=proof.method), proof, fake.now)

    tokens = [params["WebIdentityToken"] for _, params in fake.calls]
    assert tokens == [token("alice", fake.now)] * 2
    assert all(params["Policy"] for _, params in fake.calls)


@pytest.mark.parametrize("section", [WEB, ENHANCED])
async def test_whoever_holds_no_token_is_not_served(fake, build, section):
    """With a key that holds none, not even after the same person came with one."""
    sources = build(section)
    await sources.get(GRANT, bearer(fake), fake.now)

    with pytest.raises(CredentialsRefused) as caught:
        await sources.get(GRANT, SIGNED, fake.now)

    assert caught.value.reason is CREDENTIALS_NEED_TOKEN


@pytest.mark.parametrize("section", [WEB, ENHANCED])
async def test_a_token_that_has_ended_asks_for_a_new_sign_in(fake, build, section):
    """Not 503: nobody is away, and waiting does not help. AWS is not asked."""
    with pytest.raises(CredentialsRefused) as caught:
        await build(section).get(GRANT, bearer(fake, seconds=-1), fake.now)

    assert caught.value.reason is CREDENTIALS_TOKEN_ENDED
    assert fake.calls == []


async def test_a_token_that_ends_on_the_way_asks_for_a_new_sign_in(fake, build):
    """STS's clock decides."""
    fake.now += timedelta(hours=2)
    old = Secret(token("alice", fake.now - timedelta(hours=2)))
    proof = Proof(identity=ALICE, method=Method.BEARER, token=old)

    with pytest.raises(CredentialsRefused) as caught:
        await build(WEB).get(GRANT, proof, fake.now - timedelta(hours=2))

    assert caught.value.reason is CREDENTIALS_TOKEN_ENDED


@pytest.mark.parametrize("text", ["x" * 20_001, "a.b.c", "no token", "é.é.é"])
async def test_what_is_no_token_is_refused(fake, build, text):
    """By us where it is too long, by STS else; never an error of ours."""
    proof = Proof(identity=ALICE, method=Method.BEARER, token=Secret(text))

    with pytest.raises((CredentialsRefused, UpstreamUnavailable)):
        await build(WEB).get(GRANT, proof, fake.now)


# Identity pools


async def test_the_enhanced_flow(fake, build):
    """The pool's name of the provider is its issuer; the identity that comes back is used."""
    given = await build(ENHANCED).get(GRANT, bearer(fake), fake.now)

    assert [name for name, _ in fake.calls] == ["GetId", "GetCredentialsForIdentity"]
    assert fake.calls[1][1]["IdentityId"] == "us-east-1:alice"
    assert list(fake.calls[1][1]["Logins"]) == [LOGIN]
    assert given.secret.reveal().startswith("secret-")


async def test_the_enhanced_flow_may_ask_for_a_role(fake, build):
    """One of those that the token offers; another is refused by the pool."""
    sources = build({**ENHANCED, "role_arn": ROLE})

    await sources.get(GRANT, bearer(fake, **{"cognito:roles": [ROLE]}), fake.now)
    assert fake.calls[-1][1]["CustomRoleArn"] == ROLE

    bob = replace(ALICE, subject="bob")
    stranger = Proof(identity=bob, method=Method.BEARER, token=Secret(token("bob", fake.now)))
    with pytest.raises(UpstreamUnavailable, match="InvalidParameterException"):
        await sources.get(GRANT, stranger, fake.now)


async def test_the_basic_flow_takes_a_session_policy(fake, build):
    """GetId, GetOpenIdToken, and STS with what narrows."""
    sources = build(basic(fake, scope_down=True, duration="30m"))

    given = await sources.get(GRANT, bearer(fake), fake.now)

    names = [name for name, _ in fake.calls]
    assert names == ["GetId", "GetOpenIdToken", "AssumeRoleWithWebIdentity"]
    assert json.loads(fake.calls[2][1]["Policy"])["Version"] == "2012-10-17"
    assert given.expires == fake.now + timedelta(minutes=30)


async def test_a_pool_that_refuses_is_503(fake, build):
    """A provider that the pool does not know is the operator's to mend."""
    with pytest.raises(UpstreamUnavailable, match="NotAuthorizedException"):
        await build({**ENHANCED, "login": "elsewhere"}).get(GRANT, bearer(fake), fake.now)


async def test_a_provider_that_is_not_configured_has_no_login(fake, build):
    """A service account has no token of anybody's."""
    who = Identity(issuer="service", subject="backup")
    proof = Proof(identity=who, method=Method.BEARER, token=Secret(token("x", fake.now)))

    with pytest.raises(CredentialsRefused):
        await build(ENHANCED).get(GRANT, proof, fake.now)
