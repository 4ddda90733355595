"""Bodies framed as clients frame them, and whatever can be done to them; written apart from `chunks`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from gateway.message import Body, Headers
from gateway.sigv4.sign import EMPTY_HASH, Signature, SigningKey
from gateway.sigv4.verify import Seal

SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

WHEN, SCOPE = "20261124T201503Z", "20261124/us-east-1/s3/aws4_request"
CLIENT_KEY, CLIENT_SEED = b"client's signing key", "c" * 64
OUR_KEY, OUR_SEED = b"our signing key", "0" * 64

OURS = Signature(
    headers=Headers(),
    amz_date=WHEN,
    scope=SCOPE,
    signature=OUR_SEED,
    signing_key=SigningKey(OUR_KEY),
)


def seal(token: str, *, presigned: bool = False) -> Seal:
    return Seal(
        token=token,
        when=WHEN,
        scope=SCOPE,
        seed=CLIENT_SEED,
        signing_key=SigningKey(CLIENT_KEY),
        presigned=presigned,
    )


def mac(key: bytes, kind: str, previous: str, *rest: str) -> str:
    text = "\n".join([f"AWS4-HMAC-SHA256-{kind}", WHEN, SCOPE, previous, *rest])
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Framed:
    """A framed body as a list of its pieces: chunk lines, data, ends, trailer."""

    parts: list[bytes] = field(default_factory=list)

    @property
    def wire(self) -> bytes:
        return b"".join(self.parts)


def framed(
    chunks: Sequence[bytes],
    *,
    signed: bool = True,
    trailer: Sequence[tuple[str, str]] | None = None,
    key: bytes = CLIENT_KEY,
    seed: str = CLIENT_SEED,
) -> Framed:
    """`chunks` as aws-chunked; with `trailer`, one of the -TRAILER forms."""
    made = Framed()
    previous = seed
    for chunk in [*chunks, b""]:
        line = f"{len(chunk):x}"
        if signed:
            previous = mac(key, "PAYLOAD", previous, EMPTY_HASH, sha(chunk))
            line += f";chunk-signature={previous}"
        made.parts.append(line.encode() + b"\r\n")
        if chunk:
            made.parts += [chunk, b"\r\n"]
    for name, value in trailer or ():
        made.parts.append(f"{name}:{value}\r\n".encode())
    if signed and trailer is not None:
        text = "".join(f"{name.lower()}:{value.strip()}\n" for name, value in trailer)
        signature = mac(key, "TRAILER", previous, sha(text.encode()))
        made.parts.append(f"x-amz-trailer-signature:{signature}\r\n".encode())
    made.parts.append(b"\r\n")
    return made


class Wire(Body):
    """A body that comes in the pieces given, and counts what was read of it."""

    def __init__(self, pieces: Iterable[bytes], length: int | None = None) -> None:
        self.pieces = list(pieces)
        self.length = length
        self.count = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.count += len(piece)
            yield piece


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in pieces, cut at these places."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


async def collect(body: Body) -> bytes:
    return b"".join([piece async for piece in body])
