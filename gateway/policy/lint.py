"""
What is suspicious in a policy: told as warnings, with its place.

A claim that people can edit is not who they are (POL-6, PTH-9); an action that a mapping never
carries is no grant (OPS-10); a name that nothing uses may be a slip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.config.model import Config
from gateway.config.positions import Document, Problem
from gateway.policy.language import template_problem
from gateway.policy.load import Source
from gateway.policy.match import named_claims
from gateway.policy.model import GrantRule, Match, Policy, Rule
from gateway.s3.operations import OPERATIONS

EDITABLE = frozenset(
    {
        "email", "name", "nickname", "preferred_username", "given_name", "family_name", "middle_name",
        "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
        "address", "username", "upn", "unique_name",
    }
)  # fmt: skip
"""Claims that a person can change at one provider or another."""

_SHOWN = 3  # actions named in one warning
_SESSION_TEMPLATES = ("session_name", "source_identity")


def warnings(policy: Policy, sources: Sequence[Source], config: Config) -> Iterator[Problem]:
    """What an operator should look at; nothing of it keeps the policy from coming into force."""
    names: dict[str, Rule] = {}
    for rule, source in zip(policy.rules, sources, strict=True):
        twin = names.setdefault(rule.name, rule)
        if twin is not rule:
            yield source.problem(
                ("name",), f"another rule bears this name: {twin.file}:{twin.line}"
            )
        yield from _email(rule.match, source)
        for place, grant in enumerate(rule.grants):
            path = ("grants", place)
            yield from _editable(grant, rule, source, path, config)
            yield from _not_carried(grant, source, path)
            yield from _slashes(grant.keys, source, (*path, "keys"))
        for place, deny in enumerate(rule.denies):
            yield from _slashes(deny.keys, source, ("denies", place, "keys"))


def _email(match: Match, source: Source) -> Iterator[Problem]:
    """POL-6: an address that nobody confirmed is what somebody typed."""
    verified = any(
        test.claim == "email_verified" and test.matcher == "equals" and test.argument is True
        for test in match.claims
    )
    for test in match.claims:
        if test.claim == "email" and test.matcher != "present" and not verified:
            yield source.problem(
                ("match", "claims", "email"),
                "an e-mail address counts only with email_verified: {equals: true} beside it",
            )


def _editable(
    grant: GrantRule, rule: Rule, source: Source, path: tuple[str | int, ...], config: Config
) -> Iterator[Problem]:
    """PTH-9: what decides where somebody's files are should not be theirs to edit."""
    cognito = _cognito(rule.match, config)
    places = [("target",), *(("keys", place) for place in range(len(grant.keys)))]
    texts = [f"{grant.target_bucket}/{grant.target_prefix}", *grant.keys]
    for step, text in zip(places, texts, strict=True):
        for name in named_claims(text):
            if name in EDITABLE or (cognito and name.startswith("custom:")):
                yield source.problem(
                    (*path, *step),
                    f"people may be able to edit {name} themselves and so choose their place; "
                    "`sub` is safe",
                )


def _cognito(match: Match, config: Config) -> bool:
    """The rule may be about people of a Cognito user pool, where custom attributes can be writable."""
    return any(
        provider.cognito and match.issuer in (None, provider.name) for provider in config.oidc
    )


def _not_carried(
    grant: GrantRule, source: Source, path: tuple[str | int, ...]
) -> Iterator[Problem]:
    if not grant.target_prefix:
        return
    idle = sorted(grant.actions & _WHOLE_BUCKET)
    if idle:
        shown = ", ".join(idle[:_SHOWN]) + (
            f" and {len(idle) - _SHOWN} more" if idle[_SHOWN:] else ""
        )
        yield source.problem(
            (*path, "allow"),
            f"the target has a prefix, so what acts on a whole bucket is never carried: {shown}",
        )


def _whole_bucket() -> frozenset[str]:
    carried = {need.action for row in OPERATIONS.values() if row.prefixed for need in row.needs}
    asked = {need.action for row in OPERATIONS.values() for need in row.needs}
    return frozenset(asked - carried)


_WHOLE_BUCKET = _whole_bucket()
"""Actions of operations that no prefixed mapping carries (OPS-10)."""


def _slashes(keys: Sequence[str], source: Source, path: tuple[str | int, ...]) -> Iterator[Problem]:
    for place, pattern in enumerate(keys):
        if pattern.startswith("/"):
            yield source.problem((*path, place), "keys do not begin with a slash")
        elif pattern.endswith("/"):
            yield source.problem(
                (*path, place),
                f"this is one key, the marker of a folder; did you mean {pattern + '**'!r}?",
            )


def unused(policy: Policy, config: Config, document: Document) -> Iterator[Problem]:
    """Upstreams and credentials that no grant names."""
    upstreams = {grant.upstream for rule in policy.rules for grant in rule.grants}
    credentials = {grant.credentials for rule in policy.rules for grant in rule.grants}
    credentials |= {
        source
        for settings in config.credentials.values()
        if (source := getattr(settings, "source", None)) is not None
    }
    for name in config.upstreams:
        if name not in upstreams:
            yield document.problem(("upstreams", name), "no grant names this upstream", key=True)
    for name in config.credentials:
        if name not in credentials:
            yield document.problem(
                ("credentials", name), "no grant names these credentials", key=True
            )


def template_problems(config: Config, document: Document) -> Iterator[Problem]:
    """What is wrong with the session templates of credentials."""
    for name, settings in config.credentials.items():
        for key in _SESSION_TEMPLATES:
            text = getattr(settings, key, None)
            if text and (why := template_problem(text)) is not None:
                yield document.problem(("credentials", name, key), why)
        for tag, text in getattr(settings, "tags", {}).items():
            if (why := template_problem(text)) is not None:
                yield document.problem(("credentials", name, "tags", tag), why)
