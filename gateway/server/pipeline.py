"""
The life of an S3 request, top to bottom.

Judge: what is asked, by whom, may they. Handle: where it goes, with which credentials, rewritten,
signed, sent; and the answer's way back. Web page, shares, jobs and the check for nginx use the
same two methods: there is no second way to a decision.

Steps without `await` are pure and raise S3Error to refuse.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from gateway.caches import Cache
from gateway.errors import OTHER_UPSTREAM, UpstreamUnavailable
from gateway.identity import Credentials, Method, Proof
from gateway.message import Answer, Body, BytesBody, RequestHead
from gateway.policy.evaluate import evaluate
from gateway.policy.match import bind
from gateway.policy.model import Decision, Entitlements, Grant
from gateway.s3 import errors as s3
from gateway.s3.bodies import delete_body, nothing_to_delete
from gateway.s3.errors import AccessDenied, S3Error
from gateway.s3.operations import Operation, resolve
from gateway.s3.request import S3Request, parse, with_keys
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
from gateway.sigv4.payload import Payload, Plan
from gateway.sigv4.sign import Signature, SigningKeys, sign
from gateway.upstream import Outbound, Transport
from gateway.upstream.resolve import endpoint_for, upstream_for

if TYPE_CHECKING:
    from gateway.identity import Identity
    from gateway.server.authenticate import Authenticator
    from gateway.server.exchange import Exchange
    from gateway.server.limits import Limits
    from gateway.snapshot import Snapshot

DELETE_BODY_MAX = 2 * 1024 * 1024  # bytes: 1 000 keys of 1 024 bytes and their XML
SMALL_BODY_MAX = 2 * 1024 * 1024  # bytes of a configuration document that is checked before it is sent
ENTITLEMENTS = 10_000  # identities whose rules are kept bound


class Sources(Protocol):
    """Where credentials for an upstream come from."""

    async def get(self, grant: Grant, proof: Proof, now: datetime) -> Credentials: ...

    def invalidate(self, grant: Grant, proof: Proof) -> None: ...


@dataclass(slots=True, kw_only=True)
class Ruling:
    """What was asked, by whom, and that they may."""

    request: S3Request
    proof: Proof
    operation: Operation
    payload: Payload
    decision: Decision

    @property
    def grant(self) -> Grant:
        grant = self.decision.grant
        assert grant is not None  # noqa: S101 # an allowed decision has one; ListBuckets is answered before
        return grant


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
        payload = Payload(body, request.headers, seal)
        payload.check(operation)
        if operation.keys_in_body:  # DEL-1: the only body read before a decision
            request = with_keys(request, await payload.read(DELETE_BODY_MAX))

        entitlements = self.entitlements(proof.identity, ex.snapshot)
        decision = evaluate(entitlements, operation, request)
        ex.event.decided(request, proof, operation, decision)
        if not decision.allowed:
            raise refused(decision)
        return Ruling(
            request=request,
            proof=proof,
            operation=operation,
            payload=payload,
            decision=decision,
        )

    async def handle(
        self, head: RequestHead, body: Body, ex: Exchange, *, proof: Proof | None = None
    ) -> Answer:
        """The whole: judged, sent on, and the answer in the client's names. Raises what `judge` does, and UpstreamError."""
        ruling = await self.judge(head, body, ex, proof=proof)
        if ruling.operation.answered_here:
            return await self._buckets(ruling, ex)
        return await self.carry(ruling, ex)

    async def carry(self, ruling: Ruling, ex: Exchange) -> Answer:
        """The second half: sends a ruling's request on and brings back the answer."""
        upstream = self.upstream(ruling.grant, ruling.request.bucket, ex.snapshot)
        view = self._view(ruling, upstream, ex)
        sending = prepare(ruling, upstream)
        if sending is None:  # DEL-7: nothing is left to ask for
            return nothing_to_delete(view)
        try:
            return await self._send(sending, ruling, upstream, view, ex)
        except RenewCredentials as stale:
            # They speak of our signature: new credentials, and once more where nothing was taken.
            self._sources.invalidate(ruling.grant, ruling.proof)
            if sending.taken():
                raise UpstreamUnavailable(str(stale)) from stale
        try:
            return await self._send(sending, ruling, upstream, view, ex)
        except RenewCredentials as stale:
            raise UpstreamUnavailable(str(stale)) from stale

    async def _send(
        self, sending: Sending, ruling: Ruling, upstream: Upstream, view: View, ex: Exchange
    ) -> Answer:
        credentials = await self._sources.get(ruling.grant, ruling.proof, ex.now)
        signature = self._sign(sending, credentials, upstream, ex.clock())
        answer = await self._transport.send(
            endpoint_for(upstream, ex.snapshot.upstreams),
            Outbound(
                method=sending.outgoing.method,
                target=sending.outgoing.target,
                headers=signature.headers,
            ),
            sending.body(signature),
        )
        ex.event.upstream_answered(upstream, answer.status, upstream_request_id(answer))
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
        )

    async def _buckets(self, ruling: Ruling, ex: Exchange) -> Answer:
        """ListBuckets: the names granted and, for patterns, what their upstreams list for this person."""
        entitlements = self.entitlements(ruling.proof.identity, ex.snapshot)
        found = dict.fromkeys(entitlements.named_buckets(), "")
        seen: set[tuple[object, ...]] = set()
        for grant in entitlements.patterns():
            if grant.route in seen or not grant.pattern:
                continue
            seen.add(grant.route)
            for name, created in await self._listed(grant, ruling, ex):
                view = entitlements.view(name)
                if view.grants and entitlements.shows(name):
                    found.setdefault(name, created)
        return list_buckets(
            sorted(found.items()), ruling.request, as_json=wants_json(ruling.request)
        )

    async def _listed(
        self, grant: Grant, ruling: Ruling, ex: Exchange
    ) -> list[tuple[str, str]]:
        """What the upstream of a pattern lists with this person's credentials."""
        upstream = replace(upstream_for(grant, ex.snapshot.upstreams, ""), bucket="", prefix="")
        credentials = await self._sources.get(grant, ruling.proof, ex.now)
        answer = await self._transport.send(
            endpoint_for(upstream, ex.snapshot.upstreams),
            self._plain_get(upstream, credentials, ex.clock()),
            NO_BODY,
        )
        return await listed_buckets(answer)
