"""
What a job is asked to do: the order, whether it can be carried out, and where each object goes.

Sources: UI-22, UI-23; the shape of the order is described in docs/rules/ui.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from gateway.errors import ApiError
from gateway.server.bodies import Strict

SOURCES_MAX = 50_000  # names in an order: what somebody may have selected in the page
COPIES_MAX = 1000  # numbers that are tried for a free name

Operation = Literal["copy", "move", "rename", "delete"]
Key = Annotated[str, Field(min_length=1, max_length=1024)]


class Name(Strict):
    """An object by `key`, or all below a `prefix`."""

    bucket: Annotated[str, Field(min_length=1, max_length=63)]
    key: Key | None = None
    prefix: Annotated[str, Field(max_length=1024)] | None = None


class Source(Name):
    """What a job takes."""

    only: Annotated[tuple[Key, ...], Field(max_length=SOURCES_MAX, strict=False)] | None = None
    """Of a prefix, these keys alone: those that failed are tried again and keep their folders."""


class Order(Strict):
    """Body of POST /api/jobs."""

    operation: Operation
    sources: Annotated[
        tuple[Source, ...], Field(min_length=1, max_length=SOURCES_MAX, strict=False)
    ]
    destination: Name | None = None
    if_exists: Literal["fail", "replace", "skip", "rename"] = "fail"
    dry_run: bool = False
    """Only count."""


def target_base(operation: Operation, source: Source, destination: Name) -> str:
    """Where a source goes: below a prefix by its last name, or exactly where a name is given."""
    if destination.key is not None:
        return destination.key
    prefix = destination.prefix or ""
    if operation == "rename":
        return prefix
    whole = source.key if source.key is not None else source.prefix or ""
    folder = "/" if whole.endswith("/") else ""
    last = whole.rstrip("/").rpartition("/")[2]
    return prefix + last + folder if last else prefix


def other_names(key: str) -> Iterator[str]:
    """`name (2).ext`, `name (3).ext` and so on."""
    folder, slash, last = key.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    if not stem:
        stem, dot, extension = last, "", ""
    for number in range(2, COPIES_MAX):
        yield f"{folder}{slash}{stem} ({number}){dot}{extension}"


def check_order(order: Order) -> None:
    """Raises ApiError (400) for what cannot be carried out."""
    for source in order.sources:
        if (source.key is None) == (source.prefix is None):
            raise _bad("Each source has either a key or a prefix.")
        if any(not key.startswith(source.prefix or "") for key in source.only or ()):
            raise _bad("Keys that are picked out lie below the prefix.")
        if source.only is not None and source.prefix is None:
            raise _bad("Only of a prefix some keys can be picked out.")
    destination = order.destination
    if order.operation == "delete":
        if destination is not None:
            raise _bad("A deletion has no destination.")
        return
    if destination is None or (destination.key is None) == (destination.prefix is None):
        raise _bad("A destination has either a key or a prefix.")
    exact = destination.key is not None or order.operation == "rename"
    if exact and len(order.sources) > 1:
        raise _bad("Several sources cannot have one name.")
    for source in order.sources:
        _check_pair(order, source, destination)


def _check_pair(order: Order, source: Source, destination: Name) -> None:
    if destination.key is not None and source.key is None:
        raise _bad("A prefix cannot become an object.")
    if order.operation == "rename" and source.key is not None and destination.key is None:
        raise _bad("An object is renamed to a key.")
    if source.prefix is None:
        return
    base = target_base(order.operation, source, destination)
    if source.bucket == destination.bucket and base.startswith(source.prefix):
        raise _bad("A prefix cannot go into itself.")


def _bad(sentence: str) -> ApiError:
    return ApiError(400, "The job cannot be carried out.", detail=sentence, code="job")
