"""What a download costs where nginx moves the bytes (`server.offload: x-accel`)."""

from __future__ import annotations

import statistics

from benchmarks import load, scene
from benchmarks.measures import GB, KEY, Measures, Part, Row

RATIO = 1.15  # of nginx alone, which only passes the same bytes on


def parts(measures: Measures) -> list[Part]:
    """This module's part of the table."""
    return [("offload by nginx", lambda name: rows(measures))]


def rows(measures: Measures) -> list[Row]:
    """The bytes of a large object, by both programs together; and a request, by the gateway alone."""
    under = measures.scene
    ours, mover, url = scene.offloading(measures.programs, under)
    both: list[float] = []
    alone: list[float] = []
    for _ in range(measures.effort.runs):
        before = ours.cpu() + mover.cpu()
        load.download(load.signed("GET", f"{url}/data/big", KEY), scene.BIG)
        both.append((ours.cpu() + mover.cpu() - before) / (scene.BIG / GB))
        before = under.nginx.cpu()
        load.download(load.plain("GET", f"{under.nginx_url}/bkt/big"), scene.BIG)
        alone.append((under.nginx.cpu() - before) / (scene.BIG / GB))
    call = load.signed("GET", f"{url}/data/small", KEY)
    share = [measures.one(ours, call, load.AT_ONCE) for _ in range(measures.effort.runs)]
    beside = statistics.median(alone)
    return [
        Row(
            name="GET 256 MiB, moved by nginx",
            unit="s/GB",
            gateway=statistics.median(both),
            nginx=beside,
            target=RATIO * beside,
        ),
        Row(
            name="GET moved by nginx, the gateway's share",
            unit="µs",
            gateway=statistics.median(cost for cost, _ in share),
            rate=statistics.median(rate for _, rate in share),
            target=100,
        ),
    ]
