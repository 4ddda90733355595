"""Lists in the client's names: what is shown, and what never is."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus, unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocolError
from gateway.s3.answers import inbound
from gateway.s3.listing import page_json, page_xml
from gateway.s3.members import PAGES
from gateway.s3.xml import escape, unescape
from tests.s3.world import PLAIN, PREFIX, PREFIXED, answer, ask, text, upstream, view

NS = "http://s3.amazonaws.com/doc/2006-03-01/"
QUERIES = {
    "ListObjects": "", "ListObjectsV2": "list-type=2", "ListObjectVersions": "versions",
    "ListMultipartUploads": "uploads",
}  # fmt: skip
ROOTS = {
    "ListObjects": "ListBucketResult", "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult", "ListMultipartUploads": "ListMultipartUploadsResult",
}  # fmt: skip
ENTRY = {
    "ListObjects": "Contents", "ListObjectsV2": "Contents", "ListObjectVersions": "Version",
    "ListMultipartUploads": "Upload",
}  # fmt: skip
KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20
)
PREFIXES = st.lists(KEYS, max_size=2).map(lambda parts: "".join(f"{part}/" for part in parts))
NASTY = ["a b", "a+b", "100%", "a%20b", "a&b", "a<b", "]]>", "\x01\x1f", "\U0001f600", "\u00fc", "a//b/", "\"'", "+", "a\tb"]  # fmt: skip


def page(keys, *, name: str = "ListObjectsV2", prefixes=(), encoded: bool = True, more: str = "",
         spell=quote, root: str = "") -> bytes:  # fmt: skip
    """A page as an upstream writes it: keys encoded, what it echoes bare (as Ceph does)."""
    write = (lambda key: escape(spell(key))) if encoded else escape
    rows = "".join(
        f"<{ENTRY[name]}><Key>{write(key)}</Key><Size>1</Size></{ENTRY[name]}>" for key in keys
    )
    rows += "".join(
        f"<CommonPrefixes><Prefix>{write(key)}</Prefix></CommonPrefixes>" for key in prefixes
    )
    root = root or ROOTS[name]
    kind = "<EncodingType>url</EncodingType>" if encoded else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NS}"><Name>acme-home</Name><Bucket>acme-home</Bucket>'
        f"<Prefix>{PREFIX}p +q/</Prefix><Marker>{PREFIX}m</Marker><KeyMarker>{PREFIX}m</KeyMarker>"
        f"<StartAfter>{PREFIX}s</StartAfter><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter>{kind}{more}{rows}</{root}>"
    ).encode()


def looking(query: str = "list-type=2", to=PREFIXED, **more):
    return view(ask("GET", f"/home?{query}"), to, **more)


def shown(data: bytes) -> list[str]:
    """The keys and common prefixes in a page for a client, as a client reads them."""
    written = data.decode("utf-8", "surrogatepass")
    found = re.findall(r"<(?:Key|CommonPrefixes><Prefix)>([^<]*)<", written)
    decode = unquote if "<EncodingType>url</EncodingType>" in written else (lambda key: key)
    return [decode(unescape(key)) for key in found]


# Keys


@pytest.mark.parametrize("name", sorted(QUERIES))
@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("spell", [quote, quote_plus])
@pytest.mark.parametrize("asks", [True, False])
def test_lst_4_keys_come_back_as_they_are(name, encoded, spell, asks):
    """T52: in all four lists, whether encoded upstream or for the client or not."""
    query = QUERIES[name] + ("&encoding-type=url" if asks else "")
    data = page(
        [PREFIX + key for key in NASTY],
        name=name,
        prefixes=[PREFIX + "x y/"],
        encoded=encoded,
        spell=spell,
    )

    assert shown(page_xml(data, looking(query))) == [*NASTY, "x y/"]
    made = json.loads(page_json(data, looking(query)))
    assert [entry["Key"] for entry in made[PAGES[name][ENTRY[name]]]] == NASTY
    assert made["CommonPrefixes"] == [{"Prefix": "x y/"}]
    assert "EncodingType" not in made


@settings(max_examples=150, deadline=None)
@given(
    st.lists(KEYS, max_size=5),
    PREFIXES,
    st.booleans(),
    st.booleans(),
    st.sampled_from(sorted(QUERIES)),
)
def test_lst_4_rewriting_undone_is_identity(keys, prefix, encoded, asks, name):
    """Whatever keys and prefix: mapped up, listed, mapped back."""
    to = upstream(prefix=prefix)
    query = QUERIES[name] + ("&encoding-type=url" if asks else "")
    data = page([to.key(key) for key in keys], name=name, encoded=encoded)

    assert shown(page_xml(data, looking(query, to))) == keys


@settings(max_examples=150, deadline=None)
@given(
    st.lists(KEYS, min_size=1, max_size=4),
    st.sampled_from(["u/al/", "u/", "a/b/c/"]),
    st.booleans(),
)
def test_lst_5_a_list_never_shows_a_key_outside_the_prefix(keys, prefix, visible):
    """Whatever the upstream lists: every key of it is below the prefix, or nothing is shown."""
    to = upstream(prefix=prefix)
    seen = looking(to=to, visible=(lambda key, _: "a" in key) if visible else None)
    try:
        got = page_xml(page(keys), seen)
    except UpstreamProtocolError:
        assert any(not key.startswith(prefix) for key in keys)
        return
    assert all(key.startswith(prefix) for key in keys)
    assert [prefix + key for key in shown(got)] == [
        key for key in keys if key != prefix and (not visible or "a" in key[len(prefix) :])
    ]


@pytest.mark.parametrize(
    "data",
    [
        page(["users/bob/x"]),
        page([PREFIX + "a", "users/alice"]),
        page([PREFIX + "a"], prefixes=["users/"]),
        page(
            [],
            more=f"<Contents><Size>1</Size><Key>{PREFIX}a</Key><Key>users/bob/x</Key></Contents>",
        ),
        page([], more=f"<Contents><Key>{PREFIX}a</Key><Key>users/bob/x</Key></Contents>"),
        page([], more="<Contents><Size>1</Size></Contents>"),
        page([], more="<Contents><Key/></Contents>"),
        page([], more="<Contents><Key><b/></Key></Contents>"),
        page(
            [],
            more="<CommonPrefixes><Prefix>users/alice/a/</Prefix><Prefix>users/bob/</Prefix></CommonPrefixes>",
        ),
        page([], more="<Contents><Key>users/alice/%zz</Key></Contents>"),
        page([], more="<Contents><Key>users/alice/&nbsp;</Key></Contents>"),
        page([], more="<KeyCount>many</KeyCount>"),
        page([], root="ListAllMyBucketsResult"),
        b"<html>",
        b"",
        b"<ListBucketResult>",
    ],
)
@pytest.mark.parametrize("write", [page_xml, page_json])
def test_lst_5_an_answer_that_breaks_a_rule_shows_nothing(data, write):
    """T51: an upstream that ignores the prefix, or answers something else: 502."""
    with pytest.raises(UpstreamProtocolError) as caught:
        write(data, looking())
    assert caught.value.status == 502


def test_lst_6_a_folder_marker_is_left_out():
    """T53: it would be an empty key; the count is lowered. A page may hold only it."""
    got = page_xml(page([PREFIX, PREFIX + "a"], more="<KeyCount>2</KeyCount>"), looking()).decode()

    assert shown(got.encode()) == ["a"]
    assert "<KeyCount>1</KeyCount>" in got
    assert json.loads(page_json(page([PREFIX], more="<KeyCount>1</KeyCount>"), looking())) == {
        "Name": "home", "Prefix": "", "MaxKeys": 1000, "KeyCount": 0, "Contents": [], "CommonPrefixes": [],
    }  # fmt: skip


def test_lst_10_entries_outside_the_grant_are_left_out():
    """A page may be short, and goes on."""
    data = page(
        [PREFIX + "open/a", PREFIX + "shut/b"], prefixes=[PREFIX + "shut/"],
        more="<KeyCount>3</KeyCount><IsTruncated>true</IsTruncated>",
    )  # fmt: skip
    got = page_xml(data, looking(visible=lambda key, is_prefix: key.startswith("open/"))).decode()

    assert shown(got.encode()) == ["open/a"]
    assert "<KeyCount>1</KeyCount>" in got
    assert "<IsTruncated>true</IsTruncated>" in got


def test_lst_10_the_flag_tells_common_prefixes():
    """So that a prefix is shown that leads to what is granted."""
    asked: list[tuple[str, bool]] = []

    def visible(key: str, is_prefix: bool) -> bool:
        asked.append((key, is_prefix))
        return True

    page_xml(page([PREFIX + "a"], prefixes=[PREFIX + "b/"]), looking(visible=visible))

    assert asked == [("a", False), ("b/", True)]


# What is repeated, what passes


def test_lst_3_what_is_echoed_comes_from_the_request():
    """The upstream's echo names its bucket and prefix, and Ceph spells it otherwise than its keys."""
    got = page_xml(
        page([]),
        looking(
            "list-type=2&prefix=p+%2Bq/&delimiter=/&start-after=s&continuation-token=t&max-keys=5000"
        ),
    ).decode()

    assert got == (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NS}"><Name>home</Name>'
        "<Prefix>p +q/</Prefix><StartAfter>s</StartAfter><Delimiter>/</Delimiter>"
        "<ContinuationToken>t</ContinuationToken><MaxKeys>1000</MaxKeys>"
        "</ListBucketResult>"
    )


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_lst_3_no_element_names_the_upstreams_bucket_or_prefix(name):
    """Whatever it echoes, in whichever list."""
    for write in (page_xml, page_json):
        got = write(page([PREFIX + "a"], name=name), looking(QUERIES[name])).decode()
        assert "acme" not in got
        assert "alice" not in got


def test_lst_3_an_empty_delimiter_is_no_delimiter():
    """S3 leaves it out, and clients read what is there as what was used."""
    got = page_xml(page([]), looking("prefix=&delimiter=")).decode()

    assert "<Prefix></Prefix><Marker></Marker>" in got
    assert "Delimiter" not in got
    assert "Delimiter" not in page_json(page([]), looking("delimiter=")).decode()


def test_lst_3_an_encoding_client_gets_its_echo_encoded():
    """As botocore decodes it; space as %20, which suits all."""
    got = page_xml(page([]), looking("prefix=p+%2Bq/&marker=m+n&encoding-type=url")).decode()

    assert "<Prefix>p%20%2Bq/</Prefix><Marker>m%20n</Marker>" in got
    assert "<EncodingType>url</EncodingType>" in got


def test_lst_7_tokens_pass_unchanged():
    """Also where they hold what XML forbids (LST-13); version and upload markers too."""
    tokens = (
        "<NextContinuationToken>a&#x01;b%2B+</NextContinuationToken><NextVersionIdMarker>v+</NextVersionIdMarker>"
        "<NextUploadIdMarker>u%</NextUploadIdMarker>"
    )

    assert tokens in page_xml(page([], more=tokens), looking()).decode()
    assert (
        json.loads(page_json(page([], more=tokens), looking()))["NextContinuationToken"]
        == "a\x01b%2B+"
    )


def test_lst_8_unknown_elements_pass_in_the_upstreams_order():
    """Owner, StorageClass, Type, and whatever comes next; a Key further down is no key."""
    entry = (
        f"\n  <Contents>\n    <Type>Normal</Type><Meta><Key>users/bob</Key></Meta><Key>{PREFIX}b</Key>"
        "<Owner><ID>1</ID></Owner></Contents>"
    )
    got = page_xml(page([], more=f"<Odd><Key>x</Key></Odd>{entry}"), looking()).decode()

    assert "<Odd><Key>x</Key></Odd>" in got
    assert (
        "<Contents>\n    <Type>Normal</Type><Meta><Key>users/bob</Key></Meta><Key>b</Key>"
        "<Owner><ID>1</ID></Owner></Contents>"
    ) in got


def test_a_document_with_prefixed_names_is_read():
    """Local names count."""
    data = f'<s:ListBucketResult xmlns:s="{NS}"><s:Contents><Key>{PREFIX}a</Key></s:Contents></s:ListBucketResult>'

    assert shown(page_xml(data.encode(), looking())) == ["a"]


# Markers


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("key", NASTY)
def test_lst_2_the_next_marker_is_a_key_of_the_page(key, bare):
    """Ceph writes it bare where it encodes keys; which reading is meant, the page's last entry tells."""
    marker = escape(PREFIX + key if bare else quote(PREFIX + key))
    data = page([PREFIX + key], name="ListObjects", more=f"<NextMarker>{marker}</NextMarker>")

    assert json.loads(page_json(data, looking("")))["NextMarker"] == key


def test_lst_5_a_marker_outside_the_prefix_is_a_fault():
    """It would name a stranger's key."""
    for marker in ("users/bob/x", "%zz"):
        with pytest.raises(UpstreamProtocolError):
            page_xml(
                page([], name="ListObjects", more=f"<NextMarker>{marker}</NextMarker>"), looking("")
            )


def test_lst_2_a_marker_that_is_no_key_gives_way_to_the_last_entry():
    """moto writes a token; nothing of it is shown, and clients come on."""
    data = page(
        [PREFIX + "a", PREFIX + "b"], name="ListObjects", more="<NextMarker>68295b49</NextMarker>"
    )

    assert json.loads(page_json(data, looking("")))["NextMarker"] == "b"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [(["a", "hidden"], "hidden"), (["hidden/x", "z"], "z"), ([""], "\t"), (["", "a"], "a")],
)
def test_lst_10_a_page_of_v1_that_lost_entries_says_where_to_go_on(keys, expected):
    """Clients continue from the last key that they see; where that was left out, they would not come on."""
    data = page(
        [PREFIX + key for key in keys], name="ListObjects", more="<IsTruncated>true</IsTruncated>"
    )
    got = json.loads(
        page_json(data, looking("", visible=lambda key, _: not key.startswith("hidden")))
    )

    assert got["NextMarker"] == expected


def test_a_page_of_v1_that_lost_nothing_is_left_as_it_is():
    """And an empty marker stays empty where nothing follows."""
    whole = page([PREFIX + "a"], name="ListObjects", more="<IsTruncated>true</IsTruncated>")
    last = page([], name="ListObjectVersions", more="<NextKeyMarker></NextKeyMarker>")

    assert "NextMarker" not in page_xml(whole, looking("")).decode()
    assert "<NextKeyMarker></NextKeyMarker>" in page_xml(last, looking("versions")).decode()


# JSON


def test_lst_15_json_has_the_members_of_the_model():
    """Numbers and booleans typed, versions and delete markers apart, arrays always."""
    data = page(
        [PREFIX + "a"], name="ListObjectVersions",
        more=f"<IsTruncated>false</IsTruncated><DeleteMarker><Key>{PREFIX}b</Key><IsLatest>true</IsLatest></DeleteMarker>",
    )  # fmt: skip

    assert json.loads(page_json(data, looking("versions&max-keys=7"))) == {
        "Name": "home", "Prefix": "", "KeyMarker": "", "MaxKeys": 7, "IsTruncated": False,
        "Versions": [{"Key": "a", "Size": 1}], "DeleteMarkers": [{"Key": "b", "IsLatest": True}],
        "CommonPrefixes": [],
    }  # fmt: skip


async def test_lst_15_the_answer_says_what_it_is():
    """By its type."""
    data = page([PREFIX + "a"])
    as_xml = await inbound(answer(data), looking())
    as_json = await inbound(answer(data), looking(as_json=True))

    assert as_xml.head.headers["content-type"] == "application/xml"
    assert as_json.head.headers["content-type"] == "application/json"
    assert json.loads(await text(as_json))["Contents"] == [{"Key": "a", "Size": 1}]


async def test_lst_14_a_list_has_a_size():
    """8 MiB are read, no more."""

    big = answer(b"<ListBucketResult>" + b" " * (8 * 1024 * 1024) + b"</ListBucketResult>")
    with pytest.raises(UpstreamProtocolError):
        await inbound(big, looking())


def test_a_plain_mapping_is_rewritten_by_the_same_pass():
    """The bucket's name is echoed from the request, keys stay."""
    got = page_xml(page(["a", "b/c"]), looking(to=PLAIN))

    assert shown(got) == ["a", "b/c"]
    assert ElementTree.fromstring(got).findtext(f"{{{NS}}}Name") == "home"
    assert (
        ElementTree.fromstring(page_xml(b"<ListBucketResult/>", looking())).findtext("Name")
        == "home"
    )
