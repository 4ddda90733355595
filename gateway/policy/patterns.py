"""
Patterns of keys and names: `*` stops at a slash, `**` does not; anchored at both ends (PTH-5).

A pattern also answers three questions about a prefix: may something below it match, does
everything below it match, may a name right at it match. What users send (a narrowing of a key)
is matched in time linear in the key, whatever they write (DOS-7): the states of a pattern are
the bits of one integer.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import final

_STARS = re.compile(r"\*+")
_REGEX_STARS = 2  # wildcards up to which a regular expression cannot take long


@final
class Pattern:
    """A compiled pattern. Made by `key_pattern` and `name_pattern`."""

    __slots__ = ("_any", "_exact", "_here", "_literal", "_long", "_one", "_regex", "_stars", "text")

    def __init__(self, text: str, parts: list[str]) -> None:
        self.text = text
        self._literal: dict[str, int] = {}
        self._one = self._any = self._long = 0
        slash = 0
        for position, part in enumerate(parts):
            bit = 1 << position
            if part == "**":
                self._long |= bit
            elif part == "*":
                self._one |= bit
            elif part == "?":
                self._any |= bit
            else:
                literal = part[-1]
                self._literal[literal] = self._literal.get(literal, 0) | bit
                slash = position + 1 if literal == "/" else slash
        self._stars = self._one | self._long
        self._here = slash
        self._exact = 1 << len(parts)
        self._regex = _regex(parts)

    def matches(self, name: str) -> bool:
        """The whole of `name` fits."""
        if self._regex is not None:
            return self._regex.fullmatch(name) is not None
        return bool(self._after(name) & self._exact)

    def reaches(self, prefix: str) -> bool:
        """Some name that begins with `prefix` fits."""
        return self._after(prefix) != 0

    def covers(self, prefix: str) -> bool:
        """Every name that begins with `prefix` fits: the pattern ends in `**` and is there already."""
        return bool(self._after(prefix) & self._long & (self._exact >> 1))

    def opens(self, prefix: str) -> bool:
        """Some name right at `prefix`, without a further slash, fits."""
        return self._after(prefix) >> self._here != 0

    def _after(self, text: str) -> int:
        """The set of places in the pattern that are possible when `text` has been read."""
        literal, any_one, one, long, stars = (
            self._literal,
            self._any,
            self._one,
            self._long,
            self._stars,
        )
        states = 1 | ((1 & stars) << 1)
        for char in text:
            states = (
                ((states & (literal.get(char, 0) | any_one)) << 1)
                | (states & long)
                | (states & one if char != "/" else 0)
            )
            if not states:
                return 0
            states |= (states & stars) << 1
        return states

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


def _regex(parts: list[str]) -> re.Pattern[str] | None:
    if sum(part in ("*", "**") for part in parts) > _REGEX_STARS:
        return None
    wild = {"*": "[^/]*", "**": ".*", "?": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


def _split(text: str, *, names: bool) -> list[str]:
    """Wildcards as they are; a literal character with a mark before it, so that none is mistaken."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        stars = _STARS.match(text, position)
        if stars:
            parts.append("**" if names or len(stars[0]) > 1 else "*")
            position = stars.end()
            continue
        char = text[position]
        parts.append("?" if names and char == "?" else "=" + char)
        position += 1
    return parts


@lru_cache(maxsize=4096)
def key_pattern(text: str) -> Pattern:
    """A pattern of keys: `*` and `**`; everything else, `?` included, is itself."""
    return Pattern(text, _split(text, names=False))


@lru_cache(maxsize=4096)
def name_pattern(text: str) -> Pattern:
    """A pattern of bucket names or IAM actions: `*` is any characters, `?` any one."""
    return Pattern(text, _split(text, names=True))


def is_pattern(name: str) -> bool:
    """The bucket name stands for several."""
    return "*" in name or "?" in name
