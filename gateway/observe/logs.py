"""
Where lines go: the log, the audit lines, and what is taken out of them first.

Whatever is logged passes `redacted`, message, fields and traceback, from whichever library
it comes: a secret is cut out by its shape and by the name it stands behind (LOG-1). What aiohttp
says of requests it could not parse is reduced to the fact, because it quotes their first bytes.

Audit lines are put into a list by the request and written by a thread, so that a slow disk or
pipe costs no request. A sink that cannot write loses lines, counts them and says so once; it never
fails a request and never grows.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal, Protocol, TextIO, final

from gateway.observe.audit import AuditEvent, plain, timestamp
from gateway.observe.tracing import BOUND

Format = Literal["json", "text"]

FLUSH_SECONDS = 0.2  # what a kill -9 may lose
BUFFER_MAX = 16 * 1024 * 1024  # characters waiting for a disk or pipe that does not take them
CLOSE_SECONDS = 5.0  # how long an end waits for the last lines to be written
MESSAGE_MAX = 16 * 1024  # characters of a log field; what is longer was not meant for a log

log = logging.getLogger(__name__)


# Redaction

_SENSITIVE = (
    r"authorization|proxy-authorization|(?:set-)?cookie|x-auth-token"
    r"|x-amz-(?:security-token|signature|credential)"
    r"|x-amz-(?:copy-source-)?server-side-encryption-customer-key(?:-md5)?"
    r"|x-s3-(?:authorization|security-token)"
    r"|aws_(?:secret_access_key|session_token)|secretaccesskey|sessiontoken"
    r"|(?:id|access|refresh|session|logout|web_?identity)_?token(?:_hint)?|token|assertion"
    r"|client_secret|client_assertion|code_verifier|secret|password"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A header as text, as a Python repr or as JSON: everything to the end of its value.
    (
        re.compile(
            r"(?i)((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s*[:,=]\s*)(b?['\"][^'\"]*['\"]|[^\r\n]*)"
        ),
        r"\1\2***",
    ),
    # (A repr shows a line end as two characters, the second of which is a letter.)
    # A parameter of a URL or a form, a header, a member of JSON or of a repr.
    (
        re.compile(
            r"(?i)(?:(?<![a-z0-9_-])|(?<=\\[nrt]))("
            + _SENSITIVE
            + r")(['\"]?\s*[:=]\s*b?['\"]?)[^\s&'\"<>,;)}\]]+"
        ),
        r"\1\2***",
    ),
    # In addresses only: elsewhere these are codes of errors and names of states.
    (re.compile(r"(?i)([?&](?:code|state|nonce)=)[^\s&'\"<>]+"), r"\1***"),
    (re.compile(r"(?i)\b(bearer|basic|negotiate)\s+[a-z0-9._~+/=-]{4,}"), r"\1 ***"),
    (re.compile(r"(?i)\b(signature|credential)=[^\s,&'\"]+"), r"\1=***"),
    # Our cookies and any JWT or JWE, wherever they stand.
    (re.compile(r"(?i)((?:__host-)?(?:session|login-[a-z0-9_-]{1,64}))=[^\s;,'\"]{8,}"), r"\1=***"),
    (re.compile(r"\bey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_.-]+"), "***"),
)
_HINT = re.compile(r"(?i)[:=,]|bearer|basic|negotiate|\bey")


def redacted(text: str) -> str:
    """The text without what opens anything."""
    if len(text) > MESSAGE_MAX:
        text = text[:MESSAGE_MAX] + "…"
    if _HINT.search(text) is None:
        return text
    for pattern, stand_in in _RULES:
        text = pattern.sub(stand_in, text)
    return text


_SENSITIVE_NAME = re.compile(r"(?i)(?:.*[_-])?(?:" + _SENSITIVE + r"|ticket|signature)")


def _field(name: str, value: object) -> object:
    if _SENSITIVE_NAME.fullmatch(name):
        return "***"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _field(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_field(name, item) for item in value]
    return redacted(str(value))


# The log

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_UNPARSED = re.compile(r"aiohttp\.http_exceptions|aiohttp\._http_parser")


def _fields(record: logging.LogRecord, formatter: logging.Formatter) -> dict[str, object]:
    """A record as named values, in the order they are printed."""
    message, extra, trouble = record.getMessage(), record.__dict__, ""
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        if record.name.startswith("aiohttp") and _UNPARSED.match(type(error).__module__):
            # Its text quotes what arrived, which may be half an Authorization header (HTTP-9).
            message = "request could not be parsed"
            extra = {**extra, "error": type(error).__name__}
        else:
            trouble = formatter.formatException(record.exc_info)
    moment = datetime.fromtimestamp(record.created, UTC)
    fields: dict[str, object] = {
        "time": timestamp(moment),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": redacted(message),
    }
    request_id, trace_id = BOUND.get()
    if request_id:
        fields["request_id"] = request_id
    if trace_id:
        fields["trace_id"] = trace_id
    for name, value in extra.items():
        if name not in _STANDARD and not name.startswith("_"):
            fields.setdefault(name, _field(name, value))
    if trouble:
        fields["exception"] = redacted(trouble)
    return fields


@final
class JsonFormatter(logging.Formatter):
    """One JSON object a line, printable ASCII (LOG-2)."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record, self), default=str)


@final
class TextFormatter(logging.Formatter):
    """For people: time, level, message, then `name=value`. No line ends but its own (LOG-2)."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record, self)
        trouble = fields.pop("exception", "")
        head = f"{fields.pop('time')} {str(fields.pop('level')).upper():7} {fields.pop('logger')}: "
        line = head + _printable(str(fields.pop("message")))
        line += "".join(f" {name}={plain(value)}" for name, value in fields.items())
        if trouble:
            line += "".join("\n    " + _printable(part) for part in str(trouble).splitlines())
        return line


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


_QUIET = {
    # Each request has an audit line or a line of ours; theirs would be a second one.
    "aiohttp.access": logging.WARNING,
    "botocore": logging.WARNING,
    "aiobotocore": logging.WARNING,
    "asyncio": logging.WARNING,
}


def configure(level: str = "info", format: Format = "json", stream: TextIO | None = None) -> None:
    """The process's log goes to `stream` (standard error) and nowhere else. May be called again."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    logging.captureWarnings(True)


# Audit lines


class Sink(Protocol):
    """Takes every audit event; must neither wait nor raise."""

    def write(self, event: AuditEvent) -> None: ...


@final
class AuditSink:
    """
    Audit lines into a file, or to standard output (`-`), in batches by a thread of its own.

    A file that was moved away (log rotation) is opened anew by itself, or at once by `reopen()`.
    While the disk is full or nobody reads the pipe, lines wait in memory up to BUFFER_MAX.
    """

    def __init__(
        self, path: str = "-", format: Format = "json", *, lost: Callable[[int], None] | None = None
    ) -> None:
        """`lost` is told how many lines had to be dropped. Raises OSError where `path` cannot be opened."""
        self._path = path
        self._render = AuditEvent.json if format == "json" else AuditEvent.text
        self._lost = lost or (lambda _count: None)
        self._lines: deque[str] = deque()
        # Characters put by requests and taken by the thread: each has one writer, so no lock.
        self._put = 0
        self._taken = 0
        self._pending = b""
        self._troubled = False
        self._reopen = False
        self._ending = False
        self._wake = threading.Event()
        self._fd = self._open()
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._thread.start()

    def write(self, event: AuditEvent) -> None:
        line = self._render(event)
        size = self._put + len(line)
        if size - self._taken > BUFFER_MAX:
            self._lost(1)
            return
        self._put = size
        self._lines.append(line)

    @property
    def waiting(self) -> int:
        """Characters that are not written yet."""
        return self._put - self._taken

    def reopen(self) -> None:
        """Go on in the file that bears the name now: for SIGHUP, after a rotation."""
        self._reopen = True
        self._wake.set()

    def flush(self, seconds: float = CLOSE_SECONDS) -> None:
        """Waits until every line so far is written. For tests and the end; not in the event loop."""
        turns = int(seconds / FLUSH_SECONDS * 20)
        for _ in range(turns):
            if not self.waiting:
                return
            self._wake.set()
            self._thread.join(FLUSH_SECONDS / 20)

    def close(self) -> None:
        """Writes what is there and ends. Waits: not to be called in the event loop."""
        self._ending = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)

    # Below: the thread's own.

    def _work(self) -> None:
        while not self._ending:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._once()
        self._once()
        if self._lines or self._pending:
            self._lost(len(self._lines) + self._pending.count(b"\n"))
        if self._path != "-":
            os.close(self._fd)

    def _once(self) -> None:
        try:
            if self._reopen or self._moved():
                self._reopen = False
                old, self._fd = self._fd, self._open()
                if self._path != "-":
                    os.close(old)
            self._drain()
        except OSError as error:
            self._say(error)
        else:
            if self._troubled:
                self._troubled = False
                log.warning("audit lines are written again", extra={"path": self._path})

    def _drain(self) -> None:
        while self._pending or self._lines:
            if not self._pending:
                lines = [self._lines.popleft() for _ in range(len(self._lines))]
                self._pending = "".join(lines).encode("ascii")
            # What was written is forgotten at once, so that an error in the middle repeats nothing.
            done = os.write(self._fd, self._pending)
            self._pending = self._pending[done:]
            self._taken += done

    def _say(self, error: OSError) -> None:
        if not self._troubled:
            self._troubled = True
            log.error(
                "audit lines cannot be written; they wait in memory and are dropped beyond a limit",
                extra={"path": self._path, "error": error.strerror or str(error)},
            )

    def _moved(self) -> bool:
        if self._path == "-":
            return False
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            return True
        mine = os.fstat(self._fd)
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino)

    def _open(self) -> int:
        if self._path == "-":
            return sys.__stdout__.fileno() if sys.__stdout__ else 1
        # 0640: whoever collects logs is put into the group; nobody else reads who did what.
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
