"""What a learner hands in is graded in a lab that is made of it, by real packets; what a stranger adds is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab import output
from netlab.plain import schema
from tests.conftest import run_netlab

jsonschema = pytest.importorskip("jsonschema")
pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[2]
# The waits are for the shell beside, which ticks; a tick that comes late leaves a part as it is, and the test says so.
SOLUTION = """answer 172.18.0.3
netlab exec client -- ping -i 0.2 -c 3 10.244.2.2 >/dev/null
until step | grep -q "3/4"; do sleep 0.2; done
ip -n {lab}-node-1 route replace 10.244.2.0/24 via 172.18.0.3
ip -n {lab}-node-2 route replace 10.244.1.0/24 via 172.18.0.2
until step | grep -q "4/4"; do sleep 0.2; done
"""


def as_described(title: str, data: Any) -> None:
    jsonschema.Draft202012Validator(schema(output.document(title), title)).validate(data)


def changed(original: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(original))
    change(copy["states"][2])
    return copy


def test_a_hand_in_is_graded_by_packets_and_runs_nothing(lab_name: str, tmp_path: Path) -> None:
    folder = tmp_path / "direct"
    shutil.copytree(ROOT / "labs" / "direct", folder)
    spec = folder / "lab.yaml"
    spec.write_text(spec.read_text().replace("name: direct", f"name: {lab_name}"))
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    witness = tmp_path / "witness"
    node = f"{lab_name}-node-1"

    def grade(*documents: dict[str, Any], check: int) -> list[dict[str, Any]]:
        files = []
        for number, document in enumerate(documents):
            files.append(tmp_path / f"{number}.json")
            files[-1].write_text(json.dumps(document))
        done = run_netlab("class", "grade", "--exercise", folder, "-o", "json", *files, env=env, check=check)
        graded: list[dict[str, Any]] = json.loads(done.stdout)
        as_described("class grade", graded)
        return graded

    try:
        run_netlab("learn", folder, "--seed", "3", input=SOLUTION.format(lab=lab_name), env=env)
        said = run_netlab("learn", folder, "--hand-in", tmp_path / "mine.json", "--learner", "=Ada", env=env).stdout
        assert "3 of 4 steps done" in said and "no command" in said
        mine = json.loads((tmp_path / "mine.json").read_text())
        as_described("learn --hand-in", mine)
        refused = run_netlab("class", "grade", "--exercise", folder, tmp_path / "mine.json", env=env, check=1)
        assert f"lab {lab_name} is running" in refused.stderr
        run_netlab("down", lab_name)

        def lost(state: dict[str, Any]) -> None:
            state["objects"] = [each for each in state["objects"] if each.get("dst") != "10.244.2.0/24"]

        manifest = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"},
            "spec": {"containers": [{"name": "c", "image": "i", "command": ["touch", str(witness)]}]},
        }  # fmt: skip
        strangers = [
            changed(mine, lambda state: state["manifests"].append(["x.yaml", json.dumps(manifest)])),
            changed(mine, lambda state: state["objects"].append(
                {"kind": "route", "netns": node, "dst": f"; touch {witness}", "via": ""})),
        ]  # fmt: skip
        right, wrong, *refusals = grade(mine, changed(mine, lost), *strangers, check=1)
        assert [each["result"] for each in right["checks"]] == ["right", "as handed in", "right", "wrong", "wrong"]
        assert (right["refused"], right["right"], right["of"], right["learner"]) == ("", 3, 5, "=Ada")
        assert [each["result"] for each in wrong["checks"]][2] == "wrong"
        assert "a manifest of kind Pod is not taken from a hand-in" in refusals[0]["refused"]
        assert refusals[1]["refused"].startswith("step 3: ")
        assert all(each["checks"][2]["result"] == "not reached" for each in refusals)
        assert not witness.exists()
        sheet = run_netlab("class", "grade", "--exercise", folder, "-o", "csv", tmp_path / "0.json", env=env).stdout
        assert "\n'=Ada,direct,3,3,5,0,0,0," in sheet
        assert lab_name not in run_netlab("ls").stdout
    finally:
        run_netlab("down", lab_name)
