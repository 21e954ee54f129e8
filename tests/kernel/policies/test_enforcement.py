"""NetworkPolicies by nftables and real packets: what the corpora cannot say."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.errors import BadInput, HostCannot
from netlab.kernel.host import netns as ns
from netlab.observe.evidence import probed
from netlab.observe.probe import Prober
from netlab.oracle.flow import Flow, Outcome
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.plan import Host
from netlab.runtime import lab as labs
from netlab.runtime.host import requirements as host
from netlab.runtime.state import running

pytestmark = pytest.mark.kernel

DENY_ALL = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
ONLY_CLIENT = {
    "podSelector": {"matchLabels": {"app": "server"}},
    "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"port": 80}]}],
}


def policy(name: str, spec: dict[str, Any]) -> str:
    return json.dumps({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec,
    })  # fmt: skip


def pods(*names: str) -> list[tuple[str, str]]:
    """Pods on node-1, but those with a 2 in front."""
    return [(name.removeprefix("2"), "node-2" if name.startswith("2") else "node-1") for name in names]


def outcomes(lab: str, **more: Any) -> dict[str, str]:
    """``client server:80`` -> outcome, by packets with evidence; the oracle must say the same."""
    cluster = running.load_cluster(lab)
    asked = list(flows(cluster, **more))
    found = {one.flow: one for one in probed(Prober(cluster, timeout=(0.1, 0.3)), cluster, asked)}
    predicted = Predictor(cluster).answer(asked)
    slow = [flow for flow in asked if found[flow].outcome != predicted[flow].outcome]
    found |= {one.flow: one for one in probed(Prober(cluster), cluster, slow)} if slow else {}
    assert {flow: one.outcome for flow, one in found.items()} == {flow: predicted[flow].outcome for flow in found}
    return {_shown(flow): str(one.outcome) for flow, one in found.items()}


def _shown(flow: Flow) -> str:
    short = [end.name.removeprefix("default/") for end in (flow.src, flow.dst)]
    return f"{short[0]} {short[1]}{'6' if ':' in flow.address else ''}:{flow.port}"


@pytest.mark.parametrize(
    "plane", ["vxlan", "host-gw", "flannel-vxlan", "calico-bgp", "calico-vxlan", "kindnet", "weave"]
)
def test_a_policy_holds_on_the_same_node_and_across(kit: Any, lab: str, plane: str) -> None:
    spec = kit.spec(lab, pods("client", "2server", "2near", "far"), dataplane=plane, ipFamilies=["IPv4", "IPv6"])
    kit.up(spec)
    labs.change(lab, add=[("p.yaml", policy("only-client", ONLY_CLIENT))])
    seen = outcomes(lab, targets=["server"], ports=["79/TCP"])
    for six in ("", "6"):
        assert seen[f"client server{six}:80"] == "open"
        assert seen[f"client server{six}:79"] == "denied"
        for other in ("near", "far"):
            assert seen[f"{other} server{six}:80"] == "denied"
        assert seen[f"server server{six}:80"] == "open", "a Pod reaches itself"
    assert not labs.diff(lab)[1].operations


@pytest.mark.parametrize("plane", ["vxlan", "calico-bgp"])
def test_nodes_reach_their_own_pods_and_no_others(kit: Any, lab: str, plane: str) -> None:
    kit.up(kit.spec(lab, pods("client", "2server"), dataplane=plane, ipFamilies=["IPv4", "IPv6"]))
    labs.change(lab, add=[("p.yaml", policy("deny-all", DENY_ALL))])
    seen = outcomes(lab, sources=["node/node-1", "node/node-2"], targets=["server"])
    assert seen == {
        "node-1 server:80": "denied", "node-1 server6:80": "denied",
        "node-2 server:80": "open", "node-2 server6:80": "open",
    }  # fmt: skip
    # A Pod's egress is enforced towards its own node, and the other one.
    seen = outcomes(lab, sources=["client"], targets=["node/node-1", "node/node-2"], ports=["9/TCP"])
    assert set(seen.values()) == {"denied"}
    # Isolation must not take the address away: neighbour discovery passes, so the node still finds the Pod.
    address = next(str(one.ip) for one in running.load_cluster(lab).pods[1].addresses if one.version == 6)
    kit.sh(f"ip -n {lab}-node-2 -6 neigh flush all")
    assert kit.ping(f"{lab}-node-2", address)


def test_icmp_passes_by_rules_without_ports(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab, pods("client", "2server")))
    address = str(running.load_cluster(lab).pods[1].addresses[0].ip)
    labs.change(lab, add=[("p.yaml", policy("p", ONLY_CLIENT))])
    assert not kit.ping(f"{lab}-client", address), "a rule with ports never allows ICMP"
    anything = {**ONLY_CLIENT, "ingress": [{"from": ONLY_CLIENT["ingress"][0]["from"]}]}  # type: ignore[index]
    labs.change(lab, add=[("p.yaml", policy("p", anything))])
    assert kit.ping(f"{lab}-client", address)


def test_rejecting_answers_and_is_a_denial(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab, pods("client", "2server", "2near"), policy={"deny": "reject"}, ipFamilies=["IPv4", "IPv6"]))
    labs.change(lab, add=[("p.yaml", policy("p", ONLY_CLIENT))])
    seen = outcomes(lab, sources=["client", "near"], targets=["server"], ports=["53/UDP", "79/TCP"])
    assert "timeout" not in seen.values()
    assert {where for where, outcome in seen.items() if outcome == "open"} == {"client server:80", "client server6:80"}
    assert set(seen.values()) == {"open", "denied"}


@pytest.fixture
def connection(kit: Any, lab: str) -> Iterator[Any]:
    """A function that connects from client to server in the lab, and gives both sockets."""
    open_sockets: list[socket.socket] = []

    def connect() -> tuple[socket.socket, socket.socket]:
        listener = ns.call(f"{lab}-server", lambda: socket.create_server(("0.0.0.0", 7000)))
        address = str(running.load_cluster(lab).pods[1].addresses[0].ip)
        client = ns.call(f"{lab}-client", lambda: socket.create_connection((address, 7000), 2))
        server, _ = listener.accept()
        open_sockets.extend((listener, client, server))
        for one in (client, server):
            one.settimeout(1)
        return client, server

    yield connect
    for one in open_sockets:
        one.close()


def _talks(client: socket.socket, server: socket.socket) -> bool:
    try:
        client.sendall(b"x")
        return server.recv(1) == b"x"
    except OSError:
        return False


@pytest.mark.parametrize("established", ["keep", "drop"])
def test_connections_that_are_up_when_a_policy_denies_them(
    kit: Any, lab: str, connection: Any, established: str
) -> None:
    kit.up(kit.spec(lab, pods("client", "2server"), policy={"established": established}))
    ends = connection()
    assert _talks(*ends)
    seven = {**ONLY_CLIENT, "ingress": [{"ports": [{"port": 7000}]}]}
    labs.change(lab, add=[("p.yaml", policy("p", seven))])
    assert _talks(*ends), "what stays allowed is not cut"
    labs.change(lab, add=[("p.yaml", policy("p", ONLY_CLIENT))])
    assert _talks(*ends) == (established == "keep")


def test_the_client_is_who_connected_and_not_who_spoke_first_under_the_policy(
    kit: Any, lab: str, connection: Any
) -> None:
    """A connection that the kernel first saw in the middle had its ends the wrong way round where the next packet was
    the server's (a retransmission, in one of five runs of a scenario), and was never cut.
    """
    kit.up(kit.spec(lab, pods("client", "2server"), policy={"established": "drop"}))
    client, server = connection()
    assert _talks(client, server)
    labs.change(lab, add=[("p.yaml", policy("p", ONLY_CLIENT))])  # port 80 alone
    server.sendall(b"y")
    client.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert not _talks(client, server)


def test_unrelated_changes_cut_nothing_under_load(kit: Any, lab: str) -> None:
    """New connections, one after the other, while another policy comes and goes: not one is lost."""
    kit.up(kit.spec(lab, pods("client", "2server", "2other")))
    labs.change(lab, add=[("p.yaml", policy("p", ONLY_CLIENT))])
    address = str(running.load_cluster(lab).pods[1].addresses[0].ip)
    stop, made, lost = threading.Event(), [0], []

    def load() -> None:
        worker = ns.Worker()

        def connect() -> None:
            fd = ns.open_named(f"{lab}-client")
            with ns.inside(fd):
                while not stop.is_set():
                    try:
                        socket.create_connection((address, 80), 0.9).close()  # a lost SYN is sent again after 1 s
                        made[0] += 1
                    except OSError as error:
                        lost.append(error)

        worker.run(connect)
        worker.close()

    thread = threading.Thread(target=load)
    thread.start()
    other = {"podSelector": {"matchLabels": {"app": "other"}}, "ingress": [{"from": [{"podSelector": {}}]}]}
    more = {**ONLY_CLIENT, "podSelector": {}, "ingress": [{"ports": [{"port": 1}]}]}
    before = _counters(lab)
    for _ in range(6):
        labs.change(lab, add=[("o.yaml", policy("o", other)), ("m.yaml", policy("m", more))])
        labs.change(
            lab, delete=["networking.k8s.io/NetworkPolicy/default/o", "networking.k8s.io/NetworkPolicy/default/m"]
        )
    stop.set()
    thread.join()
    assert made[0] > 100 and not lost
    assert _counters(lab) >= before + 100, "an untouched rule keeps its counter"


def _counters(lab: str) -> int:
    line = ["nft", "-j", "list", "chain", "inet", "netlab-policy", "pi-default/p"]
    done = subprocess.run(["ip", "netns", "exec", f"{lab}-node-2", *line], capture_output=True, text=True, check=True)
    rules = [one["rule"] for one in json.loads(done.stdout)["nftables"] if "rule" in one]
    return sum(part["counter"]["packets"] for rule in rules for part in rule["expr"] if "counter" in part)


def test_a_malformed_policy_leaves_those_in_force(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab, pods("client", "2server", "far")))
    labs.change(lab, add=[("p.yaml", policy("p", ONLY_CLIENT))])
    bad = policy("p", {"podSelector": {}, "ingress": [{"from": [{}]}]})
    with pytest.raises(BadInput, match=r"p\.yaml:1"):
        labs.change(lab, add=[("p.yaml", bad)])
    assert outcomes(lab, sources=["far"], targets=["server"]) == {"far server:80": "denied"}


def test_the_last_policy_leaves_no_table(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab, pods("client", "2server")))
    labs.change(lab, add=[("p.yaml", policy("p", DENY_ALL))])
    assert set(outcomes(lab, sources=["client"], targets=["server"]).values()) == {"denied"}
    labs.change(lab, delete=["networking.k8s.io/NetworkPolicy/default/p"])
    assert set(outcomes(lab, sources=["client"], targets=["server"]).values()) == {"open"}
    assert "netlab-policy" not in kit.sh(f"ip netns exec {lab}-node-2 nft list tables")


def test_silence_without_a_counter_is_no_denial(kit: Any, lab: str) -> None:
    """A denied flow that somebody else's rule eats before it comes to the policy stays a time-out."""
    kit.up(kit.spec(lab, pods("client", "2server")))
    labs.change(lab, add=[("p.yaml", policy("p", {**ONLY_CLIENT, "ingress": []}))])
    kit.sh(
        f"ip netns exec {lab}-node-2 nft 'table inet x {{ chain f {{ type filter hook forward priority -5; "
        "tcp dport 80 drop; }; }'"
    )
    cluster = running.load_cluster(lab)
    asked = list(flows(cluster, sources=["client"], targets=["server"]))
    (verdict,) = probed(Prober(cluster, timeout=(0.1, 0.2)), cluster, asked)
    assert verdict.outcome is Outcome.TIMEOUT
    assert "no rule counted it" in verdict.because[-1].message


@pytest.mark.parametrize(
    "way", ["unreachable 10.244.2.0/24", "blackhole 10.244.2.0/24", "10.244.2.0/24 via 172.18.0.1"]
)
def test_a_flow_that_is_lost_before_the_deny_rule_makes_no_other_denial_doubtful(kit: Any, lab: str, way: str) -> None:
    kit.up(kit.spec(lab, pods("client", "far", "2server", "2near"), dataplane="host-gw"))
    labs.change(lab, add=[("p.yaml", policy("only-client", ONLY_CLIENT))])
    subprocess.run(["ip", "-n", f"{lab}-node-1", "route", "replace", *way.split()], check=True)
    cluster = running.load_cluster(lab)
    asked = [
        *flows(cluster, targets=["server"], ports=["79/TCP"]),
        *flows(cluster, sources=["node-1"], targets=["server"]),
    ]
    seen = {_shown(each.flow): each for each in probed(Prober(cluster, timeout=(0.1, 0.2)), cluster, asked)}
    assert {seen[f"near server:{port}"].outcome for port in (79, 80)} == {Outcome.DENIED}
    lost = [each for name, each in seen.items() if name.startswith(("far", "client", "node-1"))]
    assert all(each.outcome in (Outcome.TIMEOUT, Outcome.UNREACHABLE) for each in lost), lost


def test_without_br_netfilter_a_bridge_with_policies_is_refused(kit: Any) -> None:
    text = kit.spec("nobr", pods("a", "b")) + "\n---\n" + policy("p", DENY_ALL)
    with pytest.raises(HostCannot, match="br_netfilter") as refused:
        host.require_for(kit.cluster(text), Host(br_netfilter=False))
    assert "modprobe br_netfilter" in refused.value.hint
    host.require_for(kit.cluster(kit.spec("nobr", pods("a"))), Host(br_netfilter=False))
    routed = kit.spec("nobr", pods("a", "b"), dataplane="calico-bgp") + "\n---\n" + policy("p", DENY_ALL)
    host.require_for(kit.cluster(routed), Host(br_netfilter=False))
