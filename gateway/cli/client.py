"""
What users run on their own machines: login, logout, credentials, doctor.

`login` signs in by browser and leaves a key behind; `credentials` turns it into temporary ones
whenever a program asks, so that no long-lived secret is in any AWS file; `logout` takes it back;
`doctor` finds what is between a client and the gateway.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import sys
import threading
import webbrowser
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn
from urllib.parse import urlsplit

import click

from gateway.cli import DONE, OUTSIDE_FAILED, WRONG_INPUT, calls, probes, profile, vault, wire
from gateway.cli.calls import Refused, Temporary, Unreachable
from gateway.cli.signin import Attempt, Listener, SignInFailed
from gateway.cli.vault import Login
from gateway.identity import Credentials, Secret

RENEW_BEFORE = timedelta(minutes=20)
"""botocore asks again from 15 minutes before the end: what is printed must then be newer."""
_ENDED = frozenset({"InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch"})


class Address(click.ParamType):  # type: ignore[type-arg] # generic only in newer clicks
    """The address of a gateway."""

    name = "url"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        try:
            return calls.base_url(str(value))
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


def _end(message: str, code: int) -> NoReturn:
    """Says what went wrong on standard error, and ends."""
    click.echo(message, err=True)
    sys.exit(code)


def _now() -> datetime:
    return datetime.now(UTC)


@click.command()
@click.argument("url", type=Address())
@click.option("--profile", "name", help="The AWS profile to write. Default: the host's name.")
@click.option(
    "--no-browser",
    is_flag=True,
    help="Print an address to open elsewhere, and take the code shown there: for a remote shell.",
)
@click.option("--no-profile", is_flag=True, help="Sign in, and write no AWS profile.")
def login(url: str, name: str | None, no_browser: bool, no_profile: bool) -> None:
    """Sign in at a gateway with your browser, and write an AWS profile for it.

    The profile holds no secret: aws, boto3 and the other SDKs ask `gateway credentials` for
    temporary credentials, which are renewed without you. What this machine got stands in your
    list of access keys on the gateway's page, and can be revoked there.

    \b
    gateway login https://s3.example.com --profile acme
    aws --profile acme s3 ls
    """
    if not calls.safe_for_secrets(url):
        click.echo(f"Warning: {url} is not https; whoever is on the way can read along.", err=True)
    name = name or urlsplit(url).hostname or "gateway"
    earlier = _known(url)
    made = _sign_in(url, no_browser=no_browser)
    _keep(made, "" if no_profile else name)
    if earlier is not None:
        _give_up(earlier, quietly=True)
    if not no_profile:
        click.echo(f"\nTry it:  aws --profile {shlex.quote(name)} s3 ls")


def _sign_in(url: str, *, no_browser: bool) -> Login:
    attempt = Attempt(url, socket.gethostname()[:64] or "a terminal")
    try:
        code = _pasted(attempt) if no_browser else _from_browser(attempt)
        made = calls.redeem(url, code, attempt.verifier)
    except SignInFailed as failed:
        _end(f"You are not signed in: {failed}.", OUTSIDE_FAILED)
    except Refused as refused:
        _end(f"You are not signed in: {refused}", WRONG_INPUT)
    except Unreachable as away:
        _end(f"The gateway does not answer. {away}", OUTSIDE_FAILED)
    return Login(
        url=url,
        access_key_id=made["access_key_id"],
        secret=Secret(made["secret_access_key"]),
        expires=datetime.fromisoformat(made["expires_at"]),
        user=made.get("user", ""),
    )


def _from_browser(attempt: Attempt) -> str:
    listener = Listener(attempt)
    try:
        page = attempt.page(listener.redirect)
        click.echo(f"The page in your browser must show this code: {attempt.comparison}", err=True)
        # Beside the wait: some browsers hold whoever opens them until they are closed.
        threading.Thread(target=_open, args=(page,), daemon=True).start()
        return listener.wait()
    finally:
        listener.close()


def _open(page: str) -> None:
    if not webbrowser.open(page):
        click.echo(
            "No browser could be opened. Open this address on this machine, or run "
            f"gateway login --no-browser on a remote one:\n\n  {page}\n",
            err=True,
        )


def _pasted(attempt: Attempt) -> str:
    click.echo(f"Open this address in any browser:\n\n  {attempt.page(None)}\n", err=True)
    click.echo(f"The page must show this code: {attempt.comparison}", err=True)
    code: str = click.prompt("Then paste the code that it gives you", err=True)
    return code


def _keep(made: Login, name: str) -> None:
    try:
        place = vault.save(replace(made, profile=name))
        if name:
            process = f"{_command()} credentials --url {shlex.quote(made.url)}"
            profile.write(profile.config_path(), name, url=made.url, process=process)
    except profile.Taken as taken:
        _end(
            f"You are signed in, but {taken}.\nChoose another name: --profile NAME",
            WRONG_INPUT,
        )
    except OSError as error:
        _end(f"What you got cannot be written: {error}", OUTSIDE_FAILED)
    kept = "the system's keyring" if place == "keyring" else place
    click.echo(f"Signed in as {made.user} until {made.expires.astimezone():%d %B %Y, %H:%M}.")
    click.echo(f"The key is in {kept}.")


def _command() -> str:
    """How other programs call us: by full path, for their PATH may be another."""
    found = shutil.which("gateway")
    if found is not None:
        return shlex.quote(os.path.abspath(found))
    return f"{shlex.quote(sys.executable)} -m gateway"


def _known(url: str) -> Login | None:
    try:
        return vault.load(url)
    except OSError as error:
        _end(f"What this machine knows cannot be read: {error}", OUTSIDE_FAILED)


@click.command()
@click.option("--url", required=True, type=Address(), help="The gateway's address.")
def credentials(url: str) -> None:
    """Print temporary credentials as JSON, for `credential_process` in an AWS profile.

    They are kept until shortly before their end, so most calls ask nobody. After `gateway login`
    no one has to be there; when the sign-in itself has ended, the message says how to renew it.
    """
    login = _known(url)
    now = _now()
    if login is None or login.expires <= now:
        _end(f"You are not signed in at {url}. Run: gateway login {url}", WRONG_INPUT)
    made = login.temporary
    # Near the key's own end no newer ones can be had: then these are used up.
    fresh = made is not None and (
        made.expires - now > RENEW_BEFORE or made.expires >= login.expires > now
    )
    if made is None or not fresh:
        made = _renewed(login, made, now)
    click.echo(
        json.dumps(
            {
                "Version": 1,
                "AccessKeyId": made.access_key_id,
                "SecretAccessKey": made.secret_access_key,
                "SessionToken": made.session_token,
                "Expiration": f"{made.expires:%Y-%m-%dT%H:%M:%SZ}",
            }
        )
    )


def _renewed(login: Login, old: Temporary | None, now: datetime) -> Temporary:
    try:
        made = calls.session_token(login.url, login.key, now)
    except Refused as refused:
        if refused.code in _ENDED:
            _end(f"Your sign-in has ended. Run: gateway login {login.url}", WRONG_INPUT)
        _end(f"{login.url} refused: {refused}", OUTSIDE_FAILED)
    except Unreachable as away:
        if old is not None and old.expires > now:
            return old  # they still work, should the gateway come back in time
        _end(f"The gateway does not answer. {away}", OUTSIDE_FAILED)
    try:
        vault.keep_temporary(login, made)
    except OSError as error:
        click.echo(f"The credentials cannot be kept for the next call: {error}", err=True)
    return made


@click.command()
@click.argument("url", type=Address())
def logout(url: str) -> None:
    """Revoke what `gateway login` left on this machine, and remove it with its AWS profile."""
    login = _known(url)
    if login is None:
        click.echo(f"This machine is not signed in at {url}.")
        return
    revoked = _give_up(login)
    try:
        vault.forget(login)
        if login.profile:
            profile.remove(profile.config_path(), login.profile)
    except OSError as error:
        _end(f"What this machine keeps cannot be removed: {error}", OUTSIDE_FAILED)
    if not revoked:
        _end(
            "The key was removed from this machine, but not revoked: do that on the gateway's page, "
            "under Access keys.",
            OUTSIDE_FAILED,
        )
    click.echo("Signed out.")


def _give_up(login: Login, *, quietly: bool = False) -> bool:
    """Revokes the key; whether it is certain to be over."""
    if login.expires <= _now():
        return True
    if not calls.safe_for_secrets(login.url):
        return False  # its secret would have to travel in the clear
    try:
        calls.revoke(login.url, login.access_key_id, login.secret)
    except (Refused, Unreachable) as failed:
        if not quietly:
            click.echo(str(failed), err=True)
        return False
    return True


@click.command()
@click.argument("url", type=Address())
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="CA certificates (PEM).")
def doctor(url: str, ca: str | None) -> None:
    """Find what is between this machine and a gateway that breaks signatures.

    Sends requests that differ in one thing each, compares how they arrived with how they were
    sent, and names the setting that mends what a proxy does. With a sign-in (`gateway login`) or
    AWS_ACCESS_KEY_ID in the environment, a signed request is tried as well.
    Ends with 3 where something is broken.
    """
    bad = 0
    try:
        line = wire.Line(url, ca=ca)
        for found in probes.findings(line, key=_key(url)):
            _show(found)
            bad += found.level is probes.Level.BAD
    except Unreachable as away:
        _end(f"Nothing answers. {away}", OUTSIDE_FAILED)
    except OSError as error:
        _end(f"The CA certificates cannot be used: {error}", WRONG_INPUT)
    if bad:
        _end(f"\n{bad} of these break clients.", OUTSIDE_FAILED)
    click.echo("\nNothing here breaks a signature.")
    sys.exit(DONE)


def _show(found: probes.Finding) -> None:
    colour = {probes.Level.GOOD: "green", probes.Level.NOTE: "yellow", probes.Level.BAD: "red"}
    mark = click.style(f"{found.level.value:>4}", fg=colour[found.level])
    click.echo(f"{mark}  {found.what}")
    for text in (found.happened, found.remedy):
        if text:
            click.echo(f"      {text}")


def _key(url: str) -> Credentials | None:
    """Of this machine's sign-in; else of the environment, where somebody chose it."""
    login = _known(url)
    if login is not None and login.expires > _now():
        return login.key
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key_id or not secret:
        return None
    token = os.environ.get("AWS_SESSION_TOKEN")
    return Credentials(
        access_key_id=key_id,
        secret=Secret(secret),
        session_token=Secret(token) if token else None,
    )
