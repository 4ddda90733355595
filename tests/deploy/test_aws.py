"""CloudFormation, Terraform and `gateway init --create-cognito` make the same, and are sound."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import hcl2
import pytest
from cfnlint.api import lint_file
from cfnlint.decode import cfn_yaml
from moto import mock_aws

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


# CloudFormation, as far as moto goes: it has the role and none of Cognito's resources, whose
# properties are given to the service's own API instead.


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account that is empty."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAADMIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "administrators-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield


def stripped() -> str:
    """The template with its role alone, whose identity pool comes in as a parameter."""
    whole = json.loads(json.dumps(cfn_yaml.load(str(TEMPLATE))))
    whole["Parameters"]["IdentityPool"] = {"Type": "String"}
    whole["Resources"] = {"PersonalRole": whole["Resources"]["PersonalRole"]}
    del whole["Outputs"]
    return json.dumps(whole)


@pytest.mark.parametrize("wanted", ["true", "false"])
def test_the_stack_makes_the_role_where_it_is_wanted(aws, wanted):
    """With its conditions and substitutions resolved, it is the role of `--identity-pool`."""
    given = PARAMETERS | {"WithIdentityPool": wanted, "IdentityPool": "eu-west-1:POOL"}
    boto3.client("cloudformation").create_stack(
        StackName="sign-in",
        TemplateBody=stripped(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
    )
    iam = boto3.client("iam")

    roles = iam.list_roles()["Roles"]

    assert len(roles) == (1 if wanted == "true" else 0)
    for role in roles:
        name = role["RoleName"]
        made = iam.get_role_policy(RoleName=name, PolicyName="objects")["PolicyDocument"]
        assert document(made) == role_policy("acme-data")
        assert document(role["AssumeRolePolicyDocument"]) == trust_policy("eu-west-1:POOL")


def document(kept: Any) -> Any:
    """A policy as moto keeps it: of a stack, as the text of a Python value."""
    return ast.literal_eval(kept) if isinstance(kept, str) else kept


def test_cognito_takes_the_properties_of_the_template(aws, resources):
    """Its API has them under the same names: names, types and choices are checked by its model."""
    given = {name: part["Properties"] for name, part in resources.items()}
    idp = boto3.client("cognito-idp")
    pool = given["UserPool"]
    made = idp.create_user_pool(PoolName=pool.pop("UserPoolName"), **pool)["UserPool"]["Id"]
    idp.create_user_pool_domain(Domain=PARAMETERS["DomainPrefix"], UserPoolId=made)
    app = idp.create_user_pool_client(**{**given["AppClient"], "UserPoolId": made})
    user = {**given["FirstUser"], "UserPoolId": made, "Username": PARAMETERS["FirstUserEmail"]}
    user["UserAttributes"][0]["Value"] = PARAMETERS["FirstUserEmail"]
    idp.admin_create_user(**user)
    identities = given["IdentityPool"]
    identities["CognitoIdentityProviders"][0] |= {
        "ProviderName": f"cognito-idp.eu-west-1.amazonaws.com/{made}",
        "ClientId": app["UserPoolClient"]["ClientId"],
    }
    identity = boto3.client("cognito-identity").create_identity_pool(**identities)

    assert app["UserPoolClient"]["ClientSecret"]
    assert identity["CognitoIdentityProviders"][0]["ServerSideTokenCheck"] is True


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://s3.example.com", True),
        ("http://localhost:8080", True),
        ("https://s3.example.com/", False),
        ("http://s3.example.com", False),
    ],
)
def test_a_public_url_that_cognito_would_refuse_is_refused_by_both(url, fine):
    """A slash at its end would make a callback URL that nobody sends."""
    formation = cfn_yaml.load(str(TEMPLATE))["Parameters"]["PublicUrl"]["AllowedPattern"]
    form = re.search(r'regex\("([^"]+)"', (AWS / "terraform" / "variables.tf").read_text())

    assert form is not None
    assert bool(re.fullmatch(str(formation), url)) is fine
    assert bool(re.search(form[1], url)) is fine


# Terraform


def test_terraform_names_only_what_it_declares_and_declares_only_what_it_names():
    """Variables, locals, data and resources: a misspelt one would be seen by a user first."""
    text = "\n".join(
        re.sub(r"#.*|^\s*(?:description|error_message)\s*=.*", "", path.read_text(), flags=re.M)
        for path in (AWS / "terraform").glob("*.tf")
    )
    declared = set(re.findall(r'^variable "(\w+)"', text, re.M))
    named = set(re.findall(r"\bvar\.(\w+)", text))
    blocks = {
        f"{'data.' if kind == 'data' else ''}{one}.{name}"
        for kind, one, name in re.findall(r'^(resource|data) "(\w+)" "(\w+)"', text, re.M)
    }
    used = set(re.findall(r"\b((?:data\.)?aws_\w+\.\w+)", text))
    local = re.search(r"^locals \{(.*?)^\}", text, re.M | re.S)

    assert named == declared
    assert used <= blocks
    assert local is not None
    assert set(re.findall(r"\blocal\.(\w+)", text)) == set(re.findall(r"^  (\w+) ", local[1], re.M))
    for name in blocks:
        assert name in used or name.startswith("aws_"), f"{name} serves nothing"


def test_both_give_the_five_values_that_init_asks_for(terraform):
    """Under the names that its options have; the secret, which CloudFormation cannot, by Terraform."""
    formation = set(cfn_yaml.load(str(TEMPLATE))["Outputs"])
    form = set(re.findall(r'^output "(\w+)"', (AWS / "terraform" / "outputs.tf").read_text(), re.M))

    assert formation == {"Region", "UserPoolId", "ClientId", "Bucket", "IdentityPoolId"}
    assert {snake(name) for name in formation} | {"client_secret"} == form
