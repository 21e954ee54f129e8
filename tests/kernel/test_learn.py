"""``netlab learn`` on a terminal, as a learner types: steps are ticked while the shell waits, and nothing else is read."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from netlab.cli.drafts import draft
from netlab.learn import league
from netlab.learn.score import Round
from tests.conftest import command, run_netlab
from tests.kernel.test_shell import Terminal, environment

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[2]
WEB = "default/web"


@pytest.fixture
def folder(tmp_path: Path, lab_name: str) -> Any:
    """The exercise of lab same-node with a lab of its own name."""
    there = tmp_path / "same-node"
    shutil.copytree(ROOT / "labs" / "same-node", there)
    spec = there / "lab.yaml"
    spec.write_text(spec.read_text().replace("name: same-node", f"name: {lab_name}"))
    yield there
    run_netlab("down", lab_name)


def test_a_learner_is_told_what_is_done_and_goes_on_where_he_was(folder: Path, lab_name: str, tmp_path: Path) -> None:
    env = environment(XDG_STATE_HOME=str(tmp_path / "state"), TERM="xterm", HOME=str(tmp_path))
    prompt = rf"\({lab_name}\) [^\n]*[#$] "
    learner = Terminal([*command(), "learn", str(folder), "--seed", "3"], env, tmp_path)
    assert "[1/5] Make the bridge learn" in learner.until(prompt)
    learner.type("hint\n")
    assert "not yet  fdb: no such forwarding entry" in learner.until(prompt)
    learner.type("netlab exec client -- ping -c 1 10.244.1.3\n")
    learner.until("OK  step 1 of 5 is done")
    learner.until(r"\[2/5\] Who resolved whom")
    learner.type("answer 0a:04:00:01:00:99\n")
    learner.until("No, that is not the answer")
    learner.type("quit\n")
    assert learner.status() == 0
    kept = tmp_path / "state" / "netlab" / "learn.json"
    assert kept.stat().st_mode & 0o777 == 0o600 and kept.parent.stat().st_mode & 0o077 == 0
    assert [step["how"] for step in json.loads(kept.read_text())["exercises"]["same-node"]["done"]] == ["done"]

    again = Terminal([*command(), "learn"], env, tmp_path)
    assert "[2/5] Who resolved whom" in again.until(prompt)
    again.type("answer 0A:04:00:01:00:02\n")
    again.until("OK  step 2 of 5 is done")
    again.type("reset\n")
    again.until(f"lab {lab_name} is as it was when this part began")
    again.until(r"\[1/5\] Make the bridge learn")
    again.type("quit\n")
    assert again.status() == 0


def test_a_script_may_be_the_learner_and_a_lab_from_elsewhere_is_left_alone(
    folder: Path, lab_name: str, tmp_path: Path
) -> None:
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = run_netlab("learn", folder, "--seed", "3", input="step\nskip\nanswer no\nhint\n", env=env)
    assert "step 1 is skipped" in done.stdout and "No, that is not the answer" in done.stdout
    assert "Hint: The neighbour table" in done.stdout
    other = tmp_path / "other"
    shutil.copytree(folder, other / "same-node")
    refused = run_netlab("learn", other / "same-node", check=2, env=env)
    assert f"a lab {lab_name} runs that came from {folder}" in refused.stderr


def test_a_round_of_the_league_has_a_mistake_in_manifests_which_manifests_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = (
        ("selector-mismatch", WEB, ("apply", "-f", str(tmp_path / "web.yaml"))),
        ("default-deny", "default/client", ("delete", "netpol", "client-cea5")),
        ("service-deleted", WEB, ()),
    )
    rounds = [Round(fault, at, ()) for fault, at, _ in played]
    monkeypatch.setattr(league, "drawn", lambda *_: [*rounds])
    text = league.LAB.read_text()
    (tmp_path / "lab.yaml").write_text(text)
    (web,) = [document for document in text.split("---") if "kind: Service" in document and "name: web}" in document]
    (tmp_path / "web.yaml").write_text(web)
    name = f"league-{os.getpid()}"
    game = league.League(draft(str(tmp_path / "lab.yaml"), (), name), level=0, seed=1, count=3)
    try:
        game.draw()
        for fault, _, mend in played:
            assert game.begin()
            assert not game.look()
            assert run_netlab("diff", name, "-o", "json").json["faults"] == []
            if mend:
                run_netlab(*mend, "--lab", name)
            else:
                run_netlab("up", tmp_path / "lab.yaml", "--name", name, "--reset")
            assert game.look() == bool(mend)
            done = game.end()
            assert (done.fault, done.mended, done.gave_up) == (fault, bool(mend), not mend)
        assert not game.begin()
    finally:
        run_netlab("down", name)


def test_the_league_ends_a_round_that_heal_gave_away_and_keeps_its_faults_secret(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    lines = "causes\ncause 0\ncat /run/netlab/league/faults >faults; stat -c %a /run/netlab/league/faults\nnetlab diff\nnetlab heal league\n"
    try:
        done = run_netlab("learn", "--league", "--seed", "5", "--rounds", "1", input=lines, env=env, cwd=tmp_path)
    finally:
        run_netlab("down", "league")
    fault = json.loads((tmp_path / "faults").read_text())
    assert "No, that is not the cause." in done.stdout and "\n600\n" in done.stdout
    before, _, after = done.stdout.partition("this round counts as given up")
    assert "1 secret fault" in before
    assert "round 1: 0 points (given up" in after and "The league is over: 0 points" in after
    name = re.search(r"healed: ([a-z0-9-]+) at", after)
    assert name and name[1] in json.dumps(fault) and name[1] not in before
