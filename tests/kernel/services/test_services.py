"""Services by real packets: who answers, whom it sees, what nobody answers, what changes under traffic do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from netlab.observe.probe import Prober
from netlab.oracle.compare import agree
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.runtime.lab import diff
from netlab.runtime.state.running import load_cluster
from tests.kernel.services.conftest import Lab, pod, run_netlab, service

pytestmark = pytest.mark.kernel

WEB = {"app": "web"}
PODS = {"client": ("node-1", {}), "a": ("node-1", WEB), "b": ("node-2", WEB), "other": ("node-2", {})}
INTERNET = {"external": [{"name": "internet", "address": "203.0.113.10"}]}
# On bridge nodes reach no other node at all, and nothing is left to say of Services between them.
PLANES = ("vxlan", "host-gw", "flannel-vxlan", "calico-bgp", "calico-vxlan", "kindnet", "weave")


def test_a_thousand_connections_spread_evenly_and_keep_their_source(lab: Lab) -> None:
    three = {"client": ("node-1", {}), "a": ("node-1", WEB), "b": ("node-2", WEB), "c": ("node-2", WEB)}
    lab.up(three, service("web"))
    seen = lab.connect("client", lab.address("web"), 80, 1000)
    assert {client for _, client in seen} == {"10.244.1.2"}
    assert sum(seen.values()) == 1000
    # 333 each; six standard deviations of a fair choice are 89, which one run in 10^8 exceeds.
    assert all(244 < seen[name, "10.244.1.2"] < 423 for name in "abc"), seen


def test_a_pod_reaches_itself_by_its_service_as_its_gateway(lab: Lab) -> None:
    lab.up({"a": ("node-1", WEB)}, service("web"))
    assert lab.connect("a", lab.address("web"), 80, 20) == {("a", "10.244.1.1"): 20}


def test_affinity_keeps_a_client_at_its_backend(lab: Lab) -> None:
    lab.up(PODS, service("web", sessionAffinity="ClientIP"))
    first = lab.connect("client", lab.address("web"), 80, 40)
    assert len(first) == 1 and sum(first.values()) == 40
    assert lab.connect("client", lab.address("web"), 80, 20).keys() == first.keys()


@pytest.mark.parametrize(
    ("what", "port", "error"),
    [("nobody", 80, "ConnectionRefusedError"), ("web", 81, "ConnectionRefusedError"), ("", 80, "TimeoutError")],
    ids=["no endpoints", "no such port", "no such Service"],
)
def test_what_nobody_serves_is_rejected_and_what_nobody_has_is_dropped(
    lab: Lab, what: str, port: int, error: str
) -> None:
    lab.up(PODS, service("web"), service("nobody", "nobody"))
    address = lab.address(what) if what else "10.96.77.77"
    for where in ("client", "node-1"):
        assert lab.connect(where, address, port) == {("error", error): 1}


def test_node_ports_answer_at_the_nodes_primary_address_alone(lab: Lab) -> None:
    ports = {"port": 80, "nodePort": 30080}
    local = {"port": 80, "nodePort": 30081}
    lab.up(
        PODS | {"a": ("node-1", {})},
        service("np", "web", ports, type="NodePort"),
        service("local", "web", local, type="NodePort", externalTrafficPolicy="Local"),
        **INTERNET,
    )
    assert lab.connect("internet", "172.18.0.2", 30080) == {("b", "10.244.1.0"): 1}  # masqueraded: node-1's tunnel
    assert lab.connect("internet", "172.18.0.3", 30080) == {("b", "10.244.2.1"): 1}
    assert lab.connect("internet", "172.18.0.3", 30081) == {("b", "203.0.113.10"): 1}  # kept
    assert lab.connect("internet", "172.18.0.2", 30081) == {("error", "TimeoutError"): 1}  # no backend here: dropped
    assert lab.connect("node-1", "172.18.0.2", 30081) == {("b", "10.244.1.0"): 1}  # from the node itself it works
    assert lab.connect("node-2", "127.0.0.1", 30080) == {("error", "ConnectionRefusedError"): 1}
    assert lab.connect("node-2", "10.244.2.1", 30080) == {("error", "ConnectionRefusedError"): 1}


def test_load_balancers_let_their_ranges_in(lab: Lab) -> None:
    hosts = [{"name": "friend", "address": "203.0.113.10"}, {"name": "stranger", "address": "203.0.113.60"}]
    ranges = ["203.0.113.0/28"]
    lab.up(PODS, service("lb", type="LoadBalancer", loadBalancerSourceRanges=ranges), external=hosts)
    body = lab.service("lb")
    address = body["status"]["loadBalancer"]["ingress"][0]["ip"]
    assert address == "203.0.113.128"
    assert sum(lab.connect("friend", address, 80, 5).values()) == 5
    assert lab.connect("stranger", address, 80) == {("error", "TimeoutError"): 1}
    # Node ports do not ask where one comes from.
    assert ("error", "TimeoutError") not in lab.connect("stranger", "172.18.0.2", body["spec"]["ports"][0]["nodePort"])


def test_internal_traffic_policy_local_stays_on_the_node(lab: Lab) -> None:
    lab.up(PODS, service("web", internalTrafficPolicy="Local"), service("far", "far", internalTrafficPolicy="Local"))
    assert lab.connect("client", lab.address("web"), 80, 20) == {("a", "10.244.1.2"): 20}
    lab.apply(pod("far", "node-2", {"app": "far"}))
    assert lab.connect("client", lab.address("far"), 80) == {("error", "TimeoutError"): 1}
    assert lab.connect("other", lab.address("far"), 80) == {("far", "10.244.2.3"): 1}


def test_services_without_selector_lead_where_their_slice_says(lab: Lab) -> None:
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "out-1", "labels": {"kubernetes.io/service-name": "out"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80}],
        "endpoints": [{"addresses": ["203.0.113.10"]}],
    }
    lab.up(PODS, service("out", ""), slice_, **INTERNET)
    assert lab.connect("client", lab.address("out"), 80) == {("internet", "172.18.0.2"): 1}
    said = lab.apply(service("nobodys", "nobody")).stderr.splitlines()
    assert len(said) == 1 and "change.yaml:" in said[0], said
    assert "warning: Service default/nobodys selects no Pod" in said[0]


def test_no_connection_fails_while_endpoints_come_and_go_elsewhere(lab: Lab) -> None:
    lab.up(PODS, service("web"), service("else", "else"))
    running = lab.connecting("client", lab.address("web"), 80, 2000)
    changes = 0
    while running.poll() is None and changes < 30:
        lab.apply(pod("extra", "node-2", {"app": "else"}), service(f"more-{changes}", "else"))
        lab.netlab("delete", "pod", "extra")
        changes += 1
    out, _ = running.communicate(timeout=60)
    seen: dict[str, int] = json.loads(out)
    assert changes >= 1
    assert sum(seen.values()) == 2000 and not [key for key in seen if key.startswith("error")], seen


_UDP = """
import json, socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 4444)); sock.settimeout(30)
for _ in sys.stdin:
    try:
        sock.sendto(b"netlab\\n", (sys.argv[1], 53))
        print(json.loads(sock.recv(65536))["pod"], flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


def test_a_udp_client_with_one_source_port_follows_when_its_backend_goes(lab: Lab) -> None:
    dns = {"port": 53, "protocol": "UDP"}
    lab.up({"client": ("node-1", {}), "a": ("node-1", WEB), "b": ("node-2", {})}, service("web", "web", dns))
    with _udp(lab, lab.address("web")) as client:
        try:
            assert _say(client) == "a"
            lab.netlab("delete", "pod", "a")
            lab.apply(pod("b", "node-2", WEB))
            assert _say(client) == "b"
        finally:
            client.kill()


_FROM_PORT = """
import json, socket, sys
sock = socket.socket()
sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, sys.byteorder) + bytes(4))
sock.bind(("", 40000))
sock.settimeout(float(sys.argv[2]))
try:
    sock.connect((sys.argv[1], 80))
    sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print(json.loads(sock.makefile().read().split("\\n\\n")[1])["pod"])
except OSError as error:
    print(type(error).__name__)
"""


def test_a_source_port_that_had_no_answer_follows_when_the_service_changes(lab: Lab) -> None:
    """The entry of such an attempt would lead the next connection from that port to the endpoint that is gone."""
    shut = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "shut"},
            "spec": {"podSelector": {"matchLabels": {"app": "old"}}, "ingress": []}}  # fmt: skip
    pods = {"client": ("node-1", {}), "a": ("node-2", {"app": "old"}), "b": ("node-2", WEB)}
    lab.up(pods, service("web", "old"), shut)
    ask = ("python3", "-c", _FROM_PORT, lab.address("web"))
    assert lab.sh("client", *ask, "0.5").strip() == "TimeoutError"
    lab.apply(service("web", "web"))
    assert lab.sh("client", *ask, "10").strip() == "b"


def _udp(lab: Lab, address: str) -> Any:
    line = ["ip", "netns", "exec", f"{lab.name}-client", sys.executable, "-c", _UDP, address]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _say(client: Any) -> str:
    client.stdin.write("\n")
    client.stdin.flush()
    return str(client.stdout.readline().strip())


@pytest.mark.parametrize("plane", PLANES)
def test_packets_do_what_the_oracle_says_on_every_data_plane(lab: Lab, plane: str) -> None:
    """Every kind of Service, both families, from Pods, nodes and a host outside."""
    both: dict[str, Any] = {"ipFamilyPolicy": "PreferDualStack"}
    every = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    v6 = plane != "weave"
    lab.up(
        PODS,
        service("web", "web", *every, **both),
        service("sctp", "web", {"port": 9, "protocol": "SCTP"}, **both),
        service("near", "web", internalTrafficPolicy="Local", **both),
        service("np", "web", {"port": 80, "nodePort": 30080}, type="NodePort", **both),
        service("npl", "web", {"port": 80, "nodePort": 30081}, type="NodePort", externalTrafficPolicy="Local", **both),
        service("lb", type="LoadBalancer", externalIPs=["198.51.100.7"]),
        service("nobody", "nobody", **both),
        dataplane=plane,
        **({"ipFamilies": ["IPv4", "IPv6"]} if v6 else {}),
        **INTERNET,
    )
    cluster = load_cluster(lab.name)
    known = Endpoints(cluster)
    nodes = [f"node/{name}" for name in known.nodes]
    outside = [f"external/{name}" for name in known.external]
    ports = ["30080", "30081"]
    asked = list(
        dict.fromkeys(
            [
                *flows(cluster, ports=ports),
                *flows(cluster, sources=[*nodes, *outside], ports=ports),
                *flows(cluster, targets=nodes, ports=ports),
                *flows(cluster, sources=[*nodes, *outside], targets=nodes, ports=ports),
            ]
        )
    )
    predicted = Predictor(cluster).answer(asked)
    observed = Prober(cluster).answer(asked)
    wrong = [
        f"{flow}: predicted {predicted[flow].outcome} of {predicted[flow].server} to {predicted[flow].client}, "
        f"got {observed[flow].outcome} of {observed[flow].server} to {observed[flow].client}"
        for flow in asked
        if not agree(predicted[flow], observed[flow])
        or (predicted[flow].client and observed[flow].client not in (None, predicted[flow].client))
    ]
    assert not wrong, "\n".join(wrong)
    assert any(one.outcome == "open" and one.flow.dst.kind == "service" for one in observed.values())


def test_affinity_ends_with_its_timeout(lab: Lab) -> None:
    sticky = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 2}}}
    lab.up(PODS, service("web", **sticky))
    deadline = time.monotonic() + 60
    name = ""
    while not name or "10.244.1.2" not in _affinity(lab, name):  # on a busy machine two seconds may pass before
        assert time.monotonic() < deadline
        backends = {name for name, _ in lab.connect("client", lab.address("web"), 80, 10)}
        name = backends.pop() if len(backends) == 1 else ""
    while "10.244.1.2" in _affinity(lab, name):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _affinity(lab: Lab, name: str) -> str:
    """The clients that node-1 keeps at a backend."""
    address = {"a": "10.244.1.3", "b": "10.244.2.2"}[name]
    table = json.loads(lab.sh("node-1", "nft", "-j", "list", "table", "ip", "kube-proxy"))["nftables"]
    sets = [one["set"] for one in table if "set" in one]
    (found,) = [one for one in sets if one["name"].startswith("affinity-") and address in one["name"]]
    assert found["timeout"] == 2
    return json.dumps(found.get("elem", []))


def test_clients_that_are_kept_are_no_drift_where_somebody_changed_a_rule(lab: Lab) -> None:
    """What packets had put into a set was told as a change of the table, and all that is in it as missing."""
    lab.up(PODS, service("web", sessionAffinity="ClientIP"))
    lab.connect("client", lab.address("web"), 80, 5)
    lab.sh("node-1", "nft", "add", "rule", "ip", "kube-proxy", "reject-chain", "counter")
    (only,) = diff(lab.name)[1].operations
    assert only.obj.name == "ip kube-proxy reject-chain"
    assert ": its rules were changed\n" in run_netlab("diff", lab.name, check=1).stdout
    lab.sh("node-1", "nft", "add", "element", "ip", "kube-proxy", "nodeport-ips", "{ 192.0.2.9 }")
    said = run_netlab("diff", lab.name, check=1).stdout
    assert "changed: nft ip kube-proxy in" in said and ": it differs in nodeport-ips (up creates it again)" in said
    assert "missing" not in said and "1 object differs" in said
