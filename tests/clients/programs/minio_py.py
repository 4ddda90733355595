"""minio-py, which takes its settings by argument."""

from __future__ import annotations

from _operations import ACCESS_KEY, BUCKET, HOST, SECRET_KEY, SECURE, TOKEN, Store, main
from minio import Minio
from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject


class MinioPy(Store):
    def open(self) -> None:
        self.s3 = Minio(
            endpoint=HOST,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            session_token=TOKEN or None,
            secure=SECURE,
        )

    def put(self, key: str, path: str) -> None:
        self.s3.fput_object(
            bucket_name=BUCKET, object_name=key, file_path=path, part_size=5 * 1024 * 1024
        )

    def _read(self, key: str, offset: int = 0, length: int = 0) -> bytes:
        answer = self.s3.get_object(
            bucket_name=BUCKET, object_name=key, offset=offset, length=length
        )
        try:
            body: bytes = answer.read()
            return body
        finally:
            answer.close()
            answer.release_conn()

    def get(self, key: str) -> bytes:
        return self._read(key)

    def range(self, key: str, first: int, last: int) -> bytes:
        return self._read(key, first, last - first + 1)

    def list(self, prefix: str) -> list[str]:
        found = self.s3.list_objects(bucket_name=BUCKET, prefix=prefix, recursive=True)
        return [str(one.object_name) for one in found]

    def copy(self, source: str, target: str) -> None:
        self.s3.copy_object(
            bucket_name=BUCKET,
            object_name=target,
            source=CopySource(bucket_name=BUCKET, object_name=source),
        )

    def delete(self, keys: list[str]) -> None:
        wanted = [DeleteObject(key) for key in keys]
        errors = list(self.s3.remove_objects(bucket_name=BUCKET, delete_object_list=wanted))
        assert not errors, errors

    def presign(self, key: str) -> str:
        url: str = self.s3.presigned_get_object(bucket_name=BUCKET, object_name=key)
        return url


if __name__ == "__main__":
    main(MinioPy())
