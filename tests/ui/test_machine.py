"""The pure modules of the page, imported in the browser (names, formats, tables, states)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.ui.conftest import Opener


@pytest.fixture
def call(opened: Opener) -> Any:
    page: Page = opened("/ui/keys")

    def run(module: str, expression: str) -> Any:
        """The value of an expression in which `m` is a module of the page."""
        base = page.evaluate("document.documentElement.dataset.static")
        handle = page.evaluate_handle("path => import(path)", f"{base}/{module}")
        return handle.evaluate(f"m => ({expression})")

    return run


def test_names_sort_as_s3_sorts(call: Any) -> None:
    """By UTF-8 bytes, which is by code point, also beyond the basic plane."""
    names = ["a", "a/", "a0", "é", "z", "\uffee", "😀", "b\u0301"]
    ordered = call("s3/names.js", f"{names!r}.sort(m.compare)")

    assert ordered == sorted(names, key=lambda name: name.encode())


def test_names_show_what_hides(call: Any) -> None:
    """Blanks at the ends, controls and direction marks are drawn."""
    assert call("s3/names.js", r'm.display(" a\u202eb\u0001 ")') == "␠a⟨U+202E⟩b⟨U+0001⟩␠"
    assert call("s3/names.js", r'm.display("a\u200db")') == "a⟨U+200D⟩b"
    assert call("s3/names.js", r'm.display("👩🏽\u200d🔬.txt")') == "👩🏽\u200d🔬.txt"
    assert call("s3/names.js", 'm.another("a.tar.gz", n => n === "a.tar (2).gz")') == "a.tar (3).gz"
    assert call(
        "s3/names.js",
        '[m.parent("a/b/"), m.parent("a/b"), m.base("a/b/"), m.unaddressable("a/../b")]',
    ) == ["a/", "a/", "b/", True]


def test_sizes_have_three_digits(call: Any) -> None:
    """IEC units, rounded into the next where that is due."""
    sizes = [0, 999, 1000, 1023, 7664102, 54988, 1024**3 - 1, 5 * 1024**4]
    assert call("lib/format.js", f"{sizes}.map(m.size)") == [
        "0 B",
        "999 B",
        "0.98 KiB",
        "1.00 KiB",
        "7.31 MiB",
        "53.7 KiB",
        "1.00 GiB",
        "5.00 TiB",
    ]


def test_places_and_addresses_are_each_others_inverse(call: Any) -> None:
    """Any key, any query: what is written is read back."""
    keys = ["", "a/", "a/b c+%2F;=?#&ü/😀", "a//b/", "/lead", "x/../y", "q?r=1#s", "100%", "\\back"]
    for key in keys:
        back = call(
            "model/place.js",
            f"(k => {{ const p = k === '' || k.endsWith('/') ? m.browse('b', k) : m.object('b', k); const u = new URL(m.href({{...p, sort: '-size', filter: 'f&g'}}), 'http://x'); const q = m.parse(u.pathname, u.search); return [q.open || q.prefix, q.sort, q.filter]; }})({key!r})",
        )
        assert back == [key, "-size", "f&g"], key


def test_tables_keep_quotes_breaks_and_ragged_rows(call: Any) -> None:
    """RFC 4180, any delimiter."""
    cases = {
        "a,b\n1,2\n": [["a", "b"], ["1", "2"]],
        'a,"b\nc",d': [["a", "b\nc", "d"]],
        '"a ""q""",b\r\nc': [['a "q"', "b"], ["c"]],
        "a,\n,b": [["a", ""], ["", "b"]],
        '"open, never closed': [["open, never closed"]],
    }
    for text, rows in cases.items():
        assert call("lib/csv.js", f"m.parse({text!r}, ',')") == rows, text
    assert call("lib/csv.js", r"m.guess('a;b;c\n1,5;2;3\n4;5;6')") == ";"


def test_json_keeps_numbers_and_places_faults(call: Any) -> None:
    """A number stays its text; a fault has a line and a column."""
    assert call("lib/json.js", 'm.parse("[12345678901234567890, 1e5]").items.map(i => i.text)') == [
        "12345678901234567890",
        "1e5",
    ]
    assert "line 2, column 3" in call(
        "lib/json.js", r'(() => { try { m.parse("[1,\n  }"); } catch (e) { return e.message; } })()'
    )


def test_ui_16_the_states_of_an_upload(call: Any) -> None:
    """Every path of the machine that the tray shows."""
    run = "((events, decision) => { let s = m.begin(decision); const all = []; for (const e of events) { const r = m.step(s, e); s = r.state; all.push(...r.effects); } return [s.phase, all.join(' ')]; })"
    fault = "{type:'fault', retryAfter: 0, chance: 0.5, reason: 'x'}"
    paths = {
        "[{type:'start'},{type:'absent'},{type:'sent'},{type:'completed'}]": [
            "done",
            "check send complete forget",
        ],
        "[{type:'start'},{type:'present'}]": ["conflict", "check stop ask"],
        "[{type:'start'},{type:'present'},{type:'decide',choice:'keep'},{type:'absent'}]": [
            "uploading",
            "check stop ask stop rename check send",
        ],
        "[{type:'start'},{type:'present'},{type:'decide',choice:'skip'}]": [
            "skipped",
            "check stop ask stop abort forget",
        ],
        "[{type:'start'},{type:'absent'},{type:'taken'}]": ["conflict", "check send stop ask"],
        f"[{{type:'start'}},{{type:'absent'}},{fault},{{type:'again'}}]": [
            "uploading",
            "check send stop wait send",
        ],
        f"[{{type:'start'}},{{type:'absent'}},{', '.join([fault + ',{type:`again`}'] * 6)}]": [
            "failed",
            "check send" + " stop wait send" * 5 + " stop keep",
        ],
        "[{type:'start'},{type:'absent'},{type:'pause',by:'session'},{type:'resume',by:'offline'}]": [
            "paused",
            "check send stop keep",
        ],
        "[{type:'start'},{type:'absent'},{type:'pause',by:'session'},{type:'resume',by:'session'}]": [
            "uploading",
            "check send stop keep send",
        ],
        "[{type:'start'},{type:'absent'},{type:'sent'},{type:'gone'}]": [
            "completing",
            "check send complete verify",
        ],
        "[{type:'start'},{type:'absent'},{type:'cancel'},{type:'sent'}]": [
            "cancelled",
            "check send stop abort forget",
        ],
    }
    for events, wanted in paths.items():
        assert call("upload/machine.js", f"{run}({events})") == wanted, events


def test_ui_15_parts_fit_what_s3_takes(call: Any) -> None:
    """At most 10 000 parts of at least 5 MiB, and only those that are missing."""
    mib = 1024 * 1024
    sizes = [16 * mib, 512 * mib, 4096 * mib, 5 * 1024 * 1024 * mib]
    assert call("upload/machine.js", f"{sizes}.map(m.partSize)") == [
        8 * mib,
        8 * mib,
        16 * mib,
        583 * mib,
    ]
    assert call(
        "upload/machine.js",
        f"m.missingParts({20 * mib}, {8 * mib}, [{{number: 1, size: {8 * mib}}}, {{number: 3, size: 5}}]).map(p => p.number)",
    ) == [2, 3]


def test_the_checksum_is_that_of_s3(call: Any) -> None:
    """CRC-32 of the check string, as S3 writes it."""
    assert call("s3/client.js", "m.crc32(new TextEncoder().encode('123456789'))") == "y/Q5Jg=="
