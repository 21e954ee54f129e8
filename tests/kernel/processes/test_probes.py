"""Probes of containers that really run: each kind of question by real packets, and what the answers do."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.kernel.processes.conftest import Lab

pytestmark = pytest.mark.kernel
APP = Path(__file__).with_name("probed_app.py").read_text()


def app(**fields: Any) -> dict[str, Any]:
    """The container that serves (see probed_app.py)."""
    return {"name": "app", "image": "x", "command": ["python3", "-c", APP], **fields}


def asking(name: str, **probe: Any) -> dict[str, Any]:
    """A container that only sleeps; the Pod's app is what its probe asks."""
    ready = {"periodSeconds": 1, "failureThreshold": 1, **probe}
    return {"name": name, "image": "x", "command": ["sleep", "3600"], "readinessProbe": ready}


def http(path: str, port: Any = 8080, **fields: Any) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port, **fields}}


TLS = {"scheme": "HTTPS"}
WANT = [{"name": "X-Want", "value": "yes"}, {"name": "Host", "value": "named.example"}]
# (the probe, whether it succeeds, what `describe` says of it: kubelet's own words, ADDRESS being the Pod's)
CASES: dict[str, tuple[dict[str, Any], bool, str]] = {
    "ok": (http("/ok"), True, ""),
    "default-path": (http(""), False, "Readiness probe failed: HTTP probe failed with statuscode: 404"),
    "by-name": (http("/ok", "web"), True, ""),
    "no-name": (http("/ok", "nix"), False, 'Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "nix"'),
    "c399": (http("/code/399"), True, ""),
    "c400": (http("/code/400"), False, "Readiness probe failed: HTTP probe failed with statuscode: 400"),
    "headers": (http("/headers", httpHeaders=WANT), True, ""),
    "redirect": (http("/redirect"), True, ""),
    "away": (http("/away"), True, "Readiness probe warning: Probe terminated redirects, Response body: said"),
    "loop": (http("/loop"), False, 'Readiness probe failed: Get "http://ADDRESS:8080/loop": stopped after 10 redirects'),
    "slow": (http("/slow"), False, 'Get "http://ADDRESS:8080/slow": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'),
    "body": (http("/body"), False, "(Client.Timeout or context cancellation while reading body)"),
    "closed": (http("/", 7), False, 'Get "http://ADDRESS:7/": dial tcp ADDRESS:7: connect: connection refused'),
    "eof": (http("/", 8081), False, 'Get "http://ADDRESS:8081/": '),
    "local": (http("/ok", host="localhost"), False, 'Get "http://localhost:8080/ok": dial tcp 127.0.0.1:8080: connect: connection refused'),
    "unknown-host": (http("/ok", host="nobody.example"), False, "lookup nobody.example: no such host"),
    "not-tls": (http("/ok", **TLS), False, 'Get "https://ADDRESS:8080/ok": http: server gave HTTP response to HTTPS client'),
    "tcp": ({"tcpSocket": {"port": 8081}}, True, ""),
    "tcp-closed": ({"tcpSocket": {"port": 7}}, False, "Readiness probe failed: dial tcp ADDRESS:7: connect: connection refused"),
    "tcp-full": ({"tcpSocket": {"port": 8082}}, False, "Readiness probe failed: dial tcp ADDRESS:8082: i/o timeout"),
    "grpc": ({"grpc": {"port": 9090}}, True, ""),
    "grpc-no": ({"grpc": {"port": 9091}}, False, 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'),
    "grpc-service": ({"grpc": {"port": 9090, "service": "unknown"}}, False, "(grpc.health.v1.Health): no such"),
    "grpc-packed": ({"grpc": {"port": 9091, "service": "unknown"}}, False, "(grpc.health.v1.Health): no such service"),
    "grpc-http": ({"grpc": {"port": 8080}}, False, "Readiness probe failed: error: health rpc probe failed: rpc error: code = Unavailable"),
    "exec": ({"exec": {"command": ["cat", "/srv/begun"]}}, True, ""),
    "exec-no": ({"exec": {"command": ["sh", "-c", "echo $WORD is wrong; exit 3"]}}, False, "Readiness probe failed: this is wrong"),
    "exec-hangs": ({"exec": {"command": ["sh", "-c", "sleep 77 & sleep 78"]}}, False, 'command timed out: "sh -c sleep 77 & sleep 78" timed out after 1s'),
    "exec-forks": ({"exec": {"command": ["sh", "-c", "setsid sleep 79 >/dev/null 2>&1 & exit 0"]}}, True, ""),
    "exec-none": ({"exec": {"command": ["no-such-program"]}}, False, "errored and resulted in unknown state: failed to exec in container"),
}  # fmt: skip
if shutil.which("openssl"):
    CASES["https"] = http("/ok", 8443, **TLS), True, ""
    CASES["https-no"] = http("/code/500", 8443, **TLS), False, "HTTP probe failed with statuscode: 500"


def test_every_kind_of_question(lab: Lab) -> None:
    """One Pod, a container a case: all share the network in which the app serves."""
    env = [{"name": "WORD", "value": "this"}]
    ports = [{"name": "web", "containerPort": 8080}]
    # Where a try must run out of time, that is short; a busy machine is given some where it must not.
    tries = {name: {"timeoutSeconds": 5 if ready else 1, **probe} for name, (probe, ready, _) in CASES.items()}
    containers = [asking(name, **probe) | {"env": env} for name, probe in tries.items()]
    next(one for one in containers if one["name"] == "by-name")["ports"] = ports
    begun = {"exec": {"command": ["test", "-e", "/srv/begun"]}, "periodSeconds": 1}
    # A native sidecar that is not started keeps the others back, so each is asked when the app serves.
    side = app(restartPolicy="Always", startupProbe=begun)
    lab.up({"many": {"initContainers": [side], "containers": containers}})
    good = {name for name, (_, ready, _) in CASES.items() if ready}

    def ready() -> set[str]:
        return {one["name"] for one in lab.pod("many")["status"]["containerStatuses"] if one["ready"]}

    lab.until(lambda: ready() == good)
    pod = lab.pod("many")
    assert pod["status"]["phase"] == "Running"
    address = pod["status"]["podIP"]
    wanted = {name: says.replace("ADDRESS", address) for name, (_, _, says) in CASES.items()}
    told = lab.until(
        lambda: (
            (said := lab.netlab("describe", "pod", "many").stdout)
            and all(one in said for one in wanted.values())
            and said
        )
    )
    assert "Unhealthy" in told and "ProbeWarning" in told
    assert ready() == good
    inside = lab.exec("many", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", check=None).stdout
    assert "sleep 79" not in inside, "what a probe's command leaves in the background goes with it"
    assert inside.count("sleep 77") <= 2, "the shell that is asked now, and what it began"


def web(**probes: Any) -> dict[str, Any]:
    """A web server whose file /srv/w/ok decides."""
    script = "mkdir -p /srv/w; cd /srv/w; touch ok; hostname > who; exec python3 -m http.server 8080"
    return {
        "name": "web",
        "image": "x",
        "command": ["sh", "-c", script],
        "ports": [{"name": "http", "containerPort": 8080}],
        **probes,
    }


QUICK = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5}
READY = {"readinessProbe": {**http("/ok", "http"), **QUICK}}


def service(name: str, **spec: Any) -> dict[str, Any]:
    body = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


def apply(lab: Lab, *objects: dict[str, Any]) -> None:
    lab.netlab("apply", "-f", "-", input=yaml.safe_dump_all(objects))


def addresses(lab: Lab, name: str) -> tuple[list[str], list[str]]:
    """(the ready ones, those that are not), by `get endpoints`."""
    found = lab.netlab("get", "endpoints", name, "-o", "json").json["subsets"]
    ready = [each["ip"] for one in found for each in one.get("addresses", [])]
    return ready, [each["ip"] for one in found for each in one.get("notReadyAddresses", [])]


_ASK = """
import http.client, sys
for _ in range(12):
    try:
        connection = http.client.HTTPConnection(sys.argv[1], timeout=30)
        connection.request("GET", "/who")
        print(connection.getresponse().read().decode().strip())
    except OSError as error:
        print(type(error).__name__)
"""


def ask(lab: Lab, address: str) -> set[str]:
    """Who answers twelve requests, or what is wrong."""
    return set(lab.exec("client", "python3", "-c", _ASK, address).stdout.split())


def test_a_pod_that_is_not_ready_leaves_its_services_and_comes_back(lab: Lab) -> None:
    """Services, names, a policy that denies all, `diff`, `up` again, a killed agent: one lab."""
    sleeper = {"name": "c", "image": "x", "command": ["sleep", "3600"]}
    two = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [web(**READY)]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": two},
    }
    deny = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny"},
        # Probes come from the Pod's own node, and no policy keeps that out.
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]},
    }
    every = service("every", publishNotReadyAddresses=True)
    objects = [deployment, service("web"), service("heads", clusterIP="None"), every, deny]
    lab.up({"client": {"containers": [sleeper]}})
    apply(lab, *objects)
    pods = sorted(name for name in lab.pods() if name != "client")
    one, other = (str(lab.pod(name)["status"]["podIP"]) for name in pods)
    address = lab.netlab("get", "service", "web", "-o", "json").json["spec"]["clusterIP"]
    assert sorted(addresses(lab, "web")[0]) == sorted([one, other]), "apply waits until they are ready"
    assert ask(lab, address) <= set(pods)
    assert lab.diff() == 0

    lab.exec(pods[0], "rm", "/srv/w/ok")
    lab.until(lambda: addresses(lab, "web") == ([other], [one]))
    assert lab.pods()[pods[0]][:2] == ("0/1", "Running")
    conditions = {each["type"]: each["status"] for each in lab.pod(pods[0])["status"]["conditions"]}
    assert (conditions["Ready"], conditions["ContainersReady"], conditions["Initialized"]) == ("False", "False", "True")
    assert (
        "Readiness probe failed: HTTP probe failed with statuscode: 404"
        in lab.netlab("describe", "pod", pods[0]).stdout
    )
    told = lab.netlab("describe", "endpoints", "web").stdout
    assert f"Addresses:          {other}\n" in told and f"NotReadyAddresses:  {one}\n" in told
    slices = lab.netlab("get", "endpointslices", "-o", "json").json["items"]
    ready = {each["addresses"][0]: each["conditions"]["ready"] for each in
             next(s for s in slices if s["metadata"]["labels"]["kubernetes.io/service-name"] == "web")["endpoints"]}  # fmt: skip
    assert ready == {one: False, other: True}
    assert len(addresses(lab, "every")[0]) == 2, "publishNotReadyAddresses"
    assert lab.exec("client", "getent", "ahostsv4", "heads").stdout.split()[0] == other
    assert ask(lab, address) == {pods[1]}
    assert lab.diff() == 0
    assert lab.up({"client": {"containers": [sleeper]}})["changed"] == 0

    lab.exec(pods[1], "rm", "/srv/w/ok")
    lab.until(lambda: addresses(lab, "web")[0] == [])
    assert ask(lab, address) == {"ConnectionRefusedError"}
    assert lab.exec("client", "getent", "ahostsv4", "heads", check=None).status == 2

    lab.exec(pods[0], "touch", "/srv/w/ok")
    lab.until(lambda: addresses(lab, "web") == ([one], [other]))
    assert ask(lab, address) == {pods[0]}

    # All of it dies; `up` begins anew, and both come back.
    os.kill(lab.agent(), signal.SIGKILL)
    lab.until(lambda: lab.pods()["client"][1] == "Unknown")
    lab.up({"client": {"containers": [sleeper]}})
    assert sorted(addresses(lab, "web")[0]) == sorted([one, other])
    assert ask(lab, address) <= set(pods)
    assert lab.diff() == 0
    assert lab.up({"client": {"containers": [sleeper]}})["changed"] == 0


def test_liveness_restarts_and_startup_goes_first(lab: Lab) -> None:
    """Four Pods side by side: what a failing probe does, and what it must not do."""
    file = {"exec": {"command": ["test", "-e", "/srv/w/ok"]}, **QUICK}
    stubborn = web(livenessProbe={**file, "terminationGracePeriodSeconds": 1})
    stubborn["command"] = ["sh", "-c", "trap '' TERM; mkdir -p /srv/w; touch /srv/w/ok; while :; do sleep 0.2; done"]
    slow = web(startupProbe={**file, "failureThreshold": 60}, livenessProbe=file, **READY)
    slow["command"] = ["sh", "-c", "sleep 2.5; " + slow["command"][2]]
    late = web(readinessProbe={**http("/ok", "http"), "initialDelaySeconds": 3})
    never = web(startupProbe={**http("/no", "http"), "periodSeconds": 1, "failureThreshold": 2})
    thrice = web(readinessProbe={**http("/ok", "http"), "periodSeconds": 1, "successThreshold": 3})
    once = web(livenessProbe={**http("/no", "http"), **QUICK, "failureThreshold": 3})
    began = time.monotonic()
    pods = {"stubborn": stubborn, "slow": slow, "late": late, "never": never, "thrice": thrice}
    lab.up({**{name: {"containers": [one]} for name, one in pods.items()},
            "once": {"containers": [once], "restartPolicy": "Never"}})  # fmt: skip
    lab.until(lambda: lab.pods()["slow"][0] == lab.pods()["late"][0] == lab.pods()["thrice"][0] == "1/1")
    assert time.monotonic() - began > 3
    assert lab.pods()["slow"][2] == "0", "its liveness probe would have failed before its startup probe had succeeded"
    assert lab.pods()["late"][2] == "0"

    lab.until(lambda: lab.pods()["never"][2] != "0")
    told = lab.netlab("describe", "pod", "never").stdout
    assert "Container web failed startup probe, will be restarted" in told
    assert "Startup probe failed: HTTP probe failed with statuscode: 404" in told
    lab.until(lambda: lab.pods()["once"][1] in ("Error", "Completed"))
    assert lab.pods()["once"][2] == "0"

    lab.exec("stubborn", "rm", "/srv/w/ok")
    lab.until(lambda: lab.pods()["stubborn"][2].startswith("1"))  # SIGTERM does not end it, its probe's own grace does
    last = lab.pod("stubborn")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 137
    assert "Liveness probe failed" in lab.netlab("describe", "pod", "stubborn").stdout
    lab.until(lambda: lab.pods()["stubborn"][:2] == ("1/1", "Running"))


def test_what_has_ended_and_what_is_leaving_gets_no_traffic(lab: Lab) -> None:
    """A Pod whose command ended is no endpoint and no policy's peer; one that is deleted leaves before it ends."""
    sleeper = {"name": "c", "image": "x", "command": ["sleep", "3600"]}
    once = web()
    once["command"] = ["sh", "-c", "until test -e /srv/over; do sleep 0.1; done"]
    stays = web()
    stays["command"] = ["sh", "-c", f"trap '' TERM; {stays['command'][2].replace('exec ', '')}"]
    labels = {"labels": {"app": "web"}}
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **labels}, "spec": spec}
        for name, spec in {
            "once": {"containers": [once], "restartPolicy": "Never"},
            "stays": {"containers": [stays], "terminationGracePeriodSeconds": 300},
        }.items()
    ]
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "from-web"},
        "spec": {
            "podSelector": {},
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": labels}} for labels in ({"app": "web"}, {"run": "client"})]}
            ],
        },
    }
    lab.up({"client": {"containers": [sleeper]}})
    apply(lab, *pods, service("web"), policy)
    lab.netlab("label", "pod", "client", "run=client")
    one, other = (str(lab.pod(name)["status"]["podIP"]) for name in ("once", "stays"))
    client = lab.pod("client")["status"]["podIP"]
    assert addresses(lab, "web") == ([one, other], [])
    assert lab.exec("once", "ping", "-c1", "-W1", client).status == 0

    lab.exec("once", "touch", "/srv/over")
    lab.until(lambda: addresses(lab, "web") == ([other], []))  # not even among those that are not ready
    assert lab.pods()["once"][1] == "Completed"
    assert lab.exec("once", "ping", "-c1", "-W1", client, check=None).status == 1
    assert lab.exec("stays", "ping", "-c1", "-W1", client).status == 0
    assert lab.diff() == 0

    with lab.start("delete", "pod", "stays") as running:
        lab.until(lambda: addresses(lab, "web")[0] == [] and running.poll() is None)
        said = lab.exec("client", "busybox", "wget", "-qO-", f"http://{other}:8080/who").stdout
        assert said == "stays\n", "it has its grace period"
        lab.exec("stays", "sh", "-c", "kill -9 -1", check=None)
        assert running.wait(timeout=120) == 0
    assert lab.diff() == 0


def test_a_step_that_is_killed_is_made_up_for_and_down_waits_for_no_probe(lab: Lab) -> None:
    hangs = web(livenessProbe={"exec": {"command": ["sleep", "99"]}, "timeoutSeconds": 60, "periodSeconds": 1}, **READY)
    lab.up({"web": {"containers": [hangs]}})
    state = Path(f"/run/netlab/{lab.name}")
    (state / "statuses.next").write_text('{"default/web": [false, false]}')  # what a killed one leaves
    apply(lab, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                "spec": {"selector": {"run": "web"}, "ports": [{"port": 80}]}})  # fmt: skip
    assert lab.diff() == 0
    lab.netlab("label", "pod", "web", "run=web")
    assert len(addresses(lab, "web")[0]) == 1
    (state / "statuses.next").write_text('{"default/web": [false, false]}')
    lab.exec("web", "rm", "/srv/w/ok")
    lab.until(lambda: addresses(lab, "web")[0] == [] and not (state / "statuses.next").exists())
    assert lab.diff() == 0
    # A change that comes while the Pod goes back and forth: whoever is second waits, and both are there in the end.
    for _ in range(3):
        lab.exec("web", "touch", "/srv/w/ok")
        apply(lab, service("more"))
        lab.exec("web", "rm", "/srv/w/ok")
        lab.netlab("delete", "service", "more")
    lab.exec("web", "touch", "/srv/w/ok")
    # The last `rm` may be noticed only now: the Pod goes and comes once more.
    lab.until(lambda: len(addresses(lab, "web")[0]) == 1 and not (state / "statuses.next").exists() and not lab.diff())
    assert lab.down() < 5


_ECHO = """
import os, socket
os.makedirs("/srv", exist_ok=True)
open("/srv/ok", "w").close()
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 5353))
while True:
    data, peer = sock.recvfrom(64)
    sock.sendto(socket.gethostname().encode(), peer)
"""
_UDP = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 4444)); sock.settimeout(1)
seen, deadline = [], time.monotonic() + 60
while len(seen) < 2 and time.monotonic() < deadline:
    try:
        sock.sendto(b"x", (sys.argv[1], 53))
        said = sock.recv(64).decode()
    except OSError as error:
        said = type(error).__name__
    if said not in seen:
        print(said, flush=True)
        seen.append(said)
    time.sleep(0.1)
"""


def test_a_udp_client_follows_when_its_backend_is_ready_no_more(lab: Lab) -> None:
    """Its entry in connection tracking would lead it to the old one for as long as it sends."""
    sleeper = {"name": "c", "image": "x", "command": ["sleep", "3600"]}
    asked = {"exec": {"command": ["test", "-e", "/srv/ok"]}, **QUICK}
    echo = {"name": "e", "image": "x", "command": ["python3", "-c", _ECHO], "readinessProbe": asked}
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": {"containers": [echo]}}
        for name in ("one", "two")
    ]  # fmt: skip
    lab.up({"client": {"containers": [sleeper]}})
    apply(lab, *pods, service("dns", ports=[{"port": 53, "protocol": "UDP", "targetPort": 5353}]))
    address = lab.netlab("get", "service", "dns", "-o", "json").json["spec"]["clusterIP"]
    with lab.start("exec", "client", "--", "python3", "-c", _UDP, address) as client:
        assert client.stdout is not None
        first = client.stdout.readline().strip()
        assert first in ("one", "two")
        lab.exec(first, "rm", "/srv/ok")
        assert client.stdout.readline().strip() == {"one": "two", "two": "one"}[first]
