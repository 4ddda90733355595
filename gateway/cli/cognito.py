"""
`gateway init --create-cognito`: user pool, domain, app client and a first user, through the AWS API.

First it looks what is there, then it says what it will make, and makes it when told to. With
`--identity-pool` also an identity pool and the role that it gives to whoever has signed in.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, final
from urllib.parse import urlsplit

import click

from gateway.cli import OUTSIDE_FAILED, WRONG_INPUT
from gateway.cli.cognito_calls import NAME, SCOPES, Cloud, Found, Wish, look, make
from gateway.errors import UpstreamUnavailable
from gateway.upstream.aws import Aws, AwsRefusal

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@final
@dataclass(frozen=True, slots=True)
class Line:
    """One line of the plan."""

    doing: Literal["make", "change", "keep"]
    text: str

    def __str__(self) -> str:
        sign = {"make": "+", "change": "~", "keep": " "}[self.doing]
        return f"  {sign} {self.text}" + ("  (there already)" if self.doing == "keep" else "")


def plan(wish: Wish, found: Found) -> list[Line]:
    """What will be done, in order."""
    client = found.client
    changes = bool(client) and found.urls_missing(wish)
    urls = f"callback {wish.callback_url}, sign-out {wish.signed_out_url}"
    lines = [
        _line(
            found.pool_id, f"user pool {NAME} in {wish.region}; users are made by administrators"
        ),
        _line(found.domain, "its domain for the sign-in page"),
        Line("change", f"app client {NAME}: add {urls}")
        if changes
        else _line(client, f"app client {NAME}: code flow, {' '.join(SCOPES)}; {urls}"),
    ]
    if wish.first_user:
        lines.append(_line(found.user, f"user {wish.first_user}, invited by e-mail"))
    if wish.identity_pool:
        lines.append(_line(found.identity_pool_id, f"identity pool {NAME}"))
        lines.append(
            _line(
                found.role_arn,
                f"IAM role {wish.role_name}: read {wish.bucket}, write below users/<their subject>/",
            )
        )
    return lines


def _line(there: object, text: str) -> Line:
    return Line("keep" if there else "make", text)


def create(
    *,
    region: str,
    bucket: str,
    callback_url: str,
    signed_out_url: str,
    first_user: str = "",
    identity_pool: bool = False,
    yes: bool = False,
    endpoint: str | None = None,
) -> dict[str, str]:
    """
    Makes what is missing, once the plan was shown and agreed to; `endpoint` is not AWS's.

    Gives `user_pool_id`, `client_id`, `client_secret`, `identity_pool_id` (empty without one).
    Ends the command where the input is wrong or AWS refuses.
    """
    wish = Wish(
        region=region,
        bucket=bucket,
        callback_url=callback_url,
        signed_out_url=signed_out_url,
        first_user=first_user,
        identity_pool=identity_pool,
    )
    _check(wish)
    try:
        found = _create(wish, yes=yes, endpoint=endpoint)
    except AwsRefusal as refusal:
        click.echo(f"AWS refuses: {refusal}", err=True)
        click.echo("What was made so far is found by the next run.", err=True)
        raise SystemExit(OUTSIDE_FAILED) from refusal
    except UpstreamUnavailable as away:
        click.echo(f"AWS could not be asked: {away}", err=True)
        raise SystemExit(OUTSIDE_FAILED) from away
    return {
        "user_pool_id": found.pool_id,
        "client_id": found.client["ClientId"],
        "client_secret": found.client.get("ClientSecret", ""),
        "identity_pool_id": found.identity_pool_id,
    }


def _check(wish: Wish) -> None:
    url = urlsplit(wish.callback_url)
    if url.scheme != "https" and url.hostname != "localhost":
        click.echo(
            "Cognito sends people back to https:// addresses and to http://localhost only; "
            f"the public URL leads to {wish.callback_url}",
            err=True,
        )
        raise SystemExit(WRONG_INPUT)
    if wish.first_user and not _EMAIL.fullmatch(wish.first_user):
        click.echo(f"{wish.first_user!r} is not an e-mail address", err=True)
        raise SystemExit(WRONG_INPUT)


def _create(wish: Wish, *, yes: bool, endpoint: str | None) -> Found:
    found = asyncio.run(_with_cloud(wish, endpoint, lambda cloud: look(cloud, wish)))
    lines = plan(wish, found)
    click.echo(f"Cognito in {wish.region}:")
    for line in lines:
        click.echo(str(line))
    if any(line.doing != "keep" for line in lines) and not yes:
        click.confirm("Go on?", abort=True)
    return asyncio.run(_with_cloud(wish, endpoint, lambda cloud: make(cloud, wish, found)))


async def _with_cloud(
    wish: Wish, endpoint: str | None, work: Callable[[Cloud], Awaitable[Found]]
) -> Found:
    aws = Aws()
    try:
        return await work(Cloud(aws, await aws.chain(), wish.region, endpoint))
    finally:
        await aws.close()
