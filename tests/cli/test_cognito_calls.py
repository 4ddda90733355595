"""What is found and made at Cognito: lists of many pages, and the policies that are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.cli.cognito_calls import (
    CLIENT_SETTINGS,
    Cloud,
    Found,
    Wish,
    make,
    role_policy,
    trust_policy,
)
from gateway.identity import ANONYMOUS
from gateway.upstream.aws import Aws, AwsRefusal, Service

WISH = Wish(
    region="cn-north-1",
    bucket="b",
    callback_url="https://g/api/session/auth/",
    signed_out_url="https://g/ui/signed-out",
    identity_pool=True,
)


class Recorder:
    """AWS, as far as it is told things; answers from a table."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def call(
        self, service: Service, operation: str, *, lender: object = None, **params: Any
    ) -> Mapping[str, Any]:
        self.told.append((operation, params))
        answer = self.answers.get(operation, {})
        if isinstance(answer, Exception):
            raise answer
        return dict(answer(params) if callable(answer) else answer)


def cloud(recorder: Recorder) -> Cloud:
    aws: Aws = recorder  # type: ignore[assignment] # a stand-in
    return Cloud(aws, ANONYMOUS, WISH.region, None)


async def test_lists_are_read_to_their_end():
    """A pool on the second page is not made again."""

    def page(params: Mapping[str, Any]) -> Mapping[str, Any]:
        if "NextToken" in params:
            return {"UserPools": [{"Id": "2"}]}
        return {"UserPools": [{"Id": "1"}], "NextToken": "more"}

    recorder = Recorder({"list_user_pools": page})

    found = [
        pool["Id"]
        async for pool in cloud(recorder).pages("cognito-idp", "list_user_pools", "UserPools")
    ]

    assert found == ["1", "2"]


async def test_an_interrupted_run_is_mended_by_the_next():
    """Where everything is there, what was perhaps not finished is said once more."""
    recorder = Recorder({})
    found = Found(
        pool_id="cn-north-1_p",
        domain="d",
        client={
            "ClientId": "c",
            "CallbackURLs": [WISH.callback_url],
            "LogoutURLs": [WISH.signed_out_url],
        },
        identity_pool_id="cn-north-1:1",
        role_arn="arn:aws-cn:iam::1:role/r",
    )

    await make(cloud(recorder), WISH, found)

    told = dict(recorder.told)
    assert list(told) == [
        "put_role_policy",
        "set_principal_tag_attribute_map",
        "set_identity_pool_roles",
    ]
    provider = told["set_principal_tag_attribute_map"]["IdentityProviderName"]
    assert provider == "cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_p"
    assert "arn:aws-cn:s3:::b" in told["put_role_policy"]["PolicyDocument"]


async def test_an_update_repeats_what_it_does_not_change():
    """Cognito sets back to its default whatever an update leaves out."""
    recorder = Recorder({})
    client = {**CLIENT_SETTINGS, "ClientId": "c", "ClientName": "n", "IdTokenValidity": 7}
    found = Found(pool_id="p", domain="d", client={**client, "ClientSecret": "s"})

    await make(cloud(recorder), Wish(**{**_fields(WISH), "identity_pool": False}), found)

    ((operation, params),) = recorder.told
    assert operation == "update_user_pool_client"
    assert params["IdTokenValidity"] == 7
    assert params["AllowedOAuthFlows"] == ["code"]
    assert "ClientSecret" not in params


def _fields(wish: Wish) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in wish.__slots__}


async def test_a_refusal_is_heard_as_it_is():
    """The command says AWS's code."""
    recorder = Recorder({"create_user_pool": AwsRefusal("create_user_pool", "LimitExceeded", "x")})

    try:
        await make(cloud(recorder), WISH, Found())
    except AwsRefusal as refusal:
        assert refusal.code == "LimitExceeded"
    else:
        raise AssertionError("it went on")


def test_the_role_reads_the_bucket_and_writes_its_own_place():
    """And trusts nobody who has not signed in."""
    policy = role_policy("b", "aws-cn")
    trust = trust_policy("eu-west-1:1")

    assert all("aws-cn" in json.dumps(statement) for statement in policy["Statement"])
    writes = [s for s in policy["Statement"] if "s3:PutObject" in s["Action"]]
    assert [s["Resource"] for s in writes] == [
        "arn:aws-cn:s3:::b/users/${aws:PrincipalTag/username}/*"
    ]
    condition = trust["Statement"][0]["Condition"]
    assert condition["StringEquals"] == {"cognito-identity.amazonaws.com:aud": "eu-west-1:1"}
