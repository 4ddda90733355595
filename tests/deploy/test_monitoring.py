"""Dashboards and alerts speak only of metrics that exist, with labels that they have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from gateway.observe.metrics import TABLE

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"


def expressions() -> list[str]:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text("utf-8"))
    board = json.loads((DEPLOY / "grafana/dashboard.json").read_text("utf-8"))
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    return found + [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_every_metric_that_is_watched_exists():
    """A renamed metric would leave an alert silent for ever."""
    for expression in expressions():
        names = re.findall(r"gateway_[a-z_]+", expression)
        assert names, expression
        for name in names:
            assert name in TABLE or name.removesuffix("_bucket") in TABLE, expression


def test_every_label_that_is_asked_for_is_one_of_its_metrics():
    """By and matchers alike."""
    for expression in expressions():
        metrics = [
            TABLE[name.removesuffix("_bucket") if name not in TABLE else name]
            for name in re.findall(r"gateway_[a-z_]+", expression)
        ]
        allowed = {"le"} | {label for metric in metrics for label in metric.labels}
        asked = {
            label.strip()
            for group in re.findall(r"by \(([^)]*)\)", expression)
            for label in group.split(",")
        } | set(re.findall(r"[{,]\s*([a-z_]+)[!=]", expression))

        assert asked <= allowed, expression
