"""
What each setting means, for the schema that editors read and for the reference: taken from its docstring.

pydantic can do this while a class is made (`use_attribute_docstrings`), but reading all sections
from their source takes a twentieth of each start, and a gateway that serves never asks.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from gateway.config.section import Section


def schema(top: type[Section]) -> dict[str, Any]:
    """The JSON Schema of a file, with what each key means."""
    describe()
    return top.model_json_schema()


def describe() -> None:
    """Gives every setting of every section that was read so far its docstring as its description."""
    for section in _below(Section):
        for name, text in _docstrings(section).items():
            section.model_fields[name].description = text
        section.model_rebuild(force=True)


def _below(section: type[Section]) -> Iterator[type[Section]]:
    """In the order they were made: parts come before what holds them."""
    for one in section.__subclasses__():
        yield one
        yield from _below(one)


def _docstrings(section: type[Section]) -> dict[str, str]:
    found: dict[str, str] = {}
    for made in reversed(section.__mro__):
        if issubclass(made, Section):
            found.update(_of_module(made.__module__).get(made.__qualname__, {}))
    return {name: found[name] for name in section.model_fields if name in found}


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """By class and field, as far as a string stands below the field."""
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {
        made.name: {
            field.target.id: inspect.cleandoc(below.value.value)
            for field, below in zip(made.body, made.body[1:], strict=False)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        }
        for made in tree.body
        if isinstance(made, ast.ClassDef)
    }
