"""
The programs of a run: started, watched through /proc, and ended by their ids.

CPU is user and system time of one process, as the kernel counts it in ticks of 10 ms; runs are
long enough for hundreds of ticks.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
START_WAIT = 120.0  # seconds until a program must answer, with 10 000 rules on a busy machine
STOP_WAIT = 10.0  # seconds from SIGTERM to SIGKILL


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Program:
    """A program that was started here, or a child of one."""

    name: str
    process: subprocess.Popen[bytes]
    counted: int
    """The process whose CPU and memory count: for nginx its worker."""

    def cpu(self) -> float:
        """Seconds of user and system time so far."""
        text = Path(f"/proc/{self.counted}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self) -> float:
        """Megabytes of resident memory now."""
        for line in Path(f"/proc/{self.counted}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise RuntimeError(f"{self.name} has ended")

    def end(self) -> None:
        """Ends it now. Ending it twice does no harm."""
        _stop(self.process)


class Programs(contextlib.ExitStack):
    """Whatever was started ends with the block, the last one first."""

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int,
        folder: Path,
        env: Mapping[str, str] | None = None,
        worker: bool = False,
    ) -> Program:
        """
        Starts a program and waits until it listens on `port`.

        `worker`: the first child is what counts. Raises RuntimeError where it ends or stays silent.
        """
        output = self.enter_context((folder / f"{name}.out").open("wb"))
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        self.callback(_stop, process)
        await_port(process, port, name, folder)
        return Program(name, process, _child(process.pid) if worker else process.pid)


def await_port(
    process: subprocess.Popen[bytes], port: int, name: str, folder: Path, pause: float = 0.005
) -> None:
    """Returns when somebody listens. Raises RuntimeError with the last words of the program."""
    limit = time.monotonic() + START_WAIT
    while time.monotonic() < limit and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(pause)
    words = (folder / f"{name}.out").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{name} does not listen on port {port}:\n{words}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WAIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_WAIT)


def _child(pid: int) -> int:
    limit = time.monotonic() + START_WAIT
    while time.monotonic() < limit:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.005)
    raise RuntimeError("nginx has no worker")
