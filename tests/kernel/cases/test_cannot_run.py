"""Containers that cannot start: ``up`` names each as ``get pods`` shows it, and verdicts on them are what packets find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    yield Bed(lab_name)
    run_netlab("down", lab_name)


def test_each_is_warned_of_and_each_verdict_is_right(bed: Bed, tmp_path: Path) -> None:
    said = bed.up("cannot-run").stderr.splitlines()
    (missing,) = [line for line in said if "default/missing" in line]
    assert 'no program "no-such-program"' in missing and "CreateContainerError" in missing
    (named,) = [line for line in said if "default/named" in line]
    assert "no-such-name" in named and "exit status" not in named, named
    (init,) = [line for line in said if "default/prepared" in line]
    assert 'init container first of Pod default/prepared cannot run: this host has no program "no-such-init"' in init
    shown = dict(line.split()[0:3:2] for line in bed.netlab("get", "pods").stdout.splitlines()[1:])
    assert shown["missing"] == "CreateContainerError"
    assert shown["named"] in ("CrashLoopBackOff", "RunContainerError", "StartError")

    served, refused = (bed.pod(name)["status"]["podIP"] for name in ("missing", "named"))
    assert bed.curl("client", f"http://{served}") == "open"
    assert bed.curl("client", f"http://{refused}") == "refused"
    flows = bed.netlab("reach", "--from", "client", "-o", "json").json["flows"]
    outcomes = {flow["to"]: flow["outcome"] for flow in flows}
    assert outcomes == {"default/missing": "open", "default/named": "refused", "default/s": "open"}
    bed.netlab("check", bed.name)
    assert "serves 80/TCP, by the responder: this host has no program no-such-program" in (
        bed.netlab("explain", "client", "missing:80").stdout
    )
    file = tmp_path / "expect.yaml"
    file.write_text("flows: [{from: client, to: named, port: 80, expect: open}]\n")
    line = bed.netlab("check", bed.name, "--expect", str(file), check=1).stdout.splitlines()[0]
    assert "expected open, got refused: a process of Pod default/named has 80/TCP, and does not listen" in line, line
