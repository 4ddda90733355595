"""
Where a client's names lead: an upstream with the bucket and prefix that stand for a client's bucket.

Everything that turns names around knows an `Upstream`, and on the way back a `View`: what was
asked, and what of the answer may be shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, final

from gateway.errors import UpstreamProtocolError
from gateway.records import Record
from gateway.s3.errors import KEY_TOO_LONG, S3Error
from gateway.s3.names import KEY_MAX, encode_path
from gateway.s3.request import DeleteEntry, S3Request
from gateway.s3.table import Operation


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """An S3 server, and what of it stands for a client's bucket."""

    name: str
    scheme: str
    host: str
    port: int
    authority: str
    """Host and port as a Host header has them."""
    region: str
    addressing: Literal["path", "virtual"] = "path"
    payload: Literal["passthrough", "decode"] = "passthrough"
    bucket: str
    """Empty where the service itself is asked."""
    prefix: str = ""
    """Empty or ending in "/"."""
    credentials: str = ""
    """Name of the source that signs."""
    expected_owner: str | None = None
    """Account that must own the bucket: sent with every request (S3-7)."""
    requester_pays: bool = False
    request_host: str = field(init=False, default="")
    """The Host header of a request: exactly what is signed (PTH-21)."""
    bucket_path: str = field(init=False, default="")
    """Encoded path of the bucket itself."""
    object_path: str = field(init=False, default="")
    """Encoded path of the prefix: an encoded key is appended to it."""

    def __post_init__(self) -> None:
        if self.prefix and not self.prefix.endswith("/"):
            raise ValueError(f"prefix {self.prefix!r} must end in '/'")
        # A wildcard certificate holds for one label: a bucket with a dot is never virtual over TLS.
        virtual = (
            self.addressing == "virtual"
            and self.bucket != ""
            and not (self.scheme == "https" and "." in self.bucket)
        )
        root = "/" if virtual or not self.bucket else f"/{encode_path(self.bucket)}"
        host = f"{self.bucket}.{self.authority}" if virtual else self.authority
        object.__setattr__(self, "request_host", host)
        object.__setattr__(self, "bucket_path", root)
        object.__setattr__(self, "object_path", f"{root.rstrip('/')}/{encode_path(self.prefix)}")

    @property
    def prefixed(self) -> bool:
        """The target names a bucket and a prefix in it."""
        return self.prefix != ""

    def identity(self, client_bucket: str) -> bool:
        """The bucket is called the same on both sides, and all of it is meant."""
        return not self.prefix and self.bucket == client_bucket

    def key(self, client_key: str) -> str:
        """
        The upstream's key: the prefix is always added, also to a key that begins with it (PTH-18).

        Raises S3Error (KeyTooLongError) with the client's limit, which tells nothing of the prefix (PTH-17).
        """
        key = self.prefix + client_key
        if self.prefix and len(key) > KEY_MAX // 4 and len(key.encode()) > KEY_MAX:
            raise S3Error(
                KEY_TOO_LONG,
                size=str(len(client_key.encode())),
                max_size_allowed=str(KEY_MAX - len(self.prefix.encode())),
            )
        return key

    def client_key(self, key: str) -> str:
        """
        The client's key: the prefix taken off once.

        Raises UpstreamProtocolError where the key does not begin with it: somebody else's (LST-5).
        """
        if not key.startswith(self.prefix):
            raise UpstreamProtocolError(f"{self.name} answers with a key outside the prefix")
        return key[len(self.prefix) :]


Refused = tuple[DeleteEntry, str, str]
"""An entry of DeleteObjects that was not sent on, with code and message."""


@final
class View(Record, frozen=True, kw_only=True):
    """What has to be known to give an answer in the client's names."""

    request: S3Request
    operation: Operation
    upstream: Upstream
    request_id: str
    public_url: str = ""
    """Scheme and authority by which the client knows the gateway, without a slash at the end."""
    visible: Callable[[str, bool], bool] | None = None
    """Whether a list may show a key; or, where the flag is set, a common prefix (LST-10)."""
    as_json: bool = False
    refused: tuple[Refused, ...] = ()
    """Entries of DeleteObjects that policy refused; those whose names nobody may use are the request's."""
    failed: Callable[[str], None] | None = None
    """Told the code of an error that comes inside a 200 (CPY-11)."""
