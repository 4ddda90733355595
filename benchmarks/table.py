"""The table: which rows there are, in which order, and what each is held to."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import growth, load, offload, scene
from benchmarks.measures import KEY, Measures, Part, Row, sessions, sha256, temporary
from benchmarks.scene import Scene


def everything(
    measures: Measures, under: Scene, said: Callable[[Row], None], *, only: str = ""
) -> list[Row]:
    """All rows whose name holds `only`, each told as soon as it is there."""
    small = load.plain("GET", f"{under.nginx_url}/bkt/small")
    body = bytes(range(256)) * (scene.SMALL // 256)
    token = temporary(under)
    cookie = sessions(under)(0)
    requests, large = measures.requests, measures.body
    parts: list[Part] = [
        (
            "GET 1 KiB, signed",
            lambda name: requests(
                name, lambda url: load.signed("GET", f"{url}/data/small", KEY), small, 120
            ),
        ),
        (
            "GET 1 KiB, temporary credentials",
            lambda name: requests(
                name, lambda url: load.signed("GET", f"{url}/data/small", token), small, 140
            ),
        ),
        (
            "GET 1 KiB, session cookie",
            lambda name: requests(
                name, lambda url: load.with_cookie("GET", f"{url}/data/small", cookie), small, 140
            ),
        ),
        (
            "HEAD, signed",
            lambda name: requests(
                name,
                lambda url: load.signed("HEAD", f"{url}/data/small", KEY),
                load.plain("HEAD", small.url),
                120,
            ),
        ),
        (
            "PUT 1 KiB, signed",
            lambda name: requests(
                name,
                lambda url: load.signed("PUT", f"{url}/data/put", KEY, body=body),
                load.plain("PUT", f"{under.nginx_url}/bkt/put", body=body),
                160,
            ),
        ),
        (
            "ListObjectsV2, 1 000 keys rewritten",
            lambda name: requests(
                name, lambda url: load.signed("GET", f"{url}/listed?list-type=2", KEY), None, 4000
            ),
        ),
        ("GET 256 MiB", lambda name: large(name, "data", put=False, target=1.0)),
        ("PUT 256 MiB", lambda name: large(name, "data", put=True, target=1.0)),
        ("GET 256 MiB, TLS upstream", lambda name: large(name, "tls", put=False, target=1.6)),
        ("PUT 256 MiB, TLS upstream", lambda name: large(name, "tls", put=True, target=1.6)),
        (
            "PUT 256 MiB, signed chunks",
            lambda name: large(name, "chunks", put=True, target=1.0 + sha256(), framed=True),
        ),
        ("memory, slow readers", lambda name: measures.slow_streams()),
        *growth.parts(measures),
        *offload.parts(measures),
    ]
    rows: list[Row] = []
    for name, measure in parts:
        if only in name:
            found = measure(name)
            for row in found if isinstance(found, list) else [found]:
                said(row)
                rows.append(row)
    return rows
