"""
Which configuration is in force: the files as they were last found good, and how newer ones take over.

A reload builds a new snapshot beside the old one, runs the policies' own tests, and swaps one
reference; what cannot be built leaves the old one in force, every problem logged (CFG-3).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from gateway.config.load import load
from gateway.errors import ConfigError
from gateway.observe import metrics
from gateway.server.listeners import mark, notify
from gateway.snapshot import Snapshot

log = logging.getLogger("gateway")

WATCH_SECONDS = 2.0  # between looks at the files


class InForce:
    """The snapshot in force, and who is told when another takes its place."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError with every problem of the files."""
        self.path = path
        loaded = load(path)
        self.snapshot = Snapshot.build(loaded, generation=1)
        self._files = _marks(loaded.files)
        metrics.GENERATION.set(to=1)
        metrics.RELOAD_FAILED.set(to=0)
        self._wanted = asyncio.Event()
        self._told: list[Callable[[Snapshot], None]] = []

    def tell(self, told: Callable[[Snapshot], None]) -> None:
        """`told` is called with each snapshot that takes over; it must not fail."""
        self._told.append(told)

    def soon(self) -> None:
        """The files are looked at now, changed or not. For a signal handler."""
        self._wanted.set()

    async def watch(self, beside: Callable[[], Awaitable[None]]) -> None:
        """Takes over changed files until cancelled; `beside` is called at every look."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._wanted.wait()
            told = self._wanted.is_set()
            self._wanted.clear()
            await beside()
            if told or await asyncio.to_thread(self._changed):
                await self.reload()

    def _changed(self) -> bool:
        return _marks(self._files) != self._files

    async def reload(self) -> bool:
        """Takes the files as they are now, or keeps the old ones; whether it took them."""
        notify("RELOADING=1")
        # Marked before they are read: what is refused once is told once, and read again when it changes.
        self._files = await asyncio.to_thread(_marks, self._files)
        try:
            loaded = await asyncio.to_thread(load, self.path)
            self._files = await asyncio.to_thread(_marks, loaded.files)
            snapshot = await asyncio.to_thread(
                Snapshot.build, loaded, generation=self.snapshot.generation + 1
            )
        except ConfigError as error:
            for problem in error.problems:
                log.error("configuration not reloaded", extra={"problem": str(problem)})
            return self._refused()
        except Exception:
            # Ours, and no reason to end: what has been in force until now goes on.
            log.exception("configuration not reloaded")
            return self._refused()
        finally:
            notify("READY=1")
        self.snapshot = snapshot
        for told in self._told:
            told(snapshot)
        metrics.RELOADS.add("done")
        metrics.RELOAD_FAILED.set(to=0)
        metrics.GENERATION.set(to=snapshot.generation)
        log.info("configuration reloaded", extra={"generation": snapshot.generation})
        return True

    def _refused(self) -> bool:
        metrics.RELOADS.add("failed")
        metrics.RELOAD_FAILED.set(to=1)
        return False


def _marks(files: Iterable[Path]) -> dict[Path, tuple[float, int]]:
    return {path: mark(path) for path in files}
