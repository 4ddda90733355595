"""What is in force together: built whole, or refused with everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.model import Server
from gateway.errors import ConfigError
from gateway.identity import SERVICE_ISSUER
from gateway.policy.language import question
from gateway.policy.match import bind
from gateway.policy.questions import ask
from gateway.snapshot import Snapshot, hosts_of

ENVIRONMENT = {
    "SESSION_KEY": "Fz0rTqY8uJm3XwLc5vBn7aSd9eGh2KpR",
    "OLD_KEY": "Kq7wErTy6UiOp5AsDf4GhJk3LzXc2VbN",
    "BACKUP": "wJalrXUtnFEMI-K7MDENG-bPxRfiCYzKEY",
    "CLIENT": "1p0a9s8d7f6g5h4j3k2l1qpwoei",
}
CONFIG = """
session: {keys: ["${env:SESSION_KEY}", "${env:OLD_KEY}"]}
oidc: [{name: corp, issuer: "https://idp.example.com", client_id: gw, client_secret: "${env:CLIENT}"}]
upstreams: {aws: {}}
credentials: {shared: {type: default}}
service_accounts:
  - {name: backup, access_key_id: BACKUPKEY, secret_access_key: "${env:BACKUP}", claims: {groups: [backup]}}
"""
POLICY = """
rules:
- name: backups
  match: {issuer: service, claims: {groups: {contains: backup}}}
  grants: [{bucket: backups, upstream: aws, target: "acme-backups/${claims.sub}/", credentials: shared, allow: [write]}]
- name: staff
  match: {issuer: corp, claims: {groups: {contains: staff}}}
  grants: [{bucket: data, upstream: aws, target: acme-data, credentials: shared, allow: [read]}]
tests:
- who: {iss: service, sub: backup, groups: [backup]}
  may: [PutObject backups/x]
"""


@pytest.fixture
def write(tmp_path: Path):
    def files(config: str = CONFIG, policy: str = POLICY) -> Path:
        (tmp_path / "policies").mkdir(exist_ok=True)
        (tmp_path / "gateway.yaml").write_text(config)
        (tmp_path / "policies" / "main.yaml").write_text(policy)
        return tmp_path / "gateway.yaml"

    return files


def built(path: Path, generation: int = 1) -> Snapshot:
    return Snapshot.build(load(path, ENVIRONMENT), generation)


def test_service_accounts_are_identities_of_the_configuration(write):
    """Their issuer is `service`, their subject the name, and policies judge them as anybody."""
    snapshot = built(write(), 7)

    secret, identity = snapshot.service_accounts["BACKUPKEY"]

    assert snapshot.generation == 7
    assert secret.reveal() == ENVIRONMENT["BACKUP"]
    assert (identity.issuer, identity.subject, identity.groups) == (
        SERVICE_ISSUER,
        "backup",
        ("backup",),
    )
    decision = ask(bind(snapshot.policy, identity), question("PutObject backups/x"))
    assert decision.grant is not None
    assert decision.grant.target_prefix == "backup/"


def test_ses_4_the_newest_key_seals_and_older_ones_open(write, now):
    """What was sealed under the second key is read after the first was put before it."""
    old = built(write(CONFIG.replace('"${env:SESSION_KEY}", ', ""))).keyring
    both = built(write()).keyring
    new = built(write(CONFIG.replace(', "${env:OLD_KEY}"', ""))).keyring
    later = now.replace(year=2027)

    sealed = old.sealer("session").seal({"sid": "x"}, expires=later)
    fresh = both.sealer("session").seal({"sid": "y"}, expires=later)

    assert both.sealer("session").open(sealed, now=now) is not None
    assert new.sealer("session").open(sealed, now=now) is None
    assert new.sealer("session").open(fresh, now=now) is not None


def test_without_a_session_key_nothing_starts(write):
    """A key of the process's own would end every session at a restart, and none at another replica."""
    with pytest.raises(ConfigError, match=r"session\.keys: a key is needed"):
        built(
            write(CONFIG.replace('session: {keys: ["${env:SESSION_KEY}", "${env:OLD_KEY}"]}', ""))
        )


def test_cfg_1_problems_of_both_kinds_of_file_are_told_together(write):
    """In the order of files and lines; a policy is judged although the configuration is wrong."""
    path = write(CONFIG + "polices: [x]\n", POLICY.replace("allow: [write]", "allow: [wrte]"))

    with pytest.raises(ConfigError) as caught:
        built(path)

    texts = [str(problem) for problem in caught.value.problems]
    assert len(texts) == 2
    assert "polices: there is no such key" in texts[0]
    assert "'wrte' is not one of" in texts[1]


def test_cfg_3_a_policy_that_fails_its_tests_is_not_built(write):
    """The old snapshot stays: building raises before anything is swapped."""
    with pytest.raises(ConfigError, match="may not GetObject backups/x"):
        built(
            write(policy=POLICY.replace("may: [PutObject backups/x]", "may: [GetObject backups/x]"))
        )


def test_what_a_cookie_keeps_follows_the_policy(write):
    """Claims that rules or templates name; of a list what some rule could match."""
    snapshot = built(write())

    kept = snapshot.keep({"groups": ["staff", "x"], "email": "a@b", "sub": "al"})

    assert kept["groups"] == ["staff"]
    assert "email" not in kept
    assert snapshot.claims_digest == built(write()).claims_digest


def test_warnings_do_not_stop_it(write):
    """They are told, with their places."""
    snapshot = built(
        write(
            CONFIG + 'admin: {listen: ":9090"}\n',
            POLICY.replace("${claims.sub}", "${claims.email}").partition("tests:")[0],
        )
    )

    texts = "\n".join(map(str, snapshot.warnings))
    assert "admin.listen[0]" in texts
    assert "edit email" in texts


@pytest.mark.parametrize(
    ("settings", "accepted", "refused"),
    [
        ({"public_url": "https://s3.example.com"}, ["s3.example.com", "localhost", "127.0.0.1"], ["evil.example.com"]),
        ({"public_url": "https://s3.example.com", "listen": "10.0.0.5:80"}, ["s3.example.com", "10.0.0.5"], ["localhost"]),
        ({"public_url": "https://s3.example.com", "hosts": ["gateway", "::1"]}, ["gateway", "[::1]"], []),
        ({"public_url": "https://s3.example.com", "s3_host": "raw.example.com"}, ["raw.example.com"], []),
    ],
)  # fmt: skip
def test_http_4_only_configured_names_are_hosts(settings, accepted, refused):
    """The public one, those listened on, and those added."""
    hosts = hosts_of(Server.model_validate(settings))

    assert set(accepted) <= hosts.path_style
    assert not set(refused) & hosts.path_style


def test_pth_7_without_a_public_url_any_name_is_path_style():
    """Nobody has said by which names clients come; `*` says any."""
    assert hosts_of(Server()).path_style == frozenset()
    anywhere = Server.model_validate({"public_url": "https://x.example.com", "hosts": ["*"]})
    assert hosts_of(anywhere).path_style == frozenset()
