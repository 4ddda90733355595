"""
Roles assumed for somebody: by the gateway under their name, or with their own ID token.

Sources: https://docs.aws.amazon.com/STS/latest/APIReference/;
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Hashable, Mapping
from datetime import datetime
from typing import Any, Final, final

from gateway.config.model import (
    AssumeRoleCredentials,
    CognitoIdentityCredentials,
    WebIdentityCredentials,
)
from gateway.errors import (
    CREDENTIALS_NEED_TOKEN,
    CREDENTIALS_TOKEN_ENDED,
    SCOPE_TOO_LARGE,
    TAG_UNUSABLE,
)
from gateway.identity import Credentials, Identity, Proof, Secret
from gateway.policy.model import Grant
from gateway.upstream.aws import AwsRefusal, Lend, Service, unavailable
from gateway.upstream.kinds import PersonalSource, World
from gateway.upstream.resolve import (
    CredentialsRefused,
    session_name,
    session_policy,
    usable_source_identity,
)

TOKEN_MAX: Final = 20_000  # characters of a web identity token: what STS takes

_Role = AssumeRoleCredentials | WebIdentityCredentials


def _sts(world: World, config: _Role, upstream: str) -> Service:
    """The STS to call: in the source's region, or else the upstream's."""
    return Service(
        name="sts",
        region=config.region or world.config.upstreams[upstream].region,
        endpoint=config.endpoint,
        ca=None if config.ca is None else str(config.ca),
    )


def _any_sts(world: World, config: _Role) -> set[Service]:
    return {_sts(world, config, upstream) for upstream in world.config.upstreams}


def _scope(grant: Grant, config: _Role) -> dict[str, Any]:
    """The parameters that narrow a session, as configured; refused where they do not fit."""
    managed = config.policy_arns
    scope: dict[str, Any] = {"PolicyArns": [{"arn": arn} for arn in managed]} if managed else {}
    if config.scope_down:
        scope["Policy"] = session_policy(grant, _partition(config.role_arn), managed)
    return scope


def _partition(arn: str) -> str:
    return arn.split(":", 2)[1]


def _digest(params: Mapping[str, object]) -> str:
    """Stands for parameters in a cache's key: they are long, and one may be a secret."""
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def _credentials(answer: object, now: datetime, field: str = "SecretAccessKey") -> Credentials:
    """What AWS calls Credentials. Raises UpstreamUnavailable for anything else."""
    match answer:
        case {
            "AccessKeyId": str(key_id),
            "SessionToken": str(token),
            "Expiration": datetime() as expires,
            **rest,
        } if key_id and isinstance(rest.get(field), str) and expires > now:
            return Credentials(
                access_key_id=key_id,
                secret=Secret(str(rest[field])),
                session_token=Secret(token),
                expires=expires,
            )
        case _:
            raise unavailable("AWS answered without usable credentials; are the clocks right?")


def _refused(refusal: AwsRefusal) -> Exception:
    """Whose fault a refusal is."""
    match refusal.code:
        case "PackedPolicyTooLarge":
            return CredentialsRefused(SCOPE_TOO_LARGE)
        case "ExpiredTokenException":
            return CredentialsRefused(CREDENTIALS_TOKEN_ENDED)
        case _:
            return unavailable(str(refusal))


@final
class AssumeRole(PersonalSource):
    """A role assumed by the gateway, under the person's name."""

    def __init__(self, name: str, config: AssumeRoleCredentials, world: World) -> None:
        super().__init__(world)
        self._name = name
        self._config = config
        self._lender: tuple[str, Lend] = (config.source or "", lambda: world.lend(config.source))

    @property
    def services(self) -> set[Service]:
        return _any_sts(self._world, self._config)

    def _params(self, grant: Grant, identity: Identity) -> dict[str, Any]:
        config = self._config
        params: dict[str, Any] = {
            "RoleArn": config.role_arn,
            "RoleSessionName": session_name(grant.session_name, identity),
            "DurationSeconds": int(config.duration.total_seconds()),
            **_scope(grant, config),
        }
        if grant.tags:
            params["Tags"] = [{"Key": key, "Value": value} for key, value in grant.tags]
        if grant.source_identity:
            if not usable_source_identity(grant.source_identity):
                raise CredentialsRefused(TAG_UNUSABLE, tag="source identity")
            params["SourceIdentity"] = grant.source_identity
        if config.external_id is not None:
            params["ExternalId"] = config.external_id
        return params

    def key(self, grant: Grant, proof: Proof) -> Hashable:
        who = proof.identity
        service = _sts(self._world, self._config, grant.upstream)
        params = _digest(self._params(grant, who))
        return (self._name, service, self._config.source, params, who.issuer, who.subject)

    async def fetch(self, grant: Grant, proof: Proof, now: datetime) -> Credentials:
        try:
            answer = await self._world.aws.call(
                _sts(self._world, self._config, grant.upstream),
                "assume_role",
                lender=self._lender,
                **self._params(grant, proof.identity),
            )
        except AwsRefusal as refusal:
            raise _refused(refusal) from refusal
        return _credentials(answer.get("Credentials"), now)


class _WithToken(PersonalSource):
    """What is alike in sources that pass on the person's own ID token."""

    def admit(self, proof: Proof) -> None:
        if proof.token is None and proof.ticket is None:
            raise CredentialsRefused(CREDENTIALS_NEED_TOKEN)

    async def _token(self, proof: Proof, now: datetime) -> str:
        token = proof.token or await self._world.id_token(proof)
        if token is None or len(token.reveal()) > TOKEN_MAX:
            raise CredentialsRefused(CREDENTIALS_NEED_TOKEN)
        if _ended(token.reveal(), now):
            raise CredentialsRefused(CREDENTIALS_TOKEN_ENDED)
        return token.reveal()


def _ended(token: str, now: datetime) -> bool:
    """
    Whether a JWT says that its time is over.

    Asked before AWS is, whose answer to an old token and to a foreign one may have the same code.
    """
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error):
        return False  # not for us to judge: whoever it is for will
    expires = claims.get("exp") if isinstance(claims, Mapping) else None
    return isinstance(expires, int | float) and expires <= now.timestamp()


@final
class WebIdentity(_WithToken):
    """A role assumed with the person's own ID token."""

    def __init__(self, name: str, config: WebIdentityCredentials, world: World) -> None:
        super().__init__(world)
        self._name = name
        self._config = config

    @property
    def services(self) -> set[Service]:
        return _any_sts(self._world, self._config)

    def _params(self, grant: Grant, identity: Identity) -> dict[str, Any]:
        return {
            "RoleArn": self._config.role_arn,
            "RoleSessionName": session_name(grant.session_name, identity),
            "DurationSeconds": int(self._config.duration.total_seconds()),
            **_scope(grant, self._config),
        }

    def key(self, grant: Grant, proof: Proof) -> Hashable:
        who = proof.identity
        service = _sts(self._world, self._config, grant.upstream)
        params = _digest(self._params(grant, who))
        # Tags and conditions come out of the token: other claims, other credentials.
        return (self._name, service, params, who.issuer, who.subject, who.fingerprint)

    async def fetch(self, grant: Grant, proof: Proof, now: datetime) -> Credentials:
        token = await self._token(proof, now)
        try:
            answer = await self._world.aws.call(
                _sts(self._world, self._config, grant.upstream),
                "assume_role_with_web_identity",
                WebIdentityToken=token,
                **self._params(grant, proof.identity),
            )
        except AwsRefusal as refusal:
            raise _refused(refusal) from refusal
        return _credentials(answer.get("Credentials"), now)


@final
class CognitoIdentity(_WithToken):
    """Credentials of a Cognito identity pool: the enhanced flow, or the basic one with STS."""

    def __init__(self, name: str, config: CognitoIdentityCredentials, world: World) -> None:
        super().__init__(world)
        self._name = name
        self._config = config
        region = config.identity_pool_id.partition(":")[0]
        ca = None if config.ca is None else str(config.ca)
        self._pool = Service(
            name="cognito-identity", region=region, endpoint=config.endpoint, ca=ca
        )
        self._sts_service = Service(
            name="sts", region=config.region or region, endpoint=config.sts_endpoint, ca=ca
        )

    @property
    def services(self) -> set[Service]:
        return {self._pool, self._sts_service}

    def _login(self, identity: Identity) -> str:
        """What the pool calls the provider: the issuer without its scheme."""
        if self._config.login is not None:
            return self._config.login
        provider = self._world.config.provider(identity.issuer)
        if provider is None:
            raise CredentialsRefused(CREDENTIALS_NEED_TOKEN)
        return provider.issuer_url.partition("://")[2]

    def _params(self, grant: Grant, identity: Identity) -> dict[str, Any]:
        """Of the basic flow's last step."""
        config = self._config
        params: dict[str, Any] = {
            "RoleArn": config.role_arn,
            "RoleSessionName": session_name(grant.session_name, identity),
            "DurationSeconds": int(config.duration.total_seconds()),
        }
        if config.scope_down and config.role_arn is not None:
            params["Policy"] = session_policy(grant, _partition(config.role_arn))
        return params

    def key(self, grant: Grant, proof: Proof) -> Hashable:
        who = proof.identity
        config = self._config
        params = (
            _digest(self._params(grant, who)) if config.flow == "basic" else (config.role_arn or "")
        )
        login = self._login(who)
        place = (self._name, self._pool, config.identity_pool_id, self._sts_service)
        return (*place, login, config.flow, params, who.issuer, who.subject, who.fingerprint)

    async def fetch(self, grant: Grant, proof: Proof, now: datetime) -> Credentials:
        logins = {self._login(proof.identity): await self._token(proof, now)}
        try:
            found = await self._ask(
                "get_id", IdentityPoolId=self._config.identity_pool_id, Logins=logins
            )
            if self._config.flow == "basic":
                return await self._basic(found["IdentityId"], logins, grant, proof, now)
            return await self._enhanced(found["IdentityId"], logins, now)
        except AwsRefusal as refusal:
            raise _refused(refusal) from refusal
        except KeyError as error:
            raise unavailable(f"the identity pool's answer has no {error}") from error

    async def _enhanced(
        self, identity_id: str, logins: Mapping[str, str], now: datetime
    ) -> Credentials:
        role = self._config.role_arn
        custom: dict[str, Any] = {} if role is None else {"CustomRoleArn": role}
        answer = await self._ask(
            "get_credentials_for_identity", IdentityId=identity_id, Logins=logins, **custom
        )
        return _credentials(answer.get("Credentials"), now, field="SecretKey")

    async def _basic(
        self,
        identity_id: str,
        logins: Mapping[str, str],
        grant: Grant,
        proof: Proof,
        now: datetime,
    ) -> Credentials:
        opened = await self._ask("get_open_id_token", IdentityId=identity_id, Logins=logins)
        answer = await self._world.aws.call(
            self._sts_service,
            "assume_role_with_web_identity",
            WebIdentityToken=opened["Token"],
            **self._params(grant, proof.identity),
        )
        return _credentials(answer.get("Credentials"), now)

    async def _ask(self, operation: str, **params: Any) -> Mapping[str, Any]:
        return await self._world.aws.call(self._pool, operation, **params)
