"""What explain and describe say of policies: every reason named, whatever the end is."""

from __future__ import annotations

import json

import pytest

from netlab.cli.kinds import policy as described
from netlab.errors import BadInput
from netlab.model import Cluster, build
from netlab.model.selection import Selection
from netlab.oracle.explain import judged, tables, tell
from netlab.oracle.explained import document
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.plain import dump
from netlab.spec import Documents, Text, load_texts

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: p}
spec:
  nodes: [{name: node-1}, {name: node-2}]
  external: [{name: internet, address: 203.0.113.9, ports: [443]}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80, hostPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{name: http, containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other, labels: {app: server}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{name: http, containerPort: 81}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: host, labels: {app: client}}
spec: {nodeName: node-1, hostNetwork: true, containers: [{name: c, image: x, ports: [{containerPort: 9999}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {type: NodePort, selector: {app: server}, ports: [{port: 8000, targetPort: http, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 8000, targetPort: http, nodePort: 30081}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-client, labels: {why: story}}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector: {matchLabels: {app: client}}
    - namespaceSelector: {matchLabels: {team: shop}}
      podSelector: {matchExpressions: [{key: app, operator: In, values: [web, x]}]}
    - ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.9/32]}
    ports: [{port: http}, {port: 9000, endPort: 9100}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: shop}
spec: {podSelector: {}, ingress: [{}, {ports: [{}]}, {from: [{podSelector: {}}]}]}
"""


def load(more: str = "") -> tuple[Cluster, Documents]:
    documents = load_texts([Text("lab.yaml", LAB + more)])
    assert not documents.problems
    return build(documents).cluster, documents


def told(source: str, target: str, port: str = "", more: str = "") -> str:
    cluster, _ = load(more)
    asked = list(flows(cluster, sources=[source], targets=[target], ports=[port] if port else [], strangers=True))
    asked = [flow for flow in asked if not port or f"{flow.port}/{flow.protocol}" == port]
    predictor = Predictor(cluster)
    assert asked
    return "\n".join(
        line for one in predictor.predict(asked) for line in tell(one, judged(predictor.denials, one.flow))
    )


@pytest.mark.parametrize(
    ("source", "target", "port", "says"),
    [
        ("client", "server", "", ["ingress: allowed by default/only-client ingress[0] (lab.yaml:", "1 policy isolates"]),
        ("client", "server", "", ["egress: passes, no policy isolates default/client for egress"]),
        ("client", "server", "81/TCP", ["the port is 81/TCP, not http/TCP (80 at default/server), 9000-9100/TCP"]),
        ("shop/web", "server", "", ["peer shop/web is not in namespace default", "peer namespace shop has no label team"]),
        ("other", "server", "", ["egress: denied", "default/only-client (lab.yaml:", "has no egress rule: it allows nothing"]),
        ("other", "server", "", ["peer default/other has app=server, not app=client", "10.244.1.4 is not in 203.0.113.0/24"]),
        ("external/internet", "server", "", ["203.0.113.9 is excepted from 203.0.113.0/24", "internet is outside of the cluster"]),
        ("203.0.113.7", "server", "", ["ingress: allowed by default/only-client ingress[0]"]),
        ("198.51.100.1", "server", "", ["198.51.100.1 is no Pod's address, and selectors select Pods alone"]),
        ("node/node-1", "server", "", ["node-1 is a node, and selectors", "server's node sees it come from 10.244.1.0"]),
        ("node/node-2", "server", "", ["a node always reaches its own Pods, and default/server is on node-2"]),
        ("host", "server", "", ["default/host is in its node's network (hostNetwork), and selectors select Pods alone"]),
        ("server", "server", "", ["egress: passes, a Pod always reaches itself"]),
        ("server", "svc/web.shop", "", ["through shop/web 10.244.1.3:8080/TCP", "egress: denied"]),
        ("client", "svc/server", "", ["through default/server 10.244.2.2:80", "through default/other 10.244.1.4:81"]),
        ("server", "node/node-1", "30081/TCP", ["server's node sees a packet to 172.18.0.2:30081, and another node translates it"]),
        ("server", "node/node-1", "8080/TCP", ["172.18.0.2:8080, and another node translates it"]),
        ("server", "external/internet", "", ["internet is outside of the cluster, and policies are about Pods"]),
    ],
)  # fmt: skip
def test_every_reason_is_named(source: str, target: str, port: str, says: list[str]) -> None:
    text = told(source, target, port)
    for one in says:
        assert one in text, text


def test_a_rule_for_the_services_port_is_pointed_at() -> None:
    """Of all mistakes about Services the commonest."""
    out = """
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{ports: [{port: 443}, {port: 8000}]}]
"""
    text = told("client", "svc/web.shop", more=out)
    assert "does not match: the port is 8080/TCP, not 443/TCP, 8000/TCP" in text
    assert "default/out egress[0] names the Service's port 8000/TCP; rules see its backend's" in text
    assert "names the Service's port" not in told("client", "svc/web.shop", more=out.replace("8000", "8001"))


def test_tables_and_json_say_the_same() -> None:
    cluster, _ = load()
    predictor = Predictor(cluster)
    asked = list(flows(cluster, sources=["client", "server", "other"], targets=["server", "svc/server", "shop/web"]))
    drawn = {
        name: {one.flow: str(one.outcome) for one in found} for name, found in tables(predictor.denials, asked).items()
    }
    for verdict in predictor.predict(asked):
        ways = judged(predictor.denials, verdict.flow)
        data = json.loads(json.dumps(dump(document(verdict, ways))))
        assert data["allowed"] == all(way["egress"]["allowed"] and way["ingress"]["allowed"] for way in data["ways"])
        if len(ways) == 1:
            (way,) = data["ways"]
            assert data["egress"] == way["egress"] and data["ingress"] == way["ingress"]
            for name in ("egress", "ingress"):
                assert (drawn[name][verdict.flow] == "open") == way[name]["allowed"]
            assert (drawn["both"][verdict.flow] == "open") == data["allowed"]
            missed = [one for name in ("egress", "ingress") for one in way[name]["missed"]]
            assert all(one["file"] == "lab.yaml" and one["line"] and one["says"] for one in missed)
    client_to_service = next(flow for flow in asked if flow.src.name == "default/client" and flow.dst.kind == "service")
    assert drawn["both"][client_to_service] == "open", "one of its backends is"


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        (
            "clent",
            "server",
            "CLIENT: no Pod, Service, node or external host is called 'clent' (did you mean \"client\"?)",
        ),
        ("client", "node/node1", "TARGET: there is no node 'node1' (did you mean \"node/node-1\""),
        ("client", "svc/servr", "TARGET: there is no Service 'servr' (did you mean \"svc/server\"?)"),
        (
            "svc/server",
            "client",
            "CLIENT: default/server is a Service, which sends no packet",
        ),
    ],
)
def test_unknown_names_are_called_what_the_user_typed(source: str, target: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        flows(load()[0], sources=[source], targets=[target], called=("CLIENT", "TARGET"), strangers=True)
    assert says in str(refused.value)


def test_describe_reads_as_kubectls() -> None:
    cluster, documents = load()
    selection = Selection(cluster)
    bodies = {one.name: one.body for one in documents.objects if one.kind == "NetworkPolicy"}
    packets = {"netpol:default/only-client ingress[0]": 3}
    found = {
        one.name: "\n".join(described.description(one, bodies[one.name], selection, packets, 0.0))
        for one in cluster.network_policies
    }
    assert found["only-client"].splitlines()[:26] == [
        "Name:         only-client",
        "Namespace:    default",
        "Created on:   1970-01-01 00:00:00 +0000 UTC",
        "Labels:       why=story",
        "Annotations:  <none>",
        "Spec:",
        "  PodSelector:     app=server",
        "  Allowing ingress traffic:",
        "    To Port: http/TCP",
        "    To Port: 9000-9100/TCP",
        "    From:",
        "      PodSelector: app=client",
        "    From:",
        "      NamespaceSelector: team=shop",
        "      PodSelector: app in (web,x)",
        "    From:",
        "      IPBlock:",
        "        CIDR: 203.0.113.0/24",
        "        Except: 203.0.113.9/32",
        "  Allowing egress traffic:",
        "    <none> (Selected pods are isolated for egress connectivity)",
        "  Policy Types: Ingress, Egress",
        "Selects:      default/server, default/other",
        "Rules:",
        "  ingress[0]  3 packets allowed  lab.yaml:51:5",
        "    Pods app=client of namespace default: default/client",
    ]
    assert "    Pods app in (web,x) of namespaces team=shop: no Pod" in found["only-client"]
    shop = found["all"]
    assert "PodSelector:     <none> (Allowing the specific traffic to all pods in this namespace)" in shop
    assert (
        "To Port: <any> (traffic allowed to all ports)" in shop
        and "From: <any> (traffic not restricted by source)" in shop
    )
    assert "To Port: <any>/TCP" in shop and "PodSelector: <none>" in shop and shop.count("----------") == 2
    assert "  Not affecting egress traffic\n  Policy Types: Ingress" in shop
