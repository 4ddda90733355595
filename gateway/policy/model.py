"""
What the policy language speaks of: rules as written, grants and denies as bound to somebody, decisions.

Rules hold templates; grants and denies that were bound to an identity hold none. A decision has
one outcome for each thing that an operation needs, and each outcome its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, final

from gateway import errors
from gateway.errors import Reason
from gateway.identity import Identity
from gateway.policy.patterns import Pattern, is_pattern, key_pattern, name_pattern
from gateway.records import Record
from gateway.records import replace as replace_record
from gateway.s3 import names
from gateway.s3.objects import ObjectName
from gateway.s3.operations import Requirement
from gateway.s3.request import DeleteEntry, S3Request

# Rules, as files say them


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTest:
    """One condition on one claim."""

    claim: str
    matcher: str
    """A row of MATCHERS in `gateway.policy.match`."""
    argument: Any
    """A scalar, or a tuple of them."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Whom a rule is about: all of what is said must hold."""

    issuer: str | None = None
    claims: tuple[ClaimTest, ...] = ()
    everyone: bool = False
    """Whoever has shown who they are."""
    anonymous: bool = False
    """Whoever has not."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRule:
    """A grant as written: `keys`, target and session templates may name claims."""

    bucket: str
    upstream: str
    target_bucket: str
    target_prefix: str = ""
    credentials: str
    actions: frozenset[str]
    keys: tuple[str, ...] = ()
    session_name: str = ""
    source_identity: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    scope_down: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DenyRule:
    """A deny as written: `keys` may name claims; no keys means all."""

    bucket: str
    actions: frozenset[str]
    keys: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Whom, and what they may and may not."""

    name: str
    match: Match
    grants: tuple[GrantRule, ...] = ()
    denies: tuple[DenyRule, ...] = ()
    file: str = ""
    line: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An operation (or an IAM action, `s3:…`) on a name: what tests and `explain` ask."""

    operation: str
    target: ObjectName
    source: ObjectName | None = None
    """Of a copy."""

    def __str__(self) -> str:
        source = "" if self.source is None else f" from {_spelled(self.source)}"
        return f"{self.operation} {_spelled(self.target)}{source}"


def _spelled(name: ObjectName) -> str:
    text = f"{name.bucket}/{name.key}" if name.key else name.bucket
    return text if name.version is None else f"{text}?versionId={name.version}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTest:
    """What somebody with these claims may and may not: a policy's own test."""

    who: Mapping[str, Any]
    """Claims; `iss` is the provider's name, absent for the anonymous."""
    may: tuple[Question, ...] = ()
    may_not: tuple[Question, ...] = ()
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Policy:
    """All rules in force, in file and rule order, and the tests that came with them."""

    rules: tuple[Rule, ...] = ()
    tests: tuple[PolicyTest, ...] = ()


# Grants, as bound to somebody


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one rule gives one identity: some actions on one place, and what serves it. No template is left in it."""

    bucket: str
    """The name that clients see, or a pattern of them."""
    keys: tuple[str, ...] = ()
    """Key patterns; empty for all."""
    actions: frozenset[str]
    upstream: str
    target_bucket: str
    """Holds `${bucket}` only where `bucket` is a pattern; see `named`."""
    target_prefix: str = ""
    """Empty or ending in "/", so that home/al does not open home/alice (PTH-4)."""
    credentials: str
    rule: str
    because: str = ""
    """Why this identity has it: "because `cognito:groups` contains `staff`, rule “home folders”"."""
    session_name: str = ""
    source_identity: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    scope_down: bool = False
    order: int = 0
    """Place in file and rule order."""
    patterns: tuple[Pattern, ...] = field(init=False, compare=False, repr=False)
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.target_prefix and not self.target_prefix.endswith("/"):
            raise ValueError(f"prefix {self.target_prefix!r} must end in '/'")
        object.__setattr__(self, "patterns", tuple(key_pattern(text) for text in self.keys))
        content = (
            *(self.bucket, self.keys, self.actions, self.upstream, self.target_bucket),
            *(self.target_prefix, self.credentials, self.rule, self.session_name, self.tags),
        )
        object.__setattr__(self, "_hash", hash(content))

    def __hash__(self) -> int:
        return self._hash  # caches ask often, and the fields are many

    @property
    def pattern(self) -> bool:
        """The grant is for every bucket that a pattern matches."""
        return is_pattern(self.bucket)

    @property
    def route(self) -> tuple[object, ...]:
        """A copy between grants of one route is one upstream request (CPY-6)."""
        scope = (self.target_bucket, self.target_prefix, self.keys) if self.scope_down else ()
        return (self.upstream, self.credentials, scope)

    @property
    def place(self) -> tuple[object, ...]:
        """Grants of one place serve the same object under the same credentials."""
        return (self.upstream, self.credentials, self.target_bucket, self.target_prefix)

    def named(self, bucket: str) -> Grant:
        """The same for one bucket that the pattern matches."""
        if not self.pattern:
            return self
        return replace(
            self,
            bucket=bucket,
            target_bucket=self.target_bucket.replace("${bucket}", bucket),
            target_prefix=self.target_prefix.replace("${bucket}", bucket),
        )

    def matches(self, key: str) -> bool:
        return not self.patterns or any(pattern.matches(key) for pattern in self.patterns)

    def reaches(self, prefix: str) -> bool:
        """Some key that begins with `prefix` is granted."""
        return not self.patterns or any(pattern.reaches(prefix) for pattern in self.patterns)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """What one rule forbids one identity."""

    bucket: str
    actions: frozenset[str]
    keys: tuple[str, ...] = ()
    rule: str
    because: str = ""
    patterns: tuple[Pattern, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", tuple(key_pattern(text) for text in self.keys))

    def matches(self, key: str) -> bool:
        return not self.patterns or any(pattern.matches(key) for pattern in self.patterns)

    def covers(self, prefix: str) -> bool:
        """Every key that begins with `prefix` is forbidden."""
        return not self.patterns or any(pattern.covers(prefix) for pattern in self.patterns)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedGrant:
    """A grant whose rule matches, and which a template or a tag refused."""

    bucket: str
    actions: frozenset[str]
    rule: str
    reason: Reason
    detail: Mapping[str, str]

    @property
    def sentence(self) -> str:
        return _filled(self.reason, self.detail)


def _filled(reason: Reason, detail: Mapping[str, str]) -> str:
    text = reason.sentence
    for name, value in detail.items():
        text = text.replace("{" + name + "}", value)
    return text


# Decisions

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


@final
class Outcome(Record, frozen=True):
    """One need of an operation, judged."""

    requirement: Requirement
    grant: Grant | None
    """What serves it; None where it is refused (and for ListBuckets, which no grant serves)."""
    reason: Reason
    rule: str | None = None
    """The rule that granted or forbade."""
    detail: Mapping[str, str] = _NOTHING

    @property
    def granted(self) -> bool:
        return self.reason is errors.GRANTED

    @property
    def sentence(self) -> str:
        """The reason in words, for pages and explanations."""
        name = self.requirement.name
        common = {
            "action": self.requirement.action,
            "bucket": name.bucket,
            "key": name.key,
            "rule": f"“{self.rule}”" if self.rule else "",
        }
        return _filled(self.reason, {**common, **self.detail})


Visible = Callable[[str, bool], bool]
"""Whether a list may show a key; or, where the flag is set, a common prefix."""


@final
class Decision(Record, frozen=True):
    """What an operation needs, and whether it is given."""

    outcomes: tuple[Outcome, ...]
    allowed: bool
    grant: Grant | None
    """What serves the target; None for ListBuckets, and where the answer is no."""
    visible: Visible | None = None
    """For lists: what may be shown; None where everything may (LST-10)."""
    source: Grant | None = None
    """Of a copy or a rename: what maps the source's name."""
    dropped: Mapping[int, Outcome] = _NOTHING
    """DeleteObjects: places in `body_keys` that are refused, and why."""

    @property
    def reasons(self) -> frozenset[Reason]:
        """Why it was refused; empty where nothing was."""
        return frozenset(outcome.reason for outcome in self.outcomes if not outcome.granted)

    @property
    def other_upstream(self) -> bool:
        """Refused only because two names lead to different upstreams: NotImplemented, not AccessDenied."""
        return not self.allowed and self.reasons == {errors.OTHER_UPSTREAM}

    def kept(self, request: S3Request) -> S3Request:
        """The request without the keys that are refused (DEL-3)."""
        if not self.dropped:
            return request
        keys = request.body_keys
        left = tuple(entry for place, entry in enumerate(keys) if place not in self.dropped)
        return replace_record(request, body_keys=left)

    def refused_entries(self, request: S3Request) -> Iterator[tuple[DeleteEntry, str, str]]:
        """DeleteObjects: each refused entry of the request as it came, with S3 code and message."""
        for place, outcome in sorted(self.dropped.items()):
            if outcome.reason is errors.OTHER_UPSTREAM:  # DEL-9
                yield request.body_keys[place], "NotImplemented", outcome.sentence
            else:
                yield request.body_keys[place], "AccessDenied", "Access Denied"


@final
class BucketView:
    """Of one identity's grants and denies, those that concern one bucket, by action."""

    __slots__ = ("_statements", "bucket", "denies", "grants", "narrowings", "refused")

    def __init__(
        self,
        bucket: str,
        grants: Mapping[str, tuple[Grant, ...]],
        denies: Mapping[str, tuple[Deny, ...]],
        refused: tuple[RefusedGrant, ...],
        narrowings: tuple[tuple[Narrow, ...], ...],
    ) -> None:
        self.bucket = bucket
        self.grants = grants
        """In file and rule order: the first that fits serves."""
        self.denies = denies
        self.refused = refused
        self.narrowings = narrowings
        """Each of them must allow as well."""
        self._statements: dict[str, tuple[tuple[Narrow, ...], ...]] = {}

    def statements(self, action: str) -> tuple[tuple[Narrow, ...], ...]:
        """Of each narrowing, the statements that speak of the action."""
        found = self._statements.get(action)
        if found is None:  # as many as the table of operations has actions, at most
            found = self._statements[action] = tuple(
                tuple(statement for statement in narrowing if statement.speaks_of(action))
                for narrowing in self.narrowings
            )
        return found

    def forbidden(self, action: str) -> bool:
        """The action is forbidden on the whole bucket."""
        return any(deny.covers("") for deny in self.denies.get(action, ()))


@final
@dataclass(frozen=True, slots=True)
class Narrow:
    """A statement of a narrowing, as it concerns one bucket."""

    allow: bool
    actions: tuple[Pattern, ...]
    patterns: tuple[Pattern, ...]

    def speaks_of(self, action: str) -> bool:
        return any(pattern.matches(action) for pattern in self.actions)

    def matches(self, key: str) -> bool:
        return any(pattern.matches(key) for pattern in self.patterns)

    def reaches(self, prefix: str) -> bool:
        return any(pattern.reaches(prefix) for pattern in self.patterns)

    def covers(self, prefix: str) -> bool:
        return any(pattern.covers(prefix) for pattern in self.patterns)


VIEWS_MAX = 256  # buckets remembered for one identity: names that requests bring are a stranger's


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlements:
    """What holds for one identity: bound once, asked with every request."""

    identity: Identity
    grants: tuple[Grant, ...] = ()
    """In file and rule order."""
    denies: tuple[Deny, ...] = ()
    refused: tuple[RefusedGrant, ...] = ()
    _views: dict[str, BucketView] = field(default_factory=dict, compare=False, repr=False)

    @property
    def may_list_buckets(self) -> bool:
        """Whoever is known may ask which buckets are theirs; the anonymous if any is."""
        return bool(self.grants) or not self.identity.anonymous

    def view(self, bucket: str) -> BucketView:
        """What concerns one bucket."""
        view = self._views.get(bucket)
        if view is None:
            view = self._made(bucket)
            if len(self._views) >= VIEWS_MAX:
                self._views.clear()
            self._views[bucket] = view
        return view

    def named_buckets(self) -> list[str]:
        """Buckets that grants name, in order, each once; without those that a narrowing takes away."""
        names = dict.fromkeys(grant.bucket for grant in self.grants if not grant.pattern)
        return [name for name in names if self.shows(name)]

    def patterns(self) -> list[Grant]:
        """Grants for buckets that a pattern matches."""
        return [grant for grant in self.grants if grant.pattern]

    def shows(self, bucket: str) -> bool:
        """Something is left of the bucket after denies and narrowings."""
        view = self.view(bucket)
        return any(not view.forbidden(action) for action in view.grants) and all(
            any(statement.allow for statement in narrowing) for narrowing in view.narrowings
        )

    def _made(self, bucket: str) -> BucketView:
        grants = [grant.named(bucket) for grant in self.grants if _names(grant.bucket, bucket)]
        grants = [grant for grant in grants if names.is_bucket_name(grant.target_bucket)]  # SSR-1
        denies = [deny for deny in self.denies if _names(deny.bucket, bucket)]
        return BucketView(
            bucket,
            _by_action(grants),
            _by_action(denies),
            tuple(refused for refused in self.refused if _names(refused.bucket, bucket)),
            tuple(
                tuple(
                    Narrow(
                        statement.effect == "allow",
                        tuple(name_pattern(text) for text in statement.actions),
                        tuple(key_pattern(text) for text in statement.keys),
                    )
                    for statement in narrowing
                    if any(_names(text, bucket) for text in statement.buckets)
                )
                for narrowing in self.identity.narrowed
            ),
        )


def _names(pattern: str, bucket: str) -> bool:
    return name_pattern(pattern).matches(bucket) if is_pattern(pattern) else pattern == bucket


def _by_action(given: list[Any]) -> dict[str, tuple[Any, ...]]:
    table: dict[str, list[Any]] = {}
    for item in given:
        for action in item.actions:
            table.setdefault(action, []).append(item)
    return {action: tuple(items) for action, items in table.items()}
