"""restic, as Debian has it: a repository of backups, not files by name."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import ClassVar

from _operations import BUCKET, CA, ENDPOINT, LARGE, PREFIX, Store, main, pattern, run, same

NOT_FILES = "restic keeps backups, not files by name"


def restic(*more: str) -> bytes:
    os.environ.setdefault("RESTIC_PASSWORD", "matrix")
    authority = ("--cacert", CA) if CA else ()
    repository = f"s3:{ENDPOINT}/{BUCKET}/{PREFIX}restic"
    return run("restic", "-r", repository, "--no-cache", "--quiet", *authority, *more)


class Restic(Store):
    lacks: ClassVar[dict[str, str]] = {"copy": NOT_FILES, "presign": NOT_FILES, "range": NOT_FILES}

    def open(self) -> None:
        restic("init")

    def check_write_empty(self) -> None:
        self._backed_up("empty", b"")

    def check_write_byte(self) -> None:
        self._backed_up("byte", b"x")

    def check_write_large(self) -> None:
        self._backed_up("large", pattern(LARGE))

    def _backed_up(self, tag: str, data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, tag).write_bytes(data)
            restic("backup", "--tag", tag, folder)
            same(restic("dump", "--tag", tag, "latest", f"{folder}/{tag}"), data)

    def check_read_whole(self) -> None:
        restic("check", "--read-data")

    def check_list_pages(self) -> None:
        assert len(self._snapshots()) == 3, "three backups were made"

    def check_delete_many(self) -> None:
        restic("forget", "--prune", "--group-by", "", "--keep-last", "1")
        assert len(self._snapshots()) == 1, "one backup was kept"
        restic("check")

    def check_awkward_keys(self) -> None:
        raise self._lacks("copy")

    @staticmethod
    def _snapshots() -> list[object]:
        found: list[object] = json.loads(restic("snapshots", "--json"))
        return found


if __name__ == "__main__":
    main(Restic())
