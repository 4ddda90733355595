"""s3cmd, as Debian has it."""

from __future__ import annotations

from typing import ClassVar

from _operations import (
    ACCESS_KEY,
    BUCKET,
    CA,
    HOST,
    REGION,
    SECRET_KEY,
    SECURE,
    TOKEN,
    Store,
    main,
    run,
)


def s3cmd(*more: str) -> bytes:
    transport = ("--ssl", f"--ca-certs={CA}") if SECURE else ("--no-ssl",)
    session = (f"--access_token={TOKEN}",) if TOKEN else ()
    return run(
        "s3cmd", "--config=/dev/null", f"--access_key={ACCESS_KEY}", f"--secret_key={SECRET_KEY}",
        f"--host={HOST}", f"--host-bucket={HOST}", f"--region={REGION}",
        "--no-progress", "--multipart-chunk-size-mb=5", *transport, *session, *more,
    )  # fmt: skip


class S3cmd(Store):
    lacks: ClassVar[dict[str, str]] = {
        "range": "s3cmd has no ranges",
        "presign": "s3cmd signurl makes links of Signature Version 2 alone, which are refused",
    }

    def put(self, key: str, path: str) -> None:
        s3cmd("put", path, f"s3://{BUCKET}/{key}")

    def get(self, key: str) -> bytes:
        return s3cmd("--quiet", "get", f"s3://{BUCKET}/{key}", "-")

    def list(self, prefix: str) -> list[str]:
        lines = s3cmd("ls", "--recursive", f"s3://{BUCKET}/{prefix}").decode().splitlines()
        return [line.partition(f"s3://{BUCKET}/")[2] for line in lines]

    def copy(self, source: str, target: str) -> None:
        # Without this it reads and writes the ACL as well, for which there is no grant.
        s3cmd("--acl-private", "cp", f"s3://{BUCKET}/{source}", f"s3://{BUCKET}/{target}")

    def delete(self, keys: list[str]) -> None:
        s3cmd("del", *(f"s3://{BUCKET}/{key}" for key in keys))


if __name__ == "__main__":
    main(S3cmd())
