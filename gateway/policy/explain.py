"""
A decision in sentences and as JSON; what a session may do and why; a policy's own tests; who can.

Everything is asked of the same evaluator that judges requests: an explanation cannot differ from
the decision it explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway import errors
from gateway.config.positions import Problem
from gateway.identity import ANONYMOUS_IDENTITY, ANONYMOUS_ISSUER, Identity
from gateway.message import Headers, Pairs
from gateway.policy.evaluate import decide, judge, ungranted
from gateway.policy.match import (
    CLAIM,
    bind,
    claim,
    forbids,
    holds,
    matches,
    phrase,
    problem,
)
from gateway.policy.model import (
    BucketView,
    Decision,
    DenyRule,
    Entitlements,
    Grant,
    GrantRule,
    Match,
    Outcome,
    Policy,
    PolicyTest,
    Question,
    Rule,
)
from gateway.policy.patterns import Pattern, is_pattern, key_pattern, name_pattern
from gateway.s3.operations import (
    ACTIONS,
    OPERATIONS,
    VERBS,
    Level,
    On,
    Operation,
    Requirement,
    requirements,
)
from gateway.s3.request import DeleteEntry, ObjectName, S3Request


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
            text = f"{_who(test.who)} {'may not' if wanted else 'may'} {question}: "
            yield Problem(
                test.file, test.line, test.column, test.path, text + " ".join(sentences(decision))
            )


def _who(who: Mapping[str, Any]) -> str:
    if who.get("iss") == ANONYMOUS_ISSUER:
        return "nobody in particular"
    return f"{who.get('sub')} at {who.get('iss')}"


# A decision in words


def sentences(decision: Decision) -> list[str]:
    """Why it is so: what grants each need, or why not."""
    chosen = [o for o in decision.outcomes if decision.allowed or not o.granted]
    found = [
        f"{outcome.sentence} ({outcome.grant.because})" if outcome.grant else outcome.sentence
        for outcome in chosen
    ]
    return list(dict.fromkeys(found))


def as_json(decision: Decision) -> dict[str, Any]:
    """The decision for programs."""
    grant = decision.grant
    return {
        "allowed": decision.allowed,
        "served_by": None if grant is None else _grant_json(grant),
        "needs": [
            {
                "action": outcome.requirement.action,
                "on": outcome.requirement.on.value,
                "bucket": outcome.requirement.name.bucket,
                "key": outcome.requirement.name.key,
                "granted": outcome.granted,
                "reason": outcome.reason.code,
                "rule": outcome.rule,
                "sentence": outcome.sentence,
            }
            for outcome in decision.outcomes
        ],
    }


def _grant_json(grant: Grant) -> dict[str, Any]:
    return {
        "rule": grant.rule,
        "bucket": grant.bucket,
        "upstream": grant.upstream,
        "target": f"{grant.target_bucket}/{grant.target_prefix}".rstrip("/")
        if not grant.target_prefix
        else f"{grant.target_bucket}/{grant.target_prefix}",
        "credentials": grant.credentials,
        "because": grant.because,
    }


def looked_at(policy: Policy, identity: Identity) -> Iterator[dict[str, Any]]:
    """Every rule in order: whether it is about somebody, or which condition was missing."""
    for rule in policy.rules:
        granting = matches(rule.match, identity)
        yield {
            "rule": rule.name,
            "file": rule.file,
            "line": rule.line,
            "matched": granting or bool(rule.denies and forbids(rule.match, identity)),
            "why": why_not(rule.match, identity) or phrase_of(rule.match),
            "refused": list(_refused(rule, identity)) if granting else [],
        }


def phrase_of(match: Match) -> str:
    """A rule's condition in words."""
    parts = [f"the issuer is `{match.issuer}`"] if match.issuer is not None else []
    parts += [phrase(test) for test in match.claims]
    parts += ["everyone who is signed in"] if match.everyone else []
    parts += ["whoever is not signed in"] if match.anonymous else []
    return " and ".join(parts)


def why_not(match: Match, identity: Identity) -> str:
    """The conditions that do not hold for somebody; empty where the rule is about them."""
    if identity.anonymous:
        return "" if match.anonymous or match.everyone else "nobody is signed in"
    if match.anonymous and not match.everyone:
        return "it is for those who are not signed in"
    missing = []
    if match.issuer is not None and match.issuer != identity.issuer:
        missing.append(f"the issuer is `{identity.issuer}`, not `{match.issuer}`")
    for test in match.claims:
        if not holds(test, identity):
            missing.append(f"not so: {phrase(test)} ({_shown(identity, test.claim)})")
    return "; ".join(missing)


def _shown(identity: Identity, name: str) -> str:
    value = claim(identity, name)
    if problem(value) == "absent":
        return f"there is no `{name}`"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"it is {text[:200]}" if text else "it is empty"


def _refused(rule: Rule, identity: Identity) -> Iterator[str]:
    entitlements = bind(Policy(rules=(rule,)), identity)
    for refused in entitlements.refused:
        yield f"the grant on {refused.bucket} is refused: {refused.sentence}"


# What a session may do


def session_buckets(entitlements: Entitlements) -> list[dict[str, Any]]:
    """
    What is granted, a place an entry: bucket, prefixes (empty for all of it), verbs and further
    IAM actions, and why. A bucket pattern is an entry of its own, with `pattern: true`.
    """
    entries: dict[tuple[str, tuple[str, ...]], list[Grant]] = {}
    for grant in entitlements.grants:
        entries.setdefault((grant.bucket, prefixes_of(grant.keys)), []).append(grant)
    found = []
    for (bucket, prefixes), grants in entries.items():
        actions: set[str] = set()
        for grant in grants:
            actions |= {
                action
                for action in grant.actions
                if not _denied_whole(entitlements, bucket, prefixes, action)
            }
        if not actions:
            continue
        entry: dict[str, Any] = {
            "name": bucket,
            "prefixes": list(prefixes),
            "allow": words(actions),
            "because": "; ".join(dict.fromkeys(grant.because for grant in grants)),
        }
        if grants[0].pattern:
            entry["pattern"] = True
        found.append(entry)
    return found


def prefixes_of(keys: Iterable[str]) -> tuple[str, ...]:
    """The prefixes below which patterns grant: of each the part before its first wildcard, up to a slash."""
    found = []
    for pattern in keys:
        literal = pattern.partition("*")[0]
        found.append(literal[: literal.rfind("/") + 1])
    return () if "" in found else tuple(dict.fromkeys(found))


def _denied_whole(
    entitlements: Entitlements, bucket: str, prefixes: tuple[str, ...], action: str
) -> bool:
    """Denies or a narrowing leave nothing of the action at any of the places."""
    view = entitlements.view(bucket)
    denies = view.denies.get(action, ())
    for prefix in prefixes or ("",):
        denied = any(deny.covers(prefix) for deny in denies)
        narrowed = all(
            any(s.allow and s.reaches(prefix) for s in statements)
            and not any(not s.allow and s.covers(prefix) for s in statements)
            for statements in view.statements(action)
        )
        if not denied and narrowed:
            return False
    return True


def words(actions: Iterable[str]) -> list[str]:
    """Actions as verbs where all of a verb is there, and what is left as IAM actions."""
    left = set(actions)
    verbs = [verb for verb, needed in VERBS.items() if needed - _ANYWHERE <= left]
    covered = {action for verb in verbs for action in VERBS[verb]}
    return [*verbs, *sorted(left - covered - _ANYWHERE)]


_ANYWHERE = {"s3:ListAllMyBuckets"}
"""Asked of no bucket: says nothing about what may be done in one."""


def at(entitlements: Entitlements, bucket: str, prefix: str) -> dict[str, Any]:
    """
    What may be done right at a prefix (or with the key of that name): `allow` in verbs and IAM
    actions, `because` for each of them, `denied` with a sentence for each verb that is not given.
    """
    given: dict[str, Grant] = {}
    refused: dict[str, str] = {}
    for action in sorted(ACTIONS - _ANYWHERE):
        grant, sentence = _here(entitlements, bucket, prefix, action)
        if grant is None:
            refused[action] = sentence
        else:
            given[action] = grant
    allow = words(given)
    return {
        "allow": allow,
        "because": {word: _first(given, word).because for word in allow},
        "denied": {
            verb: next(refused[action] for action in needed if action in refused)
            for verb, needed in ((verb, _main_first(verb)) for verb in VERBS)
            if verb not in allow and any(action in refused for action in needed)
        },
    }


_MAIN = {
    "list": "s3:ListBucket",
    "read": "s3:GetObject",
    "write": "s3:PutObject",
    "delete": "s3:DeleteObject",
    "versions": "s3:GetObjectVersion",
}
"""The action that speaks for a verb."""


def _main_first(verb: str) -> list[str]:
    main = _MAIN[verb]
    return [main, *sorted(VERBS[verb] - {main})]


def _first(given: Mapping[str, Grant], word: str) -> Grant:
    return given[word] if word in given else given[_MAIN[word]]


def _here(
    entitlements: Entitlements, bucket: str, prefix: str, action: str
) -> tuple[Grant | None, str]:
    """The grant that gives an action right at a prefix, or the sentence why none does."""
    view = entitlements.view(bucket)
    on = _ON.get(action, On.TARGET)
    need = Requirement(action, ObjectName(bucket, prefix if on is not On.BUCKET else ""), on)
    if on is On.TARGET and (not prefix or prefix.endswith("/")):
        return _below(view, need)
    outcome = judge(entitlements, need)
    return outcome.grant, outcome.sentence


def _below(view: BucketView, need: Requirement) -> tuple[Grant | None, str]:
    """The same for the keys right below a prefix: given where some name there would be."""
    prefix = need.name.key
    for deny in view.denies.get(need.action, ()):
        if deny.covers(prefix):
            return None, Outcome(need, None, errors.DENIED_BY_RULE, deny.rule).sentence
    for grant in view.grants.get(need.action, ()):
        if _opens(grant.patterns, prefix):
            if _narrowed_below(view, need):
                return None, Outcome(need, None, errors.NARROWED_AWAY).sentence
            return grant, ""
    return None, ungranted(view, need).sentence


def _opens(patterns: tuple[Pattern, ...], prefix: str) -> bool:
    return not patterns or any(pattern.opens(prefix) for pattern in patterns)


def _narrowed_below(view: BucketView, need: Requirement) -> bool:
    prefix = need.name.key
    return not all(
        any(s.allow and _opens(s.patterns, prefix) for s in statements)
        and not any(not s.allow and s.covers(prefix) for s in statements)
        for statements in view.statements(need.action)
    )


_ON = {
    need.action: need.on
    for row in OPERATIONS.values()
    for need in row.needs
    if need.on in (On.LISTED, On.BUCKET)
}


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
