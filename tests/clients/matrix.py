"""Installs clients, runs their programs and collects what they print."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.identity import Credentials
from tests.clients.programs._names import OPERATIONS
from tests.clients.table import PROGRAMS, Client
from tests.clients.world import BUCKET, SERVERS, Gateway, gateway

CREDENTIALS = ("service", "personal", "temporary")
TRANSPORTS = ("http", "https")
CELL_SECONDS = 240.0


@dataclass(frozen=True)
class Result:
    """One operation of one client, one way."""

    server: str
    client: str
    credentials: str
    transport: str
    operation: str
    passed: bool | None
    """None for what the client cannot do."""
    note: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What it is a result of."""
        return (self.server, self.client, self.credentials, self.transport, self.operation)


@dataclass(frozen=True)
class Plan:
    """What is run."""

    clients: Sequence[Client]
    servers: Sequence[str] = tuple(SERVERS)
    credentials: Sequence[str] = CREDENTIALS
    transports: Sequence[str] = TRANSPORTS


async def run(plan: Plan) -> AsyncIterator[Result]:
    """Every result as it comes. Raises RuntimeError where a server or the gateway does not start."""
    for server_name in plan.servers:
        with SERVERS[server_name]() as server:
            for transport in plan.transports:
                async with gateway(server, tls=transport == "https") as made:
                    for client in plan.clients:
                        for kind in plan.credentials:
                            where = (server_name, client.name, kind, transport)
                            for line in await cell(client, made, kind):
                                yield Result(*where, *line)


Line = tuple[str, bool | None, str]
"""An operation; whether it passed, None for what the client cannot do; the reason."""


async def cell(client: Client, made: Gateway, kind: str) -> list[Line]:
    """Every operation of one client with credentials of one kind."""
    if client.missing:
        return [(name, None, client.missing) for name in OPERATIONS]
    done = await _start(_command(client), _environment(client, made, kind))
    found: dict[str, Line] = {}
    for line in done[1].splitlines():
        if line.startswith(b'{"operation"'):
            one = json.loads(line)
            found[one["operation"]] = (one["operation"], one["passed"], one["note"])
    last = " ".join(done[2].decode(errors="replace").split())[-400:]
    silent = f"the program ended with {done[0]} before this: {last}"
    return [found.get(name, (name, False, silent)) for name in OPERATIONS]


async def _start(command: list[str], environment: dict[str, str]) -> tuple[int, bytes, bytes]:
    """The end of a program; its servers run on this loop meanwhile."""
    child = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, problems = await asyncio.wait_for(child.communicate(), CELL_SECONDS)
    except TimeoutError:
        child.kill()
        await child.wait()
        return -1, b"", b"took too long"
    return child.returncode or 0, out, problems


def _command(client: Client) -> list[str]:
    program = PROGRAMS / client.program
    if client.npm:
        return ["node", str(program)]
    if client.go:
        return [str(client.folder / "program")]
    if client.maven:
        return ["java", "-cp", f"{client.folder}/lib/*:{client.folder}/classes", program.stem]
    python = client.folder / "bin" / "python" if client.pip else sys.executable
    return [str(python), str(program)]


def _environment(client: Client, made: Gateway, kind: str) -> dict[str, str]:
    """Nothing of this machine's own settings but where programs are found."""
    keys: Credentials = made.credentials[kind]
    values = {
        "PATH": os.environ["PATH"],
        "HOME": str(client.folder),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_ENDPOINT_URL": made.url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret.reveal(),
        "MATRIX_ENDPOINT": made.url,
        "MATRIX_BUCKET": BUCKET,
        "MATRIX_PREFIX": f"{client.folder.name}/{kind}-{'https' if made.ca else 'http'}/",
        "MATRIX_BIN": str(client.folder / "bin"),
        "MATRIX_FOLDER": str(client.folder),
    }
    if keys.session_token:
        values["AWS_SESSION_TOKEN"] = keys.session_token.reveal()
    if made.ca:
        authority = str(made.ca)
        values["MATRIX_CA"] = authority
        if client.command != "rclone":  # 1.60 ends itself where this is set
            values["AWS_CA_BUNDLE"] = authority
        values |= {"SSL_CERT_FILE": authority, "NODE_EXTRA_CA_CERTS": authority}
    return values | dict(client.environment)


def install(client: Client) -> None:
    """Into a folder of its own, once. Raises CalledProcessError."""
    if client.missing:
        return
    client.folder.mkdir(parents=True, exist_ok=True)
    wanted = _wanted(client)
    stamp = client.folder / ".installed"
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        _fetch(client)
        stamp.write_text(wanted, "utf-8")
    if client.go:
        output = str(client.folder / "program")
        _quietly("go", "build", "-C", str(PROGRAMS / client.program), "-o", output, ".")
    if client.maven:
        program = PROGRAMS / client.program
        jars, classes = f"{client.folder}/lib/*", str(client.folder / "classes")
        base = str(program.with_name("Matrix.java"))
        _quietly("javac", "-cp", jars, "-d", classes, base, str(program))


def _wanted(client: Client) -> str:
    if client.maven:
        return (PROGRAMS / client.program).with_suffix(".xml").read_text("utf-8")
    return " ".join(client.pip or client.npm) + "\n"


def _fetch(client: Client) -> None:
    folder = str(client.folder)
    if client.pip:
        shutil.rmtree(folder)
        venv.create(folder, with_pip=True)
        _quietly(f"{folder}/bin/pip", "install", "--quiet", *client.pip)
    if client.npm:
        _quietly("npm", "install", "--silent", "--prefix", folder, *client.npm)
    if client.maven:
        shutil.rmtree(f"{folder}/lib", ignore_errors=True)
        pom = (PROGRAMS / client.program).with_suffix(".xml")
        jars = ("dependency:copy-dependencies", "-DincludeScope=runtime")
        _quietly("mvn", "-q", "-B", "-f", str(pom), *jars, f"-DoutputDirectory={folder}/lib")


def _quietly(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=600)


def version(client: Client) -> str:
    """What is installed, for the table; empty where nothing is."""
    if client.missing:
        return ""
    if client.version:
        done = subprocess.run(client.version, capture_output=True, text=True, timeout=30)
        found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
        return found[0] if found else ""
    if client.npm:
        manifest = client.folder / "node_modules" / client.npm[0] / "package.json"
        return str(json.loads(manifest.read_text("utf-8"))["version"])
    if client.go:
        module = (PROGRAMS / client.program / "go.mod").read_text("utf-8")
        return module.partition(f"{client.go} v")[2].split()[0]
    if client.maven:
        jar = next((client.folder / "lib").glob(f"{client.maven}-[0-9]*.jar"))
        return jar.stem.removeprefix(f"{client.maven}-")
    name = re.split("[=<>]", client.pip[0])[0]
    ask = f"import importlib.metadata as m; print(m.version({name!r}))"
    python = client.folder / "bin" / "python"
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=30)
    return done.stdout.strip()
