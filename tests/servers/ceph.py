"""
A Ceph object gateway of one monitor, one OSD in memory and one radosgw, on loopback.

It verifies signatures, payload hashes and chunks, which moto does not. From Debian's packages
`radosgw ceph-mon ceph-osd ceph-common`; started in some 15 seconds, ended by pid. As root, because
its daemons want to be.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = (
    "ceph-mon",
    "ceph-osd",
    "radosgw",
    "radosgw-admin",
    "ceph-authtool",
    "monmaptool",
    "ceph",
)
ACCESS_KEY, SECRET_KEY = "0555b35654ad1656d804", "h7GhxuBLTrlhVUyxSPUKUV8r2EI4ngqJxD7iBdBYLhwluN30"


@dataclass(frozen=True)
class Ceph:
    """Where it listens, and the keys of its one user."""

    url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY


def missing() -> str | None:
    """Why it cannot run here; None where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: radosgw ceph-mon ceph-osd ceph-common)"
    return None if os.geteuid() == 0 else "Ceph's daemons want to be started as root"


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _config(folder: Path, port: int, mon: tuple[int, int]) -> str:
    addresses = f"[v2:127.0.0.1:{mon[0]}/0,v1:127.0.0.1:{mon[1]}/0]"
    return f"""\
[global]
fsid = {uuid.uuid4()}
mon_host = {addresses}
mon_initial_members = a
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {folder}/keyring
auth_allow_insecure_global_id_reclaim = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
pid_file = {folder}/$name.pid
crash_dir = {folder}
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
mon_data_avail_crit = 1
mon_data_avail_warn = 1
debug_ms = 0
debug_mon = 0
debug_osd = 0
debug_rgw = 0
[mon]
mon_data = {folder}/mon
mon_cluster_log_file = {folder}/cluster.log
[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_memory_target = 1073741824
osd_op_num_shards = 2
osd_max_object_name_len = 2048
osd_class_load_list = *
osd_class_default_list = *
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_thread_pool_size = 64
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 10
rgw_gc_processor_max_time = 10
rgw_crypt_require_ssl = false
"""


class _Cluster:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _port()
        self.mon = (_port(), _port())
        self.config = folder / "ceph.conf"
        self.daemons: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str, timeout: float = 60) -> str:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout)
        return done.stdout

    def spawn(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("wb") as out:
            self.daemons.append(subprocess.Popen(command, stdout=out, stderr=out))

    def ceph(self, *command: str) -> str:
        return self.run("ceph", "-c", str(self.config), "--connect-timeout", "5", *command)

    def start(self) -> None:
        folder, config = str(self.folder), str(self.config)
        for name in ("mon", "osd", "rgw"):
            (self.folder / name).mkdir()
        self.config.write_text(_config(self.folder, self.port, self.mon))
        ring = f"{folder}/keyring"
        self.run(
            "ceph-authtool",
            "--create-keyring",
            ring,
            "--gen-key",
            "-n",
            "mon.",
            "--cap",
            "mon",
            "allow *",
        )
        self.run(
            "ceph-authtool",
            ring,
            "--gen-key",
            "-n",
            "client.admin",
            "--cap",
            "mon",
            "allow *",
            "--cap",
            "osd",
            "allow *",
            "--cap",
            "mgr",
            "allow *",
        )
        self.run(
            "ceph-authtool",
            ring,
            "--gen-key",
            "-n",
            "client.rgw",
            "--cap",
            "mon",
            "allow rw",
            "--cap",
            "osd",
            "allow rwx",
            "--cap",
            "mgr",
            "allow rw",
        )
        fsid = next(
            line.split(" = ")[1]
            for line in self.config.read_text().splitlines()
            if line.startswith("fsid")
        )
        self.run(
            "monmaptool",
            "--create",
            "--clobber",
            "--fsid",
            fsid,
            "--addv",
            "a",
            f"[v2:127.0.0.1:{self.mon[0]}/0,v1:127.0.0.1:{self.mon[1]}/0]",
            f"{folder}/monmap",
        )
        self.run(
            "ceph-mon",
            "-c",
            config,
            "--mkfs",
            "-i",
            "a",
            "--monmap",
            f"{folder}/monmap",
            "--keyring",
            ring,
        )
        self.spawn("ceph-mon", "-c", config, "-i", "a", "-f")
        _until(lambda: bool(self.ceph("status")), 30)
        osd = str(uuid.uuid4())
        self.run(
            "ceph-authtool", "--create-keyring", f"{folder}/osd/keyring", "--gen-key", "-n", "osd.0"
        )
        key = self.run(
            "ceph-authtool", f"{folder}/osd/keyring", "-n", "osd.0", "--print-key"
        ).strip()
        secret = self.folder / "osd" / "secret.json"
        secret.write_text(json.dumps({"cephx_secret": key}))
        self.ceph("osd", "new", osd, "-i", str(secret))
        self.run(
            "ceph-osd",
            "-c",
            config,
            "-i",
            "0",
            "--mkfs",
            "--osd-uuid",
            osd,
            "--keyring",
            f"{folder}/osd/keyring",
        )
        self.spawn("ceph-osd", "-c", config, "-i", "0", "--keyring", f"{folder}/osd/keyring", "-f")
        _until(lambda: "1 up" in self.ceph("osd", "stat"), 30)
        self.spawn("radosgw", "-c", config, "-n", "client.rgw", "--rgw-data", f"{folder}/rgw", "-f")
        _until(self._answers, 60)
        self.run(
            "radosgw-admin", "-c", config, "-n", "client.rgw", "user", "create", "--uid=tester",
            "--display-name=Tester", f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}",
        )  # fmt: skip

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def stop(self) -> None:
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGKILL)  # nothing of it is kept
            daemon.wait(10)


def _until(done: object, seconds: float) -> None:
    assert callable(done)
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if done():
                return
        if time.monotonic() > end:
            raise TimeoutError("Ceph did not come up")
        time.sleep(0.2)


@contextlib.contextmanager
def running() -> Iterator[Ceph]:
    """A Ceph that lives for the block. Raises TimeoutError, CalledProcessError."""
    with tempfile.TemporaryDirectory(prefix="ceph-") as name:
        cluster = _Cluster(Path(name))
        try:
            cluster.start()
            yield Ceph(url=f"http://127.0.0.1:{cluster.port}")
        finally:
            cluster.stop()
