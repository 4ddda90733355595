"""
The STS query API as data: parameters in, a call; a result in, XML out.

Sources: https://docs.aws.amazon.com/STS/latest/APIReference/, the service model in botocore;
STS-1 to STS-15.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.accesskeys.keys import TemporaryKeys
from gateway.accesskeys.policy import POLICY_MAX, MalformedPolicy, narrowing
from gateway.errors import GatewayError
from gateway.identity import Identity, Narrowing, Proof, Secret
from gateway.message import Pairs
from gateway.s3.xml import escape, readable

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
VERSION = "2011-06-15"
DURATION_MIN = 900
DURATION_MAX = 43_200
SESSION_DURATION_MAX = 129_600  # GetSessionToken's own
DURATION = timedelta(hours=1)
SESSION_DURATION = timedelta(hours=12)
ACCOUNT = "000000000000"
"""Where a role names no account: twelve digits, as those who parse an ARN expect (STS-14)."""
OWN_ROLE = "gateway"
"""The role of whoever never named one."""

_ROLE = re.compile(r"arn:[^:\s]+:[^:\s]*:[^:\s]*:([^:\s]*):(?:role/)?(\S+)")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_NOT_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)


class StsError(GatewayError):
    """A call that fails, in AWS's words. One sentence a code: never why a token failed (STS-10)."""

    def __init__(self, code: str, message: str = "", *, status: int = 400) -> None:
        self.code = code
        self.status = status
        self.message = message or SENTENCES.get(code, code)
        super().__init__(f"{code}: {self.message}")


SENTENCES = {
    "InvalidIdentityToken": "The web identity token that was passed could not be validated.",
    "ExpiredTokenException": "The web identity token that was passed is expired.",
    "IDPCommunicationError": "The identity provider of the token could not be reached.",
    "IDPRejectedClaim": "The web identity token is valid, but nothing is granted to its bearer.",
    "PackedPolicyTooLarge": "The policy does not fit into the session token.",
    "AccessDenied": "This is not allowed.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The role that a call names, as far as it means anything here."""

    arn: str
    account: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebIdentity:
    """AssumeRoleWithWebIdentity."""

    role: Role
    session_name: str
    token: Secret
    duration: timedelta
    narrowing: Narrowing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assume:
    """AssumeRole."""

    role: Role
    session_name: str
    duration: timedelta
    narrowing: Narrowing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionToken:
    """GetSessionToken."""

    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """GetCallerIdentity."""


Call = WebIdentity | Assume | SessionToken | Caller


# Parameters in


def parse(parameters: Pairs) -> Call:
    """The call that these decoded parameters make. Raises StsError."""
    given = dict(parameters)
    if len(given) != len(parameters):  # STS-2: two values of one parameter are two readings
        raise StsError("ValidationError", "A parameter stands twice.")
    action = given.pop("Action", "")
    row = _CALLS.get(action)
    if row is None:  # STS-3
        raise StsError("InvalidAction", f"Could not find operation {readable(action[:64])}.")
    version = given.pop("Version", None)
    if version != VERSION:
        raise StsError("ValidationError", f"Version must be {VERSION}.")
    known, make = row
    unknown = given.keys() - known
    if unknown:  # STS-7: whatever would narrow, and everything that we do not know
        name = readable(min(unknown)[:64])
        raise StsError("ValidationError", f"The parameter {name} is not supported here.")
    return make(given)


def needs_signature(call: Call) -> bool:
    """All but the call of whoever shows a token instead (STS-4, STS-5)."""
    return not isinstance(call, WebIdentity)


def _web_identity(given: dict[str, str]) -> Call:
    return WebIdentity(
        role=_role(given),
        session_name=_session_name(given),
        token=Secret(_text(given, "WebIdentityToken", 4, 20_000)),
        duration=_duration(given, DURATION_MAX, DURATION),
        narrowing=_narrowing(given),
    )


def _assume(given: dict[str, str]) -> Call:
    if "ExternalId" in given:
        # It proves something to a trust policy; there is none to be satisfied here.
        _text(given, "ExternalId", 2, 1224)
    return Assume(
        role=_role(given),
        session_name=_session_name(given),
        duration=_duration(given, DURATION_MAX, DURATION),
        narrowing=_narrowing(given),
    )


def _session_token(given: dict[str, str]) -> Call:
    return SessionToken(duration=_duration(given, SESSION_DURATION_MAX, SESSION_DURATION))


def _caller(given: dict[str, str]) -> Call:
    return Caller()


_ASSUMED = {"RoleArn", "RoleSessionName", "DurationSeconds", "Policy"}
_CALLS: dict[str, tuple[set[str], Callable[[dict[str, str]], Call]]] = {
    "AssumeRoleWithWebIdentity": (_ASSUMED | {"WebIdentityToken"}, _web_identity),
    "AssumeRole": (_ASSUMED | {"ExternalId"}, _assume),
    "GetSessionToken": ({"DurationSeconds"}, _session_token),
    "GetCallerIdentity": (set(), _caller),
}


def _text(given: dict[str, str], name: str, least: int, most: int) -> str:
    value = given.get(name)
    if value is None:
        raise StsError("ValidationError", f"{name} is missing.")
    if not least <= len(value) <= most:
        raise StsError("ValidationError", f"{name} must have {least} to {most} characters.")
    return value


def _role(given: dict[str, str]) -> Role:
    arn = _text(given, "RoleArn", 20, 2048)
    match = _ROLE.fullmatch(arn)
    if match is None:
        raise StsError("ValidationError", "RoleArn is not the ARN of a role.")
    account, name = match.groups()
    return Role(
        arn=arn,
        account=account if re.fullmatch(r"[0-9]{12}", account) else ACCOUNT,
        name=_NOT_NAME.sub("-", name.rpartition("/")[2])[:64] or OWN_ROLE,
    )


def _session_name(given: dict[str, str]) -> str:
    name = _text(given, "RoleSessionName", 2, 64)
    if not _SESSION_NAME.fullmatch(name):
        raise StsError("ValidationError", "RoleSessionName may hold letters, digits and +=,.@_-")
    return name


def _duration(given: dict[str, str], most: int, default: timedelta) -> timedelta:
    value = given.get("DurationSeconds")
    if value is None:
        return default
    if not _DIGITS.fullmatch(value) or not DURATION_MIN <= int(value) <= most:
        raise StsError("ValidationError", f"DurationSeconds must be {DURATION_MIN} to {most}.")
    return timedelta(seconds=int(value))


def _narrowing(given: dict[str, str]) -> Narrowing | None:
    if "Policy" not in given:
        return None
    text = _text(given, "Policy", 1, POLICY_MAX)
    try:
        return narrowing(text)
    except MalformedPolicy as wrong:
        raise StsError("MalformedPolicyDocument", readable(str(wrong))) from wrong


# Who somebody is, in AWS's words


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Arn, Account and UserId: the same each time for one person (STS-14)."""

    account: str
    arn: str
    user_id: str


def names(identity: Identity, *, role: Role | None = None, session_name: str = "") -> Names:
    """The names of an identity, under the role that it assumed or under its own."""
    account = role.account if role is not None else ACCOUNT
    role_name = role.name if role is not None else OWN_ROLE
    session = session_name or own_session_name(identity)
    digest = hashlib.sha256(f"{identity.issuer}\0{identity.subject}".encode()).digest()
    unique = "AROA" + base64.b32encode(digest).decode()[:17]
    return Names(
        account=account,
        arn=f"arn:aws:sts::{account}:assumed-role/{role_name}/{session}",
        user_id=f"{unique}:{session}",
    )


def own_session_name(identity: Identity) -> str:
    """A session name made of who they are, in the alphabet that AWS allows."""
    name = identity.username or identity.email or identity.subject
    return _NOT_NAME.sub("-", name)[:64].ljust(2, "-")


# Results out


def credentials_xml(call: Call, keys: TemporaryKeys, proof: Proof, request_id: str) -> bytes:
    """The answer to a call that makes credentials (STS-12)."""
    parts = [
        _element(
            "Credentials",
            _leaf("AccessKeyId", keys.access_key_id)
            + _leaf("SecretAccessKey", keys.secret.reveal())
            + _leaf("SessionToken", keys.session_token.reveal())
            + _leaf("Expiration", iso(keys.expires)),
        )
    ]
    if isinstance(call, WebIdentity | Assume):
        who = names(proof.identity, role=call.role, session_name=call.session_name)
        user = _leaf("AssumedRoleId", who.user_id) + _leaf("Arn", who.arn)
        parts.append(_element("AssumedRoleUser", user))
        if isinstance(call, WebIdentity):
            parts.append(_leaf("SubjectFromWebIdentityToken", proof.identity.subject))
            parts.append(_leaf("Provider", proof.identity.issuer))
    return _answer(action_of(call), "".join(parts), request_id)


def caller_xml(identity: Identity, request_id: str) -> bytes:
    """The answer to GetCallerIdentity."""
    who = names(identity)
    body = _leaf("Arn", who.arn) + _leaf("UserId", who.user_id) + _leaf("Account", who.account)
    return _answer("GetCallerIdentity", body, request_id)


def error_xml(code: str, message: str, status: int, request_id: str) -> bytes:
    """An error in the query API's form, not in S3's (STS-13)."""
    kind = "Sender" if status < 500 else "Receiver"
    error = _leaf("Type", kind) + _leaf("Code", code) + _leaf("Message", message)
    body = _element("Error", error) + _leaf("RequestId", request_id)
    return f'<ErrorResponse xmlns="{NAMESPACE}">{body}</ErrorResponse>\n'.encode()


_ACTION_OF = {
    WebIdentity: "AssumeRoleWithWebIdentity",
    Assume: "AssumeRole",
    SessionToken: "GetSessionToken",
    Caller: "GetCallerIdentity",
}


def action_of(call: Call) -> str:
    """The name of a call's action."""
    return _ACTION_OF[type(call)]


def _answer(action: str, body: str, request_id: str) -> bytes:
    metadata = _element("ResponseMetadata", _leaf("RequestId", request_id))
    result = _element(f"{action}Result", body)
    return f'<{action}Response xmlns="{NAMESPACE}">{result}{metadata}</{action}Response>\n'.encode()


def _element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _leaf(name: str, text: str) -> str:
    return _element(name, escape(readable(text)))


def iso(moment: datetime) -> str:
    """A time as SDKs read it: UTC, whole seconds, `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
