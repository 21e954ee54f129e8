"""The probes of a container, as the API fills in their defaults and a kubelet resolves them.

Limits.  ``httpGet.host`` is an address, ``localhost`` or a name of the node's own hosts file: the nodes of a lab ask no
DNS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netlab.model import Cluster, Pod
from netlab.objects.probes import Probe

_FIELDS = {"startup": "startupProbe", "liveness": "livenessProbe", "readiness": "readinessProbe"}
ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc")


def of_container(spec: Mapping[str, Any], pod: Pod, cluster: Cluster) -> Iterator[Probe]:
    """The probes of a container's spec; a probe without an action is skipped."""
    for kind, field in _FIELDS.items():
        probe = spec.get(field)
        action = next((action for action in ACTIONS if probe and action in probe), "")
        if probe and action:
            yield _probe(kind, action, probe, spec, pod, cluster)


def _probe(
    kind: str, action: str, probe: Mapping[str, Any], spec: Mapping[str, Any], pod: Pod, cluster: Cluster
) -> Probe:
    asked = probe[action] or {}
    where: dict[str, Any] = {}
    if action == "exec":
        where = {"argv": tuple(asked.get("command", ()))}
    else:
        where = {
            "netns": cluster.node(pod.node).netns,
            "host": asked.get("host") or str(pod.addresses[0].ip),
            "port": _port(asked.get("port", ""), spec),
        }
    if action == "httpGet":
        headers = tuple((header["name"], header.get("value", "")) for header in asked.get("httpHeaders", ()))
        where |= {"scheme": (asked.get("scheme") or "HTTP").lower(), "path": asked.get("path") or "/"}
        where["headers"] = headers
    elif action == "grpc":
        where["service"] = asked.get("service") or ""
    # The API takes 0 for "not said" in all of them but the delay.
    return Probe(
        kind,
        action,
        **where,
        delay=probe.get("initialDelaySeconds") or 0,
        period=probe.get("periodSeconds") or 10,
        timeout=probe.get("timeoutSeconds") or 1,
        successes=probe.get("successThreshold") or 1,
        failures=probe.get("failureThreshold") or 3,
        grace=probe.get("terminationGracePeriodSeconds", -1),
    )


def _port(port: int | str, spec: Mapping[str, Any]) -> str:
    """The number of a port: by name only the container's own are found."""
    named = (entry["containerPort"] for entry in spec.get("ports", ()) if entry.get("name") == port)
    return str(next(named, port) if isinstance(port, str) else port)
