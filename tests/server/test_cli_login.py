"""The browser half of `gateway login`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.config.model import Config
from gateway.identity import Identity, Method, Proof
from gateway.server.accesskeys import AccessKeys
from gateway.server.cli_login import CliLogin, challenge_of, comparison, loopback
from gateway.server.pages import Pages
from gateway.state import MemoryStore
from tests.contracts.state_store import Clock
from tests.server.serving import Served, serve, snapshot

PUBLIC = "https://s3.example.com"
VERIFIER = "v" * 43
CHALLENGE = challenge_of(VERIFIER)
STATE = "s" * 22
REDIRECT = "http://127.0.0.1:40123/"
ALICE = Identity(issuer="corp", subject="alice", claims={"sub": "alice"}, name="Alice <A>")
PAGES = Pages(static="/ui/static/x")  # it reads files: not in the loop
SAME = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class World:
    served: Served
    access: AccessKeys
    store: MemoryStore
    clock: Clock
    revoked: bool = False
    failures: list[str | None] = field(default_factory=list)

    async def page(self, **changes: str) -> tuple[int, str, Any]:
        query = {"challenge": CHALLENGE, "name": "laptop", "redirect": REDIRECT, "state": STATE}
        async with self.served.client.get(
            self.served.url + "/ui/cli", params=query | changes
        ) as answer:
            return answer.status, await answer.text(), answer.headers

    async def token(self, **changes: str) -> str:
        """The form's token, as the page holds it."""
        _, text, _ = await self.page(**changes)
        match = re.search(r'name="token" value="([^"]+)"', text)
        assert match is not None
        return unescape(match[1])

    async def answer(
        self, token: str, answer: str = "allow", **headers: str
    ) -> tuple[int, str, str]:
        """Status, where it leads, and the page."""
        async with self.served.client.post(
            self.served.url + "/api/cli/confirm",
            data={"token": token, "answer": answer},
            headers=SAME | headers,
            allow_redirects=False,
        ) as response:
            return response.status, response.headers.get("Location", ""), await response.text()

    async def code(self) -> str:
        _, location, _ = await self.answer(await self.token())
        return parse_qs(urlsplit(location).query)["code"][0]

    async def redeem(self, code: str, verifier: str = VERIFIER) -> tuple[int, Any]:
        async with self.served.client.post(
            self.served.url + "/api/cli/token", json={"code": code, "verifier": verifier}
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    def check(self, peer: str | None, now: datetime) -> None:
        assert peer == "127.0.0.1"

    def failed(self, peer: str | None, now: datetime) -> None:
        self.failures.append(peer)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = Clock()
    store = MemoryStore(clock)
    began = clock() - timedelta(hours=1)
    shot = snapshot(config=Config.model_validate({"server": {"public_url": PUBLIC}}))

    async def owners(issuer: str, subject: str, now: datetime) -> Identity | None:
        return ALICE

    async def revoked(proof: Proof, now: datetime) -> bool:
        assert (proof.session_id, proof.issued) == ("sid-1", began)
        return made.revoked

    class Guard:
        def check(self, peer: str | None, now: datetime) -> None:
            made.check(peer, now)

        def failed(self, peer: str | None, now: datetime) -> None:
            made.failed(peer, now)

    access = AccessKeys(store, material=lambda: shot, owners=owners)
    login = CliLogin(access, store, PAGES, revoked=revoked, failures=Guard())
    async with serve(login.routes(), snapshot=shot, clock=clock) as served:
        served.proof = Proof(
            identity=ALICE,
            method=Method.SESSION,
            session_id="sid-1",
            issued=began,
            expires=clock() + timedelta(hours=8),
        )
        made = World(served, access, store, clock)
        yield made


async def test_key_7_the_page_says_what_is_handed_out(world: World) -> None:
    """To which machine, as whom, until when, and the code that the terminal shows."""
    status, text, headers = await world.page()

    assert status == 200
    assert "laptop" in text
    assert "Alice &lt;A&gt;" in text
    assert "8 March 2026" in text
    assert comparison(CHALLENGE) in text
    assert "no-store" in headers["Cache-Control"]
    assert "script-src" not in headers["Content-Security-Policy"]


async def test_key_7_the_whole_way(world: World) -> None:
    """Page, click, code at the loopback address, key: in the list, and revoked there."""
    status, location, _ = await world.answer(await world.token())
    query = parse_qs(urlsplit(location).query)
    redeemed, made = await world.redeem(query["code"][0])
    listed = await world.access.owned("corp", "alice", world.clock())
    found = await world.access.find(made["access_key_id"], None, world.clock())

    assert status == 303
    assert location.startswith(REDIRECT + "?")
    assert query["state"] == [STATE]
    assert redeemed == 200
    assert made["endpoint_url"] == PUBLIC
    assert made["expires_at"] == "2026-03-08T12:00:00Z"
    assert found is not None
    assert found.secret.reveal() == made["secret_access_key"]
    assert [(record.name, record.kind) for record, _ in listed] == [("laptop", "cli")]


async def test_a_code_may_be_shown_and_pasted(world: World) -> None:
    """For a remote shell: in groups, and taken in any case, with or without them."""
    status, location, text = await world.answer(await world.token(redirect="", state=""))
    match = re.search(r">((?:[A-Z2-7]{4}-){4}[A-Z2-7]{4})<", text)
    assert match is not None

    assert (status, location) == (200, "")
    assert (await world.redeem(match[1].lower()))[0] == 200


async def test_key_7_a_code_is_good_once(world: World) -> None:
    """A replay gets nothing, and counts as a failure of the address."""
    code = await world.code()
    first = await world.redeem(code)
    second = await world.redeem(code)

    assert (first[0], second[0]) == (200, 400)
    assert world.failures == ["127.0.0.1"]
    assert len(await world.access.owned("corp", "alice", world.clock())) == 1


async def test_key_7_a_code_is_good_for_a_minute(world: World) -> None:
    """Sixty seconds."""
    early, late = await world.code(), await world.code()
    await world.clock.later(59)
    good = await world.redeem(early)
    await world.clock.later(1)
    bad = await world.redeem(late)

    assert (good[0], bad[0]) == (200, 400)


async def test_key_7_a_code_is_good_for_whoever_asked(world: World) -> None:
    """Without the verifier it is nothing; and it is used up by the attempt."""
    code = await world.code()
    wrong = await world.redeem(code, "w" * 43)
    right = await world.redeem(code)

    assert (wrong[0], right[0]) == (400, 400)
    assert await world.access.owned("corp", "alice", world.clock()) == []


@pytest.mark.parametrize("code", ["", "x", "A" * 19, "A" * 21, "A" * 20, "../../key", "ä" * 20])
async def test_key_7_other_codes_get_nothing(world: World, code: str) -> None:
    """Whatever is guessed."""
    assert (await world.redeem(code))[0] == 400


async def test_key_7_nothing_is_made_without_a_click(world: World) -> None:
    """Seeing the page makes no code; refusing tells the program so."""
    token = await world.token()
    before = [key for key in world.store._entries if key.startswith("cli-code/")]
    status, location, _ = await world.answer(token, "refuse")
    _, _, text = await world.answer(await world.token(redirect="", state=""), "refuse")

    assert before == []
    assert status == 303
    assert parse_qs(urlsplit(location).query) == {"error": ["access_denied"], "state": [STATE]}
    assert "Refused" in text
    assert not any(key.startswith("cli-code/") for key in world.store._entries)


@pytest.mark.parametrize(
    "redirect",
    [
        "http://evil/",
        "http://localhost.evil:1234/",
        "http://localhost:1234/",
        "https://127.0.0.1:1234/",
        "http://127.0.0.1:1234@evil/",
        "http://127.0.0.1.evil:1234/",
        "http://127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:1234/x",
        "http://127.0.0.1:1234/?x",
        "http://127.0.0.1:1234/\n",
        "http://[::2]:1234/",
        "//127.0.0.1:1234/",
        "javascript:alert(1)",
    ],
)
async def test_key_7_a_code_goes_to_this_machine_and_nowhere_else(
    world: World, redirect: str
) -> None:
    """The page is not even shown."""
    assert not loopback(redirect)
    assert (await world.page(redirect=redirect))[0] == 400


def test_key_7_loopback_addresses() -> None:
    """By number: what a name leads to is decided elsewhere."""
    assert loopback("http://127.0.0.1:1/")
    assert loopback("http://[::1]:65535/")


@pytest.mark.parametrize(
    "changes",
    [
        {"challenge": ""},
        {"challenge": "x" * 42},
        {"challenge": "!" * 43},
        {"name": ""},
        {"name": " "},
        {"name": "a\u202eb"},
        {"name": "x" * 65},
        {"state": ""},
        {"state": "short"},
    ],
)
async def test_key_7_an_address_that_is_not_complete_shows_no_page(world: World, changes) -> None:
    """Nor does one whose name could mislead."""
    assert (await world.page(**changes))[0] == 400


async def test_key_7_a_doubled_parameter_shows_no_page(world: World) -> None:
    """Of two names, page and list might show different ones."""
    url = f"{world.served.url}/ui/cli?challenge={CHALLENGE}&name=a&name=b"
    async with world.served.client.get(url) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_web_1_another_site_cannot_click(world: World, headers) -> None:
    """Even with a token that it got somewhere."""
    assert (await world.answer(await world.token(), **headers))[0] == 403


async def test_web_1_without_fetch_metadata_the_origin_counts(world: World) -> None:
    """Older browsers."""
    statuses = []
    for origin in (PUBLIC, "https://evil.example.com", None):
        async with world.served.client.post(
            world.served.url + "/api/cli/confirm",
            data={"token": await world.token(), "answer": "allow"},
            headers={} if origin is None else {"Origin": origin},
            allow_redirects=False,
        ) as answer:
            statuses.append(answer.status)

    assert statuses == [303, 403, 403]


async def test_key_7_a_page_is_answered_once_and_in_time(world: World) -> None:
    """A second click makes no second code; neither does a page from yesterday, or none of ours."""
    token, old = await world.token(), await world.token()
    first = await world.answer(token)
    second = await world.answer(token)
    other = world.served.snapshot.keyring.sealer("form").seal(
        {"for": "sign-out", "sid": "x"}, expires=world.clock() + timedelta(minutes=1)
    )
    await world.clock.later(600)

    assert (first[0], second[0]) == (303, 400)
    assert (await world.answer(old))[0] == 400
    assert (await world.answer(other))[0] == 400
    assert (await world.answer("x"))[0] == 400


async def test_key_4_a_session_that_ended_gives_nothing(world: World) -> None:
    """Between page and click, or between click and key."""
    token, code = await world.token(), await world.code()
    world.revoked = True

    assert (await world.answer(token))[0] == 403
    assert (await world.redeem(code))[0] == 403
    assert await world.access.owned("corp", "alice", world.clock()) == []


@pytest.mark.parametrize(
    "proof",
    [
        None,
        Proof(identity=ALICE, method=Method.BEARER),
        Proof(identity=ALICE, method=Method.BASIC, key_id="GWPX"),
        Proof(identity=ALICE, method=Method.SHARE, session_id="x"),
    ],
)
async def test_key_3_only_a_session_hands_out_keys(world: World, proof: Proof | None) -> None:
    """A key or a token makes no key."""
    world.served.proof = proof

    assert (await world.page())[0] == 401


async def test_where_keys_are_switched_off_there_is_no_page(world: World) -> None:
    """Said so, rather than failing at the end."""
    world.served.snapshot.config = Config.model_validate({"keys": {"personal": False}})

    assert (await world.page())[0] == 403


async def test_ses_15_a_stolen_store_holds_no_code(world: World) -> None:
    """Neither the code nor whom it is for can be read there."""
    code = await world.code()
    dump = repr(world.store._entries)

    assert code not in dump
    assert "alice" not in dump
