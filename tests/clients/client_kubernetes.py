"""Twenty steps of the Python client ``kubernetes``."""

import threading

from kubernetes import client, config, dynamic, stream, utils, watch
from steps import step

config.load_kube_config()
core, apps, net = client.CoreV1Api(), client.AppsV1Api(), client.NetworkingV1Api()
BUSYBOX = {"containers": [{"name": "c", "image": "busybox", "command": ["sleep", "1000"]}]}
POD = {"metadata": {"name": "p", "labels": {"app": "p"}}, "spec": BUSYBOX}
TEMPLATE = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "d"}}, "template": TEMPLATE},
}
POLICY = {"metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s", "namespace": "py"},
    "spec": {"selector": {"app": "d"}, "ports": [{"port": 80}]},
}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": "b"}}


def changes() -> list[str]:
    seen = []
    patch = {"metadata": {"labels": {"x": "y"}}}
    threading.Timer(0.5, lambda: core.patch_namespaced_pod("p", "py", patch)).start()
    for event in watch.Watch().stream(core.list_namespaced_pod, "py", timeout_seconds=20):
        seen.append(event["type"])
        if event["type"] == "MODIFIED":
            return seen
    return []


def command(words: list[str]) -> str:
    run = core.connect_get_namespaced_pod_exec
    return stream.stream(run, "p", "py", command=words, stdout=True, stderr=True, stdin=False, tty=False)


def input_and_status() -> bool:
    run = core.connect_get_namespaced_pod_exec
    options = {"stdin": True, "stdout": True, "stderr": True, "tty": False, "_preload_content": False}
    shell = stream.stream(run, "p", "py", command=["sh"], **options)
    shell.write_stdin("echo $HOSTNAME; exit 3\n")
    shell.run_forever(timeout=20)
    return shell.read_stdout() == "p\n" and shell.returncode == 3


def forwarded() -> bool:
    forward = stream.portforward(core.connect_get_namespaced_pod_portforward, "server", "default", ports="80")
    connection = forward.socket(80)
    connection.setblocking(True)
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    received = b""
    while data := connection.recv(4096):
        received += data
    return received.startswith(b"HTTP/1.")


def server_side() -> str:
    options = {"field_manager": "x", "_content_type": "application/apply-patch+yaml"}
    return core.patch_namespaced_config_map("cm", "py", CONFIG, **options).metadata.uid


def by_dynamic() -> int:
    resources = dynamic.DynamicClient(client.ApiClient()).resources
    return len(resources.get(api_version="apps/v1", kind="Deployment").get(namespace="py").items)


namespace = client.V1Namespace(metadata=client.V1ObjectMeta(name="py", labels={"a": "b"}))
eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="p", namespace="py"))
scale = {"spec": {"replicas": 3}}
step("list pods", lambda: [pod.status.pod_ip for pod in core.list_namespaced_pod("default").items])
step("list nodes", lambda: [node.metadata.name for node in core.list_node().items])
step("create namespace", lambda: core.create_namespace(namespace).metadata.uid)
step("create pod", lambda: core.create_namespaced_pod("py", POD).metadata.uid)
step("create deployment", lambda: apps.create_namespaced_deployment("py", DEPLOYMENT).metadata.uid)
step("status", lambda: apps.read_namespaced_deployment_status("d", "py").status.ready_replicas == 2)
step("scale", lambda: apps.patch_namespaced_deployment_scale("d", "py", scale).spec.replicas == 3)
step("create policy", lambda: net.create_namespaced_network_policy("py", POLICY).metadata.uid)
step("watch and patch", changes)
step("exec", lambda: command(["echo", "hi"]) == "hi\n")
step("exec: input and exit status", input_and_status)
step("portforward", forwarded)
step("logs", lambda: core.read_namespaced_pod_log("p", "py") == "")
step("dynamic client", by_dynamic)
step("create_from_dict", lambda: utils.create_from_dict(client.ApiClient(), SERVICE))
step("server-side apply", server_side)
step("events", lambda: core.list_event_for_all_namespaces().items)
step("evict", lambda: core.create_namespaced_pod_eviction("p", "py", eviction))
step("delete namespace", lambda: core.delete_namespace("py"))
step("its pods are gone", lambda: not core.list_namespaced_pod("py").items)
