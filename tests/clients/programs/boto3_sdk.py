"""boto3: its own transfer manager for files, its paginators for lists."""

from __future__ import annotations

import boto3
from _operations import BUCKET, PAGE, Store, main
from botocore.config import Config


class Boto3(Store):
    def open(self) -> None:
        self.s3 = boto3.client("s3")
        # Links are of Signature Version 2 otherwise, which is refused.
        self.links = boto3.client("s3", config=Config(signature_version="s3v4"))

    def put(self, key: str, path: str) -> None:
        self.s3.upload_file(path, BUCKET, key)

    def get(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def range(self, key: str, first: int, last: int) -> bytes:
        answer = self.s3.get_object(Bucket=BUCKET, Key=key, Range=f"bytes={first}-{last}")
        body: bytes = answer["Body"].read()
        return body

    def list(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=prefix, PaginationConfig={"PageSize": PAGE}
        )
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def copy(self, source: str, target: str) -> None:
        self.s3.copy_object(Bucket=BUCKET, Key=target, CopySource={"Bucket": BUCKET, "Key": source})

    def delete(self, keys: list[str]) -> None:
        wanted = {"Objects": [{"Key": key} for key in keys]}
        assert not self.s3.delete_objects(Bucket=BUCKET, Delete=wanted).get("Errors")

    def presign(self, key: str) -> str:
        url: str = self.links.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key})
        return url


if __name__ == "__main__":
    main(Boto3())
