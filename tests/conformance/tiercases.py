"""Random clusters with policies of all tiers, and what a small evaluator says of their flows.

The evaluator knows nothing of netlab: it reads the objects as they are written, after the text of the API's definitions.
Priorities of a tier are unique, since of equal ones the API says nothing.  The cases are the same in every run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

from corpora import Case, Question, State

Body = dict[str, Any]
CORPORA = {"tiers": 4, "tiers-ipv6": 6}
_API = "policy.networking.k8s.io/"
_TEAMS, _APPS = ("a", "b", "c"), ("web", "db", "job")
_NAMES = ("http", "admin")
_PORTS = (80, 81, 90)
_OUTSIDE = {4: ("203.0.113.9", "198.51.100.7"), 6: ("2001:db8:1::9", "2001:db8:2::7")}
_NODES = {4: "172.18.0.{}", 6: "fd00:172:18::{}"}
_PODS = {4: "10.244.{}.{}", 6: "fd00:10:244:{}::{}"}
_CIDRS = {
    4: ("0.0.0.0/0", "10.244.1.0/24", "10.244.0.0/16", "203.0.113.0/24", "172.18.0.0/16", "10.244.2.10/31"),
    6: ("::/0", "fd00:10:244:1::/64", "fd00:10:244::/48", "2001:db8:1::/48", "fd00:172:18::/64", "0.0.0.0/0"),
}


def cases(corpus: str, count: int) -> Iterator[Case]:
    """The first cases of a corpus, each of some states; the difference from state to state is a change of a running lab."""
    for number in range(count):
        yield case(corpus, number)


def case(corpus: str, number: int) -> Case:
    """One case."""
    draw = Random(f"{corpus} {number}")
    version = CORPORA[corpus]
    nodes = [
        {"name": f"n{last}", "labels": {"zone": draw.choice("ab")}, "ips": [_NODES[version].format(last)]}
        for last in (2, 3, 4)
    ]
    return Case(corpus, f"{number:04}", [_state(draw, version, f"{number:04}-{step}", nodes) for step in range(2)])


# -- drawing ----------------------------------------------------------------------------------------------------------


def _state(draw: Random, version: int, name: str, nodes: list[Body]) -> State:
    spaces = [{"name": f"ns-{team}", "labels": {"team": draw.choice(_TEAMS)}} for team in _TEAMS]
    for space in spaces:
        space["labels"]["kubernetes.io/metadata.name"] = space["name"]  # type: ignore[index]
    pods = [
        {
            "namespace": f"ns-{draw.choice(_TEAMS)}",
            "name": f"p{number}",
            "labels": {"app": draw.choice(_APPS), **({"x": "y"} if draw.random() < 0.3 else {})},
            "ips": [_PODS[version].format(number % 3 + 1, 10 + number)],
            "ports": _ports(draw),
        }
        for number in range(7)
    ]
    host = {"labels": {"app": draw.choice(_APPS)}, "ips": [_NODES[version].format(2)], "hostNetwork": True}
    pods.append({"namespace": "ns-a", "name": "host", "ports": [{"port": 80, "protocol": "TCP"}], **host})
    policies = list(_policies(draw, version))
    judge = Judge(spaces, pods, nodes, policies)
    return State(name, spaces, pods, policies, list(_questions(draw, version, pods, judge)), nodes)


def _ports(draw: Random) -> list[Body]:
    """Ports of which the names mean other numbers in other Pods."""
    numbers = draw.sample(_PORTS, 3)
    ports: list[Body] = [{"port": number, "protocol": draw.choice(("TCP", "TCP", "UDP"))} for number in numbers]
    for name, port in zip(_NAMES, ports, strict=False):
        port["name"] = name
    return ports


def _policies(draw: Random, version: int) -> Iterator[Body]:
    priorities = draw.sample(range(1001), 8)
    for number in range(draw.choice((0, 1, 1, 2, 3))):
        if draw.random() < 0.5:
            spec = {"priority": priorities[number], **_tier_spec(draw, version, "ports", ("Allow", "Deny", "Pass"))}
            yield _object("v1alpha1", "AdminNetworkPolicy", f"admin-{number}", spec)
        else:
            spec = {"tier": "Admin", "priority": priorities[number]}
            spec |= _tier_spec(draw, version, "protocols", ("Accept", "Deny", "Pass"))
            yield _object("v1alpha2", "ClusterNetworkPolicy", f"admin-{number}", spec)
    for number in range(draw.choice((0, 0, 1, 2))):
        metadata = {"name": f"np-{number}", "namespace": f"ns-{draw.choice(_TEAMS)}"}
        yield {
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata,
            "spec": {"podSelector": _selector(draw, "app", _APPS), **_plain_rules(draw, version)},
        }  # fmt: skip
    if draw.random() < 0.3:
        spec = _tier_spec(draw, version, "ports", ("Allow", "Deny"))
        yield _object("v1alpha1", "BaselineAdminNetworkPolicy", "default", spec)
    else:
        for number in range(draw.choice((0, 1, 2))):
            spec = {"tier": "Baseline", "priority": priorities[4 + number]}
            spec |= _tier_spec(draw, version, "protocols", ("Accept", "Deny", "Pass"))
            yield _object("v1alpha2", "ClusterNetworkPolicy", f"base-{number}", spec)


def _object(version: str, kind: str, name: str, spec: Mapping[str, Any]) -> Body:
    return {"apiVersion": _API + version, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def _selector(draw: Random, key: str, values: tuple[str, ...]) -> Body:
    kind = draw.randrange(5)
    if kind == 0:
        return {}
    if kind < 3:
        return {"matchLabels": {key: draw.choice(values)}}
    if kind == 3:
        operator = draw.choice(("In", "NotIn"))
        return {"matchExpressions": [{"key": key, "operator": operator, "values": draw.sample(values, 2)}]}
    return {"matchExpressions": [{"key": "x", "operator": draw.choice(("Exists", "DoesNotExist"))}]}


def _pods(draw: Random) -> Body:
    if draw.random() < 0.5:
        return {"namespaces": _selector(draw, "team", _TEAMS)}
    chosen = _selector(draw, "app", _APPS)
    return {"pods": {"namespaceSelector": _selector(draw, "team", _TEAMS), "podSelector": chosen}}


def _tier_spec(draw: Random, version: int, ports: str, actions: tuple[str, ...]) -> Body:
    spec: Body = {"subject": _pods(draw)}
    for direction, field in (("ingress", "from"), ("egress", "to")):
        rules = []
        for _ in range(draw.randrange(4)):
            peers = [_pods(draw) for _ in range(draw.choice((1, 1, 2)))]
            plain = direction == "egress" and draw.random() < 0.5
            if plain:
                peers[0] = {"networks": draw.sample(_CIDRS[version], 2)}
                if draw.random() < 0.5:
                    peers[0] = {"nodes": _selector(draw, "zone", ("a", "b"))}
            rule: Body = {"action": draw.choice(actions), field: peers}
            if draw.random() < 0.6:
                rule[ports] = [_tier_port(draw, ports, named=not plain) for _ in range(draw.choice((1, 2)))]
            rules.append(rule)
        if rules:
            spec[direction] = rules
    return spec


def _tier_port(draw: Random, form: str, *, named: bool) -> Body:
    kind, protocol = draw.randrange(4 if named else 3), draw.choice(("TCP", "TCP", "UDP"))
    number = draw.choice(_PORTS)
    if kind == 3:
        return {"namedPort" if form == "ports" else "destinationNamedPort": draw.choice(_NAMES)}
    if form == "ports":
        if kind:
            return {"portNumber": {"protocol": protocol, "port": number}}
        return {"portRange": {"protocol": protocol, "start": number, "end": number + 9}}
    port = {"number": number} if kind else {"range": {"start": number, "end": number + 9}}
    return {protocol.lower(): {"destinationPort": port}}


def _plain_rules(draw: Random, version: int) -> Body:
    """Rules of a NetworkPolicy."""
    spec: Body = {"policyTypes": draw.choice((["Ingress"], ["Egress"], ["Ingress", "Egress"]))}
    for direction, field in (("ingress", "from"), ("egress", "to")):
        if direction.capitalize() in spec["policyTypes"]:
            peers: list[Body] = [{"podSelector": _selector(draw, "app", _APPS)}]
            if draw.random() < 0.3:
                peers.append({"ipBlock": {"cidr": draw.choice(_CIDRS[version])}})
            ports = [{"port": draw.choice(_PORTS), "protocol": "TCP"}, {"port": draw.choice(_NAMES)}]
            spec[direction] = [{field: peers, **({"ports": ports} if draw.random() < 0.5 else {})}][: draw.randrange(2)]
    return spec


def _questions(draw: Random, version: int, pods: list[Body], judge: Judge) -> Iterator[Question]:
    names = [f"{pod['namespace']}/{pod['name']}" for pod in pods]
    # What a hostNetwork Pod sends has an address that its node's data plane chooses, so it is no source here.
    sources = [*(name for name in names if not name.endswith("/host")), *_OUTSIDE[version]]
    for src in sources:
        for dst in (*names, *_OUTSIDE[version], _NODES[version].format(3)):
            if src != dst and ("/" in src or dst in sources[: -len(_OUTSIDE[version])]):
                port, protocol = draw.choice(_PORTS), draw.choice(("TCP", "TCP", "UDP"))
                if "/" not in dst or dst.endswith("/host"):
                    protocol = "TCP"  # nobody there answers to UDP
                yield Question(src, dst, port, protocol, judge.allows(src, dst, port, protocol))


# -- the evaluator ----------------------------------------------------------------------------------------------------


class Judge:
    """May a flow pass?"""

    def __init__(self, spaces: list[Body], pods: list[Body], nodes: list[Body], policies: list[Body]) -> None:
        self._spaces = {space["name"]: space["labels"] for space in spaces}
        self._pods = {f"{pod['namespace']}/{pod['name']}": pod for pod in pods}
        self._nodes, self._policies = nodes, policies

    def allows(self, src: str, dst: str, port: int, protocol: str) -> bool:
        """Whether the source's egress and the target's ingress let it pass."""
        ends = [self._pods.get(name) or {"ips": [name], "hostNetwork": True} for name in (src, dst)]
        return all(
            own.get("hostNetwork") or self._passes(direction, own, other, ends[1], port, protocol)
            for direction, own, other in (("egress", *ends), ("ingress", ends[1], ends[0]))
        )

    def _passes(self, direction: str, own: Body, other: Body, target: Body, port: int, protocol: str) -> bool:
        decision = self._tier("Admin", direction, own, other, target, port, protocol)
        if decision in ("Allow", "Deny"):
            return decision == "Allow"
        isolating = [
            policy["spec"] for policy in self._policies
            if policy["kind"] == "NetworkPolicy" and policy["metadata"]["namespace"] == own["namespace"]
            and direction.capitalize() in policy["spec"]["policyTypes"]
            and selects(policy["spec"]["podSelector"], own["labels"])
        ]  # fmt: skip
        if isolating:
            return any(
                self._plain(rule, own, other, target, port, protocol)
                for spec in isolating
                for rule in spec.get(direction, ())
            )
        return self._tier("Baseline", direction, own, other, target, port, protocol) != "Deny"

    def _tier(self, tier: str, direction: str, own: Body, other: Body, target: Body, port: int, protocol: str) -> str:
        """The action of the first rule that matches; empty where none does."""
        found = []
        for policy in self._policies:
            spec, kind = policy["spec"], policy["kind"]
            of = {"AdminNetworkPolicy": "Admin", "BaselineAdminNetworkPolicy": "Baseline"}.get(kind, spec.get("tier"))
            if of == tier and self._is_peer(spec["subject"], own):
                found.append((spec.get("priority", 0), spec.get(direction, [])))
        for _, rules in sorted(found, key=lambda pair: pair[0]):
            for rule in rules:
                peers = rule.get("from") or rule.get("to")
                wanted = rule.get("ports") or rule.get("protocols")
                if any(self._is_peer(peer, other) for peer in peers) and (
                    wanted is None or any(is_port(one, target, port, protocol) for one in wanted)
                ):
                    return "Allow" if rule["action"] == "Accept" else str(rule["action"])
        return ""

    def _is_peer(self, peer: Body, end: Body) -> bool:
        if "networks" in peer:
            return any(within(end["ips"][0], cidr) for cidr in peer["networks"])
        if "nodes" in peer:
            return any(end["ips"] == node["ips"] and selects(peer["nodes"], node["labels"]) for node in self._nodes)
        if end.get("hostNetwork"):
            return False
        spaces = peer["namespaces"] if "namespaces" in peer else peer["pods"]["namespaceSelector"]
        return selects(spaces, self._spaces[end["namespace"]]) and (
            "namespaces" in peer or selects(peer["pods"]["podSelector"], end["labels"])
        )

    def _plain(self, rule: Body, own: Body, other: Body, target: Body, port: int, protocol: str) -> bool:
        """Whether a NetworkPolicy's rule matches."""
        peer = any(
            within(other["ips"][0], one["ipBlock"]["cidr"]) if "ipBlock" in one
            else not other.get("hostNetwork") and other["namespace"] == own["namespace"]
            and selects(one["podSelector"], other["labels"])
            for one in rule.get("from") or rule["to"]
        )  # fmt: skip
        ports = rule.get("ports")
        return peer and (ports is None or any(is_plain_port(one, target, port, protocol) for one in ports))


def selects(selector: Body, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for one in selector.get("matchExpressions", ()):
        there, has = labels.get(one["key"]), one["key"] in labels
        holds = {"In": there in one.get("values", ()), "NotIn": there not in one.get("values", ())}
        if not (holds | {"Exists": has, "DoesNotExist": not has})[one["operator"]]:
            return False
    return True


def within(address: str, cidr: str) -> bool:
    """Whether a network has an address."""
    return ip_address(address) in ip_network(cidr)


def is_port(one: Body, target: Body, port: int, protocol: str) -> bool:
    """Whether an item of a tier's ports or protocols matches."""
    name = one.get("namedPort") or one.get("destinationNamedPort")
    if name:
        return has_port(target, name, port, protocol)
    if "portNumber" in one:
        return (one["portNumber"]["port"], one["portNumber"]["protocol"]) == (port, protocol)
    if "portRange" in one:
        span = one["portRange"]
        return span["protocol"] == protocol and span["start"] <= port <= span["end"]
    if protocol.lower() not in one:
        return False
    wanted = one[protocol.lower()]["destinationPort"]
    span = wanted.get("range") or {"start": wanted["number"], "end": wanted["number"]}
    return bool(span["start"] <= port <= span["end"])


def is_plain_port(one: Body, target: Body, port: int, protocol: str) -> bool:
    """Whether an item of a NetworkPolicy's ports matches."""
    if one.get("protocol", "TCP") != protocol:
        return False
    if isinstance(one["port"], str):
        return has_port(target, one["port"], port, protocol)
    return bool(one["port"] == port)


def has_port(target: Body, name: str, port: int, protocol: str) -> bool:
    """Whether a Pod calls a port so."""
    if target.get("hostNetwork"):
        return False
    return any((own.get("name"), own["port"], own["protocol"]) == (name, port, protocol) for own in target["ports"])
