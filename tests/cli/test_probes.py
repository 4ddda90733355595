"""Each habit of a proxy is found by the probe that is meant for it, and by no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.cli import probes
from gateway.cli.calls import Unreachable
from gateway.cli.probes import BODY, PROBES, Level, findings
from gateway.cli.wire import Echo, Line
from gateway.identity import Credentials, Secret
from tests.cli.gateway_thread import Running, clock, running


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    with running() as made:
        yield made


class Proxy(Line):
    """A line with something on it that has a habit."""

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: dict[str, str] | None = None,
        host: str | None = None,
        body: bytes | None = None,
    ) -> Echo:
        sent: dict[str, Any] = {
            "target": target,
            "headers": headers or {},
            "host": host,
            "body": body,
        }
        stopped = self.request(sent)
        if stopped:
            return Echo(stopped, {"content-type": "text/html"}, b"<html>")
        return self.answer(super().send(method, **sent))

    def request(self, sent: dict[str, Any]) -> int:
        """Changes what is sent, or answers it by this status."""
        return 0

    def answer(self, echo: Echo) -> Echo:
        """Changes what comes back."""
        return echo


class RewritesHost(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        sent["host"] = "internal:8080"
        return 0


class MergesSlashes(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        sent["target"] = re.sub("/+", "/", sent["target"])
        return 0


class Decodes(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        path = sent["target"].partition("?")[0]
        if "/a%2F" in path:
            sent["target"] = unquote(path).replace("?", "%3F")
        return 0


class Normalises(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        sent["target"] = sent["target"].replace("%7E", "~").replace("%41", "A")
        return 0


class SortsQuery(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        path, mark, query = sent["target"].partition("?")
        sent["target"] = path + mark + "&".join(sorted(query.split("&")))
        return 0


class DropsUnderscores(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        sent["headers"] = {k: v for k, v in sent["headers"].items() if "_" not in k}
        return 0


class WantsGzip(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        if "Accept-Encoding" in sent["headers"]:
            sent["headers"] = {"Accept-Encoding": "gzip, br"}
        return 0


class Squeezes(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        sent["headers"] = {k: " ".join(v.split()) for k, v in sent["headers"].items()}
        return 0


class SmallHeads(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        return 400 if any(len(v) > 8192 for v in sent["headers"].values()) else 0


class SmallBodies(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        return 413 if len(sent["body"] or b"") > 1_048_576 else 0


class RefusesEncodedSlashes(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        return 404 if "%2F" in sent["target"] else 0


class Compresses(Proxy):
    def answer(self, echo: Echo) -> Echo:
        headers = {**echo.headers, "content-encoding": "gzip"}
        del headers["content-length"]
        return Echo(echo.status, headers, echo.body, echo.told)


class HandsOnTheCheck(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        return 401 if sent["target"].startswith("/api/session/check") else 0


class Cuts(Proxy):
    def request(self, sent: dict[str, Any]) -> int:
        if sent["body"]:
            raise Unreachable("reset")
        return 0


HOST = "the Host header arrives as it was sent"


def bad(line: Line, level: Level = Level.BAD) -> set[str]:
    return {found.what for found in findings(line) if found.level is level}


@pytest.mark.parametrize(
    ("habit", "what"),
    [
        (RewritesHost, HOST),
        (MergesSlashes, "a path keeps its two slashes"),
        (Decodes, "a path keeps what is percent-encoded"),
        (RefusesEncodedSlashes, "a path keeps what is percent-encoded"),
        (Normalises, "a path keeps its spelling"),
        (SortsQuery, "a query keeps its order and spelling"),
        (DropsUnderscores, "a header with an underscore arrives"),
        (WantsGzip, "Accept-Encoding arrives as it was sent"),
        (SmallHeads, "20 KiB of headers arrive"),
        (SmallBodies, "2 MiB of body arrive"),
        (Cuts, "2 MiB of body arrive"),
        (Compresses, "answers come back as they were sent"),
        (HandsOnTheCheck, "the check is for proxies alone"),
    ],
)
def test_each_habit_is_found_by_its_probe(gateway: Running, habit: type[Proxy], what: str) -> None:
    """And its finding says what to do (NGX-1 to NGX-7)."""
    found = [one for one in findings(habit(gateway.url)) if one.level is Level.BAD]

    assert {one.what for one in found} == {what}
    assert all(one.happened and (one.remedy or habit is Cuts) for one in found)


def test_what_harms_nobody_is_a_note(gateway: Running) -> None:
    """Runs of spaces are one space in a signature; plain http is fine on one's own machine."""
    assert bad(Squeezes(gateway.url), Level.NOTE) == {
        "header values arrive as they were sent",
        "the gateway knows that this is https",
    }
    assert bad(Squeezes(gateway.url)) == set()


@pytest.mark.parametrize(
    ("off", "level"),
    [(0, Level.GOOD), (300, Level.NOTE), (-300, Level.NOTE), (1000, Level.BAD), (-1000, Level.BAD)],
)
def test_sig_6_a_clock_that_is_off(gateway: Running, off: float, level: Level) -> None:
    """Up to 15 minutes are borne; it is said in which direction."""
    found = next(
        one
        for one in findings(Line(gateway.url), clock=lambda: clock().timestamp() + off)
        if one.what == "clocks agree"
    )

    assert found.level is level
    if off:
        assert ("ahead" in found.happened) is (off > 0)


def test_what_is_no_gateway_is_said_and_nothing_else_is_tried() -> None:
    """A wrong address, or a path instead of a host."""

    class Other(Line):
        def send(self, *_: Any, **__: Any) -> Echo:
            return Echo(404, {"content-type": "application/json"}, b"[]", {})

    found = list(findings(Other("https://www.example.com")))

    assert [one.level for one in found] == [Level.BAD]
    assert "404" in found[0].happened


def secure(told: dict[str, Any]) -> Level:
    echo = Echo(200, {}, b"", {"gateway": True} | told)
    return probes._scheme(echo, Line("https://s3.example.com")).level


def test_prx_the_scheme_must_be_known() -> None:
    """A proxy that nobody trusts, or that does not say."""
    assert secure({"secure": True}) is Level.GOOD
    assert secure({"secure": False, "forwarded": ["x-forwarded-proto"]}) is Level.BAD
    assert secure({"secure": False, "trusted": True, "forwarded": []}) is Level.BAD


def test_sig_5_a_host_that_a_trusted_proxy_passes_on_is_a_note() -> None:
    """Signatures verify by it."""
    echo = Echo(200, {}, b"", {"gateway": True, "host": None, "host_accepted": True})

    assert probes._host(echo, Line("https://s3.example.com")).level is Level.NOTE


def test_a_default_port_in_the_host_is_tried_both_ways(gateway: Running) -> None:
    """Where the address has none."""

    class Default(Proxy):
        def send(self, method: str, target: str, **sent: Any) -> Echo:
            seen.append(sent.get("host"))
            return Echo(200 if status == 200 else 421, {}, b"", {"gateway": status == 200})

    seen: list[str | None] = []
    port = next(probe for probe in PROBES if probe.what.startswith("the port"))
    status = 200
    good = port.tried(Default("https://s3.example.com"))
    status = 421
    refused = port.tried(Default("http://s3.example.com"))

    assert seen == ["s3.example.com:443", "s3.example.com:80"]
    assert (good.level, refused.level) == (Level.GOOD, Level.BAD)
    assert port.tried(Line(gateway.url)).level is Level.GOOD


def test_a_signed_request_that_is_cut_is_a_finding(gateway: Running) -> None:
    """Not the end of the report."""
    key = Credentials(access_key_id="GWPX", secret=Secret("x"))
    last = list(findings(Cuts(gateway.url), key=key))[-1]

    assert last.what == "a signed request is believed"
    assert last.level is Level.BAD


def test_every_probe_has_its_words() -> None:
    """The table is the list of probes."""
    assert len(PROBES) == len({probe.what for probe in PROBES}) == 12
    assert BODY > 1024 * 1024
