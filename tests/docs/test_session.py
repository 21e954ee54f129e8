"""The recorded session of the README is what its commands print today."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.docs.test_pages import ROOT, Session

pytestmark = pytest.mark.kernel
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")


def _recorded() -> set[str]:
    """The rows of all frames of the picture, without numbers."""
    rows = ET.parse(ROOT / "docs/pictures/session.svg").iter("{http://www.w3.org/2000/svg}g")
    return {_plain("".join(row.itertext())) for row in rows} | {""}


def _plain(line: str) -> str:
    return " ".join(_NUMBERS.sub("0", line.replace("\xa0", " ")).split())


def test_the_recorded_session_is_what_its_commands_print(tmp_path: Path) -> None:
    session = Session(tmp_path)
    try:
        # A root shell without sudo, as the session was recorded in.
        status, lines = session.type(f"env -u SUDO_UID -u SUDO_GID PACE=0 bash {ROOT}/scripts/session.sh")
    finally:
        left = session.close()
    assert (status, left) == (0, [])
    printed = [_plain(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines]
    recorded = _recorded()
    # Whether the kernel asks for a MAC again is chance.
    missing = [line for line in printed if line not in recorded and "ARP" not in line and line != "later"]
    assert not missing, f"record it again (invoke pictures --session): {missing}"
