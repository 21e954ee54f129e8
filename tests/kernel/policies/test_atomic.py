"""Policies that change under traffic, and changes that fail: no packet meets half of one."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netlab.errors import KernelRefused
from netlab.kernel.host import netns as ns
from netlab.kernel.nftables import libnft
from netlab.kernel.nftables import run as nftrun
from netlab.objects import NftChain
from netlab.runtime import lab as labs
from netlab.runtime.state import running
from tests.kernel.policies.test_enforcement import ONLY_CLIENT, pods, policy

pytestmark = pytest.mark.kernel

ALLOWED, DENIED = 5000, 5001
_RCVBUFFORCE = 33  # SO_RCVBUFFORCE, which Python does not name
NETPOL = "networking.k8s.io/NetworkPolicy/default"


def address_of(lab: str, name: str, version: int = 4) -> str:
    pod = next(pod for pod in running.load_cluster(lab).pods if pod.name == name)
    return next(str(one.ip) for one in pod.addresses if one.version == version)


def bound(port: int) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        receiver.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 1 << 24)
    except PermissionError:
        receiver.close()
        pytest.skip("a receive buffer that no datagram overruns is for root of the machine")
    receiver.bind(("0.0.0.0", port))
    receiver.settimeout(0.3)
    return receiver


def datagram(address: str, port: int) -> None:
    """One datagram from a new port; a denied one is lost without a word."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", (address, port))


class Load:
    """Datagrams from new ports, so that each is judged as new, to a port that is always allowed and one that never is."""

    def __init__(self, lab: str, source: str, target: str) -> None:
        self.sent: Counter[int] = Counter()
        self.came: Counter[int] = Counter()
        self._stop = threading.Event()
        self._address = address_of(lab, target)
        self._source = f"{lab}-{source}"
        self._receivers = {
            port: ns.call(f"{lab}-{target}", lambda port=port: bound(port)) for port in (ALLOWED, DENIED)
        }
        self._threads = [threading.Thread(target=self._receive, args=one) for one in self._receivers.items()]
        self._threads.append(threading.Thread(target=self._send))

    def __enter__(self) -> Load:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()
        for one in self._receivers.values():
            one.close()

    def _send(self) -> None:
        def blast() -> None:
            while not self._stop.is_set():
                for port in (ALLOWED, DENIED):
                    datagram(self._address, port)
                    self.sent[port] += 1

        ns.call(self._source, blast)

    def _receive(self, port: int, receiver: socket.socket) -> None:
        while True:
            try:
                receiver.recv(10)
            except TimeoutError:
                if self._stop.is_set() and not self._threads[-1].is_alive():
                    return
            else:
                self.came[port] += 1


SERVER, CLIENT = {"matchLabels": {"app": "server"}}, {"podSelector": {"matchLabels": {"app": "client"}}}
BOTH = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["server", "other"]}]}


def versions(number: int) -> list[tuple[str, dict[str, Any]]]:
    """States of the policies, all of which allow the one port and not the other: rules, sets and subjects differ."""
    allowed = {"port": ALLOWED - 9, "endPort": ALLOWED, "protocol": "UDP"}  # a port that is named is served by netlab
    everybody = {"podSelector": {}, "policyTypes": ["Ingress"]}
    block = {"ipBlock": {"cidr": "10.244.0.0/16", "except": [f"10.244.2.{128 + number}/32"]}}
    return [
        ("p", {"podSelector": SERVER, "ingress": [{"from": [CLIENT], "ports": [allowed]}]}),
        ("p", {"podSelector": SERVER, "ingress": [{"ports": [{"port": 1}]}, {"from": [block], "ports": [allowed]}]}),
        ("q", {**everybody, "ingress": [{"ports": [{"port": number + 1}]}]}),
        ("p", {"podSelector": BOTH, "ingress": [{"ports": [{**allowed, "port": ALLOWED - number - 1}]}]}),
        ("q", {**everybody, "ingress": [{"from": [CLIENT], "ports": [allowed, {"port": 7}]}]}),
        ("p", {"podSelector": SERVER, "ingress": []}),
        ("p", {"podSelector": SERVER, "policyTypes": ["Ingress", "Egress"], "ingress": [{"from": [CLIENT, block], "ports": [allowed]}]}),
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["server", "near"])
def test_no_packet_is_judged_by_half_a_policy(kit: Any, lab: str, target: str) -> None:
    """Across nodes and on one: each of some thousands of packets arrives, or does not, as all states say."""
    text = kit.spec(lab, pods("client", "2server", "near", "2other"))
    kit.up(text.replace('"app": "near"', '"app": "server"'))
    name, spec = versions(0)[0]
    labs.change(lab, add=[("p.yaml", policy(name, spec))])
    with Load(lab, "client", target) as load:
        for number in range(3):
            for name, spec in versions(number):
                labs.change(lab, add=[(f"{name}.yaml", policy(name, spec))])
            for labels in ({"app": "client", "round": str(number)}, {"round": None}):
                labs.change(lab, label={"Pod/default/client": labels})
            labs.change(lab, delete=[f"{NETPOL}/q"])
    assert load.came[ALLOWED] == load.sent[ALLOWED] > 1000
    assert load.came[DENIED] == 0


def test_labels_count_when_the_command_returns(kit: Any, lab: str) -> None:
    """One datagram each time, and no second attempt: of a Pod's label, a namespace's, and a Pod that comes and goes."""
    team = {"from": [{"namespaceSelector": {"matchLabels": {"team": "web"}}}]}
    kit.up(kit.spec(lab, pods("client", "2server")))
    labs.change(lab, add=[("p.yaml", policy("p", {"podSelector": SERVER, "ingress": [{"from": [CLIENT]}, team]}))])
    address = address_of(lab, "server")
    with ns.call(f"{lab}-server", lambda: bound(ALLOWED)) as receiver:

        def passes() -> bool:
            ns.call(f"{lab}-client", lambda: datagram(address, ALLOWED))
            try:
                return bool(receiver.recv(10) == b"x")
            except TimeoutError:
                return False

        def set_label(whose: str, **labels: str | None) -> None:
            labs.change(lab, label={whose: labels})

        assert passes()
        for _ in range(2):
            set_label("Pod/default/client", app="nobody")
            assert not passes()
            set_label("Namespace/default", team="web")
            assert passes()
            set_label("Namespace/default", team=None)
            assert not passes()
            set_label("Pod/default/client", app="client")
            assert passes()
        labs.change(lab, delete=["/Pod/default/client"])
        new = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client", "labels": {"app": "nobody"}},
                          "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "x"}]}})  # fmt: skip
        labs.change(lab, add=[("c.yaml", new)])
        assert not passes()
        labs.change(lab, add=[("c.yaml", new.replace("nobody", "client"))])
        assert passes()


def test_an_address_brings_nothing_along_to_its_next_pod(kit: Any, lab: str) -> None:
    """A connection of the Pod that had the address is none of the next one's, although its packets look the same."""
    kit.up(kit.spec(lab, pods("client", "2server", "2closed")))
    deny = {"podSelector": {"matchLabels": {"app": "closed"}}, "policyTypes": ["Ingress"]}
    labs.change(lab, add=[("p.yaml", policy("p", deny))])  # and node-2 tracks connections
    address = address_of(lab, "server")

    def asking() -> socket.socket:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.settimeout(60)
        sender.connect((address, 53))
        return sender

    with ns.call(f"{lab}-server", lambda: bound(53)) as first, ns.call(f"{lab}-client", asking) as sender:
        first.settimeout(60)
        for _ in range(2):
            sender.send(b"x")
            _, client = first.recvfrom(10)
            first.sendto(b"y", client)
            assert sender.recv(10) == b"y"
    new = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "next", "labels": {"app": "closed"}},
                      "spec": {"nodeName": "node-2", "containers": [{"name": "c", "image": "x"}]}})  # fmt: skip
    port = client[1]
    labs.change(lab, add=[("n.yaml", new)], delete=["/Pod/default/server"])
    if address_of(lab, "next") != address:  # it may only be free once its owner is gone
        labs.change(lab, delete=["/Pod/default/next"])
        labs.change(lab, add=[("n.yaml", new)])
    assert address_of(lab, "next") == address

    def asking_again() -> socket.socket:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind(("0.0.0.0", port))
        return sender

    with ns.call(f"{lab}-next", lambda: bound(53)) as second, ns.call(f"{lab}-client", asking_again) as sender:
        sender.sendto(b"x", (address, 53))
        with pytest.raises(TimeoutError):
            second.recv(10)


def test_a_new_pod_is_isolated_before_its_first_packet(kit: Any, lab: str) -> None:
    """Nothing ever arrives in a Pod that a policy closes, though its address is asked for before it is there."""
    kit.up(kit.spec(lab, pods("client", "2other")))
    labs.change(lab, add=[("p.yaml", policy("p", {"podSelector": SERVER, "policyTypes": ["Ingress"]}))])
    address = "10.244.2.3"
    stop = threading.Event()

    def blast() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    sender.sendto(b"x", (address, 9))
                time.sleep(0.0002)

    thread = threading.Thread(target=ns.call, args=(f"{lab}-client", blast))
    thread.start()
    new = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server", "labels": {"app": "server"}},
                      "spec": {"nodeName": "node-2", "containers": [{"name": "c", "image": "x"}]}})  # fmt: skip
    try:
        for _ in range(3):
            labs.change(lab, add=[("s.yaml", new)])
            assert address_of(lab, "server") == address
            time.sleep(0.1)
            table = kit.sh(f"ip netns exec {lab}-node-2 nft list chain inet netlab-policy to-default/server")
            assert "packets 0 " not in table, "nobody asked for it"
            # A packet to a port that nobody has would count here, in whatever way it came.
            counted = kit.sh(f"ip netns exec {lab}-server cat /proc/net/snmp").splitlines()
            heads, values = (line.split() for line in counted if line.startswith("Udp:"))
            assert dict(zip(heads, values, strict=True))["NoPorts"] == "0"
            labs.change(lab, delete=["/Pod/default/server"])
    finally:
        stop.set()
        thread.join()


# -- changes that fail ------------------------------------------------------------------------------------------------


def rulesets(kit: Any, lab: str) -> list[list[str]]:
    """Each node's rules, in no order: what was taken away and put back is listed last."""
    listed = (kit.sh(f"ip netns exec {lab}-node-{number} nft -s list ruleset") for number in (1, 2, 3))
    return [sorted(one.splitlines()) for one in listed]


@contextlib.contextmanager
def owned_by_somebody(netns: str) -> Iterator[None]:
    """A table of our name that a program holds for itself: the kernel lets nobody else change it."""
    argv = ["ip", "netns", "exec", netns, "nft", "-i"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nft:
        assert nft.stdin and nft.stdout
        nft.stdin.write("add table inet netlab-policy { flags owner; }\nlist tables\n")
        nft.stdin.flush()
        while "table inet netlab-policy" not in nft.stdout.readline():
            pass
        yield
        nft.stdin.close()


def test_one_node_that_refuses_stops_all(kit: Any, lab: str, netlab: Callable[..., Any], tmp_path: Any) -> None:
    everywhere = [("a", "node-1"), ("b", "node-2"), ("c", "node-3")]
    kit.up(kit.spec(lab, everywhere, nodes=("node-1", "node-2", "node-3")))
    first = {
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["c"]}]},
        "ingress": [{}],
    }
    labs.change(lab, add=[("first.yaml", policy("first", first))])
    file = tmp_path / "deny.yaml"
    file.write_text(policy("deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}))
    before = rulesets(kit, lab)
    with owned_by_somebody(f"{lab}-node-3"):
        refused = netlab("apply", "--lab", lab, "-f", file, check=4)
        assert "netlab-policy" in refused.stderr and "Operation not permitted" in refused.stderr
        assert rulesets(kit, lab)[:2] == before[:2], "no node before it was changed"
    assert [flow["outcome"] for flow in netlab("reach", lab, "-o", "json").json["flows"]] == ["open"] * 9
    assert "deny" not in netlab("get", "netpol", "--lab", lab).stdout
    assert rulesets(kit, lab) == before
    netlab("apply", "--lab", lab, "-f", file)
    outcomes = {(one["from"], one["to"]): one["outcome"] for one in netlab("reach", lab, "-o", "json").json["flows"]}
    assert all((outcome == "open") == (src == dst) for (src, dst), outcome in outcomes.items())


def test_a_node_that_refuses_late_gives_the_others_back_what_they_had(
    kit: Any, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = [("a", "node-1"), ("b", "node-2"), ("c", "node-3")]
    kit.up(kit.spec(lab, everywhere, nodes=("node-1", "node-2", "node-3")))
    labs.change(lab, add=[("p.yaml", policy("p", {**ONLY_CLIENT, "podSelector": {}}))])
    before = rulesets(kit, lab)
    real, left = nftrun.Runner.run, threading.Semaphore(0)

    def run(self: nftrun.Runner, steps: Any, *, check: bool = False) -> None:
        last = steps[0].obj.netns.endswith("node-3")
        if last and not check:
            for _ in range(2):  # the others have committed
                assert left.acquire(timeout=60)
            raise libnft.NftFailed("Error: Could not process rule: Cannot allocate memory")
        real(self, steps, check=check)
        if not check and any(isinstance(step.obj, NftChain) for step in steps):
            left.release()

    monkeypatch.setattr(nftrun.Runner, "run", run)
    new = [("p.yaml", policy("p", {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]})),
           ("q.yaml", policy("q", {"podSelector": {}, "policyTypes": ["Egress"]}))]  # fmt: skip
    with pytest.raises(KernelRefused, match="Cannot allocate memory"):
        labs.change(lab, add=new)
    monkeypatch.setattr(nftrun.Runner, "run", real)
    assert rulesets(kit, lab) == before
    assert not labs.diff(lab)[1].operations
    labs.change(lab, add=new)
    assert rulesets(kit, lab) != before and not labs.diff(lab)[1].operations
