"""The network namespaces of a lab that a request for a kind of the kernel means, and the rows that are in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.request import Request

if TYPE_CHECKING:
    from netlab.names import Owner

_ORDER = {"node": 0, "pod": 1, "external": 2, "router": 3, "underlay": 4}


def rows(kind: str, request: Request) -> list[Item]:
    """The kernel's objects of a kind; ``get routes`` leaves table ``local`` out, as ``ip route`` does."""
    from netlab.kernel.rtnetlink.inspect import inspect
    from netlab.runtime.state.running import open_running

    if request.quiet:
        open_running(request.lab)  # raises once the lab is down: a namespace that is gone is no error below
    patterns = [name for name in request.names if kind == "sysctls" and re.match(r"net[./]", name)]
    every, chosen = _namespaces(request, [name for name in request.names if name not in patterns])
    applied = _applied_sysctls(request.lab) if kind == "sysctls" else {}
    sysctls: dict[str, list[str]] = dict.fromkeys(chosen, patterns) if patterns else {}
    for netns, path in () if patterns else applied:
        sysctls.setdefault(netns, []).append(path)
    # The other end of a veth is known by its own namespace's dump alone, so links are read everywhere.
    result = inspect(kind, every if kind == "links" else chosen, sysctls)
    if len(every) > len(chosen):
        result = [row for row in result if row["netns"] in set(chosen)]
    if kind == "sysctls":
        for row in result:
            row["applied"] = applied.get((row["netns"], row["name"]))
    if kind == "routes" and not request.full:
        result = [row for row in result if row["table"] != "local"]
    return result


def _applied_sysctls(lab: str) -> dict[tuple[str, str], str]:
    from netlab.objects import Sysctl
    from netlab.runtime.state.running import load_running

    return {(sysctl.netns, sysctl.path): sysctl.value for sysctl in load_running(lab).want.only(Sysctl)}


def _namespaces(request: Request, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """All namespaces of the lab, nodes first, and the chosen ones; raises BadInput for an unknown name."""
    from netlab.kernel.host.owners import owners

    there = {netns: owner for netns, owner in owners(f"{request.lab}-").items() if owner and owner.lab == request.lab}
    every = chosen = sorted(there, key=lambda netns: (_ORDER.get(there[netns].kind, 9), _natural(netns)))
    namespace = "" if request.every else request.namespace
    if names:
        wanted = {netns for name in names for netns in _named(name, request.lab, namespace, there)}
        chosen = [netns for netns in chosen if netns in wanted]
    elif namespace:
        start = f"{namespace}/"
        chosen = [netns for netns in chosen if there[netns].kind == "pod" and there[netns].name.startswith(start)]
    if request.selector:
        labelled = _labelled(request, namespace)
        chosen = [netns for netns in chosen if netns in labelled]
    return every, chosen


def _named(name: str, lab: str, namespace: str, there: Mapping[str, Owner]) -> list[str]:
    pod = name if "/" in name else f"{namespace or 'default'}/{name}"
    result = [netns for netns, owner in there.items() if netns == name or (owner.kind == "pod" and owner.name == pod)]
    result += [netns for netns, owner in there.items() if owner.kind != "pod" and owner.name == name]
    if result:
        return result
    from netlab.cli.find import places
    from netlab.runtime.state.running import load_cluster

    return [target.netns for target in places(load_cluster(lab), name, namespace)]


def _labelled(request: Request, namespace: str) -> set[str]:
    from netlab.cli.selectors import selector

    matches, cluster = selector(request.selector), request.running.cluster
    pods = {pod.netns for pod in cluster.pods if matches(pod.labels)}
    return pods if namespace else pods | {node.netns for node in cluster.nodes if matches(node.labels)}


def _natural(text: str) -> list[tuple[int, str]]:
    """node-2 before node-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
