"""
`gateway init`: gateway.yaml, a first policy with a test, and secrets, from five values.

Nothing is written over unless asked to, and nothing is written that `gateway check` would refuse.
The identity provider is asked whether it fits.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import click

from gateway.cli import OUTSIDE_FAILED, WRONG_INPUT
from gateway.cli.files import snapshot_of, summary
from gateway.cli.seed import Answers, File, files_of, problems_of
from gateway.config.model import WELL_KNOWN, Kind
from gateway.policy.language import bucket_problem

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]")
_POOL = re.compile(r"([a-z]{2}(?:-[a-z]+)+-[0-9])_[A-Za-z0-9]+")
_OPTIONS: Mapping[str, str] = {
    "oidc[0].name": "--provider",
    "oidc[0].config_url": "--issuer",
    "oidc[0].client_id": "--client-id",
    "oidc[0].client_secret": "--client-secret",
    "server.public_url": "--public-url",
    "upstreams.main.endpoint": "--endpoint",
    "upstreams.main.region": "--region",
}
"""Which option a setting of gateway.yaml was made of."""


@click.command()
@click.option("--region", help="AWS region of the user pool and the bucket.")
@click.option("--user-pool-id", help="Cognito user pool: us-east-1_AbCdEfGhI.")
@click.option("--issuer", help="Issuer of another OpenID provider, in place of a user pool.")
@click.option(
    "--kind",
    type=click.Choice(get_args(Kind)),
    default="auto",
    show_default=True,
    help="With --issuer: whose habits to expect; auto looks at the issuer.",
)
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
    kind: Kind,
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
    answers = Answers(
        config_url=config_url,
        client_id=client_id,
        client_secret=client_secret,
        bucket=bucket,
        region=region,
        public_url=public_url,
        provider=provider,
        kind=kind if issuer else "cognito",
        group=group,
        endpoint=endpoint,
        identity_pool_id=identity_pool_id,
    )
    files = files_of(answers)
    if problems := problems_of(files):
        option = _OPTIONS.get(problems[0].path, problems[0].path)
        raise click.BadParameter(problems[0].message, param_hint=option)
    _write(files, directory, force=force)
    _finish(directory, offline=offline, registered=create_cognito)


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


def _write(files: Sequence[File], directory: Path, *, force: bool) -> None:
    other = [file for file in files if file.differs(directory)]
    if other and not force:
        for file in other:
            click.echo(
                f"{directory / file.name} is there already, and says something else; "
                "--force writes over it",
                err=True,
            )
        raise SystemExit(WRONG_INPUT)
    for file in files:
        if file in other or not (directory / file.name).exists():
            file.write(directory)
            click.echo(f"wrote {directory / file.name}")
        else:
            click.echo(f"kept {directory / file.name}")


def _finish(directory: Path, *, offline: bool, registered: bool) -> None:
    """Checked as `gateway check` does, the provider asked, and what is left to do said."""
    path = directory / "gateway.yaml"
    snapshot = snapshot_of(path)
    click.echo(f"{path}: {summary(snapshot)}")
    server = snapshot.config.server
    done = "Registered" if registered else "Register"
    click.echo(f"\n{done} at the identity provider, exactly so:")
    click.echo(f"  callback URL:  {server.callback_url}")
    click.echo(f"  sign-out URL:  {server.signed_out_url}")
    failed = False
    if not offline:
        from gateway.cli.online import ask_providers  # noqa: PLC0415 # speaks HTTP

        click.echo("\nAsking the identity provider:")
        for finding in asyncio.run(ask_providers(snapshot.config, datetime.now(UTC))):
            failed = failed or finding.bad
            click.echo(f"  {finding}")
    first = "Put that right. Then" if failed else "Then"
    # The storage is asked only there: its credentials may not be at hand here.
    click.echo(f"\n{first}, on the machine where it is to run:")
    click.echo(f"  gateway check --online --config {path}")
    click.echo(f"  gateway serve --config {path}")
    if failed:
        raise SystemExit(OUTSIDE_FAILED)
