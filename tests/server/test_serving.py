"""The listeners of a running process: certificates that follow their files, and a configuration that breaks under load."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from gateway.policy.model import Policy
from tests.chaos.world import chaotic, recovers
from tests.server.verifying_upstream import Stored
from tests.server.whole_gateway import Whole


def issued(ca: trustme.CA, folder: Path, name: str) -> None:
    """A certificate for the host `name`, where the gateway looks for it."""
    made = ca.issue_cert(name)
    for file, text in (
        ("server.pem", made.cert_chain_pems[0].bytes()),
        ("server.key", made.private_key_pem.bytes()),
    ):
        new = folder / f"{file}.new"
        new.touch(mode=0o600)
        new.write_bytes(text)
        new.replace(folder / file)


async def shown(whole: Whole) -> str:
    """The host name in the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", whole.port, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return "second" if b"second.example" in found else "first" if b"first.example" in found else ""


@contextmanager
def told(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What the gateway logs, though it has taken the root logger for itself."""
    logger = logging.getLogger("gateway")
    logger.addHandler(caplog.handler)
    try:
        yield
    finally:
        logger.removeHandler(caplog.handler)


async def test_a_certificate_is_reread_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """New connections get the new one; open ones go on; a certificate without its key leaves the old one in use."""
    ca = trustme.CA()
    issued(ca, tmp_path, "first.example")
    files = "tls: {certificate: server.pem, key: server.key}"
    async with chaotic(tmp_path, ("drain: 1s", f"drain: 1s, {files}")) as whole:
        assert await shown(whole) == "first"
        issued(ca, tmp_path, "second.example")
        await whole.app.serving.refresh_certificate()
        assert await shown(whole) == "second"

        broken = ca.issue_cert("first.example").cert_chain_pems[0].bytes()
        (tmp_path / "server.pem").write_bytes(broken)  # whose key has not come yet
        with told(caplog):
            await whole.app.serving.refresh_certificate()
        assert await shown(whole) == "second"
        assert "certificate not reread; the old one stays" in caplog.text

        issued(ca, tmp_path, "first.example")
        await whole.app.serving.refresh_certificate()
        assert await shown(whole) == "first"


def policies() -> int:
    """Policies that are in memory."""
    gc.collect()
    return sum(isinstance(thing, Policy) for thing in gc.get_objects())


async def test_cfg_3_reloads_good_and_bad_under_load_fail_no_request(tmp_path: Path) -> None:
    """Each request ends as it began: by one snapshot, whatever happens to the files meanwhile."""
    async with chaotic(tmp_path) as whole:
        whole.upstream.objects["/real/team/k"] = Stored(b"v" * 100_000, [])
        policy = tmp_path / "policy.yaml"
        good = policy.read_text()
        statuses: list[int] = []
        ending = asyncio.Event()

        async def load() -> None:
            while not ending.is_set():
                reply = await whole.signed("GET", "/data/k")
                statuses.append(reply.status if reply.body == b"v" * 100_000 else 0)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(load())
            for number in range(5):
                policy.write_text(good + f"# {number}\n")
                assert await whole.app.reload()
                policy.write_text(good.replace("upstream: s3", "upstream: nowhere"))
                assert not await whole.app.reload()
            policy.write_text(good)
            ending.set()

        assert set(statuses) == {200} and len(statuses) > 10
        assert whole.app.snapshot.generation == 6
        await recovers(whole)  # whoever is connected still may be served by what was in force then
        async with asyncio.timeout(10):
            while policies() > 1:
                await asyncio.sleep(0.05)
