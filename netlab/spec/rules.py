"""What the API server checks across fields, and the same for the Lab: one function a definition.

A rule is asked about an object whose fields are all good; it yields the path inside the object and the sentence.
Rules look at one object only.  What needs two (a node that does not exist, one address twice) is the model's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from netlab import names
from netlab.spec.formats import dns_label, ip, shown

Found = Iterator[tuple[tuple[str | int, ...], str]]
Body = dict[str, Any]


def _exactly_one(body: Body, fields: Iterable[str], what: str) -> Found:
    given = [each for each in fields if each in body]
    if not given:
        yield (), f"{what} must have one of {', '.join(fields)}"
    for extra in given[1:]:
        yield (extra,), f"{what} may have only one of {', '.join(given)}"


def _named_once(items: list[Body], field: str, what: str) -> Found:
    seen: set[str] = set()
    for index, item in enumerate(items):
        name = item.get("name")
        if name is not None and name in seen:
            yield (field, index, "name"), f"{shown(name)} is the name of two {what}"
        elif name is not None:
            seen.add(name)


# -- the Lab ----------------------------------------------------------------------------------------------------------


def _one_spelling(body: Body, single: str, plural: str) -> Found:
    """``podCIDR`` or ``podCIDRs``; of the latter at most one a family."""
    if single in body and plural in body:
        yield (plural,), f"give {single} or {plural}, not both"
    versions = [ipaddress.ip_interface(each).version for each in body.get(plural, ())]
    if len(versions) == 2 and versions[0] == versions[1]:
        yield (plural, 1), f"both are IPv{versions[0]}; two are allowed for one of each family"


def _lab_spec(body: Body) -> Found:
    yield from _one_spelling(body, "podCIDR", "podCIDRs")
    yield from _one_spelling(body, "serviceCIDR", "serviceCIDRs")
    yield from _named_once(body.get("nodes", []), "nodes", "nodes")
    yield from _named_once(body.get("external", []), "external", "external hosts")
    if "IPv6" in body.get("ipFamilies", ()):
        under = body.get("underlay") or {}
        for path, mtu in ((("mtu",), body.get("mtu")), (("underlay", "mtu"), under.get("mtu"))):
            if mtu is not None and mtu < 1280:
                yield path, f"must be at least 1280 with IPv6 (RFC 8200), not {mtu}"


def _lab_node(body: Body) -> Found:
    yield from _one_spelling(body, "podCIDR", "podCIDRs")
    yield from _one_spelling(body, "address", "addresses")


def _lab_underlay(body: Body) -> Found:
    yield from _one_spelling(body, "cidr", "cidrs")


def _lab_external(body: Body) -> Found:
    yield from _one_spelling(body, "address", "addresses")
    if "address" not in body and "addresses" not in body:
        yield ("address",), "is required: an external host has an address of its own"


# -- metadata ---------------------------------------------------------------------------------------------------------


def _label_named(body: Body) -> Found:
    """Namespaces and Services are parts of DNS names, so theirs are single labels."""
    name = body.get("metadata", {}).get("name")
    if name is not None and not names.is_dns_label(name):
        try:
            dns_label(name)
        except ValueError as error:
            yield ("metadata", "name"), str(error)


def _baseline(body: Body) -> Found:
    name = body.get("metadata", {}).get("name")
    if name not in (None, "default"):
        yield ("metadata", "name"), f'must be "default", not {shown(name)}: a cluster has one baseline policy'


# -- selectors and policies -------------------------------------------------------------------------------------------


def _requirement(body: Body) -> Found:
    operator, values = body["operator"], body.get("values", [])
    if operator in ("In", "NotIn") and not values:
        yield ("values",), f"must have at least one item with the operator {operator}"
    if operator in ("Exists", "DoesNotExist") and values:
        yield ("values",), f"must be absent with the operator {operator}"


def _policy_port(body: Body) -> Found:
    port, end = body.get("port"), body.get("endPort")
    if end is None:
        return
    if port is None:
        yield ("endPort",), "needs a port, from which the range begins"
    elif isinstance(port, str):
        yield ("endPort",), f"needs a port that is a number, not the name {shown(port)}"
    elif end < port:
        yield ("endPort",), f"must be {port} or above, as port is, not {end}"


def _policy_peer(body: Body) -> Found:
    if not body:
        yield (
            (),
            "a peer must have a podSelector, a namespaceSelector or an ipBlock; to allow everyone, leave the list out",
        )
    elif "ipBlock" in body and len(body) > 1:
        other = next(each for each in body if each != "ipBlock")
        yield ("ipBlock",), f"cannot stand beside {other} in one peer; make it an item of its own"


def _ip_block(body: Body) -> Found:
    outer = ipaddress.ip_network(body["cidr"])
    for index, each in enumerate(body.get("except", ())):
        inner = ipaddress.ip_network(each)
        inside = inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
        if not inside or inner == outer:
            yield ("except", index), f"{each} must lie inside the cidr {outer}, and be smaller"


def _subject(body: Body) -> Found:
    yield from _exactly_one(body, ("namespaces", "pods"), "a subject")


def _ingress_peer(body: Body) -> Found:
    yield from _exactly_one(body, ("namespaces", "pods"), "a peer")


def _egress_peer(body: Body) -> Found:
    yield from _exactly_one(body, ("namespaces", "pods", "nodes", "networks", "domainNames"), "a peer")


def _admin_port(body: Body) -> Found:
    yield from _exactly_one(body, ("portNumber", "namedPort", "portRange"), "a port")


def _cluster_protocol(body: Body) -> Found:
    yield from _exactly_one(body, ("tcp", "udp", "sctp", "destinationNamedPort"), "a protocol")


def _cluster_port(body: Body) -> Found:
    yield from _exactly_one(body, ("number", "range"), "a destinationPort")


def _range(body: Body) -> Found:
    if body["end"] < body["start"]:
        yield ("end",), f"must be {body['start']} or above, as start is, not {body['end']}"


def _egress_rule(body: Body) -> Found:
    """The policy API allows domain names in rules that allow only: an address behind a name may be anybody's."""
    for index, peer in enumerate(body["to"]):
        if "domainNames" in peer and body["action"] not in ("Accept", "Allow"):
            yield (
                ("to", index, "domainNames"),
                f"may stand in a rule that allows only, not in one of action {body['action']}",
            )


# -- Pods and what makes them -----------------------------------------------------------------------------------------


def _pod_spec(body: Body) -> Found:
    seen: dict[str, str] = {}
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(body.get(field, ())):
            name = container.get("name")
            if name in seen:
                yield (field, index, "name"), f"{shown(name)} is the name of two containers"
            seen[name] = field
            for number, port in enumerate(container.get("ports", ())):
                host = port.get("hostPort", 0)
                if body.get("hostNetwork") and host not in (0, port["containerPort"]):
                    place = (field, index, "ports", number, "hostPort")
                    yield (
                        place,
                        f"must be {port['containerPort']}, as containerPort is: the Pod is on the host's network",
                    )


def _container(body: Body) -> Found:
    yield from _named_once(body.get("ports", []), "ports", "ports of this container")
    for field in ("livenessProbe", "startupProbe"):
        times = body.get(field, {}).get("successThreshold", 1)
        if times > 1:
            yield (field, "successThreshold"), f"must be 1 in a {field}, not {times}"
    if "terminationGracePeriodSeconds" in body.get("readinessProbe", {}):
        yield ("readinessProbe", "terminationGracePeriodSeconds"), "may not be set in a readinessProbe: it ends nothing"


def _probe(body: Body) -> Found:
    yield from _exactly_one(body, ("exec", "httpGet", "tcpSocket", "grpc"), "a probe")
    if "exec" in body and not body["exec"].get("command"):
        yield ("exec", "command"), "must have at least one item"


def matches(selector: Body, labels: Body) -> bool:
    """Whether a good LabelSelector selects an object with these labels; NotIn also matches an absent key."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for each in selector.get("matchExpressions", ()):
        key, values = each["key"], each.get("values", ())
        holds = {
            "In": key in labels and labels[key] in values,
            "NotIn": key not in labels or labels[key] not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[each["operator"]]
        if not holds:
            return False
    return True


def _workload(body: Body) -> Found:
    """Deployment, ReplicaSet, StatefulSet, DaemonSet: the selector must select the template."""
    spec = body.get("spec")
    if spec is None:
        yield ("spec",), "is required"
        return
    if "selector" in spec and "template" in spec:
        selector, labels = spec["selector"], spec["template"].get("metadata", {}).get("labels", {})
        if not any(selector.values()):
            yield ("spec", "selector"), "must not be empty: it would select every Pod"
        elif not matches(selector, labels):
            yield (
                ("spec", "selector"),
                "must select the Pods of the template: spec.template.metadata.labels differ from it",
            )
    policy = spec.get("template", {}).get("spec", {}).get("restartPolicy", "Always")
    if policy != "Always":
        place = ("spec", "template", "spec", "restartPolicy")
        yield place, f"must be Always in a {body.get('kind')}, not {policy}"


def _job_template(spec: Body, at: tuple[str, ...]) -> Found:
    pod = spec["template"].get("spec")
    if pod is not None and pod.get("restartPolicy", "Always") == "Always":
        yield (*at, "template", "spec", "restartPolicy"), "must be OnFailure or Never in a Job (Always is the default)"


def _job(body: Body) -> Found:
    if "spec" not in body:
        yield ("spec",), "is required"
    else:
        yield from _job_template(body["spec"], ("spec",))


def _cron_job(body: Body) -> Found:
    if "spec" not in body:
        yield ("spec",), "is required"
    elif "spec" in body["spec"]["jobTemplate"]:
        yield from _job_template(body["spec"]["jobTemplate"]["spec"], ("spec", "jobTemplate", "spec"))


def _has_spec(body: Body) -> Found:
    if "spec" not in body:
        yield ("spec",), "is required"


# -- Services ---------------------------------------------------------------------------------------------------------


def _service(body: Body) -> Found:
    yield from _label_named(body)
    spec = body.get("spec")
    if spec is None:
        yield ("spec",), "is required"
        return
    ports = spec.get("ports", [])
    kind = spec.get("type", "ClusterIP")
    headless = spec.get("clusterIP") == "None"
    if kind == "ExternalName":
        if not spec.get("externalName"):
            yield ("spec", "externalName"), "is required with the type ExternalName"
    elif not ports and not headless:
        yield ("spec", "ports"), "must have at least one item, unless the Service is headless (clusterIP: None)"
    if headless and kind in ("NodePort", "LoadBalancer"):
        yield ("spec", "clusterIP"), f"may not be None with the type {kind}"
    first = spec.get("clusterIPs", [None])[:1]
    if "clusterIP" in spec and first not in ([], [None], [spec["clusterIP"]]):
        yield ("spec", "clusterIPs", 0), f"must be {spec['clusterIP']}, as clusterIP is, not {first[0]}"
    taken: set[tuple[int, str]] = set()
    for index, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield ("spec", "ports", index, "name"), "is required where a Service has more than one port"
        pair = port["port"], port.get("protocol", "TCP")
        if pair in taken:
            yield ("spec", "ports", index, "port"), f"{pair[0]}/{pair[1]} is given twice in this Service"
        taken.add(pair)
    for place, says in _named_once(ports, "ports", "ports of this Service"):
        yield ("spec", *place), says


def _endpoint_slice(body: Body) -> Found:
    family = {"IPv4": 4, "IPv6": 6}.get(body["addressType"])
    for index, endpoint in enumerate(body["endpoints"]):
        for number, address in enumerate(endpoint.get("addresses", ())):
            place = ("endpoints", index, "addresses", number)
            try:
                if family is not None and ipaddress.ip_address(ip(address)).version != family:
                    yield place, f"{address} is not {body['addressType']}, as the addressType says"
            except ValueError as error:
                yield place, str(error)


RULES: dict[str, Callable[[Body], Found]] = {
    "LabSpec": _lab_spec,
    "LabNode": _lab_node,
    "LabUnderlay": _lab_underlay,
    "LabExternal": _lab_external,
    "Namespace": _label_named,
    "Pod": _has_spec,
    "PodTemplateSpec": _has_spec,
    "PodSpec": _pod_spec,
    "Container": _container,
    "Probe": _probe,
    "Deployment": _workload,
    "ReplicaSet": _workload,
    "StatefulSet": _workload,
    "DaemonSet": _workload,
    "ReplicationController": _has_spec,
    "Job": _job,
    "CronJob": _cron_job,
    "Service": _service,
    "EndpointSlice": _endpoint_slice,
    "LabelSelectorRequirement": _requirement,
    "NetworkPolicyPort": _policy_port,
    "NetworkPolicyPeer": _policy_peer,
    "IPBlock": _ip_block,
    "BaselineAdminNetworkPolicy": _baseline,
    "TierSubject": _subject,
    "TierIngressPeer": _ingress_peer,
    "TierEgressPeer": _egress_peer,
    "AdminPort": _admin_port,
    "AdminPortRange": _range,
    "AdminEgressRule": _egress_rule,
    "BaselineEgressRule": _egress_rule,
    "ClusterEgressRule": _egress_rule,
    "ClusterProtocol": _cluster_protocol,
    "ClusterPort": _cluster_port,
    "ClusterPortRange": _range,
}
