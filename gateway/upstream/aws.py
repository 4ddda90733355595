"""
The one door to the AWS SDK: its credential chain, and calls to STS and Cognito identity pools.

Clients are made once and kept; the SDK's own retries, proxies and endpoint variables are off:
where we call, how long, and how often again is said here. What AWS says no to is an
AwsRefusal with its code; what cannot be had at all is UpstreamUnavailable.

The chain is the SDK's synchronous one, in a thread: it reads files and asks metadata services.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Literal, final

from gateway.caches import SingleFlight
from gateway.errors import UPSTREAM_CREDENTIALS, GatewayError, UpstreamUnavailable
from gateway.identity import Credentials

PAUSES: Final = (0.2, 0.8)  # seconds before each further attempt
AGAIN: Final = frozenset(
    {
        "IDPCommunicationError",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Codes that AWS documents as worth another attempt, and that our request did not cause."""

_IAM: Final[Mapping[str, str]] = {"cn": "https://iam.cn-north-1.amazonaws.com.cn"}
"""IAM has one endpoint for each partition."""

Lend = Callable[[], Awaitable[Credentials]]
"""Gives the credentials that a call is signed with, fresh ones each time it is asked."""


class AwsRefusal(GatewayError):
    """AWS answered, and the answer is no."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.code = code


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Where to call."""

    name: Literal["sts", "cognito-identity", "cognito-idp", "iam"]
    region: str
    endpoint: str | None = None
    """Of something that is not AWS."""
    ca: str | None = None
    """Path of a file of certificate authorities."""

    @property
    def url(self) -> str:
        """Regional where it can be: the global endpoint of STS fails with one region."""
        if self.endpoint is not None:
            return self.endpoint
        if self.name == "iam":
            return _IAM.get(self.region.partition("-")[0], "https://iam.amazonaws.com")
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://{self.name}.{self.region}.{suffix}"


def unavailable(message: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(message, why=UPSTREAM_CREDENTIALS)


@final
class Aws:
    """Clients by service and lender. Close it at the end."""

    def __init__(self, *, pauses: tuple[float, ...] = PAUSES) -> None:
        self._pauses = pauses
        self._clients: dict[tuple[Service, str | None], _Client] = {}
        self._making: SingleFlight[tuple[Service, str | None], _Client] = SingleFlight()

    async def chain(self, profile: str | None = None) -> Credentials:
        """What the SDK's chain finds now. Raises UpstreamUnavailable."""
        sdk = await asyncio.to_thread(_sdk)
        try:
            found: Credentials = await asyncio.to_thread(sdk.chain, profile)
        except (sdk.BotoCoreError, OSError, RuntimeError) as error:
            raise unavailable(f"the AWS credential chain failed: {error}") from error
        return found

    async def call(
        self,
        service: Service,
        operation: str,
        *,
        lender: tuple[str, Lend] | None = None,
        **params: object,
    ) -> Mapping[str, Any]:
        """
        One API call, signed with what the lender (a name, and how to ask) gives, or unsigned.

        Raises AwsRefusal, UpstreamUnavailable.
        """
        sdk = await asyncio.to_thread(_sdk)
        client = await self._client(service, lender)
        for pause in (*self._pauses, None):
            try:
                answer: Mapping[str, Any] = await getattr(client.sdk, operation)(**params)
            except sdk.ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if code in AGAIN and pause is not None:
                    await asyncio.sleep(pause)
                    continue
                if code in AGAIN or status >= 500:
                    raise unavailable(f"{operation}: {code}") from error
                text = error.response.get("Error", {}).get("Message", "")
                raise AwsRefusal(operation, code, str(text)) from error
            except (sdk.BotoCoreError, sdk.ResponseParserError, OSError, TimeoutError) as error:
                raise unavailable(f"{operation} at {service.url}: {error}") from error
            else:
                return answer
        raise AssertionError("the last attempt returns or raises")

    async def _client(self, service: Service, lender: tuple[str, Lend] | None) -> _Client:
        key = (service, None if lender is None else lender[0])
        client = self._clients.get(key)
        if client is None:
            lend = None if lender is None else lender[1]
            client = await self._making.do(key, lambda: self._make(key, lend))
        return client

    async def _make(self, key: tuple[Service, str | None], lend: Lend | None) -> _Client:
        service = key[0]
        sdk = _sdk()
        try:
            session = await asyncio.to_thread(sdk.session, service, lend)
            context = sdk.context(session, service, signed=lend is not None)
            client = self._clients[key] = _Client(context, await context.__aenter__())
        except (sdk.BotoCoreError, OSError) as error:
            raise unavailable(f"no client for {service.url}: {error}") from error
        return client

    async def keep(self, services: set[Service]) -> None:
        """Closes the clients of all other services: the configuration names them no more."""
        for key in [key for key in self._clients if key[0] not in services]:
            await self._clients.pop(key).close()

    async def close(self) -> None:
        await self.keep(set())


@final
class _Client:
    """A client of the SDK, and what closes it."""

    def __init__(self, context: AbstractAsyncContextManager[Any], sdk: Any) -> None:
        self._context = context
        self.sdk = sdk

    async def close(self) -> None:
        await self._context.__aexit__(None, None, None)


def _sdk() -> ModuleType:
    """Read where it is needed first: that takes a tenth of a second, which no start has to wait for."""
    from gateway.upstream import sdk  # noqa: PLC0415

    return sdk
