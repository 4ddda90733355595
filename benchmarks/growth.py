"""
How the gateway starts, and what a request costs as things grow in number: rules, sessions seen,
open connections, workers.
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import suppress

from benchmarks import load, scene
from benchmarks.measures import KEY, Measures, Part, Row, sessions
from benchmarks.processes import Program

CORES_FOR_TWO = 4  # two workers, and as much for the clients and the upstream


def parts(measures: Measures) -> list[Part]:
    """This module's part of the table."""
    return [
        ("start", lambda name: start(measures)),
        ("growth: rules", lambda name: rules(measures)),
        ("growth: sessions", lambda name: seen(measures)),
        ("growth: connections", lambda name: connections(measures)),
        ("growth: workers", lambda name: workers(measures)),
    ]


def fresh(measures: Measures, rules: int, *, workers: int = 1) -> tuple[Program, str, float]:
    """A gateway of its own; and the seconds from its start to its first answer."""
    shared = {"more": f", workers: {workers}", "state": "type: sqlite, path: state.db"}
    under = measures.scene
    scene.policy(under.folder, rules)
    began = time.monotonic()
    program, url = scene.gateway(
        measures.programs,
        under.folder,
        plain=under.plain_port,
        tls=under.tls_port,
        lists=under.list_port,
        name="fresh",
        **(shared if workers > 1 else {}),
    )
    status, data = load.once(load.signed("GET", f"{url}/data/small", KEY))
    taken = time.monotonic() - began
    if status != 200:
        raise RuntimeError(f"the first answer was {status}: {data[:300]!r}")
    return program, url, taken


def start(measures: Measures) -> list[Row]:
    """Start time, and memory before anybody asks."""
    times: list[float] = []
    sizes: list[float] = []
    for _ in range(measures.effort.runs):
        program, _, taken = fresh(measures, 1)
        times.append(taken * 1000)
        sizes.append(program.resident())
        program.end()
    return [
        Row(name="start to first answer", unit="ms", gateway=statistics.median(times), target=700),
        Row(name="memory, idle", unit="MB", gateway=statistics.median(sizes), target=120),
    ]


def rules(measures: Measures) -> list[Row]:
    """The same GET among few rules and among many."""
    rows: list[Row] = []
    for count in (10, measures.effort.rules):
        program, url, _ = fresh(measures, count)
        call = load.signed("GET", f"{url}/data/small", KEY)
        rows.append(_median(measures, f"GET, {count} rules", program, call))
        program.end()
    return rows


def seen(measures: Measures) -> list[Row]:
    """
    A GET with one person's cookie before and after many others came, each of whom came once.

    The others' rows: what one costs whose cookie has to be opened first, and what remembering them takes.
    """
    program, url, _ = fresh(measures, 1)
    cookie = sessions(measures.scene)
    count = measures.effort.sessions
    target = f"{url}/data/small"
    call = load.with_cookie("GET", target, cookie(count))
    alone = _median(measures, "GET with a cookie, 1 session seen", program, call)
    before = program.cpu()
    load.each(load.with_cookie("HEAD", target, cookie(number)) for number in range(count))
    first = (program.cpu() - before) / count * 1e6
    among = _median(measures, f"GET with a cookie, {count} sessions seen", program, call)
    memory = program.resident()
    program.end()
    return [
        alone,
        among,
        Row(name="HEAD with a cookie, first of its session", unit="µs", gateway=first),
        Row(name=f"memory, {count} sessions seen", unit="MB", gateway=memory),
    ]


def connections(measures: Measures) -> list[Row]:
    """The same GET beside few idle connections and beside many."""
    under = measures.scene
    call = load.signed("GET", f"{under.gateway_url}/data/small", KEY)
    rows: list[Row] = []
    for count in (10, measures.effort.connections):
        conns = load.idle(under.gateway_url, count)
        try:
            name = f"GET, {count} idle connections beside"
            rows.append(_median(measures, name, under.gateway, call))
        finally:
            for conn in conns:
                with suppress(OSError):
                    conn.close()
    return rows


def workers(measures: Measures) -> Row:
    """How many times the requests a second of one worker two of them carry."""
    rates: list[float] = []
    for count in (1, 2):
        program, url, _ = fresh(measures, 1, workers=count)
        call = load.signed("GET", f"{url}/data/small", KEY)
        found = [
            load.many(call, measures.scene.folder, measures.effort.seconds, 64)
            for _ in range(measures.effort.runs)
        ]
        rates.append(statistics.median(one.requests / one.seconds for one in found))
        program.end()
    enough = (os.cpu_count() or 1) >= CORES_FOR_TWO
    return Row(
        name="requests a second, two workers to one",
        unit="×",
        gateway=rates[1] / rates[0],
        rate=rates[1],
        least=1.7 if enough else None,
    )


def _median(measures: Measures, name: str, program: Program, call: load.Call) -> Row:
    costs = [measures.one(program, call, load.AT_ONCE)[0] for _ in range(measures.effort.runs)]
    return Row(name=name, unit="µs", gateway=statistics.median(costs))
