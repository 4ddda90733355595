"""Short words for policies in tests."""

from __future__ import annotations

import json
from typing import Any

from gateway.config.positions import Problem, read
from gateway.identity import ANONYMOUS_IDENTITY, Identity
from gateway.policy.language import question
from gateway.policy.load import Names, compile_policy
from gateway.policy.match import bind
from gateway.policy.model import Entitlements, Policy
from gateway.policy.questions import ask

NAMES = Names(
    upstreams=frozenset({"aws", "minio"}),
    credentials={"shared": None, "own": None},
    issuers=("corp", "partner"),
)


def compiled(text: str, names: Names = NAMES) -> Policy:
    """The policy of a file that is right."""
    result = compile_policy([read(text, "main.yaml")], names)
    assert not result.problems, "\n".join(map(str, result.problems))
    return result.policy


def problems(text: str, names: Names = NAMES) -> list[Problem]:
    return list(compile_policy([read(text, "main.yaml")], names).problems)


def somebody(
    subject: Any = "alice", issuer: Any = "corp", narrowed: Any = (), **claims: Any
) -> Identity:
    return Identity(issuer=issuer, subject=subject, claims=claims, narrowed=narrowed)


NOBODY = ANONYMOUS_IDENTITY


def may(policy: Policy | Entitlements, identity: Identity, asked: str) -> bool:
    return bool(decided(policy, identity, asked).allowed)


def decided(policy: Policy | Entitlements, identity: Identity, asked: str) -> Any:
    """The decision; Any, so that tests look into it without asking whether there is a grant."""
    entitlements = policy if isinstance(policy, Entitlements) else bind(policy, identity)
    return ask(entitlements, question(asked))


def one_grant(**fields: Any) -> Policy:
    """A policy of one rule for everyone with one grant."""
    grant = {
        "bucket": "data",
        "upstream": "aws",
        "target": "acme-data",
        "credentials": "shared",
        "allow": ["list", "read", "write", "delete"],
        **fields,
    }
    rule = {"name": "one", "match": {"everyone": True}, "grants": [grant]}
    return compiled(json.dumps({"rules": [rule]}))  # JSON is YAML
