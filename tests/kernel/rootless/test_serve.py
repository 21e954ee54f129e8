"""The page of a lab that is inside its user's namespaces: a browser outside reaches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel


def test_the_page_listens_outside(plain: Any, kit: Any, home: Path, lab_name: str) -> None:
    (home / "lab.yaml").write_text(kit.spec(lab_name))
    done = plain(f"""
        netlab up lab.yaml >/dev/null
        netlab serve --port 47123 >page &
        until [ -s page ]; do sleep 0.1; done
        address=$(cat page)
        echo "${{address%%token=*}}"
        curl -sS -o /dev/null -w '%{{http_code}}\\n' http://127.0.0.1:47123/
        curl -sS -L -c jar -b jar "$address" | head -1
        netlab serve --stop {lab_name}
        wait
        netlab serve --port 99999 || echo status $?
        netlab down {lab_name} >/dev/null
        """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "http://127.0.0.1:47123/?",
        "401",
        "<!doctype html>",
        f"all pages of lab {lab_name} are closed",
        "status 2",
    ], done.stdout + done.stderr
