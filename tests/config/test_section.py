"""Sections are closed and do not change."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from gateway.config.section import Assumed, Lasting, Life, Section


class Lives(Section):
    """Durations of each kind."""

    some: Lasting = timedelta(seconds=1)
    revocable: Life = timedelta(seconds=1)
    assumed: Assumed = timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"some": "0s"}, "longer than 0"),
        ({"revocable": "0s"}, "longer than 0"),
        ({"revocable": "401d"}, "at most 400d"),
        ({"assumed": "14m"}, "between 15m and 12h"),
        ({"assumed": "1d"}, "between 15m and 12h"),
        ({"other": 1}, "Extra inputs"),
    ],
    ids=str,
)
def test_durations_have_their_bounds_and_sections_their_keys(given, said):
    """In the operator's spelling."""
    with pytest.raises(ValidationError, match=said):
        Lives.model_validate(given)


def test_cfg_2_an_error_does_not_repeat_what_was_wrong():
    """It may be a secret in the wrong place."""
    with pytest.raises(ValidationError) as caught:
        Lives.model_validate({"some": "hunter2"})

    assert "hunter2" not in str(caught.value)
