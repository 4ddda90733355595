"""
The commands that read the two kinds of file: check, schema, policy.

Problems go to standard error, one a line, each with its place; what was asked for goes to
standard output.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from gateway.cli import OUTSIDE_FAILED, WRONG_INPUT
from gateway.config.load import load
from gateway.config.model import Config
from gateway.config.policyfile import PolicyFile
from gateway.config.positions import did_you_mean
from gateway.errors import ConfigError
from gateway.identity import ANONYMOUS_IDENTITY, SERVICE_ISSUER, Identity
from gateway.policy import explain, questions
from gateway.policy.language import question
from gateway.policy.match import bind
from gateway.policy.model import Question
from gateway.snapshot import Snapshot

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("gateway.yaml"),
    show_default=True,
    envvar="GATEWAY_CONFIG",
    show_envvar=True,
    help="The configuration file.",
)


def snapshot_of(path: Path) -> Snapshot:
    """What the files say. Where something is wrong, every problem is told and the program ends."""
    try:
        return Snapshot.build(load(path))
    except ConfigError as error:
        tell(error.problems)


def tell(problems: Iterable[object]) -> NoReturn:
    for problem in problems:
        click.echo(str(problem), err=True)
    raise SystemExit(WRONG_INPUT)


@click.command()
@config_option
@click.option(
    "--online",
    is_flag=True,
    help="Also ask the identity providers, the upstreams and the sources of credentials.",
)
def check(config_path: Path, online: bool) -> None:
    """Read configuration and policies, and run the policies' own tests."""
    snapshot = snapshot_of(config_path)
    for warning in snapshot.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{config_path}: {summary(snapshot)}")
    if online:
        _ask_outside(snapshot)


def summary(snapshot: Snapshot) -> str:
    """How much of everything there is, and that it is good."""
    policy, config = snapshot.policy, snapshot.config
    counts = [
        _count(len(policy.rules), "rule"),
        _count(sum(len(rule.grants) for rule in policy.rules), "grant"),
        _count(sum(len(rule.denies) for rule in policy.rules), "deny", "denies"),
        _count(len(config.oidc), "identity provider"),
        _count(len(config.upstreams), "upstream"),
        f"{_count(len(policy.tests), 'test')} passed",
    ]
    return f"good; {', '.join(counts)}"


def _count(number: int, noun: str, many: str | None = None) -> str:
    return f"{number} {noun if number == 1 else many or noun + 's'}"


def _ask_outside(snapshot: Snapshot) -> None:
    # Speaks HTTP, which nothing else here needs.
    from gateway.cli.online import ask  # noqa: PLC0415

    failed = False
    for finding in asyncio.run(ask(snapshot, datetime.now(UTC))):
        failed = failed or finding.bad
        click.echo(str(finding), err=finding.bad)
    if failed:
        raise SystemExit(OUTSIDE_FAILED)


@click.command()
@click.argument("which", type=click.Choice(["config", "policy"]))
def schema(which: str) -> None:
    """Print the JSON Schema of gateway.yaml or of policy files, for editors."""
    from gateway.config import described  # noqa: PLC0415 # only this command asks for it

    content = described.schema(Config if which == "config" else PolicyFile)
    name = "gateway.yaml" if which == "config" else "A policy file of the gateway"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name}
    click.echo(json.dumps({**content, **head}, indent=2, ensure_ascii=False))


@click.group()
def policy() -> None:
    """Ask the policies what somebody may do, and why."""


def _question(words: Sequence[str]) -> Question:
    try:
        return question(" ".join(words))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@policy.command("explain", context_settings={"ignore_unknown_options": True})
@config_option
@click.option(
    "--claims",
    type=click.File("r", encoding="utf-8"),
    required=True,
    help="A JSON object: somebody's claims, as their ID token has them; `-` for standard input.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.argument("words", nargs=-1, required=True, metavar="OPERATION BUCKET/KEY")
def explain_command(config_path: Path, claims: Any, as_json: bool, words: tuple[str, ...]) -> None:
    """Say whether somebody may do something, by which rule, and what every other rule lacked.

    \b
    gateway policy explain --claims c.json GetObject home/a.txt
    gateway policy explain --claims c.json CopyObject home/b.txt from shared/a.txt
    gateway policy explain --claims c.json s3:GetObjectAcl shared/a.txt
    """
    asked = _question(words)
    snapshot = snapshot_of(config_path)
    identity = identity_from(_claims(claims), snapshot.config)
    entitlements = bind(snapshot.policy, identity)
    decision = questions.ask(entitlements, asked)
    looked_at = list(explain.looked_at(snapshot.policy, identity))
    if as_json:
        answer = {"question": str(asked), **explain.as_json(decision), "rules": looked_at}
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    who = "nobody" if identity.anonymous else f"{identity.subject} at {identity.issuer}"
    click.echo(f"{'ALLOWED' if decision.allowed else 'REFUSED'}: {asked}, asked by {who}")
    for sentence in explain.sentences(decision):
        click.echo(f"  {sentence}")
    if decision.allowed and decision.grant is not None:
        grant = decision.grant
        place = f"{grant.target_bucket}/{grant.target_prefix}"
        click.echo(
            f"  Served by {grant.upstream}: {place} with the credentials {grant.credentials}."
        )
    click.echo("Rules:")
    for row in looked_at:
        _told(row)


def _told(row: Mapping[str, Any]) -> None:
    mark = "+" if row["matched"] else "-"
    click.echo(f"  {mark} {row['rule']} ({row['file']}:{row['line']}): {row['why']}")
    for refused in row["refused"]:
        click.echo(f"      {refused}")


def _claims(file: Any) -> dict[str, Any]:
    try:
        claims = json.load(file)
    except (ValueError, RecursionError) as error:
        tell([f"{file.name}: this is not JSON: {error}"])
    if not isinstance(claims, dict):
        tell([f"{file.name}: a JSON object is expected"])
    return claims


def identity_from(claims: Mapping[str, Any], config: Config) -> Identity:
    """
    Somebody with these claims. `iss` is a provider's name or its issuer URL (or `service`), and
    may be left out where there is one provider. `{"anonymous": true}` is nobody.
    """
    if claims.get("anonymous") is True:
        return ANONYMOUS_IDENTITY
    issuer = claims.get("iss")
    known = {provider.issuer_url: provider.name for provider in config.oidc}
    names = [*known.values(), SERVICE_ISSUER]
    if issuer is None and len(config.oidc) == 1:
        issuer = config.oidc[0].name
    issuer = known.get(str(issuer), issuer)
    if issuer not in names:
        close = did_you_mean(str(issuer), names)
        tell([f"iss: {issuer!r} is not one of {', '.join(names)}{close}"])
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        tell(["sub is needed: who is it?"])
    return Identity(issuer=str(issuer), subject=subject, claims=claims)


@policy.command("test")
@config_option
def test_command(config_path: Path) -> None:
    """Run the tests that stand in the policy files."""
    snapshot = snapshot_of(config_path)  # runs them: a policy that fails its tests is not built
    tests = snapshot.policy.tests
    asked = sum(len(test.may) + len(test.may_not) for test in tests)
    click.echo(f"{_count(len(tests), 'test')} passed, {_count(asked, 'question')}")
    if not tests:
        click.echo("warning: no policy file has tests", err=True)


@policy.command("who-can")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.argument("words", nargs=-1, required=True, metavar="OPERATION BUCKET/KEY")
def who_can_command(config_path: Path, as_json: bool, words: tuple[str, ...]) -> None:
    """Name the rules that let somebody do something, and those that forbid it.

    \b
    gateway policy who-can GetObject home/a.txt
    """
    asked = _question(words)
    rows = questions.who_can(snapshot_of(config_path).policy, asked)
    if as_json:
        click.echo(
            json.dumps({"question": str(asked), "rules": rows}, indent=2, ensure_ascii=False)
        )
        return
    for line in who_can_lines(asked, rows):
        click.echo(line)


def who_can_lines(asked: Question, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The answer in words."""
    lines = [f"{asked} is granted to"]
    lines += [_who_line(row, row["gives"]) for row in rows if row["gives"]] or ["  nobody"]
    forbidding = [row for row in rows if row["forbids"]]
    if forbidding:
        lines.append("and forbidden, whatever grants it, to")
        lines += [_who_line(row, row["forbids"]) for row in forbidding]
    return lines


def _who_line(row: Mapping[str, Any], actions: Sequence[str]) -> str:
    part = "" if set(actions) == set(row["needs"]) else f" [{', '.join(actions)} only]"
    claims = f"; the key depends on {', '.join(row['claims'])}" if row["claims"] else ""
    return f"  {row['who']}{claims}{part}: rule “{row['rule']}” ({row['file']}:{row['line']})"
