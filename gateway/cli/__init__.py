"""
The command tree and the exit codes.

0 done; 1 the user's input is wrong; 2 wrong usage; 3 something outside failed.
"""

from __future__ import annotations

import importlib
from typing import NoReturn

import click

from gateway import __version__

DONE, WRONG_INPUT, WRONG_USAGE, OUTSIDE_FAILED = 0, 1, 2, 3

COMMANDS = {
    "serve": ("gateway.cli.serve", "serve"),
    "check": ("gateway.cli.files", "check"),
    "demo": ("gateway.cli.demo", "demo"),
    "init": ("gateway.cli.init", "init"),
    "policy": ("gateway.cli.files", "policy"),
    "schema": ("gateway.cli.files", "schema"),
    "login": ("gateway.cli.client", "login"),
    "logout": ("gateway.cli.client", "logout"),
    "credentials": ("gateway.cli.client", "credentials"),
    "doctor": ("gateway.cli.client", "doctor"),
    "health": ("gateway.cli.serve", "health"),
}
"""Each command and the module it lives in, which is read only when the command is used."""


class Tree(click.Group):
    """Loads a command's module when it is asked for: `gateway credentials` starts no server's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        module, name = row
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Tree, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def tree() -> None:
    """The front door to S3: browser login, the S3 protocol and per-user credentials under one policy.

    \b
    Try it:      gateway demo
    Set it up:   gateway init, gateway check, gateway serve
    Use it:      gateway login https://s3.example.com --profile acme
    """


def main() -> NoReturn:
    """The console command."""
    tree.main(prog_name="gateway")
    raise SystemExit(DONE)
