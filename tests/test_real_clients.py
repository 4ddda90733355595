"""A short run of the client matrix: unchanged clients against two gateway processes over moto."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.clients.__main__ import PAGE
from tests.clients.matrix import TRANSPORTS, cell, install
from tests.clients.table import CLIENTS, PROGRAMS, Client
from tests.clients.world import Gateway, gateway, moto

QUICK = [(client, *way) for client in CLIENTS for way in client.quick]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways() -> AsyncIterator[dict[str, Gateway]]:
    """By transport."""
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(moto())
        yield {
            transport: await stack.enter_async_context(gateway(server, tls=transport == "https"))
            for transport in TRANSPORTS
        }


@pytest.mark.real
@pytest.mark.timeout(240)  # installs the client where it is not there yet
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("client", "credentials", "transport"),
    QUICK,
    ids=[f"{client.name}-{credentials}-{transport}" for client, credentials, transport in QUICK],
)
async def test_chk_24_what_an_unchanged_client_wrote_comes_back(
    gateways: dict[str, Gateway], client: Client, credentials: str, transport: str
) -> None:
    """Written, read, listed, copied, deleted: all that the client can do, it does."""
    if client.missing:
        pytest.skip(client.missing)
    try:
        install(client)
    except subprocess.CalledProcessError as failed:
        pytest.skip(f"{client.name} cannot be installed: {failed.stderr.decode()[-300:]}")

    results = await cell(client, gateways[transport], credentials)

    assert [line for line in results if line[1] is False] == []
    assert sum(line[1] is True for line in results) > len(results) / 2


def test_every_client_has_a_folder_and_a_program() -> None:
    """No two clients share a folder, and none is driven by a file that is not there."""
    assert len({client.folder for client in CLIENTS}) == len(CLIENTS)
    assert [client.name for client in CLIENTS if not (PROGRAMS / client.program).exists()] == []


def test_the_published_table_has_every_client() -> None:
    """Whoever adds a client runs it and writes the page anew: `python -m tests.clients --write-docs`."""
    page = PAGE.read_text("utf-8")

    assert [client.name for client in CLIENTS if f"\n| {client.name} |" not in page] == []
