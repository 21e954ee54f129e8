"""Why Pods are not behind a port of a Service: its selector, a port's name, readiness.

A Service without endpoints refuses, and a Pod that is left out gets nothing; both look like a dead server to a client.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.model.cluster import Cluster, Pod
from netlab.model.cluster.policies import MISSPELT, LabelSelector
from netlab.model.cluster.services import Backend, Service
from netlab.near import near

_SHOWN = 3  # Pods that a sentence names


def why_none(cluster: Cluster, service: Service, index: int, version: int) -> str:
    """Why no backend stands behind a Service's port (number ``index``) in an IP family."""
    if not service.backends:
        return _nobody(cluster, service)
    family = [backend for backend in service.backends if backend.address.version == version]
    if not family:
        return f"no Pod behind it has an IPv{version} address"
    with_port = [backend for backend in family if backend.ports[index]]
    if not with_port:
        return _no_port(cluster, service, index, family)
    count = f"{len(with_port)} Pod" + ("s" if len(with_port) > 1 else "")
    return f"none of {count} behind it is ready ({_names(with_port)})"


def left_out(cluster: Cluster, service: Service, index: int, version: int) -> Iterable[str]:
    """Sentences on those that a Service's selector or slices name and that get nothing at this port, beside others."""
    family = [backend for backend in service.backends if backend.address.version == version]
    without = [backend for backend in family if not backend.ports[index]]
    if without and len(without) < len(family):
        yield f"left out: {_no_port(cluster, service, index, without)}"
    unready = [
        backend for backend in family if backend.ports[index] and not backend.ready and not service.publish_not_ready
    ]
    if unready and any(backend.ready for backend in family):
        yield f"left out, since not ready: {_names(unready)}"


def _nobody(cluster: Cluster, service: Service) -> str:
    selector = LabelSelector.of({"matchLabels": service.selector})
    if not service.selector:
        return "it has no selector, and no EndpointSlice gives it an address"
    pods = [pod for pod in cluster.pods if pod.namespace == service.namespace]
    ended = [pod for pod in pods if selector.matches(pod.labels)]
    if ended:
        return f"{ended[0]}, which {selector} selects, has ended or has no address of its family"
    return f"no Pod of namespace {service.namespace} has {selector}{nearest_pod(selector, pods)}"


def nearest_pod(selector: LabelSelector, pods: Iterable[Pod]) -> str:
    """``; nearest is Pod ns/web, which has app=web, not app=wbe``; empty where none has a label of it, nor nearly."""
    ranked = [(selector.distance(pod.labels), number, pod) for number, pod in enumerate(pods)]
    if not ranked:
        return ""
    distance, _, pod = min(ranked)
    near_enough = distance <= MISSPELT or any(each.holds(pod.labels) for each in selector.requirements)
    return f"; nearest is Pod {pod}, which {selector.why_not(pod.labels)}" if near_enough else ""


def _no_port(cluster: Cluster, service: Service, index: int, without: Sequence[Backend]) -> str:
    port = service.ports[index]
    if not service.selector:
        names = dict.fromkeys(service.slice_ports)
        there = f"; they have {', '.join(name or 'a port without a name' for name in names)}" if names else ""
        wanted = f'named "{port.name}"' if port.name else "without a name"
        return f"its EndpointSlices have no {port.protocol} port {wanted}{near(port.name, names) or there}"
    pods = {str(pod): pod for pod in cluster.pods}
    names = dict.fromkeys(
        each.name for backend in without if backend.pod in pods for each in pods[backend.pod].ports if each.name
    )
    there = f"; ports there are {', '.join(names)}" if names else ""
    hint = near(str(port.target), names) or there
    return f'no container of {_names(without)} has a {port.protocol} port named "{port.target}"{hint}'


def _names(backends: Sequence[Backend]) -> str:
    names = list(dict.fromkeys(backend.pod or str(backend.address) for backend in backends))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
