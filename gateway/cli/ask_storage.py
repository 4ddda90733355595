"""
Whether objects can be had: the upstreams, the sources of credentials, and the buckets of the rules.

Each bucket is listed once, as for a grant that leads there, with the grant's own credentials:
this is what the first person to open it would do. What is had for somebody's sign-in is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from gateway.cli.findings import Finding, clock
from gateway.config.model import UpstreamConfig
from gateway.errors import GatewayError, UpstreamError
from gateway.identity import ANONYMOUS, SERVICE_ISSUER, Credentials, Identity, Method, Proof, Secret
from gateway.message import NO_BODY, BodyTooLarge, Headers
from gateway.policy.match import TEMPLATE
from gateway.policy.model import Grant, GrantRule
from gateway.s3 import xml
from gateway.s3.names import encode_query
from gateway.s3.refusals import ERROR_MAX, OURS
from gateway.sigv4.sign import EMPTY_HASH, SigningKeys, sign
from gateway.snapshot import Snapshot
from gateway.upstream import Outbound
from gateway.upstream.aws import Aws
from gateway.upstream.pool import Pool
from gateway.upstream.resolve import endpoint_of, upstream_for
from gateway.upstream.sources import CredentialSources

_WHO: Final = "gateway-check"
_SOMEBODY: Final = Proof(
    identity=Identity(issuer=SERVICE_ISSUER, subject=_WHO, claims={}), method=Method.SIGNATURE
)
_NOT_ASKED: Final[Mapping[str, str]] = {
    "web_identity": "had for each person's sign-in, so not asked for now",
    "cognito_identity": "had for each person's sign-in, so not asked for now",
}
"""Kinds of credentials of which nothing can be asked without somebody."""
_SAYS_NOTHING: Final[Mapping[str, str]] = {
    "static": "as configured; the upstream judges them",
    "anonymous": "requests go unsigned",
}
"""Kinds of which asking tells nothing: they are what the file says."""


async def ask_storage(snapshot: Snapshot, now: datetime) -> list[Finding]:
    """The upstreams, the sources of credentials, and the buckets that both lead to."""
    pool = Pool()
    sources = CredentialSources(snapshot.config, Aws(), _nobodys_token, lambda: now)
    try:
        upstreams = {
            name: await ask_upstream(pool, name, config, now)
            for name, config in snapshot.config.upstreams.items()
        }
        findings = list(upstreams.values())
        had: set[str] = set()
        for name in snapshot.config.credentials:
            findings.append(await _ask_source(sources, name, snapshot, now, had))
        for rule in _places(snapshot):
            if rule.credentials in had and not upstreams[rule.upstream].bad:
                place = _Place(rule, snapshot.config.upstreams[rule.upstream], pool)
                findings.append(await place.listed(sources, now))
    finally:
        await sources.close()
        await pool.close()
    return findings


async def ask_upstream(pool: Pool, name: str, config: UpstreamConfig, now: datetime) -> Finding:
    """Whether something answers there; what it answers to a stranger says nothing."""
    about = f"upstream {name}"
    endpoint = endpoint_of(config)
    head = Outbound(method="GET", target="/", headers=Headers([("host", endpoint.authority)]))
    try:
        answer = await pool.send(endpoint, head, NO_BODY)
    except UpstreamError as why:
        return Finding(about, f"{config.url} does not answer: {why}", True)
    await answer.body.close()
    for finding in clock(about, answer.head.headers.get("date"), now):
        return finding
    return Finding(about, f"{config.url} answers")


# Credentials


async def _ask_source(
    sources: CredentialSources,
    name: str,
    snapshot: Snapshot,
    now: datetime,
    had: set[str],
) -> Finding:
    """Whether they can be had, as for a grant; `had` gets their name then."""
    about = f"credentials {name}"
    kind = snapshot.config.credentials[name].type
    if kind in _NOT_ASKED:
        return Finding(about, _NOT_ASKED[kind])
    rules = (grant for rule in snapshot.policy.rules for grant in rule.grants)
    rule = next((grant for grant in rules if grant.credentials == name), None)
    if rule is None:
        return Finding(about, "no rule uses them, so not asked for")
    try:
        credentials = await sources.get(_bound(rule), _SOMEBODY, now)
    except GatewayError as error:
        return Finding(about, f"cannot be had: {error}", True)
    had.add(name)
    return Finding(about, _SAYS_NOTHING.get(kind) or f"had: access key {credentials.access_key_id}")


async def _nobodys_token(_proof: Proof) -> Secret | None:
    return None


def _bound(rule: GrantRule) -> Grant:
    """The grant as somebody has it whose every claim is our own name."""
    return Grant(
        bucket=_WHO,
        keys=tuple(_filled(key) for key in rule.keys),
        actions=rule.actions,
        upstream=rule.upstream,
        target_bucket=_filled(rule.target_bucket),
        target_prefix=_filled(rule.target_prefix),
        credentials=rule.credentials,
        rule="",
        session_name=_filled(rule.session_name),
        source_identity=_filled(rule.source_identity),
        tags=tuple((tag, _filled(value)) for tag, value in rule.tags),
        scope_down=rule.scope_down,
    )


def _filled(template: str) -> str:
    return TEMPLATE.sub(_WHO, template)


# Buckets


def _lists(rule: GrantRule) -> bool:
    return "s3:ListBucket" in rule.actions


def _places(snapshot: Snapshot) -> Iterator[GrantRule]:
    """One grant for each bucket that is named outright; where there are several, one that lists."""
    chosen: dict[tuple[str, str, str], GrantRule] = {}
    for rule in snapshot.policy.rules:
        for grant in rule.grants:
            place = (grant.upstream, grant.target_bucket, grant.credentials)
            named = not TEMPLATE.search(grant.target_bucket)
            if named and (place not in chosen or (_lists(grant) and not _lists(chosen[place]))):
                chosen[place] = grant
    yield from chosen.values()


@final
@dataclass(frozen=True, slots=True)
class _Place:
    """A bucket, as a grant leads to it."""

    rule: GrantRule
    config: UpstreamConfig
    pool: Pool

    @property
    def _about(self) -> str:
        return f"bucket {self.rule.target_bucket}"

    async def listed(self, sources: CredentialSources, now: datetime) -> Finding:
        """What a list with the credentials of the grant comes to."""
        grant = _bound(self.rule)
        try:
            # Narrowed to a grant they are others for each.
            credentials = await sources.get(grant, _SOMEBODY, now)
        except GatewayError as error:
            return Finding(self._about, f"no credentials for this grant: {error}", True)
        upstream = upstream_for(grant, {self.rule.upstream: self.config}, _WHO)
        query = encode_query(
            [("list-type", "2"), ("max-keys", "1"), ("prefix", grant.target_prefix)]
        )
        signed = sign(
            method="GET",
            path=upstream.bucket_path,
            query=query,
            host=upstream.request_host,
            headers=Headers(),
            credentials=credentials,
            region=upstream.region,
            now=now,
            payload=EMPTY_HASH,
            keys=SigningKeys(),
        )
        target = f"{upstream.bucket_path}?{query}"
        head = Outbound(method="GET", target=target, headers=signed.headers)
        try:
            answer = await self.pool.send(endpoint_of(self.config), head, NO_BODY)
            try:
                code, region = _said(answer.status, await answer.body.read(ERROR_MAX))
            finally:
                await answer.body.close()
        except (UpstreamError, BodyTooLarge) as why:
            return Finding(self._about, f"cannot be listed: {why}", True)
        region = answer.head.headers.get("x-amz-bucket-region") or region
        return self._finding(answer.status, code, region, credentials)

    def _finding(self, status: int, code: str, region: str, credentials: Credentials) -> Finding:
        rule, about = self.rule, self._about
        if status == 200:
            return Finding(about, f"is at {rule.upstream}, and {rule.credentials} may list it")
        if code == "NoSuchBucket" or status == 404:
            return Finding(about, f"there is no such bucket at {rule.upstream}", True)
        if region and region != self.config.region:
            text = f"it is in the region {region}: set upstreams.{rule.upstream}.region"
            return Finding(about, text, True)
        if code in OURS:
            text = f"{rule.upstream} does not accept the credentials {rule.credentials}: {code}"
            return Finding(about, text, True)
        if status == 403 and not _lists(rule):
            return Finding(about, f"{rule.credentials} may not list it, and no rule lets anybody")
        if status == 403:
            who = "strangers" if credentials is ANONYMOUS else f"the credentials {rule.credentials}"
            text = f"{who} may not list it ({code or status}): allow them s3:ListBucket there"
            return Finding(about, text, True)
        return Finding(about, f"{rule.upstream} answers {status} {code}".strip(), True)


def _said(status: int, body: bytes) -> tuple[str, str]:
    """Code and region of an S3 error; empty where it says neither."""
    if status == 200:
        return "", ""
    try:
        root = xml.parse(body)
        return root.one("Code") or "", root.one("Region") or ""
    except xml.XMLError:
        return "", ""
