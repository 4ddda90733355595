"""As much of a browser as a sign-in needs: cookies, redirects, a form."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode

NAVIGATION = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Dest": "document"}
SAME_ORIGIN = {
    "Sec-Fetch-Site": "same-origin",
    "X-Gateway-CSRF": "1",
    "Content-Type": "application/octet-stream",
}


class Answer:
    """What came back, whatever its status."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status
        self.headers: http.client.HTTPMessage = response.headers
        self.url: str = response.url
        self.body: bytes = response.read()


class Browser:
    """Follows redirects, keeps cookies."""

    def __init__(self) -> None:
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )

    def open(
        self,
        url: str,
        *,
        method: str = "GET",
        data: bytes | None = None,
        headers: Mapping[str, str] = NAVIGATION,
    ) -> Answer:
        request = urllib.request.Request(url, data=data, headers=dict(headers), method=method)
        try:
            with self._opener.open(request, timeout=20) as response:
                return Answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error)

    def sign_in(self, url: str, username: str, password: str) -> Answer:
        """Goes to `url`, meets the demo provider's form, fills it in; the page it ends on."""
        form = self.open(url)
        assert "/login?" in form.url, f"no form but {form.status} {form.url}"
        filled = urlencode({"username": username, "password": password}).encode()
        return self.open(form.url, method="POST", data=filled)
