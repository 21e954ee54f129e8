"""Text of manifests reaches no terminal and no zone file with control characters in it."""

from __future__ import annotations

import pytest

from netlab import escape
from netlab.cli import out

HOSTILE = "a\x1b[31mRED\x1b]0;title\x07\x9b2J\u202eevil\r\x7f"


def test_what_people_read_has_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    out.line(HOSTILE)
    out.note(HOSTILE)
    out.table([[HOSTILE, HOSTILE]], ["A", "B"])
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert not [c for c in text if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) <= 0x9F or c == "\u202e"]
        assert r"a\x1b[31mRED\x1b]0;title\x07\x9b2J\u202eevil\x0d\x7f" in text


def test_a_name_in_a_zone_file_is_one_name() -> None:
    assert escape.zone("db-1._tcp.example.org") == "db-1._tcp.example.org"
    assert escape.zone('a b; c\n"') == r"a\032b\059\032c\010\034"
