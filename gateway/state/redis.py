"""
The state store of many hosts: Redis or Valkey, alone, behind Sentinel, or a cluster.

::

    redis://[user:password@]host[:port][/db]             rediss:// with TLS, unix:// for a socket
    redis+sentinel://[user:password@]host:port[,…]/name[/db]
    redis+cluster://[user:password@]host:port[,…]        rediss+sentinel://, rediss+cluster:// with TLS

`?ca=FILE` names the certificate authorities to trust. Every call touches one key, so it is atomic
and a cluster needs no more than that. Silence is an error within two seconds, and where it may
have been written or not, a one-time code counts as used and a lock as not got.

Sources: https://redis.io/docs/latest/commands/set/, https://redis.io/docs/latest/commands/getdel/
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any, Literal, cast, final
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.errors import StateError
from gateway.state import Clock, Locking

PREFIX = "gateway/"
"""Before every key: a server may be shared with others."""
SILENCE = 2.0  # seconds until a server that says nothing counts as away
CONNECTIONS = 64  # of one process; more callers wait for one to be free
PORT, SENTINEL_PORT = 6379, 26379

_GIVE_BACK = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0"""

_NAMELESS: dict[str, Any] = (
    {"driver_info": None}
    if find_spec("redis.driver_info")  # redis-py 7.2 and later
    else {"lib_name": None, "lib_version": None}
)
"""To tell the server its own name, the library reads files for every connection, in the loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a URL says."""

    kind: Literal["plain", "sentinel", "cluster"]
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    """Sentinel's name for the master."""
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca: str | None = None
    url: str = ""
    """For `plain`, as redis-py takes it."""

    def __repr__(self) -> str:
        return f"Place({self.kind}, {self.hosts})"  # a repr ends up in logs; a password must not


def parse_url(url: str) -> Place:
    """Raises ValueError, without the URL: it may hold a password."""
    # Not by urlsplit, which takes one host: brackets behind a comma are no URL to it.
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    options = parse_qs(query, keep_blank_values=True)
    ca = options.pop("ca", [None])[-1]
    if options:
        raise ValueError(f"the redis URL has an unknown option {min(options)!r}")
    scheme, _, kind = scheme.lower().partition("+")
    if scheme not in ("redis", "rediss", "unix") or kind not in ("", "sentinel", "cluster"):
        raise ValueError(
            "the state URL is none of redis, rediss, unix, redis+sentinel, redis+cluster"
        )
    if not kind:
        return Place(kind="plain", url=url.partition("?")[0], ca=ca, tls=scheme == "rediss")
    names = [unquote(piece) for piece in path.split("/") if piece]
    if kind == "sentinel" and not (
        1 <= len(names) <= 2 and names[1:] == [p for p in names[1:] if p.isdecimal()]
    ):
        raise ValueError("a redis+sentinel URL ends in /NAME or /NAME/DATABASE")
    if kind == "cluster" and names:
        raise ValueError("a redis+cluster URL has no database")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    return Place(
        kind="sentinel" if kind == "sentinel" else "cluster",
        hosts=_hosts(hosts, SENTINEL_PORT if kind == "sentinel" else PORT),
        service=names[0] if names else "",
        database=int(names[1]) if len(names) > 1 else 0,
        username=unquote(user) or None,
        password=unquote(password) or None,
        tls=scheme == "rediss",
        ca=ca,
    )


def _hosts(text: str, default: int) -> tuple[tuple[str, int], ...]:
    hosts = []
    for piece in text.split(","):
        parts = urlsplit(f"//{piece}")
        if not parts.hostname:
            raise ValueError("the redis URL names no host")
        hosts.append((parts.hostname, parts.port or default))
    return tuple(hosts)


Client = Redis | RedisCluster


def _clients(place: Place) -> list[Client]:
    """The client that is used, and those by which it finds the server."""
    common: dict[str, Any] = {
        "socket_connect_timeout": SILENCE,
        "socket_timeout": SILENCE,
        "health_check_interval": 30,
        # Once more at once, for a connection that turns out to have ended while it was idle.
        "retry": Retry(NoBackoff(), 1),
        **_NAMELESS,
    }
    tls: dict[str, Any] = {"ssl_ca_certs": place.ca} if place.ca else {}
    login: dict[str, Any] = {"username": place.username, "password": place.password}
    match place.kind:
        case "plain":
            pool = BlockingConnectionPool.from_url(
                place.url, max_connections=CONNECTIONS, timeout=SILENCE, **common, **tls
            )
            return [Redis.from_pool(pool)]
        case "sentinel":
            tls |= {"ssl": place.tls}
            sentinel = cast("Any", Sentinel)(
                list(place.hosts), sentinel_kwargs={**common, **tls}, **common, **tls
            )
            master: Redis = sentinel.master_for(place.service, db=place.database, **login)
            return [master, *sentinel.sentinels]
        case "cluster":
            nodes = [ClusterNode(host, port) for host, port in place.hosts]
            cluster = RedisCluster(
                startup_nodes=nodes,
                max_connections=CONNECTIONS,
                ssl=place.tls,
                **login,
                **common,
                **tls,
            )
            return [cluster]


@final
class RedisStore(Locking):
    """A StateStore on a server that others use too. Connects at the first call."""

    def __init__(self, url: str, clock: Clock, *, prefix: str = PREFIX) -> None:
        """`prefix` begins every key. Raises ValueError where the URL cannot be understood."""
        self._clock = clock
        self._prefix = prefix
        self._clients = _clients(parse_url(url))
        self._client = self._clients[0]
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        async with self._answering():
            return cast("bytes | None", await self._client.get(self._prefix + key))

    async def put(self, key: str, value: bytes, *, expires: datetime) -> None:
        left = self._left(expires)
        if left <= 0:
            await self.delete(key)
            return
        async with self._answering():
            await self._client.set(self._prefix + key, value, px=left)

    async def add(self, key: str, value: bytes, *, expires: datetime) -> bool:
        left = self._left(expires)
        if left <= 0:
            return await self.get(key) is None
        async with self._answering():
            return bool(await self._client.set(self._prefix + key, value, px=left, nx=True))

    async def delete(self, key: str) -> None:
        async with self._answering():
            await self._client.delete(self._prefix + key)

    async def take(self, key: str) -> bytes | None:
        async with self._answering():
            return cast("bytes | None", await self._client.getdel(self._prefix + key))

    async def _give_back(self, key: str, token: bytes) -> None:
        async with self._answering():
            await cast("Any", self._client).eval(_GIVE_BACK, 1, self._prefix + key, token)

    async def ping(self) -> None:
        # Written, not asked: a master that lost its place, or is full, still answers a PING.
        await self.put("ping", b"", expires=self._clock() + timedelta(seconds=1))

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            for client in self._clients:
                await client.aclose()

    def _left(self, expires: datetime) -> int:
        """Milliseconds until then."""
        return int((expires - self._clock()).total_seconds() * 1000)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        if self._closed:
            raise StateError("the state store is closed")
        try:
            yield
        except (RedisError, OSError) as failure:
            raise StateError(f"redis: {type(failure).__name__}: {failure}") from failure
