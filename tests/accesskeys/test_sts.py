"""The STS query API as data; botocore is the oracle for what is sent and what is read."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import boto3
import pytest
from botocore import parsers, session
from hypothesis import given
from hypothesis import strategies as st

from gateway.accesskeys import sts
from gateway.accesskeys.keys import mint
from gateway.accesskeys.sts import (
    Assume,
    Caller,
    Role,
    SessionToken,
    StsError,
    WebIdentity,
    caller_xml,
    credentials_xml,
    error_xml,
    names,
    needs_signature,
    parse,
)
from gateway.identity import Identity, Method, Proof, Secret
from gateway.keyring import Keyring
from gateway.message import Pairs

RING = Keyring([b"k" * 32])
ROLE = "arn:aws:iam::123456789012:role/team/reader"


def form(action: str, **members: str) -> Pairs:
    return (("Action", action), ("Version", "2011-06-15"), *members.items())


def web(**members: str) -> Pairs:
    given = {"RoleArn": ROLE, "RoleSessionName": "me", "WebIdentityToken": "a.b.c"}
    return form("AssumeRoleWithWebIdentity", **(given | members))


def refused(parameters: Pairs) -> tuple[str, int]:
    with pytest.raises(StsError) as caught:
        parse(parameters)
    return caught.value.code, caught.value.status


def sent(operation: str, **arguments) -> Pairs:
    """What boto3 puts into the form."""
    client = boto3.client(
        "sts",
        region_name="us-east-1",
        aws_access_key_id="GWPX",
        aws_secret_access_key="x",
        endpoint_url="http://127.0.0.1:1",
    )

    def keep(params, **_):
        body = params["body"]
        pairs.extend(body.items() if isinstance(body, dict) else parse_qsl(body))
        raise InterruptedError

    pairs: list[tuple[str, str]] = []
    client.meta.events.register("before-call.sts.*", keep)
    with pytest.raises(InterruptedError):
        getattr(client, operation)(**arguments)
    return tuple((name, str(value)) for name, value in pairs)


def test_sts_3_what_boto3_sends_is_understood() -> None:
    """Each of the four actions, as botocore serialises it."""
    who = {"RoleArn": ROLE, "RoleSessionName": "me@example.com", "DurationSeconds": 900}
    calls = [
        parse(sent("assume_role_with_web_identity", WebIdentityToken="token", **who)),
        parse(sent("assume_role", **who)),
        parse(sent("get_session_token", DurationSeconds=129600)),
        parse(sent("get_caller_identity")),
    ]

    assert [type(call) for call in calls] == [WebIdentity, Assume, SessionToken, Caller]
    assert [needs_signature(call) for call in calls] == [False, True, True, True]
    assert calls[0] == WebIdentity(
        role=Role(arn=ROLE, account="123456789012", name="reader"),
        session_name="me@example.com",
        token=Secret("token"),
        duration=timedelta(minutes=15),
        narrowing=None,
    )
    assert calls[2] == SessionToken(duration=timedelta(seconds=129600))


def test_defaults_are_aws_defaults() -> None:
    """An hour for roles, twelve for a session token."""
    role, token = parse(web()), parse(form("GetSessionToken"))
    assert isinstance(role, WebIdentity)
    assert isinstance(token, SessionToken)

    assert (role.duration, token.duration) == (timedelta(hours=1), timedelta(hours=12))


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ((), "InvalidAction"),
        ((("Action", "GetFederationToken"), ("Version", "2011-06-15")), "InvalidAction"),
        ((("Action", "GetCallerIdentity"),), "ValidationError"),
        ((("Action", "GetCallerIdentity"), ("Version", "2010-05-08")), "ValidationError"),
        ((*form("GetCallerIdentity"), ("Action", "GetCallerIdentity")), "ValidationError"),
    ],
)
def test_sts_2_one_action_one_version(parameters: Pairs, code: str) -> None:
    """STS-3: no other action; STS-2: nothing twice, and the one version there is."""
    assert refused(parameters) == (code, 400)


@pytest.mark.parametrize(
    "members",
    [
        {"RoleArn": "arn:aws:iam::1:role"},
        {"RoleArn": "x" * 30},
        {"RoleArn": "arn:aws:iam::1:role/" + "x" * 2048},
        {"RoleSessionName": "x"},
        {"RoleSessionName": "x" * 65},
        {"RoleSessionName": "a b"},
        {"RoleSessionName": "ä" * 3},
        {"WebIdentityToken": "abc"},
        {"WebIdentityToken": "x" * 20_001},
        {"DurationSeconds": "899"},
        {"DurationSeconds": "43201"},
        {"DurationSeconds": "3600.0"},
        {"DurationSeconds": "+900"},
        {"DurationSeconds": "٩٠٠"},
        {"DurationSeconds": ""},
        {"Policy": ""},
        {"Policy": " " * 2049},
    ],
)
def test_sts_6_bounds(members: dict[str, str]) -> None:
    """What the service model bounds is bounded."""
    assert refused(web(**members)) == ("ValidationError", 400)


@pytest.mark.parametrize("name", ["RoleArn", "RoleSessionName", "WebIdentityToken"])
def test_sts_6_what_is_required_is_required(name: str) -> None:
    """SDKs insist as well."""
    assert refused(tuple(pair for pair in web() if pair[0] != name)) == ("ValidationError", 400)


@pytest.mark.parametrize(
    "name",
    [
        "PolicyArns.member.1.arn",
        "Tags.member.1.Key",
        "TransitiveTagKeys.member.1",
        "SourceIdentity",
        "SerialNumber",
        "ProviderId",
        "ProvidedContexts.member.1.ProviderArn",
        "policy",
        "",
    ],
)
def test_sts_7_what_would_narrow_is_not_ignored(name: str) -> None:
    """Honoured or refused; and so is whatever we do not know."""
    assert refused((*web(), (name, "x"))) == ("ValidationError", 400)
    assert refused((*form("GetSessionToken"), (name, "x")))[0] == "ValidationError"


def test_sts_7_a_policy_narrows() -> None:
    """One that cannot be expressed is MalformedPolicyDocument."""
    good = '{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}'
    call = parse(web(Policy=good))
    assert isinstance(call, WebIdentity)

    assert call.narrowing is not None
    assert call.narrowing[0].actions == ("s3:GetObject",)
    assert refused(web(Policy="{}")) == ("MalformedPolicyDocument", 400)


def test_an_external_id_is_taken_and_means_nothing() -> None:
    """It speaks to a trust policy; bounded all the same."""
    asked = form("AssumeRole", RoleArn=ROLE, RoleSessionName="me")

    assert isinstance(parse((*asked, ("ExternalId", "abc"))), Assume)
    assert refused((*asked, ("ExternalId", "a"))) == ("ValidationError", 400)


@pytest.mark.parametrize(
    ("arn", "account", "name"),
    [
        ("arn:aws:iam::123456789012:role/reader", "123456789012", "reader"),
        ("arn:aws-cn:iam::123456789012:role/a/b/reader", "123456789012", "reader"),
        ("arn:minio:iam:::role/idp-corp", "000000000000", "idp-corp"),
        ("arn:x:y:z:w:some thing", None, None),
        ("arn:gateway:iam::corp:role/ü/", "000000000000", "gateway"),
    ],
)
def test_sts_6_an_arn_is_well_formed(arn: str, account: str | None, name: str | None) -> None:
    """Any maker's; account and name of what we answer are in AWS's alphabet."""
    if account is None:
        assert refused(web(RoleArn=arn)) == ("ValidationError", 400)
        return
    call = parse(web(RoleArn=arn))
    assert isinstance(call, WebIdentity)

    assert (call.role.account, call.role.name) == (account, name)


# Answers, as botocore reads them

MODEL = session.get_session().get_service_model("sts")


def read(operation: str, status: int, body: bytes):
    shape = MODEL.operation_model(operation).output_shape
    parser = parsers.create_parser("query")
    return parser.parse({"headers": {}, "status_code": status, "body": body}, shape)


def who(**changes) -> Identity:
    return Identity(
        **({"issuer": "corp", "subject": "alice-1", "username": "Älice & co"} | changes)
    )


def proof(identity: Identity) -> Proof:
    return Proof(identity=identity, method=Method.BEARER)


def test_sts_12_botocore_reads_the_answers(now: datetime) -> None:
    """Credentials, the assumed role, and the request id."""
    call = parse(web())
    made = mint(RING, proof(who()), now=now)
    answer = read(
        "AssumeRoleWithWebIdentity", 200, credentials_xml(call, made, proof(who()), "req-1")
    )

    assert answer["Credentials"]["AccessKeyId"] == made.access_key_id
    assert answer["Credentials"]["SecretAccessKey"] == made.secret.reveal()
    assert answer["Credentials"]["SessionToken"] == made.session_token.reveal()
    assert answer["Credentials"]["Expiration"] == made.expires
    assert answer["SubjectFromWebIdentityToken"] == "alice-1"
    assert answer["Provider"] == "corp"
    assert answer["AssumedRoleUser"]["Arn"] == ("arn:aws:sts::123456789012:assumed-role/reader/me")
    assert answer["ResponseMetadata"]["RequestId"] == "req-1"


def test_sts_12_each_action_answers_in_its_own_name(now: datetime) -> None:
    """GetSessionToken names no role, AssumeRole no token."""
    made = mint(RING, proof(who()), now=now)
    token = credentials_xml(parse(form("GetSessionToken")), made, proof(who()), "r")
    assumed = credentials_xml(
        parse(form("AssumeRole", RoleArn=ROLE, RoleSessionName="me")), made, proof(who()), "r"
    )

    assert b"<GetSessionTokenResult><Credentials>" in token
    assert b"AssumedRoleUser" not in token
    assert read("AssumeRole", 200, assumed)["AssumedRoleUser"]["AssumedRoleId"].endswith(":me")
    assert b"SubjectFromWebIdentityToken" not in assumed


def test_sts_13_botocore_reads_the_errors() -> None:
    """Code, message and whose fault it is; what a stranger wrote is escaped."""
    body = error_xml("ValidationError", "<b> & \x00", 400, "req-2")
    answer = read("GetCallerIdentity", 400, body)

    assert answer["Error"] == {
        "Type": "Sender",
        "Code": "ValidationError",
        "Message": "<b> & \ufffd",
    }
    assert answer["ResponseMetadata"]["RequestId"] == "req-2"
    assert b"<Type>Receiver</Type>" in error_xml("ServiceUnavailable", "", 503, "r")


def test_sts_14_one_person_has_one_name() -> None:
    """The same each time; another issuer's same subject is another."""
    first, again, other = names(who()), names(who()), names(who(issuer="other"))
    answer = read("GetCallerIdentity", 200, caller_xml(who(), "r"))

    assert first == again
    assert first.user_id != other.user_id
    assert answer["Arn"] == first.arn == "arn:aws:sts::000000000000:assumed-role/gateway/-lice---co"
    assert answer["Account"] == "000000000000"
    assert answer["UserId"] == first.user_id


@given(st.text(min_size=1, max_size=100), st.text(max_size=100))
def test_sts_14_names_are_in_awss_alphabet(subject: str, username: str) -> None:
    """Whatever a provider calls people."""
    made = names(who(subject=subject, username=username))
    session_name = made.arn.rpartition("/")[2]

    assert sts._SESSION_NAME.fullmatch(session_name)
    assert made.user_id == f"{made.user_id[:21]}:{session_name}"


def test_sts_10_a_token_is_never_in_an_error() -> None:
    """STS-15: nor in a repr of the call."""
    call = parse(web(WebIdentityToken="very.secret.token"))

    assert "very.secret" not in repr(call)
    assert str(StsError("InvalidIdentityToken")).startswith("InvalidIdentityToken: ")
