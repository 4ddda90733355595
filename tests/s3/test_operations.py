"""From a request to its row, and to what it needs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message import Headers, RequestHead
from gateway.s3.errors import S3Error
from gateway.s3.objects import ObjectName
from gateway.s3.operations import (
    ACTIONS,
    ALIASES,
    OPERATIONS,
    VERBS,
    On,
    named,
    requirements,
    resolve,
)
from gateway.s3.request import parse, with_keys
from tests.s3 import model


def ask(method: str, target: str, **headers: str):
    """The request of a method, a target and headers whose names have `_` for `-`."""
    pairs = [("host", "s3.example.com"), *((n.replace("_", "-"), v) for n, v in headers.items())]
    return parse(RequestHead(method=method, target=target, headers=Headers(pairs)), model.HOSTS)


def refusal(method: str, target: str, **headers: str) -> tuple[int, str]:
    with pytest.raises(S3Error) as caught:
        resolve(ask(method, target, **headers))
    return caught.value.status, caught.value.code


def needs(method: str, target: str, **headers: str) -> set[tuple[str, str]]:
    request = ask(method, target, **headers)
    return {(need.action, need.on.value) for need in requirements(resolve(request), request)}


@pytest.mark.parametrize("every", [False, True], ids=["fewest", "all"])
@pytest.mark.parametrize("name", model.names())
def test_ops_1_what_botocore_serialises_resolves_to_its_own_row(name, every):
    """Each operation of the model, with its fewest and with all its parameters, is itself or its alias."""
    request = model.request(name, every=every)
    row = OPERATIONS[ALIASES.get(name, name)]

    if row.never:
        if (
            name == "ListDirectoryBuckets" and not every
        ):  # an alias of ListBuckets, told by a parameter
            assert resolve(request).name == "ListBuckets"
            return
        with pytest.raises(S3Error) as caught:
            resolve(request)
        assert (caught.value.status, name in str(caught.value)) == (501, True)
    else:
        assert resolve(request) is row


def test_ops_1_there_are_no_two_rows_for_one_request():
    """Method, level, query names and headers tell every two rows apart."""
    seen = {(row.method, row.level, row.query, row.headers) for row in OPERATIONS.values()}

    assert len(seen) == len(OPERATIONS)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/bucket?ACL", 501),
        ("GET", "/bucket?acl=1", 400),
        ("GET", "/bucket?acl&tagging", 501),
        ("GET", "/bucket?acl&versions", 501),
        ("GET", "/bucket?acl&prefix=x", 501),
        ("GET", "/bucket?foo", 501),
        ("GET", "/bucket/k?foo", 501),
        ("DELETE", "/bucket?foo", 501),
        ("PUT", "/bucket/k?partNumber=1", 501),
        ("GET", "/bucket/k?uploadId", 400),
        ("DELETE", "/bucket/k?versionId=", 400),
        ("PUT", "/bucket/k?partNumber=x&uploadId=u", 400),
        ("GET", "/bucket?list-type=1", 400),
        ("GET", "/bucket?list-type=2&marker=x", 501),
        ("GET", "/bucket?max-keys=-1", 400),
        ("GET", "/bucket?max-keys=%2B5", 400),
        ("GET", "/bucket?max-keys=%D9%A3", 400),
        ("GET", "/?Action=GetCallerIdentity", 501),
        ("POST", "/", 405),
        ("POST", "/bucket", 405),
        ("POST", "/bucket/k?select", 501),
        ("HEAD", "/", 405),
        ("HEAD", "/bucket?acl", 501),
        ("PATCH", "/bucket/k", 405),
        ("OPTIONS", "/bucket/k", 405),
        ("GET", "/bucket/k?attributes", 501),
    ],
)
def test_ops_3_what_fits_no_row_is_refused(method, target, expected):
    """T44: unknown, doubled, halved and foreign parameters never fall back to a plainer operation."""
    assert refusal(method, target)[0] == expected


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("GET", "/bucket/?acl=", "GetBucketAcl"),
        ("GET", "/", "ListBuckets"),
        ("GET", "/bucket", "ListObjects"),
        ("GET", "/bucket/", "ListObjects"),
        ("GET", "/bucket/?list-type=2", "ListObjectsV2"),
        ("POST", "/bucket?x-a=1&delete", "DeleteObjects"),
        ("POST", "/bucket?delete=", "DeleteObjects"),
        ("GET", "/bucket/k?x-id=GetObject", "GetObject"),
        ("GET", "/bucket?lifecycle&x-id=GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
        ("GET", "/bucket/k?x-anything=1&X-Other=2", "GetObject"),
        ("GET", "/bucket?analytics", "ListBucketAnalyticsConfigurations"),
        ("GET", "/bucket?analytics&id=a", "GetBucketAnalyticsConfiguration"),
    ],
)
def test_ops_4_flags_with_and_without_equals_are_one(method, target, name):
    """The spellings that clients use all reach their operation."""
    assert resolve(ask(method, target)).name == name


def test_ops_2_x_id_must_name_the_operation_found():
    """T46: `x-id=GetObject` on a PUT is not believed."""
    assert refusal("PUT", "/bucket/k?x-id=GetObject") == (400, "InvalidArgument")
    assert refusal("GET", "/bucket/k?x-id=") == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/bucket?max-keys=-5", "Argument max-keys must be an integer between 0 and 2147483647"),
        ("/bucket?max-keys=x", "Provided max-keys not an integer or within integer range"),
        ("/bucket/k?versionId=", "Version id cannot be the empty string"),
        (
            "/bucket/k?partNumber=x",
            "Part number must be an integer between 1 and 10000, inclusive.",
        ),
    ],
)
def test_ops_4_a_wrong_value_is_named_as_s3_names_it(target, says):
    """With the value, so that whoever reads the log of a client sees what it sent."""
    with pytest.raises(S3Error) as caught:
        resolve(ask("GET", target))

    assert (caught.value.code, caught.value.message) == ("InvalidArgument", says)
    assert "ArgumentValue" in caught.value.detail


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/bucket/k"),
        ("POST", "/bucket/k?uploads"),
        ("POST", "/bucket/k?uploadId=u"),
        ("DELETE", "/bucket/k"),
        ("PUT", "/bucket/k?acl"),
        ("PUT", "/bucket"),
    ],
)
def test_ops_6_a_copy_source_where_none_belongs_is_refused(method, target):
    """An upstream may obey what the gateway overlooked."""
    assert refusal(method, target, x_amz_copy_source="/bucket/k") == (400, "InvalidRequest")
    assert refusal(method, target, x_amz_copy_source_range="bytes=0-1") == (400, "InvalidRequest")
    assert refusal(method, target, x_amz_rename_source="/bucket/k") == (400, "InvalidRequest")


def test_ops_8_some_operations_are_refused_whatever_is_granted():
    """CreateSession would hand out credentials of the upstream."""
    assert refusal("GET", "/bucket?session") == (501, "NotImplemented")
    assert refusal("GET", "/?max-directory-buckets=5") == (501, "NotImplemented")


@pytest.mark.parametrize(
    "name", ["x_amz_meta_snowball_auto_extract", "x_amz_meta_minio_snowball_prefix"]
)
def test_ops_9_archives_are_not_unpacked(name):
    """T47: MinIO would unpack them into keys that nobody judged."""
    assert refusal("PUT", "/bucket/k", **{name: "true"}) == (501, "NotImplemented")


@pytest.mark.parametrize(
    "name",
    ["x_amz_server_side_encryption_new", "x_amz_object_lock_new", "x_amz_checksum_new",
     "x_amz_if_new", "x_amz_copy_source_new"],
)  # fmt: skip
def test_fwd_4_a_promise_that_nobody_knows_is_refused(name):
    """Unknown members of some families are 501 (or 400), other unknown headers pass by."""
    assert refusal("PUT", "/bucket/k", **{name: "1"})[0] in (400, 501)
    assert resolve(ask("PUT", "/bucket/k", x_amz_unheard_of="1")).name == "PutObject"


@pytest.mark.parametrize(
    ("method", "target", "headers", "expected"),
    [
        ("GET", "/", {}, {("s3:ListAllMyBuckets", "nothing")}),
        ("GET", "/bucket?prefix=a/", {}, {("s3:ListBucket", "listed prefix")}),
        ("GET", "/bucket?versions", {}, {("s3:ListBucketVersions", "listed prefix")}),
        ("HEAD", "/bucket/k", {}, {("s3:GetObject", "target")}),
        ("HEAD", "/bucket", {}, {("s3:ListBucket", "bucket")}),
        ("GET", "/bucket/k?versionId=null", {}, {("s3:GetObjectVersion", "target")}),
        ("GET", "/bucket/k?tagging&versionId=1", {}, {("s3:GetObjectVersionTagging", "target")}),
        ("DELETE", "/bucket/k?versionId=1", {}, {("s3:DeleteObjectVersion", "target")}),
        ("PUT", "/bucket/k", {}, {("s3:PutObject", "target")}),
        ("PUT", "/bucket/k", {"x_amz_acl": "private"}, {("s3:PutObject", "target")}),
        (
            "PUT", "/bucket/k", {"x_amz_acl": "public-read"},
            {("s3:PutObject", "target"), ("s3:PutObjectAcl", "target")},
        ),
        (
            "PUT", "/bucket/k", {"x_amz_grant_read": "id=1", "x_amz_tagging": "a=b"},
            {("s3:PutObject", "target"), ("s3:PutObjectAcl", "target"), ("s3:PutObjectTagging", "target")},
        ),
        (
            "POST", "/bucket/k?uploads",
            {"x_amz_object_lock_mode": "GOVERNANCE", "x_amz_object_lock_legal_hold": "ON"},
            {("s3:PutObject", "target"), ("s3:PutObjectRetention", "target"),
             ("s3:PutObjectLegalHold", "target")},
        ),
        ("PUT", "/bucket/k?partNumber=1&uploadId=u", {"x_amz_acl": "public-read"}, {("s3:PutObject", "target")}),
        ("PUT", "/bucket", {"x_amz_acl": "public-read"}, {("s3:CreateBucket", "bucket"), ("s3:PutBucketAcl", "bucket")}),
        ("PUT", "/bucket", {"x_amz_bucket_object_lock_enabled": "false"}, {("s3:CreateBucket", "bucket")}),
        (
            "PUT", "/bucket", {"x_amz_bucket_object_lock_enabled": "True"},
            {("s3:CreateBucket", "bucket"), ("s3:PutBucketObjectLockConfiguration", "bucket")},
        ),
        (
            "DELETE", "/bucket/k?versionId=1", {"x_amz_bypass_governance_retention": "true"},
            {("s3:DeleteObjectVersion", "target"), ("s3:BypassGovernanceRetention", "target")},
        ),
        ("PUT", "/bucket/k?acl", {"x_amz_acl": "public-read"}, {("s3:PutObjectAcl", "target")}),
        ("PUT", "/bucket/k?acl&versionId=1", {"x_amz_acl": "public-read"}, {("s3:PutObjectVersionAcl", "target")}),
        ("POST", "/bucket/k?select&select-type=2", {}, {("s3:GetObject", "target")}),
        ("DELETE", "/bucket?policy", {}, {("s3:DeleteBucketPolicy", "bucket")}),
        ("DELETE", "/bucket?cors", {}, {("s3:PutBucketCORS", "bucket")}),
        ("GET", "/bucket/k?uploadId=u", {}, {("s3:ListMultipartUploadParts", "target")}),
    ],
)  # fmt: skip
def test_ops_7_all_that_a_request_asks_for_is_needed(method, target, headers, expected):
    """Headers and parameters ask for more than the operation's name does."""
    assert needs(method, target, **headers) == expected


def test_cpy_5_a_copy_reads_its_source_and_its_tags():
    """The source is judged as a read, by version where one is named; tags unless replaced."""
    assert needs("PUT", "/bucket/k", x_amz_copy_source="/other/a?versionId=3") == {
        ("s3:PutObject", "target"),
        ("s3:GetObjectVersion", "copy source"),
        ("s3:GetObjectVersionTagging", "copy source"),
    }
    assert needs(
        "PUT", "/bucket/k", x_amz_copy_source="/other/a", x_amz_tagging_directive="REPLACE"
    ) == {("s3:PutObject", "target"), ("s3:GetObject", "copy source")}


@pytest.mark.parametrize("spelt", ["replace", " REPLACE", "Replace", "REPLACE,COPY", "COPY", ""])
def test_cpy_5_a_directive_that_is_spelt_otherwise_may_copy(spelt):
    """Some storage takes what it does not know for the default, and that copies tags."""
    asked = needs("PUT", "/bucket/k", x_amz_copy_source="/other/a", x_amz_tagging_directive=spelt)
    assert ("s3:GetObjectTagging", "copy source") in asked


def test_cpy_5_annotations_that_a_copy_asks_for_are_judged():
    """Said aloud, annotations are read there and written here."""
    assert needs(
        "PUT",
        "/bucket/k",
        x_amz_copy_source="/other/a",
        x_amz_object_annotation_directive="COPY",
        x_amz_tagging_directive="REPLACE",
    ) == {
        ("s3:PutObject", "target"),
        ("s3:GetObject", "copy source"),
        ("s3:GetObjectAnnotation", "copy source"),
        ("s3:PutObjectAnnotation", "target"),
    }


def test_cpy_5_a_part_is_copied_without_tags():
    """UploadPartCopy reads the object and nothing else."""
    assert needs("PUT", "/bucket/k?partNumber=1&uploadId=u", x_amz_copy_source="other%2Fa") == {
        ("s3:PutObject", "target"),
        ("s3:GetObject", "copy source"),
    }


def test_cpy_12_a_rename_reads_and_deletes_its_source():
    """RenameObject is a copy and a deletion in one."""
    request = ask("PUT", "/bucket/k?renameObject", x_amz_rename_source="/bucket/old")
    found = requirements(resolve(request), request)

    assert {(need.action, need.name) for need in found} == {
        ("s3:PutObject", ObjectName("bucket", "k")),
        ("s3:GetObject", ObjectName("bucket", "old")),
        ("s3:DeleteObject", ObjectName("bucket", "old")),
    }


def test_del_3_each_entry_is_judged_by_key_and_version():
    """One requirement an entry, and the bypass for each."""
    request = with_keys(
        ask("POST", "/bucket?delete", x_amz_bypass_governance_retention="true"),
        b"<Delete><Object><Key>a</Key></Object>"
        b"<Object><Key>b</Key><VersionId>null</VersionId></Object></Delete>",
    )
    found = requirements(resolve(request), request)

    assert [(need.action, need.name.key, need.entry) for need in found] == [
        ("s3:DeleteObject", "a", 0),
        ("s3:DeleteObjectVersion", "b", 1),
        ("s3:BypassGovernanceRetention", "a", 0),
        ("s3:BypassGovernanceRetention", "b", 1),
    ]
    assert {need.on for need in found} == {On.EACH_KEY}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_s3_6_powers_beyond_objects_are_in_no_verb(name):
    """With list, read, write and delete together nobody configures a bucket, an ACL or a lock."""
    operation = OPERATIONS[name]
    granted = VERBS["list"] | VERBS["read"] | VERBS["write"] | VERBS["delete"]
    open_to_verbs = all(need.action in granted for need in operation.needs)
    expected = {
        "ListBuckets", "ListObjects", "ListObjectsV2", "ListMultipartUploads", "HeadBucket",
        "GetBucketLocation", "DeleteObjects", "GetObject", "HeadObject", "PutObject", "CopyObject",
        "DeleteObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "RenameObject",
        "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts", "GetObjectTagging",
        "PutObjectTagging", "DeleteObjectTagging", "GetObjectAnnotation", "ListObjectAnnotations",
        "PutObjectAnnotation", "DeleteObjectAnnotation", "GetObjectAttributes", "SelectObjectContent",
    }  # fmt: skip

    assert open_to_verbs == (name in expected)


def test_s3_12_old_versions_are_behind_a_verb_of_their_own():
    """No verb but `versions` holds an action on a version."""
    assert not [
        action
        for verb, actions in VERBS.items()
        for action in actions
        if "Version" in action and verb != "versions"
    ]


def test_every_verb_is_made_of_known_actions():
    """A verb names nothing that no request needs."""
    assert frozenset().union(*VERBS.values()) <= ACTIONS
    assert all(action.startswith("s3:") for action in ACTIONS)


def test_ops_5_aliases_are_names_of_one_row():
    """`named` takes both names."""
    assert named("GetBucketLifecycle") is OPERATIONS["GetBucketLifecycleConfiguration"]
    assert named("Nothing") is None


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"]),
    st.sampled_from(["/", "/bucket", "/bucket/k"]),
    st.lists(
        st.sampled_from(sorted({name for row in OPERATIONS.values() for name in row.known_params}
                               | {"foo", "Prefix", "x-id", "x-other"})),
        unique=True, max_size=4,
    ),
)  # fmt: skip
def test_ops_1_a_resolved_request_holds_nothing_its_row_does_not_know(method, path, chosen):
    """Whatever is combined: either it is refused, or every parameter is one of the row's."""
    values = {"list-type": "2", "select-type": "2"}
    request = ask(
        method, path + "?" + "&".join(f"{name}={values.get(name, '')}" for name in chosen)
    )
    try:
        operation = resolve(request)
    except S3Error as error:
        assert error.status in (400, 405, 501)
    else:
        assert operation.query <= {name for name, _ in request.params} <= operation.known_params
