"""The scripts that netlab is measured against build the same kernel objects; else the ratios would mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def inside(*words: str) -> Any:
    done = subprocess.run([sys.executable, HERE / "inside.py", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.kernel
@pytest.mark.parametrize("dataplane", ["vxlan", "host-gw", "bridge"])
@pytest.mark.parametrize("way", ["complete", "bare"])
def test_script_builds_what_the_plan_says(lab_name: str, tmp_path: Path, dataplane: str, way: str) -> None:
    spec = tmp_path / "lab.yaml"
    pods = "".join(
        "---\napiVersion: v1\nkind: Pod\n"
        f"metadata: {{name: p{number}}}\n"
        f"spec: {{nodeName: node-{1 + number % 2}, containers: [{{name: c, image: i, ports: [{{containerPort: 80}}]}}]}}\n"
        for number in range(4)
    )
    spec.write_text(
        f"apiVersion: netlab/v1\nkind: Lab\nmetadata: {{name: {lab_name}}}\n"
        f"spec: {{dataplane: {dataplane}, nodes: [{{name: node-1}}, {{name: node-2}}]}}\n{pods}"
    )
    script = inside("script", str(spec), str(tmp_path / "script"), way)
    try:
        done = subprocess.run(script["argv"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert inside("differs" if way == "complete" else "differs-bare", str(spec)) == []
        if way == "bare":
            assert inside("differs", str(spec)) != [], "the comparison sees nothing at all"
    finally:
        subprocess.run(script["removal"], check=False)
