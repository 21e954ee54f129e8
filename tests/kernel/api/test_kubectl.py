"""The real kubectl against a lab: the founding lines, reads, writes, commands in Pods."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kubectltable import READS, Row

from netlab.runtime import lab as labs
from netlab.runtime.client import agentclient, apiserver
from netlab.runtime.state.rundir import RunDir
from tests.kernel.api.conftest import KUBECTL, Kubectl

pytestmark = pytest.mark.kernel
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1", ports: [{containerPort: 80}]}]}
"""
SERVER = "http://10.244.2.2"
POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-client}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]
"""


def test_the_founding_lines_run_as_they_stand(kubectl: Kubectl) -> None:
    address = kubectl("get pod server -o jsonpath='{.status.podIP}'")
    assert address == "10.244.2.2"
    assert "3 received" in kubectl(f"exec client -- ping -c 3 -i 0.01 {address}")
    assert kubectl(f"exec client -- wget -qO- http://{address}")
    heads, client, server = kubectl("get pods -o wide").splitlines()
    assert heads.split() == [
        "NAME",
        "READY",
        "STATUS",
        "RESTARTS",
        "AGE",
        "IP",
        "NODE",
        "NOMINATED",
        "NODE",
        "READINESS",
        "GATES",
    ]
    assert (client.split()[0], server.split()[5:7]) == ("client", ["10.244.2.2", "node-2"])
    missing = kubectl("get pods -n kube-system -l k8s-app=calico-node")
    assert missing == "No resources found in kube-system namespace.\n"


def test_reads_answer_as_a_cluster_does(kubectl: Kubectl) -> None:
    more = (
        Row("get pods --field-selector spec.nodeName=node-2 -o name", "pod/server"),
        Row("describe pod server", "Successfully assigned default/server to node-2"),
        Row("get configmap kube-root-ca.crt -o jsonpath={.data}", "BEGIN CERTIFICATE"),
    )
    for row in (*READS, *more):
        text = kubectl(row.line, status=row.status)
        assert row.expected in text, f"kubectl {row.line}: {text}"


def test_commands_in_pods(kubectl: Kubectl, tmp_path: Path) -> None:
    assert kubectl("exec client -- sh -c 'echo out; echo err >&2; exit 7'", status=7).splitlines()[:2] == ["out", "err"]
    assert kubectl("exec -i client -- cat", stdin="through\n") == "through\n"
    assert "not found" in kubectl("exec client -- nosuchprogram", status=127)
    assert "not valid" in kubectl("exec client -c other -- true", status=1)
    file = tmp_path / "bytes"
    file.write_bytes(os.urandom(300_000))
    kubectl(f"cp {file} client:/tmp/bytes")
    kubectl(f"cp client:/tmp/bytes {file}.back")
    assert file.read_bytes() == Path(f"{file}.back").read_bytes()
    kubectl("run talker --image=busybox --command -- sh -c 'echo started; sleep 1000'")
    kubectl("wait pod/talker --for=condition=Ready --timeout=30s")
    assert kubectl("logs talker --tail=1") == "started\n"
    kubectl("delete pod talker --now")
    assert "NotFound" in kubectl("get pod talker", status=1)


def test_input_reaches_the_command_of_a_pod(kubectl: Kubectl) -> None:
    run = "run {} --image=busybox -i --rm --restart=Never -q"
    assert kubectl(f"{run.format('cat')} -- cat", stdin="one\ntwo\n").startswith("one\ntwo\n")
    assert "terminated" in kubectl(f"{run.format('sh')} -- sh -c 'exit 3'", status=3)
    answer = kubectl(f"{run.format('wget')} -- wget -qO- -T 5 {SERVER}")
    assert answer.count('"pod": "server"') == 1
    # Options go to the program that the image is named after.
    assert (
        kubectl(f"run get --image=x.example/tools/wget:1 -i --rm --restart=Never -q -- -qO- -T 5 {SERVER}").count(
            '"pod": "server"'
        )
        == 1
    )


def test_nobody_acts_as_another_user(kubectl: Kubectl) -> None:
    assert (
        kubectl("auth can-i create pods") == kubectl("auth can-i create pods --as=system:serviceaccount:a:b") == "yes\n"
    )
    for line in ("auth can-i create pods --as=bob", "get pods --as=bob", "delete pod client --as=bob"):
        assert 'users "bob" is forbidden: netlab has no RBAC' in kubectl(line, status=1)
    review = "{apiVersion: authorization.k8s.io/v1, kind: SubjectAccessReview, spec: {user: bob, resourceAttributes: {verb: get}}}"
    assert kubectl("create -f - -o jsonpath='{.status.allowed}'", stdin=review) == "false"


def test_a_terminal_is_attached_to_the_shell_of_a_pod(kubectl: Kubectl) -> None:
    child, terminal = pty.fork()
    if child == 0:
        line = [KUBECTL, "run", "-it", "--rm", "box", "--image=busybox", "--", "sh"]
        os.execve(str(KUBECTL), [str(word) for word in line], dict(kubectl.environment))  # type: ignore[attr-defined]
    shown, typed = b"", False
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # EIO: kubectl has ended
            break
        shown += data
        if not typed and b"command prompt" in shown:
            os.write(terminal, b"echo $((40+2)); exit\n")
            typed = True
    assert b"\n42\r\n" in shown and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown.decode()
    os.close(terminal)
    # The shell that was started again ignores SIGTERM: as in a cluster, kubectl does not wait for its grace period.  It
    # is gone already where the signal came before the shell ran.
    left = kubectl("get pod box --no-headers --ignore-not-found")
    assert not left or "Terminating" in left
    kubectl("delete pod box --now --ignore-not-found")
    assert "NotFound" in kubectl("get pod box", status=1)


STUBBORN = """\
apiVersion: v1
kind: Pod
metadata: {name: stubborn, labels: {app: stubborn}}
spec:
  containers: [{name: a, image: busybox, command: [sh, -c, "trap '' TERM; while :; do sleep 1; done"], ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: stubborn}
spec: {selector: {app: stubborn}, ports: [{port: 80}]}
"""


def test_a_deleted_pod_terminates_while_the_lab_goes_on(kubectl: Kubectl, netlab: Callable[..., Any], lab: str) -> None:
    kubectl("apply -f -", stdin=STUBBORN)
    conditions = "get endpointslices -l kubernetes.io/service-name=stubborn -o jsonpath={..conditions}"
    assert json.loads(kubectl(conditions)) == {"ready": True, "serving": True, "terminating": False}
    answer = json.loads(kubectl("delete --raw /api/v1/namespaces/default/pods/stubborn"))
    assert answer["kind"] == "Pod" and answer["metadata"]["deletionGracePeriodSeconds"] == 30
    assert answer["metadata"]["deletionTimestamp"] > answer["metadata"]["creationTimestamp"]
    # While its process is there: it is shown so, its Service leaves it out, and others write.
    row = kubectl("get pod stubborn --no-headers").split()
    assert row[:3] == ["stubborn", "1/1", "Terminating"]
    assert json.loads(kubectl(conditions)) == {"ready": False, "serving": True, "terminating": True}
    kubectl("label pod stubborn seen=yes")
    netlab("apply", "--lab", lab, "-f", "-", input=POLICY)
    assert netlab("diff", lab).stdout.endswith("no drift\n")
    assert 'object is being deleted: pods "stubborn" already exists' in kubectl("create -f -", stdin=STUBBORN, status=1)
    events = [json.loads(kubectl("get pod stubborn -o json"))]
    assert events[0]["metadata"]["labels"]["seen"] == "yes" and "deletionTimestamp" in events[0]["metadata"]
    version = events[0]["metadata"]["resourceVersion"]
    kubectl("delete pod stubborn --now")  # it ends what waits, and returns when the Pod is gone
    watched = kubectl(f"get --raw '/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1&resourceVersion={version}'")
    told = [json.loads(line) for line in watched.splitlines()]
    assert [each["type"] for each in told if each["object"]["metadata"]["name"] == "stubborn"][-1:] == ["DELETED"]
    assert "NotFound" in kubectl("get pod stubborn", status=1)
    assert netlab("diff", lab).stdout.endswith("no drift\n")
    kubectl("delete svc/stubborn netpol/only-client")


def test_a_pod_is_deleted_by_force(kubectl: Kubectl) -> None:
    kubectl("apply -f -", stdin=STUBBORN)
    assert "force deleted" in kubectl("delete pod stubborn --grace-period=0 --force --wait=false")
    assert "NotFound" in kubectl("get pod stubborn", status=1)
    assert "no number of seconds" in kubectl(
        "delete --raw '/api/v1/namespaces/default/pods/client?gracePeriodSeconds=x'", status=1
    )
    kubectl("delete svc stubborn")


def test_what_owns_pods_goes_when_they_have_ended(kubectl: Kubectl) -> None:
    """A Deployment whose Pod ignores SIGTERM, and a namespace with it."""
    kubectl("create ns going")
    made = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: stubborn}
spec:
  selector: {matchLabels: {app: stubborn}}
  template:
    metadata: {labels: {app: stubborn}}
    spec:
      terminationGracePeriodSeconds: 3
      containers: [{name: a, image: busybox, command: [sh, -c, "trap '' TERM; while :; do sleep 1; done"]}]
"""
    kubectl("apply -n going -f -", stdin=made)
    assert "deleted" in kubectl("delete deploy stubborn -n going --wait=false")
    assert "Terminating" in kubectl("get pods -n going --no-headers")
    assert "deleted" in kubectl("delete ns going --wait=false")
    assert kubectl("get ns going -o jsonpath={.status.phase}") == "Terminating"
    kubectl("wait --for=delete ns/going --timeout=60s")
    assert "No resources" in kubectl("get pods -n going")


def test_down_leaves_nothing_of_a_pod_that_terminates(kit: Any, lab_name: str, netlab: Callable[..., Any]) -> None:
    kit.up(kit.spec(lab_name))
    netlab("kubectl", "--lab", lab_name, "apply", "-f", "-", input=STUBBORN)
    netlab("kubectl", "--lab", lab_name, "delete", "pod", "stubborn", "--wait=false")
    labs.down(lab_name)
    assert kit.remains(lab_name) == []


def test_a_deletion_goes_on_in_the_next_server(kit: Any, lab_name: str, netlab: Callable[..., Any]) -> None:
    kit.up(kit.spec(lab_name))
    made = STUBBORN.replace("spec:\n  containers", "spec:\n  terminationGracePeriodSeconds: 3\n  containers")
    netlab("kubectl", "--lab", lab_name, "apply", "-f", "-", input=made)
    netlab("kubectl", "--lab", lab_name, "delete", "pod", "stubborn", "--wait=false")
    server = apiserver.recorded(RunDir(lab_name).path)
    assert server is not None
    killed(server.pid)
    netlab("kubectl", "--lab", lab_name, "wait", "--for=delete", "pod/stubborn", "--timeout=60s")
    assert netlab("diff", lab_name).stdout.endswith("no drift\n")
    labs.down(lab_name)
    assert kit.remains(lab_name) == []


def test_a_deployment_rolls_its_pods_over(kubectl: Kubectl, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(DEPLOYMENT)

    def pods() -> set[str]:
        return set(kubectl("get pods -l app=web -o name").split())

    assert "created" in kubectl(f"apply -f {file}")
    first = pods()
    assert "unchanged" in kubectl(f"apply -f {file}") and pods() == first
    assert "serverside-applied" in kubectl(f"apply --server-side --force-conflicts -f {file}") and pods() == first
    kubectl("annotate deploy web note=1")
    kubectl("label deploy web tier=front")
    assert pods() == first  # what the template does not have changes no Pod
    kubectl("scale deploy/web --replicas=3")
    kubectl("rollout status deploy/web --timeout=30s")
    assert first < pods() and len(pods()) == 3
    kubectl("set image deploy/web web=nginx:2")
    kubectl("rollout status deploy/web --timeout=30s")
    assert not pods() & first and len(pods()) == 3
    assert kubectl("get deploy web -o jsonpath='{.status.readyReplicas} {..image}'") == "3 nginx:2"
    one = min(pods())
    kubectl(f"delete {one} --now")
    assert one not in pods() and len(pods()) == 3
    kubectl("expose deploy web --port=80")
    assert (
        kubectl("get endpointslices -l kubernetes.io/service-name=web -o jsonpath={..addresses}").count("10.244.") == 3
    )
    assert kubectl("exec client -- wget -qO- http://web")
    kubectl("delete deploy,svc web")
    assert pods() == set()


def test_a_policy_drops_packets_as_soon_as_it_is_applied(kubectl: Kubectl, kit: Any, lab: str) -> None:
    kubectl("apply -f -", stdin=POLICY.replace("app: client", "app: nobody"))
    kubectl("exec client -- wget -qO- -T 1 -t 1 http://10.244.2.2", status=4)
    kubectl("label pod client app=nobody --overwrite")
    assert kubectl("exec client -- wget -qO- http://10.244.2.2")
    kubectl("label pod client app=client --overwrite")
    kubectl("delete netpol only-client")


def test_agnhost_serves_and_connects_as_the_e2e_tests_use_it(kubectl: Kubectl) -> None:
    words = '["/agnhost", "serve-hostname", "--tcp", "--http=false", "--port", "81"]'
    kubectl(
        "apply -f -",
        stdin=f"""
apiVersion: v1
kind: Pod
metadata: {{name: e2e}}
spec:
  containers:
  - {{name: c81, image: agnhost, command: {words}, ports: [{{containerPort: 81}}, {{containerPort: 82, protocol: UDP}}]}}
""",
    )
    assert kubectl("get pod e2e -o jsonpath={.status.phase}") == "Running"
    address = kubectl("get pod e2e -o jsonpath={.status.podIP}")
    assert kubectl(f"exec client -- /agnhost connect {address}:81 --timeout=3s --protocol=tcp") == ""
    assert kubectl(f"exec client -- /agnhost connect {address}:82 --timeout=3s --protocol=udp") == ""
    assert "REFUSED" in kubectl(f"exec client -- /agnhost connect {address}:83 --timeout=3s", status=1)
    kubectl("apply -f -", stdin=POLICY.replace("podSelector: {matchLabels: {app: server}}", "podSelector: {}"))
    kubectl("label pod client app=other --overwrite")
    assert "TIMEOUT" in kubectl(f"exec client -- /agnhost connect {address}:81 --timeout=200ms", status=1)
    kubectl("label pod client app=client --overwrite")
    kubectl("delete netpol only-client")
    kubectl("delete pod e2e --now")


def test_a_wrong_object_changes_nothing(kubectl: Kubectl, lab: str) -> None:
    before = RunDir(lab).applied()
    wrong = POLICY.replace("podSelector: {matchLabels: {app: server}}", "podSelectr: {}")
    assert "podSelectr" in kubectl("apply -f -", stdin=wrong, status=1)
    assert "AlreadyExists" in kubectl("create ns default", status=1)
    assert "not found" in kubectl("create -n nowhere configmap a", status=1)
    assert "dry run" in kubectl("apply --dry-run=server -f -", stdin=POLICY)
    assert RunDir(lab).applied() == before


def test_two_writers_lose_nothing(kubectl: Kubectl, lab: str, netlab: Callable[..., Any], tmp_path: Path) -> None:
    """kubectl patches one field of an object, while `netlab apply` writes another of the same."""
    file = tmp_path / "two.yaml"
    file.write_text(DEPLOYMENT.replace("name: web", "name: two").replace("replicas: 2", "replicas: 1"))
    netlab("apply", "--lab", lab, "-f", str(file))
    kubectl("rollout status deploy/two --timeout=30s")

    def patch() -> None:
        for number in range(4):
            kubectl(f"""patch deploy two --type=merge -p '{{"spec":{{"minReadySeconds":{number}}}}}'""")

    with ThreadPoolExecutor(1) as pool:
        patching = pool.submit(patch)
        for replicas in (2, 1, 3):
            file.write_text(file.read_text().replace("replicas: ", f"replicas: {replicas} # "))
            netlab("apply", "--lab", lab, "-f", str(file))
        patching.result()
    spec = json.loads(kubectl("get deploy two -o jsonpath={.spec}"))
    assert spec["replicas"] == 3 and netlab("diff", lab).stdout.endswith("no drift\n")
    kubectl("delete deploy two")


def test_unknown_fields_are_refused_named_or_dropped(kubectl: Kubectl) -> None:
    wrong = DEPLOYMENT.replace("name: web}", "name: odd}", 1).replace("image:", "imagePullPolcy: Never, image:")
    path = 'unknown field "spec.template.spec.containers[0].imagePullPolcy"'
    refused = kubectl("apply -f -", stdin=wrong, status=1)
    assert f'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: {path}' in refused
    assert f"Warning: {path}" in kubectl("apply --validate=warn -f -", stdin=wrong)
    assert "Warning" not in kubectl("apply --validate=ignore -f -", stdin=wrong.replace("replicas: 2", "replicas: 1"))
    assert 'Warning: unknown field "spec.foo"' in kubectl("""patch deploy odd -p '{"spec":{"foo":1}}'""")
    kubectl("delete deploy odd")


def test_messages_of_netlab_are_warnings(kubectl: Kubectl) -> None:
    assert "Warning: Service default/nothing selects no Pod" in kubectl("create service clusterip nothing --tcp=80")
    nobody = POLICY.replace("app: server", "app: nosuch")
    assert "selects no Pod of namespace default" in kubectl("apply -f -", stdin=nobody)
    assert "Ingress has no effect in netlab" in kubectl("create ingress i --rule=a.com/=nothing:80")
    kubectl("delete svc/nothing netpol/only-client ing/i")


def test_objects_without_effect_are_kept(kubectl: Kubectl) -> None:
    kubectl("create ns kept")
    kubectl("create secret generic s -n kept --from-literal=p=q")
    assert kubectl("get secret s -n kept -o jsonpath={.data.p}") == "cQ=="
    kubectl("""patch secret s -n kept --type=json -p '[{"op":"add","path":"/data/r","value":"cg=="}]'""")
    assert json.loads(kubectl("get secret s -n kept -o jsonpath={.data}")) == {"p": "cQ==", "r": "cg=="}
    kubectl("delete ns kept")
    assert "NotFound" in kubectl("get secret s -n kept", status=1)


def test_netlab_kubectl_reads_and_writes_no_kubeconfig_of_the_user(
    lab: str, netlab: Callable[..., Any], tmp_path: Path
) -> None:
    other = tmp_path / ".kube" / "config"
    other.parent.mkdir()
    other.write_text("not for netlab")
    environment = {"HOME": str(tmp_path), "KUBECONFIG": str(other)}
    assert "server" in netlab("kubectl", "--lab", lab, "get", "pods", env=environment).stdout
    assert [path.name for path in other.parent.iterdir()] == ["config"] and other.read_text() == "not for netlab"
    done = netlab("kubectl", "--lab", "nosuchlab", "get", "pods", check=2, env=environment)
    assert 'no lab called "nosuchlab" is running' in done.stderr


def test_without_the_certificate_nothing_is_answered(lab: str) -> None:
    import ssl
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    config = json.loads(apiserver.ensure(lab).read_text())
    server = config["clusters"][0]["cluster"]["server"]
    context = ssl._create_unverified_context()
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    strict = ssl.create_default_context(cadata=authority)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    with pytest.raises(HTTPError) as unnamed, urlopen(f"{server}/version", context=strict):
        pass
    with unnamed.value:
        assert unnamed.value.code == 401
    for headers, code in (({}, 401), ({"Origin": "https://example.com"}, 403), ({"Host": "example.com:1"}, 403)):
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(f"{server}/api/v1/pods", headers=headers), context=context)
        with refused.value:
            assert refused.value.code == code
    assert apiserver.ensure(lab).stat().st_mode & 0o777 == 0o600


def test_answers_that_clients_trust(kubectl: Kubectl) -> None:
    kubectl("create deploy seen --image=nginx --port=80; $KUBECTL expose deploy seen --port=80")
    assert "Endpoints:                10.244." in kubectl("describe svc seen")
    kubectl("delete deploy,svc seen")
    missing = kubectl("logs server --previous", status=1)
    assert 'previous terminated container "main" in pod "server" not found' in missing
    refused = kubectl("get --raw /api/v1/namespaces/default/services/kubernetes/proxy/", status=1)
    assert "netlab passes no requests on" in refused


def killed(pid: int) -> None:
    """Kill a process, and wait until it has ended."""
    process = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([process], [], [])
    os.close(process)


def test_what_is_killed_comes_back_with_the_next_command(kit: Any, lab_name: str, netlab: Callable[..., Any]) -> None:
    """The process that runs commands, the agent, the server."""
    kit.up(kit.spec(lab_name))
    netlab("kubectl", "--lab", lab_name, "create", "deployment", "web", "--image=nginx", "--port=80")
    folder = RunDir(lab_name).path
    server = apiserver.recorded(folder)
    assert server is not None
    for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
        killed(int(child))
    assert netlab("kubectl", "--lab", lab_name, "exec", "client", "--", "echo", "works").stdout == "works\n"
    agent = agentclient.recorded(folder)
    assert agent is not None
    killed(agent.pid)
    netlab("kubectl", "--lab", lab_name, "scale", "deployment", "web", "--replicas=2")
    assert netlab("diff", lab_name).stdout.endswith("no drift\n")
    killed(server.pid)
    assert "2/2" in netlab("kubectl", "--lab", lab_name, "get", "deployment", "web").stdout
    labs.down(lab_name)
    assert kit.remains(lab_name) == []


def test_the_server_goes_with_its_lab(kit: Any, lab_name: str, netlab: Callable[..., Any]) -> None:
    kit.up(kit.spec(lab_name))
    config = apiserver.ensure(lab_name)
    server = apiserver.recorded(config.parent)
    assert server is not None and apiserver.ensure(lab_name) == config
    assert apiserver.recorded(config.parent) == server  # one server a lab
    assert {row["lab"]: row["kubeconfig"] for row in netlab("ls", "-o", "json").json}[lab_name] == str(config)
    labs.down(lab_name)
    assert not config.exists() and kit.remains(lab_name) == []
