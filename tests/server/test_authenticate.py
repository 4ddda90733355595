"""One proof counts, a wrong one never becomes a weaker one, and what failed is counted by address."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.accesskeys.keys import Found
from gateway.errors import (
    PROVIDER_AWAY,
    TOKEN_EXPIRED,
    TOKEN_SIGNATURE,
    ProviderError,
    TokenError,
)
from gateway.identity import Credentials, Identity, Method, Proof, Secret
from gateway.message import Headers, RequestHead
from gateway.observe.audit import AuditEvent
from gateway.s3 import errors as s3
from gateway.s3.errors import S3Error
from gateway.s3.hosts import Hosts
from gateway.s3.request import parse
from gateway.server.authenticate import Authenticator, loopback, session_cookie
from gateway.server.exchange import Exchange
from gateway.sessions.lifetime import Opened
from gateway.sigv4.sign import SigningKeys
from tests.sigv4.clients import Client, aimed, instead

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOST, PUBLIC, COOKIE = "s3.example.com", "https://s3.example.com", "__Host-session"
KEY = Credentials(access_key_id="KEY", secret=Secret("key-secret"))


def somebody(name: str, method: Method, **more: Any) -> Proof:
    return Proof(identity=Identity(issuer="corp", subject=name), method=method, **more)


@dataclass
class World:
    """What an authenticator asks, and what it told."""

    revoked: set[str] = field(default_factory=set)
    failed: list[str | None] = field(default_factory=list)
    used: list[tuple[str | None, str | None]] = field(default_factory=list)
    refresh: str | None = None
    blocked: bool = False

    def __post_init__(self) -> None:
        keys = SimpleNamespace(find=self._find, used=self._used)
        bearers = SimpleNamespace(verify_bearer=self._bearer)
        sessions = SimpleNamespace(open=self._open, revoked=self._revoked)
        failures = SimpleNamespace(
            check=self._check,
            watched=lambda peer, _, now: self._check(peer, now),
            failed=lambda peer, _: self.failed.append(peer),
        )
        self.it = Authenticator(keys=keys, bearers=bearers, sessions=sessions, failures=failures, signing_keys=SigningKeys())  # fmt: skip

    async def _find(self, key_id: str, token: Secret | None, now: datetime) -> Found | None:
        if key_id != "KEY":
            return None
        return Found(secret=KEY.secret, proof=somebody("keyholder", Method.SIGNATURE, key_id="KEY"))

    def _used(self, proof: Proof, *, address: str | None, program: str | None, now: datetime) -> None:  # fmt: skip
        self.used.append((address, program))

    async def _bearer(self, token: str, now: datetime) -> Proof:
        match token:
            case "good":
                return somebody("bearer", Method.BEARER)
            case "away":
                raise ProviderError(PROVIDER_AWAY)
            case "expired":
                raise TokenError(TOKEN_EXPIRED)
            case _:
                raise TokenError(TOKEN_SIGNATURE)

    async def _open(self, cookie: str, now: datetime) -> Opened | None:
        return Opened(somebody("ada", Method.SESSION), self.refresh) if cookie == "good" else None

    async def _revoked(self, proof: Proof, now: datetime) -> bool:
        return proof.identity.subject in self.revoked

    def _check(self, peer: str | None, now: datetime) -> None:
        if self.blocked:
            raise S3Error(s3.SLOW_DOWN)

    def exchange(self, hosts: Hosts) -> Exchange:
        snapshot: Any = SimpleNamespace(hosts=hosts, cookie_name=COOKIE, public_url=PUBLIC)
        event = AuditEvent(request_id="R", time=NOW)
        self.ex = Exchange(snapshot=snapshot, now=NOW, request_id="R", event=event, clock=lambda: NOW)  # fmt: skip
        return self.ex

    async def s3(self, head: RequestHead, hosts: Hosts | None = None) -> Proof:
        hosts = hosts or Hosts(path_style=frozenset({HOST}))
        proof, _ = await self.it.s3(head, parse(head, hosts), self.exchange(hosts))
        return proof

    async def api(self, head: RequestHead) -> Proof | None:
        return await self.it.api(head, self.exchange(Hosts()))

    async def refuses(self, head: RequestHead) -> str:
        with pytest.raises(S3Error) as caught:
            await self.s3(head)
        return caught.value.code


@pytest.fixture
def world() -> World:
    return World()


def head(
    *pairs: tuple[str, str], method: str = "GET", peer: str | None = "203.0.113.9", **more: Any
) -> RequestHead:
    more.setdefault("secure", True)
    return RequestHead(method=method, target="/b-1/k", headers=Headers([("host", HOST), *pairs]), peer=peer, **more)  # fmt: skip


def basic(key_id: str = "KEY", secret: str = "key-secret") -> tuple[str, str]:
    return ("authorization", f"Basic {base64.b64encode(f'{key_id}:{secret}'.encode()).decode()}")


BEARER = ("authorization", "Bearer good")
SESSION = ("cookie", f"{COOKIE}=good")
CLIENT = Client(credentials=KEY, now=NOW)
SIGNED = CLIENT.head("GET", "/b-1/k")
LINK = CLIENT.link("GET", "/b-1/k")
OURS = [("x-gateway-csrf", "1"), ("sec-fetch-site", "same-origin")]


@pytest.mark.parametrize(
    ("asked", "who", "how"),
    [
        (SIGNED, "keyholder", Method.SIGNATURE),
        (LINK, "keyholder", Method.SIGNATURE),
        (head(BEARER), "bearer", Method.BEARER),
        (head(basic()), "keyholder", Method.BASIC),
        (head(SESSION), "ada", Method.SESSION),
        (head(), "anonymous", Method.ANONYMOUS),
        (head(("cookie", f"{COOKIE}=ended")), "anonymous", Method.ANONYMOUS),
        (head(("cookie", f"other={COOKIE}=good")), "anonymous", Method.ANONYMOUS),
    ],
)
async def test_sig_2_each_proof_shows_one_identity(world, asked, who, how):
    """Signature, link, bearer, basic, cookie, nobody."""
    proof = await world.s3(asked)
    assert (proof.identity.subject, proof.method) == (who, how)
    assert world.failed == []


@pytest.mark.parametrize("asked", [SIGNED, LINK, head(BEARER)])
async def test_sig_2_a_cookie_beside_a_signature_counts_for_nothing(world, asked):
    """The signer's rights, and none of the cookie's; nor is the cookie renewed by it."""
    world.refresh = "renewed"
    with_cookie = RequestHead(method=asked.method, target=asked.target, headers=Headers([*asked.headers, SESSION]))  # fmt: skip
    assert (await world.s3(with_cookie)).identity.subject in ("keyholder", "bearer")
    assert world.ex.set_cookies == []


@pytest.mark.parametrize(
    "asked",
    [
        head(basic(), SESSION),
        head(basic(), ("cookie", f"{COOKIE}=ended")),
        head(basic(), SESSION, SESSION),
        head(basic(), BEARER),
        instead(LINK, "authorization", "Bearer good"),
        instead(LINK, "authorization", basic()[1]),
        instead(LINK, "authorization", SIGNED.headers["authorization"]),
    ],
)
async def test_sig_2_two_proofs_are_refused(world, asked):
    """T3: basic beside a cookie, a link beside anything in Authorization, two Authorizations."""
    assert await world.refuses(asked) == "InvalidRequest"


@pytest.mark.parametrize(
    ("asked", "code", "counted"),
    [
        (instead(SIGNED, "authorization", "AWS4-HMAC-SHA256 garbage"), "AuthorizationHeaderMalformed", 0),
        (instead(SIGNED, "authorization", SIGNED.headers["authorization"][:-64] + "0" * 64), "SignatureDoesNotMatch", 1),
        (instead(SIGNED, "authorization", SIGNED.headers["authorization"].replace("=KEY/", "=NOKEY/")), "InvalidAccessKeyId", 1),
        (aimed(LINK, "k?", "k2?"), "SignatureDoesNotMatch", 1),
        (head(("authorization", "Bearer bad")), "InvalidToken", 1),
        (head(("authorization", "Bearer expired")), "ExpiredToken", 1),
        (head(("authorization", "Bearer away")), "ServiceUnavailable", 0),
        (head(basic(secret="wrong")), "InvalidAccessKeyId", 1),
        (head(basic(key_id="NOKEY")), "InvalidAccessKeyId", 1),
        (head(("authorization", "Basic !!!")), "InvalidRequest", 0),
        (head(("authorization", "Basic " + "A" * 1000)), "InvalidRequest", 0),
        (head(("authorization", "Digest x")), "InvalidRequest", 0),
        (head(("authorization", "")), "AccessDenied", 0),
    ],
)  # fmt: skip
async def test_sig_25_a_wrong_proof_is_followed_by_no_weaker_one(world, asked, code, counted):
    """Refused although a good session's cookie lies beside it; guesses are counted, once each."""
    assert await world.refuses(asked) == code
    assert len(world.failed) == counted
    offered = asked.headers.get("authorization", "")
    if not offered.startswith("Basic"):
        beside = RequestHead(method=asked.method, target=asked.target, headers=Headers([*asked.headers, SESSION]), secure=True)  # fmt: skip
        assert await world.refuses(beside) == code


@pytest.mark.parametrize("asked", [SIGNED, LINK, head(BEARER), head(basic())])
async def test_key_6_who_guessed_too_often_waits(world, asked):
    """Before any secret is looked at."""
    world.blocked = True
    assert await world.refuses(asked) == "SlowDown"
    assert world.used == []


@pytest.mark.parametrize("asked", [SIGNED, LINK, head(BEARER), head(basic())])
async def test_key_4_what_was_revoked_is_expired(world, asked):
    """The one code that clients read as "renew"; it is no guess, and no use of the key."""
    world.revoked = {"keyholder", "bearer"}
    assert await world.refuses(asked) == "ExpiredToken"
    assert (world.failed, world.used) == ([], [])


@pytest.mark.parametrize(
    ("peer", "secure", "taken"),
    [
        ("203.0.113.9", True, True),
        ("203.0.113.9", False, False),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        (None, False, True),
        ("10.0.0.1", False, False),
        ("garbage", False, False),
    ],
)
async def test_key_6_a_secret_is_not_taken_in_the_clear(world, peer, secure, taken):
    """Over TLS, or from this machine."""
    asked = head(basic(), peer=peer, secure=secure)
    if taken:
        assert (await world.s3(asked)).method is Method.BASIC
    else:
        assert await world.refuses(asked) == "InvalidRequest"
        assert (world.failed, world.used) == ([], [])


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        ([], True),
        ([("sec-fetch-site", "same-origin")], True),
        ([("sec-fetch-site", "none")], True),
        ([("sec-fetch-site", "cross-site")], False),
        ([("sec-fetch-site", "same-site")], False),
        ([("sec-fetch-site", "")], False),
        ([("origin", PUBLIC)], True),
        ([("origin", "https://evil.example")], False),
        ([("origin", "null")], False),
    ],
)
async def test_web_1_a_browser_adds_basic_by_itself(world, more, allowed):
    """A password it once asked for goes with every request of any site's page: reads aside, those are refused."""
    for method in ("POST", "PUT", "DELETE"):
        asked = head(basic(), *more, method=method)
        if allowed:
            assert (await world.s3(asked)).method is Method.BASIC
        else:
            assert await world.refuses(asked) == "AccessDenied"
            assert "cross-site" in world.ex.event.notes
    assert (await world.s3(head(basic(), *more))).method is Method.BASIC


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
async def test_web_1_a_cookie_changes_nothing_for_another_sites_page(world, method):
    """Our own header and proof of our own page, on S3 and API alike; signed requests need neither."""
    assert await world.refuses(head(SESSION, method=method)) == "AccessDenied"
    assert (await world.s3(head(SESSION, *OURS, method=method))).by_cookie
    with pytest.raises(S3Error):
        await world.api(head(SESSION, ("origin", "https://evil.example"), method=method))
    found = await world.api(head(BEARER, ("origin", "https://evil.example"), method=method))
    assert found is not None and found.method is Method.BEARER


async def test_ses_10_two_cookies_of_one_name_are_no_session(world):
    """In one header or in two, equal or not."""
    twice: Sequence[Sequence[tuple[str, str]]] = (
        [SESSION, SESSION],
        [("cookie", f"{COOKIE}=good; {COOKIE}=good")],
        [("cookie", f"{COOKIE}=good; a=b;{COOKIE}=other")],
    )
    for pairs in twice:
        assert (await world.s3(head(*pairs))).method is Method.ANONYMOUS
        assert session_cookie(head(*pairs), COOKIE) is None
    assert session_cookie(head(("cookie", f"a=b; {COOKIE}=x=y ; c")), COOKIE) == "x=y"


async def test_where_everything_is_s3_a_cookie_is_nobody(world):
    """A host of `s3_host` knows no session; what is signed counts there as everywhere."""
    hosts = Hosts(path_style=frozenset({HOST}), s3_only=frozenset({HOST}))
    assert (await world.s3(head(SESSION), hosts)).method is Method.ANONYMOUS
    assert (await world.s3(SIGNED, hosts)).method is Method.SIGNATURE


async def test_ses_8_a_renewed_session_goes_out_with_the_answer(world):
    """Whatever the request was for."""
    world.refresh = "__Host-session=new; Path=/"
    await world.s3(head(SESSION))
    assert world.ex.set_cookies == ["__Host-session=new; Path=/"]


async def test_the_use_of_a_key_is_noted_with_address_and_program(world):
    """For the list of one's own keys; of a bearer or a cookie there is no key."""
    signed = RequestHead(method="GET", target="/b-1/k", headers=Headers([*SIGNED.headers, ("user-agent", "tool/1")]), peer="203.0.113.9")  # fmt: skip
    for asked in (signed, head(basic(), ("user-agent", "tool/2")), head(BEARER), head(SESSION)):
        await world.s3(asked)
    assert world.used == [("203.0.113.9", "tool/1"), ("203.0.113.9", "tool/2")]


async def test_a_basic_id_may_hold_colons(world):
    """The secret never does."""
    world.it._keys.find = _accepts("account:user")
    assert (await world.s3(head(basic("account:user", "key-secret")))).key_id == "account:user"


def _accepts(wanted: str) -> Any:
    async def find(key_id: str, token: Secret | None, now: datetime) -> Found | None:
        assert key_id == wanted
        proof = somebody("colon", Method.SIGNATURE, key_id=key_id, expires=NOW + timedelta(hours=1))
        return Found(secret=KEY.secret, proof=proof)

    return find


def test_key_6_what_is_this_machine():
    """A unix socket, or an address that leaves by no wire."""
    assert [loopback(peer) for peer in (None, "127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "x", "")] == [True, True, True, True, False, False, False]  # fmt: skip
