"""botocore's S3 model as the oracle: its operations, serialised as its clients would."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from botocore.serialize import create_serializer
from botocore.session import Session

from gateway.message import Headers, RequestHead
from gateway.s3.hosts import Hosts
from gateway.s3.request import S3Request, parse

HOSTS = Hosts(path_style=frozenset({"s3.example.com"}), virtual=("s3.example.com",))

OWN = {"Bucket": "bucket", "Key": "folder/a b+c.txt", "CopySource": "/other/a%20b",
       "RenameSource": "/bucket/a%20b", "CopySourceRange": "bytes=0-9"}  # fmt: skip


@cache
def service() -> Any:
    return Session().get_service_model("s3")


def names() -> list[str]:
    return sorted(service().operation_names)


def _value(shape: Any, name: str = "", depth: int = 0) -> Any:
    if name in OWN:
        return OWN[name]
    match shape.type_name:
        case "structure":
            return {
                key: _value(member, depth=depth + 1)
                for key, member in shape.members.items()
                if depth < 3 or key in shape.required_members
            }
        case "list":
            return [_value(shape.member, depth=depth + 1)]
        case "map":
            return {"a": "b"}
        case "integer" | "long" | "float" | "double":
            return 7
        case "boolean":
            return True
        case "timestamp":
            return datetime(2026, 3, 1, tzinfo=UTC)
        case "blob":
            return b"data"
        case _:
            return shape.enum[0] if getattr(shape, "enum", None) else "text"


def parameters(name: str, *, every: bool) -> dict[str, Any]:
    """The fewest parameters of an operation, or all of them."""
    shape = service().operation_model(name).input_shape
    if shape is None:
        return {}
    return {
        key: _value(member, key)
        for key, member in shape.members.items()
        if every or key in shape.required_members
    }


def head(name: str, *, every: bool) -> RequestHead:
    """The request head that botocore makes of it, path style, unsigned."""
    model = service().operation_model(name)
    made = create_serializer("rest-xml", include_validation=False).serialize_to_request(
        parameters(name, every=every), model
    )
    path = made["url_path"]
    query = urlencode(made["query_string"], quote_via=quote) if made["query_string"] else ""
    joint = "&" if "?" in path else "?"
    target = f"{path}{joint}{query}" if query else path
    pairs = [
        ("host", "s3.example.com"),
        *((key, str(value)) for key, value in made["headers"].items()),
    ]
    return RequestHead(method=model.http["method"], target=target, headers=Headers.of(pairs))


def request(name: str, *, every: bool) -> S3Request:
    return parse(head(name, every=every), HOSTS)
