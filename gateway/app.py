"""
Composition root: builds every object, joins them by constructor, opens and closes them.

Nothing is looked up by name at run time, and this is the one reader of the clock. What listens is
`server.serving`, what reloads is `reload`; here they meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import web

from gateway import __version__
from gateway.config.load import load
from gateway.config.model import Config, MemoryState, RedisState, SqliteState
from gateway.errors import ConfigError, StateError
from gateway.observe import logs, metrics, spans, tracing
from gateway.observe.events import Webhooks
from gateway.observe.tracing import Tracing
from gateway.oidc import flow
from gateway.oidc.client import Providers
from gateway.oidc.providers import provider
from gateway.policy import explain
from gateway.policy.match import claims_named
from gateway.reload import InForce
from gateway.server import forward_auth
from gateway.server.accesskeys import AccessKeys
from gateway.server.admin import Readiness
from gateway.server.archive import Archives
from gateway.server.authenticate import Authenticator
from gateway.server.cli_login import CliLogin
from gateway.server.doctor import Doctor
from gateway.server.errands import Errands, Slots
from gateway.server.exchange import Request
from gateway.server.forward_auth import ForwardAuth
from gateway.server.front import Front
from gateway.server.jobs import Jobs
from gateway.server.keys import Keys
from gateway.server.limits import Failures, Limits
from gateway.server.listeners import notify
from gateway.server.login import Login
from gateway.server.logout import Logout
from gateway.server.middleware import Proxies
from gateway.server.pages import ErrorPages, Pages
from gateway.server.pipeline import Pipeline
from gateway.server.routes import Route, Routes, Who, openapi
from gateway.server.serving import Serving
from gateway.server.shares import Shares, ShareStore
from gateway.server.static import Static
from gateway.server.sts import Sts
from gateway.server.visits import Visits
from gateway.sessions.lifetime import Sessions
from gateway.sessions.session import Style, Terms
from gateway.sigv4 import checksums
from gateway.sigv4.sign import SigningKeys
from gateway.snapshot import Snapshot
from gateway.state.stores import open_store
from gateway.upstream.aws import Aws
from gateway.upstream.pool import Pool
from gateway.upstream.sources import CredentialSources

if TYPE_CHECKING:
    from gateway.identity import Identity, Proof, Secret
    from gateway.oidc.client import Tokens
    from gateway.server.exchange import Exchange
    from gateway.state import StateStore

log = logging.getLogger("gateway")

WARM_AFTER = 1.0  # seconds of life after which libraries are read that the start had no use for


def clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


async def _warm() -> None:
    """Reads what some requests need and the start does not, while nobody waits for it."""
    await asyncio.sleep(WARM_AFTER)
    await asyncio.to_thread(checksums.native)


class App:
    """One process of the gateway."""

    def __init__(self, config_path: Path, *, meeting: Path | None = None) -> None:
        """`meeting` is the folder where a worker and its supervisor meet. Raises ConfigError."""
        self.in_force = InForce(config_path)
        self._stack = contextlib.AsyncExitStack()
        self.draining = False
        self._state_away_since: datetime | None = None
        self._compose(self.snapshot.config)
        self.serving = Serving(self.front, ready=self.readiness, meeting=meeting)
        self.in_force.tell(self._swap)

    @property
    def snapshot(self) -> Snapshot:
        """What is in force now."""
        return self.in_force.snapshot

    # -- joined by constructor -------------------------------------------------------------------

    def _compose(self, config: Config) -> None:
        stale = config.state.stale
        self.store = _store(config)
        self.providers = Providers(
            map(provider, config.oidc), clock=clock, reread_secret=self._reread_secret
        )
        self._terms = terms_of(self.snapshot)
        self.sessions = Sessions(
            self.store,
            terms=lambda: self._terms,
            identify=self._identify,
            renew=self._renew,
            stale=stale,
        )
        self.access = AccessKeys(
            self.store,
            material=lambda: self.snapshot,
            owners=self.sessions.owner,
            stale=stale,
        )
        signing_keys = SigningKeys()
        self.limits = Limits(config.limits)
        self.failures = Failures(config.limits)
        self.authenticate = Authenticator(
            keys=self.access,
            bearers=self.providers,
            sessions=self.sessions,
            failures=self.failures,
            signing_keys=signing_keys,
        )
        self.aws = Aws()
        self.sources = CredentialSources(config, self.aws, self._id_token, clock)
        self.pool = Pool()
        self.pipeline = Pipeline(
            authenticate=self.authenticate,
            limits=self.limits,
            sources=self.sources,
            transport=self.pool,
            signing_keys=signing_keys,
        )
        self.keys = Keys(
            self.access,
            verify_bearer=self.providers.verify_bearer,
            revoked=self.sessions.revoked,
            kept=self._kept,
        )
        self.sts = Sts(
            self.access,
            self.keys,
            verify_bearer=self.providers.verify_bearer,
            revoked=self.sessions.revoked,
            granted=self._granted,
            failures=self.failures,
            signing_keys=signing_keys,
        )
        self.static = Static()
        self.pages = Pages(static=self.static.base, assets=self.static.preload())
        self.login = Login(
            providers=self.providers,
            sessions=self.sessions,
            pages=self.pages,
            entitle=self.pipeline.entitlements,
            explain=explain,
            named=lambda snapshot: frozenset(claims_named(snapshot.policy)),
        )
        self.logout = Logout(providers=self.providers, sessions=self.sessions, pages=self.pages)
        self.forward_auth = ForwardAuth(pipeline=self.pipeline, authenticate=self.authenticate)
        self.audit = logs.AuditSink(
            self._beside(config.audit.path), lost=lambda count: metrics.AUDIT_LOST.add(by=count)
        )
        self.webhooks = Webhooks(config.webhooks, clock)
        self.tracing = _tracing()
        slots = Slots()
        self.errands = Errands(
            pipeline=self.pipeline,
            snapshot=lambda: self.snapshot,
            clock=clock,
            new_request_id=tracing.request_id,
            sinks=(self.audit, self.webhooks),
            current=self.sessions.current,
        )
        self.jobs = Jobs(self.errands, self.store, slots)
        self.archives = Archives(self.errands, self.store, slots)
        links = ShareStore(self.store)
        self.shares = Shares(self.errands, links)
        self.visits = Visits(
            self.errands,
            links,
            slots,
            self.pages,
            owners=self.sessions.owner,
            failures=self.failures,
        )
        self.routes = Routes(self._rows())
        self.front = Front(
            snapshot=lambda: self.snapshot,
            clock=clock,
            new_request_id=tracing.request_id,
            proxies=Proxies(str(network) for network in config.server.trusted_proxies),
            authenticate=self.authenticate,
            pipeline=self.pipeline,
            routes=self.routes,
            sts=self.sts,
            pages=ErrorPages(self.pages, self.login.groups),
            sinks=(self.audit, self.webhooks),
            tracing=self.tracing,
            release=self.static.release,
        )

    def _beside(self, path: str) -> str:
        """Relative paths start from the folder of gateway.yaml."""
        return path if path == "-" else str(self.in_force.path.parent / path)

    def _rows(self) -> list[Route]:
        return [
            *self.login.routes(),
            *self.logout.routes(),
            *self.keys.routes(),
            *forward_auth.routes(self.forward_auth),
            *CliLogin(
                self.access,
                self.store,
                self.pages,
                revoked=self.sessions.revoked,
                failures=self.failures,
            ).routes(),
            *self.jobs.routes(),
            *self.archives.routes(),
            *self.shares.routes(),
            *self.visits.routes(),
            *Doctor().routes(),
            Route(
                method="GET",
                path="/ui/{place...}",
                handler=self._page,
                page=True,
                summary="The file browser.",
            ),
            Route(
                method="GET",
                path="/ui/static/{release}/{path...}",
                handler=self.static.serve,
                who=Who.ANYONE,
                page=True,
                summary="The page's own files.",
            ),
            Route(
                method="GET",
                path="/api/openapi.json",
                handler=self._openapi,
                who=Who.ANYONE,
                summary="This description.",
            ),
        ]

    async def _page(self, request: Request) -> web.StreamResponse:
        ex = request.exchange
        upstreams = ex.snapshot.upstreams
        region = next(iter(upstreams.values())).region if upstreams else "us-east-1"
        return self.pages.app(ex, region=region, version=__version__, release=self.static.release)

    def _reread_secret(self, name: str) -> Secret | None:
        """The client secret as its file holds it now: providers allow two, so that one can be replaced."""
        given = load(self.in_force.path).config
        found = given.provider(name) if given is not None else None
        return found.client_secret if found is not None else None

    def _identify(self, name: str, claims: Mapping[str, Any]) -> Identity | None:
        return flow.remembered(self.providers.known(name), claims)

    async def _renew(
        self,
        provider: str,
        *,
        refresh_token: Secret,
        old: Mapping[str, Any],
        nonce: str,
        now: datetime,
    ) -> Tokens:
        named = frozenset(claims_named(self.snapshot.policy))
        return await self.providers.refresh(
            provider, refresh_token=refresh_token, old=old, nonce=nonce, named=named, now=now
        )

    async def _openapi(self, request: Request) -> web.StreamResponse:
        return web.json_response(openapi(self.routes.rows, request.exchange.snapshot.public_url))

    async def _id_token(self, proof: Proof) -> Secret | None:
        return await self.sessions.id_token(proof, clock())

    def _granted(self, identity: Identity, ex: Exchange) -> bool:
        return bool(self.pipeline.entitlements(identity, ex.snapshot).grants)

    def _kept(self, identity: Identity) -> Identity:
        return replace(identity, claims=self._terms.keeper.keep(identity.claims))

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listens and serves. Raises ListenError."""
        config = self.snapshot.config
        logs.configure(config.log.level, config.log.format)
        stack = self._stack
        stack.push_async_callback(asyncio.to_thread, self.audit.close)  # it waits for its thread
        stack.push_async_callback(asyncio.to_thread, self.tracing.close)
        stack.push_async_callback(self.store.close)
        stack.push_async_callback(self.pool.close)
        stack.push_async_callback(self.aws.close)
        stack.push_async_callback(self.sources.close)
        stack.push_async_callback(self.providers.close)
        stack.push_async_callback(self.jobs.close)  # first: they still speak with all the others
        await self.providers.start()
        await self.serving.start(config)
        metrics.WATCHED.append(self._watch)
        stack.callback(metrics.WATCHED.remove, self._watch)
        for warning in self.snapshot.warnings:
            log.warning(str(warning))
        log.info("listening", extra={"addresses": self.serving.addresses, "version": __version__})

    async def run_until(self, ending: asyncio.Event) -> None:
        """Watches files and writes down what waits, until told to end."""
        notify("READY=1")
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(metrics.keep()),
                group.create_task(_warm()),
                group.create_task(self.in_force.watch(self.serving.refresh_certificate)),
                group.create_task(self.access.run()),
                group.create_task(self.webhooks.run()),
            ]
            await ending.wait()
            for task in tasks:
                task.cancel()

    def _watch(self) -> None:
        metrics.CONNECTIONS.set(to=self.serving.connections)
        metrics.IN_FLIGHT.set(to=self.limits.running)
        metrics.AUDIT_WAITING.set(to=self.audit.waiting)

    def reload_soon(self) -> None:
        """For a signal handler."""
        self.audit.reopen()
        self.in_force.soon()

    async def reload(self) -> bool:
        """Takes the files as they are now, or keeps the old ones; whether it took them (CFG-3)."""
        return await self.in_force.reload()

    def _swap(self, snapshot: Snapshot) -> None:
        self._terms = terms_of(snapshot)
        self.pipeline.forget()
        self.providers.replace(map(provider, snapshot.config.oidc))
        self.sources.replace(snapshot.config)
        self.limits.replace(snapshot.config.limits)
        self.failures.replace(snapshot.config.limits)

    async def readiness(self) -> Readiness:
        """Whether this process is of use."""
        now = clock()
        checks: dict[str, Any] = {"generation": self.snapshot.generation}
        state = "ok"
        try:
            async with asyncio.timeout(2):
                await self.store.ping()
        except (StateError, TimeoutError):
            state = "away"
        if state == "ok":
            self._state_away_since = None
        elif self._state_away_since is None:
            self._state_away_since = now
        providers = self.providers.ready(now)
        checks["state"] = state
        checks["providers"] = providers
        checks["draining"] = self.draining
        # For `state.stale` people go on working on what was known last; then nobody can.
        since = self._state_away_since
        stands = since is None or now - since < self.snapshot.config.state.stale
        ready = not self.draining and stands
        return Readiness(ready, checks)

    async def stop(self) -> None:
        """Lets what runs finish within `server.drain`, then cuts it, and closes everything."""
        self.draining = True
        notify("STOPPING=1")
        await self.serving.drain(self.snapshot.config.server.drain.total_seconds())
        await self._stack.aclose()
        log.info("ended")


def _tracing() -> Tracing:
    """Spans where the environment says where they go. Raises ConfigError without the extra."""
    if not spans.wanted():
        return Tracing()
    try:
        return Tracing(spans.Spans(), spans.ratio())
    except ImportError as missing:
        raise ConfigError([str(missing)]) from missing


def terms_of(snapshot: Snapshot) -> Terms:
    """What is in force for sessions, of all that is in force."""
    config = snapshot.config
    return Terms(
        keyring=snapshot.keyring,
        keeper=snapshot.keeper,
        issuers=tuple((one.name, one.issuer_url) for one in config.oidc),
        style=Style.of(snapshot.public_url),
        lifetime=config.session.lifetime,
        idle=config.session.idle,
        unconfirmed=config.keys.unconfirmed,
    )


def _store(config: Config) -> StateStore:
    state = config.state
    match state:
        case MemoryState():
            return open_store("memory", clock)
        case SqliteState():
            return open_store("sqlite", clock, path=state.path)
        case RedisState():
            url = state.url.reveal()
            if state.ca is not None:
                url += f"{'&' if '?' in url else '?'}ca={quote(str(state.ca), safe='/')}"
            return open_store("redis", clock, url=url, prefix=state.prefix)
