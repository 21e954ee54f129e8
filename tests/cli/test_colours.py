"""Colours stand on words, on a terminal alone, and never where the reader wants none."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from netlab.cli import paint
from tests.conftest import ROOT

GREEN = "\x1b[32m"


@pytest.mark.parametrize(
    ("marks", "line", "coloured"),
    [
        (paint.TRACE, "     3  node-2    veth-server  XXX  DROPPED: NETFILTER_DROP in nft_do_chain", "XXX  DROPPED: NETFILTER_DROP in nft_do_chain"),
        (paint.TRACE, "default/a -> Pod default/b 10.244.2.2:80/TCP: no reply in 28 ms; the request", ": no reply in 28 ms; the request"),
        (paint.MATRIX, "client        T", "T"),
        (paint.DIFF, "missing: route 10.244.2.0/24 in x-node-1", "missing"),
        (paint.CHECK, "lab x: 1 failed, 2 of 3 flows as they should be (expect.yaml)", "1 failed"),
        (paint.CHECK, "FAIL default/a -> default/b", "FAIL"),
        (paint.DIAGNOSE, "1. mtu (node node-1, cni0): changed", "1. mtu "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_red(marks: paint.Marks, line: str, coloured: str) -> None:
    found = [(match[0], mark.code) for mark in marks for match in mark.pattern.finditer(line)]
    assert found == [(coloured, 31)]


def test_names_have_no_colour() -> None:
    for marks in (paint.TRACE, paint.MATRIX, paint.DIFF, paint.CHECK, paint.DIAGNOSE, paint.EXPLAIN):
        assert not [mark for mark in marks if mark.pattern.search("from \\ to  db:80  t.example:80  fail  dropped")]


def _shown(**environment: str) -> str:
    """What `netlab test --predict` prints on a terminal."""
    here, there = pty.openpty()
    words = [sys.executable, "-m", "netlab", "test", "--predict", "docs/ci/rendered.yaml"]
    given = {
        **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
        "TERM": "xterm",
        **environment,
    }
    process = subprocess.Popen(words, cwd=ROOT, env=given, stdin=there, stdout=there, stderr=there)
    os.close(there)
    seen = b""
    try:
        while data := os.read(here, 65536):
            seen += data
    except OSError:  # EIO: the terminal's other end is closed
        pass
    finally:
        os.close(here)
    assert process.wait(60) == 0
    return seen.decode()


def test_a_verdict_is_coloured_on_a_terminal_alone() -> None:
    assert f"{GREEN}   ok\x1b[0m" in _shown()
    assert not re.search(r"\x1b\[3\dm", _shown(NO_COLOR="1") + _shown(TERM="dumb"))
    piped = subprocess.run([sys.executable, "-m", "netlab", "test", "--predict", "docs/ci/rendered.yaml"], cwd=ROOT,
                           capture_output=True, text=True, check=True, env={**os.environ, "TERM": "xterm"})  # fmt: skip
    assert "\x1b" not in piped.stdout
