"""The order in which a request is dealt with: who, whether, then bodies, credentials and the upstream."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import load
from gateway.errors import UPSTREAM_SIGNATURE, UpstreamUnavailable
from gateway.identity import Credentials, Identity, Method, Proof, Secret
from gateway.message import Answer, Body, BytesBody, Headers, RequestHead, ResponseHead
from gateway.observe.audit import AuditEvent
from gateway.policy.model import Grant
from gateway.s3.errors import INVALID_TOKEN, S3Error
from gateway.s3.request import S3Request
from gateway.server.exchange import Exchange
from gateway.server.pipeline import Pipeline
from gateway.sigv4.sign import SigningKeys
from gateway.sigv4.verify import Seal
from gateway.snapshot import Snapshot
from gateway.upstream import Endpoint, Outbound
from tests.server.whole_gateway import written

KEYS = Credentials(access_key_id="UPSTREAMKEY", secret=Secret("upstream"))
WRITER = Identity(issuer="test", subject="writer", claims={"groups": ["write"]}, name="w")
READER = replace(WRITER, subject="reader", claims={"groups": ["read"]})


@dataclass
class Steps:
    """Everything behind the pipeline; writes down what is asked of it, in order."""

    done: list[str] = field(default_factory=list)
    sent: list[tuple[Outbound, bytes]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    identity: Identity = WRITER
    refuse: S3Error | None = None

    async def s3(
        self, head: RequestHead, request: S3Request, ex: Exchange
    ) -> tuple[Proof, Seal | None]:
        self.done.append("who")
        if self.refuse is not None:
            raise self.refuse
        return Proof(identity=self.identity, method=Method.BEARER), None

    def admit(self, identity: Identity, peer: str | None, now: datetime) -> Callable[[], None]:
        self.done.append("limits")
        return lambda: self.done.append("released")

    async def get(self, grant: Grant, proof: Proof, now: datetime) -> Credentials:
        self.done.append("credentials")
        return KEYS

    def invalidate(self, grant: Grant, proof: Proof) -> None:
        self.done.append("invalidated")

    async def send(self, endpoint: Endpoint, head: Outbound, body: Body) -> Answer:
        self.done.append("sent")
        self.sent.append((head, b"".join([part async for part in body])))
        return self.answers.pop(0) if self.answers else answer(200)

    async def close(self) -> None:
        pass


class Watched(Body):
    """A body that tells when it is read."""

    def __init__(self, steps: Steps, data: bytes) -> None:
        self._steps, self._data = steps, data
        self.length = len(data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._steps.done.append("body")
        yield self._data


def answer(status: int, body: bytes = b"", *pairs: tuple[str, str]) -> Answer:
    return Answer(head=ResponseHead(status=status, headers=Headers(pairs)), body=BytesBody(body))


def error(code: str, status: int = 403) -> Answer:
    return answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())


@dataclass
class Line:
    """A pipeline over recording parts."""

    steps: Steps
    pipeline: Pipeline
    snapshot: Snapshot
    now: datetime

    def exchange(self) -> Exchange:
        event = AuditEvent(request_id="REQUEST1", time=self.now)
        return Exchange(
            snapshot=self.snapshot,
            now=self.now,
            request_id="REQUEST1",
            event=event,
            clock=lambda: self.now,
        )

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        proof: Proof | None = None,
    ) -> Answer:
        pairs = [("host", "127.0.0.1"), ("content-length", str(len(body))), *headers]
        head = RequestHead(method=method, target=target, headers=Headers(pairs))
        ex = self.exchange()
        try:
            watched = Watched(self.steps, body)
            return await self.pipeline.handle(head, watched, ex, proof=proof)
        finally:
            ex.finish()


@pytest.fixture
def line(tmp_path: Path, now: datetime) -> Line:
    steps = Steps()
    parts: Any = steps
    pipeline = Pipeline(
        authenticate=parts,
        limits=parts,
        sources=parts,
        transport=parts,
        signing_keys=SigningKeys(),
    )
    config = written(tmp_path, port=1, s3=2)
    return Line(steps, pipeline, Snapshot.build(load(config), generation=1), now)


async def test_fwd_1_the_steps_of_an_upload(line: Line) -> None:
    """Identity, limits, decision, credentials; then it is sent, and only sending reads the body."""
    assert (await line.ask("PUT", "/data/k", b"hello")).status == 200
    assert line.steps.done == ["who", "limits", "credentials", "sent", "body", "released"]
    head, body = line.steps.sent[0]
    assert head.target == "/real/team/k"
    assert b"\r\nhello\r\n" in body  # in signed chunks: nobody gave a hash, and there is no TLS
    assert "UPSTREAMKEY" in (head.headers.get("authorization") or "")


async def test_exp_1_what_is_refused_is_never_read(line: Line) -> None:
    """A right that is missing shows before body, credentials and upstream are touched."""
    line.steps.identity = READER
    with pytest.raises(S3Error) as refused:
        await line.ask("PUT", "/data/k", b"hello")
    assert refused.value.code == "AccessDenied"
    assert line.steps.done == ["who", "limits", "released"]


async def test_sig_25_a_wrong_proof_ends_it(line: Line) -> None:
    """Not even the limits of an identity are asked."""
    line.steps.refuse = S3Error(INVALID_TOKEN)
    with pytest.raises(S3Error):
        await line.ask("GET", "/plain/k")
    assert line.steps.done == ["who"]


async def test_pth_3_a_bad_path_is_refused_before_anybody_is_asked(line: Line) -> None:
    """What cannot be parsed has no identity, operation or upstream."""
    with pytest.raises(S3Error):
        await line.ask("GET", "/data/../k")
    assert line.steps.done == []


async def test_pth_18_the_policy_sees_the_clients_names(line: Line) -> None:
    """Rights are decided before names are rewritten: the upstream's own names mean nothing here."""
    for target in ("/real/team/k", "/real/k"):
        with pytest.raises(S3Error) as refused:
            await line.ask("GET", target)
        assert refused.value.code == "AccessDenied"
    await line.ask("PUT", "/data/team/k", b"x")
    assert line.steps.sent[0][0].target == "/real/team/team/k"


async def test_pth_18_a_decision_names_the_clients_bucket(line: Line) -> None:
    """What `judge` gives speaks of what was asked; the mapping comes with `carry`."""
    head = RequestHead(method="GET", target="/data/k", headers=Headers([("host", "127.0.0.1")]))
    ruling = await line.pipeline.judge(head, BytesBody(), line.exchange())
    assert (ruling.request.bucket, ruling.request.key) == ("data", "k")
    assert ruling.operation.name == "GetObject"
    assert line.steps.sent == []


async def test_del_1_only_keys_in_a_body_are_read_before_the_decision(line: Line) -> None:
    """DeleteObjects is decided key by key, so its document comes first; it is sent in the upstream's names."""
    document = b"<Delete><Object><Key>a</Key></Object></Delete>"
    md5 = hashlib.md5(document).digest()
    pairs = [("content-md5", base64.b64encode(md5).decode())]
    line.steps.answers.append(
        answer(200, b"<DeleteResult><Deleted><Key>team/a</Key></Deleted></DeleteResult>")
    )
    made = await line.ask("POST", "/data?delete", document, pairs)
    assert line.steps.done == ["who", "limits", "body", "credentials", "sent", "released"]
    assert b"<Key>team/a</Key>" in line.steps.sent[0][1]
    assert b"team/" not in await made.body.read(10_000)

    line.steps.done.clear()
    line.steps.identity = READER
    refused = await line.ask("POST", "/data?delete", document, pairs)
    assert line.steps.done == ["who", "limits", "body", "released"]  # DEL-7
    assert b"AccessDenied" in await refused.body.read(10_000)


async def test_fwd_12_stale_credentials_are_renewed_once(line: Line) -> None:
    """Invalidated, fetched, sent again; a second refusal is the upstream's outage."""
    line.steps.answers += [error("ExpiredToken"), answer(200, b"v")]
    assert await (await line.ask("GET", "/data/k")).body.read(10) == b"v"
    again = ["credentials", "sent"]
    assert line.steps.done == ["who", "limits", *again, "invalidated", *again, "released"]
    line.steps.answers += [error("ExpiredToken"), error("ExpiredToken")]
    with pytest.raises(UpstreamUnavailable) as caught:
        await line.ask("GET", "/data/k")
    assert caught.value.reason is UPSTREAM_SIGNATURE  # there were credentials: they did not serve


async def test_fwd_12_a_body_that_went_is_not_sent_again(line: Line) -> None:
    """What was taken from the client cannot be taken twice."""
    line.steps.answers.append(error("SignatureDoesNotMatch"))
    with pytest.raises(UpstreamUnavailable) as caught:
        await line.ask("PUT", "/data/k", b"hello")
    assert caught.value.reason is UPSTREAM_SIGNATURE
    assert line.steps.done.count("sent") == 1
    assert line.steps.done.count("invalidated") == 1


async def test_a_proof_of_our_own_is_not_asked_for_again(line: Line) -> None:
    """Shares and forms have shown theirs; the policy still decides."""
    own = Proof(identity=READER, method=Method.BEARER)
    assert (await line.ask("GET", "/data/k", proof=own)).status == 200
    with pytest.raises(S3Error):
        await line.ask("PUT", "/data/k", b"x", proof=own)
    assert "who" not in line.steps.done


async def test_list_buckets_is_answered_here(line: Line) -> None:
    """The names of a person's grants, without credentials or upstream."""
    body = await (await line.ask("GET", "/")).body.read(10_000)
    assert b"<Name>data</Name>" in body
    assert b"<Name>plain</Name>" in body
    assert b"real" not in body
    assert line.steps.done == ["who", "limits", "released"]


GUESTS = """\
rules:
  - name: guests
    match: {claims: {groups: {contains_any: [guests, write]}}}
    grants:
      - {bucket: "lab-*", upstream: s3, target: "${bucket}", credentials: shared, allow: [list]}
"""


@pytest.fixture
def laboratory(line: Line, tmp_path: Path) -> Line:
    """Guests and writers may list the buckets of a pattern too."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy.read_text("utf-8").replace("rules:\n", GUESTS, 1), "utf-8")
    line.snapshot = Snapshot.build(load(tmp_path / "gateway.yaml"), generation=2)
    line.steps.answers.append(error("AccessDenied"))
    return line


async def test_lst_19_where_an_upstream_lists_nothing_named_buckets_are_shown(
    laboratory: Line,
) -> None:
    """Keys without the right to list all buckets are common."""
    body = await (await laboratory.ask("GET", "/")).body.read(10_000)

    assert laboratory.steps.done.count("sent") == 1
    assert b"<Name>data</Name>" in body


async def test_lst_19_where_nothing_is_known_the_list_is_refused(laboratory: Line) -> None:
    """As S3 refuses it, and not as if the storage were down."""
    laboratory.steps.identity = replace(WRITER, claims={"groups": ["guests"]})

    with pytest.raises(S3Error) as refused:
        await laboratory.ask("GET", "/")

    assert (refused.value.status, refused.value.code) == (403, "AccessDenied")
