"""
The kinds of value that settings have: durations, sizes, addresses, origins, secrets, files.

Each is parsed once, here, and says in the operator's words what was expected. No message ever
repeats a secret (CFG-2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, final
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from gateway.identity import Secret

SESSION_KEY_MIN = 32  # bytes: what AES-256 deserves
SECRET_MIN = 16  # characters of a secret that signs for us; AWS's own have 40
SECRET_DISTINCT = (
    6  # different characters that a secret needs at least: refuses "aaaa…" and "abab…"
)
PLACEHOLDERS = re.compile(
    r"<.*>|\$\{?.*\}?|x+|\*+|(change|replace|fill)[-_ ]?(me|this|it)?([-_ ]?in)?|todo|none|null|"
    r"(your|my|the|some|a)?[-_ ]?(client|session|shared|s3)?[-_ ]?(secret|password|key)([-_ ]?(access[-_ ]?)?key)?([-_ ]?here)?",
    re.IGNORECASE,
)
"""What examples and templates hold where a secret belongs."""

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]i?B?|B)?")
_SIZE_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.?")


@final
class Resolved(str):
    """A string that came, whole or in part, from `${env:…}` or `${file:…}`."""

    __slots__ = ()


def parse_duration(value: object) -> timedelta:
    """`12h`, `1h30m`, `90s`, `7d`, or plain seconds. Raises ValueError."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _not_negative(timedelta(seconds=value))
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d+(?:\.\d+)?", text):
            return timedelta(seconds=float(text))
        found = _DURATION.fullmatch(text)
        if text and found:
            days, hours, minutes, seconds = found.groups(default="0")
            return timedelta(
                days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(seconds)
            )
    raise ValueError("a duration such as 30s, 10m, 12h, 7d or a number of seconds is expected")


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("a duration cannot be negative")
    return value


def spell_duration(value: timedelta) -> str:
    """The same, as a file would say it: `12h`, `1h30m`, `0s`."""
    left = value.total_seconds()
    text = ""
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        count, left = divmod(left, seconds)
        text += f"{count:.0f}{unit}" if count else ""
    return text + (f"{left:g}s" if left or not text else "")


def parse_size(value: object) -> int:
    """`8MiB`, `5GB`, or plain bytes. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        number, unit = found.groups(default="")
        return int(float(number) * _SIZE_UNITS[unit.lower().removesuffix("b")])
    raise ValueError("a size such as 512KiB, 8MiB, 5GB or a number of bytes is expected")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a TCP address, a unix socket, or a socket that the service manager opened."""

    kind: Literal["tcp", "unix", "fd"]
    host: str = ""
    """Address or name; empty for every interface; IPv6 without brackets."""
    port: int = 0
    """0: one that is free."""
    path: str = ""
    """Of the unix socket; or the name or number of the socket handed over (`fd:`)."""

    @property
    def loopback(self) -> bool:
        """Reachable from this machine only."""
        if self.kind != "tcp":
            return self.kind == "unix"
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def wildcard(self) -> bool:
        """Every interface."""
        return self.kind == "tcp" and self.host in ("", "0.0.0.0", "::")  # noqa: S104 # looked for

    def __str__(self) -> str:
        if self.kind != "tcp":
            return f"{self.kind}:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(value: object) -> Address:
    """`127.0.0.1:8080`, `:8080`, `[::1]:8080`, `unix:/path`, `fd:3`, `fd:NAME`. Raises ValueError."""
    if isinstance(value, Address):
        return value
    expected = "HOST:PORT, :PORT, unix:/path or fd:NAME is expected"
    if not isinstance(value, str):
        raise ValueError(expected)
    for kind in ("unix", "fd"):
        if value.startswith(f"{kind}:"):
            path = value[len(kind) + 1 :]
            if not path:
                raise ValueError(expected)
            return Address("unix" if kind == "unix" else "fd", path=path)
    host, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(expected)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        ip_address(host)
    elif host == "*":
        host = ""
    elif host and not _HOST_NAME.fullmatch(host.lower()):
        raise ValueError(expected)
    return Address("tcp", host=host, port=int(port))


def _one_or_many(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a URL that begins with https:// or http:// is expected")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(
            "only scheme, host and port are expected: the gateway needs a host of its own"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a URL that begins with https:// or http:// is expected")
    if "@" in parts.netloc:
        raise ValueError("a user name or password does not belong into this URL")
    return value


def _host(value: str) -> str:
    host = value.lower()
    if not _HOST_NAME.fullmatch(host):
        raise ValueError("a host name without scheme, port or path is expected")
    return host


def _host_or_any(value: str) -> str:
    if value == "*":
        return value
    try:
        return str(ip_address(value.strip("[]")))
    except ValueError:
        return _host(value)


def _network(value: object) -> IPv4Network | IPv6Network | Literal["unix"]:
    if value == "unix":
        return "unix"
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("an address, a network such as 10.0.0.0/8, or `unix` is expected")
    try:
        return ip_network(value)
    except ValueError:
        try:
            wider = ip_network(value, strict=False)
        except ValueError:
            raise ValueError(
                "an address, a network such as 10.0.0.0/8, or `unix` is expected"
            ) from None
        raise ValueError(f"host bits are set; did you mean {wider}?") from None


def _file(value: Path, info: ValidationInfo) -> Path:
    if value == Path():
        raise ValueError("the path of a file is expected")
    base = (info.context or {}).get("base")
    return value if base is None else Path(base) / value


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("a secret is expected: ${file:PATH} or ${env:NAME}")
    if not isinstance(value, Resolved):
        raise ValueError("a secret does not stand in this file: write ${file:PATH} or ${env:NAME}")
    if not value:
        raise ValueError("the secret is empty")
    if PLACEHOLDERS.fullmatch(value):
        raise ValueError("the secret is a placeholder")
    return Secret(str(value))


def _strong(value: Secret, minimum: int) -> Secret:
    text = value.reveal()
    if len(text.encode()) < minimum:
        raise ValueError(f"the secret is too short: {minimum} characters at least")
    if len(set(text)) < SECRET_DISTINCT:
        raise ValueError("the secret repeats a few characters")
    return value


def _redis_url(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not re.match(
        r"(?:rediss?|unix|redis\+(?:sentinel|cluster))", value
    ):
        raise ValueError("a URL that begins with redis:// or rediss:// is expected")
    if urlsplit(value).password and not isinstance(value, Resolved):
        raise ValueError(
            "the password does not stand in this file: write ${file:PATH} or ${env:NAME}"
        )
    return Secret(str(value))


_TEXT: dict[str, Any] = {"type": "string"}
_hidden = PlainSerializer(lambda _secret: "***", return_type=str)

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(spell_duration, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["30s", "10m", "12h"]}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["8MiB"]}),
]
Addresses = Annotated[
    tuple[
        Annotated[
            Address,
            PlainValidator(parse_address),
            PlainSerializer(str, return_type=str),
            WithJsonSchema(_TEXT),
        ],
        ...,
    ],
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}),
]
Origin = Annotated[str, AfterValidator(_origin)]
"""Scheme, host and port, without a slash at the end."""
Url = Annotated[str, AfterValidator(_url)]
HostName = Annotated[str, AfterValidator(_host)]
HostNames = Annotated[
    tuple[HostName, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}),
]
HostOrAny = Annotated[str, AfterValidator(_host_or_any)]
Network = Annotated[
    IPv4Network | IPv6Network | Literal["unix"], PlainValidator(_network), WithJsonSchema(_TEXT)
]
File = Annotated[Path, AfterValidator(_file)]
"""A path; relative ones start from the folder of the file that names them."""
SecretText = Annotated[Secret, PlainValidator(_secret), _hidden, WithJsonSchema(_TEXT)]
"""A secret of somebody else's making: only its place and its being there are checked."""
StrongSecret = Annotated[
    SecretText, AfterValidator(lambda value: _strong(value, SECRET_MIN)), WithJsonSchema(_TEXT)
]
SessionKey = Annotated[
    SecretText, AfterValidator(lambda value: _strong(value, SESSION_KEY_MIN)), WithJsonSchema(_TEXT)
]
RedisUrl = Annotated[Secret, PlainValidator(_redis_url), _hidden, WithJsonSchema(_TEXT)]
