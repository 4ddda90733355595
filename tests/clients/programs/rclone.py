"""rclone, as Debian has it, configured on its command line."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from _operations import BUCKET, CA, ENDPOINT, PAGE, REGION, Store, main, run


def rclone(*more: str) -> bytes:
    authority = ("--ca-cert", CA) if CA else ()
    return run(
        "rclone", "--config", os.devnull, "--s3-provider=Other", "--s3-env-auth",
        f"--s3-endpoint={ENDPOINT}", f"--s3-region={REGION}", "--s3-upload-cutoff=5M",
        "--s3-chunk-size=5M", f"--s3-list-chunk={PAGE}", "--retries=1", "--s3-no-check-bucket", *authority, *more,
    )  # fmt: skip


def remote(key: str) -> str:
    return f":s3:{BUCKET}/{key}"


class Rclone(Store):
    def put(self, key: str, path: str) -> None:
        rclone("copyto", path, remote(key))

    def get(self, key: str) -> bytes:
        return rclone("cat", remote(key))

    def range(self, key: str, first: int, last: int) -> bytes:
        return rclone("cat", f"--offset={first}", f"--count={last - first + 1}", remote(key))

    def list(self, prefix: str) -> list[str]:
        names = rclone("lsf", "--recursive", "--files-only", remote(prefix)).decode()
        return [prefix + name for name in names.splitlines()]

    def copy(self, source: str, target: str) -> None:
        rclone("copyto", remote(source), remote(target))

    def delete(self, keys: list[str]) -> None:
        with tempfile.NamedTemporaryFile() as names:
            Path(names.name).write_text("".join(f"{key}\n" for key in keys))
            rclone("delete", "--files-from", names.name, f":s3:{BUCKET}")

    def presign(self, key: str) -> str:
        return rclone("link", "--expire=10m", remote(key)).decode().strip()


if __name__ == "__main__":
    main(Rclone())
