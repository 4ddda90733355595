"""s3fs-fuse, as Debian has it: the bucket as a folder."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import ClassVar

from _operations import (
    ACCESS_KEY,
    BUCKET,
    ENDPOINT,
    PREFIX,
    SECRET_KEY,
    TOKEN,
    Store,
    main,
    run,
)


class S3fsFuse(Store):
    lacks: ClassVar[dict[str, str]] = {
        "presign": "a file system makes no links",
    }

    def open(self) -> None:
        self.mount = Path(tempfile.mkdtemp(prefix="matrix-mount-"))
        options = (
            f"url={ENDPOINT}",
            "use_path_request_style",
            "sigv4",
            "endpoint=us-east-1",
            "multipart_size=5",
            "stat_cache_expire=1",
        )
        environment = {**os.environ, "AWSACCESSKEYID": ACCESS_KEY, "AWSSECRETACCESSKEY": SECRET_KEY}
        session: tuple[str, ...] = ()
        if TOKEN:
            environment["AWSSESSIONTOKEN"] = TOKEN
            session = ("use_session_token",)
        if os.environ.get("MATRIX_CA"):
            environment["CURL_CA_BUNDLE"] = os.environ["MATRIX_CA"]
        chosen = [part for option in (*options, *session) for part in ("-o", option)]
        self.child = subprocess.Popen(
            ["s3fs", BUCKET, str(self.mount), "-f", *chosen],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + 10
        while not self.mount.is_mount():
            if self.child.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"not mounted: {self.child.communicate()[0][-400:]!r}")
            time.sleep(0.1)

    def close(self) -> None:
        if self.mount.is_mount():
            run("fusermount", "-u", str(self.mount))
        self.child.terminate()
        self.child.wait(15)
        self.mount.rmdir()

    def put(self, key: str, path: str) -> None:
        target = self.mount / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(path).read_bytes())

    def get(self, key: str) -> bytes:
        return (self.mount / key).read_bytes()

    def range(self, key: str, first: int, last: int) -> bytes:
        with (self.mount / key).open("rb") as source:
            source.seek(first)
            return source.read(last - first + 1)

    def list(self, prefix: str) -> list[str]:
        found = (self.mount / prefix).rglob("*")
        return [str(one.relative_to(self.mount)) for one in found if one.is_file()]

    def check_copy(self) -> None:
        """A file that is renamed is copied on the server, and then deleted."""
        source, target = self.mount / PREFIX / "named", self.mount / PREFIX / "renamed"
        source.write_bytes(b"x")
        source.rename(target)
        assert target.read_bytes() == b"x"

    def delete(self, keys: list[str]) -> None:
        for key in keys:
            (self.mount / key).unlink()


if __name__ == "__main__":
    main(S3fsFuse())
