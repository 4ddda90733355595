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
Profile of the 1 KiB GET before the three changes below (`perf` by library, 5 seconds of wrk with 16
connections, 273 µs a request, November 2026):

| part of the CPU | % |
|---|--:|
| Python's interpreter: our own code, and its objects | 72 |
| kernel: two writes and two reads of sockets, waking the other side | 17 |
| C library | 4 |
| SHA-256 and HMAC | 2.5 |
| event loop (libuv) | 2 |
| both HTTP parsers, client's and upstream's | 2 |

Under `cProfile` a request makes about 830 calls of functions, and no function of ours stands out. What
could be made cheaper without another design:

- the caches' look-ups (four a request) took one part in twenty of the calls' time; now each is one
  look into a dictionary;
- the garbage collector walked modules and tables again and again, 5 % of a request; what is there
  after the start is now set aside (`gc.freeze`), and it looks for new cycles a third as
  often. More seldom costs memory: with 20 000 objects between two looks, lists alone took 100 MB;
- a stream to a slow client held up to two pieces of 128 KiB in memory and one more on their way; now
  it holds one: of a fresh gateway, memory under 200 slow streams fell from 168 to 138 MB; a GB
  took 0.63 s before and 0.67 s after, which is within what runs differ by.

After the first two a request took 250 to 260 µs in short runs beside other work. So the price of a small request is the number of Python's instructions that verification, policy,
signing, rewriting and the audit line take, and not one slow part. An interpreter built with
profile-guided optimisation (as distributions build it) runs the same instructions faster: a loop of
small operations took 161 µs on Debian's 3.11 and 184 µs on one that was built without.
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
    return [row for row in rows if row.target is not None and row.gateway > row.target]


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
- **Not a matter of size**: the number of rules and of open connections; see the rows at the end of the table.

Double the sum, so that a peak finds room, and set `server.workers` to the cores that this takes
(`auto`: all of them). Where large objects dominate, `server.offload` lets nginx move the bytes.
"""


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    missed = _missed(rows)
    if missed:
        words = "; ".join(
            f"{row.name}: {number(row.gateway)} {row.unit}, held to {number(row.target)}"
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
the lists come from a program that knows one answer.

{_sizing(rows)}
## Where the time goes

{PROFILE}
## Measure it yourself

    make bench                                      # everything: about four minutes; writes build/bench.json
    python -m benchmarks --quick                    # one short run of each
    python -m benchmarks --only "GET 1 KiB"         # rows whose name holds this
    python -m benchmarks --adapter 'other=./other --listen 127.0.0.1:9000=http://127.0.0.1:9000'

nginx and wrk must be installed. Another gateway must serve bucket `data` from the upstream's `bkt` under the
access key in its environment: `BENCH_KEY_ID`, `BENCH_SECRET`, `BENCH_UPSTREAM`. It becomes a column of the table.
"""
