"""
What is between here and the gateway, and does it break signatures? Probes that differ in one thing each.

Each asks `/api/doctor`, which tells how the request arrived; what comes back is compared with what
was sent. A finding names the habit, whom it hurts, and the setting that ends it.

Source: measured habits of nginx, Traefik, Envoy, Cloudflare and CloudFront; NGX-1 to NGX-11.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import urlsplit

from gateway.cli.calls import REGION, Unreachable
from gateway.cli.wire import Echo, Line
from gateway.identity import Credentials
from gateway.message import Headers
from gateway.sigv4.sign import SigningKeys, sign

SKEW_MAX = 900.0  # seconds: beyond it every signature is RequestTimeTooSkewed
SKEW_WORTH_A_WORD = 120.0
LONG_HEADER = 20 * 1024  # bytes: a bearer token of many groups, or a presigned URL with its token
BODY = 2 * 1024 * 1024  # bytes: twice what nginx lets through when it is not told otherwise
PATH = "/api/doctor"


class Level(Enum):
    """How bad it is."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe found."""

    level: Level
    what: str
    """What was tried."""
    happened: str = ""
    remedy: str = ""


def findings(
    line: Line, *, clock: Callable[[], float] = time.time, key: Credentials | None = None
) -> Iterator[Finding]:
    """Every probe's finding, as it comes. Raises Unreachable where nothing answers the first."""
    plain = line.send("GET", PATH, headers={"x-doctor-host": line.authority})
    if not plain.ours:
        yield Finding(
            Level.BAD,
            "a gateway answers",
            f"{line.authority} answers {plain.status}, and not as a gateway does",
            "Check the address: the gateway needs a host name of its own, not a path.",
        )
        return
    yield Finding(Level.GOOD, "a gateway answers")
    yield _clock(plain, clock())
    yield _host(plain, line)
    yield _scheme(plain, line)
    for probe in PROBES:
        yield probe.tried(line)
    if key is not None:
        yield _signed(line, key, clock)


def _clock(echo: Echo, here: float) -> Finding:
    what = "clocks agree"
    skew = here - float(echo.told.get("time", here))
    text = f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the gateway's"
    if abs(skew) > SKEW_MAX:
        return Finding(
            Level.BAD,
            what,
            text + "; every signature is refused as RequestTimeTooSkewed",
            "Switch time synchronisation on (timedatectl set-ntp true), here or there.",
        )
    if abs(skew) > SKEW_WORTH_A_WORD:
        return Finding(Level.NOTE, what, text, "Up to 15 minutes work; it will not stop there.")
    return Finding(Level.GOOD, what)


def _host(echo: Echo, line: Line) -> Finding:
    what = "the Host header arrives as it was sent"
    if echo.told.get("host") == line.authority:
        return Finding(Level.GOOD, what)
    if echo.told.get("host_accepted"):
        return Finding(
            Level.NOTE, what, "a proxy rewrites Host, and a trusted one passes the name on"
        )
    return Finding(
        Level.BAD,
        what,
        "a proxy rewrites Host: every signature fails (SignatureDoesNotMatch)",
        "nginx: proxy_set_header Host $http_host; — or let the proxy set X-Forwarded-Host, put it "
        "into server.trusted_proxies, and set server.public_url to this address.",
    )


def _scheme(echo: Echo, line: Line) -> Finding:
    what = "the gateway knows that this is https"
    if not line.secure:
        return Finding(Level.NOTE, what, "this is plain http: fine on one's own machine alone")
    if echo.told.get("secure"):
        return Finding(Level.GOOD, what)
    if not echo.told.get("trusted") and echo.told.get("forwarded"):
        return Finding(
            Level.BAD,
            what,
            "a proxy says so, and is not trusted: uploads by Basic and same-origin checks fail",
            "Put the proxy's address into server.trusted_proxies.",
        )
    return Finding(
        Level.BAD,
        what,
        "the proxy does not pass the scheme on",
        "nginx: proxy_set_header X-Forwarded-Proto $scheme; and server.trusted_proxies.",
    )


@dataclass(frozen=True, slots=True)
class Probe:
    """A row of the table: a request that differs from a plain one in one thing."""

    what: str
    happened: Callable[[Line], str]
    """Sends it and says what came of it; empty where it arrived as it was sent."""
    remedy: str = ""
    level: Level = Level.BAD
    """How bad it is where it did not."""

    def tried(self, line: Line) -> Finding:
        try:
            happened = self.happened(line)
        except Unreachable as away:
            return Finding(Level.BAD, self.what, f"the connection was cut ({away})")
        if not happened:
            return Finding(Level.GOOD, self.what)
        return Finding(self.level, self.what, happened, self.remedy)


def _target(target: str, hurts: str) -> Callable[[Line], str]:
    """A request target that must arrive as it is spelt; `hurts` says what fails otherwise."""

    def happened(line: Line) -> str:
        echo = line.send("GET", target)
        if not echo.ours:
            return f"answered {echo.status} on the way; {hurts}"
        arrived = echo.told.get("target")
        return "" if arrived == target else f"{target} arrived as {arrived}; {hurts}"

    return happened


def _header(name: str, value: str, hurts: str) -> Callable[[Line], str]:
    """A header that must arrive as it was sent."""

    def happened(line: Line) -> str:
        arrived = line.send("GET", PATH, headers={name: value}).told.get("headers", {})
        if arrived.get(name.lower()) == value:
            return ""
        return f"{value} arrived as {arrived.get(name.lower())!r}{hurts}"

    return happened


def _port(line: Line) -> str:
    if urlsplit(f"//{line.authority}").port is not None:
        return ""
    host = f"{line.authority}:{443 if line.secure else 80}"
    echo = line.send("GET", PATH, host=host, headers={"x-doctor-host": host})
    # With or without: the gateway tries both spellings of the default port.
    return "" if echo.ours else f"answered {echo.status} on the way"


def _underscore(line: Line) -> str:
    echo = line.send("GET", PATH, headers={"x-amz-meta-doctor_a": "1"})
    if "x-amz-meta-doctor_a" in echo.told.get("headers", {}):
        return ""
    return "it was dropped: uploads with such metadata fail (SignatureDoesNotMatch)"


def _long_head(line: Line) -> str:
    echo = line.send("GET", PATH, headers={"x-doctor-long": "x" * LONG_HEADER})
    if echo.told.get("headers", {}).get("x-doctor-long") == LONG_HEADER:
        return ""
    return f"answered {echo.status}: people in many groups, and long presigned links, fail"


def _body(line: Line) -> str:
    echo = line.send("PUT", PATH, body=bytes(BODY))
    if echo.ours and echo.told.get("body") == BODY:
        return ""
    return f"answered {echo.status}: uploads fail"


def _compression(line: Line) -> str:
    echo = line.send("GET", PATH, headers={"Accept-Encoding": "gzip"})
    if "content-encoding" not in echo.headers and "content-length" in echo.headers:
        return ""
    return "a proxy compresses them: ETag and length of objects are lost"


def _check(line: Line) -> str:
    described = {
        "x-original-method": "GET",
        "x-original-uri": "/",
        "x-original-host": line.authority,
    }
    echo = line.send("GET", "/api/session/check?for=application", headers=described)
    if echo.status not in (200, 401):
        return ""
    return (
        "a client may ask /api/session/check, and is handed the signed requests meant for a proxy"
    )


_RAW = (
    "nginx: proxy_pass http://gateway; with nothing after the name (no slash). Traefik: allow "
    "encoded characters and switch path sanitising off. Envoy: no normalize_path, no merge_slashes; "
    "Istio: pathNormalization NONE."
)
PROBES: tuple[Probe, ...] = (
    Probe(
        "a path keeps its two slashes",
        _target(f"{PATH}/a//b", "keys with two slashes cannot be reached"),
        _RAW,
    ),
    Probe(
        "a path keeps what is percent-encoded",
        _target(f"{PATH}/a%2Fb%3Fc%25d", "keys with %2F, %3F or %25 fail, and so do share links"),
        _RAW,
    ),
    Probe(
        "a path keeps its spelling",
        _target(
            f"{PATH}/%7E%41+(x)'!*",
            "keys with such characters fail for curl and other clients that sign as they spell",
        ),
        _RAW,
    ),
    Probe(
        "a query keeps its order and spelling",
        _target(f"{PATH}?z=1&a=b%20c+d&empty&e=&slash=/&tilde=~", "lists and presigned links fail"),
        "Switch off whatever rewrites or sorts query strings.",
    ),
    Probe(
        "the port may stand in the Host header",
        _port,
        "Let the proxy match the name alone.",
    ),
    Probe(
        "a header with an underscore arrives",
        _underscore,
        "nginx: underscores_in_headers on; (in the http block or the default server).",
    ),
    Probe(
        "Accept-Encoding arrives as it was sent",
        _header(
            "Accept-Encoding",
            "identity",
            ": clients that sign it fail (rclone, Terraform, the Go SDK)",
        ),
        "Cloudflare does this to what it proxies: set the DNS record to “DNS only”, or a "
        "transform rule that leaves Accept-Encoding alone.",
    ),
    Probe(
        "header values arrive as they were sent",
        _header("x-amz-meta-doctor", 'a  b, c;d="e"', ""),
        level=Level.NOTE,
    ),
    Probe(
        "20 KiB of headers arrive",
        _long_head,
        "nginx: large_client_header_buffers 8 32k;",
    ),
    Probe(
        "2 MiB of body arrive",
        _body,
        "nginx: client_max_body_size 0; proxy_request_buffering off;",
    ),
    Probe(
        "answers come back as they were sent",
        _compression,
        "nginx: gzip off; for this server.",
    ),
    Probe(
        "the check is for proxies alone",
        _check,
        "nginx: location ^~ /api/session/check { return 404; } — or, where no proxy asks, "
        "server.check: false (PRX-11).",
    ),
)
"""Each differs from a plain request in one thing."""


def _signed(line: Line, key: Credentials, clock: Callable[[], float]) -> Finding:
    """At last what it is all for: a signature."""
    what = "a signed request is believed"
    form = b"Action=GetCallerIdentity&Version=2011-06-15"
    signed = sign(
        method="POST",
        path="/",
        query="",
        host=line.authority,
        headers=Headers((("content-type", "application/x-www-form-urlencoded"),)),
        credentials=key,
        region=REGION,
        now=datetime.fromtimestamp(clock()).astimezone(),
        payload=hashlib.sha256(form).hexdigest(),
        keys=SigningKeys(),
        service="sts",
    )
    headers = {name: value for name, value in signed.headers if name != "host"}
    try:
        echo = line.send("POST", "/", headers=headers, body=form)
    except Unreachable as away:
        return Finding(Level.BAD, what, f"the connection was cut ({away})")
    if echo.status == 200 and b"GetCallerIdentityResult" in echo.body:
        return Finding(Level.GOOD, what)
    text = echo.body.decode("utf-8", "replace")
    code = text.partition("<Code>")[2].partition("</Code>")[0] or str(echo.status)
    return Finding(
        Level.BAD,
        what,
        f"it was refused: {code}",
        "SignatureDoesNotMatch: see what arrived changed above. InvalidClientTokenId or "
        "ExpiredToken: the key is not of this gateway, or has ended; run gateway login.",
    )
