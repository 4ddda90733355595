"""
docs/performance.md from the rows of a run: figures come from the rows, never from this text.

What a profile says is read by people; it stands in `PROFILE` with the day it was taken.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measures import Row
from benchmarks.report import markdown, number

PROFILE = """\
A small request costs instructions of Python's interpreter; everything else in it is small. `perf` by
library while wrk kept 16 connections busy with the 1 KiB GET (November 2026): first on aiohttp's server,
then with a connection of our own for S3 requests (`server/connection.py`), then with records, audit lines
and lists of headers made in C, on Debian's Python:

| part of the CPU | first, % | then, % | now, % |
|---|--:|--:|--:|
| Python's interpreter: our own code, and its objects | 71 | 70 | 68 |
| kernel: two writes and two reads of sockets, waking the other side | 18 | 19 | 23 |
| C library | 4 | 4 | 4 |
| SHA-256 and HMAC | 3 | 3 | 2 |
| event loop, and the parsers of both sides | 3 | 3 | 3 |

The parts stay what they are while the whole shrinks: 266 µs at first and 188 then, in runs within minutes of
each other; on another day, in turn with each other, 198 then and 148 now, and 23 for nginx. Of these
50 µs, 25 are fewer and cheaper steps, and 25 the Python that runs them: the one the first figures come
from was built without profile-guided optimisation, Debian's is built with it, and `make` takes the
distribution's where it can. `py-spy` shows no function of ours with more than 5 % of the time by itself,
except the two calls that write to sockets: there the kernel wakes the other side, which then takes the core.

Counted in instructions of the interpreter, which do not depend on what else the machine does
(`python -m benchmarks.instructions`): 9 899 in 385 calls of functions at first, 8 057 in 326 then, 6 320 in
288 now. A proxy of 60 lines on the same event loop and parser, which looks at nothing and signs nothing,
takes 28 µs here. To reach 120 µs another quarter of the instructions would have to go.

Compiling the same code did not help: with Cython the pure part (parse, verify, decide, rewrite, sign, audit)
took 119 to 131 µs, with mypyc 80 to 85, and 72 as it is. The interpreter of 3.11 looks up attributes by what it saw last
time, compiled code does so anew, and dataclasses, coroutines and libraries still cross into Python.

Findings that helped beyond instructions: a parser and its reader that held each other left twenty
objects a request to the garbage collector; looking for cycles among modules while they are read took
a sixth of the start, reading the AWS SDK an eighth, though most gateways never call it, and one pattern
of 128 letters of any script a twentieth. Behind nginx, a location that sets one header and forgets
`Connection ""` doubles the gateway's cost: each request then comes on a connection of its own.
"""


def _machine() -> str:
    release = "Linux"
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            release = line.partition("=")[2].strip('"').replace("GNU/Linux ", "").split(" (")[0]
    version = ".".join(platform.python_version_tuple()[:2])
    return f"{os.cpu_count()} virtual cores, {release}, Python {version}"


def _of(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


def _missed(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.missed]


def _sizing(rows: Sequence[Row]) -> str:
    small, large = _of(rows, "GET 1 KiB, signed"), _of(rows, "GET 256 MiB")
    secure = _of(rows, "GET 256 MiB, TLS upstream")
    idle = _of(rows, "memory, idle")
    crowd = next(row for row in rows if row.name.startswith("memory under"))
    count = int(crowd.name.split()[2])
    each = (crowd.gateway - idle.gateway) / count * 1000
    return f"""\
## How to size

A worker is one process on one core. Add up what yours have to carry:

- **Requests.** {number(small.gateway)} µs of CPU for a small one: a core that does nothing else carries
  {number(1e6 / small.gateway)} a second. In the run, clients and upstream shared the cores with it: {number(small.rate)} a second.
- **Bytes.** {number(large.gateway)} s of CPU a GB to a plain upstream ({number(1 / large.gateway)} GB/s on one core),
  {number(secure.gateway)} s over TLS ({number(1 / secure.gateway)} GB/s).
- **Memory.** {number(idle.gateway)} MB a worker, and at most {number(each)} kB for each stream whose client is slow.
- **Not a matter of size**: the number of rules, of people who are signed in and of open connections; see the
  rows "GET, … rules", "… sessions seen" and "… idle connections". What is remembered of sessions is bounded.

Double the sum, so that a peak finds room, and set `server.workers` to the cores that this takes
(`auto`: all of them). Where large objects dominate, `server.offload` lets nginx move the bytes.
"""


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    missed = _missed(rows)
    if missed:
        words = "; ".join(
            f"{row.name}: {number(row.gateway)} {row.unit}, held to {number(row.target if row.least is None else row.least)}"
            for row in missed
        )
        verdict = f"**Not reached in this run:** {words}."
    else:
        verdict = "Every target was reached in this run."
    return f"""\
<!-- Made by `python -m benchmarks --write-docs` from a run. Run it again; do not edit. -->

# Performance

What the gateway costs, measured by `make bench` beside nginx `proxy_pass` on the same upstream in the
same run. Figures are CPU (user and system) of the process that serves, because time on the clock is
noisy; each is the median of several runs. Machine: {_machine()}; other work was going on there, which
costs caches: the ratio to nginx says more than the microseconds.

{markdown(rows)}
{verdict}

Every request of the gateway is authenticated, judged, signed anew and audited; nginx only passes it on.
wrk keeps 16 connections busy with one request that was signed once. The upstream is nginx with files;
the lists come from a program that knows one answer. What starts is an installed gateway, whose modules
were compiled before.

{_sizing(rows)}
## Where the time goes

{PROFILE}
## Measure it yourself

    make bench                                      # everything: about seven minutes; writes build/bench.json
    python -m benchmarks --quick                    # one short run of each
    python -m benchmarks --only "GET 1 KiB"         # rows whose name holds this
    python -m benchmarks.instructions               # instructions of the interpreter a request takes
    python -m benchmarks --adapter 'other=./other --listen 127.0.0.1:9000=http://127.0.0.1:9000'

nginx and wrk must be installed. Another gateway must serve bucket `data` from the upstream's `bkt` under the
access key in its environment: `BENCH_KEY_ID`, `BENCH_SECRET`, `BENCH_UPSTREAM`. It becomes a column of the table.
"""
