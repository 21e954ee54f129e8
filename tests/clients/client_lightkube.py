"""Ten steps of ``lightkube``."""

from lightkube import Client
from lightkube.resources.core_v1 import Node, Pod, Service
from steps import step

client = Client(field_manager="lightkube")
BUSYBOX = {"containers": [{"name": "c", "image": "busybox", "command": ["sleep", "1000"]}]}
POD = Pod.from_dict({"metadata": {"name": "lp", "namespace": "default"}, "spec": BUSYBOX})
SERVICE = Service.from_dict(
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "ls", "namespace": "default"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]},
    }
)
LABEL = {"metadata": {"labels": {"q": "r"}}}
step("list pods", lambda: [pod.status.podIP for pod in client.list(Pod)])
step("list nodes", lambda: [node.status.nodeInfo.kernelVersion for node in client.list(Node)])
step("create", lambda: client.create(POD).metadata.uid)
step("apply", lambda: client.apply(SERVICE).spec.clusterIP)
step("wait", lambda: client.wait(Pod, "lp", for_conditions=["Ready"]).metadata.name)
step("patch", lambda: client.patch(Pod, "lp", LABEL).metadata.labels == {"q": "r"})
step("log", lambda: list(client.log("lp")) == [])
step("watch", lambda: next(iter(client.watch(Pod)))[0])
step("delete", lambda: client.delete(Pod, "lp"))
step("deletecollection", lambda: client.deletecollection(Service, namespace="default"))
