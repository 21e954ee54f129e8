"""A lab on a shared host: another user's commands do not act in it, and nobody else reads what it was made from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab

MINE, THEIRS = {**os.environ, "SUDO_UID": "1000"}, {**os.environ, "SUDO_UID": "1001"}
MANIFEST = "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {password: hunter2}}"


@pytest.fixture(scope="module")
def their_lab(tmp_path_factory: pytest.TempPathFactory, kit: Any) -> Any:
    name = f"t{os.getpid()}own"
    spec = tmp_path_factory.mktemp("own") / "lab.yaml"
    spec.write_text(f"{kit.spec(name)}\n---\n{MANIFEST}\n")
    spec.chmod(0o600)
    run_netlab("up", spec, env=MINE)
    run_netlab("label", "pod", "client", "more=yes", "--lab", name, env=MINE)
    yield name, spec
    run_netlab("down", name, env=MINE)


@pytest.mark.parametrize(
    "words",
    [
        "exec --lab LAB client -- ip link set eth0 down",
        "shell --lab LAB client",
        "trace --lab LAB client server",
        "capture --lab LAB --duration 0.1",
        "reach LAB",
        "check LAB",
        "diagnose LAB",
        "apply --lab LAB -f SPEC",
        "delete --lab LAB pod client",
        "label --lab LAB pod client a=b",
        "link --lab LAB node-1 --loss 1%",
        "break LAB forwarding-off",
        "heal LAB",
        "kubeconfig LAB",
        "serve LAB",
        "kubectl --lab LAB get pods",
        "up SPEC",
        "down LAB",
    ],
)
def test_every_verb_that_acts_refuses_another_users_lab(their_lab: Any, words: str) -> None:
    name, spec = their_lab
    argv = [word.replace("LAB", name).replace("SPEC", str(spec)) for word in words.split()]
    if argv[0] == "apply":
        manifest = spec.with_name("more.yaml")
        manifest.write_text(MANIFEST)
        argv[-1] = str(manifest)
    done = run_netlab(*argv, check=4, env=THEIRS)
    assert done.stderr.splitlines()[0] == f"netlab: lab {name} is user 1000's, not yours (you are 1001)"
    assert done.stdout == ""
    assert run_netlab("diff", name, env=THEIRS).stdout == f"lab {name}: no drift\n"


def test_run_state_is_roots_alone(their_lab: Any, kit: Any) -> None:
    name, _ = their_lab
    open_ = [path for path in Path(f"/run/netlab/{name}").rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert [path.name for path in open_] == ["agent.pid"]
    assert kit.sh("setpriv --reuid 65534 --clear-groups grep -r hunter2 /run/netlab 2>/dev/null", check=False) == ""
    assert "hunter2" in kit.sh("grep -rs hunter2 /run/netlab", check=False)  # labs beside it come and go
