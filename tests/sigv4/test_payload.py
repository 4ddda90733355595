"""
Bodies by client token and switch: what comes out, what the head says, and what never gets out whole.

The upstream of these tests recomputes everything (CHK-25): frames and their signatures, hash,
lengths, checksums.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message import NO_BODY, Body, BytesBody, Headers
from gateway.s3.errors import S3Error
from gateway.s3.operations import OPERATIONS
from gateway.sigv4 import checksums
from gateway.sigv4.chunks import Chain, Opener
from gateway.sigv4.framer import framed_length
from gateway.sigv4.payload import Payload, Plan, Switch
from gateway.sigv4.sign import EMPTY_HASH, UNSIGNED, SigningKey
from gateway.sigv4.tokens import read_token
from tests.sigv4.framing import (
    OUR_KEY,
    OUR_SEED,
    OURS,
    SCOPE,
    SIGNED_CHUNKS,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    WHEN,
    Framed,
    Wire,
    collect,
    cut,
    framed,
    seal,
    sha,
)

PUT = OPERATIONS["PutObject"]
PART = OPERATIONS["UploadPart"]
SWITCHES: list[Switch] = ["passthrough", "decode"]
CRC = "x-amz-checksum-crc32"
OBJECT = b"the object's bytes, " * 20


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


class There(Body):
    """A body that has come whole before anybody asks for it."""

    def __init__(self, data: bytes, length: int | None) -> None:
        self._data: bytes | None = data
        self.length = length

    def whole(self) -> bytes | None:
        data, self._data = self._data, None
        return data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if data := self.whole():
            yield data


@dataclass(frozen=True)
class Sent:
    """What a client sends as a body, and the headers that say so."""

    wire: bytes
    headers: tuple[tuple[str, str], ...]
    token: str | None

    def payload(
        self, places: Sequence[int] | None = (), *, length: int | None = -1, proof: bool = True
    ) -> Payload:
        """`places` is where the stream is cut; None for a body that is there already."""
        declared = len(self.wire) if length == -1 else length
        body = (
            There(self.wire, declared) if places is None else Wire(cut(self.wire, places), declared)
        )
        pairs = [*self.headers]
        if declared is not None:
            pairs.append(("content-length", str(declared)))
        if self.token is not None:
            pairs.append(("x-amz-content-sha256", self.token))
        signed = seal(self.token) if proof and self.token is not None else None
        return Payload(body, Headers(pairs), signed)


def upload(token: str | None, data: bytes, *, size: int = 64) -> Sent:
    """An object as clients send it under each token."""
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    length = ("x-amz-decoded-content-length", str(len(data)))
    trailer = ("x-amz-trailer", CRC)
    match token:
        case "hash":
            return Sent(data, (), sha(data))
        case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD":
            return Sent(framed(chunks).wire, (length,), token)
        case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
            wire = framed(chunks, trailer=[(CRC, crc32(data))]).wire
            return Sent(wire, (length, trailer), token)
        case "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
            wire = framed(chunks, signed=False, trailer=[(CRC, crc32(data))]).wire
            return Sent(wire, (length, trailer, ("content-encoding", "aws-chunked")), token)
        case _:
            return Sent(data, (), token)


TOKENS = ["hash", UNSIGNED, UNSIGNED_TRAILER, SIGNED_CHUNKS, SIGNED_TRAILER, None]


async def arrived(payload: Payload, plan: Plan) -> bytes:
    """The object that a strict upstream stores; fails where it would refuse."""
    out = await collect(payload.stream(plan, OURS))
    if plan.length is not None:
        assert len(out) == plan.length  # CHK-18
    token = read_token(plan.token)
    if not token.framed:
        assert not token.hashed or sha(out) == plan.token.lower()
        return out
    edited = {name: value for name, value in payload._headers if name not in plan.drop}
    edited |= dict(plan.set)
    announced = tuple(n for n in edited.get("x-amz-trailer", "").split(",") if n)
    sums = checksums.Sums()
    for name in announced:
        assert "x-amz-sdk-checksum-algorithm" in edited  # CHK-14
        sums.announce(name)
    chain = Chain(SigningKey(OUR_KEY), WHEN, SCOPE, OUR_SEED) if token.signed else None
    opener = Opener(token, int(edited["x-amz-decoded-content-length"]), announced, chain, sums)
    opener.feed(out)
    opener.finish()
    stored = b"".join(opener.out)
    sums.update(stored)
    sums.compare()
    return stored


async def carried(
    payload: Payload, switch: Switch, *, secure: bool, signed: bool = True
) -> tuple[Plan, bytes]:
    """What the pipeline does with a payload."""
    payload.check(PUT)
    data = None
    if payload.must_read(switch, secure=secure, signed=signed):
        data = await payload.read(1000)
    plan = payload.plan(switch, secure=secure, bytes_out=data, signed=signed)
    return plan, await arrived(payload, plan)


def refusal(error: S3Error) -> tuple[int, str]:
    return error.status, error.code


# --- everything that is good ----------------------------------------------------------------


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
@pytest.mark.parametrize("size", [0, 1, 400, 200_000])
async def test_chk_24_what_arrives_is_what_was_sent(token, switch, secure, size):
    """Each token by each switch to each kind of upstream: the same bytes, to the last."""
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    plan, stored = await carried(upload(token, data, size=70_000).payload(), switch, secure=secure)

    assert stored == data
    if switch == "decode":
        assert plan.token not in (UNSIGNED_TRAILER, SIGNED_TRAILER)
        assert plan.length is not None
    elif token is not None:
        assert plan.token == (sha(data) if token == "hash" else token)


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=300),
    token=st.sampled_from(TOKENS),
    switch=st.sampled_from(SWITCHES),
    secure=st.booleans(),
    places=st.lists(st.integers(0, 2000), max_size=10),
)
async def test_chk_6_nothing_depends_on_how_the_stream_was_cut(data, token, switch, secure, places):
    """Any object under any token, in pieces of any size."""
    sent = upload(token, data)
    plan, stored = await carried(sent.payload(places), switch, secure=secure)
    again, whole = await carried(sent.payload(), switch, secure=secure)
    at_once, there = await carried(sent.payload(None), switch, secure=secure)

    assert stored == data == whole == there
    assert plan == again == at_once


@pytest.mark.parametrize("token", [UNSIGNED_TRAILER, SIGNED_CHUNKS, SIGNED_TRAILER])
@pytest.mark.parametrize("switch", SWITCHES)
async def test_chk_18_without_a_length_frames_go_in_http_chunks_or_get_one(token, switch):
    """boto3 over TLS sends no Content-Length; `decode` gives one, passthrough does not."""
    payload = upload(token, OBJECT).payload(length=None)
    plan, stored = await carried(payload, switch, secure=True)

    assert stored == OBJECT
    assert plan.length == (None if switch == "passthrough" else len(OBJECT))


@pytest.mark.parametrize("token", ["hash", UNSIGNED, UNSIGNED_TRAILER])
async def test_chk_16_where_the_upstream_compares_the_body_is_not_touched(token):
    """The very object that came in goes out: no work for its bytes."""
    sent = upload(token, OBJECT)
    payload = sent.payload()
    payload.check(PUT)
    plan = payload.plan("passthrough", secure=False)

    assert payload.stream(plan, OURS) is payload._body
    assert plan.length == len(sent.wire)


async def test_chk_14_the_algorithm_of_a_trailer_is_named():
    """pyarrow and rclone leave the header out; what is there stays as it is."""
    sent = upload(UNSIGNED_TRAILER, OBJECT)
    payload = sent.payload()
    payload.check(PUT)
    assert payload.plan("passthrough", secure=True).set == (
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
    )

    named = Sent(sent.wire, (*sent.headers, ("x-amz-sdk-checksum-algorithm", "CRC32")), sent.token)
    payload = named.payload()
    payload.check(PUT)
    assert payload.plan("passthrough", secure=True).set == ()


@pytest.mark.parametrize(
    ("received", "kept"),
    [
        (["aws-chunked"], None),
        (["gzip, aws-chunked"], "gzip"),
        (["AWS-Chunked , gzip"], "gzip"),
        (["br,aws-chunked,gzip"], "br, gzip"),
        (["aws-chunked", "gzip"], "gzip"),
        (["gzip"], "gzip"),
        ([], None),
    ],
)
@pytest.mark.parametrize("token", [UNSIGNED_TRAILER, SIGNED_CHUNKS])
def test_chk_15_aws_chunked_is_taken_out_of_the_encoding(received, kept, token):
    """In any case, trimmed, the rest in order; passthrough leaves the header alone."""
    sent = upload(token, OBJECT)
    pairs = [p for p in sent.headers if p[0] != "content-encoding"]
    pairs += [("content-encoding", value) for value in received]
    payload = Sent(sent.wire, tuple(pairs), token).payload()
    payload.check(PUT)
    plan = payload.plan("decode", secure=True)
    left = {name: value for name, value in pairs if name not in plan.drop} | dict(plan.set)

    assert left.get("content-encoding") == kept
    assert left.keys() <= {"content-encoding"}
    untouched = payload.plan("passthrough", secure=True)
    assert not untouched.drop
    assert "content-encoding" not in dict(untouched.set)


def test_chk_20_a_checksum_in_a_header_keeps_its_algorithm():
    """What goes upstream untouched keeps the header that speaks of it."""
    sent = upload(SIGNED_CHUNKS, OBJECT)
    pairs = (*sent.headers, (CRC, crc32(OBJECT)), ("x-amz-sdk-checksum-algorithm", "CRC32"))
    payload = Sent(sent.wire, pairs, sent.token).payload()
    payload.check(PUT)

    assert "x-amz-sdk-checksum-algorithm" not in payload.plan("decode", secure=True).drop
    bare = upload(UNSIGNED_TRAILER, OBJECT).payload()
    bare.check(PUT)
    assert "x-amz-sdk-checksum-algorithm" in bare.plan("decode", secure=True).drop


DECODED = ("x-amz-decoded-content-length", "20000000")
CLIENTS = {
    # client: headers of an upload that speak of its body, length, what passthrough adds
    "boto3 https": (
        [
            ("content-encoding", "aws-chunked"),
            ("x-amz-trailer", CRC),
            DECODED,
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ("x-amz-content-sha256", UNSIGNED_TRAILER),
        ],
        None,
        None,
    ),
    "awscli http": (
        [
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
            (CRC, "3M4Xfg=="),
            ("x-amz-content-sha256", "4173d71c1d0826490e2459fa151eff46" * 2),
        ],
        8388608,
        None,
    ),
    "pyarrow": (
        [
            ("content-encoding", "aws-chunked"),
            ("x-amz-trailer", "x-amz-checksum-crc64nvme"),
            DECODED,
            ("x-amz-content-sha256", UNSIGNED_TRAILER),
        ],
        None,
        "CRC64NVME",
    ),
    "rclone stream": (
        [
            ("content-encoding", "aws-chunked"),
            ("content-md5", "O5CRGFawU4F5hXBEFCgGKg=="),
            ("x-amz-trailer", CRC),
            ("x-amz-decoded-content-length", "5242880"),
            ("x-amz-content-sha256", UNSIGNED_TRAILER),
        ],
        5242926,
        "CRC32",
    ),
    "restic": (
        [
            ("content-md5", "ZgYolJR3ZbiM1z6oaWgh5g=="),
            ("x-amz-decoded-content-length", "439"),
            ("x-amz-content-sha256", SIGNED_CHUNKS),
        ],
        613,
        None,
    ),
    "polars": (
        [
            ("x-amz-checksum-crc64nvme", "ItDhC8PHfBY="),
            ("x-amz-content-sha256", UNSIGNED),
        ],
        3396,
        None,
    ),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_chk_24_heads_as_real_clients_send_them(client):
    """Each is let through, keeps its token and its length, and is told apart where it is opened."""
    headers, length, algorithm = CLIENTS[client]
    token = dict(headers)["x-amz-content-sha256"]
    payload = Payload(Wire([], length), Headers(headers), seal(token))
    payload.check(PART)

    passed = payload.plan("passthrough", secure=False)
    opened = payload.plan("decode", secure=True)

    assert (passed.token, passed.length) == (token, length)
    assert dict(passed.set).get("x-amz-sdk-checksum-algorithm") == algorithm
    if token.startswith("STREAMING"):
        decoded = int(dict(headers)["x-amz-decoded-content-length"])
        assert (opened.token, opened.length) == (UNSIGNED, decoded)
    else:
        assert (opened.token, opened.length) == (token, length)


# --- tokens of our own ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "secure", "token"),
    [
        (b"", True, EMPTY_HASH),
        (b"", False, EMPTY_HASH),
        (OBJECT, True, UNSIGNED),
        (OBJECT, False, SIGNED_CHUNKS),
    ],
)
async def test_chk_19_our_own_token_depends_on_the_way_there(data, secure, token):
    """Unsigned over TLS only; over plain http each chunk is signed here."""
    for switch in SWITCHES:
        plan, stored = await carried(Sent(data, (), None).payload(), switch, secure=secure)

        assert (plan.token, stored) == (token, data)


async def test_chk_19_an_unframed_body_over_http_says_its_length():
    """The decoded length is written anew, and the framed one is exact."""
    payload = upload(UNSIGNED_TRAILER, OBJECT).payload()
    plan, _ = await carried(payload, "decode", secure=False)

    assert dict(plan.set)["x-amz-decoded-content-length"] == str(len(OBJECT))
    assert plan.length == framed_length(len(OBJECT))
    assert "x-amz-trailer" in plan.drop


@pytest.mark.parametrize("token", TOKENS)
async def test_fwd_1_anonymous_credentials_sign_no_chunks(token):
    """Nobody could sign them: frames are opened first, also over plain http."""
    payload = upload(token, OBJECT).payload()
    plan, stored = await carried(payload, "passthrough", secure=False, signed=False)

    assert stored == OBJECT
    assert plan.token == (sha(OBJECT) if token == "hash" else UNSIGNED)


@pytest.mark.parametrize("length", [len(OBJECT), None])
async def test_chk_19_a_document_without_a_token_is_read_and_hashed_over_http(length):
    """Only objects may be framed, and an unsigned body over http can be altered unseen."""
    payload = Sent(OBJECT, (), None).payload(length=length)
    payload.check(OPERATIONS["PutBucketPolicy"])

    assert payload.must_read("passthrough", secure=False)
    assert not payload.must_read("passthrough", secure=True)
    assert not payload.must_read("passthrough", secure=False, signed=False)
    data = await payload.read(1000)
    plan = payload.plan("passthrough", secure=False, bytes_out=data)
    assert (plan.token, plan.length) == (sha(OBJECT), len(OBJECT))
    assert await arrived(payload, plan) == OBJECT


def test_chk_19_a_body_of_unknown_length_cannot_be_framed():
    """Whoever did not ask must_read() is told so, and nothing is sent."""
    payload = Sent(OBJECT, (), None).payload(length=None)
    payload.check(OPERATIONS["PutBucketPolicy"])

    with pytest.raises(ValueError, match="must_read"):
        payload.plan("passthrough", secure=False)


async def test_chk_21_bytes_of_the_gateways_own_are_hashed():
    """A rewritten document goes out under its own hash, as often as needed."""
    payload = upload("hash", OBJECT).payload()
    payload.check(OPERATIONS["DeleteObjects"])
    plan = payload.plan("passthrough", secure=True, bytes_out=b"new")

    assert (plan.token, plan.length) == (sha(b"new"), 3)
    assert [await collect(payload.stream(plan, OURS)) for _ in range(2)] == [b"new", b"new"]


# --- refused before anything is read ----------------------------------------------------------


@pytest.mark.parametrize("token", [UNSIGNED_TRAILER, SIGNED_CHUNKS, SIGNED_TRAILER])
@pytest.mark.parametrize(
    "name",
    ["GetObject", "DeleteObjects", "PutBucketPolicy", "CompleteMultipartUpload", "CopyObject"],
)
def test_chk_2_frames_are_for_objects_only(token, name):
    """A document in frames would be parsed as framing."""
    payload = upload(token, OBJECT).payload()
    with pytest.raises(S3Error) as caught:
        payload.check(OPERATIONS[name])

    assert refusal(caught.value) == (400, "InvalidRequest")
    upload(token, OBJECT).payload().check(PART)


@pytest.mark.parametrize(
    ("length", "wanted"),
    [
        (None, (411, "MissingContentLength")),
        ("+5", (400, "InvalidArgument")),
        ("-1", (400, "InvalidArgument")),
        ("1_0", (400, "InvalidArgument")),
        ("٣", (400, "InvalidArgument")),
        ("", (400, "InvalidArgument")),
        (str(2**63), (400, "InvalidArgument")),
        ("9" * 30, (400, "InvalidArgument")),
    ],
)
def test_chk_3_frames_say_how_long_the_object_is(length, wanted):
    """ASCII digits, 64 bits wide."""
    pairs = () if length is None else (("x-amz-decoded-content-length", length),)
    with pytest.raises(S3Error) as caught:
        Sent(b"", pairs, UNSIGNED_TRAILER).payload().check(PUT)

    assert refusal(caught.value) == wanted


def test_chk_3_lengths_are_64_bits_wide():
    """A body of more than 4 GiB is one."""
    length = ("x-amz-decoded-content-length", str(2**63 - 1))

    Sent(b"", (length,), UNSIGNED_TRAILER).payload().check(PUT)


@pytest.mark.parametrize("token", ["hash", UNSIGNED, None])
def test_chk_3_an_object_without_frames_needs_a_length(token):
    """Other bodies may come in HTTP chunks."""
    with pytest.raises(S3Error) as caught:
        upload(token, OBJECT).payload(length=None).check(PUT)

    assert refusal(caught.value) == (411, "MissingContentLength")
    upload(token, OBJECT).payload(length=None).check(OPERATIONS["PutBucketPolicy"])


def test_chk_3_an_empty_object_says_that_it_is_empty():
    """Neither a length nor chunks: HTTP means nothing by it, S3 asks again; so much for uploads."""
    payload = Payload(NO_BODY, Headers(), None)
    with pytest.raises(S3Error) as caught:
        payload.check(PUT)

    assert refusal(caught.value) == (411, "MissingContentLength")
    payload.check(OPERATIONS["CreateBucket"])
    Payload(NO_BODY, Headers([("content-length", "0")]), None).check(PUT)


@pytest.mark.parametrize("token", [SIGNED_CHUNKS, SIGNED_TRAILER])
def test_chk_22_signed_chunks_need_a_seed(token):
    """A bearer brings none; the unsigned trailer form is carried."""
    with pytest.raises(S3Error) as caught:
        upload(token, OBJECT).payload(proof=False).check(PUT)

    assert refusal(caught.value) == (400, "InvalidRequest")


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("token", [UNSIGNED_TRAILER, "hash", UNSIGNED])
async def test_chk_22_other_tokens_are_carried_without_a_signature(switch, token):
    """What a bearer declares of the body holds as well."""
    _, stored = await carried(upload(token, OBJECT).payload(proof=False), switch, secure=True)

    assert stored == OBJECT


def test_chk_1_a_token_that_is_none_is_refused_without_a_signature_too():
    """There is one table of tokens."""
    with pytest.raises(S3Error) as caught:
        Sent(OBJECT, (), "STREAMING").payload(proof=False).check(PUT)

    assert refusal(caught.value) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("token", "headers", "code"),
    [
        (sha(OBJECT), (), "XAmzContentSHA256Mismatch"),
        (EMPTY_HASH, (("content-md5", md5(OBJECT)),), "BadDigest"),
        (UNSIGNED, ((CRC, crc32(OBJECT)),), "BadDigest"),
        (None, ((CRC, crc32(OBJECT)),), "BadDigest"),
        (UNSIGNED, (("content-md5", "x"),), "InvalidDigest"),
    ],
)
def test_chk_17_a_body_of_no_bytes_is_checked_before_it_is_sent(token, headers, code):
    """There will be nothing to hold back."""
    with pytest.raises(S3Error) as caught:
        Sent(b"", headers, token).payload().check(PUT)

    assert refusal(caught.value) == (400, code)


def test_chk_17_a_request_without_a_body_is_let_through():
    """With what a GET has, and a hash in capitals."""
    payload = Sent(b"", ((CRC, crc32(b"")), ("content-md5", md5(b""))), EMPTY_HASH).payload()
    payload.check(PUT)
    payload.check(OPERATIONS["GetObject"])

    assert payload.stream(payload.plan("decode", secure=False), OURS) is NO_BODY


@pytest.mark.parametrize("switch", SWITCHES)
async def test_chk_17_frames_of_nothing_are_read_before_they_are_opened(switch):
    """A false trailer after no bytes never becomes an empty object."""
    good = upload(SIGNED_TRAILER, b"")
    bad = Sent(good.wire.replace(b"AAAAAA==", b"AAAAAB=="), good.headers, good.token)

    with pytest.raises(S3Error) as caught:
        await carried(bad.payload(), switch, secure=True)
    assert refusal(caught.value) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(("token", "good"), [(EMPTY_HASH, True), (sha(OBJECT), False)])
async def test_chk_17_a_body_of_unknown_length_may_turn_out_empty(token, good):
    """In HTTP chunks: the end is not written before it was compared."""
    payload = Sent(b"", (), token).payload(length=None)
    payload.check(OPERATIONS["PutBucketPolicy"])
    plan = payload.plan("decode", secure=True)
    if good:
        assert await arrived(payload, plan) == b""
        return
    with pytest.raises(S3Error) as caught:
        await arrived(payload, plan)
    assert refusal(caught.value) == (400, "XAmzContentSHA256Mismatch")


@pytest.mark.parametrize("value", ["AAAAAA==", "AAAAAAAAAAA="])
def test_pre_9_a_link_with_the_checksum_of_nothing_takes_nothing(value):
    """aws-sdk-js signs it; the message tells how to make a better link."""
    name = CRC if len(value) == 8 else "x-amz-checksum-crc64nvme"
    pairs = Headers([(name, value)])
    payload = Payload(Wire([OBJECT], len(OBJECT)), pairs, seal(UNSIGNED, presigned=True))
    with pytest.raises(S3Error, match="requestChecksumCalculation: WHEN_REQUIRED") as caught:
        payload.check(PUT)

    assert refusal(caught.value) == (400, "BadDigest")
    Payload(BytesBody(), pairs, seal(UNSIGNED, presigned=True)).check(OPERATIONS["GetObject"])
    other = Headers([(CRC, crc32(OBJECT))])
    Payload(Wire([OBJECT], len(OBJECT)), other, seal(UNSIGNED, presigned=True)).check(PUT)


def test_chk_13_a_trailer_that_cannot_be_computed_is_501_in_decode(monkeypatch):
    """Before anything is sent; passthrough leaves it to the upstream."""
    slim = {n: make for n, make in checksums.native().items() if n != "crc64nvme"}
    monkeypatch.setattr(checksums, "native", lambda: slim)
    pairs = (("x-amz-decoded-content-length", "5"), ("x-amz-trailer", "x-amz-checksum-crc64nvme"))
    payload = Sent(b"", pairs, UNSIGNED_TRAILER).payload()
    payload.check(PUT)
    with pytest.raises(S3Error) as caught:
        payload.plan("decode", secure=True)

    assert refusal(caught.value) == (501, "NotImplemented")
    assert payload.plan("passthrough", secure=True).token == UNSIGNED_TRAILER


# --- refused while it flows: the commit gate --------------------------------------------------


async def leaked(
    payload: Payload, switch: Switch, *, secure: bool
) -> tuple[tuple[int, str], int, Plan]:
    """How a bad body was refused, and how many bytes of it had gone out before."""
    payload.check(PUT)
    plan = payload.plan(switch, secure=secure)
    out = 0
    with pytest.raises(S3Error) as caught:
        async for piece in payload.stream(plan, OURS):
            out += len(piece)
    assert plan.length is None or out < plan.length
    return refusal(caught.value), out, plan


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
@pytest.mark.parametrize("places", [None, (), (10, 200), range(400)])
@pytest.mark.parametrize(
    ("token", "headers", "code"),
    [
        (sha(b"x" + OBJECT[1:]), (), "XAmzContentSHA256Mismatch"),
        (UNSIGNED, (("content-md5", md5(b"other")),), "BadDigest"),
        (sha(OBJECT), ((CRC, crc32(b"other")),), "BadDigest"),
        (None, ((CRC, crc32(b"other")),), "BadDigest"),
    ],
)
async def test_chk_16_decode_holds_the_end_back(secure, places, token, headers, code):
    """One byte flipped: an upstream that compares nothing still never has the whole."""
    payload = Sent(OBJECT, headers, token).payload(places)
    refused, _, _ = await leaked(payload, "decode", secure=secure)

    assert refused == (400, code)


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("token", [SIGNED_CHUNKS, SIGNED_TRAILER])
@pytest.mark.parametrize("places", [None, range(0, 5000, 50)])
async def test_chk_16_a_bad_chunk_is_never_signed(secure, switch, token, places):
    """A flipped byte in the last chunk: what went out lacks it and the end."""
    sent = upload(token, OBJECT)
    at = sent.wire.rindex(b"bytes, ")
    bad = Sent(sent.wire[:at] + b"B" + sent.wire[at + 1 :], sent.headers, token)
    refused, out, _ = await leaked(bad.payload(places), switch, secure=secure)

    assert refused == (403, "SignatureDoesNotMatch")
    assert out < len(bad.wire) - 64


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (crc32(OBJECT), "AAAAAA==", (400, "BadDigest")),
        (crc32(OBJECT), "AAAA", (400, "InvalidRequest")),
        (CRC, "x-amz-checksum-sha1", (400, "MalformedTrailerError")),
        ("\r\n\r\n", "\r\n", (400, "IncompleteBody")),
        ("\r\n\r\n", "\r\n\r\nmore", (400, "InvalidRequest")),
        ("\r\n0\r\n", "\r\n1\r\nx\r\n0\r\n", (400, "IncompleteBody")),
    ],
)
@pytest.mark.parametrize("places", [None, range(0, 3000, 100)])
async def test_chk_13_unframed_bodies_are_held_to_their_trailer(secure, old, new, wanted, places):
    """A false checksum, another name, an end too early or too late."""
    sent = upload(UNSIGNED_TRAILER, OBJECT)
    assert old.encode() in sent.wire
    bad = Sent(sent.wire.replace(old.encode(), new.encode()), sent.headers, sent.token)
    refused, _, _ = await leaked(bad.payload(places), "decode", secure=secure)

    assert refused == wanted


@pytest.mark.parametrize("declared", [len(OBJECT) - 1, len(OBJECT) + 1])
@pytest.mark.parametrize("token", [UNSIGNED_TRAILER, SIGNED_CHUNKS, SIGNED_TRAILER])
@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("places", [None, ()])
async def test_chk_4_the_decoded_length_is_held_to(declared, token, switch, places):
    """Wherever frames are opened."""
    if token == UNSIGNED_TRAILER and switch == "passthrough":
        return  # not opened: the upstream compares
    sent = upload(token, OBJECT)
    pairs = tuple(p for p in sent.headers if p[0] != "x-amz-decoded-content-length")
    bad = Sent(sent.wire, (*pairs, ("x-amz-decoded-content-length", str(declared))), token)
    refused, _, _ = await leaked(bad.payload(places), switch, secure=True)

    assert refused == (400, "IncompleteBody")


@pytest.mark.parametrize("declared", [len(OBJECT) - 1, len(OBJECT) + 1])
@pytest.mark.parametrize("places", [None, (7,)])
async def test_chk_4_a_body_we_frame_is_held_to_its_length(declared, places):
    """Our own last chunk is signed only under the whole."""
    payload = Sent(OBJECT, (), None).payload(places, length=declared)
    refused, _, _ = await leaked(payload, "passthrough", secure=False)

    assert refused == (400, "IncompleteBody")


async def test_chk_7_a_chunk_of_17_mib_is_refused_unheard():
    """Nothing of it is held."""
    size = 17 * 1024 * 1024
    line = f"{size:x};chunk-signature={'0' * 64}\r\n".encode()
    pairs = (("x-amz-decoded-content-length", str(size)),)
    refused, out, _ = await leaked(
        Sent(line, pairs, SIGNED_CHUNKS).payload(length=None), "passthrough", secure=True
    )

    assert (refused, out) == ((400, "InvalidRequest"), 0)


# --- read whole -------------------------------------------------------------------------------

DELETE = OPERATIONS["DeleteObjects"]


@pytest.mark.parametrize(
    ("token", "headers", "code"),
    [
        (sha(b"other"), (), "XAmzContentSHA256Mismatch"),
        (UNSIGNED, (("content-md5", md5(b"other")),), "BadDigest"),
        (sha(OBJECT), ((CRC, crc32(b"other")),), "BadDigest"),
        (None, (("x-amz-checksum-sha1", "AAAA"),), "InvalidRequest"),
    ],
)
async def test_sig_26_what_is_parsed_here_is_what_was_signed(token, headers, code):
    """Hash, Content-MD5 and checksums agree before the document is given to anybody."""
    payload = Sent(OBJECT, headers, token).payload()
    payload.check(DELETE)
    with pytest.raises(S3Error) as caught:
        await payload.read(1000)

    assert refusal(caught.value) == (400, code)


@pytest.mark.parametrize("length", [-1, None], ids=["announced", "in chunks"])
async def test_sig_26_a_document_is_read_within_a_bound(length):
    """Announced or not."""
    payload = upload("hash", OBJECT).payload((50,), length=length)
    payload.check(DELETE)
    with pytest.raises(S3Error) as caught:
        await payload.read(len(OBJECT) - 1)

    assert refusal(caught.value) == (400, "MaxMessageLengthExceeded")
    again = upload("hash", OBJECT).payload((50,), length=length)
    again.check(DELETE)
    assert await again.read(len(OBJECT)) == OBJECT


async def test_sig_26_frames_are_read_within_a_bound_too():
    """The bound is of the object, not of its frames."""
    payload = upload(SIGNED_TRAILER, OBJECT).payload()
    payload.check(PUT)
    with pytest.raises(S3Error) as caught:
        await payload.read(len(OBJECT) - 1)

    assert refusal(caught.value) == (400, "MaxMessageLengthExceeded")
    again = upload(SIGNED_TRAILER, OBJECT).payload()
    again.check(PUT)
    assert await again.read(len(OBJECT)) == OBJECT


async def test_chk_20_the_checksum_of_a_multipart_object_is_not_that_of_the_document():
    """CompleteMultipartUpload names the checksum that the parts make; its MD5 is its own."""
    parts = ((CRC, "AAAAAA=="), ("content-md5", md5(OBJECT)))
    payload = Sent(OBJECT, parts, sha(OBJECT)).payload()
    payload.check(OPERATIONS["CompleteMultipartUpload"])

    assert await payload.read(1000) == OBJECT


async def test_fwd_12_what_was_taken_is_known():
    """A request of whose body a byte was read is not sent again."""
    for token, switch in [
        ("hash", "passthrough"),
        (SIGNED_CHUNKS, "passthrough"),
        ("hash", "decode"),
    ]:
        payload = upload(token, OBJECT).payload((5,))
        payload.check(PUT)
        plan = payload.plan(switch, secure=True)  # type: ignore[arg-type] # of the pair above
        first: Body = payload.stream(plan, OURS)
        before = payload.taken
        await collect(payload.stream(plan, OURS))
        after = payload.taken
        await first.close()

        assert (before, after) == (False, True)
    read = upload("hash", OBJECT).payload()
    read.check(DELETE)
    await read.read(1000)
    assert read.taken


def test_chk_11_the_helper_frames_as_the_grammar_says():
    """The other side of these tests, spelt out once."""
    made = framed([b"hello"], signed=False, trailer=[("a", "b")])

    assert isinstance(made, Framed)
    assert made.wire == b"5\r\nhello\r\n0\r\na:b\r\n\r\n"
