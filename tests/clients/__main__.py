"""
`python -m tests.clients`: the matrix, printed as it runs.

Results are kept beside the clients: a run of some of them renews theirs, and `--write-docs` writes
the page of all that are there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from tests.clients import report
from tests.clients.matrix import CREDENTIALS, TRANSPORTS, Plan, Result, install, run, version
from tests.clients.table import CLIENTS, FOLDER, ROOT
from tests.clients.world import SERVERS
from tests.servers import ceph

PAGE = ROOT / "docs" / "clients.md"
KEPT = FOLDER / "results.jsonl"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    names = [client.name for client in CLIENTS]
    parser.add_argument("--client", action="append", choices=names)
    parser.add_argument("--server", action="append", choices=list(SERVERS))
    parser.add_argument("--credentials", action="append", choices=CREDENTIALS)
    parser.add_argument("--transport", action="append", choices=TRANSPORTS)
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.name}")
    return parser.parse_args()


async def _collect(plan: Plan) -> list[Result]:
    results = []
    async for one in run(plan):
        results.append(one)
        with KEPT.open("a", encoding="utf-8") as kept:
            kept.write(json.dumps(asdict(one)) + "\n")
        word = {True: "ok", False: "FAILED", None: "-"}[one.passed]
        where = f"{one.server:5} {one.transport:5} {one.credentials:9} {one.client:12}"
        print(f"{where} {one.operation:13} {word} {one.note}", flush=True)
    return results


def _kept() -> list[Result]:
    """The last result of everything that was ever run, in the order of the table."""
    lines = KEPT.read_text("utf-8").splitlines()
    found = {one.key: one for one in (Result(**json.loads(line)) for line in lines)}
    order = [client.name for client in CLIENTS]
    wanted = [one for one in found.values() if one.client in order]
    servers = list(SERVERS)
    return sorted(wanted, key=lambda one: (servers.index(one.server), order.index(one.client)))


def write_page() -> None:
    """docs/clients.md of the results that are kept."""
    versions = {one.name: version(one) for one in CLIENTS}
    today = f"Written on {datetime.now(UTC):%Y-%m-%d}."
    PAGE.write_text(f"{report.HEAD}\n{today}\n\n{report.tables(_kept(), versions)}", "utf-8")


def main() -> int:
    """The exit status: 1 where anything failed."""
    given = _arguments()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    clients = [one for one in CLIENTS if not given.client or one.name in given.client]
    servers = given.server or [name for name in SERVERS if name != "ceph" or not ceph.missing()]
    for client in clients:
        install(client)
    plan = Plan(
        clients=clients,
        servers=servers,
        credentials=given.credentials or CREDENTIALS,
        transports=given.transport or TRANSPORTS,
    )
    results = asyncio.run(_collect(plan))
    text = report.tables(results, {one.name: version(one) for one in clients})
    print("\n" + text)
    if given.write_docs:
        write_page()
    return 1 if any(one.passed is False for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
