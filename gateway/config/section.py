"""What every section of gateway.yaml is, and the kinds of names that sections share."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.config.validate import looks_like

NAME = looks_like(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "a name: letters, digits, '.', '_' and '-', 64 at most"
)
ROLE_ARN = looks_like(
    r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$",
    "the ARN of a role: arn:aws:iam::123456789012:role/NAME",
)
REGION = looks_like(r"^[a-z0-9-]{1,64}$", "a region such as us-east-1")

Name = Annotated[str, Field(pattern=NAME)]
"""What sections call each other by: letters, digits, `.`, `_`, `-`; at most 64 characters."""
RoleArn = Annotated[str, Field(pattern=ROLE_ARN)]


class Section(BaseModel):
    """A part of the file: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # CFG-2: what was wrong may be a secret
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )


def within(value: timedelta, *, minimum: int, maximum: int) -> timedelta:
    """For a duration that must lie between so many seconds. Raises ValueError."""
    if not minimum <= value.total_seconds() <= maximum:
        raise ValueError(f"between {minimum} and {maximum} seconds is expected")
    return value
