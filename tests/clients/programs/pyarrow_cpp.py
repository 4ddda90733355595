"""pyarrow's S3 file system: the AWS SDK for C++."""

from __future__ import annotations

import shutil
from typing import ClassVar

from _operations import BUCKET, ENDPOINT, REGION, Store, main
from pyarrow import fs


class Pyarrow(Store):
    lacks: ClassVar[dict[str, str]] = {"presign": "pyarrow makes no links"}

    def open(self) -> None:
        self.s3 = fs.S3FileSystem(endpoint_override=ENDPOINT, region=REGION)

    def put(self, key: str, path: str) -> None:
        with open(path, "rb") as source, self.s3.open_output_stream(f"{BUCKET}/{key}") as target:
            shutil.copyfileobj(source, target, 1024 * 1024)

    def get(self, key: str) -> bytes:
        with self.s3.open_input_stream(f"{BUCKET}/{key}") as source:
            body: bytes = source.read()
            return body

    def range(self, key: str, first: int, last: int) -> bytes:
        with self.s3.open_input_file(f"{BUCKET}/{key}") as source:
            body: bytes = source.read_at(last - first + 1, first)
            return body

    def list(self, prefix: str) -> list[str]:
        found = self.s3.get_file_info(fs.FileSelector(f"{BUCKET}/{prefix}", recursive=True))
        files = (one.path for one in found if one.type == fs.FileType.File)
        return [path.removeprefix(f"{BUCKET}/") for path in files]

    def copy(self, source: str, target: str) -> None:
        self.s3.copy_file(f"{BUCKET}/{source}", f"{BUCKET}/{target}")

    def delete(self, keys: list[str]) -> None:
        # The one request for many that it has: all below a folder.
        self.s3.delete_dir_contents(f"{BUCKET}/{keys[0].rpartition('/')[0]}")


if __name__ == "__main__":
    main(Pyarrow())
