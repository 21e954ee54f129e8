"""What the kernel has is known after each pass, whatever was asked to be compared with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.kernel.linux import LinuxKernel
from netlab.objects import Floor, State, diff
from netlab.runtime.converge import converge
from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel

FRONT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "front", "labels": {"app": "front"}},
    "spec": {
        "nodeName": "node-1",
        "containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80, "hostPort": 8080}]}],
    },
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "front"},
    "spec": {"clusterIP": "10.96.0.80", "selector": {"app": "front"}, "ports": [{"port": 80}]},
}


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    yield Bed(lab_name)
    run_netlab("down", lab_name)


def lab(name: str) -> dict[str, Any]:
    nodes = [{"name": "node-1"}, {"name": "node-2"}]
    return {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": name}, "spec": {"nodes": nodes}}


CLIENT = {
    **FRONT,
    "metadata": {"name": "client"},
    "spec": {"nodeName": "node-2", "containers": [{"name": "c", "image": "x"}]},
}


def test_deleting_a_pod_with_a_host_port_behind_a_service_works_at_once(bed: Bed, tmp_path: Any) -> None:
    bed.up_of(tmp_path, [lab(bed.name), CLIENT])
    for change in (
        lambda: bed.netlab("delete", "pod", "front"),
        lambda: bed.netlab("label", "pod", "front", "app=x", "--overwrite"),
        lambda: bed.netlab("delete", "service", "front"),
    ):
        bed.netlab("apply", "-f", "-", input="\n---\n".join(map(json.dumps, (FRONT, SERVICE))))
        assert bed.curl("client", "http://10.96.0.80") == "open"
        assert bed.curl("client", "http://172.18.0.2:8080") == "open"
        change()
        assert bed.curl("client", "http://10.96.0.80") in ("refused", "timeout")
        assert run_netlab("diff", bed.name).stdout.strip().endswith("no drift")
    bed.netlab("delete", "pod", "front")
    assert bed.curl("client", "http://172.18.0.2:8080") == "refused"
    assert run_netlab("diff", bed.name).stdout.strip().endswith("no drift")


def test_host_port_zero_is_none(bed: Bed, tmp_path: Any, kit: Any) -> None:
    """Go's clients write it into every Pod; twice on one node it is no clash."""
    pods = [json.loads(json.dumps({**FRONT, "metadata": {"name": name}}).replace("8080", "0")) for name in ("a", "b")]
    bed.up_of(tmp_path, [lab(bed.name), *pods])
    assert "cni_hostport" not in kit.sh(f"ip netns exec {bed.name}-node-1 nft list ruleset")
    assert bed.curl("a", f"http://{bed.pod('b')['status']['podIP']}") == "open"


def test_rules_are_seen_as_they_are_whichever_state_is_compared_with(lab_name: str, kit: Any) -> None:
    """After a pass that changed the rules and then failed, the state before it was taken for what was there."""
    documents = [kit.spec(lab_name), json.dumps(FRONT), json.dumps(SERVICE)]
    before, after = kit.want("\n---\n".join(documents)), kit.want("\n---\n".join((documents[0], documents[2])))
    kernel = LinuxKernel()
    with kernel:
        try:
            converge(kernel, lab_name, before)
            kernel.remember(before)
            kernel.apply([op for op in diff(after, before) if op.obj.key.floor is Floor.NFT])
            seen = kernel.observe(lab_name, before).state
            rules = {key for key in seen if key.floor is Floor.NFT}
            assert rules == {key for key in after if key.floor is Floor.NFT}
            done = converge(kernel, lab_name, after, before)
            assert done.changed
            assert not converge(kernel, lab_name, after, after).changed
        finally:
            converge(kernel, lab_name, State(), before)
