"""deltalake: a table, its commits by `If-None-Match`."""

from __future__ import annotations

import pyarrow as pa
from _operations import BUCKET, PREFIX, SECURE, Store, main
from deltalake import DeltaTable, write_deltalake

TABLES = "deltalake keeps tables, not files by name"
ROWS = 3_000_000  # some 20 MB of numbers
OPTIONS = {} if SECURE else {"AWS_ALLOW_HTTP": "true"}


class Delta(Store):
    def __init__(self) -> None:
        self.lacks = dict.fromkeys(("copy", "presign"), TABLES)

    def _write(self, name: str, rows: int, mode: str = "append") -> None:
        table = pa.table({"n": pa.array(range(rows), pa.int64())})
        write_deltalake(self._url(name), table, mode=mode, storage_options=OPTIONS)

    @staticmethod
    def _url(name: str) -> str:
        return f"s3://{BUCKET}/{PREFIX}{name}"

    def _open(self, name: str) -> DeltaTable:
        return DeltaTable(self._url(name), storage_options=OPTIONS)

    def _rows(self, name: str) -> int:
        return int(self._open(name).to_pyarrow_table().num_rows)

    def check_write_empty(self) -> None:
        self._write("empty", 0)
        assert self._rows("empty") == 0

    def check_write_byte(self) -> None:
        self._write("one", 1)
        self._write("one", 1)
        assert self._rows("one") == 2

    def check_write_large(self) -> None:
        self._write("large", ROWS)

    def check_read_whole(self) -> None:
        assert self._rows("large") == ROWS

    def check_read_range(self) -> None:
        found = self._open("large").to_pyarrow_dataset().head(3)
        assert found["n"].to_pylist() == [0, 1, 2]

    def check_list_pages(self) -> None:
        assert self._open("one").version() == 1

    def check_awkward_keys(self) -> None:
        self._write("a b+c ü", 2)
        assert self._rows("a b+c ü") == 2

    def check_delete_many(self) -> None:
        self._write("one", 1, mode="overwrite")
        gone = self._open("one").vacuum(
            retention_hours=0, dry_run=False, enforce_retention_duration=False
        )
        assert len(gone) == 2, gone
        assert self._rows("one") == 1


if __name__ == "__main__":
    main(Delta())
