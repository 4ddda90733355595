"""
YAML text to plain values, with the place of each; and Problem, which says where something is wrong.

Read event by event, so that depth, aliases and size are counted before anything is built
(CFG-1). Only what JSON has comes out: texts, numbers, true, false, null, lists and mappings with
text keys. `yes`, `no`, `on`, dates and numbers with leading zeros stay texts: YAML 1.1 would
make of a country code a truth.

Source: https://yaml.org/spec/1.2.2/ section 10.3, less octal, hexadecimal, infinity.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import yaml

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a document."""

SIZE_MAX = 1_000_000  # bytes of one file; ten thousand rules fit into a few
DEPTH_MAX = 32  # levels of lists and mappings; a policy needs seven
ALIASES_MAX = 100  # uses of anchors in one file
NODES_MAX = 500_000  # values in one file, those that aliases repeat counted each time
PROBLEMS_MAX = 100  # told of one file; whoever has more reads these first

_NULL = re.compile(r"(?:~|null|Null|NULL)?")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
_PLAIN = re.compile(r"[^\s.\[\]\"]+")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@final
@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in an operator's file, and where: line and column count from 1."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


@final
class Mark:
    """Where a value stands, where its key does, and the marks of what is in it."""

    __slots__ = ("column", "inner", "key_column", "key_line", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.key_line = line
        self.key_column = column
        self.inner: dict[str, Mark] | list[Mark] | None = None

    def at(self, step: str | int) -> Mark | None:
        if isinstance(self.inner, dict):
            return self.inner.get(step) if isinstance(step, str) else None
        if isinstance(self.inner, list) and isinstance(step, int) and step < len(self.inner):
            return self.inner[step]
        return None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file as read: plain values, and where each stands."""

    file: str
    values: Any
    mark: Mark
    problems: tuple[Problem, ...] = ()

    def problem(self, path: Sequence[str | int], message: str, *, key: bool = False) -> Problem:
        """What is wrong at a path, or at the last step of it that is there; `key`: with the key itself."""
        mark = self.mark
        for step in path:
            inner = mark.at(step)
            if inner is None:
                key = False
                break
            mark = inner
        line, column = (mark.key_line, mark.key_column) if key else (mark.line, mark.column)
        return Problem(self.file, line, column, spelled(path), message)

    def has(self, path: Sequence[str | int]) -> bool:
        """Something stands at the path."""
        mark: Mark | None = self.mark
        for step in path:
            mark = mark.at(step) if mark is not None else None
        return mark is not None


def spelled(path: Iterable[str | int]) -> str:
    """A path as problems show it: `rules[0].match.claims.cognito:groups`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'read'?` where one of the choices is close, else nothing."""
    spelled_alike = {choice.lower().replace("-", "_"): choice for choice in choices}
    close = difflib.get_close_matches(
        word.lower().replace("-", "_"), list(spelled_alike), n=1, cutoff=0.6
    )
    return f"; did you mean {spelled_alike[close[0]]!r}?" if close else ""


def read(text: str | bytes, file: str) -> Document:
    """The document in `text`. Never raises for what is wrong in it: `problems` says so."""
    reader = _Reader(file)
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        if len(content) > SIZE_MAX:
            raise _Stop(1, 1, f"the file is larger than {SIZE_MAX} bytes")
        return reader.document(_decoded(content))
    except _Stop as stop:
        problem = Problem(file, stop.line, stop.column, "", stop.message)
    except yaml.MarkedYAMLError as error:
        problem = _syntax(error, file)
    except yaml.reader.ReaderError as error:
        problem = _unreadable(content, error, file)
    return Document(file=file, values=None, mark=Mark(1, 1), problems=(*reader.problems, problem))


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - before.rfind(b"\n")
        raise _Stop(line, column, "the file is not UTF-8") from None


def _syntax(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    message = ", ".join(part for part in (error.context, error.problem) if part)
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return Problem(file, line, column, "", message or "this is not YAML")


def _unreadable(content: bytes, error: yaml.reader.ReaderError, file: str) -> Problem:
    """A character that YAML does not have; libyaml counts in bytes, the other in characters."""
    for number, row in enumerate(content.decode("utf-8-sig", "replace").split("\n"), start=1):
        for place, char in enumerate(row, start=1):
            if not char.isprintable() and char not in "\t\r\x85\xa0":
                return Problem(
                    file, number, place, "", f"the character U+{ord(char):04X} cannot stand here"
                )
    return Problem(file, 1, 1, "", str(error.reason))


class _Stop(Exception):
    """Reading cannot go on."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.message = message


@final
@dataclass(slots=True)
class _Reader:
    """Builds values and marks from events, and counts on the way."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    _anchors: dict[str, tuple[Any, Mark, int]] = field(default_factory=dict)
    _nodes: int = 0
    _aliases: int = 0
    _path: list[str | int] = field(default_factory=list)

    def document(self, text: str) -> Document:
        events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        values: Any = None
        mark = Mark(1, 1)
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Stop(*_place(event), "one document a file: a second begins here")
                values, mark = self._value(next(events), events, 0)
        return Document(file=self.file, values=values, mark=mark, problems=tuple(self.problems))

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> tuple[Any, Mark]:
        line, column = _place(event)
        self._count(1, line, column)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line, column)
        mark = Mark(line, column)
        before = self._nodes
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, line, column)
        else:
            if depth >= DEPTH_MAX:
                raise _Stop(line, column, f"more than {DEPTH_MAX} levels deep")
            self._untagged(event, line, column)
            if isinstance(event, yaml.SequenceStartEvent):
                value = self._list(mark, events, depth + 1)
            else:
                value = self._mapping(mark, events, depth + 1)
        if event.anchor:
            self._anchors[event.anchor] = (value, mark, self._nodes - before + 1)
        return value, mark

    def _count(self, nodes: int, line: int, column: int) -> None:
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            raise _Stop(line, column, f"more than {NODES_MAX} values, repeated ones counted")

    def _alias(self, event: Any, line: int, column: int) -> tuple[Any, Mark]:
        self._aliases += 1
        if self._aliases > ALIASES_MAX:
            raise _Stop(line, column, f"more than {ALIASES_MAX} aliases")
        known = self._anchors.get(event.anchor)
        if known is None:
            raise _Stop(line, column, f"the anchor &{event.anchor} is not defined above")
        value, original, nodes = known
        self._count(nodes, line, column)
        mark = Mark(line, column)
        mark.inner = original.inner
        return value, mark

    def _untagged(self, event: Any, line: int, column: int) -> None:
        if event.tag is not None:
            raise _Stop(line, column, f"the tag {event.tag} is not used here")

    def _scalar(self, event: Any, line: int, column: int) -> Any:
        if event.tag is not None and event.tag != "tag:yaml.org,2002:str":
            self._untagged(event, line, column)
        text: str = event.value
        if event.style or event.tag is not None:
            return text
        if _NULL.fullmatch(text):
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _list(self, mark: Mark, events: Iterator[Any], depth: int) -> list[Any]:
        values: list[Any] = []
        marks: list[Mark] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            self._path.append(len(values))
            value, inner = self._value(event, events, depth)
            self._path.pop()
            values.append(value)
            marks.append(inner)
        mark.inner = marks
        return values

    def _mapping(self, mark: Mark, events: Iterator[Any], depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        marks: dict[str, Mark] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line, column = _place(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _Stop(line, column, "a key must be a text")
            key: str = event.value
            self._path.append(key)
            value, inner = self._value(next(events), events, depth)
            if key in values:
                first = marks[key].key_line
                self._problem(line, column, f"the key stands here twice; first in line {first}")
            else:
                inner.key_line, inner.key_column = line, column
                values[key] = value
                marks[key] = inner
            self._path.pop()
        mark.inner = marks
        return values

    def _problem(self, line: int, column: int, message: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(self.file, line, column, spelled(self._path), message))


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
