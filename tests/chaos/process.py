"""`gateway serve` as a process in front of an upstream of the test's own, to be killed and told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.demo.world import free_port
from tests.server.verifying_upstream import VerifyingUpstream, upstream
from tests.server.whole_gateway import Whole, written

WITHIN = 30.0  # seconds for a process to start or end on a loaded machine


@dataclass
class Process:
    """A gateway and its upstream."""

    whole: Whole
    process: asyncio.subprocess.Process
    admin: str
    log: Path

    @property
    def upstream(self) -> VerifyingUpstream:
        return self.whole.upstream

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(WITHIN):
            return await self.process.wait()

    async def readyz(self) -> tuple[int, dict[str, Any]]:
        """Status and answer; 0 where nobody answers."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http,
                http.get(f"{self.admin}/readyz") as answer,
            ):
                return answer.status, json.loads(await answer.text())
        except (aiohttp.ClientError, TimeoutError):
            return 0, {}

    async def figures(self) -> str:
        """What `/metrics` answers."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.admin}/metrics") as answer,
        ):
            return await answer.text()

    async def ready(self, status: int = 200) -> dict[str, Any]:
        """Waits until `/readyz` answers so."""
        async with asyncio.timeout(WITHIN):
            while True:
                if self.process.returncode is not None:
                    raise AssertionError(self.log.read_text())
                found, told = await self.readyz()
                if found == status:
                    return told
                await asyncio.sleep(0.05)

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        pid = self.process.pid
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@asynccontextmanager
async def serving(
    folder: Path,
    *changes: tuple[str, str],
    listen: str = "",
    environment: Mapping[str, str] | None = None,
    around: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
    ready: bool = True,
) -> AsyncIterator[Process]:
    """`changes` are made to gateway.yaml; `listen` is one more address, or with `fd:` the only one; `around` is a command that runs the gateway's."""
    async with upstream() as behind:
        port, admin = free_port(), free_port()
        config = written(folder, port=port, s3=behind.port)
        text = config.read_text("utf-8").replace("127.0.0.1:0", f"127.0.0.1:{admin}")
        own = f'"127.0.0.1:{port}"'
        if listen:
            places = f'"{listen}"' if listen.startswith("fd:") else f'["{listen}", {own}]'
            text = text.replace(f"listen: {own}", f"listen: {places}")
        for old, new in changes:
            assert text.count(old) >= 1, old
            text = text.replace(old, new)
        config.write_text(text, "utf-8")
        log = folder / "gateway.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *around,
                *(sys.executable, "-m", "gateway", "serve", "--config", str(config)),
                env={**os.environ, **(environment or {})},
                pass_fds=pass_fds,
                stdout=output,
                stderr=output,
            )
        whole = Whole(None, behind, port, folder)  # type: ignore[arg-type] # it runs elsewhere
        made = Process(whole, process, f"http://127.0.0.1:{admin}", log)
        try:
            if ready:
                await made.ready()
            yield made
        finally:
            for connection in whole.opened:
                connection.close()
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(WITHIN):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
