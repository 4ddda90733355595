"""
HTTP messages as the core sees them: heads that do not change, bodies that flow.

A head is made once from what arrived and never edited; what goes upstream is built anew.
Header names are lower case, values are text, order and repeats are kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import compress
from operator import itemgetter
from typing import TypeVar, TypeVarTuple, final

from gateway.records import Record, field

Pairs = tuple[tuple[str, str], ...]

More = TypeVarTuple("More")
Found = TypeVar("Found")

_NAME = itemgetter(0)

HEADS = 1024  # sets of names remembered by each function
NAMES_MAX = 1024  # characters of such a set: what strangers write must not fill memory


@final
class Headers:
    """Header fields in order, repeats kept, names in lower case. Never changed after it is made."""

    __slots__ = ("_first", "_spelt", "doubled", "get", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        kept = tuple(pairs)
        first = dict(kept)
        doubled = len(first) != len(kept)
        if doubled:
            first = dict(reversed(kept))
            first = {name: first[name] for name, _ in kept}
        self.pairs: Pairs = kept
        self.doubled = doubled
        """Some name comes more than once."""
        self._first = first
        self._spelt: str | None = None
        """All names, a line each, once somebody asked for them."""
        self.get = first.get
        """The first value of the field; `name` must be lower case."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Headers:
        """The same from names in any case."""
        return cls((name.lower(), value) for name, value in pairs)

    def those(self, names: frozenset[str]) -> list[tuple[str, str]]:
        """The pairs whose names are among these, in order."""
        return list(compress(self.pairs, map(names.__contains__, map(_NAME, self.pairs))))

    def all(self, name: str) -> list[str]:
        """Every value of the field, in order."""
        return [value for key, value in self.pairs if key == name]

    def names(self) -> Iterable[str]:
        """Each name once, in order of first appearance."""
        return self._first.keys()

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def __getitem__(self, name: str) -> str:
        return self._first[name]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        # Values may be credentials; a repr ends up in logs.
        return f"Headers({', '.join(self._first)})"


def by_names(find: Callable[[str, *More], Found]) -> Callable[[Headers, *More], Found]:
    """
    What `find` tells from the names of header fields, a line each, remembered for the next head.

    Whoever sends one head sends many with the same names: their values alone are looked at anew.
    """
    same: Callable[[str, *More], Found] = lru_cache(maxsize=HEADS)(find)  # type: ignore[assignment] # hashable

    def tell(headers: Headers, *more: *More) -> Found:
        names = headers._spelt
        if names is None:
            names = headers._spelt = "\n".join(headers.names())
        return (same if len(names) <= NAMES_MAX else find)(names, *more)

    return tell


@final
class Names(dict[bytes, str]):
    """Names of fields as they arrive, to lower case; the given spellings without work, all others with it."""

    def __init__(self, spellings: Iterable[str]) -> None:
        super().__init__((spelling.encode(), spelling.lower()) for spelling in spellings)

    def __missing__(self, name: bytes) -> str:
        # Not kept: what strangers write must not grow it.
        return name.decode("ascii").lower()

    def read(self, fields: Sequence[tuple[bytes, bytes]], errors: str = "strict") -> Pairs:
        """
        Fields as they arrived to names in lower case and text without blanks at its end.

        Raises UnicodeDecodeError for a value that is not UTF-8, where `errors` do not allow it.
        """
        if not fields:
            return ()
        spelt, given = zip(*fields, strict=True)
        # Decoded at once: a step of the interpreter for each field is most of what a head costs.
        text = b"\n".join(given).decode("utf-8", errors)
        values = text.split("\n")
        if len(values) != len(given):  # a parser let a line break pass
            values = [value.decode("utf-8", errors) for value in given]
        if " \n" in text or "\t\n" in text or text[-1:] in (" ", "\t"):
            values = [value.rstrip(" \t") for value in values]
        return tuple(zip(map(self.__getitem__, spelt), values, strict=True))


class RequestHead(Record, frozen=True, kw_only=True):
    """One request as it was received."""

    method: str
    target: str
    """The raw request target, exactly as received: never decoded, never normalised."""
    headers: Headers = field(default_factory=Headers)
    peer: str | None = None
    """Address of the client (behind a trusted proxy: what the proxy says); None for a unix socket."""
    secure: bool = False
    """TLS on this connection, or a trusted proxy says so."""
    trusted: bool = False
    """The directly connected peer is one of `server.trusted_proxies`."""
    forwarded_host: str | None = None
    """X-Forwarded-Host, from a trusted proxy only."""


class ResponseHead(Record, frozen=True, kw_only=True):
    """Status and header fields of an answer."""

    status: int
    headers: Headers = field(default_factory=Headers)


class Body:
    """
    A stream of bytes: read once, passed on and forgotten.

    `length` is None where only the end of the stream tells. Reading may raise, and whoever
    passes the bytes on must then not let its receiver believe in a whole body.
    """

    length: int | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError

    def whole(self) -> bytes | None:
        """All of it, where that is there already without waiting; else None. Consumes it."""
        return None

    async def close(self) -> None:
        """Whoever holds a body closes it, read to the end or not. Safe to call twice."""

    async def read(self, limit: int) -> bytes:
        """All of it. Raises BodyTooLarge as soon as it is longer than `limit` bytes."""
        if self.length is not None and self.length > limit:
            raise BodyTooLarge(limit)
        parts: list[bytes] = []
        size = 0
        async for part in self:
            size += len(part)
            if size > limit:
                raise BodyTooLarge(limit)
            parts.append(part)
        return b"".join(parts)


class BodyTooLarge(Exception):
    """A body that had to be read whole is longer than its limit in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"body is longer than {limit} bytes")
        self.limit = limit


@final
class BytesBody(Body):
    """A body that is in memory: what the gateway itself wrote, or nothing."""

    __slots__ = ("_data", "length")

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self.length = len(data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._data:
            yield self._data

    def whole(self) -> bytes | None:
        return self._data


@final
class IterBody(Body):
    """A body made of an async iterable of bytes."""

    __slots__ = ("_chunks", "length")

    def __init__(self, chunks: AsyncIterator[bytes], length: int | None = None) -> None:
        self._chunks = chunks
        self.length = length

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def close(self) -> None:
        aclose = getattr(self._chunks, "aclose", None)
        if aclose is not None:
            await aclose()


NO_BODY = BytesBody()


class Answer(Record, frozen=True, kw_only=True):
    """What comes back: a head and a body that whoever takes the answer must close."""

    head: ResponseHead
    body: Body = NO_BODY

    @property
    def status(self) -> int:
        return self.head.status
