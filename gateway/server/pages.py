"""
The documents: sign-in choice, signed out, error, `gateway login` confirmation, signed in, and the
page of the file browser.

Templates escape everything; nothing but the file browser and `/ui/signed-in` has a script, and the
policy sent along says so. What an error page says comes from the refusal: what happened, what can
be done, and the details that somebody who helps will ask for.

Sources: WEB-6, UIS-1; the layout of the pages is in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

from gateway.errors import Acts
from gateway.identity import Method, Proof
from gateway.server.exchange import Exchange, exchange_of
from gateway.server.forms import form_token

if TYPE_CHECKING:
    from gateway.server.respond import Refusal


SIGN_IN = "/api/session/auth/"
SIGN_OUT_FORM = "sign-out"
_ADVICE: Mapping[Acts, str] = {
    Acts.USER: "You can try again.",
    Acts.ADMINISTRATOR: "Whoever administers this gateway can change that; send them the details below.",
    Acts.OPERATOR: "Whoever operates this gateway has to look at it; send them the details below.",
    Acts.NOBODY: "",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One provider on the sign-in page."""

    title: str
    link: str


class Pages:
    """Renders documents."""

    def __init__(self, *, static: str, assets: Sequence[str] = ()) -> None:
        """`static` is the address of the static files; `assets` the modules that the browser page preloads."""
        self._environment = Environment(
            # Read once, here: a template looked for while a request waits would block all others.
            loader=DictLoader(_templates()),
            auto_reload=False,
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["static"] = static
        self._static = static
        self._assets = tuple(assets)

    def document(
        self,
        template: str,
        ex: Exchange,
        *,
        status: int = 200,
        policy: str = "",
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> web.Response:
        """A rendered template as an answer that no cache keeps."""
        text = self._environment.get_template(template).render(
            host=urlsplit(ex.snapshot.public_url).netloc, **values
        )
        return web.Response(
            status=status,
            text=text,
            content_type="text/html",
            charset="utf-8",
            headers={
                "Cache-Control": "no-store",
                "Content-Security-Policy": policy or plain_policy(ex),
                **(headers or {}),
            },
        )

    def sign_in(self, ex: Exchange, choices: Sequence[Choice]) -> web.Response:
        """Where there are several providers: which one?"""
        return self.document("sign_in.html", ex, choices=choices)

    def signed_out(
        self, ex: Exchange, *, provider: str | None, there: bool, onward: str | None = None
    ) -> web.Response:
        """
        After signing out: here, and at `provider` or not.

        `onward` is the provider's logout address, which the page leads to by itself: a redirect
        would fall under the form's own `form-action` (UIS-10).
        """
        return self.document(
            "signed_out.html", ex, provider=provider, there=there, onward=onward, sign_in=SIGN_IN
        )

    def signed_in(self, ex: Exchange) -> web.Response:
        """At the end of a sign-in in a window of its own: its module tells the waiting page."""
        policy = f"{plain_policy(ex)}; script-src {ex.snapshot.public_url}/ui/static/"
        return self.document("signed_in.html", ex, policy=policy)

    def login_confirm(
        self,
        ex: Exchange,
        *,
        name: str,
        code: str,
        until: datetime,
        action: str,
        fields: Mapping[str, str],
    ) -> web.Response:
        """`gateway login`: may the program on host `name` act as this person?"""
        proof = ex.proof
        assert proof is not None  # the route is for those who are signed in
        # The answer leads to the loopback address of the program that waits, and browsers apply
        # form-action to that redirect. CSP has no writing for [::1]; what is redirected to is
        # checked where the page is made (KEY-7).
        policy = plain_policy(ex, forms="'self' http:")
        return self.document(
            "login_confirm.html",
            ex,
            policy=policy,
            name=name,
            code=code,
            until=until,
            who=proof.identity.display,
            action=action,
            fields=fields,
        )

    def app(self, ex: Exchange, *, region: str, version: str, release: str) -> web.Response:
        """The page of the file browser (UIS-1)."""
        snapshot = ex.snapshot
        source = f"{snapshot.public_url}/ui/static/"
        policy = (
            f"default-src 'none'; script-src {source}; style-src {source}; worker-src {source}; "
            "img-src 'self' blob:; media-src 'self'; connect-src 'self'; frame-src 'self'; "
            "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types gateway dompurify"
        )
        return self.document(
            "app.html",
            ex,
            policy=policy,
            release=release,
            public_url=snapshot.public_url,
            region=region,
            version=version,
            preload=self._assets,
        )

    def error(
        self, request: web.Request, refused: Refusal, groups: Sequence[str] | None = None
    ) -> web.Response:
        """What happened, what can be done, and the details; `groups` as the provider gave them."""
        ex = exchange_of(request)
        headers = dict(refused.headers)
        if refused.retry_after:
            headers["Retry-After"] = str(refused.retry_after)
        reason = refused.reason
        return self.document(
            "error.html",
            ex,
            status=refused.status,
            headers=headers,
            title=_title(refused),
            sentence=refused.detail.get("sentence") or refused.message,
            advice=_ADVICE[reason.acts] if reason is not None else "",
            details=_details(ex, refused, groups),
            sign_in=_way_back(refused),
            sign_out=_sign_out(ex),
        )


class ErrorPages:
    """Refusals as documents that name the groups received: all of them, as whoever helps will ask."""

    def __init__(
        self, pages: Pages, groups: Callable[[Proof, datetime], Awaitable[Sequence[str]]]
    ) -> None:
        self._pages = pages
        self._groups = groups

    async def error(self, request: web.Request, refused: Refusal) -> web.Response:
        """A session's cookie holds only the groups that rules speak of; the rest is looked up."""
        ex = exchange_of(request)
        groups = None if ex.proof is None else await self._groups(ex.proof, ex.now)
        return self._pages.error(request, refused, groups)


def _templates() -> dict[str, str]:
    folder = files("gateway") / "ui" / "templates"
    return {
        one.name: one.read_text("utf-8") for one in folder.iterdir() if one.name[-5:] == ".html"
    }


def plain_policy(ex: Exchange, forms: str = "'self'") -> str:
    """Pages without JavaScript: no script-src at all; styles by path, for an object may be one."""
    source = f"{ex.snapshot.public_url}/ui/static/"
    return (
        f"default-src 'none'; style-src {source}; img-src {source}; form-action {forms}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _of_sign_in(refused: Refusal) -> bool:
    code = refused.reason.code if refused.reason is not None else ""
    return code.startswith(
        ("login-", "token-", "provider-", "no-id-token", "groups-", "unknown-provider")
    )


def _title(refused: Refusal) -> str:
    if _of_sign_in(refused):
        away = refused.status == 503
        return "Signing in does not work at the moment" if away else "You are not signed in"
    if refused.status == 403:
        return "You may not do this"
    if refused.status == 404:
        return "There is nothing here"
    if refused.status == 503:
        return "This does not work at the moment"
    return "This did not work" if refused.status < 500 else "Something went wrong"


def _details(ex: Exchange, refused: Refusal, groups: Sequence[str] | None) -> list[tuple[str, str]]:
    """Time, person, action, place, code, request id: whatever of it is known."""
    rows = [("Time", ex.now.strftime("%Y-%m-%d %H:%M:%S UTC"))]
    proof = ex.proof
    if proof is not None and proof.method is not Method.ANONYMOUS:
        identity = proof.identity
        rows.append(("Signed in as", identity.display))
        rows.append(("Subject", f"{identity.subject} at {identity.issuer}"))
        received = identity.groups if groups is None else groups
        rows.append(("Groups received", ", ".join(received) or "none"))
    outcomes = refused.decision.outcomes if refused.decision is not None else ()
    for outcome in outcomes:
        if not outcome.granted:
            name = outcome.requirement.name
            rows.append(("Needed", outcome.requirement.action))
            rows.append(("Place", f"{name.bucket}/{name.key}"))
            break
    code = refused.reason.code if refused.reason is not None else refused.code
    rows += [
        ("Code", code),
        ("Status", f"{refused.status} {HTTPStatus(refused.status).phrase}"),
        ("Request id", ex.request_id),
    ]
    return rows


def _way_back(refused: Refusal) -> str | None:
    """Where a sign-in begins again, where that may help."""
    return SIGN_IN if _of_sign_in(refused) else None


def _sign_out(ex: Exchange) -> str | None:
    """The token of the sign-out form, for somebody whose session this is."""
    proof: Proof | None = ex.proof
    if proof is None or proof.session_id is None or proof.method is not Method.SESSION:
        return None
    return form_token(ex.snapshot.keyring, proof.session_id, SIGN_OUT_FORM, ex.now)


def sign_in_link(provider: str, target: str) -> str:
    """The address that starts a login at one provider."""
    return f"{SIGN_IN}?provider={quote(provider, safe='')}&next={quote(target, safe='/')}"
