"""The log holds no secret and no line but its own; audit lines survive disks and pipes."""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import sys
import time
from datetime import UTC, datetime

import pytest
from aiohttp.http_exceptions import BadHttpMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.observe import logs, tracing
from gateway.observe.audit import AuditEvent
from gateway.observe.logs import AuditSink, redacted

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CANARY = "Canary0123456789abcdefXYZ"
JWT = "eyJhbGciOiJkaXIifQ..c2VjcmV0LWNhbmFyeQ.Canary0123456789abcdefXYZ.dGFn"


@pytest.fixture(params=["json", "text"])
def output(request):
    """A configured log whose lines are collected; what pytest had is put back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("debug", request.param, stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


SHAPES = [
    "Authorization: Bearer {}",
    "authorization: Basic {}",
    "{{'Authorization': 'AWS4-HMAC-SHA256 Credential=AK/2026/s3, Signature={}'}}",
    "b'GET / HTTP/1.1\\r\\nauthorization: {}\\r\\nHost: x'",
    "('Authorization', 'Bearer {}')",
    "Cookie: __Host-session={}; other={}",
    "Set-Cookie: __Host-login-abc={}; Path=/",
    "__Host-session={}",
    "GET /b/k?X-Amz-Signature={}&x=1",
    "GET /b/k?x-amz-security-token={}",
    "/b/k?X-Amz-Credential={}%2F20260101",
    "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host",
    "GET /api/session/auth/?code={}&state={}",
    "/api/session/auth/?state={}",
    "x-amz-server-side-encryption-customer-key: {}",
    "x-amz-copy-source-server-side-encryption-customer-key-MD5={}",
    "client_secret={}&grant_type=x",
    '{{"refresh_token": "{}"}}',
    '{{"SecretAccessKey": "{}", "SessionToken": "{}"}}',
    "id_token_hint={}",
    "WebIdentityToken={}",
    "code_verifier={}",
    "password={}",
    "X-S3-Authorization: {}",
]


@pytest.mark.parametrize("shape", SHAPES)
def test_log_1_secrets_are_cut_out_by_their_place(shape):
    """Headers, cookies, addresses, forms and JSON, as text or as a repr."""
    assert CANARY not in redacted(shape.replace("{{", "{").replace("}}", "}").replace("{}", CANARY))


def test_log_1_tokens_are_cut_out_wherever_they_stand():
    """A JWT or JWE shows itself by its shape."""
    assert CANARY not in redacted(f"what is {JWT} doing here")


@pytest.mark.parametrize(
    "text",
    [
        "error code: 42, state: away, code=no-grant",
        "GET /b/key?list-type=2&prefix=a",
        "the authorization code flow began",
        "status_code=200",
        "eye.catching.words",
    ],
)
def test_what_is_no_secret_stays(text):
    """A log that says *** everywhere helps nobody."""
    assert redacted(text) == text


@given(st.text(alphabet="authorizatn:=; cookie'\"\\&?key.-_ABC\n", max_size=3000))
@settings(max_examples=30, deadline=None)
def test_dos_7_redaction_is_linear(text):
    """No text makes it slow."""
    began = time.perf_counter()
    redacted(text * 5)

    assert time.perf_counter() - began < 20  # a bound on growth, not on speed


def test_log_1_message_fields_and_traceback_are_redacted(output):
    """Wherever in a record a secret stands, and whichever library wrote it."""
    try:
        raise ValueError(f"Authorization: Bearer {CANARY}")
    except ValueError:
        logging.getLogger("some.library").exception(
            "failed with %s",
            f"?X-Amz-Signature={CANARY}",
            extra={"token": CANARY, "headers": {"cookie": CANARY}, "url": f"/?code={CANARY}"},
        )

    text = output.getvalue()

    assert CANARY not in text
    assert "ValueError" in text and "test_logs.py" in text


def test_log_1_what_aiohttp_could_not_parse_is_not_quoted(output):
    """Its message shows the first bytes, which may be the rest of anything."""
    error = BadHttpMessage(f"bytes: {CANARY}")
    logging.getLogger("aiohttp.server").error(
        "Error handling request from %s", "10.0.0.1", exc_info=error
    )

    assert CANARY not in output.getvalue()
    assert "BadHttpMessage" in output.getvalue()


def test_log_2_a_message_is_one_line(output):
    """Control characters and line ends from outside are escaped in both formats."""
    logging.getLogger("x").warning(
        "key %s", "a\r\nERROR forged \x1b[31m", extra={"key": "b\nc\x1b"}
    )

    lines = output.getvalue().splitlines()

    assert len(lines) == 1
    assert lines[0].isprintable()


def test_a_line_names_its_request(output):
    """Whoever writes it, while a request is bound."""
    tracing.bind("REQ1", "f" * 32)
    logging.getLogger("deep.library").info("said", extra={"count": 3})
    tracing.bind("", "")

    line = output.getvalue()

    assert "REQ1" in line and "f" * 32 in line
    if line.startswith("{"):
        fields = json.loads(line)
        assert (fields["message"], fields["level"], fields["count"]) == ("said", "info", 3)


def test_loud_libraries_are_quiet(output):
    """botocore at debug would print whole requests."""
    logging.getLogger("botocore.endpoint").debug("request %s", CANARY)
    logging.getLogger("aiohttp.access").info("GET /?code=1")

    assert output.getvalue() == ""


def event(number: int = 0) -> AuditEvent:
    made = AuditEvent(request_id=f"R{number}", time=NOW)
    made.status = 200
    return made


def lines(path) -> list[str]:
    return [json.loads(line)["request_id"] for line in path.read_text().splitlines()]


def test_log_5_every_line_is_written_in_order(tmp_path):
    """What was written before the end is there after it."""
    sink = AuditSink(str(tmp_path / "audit.log"))
    for number in range(500):
        sink.write(event(number))
    sink.close()

    assert lines(tmp_path / "audit.log") == [f"R{n}" for n in range(500)]
    assert (tmp_path / "audit.log").stat().st_mode & 0o777 == 0o640 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_rotated_file_is_opened_anew(tmp_path):
    """Moved away by logrotate: the next line goes into the new file."""
    path = tmp_path / "audit.log"
    sink = AuditSink(str(path))
    sink.write(event(1))
    sink.flush()
    path.rename(tmp_path / "audit.log.1")
    sink.write(event(2))
    sink.flush()
    sink.reopen()
    sink.write(event(3))
    sink.close()

    assert lines(tmp_path / "audit.log.1") == ["R1"]
    assert lines(path) == ["R2", "R3"]


def test_standard_output_takes_text_lines(capfd):
    """`audit: {path: "-"}`, for containers."""
    sink = AuditSink("-", "text")
    sink.write(event(7))
    sink.close()

    assert "request_id=R7" in capfd.readouterr().out


def test_pol_1_a_full_disk_fails_no_request_and_is_told_once(tmp_path, caplog):
    """Lines wait, the operator is told, and nothing is lost once there is room again."""
    path = tmp_path / "audit.log"
    sink = AuditSink(str(path))
    full, old = os.open("/dev/full", os.O_WRONLY), sink._fd
    sink._fd = full
    sink._moved = lambda: False  # type: ignore[method-assign] # the descriptor stands for a full disk
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            sink.write(event(number))
            sink._wake.set()
            time.sleep(0.05)
        told = [r for r in caplog.records if r.levelno == logging.ERROR]
        sink._fd = old
        sink.flush()

    assert len(told) == 1
    assert any("written again" in r.message for r in caplog.records)
    sink.close()
    os.close(full)
    assert lines(path) == ["R0", "R1", "R2"]


def test_dos_4_lines_that_nobody_takes_are_dropped_and_counted(tmp_path, monkeypatch):
    """Memory has a limit; the metric says what was lost."""
    monkeypatch.setattr(logs, "BUFFER_MAX", 1000)
    lost: list[int] = []
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = AuditSink(str(path), lost=lost.append)
    os.close(reader)
    for number in range(100):
        sink.write(event(number))
    sink.close()

    assert sum(lost) == 100
    assert sink.waiting <= 1000


def test_a_line_costs_a_request_little(tmp_path):
    """Building and handing over, far from ten microseconds' tenfold even on a busy machine."""
    sink = AuditSink(str(tmp_path / "audit.log"))
    began = resource.getrusage(resource.RUSAGE_THREAD if sys.platform == "linux" else 0).ru_utime
    for number in range(2000):
        sink.write(event(number))
    spent = (
        resource.getrusage(resource.RUSAGE_THREAD if sys.platform == "linux" else 0).ru_utime
        - began
    )
    sink.close()

    assert spent / 2000 < 100e-6
