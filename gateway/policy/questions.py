"""
Questions put to a policy: the decision on one, a policy's own tests, and who may do something.

Asked as barely as an operation can be, without headers that need more (ACLs, tags, locks).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.config.positions import Problem
from gateway.identity import ANONYMOUS_IDENTITY, ANONYMOUS_ISSUER, Identity
from gateway.message import Headers, Pairs
from gateway.policy.evaluate import decide, judge
from gateway.policy.explain import phrase_of, sentences, why_not
from gateway.policy.match import (
    CLAIM,
    bind,
)
from gateway.policy.model import (
    Decision,
    DenyRule,
    Entitlements,
    GrantRule,
    Policy,
    PolicyTest,
    Question,
)
from gateway.policy.patterns import is_pattern, key_pattern, name_pattern
from gateway.s3.operations import (
    OPERATIONS,
    Level,
    On,
    Operation,
    Requirement,
    requirements,
)
from gateway.s3.request import DeleteEntry, S3Request


def identity_of(who: Mapping[str, Any]) -> Identity:
    """Somebody with these claims: `iss` is the provider's name, `sub` the subject."""
    if who.get("iss") == ANONYMOUS_ISSUER:
        return ANONYMOUS_IDENTITY
    return Identity(issuer=str(who.get("iss", "")), subject=str(who.get("sub", "")), claims=who)


# Questions


def needs_of(question: Question) -> tuple[Requirement, ...]:
    """What the operation needs on the names, asked without headers that need more (ACLs, tags, locks)."""
    operation = OPERATIONS.get(question.operation)
    if operation is None:
        return (Requirement(question.operation, question.target, _on(question)),)
    return requirements(operation, _request(operation, question))


def _on(question: Question) -> On:
    """What a bare IAM action is asked of."""
    if question.target.key:
        return On.TARGET
    return On.LISTED if question.operation in _LISTS else On.BUCKET


_LISTS = {need.action for row in OPERATIONS.values() for need in row.needs if need.on is On.LISTED}


def _request(operation: Operation, question: Question) -> S3Request:
    """The request that would ask it: as bare as the operation allows."""
    target, source = question.target, question.source
    renames = any(need.on is On.RENAME_SOURCE for need in operation.needs)
    header = None if source is None else f"x-amz-{'rename' if renames else 'copy'}-source"
    params: Pairs = (("prefix", target.key),) if operation.lists else ()
    if target.version is not None:
        params += (("versionId", target.version),)
    return S3Request(
        method=operation.method,
        bucket=target.bucket,
        key=target.key if operation.level is Level.OBJECT else "",
        query=(),
        params=params,
        headers=Headers(() if header is None else ((header, ""),)),
        raw_path="",
        amz=() if header is None else (header,),
        copy_source=None if renames else source,
        rename_source=source if renames else None,
        body_keys=(DeleteEntry(target.key, target.version),) if operation.keys_in_body else (),
    )


def ask(entitlements: Entitlements, question: Question) -> Decision:
    """The decision on a question."""
    operation = OPERATIONS.get(question.operation)
    if operation is not None and operation.never:
        outcomes = tuple(judge(entitlements, need) for need in needs_of(question))
        return Decision(outcomes, False, None)
    return decide(entitlements, needs_of(question))


def run_tests(policy: Policy) -> list[Problem]:
    """Every expectation of the policy's own tests that does not hold."""
    return [problem for test in policy.tests for problem in _failures(policy, test)]


def _failures(policy: Policy, test: PolicyTest) -> Iterator[Problem]:
    entitlements = bind(policy, identity_of(test.who))
    expected = [*((question, True) for question in test.may)]
    expected += [(question, False) for question in test.may_not]
    for question, wanted in expected:
        decision = ask(entitlements, question)
        if decision.allowed != wanted:
            why = [*sentences(decision), *(_lacking(policy, test, question) if wanted else ())]
            text = f"{_who(test.who)} {'may not' if wanted else 'may'} {question}: {' '.join(why)}"
            yield Problem(test.file, test.line, test.column, test.path, text)


def _lacking(policy: Policy, test: PolicyTest, question: Question) -> Iterator[str]:
    """What keeps the rules that would grant it from being about the person of the test."""
    identity = identity_of(test.who)
    needs = needs_of(question)
    for rule in policy.rules:
        why = why_not(rule.match, identity)
        if why and any(_may_give(grant, need) for grant in rule.grants for need in needs):
            yield f"The rule “{rule.name}” would give it, but {why}."


def _who(who: Mapping[str, Any]) -> str:
    if who.get("iss") == ANONYMOUS_ISSUER:
        return "nobody in particular"
    return f"{who.get('sub')} at {who.get('iss')}"


# Who can


def who_can(policy: Policy, question: Question) -> list[dict[str, Any]]:
    """
    Each rule that grants or forbids the operation, with whom it is about in words.

    People are not known here, only rules: `who` says which claims somebody must have; `claims`
    names those that the place or the keys are made of. Of a grant, `gives` lists the needs that
    it covers; all of `needs` must be covered, and no deny match, for a yes.
    """
    needs = needs_of(question)
    found = []
    for rule in policy.rules:
        gives = {need.action for need in needs for grant in rule.grants if _may_give(grant, need)}
        forbidden = {
            need.action for need in needs for deny in rule.denies if _may_forbid(deny, need)
        }
        if gives or forbidden:
            found.append(
                {
                    "rule": rule.name,
                    "file": rule.file,
                    "line": rule.line,
                    "who": phrase_of(rule.match),
                    "gives": sorted(gives),
                    "forbids": sorted(forbidden),
                    "needs": sorted({need.action for need in needs}),
                    "claims": sorted(
                        {
                            name
                            for grant in rule.grants
                            for key in grant.keys
                            for name in CLAIM.findall(key)
                        }
                    ),
                }
            )
    return found


def _may_give(grant: GrantRule, need: Requirement) -> bool:
    return need.action in grant.actions and _is_on(grant.bucket, grant.keys, need)


def _may_forbid(deny: DenyRule, need: Requirement) -> bool:
    return need.action in deny.actions and _is_on(deny.bucket, deny.keys, need)


def _is_on(bucket: str, keys: tuple[str, ...], need: Requirement) -> bool:
    """The place is, for some value of the claims in the patterns: a claim never holds a slash."""
    name = need.name
    named = (
        name_pattern(bucket).matches(name.bucket) if is_pattern(bucket) else bucket == name.bucket
    )
    if not named or not keys or need.on is On.BUCKET:
        return named
    patterns = [key_pattern(CLAIM.sub("*", key)) for key in keys]
    if need.on is On.LISTED:
        return any(pattern.reaches(name.key) for pattern in patterns)
    return any(pattern.matches(name.key) for pattern in patterns)
