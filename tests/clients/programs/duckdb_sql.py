"""DuckDB with its httpfs extension: tables as Parquet, by `CREATE SECRET`."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import duckdb
from _operations import (
    ACCESS_KEY,
    BUCKET,
    CA,
    HOST,
    LISTED,
    PREFIX,
    REGION,
    SECRET_KEY,
    SECURE,
    TOKEN,
    Store,
    main,
)

TABLES = "DuckDB reads and writes tables, not files by name"
ROWS = 3_000_000  # some 20 MB of Parquet


class DuckDB(Store):
    def __init__(self) -> None:
        self.lacks = dict.fromkeys(("copy", "presign", "delete"), TABLES)

    def open(self) -> None:
        self.sql = duckdb.connect()
        # `INSTALL httpfs` fetches the same file from DuckDB's own server.
        packages = Path(sysconfig.get_path("purelib"))
        (extension,) = packages.glob("duckdb_ext/extensions/*/*/httpfs.duckdb_extension")
        self.sql.execute(f"LOAD '{extension}'")
        if CA:
            self.sql.execute(
                f"SET ca_cert_file = '{CA}'; SET enable_server_cert_verification = true"
            )
        self.sql.execute(
            f"CREATE SECRET (TYPE s3, KEY_ID '{ACCESS_KEY}', SECRET '{SECRET_KEY}',"
            f" SESSION_TOKEN '{TOKEN}', ENDPOINT '{HOST}', URL_STYLE 'path', REGION '{REGION}',"
            f" USE_SSL {SECURE})"
        )

    def _one(self, query: str) -> tuple[object, ...]:
        row: tuple[object, ...] | None = self.sql.execute(query).fetchone()
        assert row is not None
        return row

    @staticmethod
    def _url(name: str) -> str:
        return f"s3://{BUCKET}/{PREFIX}{name}.parquet"

    def _write(self, name: str, rows: int) -> None:
        numbers = f"SELECT hash(i) AS n, i FROM range({rows}) AS r(i)"
        self.sql.execute(f"COPY ({numbers}) TO '{self._url(name)}' (COMPRESSION uncompressed)")

    def _round_trip(self, name: str, rows: int) -> None:
        self._write(name, rows)
        assert self._one(f"SELECT count(*), max(i) FROM '{self._url(name)}'") == (
            rows,
            rows - 1 if rows else None,
        )

    def check_write_empty(self) -> None:
        self._round_trip("empty", 0)

    def check_write_byte(self) -> None:
        self._round_trip("one", 1)

    def check_write_large(self) -> None:
        self._write("large", ROWS)

    def check_read_whole(self) -> None:
        wanted = self._one(f"SELECT bit_xor(hash(i)), sum(i) FROM range({ROWS}) AS r(i)")
        assert self._one(f"SELECT bit_xor(n), sum(i) FROM '{self._url('large')}'") == wanted

    def check_read_range(self) -> None:
        found = self._one(
            f"SELECT n = hash({ROWS - 1}) FROM '{self._url('large')}' WHERE i = {ROWS - 1}"
        )
        assert found == (True,)

    def check_list_pages(self) -> None:
        for number in range(LISTED):
            self._write(f"list/{number}", 1)
        found = self._one(f"SELECT count(*) FROM glob('{self._url('list/*')}')")
        assert found == (LISTED,), found

    def check_awkward_keys(self) -> None:
        self._round_trip("ü 日本 + = 😀 %41 & #", 2)


if __name__ == "__main__":
    main(DuckDB())
