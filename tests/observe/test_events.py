"""Whoever asked to be told is told, signed, in order, and never at a request's cost."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from gateway.identity import Secret
from gateway.observe import events
from gateway.observe.audit import AuditEvent
from gateway.observe.events import Webhooks, records

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Hook:
    url: str = "http://127.0.0.1:1/"
    secret: Secret = field(default_factory=lambda: Secret("webhook-secret-0123456789"))
    events: tuple[Any, ...] = ("created", "removed")
    buckets: tuple[str, ...] = ("*",)
    ca: Any = None


@dataclass
class Receiver:
    """Takes posts, answering as told: a status each, the last one for ever."""

    answers: list[int] = field(default_factory=lambda: [200])
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.posts.append((dict(request.headers), await request.read()))
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(
            status=status, headers={"Location": "/elsewhere"} if status == 302 else {}
        )

    def keys(self) -> list[str]:
        return [
            r["s3"]["object"]["key"] for _, body in self.posts for r in json.loads(body)["Records"]
        ]


@asynccontextmanager
async def delivering(receiver: Receiver, **hook: Any):
    """A receiver that listens and webhooks that deliver to it."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    webhooks = Webhooks([Hook(url=receiver.url, **hook)], lambda: NOW)
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(webhooks.run())
            yield webhooks
            task.cancel()
    finally:
        await runner.cleanup()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def event(operation: str = "PutObject", key: str = "a b/ü", **fields: Any) -> AuditEvent:
    made = AuditEvent(request_id="REQ1", time=NOW, peer="192.0.2.1")
    made.operation, made.bucket, made.key, made.decision, made.status = (
        operation,
        "home",
        key,
        "allow",
        200,
    )
    made.issuer, made.subject, made.size = "corp", "alice", 12
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(events, "PAUSES", (0.01, 0.01))


async def test_a_created_object_is_told_in_the_shape_of_s3():
    """One post with one record, signed over time and body."""
    receiver = Receiver()
    async with delivering(receiver) as webhooks:
        webhooks.write(event())
        await until(lambda: receiver.posts)

    headers, body = receiver.posts[0]
    expected = hmac.new(
        b"webhook-secret-0123456789",
        headers["X-Gateway-Timestamp"].encode() + b"." + body,
        hashlib.sha256,
    ).hexdigest()
    (record,) = json.loads(body)["Records"]
    assert headers["X-Gateway-Signature"] == f"sha256={expected}"
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"] == {
        "s3SchemaVersion": "1.0",
        "bucket": {"name": "home"},
        "object": {"key": "a%20b/%C3%BC", "size": 12},
    }
    assert record["userIdentity"] == {"principalId": "corp/alice"}


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (event("CopyObject"), ["ObjectCreated:Copy"]),
        (event("CompleteMultipartUpload"), ["ObjectCreated:CompleteMultipartUpload"]),
        (event("DeleteObject", status=204), ["ObjectRemoved:Delete"]),
        (event("RenameObject", source="home/old"), ["ObjectCreated:Copy", "ObjectRemoved:Delete"]),
        (
            event(
                "DeleteObjects", keys=(("a", "granted"), ("b", "denied-by-rule"), ("c", "granted"))
            ),
            ["ObjectRemoved:Delete"] * 2,
        ),
        (event("GetObject"), []),
        (event("UploadPart"), []),
        (event(status=412), []),
        (event(decision="deny", status=403), []),
        (event(code="BadDigest"), []),
    ],
)
def test_what_changed_an_object_is_an_event(made, names):
    """And nothing else: no reading, no refusal, no failure."""
    assert [record["eventName"] for _, record in records(made)] == names


async def test_a_receiver_that_is_away_is_tried_again_in_order():
    """The same delivery id each time, so that repeats can be told."""
    receiver = Receiver(answers=[500, 503, 200])
    async with delivering(receiver) as webhooks:
        webhooks.write(event(key="1"))
        await until(lambda: receiver.posts)
        webhooks.write(event(key="2"))
        await until(lambda: len(receiver.posts) == 4)

    assert receiver.keys() == ["1", "1", "1", "2"]
    assert len({headers["X-Gateway-Delivery"] for headers, _ in receiver.posts}) == 2


@pytest.mark.parametrize("status", [400, 410, 302])
async def test_ssr_2_a_refusal_is_not_repeated_and_a_redirect_not_followed(status):
    """The next event has its turn."""
    receiver = Receiver(answers=[status, 200])
    async with delivering(receiver) as webhooks:
        webhooks.write(event(key="1"))
        await until(lambda: receiver.posts)
        webhooks.write(event(key="2"))
        await until(lambda: len(receiver.posts) == 2)

    assert receiver.keys() == ["1", "2"]


async def test_dos_5_the_queue_is_bounded(monkeypatch, caplog):
    """A receiver that never answers costs a bounded number of events, told once."""
    monkeypatch.setattr(events, "QUEUE_MAX", 5)
    webhooks = Webhooks([Hook()], lambda: NOW)
    for number in range(20):
        webhooks.write(event(key=str(number)))

    assert len(webhooks._receivers[0].waiting) == 5
    assert sum("dropped" in r.message for r in caplog.records) == 1
    webhooks._watch()
    from gateway.observe import metrics

    metrics.WATCHED.remove(webhooks._watch)


async def test_only_what_was_asked_for_is_told():
    """Kinds of event and patterns of buckets."""
    receiver = Receiver()
    async with delivering(receiver, events=("removed",), buckets=("lab-*", "home")) as webhooks:
        webhooks.write(event("PutObject", key="created"))
        webhooks.write(event("DeleteObject", key="other", bucket="private"))
        webhooks.write(event("DeleteObject", key="mine"))
        webhooks.write(event("DeleteObject", key="lab", bucket="lab-1"))
        await until(lambda: len(receiver.keys()) >= 2)

    assert receiver.keys() == ["mine", "lab"]


def test_log_1_an_event_holds_no_secret():
    """It is made of the audit event, which has none; and no address of a presigned request."""
    made = event()
    made.path = "/home/x?X-Amz-Signature=canary"

    assert "canary" not in json.dumps([record for _, record in records(made)])
