"""
Words and names in a policy file that mean nothing: told whatever the shape of the rest.

Looks at plain values, so that a misspelt verb is told beside a missing key. What has the wrong
shape is passed over here; the model of the file tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from gateway.config.positions import Document, Problem, did_you_mean
from gateway.identity import SERVICE_ISSUER
from gateway.policy import language
from gateway.policy.patterns import is_pattern

Path = tuple[str | int, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The names that a policy may use."""

    upstreams: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    """Of providers; service accounts have one besides."""


def problems(document: Document, known: Known) -> Iterator[Problem]:
    """Everything of that kind in one file."""
    values = document.values if isinstance(document.values, dict) else {}
    checker = _Checker(document, known)
    for path, rule in _entries(values.get("rules"), ("rules",)):
        match = rule.get("match")
        if isinstance(match, dict) and isinstance(match.get("issuer"), str):
            issuers = (*known.issuers, SERVICE_ISSUER)
            yield from checker.name(
                match["issuer"], issuers, (*path, "match", "issuer"), "an identity provider"
            )
        for inner, grant in _entries(rule.get("grants"), (*path, "grants")):
            yield from checker.grant(grant, inner)
        for inner, deny in _entries(rule.get("denies"), (*path, "denies")):
            yield from checker.place(deny, inner)
            yield from checker.actions(deny.get("actions"), (*inner, "actions"))
    for path, test in _entries(values.get("tests"), ("tests",)):
        yield from checker.test(test, path)


def _entries(value: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for place, entry in enumerate(value if isinstance(value, list) else ()):
        if isinstance(entry, dict):
            yield (*path, place), entry


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    for place, entry in enumerate(value if isinstance(value, list) else ()):
        if isinstance(entry, str):
            yield (*path, place), entry


@final
@dataclass(frozen=True, slots=True)
class _Checker:
    document: Document
    known: Known

    def _of(self, value: Any, path: Path, check: Callable[[str], str | None]) -> Iterator[Problem]:
        if isinstance(value, str) and (why := check(value)) is not None:
            yield self.document.problem(path, why)

    def name(self, name: Any, known: Iterable[str], path: Path, what: str) -> Iterator[Problem]:
        choices = tuple(known)
        if not isinstance(name, str) or name in choices:
            return
        listed = f"; there are {', '.join(sorted(choices))}" if choices else "; there are none"
        close = did_you_mean(name, choices)
        yield self.document.problem(
            path, f"{name!r} is not the name of {what} in gateway.yaml{close or listed}"
        )

    def grant(self, grant: Mapping[str, Any], path: Path) -> Iterator[Problem]:
        yield from self.place(grant, path)
        bucket = grant.get("bucket")
        pattern = isinstance(bucket, str) and is_pattern(bucket)
        yield from self._of(
            grant.get("target"),
            (*path, "target"),
            lambda target: language.target_problem(target, pattern=pattern),
        )
        yield from self.name(
            grant.get("upstream"), self.known.upstreams, (*path, "upstream"), "an upstream"
        )
        yield from self.name(
            grant.get("credentials"), self.known.credentials, (*path, "credentials"), "credentials"
        )
        yield from self.actions(grant.get("allow"), (*path, "allow"))

    def place(self, grant: Mapping[str, Any], path: Path) -> Iterator[Problem]:
        yield from self._of(grant.get("bucket"), (*path, "bucket"), language.bucket_problem)
        for inner, pattern in _texts(grant.get("keys"), (*path, "keys")):
            yield from self._of(pattern, inner, language.keys_problem)

    def actions(self, words: Any, path: Path) -> Iterator[Problem]:
        for inner, word in _texts(words, path):
            try:
                language.actions_of((word,))
            except KeyError:
                yield self.document.problem(inner, language.action_problem(word))

    def test(self, test: Mapping[str, Any], path: Path) -> Iterator[Problem]:
        who = test.get("who")
        if isinstance(who, dict) and who.get("anonymous") is not True:
            yield from self._somebody(who, (*path, "who"))
        for key in ("may", "may_not"):
            for inner, text in _texts(test.get(key), (*path, key)):
                try:
                    language.question(text)
                except ValueError as error:
                    yield self.document.problem(inner, str(error))

    def _somebody(self, who: Mapping[str, Any], path: Path) -> Iterator[Problem]:
        issuer = who.get("iss")
        if issuer is None and len(self.known.issuers) != 1:
            yield self.document.problem(path, "iss is needed: the name of a provider, or `service`")
        issuers = (*self.known.issuers, SERVICE_ISSUER)
        yield from self.name(issuer, issuers, (*path, "iss"), "an identity provider")
        if not isinstance(who.get("sub"), str) or not who["sub"]:
            yield self.document.problem(path, "sub is needed: who is it?")
