"""What the API server refuses, ``apply`` refuses: at its line, with status 2, and with nothing changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RUN, run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel


def service(name: str, spec: str) -> str:
    return f"{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{{spec}}}}}"


def pod(name: str, spec: str, namespace: str = "default") -> str:
    return f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}"


PORTS = "selector: {app: x}, ports: [{port: 80}]"
BOX = "containers: [{name: c, image: x}]"
#: What a lab with Service one (10.96.7.7, node port 30007) and Pod p5 (port 80) refuses, and where it says so.
REFUSED = {
    "the same node port again": (
        service("two", "type: NodePort, selector: {app: x}, ports: [{port: 80, nodePort: 30007}]"),
        "nodePort",
    ),
    "the same clusterIP again": (service("two", f"clusterIP: 10.96.7.7, {PORTS}"), "clusterIP"),
    "another clusterIP": (service("one", f"clusterIP: 10.96.7.8, {PORTS}"), "clusterIP"),
    "headless now": (service("one", f"clusterIP: None, {PORTS}"), "clusterIP"),
    "ExternalName with a clusterIP": (
        service("six", "type: ExternalName, externalName: a.example, clusterIP: 10.96.7.9"),
        "clusterIP",
    ),
    "affinity's time-out alone": (
        service("two", f"sessionAffinityConfig: {{clientIP: {{timeoutSeconds: 9}}}}, {PORTS}"),
        "sessionAffinityConfig",
    ),
    "loopback as externalIP": (service("two", f"externalIPs: [127.0.0.1], {PORTS}"), "externalIPs[0]"),
    "source ranges of a ClusterIP": (service("two", f"loadBalancerSourceRanges: [10.0.0.0/8], {PORTS}"), "Ranges"),
    "nodePort of a ClusterIP": (service("two", "selector: {a: b}, ports: [{port: 80, nodePort: 30001}]"), "nodePort"),
    "traffic policy of a ClusterIP": (service("two", f"externalTrafficPolicy: Local, {PORTS}"), "externalTraffic"),
    "health check without Local": (
        service("two", f"type: LoadBalancer, healthCheckNodePort: 30099, {PORTS}"),
        "healthCheckNodePort",
    ),
    "two ports of one number": (
        service("four", "selector: {a: b}, ports: [{name: a, port: 80}, {name: b, port: 80}]"),
        "ports[1]",
    ),
    "headless and NodePort": (service("two", f"type: NodePort, clusterIP: None, {PORTS}"), "clusterIP"),
    "two families where there is one": (service("two", f"ipFamilyPolicy: RequireDualStack, {PORTS}"), "ipFamilyPolicy"),
    "node ports of a ClusterIP allocated": (
        service("two", f"allocateLoadBalancerNodePorts: false, {PORTS}"),
        "allocateLoadBalancerNodePorts",
    ),
    "a selector that is not the template's": (
        (
            f"{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d}}, spec: {{selector: {{matchLabels: {{a: b}}}}, "
            f"template: {{metadata: {{labels: {{b: b}}}}, spec: {{{BOX}}}}}}}}}"
        ),
        "selector",
    ),
    "another hostPort on the host's network": (
        pod("p8", "hostNetwork: true, containers: [{name: c, image: x, ports: [{containerPort: 80, hostPort: 81}]}]"),
        "containerPort",
    ),
    "two ports of one name": (
        pod(
            "p8", "containers: [{name: c, image: x, ports: [{name: a, containerPort: 1}, {name: a, containerPort: 2}]}]"
        ),
        "ports[1].name",
    ),
    "clusterIPs without clusterIP": (service("two", f"clusterIPs: [10.96.7.9], {PORTS}"), "clusterIPs"),
    "a name that begins with a digit": (service("1st", PORTS), "metadata.name"),
    "a container without image": (pod("p8", "containers: [{name: c}]"), "containers[0].image"),
    "no containers": (pod("p8", "containers: []"), "spec.containers"),
    "another Pod CIDR of a node": (
        "{apiVersion: v1, kind: Node, metadata: {name: node-1}, spec: {podCIDR: 10.99.0.0/24}}",
        "podCIDR",
    ),
    "no address of Endpoints": (
        "{apiVersion: v1, kind: Endpoints, metadata: {name: one}, subsets: [{ports: [{port: 80}]}]}",
        "subsets[0].addresses",
    ),
    "loopback in Endpoints": (
        "{apiVersion: v1, kind: Endpoints, metadata: {name: one}, subsets: [{addresses: [{ip: 127.0.0.1}]}]}",
        "addresses[0].ip",
    ),
    "dnsPolicy None alone": (pod("p6", f"dnsPolicy: None, {BOX}"), "nameservers"),
    "a Pod's ports": (pod("p5", "containers: [{name: c, image: x, ports: [{containerPort: 81}]}]"), "spec.containers"),
    "a Pod's node": (
        pod("p5", "nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]"),
        "nodeName",
    ),
    "a namespace that is not there": (pod("p4", BOX, "nowhere"), "metadata.namespace"),
}
P5 = pod("p5", "nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]")


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    bed = Bed(f"t{RUN}w{worker}valid")
    bed.up("validation")
    bed.netlab("apply", "-f", "-", input=P5)
    yield bed
    run_netlab("down", bed.name)


@pytest.mark.parametrize("case", REFUSED)
def test_apply_refuses_what_the_api_server_refuses(bed: Bed, case: str) -> None:
    text, where = REFUSED[case]
    said = bed.netlab("apply", "-f", "-", input=text, check=2).stderr
    assert said.startswith("<stdin>:1:"), said
    assert where in said.splitlines()[0], said
    assert run_netlab("diff", bed.name).stdout.strip().endswith("no drift")


@pytest.mark.parametrize(
    "text",
    [
        service("udp", "type: NodePort, selector: {app: x}, ports: [{port: 80, nodePort: 30007, protocol: UDP}]"),
        service("one", "type: NodePort, selector: {app: y}, ports: [{port: 80, nodePort: 30007}]"),
        P5.replace("image: x", "image: y, ports: [{containerPort: 80, protocol: TCP, hostPort: 0}]").replace(
            ", ports: [{containerPort: 80}]", ""
        ),
        "{apiVersion: v1, kind: Node, metadata: {name: node-1, labels: {a: b}}, spec: {podCIDR: 10.244.1.0/24}}",
        pod("p7", BOX, "new") + "\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: new}}",
    ],
    ids=[
        "node port of another protocol",
        "clusterIP left out",
        "image and defaults",
        "a node's own Pod CIDR",
        "namespace beside it",
    ],
)
def test_apply_takes_what_the_api_server_takes(bed: Bed, text: str) -> None:
    bed.netlab("apply", "-f", "-", input=text)


def test_target_port_zero_leads_to_the_port_itself(lab_name: str, tmp_path: Path) -> None:
    bed = Bed(lab_name)
    try:
        bed.up("targetport-0")
        assert bed.who("a", "http://10.96.0.80:8080" if False else _address(bed))["pod"] == "a"
    finally:
        run_netlab("down", lab_name)


def _address(bed: Bed) -> str:
    return f"http://{bed.netlab('get', 'service', 'a', '-o', 'json').json['spec']['clusterIP']}:8080"
