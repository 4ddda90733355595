"""
Whom a rule is about: claim matchers and templates; Policy and Identity to Entitlements.

Done once for an identity and a snapshot. Rules stand in an index by the claim values they ask
for, so that ten thousand rules about other people cost nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, final
from weakref import WeakKeyDictionary

from gateway.errors import CLAIM_UNUSABLE, TAG_UNUSABLE, Reason
from gateway.identity import Identity
from gateway.policy.model import (
    ClaimTest,
    Deny,
    DenyRule,
    Entitlements,
    Grant,
    GrantRule,
    Match,
    Policy,
    RefusedGrant,
    Rule,
)
from gateway.policy.patterns import key_pattern
from gateway.s3 import names

MISSING = object()
"""What a claim is that is not there."""


def claim(identity: Identity, name: str) -> object:
    """
    The value of a claim, or MISSING.

    `sub` is the subject, whatever the claims say. Any other name is taken literally first, since
    names hold `:` and `.`; then, at each dot from the right, as a claim within a claim
    (`realm_access.roles`, `kubernetes.io.namespace`).
    """
    if name == "sub":
        return identity.subject
    return _within(identity.claims, name)


def _within(claims: Mapping[str, Any], name: str) -> object:
    if name in claims:
        return claims[name]
    end = name.rfind(".")
    while end > 0:
        inner = claims.get(name[:end], MISSING)
        if isinstance(inner, Mapping):
            found = _within(inner, name[end + 1 :])
            if found is not MISSING:
                return found
        end = name.rfind(".", 0, end)
    return MISSING


# Matchers


def _same(value: object, argument: object) -> bool:
    """Equal and of one kind: `true` is not 1, and neither is "true" (POL-6)."""
    return type(value) is type(argument) and value == argument


def _items(value: object) -> tuple[object, ...]:
    """A list's items; a bare value is a list of one; absent is empty (POL-7)."""
    if isinstance(value, list | tuple):
        return tuple(value)
    return () if value is MISSING or value is None else (value,)


def _equals(value: object, argument: object) -> bool:
    return _same(value, argument)


def _any_of(value: object, argument: tuple[object, ...]) -> bool:
    return any(_same(value, one) for one in argument)


def _contains(value: object, argument: object) -> bool:
    return any(_same(item, argument) for item in _items(value))


def _contains_any(value: object, argument: tuple[object, ...]) -> bool:
    return any(_same(item, one) for item in _items(value) for one in argument)


def _glob(value: object, argument: str) -> bool:
    return any(isinstance(item, str) and glob_matches(argument, item) for item in _items(value))


def glob_matches(pattern: str, value: str) -> bool:
    """
    `*` stops at a slash, `**` does not. Neither stands for an `@` that the pattern does not
    show, or `*@corp.com` would take `a@evil@corp.com` for a colleague (POL-6).
    """
    return pattern.count("@") == value.count("@") and key_pattern(pattern).matches(value)


def _present(value: object, argument: bool) -> bool:
    return (value is not MISSING and value is not None) == argument


@final
class Matcher(NamedTuple):
    """One way to ask for a claim: how it is tested, what it takes, how it reads in a sentence."""

    test: Callable[[object, Any], bool]
    takes: str
    """`scalar`, `list`, `pattern` or `flag`."""
    phrase: str
    lists: bool
    """Looks into lists: of a claim that is one, the values asked for are worth keeping."""


MATCHERS: dict[str, Matcher] = {
    "equals": Matcher(_equals, "scalar", "`{claim}` is {argument}", False),
    "any_of": Matcher(_any_of, "list", "`{claim}` is one of {argument}", False),
    "contains": Matcher(_contains, "scalar", "`{claim}` contains {argument}", True),
    "contains_any": Matcher(_contains_any, "list", "`{claim}` contains one of {argument}", True),
    "glob": Matcher(_glob, "pattern", "`{claim}` matches {argument}", True),
    "present": Matcher(_present, "flag", "`{claim}` is there", False),
}
"""The language's conditions; a new one is a function and a row."""


def holds(test: ClaimTest, identity: Identity) -> bool:
    """Whether one condition holds for somebody."""
    return MATCHERS[test.matcher].test(claim(identity, test.claim), test.argument)


def matches(match: Match, identity: Identity) -> bool:
    """Whether a rule's grants are for somebody."""
    if identity.anonymous:
        return match.anonymous
    if match.anonymous and not match.everyone:
        return False
    if match.issuer is not None and match.issuer != identity.issuer:
        return False
    return all(holds(test, identity) for test in match.claims)


def forbids(match: Match, identity: Identity) -> bool:
    """Whether a rule's denies are for somebody: those for everyone are for the anonymous too."""
    return matches(match, identity) or (identity.anonymous and match.everyone)


def phrase(test: ClaimTest) -> str:
    """The condition in words: "`cognito:groups` contains `staff`"."""
    if test.matcher == "present" and not test.argument:
        return f"`{test.claim}` is absent"
    argument = test.argument if isinstance(test.argument, tuple) else (test.argument,)
    shown = ", ".join(f"`{_spelled(one)}`" for one in argument)
    return MATCHERS[test.matcher].phrase.format(claim=test.claim, argument=shown)


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def because(rule: Rule) -> str:
    """Why somebody has what the rule gives, as pages say it."""
    match = rule.match
    parts = [] if match.issuer is None else [f"you signed in at `{match.issuer}`"]
    parts += [phrase(test) for test in match.claims]
    if match.everyone:
        parts.append("it is for everyone")
    elif match.anonymous:
        parts.append("it is for those who are not signed in")
    return f"because {' and '.join(parts)}, rule “{rule.name}”"


# The index


class _Key(NamedTuple):
    kind: type
    value: object


def _values(test: ClaimTest) -> tuple[object, ...] | None:
    """The claim values, one of which the condition needs; None where it cannot be told."""
    match test.matcher:
        case "equals" | "contains":
            return (test.argument,)
        case "any_of" | "contains_any":
            return tuple(test.argument)
        case _:
            return None


@final
class Index:
    """Rules by a claim value that each needs; those that need none are always looked at."""

    __slots__ = ("_always", "_by_claim", "_rules")

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._always: list[int] = []
        self._by_claim: dict[str, dict[_Key, list[int]]] = {}
        for number, rule in enumerate(rules):
            self._place(number, rule.match)

    def _place(self, number: int, match: Match) -> None:
        for test in match.claims:
            values = _values(test)
            if values is not None:
                table = self._by_claim.setdefault(test.claim, {})
                for value in values:
                    table.setdefault(_Key(type(value), value), []).append(number)
                return
        self._always.append(number)

    def candidates(self, identity: Identity) -> Iterator[tuple[int, Rule]]:
        """Rules that may be about somebody, in order; no other is."""
        numbers = set(self._always)
        for name, table in self._by_claim.items():
            for item in _items(claim(identity, name)):
                if isinstance(item, str | int | float):
                    numbers.update(table.get(_Key(type(item), item), ()))
        for number in sorted(numbers):
            yield number, self._rules[number]


_INDEXES: WeakKeyDictionary[Policy, Index] = WeakKeyDictionary()


def index_of(policy: Policy) -> Index:
    """The policy's index, made once."""
    index = _INDEXES.get(policy)
    if index is None:
        index = _INDEXES[policy] = Index(policy.rules)
    return index


# Templates

CLAIM = re.compile(r"\$\{claims\.([^{}]+)\}")
TEMPLATE = re.compile(r"\$\{[^}]*\}?")
_REFUSED = re.compile(r"[/*?\x00-\x1f\x7f-\x9f\ud800-\udfff]|\.\.|\$\{")
_TAG = re.compile(r"[_.:/=+\-@]")
TAG_MAX = 256  # characters of a session tag's value: what STS takes


class Unusable(Exception):
    """A template or a tag refuses the grant."""

    def __init__(self, why: Reason, **detail: str) -> None:
        super().__init__(why.code)
        self.reason = why
        self.detail = detail


def problem(value: object) -> str | None:
    """What keeps a claim's value out of a template (PTH-9); None where it is usable."""
    if value is MISSING or value is None:
        return "absent"
    if not isinstance(value, str):
        return "not a text"
    if not value or value.isspace():
        return "empty"
    if value in (".", ".."):
        return "a dot segment"
    if found := _REFUSED.search(value):
        shown = found[0] if found[0].isprintable() else "a control character"
        return f"not usable because it holds {shown}"
    return None


def render(template: str, identity: Identity) -> str:
    """The template with its claims filled in. Raises Unusable; never makes an empty string of one."""

    def fill(found: re.Match[str]) -> str:
        value = claim(identity, found[1])
        if (why := problem(value)) is not None:
            raise Unusable(CLAIM_UNUSABLE, claim=found[1], problem=why)
        return str(value)

    return CLAIM.sub(fill, template) if "${" in template else template


def _tag(name: str, template: str, identity: Identity) -> str:
    """A session tag's value, in the alphabet that STS takes. Raises Unusable."""
    value = render(template, identity)
    usable = all(unicodedata.category(char)[0] in "LZN" or _TAG.match(char) for char in value)
    if not usable or len(value) > TAG_MAX:
        raise Unusable(TAG_UNUSABLE, tag=name)
    return value


def named_claims(template: str) -> list[str]:
    """The claims that a template names."""
    return CLAIM.findall(template)


# Binding


def bind(policy: Policy, identity: Identity) -> Entitlements:
    """What the rules give and forbid one identity; what a template refuses stands aside with its reason."""
    grants: list[Grant] = []
    denies: list[Deny] = []
    refused: list[RefusedGrant] = []
    for _, rule in index_of(policy).candidates(identity):
        if rule.denies and forbids(rule.match, identity):
            denies.extend(_bound_deny(deny, rule, identity) for deny in rule.denies)
        if rule.grants and matches(rule.match, identity):
            for grant in rule.grants:
                try:
                    grants.append(_bound(grant, rule, identity, len(grants)))
                except Unusable as unusable:
                    refused.append(
                        RefusedGrant(
                            bucket=grant.bucket,
                            actions=grant.actions,
                            rule=rule.name,
                            reason=unusable.reason,
                            detail=unusable.detail,
                        )
                    )
    return Entitlements(
        identity=identity, grants=tuple(grants), denies=tuple(denies), refused=tuple(refused)
    )


def _bound(grant: GrantRule, rule: Rule, identity: Identity, order: int) -> Grant:
    return Grant(
        bucket=grant.bucket,
        keys=tuple(render(pattern, identity) for pattern in grant.keys),
        actions=grant.actions,
        upstream=grant.upstream,
        target_bucket=_target_bucket(grant, identity),
        target_prefix=render(grant.target_prefix, identity),
        credentials=grant.credentials,
        rule=rule.name,
        because=because(rule),
        session_name=render(grant.session_name, identity),
        source_identity=render(grant.source_identity, identity),
        tags=tuple((name, _tag(name, template, identity)) for name, template in grant.tags),
        scope_down=grant.scope_down,
        order=order,
    )


def _target_bucket(grant: GrantRule, identity: Identity) -> str:
    """Rendered, and a bucket name: it may become part of a host name (SSR-1). Raises Unusable."""
    bucket = render(grant.target_bucket, identity)
    if "${" not in bucket and not names.is_bucket_name(bucket):
        claims = ", ".join(named_claims(grant.target_bucket))
        raise Unusable(CLAIM_UNUSABLE, claim=claims, problem="not usable in a bucket's name")
    return bucket


def _bound_deny(deny: DenyRule, rule: Rule, identity: Identity) -> Deny:
    try:
        keys = tuple(render(pattern, identity) for pattern in deny.keys)
    except Unusable:
        keys = ()  # POL-1: a deny whose keys cannot be told forbids the bucket
    return Deny(
        bucket=deny.bucket,
        actions=deny.actions,
        keys=keys,
        rule=rule.name,
        because=because(rule),
    )


# What of the claims is worth keeping


def claims_named(policy: Policy) -> dict[str, tuple[ClaimTest, ...]]:
    """Each claim that a rule or a template names, with the conditions on it; templates have none."""
    found: dict[str, list[ClaimTest]] = {}
    for rule in policy.rules:
        for test in rule.match.claims:
            found.setdefault(test.claim, []).append(test)
        for template in _templates(rule):
            for name in named_claims(template):
                found.setdefault(name, [])
    return {name: tuple(dict.fromkeys(tests)) for name, tests in found.items()}


def _templates(rule: Rule) -> Iterator[str]:
    for grant in rule.grants:
        yield from grant.keys
        yield from (grant.target_bucket, grant.target_prefix)
        yield from (grant.session_name, grant.source_identity)
        yield from (template for _, template in grant.tags)
    for deny in rule.denies:
        yield from deny.keys


@final
class Keeper:
    """
    Reduces claims to those that can matter to a decision, as they came; of a list, the values
    that some rule could match. A decision on what is kept equals one on all.
    """

    __slots__ = ("_globs", "_names", "_values", "_whole", "digest")

    def __init__(self, policy: Policy) -> None:
        named = claims_named(policy)
        self._names = tuple(named)
        self._values: dict[str, set[_Key]] = {}
        self._globs: dict[str, list[str]] = {}
        self._whole: set[str] = set()
        for name, tests in named.items():
            for test in tests:
                if not MATCHERS[test.matcher].lists:
                    continue
                if test.matcher == "glob":
                    self._globs.setdefault(name, []).append(test.argument)
                else:
                    for value in _values(test) or ():
                        self._values.setdefault(name, set()).add(_Key(type(value), value))
        self.digest = self._digest(named)
        """Changes when what is kept may change: a session made under another one is rebuilt."""

    @staticmethod
    def _digest(named: Mapping[str, Iterable[ClaimTest]]) -> str:
        text = json.dumps(
            {
                name: sorted(json.dumps([test.matcher, test.argument]) for test in tests)
                for name, tests in named.items()
            },
            sort_keys=True,
        )
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def keep(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """Of these claims, what the policy could ask for. A claim within a claim is kept under its full name."""
        kept: dict[str, Any] = {}
        for name in self._names:
            value = _within(claims, name)
            if value is MISSING:
                continue
            kept[name] = self._of_list(name, value) if isinstance(value, list | tuple) else value
        return kept

    def _of_list(self, name: str, items: Iterable[object]) -> list[object]:
        values = self._values.get(name, set())
        globs = self._globs.get(name, ())
        return [
            item
            for item in items
            if (isinstance(item, str | int | float) and _Key(type(item), item) in values)
            or (isinstance(item, str) and any(glob_matches(pattern, item) for pattern in globs))
        ]
