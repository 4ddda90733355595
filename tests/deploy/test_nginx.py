"""The nginx configurations are taken by a real nginx, and objects pass through it as they are."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import trustme
from yarl import URL

from gateway.demo import world as demo

NGINX = Path(__file__).resolve().parent.parent.parent / "deploy" / "nginx"
FILES = sorted(path.name for path in NGINX.glob("*.conf"))

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed (apt: nginx)"),
]


def rendered(name: str, folder: Path, *, port: int, gateway: int) -> Path:
    """A main configuration around one of ours, on loopback, with files of its own."""
    text = (NGINX / name).read_text("utf-8")
    text = text.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl;")
    text = text.replace("server 127.0.0.1:8080;", f"server 127.0.0.1:{gateway};")
    text = text.replace("/etc/nginx/tls/", f"{folder}/").replace("/etc/nginx/", f"{folder}/")
    for extra in NGINX.glob("*.inc"):
        shutil.copy(extra, folder / extra.name)
    (folder / "part.conf").write_text(text)
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"include {folder}/part.conf; }}\n"
    )
    return main


def certificate(folder: Path) -> trustme.CA:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost", "s3.example.com")
    issued.private_key_pem.write_to_path(str(folder / "tls.key"))
    for part in issued.cert_chain_pems:
        part.write_to_path(str(folder / "tls.crt"), append=True)
    return authority


@pytest.mark.parametrize("name", FILES)
def test_nginx_takes_the_configuration(name, tmp_path):
    """`nginx -t` says nothing against it."""
    certificate(tmp_path)
    main = rendered(name, tmp_path, port=demo.free_port(), gateway=demo.free_port())
    done = subprocess.run(
        ["nginx", "-t", "-c", str(main), "-p", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert done.returncode == 0, done.stderr


async def _listens(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        await asyncio.sleep(0.05)
    raise TimeoutError("nginx does not listen")


@pytest.mark.parametrize("key", ["a b+c%2F", "//x", "a/../b", "ü", "semi;colon=*~"])
async def test_prx_7_a_key_means_the_same_before_and_behind_nginx(key, tmp_path):
    """What is stored through nginx is found without it under the same spelling, or refused by both."""
    authority = certificate(tmp_path)
    async with demo.open_world(folder=tmp_path / "demo") as world:
        gateway = int(world.url.rpartition(":")[2])
        port = demo.free_port()
        main = rendered("proxy.conf", tmp_path, port=port, gateway=gateway)
        nginx = await asyncio.create_subprocess_exec("nginx", "-c", str(main), "-p", str(tmp_path))
        try:
            await _listens(port)
            context = ssl.create_default_context()
            authority.configure_trust(context)
            token = {"Authorization": f"Bearer {world.idp.id_token('ada')}"}
            path = "/home/" + quote(key, safe="/")
            async with aiohttp.ClientSession(headers=token) as session:
                through = URL(f"https://127.0.0.1:{port}{path}", encoded=True)
                direct = URL(f"{world.url}{path}", encoded=True)
                async with session.put(
                    through,
                    data=b"through nginx",
                    ssl=context,
                    headers={"Host": world.url.partition("://")[2]},
                ) as put:
                    stored = put.status
                async with session.get(direct) as got:
                    found, body = got.status, await got.read()
        finally:
            nginx.terminate()
            await nginx.wait()

    if stored == 200:
        assert (found, body) == (200, b"through nginx")
    else:
        assert (stored, found) == (400, 400)
