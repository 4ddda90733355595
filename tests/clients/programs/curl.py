"""curl with `--aws-sigv4`: a request each, the keys percent-encoded by hand."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from _operations import (
    ACCESS_KEY,
    BUCKET,
    CA,
    ENDPOINT,
    PAGE,
    REGION,
    SECRET_KEY,
    TOKEN,
    Store,
    main,
    run,
)

SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def curl(target: str, *more: str, data: bytes = b"") -> bytes:
    """One signed request to `/BUCKET` and what follows; before 8 it hashes no body by itself."""
    digest = hashlib.sha256(data).hexdigest()
    session = ("-H", f"x-amz-security-token: {TOKEN}") if TOKEN else ()
    authority = ("--cacert", CA) if CA else ()
    return run(
        "curl", "--silent", "--show-error", "--fail-with-body",
        "--aws-sigv4", f"aws:amz:{REGION}:s3", "--user", f"{ACCESS_KEY}:{SECRET_KEY}",
        "-H", f"x-amz-content-sha256: {digest}", *session, *authority, *more, f"{ENDPOINT}/{BUCKET}{target}",
    )  # fmt: skip


class Curl(Store):
    lacks: ClassVar[dict[str, str]] = {
        "delete": "one request each by hand: curl knows no S3",
        "presign": "curl makes no links",
    }

    def put(self, key: str, path: str) -> None:
        curl(f"/{quote(key)}", "--upload-file", path, data=Path(path).read_bytes())

    def get(self, key: str) -> bytes:
        return curl(f"/{quote(key)}")

    def range(self, key: str, first: int, last: int) -> bytes:
        return curl(f"/{quote(key)}", "--range", f"{first}-{last}")

    def list(self, prefix: str) -> list[str]:
        keys: list[str] = []
        after = ""
        while True:
            # Written as it is signed: sorted, and each name with its `=`; older ones sign what they see.
            start = f"&start-after={quote(after, safe='')}" if after else ""
            prefixed = f"prefix={quote(prefix, safe='')}"
            page = ET.fromstring(curl(f"?list-type=2&max-keys={PAGE}&{prefixed}{start}"))
            keys += [one.text or "" for one in page.iterfind(f"{SPACE}Contents/{SPACE}Key")]
            if page.findtext(f"{SPACE}IsTruncated") != "true":
                return keys
            after = keys[-1]

    def copy(self, source: str, target: str) -> None:
        header = f"x-amz-copy-source: /{BUCKET}/{quote(source)}"
        curl(f"/{quote(target)}", "-X", "PUT", "-H", header)


if __name__ == "__main__":
    main(Curl())
