"""
Bodies as they were declared: checked, carried on, signed anew, unframed, framed.

What a client token means at an upstream, by its switch `payload`:

==================  ==============================  ==========================================
client token        passthrough                     decode
==================  ==============================  ==========================================
hash                untouched; upstream compares    hashed here too, the end held back
UNSIGNED-PAYLOAD    untouched                       the same, where a header holds a checksum
unsigned trailer    untouched; upstream compares    unframed, compared, sent by our own token
signed chunks       verified, signed anew in place  verified, unframed, sent by our own token
none                sent by our own token           the same
==================  ==============================  ==========================================

The commit gate (CHK-16): an upstream never gets the complete body of a request that turns out bad.
Either it compares by itself, or a bad chunk is never signed, or the last piece is held back until
everything is known; then the iterator raises, and whoever passes the bytes on cuts the connection.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator

from gateway.message import NO_BODY, Body, BodyTooLarge, BytesBody, Headers, IterBody
from gateway.records import Struct
from gateway.s3 import errors
from gateway.s3.errors import S3Error
from gateway.s3.operations import Operation
from gateway.s3.rewrite import HeaderEdits
from gateway.sigv4.checksums import (
    CONTENT_MD5,
    CONTENT_SHA256,
    Sums,
    in_headers,
)
from gateway.sigv4.chunks import (
    Chain,
    Frames,
    Opener,
    Resigner,
    incomplete,
)
from gateway.sigv4.framer import Framer, drained, framed_length
from gateway.sigv4.plan import (
    DECODED_LENGTH,
    NO_EDITS,
    TRAILER,
    Plan,
    Switch,
    named_algorithm,
    without_frames,
)
from gateway.sigv4.sign import EMPTY_HASH, UNSIGNED, Signature
from gateway.sigv4.tokens import NONE, SIGNED_CHUNKS, Token, read_token
from gateway.sigv4.verify import Seal

__all__ = ["Payload", "Plan", "Seal", "Switch"]

_LENGTH = re.compile(r"[0-9]{1,19}")
_LENGTH_END = 2**63  # 64 bits with a sign: no object is longer, and no server counts further
_ZERO_CHECKSUMS = ("AAAAAA==", "AAAAAAAAAAA=")  # what CRCs of nothing are

_NOTHING = Plan(token=EMPTY_HASH, length=0)


class Payload(Struct, eq=False):
    """The body of one request, and what was declared of it."""

    _body: Body
    _headers: Headers
    """Of the request, with those that a presigned URL carries in its query (PRE-8)."""
    _seal: Seal | None
    """None where nothing was signed: bearer, basic, cookie, share, nobody."""
    _token: Token = NONE
    _decoded: int = 0
    _announced: tuple[str, ...] = ()
    _streaming: bool = False
    _covered: bool = True
    _started: bool = False

    @property
    def taken(self) -> bool:
        """Whether a byte of the client's body was read: nothing is sent twice then (FWD-12)."""
        return self._started or bool(getattr(self._body, "count", 0))

    @property
    def size(self) -> int | None:
        """Bytes of the object in it, without frames; None where only its end tells."""
        return self._decoded if self._token.framed else self._body.length

    # Before anything is read

    def check(self, operation: Operation) -> None:
        """
        What can be said before a byte is read. Comes before all else.

        Raises S3Error: InvalidArgument, InvalidRequest, NotImplemented, MissingContentLength,
        XAmzContentSHA256Mismatch, BadDigest, InvalidDigest.
        """
        self._streaming = operation.streaming_body
        # There a checksum is that of the whole object, which the parts make.
        self._covered = operation.name != "CompleteMultipartUpload"
        declared = self._headers.get(CONTENT_SHA256) if self._seal is None else self._seal.token
        self._token = NONE if declared is None else read_token(declared)
        if operation.keys_in_body and not (self._token.hashed or any(in_headers(self._headers))):
            raise S3Error(errors.INVALID_REQUEST, "Content-MD5 or a checksum is required.")  # DEL-1
        if self._token.framed:
            self._check_framed()
        elif self._streaming and self._body.length is None:  # CHK-3
            raise S3Error(errors.MISSING_CONTENT_LENGTH)
        elif self._body.length == 0:
            if self._streaming and "content-length" not in self._headers:  # CHK-3
                raise S3Error(errors.MISSING_CONTENT_LENGTH)
            if self._streaming or (self._token.hashed and self._token.text != EMPTY_HASH):
                self._sums().compare()  # CHK-17: there will be nothing to hold back
        elif self._seal is not None and self._seal.presigned:
            self._check_pinned()

    def _check_framed(self) -> None:
        if not self._streaming:  # CHK-2: a document in frames would be parsed as framing
            raise S3Error(
                errors.INVALID_REQUEST, f"{self._token.text} is for uploads of objects only."
            )
        if self._token.signed and self._seal is None:  # CHK-22: there is no seed
            raise S3Error(
                errors.INVALID_REQUEST, f"{self._token.text} needs a signature of the request."
            )
        text = self._headers.get(DECODED_LENGTH)
        if text is None:  # CHK-3
            raise S3Error(
                errors.MISSING_CONTENT_LENGTH, f"You must provide the {DECODED_LENGTH} header."
            )
        self._decoded = int(text) if _LENGTH.fullmatch(text) else _LENGTH_END
        if self._decoded >= _LENGTH_END:
            raise S3Error(
                errors.INVALID_ARGUMENT,
                "The length is not a number of bytes.",
                argument_name=DECODED_LENGTH,
                argument_value=text,
            )
        if self._token.trailer:
            names = (self._headers.get(TRAILER) or "").lower().split(",")
            self._announced = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))

    def _check_pinned(self) -> None:
        """PRE-9: aws-sdk-js puts the checksum of an empty body into links; it is enforced."""
        for name in in_headers(self._headers):
            if self._headers.get(name) in _ZERO_CHECKSUMS:
                raise S3Error(
                    errors.BAD_DIGEST,
                    f"The URL was signed with {name} of an empty body. Make it with "
                    "requestChecksumCalculation: WHEN_REQUIRED.",
                )

    def _sums(self) -> Sums:
        """What headers say of the body's bytes."""
        sums = Sums()
        if self._token.hashed:
            sums.expect(CONTENT_SHA256, self._token.text)
        for name in in_headers(self._headers):
            if self._covered or name == CONTENT_MD5:
                sums.expect(name, self._headers[name])
        return sums

    # Read whole

    def must_read(self, switch: Switch, *, secure: bool, signed: bool = True) -> bool:
        """
        Whether the body has to be read before it can be planned: then `read` it, and hand what it
        gives to `plan` as `bytes_out`.

        So it is with a framed body of no bytes that is to be unframed (CHK-17), and with a document
        that came without a token and goes on over plain http, where its hash must be signed (CHK-19).
        """
        if self._token.framed:
            return self._decoded == 0 and (switch == "decode" or not signed)
        bare = self._token is NONE and self._body.length != 0
        return bare and not self._streaming and signed and not secure

    async def read(self, limit: int) -> bytes:
        """
        The whole body, unframed, found to be what was declared (SIG-26).

        Raises S3Error: MaxMessageLengthExceeded beyond `limit` bytes; what its checks raise.
        """
        self._started = True
        sums = self._sums()
        if self._token.framed:
            pieces = self._opened(sums)
            data = await _joined(pieces, limit)
        else:
            try:
                data = await self._body.read(limit)
            except BodyTooLarge as large:
                raise _too_large() from large
            sums.update(data)
        sums.compare()
        return data

    # Planned and sent

    def plan(
        self,
        switch: Switch,
        *,
        secure: bool,
        bytes_out: bytes | None = None,
        signed: bool = True,
    ) -> Plan:
        """
        How the body goes to an upstream.

        Args:
            secure: TLS leads there.
            bytes_out: goes out instead of the body, which was read (CHK-21).
            signed: the request is signed; anonymous credentials leave nobody to sign chunks.

        Raises S3Error (NotImplemented) for an announced checksum that cannot be computed here.

        """
        token, length = self._token, self._body.length
        if bytes_out is not None:
            return self._plan_bytes(bytes_out)
        if length == 0 and (token is NONE or token.text == EMPTY_HASH):
            return _NOTHING
        if token.framed:
            if switch == "passthrough" and signed:
                return self._plan_framed()
            return self._plan_unframed(secure=secure, signed=signed)
        if token is NONE:
            return self._plan_bare(switch, secure=secure, signed=signed)
        if length != 0 and (switch == "decode" or not signed) and self._sums():
            return Plan(token=token.text, length=length, how="checked")
        return Plan(token=token.text, length=length)

    def _plan_bytes(self, data: bytes) -> Plan:
        edits = without_frames(self._headers) if self._token.framed else NO_EDITS
        return Plan(
            token=hashlib.sha256(data).hexdigest() if data else EMPTY_HASH,
            set=edits.set,
            drop=edits.drop,
            length=len(data),
            how="bytes",
            data=data,
        )

    def _plan_framed(self) -> Plan:
        """As the client framed it; signed chunks are signed anew in place (CHK-8)."""
        return Plan(
            token=self._token.text,
            set=named_algorithm(self._headers, self._announced),
            length=self._body.length,
            how="resigned" if self._token.signed else "untouched",
        )

    def _plan_unframed(self, *, secure: bool, signed: bool) -> Plan:
        self._opener(self._sums())  # refuses what could not be compared, before anything is sent
        edits = without_frames(self._headers)
        return self._own(self._decoded, edits, checked=True, secure=secure, signed=signed)

    def _plan_bare(self, switch: Switch, *, secure: bool, signed: bool) -> Plan:
        length = self._body.length
        checked = (switch == "decode" or not signed) and bool(self._sums())
        return self._own(length, NO_EDITS, checked=checked, secure=secure, signed=signed)

    def _own(
        self, length: int | None, edits: HeaderEdits, *, checked: bool, secure: bool, signed: bool
    ) -> Plan:
        """CHK-19: a token of our own making."""
        if secure or not signed:
            return Plan(
                token=UNSIGNED,
                set=edits.set,
                drop=edits.drop,
                length=length,
                how="checked" if checked else "untouched",
            )
        if length is None:
            raise ValueError("a body of unknown length cannot be framed: must_read() says so")
        return Plan(
            token=SIGNED_CHUNKS,
            set=(*edits.set, (DECODED_LENGTH, str(length))),
            drop=edits.drop,
            length=framed_length(length),
            how="checked",
            framed=True,
        )

    def stream(self, plan: Plan, signature: Signature) -> Body:
        """
        The body to send by a plan, under the signature of the head that was made for it.

        Its iterator raises S3Error as soon as the body turns out not to be what was declared, and
        has then not given all of it (CHK-16). So does this, where all of the body is there already.
        """
        if plan.how == "untouched":
            return self._body if plan.length != 0 else NO_BODY
        if plan.how == "bytes":
            return BytesBody(plan.data)
        whole = self._body.whole()
        if whole is not None:
            self._started = True
            return BytesBody(self._at_once(whole, plan, signature))
        if plan.how == "resigned":
            return IterBody(self._resigned(_chain(signature)), plan.length)
        pieces = self._checked()
        if plan.framed:
            pieces = _framed(pieces, _chain(signature))
        return IterBody(pieces, plan.length)

    def _at_once(self, whole: bytes, plan: Plan, signature: Signature) -> bytes:
        """What the streams below give, from a body that is there: small ones mostly are."""
        if plan.how == "resigned":
            return _passed(self._resigner(_chain(signature)), whole)
        sums = self._sums()
        data = _passed(self._opener(sums), whole) if self._token.framed else whole
        if len(data) != (self._decoded if self._token.framed else self._body.length):  # CHK-4
            raise incomplete()
        sums.update(data)
        sums.compare()
        if not plan.framed:
            return data
        framer = Framer(_chain(signature))
        return b"".join([*framer.feed(data), *framer.finish()])

    # The streams

    def _theirs(self) -> Chain | None:
        """The chain of the client's chunk signatures; None where chunks are not signed."""
        if not self._token.signed or self._seal is None:
            return None
        seal = self._seal
        return Chain(seal.signing_key, seal.when, seal.scope, seal.seed)

    def _opener(self, sums: Sums) -> Opener:
        for name in self._announced:
            sums.announce(name)
        return Opener(self._token, self._decoded, self._announced, self._theirs(), sums)

    def _resigner(self, ours: Chain) -> Resigner:
        theirs = self._theirs()
        assert theirs is not None  # check() lets signed chunks pass with a seal only
        return Resigner(self._token, self._decoded, self._announced, theirs, ours)

    async def _resigned(self, ours: Chain) -> AsyncIterator[bytes]:
        async for piece in self._through(self._resigner(ours)):
            yield piece

    async def _through(self, frames: Frames) -> AsyncIterator[bytes]:
        async for data in self._source():
            frames.feed(data)
            for piece in drained(frames.out):
                yield piece
        frames.finish()
        for piece in drained(frames.out):
            yield piece

    async def _source(self) -> AsyncIterator[bytes]:
        async for data in self._body:
            self._started = True
            yield data

    async def _opened(self, sums: Sums) -> AsyncIterator[bytes]:
        async for piece in self._through(self._opener(sums)):
            sums.update(piece)
            yield piece

    async def _checked(self) -> AsyncIterator[bytes]:
        """The object's bytes; the last of them only once everything about them was right."""
        sums = self._sums()
        framed = self._token.framed
        length = self._decoded if framed else self._body.length
        total = 0
        held = b""
        async for piece in self._opened(sums) if framed else self._source():
            total += len(piece)
            if length is not None and total > length:
                raise incomplete()
            if not framed:
                sums.update(piece)
            if held:
                yield held
            held = piece
        if length is not None and total != length:  # CHK-4
            raise incomplete()
        sums.compare()
        if held:
            yield held


def _chain(signature: Signature) -> Chain:
    assert signature.signing_key is not None  # an unsigned request has no signed frames
    return Chain(signature.signing_key, signature.amz_date, signature.scope, signature.signature)


def _passed(frames: Frames, whole: bytes) -> bytes:
    frames.feed(whole)
    frames.finish()
    return b"".join(frames.out)


async def _framed(pieces: AsyncIterator[bytes], ours: Chain) -> AsyncIterator[bytes]:
    framer = Framer(ours)
    async for piece in pieces:
        for chunk in drained(framer.feed(piece)):
            yield chunk
    for chunk in drained(framer.finish()):
        yield chunk


async def _joined(pieces: AsyncIterator[bytes], limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise _too_large()
        parts.append(piece)
    return b"".join(parts)


def _too_large() -> S3Error:
    return S3Error(errors.MAX_MESSAGE_LENGTH_EXCEEDED)
