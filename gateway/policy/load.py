"""
Policy files to a Policy, every problem positioned; what is suspicious, as warnings.

Names of upstreams, credentials and providers are checked here too: a policy is compiled for one
configuration, whose session templates become part of its grants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from gateway.config.model import (
    AssumeRoleCredentials,
    CognitoIdentityCredentials,
    Config,
    WebIdentityCredentials,
)
from gateway.config.policyfile import (
    ClaimConditions,
    DenySpec,
    GrantSpec,
    MatchSpec,
    PolicyFile,
    PolicyTestSpec,
    RuleSpec,
)
from gateway.config.positions import Document, Problem, did_you_mean
from gateway.config.validate import validate
from gateway.identity import ANONYMOUS_ISSUER, SERVICE_ISSUER
from gateway.policy import language
from gateway.policy.model import (
    ClaimTest,
    DenyRule,
    GrantRule,
    Match,
    Policy,
    PolicyTest,
    Question,
    Rule,
)
from gateway.policy.patterns import is_pattern

Path = tuple[str | int, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a policy may name of the configuration."""

    upstreams: frozenset[str] = frozenset()
    credentials: Mapping[str, object] = field(default_factory=dict)
    """By name; the settings where they are known."""
    issuers: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config) -> Names:
        return cls(
            upstreams=frozenset(config.upstreams),
            credentials=config.credentials,
            issuers=tuple(provider.name for provider in config.oidc),
        )

    @classmethod
    def raw(cls, values: Any) -> Names:
        """As far as a document that makes no configuration tells."""
        values = values if isinstance(values, dict) else {}
        providers = values.get("oidc")
        listed = providers if isinstance(providers, list) else []
        return cls(
            upstreams=frozenset(_keys(values.get("upstreams"))),
            credentials=dict.fromkeys(_keys(values.get("credentials"))),
            issuers=tuple(
                one["name"]
                for one in listed
                if isinstance(one, dict) and isinstance(one.get("name"), str)
            ),
        )


def _keys(value: Any) -> Iterable[str]:
    return value if isinstance(value, dict) else ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A policy, and where its parts came from."""

    policy: Policy
    problems: tuple[Problem, ...]
    sources: tuple[Source, ...]
    """One a rule, in the same order: for what is found wrong later."""


@final
@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule stands in its file."""

    document: Document
    path: Path

    def problem(self, path: Path, message: str) -> Problem:
        return self.document.problem((*self.path, *path), message)


def compile_policy(documents: Sequence[Document], names: Names) -> Compiled:
    """The rules and tests of all files, in order, and everything that is wrong with them."""
    rules: list[Rule] = []
    tests: list[PolicyTest] = []
    sources: list[Source] = []
    problems: list[Problem] = []
    for document in documents:
        problems.extend(document.problems)
        if document.problems and document.values is None:
            continue
        file, wrong = validate(PolicyFile, document)
        problems.extend(wrong)
        if file is None:
            continue
        compiler = _Compiler(document, names)
        for place, spec in enumerate(file.rules):
            rule = compiler.rule(spec, ("rules", place))
            rules.append(rule)
            sources.append(Source(document, ("rules", place)))
        tests.extend(compiler.test(spec, ("tests", place)) for place, spec in enumerate(file.tests))
        problems.extend(compiler.problems)
    if documents and not rules and not problems:
        problems.append(documents[0].problem((), "the policy is empty: no file holds a rule"))
    policy = Policy(rules=tuple(rules), tests=tuple(tests))
    return Compiled(policy=policy, problems=tuple(problems), sources=tuple(sources))


@final
@dataclass(slots=True)
class _Compiler:
    """One file's models to the policy's own types."""

    document: Document
    names: Names
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, path: Path, message: str | None) -> None:
        if message is not None:
            self.problems.append(self.document.problem(path, message))

    def rule(self, spec: RuleSpec, path: Path) -> Rule:
        return Rule(
            name=spec.name,
            match=self._match(spec.match, (*path, "match")),
            grants=tuple(
                self._grant(grant, (*path, "grants", place))
                for place, grant in enumerate(spec.grants)
            ),
            denies=tuple(
                self._deny(deny, (*path, "denies", place)) for place, deny in enumerate(spec.denies)
            ),
            file=self.document.file,
            line=self.document.problem(path, "").line,
        )

    def _match(self, spec: MatchSpec, path: Path) -> Match:
        if spec.issuer is not None:
            known = (*self.names.issuers, SERVICE_ISSUER)
            self._known(spec.issuer, known, (*path, "issuer"), "an identity provider")
        return Match(
            issuer=spec.issuer,
            claims=tuple(
                test
                for claim, conditions in spec.claims.items()
                for test in _claim_tests(claim, conditions)
            ),
            everyone=spec.everyone,
            anonymous=spec.anonymous,
        )

    def _grant(self, spec: GrantSpec, path: Path) -> GrantRule:
        self.wrong((*path, "bucket"), language.bucket_problem(spec.bucket))
        pattern = is_pattern(spec.bucket)
        self.wrong((*path, "target"), language.target_problem(spec.target, pattern=pattern))
        self._known(spec.upstream, self.names.upstreams, (*path, "upstream"), "an upstream")
        self._known(spec.credentials, self.names.credentials, (*path, "credentials"), "credentials")
        bucket, _, prefix = spec.target.partition("/")
        session = _session(self.names.credentials.get(spec.credentials))
        return GrantRule(
            bucket=spec.bucket,
            upstream=spec.upstream,
            target_bucket=bucket,
            target_prefix=prefix,
            credentials=spec.credentials,
            actions=self._actions(spec.allow, (*path, "allow")),
            keys=self._patterns(spec.keys, (*path, "keys")),
            session_name=session.session_name,
            source_identity=session.source_identity,
            tags=session.tags,
            scope_down=session.scope_down,
        )

    def _deny(self, spec: DenySpec, path: Path) -> DenyRule:
        self.wrong((*path, "bucket"), language.bucket_problem(spec.bucket))
        return DenyRule(
            bucket=spec.bucket,
            actions=self._actions(spec.actions, (*path, "actions"), deny=True),
            keys=self._patterns(spec.keys, (*path, "keys")),
        )

    def _known(self, name: str, known: Iterable[str], path: Path, what: str) -> None:
        choices = tuple(known)
        if name not in choices:
            listed = f"; there are {', '.join(sorted(choices))}" if choices else "; there are none"
            close = did_you_mean(name, choices)
            self.wrong(path, f"{name!r} is not the name of {what} in gateway.yaml{close or listed}")

    def _actions(self, words: Sequence[str], path: Path, *, deny: bool = False) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for place, word in enumerate(words):
            try:
                found |= language.actions_of((word,), deny=deny)
            except KeyError:
                self.wrong((*path, place), language.action_problem(word))
        return found

    def _patterns(self, patterns: Sequence[str] | None, path: Path) -> tuple[str, ...]:
        for place, pattern in enumerate(patterns or ()):
            self.wrong((*path, place), language.keys_problem(pattern))
        return tuple(patterns or ())

    def test(self, spec: PolicyTestSpec, path: Path) -> PolicyTest:
        anonymous = spec.who.get("anonymous") is True
        who = {"iss": ANONYMOUS_ISSUER} if anonymous else self._somebody(spec.who, (*path, "who"))
        at = self.document.problem(path, "")
        return PolicyTest(
            who=who,
            may=tuple(self._questions(spec.may, (*path, "may"))),
            may_not=tuple(self._questions(spec.may_not, (*path, "may_not"))),
            file=self.document.file,
            line=at.line,
            column=at.column,
            path=at.path,
        )

    def _somebody(self, who: Mapping[str, Any], path: Path) -> dict[str, Any]:
        issuer = who.get("iss")
        if issuer is None and len(self.names.issuers) == 1:
            issuer = self.names.issuers[0]
        if not isinstance(issuer, str):
            self.wrong(path, "iss is needed: the name of a provider, or `service`")
            return dict(who)
        self._known(issuer, (*self.names.issuers, SERVICE_ISSUER), (*path, "iss"), "a provider")
        subject = who.get("sub")
        if not isinstance(subject, str) or not subject:
            self.wrong(path, "sub is needed: who is it?")
        return {**who, "iss": issuer}

    def _questions(self, texts: Sequence[str], path: Path) -> Iterator[Question]:
        for place, text in enumerate(texts):
            try:
                yield language.question(text)
            except ValueError as error:
                self.wrong((*path, place), str(error))


def _claim_tests(claim: str, conditions: ClaimConditions) -> Iterator[ClaimTest]:
    for matcher in sorted(conditions.model_fields_set):
        yield ClaimTest(claim=claim, matcher=matcher, argument=getattr(conditions, matcher))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """Templates that name the session which credentials are had for."""

    session_name: str = ""
    source_identity: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    scope_down: bool = False


def _session(settings: object) -> _Session:
    match settings:
        case AssumeRoleCredentials():
            return _Session(
                session_name=settings.session_name,
                source_identity=settings.source_identity or "",
                tags=tuple(settings.tags.items()),
                scope_down=settings.scope_down,
            )
        case WebIdentityCredentials():
            return _Session(session_name=settings.session_name, scope_down=settings.scope_down)
        case CognitoIdentityCredentials() if settings.flow == "basic":
            return _Session(session_name=settings.session_name, scope_down=settings.scope_down)
        case _:
            return _Session()


def schema() -> dict[str, Any]:
    """JSON Schema of a policy file, for editors."""
    return PolicyFile.model_json_schema()
