"""A finding: something outside that was asked, and what came of it, in a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import final

CLOCK_APART = 60  # seconds: what tokens are allowed; S3 takes 15 minutes


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of the world."""

    about: str
    text: str
    bad: bool = False

    def __str__(self) -> str:
        return f"{'PROBLEM' if self.bad else 'good'}: {self.about}: {self.text}"


def clock(about: str, date: str | None, now: datetime) -> Iterator[Finding]:
    """Whether this machine's clock agrees with the Date header of an answer; nothing where it does."""
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError:
        return
    apart = round((now - there).total_seconds()) if there.tzinfo is not None else 0
    if abs(apart) > CLOCK_APART:
        ahead = "ahead of" if apart > 0 else "behind"
        yield Finding(
            about, f"this machine's clock is {abs(apart)} seconds {ahead} its clock", True
        )
