"""Thirteen steps of ``kr8s``."""

import urllib.request

import kr8s
from kr8s.objects import Deployment, Pod
from steps import step

BUSYBOX = {"containers": [{"name": "c", "image": "busybox", "command": ["sleep", "1000"]}]}
TEMPLATE = {"metadata": {"labels": {"app": "kd"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
DEPLOYMENT = {
    "metadata": {"name": "kd"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "kd"}}, "template": TEMPLATE},
}


def forwarded() -> bool:
    with Pod.get("server").portforward(remote_port=80) as port:
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20).read())


def deployment() -> bool:
    made = Deployment(DEPLOYMENT)
    made.create()
    made.wait("condition=Available", timeout=20)
    made.scale(3)
    made.refresh()
    replicas, pods = made.replicas, len(list(made.pods()))
    made.delete()
    return (replicas, pods) == (3, 3)


step("get pods", lambda: [pod.name for pod in kr8s.get("pods")])
step("version", lambda: kr8s.api().version()["gitVersion"])
step("create", lambda: Pod({"metadata": {"name": "kp", "labels": {"a": "b"}}, "spec": BUSYBOX}).create())
step("wait", lambda: Pod.get("kp").wait("condition=Ready", timeout=20))
step("exec", lambda: Pod.get("kp").exec(["echo", "hi"]).stdout == b"hi\n")
step("logs", lambda: list(Pod.get("kp").logs()) == [])
step("label", lambda: Pod.get("kp").label({"x": "y"}))
step("annotate", lambda: Pod.get("kp").annotate({"x": "y"}))
step("portforward", forwarded)
step("deployment: create, wait, scale, pods, delete", deployment)
step("delete", lambda: Pod.get("kp").delete())
step("watch", lambda: next(iter(kr8s.watch("pods")))[0])
step("whoami", kr8s.whoami)
