"""The benchmark runs to its end, and its page says what the rows say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from benchmarks.measures import Row
from benchmarks.page import page
from benchmarks.report import number


def rows(small: float) -> list[Row]:
    return [
        Row(name="GET 1 KiB, signed", unit="µs", gateway=small, nginx=20, rate=4000, target=120),
        Row(name="GET 256 MiB", unit="s/GB", gateway=0.5, nginx=1.0, target=1.0),
        Row(name="GET 256 MiB, TLS upstream", unit="s/GB", gateway=0.8, nginx=1.0, target=1.6),
        Row(name="memory under 200 slow 256 MiB GETs", unit="MB", gateway=140, target=150),
        Row(name="memory, idle", unit="MB", gateway=100, target=120),
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.634, "0.63"), (18.52, "18.5"), (4408.2, "4 408")]
)
def test_numbers_have_three_figures(value, text):
    """More would look as if a run could be repeated to the last digit."""
    assert number(value) == text


def test_the_page_names_what_was_not_reached():
    """A target that was missed stands in words, not only in a column."""
    assert "GET 1 KiB, signed: 250 µs, held to 120" in page(rows(250))
    assert "Every target was reached" in page(rows(100))


def test_the_page_sizes_from_the_rows():
    """200 slow streams and 40 MB more than idle: 200 kB each; 100 µs: 10 000 requests a second."""
    made = page(rows(100))
    assert "at most 200 kB for each stream" in made
    assert "10 000 a second" in made


@pytest.mark.real
@pytest.mark.timeout(120)
def test_a_quick_run_writes_its_rows(tmp_path):
    """One command starts upstream, nginx and gateway, measures and ends them."""
    if not (shutil.which("nginx") and shutil.which("wrk")):
        pytest.skip("nginx and wrk are not installed")
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "GET 1 KiB, signed"]
    subprocess.run([*command, "--json", str(file)], check=True, timeout=100)
    (row,) = json.loads(file.read_text())
    assert row["gateway"] > 0
    assert row["nginx"] > 0
