"""
Sessions of the AWS SDK: its settings here, its credential chain, or credentials that we lend it.

Read late, by `aws` alone: the SDK takes a tenth of a second to read, and most gateways never call it.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, final

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session

from gateway.identity import Credentials, Secret

if TYPE_CHECKING:
    from gateway.upstream.aws import Lend, Service

__all__ = ["BotoCoreError", "ClientError", "ResponseParserError", "chain", "context", "session"]

CONNECT_TIMEOUT: Final = 5  # seconds
READ_TIMEOUT: Final = 10  # seconds: STS answers in a tenth of one
CONNECTIONS: Final = 32  # at once to one service


def _settings(*, signed: bool) -> AioConfig:
    return AioConfig(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": 1},
        proxies={},  # SSR-2: none, those of the environment included
        signature_version=None if signed else UNSIGNED,
        user_agent_extra="s3-auth-gateway",
    )


@final
class _Lent(AioCredentials):  # type: ignore[misc] # the SDK has no types
    """Credentials as the SDK wants them, from a lender that renews them itself."""

    def __init__(self, lend: Lend) -> None:
        super().__init__("lent", "when asked", method="gateway")
        self._lend = lend

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        lent = await self._lend()
        token = None if lent.session_token is None else lent.session_token.reveal()
        return ReadOnlyCredentials(lent.access_key_id, lent.secret.reveal(), token)


class _Session(AioSession):  # type: ignore[misc] # the SDK has no types
    """A session whose credentials are ours, never the chain's."""

    def __init__(self, lend: Lend | None) -> None:
        super().__init__()
        self._lent = None if lend is None else _Lent(lend)

    async def get_credentials(self) -> _Lent | None:
        return self._lent


def session(service: Service, lend: Lend | None) -> _Session:
    """
    A session that has read its files already; for a thread, since models are megabytes of JSON.

    The loader remembers by arguments: these are written as the SDK will write them.
    """
    made = _Session(lend)
    made.get_scoped_config()
    loader = made.get_component("data_loader")
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data_with_path(name)
        loader.load_data(name)
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model(service.name, kind, api_version=None)
    return made


def context(
    session: _Session, service: Service, *, signed: bool
) -> AbstractAsyncContextManager[Any]:
    made: AbstractAsyncContextManager[Any] = session.create_client(
        service.name,
        region_name=service.region,
        endpoint_url=service.url,
        verify=service.ca,
        config=_settings(signed=signed),
    )
    return made


def chain(profile: str | None) -> Credentials:
    found = Session(profile=profile).get_credentials()
    if found is None:
        raise RuntimeError("it found no credentials")
    frozen = found.get_frozen_credentials()
    # Nothing public tells when they end; without it they are only read again more often.
    expires = getattr(found, "_expiry_time", None)
    return Credentials(
        access_key_id=frozen.access_key,
        secret=Secret(frozen.secret_key),
        session_token=Secret(frozen.token) if frozen.token else None,
        expires=expires if isinstance(expires, datetime) else None,
    )
