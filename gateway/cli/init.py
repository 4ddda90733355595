"""
`gateway init`: gateway.yaml, a first policy with a test, and secrets, from five values.

Nothing is written over unless asked to. What is written has passed `gateway check` before the
command ends, and the identity provider was asked whether it fits.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

import click

from gateway.cli import OUTSIDE_FAILED, WRONG_INPUT
from gateway.cli.files import snapshot_of, summary
from gateway.config.model import WELL_KNOWN
from gateway.config.values import PLACEHOLDERS
from gateway.keyring import random_token
from gateway.policy.language import bucket_problem

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]")
_POOL = re.compile(r"([a-z]{2}(?:-[a-z]+)+-[0-9])_[A-Za-z0-9]+")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What `gateway init` was told."""

    config_url: str
    client_id: str
    client_secret: str
    """Empty for a public client."""
    bucket: str
    region: str
    public_url: str
    provider: str = "corp"
    kind: str = "auto"
    group: str = ""
    endpoint: str = ""
    """Of an S3 server that is not AWS."""
    identity_pool_id: str = ""
    """S3 is asked with each person's own credentials, which this pool gives."""

    @property
    def listen(self) -> str:
        parts = urlsplit(self.public_url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        return f"127.0.0.1:{parts.port}" if local and parts.port else "127.0.0.1:8080"


@click.command()
@click.option("--region", help="AWS region of the user pool and the bucket.")
@click.option("--user-pool-id", help="Cognito user pool: us-east-1_AbCdEfGhI.")
@click.option("--issuer", help="Issuer of another OpenID provider, in place of a user pool.")
@click.option("--client-id", help="App client registered at the provider.")
@click.option(
    "--client-secret",
    envvar="GATEWAY_CLIENT_SECRET",
    help="Its secret; better from GATEWAY_CLIENT_SECRET or asked for. Blank: a public client.",
)
@click.option("--bucket", help="The bucket that people are to see.")
@click.option(
    "--public-url",
    help="Where browsers and clients reach the gateway.  [default: http://localhost:8080]",
)
@click.option(
    "--provider", default="corp", show_default=True, help="What policies call the provider."
)
@click.option(
    "--group", default="", help="Only people in this group; default: all who can sign in."
)
@click.option("--endpoint", default="", help="URL of an S3 server that is not AWS.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write.  [default: this folder]",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--offline", is_flag=True, help="Do not ask the identity provider.")
@click.option(
    "--create-cognito",
    is_flag=True,
    help="Make user pool, domain and app client through the AWS API first.",
)
@click.option("--first-user", default="", help="With --create-cognito: e-mail of a user to invite.")
@click.option(
    "--identity-pool",
    is_flag=True,
    help="With --create-cognito: an identity pool and a role too, so that S3 is asked with each person's own credentials.",
)
@click.option("--yes", is_flag=True, help="With --create-cognito: make it without asking.")
@click.option("--aws-endpoint", hidden=True, help="Of something that is not AWS.")
def init(
    region: str | None,
    user_pool_id: str | None,
    issuer: str | None,
    client_id: str | None,
    client_secret: str | None,
    bucket: str | None,
    public_url: str | None,
    provider: str,
    group: str,
    endpoint: str,
    directory: Path,
    force: bool,
    offline: bool,
    create_cognito: bool,
    first_user: str,
    identity_pool: bool,
    yes: bool,
    aws_endpoint: str | None,
) -> None:
    """Write gateway.yaml and a first policy, from the five values of the Cognito guide.

    What is not given as an option is asked for.
    """
    public_url = _public_url(public_url)
    region = _asked(region, "AWS region", default="us-east-1" if issuer else None)
    if not _REGION.fullmatch(region):
        raise click.BadParameter(
            f"{region!r} is not a region such as us-east-1", param_hint="--region"
        )
    bucket = _asked(bucket, "Bucket")
    if (why := bucket_problem(bucket)) is not None or "*" in bucket:
        raise click.BadParameter(why or "one bucket is expected", param_hint="--bucket")
    identity_pool_id = ""
    if create_cognito:
        made = _create_cognito(
            region,
            public_url,
            bucket,
            first_user=first_user,
            identity_pool=identity_pool,
            yes=yes,
            endpoint=aws_endpoint,
        )
        user_pool_id, client_id = made["user_pool_id"], made["client_id"]
        client_secret, identity_pool_id = made["client_secret"], made["identity_pool_id"]
    config_url = _config_url(issuer, user_pool_id, region)
    client_id = _asked(client_id, "App client id")
    if client_secret is None:
        client_secret = click.prompt(
            "App client secret (blank for none)", hide_input=True, default="", show_default=False
        )
    if client_secret and PLACEHOLDERS.fullmatch(client_secret):
        raise click.BadParameter("this is a placeholder", param_hint="--client-secret")
    answers = Answers(
        config_url=config_url,
        client_id=client_id,
        client_secret=client_secret,
        bucket=bucket,
        region=region,
        public_url=public_url,
        provider=provider,
        kind="auto" if issuer else "cognito",
        group=group,
        endpoint=endpoint,
        identity_pool_id=identity_pool_id,
    )
    write(answers, directory, force=force)
    _finish(answers, directory, offline=offline)


def _asked(value: str | None, text: str, default: str | None = None) -> str:
    if value is not None:
        return value.strip()
    answer: str = click.prompt(text, default=default)
    return answer.strip()


def _public_url(given: str | None) -> str:
    url = _asked(given, "Public URL of the gateway", default="http://localhost:8080").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path:
        raise click.BadParameter(
            "scheme, host and port are expected: https://s3.example.com", param_hint="--public-url"
        )
    return url


def _config_url(issuer: str | None, pool: str | None, region: str) -> str:
    if issuer is not None:
        return issuer.removesuffix(WELL_KNOWN).rstrip("/") + WELL_KNOWN
    pool = _asked(pool, "Cognito user pool id")
    found = _POOL.fullmatch(pool)
    if found is None:
        raise click.BadParameter(
            f"{pool!r} is not a user pool id such as us-east-1_AbCdEfGhI",
            param_hint="--user-pool-id",
        )
    if found[1] != region:
        raise click.BadParameter(
            f"the user pool {pool} is in {found[1]}, not in {region}", param_hint="--region"
        )
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://cognito-idp.{region}.{suffix}/{pool}{WELL_KNOWN}"


def _create_cognito(
    region: str, public_url: str, bucket: str, **options: str | bool | None
) -> Mapping[str, str]:
    # Speaks to AWS, which nobody needs who has a user pool already.
    module = import_module("gateway.cli.cognito")
    made: Mapping[str, str] = module.create(
        region=region,
        bucket=bucket,
        callback_url=f"{public_url}/api/session/auth/",
        signed_out_url=f"{public_url}/ui/signed-out",
        **options,
    )
    return made


# Writing


def write(answers: Answers, directory: Path, *, force: bool) -> None:
    """The files; secrets readable by their owner alone."""
    files = {
        directory / "gateway.yaml": (config_text(answers), 0o644),
        directory / "policies" / "main.yaml": (policy_text(answers), 0o644),
        directory / "secrets" / "session-key": (random_token(32) + "\n", 0o600),
    }
    if answers.client_secret:
        files[directory / "secrets" / "client-secret"] = (answers.client_secret + "\n", 0o600)
    there = [path for path in files if path.exists()]
    if there and not force:
        for path in there:
            click.echo(f"{path} is there already; --force writes over it", err=True)
        raise SystemExit(WRONG_INPUT)
    for path, (text, mode) in files.items():
        private = path.parent.name == "secrets"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)
        if path.name == "session-key" and path.exists():
            continue  # a new one would end every session: whoever wants that removes the old one
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
        click.echo(f"wrote {path}")


def _q(text: str) -> str:
    """A text as YAML takes it, whatever it holds."""
    return json.dumps(text, ensure_ascii=False)


def config_text(answers: Answers) -> str:
    """gateway.yaml."""
    secret = "    client_secret: ${file:secrets/client-secret}\n" if answers.client_secret else ""
    endpoint = f"endpoint: {_q(answers.endpoint)}, " if answers.endpoint else ""
    return f"""\
# Written by `gateway init`. Check a change with `gateway check`; a running gateway rereads it.
server:
  listen: {answers.listen}
  public_url: {_q(answers.public_url)}
admin: {{listen: "127.0.0.1:9090"}}     # /livez, /readyz, /metrics

oidc:
  - name: {_q(answers.provider)}
    config_url: {_q(answers.config_url)}
    client_id: {_q(answers.client_id)}
{secret}    kind: {answers.kind}

session:
  keys: ["${{file:secrets/session-key}}"]   # newest first; every replica needs the same
  lifetime: 12h
  idle: 1h

state: {{type: sqlite, path: state.db}}

upstreams:
  main: {{{endpoint}region: {answers.region}}}

credentials:
{_credentials(answers)}

policies: [policies/*.yaml]
audit: {{path: "-"}}
"""


def _credentials(answers: Answers) -> str:
    if answers.identity_pool_id:
        return f"""\
  # Each person's own, had from the identity pool for their sign-in; keys of the gateway hold none.
  storage: {{type: cognito_identity, identity_pool_id: {_q(answers.identity_pool_id)}}}"""
    return """\
  # The SDK's chain: environment, profile, IRSA, Pod Identity, ECS, instance metadata.
  storage: {type: default}"""


def policy_text(answers: Answers) -> str:
    """A first policy: the bucket to look at, and a place of one's own in it."""
    claim = "cognito:groups" if answers.kind == "cognito" else "groups"
    match = f"issuer: {_q(answers.provider)}"
    who = f'iss: {_q(answers.provider)}, sub: "someone"'
    if answers.group:
        match += f", claims: {{{_q(claim)}: {{contains: {_q(answers.group)}}}}}"
        who += f", {_q(claim)}: [{_q(answers.group)}]"
    bucket = answers.bucket
    return f"""\
# Who may do what, in the names that clients see. Nothing is allowed that no rule grants.
# Try a change with:  gateway policy explain --claims claims.json GetObject {bucket}/a.txt
rules:
  - name: look around
    match: {{{match}}}
    grants:
      - bucket: {bucket}
        upstream: main
        target: {bucket}
        credentials: storage
        allow: [list, read]           # also: write, delete, versions, or IAM actions

  - name: a place of one's own
    match: {{{match}}}
    grants:
      - bucket: {own_bucket(bucket)}                  # a name for clients; the objects are below users/ in the same bucket
        upstream: main
        target: {bucket}/users/${{claims.sub}}/
        credentials: storage
        allow: [list, read, write, delete]

  - name: nobody looks into the places of others
    match: {{everyone: true}}
    denies:
      - {{bucket: {bucket}, keys: ["users/**"], actions: [list, read, write, delete]}}

tests:
  - who: {{{who}}}
    may: [ListObjectsV2 {bucket}, GetObject {bucket}/a.txt, PutObject {own_bucket(bucket)}/a.txt]
    may_not: [PutObject {bucket}/a.txt, GetObject {bucket}/users/another/a.txt]
"""


def own_bucket(bucket: str) -> str:
    """What clients call the place of their own: any name but the bucket's."""
    return "home" if bucket != "home" else "my-home"


def _finish(answers: Answers, directory: Path, *, offline: bool) -> None:
    """Checked as `gateway check` does, the provider asked, and what is left to do said."""
    path = directory / "gateway.yaml"
    snapshot = snapshot_of(path)
    click.echo(f"{path}: {summary(snapshot)}")
    server = snapshot.config.server
    click.echo("\nRegister at the identity provider, exactly so:")
    click.echo(f"  callback URL:  {server.callback_url}")
    click.echo(f"  sign-out URL:  {server.signed_out_url}")
    failed = False
    if not offline:
        from gateway.cli.online import ask_providers  # noqa: PLC0415 # speaks HTTP

        click.echo("\nAsking the identity provider:")
        for finding in asyncio.run(ask_providers(snapshot.config, datetime.now(UTC))):
            failed = failed or finding.bad
            click.echo(f"  {finding}")
    click.echo(f"\nThen: gateway serve --config {path}")
    if failed:
        raise SystemExit(OUTSIDE_FAILED)
