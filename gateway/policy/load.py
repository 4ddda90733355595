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
from gateway.config.positions import Document, Problem
from gateway.config.validate import validate
from gateway.identity import ANONYMOUS_ISSUER
from gateway.policy import checks
from gateway.policy.checks import Known
from gateway.policy.language import actions_of, question
from gateway.policy.model import (
    ClaimTest,
    DenyRule,
    GrantRule,
    Match,
    Policy,
    PolicyTest,
    Rule,
)

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
    """The rules and tests of all files, in order; or everything that is wrong with them."""
    rules: list[Rule] = []
    tests: list[PolicyTest] = []
    sources: list[Source] = []
    problems: list[Problem] = []
    known = Known(
        upstreams=tuple(names.upstreams),
        credentials=tuple(names.credentials),
        issuers=names.issuers,
    )
    for document in documents:
        problems.extend(document.problems)
        if document.problems and document.values is None:
            continue
        file, wrong = validate(PolicyFile, document)
        wrong.extend(checks.problems(document, known))
        problems.extend(wrong)
        if file is None or wrong:
            continue
        for place, spec in enumerate(file.rules):
            path: Path = ("rules", place)
            line = document.problem(path, "").line
            rules.append(_rule(spec, names, document.file, line))
            sources.append(Source(document, path))
        for place, test in enumerate(file.tests):
            tests.append(_test(test, names, document.problem(("tests", place), "")))
    if documents and not rules and not problems:
        problems.append(documents[0].problem((), "the policy is empty: no file holds a rule"))
    policy = Policy(rules=tuple(rules), tests=tuple(tests))
    return Compiled(policy=policy, problems=tuple(problems), sources=tuple(sources))


def _rule(spec: RuleSpec, names: Names, file: str, line: int) -> Rule:
    return Rule(
        name=spec.name,
        match=_match(spec.match),
        grants=tuple(_grant(grant, names) for grant in spec.grants),
        denies=tuple(_deny(deny) for deny in spec.denies),
        file=file,
        line=line,
    )


def _match(spec: MatchSpec) -> Match:
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


def _grant(spec: GrantSpec, names: Names) -> GrantRule:
    bucket, _, prefix = spec.target.partition("/")
    session = _session(names.credentials.get(spec.credentials))
    return GrantRule(
        bucket=spec.bucket,
        upstream=spec.upstream,
        target_bucket=bucket,
        target_prefix=prefix,
        credentials=spec.credentials,
        actions=actions_of(spec.allow),
        keys=spec.keys or (),
        session_name=session.session_name,
        source_identity=session.source_identity,
        tags=session.tags,
        scope_down=session.scope_down,
    )


def _deny(spec: DenySpec) -> DenyRule:
    return DenyRule(
        bucket=spec.bucket, actions=actions_of(spec.actions, deny=True), keys=spec.keys or ()
    )


def _test(spec: PolicyTestSpec, names: Names, at: Problem) -> PolicyTest:
    if spec.who.get("anonymous") is True:
        who = {"iss": ANONYMOUS_ISSUER}
    else:
        who = {"iss": names.issuers[0] if len(names.issuers) == 1 else "", **spec.who}
    return PolicyTest(
        who=who,
        may=tuple(question(text) for text in spec.may),
        may_not=tuple(question(text) for text in spec.may_not),
        file=at.file,
        line=at.line,
        column=at.column,
        path=at.path,
    )


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
