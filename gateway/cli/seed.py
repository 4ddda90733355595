"""
The files that `gateway init` writes: gateway.yaml, a first policy with a test, and secrets.

They are tried out in a folder of their own before anything is put in place, by the same reading
that `gateway check` does; secrets are readable by their owner alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final
from urllib.parse import urlsplit

from gateway.config.load import load
from gateway.config.model import WELL_KNOWN, Kind
from gateway.config.positions import Problem
from gateway.errors import ConfigError
from gateway.keyring import random_token
from gateway.oidc.providers import KINDS, kind_of
from gateway.snapshot import Snapshot


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
    kind: Kind = "auto"
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


@final
@dataclass(frozen=True, slots=True)
class File:
    """One file to write, `name` below the chosen folder."""

    name: str
    text: str
    private: bool = False
    kept: bool = False
    """One that is there already stays as it is."""

    def differs(self, directory: Path) -> bool:
        """Another text is there in its place, and would be lost."""
        path = directory / self.name
        return path.exists() and not self.kept and path.read_text() != self.text

    def write(self, directory: Path) -> None:
        """Writes it anew, with folders of its own; never into a file that others could read."""
        path = directory / self.name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if self.private else 0o755)
        path.unlink(missing_ok=True)
        mode = 0o600 if self.private else 0o644
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(self.text)


def files_of(answers: Answers) -> tuple[File, ...]:
    """All of them."""
    files = [
        File("gateway.yaml", config_text(answers)),
        File("policies/main.yaml", policy_text(answers)),
        # A new key would end every session: whoever wants that removes the old one.
        File("secrets/session-key", random_token(32) + "\n", private=True, kept=True),
    ]
    if answers.client_secret:
        files.append(File("secrets/client-secret", answers.client_secret + "\n", private=True))
    return tuple(files)


def problems_of(files: Iterable[File]) -> tuple[Problem, ...]:
    """What the gateway would say of these files, without putting them in place."""
    with TemporaryDirectory() as folder:
        for file in files:
            file.write(Path(folder))
        try:
            Snapshot.build(load(Path(folder) / "gateway.yaml"))
        except ConfigError as error:
            return tuple(problem for problem in error.problems if isinstance(problem, Problem))
    return ()


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
    issuer = answers.config_url.removesuffix(WELL_KNOWN)
    claim = KINDS[kind_of(issuer) if answers.kind == "auto" else answers.kind].groups
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
