"""CloudFormation, Terraform and `gateway init --create-cognito` make the same, and are sound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest
from cfnlint.api import lint_file
from cfnlint.decode import cfn_yaml

from gateway.cli.cognito_calls import (
    CLIENT_SETTINGS,
    NAME,
    POOL_SETTINGS,
    role_policy,
    trust_policy,
)

AWS = Path(__file__).resolve().parents[2] / "deploy" / "aws"
TEMPLATE = AWS / "cloudformation.yaml"
PARAMETERS = {
    "PublicUrl": "https://s3.example.com",
    "BucketName": "acme-data",
    "DomainPrefix": "acme-s3",
    "FirstUserEmail": "ann@example.com",
    "WithIdentityPool": "true",
}


@pytest.fixture(scope="module")
def resources() -> Mapping[str, Any]:
    found: Mapping[str, Any] = plain(cfn_yaml.load(str(TEMPLATE)))["Resources"]
    return found


def plain(value: Any) -> Any:
    """Without the positions that the linter keeps, and with the values of parameters."""
    if isinstance(value, Mapping):
        if set(value) == {"Fn::Sub"}:
            text = str(value["Fn::Sub"])
            for name, known in {**PARAMETERS, "AWS::Partition": "aws"}.items():
                text = text.replace(f"${{{name}}}", known)
            return text.replace("${!", "${")
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def terraform() -> Mapping[str, Any]:
    """Resources and data of all files by kind and name, each value as it is written."""
    found: dict[str, Any] = {}
    for path in sorted((AWS / "terraform").glob("*.tf")):
        with path.open() as file:
            parsed = hcl2.load(file)
        for section in ("resource", "data"):
            for block in parsed.get(section, ()):
                for kind, named in block.items():
                    for name, body in named.items():
                        if not name.startswith("__"):
                            found[f"{_bare(kind)}.{_bare(name)}"] = _unquoted(body)
    return found


def _bare(text: str) -> str:
    return text.strip('"')


def _unquoted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_bare(k): _unquoted(v) for k, v in value.items() if not k.startswith("__")}
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    return _bare(value) if isinstance(value, str) else value


def snake(name: str) -> str:
    text = "".join(f"_{char.lower()}" if char.isupper() else char for char in name).strip("_")
    return {
        "allowed_o_auth_flows_user_pool_client": "allowed_oauth_flows_user_pool_client",
        "allowed_o_auth_flows": "allowed_oauth_flows",
        "allowed_o_auth_scopes": "allowed_oauth_scopes",
    }.get(text, text)


def test_the_template_has_no_findings():
    """cfn-lint knows each property of each resource."""
    findings = lint_file(TEMPLATE)

    assert [str(finding) for finding in findings] == []


def test_the_user_pools_are_alike(resources, terraform):
    """What the command sets, both files set."""
    formation = resources["UserPool"]["Properties"]
    form = terraform["aws_cognito_user_pool.this"]

    assert {name: formation[name] for name in POOL_SETTINGS} == POOL_SETTINGS
    assert formation["UserPoolName"] == form["name"] == NAME
    assert form["admin_create_user_config"] == [{"allow_admin_create_user_only": True}]
    assert form["username_configuration"] == [{"case_sensitive": False}]
    assert form["deletion_protection"] == POOL_SETTINGS["DeletionProtection"]
    for name in ("UsernameAttributes", "AutoVerifiedAttributes"):
        assert form[snake(name)] == POOL_SETTINGS[name]


def test_the_app_clients_are_alike(resources, terraform):
    """Flows, scopes, and the addresses to come back to."""
    formation = resources["AppClient"]["Properties"]
    form = terraform["aws_cognito_user_pool_client.this"]

    assert {name: formation[name] for name in CLIENT_SETTINGS} == CLIENT_SETTINGS
    assert {name: form[snake(name)] for name in CLIENT_SETTINGS} == CLIENT_SETTINGS
    assert formation["CallbackURLs"] == ["https://s3.example.com/api/session/auth/"]
    assert form["callback_urls"] == ["${var.public_url}/api/session/auth/"]
    assert formation["LogoutURLs"] == ["https://s3.example.com/ui/signed-out"]
    assert form["logout_urls"] == ["${var.public_url}/ui/signed-out"]
    assert formation["GenerateSecret"] is form["generate_secret"] is True


def test_the_roles_are_alike(resources, terraform):
    """Whom they trust, and what they give."""
    role = resources["PersonalRole"]["Properties"]
    trusted = json.dumps(trust_policy("POOL"))
    given = role_policy("acme-data")["Statement"]

    formation = json.dumps(role["AssumeRolePolicyDocument"]).replace(
        '{"Ref": "IdentityPool"}', '"POOL"'
    )
    assert json.loads(formation) == json.loads(trusted)
    assert role["Policies"][0]["PolicyDocument"]["Statement"] == given
    documents = terraform["aws_iam_policy_document.objects"]["statement"]
    assert [(listed(one["actions"]), one["resources"]) for one in documents] == [
        (listed(one["Action"]), [_in_terraform(one["Resource"])]) for one in given
    ]
    trust = terraform["aws_iam_policy_document.trust"]["statement"][0]
    assert trust["actions"] == ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]
    assert [condition["variable"] for condition in trust["condition"]] == [
        "cognito-identity.amazonaws.com:aud",
        "cognito-identity.amazonaws.com:amr",
    ]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _in_terraform(resource: str) -> str:
    return resource.replace("${aws:", "$${aws:").replace(
        "arn:aws:s3:::acme-data", "${local.bucket_arn}"
    )


def test_the_pools_name_their_people_alike(resources, terraform):
    """The tag that the role speaks of is the subject that policies speak of."""
    formation = resources["PrincipalTags"]["Properties"]["PrincipalTags"]
    form = terraform["aws_cognito_identity_pool_provider_principal_tag.this"]["principal_tags"]

    assert formation == form == {"username": "sub", "client": "aud"}
