"""The conformance corpora: policies and tiers as states of a cluster and the answers that are expected of it.

Found by ``NETLAB_CONFORMANCE`` (a folder), else in ``shared/conformance`` beside the checkout.  ``NETLAB_CONFORMANCE_ALL=1``
takes every case; else a fixed tenth is taken, the same everywhere.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
CORPORA = (
    "e2e-netpol",
    "e2e-netpol-ipv6",
    "cyclonus",
    "cyclonus-ipv6",
    "np-guard",
    "kube-network-policies",
    "recipes",
    "policy-assistant",
    "cnp-conformance",
    "cnp-conformance-ipv6",
)
PROTOCOLS = ("TCP", "UDP", "SCTP")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: What the corpora expect and the specification does not: (corpus, case, from, to, port) -> why.
DEVIATIONS = {
    ("kube-network-policies", "TestSyncPacket-05-allow-all-override-deny-ingress"): (
        "the case has `ingress: []` allow everything; the API defines an empty list as no rule, so nothing is allowed "
        "(an artefact of objects made in memory, which no API server delivers)"
    ),
    ("recipes", "14-deny-external-egress-traffic"): (
        "the recipe's prose says that foo reaches web, its own policy allows DNS alone; the policy decides"
    ),
    ("kube-network-policies", "Test_adminNetworkPolicyAction-07-multiport-allow-egress-node-port"): (
        "the case has a `nodes` peer match the Pods on the nodes; the API defines it as the addresses of the nodes"
    ),
    ("np-guard", "anp_test_named_ports_multiple_peers"): (
        "the case has a port by name beside a `networks` peer, which the API server refuses"
    ),
}
_OLD_PEERS = "the case has a peer with sameLabels or notSameLabels, which the API has no more"


#: Objects that only live in upstream's memory: the API server refuses them, and so does netlab.  Each is made one of the
#: same meaning that it takes.
MENDED = (
    "names in lower case, a baseline policy named default, endPort 65537 as 65535, an except outside of its cidr left out, a missing podSelector of a "
    "tier as an empty one, peers of tiers in the form of API v0.1.1 in today's"
)


class Question(NamedTuple):
    """One flow and what is expected of it; ``src`` and ``dst`` are namespace/pod or an address."""

    src: str
    dst: str
    port: int
    protocol: str
    allow: bool


class State(NamedTuple):
    """A complete state of a cluster: plain objects as the files have them."""

    name: str
    namespaces: list[dict[str, Any]]
    pods: list[dict[str, Any]]
    policies: list[dict[str, Any]]
    questions: list[Question]
    nodes: list[dict[str, Any]]


class Case(NamedTuple):
    """One file."""

    corpus: str
    name: str
    states: list[State]

    @property
    def argued(self) -> str:
        """Why the case's own expectation is not the specification's; empty where it is."""
        old = any("ameLabels" in str(policy) for state in self.states for policy in state.policies)
        return DEVIATIONS.get((self.corpus, self.name), _OLD_PEERS if old else "")


def folder() -> Path | None:
    """Where the corpora are."""
    given = os.environ.get("NETLAB_CONFORMANCE")
    path = Path(given) if given else ROOT.parent / "shared" / "conformance"
    return path if (path / CORPORA[0]).is_dir() else None


def why_absent() -> str:
    """What to say where there are none."""
    given = os.environ.get("NETLAB_CONFORMANCE")
    where = f"in {given}" if given else "beside the checkout (shared/conformance)"
    return f"no conformance corpora {where}; NETLAB_CONFORMANCE=FOLDER says where they are"


def takes_all() -> bool:
    """Whether every case is taken."""
    return os.environ.get("NETLAB_CONFORMANCE_ALL", "") not in ("", "0")


def files(corpus: str, *, whole: bool = False) -> list[Path]:
    """The corpus's files; a fixed tenth of them unless all are wanted, or the corpus is taken ``whole`` because it is
    small.
    """
    base = folder()
    found = sorted((base / corpus).glob("*.yaml")) if base else []
    return (
        found
        if whole or takes_all()
        else [one for one in found if hashlib.sha1(one.name.encode()).digest()[0] % 10 == 0]
    )


def load(path: Path) -> Case | None:
    """A case; None where the file is another thing."""
    with path.open("rb") as file:
        data = yaml.load(file, _LOADER)
    if data.get("schema") != "netpol-case/1":
        return None
    states = [_state(one) for one in data.get("steps") or [data]]
    return Case(data["corpus"], data["name"], states)


def _state(data: dict[str, Any]) -> State:
    questions = [
        Question(one["from"], one["to"], one["port"], one["protocol"], one["allow"]) for one in data.get("expect", ())
    ]
    for table in data.get("matrix", ()):
        for src, row in table["rows"].items():
            for dst, cell in zip(table["columns"], row, strict=True):
                if cell in "01":
                    questions.append(Question(src, dst, table["port"], table["protocol"], cell == "1"))
    if "connections" in data:
        questions += _connections(data)
    return State(
        data.get("name", ""),
        data["namespaces"],
        list(map(_moved, data["pods"])),
        list(map(_mended, data["policies"])),
        questions,
        data.get("nodes") or [],
    )


def _moved(pod: dict[str, Any]) -> dict[str, Any]:
    """A Pod at the address of its node's gateway gets another; no such case has an ipBlock that would tell."""
    ips = [re.sub(r"^(192\.168\.\d+)\.1$", r"\1.101", one) for one in pod["ips"]]
    return {**pod, "ips": ips}


def _mended(policy: dict[str, Any]) -> dict[str, Any]:
    policy["metadata"]["name"] = policy["metadata"]["name"].lower()
    spec = policy.get("spec") or {}
    if policy["kind"] == "BaselineAdminNetworkPolicy":
        policy["metadata"]["name"] = "default"
    if policy["kind"] != "NetworkPolicy":
        _mend_tier(spec)
        return policy
    for rule in [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]:
        for port in rule.get("ports") or ():
            if isinstance(port, dict) and port.get("endPort") == 65537:
                port["endPort"] = 65535
        for peer in [*(rule.get("from") or ()), *(rule.get("to") or ())]:
            block = peer.get("ipBlock") if isinstance(peer, dict) else None
            if block and block.get("except"):
                whole = ip_network(block["cidr"], strict=False)
                block["except"] = [one for one in block["except"] if ip_network(one, strict=False).subnet_of(whole)]
    return policy


def _mend_tier(spec: dict[str, Any]) -> None:
    """Peers as today's definitions have them: {namespaces: {namespaceSelector: X}} is {namespaces: X}."""
    rules = [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]
    ends = [peer for rule in rules for peer in (*(rule.get("from") or ()), *(rule.get("to") or ()))]
    for end in (spec["subject"], *ends):
        if "namespaceSelector" in (end.get("namespaces") or {}):
            end["namespaces"] = end["namespaces"]["namespaceSelector"]
        pods = end.get("pods")
        if isinstance(pods, dict):
            old = pods.pop("namespaces", None)
            if old is not None:
                pods["namespaceSelector"] = old.get("namespaceSelector", old)
            pods.setdefault("podSelector", {})
            pods.setdefault("namespaceSelector", {})


# -- exact connection sets --------------------------------------------------------------------------------------------


def _connections(data: dict[str, Any]) -> Iterator[Question]:
    """Probes at each edge of exact connection sets: the ports where an answer changes, and both sides of each CIDR."""
    pods = [f"{pod['namespace']}/{pod['name']}" for pod in data["pods"]]
    rows = [(_end(one["from"]), _end(one["to"]), _ports(one["conns"])) for one in data["connections"]]
    edges: dict[str, set[int]] = {protocol: {80} for protocol in PROTOCOLS}
    outside = {1 << 24, (8 << 24) + (8 << 16) + (8 << 8) + 8}
    for src, dst, ports in rows:
        for protocol, spans in ports.items():
            for low, high in spans:
                edges[protocol] |= {one for one in (low - 1, low, high, high + 1) if 0 < one < 65536}
        for end in (src, dst):
            if isinstance(end, tuple):
                outside |= {end[0] - 1, *end, end[1] + 1}
    places = [one for one in sorted(outside) if _routable(one)]
    for protocol, numbers in edges.items():
        for number in sorted(numbers):
            allowed = [(src, dst) for src, dst, ports in rows if _has(ports, protocol, number)]
            pairs = {(src, dst) for src, dst in allowed if isinstance(src, str) and isinstance(dst, str)}
            for src in pods:
                for dst in pods:
                    if src != dst:
                        yield Question(src, dst, number, protocol, (src, dst) in pairs)
                to = [end for one, end in allowed if one == src and isinstance(end, tuple)]
                of = [end for end, one in allowed if one == src and isinstance(end, tuple)]
                for place in places:
                    text = str(ip_address(place))
                    yield Question(src, text, number, protocol, any(low <= place <= high for low, high in to))
                    yield Question(text, src, number, protocol, any(low <= place <= high for low, high in of))


def _end(text: str) -> str | tuple[int, int]:
    if "/" in text:
        return text
    low, _, high = text.partition("-")
    return int(ip_address(low)), int(ip_address(high or low))


def _ports(text: str) -> dict[str, list[tuple[int, int]]]:
    if text == "All Connections":
        return {protocol: [(1, 65535)] for protocol in PROTOCOLS}
    found: dict[str, list[tuple[int, int]]] = {}
    protocol = ""
    for word in text.split(","):
        first, _, rest = word.strip().rpartition(" ")
        protocol = first or protocol
        low, _, high = rest.partition("-")
        found.setdefault(protocol, []).append((int(low), int(high or low)))
    return found


def _has(ports: dict[str, list[tuple[int, int]]], protocol: str, number: int) -> bool:
    return any(low <= number <= high for low, high in ports.get(protocol, ()))


def _routable(number: int) -> bool:
    """Whether a host outside could have the address: unicast, not of this host, not of the lab's own networks."""
    if not 1 << 24 <= number < 224 << 24 or number >> 24 == 127:
        return False
    return number >> 16 not in {(10 << 8) + 244, (10 << 8) + 96, (172 << 8) + 18, (100 << 8) + 80}
