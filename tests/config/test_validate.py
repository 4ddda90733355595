"""A document against a model: every problem in its place. Whole files stand in tests/golden/config."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from gateway.config.model import Section
from gateway.config.positions import read
from gateway.config.validate import looks_like, validate


class Cat(Section):
    type: Literal["cat"]
    lives: int = 9


class Dog(Section):
    type: Literal["dog"]
    name: Annotated[str, Field(pattern=looks_like(r"^[A-Z][a-z]+$", "a dog's name"))]


class Shelf(Section):
    pets: dict[str, Annotated[Cat | Dog, Field(discriminator="type")]] = Field(default={})
    best: Cat | None = None
    rows: tuple[Cat, ...] = ()
    size: int | Literal["any"] = 1


def told(text: str) -> list[str]:
    model, problems = validate(Shelf, read(text, "f.yaml"))
    assert (model is None) == bool(problems)
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("pets: {tom: {type: cat}}", []),
        ("pets: {tom: {type: cat, live: 3}}", ["f.yaml:1:25: pets.tom.live: there is no such key; did you mean 'lives'?"]),
        ("pets: {rex: {type: dog}}", ["f.yaml:1:13: pets.rex: name is needed"]),
        ("pets: {rex: {type: dog, name: rex}}", ["f.yaml:1:31: pets.rex.name: this does not look like a dog's name"]),
        ("pets: {rex: {type: dig}}", ["f.yaml:1:20: pets.rex.type: 'dig' is not one of cat, dog; did you mean 'dog'?"]),
        ("pets: {rex: {}}", ["f.yaml:1:13: pets.rex: type is needed"]),
        ("pets: [x]", ["f.yaml:1:7: pets: a mapping is expected"]),
        ("best: {type: dog}", ["f.yaml:1:14: best.type: 'cat' is expected"]),
        ("best: {type: cat, livs: 1}", ["f.yaml:1:19: best.livs: there is no such key; did you mean 'lives'?"]),
        ("rows: [{type: cat}, {type: cat, lifes: 1}]", ["f.yaml:1:33: rows[1].lifes: there is no such key; did you mean 'lives'?"]),
        ("size: x", ["f.yaml:1:7: size: a whole number is expected, or 'any' is expected"]),
        ("other: 1\nsiez: 2", ["f.yaml:1:1: other: there is no such key", "f.yaml:2:1: siez: there is no such key; did you mean 'size'?"]),
        ("[]", ["f.yaml:1:1: a mapping is expected"]),
        ("", ["f.yaml:1:1: the file is empty"]),
    ],
)  # fmt: skip
def test_cfg_1_problems_stand_where_the_eye_must_go(text, problems):
    """Unknown keys at the key, missing ones at their section, branches of a union together."""
    assert told(text) == problems
