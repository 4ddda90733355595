"""
The rows of the table of S3 operations: how each is recognised, which IAM actions it needs on what,
which headers and parameters it has, where it names keys.

One row for each operation of botocore's S3 model; a test serialises every one of them with
botocore and finds its row again, and holds headers and parameters against the model (OPS-12).
`operations` says how a request finds its row.

Sources: botocore's S3 model; https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import final

from gateway.s3 import headers as h


class Level(StrEnum):
    """What a request's path names."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


class On(StrEnum):
    """What an action is needed on."""

    NOTHING = "nothing"
    BUCKET = "bucket"
    TARGET = "target"
    COPY_SOURCE = "copy source"
    RENAME_SOURCE = "rename source"
    EACH_KEY = "each key"
    LISTED = "listed prefix"


class Body(StrEnum):
    """How a body that names buckets or keys is rewritten."""

    PASS = "pass"  # noqa: S105 # byte for byte
    LIST = "list"
    PARTS = "parts"
    """An answer with Bucket and Key at its top: ListParts, InitiateMultipartUploadResult, …"""
    COMPLETED = "completed"
    """CompleteMultipartUploadResult, after white space that keeps the client waiting (LST-16)."""
    COPIED = "copied"
    """CopyObjectResult and CopyPartResult, after the same; an <Error> inside is rewritten."""
    DELETE = "delete"
    RESTORE = "restore"
    """Passes unless it names a bucket to restore into (OPS-11)."""


@final
@dataclass(frozen=True, slots=True)
class Need:
    """An IAM action, and what it must be granted on."""

    action: str
    on: On


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of S3."""

    name: str
    method: str
    level: Level
    query: frozenset[str]
    """Names that must be in the query."""
    flags: frozenset[str]
    """Those of them that have no value (OPS-4)."""
    fixed: Mapping[str, str]
    """Those of them that have one value (`list-type=2`)."""
    headers: frozenset[str]
    """Headers that must be there."""
    needs: tuple[Need, ...]
    known_params: frozenset[str]
    """Every name that may be in the query."""
    known_headers: frozenset[str]
    """x-amz-* headers of this operation; `x-amz-meta-*` stands for all metadata."""
    keys_in_body: bool = False
    """The body is read before the decision, because it names what is to be judged."""
    answered_here: bool = False
    streaming_body: bool = False
    """The one kind of body that may be framed in aws-chunks (CHK-2)."""
    prefixed: bool = True
    """Makes sense under a target with a prefix; else it acts on the whole real bucket (OPS-10)."""
    never: bool = False
    """Refused whatever is granted (OPS-8)."""
    names_buckets: bool = False
    """Its body holds bucket names or ARNs, which are not rewritten (OPS-11)."""
    body_out: Body = Body.PASS
    body_in: Body = Body.PASS

    @property
    def lists(self) -> bool:
        """Answers with a page of keys below a prefix."""
        return self.body_in is Body.LIST

    @property
    def rewrites(self) -> bool:
        """An answer of it names bucket or key."""
        return self.body_in is not Body.PASS


# The rows

GET, HEAD, PUT, POST, DELETE = "GET", "HEAD", "PUT", "POST", "DELETE"
SERVICE, BUCKET, OBJECT = Level.SERVICE, Level.BUCKET, Level.OBJECT
_OWN = {SERVICE: On.NOTHING, BUCKET: On.BUCKET, OBJECT: On.TARGET}


def op(
    name: str,
    method: str,
    level: Level,
    query: str = "",
    action: str = "",
    *,
    on: On | None = None,
    needs: tuple[Need, ...] = (),
    params: Iterable[str] = (),
    required: Iterable[str] = (),
    knows: Iterable[str] = (),
    prefixed: bool | None = None,
    keys_in_body: bool = False,
    answered_here: bool = False,
    streaming_body: bool = False,
    never: bool = False,
    names_buckets: bool = False,
    body_out: Body = Body.PASS,
    body_in: Body = Body.PASS,
) -> Operation:
    """
    A row. `query` reads as in a URL: `acl` is a flag, `list-type=2` one value, `uploadId=*` any.

    `action` is without `s3:`, and the operation's name where it is left out; it is needed `on`
    what the path names, unless that or all the `needs` are said.
    """
    pairs = [piece.partition("=") for piece in query.split("&") if piece]
    names = frozenset(name for name, _, _ in pairs)
    return Operation(
        name=name,
        method=method,
        level=level,
        query=names,
        flags=frozenset(name for name, equals, _ in pairs if not equals),
        fixed=MappingProxyType({n: v for n, equals, v in pairs if equals and v != "*"}),
        headers=frozenset(required),
        needs=needs or (Need(f"s3:{action or name}", on or _OWN[level]),),
        known_params=names | frozenset(params),
        known_headers=frozenset(knows) | frozenset(required),
        keys_in_body=keys_in_body,
        answered_here=answered_here,
        streaming_body=streaming_body,
        prefixed=level is not BUCKET if prefixed is None else prefixed,
        never=never,
        names_buckets=names_buckets,
        body_out=body_out,
        body_in=body_in,
    )


V = ("versionId",)
PAGE = ("delimiter", "encoding-type", "prefix")
OPTIONAL = ("x-amz-optional-object-attributes",)
BYPASS = ("x-amz-bypass-governance-retention",)
GRANTS = h.ACL | {"x-amz-grant-write"}
RESPONSE = (
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
)
READ_SOURCE = Need("s3:GetObject", On.COPY_SOURCE)
WRITE = Need("s3:PutObject", On.TARGET)

# fmt: off
SERVICE_ROWS = (
    op("ListBuckets", GET, SERVICE, action="ListAllMyBuckets", answered_here=True,
       params=("max-buckets", "continuation-token", "prefix", "bucket-region")),
    op("ListDirectoryBuckets", GET, SERVICE, "max-directory-buckets=*", params=("continuation-token",), never=True),
    op("WriteGetObjectResponse", POST, SERVICE, required=("x-amz-request-route", "x-amz-request-token"), never=True),
)

BUCKET_ROWS = (
    op("ListObjects", GET, BUCKET, "", "ListBucket", on=On.LISTED, prefixed=True, body_in=Body.LIST,
       params=(*PAGE, "marker", "max-keys"), knows=OPTIONAL),
    op("ListObjectsV2", GET, BUCKET, "list-type=2", "ListBucket", on=On.LISTED, prefixed=True, body_in=Body.LIST,
       params=(*PAGE, "max-keys", "continuation-token", "fetch-owner", "start-after"), knows=OPTIONAL),
    op("ListObjectVersions", GET, BUCKET, "versions", "ListBucketVersions", on=On.LISTED, prefixed=True, body_in=Body.LIST,
       params=(*PAGE, "key-marker", "max-keys", "version-id-marker"), knows=OPTIONAL),
    op("ListMultipartUploads", GET, BUCKET, "uploads", "ListBucketMultipartUploads", on=On.LISTED, prefixed=True,
       body_in=Body.LIST, params=(*PAGE, "key-marker", "max-uploads", "upload-id-marker")),
    op("HeadBucket", HEAD, BUCKET, "", "ListBucket", prefixed=True),
    op("CreateBucket", PUT, BUCKET, knows=GRANTS | {
        "x-amz-bucket-namespace", "x-amz-bucket-object-lock-enabled", "x-amz-object-ownership"}),
    op("DeleteBucket", DELETE, BUCKET),
    op("DeleteObjects", POST, BUCKET, "delete", "DeleteObject", on=On.EACH_KEY, prefixed=True, keys_in_body=True,
       knows=(*BYPASS, "x-amz-mfa"), body_out=Body.DELETE, body_in=Body.DELETE),
    op("GetBucketLocation", GET, BUCKET, "location", prefixed=True),
    op("CreateSession", GET, BUCKET, "session", knows=h.SSE | {"x-amz-create-session-mode"}, never=True),

    op("GetBucketAbac", GET, BUCKET, "abac"),
    op("PutBucketAbac", PUT, BUCKET, "abac"),
    op("GetBucketAccelerateConfiguration", GET, BUCKET, "accelerate", "GetAccelerateConfiguration"),
    op("PutBucketAccelerateConfiguration", PUT, BUCKET, "accelerate", "PutAccelerateConfiguration"),
    op("GetBucketAcl", GET, BUCKET, "acl"),
    op("PutBucketAcl", PUT, BUCKET, "acl", knows=GRANTS),
    op("GetBucketAnalyticsConfiguration", GET, BUCKET, "analytics&id=*", "GetAnalyticsConfiguration", names_buckets=True),
    op("ListBucketAnalyticsConfigurations", GET, BUCKET, "analytics", "GetAnalyticsConfiguration",
       params=("continuation-token",), names_buckets=True),
    op("PutBucketAnalyticsConfiguration", PUT, BUCKET, "analytics&id=*", "PutAnalyticsConfiguration", names_buckets=True),
    op("DeleteBucketAnalyticsConfiguration", DELETE, BUCKET, "analytics&id=*", "PutAnalyticsConfiguration"),
    op("GetBucketCors", GET, BUCKET, "cors", "GetBucketCORS"),
    op("PutBucketCors", PUT, BUCKET, "cors", "PutBucketCORS"),
    op("DeleteBucketCors", DELETE, BUCKET, "cors", "PutBucketCORS"),
    op("GetBucketEncryption", GET, BUCKET, "encryption", "GetEncryptionConfiguration", prefixed=True),
    op("PutBucketEncryption", PUT, BUCKET, "encryption", "PutEncryptionConfiguration"),
    op("DeleteBucketEncryption", DELETE, BUCKET, "encryption", "PutEncryptionConfiguration"),
    op("GetBucketIntelligentTieringConfiguration", GET, BUCKET, "intelligent-tiering&id=*", "GetIntelligentTieringConfiguration"),
    op("ListBucketIntelligentTieringConfigurations", GET, BUCKET, "intelligent-tiering", "GetIntelligentTieringConfiguration",
       params=("continuation-token",)),
    op("PutBucketIntelligentTieringConfiguration", PUT, BUCKET, "intelligent-tiering&id=*", "PutIntelligentTieringConfiguration"),
    op("DeleteBucketIntelligentTieringConfiguration", DELETE, BUCKET, "intelligent-tiering&id=*",
       "PutIntelligentTieringConfiguration"),
    op("GetBucketInventoryConfiguration", GET, BUCKET, "inventory&id=*", "GetInventoryConfiguration", names_buckets=True),
    op("ListBucketInventoryConfigurations", GET, BUCKET, "inventory", "GetInventoryConfiguration",
       params=("continuation-token",), names_buckets=True),
    op("PutBucketInventoryConfiguration", PUT, BUCKET, "inventory&id=*", "PutInventoryConfiguration", names_buckets=True),
    op("DeleteBucketInventoryConfiguration", DELETE, BUCKET, "inventory&id=*", "PutInventoryConfiguration"),
    op("GetBucketLifecycleConfiguration", GET, BUCKET, "lifecycle", "GetLifecycleConfiguration"),
    op("PutBucketLifecycleConfiguration", PUT, BUCKET, "lifecycle", "PutLifecycleConfiguration",
       knows=("x-amz-transition-default-minimum-object-size",)),
    op("DeleteBucketLifecycle", DELETE, BUCKET, "lifecycle", "PutLifecycleConfiguration"),
    op("GetBucketLogging", GET, BUCKET, "logging", names_buckets=True),
    op("PutBucketLogging", PUT, BUCKET, "logging", names_buckets=True),
    op("GetBucketMetadataConfiguration", GET, BUCKET, "metadataConfiguration", names_buckets=True),
    op("CreateBucketMetadataConfiguration", POST, BUCKET, "metadataConfiguration", names_buckets=True),
    op("DeleteBucketMetadataConfiguration", DELETE, BUCKET, "metadataConfiguration"),
    op("GetBucketMetadataTableConfiguration", GET, BUCKET, "metadataTable", names_buckets=True),
    op("CreateBucketMetadataTableConfiguration", POST, BUCKET, "metadataTable", names_buckets=True),
    op("DeleteBucketMetadataTableConfiguration", DELETE, BUCKET, "metadataTable"),
    op("UpdateBucketMetadataAnnotationTableConfiguration", PUT, BUCKET, "metadataAnnotationTable", names_buckets=True),
    op("UpdateBucketMetadataInventoryTableConfiguration", PUT, BUCKET, "metadataInventoryTable", names_buckets=True),
    op("UpdateBucketMetadataJournalTableConfiguration", PUT, BUCKET, "metadataJournalTable", names_buckets=True),
    op("GetBucketMetricsConfiguration", GET, BUCKET, "metrics&id=*", "GetMetricsConfiguration", names_buckets=True),
    op("ListBucketMetricsConfigurations", GET, BUCKET, "metrics", "GetMetricsConfiguration",
       params=("continuation-token",), names_buckets=True),
    op("PutBucketMetricsConfiguration", PUT, BUCKET, "metrics&id=*", "PutMetricsConfiguration", names_buckets=True),
    op("DeleteBucketMetricsConfiguration", DELETE, BUCKET, "metrics&id=*", "PutMetricsConfiguration"),
    op("GetBucketNotificationConfiguration", GET, BUCKET, "notification", "GetBucketNotification", names_buckets=True),
    op("PutBucketNotificationConfiguration", PUT, BUCKET, "notification", "PutBucketNotification", names_buckets=True,
       knows=("x-amz-skip-destination-validation",)),
    op("GetObjectLockConfiguration", GET, BUCKET, "object-lock", "GetBucketObjectLockConfiguration", prefixed=True),
    op("PutObjectLockConfiguration", PUT, BUCKET, "object-lock", "PutBucketObjectLockConfiguration",
       knows=("x-amz-bucket-object-lock-token",)),
    op("GetBucketOwnershipControls", GET, BUCKET, "ownershipControls"),
    op("PutBucketOwnershipControls", PUT, BUCKET, "ownershipControls"),
    op("DeleteBucketOwnershipControls", DELETE, BUCKET, "ownershipControls", "PutBucketOwnershipControls"),
    op("GetBucketPolicy", GET, BUCKET, "policy", names_buckets=True),
    op("PutBucketPolicy", PUT, BUCKET, "policy", knows=("x-amz-confirm-remove-self-bucket-access",), names_buckets=True),
    op("DeleteBucketPolicy", DELETE, BUCKET, "policy"),
    op("GetBucketPolicyStatus", GET, BUCKET, "policyStatus"),
    op("GetPublicAccessBlock", GET, BUCKET, "publicAccessBlock", "GetBucketPublicAccessBlock"),
    op("PutPublicAccessBlock", PUT, BUCKET, "publicAccessBlock", "PutBucketPublicAccessBlock"),
    op("DeletePublicAccessBlock", DELETE, BUCKET, "publicAccessBlock", "PutBucketPublicAccessBlock"),
    op("GetBucketReplication", GET, BUCKET, "replication", "GetReplicationConfiguration", names_buckets=True),
    op("PutBucketReplication", PUT, BUCKET, "replication", "PutReplicationConfiguration", names_buckets=True,
       knows=("x-amz-bucket-object-lock-token",)),
    op("DeleteBucketReplication", DELETE, BUCKET, "replication", "PutReplicationConfiguration"),
    op("GetBucketRequestPayment", GET, BUCKET, "requestPayment"),
    op("PutBucketRequestPayment", PUT, BUCKET, "requestPayment"),
    op("GetBucketTagging", GET, BUCKET, "tagging"),
    op("PutBucketTagging", PUT, BUCKET, "tagging"),
    op("DeleteBucketTagging", DELETE, BUCKET, "tagging", "PutBucketTagging"),
    op("GetBucketVersioning", GET, BUCKET, "versioning", prefixed=True),
    op("PutBucketVersioning", PUT, BUCKET, "versioning", knows=("x-amz-mfa",)),
    op("GetBucketWebsite", GET, BUCKET, "website", names_buckets=True),
    op("PutBucketWebsite", PUT, BUCKET, "website", names_buckets=True),
    op("DeleteBucketWebsite", DELETE, BUCKET, "website"),
)

OBJECT_ROWS = (
    op("GetObject", GET, OBJECT, params=(*V, *RESPONSE, "partNumber"), knows=h.SSE_C | {"x-amz-checksum-mode"}),
    op("HeadObject", HEAD, OBJECT, "", "GetObject", params=(*V, *RESPONSE, "partNumber"),
       knows=h.SSE_C | {"x-amz-checksum-mode"}),
    op("PutObject", PUT, OBJECT, knows=h.STORED | h.CHECKSUMS | {"x-amz-write-offset-bytes"}, streaming_body=True),
    op("CopyObject", PUT, OBJECT, required=("x-amz-copy-source",), needs=(WRITE, READ_SOURCE), body_in=Body.COPIED,
       knows=h.STORED | h.COPIED | {"x-amz-checksum-algorithm", "x-amz-metadata-directive", "x-amz-tagging-directive",
                                    "x-amz-object-annotation-directive"}),
    op("DeleteObject", DELETE, OBJECT, params=V,
       knows=(*BYPASS, "x-amz-mfa", "x-amz-if-match-last-modified-time", "x-amz-if-match-size")),

    op("CreateMultipartUpload", POST, OBJECT, "uploads", "PutObject", body_in=Body.PARTS,
       knows=h.STORED | {"x-amz-checksum-algorithm", "x-amz-checksum-type"}),
    op("UploadPart", PUT, OBJECT, "partNumber=*&uploadId=*", "PutObject", knows=h.SSE_C | h.CHECKSUMS, streaming_body=True),
    op("UploadPartCopy", PUT, OBJECT, "partNumber=*&uploadId=*", required=("x-amz-copy-source",),
       needs=(WRITE, READ_SOURCE), knows=h.COPIED | h.SSE_C | {"x-amz-copy-source-range"}, body_in=Body.COPIED),
    op("CompleteMultipartUpload", POST, OBJECT, "uploadId=*", "PutObject", body_in=Body.COMPLETED,
       knows=h.SSE_C | h.CHECKSUMS | {"x-amz-checksum-type", "x-amz-mp-object-size"}),
    op("AbortMultipartUpload", DELETE, OBJECT, "uploadId=*", knows=("x-amz-if-match-initiated-time",)),
    op("ListParts", GET, OBJECT, "uploadId=*", "ListMultipartUploadParts", params=("max-parts", "part-number-marker"),
       knows=h.SSE_C, body_in=Body.PARTS),

    op("GetObjectAcl", GET, OBJECT, "acl", params=V),
    op("PutObjectAcl", PUT, OBJECT, "acl", params=V, knows=GRANTS),
    op("GetObjectLegalHold", GET, OBJECT, "legal-hold", params=V),
    op("PutObjectLegalHold", PUT, OBJECT, "legal-hold", params=V),
    op("GetObjectRetention", GET, OBJECT, "retention", params=V),
    op("PutObjectRetention", PUT, OBJECT, "retention", params=V, knows=BYPASS),
    op("GetObjectTagging", GET, OBJECT, "tagging", params=V),
    op("PutObjectTagging", PUT, OBJECT, "tagging", params=V),
    op("DeleteObjectTagging", DELETE, OBJECT, "tagging", params=V),
    op("GetObjectAnnotation", GET, OBJECT, "annotation&annotationName=*", params=V, knows=("x-amz-checksum-mode",)),
    op("ListObjectAnnotations", GET, OBJECT, "annotation", body_in=Body.PARTS,
       params=(*V, "max-annotation-results", "annotation-prefix", "continuation-token")),
    op("PutObjectAnnotation", PUT, OBJECT, "annotation&annotationName=*", params=V, body_in=Body.PARTS, streaming_body=True,
       knows=h.CHECKSUMS | {"x-amz-object-if-match"}),
    op("DeleteObjectAnnotation", DELETE, OBJECT, "annotation&annotationName=*", params=V, knows=("x-amz-object-if-match",)),
    op("GetObjectAttributes", GET, OBJECT, "attributes", params=V, required=("x-amz-object-attributes",),
       knows=h.SSE_C | {"x-amz-max-parts", "x-amz-part-number-marker"}),
    op("UpdateObjectEncryption", PUT, OBJECT, "encryption", params=V),
    op("RenameObject", PUT, OBJECT, "renameObject", required=("x-amz-rename-source",), knows=h.RENAMED,
       needs=(WRITE, Need("s3:GetObject", On.RENAME_SOURCE), Need("s3:DeleteObject", On.RENAME_SOURCE))),
    op("RestoreObject", POST, OBJECT, "restore", params=V, body_out=Body.RESTORE),
    op("SelectObjectContent", POST, OBJECT, "select&select-type=2", "GetObject", knows=h.SSE_C),
    op("GetObjectTorrent", GET, OBJECT, "torrent"),
)
# fmt: on

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {row.name: row for row in (*SERVICE_ROWS, *BUCKET_ROWS, *OBJECT_ROWS)}
)

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
        "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
        "GetBucketNotification": "GetBucketNotificationConfiguration",
        "PutBucketNotification": "PutBucketNotificationConfiguration",
    }
)
"""Names of an older API for one and the same request (OPS-5)."""


def named(name: str) -> Operation | None:
    """The operation of that name or alias."""
    return OPERATIONS.get(ALIASES.get(name, name))
