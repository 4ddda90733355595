"""S3's errors as rows, and their two forms."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from gateway.s3 import errors
from gateway.s3.errors import ROWS, AccessDenied, S3Error, error_json, error_xml


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.code)
def test_fwd_9_a_message_is_never_empty(row):
    """An empty one crashes the aws cli."""
    document = ElementTree.fromstring(error_xml(S3Error(row), resource="/b/k", request_id="1"))

    assert document.tag == "Error"
    assert document.findtext("Code") == row.code
    assert document.findtext("Message")
    assert re.fullmatch(r"[A-Za-z0-9]+", row.code)
    assert 400 <= row.status <= 599


def test_a_code_stands_in_the_table_once():
    """Two rows of one code would be two statuses."""
    with pytest.raises(ValueError, match="NoSuchKey"):
        errors.row("NoSuchKey", 404, "again")


def test_details_become_elements_in_the_order_of_s3():
    """`server_time` is `ServerTime`; what has a capital stays."""
    error = S3Error(
        errors.REQUEST_TIME_TOO_SKEWED, server_time="b", request_time="a", AWSAccessKeyId="c"
    )

    assert list(error_json(error, resource="/", request_id="1")) == [
        "Code", "Message", "RequestTime", "ServerTime", "AWSAccessKeyId", "Resource", "RequestId",
    ]  # fmt: skip
    assert (error.status, error.code) == (403, "RequestTimeTooSkewed")


def test_what_xml_forbids_never_breaks_an_error():
    """A resource may hold anything; the document is always one that parsers take."""
    document = error_xml(S3Error(errors.INVALID_URI), resource="/b/\x01<&>\ufffe", request_id="1")

    assert ElementTree.fromstring(document).findtext("Resource") == "/b/\ufffd<&>\ufffd"


def test_access_denied_carries_its_decision():
    """Whoever explains it finds it there."""
    decision = object()

    assert AccessDenied(decision).decision is decision
    assert AccessDenied(None, "because").message == "because"
    assert AccessDenied().status == 403
