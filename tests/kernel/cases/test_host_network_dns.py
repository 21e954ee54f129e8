"""Pods in their node's network have a hosts file and a resolv.conf of their own, as the kubelet writes them."""

from __future__ import annotations

import subprocess
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
    assert not list(Path("/etc/netns").glob(f"{lab_name}-*"))


def found(bed: Bed, pod: str, name: str) -> bool:
    return bed.exec(pod, "getent", "hosts", name, check=None).status == 0


def test_names_of_services_and_aliases(bed: Bed) -> None:
    bed.up("host-network-dns")
    assert found(bed, "plain", "web") and found(bed, "plain", "legacy")
    assert found(bed, "ingress", "web"), "ClusterFirstWithHostNet asks the cluster's server"
    assert found(bed, "own", "web"), "dnsPolicy None asks the servers of dnsConfig"
    assert found(bed, "ingress", "legacy") and not found(bed, "own", "legacy"), "hostAliases are each Pod's own"
    assert not found(bed, "node-1", "web") and not found(bed, "node-1", "legacy"), "the node has its own files still"
    assert found(bed, "ingress", "node-2"), "the kubelet begins with the node's hosts file"
    assert run_netlab("up", "--name", bed.name, Path(__file__).parent / "inputs/host-network-dns/lab.yaml", "-o",
                      "json").json["changed"] == 0  # fmt: skip
    assert "no drift" in run_netlab("diff", bed.name).stdout


def test_policies_of_pods_in_the_network_of_their_node(bed: Bed, tmp_path: Path) -> None:
    def pod(name: str, **spec: object) -> dict[str, object]:
        containers = [{"name": "c", "image": "x"}]
        whole = {"nodeName": "node-1", "hostNetwork": True, "containers": containers, **spec}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}

    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": {"nodes": [{"name": "node-1"}]}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    runs = {"name": "c", "image": "x", "command": ["sh", "-c", "cat /etc/hosts /etc/resolv.conf; hostname; sleep 1000"]}
    alias = [{"ip": "192.0.2.1", "hostnames": ["legacy", "old"]}]
    bed.up_of(
        tmp_path,
        [
            lab,
            service,
            pod("first"),
            pod("default", dnsPolicy="Default"),
            pod("with", dnsPolicy="Default", dnsConfig={"nameservers": ["10.96.0.10"], "options": [{"name": "ndots"}]}),
            pod("runs", dnsPolicy="ClusterFirstWithHostNet", hostAliases=alias, containers=[runs]),
        ],
    )
    node = bed.exec("node-1", "cat", "/etc/resolv.conf").stdout
    assert bed.exec("first", "cat", "/etc/resolv.conf").stdout == node, "ClusterFirst is Default in a node's network"
    assert bed.exec("default", "cat", "/etc/resolv.conf").stdout == node
    assert bed.exec("with", "cat", "/etc/resolv.conf").stdout == "nameserver 10.96.0.10\noptions ndots\n"
    hosts = bed.exec("first", "cat", "/etc/hosts").stdout
    assert hosts.startswith("# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n")
    logs = bed.netlab("logs", "runs").stdout
    assert logs.startswith("# Kubernetes-managed hosts file (host network).\n")
    assert "# Entries added by HostAliases.\n192.0.2.1\tlegacy\told\n" in logs
    cluster = "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n"
    assert cluster in logs and logs.endswith("\nnode-1\n"), "and the hostname is the node's"
    assert bed.exec("runs", "hostname").stdout == "node-1\n"
    seen = bed.exec("runs", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    assert "sleep 1000" in seen, "exec comes to where the container's process runs"
    folder = Path(f"/etc/netns/{bed.name}-runs")
    bed.netlab("delete", "pod", "runs")
    assert not folder.exists()
    left = subprocess.run(["pgrep", "-f", f"{bed.name}.* sleep 1000"], capture_output=True, check=False).stdout
    assert left == b""
