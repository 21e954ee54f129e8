"""Fields that an API server or a kubelet fills in, which clients rely on and the network does not need.

Sources: SetDefaults_* of k8s.io/kubernetes/pkg/apis/{core,apps,batch}/v1/defaults.go.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from netlab.cli.kinds.kind import Item

_CONTAINER: Mapping[str, Any] = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_POD_SPEC: Mapping[str, Any] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_ROLLING = {"maxUnavailable": "25%", "maxSurge": "25%"}
_KUBELET = "v1.37.0+netlab"


def _filled(item: Item, defaults: Mapping[str, Any]) -> Item:
    return {**{key: value for key, value in defaults.items() if key not in item}, **item}


def pod_spec(spec: Item) -> Item:
    """A Pod's spec with its defaults."""
    spec = _filled(spec, _POD_SPEC)
    for where in ("containers", "initContainers"):
        if where in spec:
            spec[where] = [_container(each) for each in spec[where]]
    return spec


def _container(container: Item) -> Item:
    image = str(container.get("image", ""))
    latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
    filled = _filled(container, {**_CONTAINER, "imagePullPolicy": "Always" if latest else "IfNotPresent"})
    if "ports" in filled:
        filled["ports"] = [{"protocol": "TCP", **port} for port in filled["ports"]]
    return filled


def _pod(item: Item) -> None:
    item["spec"] = _filled(pod_spec(item["spec"]), {"serviceAccountName": "default", "enableServiceLinks": True})
    status = item["status"] = {"qosClass": "BestEffort", **item["status"]}
    created = item["metadata"]["creationTimestamp"]
    status["conditions"] = [{"lastTransitionTime": created, **each} for each in status.get("conditions", ())]
    for where in ("containerStatuses", "initContainerStatuses"):
        if where in status:
            status[where] = [
                {"imageID": "", "lastState": {}, "restartCount": 0, "ready": False, "state": {}, **each}
                for each in status[where]
            ]


def _template(spec: Item) -> Item:
    template = spec.get("template") or {}
    metadata = {"creationTimestamp": None, **(template.get("metadata") or {})}
    return {**spec, "template": {**template, "metadata": metadata, "spec": pod_spec(template.get("spec") or {})}}


def _deployment(item: Item) -> None:
    strategy = item["spec"].get("strategy") or {}
    strategy = {"type": "RollingUpdate", **strategy}
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = {**_ROLLING, **(strategy.get("rollingUpdate") or {})}
    defaults = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    item["spec"] = {**_filled(_template(item["spec"]), defaults), "strategy": strategy}


def _stateful_set(item: Item) -> None:
    defaults = {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "serviceName": "",
    }
    item["spec"] = _filled(_template(item["spec"]), defaults)


def _daemon_set(item: Item) -> None:
    update = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    item["spec"] = _filled(_template(item["spec"]), {"revisionHistoryLimit": 10, "updateStrategy": update})


def _replicas(item: Item) -> None:
    item["spec"] = _filled(_template(item["spec"]), {"replicas": 1})


def _job(item: Item) -> None:
    defaults = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
    labels = {"batch.kubernetes.io/controller-uid": item["metadata"]["uid"]}
    defaults |= {"selector": {"matchLabels": labels}}
    item["spec"] = _filled(_template(item["spec"]), defaults)


def _cron_job(item: Item) -> None:
    defaults = {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3}
    item["spec"] = _filled(item["spec"], {**defaults, "failedJobsHistoryLimit": 1})


def _node(item: Item) -> None:
    host = os.uname()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    room = {"cpu": str(os.cpu_count() or 1), "memory": f"{memory}Ki", "pods": "110", "ephemeral-storage": "0"}
    architecture = item["metadata"].get("labels", {}).get("kubernetes.io/arch", "amd64")
    info = {
        "kubeletVersion": _KUBELET,
        "kubeProxyVersion": "",
        "kernelVersion": host.release,
        "osImage": "netlab",
        "containerRuntimeVersion": "netlab://1",
        "operatingSystem": "linux",
        "architecture": architecture,
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    }
    status = item["status"] = {"capacity": room, "allocatable": room, "nodeInfo": info, **item["status"]}
    created = item["metadata"]["creationTimestamp"]
    ready = {"reason": "KubeletReady", "message": "netlab has built this node", "lastHeartbeatTime": created}
    status["conditions"] = [{**ready, "lastTransitionTime": created, **each} for each in status["conditions"]]


def _endpoint_slice(item: Item) -> None:
    item["ports"] = [{"name": "", "protocol": "TCP", **port} for port in item.get("ports") or ()]  # kubectl trusts them


def _namespace(item: Item) -> None:
    item["spec"] = {"finalizers": ["kubernetes"], **item.get("spec", {})}


_BY_KIND: Mapping[str, Callable[[Item], None]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "ReplicaSet": _replicas,
    "ReplicationController": _replicas,
    "Job": _job,
    "CronJob": _cron_job,
    "Node": _node,
    "Namespace": _namespace,
    "EndpointSlice": _endpoint_slice,
}


def fill(item: Item) -> Item:
    """The object with its defaults; the argument is not changed."""
    made = dict(item)
    if complete := _BY_KIND.get(made.get("kind", "")):
        complete(made)
    return made
