"""``invoke conformance --lab``: a lab of the user's is judged by packets, its engine's mistakes too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import corpora
import runner
from theirs import Theirs

from netlab.errors import BadInput

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.long,
    pytest.mark.skipif(corpora.folder() is None, reason=corpora.why_absent()),
]
LAB = """apiVersion: netlab/v1
kind: Lab
metadata: {{name: engine}}
spec:
  dataplane: host-gw
  policy: {{enforce: none}}
  agent: [python3, {engine}]
"""
ENGINE = Path(__file__).with_name("policyagent.py")


def lab_in(folder: Path, engine: str) -> Theirs:
    (folder / "engine.py").write_text(engine)
    (folder / "lab.yaml").write_text(LAB.format(engine="engine.py"))
    return Theirs(str(folder))


@pytest.mark.parametrize("corpus", ["e2e-netpol", "recipes"])
def test_the_small_engine_passes_all_networkpolicies(corpus: str, tmp_path: Path, lab_name: str) -> None:
    theirs = lab_in(tmp_path, ENGINE.read_text())
    result = runner.run(corpus, theirs.plane, lab_name, theirs.bed)
    assert result.cases and not result.failed, "\n".join(f"{name}: {says}" for name, says in result.failed)


def test_an_engine_that_drops_everything_or_nothing_fails(tmp_path: Path, lab_name: str) -> None:
    theirs = lab_in(tmp_path, "import time\ntime.sleep(10000)\n")
    nothing = runner.run("recipes", theirs.plane, lab_name, theirs.bed)
    assert len(nothing.failed) == nothing.cases and all("allow=False" in says for _, says in nothing.failed)
    rules = "table inet all { chain f { type filter hook forward priority 0; policy drop; }; }"
    text = f"import subprocess, time\nsubprocess.run(['nft', {rules!r}])\ntime.sleep(10000)\n"
    theirs = lab_in(tmp_path, text)
    everything = runner.run("recipes", theirs.plane, f"{lab_name}e", theirs.bed)
    assert len(everything.failed) == everything.cases, "a denial counts only where the flow passes without policies"


def test_a_lab_that_netlab_enforces_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: x}\n")
    with pytest.raises(BadInput, match=r"lab\.yaml:1.*netlab's own rules would be judged"):
        Theirs(str(tmp_path))
