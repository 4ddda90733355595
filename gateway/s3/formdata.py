"""
multipart/form-data as browsers write it: fields, then one file that is not kept.

Feed bytes as they come: nothing here waits, and nothing depends on how the stream was cut. Fields
are read into memory within a bound; of the file, each `feed` gives what has come.

Sources: RFC 7578; https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
"""

from __future__ import annotations

import re
from enum import Enum, auto

from gateway.s3.errors import MALFORMED_POST, MAX_POST_PRE_DATA_LENGTH_EXCEEDED, S3Error

FIELDS_MAX = 20 * 1024  # bytes of all before the file: S3's own limit
TAIL_MAX = 64 * 1024  # bytes after the file that are read to find the form's end

_BOUNDARY = re.compile(
    r'multipart/form-data\s*;(?:[^"]*;)?\s*boundary=(?:"([^"\\]{1,70})"|([^\s;",]{1,70}))\s*(?:;.*)?',
    re.IGNORECASE,
)
_DISPOSITION = re.compile(r'([A-Za-z*]+)="((?:[^"\\]|\\"|\\(?!"))*)"')


class _State(Enum):
    BOUNDARY = auto()
    HEAD = auto()
    FIELD = auto()
    FILE = auto()
    AFTER = auto()


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a form; None where the type is another."""
    match = _BOUNDARY.fullmatch(content_type.strip())
    if match is None:
        return None
    text = match[1] or match[2]
    return text.encode() if text.isascii() else None


class FormReader:
    """Reads one form. Raises S3Error: MalformedPOSTRequest, MaxPostPreDataLengthExceededError."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: list[tuple[str, str]] = []
        """Those before the file, in order, names in lower case."""
        self.filename = ""
        """As the browser gave it."""
        self.ended = False
        """The last boundary has come."""
        self.closing = len(boundary) + 8
        """Bytes after the last of the file, as browsers write them: CRLF--boundary--CRLF."""
        self._delimiter = b"\r\n--" + boundary
        # A form may begin with its boundary: as if a line had ended before it.
        self._rest = b"\r\n"
        self._state = _State.BOUNDARY
        self._name = ""
        self._fed = 0

    @property
    def in_file(self) -> bool:
        """All fields have come; what is fed from here on is the file."""
        return self._state in (_State.FILE, _State.AFTER)

    @property
    def pending(self) -> int:
        """Bytes that have come and may be the file's or belong to what follows it."""
        return len(self._rest)

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the form; gives those that are the file's."""
        self._rest += data
        self._fed += len(data)
        while not self.in_file:
            if not self._step():
                if self._fed > FIELDS_MAX:
                    raise S3Error(MAX_POST_PRE_DATA_LENGTH_EXCEEDED)
                return b""
        return self._file() if self._state is _State.FILE else self._after()

    def finish(self) -> None:
        """The stream has ended."""
        if not self.ended:
            raise malformed("the form has no end")

    def _step(self) -> bool:
        """One boundary, head or field out of what is at hand; False where more must come."""
        match self._state:
            case _State.BOUNDARY:
                return self._boundary()
            case _State.HEAD:
                return self._head()
            case _:
                return self._field()

    def _boundary(self) -> bool:
        size = len(self._delimiter) + 2
        if len(self._rest) < size:
            return False
        if not self._rest.startswith(self._delimiter):
            raise malformed("a boundary is missing")
        end = self._rest[size - 2 : size]
        if end == b"--":
            raise S3Error(MALFORMED_POST, "POST requires exactly one file upload per request.")
        if end != b"\r\n":
            raise malformed("a boundary is followed by something")
        self._rest = self._rest[size:]
        self._state = _State.HEAD
        return True

    def _head(self) -> bool:
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            return False
        self._rest = rest
        self._name, filename = _names(head)
        if self._name == "file":
            self.filename = filename or ""
            self._state = _State.FILE
        else:
            # The delimiter's own CRLF may follow at once: a field may be empty.
            self._state = _State.FIELD
        if self._fed - len(rest) > FIELDS_MAX:
            raise S3Error(MAX_POST_PRE_DATA_LENGTH_EXCEEDED)
        return True

    def _field(self) -> bool:
        value, end, _ = self._rest.partition(self._delimiter)
        if not end:
            return False
        try:
            self.fields.append((self._name, value.decode()))
        except UnicodeDecodeError as error:
            raise malformed("a field is not UTF-8") from error
        self._rest = self._rest[len(value) :]
        self._state = _State.BOUNDARY
        return True

    def _file(self) -> bytes:
        data = self._rest
        at = data.find(self._delimiter)
        if at < 0:
            keep = len(self._delimiter) - 1
            self._rest = data[-keep:]
            return data[:-keep]
        self._rest = data[at:]
        self._state = _State.AFTER
        self._after()
        return data[:at]

    def _after(self) -> bytes:
        """Fields after the file are ignored, as S3 ignores them; the form's end is looked for."""
        if self.ended:
            self._rest = b""
            return b""
        end = self._delimiter + b"--"
        at = self._rest.find(end)
        if 0 <= at <= TAIL_MAX:
            self.ended = True
        elif at > TAIL_MAX or len(self._rest) > TAIL_MAX + len(end):
            raise malformed("too much follows the file")
        return b""


def _names(head: bytes) -> tuple[str, str | None]:
    """Name and file name of a part; the name in lower case, as S3 compares it."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() != b"content-disposition":
            continue
        try:
            text = value.decode().strip()
        except UnicodeDecodeError as error:
            raise malformed("the name of a field is not UTF-8") from error
        pairs = _DISPOSITION.findall(text)
        found = {key.lower(): quoted for key, quoted in pairs}
        if text[:9].lower() != "form-data" or not found.get("name") or len(found) != len(pairs):
            break
        # Some clients write a quotation mark as \", browsers as %22; other backslashes are
        # themselves: old browsers give whole Windows paths.
        filename = found.get("filename")
        return found["name"].lower(), None if filename is None else filename.replace('\\"', '"')
    raise malformed("a part has no name")


def malformed(what: str) -> S3Error:
    return S3Error(
        MALFORMED_POST, f"The body of your POST request is not well-formed form data: {what}."
    )
