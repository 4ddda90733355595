"""The demo provider's pages escape what they show."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.demo.sign_in import problem_page, sign_in_page


@dataclass
class Person:
    username: str
    password: str
    groups: tuple[str, ...]


def test_web_6_names_and_queries_are_text():
    """Whatever an account is called, and whatever the address holds."""
    hostile = Person('<img src=x onerror="x">', "<b>", ("a&b",))
    text = sign_in_page([hostile], 'a="><script>', "No <i>").text or ""

    assert "<img" not in text and "<script" not in text and "<i>" not in text
    assert "a&amp;b" in text and "&lt;b&gt;" in text
    assert "<script" not in (problem_page("<script>").text or "")


def test_a_failure_says_so_and_the_pages_have_no_script():
    """401 with a sentence; the policy allows styles alone."""
    page = sign_in_page([], "", "Incorrect username or password.")

    assert page.status == 401 and "Incorrect username or password." in (page.text or "")
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert sign_in_page([], "").status == 200
