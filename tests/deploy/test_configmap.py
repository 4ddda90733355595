"""A mounted ConfigMap that Kubernetes swaps: taken by the running gateway, or refused as a whole."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy import running
from tests.deploy.browser import Browser
from tests.deploy.recorder import Recorder

pytestmark = [pytest.mark.real, pytest.mark.timeout(90)]


class Mount:
    """
    A directory as kubelet makes it: each name is a link into `..data`, itself a link to the
    directory of one version; a change writes a new directory and renames one link over `..data`.

    Source: kubernetes/pkg/volume/util/atomic_writer.go
    """

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.folder = folder
        self._version = 0
        folder.mkdir()
        self.swap(files)
        for name in files:
            (folder / name).symlink_to(f"..data/{name}")

    def swap(self, files: dict[str, str]) -> None:
        """The next version, all of it at once."""
        self._version += 1
        data = self.folder / f"..2026_11_24_{self._version}"
        data.mkdir()
        for name, text in files.items():
            (data / name).write_text(text)
        link = self.folder / "..data"
        old = link.resolve() if link.is_symlink() else None
        (self.folder / "..data_tmp").symlink_to(data.name)
        os.rename(self.folder / "..data_tmp", link)
        if old is not None:
            for path in old.iterdir():
                path.unlink()
            old.rmdir()


def becomes(wanted: object, ask: Callable[[], object], seconds: float = 15) -> None:
    """Until an answer is as wanted."""
    end = time.monotonic() + seconds
    while (found := ask()) != wanted:
        assert time.monotonic() < end, f"still {found!r}, not {wanted!r}"
        time.sleep(0.1)


def test_cfg_3_a_swapped_configmap_is_taken_at_once_or_not_at_all(tmp_path):
    """A good version changes what is allowed; a bad one leaves the last good one in force, and says so."""
    storage = Recorder()
    made = running.written(tmp_path / "written", f"http://127.0.0.1:{storage.port}")
    files = {path.name: path.read_text() for path in made.folder.iterdir()}
    files["gateway.yaml"] = files["gateway.yaml"].replace("audit.log", str(tmp_path / "audit.log"))
    opened = files["policy.yaml"].replace("bucket: public,", "bucket: opened,")
    mount = Mount(tmp_path / "mount", files)

    def status() -> tuple[int, int]:
        answers = [
            Browser().open(f"{made.url}/{bucket}/x", headers={}) for bucket in ("public", "opened")
        ]
        return answers[0].status, answers[1].status

    def failed() -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{made.admin}/metrics") as answer:
            text = answer.read().decode()
        found = re.search(r"^gateway_config_reload_failed (\S+)$", text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    try:
        with running.served(running.Gateway(made.port, made.admin, mount.folder)):
            assert (status(), failed()) == ((200, 403), 0)

            mount.swap(files | {"policy.yaml": opened})
            becomes((403, 200), status)

            mount.swap(files | {"policy.yaml": opened.replace("rules:", "rulez:")})
            becomes(1, failed)
            assert status() == (403, 200)

            mount.swap(files)
            becomes((200, 403), status)
            assert failed() == 0
    finally:
        storage.close()
