"""The terminal's half of a sign-in."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.cli.signin import Attempt, Listener, SignInFailed
from gateway.server.cli_login import challenge_of, comparison, loopback

URL = "http://127.0.0.1:1"


@pytest.fixture
def attempt() -> Attempt:
    return Attempt(URL, "my laptop")


@pytest.fixture
def listener(attempt: Attempt) -> Iterator[Listener]:
    listener = Listener(attempt)
    yield listener
    listener.close()


def visit(address: str, host: str | None = None) -> tuple[int, str]:
    """Status, and where it leads; redirects are not followed."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    request = urllib.request.Request(address, headers={"Host": host} if host else {})
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as end:
        with end:
            return end.code, end.headers.get("Location", "")


def test_key_7_both_halves_agree(attempt: Attempt, listener: Listener) -> None:
    """Challenge, the code to compare, and the address that the gateway accepts."""
    query = parse_qs(urlsplit(attempt.page(listener.redirect)).query)

    assert query["challenge"] == [challenge_of(attempt.verifier)] == [attempt.challenge]
    assert attempt.comparison == comparison(attempt.challenge)
    assert query["redirect"] == [listener.redirect]
    assert loopback(listener.redirect)
    assert query["name"] == ["my laptop"]
    assert attempt.verifier not in attempt.page(listener.redirect)
    assert attempt.verifier not in repr(attempt)
    assert "redirect" not in attempt.page(None)


def test_key_7_only_whoever_knows_the_state_is_heard(attempt: Attempt, listener: Listener) -> None:
    """Another page that guesses the port, another path, another name for this machine."""
    seen: list[tuple[int, str]] = []

    def come() -> None:
        place = listener.redirect
        good = f"{place}?code=C&state={attempt.state}"
        seen.append(visit(f"{place}?code=EVIL&state=guess"))
        seen.append(visit(f"{place}?code=EVIL"))
        seen.append(visit(f"{place}favicon.ico"))
        seen.append(visit(good, host="evil.example.com"))
        seen.append(visit(good))

    thread = threading.Thread(target=come)
    thread.start()
    code = listener.wait(20)
    thread.join(10)

    assert code == "C"
    assert [status for status, _ in seen] == [404, 404, 404, 404, 303]
    assert seen[-1][1] == f"{URL}/ui/signed-in"


def test_a_refusal_ends_the_wait(attempt: Attempt, listener: Listener) -> None:
    """And leads the browser back."""
    seen: list[tuple[int, str]] = []
    address = f"{listener.redirect}?error=access_denied&state={attempt.state}"
    thread = threading.Thread(target=lambda: seen.append(visit(address)))
    thread.start()
    with pytest.raises(SignInFailed, match="refused"):
        listener.wait(20)
    thread.join(10)

    assert seen == [(303, f"{URL}/ui/")]


def test_the_wait_ends(listener: Listener) -> None:
    """Nobody sits at a terminal for ever."""
    with pytest.raises(SignInFailed, match="in time"):
        listener.wait(0)
