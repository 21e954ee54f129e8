"""``netlab describe``: Pods, nodes, Services and NetworkPolicies as kubectl describes them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import click

from netlab.cli import kinds, out, probelines
from netlab.cli.kinds import pod as kubernetes
from netlab.cli.kinds import podstatus
from netlab.cli.kinds import service as services
from netlab.cli.options import lab, running_lab
from netlab.errors import BadInput, Exit
from netlab.model import Cluster, Pod, Port
from netlab.model.cluster import Idle
from netlab.spec import Document

Record = Mapping[str, Any]
_WIDTH, _NODE_WIDTH = 18, 20  # kubectl's


@click.command()
@click.argument("kind")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of the objects")
@lab
def command(kind: str, names: tuple[str, ...], namespace: str, lab_option: str) -> int:
    """Show the details of a Pod, node, Service, Endpoints or NetworkPolicy, as kubectl does.

    The output includes the effect of the object in this lab.  Other kinds are printed as in their manifest.
    """
    from netlab.cli.verbs import get
    from netlab.runtime.client.containers import states
    from netlab.runtime.state.rundir import RunDir
    from netlab.runtime.state.running import load_cluster_since

    if "/" in kind and not names:
        kind, _, one = kind.partition("/")
        names = (one,)
    wanted = kinds.find(kind)
    running = running_lab(lab_option)
    cluster, since, objects = load_cluster_since(running)
    parts: list[list[str]] = []
    if wanted.name == "Pod":
        items = {item["metadata"]["name"]: item for item in get.pods(cluster, since)
                 if item["metadata"]["namespace"] == namespace}  # fmt: skip
        idle = {one.name: one for one in cluster.idle if one.namespace == namespace}
        records = states(running, RunDir(running).path, events=True) or {}
        pods = {pod.name: pod for pod in cluster.pods if pod.namespace == namespace}
        parts += [
            _idle(items[name], idle[name], since)
            if name in idle
            else _pod(items[name], pods[name], cluster, records.get((namespace, name), {}), since)
            for name in _chosen(names, items, wanted, namespace)
        ]
    elif wanted.name == "Node":
        nodes = {node.name: kubernetes.node(node, since) for node in cluster.nodes}
        items = {
            f"{item['metadata']['namespace']}/{item['metadata']['name']}": item for item in get.pods(cluster, since)
        }
        parts += [
            _node(nodes[name], [items[str(pod)] for pod in cluster.pods if pod.node == name])
            for name in _chosen(names, nodes, wanted, "")
        ]
    elif wanted.name == "Service":
        shown = {one["metadata"]["name"]: one for one in services.services(cluster, since, objects)
                 if one["metadata"]["namespace"] == namespace}  # fmt: skip
        typed = {one.name: one for one in cluster.services if one.namespace == namespace}
        parts += [services.description(typed[name], shown[name]) for name in _chosen(names, typed, wanted, namespace)]
    elif wanted.name == "NetworkPolicy":
        parts += _policies(cluster, names, namespace, objects, since)
    elif wanted.name == "Endpoints":
        from netlab.cli.kinds import endpoints as endpointlines

        shown = {one["metadata"]["name"]: one for one in services.endpoints(cluster, since, objects)
                 if one["metadata"]["namespace"] == namespace}  # fmt: skip
        parts += [endpointlines.description(shown[name]) for name in _chosen(names, shown, wanted, namespace)]
    else:
        import yaml

        written = {
            one.name: one.body
            for one in objects
            if (one.kind, one.group) == (wanted.name, wanted.group)
            and (not wanted.namespaced or one.namespace == namespace)
        }
        written |= {one.name: kubernetes.made(one, cluster, since) for one in cluster.made
                    if (one.kind, one.namespace) == (wanted.name, namespace)}  # fmt: skip
        parts += [
            yaml.safe_dump(written[name], sort_keys=False).rstrip().splitlines()
            for name in _chosen(names, written, wanted, namespace)
        ]
    for place, part in enumerate(parts):
        if place:
            out.line("\n")
        for text in part:
            out.line(text.rstrip())
    return Exit.OK


def _chosen(names: Sequence[str], there: Mapping[str, Any], kind: kinds.Kind, namespace: str) -> Sequence[str]:
    from netlab.near import near

    for name in names:
        if name not in there:
            where = f" in namespace {namespace}" if kind.namespaced else ""
            raise BadInput(f'{kind.plural} "{name}" not found{where}{near(name, there)}')
    return names or list(there)


def _policies(
    cluster: Cluster, names: Sequence[str], namespace: str, objects: Sequence[Document], since: float
) -> Iterable[list[str]]:
    from netlab.cli.kinds import policy as policies
    from netlab.model.selection import Selection

    bodies = {(one.namespace, one.name): one.body for one in objects if one.kind == "NetworkPolicy"}
    there = {one.name: one for one in cluster.network_policies if one.namespace == namespace}
    chosen = [there[name] for name in _chosen(names, there, kinds.find("networkpolicies"), namespace)]
    selection, packets = Selection(cluster), policies.allowed(cluster) if chosen else {}
    for one in chosen:
        yield policies.description(one, bodies[one.namespace, one.name], selection, packets, since)


def _field(name: str, value: str, width: int = _WIDTH) -> str:
    return f"{name + ':':<{width}}{value}"


def _listed(name: str, values: Iterable[str], width: int = _WIDTH) -> list[str]:
    """The first beside the name, the others below it."""
    rest = list(values) or ["<none>"]
    return [_field(name, rest[0], width), *(" " * width + one for one in rest[1:])]


_node_field = partial(_field, width=_NODE_WIDTH)
_node_listed = partial(_listed, width=_NODE_WIDTH)


def _time(stamp: str) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


# -- Pods -------------------------------------------------------------------------------------------------------------


def _pod(item: Mapping[str, Any], pod: Pod, cluster: Cluster, record: Record, since: float) -> list[str]:
    node, status = cluster.node(pod.node), item["status"]
    lines = [
        _field("Name", pod.name),
        _field("Namespace", pod.namespace),
        _field("Node", f"{pod.node}/{node.addresses[0].ip}"),
        _field("Start Time", _time(status["startTime"])),
        *_listed("Labels", (f"{key}={value}" for key, value in pod.labels.items())),
        *_listed("Annotations", (f"{key}: {value}" for key, value in item["metadata"]["annotations"].items())),
        _field("Status", status["phase"]),
        _field("IP", status["podIP"]),
        "IPs:",
        *(f"  {'IP:':<{_WIDTH - 2}}{one['ip']}" for one in status["podIPs"]),
    ]
    if pod.controller:
        lines.append(_field("Controlled By", pod.controller))
    gates = [f"  {one['conditionType']:<28}<none>" for one in item["spec"].get("readinessGates", ())]
    specs = {one["name"]: one for where in ("initContainers", "containers") for one in item["spec"].get(where, [])}
    inits = status.get("initContainerStatuses", [])
    if inits:
        lines.append("Init Containers:")
        for one in inits:
            lines += _container(one, specs[one["name"]], pod)
    lines.append("Containers:")
    for one in status["containerStatuses"]:
        lines += _container(one, specs[one["name"]], pod)
    if gates:
        lines += ["Readiness Gates:", f"  {'Type':<28}Status", *gates]
    lines += ["Conditions:", f"  {'Type':<28}Status"]
    lines += [f"  {one['type']:<28}{one['status']}" for one in status["conditions"]]
    if pod.mark:
        lines.append(_field("Source", str(pod.mark)))
    return [*lines, *_events(kubernetes.events(pod, since, record))]


def _idle(item: Mapping[str, Any], pod: Idle, since: float) -> list[str]:
    """A Pod that has no network: nothing of it runs, and its events or its status say why."""
    status = item["status"]
    ended = [pod.reason, pod.message] if pod.phase != "Pending" else ["", ""]
    ips = ["IPs:", *(f"  {'IP:':<{_WIDTH - 2}}{one}" for one in pod.addresses)]
    lines = [
        _field("Name", pod.name),
        _field("Namespace", pod.namespace),
        _field("Node", pod.node or "<none>"),
        *_listed("Labels", (f"{key}={value}" for key, value in pod.labels.items())),
        *_listed("Annotations", (f"{key}: {value}" for key, value in pod.annotations.items())),
        _field("Status", pod.phase),
        *(_field(name, text) for name, text in zip(("Reason", "Message"), ended, strict=True) if text),
        _field("IP", next(iter(pod.addresses), "")),
        *(ips if pod.addresses else [_field("IPs", "<none>")]),
        *([_field("Controlled By", pod.controller)] if pod.controller else []),
    ]
    for where, title in (("initContainers", "Init Containers:"), ("containers", "Containers:")):
        listed = item["spec"].get(where) or ()
        lines += [title] if listed else []
        for one in listed:
            lines += [f"  {one['name']}:", *_declared(one)]
    lines += ["Conditions:", f"  {'Type':<28}Status"]
    lines += [f"  {one['type']:<28}{one['status']}" for one in status["conditions"]]
    if pod.mark:
        lines.append(_field("Source", str(pod.mark)))
    return [*lines, *_events(kubernetes.events(pod, since, None))]


def _line(name: str, value: str, indent: int = 4) -> str:
    return f"{' ' * indent}{name + ':':<{_WIDTH + 2 - indent}}{value}"


def _declared(spec: Mapping[str, Any]) -> list[str]:
    """A container's image and ports, as its document has them."""
    declared = spec.get("ports") or []
    ports = ", ".join(_port(each["containerPort"], each.get("protocol", "TCP")) for each in declared)
    host = ", ".join(_port(each.get("hostPort", 0), each.get("protocol", "TCP")) for each in declared)
    lines = (("Image", str(spec.get("image", ""))), ("Port", ports or "<none>"), ("Host Port", host or "<none>"))
    return [_line(name, text) for name, text in lines]


def _container(one: Mapping[str, Any], spec: Mapping[str, Any], pod: Pod) -> list[str]:
    typed = next(each for each in (*pod.containers, *pod.inits) if each.name == one["name"])
    own = [port for port in pod.ports if port.container == typed.name]
    lines = [f"  {typed.name}:", *_declared(spec)]
    for name, words in (("Command", typed.command), ("Args", typed.args)):
        if words:
            lines.append(f"    {name}:")
            lines += [f"      {text}" for word in words for text in word.splitlines() or [""]]
    lines.append(_line("Served By", _served(typed.runs, own)))
    lines += _state("State", one["state"])
    if "lastState" in one:
        lines += _state("Last State", one["lastState"])
    lines += [_line("Ready", str(one["ready"])), _line("Restart Count", str(one["restartCount"]))]
    return lines + [_line(name, text + ("" if typed.runs else "  (not asked: nothing of it runs)"))
                    for name, text in probelines.probes(spec)]  # fmt: skip


def _port(number: int, protocol: str) -> str:
    return f"{number}/{protocol}"


def _served(runs: bool, ports: Sequence[Port]) -> str:
    if runs:
        return "its command, a process of this host"
    if not ports:
        return "nobody: it has no ports, and nothing of it runs"
    return f"netlab's responder, on {', '.join(_port(one.port, one.protocol) for one in ports)}"


def _state(name: str, state: Mapping[str, Any]) -> list[str]:
    if not state:
        return [_line(name, "Unknown")]
    kind, what = next(iter(state.items()))
    words = {"reason": "Reason", "message": "Message", "exitCode": "Exit Code", "signal": "Signal",
             "startedAt": "Started", "finishedAt": "Finished"}  # fmt: skip
    return [
        _line(name, kind.capitalize()),
        *(
            _line(words[key], _time(what[key]) if key.endswith("At") else str(what[key]), 6)
            for key in words
            if key in what
        ),
    ]


def _events(events: Sequence[Mapping[str, Any]]) -> list[str]:
    if not events:
        return [_field("Events", "<none>")]
    now, rows = time.time(), []
    for one in events:
        first, last = (kubernetes.age(podstatus.seconds(one[at]), now) for at in ("firstTimestamp", "lastTimestamp"))
        age = f"{last} (x{one['count']} over {first})" if one["count"] > 1 else last
        rows.append((one["type"], one["reason"], age, one["source"]["component"], one["message"]))
    heads = ("Type", "Reason", "Age", "From", "Message")
    table = [heads, tuple("-" * len(head) for head in heads), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    return [
        "Events:",
        *("  " + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]]) for row in table),
    ]


# -- nodes ------------------------------------------------------------------------------------------------------------


def _node(item: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> list[str]:
    metadata, status = item["metadata"], item["status"]
    roles = [key.rpartition("/")[2] for key in metadata["labels"] if key.startswith("node-role.kubernetes.io/")]
    lines = [
        _node_field("Name", metadata["name"]),
        _node_field("Roles", ",".join(roles) or "<none>"),
        *_node_listed("Labels", (f"{key}={value}" for key, value in metadata["labels"].items())),
        *_node_listed("Annotations", (f"{key}: {value}" for key, value in metadata["annotations"].items())),
        _node_field("CreationTimestamp", _time(metadata["creationTimestamp"])),
        "Conditions:",
        f"  {'Type':<16}Status",
        *(f"  {one['type']:<16}{one['status']}" for one in status["conditions"]),
        "Addresses:",
        *(f"  {one['type'] + ':':<13}{one['address']}" for one in status["addresses"]),
        _node_field("PodCIDR", item["spec"]["podCIDR"]),
        _node_field("PodCIDRs", ",".join(item["spec"]["podCIDRs"])),
    ]
    running = [one for one in pods if one["status"]["phase"] not in ("Succeeded", "Failed")]
    lines.append(f"Non-terminated Pods:  ({len(running)} in total)")
    table = [("Namespace", "Name", "IP", "Status")]
    table.append(("-" * 9, "-" * 4, "-" * 2, "-" * 6))
    for one in running:
        where, status = one["metadata"], one["status"]
        table.append((where["namespace"], where["name"], status["podIP"], podstatus.printed(one)[1]))
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    return lines + [
        "  " + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]) for row in table
    ]
