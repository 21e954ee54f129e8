"""Which backends are used: terminating ones that serve, hints, traffic distribution; oracle and packets alike."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import command, run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel
ZONE = "topology.kubernetes.io/zone"


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    yield Bed(lab_name)
    run_netlab("down", lab_name)


def test_a_pod_that_terminates_serves_until_it_is_gone(bed: Bed) -> None:
    bed.up("terminating")
    assert bed.curl("client", "http://10.96.0.80") == "open"
    line = [*command(), "delete", "--lab", bed.name, "pod", "old"]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as deleting:
        deadline = time.monotonic() + 60
        while "1/1     Terminating" not in (said := bed.netlab("get", "pods").stdout):
            assert time.monotonic() < deadline and deleting.poll() is None, said
        assert bed.pod("old")["metadata"]["deletionTimestamp"]
        assert bed.curl("client", "http://10.244.2.2:8080") == "open"
        assert bed.curl("client", "http://10.96.0.80") == "open", "no ready endpoint is left, and this one serves"
        assert bed.curl("lb", "http://172.18.0.3:30080") == "open", "with the policy Local, too"
        assert "open" in bed.netlab("explain", "client", "svc/web:80").stdout.splitlines()[0]
        one = bed.netlab("get", "endpointslices", "-o", "json").json["items"]
        ends = [end["conditions"] for each in one if each["metadata"]["name"].startswith("web-")
                for end in each["endpoints"]]  # fmt: skip
        assert ends == [{"ready": False, "serving": True, "terminating": True}]
        assert deleting.poll() is None, "all this was while it terminated"
        bed.curl("client", "http://10.244.2.2:8080/end")
        assert deleting.wait(60) == 0
    assert bed.curl("client", "http://10.96.0.80") == "refused"


def lab(**spec: Any) -> dict[str, Any]:
    nodes = [{"name": f"node-{at}", "labels": {ZONE: zone}} for at, zone in enumerate("aabc", 1)]
    return {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": {"nodes": nodes, **spec}}


def pod(name: str, node: int, **labels: str) -> dict[str, Any]:
    containers = [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"nodeName": f"node-{node}", "containers": containers}}  # fmt: skip


def service(name: str, annotations: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    body = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "annotations": annotations or {}},
            "spec": body}  # fmt: skip


PODS = [pod(f"c{at}", at) for at in (1, 2, 3, 4)]
WEB = [pod("w1", 1, app="web"), pod("w2", 2, app="web"), pod("w3", 3, app="web")]
SERVICES = [
    service("close", trafficDistribution="PreferClose"),
    service("zone", trafficDistribution="PreferSameZone"),
    service("node", trafficDistribution="PreferSameNode"),
    service("any"),
]


def asked(bed: Bed, where: str, name: str, times: int = 40) -> set[str]:
    """The Pods that answer; 40 connections miss one of three with a chance of 3 in 10 million."""
    address = bed.netlab("get", "service", name, "-o", "json").json["spec"]["clusterIP"]
    return bed.servers(where, f"http://{address}", times)


def predicted(bed: Bed, where: str, name: str) -> set[str]:
    from netlab.oracle.flows import flows
    from netlab.oracle.predict import Predictor
    from netlab.runtime.state.running import load_cluster

    cluster = load_cluster(bed.name)
    (verdict,) = Predictor(cluster).predict(flows(cluster, sources=[where], targets=[f"svc/{name}"]))
    return {str(one.server).removeprefix("default/") for one in verdict.may or (verdict,)}


EVERYONE = {"w1", "w2", "w3"}
CHOICES = [
    ("close", {"c1": {"w1", "w2"}, "c2": {"w1", "w2"}, "c3": {"w3"}, "c4": EVERYONE}),
    ("zone", {"c1": {"w1", "w2"}, "c3": {"w3"}}),
    ("node", {"c1": {"w1"}, "c2": {"w2"}, "c3": {"w3"}, "c4": EVERYONE}),
    ("any", {"c1": EVERYONE, "c4": EVERYONE}),
]


def test_traffic_distribution_keeps_packets_where_hints_say(bed: Bed, tmp_path: Path) -> None:
    bed.up_of(tmp_path, [lab(), *PODS, *WEB, *SERVICES])
    for name, wanted in CHOICES:
        for where, backends in wanted.items():
            assert predicted(bed, where, name) == backends, (name, where)
            assert asked(bed, where, name) == backends, (name, where)
    assert run_netlab("check", bed.name).status == 0
    bed.netlab("label", "node", "node-1", f"{ZONE}=c", "--overwrite")
    assert predicted(bed, "c4", "close") == {"w1"} == asked(bed, "c4", "close", 10)


def test_topology_mode_auto_gives_each_zone_its_share(bed: Bed, tmp_path: Path) -> None:
    mode = {"service.kubernetes.io/topology-mode": "Auto"}
    nodes = [{"name": f"node-{at}", "labels": {ZONE: zone}} for at, zone in enumerate("ab", 1)]
    two = [pod("w1", 1, app="web"), pod("w2", 2, app="web"), pod("f1", 1, app="few")]
    few = service("few", mode, selector={"app": "few"})
    bed.up_of(tmp_path, [lab(nodes=nodes), *PODS[:2], *two, service("auto", mode), few])
    for where, backends in (("c1", {"w1"}), ("c2", {"w2"})):
        assert predicted(bed, where, "auto") == backends == asked(bed, where, "auto", 10)
    assert predicted(bed, "c2", "few") == {"f1"} == asked(bed, "c2", "few", 3), "too few endpoints: no hints"


def test_conditions_and_hints_of_slices_count(bed: Bed, tmp_path: Path) -> None:
    def end(address: str, **more: Any) -> dict[str, Any]:
        return {"addresses": [address], **more}

    def slice_of(name: str, *ends: Mapping[str, Any]) -> dict[str, Any]:
        return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
                "ports": [{"port": 80}], "endpoints": list(ends)}  # fmt: skip

    none: dict[str, Any] = {"selector": None}
    last = {"ready": False, "serving": True, "terminating": True}
    ill = {"ready": False, "serving": False, "terminating": True}
    one, two, three = (f"10.244.{node}.3" for node in (1, 2, 3))
    hint = {"hints": {"forZones": [{"name": "a"}]}}
    slices = [
        slice_of("last", end(one, conditions=last), end(two, conditions=ill)),
        slice_of("first", end(one, conditions=last), end(two)),
        slice_of("ill", end(two, conditions=ill)),
        slice_of("hinted", end(one, **hint), end(three, hints={"forZones": [{"name": "b"}]})),
        slice_of("half", end(one, **hint), end(three)),
        slice_of("near", end(one, conditions=last, nodeName="node-1"), end(three, nodeName="node-3"), end(two)),
    ]
    local = service("near", internalTrafficPolicy="Local", **none)
    names = ("last", "first", "ill", "hinted", "half")
    bed.up_of(tmp_path, [lab(), *PODS, *WEB, *(service(each, **none) for each in names), local, *slices])
    wanted = {
        ("c3", "last"): {"w1"}, ("c3", "first"): {"w2"}, ("c2", "hinted"): {"w1"}, ("c3", "hinted"): {"w3"},
        ("c4", "hinted"): {"w1", "w3"}, ("c2", "half"): {"w1", "w3"}, ("c1", "near"): {"w1"},
    }  # fmt: skip
    for (where, name), backends in wanted.items():
        assert predicted(bed, where, name) == backends == asked(bed, where, name, 30), (where, name)
    address = bed.netlab("get", "service", "ill", "-o", "json").json["spec"]["clusterIP"]
    assert bed.curl("c1", f"http://{address}") == "refused"
    assert run_netlab("check", bed.name).status == 0
