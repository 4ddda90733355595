"""
What every credential source promises, seen through the cache that stands before it.

Each source's test file derives from `CredentialSourceContract` and gives a `world`: the sources
built from its configuration, and the means to count, to move the clock, and to fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from gateway.errors import UPSTREAM_CREDENTIALS, UpstreamUnavailable
from gateway.identity import Credentials, Identity, Method, Proof, Secret
from gateway.policy.model import Grant
from gateway.upstream.sources import LAST, RENEW, CredentialSources

TokenOf = Callable[[str, datetime], str]


@dataclass
class SourceWorld:
    """A source at work, and its surroundings in the test's hands."""

    sources: CredentialSources
    fetches: Callable[[], int]
    """How often credentials were asked for outside."""
    fail: Callable[[bool], None]
    """Whether what is outside is away from now on."""
    at: Callable[[datetime], None]
    """Moves the clock of what is outside."""
    now: datetime
    personal: bool
    """Each person has their own; else all have the same."""
    dated: bool
    """The credentials end; else they hold for ever."""
    token: TokenOf | None = None
    """The ID token that a subject's proof carries, where the source wants one."""

    def proof(self, subject: str = "alice", issuer: str = "corp") -> Proof:
        token = None if self.token is None else Secret(self.token(subject, self.now))
        return Proof(
            identity=Identity(issuer=issuer, subject=subject, claims={"sub": subject}),
            method=Method.BEARER,
            token=token,
        )

    def get(self, proof: Proof | None = None, **changes: object) -> Awaitable[Credentials]:
        given = replace(GRANT, **changes) if changes else GRANT  # type: ignore[arg-type]
        return self.sources.get(given, proof or self.proof(), self.now)

    def later(self, step: timedelta) -> None:
        self.now += step
        self.at(self.now)


GRANT = Grant(
    bucket="home",
    actions=frozenset({"s3:GetObject", "s3:PutObject", "s3:ListBucket"}),
    upstream="main",
    target_bucket="acme-home",
    target_prefix="users/alice/",
    credentials="mine",
    rule="home folders",
    session_name="alice",
)


class CredentialSourceContract:
    """Derive, and give `world`."""

    async def test_credentials_are_usable_and_hidden(self, world: SourceWorld) -> None:
        """A key id and a secret, good for now; nothing shows the secret."""
        credentials = await world.get()

        assert credentials.anonymous or credentials.secret
        assert credentials.expires is None or credentials.expires > world.now
        assert not credentials.secret or credentials.secret.reveal() not in repr(credentials)

    async def test_aws_4_they_are_asked_for_once(self, world: SourceWorld) -> None:
        """However many want them at once, and whoever wants them again."""
        many = await asyncio.gather(*[world.get() for _ in range(50)])
        again = await world.get()

        assert {one.access_key_id for one in many} == {again.access_key_id}
        assert world.fetches() <= 1

    async def test_aws_4_people_do_not_share_them(self, world: SourceWorld) -> None:
        """The same subject at two issuers is two people."""
        mine = await world.get(world.proof())
        theirs = [
            await world.get(world.proof(issuer="other")),
            await world.get(world.proof(subject="bob")),
        ]

        assert all((mine != one) is world.personal for one in theirs)

    async def test_aws_4_whoever_leaves_does_not_take_them_along(self, world: SourceWorld) -> None:
        """A caller that is cancelled while they are fetched leaves the others their answer."""
        first = asyncio.ensure_future(world.get())
        second = asyncio.ensure_future(world.get())
        await asyncio.sleep(0)
        first.cancel()

        assert (await second) == (await world.get())

    async def test_they_are_renewed_before_their_end(self, world: SourceWorld) -> None:
        """In the background: whoever asks is served at once with the old ones."""
        old = await world.get()
        if not world.dated:
            return
        assert old.expires is not None
        world.later(old.expires - RENEW + timedelta(seconds=1) - world.now)

        served = new = await world.get()
        for _ in range(100):
            if new != old:
                break
            await asyncio.sleep(0.02)
            new = await world.get()

        assert served == old
        assert new.expires is not None
        assert new.expires > old.expires
        assert world.fetches() == 2

    async def test_with_the_source_away_they_serve_until_their_end(
        self, world: SourceWorld
    ) -> None:
        """And then the answer is 503, with its reason; back again, all is well."""
        old = await world.get()
        world.fail(True)
        if not world.dated:
            assert await world.get() == old
            return
        assert old.expires is not None
        world.later(old.expires - LAST - timedelta(seconds=1) - world.now)
        assert await world.get() == old

        world.later(LAST)
        with pytest.raises(UpstreamUnavailable) as caught:
            await world.get()

        assert caught.value.reason is UPSTREAM_CREDENTIALS
        assert caught.value.status == 503

    async def test_a_source_that_is_away_is_not_asked_by_everybody(
        self, world: SourceWorld
    ) -> None:
        """One failure answers for a moment."""
        world.fail(True)

        results = await asyncio.gather(*[world.get() for _ in range(20)], return_exceptions=True)
        before = world.fetches()
        results += await asyncio.gather(*[world.get() for _ in range(20)], return_exceptions=True)

        kinds = {type(result) for result in results}
        assert kinds <= {UpstreamUnavailable, Credentials}
        assert world.fetches() == before

    async def test_refused_credentials_are_replaced_but_not_with_every_request(
        self, world: SourceWorld
    ) -> None:
        """`invalidate` drops what the upstream does not take, unless it has only just come."""
        await world.get()

        world.sources.invalidate(GRANT, world.proof())
        await world.get()

        assert world.fetches() <= 1
