"""What the API server checks across the fields of the policy API's tiers: the CEL rules of their definitions."""

from __future__ import annotations

from collections.abc import Callable

from netlab.spec.formats import shown
from netlab.spec.rules_common import Body, Faults, exactly_one

_EVERYWHERE = ("namespaces", "pods")
_NO_PODS = ("nodes", "networks", "domainNames")


def _baseline(body: Body) -> Faults:
    name = body.get("metadata", {}).get("name")
    if name not in (None, "default"):
        yield ("metadata", "name"), f'must be "default", not {shown(name)}: a cluster has one baseline policy'


def _subject(body: Body) -> Faults:
    yield from exactly_one(body, _EVERYWHERE, "a subject")


def _ingress_peer(body: Body) -> Faults:
    yield from exactly_one(body, _EVERYWHERE, "a peer")


def _egress_peer(body: Body) -> Faults:
    yield from exactly_one(body, (*_EVERYWHERE, *_NO_PODS), "a peer")
    yield from _unique(body)


def _baseline_egress_peer(body: Body) -> Faults:
    yield from exactly_one(body, (*_EVERYWHERE, "nodes", "networks"), "a peer")
    yield from _unique(body)


def _unique(body: Body) -> Faults:
    for field in ("networks", "domainNames"):
        items = body.get(field, ())
        for index, item in enumerate(items):
            if item in items[:index]:
                yield (field, index), f"{shown(item)} is in the list twice"


def _admin_port(body: Body) -> Faults:
    yield from exactly_one(body, ("portNumber", "namedPort", "portRange"), "a port")


def _protocol(body: Body) -> Faults:
    yield from exactly_one(body, ("tcp", "udp", "sctp", "destinationNamedPort"), "a protocol")


def _destination_port(body: Body) -> Faults:
    yield from exactly_one(body, ("number", "range"), "a destinationPort")


def _range(body: Body) -> Faults:
    if body["end"] < body["start"]:
        yield ("end",), f"must be {body['start']} or above, as start is, not {body['end']}"


def _strict_range(body: Body) -> Faults:
    if body["end"] <= body["start"]:
        yield ("end",), f"must be above {body['start']}, which is the start, not {body['end']}"


def _egress_rule(body: Body) -> Faults:
    """Domain names allow only, since an address behind a name may be anybody's; what is no Pod has no named ports."""
    for index, peer in enumerate(body["to"]):
        if "domainNames" in peer and body["action"] not in ("Accept", "Allow"):
            message = f"may stand in a rule that allows only, not in one of action {body['action']}"
            yield ("to", index, "domainNames"), message
    without = next((field for peer in body["to"] for field in _NO_PODS if field in peer), "")
    for list_name, field in (("ports", "namedPort"), ("protocols", "destinationNamedPort")):
        for index, port in enumerate(body.get(list_name, ())):
            if without and field in port:
                message = f"cannot stand in a rule with the peer {without}, which has no named ports"
                yield (list_name, index, field), message


RULES: dict[str, Callable[[Body], Faults]] = {
    "BaselineAdminNetworkPolicy": _baseline,
    "AdminSubject": _subject,
    "ClusterSubject": _subject,
    "AdminIngressPeer": _ingress_peer,
    "ClusterIngressPeer": _ingress_peer,
    "AdminEgressPeer": _egress_peer,
    "BaselineEgressPeer": _baseline_egress_peer,
    "ClusterEgressPeer": _egress_peer,
    "AdminPort": _admin_port,
    "AdminPortRange": _range,
    "AdminEgressRule": _egress_rule,
    "BaselineEgressRule": _egress_rule,
    "ClusterEgressRule": _egress_rule,
    "ClusterProtocol": _protocol,
    "ClusterPort": _destination_port,
    "ClusterPortRange": _strict_range,
}
