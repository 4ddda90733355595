"""
Sockets to listen on: TCP, unix, or handed over by the service manager; and TLS that follows its files.

Source: sd_listen_fds(3), sd_notify(3).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gateway.config.model import Tls
from gateway.config.values import Address
from gateway.errors import GatewayError
from gateway.observe.metrics import LIMITED

if TYPE_CHECKING:
    from gateway.server.connection import Clients

BACKLOG = 1024  # connections that wait to be accepted
_FIRST_FD = 3  # where the service manager's sockets begin
INHERITED = "GATEWAY_SOCKETS"
"""In a worker's environment: the unix sockets that its supervisor has opened, `NUMBER:PATH`, one a line."""
UNIX_MODE = 0o660  # a proxy in the same group may connect, nobody else


class ListenError(GatewayError):
    """An address cannot be listened on."""


def open_sockets(addresses: Iterable[Address], *, share: bool = False) -> list[socket.socket]:
    """
    Bound sockets. `share` lets other processes bind the same TCP port (SO_REUSEPORT).

    Raises ListenError with the address and what the system says.
    """
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            try:
                sockets += _open(address, share)
            except OSError as error:
                raise ListenError(
                    f"cannot listen on {address}: {error.strerror or error}"
                ) from error
    except ListenError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _open(address: Address, share: bool) -> list[socket.socket]:
    match address.kind:
        case "unix":
            return [_unix(address.path)]
        case "fd":
            return [_handed_over(address.path)]
        case "tcp":
            return _tcp(address, share)


def _tcp(address: Address, share: bool) -> list[socket.socket]:
    made: list[socket.socket] = []
    found = socket.getaddrinfo(
        address.host or None,
        address.port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )
    port = address.port
    for family, kind, protocol, _, place in dict.fromkeys(found):
        sock = socket.socket(family, kind, protocol)
        made.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            sock.bind((place[0], port, *place[2:]))
        except OSError:
            for one in made:
                one.close()
            raise
        port = sock.getsockname()[1]  # port 0: the same free one for both families
        sock.setblocking(False)
    return made


def _unix(path: str) -> socket.socket:
    for line in os.environ.get(INHERITED, "").splitlines():
        number, _, place = line.partition(":")
        if place == path:  # several processes cannot bind one path: they share the socket
            return _taken_over(int(number))
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)  # left behind by a process that was killed
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    os.chmod(path, UNIX_MODE)
    sock.setblocking(False)
    return sock


def _handed_over(name: str) -> socket.socket:
    count = int(os.environ.get("LISTEN_FDS", "0"))
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    if name.isdigit():
        number = int(name)
    elif name in names[:count]:
        number = _FIRST_FD + names.index(name)
    else:
        raise OSError(0, f"the service manager handed over no socket called {name!r}")
    return _taken_over(number)


def _taken_over(number: int) -> socket.socket:
    sock = socket.socket(fileno=os.dup(number))
    sock.setblocking(False)
    return sock


class Door:
    """
    Lets at most so many connections in: a protocol factory for `create_server`.

    Whoever comes beyond gets a 503 at once, from which clients back off; nothing of ours is held for them.
    """

    def __init__(self, clients: Clients, most: int) -> None:
        self._clients = clients
        self._most = most

    @property
    def count(self) -> int:
        """Connections open now."""
        return len(self._clients.connections)

    def __call__(self) -> asyncio.BaseProtocol:
        if self.count >= self._most:
            LIMITED.add("connections")
            return _TurnedAway()
        return self._clients()


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        out = cast(asyncio.Transport, transport)  # uvloop's has another base
        out.write(
            b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"
            b"content-length: 0\r\nconnection: close\r\n\r\n"
        )
        out.close()


class Certificate:
    """The listener's TLS, which takes new files for new connections when they change."""

    def __init__(self, tls: Tls) -> None:
        """Raises ListenError where the files do not fit."""
        self._tls = tls
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._mark()
        self._load(self.context)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(str(self._tls.certificate), str(self._tls.key))
        except (OSError, ssl.SSLError) as error:
            raise ListenError(
                f"the certificate {self._tls.certificate} and key {self._tls.key} cannot be used: {error}"
            ) from error

    def _mark(self) -> tuple[tuple[float, int], ...]:
        return tuple(mark(Path(path)) for path in (self._tls.certificate, self._tls.key))

    def changed(self) -> bool:
        """The files have changed, and fit. Waits for a disk. Raises ListenError where they do not fit."""
        now = self._mark()
        if now == self._seen:
            return False
        self._seen = now
        # Elsewhere first: a key that does not fit would take the good one out of the context.
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        return True

    def reload(self) -> None:
        """New connections get the files as they are now. Raises ListenError."""
        self._load(self.context)


def mark(path: Path) -> tuple[float, int]:
    """What changes with a file's content, also when a symbolic link is swapped; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return (0.0, 0)
    return (found.st_mtime, found.st_ino)


def notify(message: str) -> None:
    """Tells the service manager `READY=1`, `RELOADING=1`, `STOPPING=1` …, where there is one."""
    where = os.environ.get("NOTIFY_SOCKET")
    if not where:
        return
    address = "\0" + where[1:] if where.startswith("@") else where
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.connect(address)
        sock.sendall(message.encode())


def shown(sock: socket.socket) -> str:
    """A socket's address as people write it."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if sock.family == socket.AF_INET6 else name[0]
    return f"{host}:{name[1]}"
