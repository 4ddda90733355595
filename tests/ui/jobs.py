"""
Jobs, shares and archives as the page asks for them, answered beside the gateway.

Only for what the page does with the answers; what the gateway's own jobs do is tested with them.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from playwright.sync_api import Page, Route

from tests.ui.s3 import FakeS3, Stored
from tests.ui.world import World

TARGETS = {"team-data": ("acme-team", ""), "home": ("acme-home", "users/ada/")}


class Jobs:
    """Answers /api/jobs for one page."""

    def __init__(self, page: Page, world: World) -> None:
        self.s3: FakeS3 = world.s3
        self.orders: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.fail: set[str] = set()
        self._ids = itertools.count(1)
        page.context.route("**/api/jobs**", self._handle)

    def _handle(self, route: Route) -> None:
        request = route.request
        if request.method == "POST":
            order = json.loads(request.post_data or "{}")
            self.orders.append(order)
            name = f"job-{next(self._ids)}"
            self.answers[name] = self._run(order)
            route.fulfill(status=202, json={"id": name})
            return
        name = request.url.split("/api/jobs/")[1].split("?")[0]
        route.fulfill(status=200, json=self.answers[name])

    def _run(self, order: dict[str, Any]) -> dict[str, Any]:
        found = [pair for source in order["sources"] for pair in self._objects(source, order)]
        sizes = sum(stored.length for _, _, stored, _ in found)
        failed = []
        for bucket, key, stored, target in found:
            if order.get("dry_run"):
                continue
            if key in self.fail:
                failed.append({"key": key, "code": "AccessDenied", "message": "Not this one."})
                continue
            if target is not None:
                self.s3.buckets[target[0]][target[1]] = stored
                self.s3._sorted.pop(target[0], None)
            if order["operation"] != "copy":
                self.s3.drop(bucket, key)
        ran = 0 if order.get("dry_run") else len(found) - len(failed)
        return {
            "state": "done",
            "counted": {"objects": len(found), "bytes": sizes, "complete": True},
            "done": {"objects": ran, "bytes": sizes},
            "skipped": 0,
            "failed": failed,
        }

    def _objects(
        self, source: dict[str, Any], order: dict[str, Any]
    ) -> list[tuple[str, str, Stored, tuple[str, str] | None]]:
        bucket, prefix = TARGETS[source["bucket"]]
        name = prefix + (source.get("key") or source["prefix"])
        keys = [
            key
            for key in sorted(self.s3.buckets[bucket])
            if key == name or (name.endswith("/") and key.startswith(name))
        ]
        rows: list[tuple[str, str, Stored, tuple[str, str] | None]] = []
        for key in keys:
            target = None
            if "destination" in order:
                to, to_prefix = TARGETS[order["destination"]["bucket"]]
                place = to_prefix + (
                    order["destination"].get("key") or order["destination"].get("prefix", "")
                )
                rest = key[len(name) :]
                base = name.rstrip("/").rsplit("/", 1)[-1] + ("/" if name.endswith("/") else "")
                target = (
                    to,
                    place + rest if order["operation"] == "rename" else place + base + rest,
                )
            rows.append((bucket, key, self.s3.buckets[bucket][key], target))
        return rows
