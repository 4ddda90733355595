"""The listeners' settings, and the addresses that follow from them."""

from __future__ import annotations

from gateway.config.listeners import Server


def test_urls_that_follow_from_settings():
    """What an administrator registers, and what browsers are told."""
    server = Server.model_validate({"public_url": "https://S3.example.com"})

    assert server.callback_url == "https://s3.example.com/api/session/auth/"
    assert server.signed_out_url == "https://s3.example.com/ui/signed-out"
    assert (server.secure, server.authority, server.hostname) == (
        True,
        "s3.example.com",
        "s3.example.com",
    )


def test_without_a_public_url_it_is_the_first_address_that_has_one():
    """Of a socket nothing follows."""
    assert Server().public_url == "http://127.0.0.1:8080"
    assert Server.model_validate({"listen": "unix:/run/x"}).public_url == ""
