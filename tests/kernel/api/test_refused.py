"""A write that this host refuses: a sentence, and lab, run state and objects are as they were."""

from __future__ import annotations

import errno
import os
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import KernelRefused, NetlabError
from netlab.kernel.linux import LinuxKernel
from netlab.objects import Op, Route
from netlab.runtime import lab as labs
from netlab.runtime.state.rundir import RunDir

pytestmark = pytest.mark.kernel
POD = "{apiVersion: v1, kind: Pod, metadata: {name: new}, spec: {containers: [{name: c, image: x}]}}"
SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: new}, spec: {selector: {app: server}, ports: [{port: 80}]}}"
SET = """{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: set}, spec: {serviceName: set, selector: {matchLabels: {a: b}},
 template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}}"""
FULL = r"""
mount --make-rprivate /; mount -t tmpfs -o mode=755,size=4m tmpfs /run; mkdir /run/netns; ip link set lo up
netlab up "$1" >/dev/null || exit 90
dd if=/dev/zero of=/run/fill bs=1k 2>/dev/null
netlab kubeconfig 2>&1 | grep -q "does not start: .*: No space left on device" || echo "the server does not say why"
rm /run/fill
export KUBECONFIG=$(netlab kubeconfig)
state() { kubectl get pods,cm,svc -o yaml | grep -v resourceVersion; ip netns list | sort; netlab diff full || exit 91; }
state > "$2/before"
dd if=/dev/zero of=/run/fill bs=1k 2>/dev/null
refused() { "$@" 2>&1 | grep -q "No space left on device" || echo "not refused: $*"; }
refused kubectl label pod client t=x
refused kubectl annotate pod client a=b
refused kubectl create configmap c --from-literal=a=b
refused kubectl create deployment d --image=nginx
refused kubectl delete pod server
state | diff "$2/before" - || echo changed
rm /run/fill
kubectl label pod client t=x >/dev/null && kubectl label pod client t- >/dev/null && state | diff "$2/before" - || echo stuck
mkdir /run/netns/full-new
kubectl run new --image=x 2>&1 | grep -q "the name full-new in /run/netns is taken" || echo "the name is not refused"
rmdir /run/netns/full-new
state | diff "$2/before" - || echo changed
netlab down full >/dev/null
"""


def test_a_full_disk_and_a_taken_name_change_nothing(kit: Any, tmp_path: Path) -> None:
    file, script = tmp_path / "lab.yaml", tmp_path / "script"
    file.write_text(kit.spec("full", dataplane="host-gw"))
    script.write_text(FULL)
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"}
    line = ["unshare", "-m", "-n", "bash", str(script), str(file), str(tmp_path)]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done


def _state(name: str) -> tuple[object, ...]:
    rundir = RunDir(name)
    assignments = rundir.assignments()
    left = sorted(each.name for each in rundir.path.iterdir() if each.name.endswith((".next", ".held")))
    spaces = sorted(each.name for each in Path("/run/netns").iterdir() if each.name.startswith(f"{name}-"))
    return rundir.applied(), assignments.memory, assignments.netns, rundir.statuses(), left, spaces


def test_a_change_that_fails_at_any_step_leaves_the_lab_as_it_was(lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file of the run state in turn cannot be written; the kernel refuses a route of the new Pod."""
    save, apply = RunDir._save, LinuxKernel.apply
    calls, last = 0, 1

    def full(self: RunDir, file: str, data: Any) -> None:
        nonlocal calls
        calls += 1
        if calls >= last:
            raise OSError(errno.ENOSPC, "No space left on device", file)
        save(self, file, data)

    labs.change(lab, add=[("set", SET)])
    before = _state(lab)
    added = {"add": [("new", POD), ("service", SERVICE)], "label": {"Pod/default/client": {"t": "x"}}}
    for wanted in (added, {"delete": ["/Pod/default/set-0"]}):
        for last in range(1, 30):
            calls = 0
            monkeypatch.setattr(RunDir, "_save", full)
            try:
                labs.change(lab, **wanted)
            except OSError:
                monkeypatch.setattr(RunDir, "_save", save)
            else:
                break
            assert _state(lab) == before, (wanted, last)
            assert not labs.diff(lab)[1].operations, (wanted, last)
        assert last > 3
        monkeypatch.setattr(RunDir, "_save", save)
        gone = ["/Pod/default/new", "/Service/default/new", "apps/StatefulSet/default/set"]
        labs.change(lab, delete=gone, label={"Pod/default/client": {"t": None}})
        labs.change(lab, add=[("set", SET)])
        before = _state(lab)

    def refuse(self: LinuxKernel, ops: Iterable[Op]) -> None:
        for op in (wanted := list(ops)):
            if op.verb == "create" and isinstance(op.obj, Route) and op.obj.netns.endswith("-new"):
                apply(self, wanted[: wanted.index(op)])
                raise KernelRefused("ip route add", "Network is unreachable")
        apply(self, wanted)

    monkeypatch.setattr(LinuxKernel, "apply", refuse)
    with pytest.raises(NetlabError, match="Network is unreachable"):
        labs.change(lab, add=[("new", POD), ("service", SERVICE)])
    monkeypatch.setattr(LinuxKernel, "apply", apply)
    assert _state(lab) == before
    assert not labs.diff(lab)[1].operations
