"""The way that the model expects: on every data plane and underlay, by walking the desired state."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.diagnose import flowpath
from netlab.diagnose.expected.expect import Divergence, Expecter, divergence
from netlab.diagnose.expected.path import Hop, Path
from netlab.model import Cluster, build
from netlab.oracle.explain import judged
from netlab.oracle.predict import Predictor
from netlab.plan import check, desired
from netlab.planes import ROWS
from netlab.spec import Text, load_texts

PODS = (("client", "node-1"), ("near", "node-1"), ("server", "node-2"))
OUTSIDE = {"name": "internet", "address": "203.0.113.10"}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "nodePort": 30080}], "type": "NodePort"},
}


def cluster(*objects: dict[str, Any], racks: bool = False, learns: bool = False, **spec: Any) -> Cluster:
    nodes = [{"name": f"node-{n}"} | ({"rack": f"r{n}"} if racks else {}) for n in (1, 2)]
    if racks:
        spec["underlay"] = {
            "kind": "routed",
            **({"learnsPodRoutes": True} if learns else {}),
        }
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "l"}, "spec": {"nodes": nodes, **spec}}
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"nodeName": node, "containers": [{"name": "m", "image": "x", "ports": [{"containerPort": 80}]}]},
        }
        for name, node in PODS
    ]
    text = "\n---\n".join(json.dumps(one) for one in (lab, *pods, *objects))
    return build(load_texts([Text("lab.yaml", text)]), check=check).cluster


def way(made: Cluster, source: str, target: str, port: int = 80, **told: str) -> tuple[str, str]:
    """Question and answer: ``node-1.cni0> node-1.eth0>*`` (> out, < in, * inside VXLAN)."""
    expecter = Expecter(made, desired(made))
    flow = expecter.flow(f"l-{source}", target, port, "TCP")
    found = expecter.round_trip(flow, **told)
    return shown(found.request), shown(found.reply) if found.reply else ""


def shown(one: Path) -> str:
    return " ".join(
        f"{hop.netns[2:]}.{hop.interface}{'>' if hop.direction == 'out' else '<'}{'*' if hop.encapsulated else ''}"
        for hop in one.hops
    ) + ("" if one.arrives else f" ! {one.reason}")


def address(made: Cluster, pod: str) -> str:
    return str(next(one for one in made.pods if one.name == pod).addresses[0].ip)


# How node-1 sends to node-2's Pods and node-2 gets them; how a Pod's frame enters its node (C: the client's veth).
PLANES = {
    "vxlan": ("C< node-1.cni0< node-1.vxlan0>", "*", "node-2.vxlan0< node-2.cni0> S>"),
    "host-gw": ("C< node-1.cni0<", "", "node-2.cni0> S>"),
    "flannel-vxlan": ("C< node-1.cni0< node-1.flannel.1>", "*", "node-2.flannel.1< node-2.cni0> S>"),
    "calico-bgp": ("C<", "", "S>"),
    "calico-vxlan": ("C< node-1.vxlan.calico>", "*", "node-2.vxlan.calico< S>"),
    "kindnet": ("C<", "", "S>"),
    "geneve": ("C< node-1.cni0< node-1.geneve.2>", "*", "node-2.geneve.1< node-2.cni0> S>"),
    "ipip": ("C< node-1.cni0< node-1.flannel.ipip>", "*", "node-2.flannel.ipip< node-2.cni0> S>"),
    "calico-ipip": ("C< node-1.tunl0>", "*", "node-2.tunl0< S>"),
    "wireguard": ("C< node-1.cni0< node-1.flannel-wg>", "*", "node-2.flannel-wg< node-2.cni0> S>"),
    "weave": ("C< node-1.vxlan-6784>", "*", "node-2.vxlan-6784< S>"),
}


@pytest.mark.parametrize(
    ("plane", "families"),
    [(plane, [family]) for plane in PLANES for family in ("IPv4", "IPv6") if family in ROWS[plane].families],
)
def test_pods_of_two_nodes(plane: str, families: list[str]) -> None:
    made = cluster(dataplane=plane, ipFamilies=families)
    question, answer = way(made, "client", address(made, "server"))
    veths = {pod: next(word[:-1] for word in question.split() if word.startswith(f"{node}.") and ("veth" in word or "cali" in word)
             and "vxlan" not in word) for pod, node in (("client", "node-1"), ("server", "node-2"))}  # fmt: skip
    first, star, last = PLANES[plane]
    for short, pod in (("C", "client"), ("S", "server")):
        first, last = first.replace(f"{short}<", f"{veths[pod]}<"), last.replace(f"{short}>", f"{veths[pod]}>")
    if families == ["IPv6"]:
        first, last = (
            one.replace("flannel.1", "flannel-v6.1")
            .replace("vxlan.calico", "vxlan-v6.calico")
            .replace("flannel-wg", "flannel-wg-v6")
            for one in (first, last)
        )
    middle = " ".join(
        f"{one}{star}" for one in ("node-1.eth0>", "underlay.node-1<", "underlay.node-2>", "node-2.eth0<")
    )
    assert question == f"client.eth0> {first} {middle} {last} server.eth0<"
    assert answer.startswith("server.eth0> ")
    assert answer.endswith("> client.eth0<")
    assert len(answer.split()) == len(question.split())


def test_pods_of_one_node_are_bridged_or_routed() -> None:
    made = cluster(dataplane="vxlan")
    assert way(made, "client", address(made, "near"))[0] == (
        "client.eth0> node-1.veth-client< node-1.veth-near> near.eth0<"
    )
    made = cluster(dataplane="calico-bgp")
    assert "cni0" not in way(made, "client", address(made, "near"))[0]


@pytest.mark.parametrize("target", ["10.244.1.2", "127.0.0.1"])
def test_to_itself_nothing_leaves(target: str) -> None:
    made = cluster(dataplane="vxlan")
    assert way(made, "client", target)[0] == "client.lo> client.lo<"


def test_data_plane_bridge_leads_to_no_other_node() -> None:
    made = cluster(dataplane="bridge")
    assert way(made, "client", address(made, "server"))[0].endswith("! l-underlay has no route to 10.244.2.2")


def test_racks_are_crossed_by_three_routers() -> None:
    made = cluster(dataplane="calico-bgp", racks=True, learns=True)
    question, _ = way(made, "client", address(made, "server"))
    routers = " ".join(word for word in question.split() if not word.startswith(("client", "node", "server")))
    assert routers == "r1.node-1< r1.br0< r1.uplink> underlay.r1< underlay.r2> r2.uplink< r2.br0> r2.node-2>"
    made = cluster(dataplane="kindnet", racks=True)
    assert "has no route" in way(made, "client", address(made, "server"))[0]


def test_service_leads_to_the_backend_and_back() -> None:
    made = cluster(SERVICE, dataplane="vxlan")
    address_of = str(next(one for one in made.services if one.name == "web").cluster_ips[0])
    question, answer = way(made, "client", address_of)
    assert question == way(made, "client", "10.244.2.2")[0]
    assert answer == way(made, "client", "10.244.2.2")[1]


def test_node_port_of_another_node_comes_back_by_it() -> None:
    """The node that translates masquerades, so the answer must pass it again."""
    made = cluster(SERVICE, dataplane="host-gw", external=[OUTSIDE])
    node = str(made.nodes[0].addresses[0].ip)
    question, answer = way(made, "internet", node, 30080)
    assert question.startswith("internet.eth0> underlay.internet< underlay.br0> underlay.node-1> node-1.eth0<")
    assert question.endswith("node-2.cni0> node-2.veth-server> server.eth0<")
    assert "node-1.eth0< node-1.eth0>" in answer
    assert answer.endswith("underlay.internet> internet.eth0<")


def test_what_leaves_the_cluster_comes_back_to_its_node() -> None:
    made = cluster(dataplane="vxlan", external=[OUTSIDE])
    outside = str(made.external[0].addresses[0].ip)
    question, answer = way(made, "client", outside)
    assert question.endswith("node-1.eth0> underlay.node-1< underlay.br0< underlay.internet> internet.eth0<")
    assert answer.endswith("node-1.eth0< node-1.cni0> node-1.veth-client> client.eth0<")


def test_service_without_endpoints_ends_at_the_first_node() -> None:
    empty = {**SERVICE, "spec": {"selector": {"app": "nobody"}, "ports": [{"port": 80}]}}
    made = cluster(empty, dataplane="vxlan")
    address_of = str(next(one for one in made.services if one.name == "web").cluster_ips[0])
    question, answer = way(made, "client", address_of)
    assert question == (
        "client.eth0> node-1.veth-client< node-1.cni0< ! Service default/web has no endpoint for port 80/TCP"
    )
    assert answer == ""


def test_service_on_the_same_bridge_stays_below() -> None:
    """br_netfilter translates the frame and leaves it in the bridge, also where the Pod gets itself."""
    near = {**SERVICE, "spec": {"selector": {"app": "near"}, "ports": [{"port": 80}]}}
    made = cluster(near, dataplane="vxlan")
    address_of = str(next(one for one in made.services if one.name == "web").cluster_ips[0])
    assert way(made, "client", address_of)[0] == "client.eth0> node-1.veth-client< node-1.veth-near> near.eth0<"
    question, answer = way(made, "near", address_of)
    assert question == answer == "near.eth0> node-1.veth-near< node-1.veth-near> near.eth0<"


# -- what explain shows -----------------------------------------------------------------------------------------------


def told(made: Cluster, source: str, target: str, port: int = 80) -> str:
    """The path that explain prints for each way of a flow."""
    expecter, predictor = Expecter(made, desired(made)), Predictor(made)
    flow = expecter.flow(f"l-{source}", target, port, "TCP")
    found = [flowpath.flow_path(expecter, flow, one) for one in judged(predictor.denials, flow)] or [
        flowpath.flow_path(expecter, flow)
    ]
    return "\n".join(line for one in found if one for line in flowpath.tell(one, "l"))


def test_path_names_tunnel_translation_and_masquerading() -> None:
    made = cluster(SERVICE, dataplane="vxlan", external=[OUTSIDE])
    assert told(made, "client", "10.244.2.2") == (
        "  path: client eth0 > node-1 veth-client cni0 vxlan0 > VXLAN [node-1 eth0 > underlay node-1 node-2 >\n"
        "    node-2 eth0] > node-2 vxlan0 cni0 veth-server > server eth0"
    )
    text = told(made, "internet", str(made.nodes[0].addresses[0].ip), 30080)
    assert "    node-1 translates the target to 10.244.2.2:80\n" in text
    assert "    the target sees 10.244.1.0 and not 203.0.113.10: it is masqueraded" in text


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        ("Egress", "node-1 veth-client cni0; ends there"),
        ("Ingress", "node-2 vxlan0; ends there: policies deny ingress"),
    ],
)
def test_path_ends_where_the_policy_is(kind: str, ends: str) -> None:
    app = "client" if kind == "Egress" else "server"
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed"},
        "spec": {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": [kind]},
    }
    text = told(cluster(policy, dataplane="vxlan"), "client", "10.244.2.2")
    assert ends in " ".join(text.split())


A, B, C, X = (Hop("n", name, "out") for name in "abcx")


def test_divergence() -> None:
    assert divergence([A, B, C], [A, B, C]) is None
    assert divergence([A, B, C], [A, X, B, C]) is None, "a flooded copy besides"
    assert divergence([A, B, C], [A]) == Divergence(A, B, None)
    assert divergence([A, B, C], [A, X]) == Divergence(A, B, X)
    assert divergence([A, B, C], [A, C]) == Divergence(A, B, C)
    assert divergence([A, B, C], [A, C], lost=True) is None, "the sighting at B did not fit the buffer"
