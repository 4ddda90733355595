"""`python -m tests.clients`: the matrix, printed as it runs; `--write-docs` keeps it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from datetime import UTC, datetime

from tests.clients import report
from tests.clients.matrix import CREDENTIALS, TRANSPORTS, Plan, Result, install, run, version
from tests.clients.table import CLIENTS, ROOT
from tests.clients.world import SERVERS
from tests.servers import ceph

PAGE = ROOT / "docs" / "clients.md"


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
        word = {True: "ok", False: "FAILED", None: "-"}[one.passed]
        where = f"{one.server:5} {one.transport:5} {one.credentials:9} {one.client:12}"
        print(f"{where} {one.operation:13} {word} {one.note}", flush=True)
    return results


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
        today = f"Last run: {datetime.now(UTC):%Y-%m-%d}."
        PAGE.write_text(f"{report.HEAD}\n{today}\n\n{text}", "utf-8")
    return 1 if any(one.passed is False for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
