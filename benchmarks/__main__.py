"""
    python -m benchmarks [--quick] [--runs N] [--only TEXT] [--adapter name=command=url] [--json FILE]
                         [--write-docs] [--from FILE]

Starts upstream, nginx and gateway on loopback, measures, prints one table. nginx and wrk must be
installed. An adapter is another gateway: a shell command that starts it, and its URL; it must
serve the bucket `data` of the upstream's `bkt` under the access key that BENCH_KEY_ID and
BENCH_SECRET name; BENCH_UPSTREAM is the upstream's URL.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import report, scene
from benchmarks.measures import Effort, Measures, Other, Row
from benchmarks.page import page
from benchmarks.processes import Programs
from benchmarks.table import everything

BUILD = Path("build")
DOCS = Path(__file__).parents[1] / "docs" / "performance.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--runs", type=int, default=3, help="the median counts")
    parser.add_argument("--seconds", type=int, default=4, help="of each run of small requests")
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    parser.add_argument("--adapter", action="append", default=[], help="name=command=url")
    parser.add_argument("--json", type=Path, default=BUILD / "bench.json")
    parser.add_argument("--write-docs", action="store_true", help="docs/performance.md, too")
    parser.add_argument("--from", dest="source", type=Path, help="no run: the rows of a JSON file")
    return parser.parse_args()


def adapters(programs: Programs, given: list[str], under: scene.Scene) -> tuple[Other, ...]:
    """Starts the other gateways."""
    found: list[Other] = []
    for text in given:
        name, _, rest = text.partition("=")
        command, _, url = rest.rpartition("=")
        env = {
            "BENCH_KEY_ID": scene.KEY_ID,
            "BENCH_SECRET": scene.SECRET,
            "BENCH_UPSTREAM": f"http://127.0.0.1:{under.plain_port}",
        }
        program = programs.start(
            name,
            ["/bin/sh", "-c", f"exec {command}"],
            port=urlsplit(url).port or 80,
            folder=under.folder,
            env=env,
        )
        found.append(Other(name, url.rstrip("/"), program))
    return tuple(found)


def main() -> int:
    given = arguments()
    if given.source is not None:
        rows = [Row(**row) for row in json.loads(given.source.read_text())]
        print(report.markdown(rows, sorted({name for row in rows for name in row.others})))
        if given.write_docs:
            DOCS.write_text(page(rows))
        return 0
    missing = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if missing:
        print(f"please install {' and '.join(missing)}", file=sys.stderr)
        return 2
    effort = (
        Effort(runs=1, seconds=2, crowd=50, connections=500, rules=1000, sessions=2000)
        if given.quick
        else Effort(runs=given.runs, seconds=given.seconds)
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Programs() as programs:
        under = scene.raise_scene(programs, Path(folder))
        others = adapters(programs, given.adapter, under)
        names = [other.name for other in others]
        print(report.line(report.titles(names)), flush=True)

        def say(row: Row) -> None:
            print(report.line(report.cells(row, names)), flush=True)

        measures = Measures(under, programs, effort, others)
        rows = everything(measures, under, say, only=given.only)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(report.as_json(rows), indent=1, ensure_ascii=False) + "\n")
    if given.write_docs:
        DOCS.write_text(page(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
