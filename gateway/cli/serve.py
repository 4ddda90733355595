"""
`gateway serve`: listeners, workers, signals, reload and drain; and `gateway health` for containers.

One worker is this process. With several, this process is the supervisor: it owns the internal
listener and the unix sockets, speaks with the service manager, and starts a worker anew that ends
by itself. SIGHUP or a changed file reloads, SIGTERM and SIGINT drain: each worker does so.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli import DONE, OUTSIDE_FAILED, WRONG_INPUT

if TYPE_CHECKING:
    from gateway.config.values import Address

RESTART_PAUSE = 1.0  # seconds before a worker that ended is started anew
GC_YOUNG = 2000  # new objects between two looks of the collector for cycles
WORKER = "GATEWAY_WORKER"
"""In a worker's environment: the folder where it and its supervisor meet."""


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("gateway.yaml"),
    show_default=True,
    envvar="GATEWAY_CONFIG",
    show_envvar=True,
    help="The configuration file.",
)
def serve(config_path: Path) -> None:
    """Run the gateway.

    SIGHUP, or a changed file, reloads configuration, policies and certificates; what is wrong in
    them is logged and the old ones stay in force. SIGTERM lets running transfers finish within
    `server.drain`, then ends.
    """
    loaded = _load(config_path)
    workers = loaded.config.server.workers
    count = (os.cpu_count() or 1) if workers == "auto" else workers
    meeting = os.environ.get(WORKER)
    if count == 1 or meeting:
        raise SystemExit(_run_worker(config_path, meeting))
    raise SystemExit(_run_supervisor(config_path, count, loaded.config.server.listen))


def _load(path: Path):  # type: ignore[no-untyped-def] # Loaded, imported late
    from gateway.config.load import load  # noqa: PLC0415 # kept out of the start of every command
    from gateway.errors import ConfigError  # noqa: PLC0415
    from gateway.snapshot import Snapshot  # noqa: PLC0415

    try:
        loaded = load(path)
        if loaded.config is None:
            Snapshot.build(loaded)  # tells everything that is wrong, policies included
        return loaded
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(WRONG_INPUT) from None


def _settle_memory() -> None:
    """
    Modules and tables stay for good: the collector need not walk them again and again.

    Walking them cost one part in twenty of a small request. The collector must not wait long,
    though: cycles hold bodies, and with 20 000 objects between two looks lists took 100 MB.
    """
    gc.freeze()
    gc.set_threshold(GC_YOUNG, 10, 20)
    gc.enable()


def _run_worker(config_path: Path, meeting: str | None) -> int:
    """One process of the gateway, until it is told to end."""
    # Modules and tables are no garbage: looking for some among them takes a sixth of the start.
    gc.disable()
    import uvloop  # noqa: PLC0415 # kept out of the start of every command

    from gateway.app import App  # noqa: PLC0415
    from gateway.errors import ConfigError  # noqa: PLC0415
    from gateway.server.listeners import ListenError  # noqa: PLC0415

    async def run() -> None:
        app = App(config_path, meeting=Path(meeting) if meeting else None)
        await app.start()
        _settle_memory()
        loop = asyncio.get_running_loop()
        ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        loop.add_signal_handler(signal.SIGHUP, app.reload_soon)
        try:
            await app.run_until(ending)
        finally:
            await app.stop()

    try:
        uvloop.run(run())
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return WRONG_INPUT
    except ListenError as error:
        click.echo(f"gateway: {error}", err=True)
        return OUTSIDE_FAILED
    return DONE


class _Supervisor:
    """Keeps the workers running, tells them what it is told, owns the internal listener."""

    def __init__(
        self, config_path: Path, count: int, meeting: Path, sockets: Mapping[str, int]
    ) -> None:
        """`sockets` are the unix sockets that all workers share, by path."""
        self._config_path = config_path
        self._sockets = sockets
        self._count = count
        self._meeting = meeting
        self._workers: dict[int, asyncio.subprocess.Process] = {}
        self._ending = asyncio.Event()
        self._status = DONE

    async def run(self) -> int:
        from gateway.server.workers import AdminOnly  # noqa: PLC0415

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        admin = AdminOnly(self._config_path, self._meeting, self._count)
        await admin.start()
        try:
            async with asyncio.TaskGroup() as group:
                for index in range(self._count):
                    group.create_task(self._keep(index))
                group.create_task(self._end())
        finally:
            await admin.stop()
        return self._status

    def _environment(self, index: int) -> dict[str, str]:
        from gateway.server.listeners import INHERITED  # noqa: PLC0415

        kept = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        shared = "\n".join(f"{number}:{path}" for path, number in self._sockets.items())
        return kept | {
            WORKER: str(self._meeting),
            "GATEWAY_WORKER_INDEX": str(index),
            INHERITED: shared,
        }

    async def _keep(self, index: int) -> None:
        from gateway.observe.metrics import worker_gone  # noqa: PLC0415

        while not self._ending.is_set():
            began = time.monotonic()
            worker = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "gateway", "serve", "--config", str(self._config_path)),
                env=self._environment(index),
                pass_fds=(*_handed_over(), *self._sockets.values()),
            )
            self._workers[index] = worker
            code = await worker.wait()
            worker_gone(worker.pid)
            (self._meeting / f"{worker.pid}.admin").unlink(missing_ok=True)
            if self._ending.is_set():
                return
            if code == WRONG_INPUT and time.monotonic() - began < 5:
                self._status = code
                self._ending.set()  # it will not read better the next time
                return
            click.echo(f"gateway: worker {index} ended with {code}; starting another", err=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), RESTART_PAUSE)

    async def _end(self) -> None:
        from gateway.server.listeners import notify  # noqa: PLC0415

        await self._ending.wait()
        notify("STOPPING=1")
        self._tell(signal.SIGTERM)

    def _reload(self) -> None:
        self._tell(signal.SIGHUP)

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            if worker.returncode is None:
                worker.send_signal(number)


def _handed_over() -> tuple[int, ...]:
    return tuple(range(3, 3 + int(os.environ.get("LISTEN_FDS", "0"))))


def _run_supervisor(config_path: Path, count: int, listen: Sequence[Address]) -> int:
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
        meeting = Path(folder)
        metrics = meeting / "metrics"
        metrics.mkdir()
        # prometheus-client reads it when it is imported, below and in every worker.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        from gateway.server.listeners import ListenError, open_sockets  # noqa: PLC0415

        with contextlib.ExitStack() as stack:
            try:
                sockets = {
                    address.path: stack.enter_context(sock).fileno()
                    for address in listen
                    if address.kind == "unix"
                    for sock in open_sockets([address])
                }
                return asyncio.run(_Supervisor(config_path, count, meeting, sockets).run())
            except ListenError as error:
                click.echo(f"gateway: {error}", err=True)
                return OUTSIDE_FAILED


@click.command()
@click.option(
    "--url",
    default="http://127.0.0.1:9090/livez",
    show_default=True,
    envvar="GATEWAY_HEALTH_URL",
    show_envvar=True,
    help="What to ask: /livez or /readyz on the internal listener.",
)
@click.option("--timeout", default=3.0, show_default=True, help="Seconds to wait.")
def health(url: str, timeout: float) -> None:
    """Ask a running gateway whether it is well; for health checks of containers without a shell."""
    import http.client  # noqa: PLC0415
    from urllib.parse import urlsplit  # noqa: PLC0415

    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise click.UsageError(f"{url!r} is not an http:// URL")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/livez")
        answer = connection.getresponse()
        text = answer.read(65536).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        click.echo(f"{url} does not answer: {error}", err=True)
        raise SystemExit(OUTSIDE_FAILED) from None
    finally:
        connection.close()
    click.echo(text)
    if answer.status != 200:
        raise SystemExit(OUTSIDE_FAILED)
