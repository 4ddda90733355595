"""
The table of S3 errors, `S3Error`, and its two forms, XML and JSON.

A row is a code of S3 with its status and S3's own sentence, which people search for and clients
compare; what only happens here has a sentence of ours. Code raises
`S3Error(errors.NO_SUCH_KEY, key=key)` and decides by row or code, never by searching a message.
`Message` is never empty: an empty one crashes the aws cli.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from gateway.errors import GatewayError, Reason
from gateway.message import Pairs
from gateway.s3 import xml


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One S3 error: what it is called, its status, what it says."""

    code: str
    status: int
    message: str
    detail: tuple[str, ...] = ()
    """Elements that S3 puts beside the message, in its order."""


ROWS: dict[str, Row] = {}


def row(code: str, status: int, message: str, detail: tuple[str, ...] = ()) -> Row:
    """Adds a row to the table."""
    if code in ROWS:
        raise ValueError(f"error {code!r} stands in the table already")
    made = ROWS[code] = Row(code, status, message, detail)
    return made


# Who is asking
ACCESS_DENIED = row("AccessDenied", 403, "Access Denied", ("HeadersNotSigned", "Expires"))
AUTHORIZATION_HEADER_MALFORMED = row(
    "AuthorizationHeaderMalformed", 400, "The authorization header is malformed.", ("Region",)
)
AUTHORIZATION_QUERY_PARAMETERS_ERROR = row(
    "AuthorizationQueryParametersError", 400, "The signature parameters in the query are wrong."
)
EXPIRED_TOKEN = row("ExpiredToken", 400, "The provided token has expired.")
INVALID_ACCESS_KEY_ID = row(
    "InvalidAccessKeyId",
    403,
    "The AWS Access Key Id you provided does not exist in our records.",
    ("AWSAccessKeyId",),
)
INVALID_TOKEN = row("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")
REQUEST_TIME_TOO_SKEWED = row(
    "RequestTimeTooSkewed",
    403,
    "The difference between the request time and the current time is too large.",
    ("RequestTime", "ServerTime", "MaxAllowedSkewMilliseconds"),
)
SIGNATURE_DOES_NOT_MATCH = row(
    "SignatureDoesNotMatch",
    403,
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    ("AWSAccessKeyId", "StringToSign", "SignatureProvided", "CanonicalRequest"),
)

# What is asked
METHOD_NOT_ALLOWED = row(
    "MethodNotAllowed",
    405,
    "The specified method is not allowed against this resource.",
    ("Method",),
)
BUCKET_ALREADY_EXISTS = row(
    "BucketAlreadyExists",
    409,
    "The requested bucket name is not available. Please select a different name and try again.",
    ("BucketName",),
)
BUCKET_ALREADY_OWNED_BY_YOU = row(
    "BucketAlreadyOwnedByYou",
    409,
    "Your previous request to create the named bucket succeeded and you already own it.",
    ("BucketName",),
)
BUCKET_NOT_EMPTY = row(
    "BucketNotEmpty", 409, "The bucket you tried to delete is not empty.", ("BucketName",)
)
CONDITIONAL_REQUEST_CONFLICT = row(
    "ConditionalRequestConflict",
    409,
    "The conditional request cannot succeed due to a conflicting operation against this resource.",
    ("Key",),
)
INVALID_ARGUMENT = row(
    "InvalidArgument", 400, "Invalid Argument", ("ArgumentName", "ArgumentValue")
)
INVALID_BUCKET_NAME = row(
    "InvalidBucketName", 400, "The specified bucket is not valid.", ("BucketName",)
)
INVALID_OBJECT_STATE = row(
    "InvalidObjectState",
    403,
    "The operation is not valid for the object's storage class.",
    ("StorageClass",),
)
INVALID_PART = row(
    "InvalidPart",
    400,
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
)
INVALID_PART_ORDER = row(
    "InvalidPartOrder",
    400,
    "The list of parts was not in ascending order. Parts must be ordered by part number.",
)
INVALID_RANGE = row(
    "InvalidRange",
    416,
    "The requested range is not satisfiable",
    ("RangeRequested", "ActualObjectSize"),
)
INVALID_REQUEST = row("InvalidRequest", 400, "Invalid Request")
INVALID_TAG = row(
    "InvalidTag", 400, "The tag provided was not a valid tag.", ("TagKey", "TagValue")
)
INVALID_URI = row("InvalidURI", 400, "Couldn't parse the specified URI.")
KEY_TOO_LONG = row("KeyTooLongError", 400, "Your key is too long", ("Size", "MaxSizeAllowed"))
MALFORMED_XML = row(
    "MalformedXML",
    400,
    "The XML you provided was not well-formed or did not validate against our published schema",
)
NOT_IMPLEMENTED = row(
    "NotImplemented",
    501,
    "A header you provided implies functionality that is not implemented.",
    ("Header",),
)
NO_SUCH_BUCKET = row("NoSuchBucket", 404, "The specified bucket does not exist", ("BucketName",))
NO_SUCH_KEY = row("NoSuchKey", 404, "The specified key does not exist.", ("Key",))
NO_SUCH_UPLOAD = row(
    "NoSuchUpload",
    404,
    "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    ("UploadId",),
)
NO_SUCH_VERSION = row(
    "NoSuchVersion", 404, "The specified version does not exist.", ("Key", "VersionId")
)
NOT_FOUND = row("NotFound", 404, "Not Found")
OPERATION_ABORTED = row(
    "OperationAborted",
    409,
    "A conflicting conditional operation is currently in progress against this resource. Please try again.",
)
PRECONDITION_FAILED = row(
    "PreconditionFailed",
    412,
    "At least one of the pre-conditions you specified did not hold",
    ("Condition",),
)
TOO_MANY_BUCKETS = row(
    "TooManyBuckets", 400, "You have attempted to create more buckets than allowed"
)

# Its body
BAD_DIGEST = row(
    "BadDigest",
    400,
    "The Content-MD5 or checksum value that you specified did not match what the server received.",
)
ENTITY_TOO_LARGE = row(
    "EntityTooLarge",
    400,
    "Your proposed upload exceeds the maximum allowed size",
    ("ProposedSize", "MaxSizeAllowed"),
)
ENTITY_TOO_SMALL = row(
    "EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"
)
INCOMPLETE_BODY = row("IncompleteBody", 400, "The request body terminated unexpectedly")
INVALID_CHUNK_SIZE = row(
    "InvalidChunkSizeError",
    403,
    "Only the last chunk is allowed to have a size less than 8192 bytes",
)
INVALID_DIGEST = row("InvalidDigest", 400, "The Content-MD5 you specified was invalid.")
MALFORMED_TRAILER = row(
    "MalformedTrailerError",
    400,
    "The request contained trailing data that was not well-formed or did not conform to our published schema.",
)
INVALID_POLICY_DOCUMENT = row(
    "InvalidPolicyDocument", 400, "The policy document of the form cannot be read."
)
MALFORMED_POST = row(
    "MalformedPOSTRequest",
    400,
    "The body of your POST request is not well-formed multipart/form-data.",
)
MAX_POST_PRE_DATA_LENGTH_EXCEEDED = row(
    "MaxPostPreDataLengthExceededError",
    400,
    "Your POST request fields preceding the upload file were too large.",
)
MISSING_CONTENT_LENGTH = row(
    "MissingContentLength", 411, "You must provide the Content-Length HTTP header."
)
MISSING_REQUEST_BODY = row("MissingRequestBodyError", 400, "Request Body is empty")
REQUEST_TIMEOUT = row(
    "RequestTimeout",
    400,
    "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.",
)
CONTENT_SHA256_MISMATCH = row(
    "XAmzContentSHA256Mismatch",
    400,
    "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ("ClientComputedContentSHA256", "S3ComputedContentSHA256"),
)
MAX_MESSAGE_LENGTH_EXCEEDED = row("MaxMessageLengthExceeded", 400, "Your request was too big.")

# Whoever serves it
BAD_GATEWAY = row("BadGateway", 502, "The storage gave an answer that cannot be used.")
GATEWAY_TIMEOUT = row("GatewayTimeout", 504, "The storage did not answer in time.")
INTERNAL_ERROR = row("InternalError", 500, "We encountered an internal error. Please try again.")
SERVICE_UNAVAILABLE = row("ServiceUnavailable", 503, "The storage is not available; try again.")
SLOW_DOWN = row("SlowDown", 503, "Please reduce your request rate.")


class S3Error(GatewayError):
    """
    A request that is answered with one of S3's errors.

    `detail` holds further elements: `key=…` becomes `<Key>`, `server_time=…` `<ServerTime>`.
    `close` asks for the connection to be closed; `headers` go into the answer.
    """

    def __init__(
        self,
        row: Row,
        message: str | None = None,
        /,
        *,
        close: bool = False,
        headers: Pairs = (),
        **detail: str,
    ) -> None:
        self.row = row
        self.message = message or row.message
        self.close = close
        self.headers = headers
        self.detail = {_element(name): value for name, value in detail.items()}
        super().__init__(f"{row.code}: {self.message}")

    @property
    def status(self) -> int:
        return self.row.status

    @property
    def code(self) -> str:
        return self.row.code


class AccessDenied(S3Error):
    """
    Somebody is known, or openly nobody, and may not. Carries the decision, for whoever explains it;
    or, where policy agreed and something else stands against it, the reason.
    """

    def __init__(
        self,
        decision: object | None = None,
        message: str | None = None,
        *,
        reason: Reason | None = None,
    ) -> None:
        super().__init__(ACCESS_DENIED, message)
        self.decision = decision
        self.reason = reason


def _element(name: str) -> str:
    """`server_time` as `ServerTime`; what has a capital already stays as it is."""
    return name if name[:1].isupper() else "".join(part.capitalize() for part in name.split("_"))


def error_json(error: S3Error, *, resource: str, request_id: str) -> dict[str, str]:
    """The members of an error, in the order in which S3 writes them."""
    first = {name: error.detail[name] for name in error.row.detail if name in error.detail}
    return {
        "Code": error.code,
        "Message": error.message,
        **first,
        **{name: value for name, value in error.detail.items() if name not in first},
        "Resource": resource,
        "RequestId": request_id,
    }


def error_xml(error: S3Error, *, resource: str, request_id: str) -> bytes:
    """An error as S3 writes it: no namespace, and nothing that an XML parser would refuse."""
    members = error_json(error, resource=resource, request_id=request_id)
    inside = "".join(
        f"<{name}>{xml.escape(xml.readable(value))}</{name}>" for name, value in members.items()
    )
    return f"{xml.DECLARATION}<Error>{inside}</Error>".encode()
