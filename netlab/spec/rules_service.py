"""What the API server checks across the fields of a Service and of its Endpoints: which of them a type takes, and how addresses agree."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

Faults = Iterator[tuple[tuple[str | int, ...], str]]
Spec = dict[str, Any]

_KUBELET_PORT = 10250
_OUTSIDE = ("NodePort", "LoadBalancer")


def _type(spec: Spec) -> str:
    return str(spec.get("type", "ClusterIP"))


def _balanced(spec: Spec) -> bool:
    return _type(spec) == "LoadBalancer"


def _reached_from_outside(spec: Spec) -> bool:
    return _type(spec) in _OUTSIDE or (_type(spec) == "ClusterIP" and bool(spec.get("externalIPs")))


def _health_checked(spec: Spec) -> bool:
    return _balanced(spec) and spec.get("externalTrafficPolicy") == "Local"


def _sticky(spec: Spec) -> bool:
    return spec.get("sessionAffinity") == "ClientIP"


#: Fields that mean something in some Services alone: which these are, and in words.
_ONLY: dict[str, tuple[Callable[[Spec], bool], str]] = {
    "externalTrafficPolicy": (_reached_from_outside, "with the type NodePort or LoadBalancer, or with externalIPs"),
    "loadBalancerSourceRanges": (_balanced, "with the type LoadBalancer"),
    "loadBalancerClass": (_balanced, "with the type LoadBalancer"),
    "allocateLoadBalancerNodePorts": (_balanced, "with the type LoadBalancer"),
    "healthCheckNodePort": (_health_checked, "with the type LoadBalancer and externalTrafficPolicy: Local"),
    "sessionAffinityConfig": (_sticky, "with sessionAffinity: ClientIP"),
}


def service_spec(spec: Spec) -> Faults:
    """The paths, inside the spec, of what the API server refuses."""
    for field, (holds, words) in _ONLY.items():
        if field in spec and not holds(spec):
            yield (field,), f"may be set only {words}"
    yield from _of_type(spec)
    if _type(spec) != "ExternalName":
        yield from _addresses(spec)
    yield from _ports(spec)


def _of_type(spec: Spec) -> Faults:
    kind, headless = _type(spec), spec.get("clusterIP") == "None"
    if kind == "ExternalName":
        if not spec.get("externalName"):
            yield ("externalName",), "is required with the type ExternalName"
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if field in spec:
                yield (field,), "may not be set with the type ExternalName: it is a name in DNS, without an address"
    elif not spec.get("ports") and not headless:
        yield ("ports",), "must have at least one item, unless the Service is headless (clusterIP: None)"
    if headless and kind in _OUTSIDE:
        yield ("clusterIP",), f"may not be None with the type {kind}"


def _addresses(spec: Spec) -> Faults:
    many, families = spec.get("clusterIPs", []), spec.get("ipFamilies", [])
    if many and "clusterIP" not in spec:
        yield ("clusterIPs",), f"may be set only beside clusterIP, which is then {many[0]}"
        return
    if many and many[0] != spec["clusterIP"]:
        yield ("clusterIPs", 0), f"must be {spec['clusterIP']}, as clusterIP is, not {many[0]}"
        return
    if "None" in many and len(many) > 1:
        yield ("clusterIPs", many.index("None")), "None may only stand alone"
        return
    stated = many or [spec[field] for field in ("clusterIP",) if field in spec]
    of_addresses = [f"IPv{ipaddress.ip_address(text).version}" for text in stated if text != "None"]
    if len(of_addresses) == 2 and of_addresses[0] == of_addresses[1]:
        yield ("clusterIPs", 1), f"both are {of_addresses[0]}; two are allowed for one of each family"
    for number, (family, own) in enumerate(zip(families, of_addresses, strict=False)):
        if family != own:
            yield ("ipFamilies", number), f"is {family}, and the cluster address {stated[number]} is {own}"
    if spec.get("ipFamilyPolicy") == "SingleStack" and max(len(families), len(of_addresses)) > 1:
        yield ("ipFamilyPolicy",), "must be PreferDualStack or RequireDualStack where two families are named"


def _ports(spec: Spec) -> Faults:
    ports, kind = spec.get("ports", []), _type(spec)
    seen: set[tuple[str, int, str]] = set()
    for index, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        if len(ports) > 1 and not port.get("name"):
            yield ("ports", index, "name"), "is required where a Service has more than one port"
        for field in ("port", "nodePort"):
            number = port.get(field)
            if number and (field, number, protocol) in seen:
                yield ("ports", index, field), f"{number}/{protocol} is given twice in this Service"
            seen.add((field, number, protocol))
        if kind == "ClusterIP" and "nodePort" in port:
            yield ("ports", index, "nodePort"), "may not be set with the type ClusterIP; say type: NodePort"
        if kind == "LoadBalancer" and port["port"] == _KUBELET_PORT:
            yield (
                ("ports", index, "port"),
                f"may not be {_KUBELET_PORT} with the type LoadBalancer: it is the kubelet's",
            )


def endpoint_subset(body: Spec) -> Faults:
    """The errors that the API server reports for a subset of Endpoints."""
    if not body.get("addresses") and not body.get("notReadyAddresses"):
        yield ("addresses",), "is required, or notReadyAddresses: a subset needs an address"
    ports = body.get("ports", ())
    for index, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield ("ports", index, "name"), "is required where a subset has more than one port"
