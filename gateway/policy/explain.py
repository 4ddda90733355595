"""
A decision in sentences and as JSON; what every rule lacked; what a session may do and why.

Everything is asked of the same evaluator that judges requests: an explanation cannot differ from
the decision it explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway import errors
from gateway.identity import Identity
from gateway.policy.evaluate import judge, ungranted
from gateway.policy.match import (
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
    Entitlements,
    Grant,
    Match,
    Outcome,
    Policy,
    Rule,
)
from gateway.policy.patterns import Pattern
from gateway.s3.objects import ObjectName
from gateway.s3.operations import (
    ACTIONS,
    OPERATIONS,
    VERBS,
    On,
    Requirement,
)

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
