"""polars: data frames as Parquet. It reads the environment."""

from __future__ import annotations

import polars as pl
from _operations import BUCKET, LISTED, PREFIX, Store, main

TABLES = "polars keeps tables, not files by name"
ROWS = 3_000_000  # some 20 MB of Parquet


class Polars(Store):
    def __init__(self) -> None:
        self.lacks = dict.fromkeys(("copy", "presign", "delete"), TABLES)

    def _round_trip(self, name: str, rows: int) -> None:
        frame = self._frame(rows)
        frame.write_parquet(f"s3://{BUCKET}/{PREFIX}{name}.parquet", compression="uncompressed")
        assert self._scan(name).collect().equals(frame)

    @staticmethod
    def _frame(rows: int) -> pl.DataFrame:
        return pl.DataFrame({"n": range(rows)}, schema={"n": pl.Int64})

    @staticmethod
    def _scan(name: str) -> pl.LazyFrame:
        return pl.scan_parquet(f"s3://{BUCKET}/{PREFIX}{name}.parquet")

    def check_write_empty(self) -> None:
        self._round_trip("empty", 0)

    def check_write_byte(self) -> None:
        self._round_trip("one", 1)

    def check_write_large(self) -> None:
        self._round_trip("large", ROWS)

    def check_read_whole(self) -> None:
        assert self._scan("large").select(pl.col("n").sum()).collect().item() == (
            ROWS * (ROWS - 1) // 2
        )

    def check_read_range(self) -> None:
        assert self._scan("large").tail(1).collect().item() == ROWS - 1

    def check_list_pages(self) -> None:
        for number in range(LISTED):
            self._frame(1).write_parquet(f"s3://{BUCKET}/{PREFIX}list/{number}.parquet")
        assert self._scan("list/*").collect().height == LISTED

    def check_awkward_keys(self) -> None:
        self._round_trip("ü 日本 + = 😀", 2)


if __name__ == "__main__":
    main(Polars())
