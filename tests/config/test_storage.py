"""What is behind: where an upstream is, and credentials that can be had."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.storage import (
    AssumeRoleCredentials,
    CognitoIdentityCredentials,
    UpstreamConfig,
)

ROLE = {"type": "assume_role", "role_arn": "arn:aws:iam::123456789012:role/x"}


def test_an_upstream_without_endpoint_is_aws_in_its_region():
    """Each partition has its own names; buckets stand in the host there, and in the path elsewhere."""
    assert UpstreamConfig(region="cn-north-1").url == "https://s3.cn-north-1.amazonaws.com.cn"
    assert UpstreamConfig().style == "virtual"
    assert UpstreamConfig(endpoint="http://minio:9000").style == "path"


def test_an_identity_pool_narrows_only_in_the_basic_flow():
    """The enhanced flow takes no session policy."""
    pool = {"type": "cognito_identity", "identity_pool_id": "us-east-1:0a"}
    with pytest.raises(ValidationError):
        CognitoIdentityCredentials(**pool, scope_down=True)
    with pytest.raises(ValidationError):
        CognitoIdentityCredentials(**pool, flow="basic")


@pytest.mark.parametrize(
    "more",
    [
        {"source_identity": "AWS:x"},
        {"external_id": "x"},
        {"external_id": "a b"},
        {"policy_arns": ["ReadOnlyAccess"]},
        {"tags": {"aws:team": "x"}},
        {"duration": "14m"},
        {"duration": "13h"},
    ],
    ids=str,
)
def test_what_sts_would_refuse_for_everybody_is_refused_at_once(more: dict[str, Any]):
    """Not when the first person comes."""
    assert AssumeRoleCredentials.model_validate(ROLE).source is None
    with pytest.raises(ValidationError):
        AssumeRoleCredentials.model_validate({**ROLE, **more})
