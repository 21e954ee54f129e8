"""What policies cost: connections and throughput with and without them, and very many at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bed import Size, lab_command, rounds, run, settle, workshop
from rows import Row, ratios

if TYPE_CHECKING:
    from cases import Run

HERE = Path(__file__).parent
SMALL, LARGE = Size(2, 2), Size(10, 100)
MANY = 10_000  # policies in the large lab
PORTS = (5201, 8099)  # iperf3's, and floor.py's
# Three labs that differ in what is in the nodes' forward hook alone.
KINDS = {
    "bare": "nothing in the forward hook",
    "tracked": "one `ct` rule there",
    "policies": "all Pods isolated, both ways",
}
_TRACK = (
    "table inet track { chain forward { type filter hook forward priority 0; ct state established,related accept; }; }"
)


def policy(want: Run) -> Iterator[Row]:
    """Pairs of labs, A B A B; then 10,000 policies."""
    yield from _traffic(want)
    yield from _many(want)


# -- traffic ----------------------------------------------------------------------------------------------------------


def _traffic(want: Run) -> Iterator[Row]:
    labs = {kind: f"{want.lab}{kind[0]}" for kind in KINDS}
    with workshop(labs["bare"]) as one, workshop(labs["tracked"]), workshop(labs["policies"]):
        addresses = {kind: _made(lab, kind, one) for kind, lab in labs.items()}

        def connect(kind: str, server: str) -> dict[str, float]:
            lab = labs[kind]
            argv = [
                sys.executable,
                str(HERE / "floor.py"),
                f"{lab}-client",
                f"{lab}-{server}",
                addresses[kind][server],
                "3000",
            ]
            return {server: float(run(argv).stdout)}

        # Short turns, many: the machine's other users change what one costs by more than policies do.
        ways = {kind: lambda kind=kind: connect(kind, "far") | connect(kind, "near") for kind in KINDS}
        found = list(rounds(want.turns(15), ways))
        for server, where in (("far", "of two nodes"), ("near", "of one node")):
            yield from _compared(found, f"new connection, Pods {where}", server, "us", slower_is_more=True)
        if not shutil.which("iperf3"):
            yield Row(
                "throughput, policies / tracked", str(SMALL), (), "x", "iperf3 not found: bootstrap.sh test installs it"
            )
            return
        with _servers(labs.values()):
            ways = {kind: lambda kind=kind: {"": _throughput(labs[kind], addresses[kind]["far"])} for kind in KINDS}
            found = list(rounds(want.turns(15), ways))
        yield from _compared(found, "throughput, Pods of two nodes", "", "Gbit/s", slower_is_more=False)
    settle(want.lab)


def _compared(found: list[dict[str, float]], name: str, key: str, unit: str, *, slower_is_more: bool) -> Iterator[Row]:
    columns = {kind: [one[f"{kind} {key}".strip()] for one in found] for kind in KINDS}
    for kind, note in KINDS.items():
        yield Row(f"{name}, {kind}", str(SMALL), tuple(columns[kind]), unit, note)
    mine, other = columns["policies"], columns["tracked"]
    pair = (other, mine) if slower_is_more else (mine, other)
    yield ratios(f"{name}: policies / tracked", str(SMALL), *pair)


def _made(lab: str, kind: str, folder: Path) -> dict[str, str]:
    """A lab of two nodes: client and near on the one, far on the other; the addresses of the latter two."""
    policies = [
        _policy("servers", "server", ingress=[{"from": [_app("client")], "ports": _ports()}]),
        _policy("clients", "client", egress=[{"to": [_app("server")], "ports": _ports()}]),
        {**_policy("deny", ""), "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}},
    ]
    nodes = [{"name": f"node-{number}"} for number in (1, 2)]
    spec = {"dataplane": "vxlan", "nodes": nodes}
    objects = [{"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}, "spec": spec}]
    objects += [_pod("client", "node-1", "client"), _pod("near", "node-1", "server"), _pod("far", "node-2", "server")]
    file = folder / f"{kind}.yaml"
    file.write_text(
        "\n---\n".join(map(json.dumps, objects + (policies if kind == "policies" else []))), encoding="utf-8"
    )
    lab_command("up", "-f", str(file))
    if kind == "tracked":
        for node in nodes:
            run(["ip", "netns", "exec", f"{lab}-{node['name']}", "nft", _TRACK])
    pods = lab_command("get", "pods", "--lab", lab, "-o", "json").json["items"]
    return {one["metadata"]["name"]: one["status"]["podIP"] for one in pods}


@contextmanager
def _servers(labs: Iterable[str]) -> Iterator[None]:
    """An iperf3 server in each lab's far Pod."""
    running = [
        subprocess.Popen(
            ["ip", "netns", "exec", f"{lab}-far", "iperf3", "-s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for lab in labs
    ]
    time.sleep(0.3)
    try:
        yield
    finally:
        for one in running:
            one.send_signal(signal.SIGTERM)
            one.wait()


def _throughput(lab: str, address: str) -> float:
    """Gbit/s of one TCP stream from the client to the Pod of the other node."""
    argv = ["ip", "netns", "exec", f"{lab}-client", "iperf3", "-c", address, "-t", "1", "-J"]
    said = run(argv).json
    return float(said["end"]["sum_received"]["bits_per_second"]) / 1e9


# -- very many --------------------------------------------------------------------------------------------------------


def _many(want: Run) -> Iterator[Row]:
    """10,000 policies over 1,000 Pods of 10 nodes: ten a Pod, and each of another few clients."""
    with workshop(want.lab) as folder:
        file = folder / "lab.yaml"
        file.write_text(_large(want.lab), encoding="utf-8")
        settle(want.lab)
        made, labelled, late = [], [], 0
        for _ in range(want.turns(2)):
            made.append(lab_command("up", "-f", str(file), "-o", "json"))
            for turn in range(3):
                allowed = turn % 2 == 0
                words = ("label", "--lab", want.lab, "--overwrite", "pod", "p-0", f"group={'g1' if allowed else 'g0'}")
                labelled.append(lab_command(*words).seconds)
                late += _passes(want.lab) != allowed
            lab_command("down", want.lab)
            settle(want.lab)
    name = f"{MANY:,} policies"
    yield Row(f"{name}, up", str(LARGE), tuple(one.seconds for one in made), "s", "from nothing, the whole command")
    yield Row(f"{name}, up, processor time", str(LARGE), tuple(one.processor for one in made), "s")
    yield Row(f"{name}, one label", str(LARGE), tuple(labelled), "s", "the whole command")
    yield Row(f"{name}, labels not in force when the command returned", str(LARGE), (float(late),), "")


def _passes(lab: str) -> bool:
    """Whether p-0 reaches p-1, which lets in group g1: one attempt, shorter than a retransmission."""
    address = run(["ip", "netns", "exec", f"{lab}-p-1", "ip", "-j", "-4", "addr", "show", "dev", "eth0"]).json
    to = address[0]["addr_info"][0]["local"]
    code = f"import socket; socket.create_connection(({to!r}, 80), 0.5)"
    argv = ["ip", "netns", "exec", f"{lab}-p-0", sys.executable, "-S", "-c", code]
    return subprocess.run(argv, capture_output=True, check=False, env=os.environ).returncode == 0


def _large(lab: str) -> str:
    """Pod p-N has group gN; of its ten policies the last one lets the group gN in on 80, the others other groups."""
    nodes = [{"name": f"node-{number}"} for number in range(1, LARGE.nodes + 1)]
    objects = [{"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}, "spec": {"nodes": nodes}}]
    total = LARGE.total
    objects += [
        _pod(f"p-{number}", f"node-{1 + number % LARGE.nodes}", f"a{number}", group=f"g{number}")
        for number in range(total)
    ]
    for number in range(MANY):
        pod, turn = number % total, number // total
        peer = {"podSelector": {"matchLabels": {"group": f"g{(pod + turn * 97) % total}"}}}
        objects.append(
            _policy(f"np-{number}", f"a{pod}", ingress=[{"from": [peer], "ports": [{"port": 80 + turn}, {"port": 80}]}])
        )
    return "\n---\n".join(map(json.dumps, objects))


# -- objects ----------------------------------------------------------------------------------------------------------


def _pod(name: str, node: str, app: str, **labels: str) -> dict[str, object]:
    ports = [{"containerPort": 80}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app, **labels}},
        "spec": {"nodeName": node, "containers": [{"name": "web", "image": "nginx:1.25", "ports": ports}]},
    }


def _app(app: str) -> dict[str, object]:
    return {"podSelector": {"matchLabels": {"app": app}}}


def _ports() -> list[dict[str, object]]:
    """A range that holds them: netlab itself would answer on ports that a policy names."""
    return [{"port": PORTS[0] - 1, "endPort": PORTS[1]}]


def _policy(name: str, app: str, **rules: object) -> dict[str, object]:
    types = [one.capitalize() for one in rules]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {**_app(app), "policyTypes": types, **rules},
    }
