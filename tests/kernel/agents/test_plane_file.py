"""``up --dataplane FILE.py``: a data plane of the author's in Python, run by the verbs that change the lab alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab

pytestmark = pytest.mark.kernel

PLANE = """
import os
from netlab.plan.dataplanes.cni_bridge import Plain
from netlab.planes import Masquerade, Plane

open(os.environ["RAN"], "a").write("run")
TRAITS = Plane("mine", "a bridge", bridge="mine0", masquerade=Masquerade.OUTSIDE, nft_tables=("netlab",))
PLANE = Plain()
"""


@pytest.fixture
def files(kit: Any, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, Path]]:
    """The lab's file, the plane's, and a file that tells how often the plane ran."""
    (tmp_path / "lab.yaml").write_text(kit.spec(lab, dataplane="vxlan"))
    (tmp_path / "mine.py").write_text(PLANE)
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    yield str(tmp_path / "lab.yaml"), str(tmp_path / "mine.py"), tmp_path / "ran"
    run_netlab("down", lab, check=None)


def test_the_lab_is_as_the_file_says_and_only_changes_run_it(lab: str, files: tuple[str, str, Path]) -> None:
    file, plane, ran = files
    assert "2 Pods, mine" in run_netlab("up", file, "--dataplane", plane, check=0).stdout
    before = ran.read_text()
    run_netlab("trace", "client", "server", "--lab", lab, "--compare", check=0)
    run_netlab("check", lab, check=0)
    run_netlab("kubectl", "--lab", lab, "get", "pods", check=None)
    assert "no drift" in run_netlab("diff", lab, check=0).stdout
    assert json.loads(run_netlab("graph", lab, "-o", "json", check=0).stdout)["dataplane"] == "mine"
    assert ran.read_text() == before, "reading a lab runs no code of the author's"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "more"}}
    pod |= {"spec": {"nodeName": "node-2", "containers": [{"name": "c", "image": "x"}]}}
    run_netlab("apply", "-f", "-", "--lab", lab, input=json.dumps(pod), check=0)
    assert ran.read_text() != before
    assert "no drift" in run_netlab("diff", lab, check=0).stdout
    assert "mine" in run_netlab("up", file, check=0).stdout, "up again keeps the plane"
    assert "vxlan" in run_netlab("up", file, "--reset", check=0).stdout
    assert "no drift" in run_netlab("diff", lab, check=0).stdout


def test_a_file_that_fails_or_that_others_may_write_makes_no_lab(lab: str, files: tuple[str, str, Path]) -> None:
    file, plane, ran = files
    os.chmod(plane, 0o666)
    assert "mine.py can be changed by every user" in run_netlab("up", file, "--dataplane", plane, check=2).stderr
    os.chmod(plane, 0o644)
    assert not ran.exists()
    for text, says in (
        ("x = 1\nraise ValueError('no')\n", "mine.py:2: the data plane fails: ValueError: no"),
        ("x = (\n", "mine.py:1: the data plane fails: SyntaxError"),
        ("x = 1\n", "sets no TRAITS"),
        (PLANE.replace('"mine"', '"vxlan"'), "TRAITS.name is 'vxlan'"),
    ):
        Path(plane).write_text(text)
        assert says in run_netlab("up", file, "--dataplane", plane, check=2).stderr
    assert not os.path.exists(f"/run/netlab/{lab}")
