"""The rows of a run as a table for the terminal, as JSON, and as docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.measures import Row


def number(value: float | None) -> str:
    """Three significant figures; a dash for what was not measured."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cells(row: Row, others: Sequence[str]) -> list[str]:
    """One line of the table."""
    ratio = None if not row.nginx else row.gateway / row.nginx
    return [
        row.name,
        row.unit,
        number(row.gateway),
        number(row.nginx),
        number(ratio),
        *[number(row.others.get(name)) for name in others],
        number(row.rate),
        number(row.target if row.least is None else row.least),
    ]


def titles(others: Sequence[str]) -> list[str]:
    return ["what", "unit", "gateway", "nginx", "ratio", *others, "requests/s", "target"]


def line(values: Sequence[str]) -> str:
    """A line for the terminal, told while the run goes on."""
    return values[0].ljust(40) + "".join(value.rjust(12) for value in values[1:])


def markdown(rows: Iterable[Row], others: Sequence[str] = ()) -> str:
    """The table as Markdown."""
    head = titles(others)
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "--:|" * (len(head) - 2)]
    lines += ["| " + " | ".join(cells(row, others)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]
