"""s3fs, which is aiobotocore behind a file system."""

from __future__ import annotations

import s3fs
from _operations import BUCKET, Store, main


class S3fs(Store):
    def open(self) -> None:
        self.s3 = s3fs.S3FileSystem(
            use_listings_cache=False, config_kwargs={"signature_version": "s3v4"}
        )

    def put(self, key: str, path: str) -> None:
        self.s3.put_file(path, f"{BUCKET}/{key}", chunksize=5 * 1024 * 1024)

    def get(self, key: str) -> bytes:
        body: bytes = self.s3.cat_file(f"{BUCKET}/{key}")
        return body

    def range(self, key: str, first: int, last: int) -> bytes:
        body: bytes = self.s3.cat_file(f"{BUCKET}/{key}", start=first, end=last + 1)
        return body

    def list(self, prefix: str) -> list[str]:
        self.s3.invalidate_cache()
        found = self.s3.find(f"{BUCKET}/{prefix}")
        return [name.removeprefix(f"{BUCKET}/") for name in found]

    def copy(self, source: str, target: str) -> None:
        self.s3.cp_file(f"{BUCKET}/{source}", f"{BUCKET}/{target}")

    def delete(self, keys: list[str]) -> None:
        self.s3.rm([f"{BUCKET}/{key}" for key in keys])

    def presign(self, key: str) -> str:
        url: str = self.s3.sign(f"{BUCKET}/{key}", expiration=600)
        return url


if __name__ == "__main__":
    main(S3fs())
