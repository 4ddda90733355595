"""
The small texts of the policy language: verbs and actions, targets, templates, patterns, questions.

Each is read here once, and says what is wrong with it in the operator's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.config.positions import did_you_mean
from gateway.policy.match import CLAIM, TEMPLATE
from gateway.policy.model import Question
from gateway.policy.patterns import is_pattern, name_pattern
from gateway.s3 import names
from gateway.s3.objects import ObjectName
from gateway.s3.operations import ACTIONS, OPERATIONS, VERBS, VERSIONED, On, Operation

API_BUCKET = "api"
_BUCKET_PATTERN = re.compile(r"[a-z0-9.*?-]{1,63}")


def bucket_problem(name: str) -> str | None:
    """What is wrong with the bucket of a grant or a deny; None where nothing is."""
    if name == API_BUCKET:
        return "'api' cannot be a bucket: the gateway's own API is at /api/"
    if is_pattern(name):
        if not _BUCKET_PATTERN.fullmatch(name):
            return "a bucket pattern holds lower-case letters, digits, '.', '-', '*' and '?'"
    elif not names.is_bucket_name(name):
        return "a bucket name has 3 to 63 of lower-case letters, digits, '.' and '-'"
    return None


def template_problem(text: str, *, bucket: bool = False) -> str | None:
    """What is wrong with the `${…}` in a text; `bucket`: `${bucket}` may stand there."""
    for found in TEMPLATE.finditer(text):
        if CLAIM.fullmatch(found[0]) or (bucket and found[0] == "${bucket}"):
            continue
        if found[0] == "${bucket}":
            return "${bucket} has a value only where `bucket` is a pattern"
        return f"{found[0]} is not known here: write ${{claims.NAME}}"
    return None


def target_problem(target: str, *, pattern: bool) -> str | None:
    """What is wrong with a grant's target."""
    if (why := template_problem(target, bucket=pattern)) is not None:
        return why
    if pattern and "${bucket}" not in target:
        return "a bucket pattern needs ${bucket} in its target, or all names lead to one place"
    bucket, slash, prefix = target.partition("/")
    plain = TEMPLATE.sub("xxx", bucket)
    if not names.is_bucket_name(plain):
        return f"{bucket!r} is not a bucket name"
    if slash and not prefix:
        return f"a prefix is missing after the slash; did you mean {bucket!r}?"
    if prefix and not prefix.endswith("/"):  # PTH-4
        return f"a prefix ends in '/'; did you mean {target + '/'!r}?"
    if any(part in ("", ".", "..") for part in prefix.split("/")[:-1]):
        return "a prefix has no empty, '.' or '..' segments"
    return None


def keys_problem(pattern: str) -> str | None:
    """What is wrong with a pattern of keys."""
    if (why := template_problem(pattern)) is not None:
        return why
    if not pattern:
        return "a pattern of keys is not empty"
    if any(part in (".", "..") for part in pattern.split("/")):
        return "no key has a '.' or '..' segment"
    return None


def actions_of(words: Iterable[str], *, deny: bool = False) -> frozenset[str]:
    """
    The IAM actions that verbs, actions and patterns of actions stand for. Raises KeyError with
    the word that is none.

    In a deny a verb forbids the same with a version named: who must not read an object must not
    read it by its version id either.
    """
    found: set[str] = set()
    for word in words:
        actions = _word(word)
        found |= actions
        if deny and word in VERBS:
            found |= {VERSIONED[action] for action in actions if action in VERSIONED}
            found |= {"s3:ListBucketVersions"} if word == "list" else set()
    return frozenset(found)


def _word(word: str) -> frozenset[str]:
    if word in VERBS:
        return VERBS[word]
    if word in ACTIONS:
        return frozenset({word})
    if is_pattern(word) and word.startswith("s3:"):
        pattern = name_pattern(word)
        matched = frozenset(action for action in ACTIONS if pattern.matches(action))
        if matched:
            return matched
    raise KeyError(word)


def action_problem(word: str) -> str:
    """What is wrong with a word that stands for no action."""
    if word.startswith("s3:"):
        return f"{word!r} is no IAM action of S3 that the gateway knows" + did_you_mean(
            word, ACTIONS
        )
    close = did_you_mean(word, [*VERBS, *ACTIONS])
    return (
        f"{word!r} is not one of {', '.join(VERBS)}, nor an IAM action such as s3:GetObject{close}"
    )


def question(text: str) -> Question:
    """`GetObject bucket/key[?versionId=v]`, `CopyObject bucket/key from bucket/key`. Raises ValueError."""
    word, _, rest = text.strip().partition(" ")
    operation = OPERATIONS.get(word)
    if operation is None and word not in ACTIONS:
        known = [*OPERATIONS, *ACTIONS]
        raise ValueError(f"{word!r} is no operation of S3{did_you_mean(word, known)}")
    source: str | None = None
    if operation is not None and _copies(operation):
        rest, between, source = rest.rpartition(" from ")
        if not between:
            raise ValueError(f"{word} needs a source: {word} bucket/key from bucket/key")
    target = _name(rest.strip())
    if operation is not None and (why := _place_problem(operation, target)) is not None:
        raise ValueError(why)
    return Question(
        operation=word, target=target, source=None if source is None else _name(source.strip())
    )


def _copies(operation: Operation) -> bool:
    return any(need.on in (On.COPY_SOURCE, On.RENAME_SOURCE) for need in operation.needs)


def _place_problem(operation: Operation, target: ObjectName) -> str | None:
    if operation.level == "service":
        return f"{operation.name} is not about a bucket" if target.bucket else None
    if not target.bucket:
        return f"{operation.name} needs a bucket"
    if operation.level == "object" and not target.key:
        return f"{operation.name} needs a key: bucket/key"
    return None


def _name(text: str) -> ObjectName:
    path, mark, version = text.partition("?versionId=")
    bucket, _, key = path.removeprefix("s3://").partition("/")
    return ObjectName(bucket, key, version if mark else None)
