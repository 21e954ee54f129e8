"""What is kept from one resolved lab to the next is what would be made from nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.model import Memory
from netlab.objects import State
from netlab.plan import Host
from netlab.runtime.state import resolved
from netlab.runtime.state.rundir import Applied
from netlab.runtime.state.session import SESSION

NAMES = ("a-0", "a-1", "b-0", "b-1", "c-0")
VALUES = st.sampled_from(("a", "b", "c", None))


def manifest(kind: str, name: str, spec: Mapping[str, Any], group: str = "", **labels: str) -> str:
    version = f"{group}/v1" if group else "v1"
    metadata = {"name": name, "labels": labels}
    return json.dumps({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})


def policy(name: str, app: str, peer: str, port: object, **more: Any) -> str:
    ingress = [
        {"from": [{"podSelector": {"matchLabels": {"app": peer}}}, *more.get("blocks", [])], "ports": [{"port": port}]}
    ]
    spec = {"podSelector": {"matchLabels": {"app": app}}, "ingress": ingress, **more.get("spec", {})}
    return manifest("NetworkPolicy", name, spec, "networking.k8s.io")


def tier(name: str, tier: str, subject: Mapping[str, Any], **rules: Any) -> str:
    spec = {
        "tier": tier,
        "priority": 5,
        "subject": {"pods": {"namespaceSelector": {}, "podSelector": subject}},
        **rules,
    }
    version = "policy.networking.k8s.io/v1alpha2"
    return json.dumps({"apiVersion": version, "kind": "ClusterNetworkPolicy", "metadata": {"name": name}, "spec": spec})


def lab(plane: str, deny: str) -> str:
    nodes = [{"name": "node-1"}, {"name": "node-2"}]
    spec = {"dataplane": plane, "nodes": nodes, "ipFamilies": ["IPv4", "IPv6"], "policy": {"deny": deny}}
    one = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "kept"}, "spec": spec}
    ports = [{"containerPort": 80, "name": "http"}]
    return "\n---\n".join(
        (
            json.dumps(one),
            *(
                manifest(
                    "Pod",
                    name,
                    {"nodeName": f"node-{1 + number % 2}", "containers": [{"name": "c", "image": "x", "ports": ports}]},
                    app=name[0],
                )
                for number, name in enumerate(NAMES)
            ),
            manifest("Service", "a", {"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": "http"}]}),
            policy("one", "a", "b", 80),
            manifest(
                "NetworkPolicy",
                "everywhere",
                {
                    "podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["c"]}]},
                    "policyTypes": ["Egress"],
                    "egress": [
                        {"to": [{"namespaceSelector": {"matchLabels": {"team": "x"}}, "podSelector": {}}]},
                        {"to": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}]},
                    ],
                },
                "networking.k8s.io",
            ),
            policy("two", "b", "c", 8080, blocks=[{"ipBlock": {"cidr": "192.0.2.0/24"}}]),
        )
    )


TEAM = {"action": "Pass", "from": [{"namespaces": {"matchLabels": {"team": "x"}}}]}
APP_B = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "b"}}}}
EXTRA = st.sampled_from(
    (
        policy("three", "c", "a", "http"),
        policy("one", "a", "a", 443),
        tier("all", "Admin", {}, ingress=[TEAM, {"action": "Deny", "from": [APP_B], "protocols": [{"destinationNamedPort": "http"}]}]),
        tier("all", "Admin", {"matchLabels": {"app": "a"}}, ingress=[{"action": "Deny", "from": [APP_B]}]),
        tier("floor", "Baseline", {}, egress=[{"action": "Deny", "to": [{"nodes": {}}, {"networks": ["::/0"]}, APP_B]}]),
        manifest("Pod", "d-0", {"containers": [{"name": "c", "image": "x", "hostPort": 1}]}, app="a"),
        manifest("Pod", "d-1", {"nodeName": "node-2", "hostNetwork": True, "containers": [{"name": "c", "image": "x"}]}, app="b"),
        manifest("Service", "b", {"selector": {"app": "b"}, "ports": [{"port": 81, "targetPort": 80}]}),
    )
)  # fmt: skip
CHANGE = st.tuples(
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3),
    st.lists(EXTRA, max_size=2, unique=True),
    st.sampled_from(("x", "y", None)),
)


def forget() -> None:
    SESSION._kept.clear()


def wanted(applied: Applied, memory: Memory) -> tuple[State, Memory]:
    found = resolved.with_state(resolved.resolve(applied, memory), Host())
    return found.want, Memory.of(found.cluster)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(("vxlan", "calico-bgp", "kindnet")),
    st.sampled_from(("drop", "reject")),
    st.lists(CHANGE, min_size=1, max_size=6),
)
def test_kept_is_as_made_from_nothing(
    plane: str, deny: str, changes: list[tuple[dict[str, str | None], list[str], str | None]]
) -> None:
    forget()
    memory = Memory()
    for labels, extra, team in [({}, [], None), *changes]:
        applied = Applied(
            "lab.yaml",
            spec=(("lab.yaml", lab(plane, deny)),),
            extra=tuple((f"extra-{number}.yaml", one) for number, one in enumerate(extra)),
            labels={
                **{f"Pod/default/{name}": {"app": value} for name, value in labels.items()},
                "Namespace/default": {"team": team},
            },
        )
        kept, _ = wanted(applied, memory)
        forget()
        anew, memory = wanted(applied, memory)  # what is kept for the next change
        assert kept == anew
        assert [obj.why for obj in kept.values()] == [anew[key].why for key in kept]
        assert {key: obj.explain() for key, obj in kept.items()} == {key: obj.explain() for key, obj in anew.items()}
