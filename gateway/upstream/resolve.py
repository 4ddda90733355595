"""
Where a grant leads: the Upstream that serves it, and what narrows credentials to it.

A role assumed for somebody is told who they are (session name, source identity, tags) and, with
`scope_down`, what the grant gives and no more: a session policy that is at most as wide as our
own decision, or a refusal. It never gets wider because it does not fit.

Sources: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html;
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b32encode
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.config.model import UpstreamConfig
from gateway.errors import SCOPE_TOO_LARGE, Reason
from gateway.identity import Identity
from gateway.policy.model import Grant
from gateway.s3.errors import AccessDenied
from gateway.s3.mapping import Upstream
from gateway.s3.operations import ACTIONS, OPERATIONS, On
from gateway.upstream import Endpoint

POLICY_MAX: Final = 2048  # characters of a session policy with the ARNs of managed ones
NAME_MAX: Final = 64  # characters of a role session name or source identity
NAME_HASH: Final = 8  # of them a hash: 40 bits, so that two people never share a name
ENDPOINTS_MAX: Final = 256  # endpoints remembered; a reload brings new ones

_NOT_IN_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
_SOURCE_IDENTITY = re.compile(r"(?!aws:)[\w+=,.@-]{2,64}", re.ASCII)
_NOT_IN_POLICY = re.compile(r"[^\t\n\r\x20-\xff]")
_ESCAPES = {ord(char): f"${{{char}}}" for char in "$*?"}
_STARS = re.compile(r"(\*+)")

_NEEDS = [(need, row) for row in OPERATIONS.values() if not row.never for need in row.needs]
_ON_BUCKET = frozenset(need.action for need, _ in _NEEDS if need.on in (On.BUCKET, On.LISTED))
_ON_NOTHING = frozenset(need.action for need, _ in _NEEDS if need.on is On.NOTHING)
_ON_OBJECTS = ACTIONS - _ON_BUCKET - _ON_NOTHING
_BY_PREFIX = ("s3:ListBucket", "s3:ListBucketVersions")
"""The lists that AWS lets a policy bind to a prefix; ListBucketMultipartUploads shows all."""
_OF_NO_PREFIX = frozenset(
    need.action for need, row in _NEEDS if row.prefixed and not row.lists and need.on is On.BUCKET
).difference(_BY_PREFIX)
"""What may be asked of a bucket through a prefix of it, and says nothing of the others (OPS-10)."""
_EVERY_BUCKET: Mapping[str, Any] = {
    "Effect": "Allow",
    "Action": "s3:ListAllMyBuckets",
    "Resource": "*",
}
_KMS: Mapping[str, Any] = {
    "Effect": "Allow",
    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
    "Resource": "*",
    "Condition": {"StringLike": {"kms:ViaService": "s3.*"}},
}
"""A session policy takes away the keys of encrypted buckets too, unless it gives them back."""


class CredentialsRefused(AccessDenied):
    """This grant cannot be served for this person: not the upstream's fault, and no retry helps."""

    def __init__(self, why: Reason, **detail: str) -> None:
        sentence = why.sentence
        for name, value in detail.items():
            sentence = sentence.replace("{" + name + "}", value)
        super().__init__(None, sentence, reason=why)


# Where it leads


def upstream_for(
    grant: Grant, upstreams: Mapping[str, UpstreamConfig], client_bucket: str
) -> Upstream:
    """What serves a grant when a client names this bucket. Slow enough to be remembered."""
    config = upstreams[grant.upstream]
    grant = grant.named(client_bucket)
    endpoint = endpoint_of(config)
    return Upstream(
        name=grant.upstream,
        scheme=endpoint.scheme,
        host=endpoint.host,
        port=endpoint.port,
        authority=endpoint.authority,
        region=config.region,
        addressing=config.style,
        payload=config.payload,
        bucket=grant.target_bucket,
        prefix=grant.target_prefix,
        credentials=grant.credentials,
        expected_owner=config.expected_owner,
        requester_pays=config.requester_pays,
    )


def endpoint_for(upstream: Upstream, upstreams: Mapping[str, UpstreamConfig]) -> Endpoint:
    """Where to connect for an upstream: from the configuration alone (SSR-1)."""
    return endpoint_of(upstreams[upstream.name])


_ENDPOINTS: dict[int, tuple[UpstreamConfig, Endpoint]] = {}


def endpoint_of(config: UpstreamConfig) -> Endpoint:
    """The endpoint of a section; found by the section's identity, since hashing one takes longer."""
    known = _ENDPOINTS.get(id(config))
    if known is not None and known[0] is config:
        return known[1]
    url = urlsplit(config.url)
    endpoint = Endpoint(
        scheme=url.scheme,
        host=url.hostname or "",
        port=url.port or (443 if url.scheme == "https" else 80),
        ca=None if config.ca is None else str(config.ca),
        connect_timeout=config.connect_timeout.total_seconds(),
        head_timeout=config.head_timeout.total_seconds(),
        idle_timeout=config.idle_timeout.total_seconds(),
        max_connections=config.max_connections,
    )
    if len(_ENDPOINTS) >= ENDPOINTS_MAX:
        _ENDPOINTS.clear()
    _ENDPOINTS[id(config)] = (config, endpoint)
    return endpoint


# Who they are


def session_name(text: str, identity: Identity) -> str:
    """
    A role session name (AWS-1): readable, in the alphabet of STS, of one person only.

    `text` is the rendered template; what STS does not take is left out of it.
    """
    person = json.dumps([identity.issuer, identity.subject])
    digest = hashlib.sha256(person.encode("utf-8", "surrogatepass")).digest()
    suffix = b32encode(digest).decode()[:NAME_HASH]
    return f"{_NOT_IN_NAME.sub('', text)[: NAME_MAX - NAME_HASH - 1]}-{suffix}"


def usable_source_identity(text: str) -> bool:
    """Whether STS takes it as it is; it names somebody in logs, so nothing is left out of it."""
    return _SOURCE_IDENTITY.fullmatch(text) is not None


# What they may


def session_policy(grant: Grant, partition: str = "aws", managed: Iterable[str] = ()) -> str:
    """
    The inline session policy that says what the grant gives (AWS-2).

    Never wider than the grant, but at a slash, where IAM's `*` knows no difference; narrower
    where IAM cannot say it: under a prefix, lists that AWS does not bind to one. Raises
    CredentialsRefused where it does not fit (AWS-3).
    """
    if grant.pattern:  # not named yet: all that can be asked is which buckets there are
        statements = [_EVERY_BUCKET]
    else:
        arn = f"arn:{partition}:s3:::{grant.target_bucket}"
        statements = [*_object_statements(grant, arn), *_bucket_statements(grant, arn), _KMS]
    text = json.dumps(
        {"Version": "2012-10-17", "Statement": statements},
        separators=(",", ":"),
        ensure_ascii=False,
    )
    if len(text) + sum(map(len, managed)) > POLICY_MAX or _NOT_IN_POLICY.search(text):
        raise CredentialsRefused(SCOPE_TOO_LARGE)
    return text


def _object_statements(grant: Grant, arn: str) -> Iterable[Mapping[str, Any]]:
    actions = grant.actions & _ON_OBJECTS
    if actions:
        prefix = grant.target_prefix.translate(_ESCAPES)
        places = [f"{arn}/{prefix}{_wild(pattern)}" for pattern in grant.keys or ("**",)]
        yield {"Effect": "Allow", "Action": _shortened(actions, _ON_OBJECTS), "Resource": places}


def _bucket_statements(grant: Grant, arn: str) -> Iterable[Mapping[str, Any]]:
    actions = grant.actions & _ON_BUCKET
    if not grant.target_prefix:
        if actions:
            yield {"Effect": "Allow", "Action": _shortened(actions, _ON_BUCKET), "Resource": arn}
        return
    if lists := [action for action in _BY_PREFIX if action in actions]:
        prefix = grant.target_prefix.translate(_ESCAPES)
        yield {
            "Effect": "Allow",
            "Action": lists,
            "Resource": arn,
            "Condition": {"StringLike": {"s3:prefix": f"{prefix}*"}},
        }
    if others := actions & _OF_NO_PREFIX:
        yield {"Effect": "Allow", "Action": sorted(others), "Resource": arn}


def _wild(pattern: str) -> str:
    """A key pattern in IAM's language, where `*` passes slashes and everything else is itself."""
    parts = _STARS.split(pattern)
    return "".join("*" if part.startswith("*") else part.translate(_ESCAPES) for part in parts)


def _shortened(actions: frozenset[str], every: frozenset[str]) -> list[str]:
    """All of `every` is `s3:*`, which says the same of these resources; else each by its name."""
    return ["s3:*"] if every <= actions else sorted(actions)
