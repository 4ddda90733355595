"""
The models that a policy file is checked against. What its texts mean is `gateway.policy.language`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from gateway.config.model import Section


def _scalar(value: object) -> object:
    if isinstance(value, str | bool | int | float):
        return value
    raise ValueError("a text, a number, true or false is expected")


def _scalars(value: object) -> object:
    if (
        isinstance(value, list)
        and value
        and all(isinstance(v, str | bool | int | float) for v in value)
    ):
        return tuple(value)
    raise ValueError("a list of texts, numbers, true or false is expected")


_SCALAR: dict[str, Any] = {"type": ["string", "boolean", "number"]}
Scalar = Annotated[Any, BeforeValidator(_scalar), WithJsonSchema(_SCALAR)]
Scalars = Annotated[
    Any,
    BeforeValidator(_scalars),
    WithJsonSchema({"type": "array", "items": _SCALAR, "minItems": 1}),
]


class ClaimConditions(Section):
    """Conditions on one claim; all of them must hold."""

    equals: Scalar = None
    """The claim is this very value: `true` is the boolean, not the text."""
    any_of: Scalars = None
    """The claim is one of these values."""
    contains: Scalar = None
    """The claim is a list that holds this value; a text counts as a list of one."""
    contains_any: Scalars = None
    """The claim is a list that holds one of these values."""
    glob: str | None = None
    """The claim, or one of its values, fits a pattern: `*` stops at a slash, `**` does not, neither stands for an `@`."""
    present: bool | None = None
    """The claim is there (`true`) or is not (`false`)."""

    @model_validator(mode="before")
    @classmethod
    def _a_mapping(cls, value: object) -> object:
        if isinstance(value, str | bool | int | float):
            raise ValueError("a condition is expected: {equals: …}, {contains: …}, {glob: …} …")
        return value

    @model_validator(mode="after")
    def _something(self) -> ClaimConditions:
        if not self.model_fields_set or any(
            getattr(self, name) is None for name in self.model_fields_set
        ):
            raise ValueError(
                "a condition is expected: equals, any_of, contains, contains_any, glob or present"
            )
        return self


class MatchSpec(Section):
    """Whom a rule is about: everything that is said here must hold."""

    issuer: str | None = None
    """Name of a provider; `service` for service accounts."""
    claims: dict[str, ClaimConditions] = Field(default={})
    """Conditions by claim."""
    everyone: bool = False
    """Whoever has shown who they are."""
    anonymous: bool = False
    """Whoever has not: requests without any proof."""

    @model_validator(mode="after")
    def _says_something(self) -> MatchSpec:
        told = self.issuer is not None or bool(self.claims)
        if not told and not self.everyone and not self.anonymous:  # POL-3
            raise ValueError("whom? say issuer, claims, everyone: true or anonymous: true")
        if told and (self.everyone or self.anonymous):
            raise ValueError("everyone and anonymous stand alone, without issuer or claims")
        return self


class GrantSpec(Section):
    """Some actions on a bucket, and what serves it."""

    bucket: str
    """The name that clients see; `*` makes it a pattern for many."""
    upstream: str
    """Name of one of `upstreams` in gateway.yaml."""
    target: str
    """Bucket, or bucket/prefix/, at the upstream. `${claims.NAME}` is filled in; `${bucket}` where `bucket` is a pattern."""
    credentials: str
    """Name of one of `credentials` in gateway.yaml."""
    allow: Annotated[tuple[str, ...], Field(min_length=1)]
    """Verbs (list, read, write, delete, versions) and IAM actions (`s3:GetObjectAcl`, `s3:Get*`, `s3:*`)."""
    keys: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Only these keys: `*` stops at a slash, `**` does not; `${claims.NAME}` is filled in. Left out: all."""


class DenySpec(Section):
    """What nobody whom the rule matches may do, whatever else grants it."""

    bucket: str
    """Name or pattern, as clients see it."""
    actions: Annotated[tuple[str, ...], Field(min_length=1)]
    """Verbs and IAM actions; a verb forbids all versions too."""
    keys: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Only these keys; left out: all of the bucket."""


class RuleSpec(Section):
    """Whom, and what they may and may not."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """Shown in explanations, pages and the audit log."""
    match: MatchSpec
    """Whom the rule is about."""
    grants: tuple[GrantSpec, ...] = ()
    """What it gives."""
    denies: tuple[DenySpec, ...] = ()
    """What it forbids: a deny wins over every grant of every rule."""

    @model_validator(mode="after")
    def _does_something(self) -> RuleSpec:
        if not self.grants and not self.denies:
            raise ValueError("the rule neither grants nor denies anything")
        return self


class PolicyTestSpec(Section):
    """What somebody may and may not do: checked before the policy comes into force."""

    who: dict[str, Any]
    """Claims; `iss` is the provider's name (or `service`). `{anonymous: true}` for nobody."""
    may: tuple[str, ...] = ()
    """`GetObject bucket/key`, `ListObjectsV2 bucket/prefix`, `CopyObject bucket/key from bucket/key`, `s3:Action bucket/key`."""
    may_not: tuple[str, ...] = ()
    """The same, refused."""

    @model_validator(mode="after")
    def _asks_something(self) -> PolicyTestSpec:
        if not self.may and not self.may_not:
            raise ValueError("the test asks nothing: say may or may_not")
        return self


class PolicyFile(Section):
    """A policy file."""

    rules: tuple[RuleSpec, ...] = ()
    """In order: where two grants name one bucket for somebody, the first that allows the action serves it."""
    tests: tuple[PolicyTestSpec, ...] = ()
    """What the rules are meant to do."""
