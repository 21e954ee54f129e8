"""The description of a Pod, line by line, as kubectl has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from netlab.cli.kinds import systempod
from netlab.cli.kinds.event import pod_events
from netlab.cli.kinds.kind import NONE, Item
from netlab.cli.kinds.lines import WIDTH, annotation_lines, field, label_lines, link_lines, table
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import ago, spelled
from netlab.model import Pod, Port
from netlab.model.anew import every
from netlab.model.cluster import Idle

_TYPE = 28  # columns of a condition's type


def describe(request: Request, items: Sequence[Item]) -> Iterator[Iterable[str]]:
    """The lines of each Pod."""
    running = request.running
    cluster = running.cluster
    records = request.records(events=True, quiet=True) or {}
    pods: dict[tuple[str, str], Pod | Idle] = {(pod.namespace, pod.name): pod for pod in every(cluster)}
    for own, faults in systempod.with_faults(request):
        pods[own.namespace, own.name] = own
        records = {**records, (own.namespace, own.name): systempod.record(own, faults, request.fault_since(own.node))}
    for item in items:
        name = item["metadata"]["namespace"], item["metadata"]["name"]
        pod, since = pods[name], running.born("Pod", *name)
        source = [field("Source", str(pod.mark))] if pod.mark else []
        if isinstance(pod, Idle):
            yield [*_idle(item, pod), *source, *_events(pod_events(pod, since, None))]
        else:
            node = f"{pod.node}/{cluster.node(pod.node).addresses[0].ip}"
            source = [*link_lines(cluster, f"Pod/{pod}"), *source]
            yield [*_pod(item, pod, node), *source, *_events(pod_events(pod, since, records.get(name)))]


def _pod(item: Item, pod: Pod, node: str) -> list[str]:
    status, spec = item["status"], item["spec"]
    lines = [
        field("Name", pod.name),
        field("Namespace", pod.namespace),
        field("Node", node),
        field("Start Time", spelled(status["startTime"])),
        *label_lines(pod.labels),
        *annotation_lines(item["metadata"]["annotations"]),
        field("Status", status["phase"]),
        field("IP", status["podIP"]),
        *_addresses([entry["ip"] for entry in status["podIPs"]]),
        *([field("Controlled By", pod.controller)] if pod.controller else []),
    ]
    specs = {each["name"]: each for where in ("initContainers", "containers") for each in spec.get(where, [])}
    for where, title in (("initContainerStatuses", "Init Containers:"), ("containerStatuses", "Containers:")):
        if where in status:
            lines.append(title)
            lines += [line for each in status[where] for line in _container(each, specs[each["name"]], pod)]
    gates = [f"  {gate['conditionType']:<{_TYPE}}{NONE}" for gate in spec.get("readinessGates", ())]
    if gates:
        lines += ["Readiness Gates:", f"  {'Type':<{_TYPE}}Status", *gates]
    return [*lines, *_conditions(status)]


def _idle(item: Item, pod: Idle) -> list[str]:
    """A Pod without a network: nothing of it runs, and its events or its status give the reason."""
    ended = [("Reason", pod.reason), ("Message", pod.message)] if pod.phase != "Pending" else []
    addresses = [str(address) for address in pod.addresses]
    lines = [
        field("Name", pod.name),
        field("Namespace", pod.namespace),
        field("Node", pod.node or NONE),
        *label_lines(pod.labels),
        *annotation_lines(pod.annotations),
        field("Status", pod.phase),
        *(field(name, text) for name, text in ended if text),
        field("IP", addresses[0] if addresses else ""),
        *(_addresses(addresses) if addresses else [field("IPs", NONE)]),
        *([field("Controlled By", pod.controller)] if pod.controller else []),
    ]
    for where, title in (("initContainers", "Init Containers:"), ("containers", "Containers:")):
        containers = item["spec"].get(where) or ()
        lines += [title] if containers else []
        for container in containers:
            lines += [f"  {container['name']}:", *_declared(container)]
    return [*lines, *_conditions(item["status"])]


def _addresses(addresses: Sequence[str]) -> list[str]:
    return ["IPs:", *(f"  {'IP:':<{WIDTH - 2}}{address}" for address in addresses)]


def _conditions(status: Item) -> list[str]:
    rows = [f"  {condition['type']:<{_TYPE}}{condition['status']}" for condition in status["conditions"]]
    return ["Conditions:", f"  {'Type':<{_TYPE}}Status", *rows]


def _line(name: str, value: str, indent: int = 4) -> str:
    return f"{' ' * indent}{name + ':':<{WIDTH + 2 - indent}}{value}"


def _declared(spec: Mapping[str, Any]) -> list[str]:
    """A container's image and ports, as its document has them."""
    declared = spec.get("ports") or []
    ports = ", ".join(_port(each["containerPort"], each.get("protocol", "TCP")) for each in declared)
    host = ", ".join(_port(each.get("hostPort", 0), each.get("protocol", "TCP")) for each in declared)
    lines = (("Image", str(spec.get("image", ""))), ("Port", ports or NONE), ("Host Port", host or NONE))
    return [_line(name, text) for name, text in lines]


def _container(status: Item, spec: Mapping[str, Any], pod: Pod) -> list[str]:
    container = next(each for each in (*pod.containers, *pod.inits) if each.name == status["name"])
    ports = [port for port in pod.ports if port.container == container.name]
    lines = [f"  {container.name}:", *_declared(spec)]
    for name, words in (("Command", container.command), ("Args", container.args)):
        if words:
            lines.append(f"    {name}:")
            lines += [f"      {text}" for word in words for text in word.splitlines() or [""]]
    lines += [_line("Served By", _served(container.runs, ports)), *_state("State", status["state"])]
    lines += _state("Last State", status["lastState"]) if "lastState" in status else []
    lines += [_line("Ready", str(status["ready"])), _line("Restart Count", str(status["restartCount"]))]
    note = "" if container.runs else "  (not asked: nothing of it runs)"
    return lines + [_line(name, text + note) for name, text in _probes(spec)]


def _port(number: int, protocol: str) -> str:
    return f"{number}/{protocol}"


def _served(runs: bool, ports: Sequence[Port]) -> str:
    if runs:
        return "its command, a process of this host"
    if not ports:
        return "no process: it has no ports and runs no command"
    return f"netlab's responder, on {', '.join(_port(port.port, port.protocol) for port in ports)}"


_STATE = {"reason": "Reason", "message": "Message", "exitCode": "Exit Code", "signal": "Signal",
          "startedAt": "Started", "finishedAt": "Finished"}  # fmt: skip


def _state(name: str, state: Mapping[str, Any]) -> list[str]:
    if not state:
        return [_line(name, "Unknown")]
    kind, details = next(iter(state.items()))
    values = {key: spelled(value) if key.endswith("At") else str(value) for key, value in details.items()}
    return [_line(name, kind.capitalize()), *(_line(_STATE[key], values[key], 6) for key in _STATE if key in values)]


_PROBES = {"Liveness": "livenessProbe", "Readiness": "readinessProbe", "Startup": "startupProbe"}


def _probes(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The kind of each probe, and its request and times in kubectl's words."""
    for name, key in _PROBES.items():
        probe = container.get(key)
        if probe:
            yield name, f"{_action(probe)} {_times(probe)}"


def _action(probe: Mapping[str, Any]) -> str:
    if "exec" in probe:
        return f"exec [{' '.join(probe['exec'].get('command', ()))}]"
    if "httpGet" in probe:
        asked = probe["httpGet"]
        path = asked.get("path") or "/"
        where = f"{asked.get('host', '')}:{asked.get('port', '')}{'' if path.startswith('/') else '/'}{path}"
        return f"http-get {asked.get('scheme', 'HTTP').lower()}://{where}"
    if "tcpSocket" in probe:
        return f"tcp-socket {probe['tcpSocket'].get('host', '')}:{probe['tcpSocket'].get('port', '')}"
    if "grpc" in probe:
        return f"grpc <pod>:{probe['grpc'].get('port', '')} {probe['grpc'].get('service', '')}"
    return "unknown"


def _times(probe: Mapping[str, Any]) -> str:
    def field(name: str, default: int) -> int:
        return int(probe.get(name) or default)

    return (
        f"delay={field('initialDelaySeconds', 0)}s timeout={field('timeoutSeconds', 1)}s "
        f"period={field('periodSeconds', 10)}s #success={field('successThreshold', 1)} "
        f"#failure={field('failureThreshold', 3)}"
    )


def _events(events: Sequence[Item]) -> list[str]:
    if not events:
        return [field("Events", NONE)]
    rows = []
    for event in events:
        age = ago(event["lastTimestamp"])
        age += f" (x{event['count']} over {ago(event['firstTimestamp'])})" if event["count"] > 1 else ""
        rows.append((event["type"], event["reason"], age, event["source"]["component"], event["message"]))
    return ["Events:", *table(("Type", "Reason", "Age", "From", "Message"), rows)]
