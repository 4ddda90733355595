"""
aws-chunked framing: read, verified, signed anew, taken off. `framer` puts it on.

Feed bytes as they come, take bytes as they may go on: nothing here waits, and nothing depends on
how the stream was cut (CHK-6).

::

    chunk    = hex-size [";chunk-signature=" 64hex] CRLF data CRLF     last chunk: size 0, no data
    trailer  = name ":" value CRLF ["x-amz-trailer-signature:" 64hex CRLF] CRLF
               name ":" value LF CRLF ["x-amz-trailer-signature:" 64hex CRLF] CRLF    by minio-go

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import Enum, auto

from gateway.s3 import errors
from gateway.s3.errors import S3Error
from gateway.sigv4.checksums import Sums
from gateway.sigv4.sign import EMPTY_HASH, SigningKey
from gateway.sigv4.tokens import Token

LINE_MAX = 256  # bytes of a chunk line: 16 digits, a signature of 81, and nothing else
TRAILER_MAX = 4096  # bytes of all trailer lines: a dozen of the longest checksums
SIGNED_CHUNK_MAX = 16 * 1024 * 1024  # bytes held until their signature is known (CHK-7)

TRAILER_SIGNATURE = "x-amz-trailer-signature"

_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})\r\n")
_SIGNED_SIZE = re.compile(rb"([0-9a-fA-F]{1,16});chunk-signature=([0-9a-f]{64})\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\x20-\x7e\t]*)\r\n")
_HEX = re.compile(r"[0-9a-f]{64}")
_SIGNATURE_END = 66  # bytes: 64 digits and CRLF

SMALL_PIECE = 4096  # bytes: below it, what is held is copied together

Piece = bytes | bytearray | memoryview


class Chain:
    """Signatures that go on from one another: the head's, each chunk's, the trailer's."""

    __slots__ = ("_chunk", "_key", "_trailer", "previous")

    def __init__(self, key: SigningKey, when: str, scope: str, seed: str) -> None:
        self._key = key
        self._chunk = f"AWS4-HMAC-SHA256-PAYLOAD\n{when}\n{scope}\n"
        self._trailer = f"AWS4-HMAC-SHA256-TRAILER\n{when}\n{scope}\n"
        self.previous = seed

    def chunk(self, digest: str) -> str:
        """The signature of the next chunk, whose data hash to `digest`."""
        return self._next(f"{self._chunk}{self.previous}\n{EMPTY_HASH}\n{digest}")

    def trailer(self, digest: str) -> str:
        """The signature of the trailer, after the last chunk."""
        return self._next(f"{self._trailer}{self.previous}\n{digest}")

    def _next(self, text: str) -> str:
        self.previous = self._key.sign(text)
        return self.previous


class _State(Enum):
    LINE = auto()
    DATA = auto()
    AFTER = auto()
    TRAILER = auto()
    DONE = auto()


class Frames:
    """
    Reads a framed body: who derives from it says what becomes of the parts.

    Raises S3Error: InvalidRequest for framing that is none, IncompleteBody where lengths differ,
    MalformedTrailerError, SignatureDoesNotMatch.
    """

    def __init__(
        self, token: Token, length: int, announced: tuple[str, ...], theirs: Chain | None
    ) -> None:
        self.out: list[Piece] = []
        """What may go on; whoever takes it empties the list."""
        self._token = token
        self._length = length
        self._announced = announced
        self._theirs = theirs
        self._state = _State.LINE
        self._partial = b""
        self._left = 0
        self._total = 0
        self._trailer = b""
        self._spare = b""
        self._apart = False
        self._fields: list[tuple[str, str]] = []
        self._signature = ""
        self._hash = hashlib.sha256()

    # What becomes of the parts

    def began(self, line: bytes) -> None:
        """A chunk with data begins."""

    def data(self, piece: memoryview) -> None:
        """Some of its bytes."""

    def ended(self) -> None:
        """All of its bytes have come, and its signature was right."""

    def closed(self, line: bytes) -> None:
        """The last chunk, without data, has come; its signature was right."""

    def trailed(self, trailer: bytes, fields: list[tuple[str, str]]) -> None:
        """The trailer has come, as it was announced; its signature was right."""

    # Reading

    def feed(self, data: bytes) -> None:
        """The next bytes of the stream, however cut."""
        view = memoryview(data)
        at, end = 0, len(data)
        while at < end:
            if self._state is not _State.DATA:
                at = self._read_line(data, at)
                continue
            stop = min(end, at + self._left)
            piece = view[at:stop]
            if self._theirs is not None:
                self._hash.update(piece)
            self.data(piece)
            self._left -= stop - at
            at = stop
            if not self._left:
                self._state = _State.AFTER

    def finish(self) -> None:
        """The stream has ended. Raises S3Error (IncompleteBody) where its frames have not (CHK-11)."""
        if self._state is not _State.DONE:
            raise incomplete()

    def _read_line(self, data: bytes, at: int) -> int:
        if self._state is _State.DONE:
            raise S3Error(errors.INVALID_REQUEST, "There are bytes after the end of the body.")
        limit = TRAILER_MAX if self._state is _State.TRAILER else LINE_MAX
        room = limit - len(self._partial)
        stop = data.find(b"\n", at, at + room)
        if stop < 0:
            if len(data) - at >= room:
                raise _bad_trailer() if self._state is _State.TRAILER else _malformed()
            self._partial += data[at:]
            return len(data)
        line = self._partial + data[at : stop + 1]
        self._partial = b""
        self._take_line(line)
        return stop + 1

    def _take_line(self, line: bytes) -> None:
        if self._state is _State.TRAILER:
            self._take_trailer(line)
        elif self._state is _State.LINE:
            self._take_size(line)
        elif line == b"\r\n":
            self._end_chunk()
            self._state = _State.LINE
        else:
            raise _malformed()

    def _take_size(self, line: bytes) -> None:
        """CHK-5: by a regular expression; int() takes +5, 1_0, 0x5 and other digits."""
        match = (_SIGNED_SIZE if self._token.signed else _SIZE).fullmatch(line)
        if match is None:
            raise _malformed()
        size = int(match[1], 16)
        if self._token.signed:
            self._signature = match[2].decode()
            if size > SIGNED_CHUNK_MAX:  # CHK-7
                raise S3Error(
                    errors.INVALID_REQUEST,
                    f"A signed chunk may be {SIGNED_CHUNK_MAX} bytes long at most.",
                )
        self._total += size
        if self._total > self._length:  # CHK-4
            raise incomplete()
        if size:
            self._left = size
            self._state = _State.DATA
            self._hash = hashlib.sha256()
            self.began(line)
            return
        if self._total != self._length:
            raise incomplete()
        self._verify_chunk(EMPTY_HASH)
        self._state = _State.TRAILER
        self.closed(line)

    def _end_chunk(self) -> None:
        if self._theirs is not None:
            self._verify_chunk(self._hash.hexdigest())
        self.ended()

    def _verify_chunk(self, digest: str) -> None:
        if self._theirs is not None:
            _same(self._theirs.chunk(digest), self._signature)

    def _take_trailer(self, line: bytes) -> None:
        if line == b"\r\n" and not self._apart:
            self._end_trailer()
            self._state = _State.DONE
            return
        if self._apart or not line.endswith(b"\r\n"):
            line = self._joined(line)
        if not line:
            return
        match = _FIELD.fullmatch(line)
        # Nothing may follow the trailer's signature (CHK-9).
        if match is None or (self._fields and self._fields[-1][0] == TRAILER_SIGNATURE):
            raise _bad_trailer()
        self._trailer += line
        if len(self._trailer) > TRAILER_MAX:
            raise _bad_trailer()
        self._fields.append((match[1].decode().lower(), match[2].decode().strip(" \t")))

    def _joined(self, line: bytes) -> bytes:
        """
        CHK-26: minio-go ends a field by LF, and sets what follows apart by CRLF.

        Only one field can be: it goes on ended by CRLF, and what that spares is a digit of the
        last chunk's size, so that lengths stay.
        """
        if self._apart:
            self._apart = False
            if line != b"\r\n":
                raise _bad_trailer()
            return b""
        if self._spare or not self._token.trailer:
            raise _bad_trailer()
        self._apart, self._spare = True, b"0"
        return line[:-1] + b"\r\n"

    def _end_trailer(self) -> None:
        fields = self._fields
        signature = ""
        if self._token.signed and self._token.trailer:
            if not fields or fields[-1][0] != TRAILER_SIGNATURE:  # CHK-9
                raise S3Error(
                    errors.SIGNATURE_DOES_NOT_MATCH, "The signature of the trailer is missing."
                )
            signature = fields[-1][1]
            fields = fields[:-1]
        if sorted(name for name, _ in fields) != sorted(self._announced):  # CHK-10
            raise _bad_trailer()
        if self._theirs is not None and self._token.trailer:
            if not _HEX.fullmatch(signature) or not self._trailer.endswith(
                signature.encode() + b"\r\n"
            ):
                raise _mismatch()
            _same(self._theirs.trailer(trailer_hash(fields)), signature)
        self.trailed(self._trailer, fields)


def hold(held: list[Piece], piece: memoryview) -> None:
    """
    Keeps a piece without copying it, but for small ones: a stream that comes in single bytes
    must not cost two hundred times its size (CHK-12).
    """
    if len(piece) >= SMALL_PIECE:
        held.append(piece)
    elif held and isinstance(held[-1], bytearray):
        held[-1] += piece
    else:
        held.append(bytearray(piece))


def trailer_hash(fields: list[tuple[str, str]]) -> str:
    """What the signature of a trailer covers."""
    text = "".join([f"{name}:{value}\n" for name, value in fields])
    return hashlib.sha256(text.encode()).hexdigest()


class Resigner(Frames):
    """
    Verifies each chunk with the client's key and signs it anew in place (CHK-8).

    64 digits a chunk and 64 in the trailer change and nothing else, so all lengths stay. The last
    chunk and the trailer go on only once the stream has ended well (CHK-16).
    """

    def __init__(
        self,
        token: Token,
        length: int,
        announced: tuple[str, ...],
        theirs: Chain,
        ours: Chain,
    ) -> None:
        super().__init__(token, length, announced, theirs)
        self._ours = ours
        self._line = b""
        self._held: list[Piece] = []
        self._last: list[Piece] = []

    def began(self, line: bytes) -> None:
        self._line = line

    def data(self, piece: memoryview) -> None:
        hold(self._held, piece)

    def ended(self) -> None:
        self.out.append(_resigned(self._line, self._ours.chunk(self._hash.hexdigest())))
        self.out += self._held
        self.out.append(b"\r\n")
        self._held = []

    def closed(self, line: bytes) -> None:
        self._last.append(_resigned(line, self._ours.chunk(EMPTY_HASH)))

    def trailed(self, trailer: bytes, fields: list[tuple[str, str]]) -> None:
        if self._token.trailer:
            self._last.insert(0, self._spare)
            self._last.append(_resigned(trailer, self._ours.trailer(trailer_hash(fields))))
        self._last.append(b"\r\n")

    def finish(self) -> None:
        super().finish()
        self.out += self._last


def _resigned(line: bytes, signature: str) -> bytes:
    return b"%b%b\r\n" % (line[:-_SIGNATURE_END], signature.encode())


class Opener(Frames):
    """Takes the frames off; what was signed is verified before a byte of it goes on (CHK-7)."""

    def __init__(
        self,
        token: Token,
        length: int,
        announced: tuple[str, ...],
        theirs: Chain | None,
        sums: Sums,
    ) -> None:
        super().__init__(token, length, announced, theirs)
        self._sums = sums
        self._held: list[Piece] = []

    def data(self, piece: memoryview) -> None:
        hold(self.out if self._theirs is None else self._held, piece)

    def ended(self) -> None:
        self.out += self._held
        self._held = []

    def trailed(self, trailer: bytes, fields: list[tuple[str, str]]) -> None:
        for name, value in fields:
            self._sums.expect(name, value)


def incomplete() -> S3Error:
    return S3Error(
        errors.INCOMPLETE_BODY,
        "You did not provide the number of bytes specified by the Content-Length or "
        "x-amz-decoded-content-length header.",
    )


def _malformed() -> S3Error:
    return S3Error(errors.INCOMPLETE_BODY, "The aws-chunked framing of the body is malformed.")


def _bad_trailer() -> S3Error:
    return S3Error(errors.MALFORMED_TRAILER, "The trailer is not what x-amz-trailer has announced.")


def _mismatch() -> S3Error:
    return S3Error(
        errors.SIGNATURE_DOES_NOT_MATCH,
        "The signature of a chunk or of the trailer does not match what was received.",
    )


def _same(computed: str, given: str) -> None:
    if not hmac.compare_digest(computed, given):  # SIG-9
        raise _mismatch()
