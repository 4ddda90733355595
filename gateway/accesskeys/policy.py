"""
The `Policy` of an STS call: the part of IAM's language that a narrowing can express.

Actions are spelt out per level, since IAM's resources are: `arn:aws:s3:::b/*` says nothing about
listing b, `arn:aws:s3:::b` nothing about its objects. Whatever cannot be expressed is refused,
never ignored: an ignored restriction would be a wider key (STS-7, KEY-3).

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from fnmatch import translate
from typing import Any, Literal

from gateway.errors import GatewayError
from gateway.identity import Narrowing, Statement
from gateway.s3.operations import ACTIONS, OPERATIONS, On

POLICY_MAX = 2048  # characters: AWS's own bound for a session policy (STS-6)
VERSIONS = ("2012-10-17", "2008-10-17")

_ARN = "arn:aws:s3:::"
_BUCKET = re.compile(r"[A-Za-z0-9._*-]{1,255}")
_TEXT = {"Version", "Id", "Statement"}
_STATEMENT = {"Sid", "Effect", "Action", "Resource", "Condition"}
_LISTS = {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}
_CONDITIONS = {"StringEquals", "StringLike"}


class MalformedPolicy(GatewayError):
    """The policy is no policy, or says something that a narrowing cannot: STS's MalformedPolicyDocument."""


class Level(Enum):
    """What an action is done to, which is what IAM's resource of it names."""

    ACCOUNT = "account"
    BUCKET = "bucket"
    OBJECT = "object"


_LEVELS = {
    On.NOTHING: Level.ACCOUNT,
    On.BUCKET: Level.BUCKET,
    On.LISTED: Level.BUCKET,
    On.TARGET: Level.OBJECT,
    On.COPY_SOURCE: Level.OBJECT,
    On.RENAME_SOURCE: Level.OBJECT,
    On.EACH_KEY: Level.OBJECT,
}


def _by_level() -> Mapping[Level, frozenset[str]]:
    found: dict[Level, set[str]] = {level: set() for level in Level}
    for operation in OPERATIONS.values():
        for need in operation.needs:
            found[_LEVELS[need.on]].add(need.action)
    named = set().union(*found.values())
    # Those that no operation needs by itself come in with a version or a header of an object.
    found[Level.OBJECT] |= ACTIONS - named
    return {level: ACTIONS.intersection(actions) for level, actions in found.items()}


ACTIONS_OF: Mapping[Level, frozenset[str]] = _by_level()


def narrowing(text: str) -> Narrowing:
    """The statements of a policy. Raises MalformedPolicy."""
    document = _object(_parsed(text), _TEXT, "the policy")
    if document.get("Version", VERSIONS[0]) not in VERSIONS:
        raise MalformedPolicy(f"Version must be {VERSIONS[0]}")
    statements = _listed(document.get("Statement"))
    if not statements:
        raise MalformedPolicy("the policy has no Statement")
    return tuple(made for statement in statements for made in _statements(statement))


def _parsed(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as wrong:
        raise MalformedPolicy("the policy is not JSON") from wrong


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two members of one name, two readers may believe different ones.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedPolicy("a member stands twice in the policy")
    return members


def _object(value: object, known: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedPolicy(f"{what} is not an object")
    unknown = value.keys() - known
    if unknown:
        raise MalformedPolicy(f"{sorted(unknown)[0]!r} in {what} is not supported here")
    return value


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _strings(value: object, what: str) -> list[str]:
    values = _listed(value)
    if not values or not all(isinstance(item, str) for item in values):
        raise MalformedPolicy(f"{what} must be a string, or a list of them")
    return values


def _statements(value: object) -> Iterable[Statement]:
    statement = _object(value, _STATEMENT, "a statement")
    effect = _effect(statement.get("Effect"))
    actions = _actions(_strings(statement.get("Action"), "Action"))
    prefixes = _prefixes(statement, actions)
    for resource in _strings(statement.get("Resource"), "Resource"):
        levels, bucket, keys = _resource(resource)
        chosen = {action for level in levels for action in actions & ACTIONS_OF[level]}
        if chosen:
            yield Statement(
                effect=effect,
                actions=("s3:*",) if chosen == ACTIONS else tuple(sorted(chosen)),
                buckets=(bucket,),
                keys=prefixes or (keys,),
            )


def _prefixes(statement: Mapping[str, Any], actions: frozenset[str]) -> tuple[str, ...]:
    """
    The keys that a list may show, where a condition names prefixes: the one condition there is.

    IAM restricts what may be asked for, we what is shown: never more than IAM would show.
    """
    condition = statement.get("Condition")
    if condition is None:
        return ()
    tests = _object(condition, _CONDITIONS, "Condition")
    if len(tests) != 1 or statement["Effect"] != "Allow" or not actions <= _LISTS:
        raise MalformedPolicy("Condition is supported for s3:prefix in an Allow of lists alone")
    (kind, test), *_ = tests.items()
    values = _strings(_object(test, {"s3:prefix"}, "Condition").get("s3:prefix"), "s3:prefix")
    if any("${" in value or (kind == "StringLike" and "?" in value) for value in values):
        raise MalformedPolicy("a prefix in Condition holds a variable or a question mark")
    if kind == "StringEquals" and any("*" in value for value in values):
        raise MalformedPolicy(
            "a prefix in Condition holds a star, which StringEquals takes literally"
        )
    return tuple(_key_pattern(value + "*") for value in values)


def _effect(value: object) -> Literal["allow", "deny"]:
    match value:
        case "Allow":
            return "allow"
        case "Deny":
            return "deny"
        case _:
            raise MalformedPolicy("Effect must be Allow or Deny")


def _actions(patterns: list[str]) -> frozenset[str]:
    """Every action that a pattern names; IAM does not care about case, and our names do."""
    found: set[str] = set()
    for pattern in patterns:
        if pattern == "*":
            return ACTIONS
        if "[" in pattern:
            raise MalformedPolicy(f"the action {pattern!r} is not one of S3")
        matches = re.compile(translate(pattern), re.IGNORECASE).match
        named = {action for action in ACTIONS if matches(action)}
        if not named:
            raise MalformedPolicy(f"the action {pattern!r} is not one of S3")
        found |= named
    return frozenset(found)


def _resource(resource: str) -> tuple[tuple[Level, ...], str, str]:
    """What a resource names: at which levels, in which buckets, which keys."""
    if resource in ("*", f"{_ARN}*"):
        # In IAM `arn:aws:s3:::*` matches every ARN of S3: its star does not stop at a slash.
        return tuple(Level), "*", "**"
    if not resource.startswith(_ARN) or "${" in resource or "?" in resource:
        raise MalformedPolicy(f"the resource {resource!r} is not supported here")
    bucket, slash, key = resource.removeprefix(_ARN).partition("/")
    if not _BUCKET.fullmatch(bucket) or (slash and not key):
        raise MalformedPolicy(f"the resource {resource!r} is not supported here")
    if slash:
        return (Level.OBJECT,), bucket, _key_pattern(key)
    if bucket.endswith("*"):
        # `arn:aws:s3:::lab*` matches the ARN of an object in lab-1 as well, as IAM reads it.
        return (Level.BUCKET, Level.OBJECT), bucket, "**"
    return (Level.BUCKET,), bucket, "**"


def _key_pattern(key: str) -> str:
    # IAM's star crosses slashes, ours only doubled.
    return re.sub(r"\*+", "**", key)
