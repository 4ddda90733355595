"""
Webhooks: who is told when an object was created or removed.

A sink like the audit lines: it is fed with the same events, keeps those that changed an object,
and posts them from a queue of its own, so that no request waits. The body has the shape of S3's own
notifications; each post is signed. A receiver that is away is tried again for some ten minutes,
in order; beyond a bounded queue events are dropped and counted, never held against a request.

Delivery is at least once while the process lives: a receiver tells repeats by the delivery id.
Source of the shape: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol, final
from urllib.parse import quote

import aiohttp

from gateway.identity import Secret
from gateway.keyring import random_token
from gateway.observe import metrics
from gateway.observe.audit import ALLOW, AuditEvent, timestamp

log = logging.getLogger(__name__)

QUEUE_MAX = 10_000  # events waiting for one receiver: some 10 MB
BATCH_MAX = 100  # events in one post
TIMEOUT = aiohttp.ClientTimeout(total=10)  # seconds for one post; a receiver only has to take it
PAUSES = (1.0, 5.0, 30.0, 120.0, 480.0)  # seconds before each further try
AGAIN = frozenset({408, 425, 429})  # the answers below 500 that mean "later"

Kind = Literal["created", "removed"]

_NAMES: dict[str, tuple[Kind, str]] = {
    "PutObject": ("created", "ObjectCreated:Put"),
    "CopyObject": ("created", "ObjectCreated:Copy"),
    "RenameObject": ("created", "ObjectCreated:Copy"),
    "CompleteMultipartUpload": ("created", "ObjectCreated:CompleteMultipartUpload"),
    "DeleteObject": ("removed", "ObjectRemoved:Delete"),
    "DeleteObjects": ("removed", "ObjectRemoved:Delete"),
}
"""Which operations change an object, and what S3 calls that."""


class Hook(Protocol):
    """One entry of `webhooks:` in gateway.yaml."""

    @property
    def url(self) -> str: ...
    @property
    def secret(self) -> Secret: ...
    @property
    def events(self) -> Sequence[Kind]: ...
    @property
    def buckets(self) -> Sequence[str]: ...
    @property
    def ca(self) -> Any: ...


def records(event: AuditEvent) -> list[tuple[Kind, dict[str, Any]]]:
    """What the request did to objects; nothing where it was refused, failed or was cut."""
    row = _NAMES.get(event.operation)
    if row is None or event.decision != ALLOW or not 200 <= event.status < 300 or event.code:
        return []
    kind, name = row
    if event.operation == "DeleteObjects":
        # Each key that policy let through; whether the storage had it, S3 does not tell either.
        return [(kind, _record(event, name, key)) for key, code in event.keys if code == "granted"]
    made = [(kind, _record(event, name, event.key))]
    if event.operation == "RenameObject":
        source = event.source.partition("/")[2]
        made.append(("removed", _record(event, "ObjectRemoved:Delete", source)))
    return made


def _record(event: AuditEvent, name: str, key: str) -> dict[str, Any]:
    thing: dict[str, Any] = {"key": quote(key, errors="surrogatepass")}
    if event.operation == "PutObject" and event.size is not None:
        thing["size"] = event.size
    return {
        "eventVersion": "2.1",
        "eventSource": "s3-auth-gateway",
        "eventTime": timestamp(event.time),
        "eventName": name,
        "userIdentity": {"principalId": f"{event.issuer}/{event.subject}"},
        "requestParameters": {"sourceIPAddress": event.peer},
        "responseElements": {"x-amz-request-id": event.request_id},
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": event.bucket}, "object": thing},
    }


def signature(secret: Secret, stamp: str, body: bytes) -> str:
    """`X-Gateway-Signature`: HMAC-SHA256 over the timestamp header, a dot and the body."""
    mac = hmac.digest(secret.reveal().encode(), stamp.encode() + b"." + body, "sha256")
    return "sha256=" + mac.hex()


@final
class Webhooks:
    """All receivers. `run` delivers for as long as the process serves."""

    def __init__(self, hooks: Sequence[Hook], clock: Callable[[], datetime]) -> None:
        self._receivers = [_Receiver(hook, clock) for hook in hooks]
        if hooks:
            metrics.WATCHED.append(self._watch)

    def write(self, event: AuditEvent) -> None:
        """Takes note of what the request did. Neither waits nor raises."""
        if self._receivers and event.operation in _NAMES:
            made = records(event)
            for receiver in self._receivers:
                receiver.take(event.bucket, made)

    async def run(self) -> None:
        """Delivers until it is cancelled; what waits then is lost, and counted."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for receiver in self._receivers:
                    tasks.create_task(receiver.run())
        finally:
            if self._watch in metrics.WATCHED:
                metrics.WATCHED.remove(self._watch)

    def _watch(self) -> None:
        metrics.WEBHOOKS_WAITING.set(to=sum(len(r.waiting) for r in self._receivers))


@final
class _Receiver:
    """One URL and what waits for it."""

    def __init__(self, hook: Hook, clock: Callable[[], datetime]) -> None:
        self._hook = hook
        self._clock = clock
        self._more = asyncio.Event()
        self._dropping = False
        self.waiting: deque[dict[str, Any]] = deque()

    def take(self, bucket: str, made: Sequence[tuple[Kind, dict[str, Any]]]) -> None:
        hook = self._hook
        if not any(fnmatchcase(bucket, pattern) for pattern in hook.buckets):
            return
        for kind, record in made:
            if kind not in hook.events:
                continue
            if len(self.waiting) >= QUEUE_MAX:
                self._drop(1, "more events wait than are kept")
                return
            self.waiting.append(record)
            self._more.set()

    async def run(self) -> None:
        ca = self._hook.ca
        context: ssl.SSLContext | bool = True
        if ca is not None:
            context = await asyncio.to_thread(ssl.create_default_context, cafile=str(ca))
        connector = aiohttp.TCPConnector(ssl=context, limit=1)
        jar = aiohttp.DummyCookieJar()
        try:
            async with aiohttp.ClientSession(
                connector=connector, cookie_jar=jar, timeout=TIMEOUT
            ) as session:
                while True:
                    await self._more.wait()
                    while self.waiting:
                        batch = [self.waiting[n] for n in range(min(BATCH_MAX, len(self.waiting)))]
                        await self._deliver(session, batch)
                        for _ in batch:
                            self.waiting.popleft()
                    self._more.clear()
        finally:
            self._drop(len(self.waiting), "the gateway ends")

    async def _deliver(self, session: aiohttp.ClientSession, batch: list[dict[str, Any]]) -> None:
        body = json.dumps({"Records": batch}, separators=(",", ":")).encode()
        delivery = random_token(12)
        for pause in (*PAUSES, None):
            status = await self._post(session, delivery, body)
            if 200 <= status < 300:
                metrics.WEBHOOKS.add("delivered", by=len(batch))
                self._dropping = False
                return
            if 300 <= status < 500 and status not in AGAIN:
                metrics.WEBHOOKS.add("refused", by=len(batch))
                log.warning(
                    "a webhook refuses events", extra={"url": self._hook.url, "status": status}
                )
                return
            if pause is not None:
                await asyncio.sleep(pause)
        self._drop(len(batch), "the receiver does not answer")

    async def _post(self, session: aiohttp.ClientSession, delivery: str, body: bytes) -> int:
        """The status that was answered; 0 where none was."""
        stamp = str(int(self._clock().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-Gateway-Delivery": delivery,
            "X-Gateway-Timestamp": stamp,
            "X-Gateway-Signature": signature(self._hook.secret, stamp, body),
        }
        try:
            async with session.post(
                self._hook.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    def _drop(self, count: int, why: str) -> None:
        if not count:
            return
        metrics.WEBHOOKS.add("dropped", by=count)
        if not self._dropping:
            self._dropping = True
            log.error("webhook events are dropped", extra={"url": self._hook.url, "why": why})
