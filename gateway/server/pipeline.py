"""
The life of an S3 request, top to bottom.

Judge: what is asked, by whom, may they. Handle: where it goes, with which credentials, rewritten,
signed, sent; and the answer's way back. Web page, shares, jobs and the check for nginx use the
same two methods: there is no second way to a decision.

Steps without `await` are pure and raise S3Error to refuse.
"""

from __future__ import annotations

from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from gateway.caches import Cache
from gateway.errors import (
    UPSTREAM_SIGNATURE,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.identity import Credentials, Proof
from gateway.message import (
    NO_BODY,
    Answer,
    Body,
    BodyTooLarge,
    Headers,
    Pairs,
    RequestHead,
)
from gateway.observe.metrics import UPSTREAM_ERRORS, UPSTREAM_SECONDS
from gateway.policy.evaluate import evaluate
from gateway.policy.match import bind
from gateway.policy.model import Decision, Entitlements, Grant
from gateway.records import Record, Struct, replace
from gateway.s3 import errors as s3
from gateway.s3 import resume, xml
from gateway.s3.bodies import delete_body, nothing_to_delete, restore_body
from gateway.s3.buckets import list_buckets
from gateway.s3.errors import AccessDenied, S3Error
from gateway.s3.operations import On, Operation, resolve
from gateway.s3.request import DeleteEntry, S3Request, parse, with_keys
from gateway.s3.rewrite import (
    HeaderEdits,
    Outgoing,
    RenewCredentials,
    Upstream,
    View,
    inbound,
    outbound,
    upstream_request_id,
)
from gateway.s3.table import Body as Rewriting
from gateway.server import offload
from gateway.sigv4.payload import Payload, Plan
from gateway.sigv4.sign import EMPTY_HASH, Signature, SigningKeys, presign, sign
from gateway.upstream import Outbound, Transport
from gateway.upstream.resolve import endpoint_for, upstream_for

if TYPE_CHECKING:
    from gateway.identity import Identity
    from gateway.observe.tracing import Trace
    from gateway.server.authenticate import Authenticator
    from gateway.server.exchange import Exchange
    from gateway.server.limits import Limits
    from gateway.snapshot import Snapshot

DELETE_BODY_MAX = 2 * 1024 * 1024  # bytes: 1 000 keys of 1 024 bytes and their XML
SMALL_BODY_MAX = (
    2 * 1024 * 1024
)  # bytes of a configuration document that is checked before it is sent
LIST_MAX = 8 * 1024 * 1024  # bytes of an upstream's list of buckets
ENTITLEMENTS = 10_000  # identities whose rules are kept bound


class Sources(Protocol):
    """Where credentials for an upstream come from."""

    async def get(self, grant: Grant, proof: Proof, now: datetime) -> Credentials: ...

    def invalidate(self, grant: Grant, proof: Proof) -> None: ...


class Ruling(Struct, kw_only=True):
    """What was asked, by whom, and that they may."""

    request: S3Request
    proof: Proof
    operation: Operation
    payload: Payload
    decision: Decision
    kept: S3Request
    """The request without what was refused of it (DEL-3)."""
    refused: tuple[tuple[DeleteEntry, str, str], ...] = ()
    """What was refused: entry, code, message."""

    @property
    def grant(self) -> Grant:
        grant = self.decision.grant
        assert grant is not None  # an allowed decision has one; ListBuckets is answered before
        return grant


class Sending(Record, frozen=True, kw_only=True):
    """A request as it goes upstream, but for its signature."""

    outgoing: Outgoing
    plan: Plan
    payload: Payload

    def head(self, signature: Signature, trace: Trace | None = None) -> Outbound:
        headers = signature.headers
        if trace is not None:  # unsigned: whatever is between may change it (SIG-23)
            headers = Headers((*headers.pairs, *trace.headers()))
        return Outbound(method=self.outgoing.method, target=self.outgoing.target, headers=headers)

    @property
    def repeatable(self) -> bool:
        """It may be sent once more: nothing of the client's body has gone (FWD-12)."""
        return self.plan.how == "bytes" or not self.payload.taken


async def prepare(
    ruling: Ruling, upstream: Upstream, source: Upstream | None, *, signed: bool
) -> Sending:
    """The upstream request of a ruling, from its values (FWD-1). Raises S3Error."""
    payload = ruling.payload
    secure = upstream.scheme == "https"
    data: bytes | None = None
    edits: Pairs = ()
    if ruling.operation.keys_in_body:
        data, edits = delete_body(ruling.kept, upstream)
    elif _may_name_a_bucket(ruling, upstream):
        data = restore_body(await payload.read(SMALL_BODY_MAX))
    elif payload.must_read(upstream.payload, secure=secure, signed=signed):
        data = await payload.read(SMALL_BODY_MAX)
    plan = payload.plan(upstream.payload, secure=secure, bytes_out=data, signed=signed)
    outgoing = outbound(
        ruling.kept,
        ruling.operation,
        upstream,
        HeaderEdits(set=(*plan.set, *edits), drop=plan.drop)
        if plan.set or plan.drop or edits
        else None,
        source,
    )
    return Sending(outgoing=outgoing, plan=plan, payload=payload)


def _may_name_a_bucket(ruling: Ruling, upstream: Upstream) -> bool:
    """A restore may write into a bucket, which is called otherwise upstream (OPS-11)."""
    restores = ruling.operation.body_out is Rewriting.RESTORE
    return restores and not upstream.identity(ruling.request.bucket)


class Pipeline:
    """Judges and carries S3 requests."""

    def __init__(
        self,
        *,
        authenticate: Authenticator,
        limits: Limits,
        sources: Sources,
        transport: Transport,
        signing_keys: SigningKeys,
    ) -> None:
        self._authenticate = authenticate
        self._limits = limits
        self._sources = sources
        self._transport = transport
        self._signing_keys = signing_keys
        self._entitlements: Cache[tuple[int, str], Entitlements] = Cache(
            "entitlements", size=ENTITLEMENTS, seconds=3600
        )
        self._upstreams: Cache[tuple[int, Grant, str], Upstream] = Cache(
            "upstreams", size=ENTITLEMENTS, seconds=3600
        )

    async def judge(
        self, head: RequestHead, body: Body, ex: Exchange, *, proof: Proof | None = None
    ) -> Ruling:
        """
        The first half: may this be done? Raises S3Error, AccessDenied.

        `proof` is given by callers of our own (shares, jobs), who have shown it elsewhere.
        """
        request = parse(head, ex.snapshot.hosts)
        ex.event.asked(request)
        if proof is None:
            proof, seal = await self._authenticate.s3(head, request, ex)
        else:
            seal = None
        ex.proof = proof
        ex.event.identified(proof)
        ex.hold(self._limits.admit(proof.identity, head.peer, ex.now))
        operation = resolve(request)
        ex.event.operation = operation.name
        if proof.identity.anonymous and any(n.startswith("response-") for n, _ in request.params):
            raise S3Error(
                s3.INVALID_REQUEST, "Anonymous requests cannot override headers."
            )  # PRE-10
        payload = Payload(body, request.headers, seal)
        payload.check(operation)
        if operation.keys_in_body:  # DEL-1: the only body read before a decision
            request = with_keys(request, await payload.read(DELETE_BODY_MAX))

        entitlements = self.entitlements(proof.identity, ex.snapshot)
        decision = evaluate(entitlements, operation, request)
        ex.event.decided(operation, decision)
        if not decision.allowed:
            raise refused(decision)
        return Ruling(
            request=request,
            proof=proof,
            operation=operation,
            payload=payload,
            decision=decision,
            kept=decision.kept(request),
            refused=_refused_entries(decision, request) if operation.keys_in_body else (),
        )

    async def handle(
        self, head: RequestHead, body: Body, ex: Exchange, *, proof: Proof | None = None
    ) -> Answer:
        """The whole: judged, sent on, and the answer in the client's names. Raises what `judge` does, and UpstreamError."""
        ruling = await self.judge(head, body, ex, proof=proof)
        if ruling.operation.answered_here:
            return await self._buckets(ruling, ex)
        if offload.wanted(ruling, head, ex.snapshot):
            answer = await self._handed_over(ruling, head, ex)
            if answer is not None:
                return answer
        answer = await self.carry(ruling, ex)
        if answer.status == 206 and not resume.joins(ruling.request.headers, answer.head.headers):
            await answer.body.close()
            kept = resume.whole(ruling.kept)
            answer = await self.carry(replace(ruling, request=kept, kept=kept), ex)
        return answer

    async def _handed_over(self, ruling: Ruling, head: RequestHead, ex: Exchange) -> Answer | None:
        """The answer that lets nginx or the client move the bytes; None where it cannot be done."""
        server = ex.snapshot.config.server
        if server.offload == "x-accel":
            outbound, upstream = await self.signed(ruling, ex)
            answer = offload.accel(head, outbound, upstream, server.offload_location)
        else:
            answer = offload.redirect(await self.presigned(ruling, ex, offload.EXPIRES))
        if answer is not None:
            ex.event.note("offloaded")
        return answer

    async def carry(self, ruling: Ruling, ex: Exchange) -> Answer:
        """The second half: sends a ruling's request on and brings back the answer."""
        upstream = self.upstream(ruling.grant, ruling.request.bucket, ex.snapshot)
        view = self._view(ruling, upstream, ex)
        if ruling.operation.keys_in_body and not ruling.kept.body_keys:
            return nothing_to_delete(view)  # DEL-7
        credentials = await self._sources.get(ruling.grant, ruling.proof, ex.now)
        sending = await prepare(
            ruling, upstream, self._source(ruling, ex), signed=not credentials.anonymous
        )
        try:
            return await self._send(sending, credentials, upstream, view, ex)
        except RenewCredentials as stale:
            # They speak of our signature: new credentials, and once more where nothing was taken.
            self._sources.invalidate(ruling.grant, ruling.proof)
            if not sending.repeatable:
                raise UpstreamUnavailable(str(stale), why=UPSTREAM_SIGNATURE) from stale
        credentials = await self._sources.get(ruling.grant, ruling.proof, ex.now)
        try:
            return await self._send(sending, credentials, upstream, view, ex)
        except RenewCredentials as stale:
            raise UpstreamUnavailable(str(stale), why=UPSTREAM_SIGNATURE) from stale

    async def signed(self, ruling: Ruling, ex: Exchange) -> tuple[Outbound, Upstream]:
        """The signed head of a ruling's request, for a proxy that moves the bytes by itself."""
        upstream = self.upstream(ruling.grant, ruling.request.bucket, ex.snapshot)
        credentials = await self._sources.get(ruling.grant, ruling.proof, ex.now)
        sending = await prepare(
            ruling, upstream, self._source(ruling, ex), signed=not credentials.anonymous
        )
        signature = self._sign(sending, credentials, upstream, ex.clock())
        ex.event.sent(upstream)
        return sending.head(signature), upstream

    async def presigned(self, ruling: Ruling, ex: Exchange, expires: int) -> str:
        """A URL of the upstream for a ruling's request without a body, good for `expires` seconds."""
        upstream = self.upstream(ruling.grant, ruling.request.bucket, ex.snapshot)
        credentials = await self._sources.get(ruling.grant, ruling.proof, ex.now)
        outgoing = outbound(ruling.kept, ruling.operation, upstream)
        query = presign(
            method=outgoing.method,
            path=outgoing.path,
            query=outgoing.query,
            host=outgoing.host,
            credentials=credentials,
            region=upstream.region,
            now=ex.clock(),
            expires=expires,
            keys=self._signing_keys,
        )
        ex.event.sent(upstream)
        url = f"{upstream.scheme}://{outgoing.host}{outgoing.path}"
        return f"{url}?{query}" if query else url

    def _source(self, ruling: Ruling, ex: Exchange) -> Upstream | None:
        """What serves the source of a copy or a rename."""
        for outcome in ruling.decision.outcomes:
            if outcome.requirement.on in (On.COPY_SOURCE, On.RENAME_SOURCE) and outcome.grant:
                return self.upstream(outcome.grant, outcome.requirement.name.bucket, ex.snapshot)
        return None

    async def _send(
        self,
        sending: Sending,
        credentials: Credentials,
        upstream: Upstream,
        view: View,
        ex: Exchange,
    ) -> Answer:
        # Signed at the moment it is sent (FWD-1): waiting for credentials may have taken long.
        signature = self._sign(sending, credentials, upstream, ex.clock())
        ex.event.sent(upstream)
        began = perf_counter()
        try:
            answer = await self._transport.send(
                endpoint_for(upstream, ex.snapshot.upstreams),
                sending.head(signature, ex.trace),
                sending.payload.stream(sending.plan, signature),
            )
        except UpstreamError as error:
            UPSTREAM_ERRORS.add(upstream.name, kind_of(error))
            raise
        ex.upstream_seconds = perf_counter() - began
        UPSTREAM_SECONDS.observe(upstream.name, seconds=ex.upstream_seconds)
        ex.event.upstream_answered(answer.status, upstream_request_id(answer))
        ex.event.size = sending.payload.size
        return await inbound(answer, view)

    def _sign(
        self, sending: Sending, credentials: Credentials, upstream: Upstream, now: datetime
    ) -> Signature:
        outgoing = sending.outgoing
        return sign(
            method=outgoing.method,
            path=outgoing.path,
            query=outgoing.query,
            host=outgoing.host,
            headers=outgoing.headers,
            credentials=credentials,
            region=upstream.region,
            now=now,
            payload=sending.plan.token,
            keys=self._signing_keys,
        )

    def entitlements(self, identity: Identity, snapshot: Snapshot) -> Entitlements:
        """The rules that hold for an identity: bound once for a snapshot, then looked up."""
        key = (snapshot.generation, identity.fingerprint)
        found = self._entitlements.get(key)
        if found is None:
            found = bind(snapshot.policy, identity)
            self._entitlements.put(key, found)
        return found

    def forget(self) -> None:
        """Another snapshot is in force: what was bound to the old ones would hold them in memory."""
        self._entitlements.clear()
        self._upstreams.clear()

    def upstream(self, grant: Grant, bucket: str, snapshot: Snapshot) -> Upstream:
        """What serves a grant for a bucket, looked up after the first time."""
        key = (snapshot.generation, grant, bucket)
        found = self._upstreams.get(key)
        if found is None:
            found = upstream_for(grant, snapshot.upstreams, bucket)
            self._upstreams.put(key, found)
        return found

    def _view(self, ruling: Ruling, upstream: Upstream, ex: Exchange) -> View:
        return View(
            request=ruling.request,
            operation=ruling.operation,
            upstream=upstream,
            request_id=ex.request_id,
            public_url=ex.snapshot.public_url,
            visible=ruling.decision.visible,
            as_json=wants_json(ruling.request),
            refused=ruling.refused,
            failed=ex.event.refused,
        )

    async def _buckets(self, ruling: Ruling, ex: Exchange) -> Answer:
        """ListBuckets: the names granted and, for patterns, what their upstreams list for this person."""
        entitlements = self.entitlements(ruling.proof.identity, ex.snapshot)
        found = dict.fromkeys(entitlements.named_buckets(), "")
        asked: set[tuple[object, ...]] = set()
        closed = False
        for grant in entitlements.patterns():
            if grant.route in asked:
                continue
            asked.add(grant.route)
            names = await self._listed(grant, ruling.proof, ex)
            closed = closed or names is None
            for name, created in names or ():
                if entitlements.shows(name):
                    found.setdefault(name, created)
        if closed and not found:  # LST-19: nothing is known, which is not the same as no buckets
            raise S3Error(s3.ACCESS_DENIED)
        return list_buckets(
            sorted(found.items()), ruling.request, as_json=wants_json(ruling.request)
        )

    async def _listed(
        self, grant: Grant, proof: Proof, ex: Exchange
    ) -> list[tuple[str, str]] | None:
        """Names and dates of the buckets that a pattern's upstream lists with this person's credentials."""
        upstream = self.upstream(grant, "", ex.snapshot)
        credentials = await self._sources.get(grant, proof, ex.now)
        signature = sign(
            method="GET",
            path="/",
            query="",
            host=upstream.authority,
            headers=Headers(),
            credentials=credentials,
            region=upstream.region,
            now=ex.clock(),
            payload=EMPTY_HASH,
            keys=self._signing_keys,
        )
        answer = await self._transport.send(
            endpoint_for(upstream, ex.snapshot.upstreams),
            Outbound(method="GET", target="/", headers=signature.headers),
            NO_BODY,
        )
        try:
            return await listed(answer)
        finally:
            await answer.body.close()


def refused(decision: Decision) -> S3Error:
    """What a refusal is told as: NotImplemented only where rights are not what is missing (CPY-6)."""
    if decision.other_upstream:
        return S3Error(s3.NOT_IMPLEMENTED, decision.outcomes[-1].sentence)
    return AccessDenied(decision)


def _refused_entries(
    decision: Decision, request: S3Request
) -> tuple[tuple[DeleteEntry, str, str], ...]:
    """Entries of DeleteObjects that do not go on: refused by policy, or by their very name (DEL-10)."""
    by_name = tuple((entry, row.code, row.message) for entry, row in request.refused)
    return (*decision.refused_entries(request), *by_name)


def wants_json(request: S3Request) -> bool:
    """Lists are written as JSON for whoever asks for it and not for XML (LST-15)."""
    return "application/json" in (request.headers.get("accept") or "")


def kind_of(error: UpstreamError) -> str:
    """The word of the metric for what an upstream did wrong."""
    match error:
        case UpstreamUnavailable():
            return "unavailable"
        case UpstreamTimeout():
            return "timeout"
        case _:
            return "protocol"


async def listed(answer: Answer) -> list[tuple[str, str]] | None:
    """Names and dates in an upstream's ListBuckets; None where it lists none to us. Raises UpstreamError."""
    if answer.status == 403:
        return None
    if answer.status != 200:
        raise UpstreamUnavailable(f"ListBuckets was answered {answer.status}")
    try:
        root = xml.parse(await answer.body.read(LIST_MAX), limit=LIST_MAX)
        return [
            (bucket.one("Name") or "", bucket.one("CreationDate") or "")
            for buckets in root.all("Buckets")
            for bucket in buckets.all("Bucket")
        ]
    except (xml.XMLError, BodyTooLarge) as broken:
        raise UpstreamProtocolError("ListBuckets cannot be read") from broken
