"""Endpoints objects: mirrored to EndpointSlices; packets, names, predictions and listings alike."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.runtime.state.running import load_cluster
from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel
OUT = {"name": "db-host", "ports": ["8080"], "addresses": ["203.0.113.10", "2001:db8::10"]}
LAB = {
    "apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"},
    "spec": {"nodes": [{"name": "node-1"}, {"name": "node-2"}], "ipFamilies": ["IPv4", "IPv6"], "external": [OUT]},
}  # fmt: skip


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    yield Bed(lab_name)
    run_netlab("down", lab_name)


def pod(name: str, node: int, port: int) -> dict[str, Any]:
    containers = [{"name": "c", "image": "x", "ports": [{"containerPort": port}]}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"nodeName": f"node-{node}", "containers": containers}}  # fmt: skip


def service(name: str, **spec: Any) -> dict[str, Any]:
    body = {"ports": [{"port": 80}], "ipFamilyPolicy": "PreferDualStack", **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


def endpoints(name: str, *subsets: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name, **metadata}, "subsets": list(subsets)}


def subset(*entries: str | Mapping[str, Any], port: int = 8080, **more: Any) -> dict[str, Any]:
    addresses = [{"ip": one} if isinstance(one, str) else one for one in entries]
    return {"addresses": addresses, "ports": [{"port": port}], **more}


def applied(bed: Bed, folder: Path, *documents: Any) -> None:
    path = folder / "change.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    bed.netlab("apply", "-f", str(path))


def address(bed: Bed, name: str, family: int = 0) -> str:
    found = bed.netlab("get", "service", name, "-o", "json").json["spec"]["clusterIPs"][family]
    return f"[{found}]" if ":" in found else str(found)


def predicted(bed: Bed, where: str, name: str) -> set[str]:
    """The Pods that may answer, of both families."""
    cluster = load_cluster(bed.name)
    verdicts = Predictor(cluster).predict(flows(cluster, sources=[where], targets=[f"svc/{name}"]))
    return {str(one.server).removeprefix("default/") for each in verdicts for one in each.may or (each,)}


def outcomes(bed: Bed, url: str) -> set[str]:
    """What becomes of requests, until an open and another are seen: each connection meets a backend by chance."""
    seen: set[str] = set()
    for _ in range(30):
        seen.add(bed.curl("client", url, "--connect-timeout", "1"))
        if "open" in seen and len(seen) > 1:
            break
    return seen


def names(bed: Bed, name: str, kind: str = "A") -> set[str]:
    return set(bed.exec("client", "dig", "+short", f"{name}.default.svc.cluster.local", kind).stdout.split())


def test_endpoints_lead_their_service_to_pods_and_hosts_outside(bed: Bed, tmp_path: Path) -> None:
    pods = [pod("client", 1, 1234), pod("one", 1, 8080), pod("two", 2, 8080), pod("ill", 2, 8080)]
    bed.up_of(
        tmp_path, [LAB, *pods, service("db"), service("inner"), service("quiet"), service("names", clusterIP="None")]
    )
    ip = {each: bed.pod(each)["status"]["podIPs"] for each in ("one", "two", "ill")}
    v4, v6 = ({name: given[place]["ip"] for name, given in ip.items()} for place in (0, 1))
    assert bed.curl("client", f"http://{address(bed, 'db')}") == "refused", "no endpoints yet"
    waiting = [{"ip": v4["ill"]}]
    applied(
        bed, tmp_path,
        endpoints("db", subset("203.0.113.10", "2001:db8::10")),
        endpoints("inner", subset(v4["one"], v4["two"], v6["two"], notReadyAddresses=waiting)),
        endpoints("quiet", subset(v4["one"]), labels={"endpointslice.kubernetes.io/skip-mirror": "true"}),
        endpoints("names", subset({"ip": v4["one"], "hostname": "first"}, v6["two"], notReadyAddresses=waiting)),
    )  # fmt: skip
    for family in (0, 1):
        assert bed.who("client", f"http://{address(bed, 'db', family)}")["pod"] == "db-host"
    inner = f"http://{address(bed, 'inner')}"
    assert bed.servers("client", inner, 30) == {"one", "two"} == predicted(bed, "client", "inner")
    assert bed.who("client", f"http://{address(bed, 'inner', 1)}")["pod"] == "two"
    assert bed.curl("client", f"http://{address(bed, 'quiet')}") == "refused"
    assert "refused" in bed.netlab("explain", "client", "svc/quiet:80").stdout.splitlines()[0]
    assert names(bed, "names") == {v4["one"]} == names(bed, "first.names")
    assert names(bed, "names", "AAAA") == {v6["two"]}
    done = run_netlab("check", bed.name)
    assert done.status == 0, done.stdout
    _listed(bed, v4)
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "shut"},
              "spec": {"podSelector": {"matchLabels": {"app": "two"}}, "policyTypes": ["Ingress"]}}  # fmt: skip
    applied(bed, tmp_path, policy)
    assert "2" in bed.netlab("explain", "client", "svc/inner:80", check=None).stdout
    assert outcomes(bed, inner) == {"open", "timeout"}
    assert run_netlab("check", bed.name).status == 0
    bed.netlab("delete", "endpoints", "inner")
    assert bed.curl("client", inner) == "refused"
    assert bed.netlab("get", "endpoints", "inner", check=None).status != 0
    applied(
        bed,
        tmp_path,
        service("inner", selector={"app": "one"}, ports=[{"port": 80, "targetPort": 8080}]),
        endpoints("db", subset(v4["ill"])),
    )
    assert bed.who("client", inner)["pod"] == "one", "a selector and no Endpoints"
    assert bed.who("client", f"http://{address(bed, 'db')}")["pod"] == "ill"
    assert bed.curl("client", f"http://{address(bed, 'db', 1)}") == "refused", "no IPv6 address is left"
    assert run_netlab("check", bed.name).status == 0
    bed.netlab("delete", "service", "db")
    assert "db" not in bed.netlab("get", "endpoints").stdout, "a Service takes its Endpoints with it"


def _listed(bed: Bed, v4: Mapping[str, str]) -> None:
    rows = bed.netlab("get", "endpoints").stdout
    assert f"{v4['one']}:8080,{v4['two']}:8080" in rows and "203.0.113.10:8080" in rows
    slices = bed.netlab("get", "endpointslices", "-o", "json").json["items"]
    own = [one for one in slices if one["metadata"]["labels"].get("kubernetes.io/service-name") == "inner"]
    assert {one["addressType"]: len(one["endpoints"]) for one in own} == {"IPv4": 3, "IPv6": 1}
    for one in own:
        manager = one["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        assert manager == "endpointslicemirroring-controller.k8s.io"
        assert one["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
    assert [end["conditions"]["ready"] for end in own[0]["endpoints"]].count(False) == 1
    assert not [one for one in slices if one["metadata"]["name"].startswith("quiet")]
    described = bed.netlab("describe", "endpoints", "inner").stdout
    assert f"NotReadyAddresses:  {v4['ill']}" in described


def test_endpoints_without_node_names_are_not_local(bed: Bed, tmp_path: Path) -> None:
    pods = [pod("client", 1, 1234), pod("far", 2, 1234), pod("one", 1, 8080)]
    named = [service(name, internalTrafficPolicy="Local") for name in ("with", "without")]
    bed.up_of(tmp_path, [LAB, *pods, *named])
    one = bed.pod("one")["status"]["podIP"]
    applied(
        bed, tmp_path,
        endpoints("with", subset({"ip": one, "nodeName": "node-1"})), endpoints("without", subset(one)),
    )  # fmt: skip
    seen = {(where, name): bed.curl(where, f"http://{address(bed, name)}", "--connect-timeout", "1")
            for where in ("client", "far") for name in ("with", "without")}  # fmt: skip
    wanted = dict.fromkeys(seen, "timeout") | {("client", "with"): "open"}
    assert seen == wanted
    assert run_netlab("check", bed.name).status == 0


OUTSIDE = ("192.168.1.10", "2001:db8:9::10")
_PROBE = """
import os, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family) as client:
    client.settimeout(2)
    try:
        client.connect((sys.argv[1], 80))
    except OSError as error:
        print(type(error).__name__, os.strerror(error.errno or 0))
    else:
        print("open")
"""


def connect(bed: Bed, where: str, address: str) -> str:
    line = ["ip", "netns", "exec", f"{bed.name}-{where}", sys.executable, "-c", _PROBE, address.strip("[]")]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("plane", ["flannel-vxlan", "calico-bgp"])
def test_endpoints_outside_the_lab_are_programmed_and_unreachable(bed: Bed, tmp_path: Path, plane: str) -> None:
    """It was an error, which real sets of manifests with a database outside met."""
    lab = {**LAB, "spec": {**LAB["spec"], "dataplane": plane}}
    given = [
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": f"IPv{4 if '.' in ip else 6}",
         "metadata": {"name": f"mixed-{number}", "labels": {"kubernetes.io/service-name": "mixed"}},
         "ports": [{"port": 8080}], "endpoints": [{"addresses": [ip]}]}
        for number, ip in enumerate(OUTSIDE)
    ]  # fmt: skip
    mixed = service("mixed", selector={"app": "web"}, ports=[{"port": 80, "targetPort": 8080}])
    pods = [pod("client", 1, 1234), pod("web", 2, 8080)]
    up = bed.up_of(tmp_path, [lab, *pods, service("db"), endpoints("db", subset(*OUTSIDE)), mixed, *given])
    for address_outside in OUTSIDE:
        assert re.search(rf"lab.yaml:\d+:\d+: warning: Endpoints default/db: .*{address_outside}; declare", up.stderr)
    assert predicted_outcomes(bed, "db") == {"unreachable"}
    assert predicted_outcomes(bed, "mixed") == {"open", "unreachable"}
    for family, outside in enumerate(OUTSIDE):
        seen = connect(bed, "client", address(bed, "db", family))
        assert "No route to host" in seen or "Network is unreachable" in seen, (outside, seen)
        answers = outcomes(bed, f"http://{address(bed, 'mixed', family)}")
        assert "open" in answers and len(answers) > 1, "the backend inside answers, the other one does not"
        rules = bed.exec("node-1", "nft", "list", "table", "ip6" if family else "ip", "kube-proxy").stdout
        assert f"dnat to {f'[{outside}]' if family else outside}:8080" in rules
    done = run_netlab("check", bed.name, check=None)
    assert done.status == 0, done.stdout
    again = run_netlab("check", bed.name, check=None)
    assert again.status == 0, "the kernel limits the rate of its ICMP errors: silence is right, too"


def predicted_outcomes(bed: Bed, name: str) -> set[str]:
    cluster = load_cluster(bed.name)
    verdicts = Predictor(cluster).predict(flows(cluster, sources=["client"], targets=[f"svc/{name}"]))
    return {str(each.outcome) for verdict in verdicts for each in verdict.may or (verdict,)}
