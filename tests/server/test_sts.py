"""STS on `POST /`, called by boto3 and by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from gateway.accesskeys.keys import mint
from gateway.config.model import Config
from gateway.config.model import Sts as StsSettings
from gateway.errors import (
    PROVIDER_AWAY,
    TOKEN_EXPIRED,
    TOKEN_SIGNATURE,
    ProviderError,
    StateError,
    TokenError,
)
from gateway.identity import Identity, Method, Proof, Secret
from gateway.message import Headers, RequestHead
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error
from gateway.server.accesskeys import AccessKeys, Wanted
from gateway.server.exchange import Exchange
from gateway.server.keys import Keys
from gateway.server.sts import Sts
from gateway.sigv4.sign import SigningKeys
from gateway.state import MemoryStore
from tests.server.serving import Served, serve, snapshot

ALICE = Identity(issuer="corp", subject="alice", claims={"sub": "alice"}, username="alice")
NOBODY = Identity(issuer="corp", subject="nobody", claims={"sub": "nobody"})
BACKUP = Identity(issuer="service", subject="backup")
ROLE = "arn:aws:iam::123456789012:role/reader"
READ = '{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}'
SECRET = "s" * 40


def clock() -> datetime:
    """boto3 signs with the time of day, so this is it."""
    return datetime.now(UTC)


@dataclass
class World:
    served: Served
    access: AccessKeys
    failures: list[str | None] = field(default_factory=list)
    blocked: bool = False
    revoked: bool = False
    away: bool = False

    def check(self, peer: str | None, now: datetime) -> None:
        if self.blocked:
            raise S3Error(s3.SLOW_DOWN)

    def failed(self, peer: str | None, now: datetime) -> None:
        self.failures.append(peer)

    async def boto(
        self,
        operation: str,
        key: str = "BACKUPKEY",
        secret: str = SECRET,
        token: str | None = None,
        **arguments: Any,
    ) -> Any:
        """What boto3 makes of a call."""

        def call() -> Any:
            client = boto3.client(
                "sts",
                endpoint_url=self.served.url,
                region_name="eu-central-1",
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                aws_session_token=token,
                config=BotoConfig(retries={"max_attempts": 1}),
            )
            try:
                return getattr(client, operation)(**arguments)
            finally:
                client.close()

        return await asyncio.to_thread(call)

    async def refused(self, operation: str, **arguments: Any) -> tuple[str, int]:
        """Code and status of a refusal, as boto3 reads it."""
        with pytest.raises(ClientError) as caught:
            await self.boto(operation, **arguments)
        response = caught.value.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]

    async def found(self, credentials: dict[str, str]) -> Proof:
        found = await self.access.find(
            credentials["AccessKeyId"], Secret(credentials["SessionToken"]), clock()
        )
        assert found is not None
        return found.proof

    async def post(self, **arguments: Any) -> tuple[int, str]:
        async with self.served.client.post(self.served.url + "/", **arguments) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = MemoryStore(clock)
    shot = snapshot(config=Config(), service_accounts={"BACKUPKEY": (Secret(SECRET), BACKUP)})

    async def owners(issuer: str, subject: str, now: datetime) -> Identity | None:
        if made.away:
            raise StateError("away")
        return ALICE

    async def verify(token: str, now: datetime) -> Proof:
        match token:
            case "away":
                raise ProviderError(PROVIDER_AWAY)
            case "expired":
                raise TokenError(TOKEN_EXPIRED)
            case "alice" | "nobody":
                return Proof(
                    identity=ALICE if token == "alice" else NOBODY,
                    method=Method.BEARER,
                    expires=now + timedelta(hours=2),
                    issued=now,
                )
            case _:
                raise TokenError(TOKEN_SIGNATURE)

    async def revoked(proof: Proof, now: datetime) -> bool:
        return made.revoked

    def granted(identity: Identity, ex: Exchange) -> bool:
        return identity.subject != "nobody"

    access = AccessKeys(store, material=lambda: shot, owners=owners)
    keys = Keys(access, verify_bearer=verify, revoked=revoked, kept=lambda identity: identity)
    guard: Any = _Later()
    sts = Sts(
        access,
        keys,
        verify_bearer=verify,
        revoked=revoked,
        granted=granted,
        failures=guard,
        signing_keys=SigningKeys(),
    )
    async with serve((), snapshot=shot, clock=clock, root=sts.handle) as served:
        made = guard.world = World(served, access)
        yield made


class _Later:
    """Stands for the world until there is one."""

    world: World

    def check(self, peer: str | None, now: datetime) -> None:
        self.world.check(peer, now)

    def failed(self, peer: str | None, now: datetime) -> None:
        self.world.failed(peer, now)


async def test_sts_5_get_caller_identity(world: World) -> None:
    """Signed for `sts` by boto3, with no payload hash among its headers."""
    answer = await world.boto("get_caller_identity")

    assert answer["Arn"] == "arn:aws:sts::000000000000:assumed-role/gateway/backup"
    assert answer["ResponseMetadata"]["RequestId"] == "REQUEST1"
    assert world.served.events[-1].operation == "sts:GetCallerIdentity"
    assert world.served.events[-1].subject == "backup"


async def test_get_session_token(world: World) -> None:
    """Of a service account: its identity, the account's key behind it, twelve hours at most."""
    made = (await world.boto("get_session_token", DurationSeconds=129600))["Credentials"]
    proof = await world.found(made)
    left = made["Expiration"] - clock()

    assert proof.identity.subject == "backup"
    assert proof.parent_key == "BACKUPKEY"
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)


async def test_a_personal_key_makes_temporary_ones_and_the_use_is_noted(world: World) -> None:
    """As `gateway credentials` does."""
    record, secret = await world.access.create(
        Wanted(issuer="corp", subject="alice", name="cli", expires=clock() + timedelta(minutes=30)),
        clock(),
    )
    made = (await world.boto("get_session_token", key=record.key_id, secret=secret.reveal()))[
        "Credentials"
    ]

    assert made["Expiration"] <= record.expires
    assert (await world.found(made)).parent_key == record.key_id
    assert "Boto3" in world.access._uses[record.key_id].program


async def test_sts_8_a_session_from_a_session_is_no_wider_and_no_longer(world: World) -> None:
    """AssumeRole narrows, again and again; GetSessionToken is refused, as AWS does."""
    made = (await world.boto("get_session_token", DurationSeconds=900))["Credentials"]
    key = {
        "key": made["AccessKeyId"],
        "secret": made["SecretAccessKey"],
        "token": made["SessionToken"],
    }
    who: dict[str, Any] = {"RoleArn": ROLE, "RoleSessionName": "me", "DurationSeconds": 43200}
    child = (await world.boto("assume_role", **key, **who, Policy=READ))["Credentials"]
    proof = await world.found(child)

    assert child["Expiration"] == made["Expiration"]
    assert [s.actions for n in proof.identity.narrowed for s in n] == [("s3:GetObject",)]
    assert proof.parent_key == "BACKUPKEY"
    assert await world.refused("get_session_token", **key) == ("AccessDenied", 403)


async def test_assume_role_of_a_temporary_caller_lasts_an_hour(world: World) -> None:
    """As AWS's role chaining; of a permanent one as long as the operator allows."""
    who: dict[str, Any] = {"RoleArn": ROLE, "RoleSessionName": "me", "DurationSeconds": 43200}
    made = (await world.boto("assume_role", **who))["Credentials"]
    chained = (
        await world.boto(
            "assume_role",
            key=made["AccessKeyId"],
            secret=made["SecretAccessKey"],
            token=made["SessionToken"],
            **who,
        )
    )["Credentials"]

    assert made["Expiration"] - clock() > timedelta(hours=11)
    assert chained["Expiration"] - clock() <= timedelta(hours=1)


async def test_sts_4_a_token_gets_credentials(world: World) -> None:
    """Unsigned; they end with the token; the role's name comes back."""
    answer = await world.boto(
        "assume_role_with_web_identity",
        RoleArn=ROLE,
        RoleSessionName="pod-1",
        WebIdentityToken="alice",
        DurationSeconds=43200,
    )
    made = answer["Credentials"]

    assert (await world.found(made)).identity.subject == "alice"
    assert made["Expiration"] - clock() <= timedelta(hours=2)
    assert answer["AssumedRoleUser"]["Arn"] == (
        "arn:aws:sts::123456789012:assumed-role/reader/pod-1"
    )
    assert answer["SubjectFromWebIdentityToken"] == "alice"


async def test_sts_1_the_call_may_stand_in_the_query(world: World) -> None:
    """object_store asks so, with no body."""
    query = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "pod",
        "WebIdentityToken": "alice",
    }
    status, text = await world.post(params=query)

    assert status == 200
    assert "<AccessKeyId>GWT" in text


async def test_sts_4_whatever_else_is_on_it_changes_nothing(world: World) -> None:
    """A cookie or an Authorization beside the token."""
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "pod",
        "WebIdentityToken": "alice",
    }
    headers = {"Authorization": "Bearer nobody", "Cookie": "__Host-session=x"}
    status, text = await world.post(data=form, headers=headers)

    assert status == 200
    assert "<SubjectFromWebIdentityToken>alice<" in text


@pytest.mark.parametrize(
    ("token", "code", "status", "counted"),
    [
        ("forged", "InvalidIdentityToken", 400, True),
        ("expired", "ExpiredTokenException", 400, True),
        ("nobody", "IDPRejectedClaim", 403, False),
        ("away", "IDPCommunicationError", 400, False),
    ],
)
async def test_sts_10_each_failure_has_one_code(
    world: World, token: str, code: str, status: int, counted: bool
) -> None:
    """And one sentence, which says nothing of why; the log does."""
    refused = await world.refused(
        "assume_role_with_web_identity",
        RoleArn=ROLE,
        RoleSessionName="me",
        WebIdentityToken=token,
    )
    event = world.served.events[-1]

    assert refused == (code, status)
    assert bool(world.failures) is counted
    assert event.code == code
    assert event.status == status
    assert "forged" not in event.json()  # STS-15


async def test_key_4_a_revoked_token_is_an_expired_one(world: World) -> None:
    """Signed out everywhere, say; and so for a signature."""
    world.revoked = True
    by_token = await world.refused(
        "assume_role_with_web_identity",
        RoleArn=ROLE,
        RoleSessionName="me",
        WebIdentityToken="alice",
    )

    assert by_token == ("ExpiredTokenException", 400)
    assert await world.refused("get_caller_identity") == ("ExpiredToken", 403)


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        ({"secret": "wrong"}, "SignatureDoesNotMatch", 403),
        ({"key": "GWP" + "A" * 17}, "InvalidClientTokenId", 403),
        ({"key": "GWT" + "A" * 17}, "InvalidClientTokenId", 403),
        ({"token": "x"}, "InvalidClientTokenId", 403),
    ],
)
async def test_sts_5_a_wrong_signature_is_counted_and_refused(
    world: World, arguments, code: str, status: int
) -> None:
    """In the query API's own words."""
    assert await world.refused("get_caller_identity", **arguments) == (code, status)
    assert world.failures


async def test_sts_5_an_expired_token_says_renew(world: World) -> None:
    """ExpiredToken, as S3 and STS say both."""
    shown = Proof(identity=BACKUP, method=Method.SIGNATURE, key_id="BACKUPKEY")
    past = clock() - timedelta(hours=2)
    made = mint(world.served.snapshot.keyring, shown, now=past)

    assert await world.refused(
        "get_caller_identity",
        key=made.access_key_id,
        secret=made.secret.reveal(),
        token=made.session_token.reveal(),
    ) == ("ExpiredToken", 403)


async def test_sts_5_an_s3_scope_is_refused_here(world: World) -> None:
    """A signature is for one service."""
    head = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=BACKUPKEY/20260301/us-east-1/s3/aws4_request,"
        f"SignedHeaders=host;x-amz-date,Signature={'0' * 64}",
        "X-Amz-Date": "20260301T120000Z",
    }
    form = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
    status, text = await world.post(data=form, headers=head)

    assert status == 400
    assert "<Code>IncompleteSignature</Code>" in text
    assert "incorrect service" in text


async def test_sts_13_unsigned_and_unknown_calls_are_refused_in_awss_form(world: World) -> None:
    """ErrorResponse, with Type, Code, Message and RequestId."""
    unsigned = await world.post(data={"Action": "GetCallerIdentity", "Version": "2011-06-15"})
    unknown = await world.post(data={"Action": "GetFederationToken", "Version": "2011-06-15"})
    both = await world.post(params={"x": "y"}, data={"Action": "GetCallerIdentity"})
    broken = await world.post(
        data=b"Action=%ff", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    long = await world.post(data={"Action": "x" * 70_000})

    assert unsigned[0] == 403
    assert "<Code>MissingAuthenticationToken</Code>" in unsigned[1]
    assert "<Code>InvalidAction</Code>" in unknown[1]
    assert [unknown[0], both[0], broken[0], long[0]] == [400, 400, 400, 413]
    assert unsigned[1].startswith(
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
    )
    assert "<RequestId>REQUEST1</RequestId>" in unsigned[1]


async def test_sts_9_configured_roles_are_checked(world: World) -> None:
    """Another role than those is not one's own."""
    world.served.snapshot.config = Config(sts=StsSettings(roles=(ROLE,)))
    other = {"RoleArn": ROLE + "s", "RoleSessionName": "me"}
    own = {"RoleArn": ROLE, "RoleSessionName": "me"}

    assert await world.refused("assume_role", **other) == ("AccessDenied", 403)
    assert await world.refused(
        "assume_role_with_web_identity", WebIdentityToken="alice", **other
    ) == ("AccessDenied", 403)
    assert await world.boto("assume_role", **own)


async def test_key_8_an_address_that_guesses_is_slowed_down(world: World) -> None:
    """Before the form is read."""
    world.blocked = True

    assert await world.refused("get_caller_identity") == ("Throttling", 400)


async def test_a_store_that_is_away_is_503(world: World) -> None:
    """SDKs try again."""
    record, secret = await world.access.create(
        Wanted(issuer="corp", subject="alice", name="x", expires=clock() + timedelta(days=1)),
        clock(),
    )
    world.away = True

    assert await world.refused(
        "get_caller_identity", key=record.key_id, secret=secret.reveal()
    ) == ("ServiceUnavailable", 503)


async def test_sts_7_a_token_that_would_be_too_large_is_refused(world: World) -> None:
    """Never without its policy."""
    large = Identity(
        issuer="corp", subject="x", claims={"g": ["x" * 20 + str(n) for n in range(400)]}
    )
    world.served.snapshot.service_accounts["BIG"] = (Secret(SECRET), large)

    assert await world.refused("get_session_token", key="BIG") == ("PackedPolicyTooLarge", 400)


def head(*headers: tuple[str, str]) -> RequestHead:
    return RequestHead(method="POST", target="/", headers=Headers(headers))


FORM = ("content-type", "application/x-www-form-urlencoded; charset=utf-8")


@pytest.mark.parametrize(
    ("received", "query", "speaks"),
    [
        (head(FORM, ("content-length", "20")), "", True),
        (head(FORM, ("transfer-encoding", "chunked")), "", True),
        (head(), "Action=GetCallerIdentity&Version=2011-06-15", True),
        (head(FORM, ("content-length", "0")), "Version=2011-06-15&Action=X", True),
        (head(), "", False),
        (head(), "XAction=1", False),
        (head(("content-length", "5")), "Action=X", False),
        (head(FORM), "", False),
        (head(("content-type", "multipart/form-data"), ("content-length", "5")), "", False),
    ],
)
def test_sts_1_what_is_sts_and_what_is_s3(received: RequestHead, query: str, speaks: bool) -> None:
    """A form with a body, or `Action` in the query and none."""
    none: Any = None
    make: Callable[..., Sts] = Sts
    sts = make(
        none, none, verify_bearer=none, revoked=none, granted=none, failures=none, signing_keys=none
    )

    assert sts.speaks(received, query) is speaks
