"""The results as text: a table a server, and what did not pass in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.clients.matrix import CREDENTIALS, TRANSPORTS, Result
from tests.clients.programs._names import OPERATIONS

TITLES = {
    "write_empty": "write 0 B",
    "write_byte": "1 B",
    "write_large": "20 MB",
    "read_whole": "read",
    "read_range": "range",
    "list_pages": "list",
    "copy": "copy",
    "awkward_keys": "odd keys",
    "presign": "link",
    "delete_many": "delete",
}
SERVERS = {
    "moto": "moto",
    "ceph": "Ceph 16 (`payload: decode`)",
}
HEAD = """\
<!-- Written by `python -m tests.clients --write-docs`. -->

# Clients

Each client was installed from its registry, unchanged, and run against a gateway process: with the
keys of a service account (*s*), with a personal key (*p*) and with temporary credentials (*t*); the
columns *http* and *https* say which of them were run over which. How to set each one up stands in
[Set up a client](clients-setup.md).

`make clients` runs it again.

| mark | meaning |
|---|---|
| ✓ | passed every way that it was run |
| – | the client cannot: the reason stands below |
| ✗ | failed: what it said stands below |
| *n*/*m* | passed so often of so many |

The operations: write 0 bytes, 1 byte and 20 MB (in parts where the client does that by itself); read
it whole and by range; list in pages; copy on the server; keys with spaces, plus, percent, quotes,
and letters of other scripts; a link that works without credentials; delete many.
"""


def mark(results: Sequence[Result]) -> str:
    """One cell: all the ways in which one client did one operation."""
    if not results:
        return ""
    passed = sum(result.passed is True for result in results)
    failed = sum(result.passed is False for result in results)
    if passed == len(results):
        return "✓"
    if failed == len(results):
        return "✗"
    return f"{passed}/{len(results)}" if passed else "–" if not failed else "✗"


def tables(results: Iterable[Result], versions: dict[str, str]) -> str:
    """Markdown: a table for each server, then the reasons."""
    by_server: dict[str, dict[str, dict[str, list[Result]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for one in results:
        by_server[one.server][one.client][one.operation].append(one)
    parts = []
    for server, clients in by_server.items():
        titles = " | ".join(TITLES[name] for name in OPERATIONS)
        head = f"| client | version | {' | '.join(TRANSPORTS)} | {titles} |"
        lines = [f"## Over {SERVERS[server]}", "", head, "|---" * (head.count("|") - 1) + "|"]
        for client, operations in clients.items():
            marks = " | ".join(mark(operations[name]) for name in OPERATIONS)
            ways = " | ".join(_ways(operations.values(), transport) for transport in TRANSPORTS)
            lines.append(f"| {client} | {versions.get(client, '')} | {ways} | {marks} |")
        parts.append("\n".join([*lines, *_reasons(clients)]))
    return "\n\n".join(parts) + "\n"


def _ways(operations: Iterable[Sequence[Result]], transport: str) -> str:
    """The first letters of the credentials that were used over it."""
    used = {one.credentials for each in operations for one in each if one.transport == transport}
    return " ".join(kind[0] for kind in CREDENTIALS if kind in used)


def _reasons(clients: dict[str, dict[str, list[Result]]]) -> list[str]:
    lines: list[str] = []
    for client, operations in clients.items():
        notes: dict[str, list[str]] = defaultdict(list)
        for name, results in operations.items():
            for note in dict.fromkeys(_note(one, results) for one in results if not one.passed):
                notes[note].append(TITLES[name])
        lines += [
            f"- **{client}**, {', '.join(dict.fromkeys(names))}: {note}"
            for note, names in notes.items()
        ]
    return ["", *lines] if lines else []


def _note(one: Result, beside: Sequence[Result]) -> str:
    """The reason, with the ways that it holds for where it does not hold for all."""
    alike = [other for other in beside if other.note == one.note]
    if len(alike) == len(beside):
        return one.note
    kinds = [kind for kind in CREDENTIALS if any(o.credentials == kind for o in alike)]
    over = [name for name in TRANSPORTS if any(o.transport == name for o in alike)]
    return f"({', '.join(kinds)}; {', '.join(over)}) {one.note}"
