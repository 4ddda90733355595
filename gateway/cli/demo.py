"""`gateway demo`: the whole thing on loopback, with lines to paste."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli import DONE, OUTSIDE_FAILED

if TYPE_CHECKING:
    from gateway.demo.world import World

PORT = 8080


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"The gateway's port. Default: {PORT}, or one that is free where that is taken.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the facts as one JSON object on the first line."
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write gateway.yaml, policies and state here, and leave them. Default: a temporary folder.",
)
def demo(port: int | None, as_json: bool, directory: Path | None) -> None:
    """Run identity provider, S3 server, seeded buckets and the gateway on loopback.

    Prints the address, the users with their passwords, and commands to paste. Ctrl-C ends all of it.
    """
    try:
        from gateway.demo.world import open_world  # noqa: PLC0415 # moto is an extra
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("gateway"):
            raise
        raise click.ClickException(
            f"the demo needs an extra ({missing.name} is missing): pip install 's3-auth-gateway[demo]'"
        ) from None
    import uvloop  # noqa: PLC0415 # kept out of the start of every command

    from gateway.observe.logs import configure  # noqa: PLC0415
    from gateway.server.listeners import ListenError  # noqa: PLC0415

    configure("warning", "text")
    if not as_json:
        click.echo("Starting an identity provider, an S3 server and the gateway …", err=True)

    async def run() -> None:
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        async with open_world(port=port or _usual_port(), folder=directory) as world:
            click.echo(json.dumps(world.facts()) if as_json else told(world))
            loop.add_signal_handler(signal.SIGHUP, world.app.reload_soon)
            await world.app.run_until(ending)

    try:
        uvloop.run(run())
    except ListenError as error:
        click.echo(f"gateway: {error}; choose another with --port", err=True)
        raise SystemExit(OUTSIDE_FAILED) from None
    raise SystemExit(DONE)


def _usual_port() -> int:
    """The usual port; 0 where somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT


def _this_command() -> str:
    """How this program is called from another shell: its path, where it is not on the PATH."""
    return "gateway" if shutil.which("gateway") else sys.argv[0]


def told(world: World) -> str:
    """What a person reads: the address, who can sign in, and what to paste."""
    facts = world.facts()
    url = facts["url"]
    account = facts["service_accounts"][0]
    ada = facts["users"][0]
    lines = [
        "",
        f"  Open {url}/ and sign in:",
        "",
        f"    {'user':6} {'password':10} {'groups':18} buckets",
    ]
    for user in facts["users"]:
        groups = ", ".join(user["groups"])
        lines.append(
            f"    {user['username']:6} {user['password']:10} {groups:18} {', '.join(user['buckets'])}"
        )
    lines += [
        "",
        f"  Or use any S3 client; the service account {account['name']} has a key. Paste into another shell:",
        "",
        f"    export AWS_ENDPOINT_URL={url} AWS_DEFAULT_REGION=us-east-1",
        f"    export AWS_ACCESS_KEY_ID={account['access_key_id']} AWS_SECRET_ACCESS_KEY={account['secret_access_key']}",
        "    aws s3 ls",
        "    head -c 100000000 /dev/urandom > big.bin",
        "    aws s3 cp big.bin s3://backups/big.bin",
        "    aws s3 cp s3://backups/big.bin copy.bin && cmp big.bin copy.bin && echo same",
        "    aws s3api list-object-versions --bucket backups",
        "    aws s3 rm --recursive s3://backups/",
        "",
        "  With a token of the identity provider, as Ada:",
        "",
        f"    TOKEN=$(curl -s '{ada['token_url']}')",
        f"    curl -H \"Authorization: Bearer $TOKEN\" '{url}/home?list-type=2'",
        f'    curl -H "Authorization: Bearer $TOKEN" {url}/home/hello.txt',
        "",
        "  As yourself, with keys that renew by themselves (signs in by browser):",
        "",
        f"    {_this_command()} login {url} --profile demo && aws --profile demo s3 ls",
        "",
        f"  Configuration, policies and the audit log are in {facts['folder']}",
        "  Everything here is forgotten when it ends. Ctrl-C ends it.",
        "",
    ]
    return "\n".join(lines)
