"""The state store in Redis, run for real: alone, with TLS, behind Sentinel, and a cluster."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from gateway.errors import StateError
from gateway.state.redis import Place, RedisStore, parse_url
from tests.contracts.state_store import Later, StateStoreContract

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")
real = [
    pytest.mark.real,
    pytest.mark.skipif(
        SERVER is None, reason="neither redis-server nor valkey-server is installed"
    ),
]


class RealClock:
    """The time of day: the server counts by its own."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def command(port: int, *words: str) -> bytes:
    """One command in Redis' own protocol, and what comes back first."""
    text = f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
    with socket.create_connection(("127.0.0.1", port), 1) as sock:
        sock.sendall(text.encode())
        return sock.recv(4096)


@contextmanager
def running(folder: Path, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server on this port; ready when it answers, and gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    assert SERVER is not None
    process = subprocess.Popen(
        [SERVER, *options, "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, "redis-server ended"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with running(tmp_path_factory.mktemp("redis"), port, "--port", str(port)):
        yield f"redis://127.0.0.1:{port}/3"


@pytest.fixture
def clock() -> RealClock:
    return RealClock()


@pytest.fixture
def later() -> Later:
    return asyncio.sleep


@pytest.fixture
async def store(plain: str, clock: RealClock) -> AsyncIterator[RedisStore]:
    store = RedisStore(plain, clock)
    command(int(plain.split(":")[2].split("/")[0]), "FLUSHALL")
    yield store
    await store.close()


class TestRedisStore(StateStoreContract):
    """The contract, kept by Redis."""

    pytestmark = real


async def used(url: str) -> bool:
    """Writes, locks and reads by this URL."""
    store = RedisStore(url, RealClock())
    try:
        await store.ping()
        await store.put("k", b"x", expires=datetime.now(UTC) + timedelta(minutes=1))
        async with store.lock("l", ttl=timedelta(seconds=9), wait=timedelta(0)) as got:
            return got and await store.take("k") == b"x" and await store.get("k") is None
    finally:
        await store.close()


class TestServers:
    """The kinds of server that a URL may name."""

    pytestmark = real

    async def test_tls(self, tmp_path: Path) -> None:
        """rediss:// verifies the server, by authorities of one's own where named."""
        authority, port = trustme.CA(), free_port()
        ca, key, cert = tmp_path / "ca.pem", tmp_path / "key.pem", tmp_path / "cert.pem"
        issued = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(ca))
        issued.private_key_pem.write_to_path(str(key))
        issued.cert_chain_pems[0].write_to_path(str(cert))
        options = ("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no")
        files = (
            "--tls-cert-file",
            str(cert),
            "--tls-key-file",
            str(key),
            "--tls-ca-cert-file",
            str(ca),
        )
        with running(tmp_path, port, *options, *files):
            works = await used(f"rediss://127.0.0.1:{port}?ca={ca}")
            with pytest.raises(StateError):
                await used(f"rediss://127.0.0.1:{port}")

        assert works

    async def test_sentinel(self, tmp_path: Path) -> None:
        """redis+sentinel:// asks where the master is."""
        port, sentinel = free_port(), free_port()
        config = tmp_path / "sentinel.conf"
        config.write_text(f"port {sentinel}\nsentinel monitor main 127.0.0.1 {port} 1\n")
        password = ("--requirepass", "secret")
        with (
            running(tmp_path / "a", port, "--port", str(port), *password),
            running(tmp_path / "b", sentinel, str(config), "--sentinel"),
        ):
            command(sentinel, "SENTINEL", "SET", "main", "auth-pass", "secret")
            works = await used(f"redis+sentinel://:secret@127.0.0.1:{sentinel}/main/2")
            with pytest.raises(StateError):
                await used(f"redis+sentinel://:secret@127.0.0.1:{sentinel}/other")

        assert works

    async def test_cluster(self, tmp_path: Path) -> None:
        """redis+cluster:// learns which node has what."""
        port = free_port()
        options = (
            "--port",
            str(port),
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            str(free_port()),
        )
        with running(tmp_path, port, *options):
            slots = [str(slot) for slot in range(16384)]
            assert command(port, "CLUSTER", "ADDSLOTS", *slots) == b"+OK\r\n"
            while b"cluster_state:ok" not in command(port, "CLUSTER", "INFO"):
                await asyncio.sleep(0.05)
            works = await used(f"redis+cluster://127.0.0.1:{port}")

        assert works

    async def test_ses_16_a_server_that_is_away_is_an_error_and_comes_back(
        self, tmp_path: Path
    ) -> None:
        """StateError within seconds, from every method; then it works again by itself."""
        port = free_port()
        store = RedisStore(f"redis://127.0.0.1:{port}", RealClock())
        soon = datetime.now(UTC) + timedelta(minutes=1)
        calls = [
            lambda: store.get("k"),
            lambda: store.put("k", b"", expires=soon),
            lambda: store.add("k", b"", expires=soon),
            lambda: store.delete("k"),
            lambda: store.take("k"),
            store.ping,
        ]
        for call in calls:
            with pytest.raises(StateError):
                await call()
        with pytest.raises(StateError):
            async with store.lock("l", ttl=timedelta(seconds=9), wait=timedelta(seconds=9)):
                pass
        with running(tmp_path, port, "--port", str(port)):
            await store.put("k", b"x", expires=soon)
        with running(tmp_path, port, "--port", str(port)):
            again = await store.get("k")
        await store.close()

        assert again is None

    async def test_a_closed_store_says_so(self, store: RedisStore) -> None:
        """Not None, which would read as "not revoked"."""
        await store.close()

        with pytest.raises(StateError):
            await store.get("k")

    async def test_a_server_may_be_shared(self, store: RedisStore, plain: str) -> None:
        """Our keys begin with our name."""
        await store.put("k", b"x", expires=datetime.now(UTC) + timedelta(minutes=1))
        port = int(plain.split(":")[2].split("/")[0])

        assert b"keys=1" in command(port, "INFO", "keyspace")
        keys = RedisStore(plain, RealClock())
        assert [key async for key in keys._client.scan_iter()] == [b"gateway/k"]
        await keys.close()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://h", Place(kind="plain", url="redis://h")),
        ("redis://u:p%40@h:1/2", Place(kind="plain", url="redis://u:p%40@h:1/2")),
        ("rediss://h?ca=/x.pem", Place(kind="plain", url="rediss://h", ca="/x.pem", tls=True)),
        ("unix:///run/redis.sock", Place(kind="plain", url="unix:///run/redis.sock")),
        (
            "redis+sentinel://u:p%40@a:1,b,[::1]:3/main",
            Place(
                kind="sentinel",
                hosts=(("a", 1), ("b", 26379), ("::1", 3)),
                service="main",
                username="u",
                password="p@",
            ),
        ),
        (
            "rediss+sentinel://a/main/5",
            Place(kind="sentinel", hosts=(("a", 26379),), service="main", database=5, tls=True),
        ),
        ("redis+cluster://a,b:7", Place(kind="cluster", hosts=(("a", 6379), ("b", 7)))),
    ],
)
def test_a_url_says_where(url: str, place: Place) -> None:
    """Every form that is documented."""
    assert parse_url(url) == place
    assert "p@" not in repr(parse_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://h",
        "redis+other://h",
        "redis://h?timeout=5",
        "redis+sentinel://h",
        "redis+sentinel://h/main/x",
        "redis+sentinel://h/a/1/2",
        "redis+sentinel:///main",
        "redis+cluster://h/1",
        "redis+cluster://h,,i",
    ],
)
def test_a_url_that_says_nothing_is_refused(url: str) -> None:
    """Also with a password in it, which the message does not repeat."""
    with pytest.raises(ValueError):
        parse_url(url)
    with pytest.raises(ValueError) as caught:
        parse_url(url.replace("//", "//:hunter2@") + "?x=1")
    assert "hunter2" not in str(caught.value)
