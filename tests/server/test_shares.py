"""Share links, made by a signed-in owner and opened by somebody with nothing but the address."""

from __future__ import annotations

import asyncio
import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from gateway.identity import Identity, Method
from gateway.server.shares import Share, fits, hashed, id_of
from tests.server.errand_world import Caller, Reply, errand_world, signed_in

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def _nothing_blocks_the_loop() -> None:
    """The demo's world may wait: it starts and ends an S3 server in this process."""


@pytest.fixture
async def ada():
    """Ada's browser."""
    async with errand_world() as (_, callers):
        yield await signed_in(callers["nobody"], "ada")


def visitor(owner: Caller) -> Caller:
    return Caller(owner.world, owner.session, extra={"Accept": "text/html"})


async def shared(owner: Caller, **order: Any) -> tuple[str, str]:
    """Path and id of a new link."""
    until = order.pop("until", timedelta(days=1))
    order.setdefault("allow", "view")
    order["expires_at"] = (datetime.now(UTC) + until).isoformat().replace("+00:00", "Z")
    made = await owner.ask("POST", "/api/shares", json=order)
    assert made.status == 201, made.body
    return urlsplit(made.json["url"]).path, made.json["id"]


def cookie_of(reply: Reply) -> dict[str, str]:
    return {"Cookie": reply.headers["Set-Cookie"].partition(";")[0]}


def share(**changes: Any) -> Share:
    given: dict[str, Any] = {
        "id": "x",
        "issuer": "corp",
        "subject": "ada",
        "owner": "Ada",
        "bucket": "data",
        "place": "a/b/",
        "whole": True,
        "allow": "view",
        "created": NOW,
        "expires": NOW + timedelta(days=1),
    }
    return Share(**(given | changes))


@pytest.mark.parametrize(
    ("key", "inside"),
    [
        ("a/b/c", True),
        ("a/b/", True),
        ("a/b", False),
        ("a/b-private/c", False),
        ("a/b/../secret", False),
        ("a/b/./c", False),
        ("a/b/c\n", False),
        ("", False),
    ],
    ids=["below", "itself", "bare", "sibling", "parent", "dot", "control", "empty"],
)
def test_shr_3_a_prefix_ends_where_it_ends(key, inside):
    """Rules are asked about the absolute key: no sibling, no parent."""
    assert share().covers(key) is inside


def test_shr_3_one_object_is_one_object():
    """A key opens nothing that begins like it."""
    one = share(place="a/b.txt", whole=False)
    assert one.covers("a/b.txt") and not one.covers("a/b.txt2")


def test_shr_1_the_proof_is_the_owners_and_less():
    """The owner as known today, narrowed to the place, ending with the link."""
    proof = share(max_uses=3).proof(Identity(issuer="corp", subject="ada"))
    assert proof.method is Method.SHARE and proof.expires == NOW + timedelta(days=1)
    ((statement,),) = proof.identity.narrowed
    assert (statement.buckets, statement.keys) == (("data",), ("a/b/**",))
    assert "s3:PutObject" not in statement.actions


def test_records_read_back():
    """What is written is what is read."""
    one = share(password="aa$bb", max_uses=2, uses=1)
    assert Share.from_bytes(one.as_bytes()) == one
    assert len(id_of("token")) == 64


async def test_passwords_are_kept_hashed():
    """Two hashes of one password differ; each fits it and no other."""
    one, two = await hashed("open sesame"), await hashed("open sesame")
    assert one != two and "sesame" not in one
    assert await fits("open sesame", one) and not await fits("open sesam", one)


async def test_ui_35_one_object(ada):
    """The page tells name, owner and size; the object comes harmless, with no session asked."""
    await ada.put("home", "docs/a b.html", b"<script>1</script>", **{"content-type": "text/html"})
    path, _ = await shared(ada, bucket="home", key="docs/a b.html")
    guest = visitor(ada)
    page = await guest.ask("GET", path)
    text = page.body.decode()
    assert page.status == 200 and "Ada Lovelace" in text and "a b.html" in text and "18 B" in text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in page.headers["X-Robots-Tag"]
    assert (
        f"Path={path};" in page.headers["Set-Cookie"] and "HttpOnly" in page.headers["Set-Cookie"]
    )
    got = await guest.ask("GET", f"{path}/o/a%20b.html")
    assert got.body == b"<script>1</script>"
    assert got.headers["Content-Security-Policy"].startswith("sandbox")
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert got.headers["Referrer-Policy"] == "no-referrer"
    part = await guest.ask("GET", f"{path}/o/a%20b.html", headers={"Range": "bytes=1-6"})
    assert (part.status, part.body) == (206, b"script")
    assert (await guest.ask("GET", f"{path}/o/other")).status == 404


async def test_ui_35_a_folder(ada):
    """A table of it, its folders, and all of it as a zip; nothing beside it."""
    await ada.put("home", "pub/x.txt", b"x")
    await ada.put("home", "pub/sub/y.txt", b"y")
    await ada.put("home", "pub-private/z.txt", b"z")
    path, _ = await shared(ada, bucket="home", prefix="pub/")
    guest = visitor(ada)
    top = (await guest.ask("GET", path)).body.decode()
    assert "x.txt" in top and "sub/" in top and "z.txt" not in top
    assert "y.txt" in (await guest.ask("GET", f"{path}/l/sub/")).body.decode()
    assert (await guest.ask("GET", f"{path}/o/sub/y.txt")).body == b"y"
    read = zipfile.ZipFile(io.BytesIO((await guest.ask("GET", f"{path}/zip/")).body))
    assert sorted(read.namelist()) == ["sub/y.txt", "x.txt"]
    for outside in (
        "o/%2e%2e/pub-private/z.txt",
        "o/..%2Fpub-private%2Fz.txt",
        "l/..%2F",
        "zip/..%2F",
    ):
        assert (await guest.ask("GET", f"{path}/{outside}")).status == 404, outside


async def test_ui_35_a_password(ada):
    """Nothing is told or given before it; a wrong one opens nothing."""
    path, _ = await shared(ada, bucket="home", key="hello.txt", password="sesame")
    guest = visitor(ada)
    page = await guest.ask("GET", path)
    assert b"password" in page.body and b"hello.txt" not in page.body
    assert (await guest.ask("GET", f"{path}/o/hello.txt")).status == 404
    wrong = await guest.ask("POST", path, data={"password": "guess"})
    assert wrong.status == 403 and "Set-Cookie" not in wrong.headers
    right = await guest.ask("POST", path, data={"password": "sesame"})
    assert right.status == 303
    kept = cookie_of(right)
    assert b"hello.txt" in (await guest.ask("GET", path, headers=kept)).body
    got = await guest.ask("GET", f"{path}/o/hello.txt", headers=kept)
    assert got.body.startswith(b"Hello, Ada")


async def test_ui_35_wrong_passwords_are_limited(ada):
    """After some failures the next guess is not even looked at."""
    path, _ = await shared(ada, bucket="home", key="hello.txt", password="sesame")
    guest = visitor(ada)
    ada.world.app.failures._most = 5.0
    found = {(await guest.ask("POST", path, data={"password": "x"})).status for _ in range(8)}
    assert found == {403, 503}


async def test_ui_35_uses_are_counted(ada):
    """Whoever opened it goes on for the visit; the next one finds the same 404 as any."""
    path, share_id = await shared(ada, bucket="home", key="hello.txt", max_uses=1)
    guest = visitor(ada)
    assert b"Open</button>" in (await guest.ask("GET", path)).body
    opened = await guest.ask("POST", path, data={"a": "b"})
    assert opened.status == 303
    assert (await guest.ask("POST", path, data={"a": "b"})).status == 404
    assert (await guest.ask("GET", path)).status == 404
    assert (await guest.ask("GET", path, headers=cookie_of(opened))).status == 200
    (row,) = (await ada.ask("GET", "/api/shares")).json["shares"]
    assert (row["id"], row["uses"], row["max_uses"], row["key"]) == (share_id, 1, 1, "hello.txt")


async def test_ui_35_uses_are_counted_one_by_one(ada):
    """Twelve at the same moment, three uses: three get in."""
    path, _ = await shared(ada, bucket="home", key="hello.txt", max_uses=3)
    guest = visitor(ada)
    answers = await asyncio.gather(*(guest.ask("POST", path, data={"a": "b"}) for _ in range(12)))
    assert sorted(answer.status for answer in answers) == [303] * 3 + [404] * 9
    (row,) = (await ada.ask("GET", "/api/shares")).json["shares"]
    assert row["uses"] == 3


@pytest.mark.parametrize(
    "name",
    ["..", ".", "/etc/passwd", "C:\\\\x\\\\y.txt", "a\x00b\r\nX: y", "x" * 5000, "../" * 400 + "e"],
    ids=["parent", "dot", "absolute", "drive", "control", "long", "deep"],
)
async def test_shr_3_whatever_an_uploaded_file_is_called_it_stays_below_the_prefix(ada, name):
    """The last part of the name, cleaned; never another folder, never another object's name."""
    path, _ = await shared(ada, bucket="home", prefix="inbox/", allow="upload")
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="'
        + name.encode().replace(b"\r\n", b"%0D%0A")
        + b'"\r\n\r\nhi\r\n--b--\r\n'
    )
    sent = await visitor(ada).ask(
        "POST",
        f"{path}/upload",
        data=body,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert sent.status in (303, 400), sent.body
    keys = await ada.keys("home")
    new = [key for key in keys if key != "hello.txt" and key.startswith("inbox")]
    assert len(new) == (sent.status == 303)
    assert all(key.count("/") == 1 and len(key) < 300 and "\\" not in key for key in new)
    assert not any(ord(c) < 32 for key in new for c in key)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/jobs"),
        ("DELETE", "/api/jobs/x"),
        ("POST", "/api/shares"),
        ("DELETE", "/api/shares/x"),
        ("POST", "/api/archive/home/"),
    ],
)
async def test_web_1_another_site_starts_nothing(ada, method, path):
    """Without the page's header, or from elsewhere, the cookie counts for nothing."""
    bare = {name: value for name, value in ada.extra.items() if name != "X-Gateway-CSRF"}
    for headers in (bare, ada.extra | {"Origin": "https://evil.example"}):
        caller = Caller(ada.world, ada.session, extra=headers)
        assert (await caller.ask(method, path, json={})).status == 403


async def test_ui_35_upload_only(ada):
    """Files arrive under names of their own; nothing can be seen, nothing written over."""
    path, _ = await shared(ada, bucket="home", prefix="inbox/", allow="upload")
    guest = visitor(ada)
    assert b"you cannot see what is there" in (await guest.ask("GET", path)).body
    for data in (b"one", b"two", b"x" * (9 * 1024 * 1024)):
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("file", io.BytesIO(data), filename="../../note.txt")
        sent = await guest.ask("POST", f"{path}/upload", data=form)
        assert sent.status == 303, sent.body
    keys = await ada.keys("home", "inbox/")
    assert len(keys) == 3 and all(key.startswith("inbox/note (") for key in keys)
    assert {len(await ada.get("home", key) or b"") for key in keys} == {3, 9 * 1024 * 1024}
    assert (await guest.ask("GET", f"{path}/o/{keys[0][6:]}")).status == 404
    assert (await guest.ask("GET", f"{path}/zip/")).status == 404


@pytest.mark.parametrize(
    ("bucket", "prefix"),
    [("archive", "in/"), ("team-data", "final/"), ("nobodys", "in/"), ("*", ""), ("lab-*", "in/")],
    ids=["read only", "denied", "not granted", "every bucket", "a pattern"],
)
async def test_shr_1_nobody_lets_others_upload_where_they_may_not(ada, bucket, prefix):
    """It is said when the link is made, and not to the first visitor, who could do nothing about it."""
    before = await ada.keys("archive", "")
    order = {"bucket": bucket, "prefix": prefix, "allow": "upload"}
    order["expires_at"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = await ada.ask("POST", "/api/shares", json=order)
    assert made.status in (400, 403), made.body
    assert (await ada.ask("GET", "/api/shares")).json == {"shares": []}
    assert await ada.keys("archive", "") == before


async def test_shr_2_revoked_by_its_owner_alone(ada):
    """Another's id, or the beginning of one, is no link of theirs; then the next request is 404."""
    path, share_id = await shared(ada, bucket="home", key="hello.txt")
    guest = visitor(ada)
    bob = await signed_in(Caller(ada.world, ada.session), "bob")
    assert (await bob.ask("GET", "/api/shares")).json == {"shares": []}
    for caller, name in ((bob, share_id), (ada, share_id[:-1]), (ada, share_id[:20])):
        assert (await caller.ask("DELETE", f"/api/shares/{name}")).status == 404
    assert (await guest.ask("GET", path)).status == 200
    assert (await ada.ask("DELETE", f"/api/shares/{share_id}")).status == 204
    gone = await guest.ask("GET", path)
    never = await guest.ask("GET", "/ui/s/" + "x" * 32)
    assert gone.status == never.status == 404
    assert (await guest.ask("GET", f"{path}/o/hello.txt")).status == 404


async def test_shr_1_ends_with_the_owners_right(ada):
    """The policy takes the right away: the link that worked is a 404, without being touched."""
    await ada.put("team-data", "s/x.txt", b"x")
    path, _ = await shared(ada, bucket="team-data", prefix="s/")
    guest = visitor(ada)
    assert (await guest.ask("GET", f"{path}/o/x.txt")).body == b"x"
    policy = ada.world.folder / "policies" / "main.yaml"
    policy.write_text(
        policy.read_text().replace("bucket: team-data, upstream", "bucket: other-data, upstream")
    )
    assert await ada.world.app.reload()
    assert (await guest.ask("GET", f"{path}/o/x.txt")).status == 404
    assert (await guest.ask("GET", path)).status == 404


async def test_shr_1_nobody_shares_what_they_may_not_read(ada):
    """Refused when it is made; and a link never outlives what is allowed."""
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for order, status in (
        ({"bucket": "backups", "prefix": ""}, 403),
        ({"bucket": "home", "key": "none"}, 404),
        ({"bucket": "home", "prefix": "no-slash"}, 400),
        ({"bucket": "home", "prefix": "../"}, 400),
        ({"bucket": "home"}, 400),
    ):
        made = await ada.ask("POST", "/api/shares", json={**order, "expires_at": until})
        assert made.status == status, (order, made.body)
    late = (datetime.now(UTC) + timedelta(days=31)).isoformat()
    made = await ada.ask(
        "POST", "/api/shares", json={"bucket": "home", "prefix": "", "expires_at": late}
    )
    assert made.status == 400


async def test_share_links_need_a_session(ada):
    """A token of a program makes none: its owner's rights could not be asked later."""
    order = {"bucket": "home", "prefix": "", "expires_at": "2030-01-01T00:00:00Z"}
    assert (await visitor(ada).ask("POST", "/api/shares", json=order)).status in (401, 302)
