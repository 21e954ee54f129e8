"""What TAB offers, and how fast: run state in a folder of the test's own, no privilege."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from netlab.cli.helptext import VERBS
from netlab.cli.main import cli
from netlab.model import Memory
from netlab.model.topology.memory import PodMemory
from netlab.runtime.state import rundir
from netlab.runtime.state.rundir import Applied, Assignments, RunDir

ROOT = Path(__file__).resolve().parents[2]


def make(lab: str) -> None:
    pods = {
        "default/client": PodMemory("node-1", ("10.244.1.2",), 1, f"{lab}-client"),
        "default/server": PodMemory("node-2", ("10.244.2.2",), 2, f"{lab}-server"),
        "shop/cart": PodMemory("node-2", ("10.244.2.3",), 3, f"{lab}-shop-cart"),
    }
    memory = Memory({"node-1": 1, "node-2": 2}, pods).to_json()
    there = RunDir(lab)
    there.begin(Applied("lab.yaml"), Assignments(memory, (f"{lab}-node-1", f"{lab}-client"), 2, 3))


@pytest.fixture(autouse=True)
def _run_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "RUN", tmp_path)
    monkeypatch.setenv("_NETLAB_COMPLETE", "bash_complete")
    monkeypatch.delenv("NETLAB_LAB", raising=False)
    monkeypatch.chdir(ROOT)
    make("one")


def offered(line: str) -> list[str]:
    """What is offered for the last word of a command line."""
    *words, begun = line.split(" ")
    return [item.value for item in ShellComplete(cli, {}, "netlab", "X").get_completions(words, begun)]


def test_verbs() -> None:
    assert offered("") == list(VERBS)
    assert offered("de") == ["delete", "describe"]
    assert "--version" in offered("--")


def test_labs_there_are_and_labs_that_run() -> None:
    assert offered("up over") == ["overlay"] == offered("plan over")
    for verb in ("down", "diff", "reach", "check"):
        assert offered(f"{verb} ") == ["one"], verb
    assert offered("get pods --lab ") == ["one"]


def test_pods_and_nodes() -> None:
    for verb in ("exec", "shell"):
        assert offered(f"{verb} ") == ["client", "server", "node-1", "node-2", "shop/cart"], verb
    assert offered("exec -n shop ") == ["cart"]
    assert offered("exec default/c") == ["default/client"]
    assert offered("logs ") == ["client", "server", "shop/cart"]
    assert offered("capture --at ") == ["client", "server", "node-1", "node-2", "shop/cart", "underlay"]
    assert offered("get pods ") == ["client", "server"]
    assert offered("get pods client ") == ["server"]
    assert offered("get po -n shop ") == ["cart"]
    assert offered("describe node ") == ["node-1", "node-2"]
    assert offered("describe pod/c") == ["pod/client"]
    assert offered("label node n") == ["node-1", "node-2"]
    assert offered("get routes ") == ["client", "server", "node-1", "node-2", "one-node-1", "one-client"]
    assert offered("get pods -n ") == ["default", "shop"]


def test_kinds() -> None:
    assert offered("get n") == ["nodes", "namespaces", "networkpolicies", "neighbours", "nft"]
    assert "links" not in offered("describe ")
    assert offered("delete de") == ["deployments"]


def test_of_several_labs_none_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    make("two")
    assert offered("down ") == ["one", "two"]
    assert offered("exec ") == []
    assert offered("exec --lab two c") == ["client"]
    monkeypatch.setenv("NETLAB_LAB", "two")
    assert offered("get links two") == ["two-node-1", "two-client"]


def test_every_parameter_that_the_table_names_is_there() -> None:
    from netlab.cli.complete import _OF_VERB

    context = click.Context(cli)
    for verb, parameter in _OF_VERB:
        command = cli.get_command(context, verb)
        assert command is not None, verb
        assert parameter in {one.name for one in command.params}, (verb, parameter)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script(shell: str) -> None:
    argv = [sys.executable, "-m", "netlab", "completion", shell]
    env = {key: value for key, value in os.environ.items() if key != "_NETLAB_COMPLETE"}
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**env, "PYTHONPATH": str(ROOT)})
    assert "_NETLAB_COMPLETE" in done.stdout
    assert not done.stderr
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


#: Half of a second together: what a key press must not wait for.
HEAVY = {
    "netlab.plan",
    "netlab.diagnose",
    "netlab.kernel.write",
    "netlab.kernel.rtnetlink.inspect",
    "scapy",
    "pyroute2",
}


@pytest.mark.parametrize("line", ["", "up o", "get pods ", "exec c", "down "])
def test_tab_imports_nothing_that_takes_long(line: str) -> None:
    words = f"netlab {line}"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    argv = [sys.executable, "-X", "importtime", "-m", "netlab"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines() if row.startswith("import time:")}
    assert "netlab.cli.main" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize(
    ("typed", "offered"), [("", "netlab invoke"), ("netlab up overl", "overlay"), ("invoke te", "")]
)
def test_a_checkout_s_script_is_completed_as_netlab(typed: str, offered: str, tmp_path: Path) -> None:
    script = tmp_path / "bootstrap.sh"
    script.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" -m netlab "$@"\n')
    script.chmod(0o755)
    words = [str(script), *typed.split(" ")]
    lines = f"COMP_WORDS=({' '.join(words) if typed else words[0]}); COMP_CWORD={len(words) - 1}; _netlab_bootstrap {script}"
    done = subprocess.run(
        ["bash", "-c", f'source <("{sys.executable}" -m netlab completion bash); {lines}; echo "${{COMPREPLY[*]}}"'],
        env={**{name: text for name, text in os.environ.items() if name != "_NETLAB_COMPLETE"}, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == (offered, "")
