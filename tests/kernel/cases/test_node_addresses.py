"""Every address that a lab's kernel has: the oracle says of each what packets do."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest

from netlab.objects import Addr
from netlab.observe.probe import Prober
from netlab.oracle.compare import agree
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, Endpoint, Flow
from netlab.oracle.predict import Predictor
from netlab.plan import desired
from netlab.runtime.state.running import load_cluster
from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed
from tests.kernel_features import families_of, planes

pytestmark = pytest.mark.kernel


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    yield Bed(lab_name)
    run_netlab("down", lab_name)


def documents(plane: str, **more: Any) -> list[Any]:
    spec = {"dataplane": plane, "nodes": [{"name": "node-1"}, {"name": "node-2"}], **more}
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": spec}
    served = {"name": "c", "image": "x", "ports": [{"containerPort": 9100}]}
    pods = [("client", "node-1", False), ("agent", "node-1", True), ("web", "node-2", False)]
    return [lab] + [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
         "spec": {"nodeName": node, "hostNetwork": host, "containers": [served]}}
        for name, node, host in pods
    ]  # fmt: skip


def wrong(bed: Bed) -> list[str]:
    """The flows to any address of the lab, from a Pod, both nodes and a host outside, that are not as predicted."""
    cluster = load_cluster(bed.name)
    known = Endpoints(cluster)
    sources = [known.pods["default/client"], known.nodes["node-1"], known.nodes["node-2"], *known.external.values()]
    addresses = {str(ip_interface(one.address).ip) for one in desired(cluster).values() if isinstance(one, Addr)}
    asked = [
        Flow.to(source, Endpoint(ADDRESS, address, "", (address,)), address, port, protocol)
        for source in sources
        for address in sorted(addresses)
        if any((":" in own) == (":" in address) for own in source.addresses)
        for port, protocol in ((9100, "TCP"), (9, "TCP"), (9, "UDP"))
    ]
    predicted, observed = Predictor(cluster).answer(asked), Prober(cluster).answer(asked)
    assert len(asked) > 60
    return [
        f"{flow}: oracle {predicted[flow].outcome}, packets {observed[flow].outcome}"
        for flow in asked
        if not agree(predicted[flow], observed[flow])
    ]


@pytest.mark.parametrize("plane", planes())
def test_every_address_of_a_lab_is_predicted_right(bed: Bed, tmp_path: Path, plane: str) -> None:
    families = list(families_of(plane))
    outside = [{"name": "internet", "addresses": ["203.0.113.10", "2001:db8::10"][: len(families)]}]
    bed.up_of(tmp_path, documents(plane, ipFamilies=families, external=outside))
    found = wrong(bed)
    assert not found, "\n".join(found)


def test_addresses_of_nodes_where_nobody_masquerades(bed: Bed) -> None:
    bed.up("node-addresses")
    for where in ("client", "node-2"):
        for target in ("10.244.1.1", "10.244.2.1", "10.244.2.0", "172.18.0.1"):
            done = bed.netlab("trace", where, f"{target}:9100", "--compare", check=None)
            assert done.status in (0, 1), done.stdout
    assert bed.who("client", "http://10.244.1.1:9100")["pod"] == "agent"
    assert bed.curl("shut", "http://10.244.1.1:9100") == "timeout"
    assert "default/shut" in bed.netlab("explain", "shut", "10.244.1.1:9100", check=None).stdout
