"""
Hashes and checksums of a body: which S3 knows, which can be computed here, and whether they agree.

crc32, md5 and the SHAs come with Python; crc32c, crc64nvme and the xxHashes only at native speed,
from awscrt where it is installed (extra `checksums`): in Python they would run at a few MB/s.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any, Protocol

from gateway.message import Headers
from gateway.s3 import errors
from gateway.s3.errors import S3Error

PREFIX = "x-amz-checksum-"
CONTENT_SHA256 = "x-amz-content-sha256"
CONTENT_MD5 = "content-md5"


class Digest(Protocol):
    """A running hash."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    """A cyclic redundancy check as a running hash; S3 writes it in network order."""

    __slots__ = ("_bytes", "_function", "_value")

    def __init__(self, function: Callable[[Any, int], int], size: int) -> None:
        self._function = function
        self._bytes = size
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._bytes, "big")


class _XxHash:
    """An xxHash of awscrt as a running hash."""

    __slots__ = ("_running",)

    def __init__(self, running: Any) -> None:
        self._running = running

    def update(self, data: bytes, /) -> None:
        self._running.update(data)

    def digest(self) -> bytes:
        return bytes(self._running.finalize())


@cache
def native() -> Mapping[str, Callable[[], Digest]]:
    """
    What the awscrt that is installed offers; older ones know fewer.

    It is read from disk by the first call, which takes tens of milliseconds and can be made beforehand.
    """
    try:
        crt = import_module("awscrt.checksums")
    except ImportError:  # the extra is not installed
        return {}
    found: dict[str, Callable[[], Digest]] = {}
    for name, size in (("crc32c", 4), ("crc64nvme", 8)):
        function = getattr(crt, name, None)
        if function is not None:
            found[name] = partial(_Crc, function, size)
    xxhash = getattr(crt, "XXHash", None)
    for name, maker in (
        ("xxhash64", "new_xxhash64"),
        ("xxhash3", "new_xxhash3_64"),
        ("xxhash128", "new_xxhash3_128"),
    ):
        make = getattr(xxhash, maker, None)
        if make is not None:
            found[name] = partial(_xxhash, make)
    return found


def _xxhash(make: Callable[[], Any]) -> Digest:
    return _XxHash(make())


_OWN: Mapping[str, Callable[[], Digest]] = {
    "crc32": lambda: _Crc(zlib.crc32, 4),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}

KNOWN = frozenset({*_OWN, "crc32c", "crc64nvme", "xxhash64", "xxhash3", "xxhash128"})
"""What S3 knows; other names that begin with `x-amz-checksum-` are not checksums."""


def maker(algorithm: str) -> Callable[[], Digest] | None:
    """Makes the running digest of an algorithm; None where it cannot be computed here."""
    return _OWN.get(algorithm) or native().get(algorithm)


def algorithm_of(header: str) -> str | None:
    """The algorithm whose value a header or trailer field holds; None where it holds none."""
    if not header.startswith(PREFIX):
        return None
    name = header[len(PREFIX) :]
    return name if name in KNOWN else None


def in_headers(headers: Headers) -> tuple[str, ...]:
    """The fields that hold a digest of the body: Content-MD5 and the checksums."""
    return tuple(
        [name for name in headers.names() if name == CONTENT_MD5 or algorithm_of(name) is not None]
    )


class Sums:
    """Digests that are computed while a body passes, and what each must turn out to be."""

    __slots__ = ("_expected", "_running")

    def __init__(self) -> None:
        self._running: dict[str, Digest] = {}
        self._expected: dict[str, tuple[str, bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._running)

    def announce(self, field: str) -> None:
        """
        The field will follow in a trailer. Raises S3Error (NotImplemented) where it cannot be computed.
        """
        algorithm = algorithm_of(field)
        if algorithm is None:
            return
        make = maker(algorithm)
        if make is None:
            raise S3Error(
                errors.NOT_IMPLEMENTED,
                f"The checksum algorithm {algorithm.upper()} cannot be computed here.",
                header=field,
            )
        self._start(algorithm, make)

    def expect(self, field: str, value: str) -> None:
        """
        What a field says. One that cannot be computed here is left to the upstream (CHK-20).

        Raises S3Error: InvalidDigest, InvalidRequest where the value is none.
        """
        if field == CONTENT_SHA256:
            self._start("sha256", hashlib.sha256)
            self._expected[field] = ("sha256", bytes.fromhex(value))
            return
        algorithm = "md5" if field == CONTENT_MD5 else algorithm_of(field)
        make = None if algorithm is None else maker(algorithm)
        if algorithm is None or make is None:
            return
        self._start(algorithm, make)
        size = len(make().digest())
        self._expected[field] = (algorithm, _decoded(field, value, size))

    def _start(self, algorithm: str, make: Callable[[], Digest]) -> None:
        if algorithm not in self._running:
            self._running[algorithm] = make()

    def update(self, data: bytes) -> None:
        for running in self._running.values():
            running.update(data)

    def compare(self) -> None:
        """Raises S3Error (XAmzContentSHA256Mismatch, BadDigest)."""
        computed = {name: running.digest() for name, running in self._running.items()}
        for field, (algorithm, expected) in self._expected.items():
            if computed[algorithm] != expected:
                raise _differs(field, algorithm, expected, computed[algorithm])


def _decoded(field: str, value: str, size: int) -> bytes:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) == size:
        return digest
    if field == CONTENT_MD5:
        raise S3Error(errors.INVALID_DIGEST, "The Content-MD5 you specified was invalid.")
    raise S3Error(errors.INVALID_REQUEST, f"Value for {field} header is invalid.")


def _differs(field: str, algorithm: str, expected: bytes, computed: bytes) -> S3Error:
    if field == CONTENT_SHA256:
        return S3Error(
            errors.CONTENT_SHA256_MISMATCH,
            ClientComputedContentSHA256=expected.hex(),
            S3ComputedContentSHA256=computed.hex(),
        )
    name = "Content-MD5" if field == CONTENT_MD5 else algorithm.upper()
    return S3Error(
        errors.BAD_DIGEST,
        f"The {name} you specified did not match the calculated checksum.",
        ExpectedDigest=base64.b64encode(expected).decode(),
        CalculatedDigest=base64.b64encode(computed).decode(),
    )
