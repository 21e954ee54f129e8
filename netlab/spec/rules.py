"""What the API server checks across fields, and the same for the Lab: one function a definition.

A rule is asked about an object whose fields are all good; it yields the path inside the object and the sentence.
Rules look at one object only.  What needs two (a node that does not exist, one address twice) is the model's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from netlab import names
from netlab.spec import rules_exercise, rules_tiers
from netlab.spec.formats import dns_label, dns_subdomain, host_ip, service_ip, shown
from netlab.spec.rules_common import Body, Faults, exactly_one
from netlab.spec.rules_service import endpoint_subset, service_spec

_NODE_NAME_MAX = 63


def _named_once(items: list[Body], field: str, noun: str) -> Faults:
    seen: set[str] = set()
    for index, item in enumerate(items):
        name = item.get("name")
        if name is not None and name in seen:
            yield (field, index, "name"), f"{shown(name)} is the name of two {noun}"
        elif name is not None:
            seen.add(name)


# -- the Lab ----------------------------------------------------------------------------------------------------------


def _one_spelling(body: Body, single: str, plural: str) -> Faults:
    """``podCIDR`` or ``podCIDRs``; of the latter at most one a family."""
    if single in body and plural in body:
        yield (plural,), f"give {single} or {plural}, not both"
    versions = [ipaddress.ip_interface(each).version for each in body.get(plural, ())]
    if len(versions) == 2 and versions[0] == versions[1]:
        yield (plural, 1), f"both are IPv{versions[0]}; two are allowed for one of each family"


def _lab_spec(body: Body) -> Faults:
    yield from _one_spelling(body, "podCIDR", "podCIDRs")
    yield from _one_spelling(body, "serviceCIDR", "serviceCIDRs")
    yield from _named_once(body.get("nodes", []), "nodes", "nodes")
    yield from _named_once(body.get("external", []), "external", "external hosts")
    if "IPv6" in body.get("ipFamilies", ()):
        under = body.get("underlay") or {}
        for path, mtu in ((("mtu",), body.get("mtu")), (("underlay", "mtu"), under.get("mtu"))):
            if mtu is not None and mtu < 1280:
                yield path, f"must be at least 1280 with IPv6 (RFC 8200), not {mtu}"


def _lab_node(body: Body) -> Faults:
    yield from _one_spelling(body, "podCIDR", "podCIDRs")
    yield from _one_spelling(body, "address", "addresses")


def _lab_underlay(body: Body) -> Faults:
    yield from _one_spelling(body, "cidr", "cidrs")


def _lab_external(body: Body) -> Faults:
    yield from _one_spelling(body, "address", "addresses")
    if "address" not in body and "addresses" not in body:
        yield ("address",), "is required: an external host has an address of its own"


# -- metadata ---------------------------------------------------------------------------------------------------------


def _label_named(body: Body) -> Faults:
    """Namespaces and Services are parts of DNS names, so theirs are single labels."""
    name = body.get("metadata", {}).get("name")
    if name is not None and not names.is_dns_label(name):
        try:
            dns_label(name)
        except ValueError as error:
            yield ("metadata", "name"), str(error)


def _node(body: Body) -> Faults:
    """A node's name is part of names in the kernel, so it is as long as in a Lab at most."""
    name = body.get("metadata", {}).get("name", "")
    if len(name) > _NODE_NAME_MAX:
        message = f"is too long for a node of a lab: {len(name)} characters, at most {_NODE_NAME_MAX} are allowed"
        yield ("metadata", "name"), message
    spec = body.get("spec", {})
    if spec.get("podCIDRs", [spec.get("podCIDR")])[0] != spec.get("podCIDR", spec.get("podCIDRs", [None])[0]):
        yield ("spec", "podCIDRs", 0), f"must be {spec['podCIDR']}, as podCIDR is"
    versions = [ipaddress.ip_network(each).version for each in spec.get("podCIDRs", ())]
    if len(versions) == 2 and versions[0] == versions[1]:
        yield ("spec", "podCIDRs", 1), f"both are IPv{versions[0]}; two are allowed for one of each family"


def _node_address(body: Body) -> Faults:
    if body["type"] in ("InternalIP", "ExternalIP"):
        try:
            host_ip(body["address"])
        except ValueError as error:
            yield ("address",), str(error)


# -- selectors and policies -------------------------------------------------------------------------------------------


def _requirement(body: Body) -> Faults:
    operator, values = body["operator"], body.get("values", [])
    if operator in ("In", "NotIn") and not values:
        yield ("values",), f"must have at least one item with the operator {operator}"
    if operator in ("Exists", "DoesNotExist") and values:
        yield ("values",), f"must be absent with the operator {operator}"


def _node_requirement(body: Body) -> Faults:
    yield from _requirement(body)
    operator, values = body["operator"], body.get("values", [])
    if operator in ("Gt", "Lt") and not (len(values) == 1 and re.fullmatch(r"[-+]?[0-9]{1,18}", values[0])):
        yield ("values",), f"must have one item, an integer, with the operator {operator}"


def _toleration(body: Body) -> Faults:
    if "key" not in body and body.get("operator", "Equal") != "Exists":
        yield ("operator",), "must be Exists where there is no key"
    if body.get("operator") == "Exists" and body.get("value"):
        yield ("value",), "must be absent with the operator Exists"
    if body.get("operator") in ("Gt", "Lt") and not re.fullmatch(r"-?[0-9]{1,18}", body.get("value", "")):
        yield ("value",), f"must be an integer with the operator {body['operator']}"


def _policy_port(body: Body) -> Faults:
    port, end = body.get("port"), body.get("endPort")
    if end is None:
        return
    if port is None:
        yield ("endPort",), "needs a port, from which the range begins"
    elif isinstance(port, str):
        yield ("endPort",), f"needs a port that is a number, not the name {shown(port)}"
    elif end < port:
        yield ("endPort",), f"must be {port} or above, as port is, not {end}"


def _policy_peer(body: Body) -> Faults:
    if not body:
        yield (
            (),
            "a peer must have a podSelector, a namespaceSelector or an ipBlock; to allow everyone, leave the list out",
        )
    elif "ipBlock" in body and len(body) > 1:
        other = next(each for each in body if each != "ipBlock")
        yield ("ipBlock",), f"cannot stand beside {other} in one peer; make it an item of its own"


def _ip_block(body: Body) -> Faults:
    outer = ipaddress.ip_network(body["cidr"])
    for index, each in enumerate(body.get("except", ())):
        inner = ipaddress.ip_network(each)
        inside = inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
        if not inside or inner == outer:
            yield ("except", index), f"{each} must lie inside the cidr {outer}, and be smaller"


# -- Pods and what makes them -----------------------------------------------------------------------------------------


_NOT_IN_INIT = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")


def _pod_spec(body: Body) -> Faults:
    names: set[str] = set()
    for field in ("initContainers", "containers", "ephemeralContainers"):
        host_ports: set[tuple[int, str, str]] = set()
        for index, container in enumerate(body.get(field, ())):
            if container["name"] in names:
                yield (field, index, "name"), f"{shown(container['name'])} is the name of two containers"
            names.add(container["name"])
            for path, message in _host_ports(container, body.get("hostNetwork", False), host_ports):
                yield (field, index, *path), message
    for index, container in enumerate(body.get("initContainers", ())):
        for field in _NOT_IN_INIT if container.get("restartPolicy") != "Always" else ():
            if field in container:
                yield (
                    ("initContainers", index, field),
                    "may be set only in an init container with restartPolicy: Always",
                )
    if body.get("dnsPolicy") == "None" and not body.get("dnsConfig", {}).get("nameservers"):
        yield ("dnsConfig", "nameservers"), "must have at least one item with dnsPolicy: None"


def _host_ports(container: Body, host_network: bool, seen: set[tuple[int, str, str]]) -> Faults:
    for number, port in enumerate(container.get("ports", ())):
        host, path = port.get("hostPort", 0), ("ports", number, "hostPort")
        if host_network and host not in (0, port["containerPort"]):
            yield path, f"must be {port['containerPort']}, as containerPort is: the Pod is on the host's network"
        field, host = ("containerPort", port["containerPort"]) if host_network else ("hostPort", host)
        wanted = (host, port.get("protocol", "TCP"), port.get("hostIP", ""))
        if host and wanted in seen:
            yield ("ports", number, field), f"{host}/{wanted[1]} is given twice in this Pod"
        seen.add(wanted)


def _container(body: Body) -> Faults:
    yield from _named_once(body.get("ports", []), "ports", "ports of this container")
    for field in ("livenessProbe", "startupProbe"):
        times = body.get(field, {}).get("successThreshold", 1)
        if times > 1:
            yield (field, "successThreshold"), f"must be 1 in a {field}, not {times}"
    if "terminationGracePeriodSeconds" in body.get("readinessProbe", {}):
        yield ("readinessProbe", "terminationGracePeriodSeconds"), "may not be set in a readinessProbe: it ends nothing"


def _env_var(body: Body) -> Faults:
    if body.get("value") and "valueFrom" in body:
        yield ("valueFrom",), "may not stand beside a value"


_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def _env_source(body: Body) -> Faults:
    yield from exactly_one(body, _SOURCES, "a source")


def _probe(body: Body) -> Faults:
    yield from exactly_one(body, ("exec", "httpGet", "tcpSocket", "grpc"), "a probe")
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


_TEMPLATE_DIFFERS = "must select the Pods of the template: spec.template.metadata.labels differ from it"


def _workload(body: Body) -> Faults:
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
            yield ("spec", "selector"), _TEMPLATE_DIFFERS
    yield from _restarts(body)
    yield from _rolls(body)


def _rolls(body: Body) -> Faults:
    """How the Pods of a Deployment or DaemonSet are replaced."""
    if body.get("kind") not in ("Deployment", "DaemonSet"):
        return
    field = "strategy" if body["kind"] == "Deployment" else "updateStrategy"
    strategy = body["spec"].get(field) or {}
    rolling = strategy.get("rollingUpdate") or {}
    if rolling and strategy.get("type") == "Recreate":
        yield ("spec", field, "rollingUpdate"), "may be set only with the type RollingUpdate"
    elif str(rolling.get("maxUnavailable", "")) in ("0", "0%") and str(rolling.get("maxSurge", "25%" if field == "strategy" else "0")) in ("0", "0%"):  # fmt: skip
        yield (
            ("spec", field, "rollingUpdate", "maxUnavailable"),
            "may not be 0 where maxSurge is 0: no Pod could be replaced",
        )


def _restarts(body: Body) -> Faults:
    policy = body["spec"].get("template", {}).get("spec", {}).get("restartPolicy", "Always")
    if policy != "Always":
        path = ("spec", "template", "spec", "restartPolicy")
        yield path, f"must be Always in a {body.get('kind')}, not {policy}"


def _job_template(spec: Body, at: tuple[str, ...]) -> Faults:
    pod = spec["template"].get("spec")
    if pod is not None and pod.get("restartPolicy", "Always") == "Always":
        yield (*at, "template", "spec", "restartPolicy"), "must be OnFailure or Never in a Job (Always is the default)"
    if spec.get("completionMode") == "Indexed" and "completions" not in spec:
        yield (*at, "completions"), "is required with completionMode: Indexed"


def _job(body: Body) -> Faults:
    if "spec" not in body:
        yield ("spec",), "is required"
    else:
        yield from _job_template(body["spec"], ("spec",))


def _cron_job(body: Body) -> Faults:
    if "spec" not in body:
        yield ("spec",), "is required"
    elif "spec" not in body["spec"]["jobTemplate"]:
        yield ("spec", "jobTemplate", "spec"), "is required"
    else:
        yield from _job_template(body["spec"]["jobTemplate"]["spec"], ("spec", "jobTemplate", "spec"))


def _has_spec(body: Body) -> Faults:
    if "spec" not in body:
        yield ("spec",), "is required"


def _replication_controller(body: Body) -> Faults:
    """Its selector is a map of labels; where it has none, the template's labels are taken."""
    if "template" not in body.get("spec", {}):
        yield ("spec", "template") if "spec" in body else ("spec",), "is required"
        return
    template = body["spec"]["template"]
    labels = template.get("metadata", {}).get("labels", {})
    selector = body["spec"].get("selector", labels)
    if not selector:
        yield ("spec", "selector"), "is required: the template has no labels to take it from"
    elif not selector.items() <= labels.items():
        yield ("spec", "selector"), _TEMPLATE_DIFFERS
    yield from _restarts(body)


# -- Services ---------------------------------------------------------------------------------------------------------


def _service(body: Body) -> Faults:
    yield from _label_named(body)
    spec, name = body.get("spec"), body.get("metadata", {}).get("name", "")
    if name[:1].isdigit() and names.is_dns_label(name):
        yield ("metadata", "name"), f"{shown(name)} must begin with a letter: a Service's name is a label of RFC 1035"
    if spec is None:
        yield ("spec",), "is required"
        return
    for path, message in service_spec(spec):
        yield ("spec", *path), message
    for path, message in _named_once(spec.get("ports", []), "ports", "ports of this Service"):
        yield ("spec", *path), message


def _endpoint_slice(body: Body) -> Faults:
    family = {"IPv4": 4, "IPv6": 6}.get(body["addressType"])
    for index, endpoint in enumerate(body.get("endpoints", ())):
        for number, address in enumerate(endpoint["addresses"]):
            path = ("endpoints", index, "addresses", number)
            try:
                if family is None:
                    dns_subdomain(address)
                elif ipaddress.ip_address(service_ip(address)).version != family:
                    yield path, f"{address} is not {body['addressType']}, as the addressType says"
            except ValueError as error:
                yield path, str(error)
    yield from _named_once(
        [{"name": port.get("name", "")} for port in body.get("ports", ())], "ports", "ports of this slice"
    )


RULES: dict[str, Callable[[Body], Faults]] = {
    "LabSpec": _lab_spec,
    "LabNode": _lab_node,
    "LabUnderlay": _lab_underlay,
    "LabExternal": _lab_external,
    "Namespace": _label_named,
    "Node": _node,
    "NodeAddress": _node_address,
    "Pod": _has_spec,
    "PodTemplateSpec": _has_spec,
    "PodSpec": _pod_spec,
    "Container": _container,
    "EnvVar": _env_var,
    "EnvVarSource": _env_source,
    "Probe": _probe,
    "NodeSelectorRequirement": _node_requirement,
    "Toleration": _toleration,
    "Deployment": _workload,
    "ReplicaSet": _workload,
    "StatefulSet": _workload,
    "DaemonSet": _workload,
    "ReplicationController": _replication_controller,
    "Job": _job,
    "CronJob": _cron_job,
    "Service": _service,
    "EndpointSlice": _endpoint_slice,
    "EndpointSubset": endpoint_subset,
    "LabelSelectorRequirement": _requirement,
    "NetworkPolicyPort": _policy_port,
    "NetworkPolicyPeer": _policy_peer,
    "IPBlock": _ip_block,
    **rules_tiers.RULES,
    **rules_exercise.RULES,
}
