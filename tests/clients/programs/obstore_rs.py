"""obstore: object_store of Rust. It reads the environment."""

from __future__ import annotations

from datetime import timedelta

import obstore
from _operations import BUCKET, SECURE, Store, main
from obstore.store import S3Store


class Obstore(Store):
    def open(self) -> None:
        self.s3 = S3Store(BUCKET, client_options={"allow_http": not SECURE})

    def put(self, key: str, path: str) -> None:
        with open(path, "rb") as source:
            obstore.put(self.s3, key, source)

    def get(self, key: str) -> bytes:
        return bytes(obstore.get(self.s3, key).bytes())

    def range(self, key: str, first: int, last: int) -> bytes:
        return bytes(obstore.get_range(self.s3, key, start=first, end=last + 1))

    def list(self, prefix: str) -> list[str]:
        return [one["path"] for page in obstore.list(self.s3, prefix) for one in page]

    def copy(self, source: str, target: str) -> None:
        obstore.copy(self.s3, source, target)

    def delete(self, keys: list[str]) -> None:
        obstore.delete(self.s3, keys)

    def presign(self, key: str) -> str:
        url: str = obstore.sign(self.s3, "GET", key, timedelta(minutes=10))
        return url


if __name__ == "__main__":
    main(Obstore())
