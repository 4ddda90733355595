"""
The few calls that `gateway login`, `credentials` and `logout` make to a gateway.

The standard library's client: aws and other programs run `gateway credentials` and wait for it,
and a heavier one would take longer to load than the call. No redirect is followed: what goes out
holds secrets. Proxies are those of the environment.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from gateway import __version__
from gateway.identity import Credentials, Secret
from gateway.message import Headers
from gateway.s3.xml import unescape
from gateway.sigv4.sign import SigningKeys, sign

TIMEOUT = 30.0  # seconds for a whole call
ANSWER_MAX = 256 * 1024  # bytes
REGION = "us-east-1"
AGENT = f"s3-auth-gateway/{__version__}"
FORM = b"Action=GetSessionToken&Version=2011-06-15"


class Unreachable(Exception):
    """Nothing answers, or not as a gateway does."""


class Refused(Exception):
    """The gateway answers no; `code` is its own word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Temporary:
    """Temporary credentials, as `credential_process` prints them."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires: datetime


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _send(
    method: str, url: str, *, data: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body. Raises Unreachable."""
    request = urllib.request.Request(  # noqa: S310 # `base_url` let http and https through alone
        url, data=data, method=method, headers={"User-Agent": AGENT, **(headers or {})}
    )
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.read(ANSWER_MAX)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read(ANSWER_MAX)
    except (urllib.error.URLError, OSError) as away:
        reason = getattr(away, "reason", away)
        raise Unreachable(f"{url}: {reason}") from away


def base_url(text: str) -> str:
    """
    Scheme and authority of what somebody typed; https where they left it out. Raises ValueError.
    """
    parts = urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(
            f"{text!r} is not the address of a gateway, such as https://s3.example.com"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def safe_for_secrets(url: str) -> bool:
    """TLS, or this very machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")


def redeem(url: str, code: str, verifier: str) -> dict[str, str]:
    """The key for a one-time code. Raises Refused, Unreachable."""
    body = json.dumps({"code": code, "verifier": verifier}).encode()
    status, answer = _send(
        "POST", f"{url}/api/cli/token", data=body, headers={"Content-Type": "application/json"}
    )
    made = _json(url, answer)
    if status != 200:
        raise Refused(str(made.get("code", status)), str(made.get("title", "refused")))
    if not {"access_key_id", "secret_access_key", "expires_at"} <= made.keys():
        raise Unreachable(f"{url} does not answer as a gateway does")
    return {name: str(value) for name, value in made.items()}


def session_token(url: str, key: Credentials, now: datetime) -> Temporary:
    """Temporary credentials by STS; the key's secret signs and does not travel. Raises Refused, Unreachable."""
    signed = sign(
        method="POST",
        path="/",
        query="",
        host=urlsplit(url).netloc,
        headers=Headers((("content-type", "application/x-www-form-urlencoded"),)),
        credentials=key,
        region=REGION,
        now=now,
        payload=hashlib.sha256(FORM).hexdigest(),
        keys=SigningKeys(),
        service="sts",
    )
    status, answer = _send("POST", f"{url}/", data=FORM, headers=dict(signed.headers.pairs))
    text = answer.decode("utf-8", "replace")
    if status != 200:
        raise Refused(_leaf(text, "Code") or str(status), _leaf(text, "Message") or "refused")
    expires = _leaf(text, "Expiration")
    if not expires:
        raise Unreachable(f"{url} does not answer as a gateway does")
    return Temporary(
        _leaf(text, "AccessKeyId"),
        _leaf(text, "SecretAccessKey"),
        _leaf(text, "SessionToken"),
        datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
    )


def revoke(url: str, key_id: str, secret: Secret) -> bool:
    """Gives the key up; whether there was one. Raises Refused, Unreachable."""
    pair = base64.b64encode(f"{key_id}:{secret.reveal()}".encode()).decode()
    status, answer = _send(
        "DELETE", f"{url}/api/keys/{key_id}", headers={"Authorization": f"Basic {pair}"}
    )
    if status == 204:
        return True
    problem = _json(url, answer)
    # A key that the gateway does not know any more has been given up already.
    if problem.get("code") in ("no-such-key", "InvalidAccessKeyId"):
        return False
    raise Refused(str(problem.get("code", status)), str(problem.get("title", "refused")))


def _json(url: str, answer: bytes) -> dict[str, Any]:
    try:
        value = json.loads(answer)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unreachable(f"{url} does not answer as a gateway does")
    return value


def _leaf(text: str, name: str) -> str:
    """The text of an element that stands once in an answer of ours."""
    match = re.search(f"<{name}>([^<]*)</{name}>", text)
    return unescape(match[1]) if match else ""
