"""The environment of a container, and ``$(VAR)`` in its command and arguments, as the kubelet makes them.

Limits.  ConfigMaps and Secrets are read no further than their names: a variable from one is empty, or unset where the
reference is ``optional``; ``envFrom`` gives nothing.  ``resourceFieldRef`` and ``fileKeyRef`` give nothing: there are no
cgroups and no volumes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from netlab.model import Cluster, Pod
from netlab.model.workloads.processes import PATH
from netlab.plan.services_environment import service_variables

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """``$(VAR)`` replaced by its value, left as it stands where there is no such variable; ``$$`` is a plain ``$``."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def environment(container: Mapping[str, Any], pod: Pod, cluster: Cluster, *, links: bool = True) -> dict[str, str]:
    """What the container's processes find in their environment; later entries see, and override, earlier ones.

    ``links``: with the variables of Services, which come first.
    """
    variables = {"PATH": PATH, "HOSTNAME": pod.uts_name, "HOME": "/root"}
    if links:
        variables |= service_variables(pod, cluster)
    for entry in container.get("env", []):
        value = entry.get("value", "") if "valueFrom" not in entry else _from(entry["valueFrom"], pod, cluster)
        if value is not None:
            variables[entry["name"]] = expand(value, variables) if "valueFrom" not in entry else value
    return variables


def _from(source: Mapping[str, Any], pod: Pod, cluster: Cluster) -> str | None:
    if "fieldRef" in source:
        return field(source["fieldRef"].get("fieldPath", ""), pod, cluster)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            return None if source[kind].get("optional") else ""
    return None


def field(path: str, pod: Pod, cluster: Cluster) -> str | None:
    """A field of the downward API; None for one that a Pod's environment cannot have."""
    keyed = _KEYED.fullmatch(path)
    if keyed:
        return (pod.labels if keyed[1] == "labels" else pod.annotations).get(keyed[2], "")
    host = [str(address.ip) for address in cluster.node(pod.node).addresses]
    own = [str(address.ip) for address in pod.addresses]
    fields = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": cluster.uid(pod),
        "spec.nodeName": pod.node,
        "spec.serviceAccountName": str(pod.spec.get("serviceAccountName", "default")),
        "status.hostIP": host[0],
        "status.hostIPs": ",".join(host),
        "status.podIP": own[0],
        "status.podIPs": ",".join(own),
    }
    return fields.get(path)
