"""Objects answered to a browser's cookie stay harmless on the page's own host."""

from __future__ import annotations

import base64

import pytest

from gateway.message import Answer, Headers, RequestHead, ResponseHead
from gateway.records import replace
from gateway.s3.errors import S3Error
from gateway.server.browser import attachment, check_destination, guard
from tests.server.whole_gateway import WRITER, whole_gateway
from tests.sigv4.clients import plus


def head(**headers):
    return RequestHead(
        method="GET",
        target="/b/k",
        headers=Headers.of((name.replace("_", "-"), value) for name, value in headers.items()),
    )


def guarded(content_type, key="dir/file.bin", request=None, **headers):
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if content_type is not None:
        pairs.append(("content-type", content_type))
    answer = Answer(head=ResponseHead(status=200, headers=Headers(pairs)))
    return guard(answer, request or head(), key).head.headers


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "TEXT/HTML; charset=utf-8",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "application/xml",
        "text/css",
        "text/javascript",
        "application/javascript",
        "multipart/related",
        "application/octet-stream",
        "nonsense",
        None,
    ],
)
def test_uis_3_what_could_run_is_a_file(kind):
    """HTML, SVG, XML, styles, scripts and unknown types never show inline."""
    headers = guarded(kind)

    assert headers["content-disposition"].startswith("attachment;")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "image/webp"])
def test_uis_3_pictures_and_pdf_show_inline(kind):
    """They render under the sandboxing header."""
    headers = guarded(kind)

    assert "content-disposition" not in headers
    assert headers["content-type"] == kind


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("text/plain; charset=latin-1", "text/plain; charset=latin-1"),
        ("application/json", "text/plain"),
        ("text/markdown", "text/plain"),
        ('text/csv; charset="><script>"', "text/plain"),
    ],
)
def test_uis_3_text_is_plain_text(stored, shown):
    """Whatever kind of text was stored, the browser is told it is plain."""
    assert guarded(stored)["content-type"] == shown


def test_the_page_learns_the_stored_type_beside_the_one_that_is_shown():
    """Else editing metadata would write the harmless type over the real one."""
    assert guarded("text/markdown")["x-gateway-stored-type"] == "text/markdown"
    assert "x-gateway-stored-type" not in guarded("image/png")


def test_uis_3_a_film_opened_by_itself_is_a_file():
    """Under the sandbox it could not fetch itself."""
    opened = guarded("video/mp4", request=head(sec_fetch_dest="document"))
    embedded = guarded("video/mp4", request=head(sec_fetch_dest="video"))

    assert opened["content-disposition"].startswith("attachment")
    assert "content-disposition" not in embedded


def test_web_3_stored_headers_cannot_lift_the_guard():
    """A stored disposition, cache or type is replaced, not added to."""
    headers = guarded(
        "text/html", content_disposition="inline", cache_control="public, max-age=9", etag='"e"'
    )

    assert headers.all("content-disposition") == [attachment("dir/file.bin")]
    assert headers.all("cache-control") == ["private, no-cache"]
    assert headers["etag"] == '"e"'


@pytest.mark.parametrize(
    "destination",
    ["script", "style", "worker", "serviceworker", "sharedworker", "object", "embed", "font"],
)
def test_uis_4_objects_are_not_given_to_what_would_run_them(destination):
    """An uploaded file never becomes a script or a style of the page."""
    with pytest.raises(S3Error) as refused:
        check_destination(head(sec_fetch_dest=destination))

    assert refused.value.code == "AccessDenied"


def test_uis_4_a_service_worker_is_never_served():
    """The header that browsers add when they register one is enough."""
    with pytest.raises(S3Error):
        check_destination(head(service_worker="script"))


@pytest.mark.parametrize("destination", ["empty", "document", "iframe", "image", "audio", "video"])
def test_uis_4_previews_and_downloads_are_served(destination):
    """What the page itself uses."""
    check_destination(head(sec_fetch_dest=destination))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/report.pdf", "attachment; filename=\"report.pdf\"; filename*=UTF-8''report.pdf"),
        ("ü/😀.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%F0%9F%98%80.txt"),
        ('x"\r\n\\/y', "attachment; filename=\"y\"; filename*=UTF-8''y"),
        (
            'q"\r\nSet-Cookie: a',
            "attachment; filename=\"q___Set-Cookie: a\"; filename*=UTF-8''q___Set-Cookie%3A%20a",
        ),
        ("folder/", "attachment; filename=\"folder\"; filename*=UTF-8''folder"),
    ],
)
def test_web_8_a_download_name_brings_no_header_of_its_own(key, expected):
    """No line break, slash, backslash or quote gets into Content-Disposition."""
    assert attachment(key) == expected


HOSTILE = b"<script>fetch('/api/keys', {method: 'POST'})</script>"


@pytest.mark.parametrize("where", ["link", "public", "name and password"])
async def test_web_3_what_a_link_can_fetch_runs_nothing_on_the_pages_host(where, tmp_path):
    """A presigned or public page of somebody's would else be script on the session's own origin."""
    async with whole_gateway(tmp_path) as whole:
        content = (("content-type", "text/html"),)
        await whole.signed("PUT", "/data/x.html", HOSTILE, headers=content)
        whole.upstream.objects["/real/open/x.html"] = whole.upstream.objects["/real/team/x.html"]
        public = RequestHead(
            method="GET", target="/open/x.html", headers=Headers([("host", whole.host)])
        )
        pair = f"{WRITER.access_key_id}:{WRITER.secret.reveal()}".encode()
        basic = ("authorization", f"Basic {base64.b64encode(pair).decode()}")
        asked = {
            "link": whole.client().link("GET", "/data/x.html"),
            "public": public,
            "name and password": plus(replace(public, target="/data/x.html"), basic),
        }[where]
        shown = await whole.ask(asked)
        signed = await whole.signed("GET", "/data/x.html")
        worker = await whole.ask(asked, b"", ("service-worker", "script"))

    assert (shown.status, shown.body) == (200, HOSTILE)
    assert shown.header("content-security-policy").startswith("sandbox; default-src 'none'")
    assert shown.header("x-content-type-options") == "nosniff"
    assert shown.header("content-type") == "text/html"
    assert signed.header("content-security-policy") == ""
    assert worker.status == 403
