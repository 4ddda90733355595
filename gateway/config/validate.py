"""
A document against a model: every problem at once, each where the operator's eye must go.

pydantic names the parts of its models in an error's path (branches of unions, tags); the parts
that the document does not have are dropped. An unknown key is told at the key, a missing one at
its section. No message repeats a value: it may be a secret (CFG-2).
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gateway.config.positions import Document, Problem, did_you_mean

M = TypeVar("M", bound=BaseModel)

_MESSAGES: dict[str, str] = {
    "string_type": "a text is expected; a number, true or false goes in quotes",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "float_parsing": "a number is expected",
    "list_type": "a list is expected",
    "tuple_type": "a list is expected",
    "dict_type": "a mapping is expected",
    "model_type": "a mapping is expected",
    "model_attributes_type": "a mapping is expected",
    "union_tag_not_found": "{discriminator} is needed",
    "path_type": "a path is expected",
    "greater_than": "more than {gt} is expected",
    "greater_than_equal": "at least {ge} is expected",
    "less_than_equal": "at most {le} is expected",
    "string_too_short": "at least {min_length} characters are expected",
    "string_too_long": "at most {max_length} characters are expected",
    "too_long": "at most {max_length} entries are expected",
    "too_short": "at least {min_length} entries are expected",
    "string_pattern_mismatch": "this does not look like {what}",
}
"""What we say instead of pydantic, by its kind of error; others speak for themselves."""

_PATTERNS: dict[str, str] = {}


def looks_like(pattern: str, what: str) -> str:
    """Says what a pattern is of, for the message when a value does not fit; gives the pattern back."""
    _PATTERNS[pattern] = what
    return pattern


def validate(
    model: type[M], document: Document, *, context: Mapping[str, Any] | None = None
) -> tuple[M | None, list[Problem]]:
    """The model made of the document's values, or everything that is wrong with them."""
    if document.values is None:
        return None, [document.problem((), "the file is empty")]
    if not isinstance(document.values, dict):
        return None, [document.problem((), "a mapping is expected")]
    try:
        return model.model_validate(document.values, context=dict(context or {})), []
    except ValidationError as error:
        return None, list(dict.fromkeys(_problems(model, document, error)))


def _problems(
    model: type[BaseModel], document: Document, error: ValidationError
) -> Iterator[Problem]:
    """One a place: what the branches of a union say of one value belongs together."""
    branches: dict[tuple[str | int, ...], Problem] = {}
    for found in error.errors(include_url=False, include_input=False):
        kind, loc = found["type"], found["loc"]
        path = _in_document(document, loc, missing=kind == "missing")
        if kind == "missing":
            yield document.problem(path, f"{loc[-1]} is needed")
        elif kind == "extra_forbidden":
            known = _keys_at(model, loc[:-1], document.values)
            message = "there is no such key" + did_you_mean(str(path[-1]), known)
            yield document.problem(path, message, key=True)
        elif kind != "default_factory_not_called":  # the reason for it is told by itself
            problem = _choice(document, path, found) if kind in _CHOICES else None
            problem = problem or document.problem(path, _said(kind, found))
            twin = branches.get(path)
            if twin is not None:
                problem = replace(problem, message=f"{twin.message}, or {problem.message}")
            branches[path] = problem
    yield from branches.values()


_CHOICES = ("literal_error", "union_tag_invalid")


def _said(kind: str, found: Mapping[str, Any]) -> str:
    context = dict(found.get("ctx") or {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        context["what"] = _PATTERNS.get(context["pattern"], f"{context['pattern']}")
    if "discriminator" in context:
        context["discriminator"] = context["discriminator"].strip("'")
    if kind == "string_too_short" and context["min_length"] == 1:
        return "this must not be empty"
    text = _MESSAGES.get(kind)
    return text.format(**context) if text else str(found["msg"])


def _choice(document: Document, path: Sequence[str | int], found: Mapping[str, Any]) -> Problem:
    """A value that is not one of those there are."""
    context = found["ctx"]
    expected = context.get("expected_tags") or context["expected"]
    if "discriminator" in context:
        path = (*path, context["discriminator"].strip("'"))
    choices = [part.strip(" '") for part in expected.replace(" or ", ", ").split(",")]
    value = _value(document.values, path)
    if len(choices) == 1:
        return document.problem(path, f"{choices[0]!r} is expected")
    shown = f"{value!r}" if isinstance(value, str) else "this"
    close = did_you_mean(value, choices) if isinstance(value, str) else ""
    return document.problem(path, f"{shown} is not one of {', '.join(choices)}{close}")


def _value(values: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        try:
            values = values[step]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _in_document(
    document: Document, loc: Sequence[str | int], *, missing: bool
) -> tuple[str | int, ...]:
    """The parts of pydantic's path that the document has."""
    steps = loc[:-1] if missing else loc
    path: tuple[str | int, ...] = ()
    for step in steps:
        if step == "[key]":
            break
        if document.has((*path, step)):
            path = (*path, step)
    return path


def _keys_at(model: Any, loc: Sequence[str | int], values: Any) -> list[str]:
    """The keys that a section knows, at pydantic's path; for a suggestion, so empty is no harm."""
    kind: Any = model
    for step in loc:
        kind = _inside(kind, step, values)
        values = _value(values, (step,)) if _value(values, (step,)) is not None else values
    kind = _bare(kind)
    return list(kind.model_fields) if _is_model(kind) else []


def _inside(kind: Any, step: str | int, values: Any) -> Any:
    kind = _bare(kind)
    if _is_model(kind):
        field: FieldInfo | None = kind.model_fields.get(str(step))
        return None if field is None else field.annotation
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return next((one for one in arguments if _is_tagged(_bare(one), step)), None)
    if origin in (tuple, list) and isinstance(step, int):
        return arguments[0]
    return arguments[1] if origin is dict else None


def _bare(kind: Any) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        models = [one for one in get_args(kind) if one is not type(None)]
        return models[0] if len(models) == 1 else kind
    return kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_tagged(kind: Any, tag: str | int) -> bool:
    return _is_model(kind) and tag in get_args(kind.model_fields["type"].annotation)
