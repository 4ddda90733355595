"""
The demo provider's pages: the sign-in form, and the page for what must not be redirected.

Plain HTML with one stylesheet in it, no script, and every text escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Protocol

from aiohttp import web


class Person(Protocol):
    """What the page shows of somebody; in a demo, the password too."""

    @property
    def username(self) -> str: ...

    @property
    def password(self) -> str: ...

    @property
    def groups(self) -> tuple[str, ...]: ...


def sign_in_page(users: Iterable[Person], query: str, problem: str = "") -> web.Response:
    """The form, which posts to its own address; after a failure with the sentence that says why."""
    rows = "".join(
        f"<tr><td>{html.escape(user.username)}</td><td><code>{html.escape(user.password)}</code></td>"
        f"<td>{html.escape(', '.join(user.groups) or 'no group')}</td></tr>"
        for user in users
    )
    alert = f'<p class="alert" role="alert">{html.escape(problem)}</p>' if problem else ""
    return _page(
        "Sign in",
        f"""<h1>Sign in</h1>
<p class="hint">with your <b>Acme</b> account</p>{alert}
<form method="post" action="/login?{html.escape(query)}">
<label for="username">Username</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Sign in</button>
</form>
<table><caption>Accounts of this demo</caption>
<thead><tr><th scope="col">Username</th><th scope="col">Password</th><th scope="col">Groups</th></tr>
</thead><tbody>{rows}</tbody></table>""",
        status=401 if problem else 200,
    )


def problem_page(problem: str) -> web.Response:
    return _page(
        "Something went wrong",
        f'<h1>Something went wrong</h1><p class="alert" role="alert">{html.escape(problem)}</p>',
        status=400,
    )


_STYLE = """
:root { color-scheme: light dark; --bg: light-dark(#eef1f5, #10141a); --card: light-dark(#fff, #1b2027);
  --text: light-dark(#1b2430, #e6eaf0); --muted: light-dark(#566171, #a3aebd);
  --line: light-dark(#7d8796, #7b8797); --border: light-dark(#d5dae1, #323b47);
  --accent: light-dark(#6a3fb5, #c3a6ff); --on-accent: light-dark(#fff, #1f1236);
  --danger: light-dark(#b42318, #ff9a8f); --danger-bg: light-dark(#fdecea, #3d1d1a); }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 24px 16px;
  background: var(--bg); color: var(--text); font: 15px/22px system-ui, sans-serif; }
main { width: 100%; max-width: 400px; background: var(--card); border: 1px solid var(--border);
  border-top: 4px solid var(--accent); border-radius: 12px; padding: 32px 28px;
  box-shadow: 0 8px 28px rgb(0 0 0 / 10%); }
h1 { font-size: 24px; line-height: 30px; margin: 0; }
.hint { margin: 4px 0 20px; color: var(--muted); }
label { display: block; margin: 16px 0 6px; font-weight: 600; font-size: 14px; }
input { width: 100%; height: 44px; padding: 0 12px; font: inherit; color: inherit;
  background: transparent; border: 1px solid var(--line); border-radius: 8px; }
input:focus-visible, button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
button { width: 100%; height: 44px; margin-top: 24px; border: 0; border-radius: 8px; font: inherit;
  font-weight: 600; color: var(--on-accent); background: var(--accent); cursor: pointer; }
.alert { margin: 16px 0 0; padding: 10px 12px; border-radius: 8px; color: var(--danger);
  background: var(--danger-bg); }
table { width: 100%; margin-top: 28px; border-collapse: collapse; font-size: 13px; line-height: 18px; }
caption { text-align: left; color: var(--muted); padding-bottom: 6px; }
th, td { text-align: left; padding: 6px 8px 6px 0; border-top: 1px solid var(--border);
  overflow-wrap: anywhere; vertical-align: top; }
th { font-weight: 600; color: var(--muted); }
code { font-family: ui-monospace, monospace; }
"""


def _page(title: str, content: str, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        content_type="text/html",
        charset="utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
            "img-src data:; frame-ancestors 'none'; base-uri 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
        text=f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)} · Acme demo</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><style>{_STYLE}</style></head>
<body><main>{content}</main></body></html>
""",
    )
