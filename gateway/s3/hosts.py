"""
The names by which clients reach the gateway: which are path style, which name a bucket, which know no page.

Sources: HTTP-4, PTH-7; https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import final

from gateway.s3.errors import INVALID_REQUEST, S3Error


@final
@dataclass(frozen=True, slots=True)
class Hosts:
    """The names by which clients reach the gateway (PTH-7)."""

    path_style: frozenset[str] = frozenset()
    """Host names without port, in lower case; empty: any name that is not virtual."""
    virtual: tuple[str, ...] = ()
    """Names whose subdomains are buckets; each is a path-style name itself."""
    s3_only: frozenset[str] = frozenset()
    """Where no page and no cookie is known."""
    public_authority: str = ""
    """Host and port of `server.public_url`, which clients may have signed (SIG-5)."""
    _styles: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)

    def bucket(self, authority: str) -> str | None:
        """The bucket that a Host header names; None for path style. Raises S3Error (InvalidRequest)."""
        try:
            return self._styles[authority]
        except KeyError:
            found = self._bucket(authority)
        if len(self._styles) >= _STYLES_MAX:
            self._styles.clear()
        self._styles[authority] = found
        return found

    def _bucket(self, authority: str) -> str | None:
        host = host_name(authority)
        if host in self.path_style or host in self.virtual:
            return None
        for suffix in sorted(self.virtual, key=len, reverse=True):
            if host.endswith("." + suffix):
                return host[: -len(suffix) - 1]
        if self.path_style:
            raise S3Error(INVALID_REQUEST, "The Host header names none of this gateway's names.")
        return None


_STYLES_MAX = 1024  # remembered Host headers; a stranger may send any

_HOST = re.compile(
    r"(?P<name>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
    r"|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?"
)


def host_name(authority: str) -> str:
    """A Host header's name in lower case, without port. Raises S3Error (InvalidRequest) (HTTP-4)."""
    match = _HOST.fullmatch(authority.lower()) if len(authority) <= 300 else None
    if match is None:
        raise S3Error(INVALID_REQUEST, "The Host header is not a host name.")
    return match["name"]
