"""A profile in the file that aws reads; botocore reads it back."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import botocore.session
import pytest
from botocore.configloader import load_config
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import profile
from gateway.cli.profile import Taken, with_profile, without_profile

URL = "https://s3.example.com"
PROCESS = "/usr/bin/gateway credentials --url https://s3.example.com"
OTHER = """# mine
[default]
region = eu-west-1   # here
s3 =
    max_concurrent_requests = 20

[profile "work"]
role_arn = arn:aws:iam::1:role/x
source_profile = default
[sso-session corp]
sso_region = us-east-1
"""


def added(text: str, name: str = "acme") -> str:
    return with_profile(text, name, url=URL, process=PROCESS)


def test_botocore_reads_the_profile(tmp_path: Path) -> None:
    """And everything that was there before."""
    path = tmp_path / "config"
    path.write_text(added(OTHER))
    profiles = load_config(str(path))["profiles"]

    assert profiles["acme"] == {
        "credential_process": PROCESS,
        "endpoint_url": URL,
        "region": "us-east-1",
        "s3": {"signature_version": "s3v4"},
    }
    assert profiles["default"]["s3"] == {"max_concurrent_requests": "20"}
    assert profiles["work"]["source_profile"] == "default"


def test_what_is_not_ours_stays_byte_for_byte() -> None:
    """Writing adds at the end; removing gives back what there was."""
    assert added(OTHER).startswith(OTHER)
    assert without_profile(added(OTHER), "acme").rstrip() == OTHER.rstrip()


def test_renewing_changes_nothing_else() -> None:
    """Other settings of the profile stay, the region of somebody's choice among them."""
    text = "[profile acme]\ncredential_process = gateway credentials --url http://old\nregion=eu-1\noutput = json\n\n[default]\na = b\n"
    new = added(text)

    assert new == (
        f"[profile acme]\ncredential_process = {PROCESS}\nendpoint_url = {URL}\n"
        "s3 =\n    signature_version = s3v4\nregion=eu-1\noutput = json\n\n[default]\na = b\n"
    )
    assert added(new) == new


def test_s3_settings_of_somebodys_choice_stay() -> None:
    """Nothing is written among them, and nothing of them goes."""
    text = "[profile acme]\ns3 =\n    addressing_style = path\n"

    assert added(text).endswith("s3 =\n    addressing_style = path\n")
    assert "signature_version" not in added(text)
    assert without_profile(added(text), "acme").endswith("s3 =\n    addressing_style = path\n")


def test_sig_14_a_link_made_with_the_profile_is_of_version_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version of boto3's own choice is refused."""
    path = tmp_path / "config"
    path.write_text(added(""))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    session = botocore.session.Session(profile="acme")
    s3 = session.create_client("s3", aws_access_key_id="AK", aws_secret_access_key="secret")
    link = s3.generate_presigned_url("get_object", {"Bucket": "data", "Key": "k"})

    assert link.startswith(URL)
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link


def test_a_profile_without_credentials_is_filled_in() -> None:
    """Nothing says yet where it gets them."""
    assert added("[profile acme]\noutput = json").startswith(
        f"[profile acme]\ncredential_process = {PROCESS}\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "credential_process = other-tool",
        "aws_access_key_id = AKIA",
        "sso_session = corp",
        "role_arn = arn:aws:iam::1:role/x",
        "web_identity_token_file = /x",
    ],
)
def test_somebody_elses_profile_is_not_taken(line: str) -> None:
    """It would silently become another identity."""
    text = f"[profile acme]\n{line}\n"
    with pytest.raises(Taken):
        added(text)
    assert without_profile(text, "acme") == text


def test_the_default_profile_has_its_own_name() -> None:
    """`[default]`, not `[profile default]`."""
    assert added("", "default").startswith("[default]\n")
    assert without_profile("", "default") == ""


def test_removing_leaves_what_somebody_added() -> None:
    """The section stays with their settings."""
    text = added("") + "output = json\n"

    assert without_profile(text, "acme") == "[profile acme]\nregion = us-east-1\noutput = json\n"


lines = st.sampled_from(
    [
        "[default]",
        "[profile x]",
        "# note",
        "",
        "a = b",
        "  nested = c",
        "s3 =",
        "junk",
        "[profile acme2]",
    ]
)


@given(st.lists(lines, max_size=12).map(lambda rows: "".join(row + "\n" for row in rows)))
def test_any_file_keeps_its_lines(text: str) -> None:
    """Whatever stands there, all of it is there afterwards, and once more after removing."""
    new = added(text)

    assert new.startswith(text)
    assert without_profile(new, "acme").strip("\n") == text.strip("\n")


def test_the_file_is_made_for_its_owner_and_keeps_its_mode(tmp_path: Path) -> None:
    """A link stays a link."""
    path, link = tmp_path / "aws" / "config", tmp_path / "link"
    profile.write(path, "acme", url=URL, process=PROCESS)
    made = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o644)
    link.symlink_to(path)
    profile.write(link, "other", url=URL, process=PROCESS)
    profile.remove(link, "acme")
    profile.remove(tmp_path / "none", "acme")

    assert made == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert link.is_symlink()
    assert "[profile other]" in path.read_text()
    assert "[profile acme]" not in path.read_text()
    assert os.listdir(path.parent) == ["config"]


def test_the_file_is_where_aws_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """AWS_CONFIG_FILE, else ~/.aws/config."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_CONFIG_FILE", raising=False)
    usual = profile.config_path()
    monkeypatch.setenv("AWS_CONFIG_FILE", "~/elsewhere")

    assert usual == tmp_path / ".aws" / "config"
    assert profile.config_path() == tmp_path / "elsewhere"
