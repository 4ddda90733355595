"""Sockets that are listened on, and how many may come in."""

from __future__ import annotations

import asyncio
import os
import stat

import pytest

from gateway.config.values import Address
from gateway.server.connection import Clients
from gateway.server.inbound import Inbound, Line
from gateway.server.listeners import Door, ListenError, mark, notify, open_sockets, shown


def test_port_0_is_one_that_is_free():
    """And the address that is shown names it."""
    (sock,) = open_sockets([Address("tcp", "127.0.0.1", 0)])
    with sock:
        assert shown(sock) == f"127.0.0.1:{sock.getsockname()[1]}"


def test_a_taken_port_is_named():
    """The message holds the address and what the system said."""
    (sock,) = open_sockets([Address("tcp", "127.0.0.1", 0)])
    sock.listen()
    with sock, pytest.raises(ListenError, match=r"cannot listen on 127\.0\.0\.1:\d+: "):
        open_sockets([Address("tcp", "127.0.0.1", sock.getsockname()[1])])


def test_a_unix_socket_is_for_its_group_and_replaces_one_left_behind(tmp_path):
    """A process that was killed leaves its socket; the next one takes the place."""
    path = tmp_path / "gateway.sock"
    (first,) = open_sockets([Address("unix", path=str(path))])
    first.close()
    (second,) = open_sockets([Address("unix", path=str(path))])
    with second:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        assert shown(second) == f"unix:{path}"


def test_a_socket_that_was_not_handed_over_is_named(monkeypatch):
    """`fd:web` without a service manager."""
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    with pytest.raises(ListenError, match="handed over no socket called 'web'"):
        open_sockets([Address("fd", path="web")])


async def test_dos_2_connections_beyond_the_limit_are_turned_away():
    """The second connection gets 503 and an end; the first goes on."""

    class Here:
        async def handle(self, inbound: Inbound) -> None:
            assert inbound.line.transport is not None
            inbound.line.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

        def unreadable(self, line: Line) -> bytes:
            return b""

    clients = Clients(Here(), header_timeout=30.0)
    (sock,) = open_sockets([Address("tcp", "127.0.0.1", 0)])
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(Door(clients, 1), sock=sock)
    port = sock.getsockname()[1]
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")

        second, closing = await asyncio.open_connection("127.0.0.1", port)
        assert (await second.read()).startswith(b"HTTP/1.1 503")
        closing.close()
        writer.close()
    finally:
        listener.close()
        await clients.drain(1.0)


def test_a_mark_changes_when_a_link_is_swapped(tmp_path):
    """As Kubernetes does with mounted configuration."""
    for name in ("one", "two"):
        (tmp_path / name).write_text("same")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "one")
    before = mark(link)
    link.unlink()
    link.symlink_to(tmp_path / "two")

    assert mark(link) != before
    assert mark(tmp_path / "absent") == (0.0, 0)


def test_without_a_service_manager_nothing_is_told(monkeypatch):
    """No NOTIFY_SOCKET, no error."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
