"""
Entitlements, operation and names to a Decision: no unless a grant says yes; a deny wins.

Everything is a look-up by bucket and action in what was bound before: the cost of a decision
does not depend on how many rules or people there are. File and rule order picks what serves a
request, and nothing else (POL-2).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from gateway.errors import (
    DENIED_BY_RULE,
    GRANTED,
    NARROWED_AWAY,
    NO_GRANT_FOR_ACTION,
    NO_GRANT_FOR_BUCKET,
    NO_GRANT_FOR_KEY,
    NOT_SIGNED_IN,
    OTHER_UPSTREAM,
)
from gateway.identity import Narrowing
from gateway.policy.model import (
    BucketView,
    Decision,
    Deny,
    Entitlements,
    Grant,
    Outcome,
    Visible,
)
from gateway.policy.patterns import name_pattern
from gateway.s3.operations import VERBS, On, Operation, Requirement, requirements
from gateway.s3.request import S3Request

_ALL = "*"
_LIST_BUCKETS = "s3:ListAllMyBuckets"
_BUCKET_FACTS = VERBS["list"] | VERBS["read"] | VERBS["versions"]
"""What somebody may ask of a bucket of which only some keys are granted; the rest acts on all of it."""
_SOURCES = (On.COPY_SOURCE, On.RENAME_SOURCE)


def evaluate(entitlements: Entitlements, operation: Operation, request: S3Request) -> Decision:
    """Whether the identity may do this. Never raises; what is not granted is refused (POL-1)."""
    needs = requirements(operation, request)
    if operation.keys_in_body:
        return _each_key(entitlements, needs, request)
    return decide(entitlements, needs)


def decide(entitlements: Entitlements, needs: Sequence[Requirement]) -> Decision:
    """The decision on needs that stand or fall together."""
    if len(needs) != 1:
        return _together(entitlements, needs)
    need = needs[0]
    outcome = judge(entitlements, need)
    grant = outcome.grant
    if outcome.reason is not GRANTED:
        return Decision((outcome,), False, None)
    if need.on is On.LISTED and grant is not None:
        view = entitlements.view(need.name.bucket)
        return Decision((outcome,), True, grant, _visible(view, need.action, grant))
    return Decision((outcome,), True, grant)


def judge(
    entitlements: Entitlements, need: Requirement, place: tuple[object, ...] | None = None
) -> Outcome:
    """One need. Where `place` is given, only grants that lead there count."""
    if need.on is On.NOTHING:
        return _service(entitlements, need)
    view = entitlements.view(need.name.bucket)
    deny = _forbidding(view, need)
    if deny is not None:
        return Outcome(need, None, DENIED_BY_RULE, deny.rule)
    grant = _granting(view, need, place)
    if grant is None:
        return ungranted(view, need, place)
    if view.narrowings and not _left(view, need):
        return Outcome(need, None, NARROWED_AWAY)
    return Outcome(need, grant, GRANTED, grant.rule)


def _service(entitlements: Entitlements, need: Requirement) -> Outcome:
    """ListBuckets: it shows what is granted, so nothing more is needed than being somebody."""
    if need.action != _LIST_BUCKETS:
        return Outcome(need, None, NO_GRANT_FOR_ACTION)
    for deny in entitlements.denies:
        if deny.bucket == _ALL and not deny.patterns and need.action in deny.actions:
            return Outcome(need, None, DENIED_BY_RULE, deny.rule)
    if not entitlements.may_list_buckets:
        return Outcome(need, None, NOT_SIGNED_IN)
    if not all(
        _left_of_all(narrowing, need.action) for narrowing in entitlements.identity.narrowed
    ):
        return Outcome(need, None, NARROWED_AWAY)
    return Outcome(need, None, GRANTED)


def _left_of_all(narrowing: Narrowing, action: str) -> bool:
    """KEY-3, where no bucket is named: some statement allows it, and none denies it everywhere."""
    speaking = [
        statement
        for statement in narrowing
        if any(name_pattern(text).matches(action) for text in statement.actions)
    ]
    return any(statement.effect == "allow" for statement in speaking) and not any(
        statement.effect == "deny" and _ALL in statement.buckets and "**" in statement.keys
        for statement in speaking
    )


def _forbidding(view: BucketView, need: Requirement) -> Deny | None:
    for deny in view.denies.get(need.action, ()):
        if need.on is On.LISTED or need.on is On.BUCKET:
            if deny.covers(need.name.key):
                return deny
        elif deny.matches(need.name.key):
            return deny
    return None


def _granting(
    view: BucketView, need: Requirement, place: tuple[object, ...] | None
) -> Grant | None:
    """The first grant in order that gives the action here."""
    for grant in view.grants.get(need.action, ()):
        if (not grant.patterns or _reaches(grant, need)) and (
            place is None or grant.place == place
        ):
            return grant
    return None


def _reaches(grant: Grant, need: Requirement) -> bool:
    if need.on is On.BUCKET:
        return need.action in _BUCKET_FACTS
    if need.on is On.LISTED:
        return grant.reaches(need.name.key)
    return grant.matches(need.name.key)


def ungranted(
    view: BucketView, need: Requirement, place: tuple[object, ...] | None = None
) -> Outcome:
    """Which of the reasons it is; no reason changes that the answer is no."""
    if place is not None and _granting(view, need, None) is not None:
        return Outcome(need, None, OTHER_UPSTREAM)
    for refused in view.refused:
        if need.action in refused.actions:
            return Outcome(need, None, refused.reason, refused.rule, refused.detail)
    if not view.grants:
        return Outcome(need, None, NO_GRANT_FOR_BUCKET)
    if need.action not in view.grants:
        return Outcome(need, None, NO_GRANT_FOR_ACTION)
    return Outcome(need, None, NO_GRANT_FOR_KEY)


def _left(view: BucketView, need: Requirement) -> bool:
    """Every narrowing allows it as well (KEY-3)."""
    name = need.name.key
    for statements in view.statements(need.action):
        allowed = False
        for statement in statements:
            if need.on is On.LISTED:
                hit = statement.reaches(name) if statement.allow else statement.covers(name)
            elif need.on is On.BUCKET:
                hit = statement.covers("") or (statement.allow and need.action in _BUCKET_FACTS)
            else:
                hit = statement.matches(name)
            if hit and not statement.allow:
                return False
            allowed = allowed or hit
        if not allowed:
            return False
    return True


def _visible(view: BucketView, action: str, grant: Grant) -> Visible | None:
    """What a list may show: keys that some grant of the same place gives, that nothing takes away (LST-10)."""
    place = grant.place
    grants = [other for other in view.grants[action] if other.place == place]
    denies = [deny for deny in view.denies.get(action, ()) if deny.patterns]
    narrowings = view.statements(action)
    if not denies and not narrowings and any(not other.patterns for other in grants):
        return None

    def visible(name: str, below: bool = False) -> bool:
        if below:
            return (
                any(other.reaches(name) for other in grants)
                and not any(deny.covers(name) for deny in denies)
                and all(
                    any(s.allow and s.reaches(name) for s in statements)
                    and not any(not s.allow and s.covers(name) for s in statements)
                    for statements in narrowings
                )
            )
        return (
            any(other.matches(name) for other in grants)
            and not any(deny.matches(name) for deny in denies)
            and all(
                any(s.allow and s.matches(name) for s in statements)
                and not any(not s.allow and s.matches(name) for s in statements)
                for statements in narrowings
            )
        )

    return visible


def _together(entitlements: Entitlements, needs: Sequence[Requirement]) -> Decision:
    """
    All needs of one operation.

    What is done to the target is served by one grant's place; what is read from the source of a
    copy may lie elsewhere, if the same upstream and credentials reach both (CPY-6).
    """
    main: Outcome | None = None
    source: Outcome | None = None
    outcomes: list[Outcome] = []
    for need in needs:
        if need.on in _SOURCES:
            outcome = judge(entitlements, need, _place(source))
            source = source or outcome
        else:
            outcome = judge(entitlements, need, _place(main))
            main = main or outcome
        outcomes.append(outcome)
    grant = None if main is None else main.grant
    source_grant = None if source is None else source.grant
    if grant is not None and source_grant is not None and grant.route != source_grant.route:
        outcomes = [
            Outcome(outcome.requirement, None, OTHER_UPSTREAM)
            if outcome.grant is source_grant and outcome.requirement.on in _SOURCES
            else outcome
            for outcome in outcomes
        ]
    allowed = bool(outcomes) and all(outcome.reason is GRANTED for outcome in outcomes)
    return Decision(
        tuple(outcomes),
        allowed,
        grant if allowed else None,
        source=source_grant if allowed else None,
    )


def _place(outcome: Outcome | None) -> tuple[object, ...] | None:
    return None if outcome is None or outcome.grant is None else outcome.grant.place


def _each_key(
    entitlements: Entitlements, needs: Sequence[Requirement], request: S3Request
) -> Decision:
    """
    DeleteObjects: each key by itself (DEL-3). Refused ones are dropped, the rest goes on to the
    place of the first; a bucket of which nothing is granted is refused whole (LST-18).
    """
    place: tuple[object, ...] | None = None
    grant: Grant | None = None
    dropped: dict[int, Outcome] = {}
    outcomes: list[Outcome] = []
    for need in needs:
        outcome = judge(entitlements, need, place)
        if need.entry is not None and outcome.grant is None:
            dropped.setdefault(need.entry, outcome)
        elif grant is None and outcome.grant is not None:
            grant, place = outcome.grant, outcome.grant.place
        outcomes.append(outcome)
    whole = all(
        outcome.reason is GRANTED for outcome in outcomes if outcome.requirement.entry is None
    )
    given = entitlements.view(request.bucket).grants
    if grant is None and given:
        grant = next(iter(given.values()))[0]  # nothing is left to send; the answer is made for it
    return Decision(
        tuple(outcomes), whole and bool(given), grant, dropped=MappingProxyType(dropped)
    )
