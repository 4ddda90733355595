"""
The bytes of a zip64 archive around its members' own, and names that no program unpacks elsewhere.

Sizes and sums follow each member in a data descriptor, always in 64 bits, so that nothing need be
known before its bytes have passed; nothing of a member is kept but its line of the directory.

Sources: PKWARE APPNOTE.TXT 6.3.10 (sections 4.3.7, 4.3.9, 4.3.12, 4.3.14, 4.3.15, 4.5.3); S3-13.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_DRIVE = re.compile(r"^[A-Za-z]:")
_FLAGS = 0x0808  # a data descriptor follows; names are UTF-8
_VERSION = 45  # 4.5: ZIP64
_DOS_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can write
_MARK32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Member:
    name: bytes
    stamp: tuple[int, int]
    crc: int
    size: int
    offset: int


class ZipWriter:
    """The bytes of a zip64 archive around the members' own. Nothing of a member is kept but its line."""

    def __init__(self) -> None:
        self._members: list[_Member] = []
        self._offset = 0
        self._name = b""
        self._stamp = (0, 0)
        self._start = 0
        self._crc = 0
        self._size = 0

    def begin(self, name: str, modified: datetime | None) -> bytes:
        """The local header of the next member."""
        self._name = name.encode("utf-8", "replace")
        self._stamp = _dos(modified)
        self._start = self._offset
        self._crc = self._size = 0
        # The zip64 field, empty for now, says that the descriptor's sizes have 64 bits (4.3.9.2).
        extra = struct.pack("<HHQQ", 1, 16, 0, 0)
        head = struct.pack(
            "<IHHHHHIIIHH",
            0x04034B50,
            _VERSION,
            _FLAGS,
            0,
            *self._stamp,
            0,
            _MARK32,
            _MARK32,
            len(self._name),
            len(extra),
        )
        return self._out(head + self._name + extra)

    def data(self, chunk: bytes) -> bytes:
        """Bytes of the member, which are the archive's too."""
        self._crc = zlib.crc32(chunk, self._crc)
        self._size += len(chunk)
        return self._out(chunk)

    def end(self) -> bytes:
        """The member's data descriptor."""
        self._members.append(_Member(self._name, self._stamp, self._crc, self._size, self._start))
        return self._out(struct.pack("<IIQQ", 0x08074B50, self._crc, self._size, self._size))

    def close(self) -> Iterator[bytes]:
        """The central directory and its ends, in pieces."""
        start = self._offset
        for member in self._members:
            yield self._out(_central(member))
        size = self._offset - start
        count = len(self._members)
        end64 = self._offset
        yield struct.pack(
            "<IQHHIIQQQQ", 0x06064B50, 44, _VERSION, _VERSION, 0, 0, count, count, size, start
        )
        yield struct.pack("<IIQI", 0x07064B50, 0, end64, 1)
        yield struct.pack(
            "<IHHHHIIH",
            0x06054B50,
            0,
            0,
            min(count, 0xFFFF),
            min(count, 0xFFFF),
            min(size, _MARK32),
            min(start, _MARK32),
            0,
        )

    def _out(self, data: bytes) -> bytes:
        self._offset += len(data)
        return data


def _central(member: _Member) -> bytes:
    extra = struct.pack("<HHQQQ", 1, 24, member.size, member.size, member.offset)
    head = struct.pack(
        "<IHHHHHHIIIHHHHHII",
        0x02014B50,
        (3 << 8) | _VERSION,  # made on Unix: the attributes below are Unix's
        _VERSION,
        _FLAGS,
        0,
        *member.stamp,
        member.crc,
        _MARK32,
        _MARK32,
        len(member.name),
        len(extra),
        0,
        0,
        0,
        (0o40755 << 16 | 0x10) if member.name.endswith(b"/") else 0o100644 << 16,
        _MARK32,
    )
    return head + member.name + extra


def _dos(modified: datetime | None) -> tuple[int, int]:
    """Time and date as MS-DOS wrote them, in UTC."""
    parts = _DOS_EPOCH
    if modified is not None and 1980 <= modified.year <= 2107:
        at = modified.astimezone(UTC)
        parts = (at.year, at.month, at.day, at.hour, at.minute, at.second)
    year, month, day, hour, minute, second = parts
    return (hour << 11 | minute << 5 | second // 2), ((year - 1980) << 9 | month << 5 | day)


class SafeNames:
    """Names within the archive: relative, without `..`, drives or control characters, none twice (S3-13)."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, name: str) -> str:
        """A name that no program unpacks elsewhere."""
        folder = name.endswith("/")
        parts = [_safe_part(part) for part in name.replace("\\", "/").split("/")]
        safe = "/".join(part for part in parts if part) or "_"
        safe = _DRIVE.sub(lambda drive: drive[0][0] + "_", safe)
        return self._once(safe, "/" if folder else "")

    def _once(self, safe: str, end: str) -> str:
        # Windows and macOS tell no case apart: two such names would overwrite one another.
        folder, slash, last = safe.rpartition("/")
        stem, dot, extension = last.rpartition(".")
        if not stem:
            stem, dot, extension = last, "", ""
        found, number = safe, 1
        while found.casefold() in self._given:
            number += 1
            found = f"{folder}{slash}{stem} ({number}){dot}{extension}"
        self._given.add(found.casefold())
        return found + end


def _safe_part(part: str) -> str:
    clean = "".join("_" if ord(c) < 32 or c in '\x7f<>:"|?*' else c for c in part)
    return clean.replace(".", "_") if clean in (".", "..") else clean
