"""What every section of gateway.yaml is, and the kinds of names that sections share."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.config.validate import looks_like
from gateway.config.values import Duration, spell_duration

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
        hide_input_in_errors=True,  # CFG-2: what was wrong may be a secret
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )


def _lasting(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise ValueError("longer than 0 is expected")
    return value


def _revocable(value: timedelta) -> timedelta:
    if value > REMEMBERED:
        raise ValueError(f"at most {spell_duration(REMEMBERED)} is expected")
    return value


def _assumed(value: timedelta) -> timedelta:
    if not timedelta(minutes=15) <= value <= timedelta(hours=12):
        raise ValueError("between 15m and 12h is expected")
    return value


REMEMBERED = timedelta(days=400)
"""So long it is remembered that somebody signed out everywhere: what that must reach lives no longer."""
Lasting = Annotated[Duration, AfterValidator(_lasting)]
"""A duration that is some time."""
Life = Annotated[Lasting, AfterValidator(_revocable)]
"""How long something lives that may have to be revoked."""
Assumed = Annotated[Duration, AfterValidator(_assumed)]
"""What AWS lets temporary credentials live."""
