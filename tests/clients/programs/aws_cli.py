"""The aws cli: `s3 cp` for files, `s3api` for what it does request by request."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from _operations import BUCKET, ENDPOINT, PAGE, Store, main, run

OWN = os.environ["MATRIX_BIN"] + "/aws"
# Version 2 is Debian's; before 2.13 it does not read AWS_ENDPOINT_URL.
AWS = (OWN,) if Path(OWN).exists() else ("/usr/bin/aws", "--endpoint-url", ENDPOINT)


class AwsCli(Store):
    def open(self) -> None:
        # Links of version 1 are of Signature Version 2 otherwise, which is refused.
        self.settings = tempfile.NamedTemporaryFile(mode="w")  # noqa: SIM115  # closed below
        self.settings.write("[default]\ns3 =\n  signature_version = s3v4\n")
        self.settings.flush()
        os.environ["AWS_CONFIG_FILE"] = self.settings.name

    def close(self) -> None:
        self.settings.close()

    def put(self, key: str, path: str) -> None:
        run(*AWS, "s3", "cp", "--only-show-errors", path, f"s3://{BUCKET}/{key}")

    def get(self, key: str) -> bytes:
        return run(*AWS, "s3", "cp", "--only-show-errors", f"s3://{BUCKET}/{key}", "-")

    def range(self, key: str, first: int, last: int) -> bytes:
        with tempfile.NamedTemporaryFile() as target:
            run(
                *AWS, "s3api", "get-object", "--bucket", BUCKET, "--key", key,
                "--range", f"bytes={first}-{last}", target.name,
            )  # fmt: skip
            return Path(target.name).read_bytes()

    def list(self, prefix: str) -> list[str]:
        answer = run(
            *AWS, "s3api", "list-objects-v2", "--bucket", BUCKET, "--prefix", prefix,
            "--page-size", str(PAGE), "--output", "json",
        )  # fmt: skip
        return [one["Key"] for one in json.loads(answer or b"{}").get("Contents", ())]

    def copy(self, source: str, target: str) -> None:
        where = (f"s3://{BUCKET}/{key}" for key in (source, target))
        run(*AWS, "s3", "cp", "--only-show-errors", *where)

    def delete(self, keys: list[str]) -> None:
        wanted = json.dumps({"Objects": [{"Key": key} for key in keys], "Quiet": True})
        answer = run(*AWS, "s3api", "delete-objects", "--bucket", BUCKET, "--delete", wanted)
        assert b"Errors" not in answer, answer

    def presign(self, key: str) -> str:
        return run(*AWS, "s3", "presign", f"s3://{BUCKET}/{key}").decode().strip()


if __name__ == "__main__":
    main(AwsCli())
